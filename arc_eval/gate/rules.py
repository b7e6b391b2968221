"""What a gate demands: one bound on one metric, of one system or of every system that a pattern names.

A bound is absolute (`min`, `max`), or on the change from a baseline (`max_increase`,
`max_decrease`, and the same as a share of the baseline's value: `max_relative_increase`,
`max_relative_decrease`), or a non-inferiority `margin`: by how much the metric may get worse, in
its own direction. The baseline is the same system in the baseline Run, or, with `against`, another
system of the same Run.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from arc_eval.errors import SuiteError, suggest

BOUNDS = (
    "min", "max", "max_increase", "max_decrease", "max_relative_increase", "max_relative_decrease", "margin",
)  # fmt: skip


class Rule(BaseModel):
    """One demand. Exactly one of the bounds is set."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    metric: str
    """Full name, extractor included: `fd[tiny-clap]`."""
    system: str = "*"
    """A system's name, or a pattern of `*` and `?` that is held against the names of generators."""
    min: float | None = Field(None, allow_inf_nan=False)
    max: float | None = Field(None, allow_inf_nan=False)
    max_increase: float | None = Field(None, ge=0, allow_inf_nan=False)
    max_decrease: float | None = Field(None, ge=0, allow_inf_nan=False)
    max_relative_increase: float | None = Field(None, ge=0, allow_inf_nan=False)
    max_relative_decrease: float | None = Field(None, ge=0, allow_inf_nan=False)
    margin: float | None = Field(None, ge=0, allow_inf_nan=False)
    against: str | None = None
    """A system of the same Run to take as baseline."""
    min_clips: int = Field(1, ge=1)
    """Fewer clips (or trials) behind the number make the verdict incomplete."""

    @model_validator(mode="after")
    def _one_bound(self) -> "Rule":
        bounds = [name for name in BOUNDS if getattr(self, name) is not None]
        if len(bounds) != 1:
            found = ", ".join(bounds) or "none"
            raise ValueError(f"a rule has exactly one of {', '.join(BOUNDS)}; this one has {found}")
        if self.against is not None and not self.relative_to_baseline:
            raise ValueError(f"`against` needs a bound on a change, not `{self.bound}`")
        return self

    @property
    def bound(self) -> str:
        """The name of the bound that is set."""
        return next(name for name in BOUNDS if getattr(self, name) is not None)

    @property
    def limit(self) -> float:
        """The value of the bound that is set."""
        return float(getattr(self, self.bound))

    @property
    def relative_to_baseline(self) -> bool:
        """Whether the bound is one on the change from the baseline."""
        return self.bound not in ("min", "max")

    @property
    def is_pattern(self) -> bool:
        """Whether `system` stands for every system that it matches."""
        return any(wildcard in self.system for wildcard in "*?[")

    def __str__(self) -> str:
        against = f" against {self.against}" if self.against else ""
        return f"{self.metric} {self.bound} {self.limit:g}{against}"


def load_rules(path: Path) -> list[Rule]:
    """Reads a YAML file: a list of rules, or a mapping whose only key is `rules`.

    Raises SuiteError, naming place and near miss, for a file that cannot be read, an unknown key, a
    wrong value or no rule at all.
    """
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise SuiteError(f"{path}: not YAML: {error}") from error
    if isinstance(data, dict):
        unknown = [str(key) for key in data if key != "rules"]
        if unknown:
            raise SuiteError(f"{path}: {unknown[0]}: unknown key; {suggest(unknown[0], ['rules'])}")
        data = data.get("rules")
    if not isinstance(data, list) or not data:
        raise SuiteError(f"{path}: no rules; write a list such as `- {{metric: fd[tiny-clap], max: 0.2}}`")
    return parse_rules(data, where=f"{path}: rules")


def parse_rules(data: Sequence[Any], *, where: str) -> list[Rule]:
    """Rules from plain data, such as a suite's `gates`. Raises SuiteError naming `where`, item and key."""
    return [_parse(item, f"{where}[{index}]") for index, item in enumerate(data)]


def _parse(item: Any, where: str) -> Rule:
    try:
        return Rule.model_validate(item)
    except ValidationError as error:
        raise SuiteError("\n".join(_explain(finding, where) for finding in error.errors())) from error


def _explain(finding: Any, where: str) -> str:
    place = ".".join([where, *map(str, finding["loc"])])
    if finding["type"] == "extra_forbidden":
        return f"{place}: unknown key; {suggest(str(finding['loc'][-1]), Rule.model_fields)}"
    if finding["type"] == "missing":
        return f"{place}: missing; every rule names a metric"
    return f"{place}: {finding['msg'].removeprefix('Value error, ')} (got {finding['input']!r})"
