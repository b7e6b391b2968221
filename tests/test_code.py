"""Which code decides a result: all that a plug-in imports, and nothing else."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arc_eval import code
from arc_eval.code import code_digest, imported
from arc_eval.errors import StoreError

FILES = {
    "__init__.py": "",
    "plugin.py": "import os\nfrom mine import near\n\n\nclass Plugin:\n    pass\n",
    "near.py": "def late():\n    from .inner.far import number\n    return number\n",
    "inner/__init__.py": "",
    "inner/far.py": "from mine import plugin\nfrom arc_eval import flow\nnumber = 1\nraise SystemExit\n",
    "apart.py": "import mine.plugin\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "mine"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(code, "_digest", code._digest.__wrapped__)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        del sys.modules[name]


def plugin() -> Any:
    from mine.plugin import Plugin  # type: ignore[import-not-found]

    return Plugin()


def test_imports_are_followed_wherever_they_stand_and_none_is_run(package: Path) -> None:
    files = imported("mine.plugin")
    assert {"mine.plugin", "mine.near", "mine.inner.far", "arc_eval.flow"} <= files.keys()
    assert "mine.apart" not in files and "os" not in files


@pytest.mark.parametrize("name", ["plugin.py", "near.py", "inner/far.py"])
def test_a_change_of_what_is_imported_changes_the_digest(package: Path, name: str) -> None:
    before = code_digest(plugin())
    (package / name).write_text(FILES[name] + "# changed\n")
    assert code_digest(plugin()) != before


def test_a_change_elsewhere_changes_nothing(package: Path) -> None:
    before = code_digest(plugin())
    (package / "apart.py").write_text("# changed\n")
    assert code_digest(plugin()) == before


def test_one_extractor_does_not_depend_on_anothers_network() -> None:
    files = imported("arc_eval.extractors.openl3")
    needed = {"dsp", "seeding", "extractors.loudness", "models.openl3", "models.resampy", "records.audio"}
    assert {f"arc_eval.{name}" for name in needed} <= files.keys()
    assert not any(name.startswith(("arc_eval.models.passt", "arc_eval.metrics")) for name in files)


def test_a_clip_depends_on_everything_that_sampling_runs_through() -> None:
    run = {"brownian", "flow", "dsp", "seeding", "samplers.pingpong", "samplers.kdiffusion", "models.dit"}
    files = imported("arc_eval.generators.latent")
    assert {f"arc_eval.{name}" for name in run} <= files.keys()
    assert not any(name.startswith("arc_eval.training") for name in files)


def test_a_class_without_a_source_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = type("Made", (), {"__module__": "no_such_module"})
    with pytest.raises(StoreError, match="no_such_module"):
        code_digest(made())
