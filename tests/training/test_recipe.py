"""A recipe says what it is wrong about, and the shipped ones are right."""

import importlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel

from arc_eval.errors import SuiteError
from arc_eval.training.recipe import KINDS, RECIPES, Recipe, load_recipe


@pytest.mark.parametrize("name", sorted(file.stem for file in RECIPES.glob("*.yaml")))
def test_every_shipped_recipe_parses_and_says_what_it_reproduces(name: str) -> None:
    assert len(load_recipe(name).reproduces) > 20


def test_an_unknown_recipe_gets_the_near_miss() -> None:
    with pytest.raises(SuiteError, match="did you mean 'tiny_arc'"):
        load_recipe("tiny_arcs")


def test_a_misspelt_key_is_named_with_what_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("kind: tagger\nreproduces: a test\nstepz: 3\n")
    with pytest.raises(SuiteError, match=r"stepz: unknown key; did you mean 'steps'"):
        load_recipe(path)


@pytest.mark.parametrize("override", ["steps", "=3", "steps.deep=3"])
def test_an_override_that_makes_no_sense_is_refused(override: str) -> None:
    with pytest.raises(SuiteError, match="--set"):
        load_recipe("tiny_arc", [override])


def test_an_override_reaches_nested_keys_and_changes_the_digest() -> None:
    plain, changed = load_recipe("tiny_arc"), load_recipe("tiny_arc", ["optimiser.lr=0.5"])
    assert changed.model_dump()["optimiser"]["lr"] == 0.5
    assert plain.digest() != changed.digest()


def test_a_kind_that_does_not_exist_lists_those_that_do(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("kind: pretrian\n")
    with pytest.raises(SuiteError, match="did you mean 'pretrain'"):
        load_recipe(path)


def test_a_recipe_starts_from_the_one_that_it_includes(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("include: tiny_arc\nsteps: 7\noptimiser: {lr: 0.5}\ncheckpoint_every: null\n")
    whole, own = (load_recipe(name).model_dump() for name in ("tiny_arc", path))
    assert own["steps"] == 7
    assert own["optimiser"] == {**whole["optimiser"], "lr": 0.5}
    assert own["data"] == whole["data"]
    assert "checkpoint_every" not in load_recipe(path).model_fields_set


def test_settings_of_another_kind_replace_the_included_ones(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("include: tiny_arc\ndata: {kind: folder, path: sounds}\n")
    assert load_recipe(path).data == {"kind": "folder", "path": "sounds"}


def test_a_file_beside_the_recipe_comes_before_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("include: tiny_tagger\nsteps: 5\n")
    (tmp_path / "recipe.yaml").write_text("include: base.yaml\nbatch: 3\n")
    recipe = load_recipe(tmp_path / "recipe.yaml")
    assert (recipe.steps, recipe.batch) == (5, 3)


def test_recipes_that_include_each_other_are_refused(tmp_path: Path) -> None:
    for name, other in [("a.yaml", "b.yaml"), ("b.yaml", "a.yaml")]:
        (tmp_path / name).write_text(f"include: {other}\n")
    with pytest.raises(SuiteError, match="includes itself"):
        load_recipe(tmp_path / "a.yaml")


def test_an_unknown_parent_is_answered_with_the_near_miss(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("include: tiny_arcs\n")
    with pytest.raises(SuiteError, match="did you mean 'tiny_arc'"):
        load_recipe(path)


def _numbers(model: type[BaseModel], place: str = "") -> Iterator[tuple[str, type, bool]]:
    """Dotted key of every number that a recipe may state, its type, and whether it has a range."""
    for name, field in model.model_fields.items():
        inside = list(_parts(field.annotation, tuple(field.metadata)))
        for kind, metadata in inside:
            if issubclass(kind, BaseModel):
                yield from _numbers(kind, f"{place}{name}.")
            elif kind in (int, float):
                bounds = [bound for one in metadata for bound in getattr(one, "metadata", [one])]
                yield f"{place}{name}", kind, any(isinstance(bound, Ge | Gt | Le | Lt) for bound in bounds)


def _parts(annotation: Any, metadata: tuple[Any, ...] = ()) -> Iterator[tuple[type, tuple[Any, ...]]]:
    """The plain types in an annotation, each with what limits it."""
    if hasattr(annotation, "__metadata__"):
        yield from _parts(annotation.__origin__, (*metadata, *annotation.__metadata__))
    elif get_args(annotation) and get_origin(annotation) not in (Literal, Mapping):
        for part in get_args(annotation):
            yield from _parts(part, metadata)
    elif isinstance(annotation, type):
        yield annotation, metadata


def _class(kind: str) -> type[Recipe]:
    module, _, name = KINDS[kind].partition(":")
    found: type[Recipe] = getattr(importlib.import_module(module), name)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_of_a_recipe_has_a_range_and_refuses_what_is_no_number(kind: str) -> None:
    found = list(_numbers(_class(kind)))
    assert {"steps", "batch", "ema", "optimiser.lr", "optimiser.betas"} <= {key for key, _, _ in found}
    assert not [key for key, _, ranged in found if not ranged]


SHIPPED = {
    "pretrain": "tiny_reference",
    "arc": "tiny_arc",
    "distill": "tiny_distilled",
    "regress": "tiny_regress",
    "autoencoder": "tiny_autoencoder",
    "tagger": "tiny_tagger",
    "clap": "tiny_clap",
}


@pytest.mark.parametrize("value", [".nan", ".inf", "-1"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_number_is_broken_endless_or_negative(kind: str, value: str) -> None:
    for key, _, _ in _numbers(_class(kind)):
        if key.startswith("warmup.") and kind == "arc":
            continue  # a part that the shipped recipe does without
        stated = f"[{value}, 0.9]" if key.endswith("betas") else value
        with pytest.raises(SuiteError, match=re.escape(f"{SHIPPED[kind]}.yaml.{key}")) as refused:
            load_recipe(SHIPPED[kind], [f"{key}={stated}"])
        assert "Input should be" in str(refused.value) and "got" in str(refused.value)


@pytest.mark.parametrize(
    ("override", "allowed"),
    [
        ("ema=1", "less than 1"),
        ("optimiser.betas=[0.9, 1.0]", "less than 1"),
        ("optimiser.lr=0", "greater than 0"),
        ("optimiser.final=2", "less than or equal to 1"),
        ("checkpoint_every=0", "greater than or equal to 1"),
        ("log_every=0", "greater than or equal to 1"),
        ("steps=0", "greater than 0"),
        ("batch=0", "greater than 0"),
    ],
)
def test_a_number_out_of_range_is_answered_with_what_is_allowed(override: str, allowed: str) -> None:
    with pytest.raises(SuiteError, match=f"{allowed} \\(got "):
        load_recipe("tiny_arc", [override])
