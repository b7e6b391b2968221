"""A recipe says what it is wrong about, and the shipped ones are right."""

from pathlib import Path

import pytest

from arc_eval.errors import SuiteError
from arc_eval.training.recipe import RECIPES, load_recipe


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
