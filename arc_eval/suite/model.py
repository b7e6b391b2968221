"""A suite: everything that decides an evaluation, as data. Read once; after that every choice is an object.

Prompts, reference, generators, extractors and metrics are plug-ins (`kind` plus that plug-in's own
keys). Two suites with the same digest ask for the same numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from arc_eval import registry
from arc_eval.contracts import Settings
from arc_eval.errors import SuiteError, suggest
from arc_eval.gate.rules import Rule
from arc_eval.store import digest_of
from arc_eval.suite.file import SuiteFile, read_suite_file
from arc_eval.suite.prompts import prompts_digest
from arc_eval.suite.protocol import with_protocols


class Part(BaseModel):
    """One plug-in of a suite: its name and its settings, already checked."""

    model_config = ConfigDict(frozen=True)

    kind: str
    settings: SerializeAsAny[Settings]

    def __hash__(self) -> int:
        # Settings may hold mappings, which cannot be hashed themselves.
        return hash(digest_of(self.data()))

    def build(self) -> Any:
        """What the settings describe."""
        return self.settings.build()

    def data(self) -> dict[str, Any]:
        """The part as a suite file writes it, defaults filled in."""
        return {"kind": self.kind, **self.settings.model_dump(mode="json")}

    def placed(self, device: str | None) -> "Part":
        """The same part on another device, if it is one that can choose (has a `device` key).

        None is no choice: the part stays where the suite puts it.
        """
        if device is None or "device" not in type(self.settings).model_fields:
            return self
        return Part(kind=self.kind, settings=self.settings.model_copy(update={"device": device}))


class Bench(BaseModel):
    """How speed is measured: `trials` timed calls of `batch` clips each, after `warmup` untimed ones.

    With `interleave`, systems take turns call by call, so that a machine that slows down slows all
    of them; it needs room for every model at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: Part
    batch: int = Field(1, ge=1)
    warmup: int = Field(2, ge=1)
    trials: int = Field(12, ge=1)
    interleave: bool = True

    @field_validator("target", mode="before")
    @classmethod
    def _target(cls, data: Any, info: ValidationInfo) -> Part:
        return _part("targets", data, _where(info, "bench", "target"))

    def data(self) -> dict[str, Any]:
        """The bench as a suite file writes it, defaults filled in."""
        return {**self.model_dump(exclude={"target"}), "target": self.target.data()}


class Suite(BaseModel):
    """Prompts, reference set, generators, extractors, metrics, benchmarks, gates and a seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str = ""
    seed: int = 0
    takes: int = Field(5, ge=1)
    """Clips per prompt, each from its own seed."""
    allowed_losses: int = Field(0, ge=0)
    """Clips that may fail before the Run counts as incomplete."""
    canaries: int = Field(24, ge=0)
    """Recordings of the reference that show whether each metric knows good from bad; 0: none."""
    prompts: Part
    reference: Part
    recordings: Part | None = None
    """Where recordings of the prompts lie, by prompt id; by default in the prompts' own source."""
    controls: Mapping[str, Literal["ceiling", "floor"]] = {}
    """Rows that are not models: held-out recordings of the prompts; the same under wrong captions."""
    generators: Mapping[str, Part] = {}
    extractors: Mapping[str, Part] = {}
    metrics: tuple[Part, ...] = ()
    bench: Bench | None = None
    gates: tuple[Rule, ...] = ()

    @field_validator("prompts", "reference", "recordings", mode="before")
    @classmethod
    def _data(cls, data: Any, info: ValidationInfo) -> Part | None:
        if data is None and info.field_name == "recordings":
            return None
        return _part("data", data, _where(info, str(info.field_name)))

    @field_validator("generators", "extractors", mode="before")
    @classmethod
    def _named(cls, data: Any, info: ValidationInfo) -> dict[str, Part]:
        group = str(info.field_name)
        if not isinstance(data, Mapping):
            raise SuiteError(f"{_where(info, group)}: a mapping of names to plug-ins is needed, not {data!r}")
        return {str(name): _part(group, part, _where(info, group, name)) for name, part in data.items()}

    @field_validator("metrics", mode="before")
    @classmethod
    def _listed(cls, data: Any, info: ValidationInfo) -> tuple[Part, ...]:
        if not isinstance(data, Sequence) or isinstance(data, str):
            raise SuiteError(f"{_where(info, 'metrics')}: a list of metrics is needed, not {data!r}")
        parts = tuple(_part("metrics", part, _where(info, "metrics", i)) for i, part in enumerate(data))
        known = info.data.get("extractors", {})
        for index, part in enumerate(parts):
            extractor = getattr(part.settings, "extractor", None)
            if extractor is not None and extractor not in known:
                where = _where(info, "metrics", index)
                raise SuiteError(
                    f"{where}.extractor: no extractor {extractor!r}; {suggest(extractor, known)}"
                )
        names = [part.build().name for part in parts]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise SuiteError(
                    f"{_where(info, 'metrics', index)}: another metric is named {name!r} too; remove one, "
                    "or list its extractor under a second name"
                )
        return parts

    @model_validator(mode="after")
    def _distinct_names(self) -> "Suite":
        twice = self.controls.keys() & self.generators.keys()
        if twice:
            raise ValueError(f"generators.{sorted(twice)[0]}: a control has this name too; rename one")
        return self

    def data(self) -> dict[str, Any]:
        """The resolved suite as a suite file writes it, defaults filled in."""
        plain = self.model_dump(mode="json", exclude=set(_PARTS))
        parts = {
            "prompts": self.prompts.data(),
            "reference": self.reference.data(),
            "recordings": self.recordings and self.recordings.data(),
            "generators": {name: part.data() for name, part in self.generators.items()},
            "extractors": {name: part.data() for name, part in self.extractors.items()},
            "metrics": [part.data() for part in self.metrics],
            "bench": self.bench and self.bench.data(),
            "gates": [gate.model_dump(mode="json", exclude_none=True) for gate in self.gates],
        }
        return {key: parts.get(key, plain.get(key)) for key in type(self).model_fields}

    @property
    def device(self) -> str:
        """Where the suite itself runs: its target's device, else that of its first generator with one."""
        parts = [*([self.bench.target] if self.bench else []), *self.generators.values()]
        devices = (getattr(part.settings, "device", None) for part in parts)
        return next((device for device in devices if device is not None), "cpu")

    @cached_property
    def digest(self) -> str:
        """sha256 of the resolved suite."""
        return digest_of(self.data())

    @cached_property
    def prompts_digest(self) -> str:
        """sha256 of the prompts themselves, read from their source."""
        return prompts_digest(self.prompts.build().prompts())


_PARTS = ("prompts", "reference", "recordings", "generators", "extractors", "metrics", "bench", "gates")


def load_suite(path: str | Path, overrides: Sequence[str] = ()) -> Suite:
    """Reads a suite by file or by the name of a shipped one, with `KEY=VALUE` overrides.

    Raises SuiteError naming the file, the line, the key and the near miss.
    """
    file = read_suite_file(path, overrides)
    return parse_suite(file.data, file)


def parse_suite(data: Mapping[str, Any], file: SuiteFile) -> Suite:
    """A suite from plain data; `file` says where errors lie. Raises SuiteError."""
    try:
        return Suite.model_validate(with_protocols(data, file.where), context={"where": file.where})
    except ValidationError as error:
        raise SuiteError(_explain(error, file.where)) from error


def _part(group: str, data: Any, where: str) -> Part:
    if isinstance(data, Part):
        return data
    if not isinstance(data, Mapping):
        raise SuiteError(f"{where}: a plug-in is a mapping with a `kind`, not {data!r}")
    return Part(kind=str(data.get("kind")), settings=registry.settings(group, data, where))


def _where(info: ValidationInfo, *place: str | int) -> str:
    where: Callable[..., str] = (info.context or {}).get("where", lambda *place: ".".join(map(str, place)))
    return where(*place)


def _explain(error: ValidationError, where: Callable[..., str]) -> str:
    """Pydantic's findings as one line each: file and line, key, what is wrong, what was meant."""
    lines = []
    for finding in error.errors():
        place = finding["loc"]
        inner: dict[str, type[BaseModel]] = {"bench": Bench, "gates": Rule}
        model = inner.get(str(place[0]), Suite) if len(place) > 1 else Suite
        if finding["type"] == "extra_forbidden":
            wrong = f"unknown key; {suggest(str(place[-1]), model.model_fields)}"
        elif finding["type"] == "missing":
            wrong = "this key is missing"
        else:
            given = f" (got {_short(finding['input'])})" if place else ""
            wrong = finding["msg"].removeprefix("Value error, ") + given
        lines.append(f"{where(*place)}: {wrong}")
    return "\n".join(lines)


def _short(value: object, length: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= length else text[: length - 3] + "..."
