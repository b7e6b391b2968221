"""What the README shows is what the package does."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

from arc_eval.cli import app
from arc_eval.gate.rules import parse_rules
from arc_eval.records.prompt import Prompt

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
    shown = CliRunner().invoke(app, [words[0], "--help"])
    assert shown.exit_code == 0
    options = [word for word in words[1:] if word.startswith("-")]
    assert [option for option in options if not re.search(rf"(?<!\S){option}\b", shown.output)] == []


def plug_in() -> dict[str, Any]:
    """The names that the README's plug-in defines."""
    names: dict[str, Any] = {}
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_the_plug_in_of_the_readme_fulfils_the_contract():
    made = plug_in()["NoiseSettings"](level=0.05).build()
    prompts = [Prompt("a", "rain", 0.1), Prompt("b", "wind", 0.2)]
    both = list(made.generate(prompts, [1, 2]))
    (alone,) = made.generate(prompts[1:], [2])
    assert [clip.shape for clip in both] == [(2, 4410), (2, 8820)]
    assert torch.equal(both[1], alone)


def test_the_entry_point_of_the_readme_names_the_plug_in():
    (toml,) = blocks("toml")
    assert toml.split(":")[-1].strip().rstrip('"') in plug_in()


def test_the_yaml_of_the_readme_is_yaml_and_its_rules_are_rules():
    parsed = [yaml.safe_load(block) for block in blocks("yaml")]
    (rules,) = [data for data in parsed if isinstance(data, list)]
    assert len(parse_rules(rules, where="README")) == len(rules)
