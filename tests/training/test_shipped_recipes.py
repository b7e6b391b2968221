"""The recipes that come with the package state everything and say where it is from."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
import yaml

from arc_eval.models.config import ModelConfig
from arc_eval.models.discriminator import Discriminator
from arc_eval.models.dit import DiT
from arc_eval.models.files import CONFIGS
from arc_eval.suite import load_suite
from arc_eval.training.arc import ArcRecipe
from arc_eval.training.pretrain import PretrainRecipe
from arc_eval.training.recipe import RECIPES, Optimisation, load_recipe

FULL_SCALE = ("sao_small_arc", "sao_small_flow")
OPERATION = {"checkpoint_every", "log_every", "max_lost", "checkpointing", "compile", "seed"}
"""What does not decide what is learnt; and the seed, whose value has no source."""
ABLATIONS = {
    "tiny_arc_no_contrastive": {"contrastive_weight"},
    "tiny_arc_least_squares": {"adversarial"},
    "tiny_arc_uniform_times": {"generator_times", "discriminator_times"},
    "tiny_arc_shallow": {"discriminator_layer"},
}


def _written(name: str) -> dict[str, Any]:
    data = yaml.safe_load((RECIPES / f"{name}.yaml").read_text("utf-8"))
    assert isinstance(data, dict)
    return data


def _numbers(data: Any, place: str = "") -> Iterator[str]:
    """Dotted keys of every number."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _numbers(value, f"{place}.{key}".lstrip("."))
    elif isinstance(data, list):
        for value in data:
            yield from _numbers(value, place)
    elif isinstance(data, int | float) and not isinstance(data, bool):
        yield place


@pytest.mark.parametrize("name", sorted(file.stem for file in RECIPES.glob("*.yaml")))
def test_every_source_is_of_a_key_that_the_recipe_has(name: str) -> None:
    stated = load_recipe(name).model_dump()
    for key, source in stated["sources"].items():
        found: Any = stated
        for part in key.split("."):
            assert part in found, f"{name}: sources: {key}"
            found = found[part]
        assert source.split(":")[0] in {"known", "inferred", "unknown"}, f"{name}: sources: {key}: {source}"


@pytest.mark.parametrize("name", FULL_SCALE)
def test_every_number_of_a_full_scale_recipe_has_its_source(name: str) -> None:
    data = _written(name)
    sources = data.pop("sources")
    numbers = {key for key in _numbers(data) if key.split(".")[0] not in OPERATION}
    unsaid = {key for key in numbers if not any(f"{key}.".startswith(f"{known}.") for known in sources)}
    assert numbers and not unsaid


@pytest.mark.parametrize("name", FULL_SCALE)
def test_a_full_scale_recipe_leaves_nothing_to_a_default(name: str) -> None:
    recipe = load_recipe(name)
    assert set(type(recipe).model_fields) - recipe.model_fields_set <= OPERATION
    optimisers = [value for _, value in recipe if isinstance(value, Optimisation)]
    assert optimisers
    for optimiser in optimisers:
        assert set(Optimisation.model_fields) - optimiser.model_fields_set <= {"final"}
        assert optimiser.schedule != "cosine" or "final" in optimiser.model_fields_set


def test_the_full_scale_models_are_the_published_ones() -> None:
    flow, arc = (load_recipe(name) for name in ("sao_small_flow", "sao_small_arc"))
    assert isinstance(flow, PretrainRecipe) and isinstance(arc, ArcRecipe)
    published = json.loads((CONFIGS / "stable-audio-open-small-base.json").read_text("utf-8"))
    assert flow.diffusion == published["model"]["diffusion"]
    assert flow.conditioning == published["model"]["conditioning"]
    config = ModelConfig.model_validate(published)
    with torch.device("meta"):
        dit = DiT(config.model.diffusion.config)
        discriminator = Discriminator.of(dit, arc.discriminator_layer, stages=arc.head_stages)
    # 12 of 16 blocks, the ways in and out, and a head of 16,793,601: the paper's 274 million.
    assert round(sum(p.numel() for p in discriminator.parameters()) / 1e6) == 274


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_differs_from_the_whole_in_its_own_keys_alone(name: str) -> None:
    whole, ablation = (load_recipe(name).model_dump() for name in ("tiny_arc", name))
    assert {key for key in whole if whole[key] != ablation[key]} == ABLATIONS[name] | {"reproduces"}


def test_the_reproduction_table_has_every_row_of_the_papers_claims() -> None:
    suite = load_suite("ablations")
    rows = {name: part.data() for name, part in suite.generators.items()}
    steps = {name: (row["steps"], row.get("guidance", 1.0)) for name, row in rows.items()}
    assert steps.pop("reference-50") == (50, 2.0) and steps.pop("reference-8") == (8, 2.0)
    assert {name: pair[0] for name, pair in steps.items() if pair[0] != 8} == {"arc-4": 4, "arc-1": 1}
    weights = {rows[name]["weights"].removesuffix("/model") for name in steps}
    trained = {
        f"training-runs/{name}"
        for name in ("arc-seed-1", "arc-seed-2", "arc-no-contrastive", "arc-least-squares")
    }
    assert weights == {"tiny/distilled", "tiny/arc"} | trained
    assert len(suite.prompts.settings.build().prompts()) >= 500 and suite.takes >= 5
