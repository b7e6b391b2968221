"""A recipe: everything that decides a training, as data. The same recipe gives the same weights.

A recipe file is YAML with a `kind`; the kinds are listed in `KINDS`, each a settings class in the
module that knows how to train it. `include: PARENT` (a file beside it, or a shipped recipe's name) starts
from the parent's keys, as suites do.
"""

import hashlib
import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from arc_eval.contracts import Progress, Settings, silent
from arc_eval.errors import SuiteError, suggest
from arc_eval.registry import explain
from arc_eval.training.place import ALONE, Place

if TYPE_CHECKING:  # a task's learners read their recipe
    from arc_eval.training.task import Task

RECIPES = Path(__file__).parent / "recipes"

KINDS = {
    "autoencoder": "arc_eval.training.autoencoder:AutoencoderRecipe",
    "pretrain": "arc_eval.training.pretrain:PretrainRecipe",
    "arc": "arc_eval.training.arc:ArcRecipe",
    "distill": "arc_eval.training.distill:DistillRecipe",
    "regress": "arc_eval.training.regress:RegressRecipe",
    "tagger": "arc_eval.training.extractors:TaggerRecipe",
    "clap": "arc_eval.training.extractors:ClapRecipe",
}


Memory = Annotated[float, Field(ge=0, lt=1)]
"""How much of an average stays in one update."""

OPERATION = frozenset(
    {
        "reproduces",
        "sources",
        "max_lost",
        "accumulate",
        "checkpointing",
        "compile",
        "checkpoint_every",
        "log_every",
    }
)
"""Keys that a resumed training may change: they say nothing of what is learnt, only how it is computed."""


class Optimisation(BaseModel):
    """AdamW. The schedules are those of `optimise.SCHEDULES`; only `cosine` reads `final`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    lr: float = Field(gt=0)
    betas: tuple[Memory, Memory] = (0.9, 0.99)
    weight_decay: float = Field(default=0.01, ge=0)
    schedule: Literal["cosine", "constant", "inverse"] = "cosine"
    warmup: int = Field(default=100, ge=0)
    final: float = Field(default=0.02, ge=0, le=1)


class Recipe(Settings):
    """What every kind of training states; each kind adds its own keys."""

    model_config = ConfigDict(allow_inf_nan=False)

    reproduces: str
    sources: Mapping[str, str] = {}
    """Where a hyper-parameter comes from: its key to `known: ...`, `inferred: ...` or `unknown: ...`."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    data: Mapping[str, Any]
    """A data source's settings, `kind` included."""
    examples: int | None = Field(default=None, gt=0)
    """How many recordings are encoded once and then trained on; None: all that the source has."""
    crops: int = Field(default=1, ge=1)
    """How many parts are taken of a recording that is longer than what the model makes."""
    max_lost: float = Field(default=0.0, ge=0, lt=1)
    """The share of the recordings that may be unreadable; beyond it the training does not start."""
    ema: Memory = 0.999
    clip_norm: float = Field(default=1.0, ge=0)
    """Gradients longer than this are shortened to it; 0 leaves them."""
    precision: Literal["float64", "float32", "bfloat16", "float16"] = "float32"
    """Of the networks' products; weights and optimiser stay in float32, unless they too are float64."""
    accumulate: int = Field(default=1, ge=1)
    """Parts of a batch that are worked on one after the other, to save memory; any number learns the same."""
    checkpointing: bool = False
    """Recompute each block's activations for its gradient, to save memory."""
    compile: bool = False
    """Compile the transformer's blocks."""
    checkpoint_every: int = Field(default=250, ge=1)
    log_every: int = Field(default=25, ge=1)

    def task(self, cache: Path, progress: Progress = silent, place: Place = ALONE) -> "Task":
        """Prepares data (encoded once under `cache`) and networks for training."""
        raise TypeError(f"{type(self).__name__} is not a kind of training")

    def digest(self) -> str:
        """sha256 of what the recipe states.

        Defaults do not enter, so that an option which comes later leaves older trainings what they are.
        """
        return hashlib.sha256(json.dumps(self.stated(), sort_keys=True).encode()).hexdigest()

    def stated(self) -> dict[str, Any]:
        """The keys that differ from their defaults, as JSON has them."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Indivisible(Recipe):
    """A training whose loss is of the batch as a whole: its clips are compared with one another."""

    accumulate: Literal[1] = 1


def load_recipe(name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe by file or by the name of one that the package ships.

    `overrides` are `key=value` or `outer.inner=value`, the value in YAML. Raises SuiteError naming
    the file, the key and the near miss.
    """
    path = _found(name)
    data = _read(path)
    for override in overrides:
        _override(data, override)
    kind = data.pop("kind", None)
    if kind not in KINDS:
        raise SuiteError(f"{path}: kind: no training {kind!r}; {suggest(str(kind), KINDS)}")
    module, _, cls_name = KINDS[kind].partition(":")
    cls: type[Recipe] = getattr(importlib.import_module(module), cls_name)
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        raise SuiteError(explain(error, str(path), cls.model_fields)) from error


def _found(name: str | Path, beside: Path = Path()) -> Path:
    path = beside / name
    if path.is_file():
        return path
    shipped = {file.stem: file for file in RECIPES.glob("*.yaml")}
    if str(name) not in shipped:
        raise SuiteError(f"no recipe {str(name)!r}; {suggest(str(name), shipped)}; or give a YAML file")
    return shipped[str(name)]


def _read(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A file's keys over those of the recipe that it includes."""
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SuiteError(f"{path}: not YAML: {error}") from error
    if not isinstance(data, dict):
        raise SuiteError(f"{path}: a recipe is a mapping with a `kind`, not {type(data).__name__}")
    parent = data.pop("include", None)
    if parent is None:
        return data
    seen = (*seen, path.resolve())
    base = _found(str(parent), beside=path.parent)
    if base.resolve() in seen:
        raise SuiteError(f"{path}: include: a recipe includes itself: {' -> '.join(map(str, seen))}")
    return _merged(_read(base, seen), data)


def _merged(base: dict[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    """Mappings merge key by key unless their `kind` changes; the rest is replaced; null takes a key away."""
    data = dict(base)
    for key, value in child.items():
        old = data.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and value.get("kind") in (None, old.get("kind")):
            data[key] = _merged(old, value)
        else:
            data[key] = value
    return {key: value for key, value in data.items() if value is not None}


def _override(data: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    *outer, last = key.split(".")
    if not equals or not all(key.split(".")):
        raise SuiteError(f"--set {text}: write KEY=VALUE, such as steps=100 or optimiser.lr=1e-4")
    for part in outer:
        child = data.setdefault(part, {})
        if not isinstance(child, dict):
            raise SuiteError(f"--set {text}: {part} is not a mapping")
        data = child
    data[last] = yaml.safe_load(value)
