"""Where a model's files lie, by the ways of naming a model.

    tiny/NAME                         one of this package's own
    FOLDER                            its `model.safetensors` (or .ckpt, .pt, .pth, .bin) and
                                      `model_config.json`
    FOLDER/STEM.safetensors           one file of weights; its configuration is `STEM_config.json` if that is
                                      beside it, else `model_config.json`
    hf://OWNER/NAME[@REVISION][/FILE] the same in a Hugging Face repository; FILE: model.safetensors;
                                      REVISION: commit, tag or branch, its slashes as %2F, or refs/pr/N
    random/NAME, random/FILE.json     no weights: a shipped configuration, or any, with random ones

The shipped configurations are those of Stable Audio Open 1.0 and Small (`-base`: before its adversarial
post-training). Their sizes are proven by the published parameter counts; the range of Small's
`seconds_total`, 0 to 256, is taken from two independent ports of it.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from arc_eval.errors import CheckpointError, suggest

CONFIG, WEIGHTS, MANIFEST = "model_config.json", "model.safetensors", "manifest.json"
PACKAGED = Path(__file__).resolve().parent.parent / "weights"
CONFIGS = Path(__file__).resolve().parent / "configs"
SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
"""Of files of weights, the one to prefer first."""

HUB = re.compile(r"hf:/{1,2}([^/@]+/[^/@]+)(?:@(refs/pr/\d+|[^/]+))?(?:/(.+))?")


@dataclass(frozen=True)
class ModelFiles:
    """A configuration that exists, its weights (None: random ones) and where their manifest would be."""

    config: Path
    weights: Path | None
    manifest: Path


def model_files(path: str | Path) -> ModelFiles:
    """The files that a path in any of the module's spellings stands for; `hf://` may download them.

    Raises CheckpointError if something of it is absent or ambiguous, with what to do.
    """
    # A Path has one slash of `hf://`.
    name = str(path)
    head, _, rest = name.partition("/")
    if head == "tiny" and rest and "/" not in rest:
        return _packaged(rest)
    if head == "random" and rest:
        return _random(rest)
    if head == "hf:":
        return _of_the_hub(name)
    return _local(Path(path))


def _packaged(name: str) -> ModelFiles:
    folder = PACKAGED / name
    if not (folder / WEIGHTS).is_file():
        names = [known.parent.name for known in PACKAGED.glob(f"*/{WEIGHTS}")]
        raise CheckpointError(f"tiny/{name}: no such packaged model; {suggest(name, names)}")
    return ModelFiles(folder / CONFIG, folder / WEIGHTS, folder / MANIFEST)


def _random(name: str) -> ModelFiles:
    config = Path(name) if name.endswith(".json") else CONFIGS / f"{name}.json"
    if not config.is_file():
        shipped = [known.stem for known in CONFIGS.glob("*.json")]
        raise CheckpointError(
            f"random/{name}: no such configuration; {suggest(name, shipped)}; or random/FILE.json"
        )
    return ModelFiles(config, None, config.with_name(f"{config.stem}_{MANIFEST}"))


def _of_the_hub(name: str) -> ModelFiles:
    from arc_eval.models.hub import hub_file

    parts = HUB.fullmatch(name)
    if parts is None:
        raise CheckpointError(f"{name}: is not written hf://owner/name[@revision][/file]")
    repo, revision = parts[1], unquote(parts[2]) if parts[2] else None
    file = PurePosixPath(parts[3] or WEIGHTS)
    if file.suffix not in SUFFIXES:
        raise CheckpointError(f"{name}: {_no_weights(file.suffix)}")
    own, usual = (str(file.with_name(candidate)) for candidate in _configs(file.stem))
    # The configuration first: it is small, and what is wrong shows before gigabytes are fetched.
    try:
        config = hub_file(repo, own, revision)
    except CheckpointError:
        if own == usual:
            raise
        config = hub_file(repo, usual, revision)
    return _beside(hub_file(repo, str(file), revision), config)


def _local(path: Path) -> ModelFiles:
    if path.is_dir():
        return _of_file(_weights_in(path))
    if path.is_file() or path.suffix in SUFFIXES:
        return _of_file(path)
    raise CheckpointError(
        f"{path}: no such file or folder. A model is a folder with {CONFIG} and {WEIGHTS}, one file "
        "of weights with its configuration beside it, tiny/NAME, hf://owner/name, or random/NAME"
    )


def _of_file(weights: Path) -> ModelFiles:
    if weights.suffix not in SUFFIXES:
        raise CheckpointError(f"{weights}: {_no_weights(weights.suffix)}")
    if not weights.is_file():
        raise CheckpointError(f"{weights}: no such file")
    for name in _configs(weights.stem):
        if (weights.parent / name).is_file():
            return _beside(weights, weights.parent / name)
    wanted = " or ".join(dict.fromkeys(_configs(weights.stem)))
    raise CheckpointError(
        f"{weights}: weights without a configuration: put {wanted} "
        "beside them, from where they were published or trained"
    )


def _configs(stem: str) -> tuple[str, str]:
    return f"{stem}_config.json", CONFIG


def _beside(weights: Path, config: Path) -> ModelFiles:
    """A manifest speaks of one file of weights: `manifest.json` of `model`, others carry their stem."""
    whose = "" if weights.stem == Path(WEIGHTS).stem else f"{weights.stem}_"
    return ModelFiles(config, weights, weights.with_name(f"{whose}{MANIFEST}"))


def _weights_in(folder: Path) -> Path:
    """`model` in its best format, or the folder's only weights."""
    found = [file for suffix in SUFFIXES for file in sorted(folder.glob(f"*{suffix}"))]
    usual = [file for file in found if file.stem == Path(WEIGHTS).stem]
    if usual:
        return usual[0]
    if len({file.stem for file in found}) == 1:
        return found[0]
    if found:
        names = ", ".join(file.name for file in found)
        raise CheckpointError(f"{folder}: holds several files of weights; name one of {names}")
    if (folder / CONFIG).is_file():
        raise CheckpointError(
            f"{folder}: holds {CONFIG} but no weights ({WEIGHTS}, or another of {', '.join(SUFFIXES)}); "
            f"put them beside it. For random weights, to time it, say random/{folder / CONFIG}"
        )
    if (folder / "model_index.json").is_file():
        raise CheckpointError(
            f"{folder}: is a diffusers pipeline; use a generator of kind `diffusers` for it"
        )
    raise CheckpointError(f"{folder}: holds no model; a model folder holds {CONFIG} and {WEIGHTS}")


def _no_weights(suffix: str) -> str:
    return f"{suffix or 'no ending'!r} is not a file of weights; supported: {', '.join(SUFFIXES)}"
