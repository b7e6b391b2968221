"""Every way of naming a model leads to its files, or says what is missing and what to do."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from arc_eval.errors import CheckpointError
from arc_eval.models.files import CONFIGS, PACKAGED, ModelFiles, model_files


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of empty files, or adds to it."""

    def make(*names: str) -> Path:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("")
        return tmp_path

    return make


def test_a_packaged_model_is_found_by_its_name() -> None:
    place = PACKAGED / "arc"
    assert model_files("tiny/arc") == ModelFiles(
        place / "model_config.json", place / "model.safetensors", place / "manifest.json"
    )


def test_an_unknown_packaged_model_is_named_with_the_near_miss() -> None:
    with pytest.raises(CheckpointError, match=r"tiny/ark: no such packaged model; did you mean 'arc'"):
        model_files("tiny/ark")


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt", ".pt", ".pth", ".bin"])
def test_a_folder_and_its_weights_stand_for_the_same_model(suffix: str, folder: Callable[..., Path]) -> None:
    made = folder(f"model{suffix}", "model_config.json")
    expected = ModelFiles(made / "model_config.json", made / f"model{suffix}", made / "manifest.json")
    assert model_files(made) == model_files(str(made)) == expected
    assert model_files(made / f"model{suffix}") == expected


def test_safetensors_are_preferred_to_the_same_weights_as_a_pickle(folder: Callable[..., Path]) -> None:
    made = folder("model.ckpt", "model.safetensors", "model_config.json")
    assert model_files(made).weights == made / "model.safetensors"


def test_the_folder_stands_for_model_and_its_file_for_another(folder: Callable[..., Path]) -> None:
    made = folder("model.safetensors", "base_model.ckpt", "model_config.json", "base_model_config.json")
    assert model_files(made).weights == made / "model.safetensors"
    base = made / "base_model.ckpt"
    expected = ModelFiles(made / "base_model_config.json", base, made / "base_model_manifest.json")
    assert model_files(base) == expected


def test_weights_without_their_own_configuration_take_the_folder_s(folder: Callable[..., Path]) -> None:
    made = folder("last.ckpt", "model_config.json")
    assert model_files(made / "last.ckpt").config == made / "model_config.json"
    assert model_files(made).weights == made / "last.ckpt"


WRONG: dict[str, tuple[tuple[str, ...], str, str]] = {
    "nothing there": ((), "nowhere", r"nowhere: no such file or folder\. A model is a folder with"),
    "absent file": ((), "model.ckpt", r"model\.ckpt: no such file"),
    "empty folder": (("readme.md",), "", "holds no model; a model folder holds model_config.json and"),
    "no weights": (
        ("model_config.json",), "", r"model_config\.json but no weights .*say random/.*/model_config\.json",
    ),
    "no configuration": (
        ("last.ckpt",), "", r"weights without a configuration: put last_config\.json or model_config",
    ),
    "several": (
        ("a.ckpt", "b.safetensors", "model_config.json"), "", r"name one of b\.safetensors, a\.ckpt",
    ),
    "another pipeline": (("model_index.json",), "", "use a generator of kind `diffusers`"),
    "unknown ending": (
        ("model.onnx",), "model.onnx", r"'\.onnx' is not a file of weights; supported: \.safetensors, \.ckpt",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_missing_is_said_with_its_remedy(case: str, folder: Callable[..., Path]) -> None:
    names, asked, message = WRONG[case]
    with pytest.raises(CheckpointError, match=message) as caught:
        model_files(folder(*names) / asked)
    assert str(folder()) in str(caught.value)


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.json")))
def test_shipped_configurations_stand_for_random_weights(name: str) -> None:
    assert model_files(f"random/{name}").config == CONFIGS / f"{name}.json"
    assert model_files(f"random/{name}").weights is None


def test_any_configuration_stands_for_random_weights(folder: Callable[..., Path]) -> None:
    path = folder("mine.json") / "mine.json"
    assert model_files(f"random/{path}").config == path


def test_an_unknown_configuration_is_named_with_the_near_miss() -> None:
    with pytest.raises(CheckpointError, match=r"did you mean 'stable-audio-open-small'\?.*random/FILE\.json"):
        model_files("random/stable-audio-open-smal")


class Hub:
    """The cache folder of huggingface_hub, filled by hand; nothing can be downloaded into it."""

    commit = "0" * 40

    def __init__(self, root: Path) -> None:
        self.root = root

    def holds(self, repo: str, *names: str, revision: str = "main") -> Path:
        place = self.root / f"models--{repo.replace('/', '--')}"
        snapshot = place / "snapshots" / self.commit
        for name in names:
            blob = place / "blobs" / name.replace("/", "-")
            blob.parent.mkdir(parents=True, exist_ok=True)
            blob.write_text("")
            (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
            (snapshot / name).symlink_to(blob)
        (place / "refs" / revision).parent.mkdir(parents=True, exist_ok=True)
        (place / "refs" / revision).write_text(self.commit)
        return snapshot


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return Hub(tmp_path)


def test_a_repository_of_the_hub_stands_for_its_model(hub: Hub) -> None:
    snapshot = hub.holds("owner/name", "model.safetensors", "model_config.json")
    expected = ModelFiles(
        snapshot / "model_config.json", snapshot / "model.safetensors", snapshot / "manifest.json"
    )
    assert model_files("hf://owner/name") == expected
    assert model_files(Path("hf://owner/name")) == expected
    assert model_files(f"hf://owner/name@{Hub.commit}") == expected


def test_a_file_of_the_hub_takes_its_own_configuration_or_the_usual_one(hub: Hub) -> None:
    names = (
        "base_model.ckpt",
        "base_model_config.json",
        "model_config.json",
        "sub/x.ckpt",
        "sub/model_config.json",
    )
    snapshot = hub.holds("owner/name", *names, revision="v1")
    base = model_files("hf://owner/name@v1/base_model.ckpt")
    assert (base.weights, base.config) == (snapshot / names[0], snapshot / names[1])
    other = model_files("hf://owner/name@v1/sub/x.ckpt")
    assert (other.weights, other.config) == (snapshot / "sub/x.ckpt", snapshot / "sub/model_config.json")


@pytest.mark.parametrize(
    ("written", "revision"),
    [("refs/pr/12", "refs/pr/12"), ("refs%2Fpr%2F12", "refs/pr/12"), ("fix%2Fema", "fix/ema"), ("v1", "v1")],
)
def test_a_revision_may_have_slashes_in_it(written: str, revision: str, hub: Hub) -> None:
    names = ("model.safetensors", "model_config.json", "sub/x.ckpt", "sub/model_config.json")
    snapshot = hub.holds("owner/name", *names, revision=revision)
    assert model_files(f"hf://owner/name@{written}").weights == snapshot / "model.safetensors"
    assert model_files(f"hf://owner/name@{written}/sub/x.ckpt").weights == snapshot / "sub/x.ckpt"


def test_what_is_not_cached_is_not_fetched_offline(hub: Hub) -> None:
    hub.holds("owner/name", "model_config.json")
    with pytest.raises(CheckpointError, match=re.escape("hf://owner/name/model.safetensors")):
        model_files("hf://owner/name")


@pytest.mark.parametrize("name", ["hf://owner", "hf://owner/", "hf://owner/name@/x.ckpt", "hf://"])
def test_a_name_that_is_none_of_the_hub_says_how_one_is_written(name: str) -> None:
    with pytest.raises(CheckpointError, match=r"is not written hf://owner/name\[@revision\]\[/file\]"):
        model_files(name)


def test_only_weights_are_asked_of_the_hub(hub: Hub) -> None:
    with pytest.raises(CheckpointError, match=r"'\.md' is not a file of weights"):
        model_files("hf://owner/name/README.md")
