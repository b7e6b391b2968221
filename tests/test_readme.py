"""What the README shows is what the package does."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

from arc_eval import registry
from arc_eval.cli import app
from arc_eval.cli.make import USUAL
from arc_eval.gate.claims import Claim
from arc_eval.gate.rules import parse_rules
from arc_eval.records.prompt import Prompt
from arc_eval.suite import load_suite

README = (Path(__file__).resolve().parent.parent / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> Iterator[list[str]]:
    """Every `arc-eval` command in a shell block or a workflow, as words."""
    for block in [*blocks("sh"), *blocks("yaml")]:
        for line in re.findall(r"(?:^|- run: )arc-eval (.*)$", block, re.MULTILINE):
            yield shlex.split(line, comments=True)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_and_option_of_the_readme_exists(words: list[str]):
    path = words[:2] if words[0] == "weights" else words[:1]
    shown = CliRunner().invoke(app, [*path, "--help"])
    assert shown.exit_code == 0
    options = [word for word in words[1:] if word.startswith("-")]
    assert [option for option in options if not re.search(rf"(?<!\S){option}\b", shown.output)] == []


def plug_in() -> dict[str, Any]:
    """The names that the README's plug-in defines."""
    names: dict[str, Any] = {}
    code, _ = blocks("python")
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_the_plug_in_of_the_readme_fulfils_the_contract():
    made = plug_in()["NoiseSettings"](level=0.05).build()
    prompts = [Prompt("a", "rain", 0.1), Prompt("b", "wind", 0.2)]
    both = list(made.generate(prompts, [1, 2]))
    (alone,) = made.generate(prompts[1:], [2])
    assert [clip.shape for clip in both] == [(2, 4410), (2, 8820)]
    assert torch.equal(both[1], alone)


def test_the_program_of_the_readme_answers(tmp_path: Path):
    _, code = blocks("python")
    (tmp_path / "my_program.py").write_text(code)
    (suite,) = (block for block in blocks("yaml") if "kind: command" in block)
    data = yaml.safe_load(suite)["generators"]["mine"]
    words = {"command": [sys.executable, "my_program.py"], "files": [], "cwd": tmp_path}
    made = registry.settings("generators", {**data, **words}, "README").build()
    audio = made.generate([Prompt("a", "rain", 0.1), Prompt("b", "wind", 0.2)], [1, 2])
    assert [clip.shape for clip in audio] == [(2, 4410), (2, 8820)]


def test_the_suites_of_the_readme_are_understood(tmp_path: Path):
    found = [block for block in blocks("yaml") if block.startswith("include:")]
    assert len(found) >= 2
    for number, block in enumerate(found):
        path = tmp_path / f"{number}.yaml"
        path.write_text(block)
        if "kind: noise" not in block:  # the plug-in that the reader is shown how to write
            load_suite(path)


def test_weights_are_sampled_by_default_as_the_readmes_suite_samples_them():
    (suite,) = (yaml.safe_load(block)["generators"] for block in blocks("yaml") if "base-50" in block)
    for name, objective in (("arc-8", "rf_denoiser"), ("base-50", "rectified_flow"), ("sao-1.0", "v")):
        said = {key: value for key, value in suite[name].items() if key not in ("kind", "weights")}
        assert said == USUAL[objective]


def test_the_entry_point_of_the_readme_names_the_plug_in():
    (toml,) = blocks("toml")
    assert toml.split(":")[-1].strip().rstrip('"') in plug_in()


def test_the_yaml_of_the_readme_is_yaml_and_its_rules_are_rules():
    parsed = [yaml.safe_load(block) for block in blocks("yaml")]
    rules, claims = [data for data in parsed if isinstance(data, list)]
    assert all(Claim.model_validate(claim) for claim in claims)
    assert len(parse_rules(rules, where="README")) == len(rules)
