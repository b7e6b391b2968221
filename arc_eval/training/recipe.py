"""A recipe: everything that decides a training, as data. The same recipe gives the same weights.

A recipe file is YAML with a `kind`; the kinds are listed in `KINDS`, each a settings class in the
module that knows how to train it.
"""

import hashlib
import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from arc_eval.contracts import Progress, Settings, silent
from arc_eval.errors import SuiteError, suggest
from arc_eval.registry import explain
from arc_eval.training.task import Task

RECIPES = Path(__file__).parent / "recipes"

KINDS = {
    "autoencoder": "arc_eval.training.autoencoder:AutoencoderRecipe",
    "pretrain": "arc_eval.training.pretrain:PretrainRecipe",
    "arc": "arc_eval.training.arc:ArcRecipe",
    "distill": "arc_eval.training.distill:DistillRecipe",
    "tagger": "arc_eval.training.extractors:TaggerRecipe",
    "clap": "arc_eval.training.extractors:ClapRecipe",
}


class Optimisation(BaseModel):
    """AdamW with linear warm-up and a cosine fall to `final` times the rate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lr: float = Field(gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    warmup: int = 100
    final: float = 0.02


class Recipe(Settings):
    """What every kind of training states; each kind adds its own keys."""

    reproduces: str
    seed: int = 0
    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    data: Mapping[str, Any]
    """A data source's settings, `kind` included."""
    examples: int = Field(gt=0)
    """How many recordings are encoded once and then trained on."""
    ema: float = 0.999
    clip_norm: float = 1.0
    bfloat16: bool = False
    checkpoint_every: int = 250
    log_every: int = 25

    def task(self, cache: Path, progress: Progress = silent) -> Task:
        """Prepares data (encoded once under `cache`) and networks for training."""
        raise TypeError(f"{type(self).__name__} is not a kind of training")

    def digest(self) -> str:
        """sha256 of the recipe: what a checkpoint must agree with to be resumed."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def load_recipe(name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe by file or by the name of one that the package ships.

    `overrides` are `key=value` or `outer.inner=value`, the value in YAML. Raises SuiteError naming
    the file, the key and the near miss.
    """
    path = Path(name)
    if not path.is_file():
        shipped = {file.stem: file for file in RECIPES.glob("*.yaml")}
        if str(name) not in shipped:
            raise SuiteError(f"no recipe {str(name)!r}; {suggest(str(name), shipped)}; or give a YAML file")
        path = shipped[str(name)]
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SuiteError(f"{path}: not YAML: {error}") from error
    if not isinstance(data, dict):
        raise SuiteError(f"{path}: a recipe is a mapping with a `kind`, not {type(data).__name__}")
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
