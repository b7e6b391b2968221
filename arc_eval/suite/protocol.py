"""Protocols: how others measure, under their name. A suite asks for one and says where its weights lie.

    protocols:
      stable-audio-metrics: {openl3: {weights: FILE}, clap: {weights: FILE}}

stands for the protocol's extractors and metrics with all their settings, named `openl3@stable-audio-metrics`:
the protocol is part of every result's name (`fd[openl3@stable-audio-metrics]`), so two that differ never
share a column. Of its extractors those that are named are used, or all if none is. The name is the protocol's
alone: an extractor or a metric that bears it and is set otherwise is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from arc_eval import registry
from arc_eval.errors import SuiteError, suggest

FREE = ("weights", "tokenizer", "device", "batch", "precision")
"""What a suite may say of a protocol's extractor: where its network lies and how it is computed."""
MARK = "@"

Where = Callable[..., str]


class Protocol(BaseModel):
    """A protocol as its file states it; `differs`: where we do otherwise, and what had to be inferred."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    source: str
    reproduces: str
    differs: tuple[str, ...] = ()
    extractors: Mapping[str, Mapping[str, Any]]
    metrics: tuple[Mapping[str, Any], ...]


@cache
def protocols() -> Mapping[str, Protocol]:
    """Every protocol by name."""
    files = sorted((Path(__file__).parent / "protocols").glob("*.yaml"))
    found = [Protocol.model_validate(yaml.safe_load(file.read_text("utf-8"))) for file in files]
    return {protocol.name: protocol for protocol in found}


def protocol(name: str, where: str) -> Protocol:
    """The protocol of this name. Raises SuiteError with the near miss."""
    if name not in protocols():
        raise SuiteError(f"{where}: no protocol {name!r}; {suggest(name, protocols())}")
    return protocols()[name]


def protocol_of(extractor: str) -> str:
    """The protocol in an extractor's name; "" if it has none."""
    return extractor.partition(MARK)[2]


def with_protocols(data: Mapping[str, Any], where: Where) -> dict[str, Any]:
    """A suite's data in which `protocols` has become extractors and metrics. Raises SuiteError."""
    plain = dict(data)
    asked = plain.pop("protocols", None)
    _require_as_stated(plain, where)
    if asked is None:
        return plain
    if not isinstance(asked, Mapping):
        raise SuiteError(
            f"{where('protocols')}: a mapping of protocols to their weights is needed, not {asked!r}"
        )
    extractors, metrics = dict(plain.get("extractors") or {}), list(plain.get("metrics") or [])
    for name, said in asked.items():
        found = protocol(str(name), where("protocols", name))
        chosen = _chosen(found, said or {}, lambda *place, name=name: where("protocols", name, *place))
        for short, settings in chosen.items():
            full = f"{short}{MARK}{found.name}"
            if full in extractors:
                raise SuiteError(
                    f"{where('extractors', full)}: `protocols` asks for it too; set it at "
                    f"protocols.{found.name}.{short} alone"
                )
            extractors[full] = settings
        metrics += [
            {**metric, "extractor": f"{metric['extractor']}{MARK}{found.name}"}
            for metric in found.metrics
            if metric["extractor"] in chosen
        ]
    return {**plain, "extractors": extractors, "metrics": metrics}


def _chosen(found: Protocol, said: Any, where: Where) -> dict[str, dict[str, Any]]:
    """Settings of the protocol's extractors that a suite asks for."""
    if not isinstance(said, Mapping):
        raise SuiteError(f"{where()}: a mapping of its extractors to their weights is needed, not {said!r}")
    for short, free in said.items():
        if short not in found.extractors:
            raise SuiteError(
                f"{where(short)}: {found.name} has no extractor {short!r}; {suggest(short, found.extractors)}"
            )
        if not isinstance(free, Mapping | None):
            raise SuiteError(f"{where(short)}: a mapping such as {{weights: FILE}} is needed, not {free!r}")
        for key in free or {}:
            if key not in FREE:
                raise SuiteError(
                    f"{where(short, key)}: {found.name} fixes everything but {', '.join(FREE)}; to listen "
                    "otherwise, list an extractor of your own"
                )
    return {
        short: {**settings, **(said.get(short) or {})}
        for short, settings in found.extractors.items()
        if not said or short in said
    }


def _require_as_stated(data: Mapping[str, Any], where: Where) -> None:
    """Refuses what bears a protocol's name and is not as the protocol states it.

    A resolved suite lists the extractors and metrics of its protocols, and is read again.
    """
    listed = data.get("extractors"), data.get("metrics")
    extractors = listed[0] if isinstance(listed[0], Mapping) else {}
    metrics = listed[1] if isinstance(listed[1], Sequence) and not isinstance(listed[1], str) else ()
    for full, settings in extractors.items():
        if MARK in str(full):
            at = where("extractors", full)
            short, found = str(full).partition(MARK)[0], protocol(protocol_of(str(full)), at)
            if short not in found.extractors:
                raise SuiteError(
                    f"{at}: {found.name} has no extractor {short!r}; {suggest(short, found.extractors)}"
                )
            _require_equal(found.name, found.extractors[short], settings, at)
    for place, settings in enumerate(metrics):
        if isinstance(settings, Mapping) and MARK in str(settings.get("extractor")):
            at = where("metrics", place)
            full = str(settings["extractor"])
            short, _, name = full.partition(MARK)
            for metric in protocol(name, at).metrics:
                stated = {**metric, "extractor": full}
                # Only results of its own names are the protocol's to fix; any other metric may read its rows.
                if metric["extractor"] == short and _named(stated, at) == _named(settings, at):
                    _require_equal(name, stated, settings, at)


def _named(metric: Mapping[str, Any], at: str) -> str:
    """What a metric's result is called."""
    name: str = registry.settings("metrics", metric, at).build().name
    return name


def _require_equal(name: str, stated: Mapping[str, Any], settings: Any, at: str) -> None:
    said = settings if isinstance(settings, Mapping) else {}
    for key, value in stated.items():
        if key not in said or said[key] != value:
            given = f"{said[key]!r}" if key in said else "nothing"
            raise SuiteError(
                f"{at}.{key}: {name} states {value!r}, here is {given}; to measure otherwise, list an "
                f"extractor of your own, without {MARK}{name}"
            )
