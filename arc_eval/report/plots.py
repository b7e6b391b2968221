"""The report's plots as Vega-Lite: data and encodings here, colours of the page at the place of drawing.

Every spec is plain data without a link to anything outside; `svg` draws one without a browser.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from arc_eval.records.basis import base_name, is_timed
from arc_eval.records.measurement import Measurement
from arc_eval.report.breakdown import by_class, stage_seconds
from arc_eval.report.comparison import Measured
from arc_eval.report.numbers import ARROWS
from arc_eval.report.source import Entry

Spec = dict[str, Any]

SVG_WIDTH = 720


def latency_column(columns: Sequence[Measured]) -> Measured | None:
    """The median latency that most systems share, measured on one machine."""
    medians = [
        c for c in columns if is_timed(c.metric) and c.metric.startswith("latency") and "p50" in c.metric
    ]
    return max(medians, key=lambda column: len(column.measurements()), default=None)


def quality_columns(columns: Sequence[Measured]) -> list[Measured]:
    """The metrics that can stand on the vertical axis: those of sound with a better direction."""
    return [
        column
        for column in columns
        if not is_timed(column.metric)
        and column.group != "Signal"
        and column.direction in ("higher", "lower")
        and column.measurements()
    ]


def quality_against_latency(entries: Sequence[Entry], quality: Measured, latency: Measured) -> Spec | None:
    """Generators as points with both intervals, variants of one model joined; controls as lines.

    None if no generator has both numbers.
    """
    import altair as alt

    points = [_point(entry, quality, latency) for entry in entries]
    found = [point for point in points if point is not None]
    if not found:
        return None
    levels = [
        {"system": e.label, "y": quality.measurements()[e.label].value * quality.scale.factor}
        for e in entries
        if e.system.role != "generator" and e.label in quality.measurements()
    ]
    _place_labels(found, [level["y"] for level in levels])
    x = alt.X(
        "x:Q",
        title=f"{latency.title} ({latency.scale.unit}), log scale",
        scale=alt.Scale(type="log", nice=False, padding=28),
    )
    y = alt.Y(
        "y:Q", title=f"{quality.title} {ARROWS[quality.direction]}", scale=alt.Scale(zero=False, padding=16)
    )
    colour = alt.Color("family:N", title=None, sort=None)
    tooltip = [
        alt.Tooltip("system:N"),
        alt.Tooltip("y_text:N", title=quality.title),
        alt.Tooltip("x_text:N", title=latency.title),
    ]
    base = alt.Chart(alt.InlineData(values=found)).encode(x=x, y=y, color=colour)
    rules = alt.Chart(alt.InlineData(values=levels))
    layers = [
        rules.mark_rule(strokeDash=[5, 4], opacity=0.6).encode(y=y),
        rules.mark_text(align="right", dy=-6, fontStyle="italic", opacity=0.8).encode(
            y=y, x=alt.value("width"), text="system:N"
        ),
        base.mark_line(strokeWidth=1.5, opacity=0.45).encode(order="x:Q"),
        base.mark_rule(strokeWidth=1.5, opacity=0.7).encode(y=alt.Y("y_low:Q"), y2="y_high:Q"),
        base.mark_rule(strokeWidth=1.5, opacity=0.7).encode(x=alt.X("x_low:Q"), x2="x_high:Q"),
        base.mark_circle(size=90, opacity=1).encode(tooltip=tooltip),
        base.mark_text(align="left", dx=9, dy=alt.expr("datum.below ? 12 : -9"), fontWeight=600).encode(
            text="system:N"
        ),
    ]
    return _spec(alt.layer(*layers), height=340)


def stage_times(entries: Sequence[Entry]) -> Spec | None:
    """One stacked bar for each generator: the mean time of each stage of a call. None if none was timed."""
    import altair as alt

    rows = [
        {"system": entry.label, "stage": stage, "ms": seconds * 1e3, "order": place}
        for entry in entries
        for place, (stage, seconds) in enumerate(stage_seconds(entry).items())
    ]
    if not rows:
        return None
    names = list(dict.fromkeys(str(row["system"]) for row in rows))
    stages = list(dict.fromkeys(str(row["stage"]) for row in rows))
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(cornerRadius=2)
        .encode(
            x=alt.X("ms:Q", title="mean time of a call (ms)"),
            y=alt.Y("system:N", sort=names, title=None),
            color=alt.Color("stage:N", sort=stages, title="stage"),
            order="order:Q",
            tooltip=["system:N", "stage:N", alt.Tooltip("ms:Q", format=".3~f", title="ms")],
        )
    )
    return _spec(chart, height=30 * len(names))


def class_scores(entries: Sequence[Entry], metric: str) -> Spec | None:
    """Mean score of each sound class (rows) under each system (columns). None without tags or scores."""
    import altair as alt

    found = by_class(entries, metric)
    if not found:
        return None
    middle = (min(cell.mean for cell in found) + max(cell.mean for cell in found)) / 2
    rows = [
        {
            "system": cell.label,
            "class": cell.tag,
            "score": cell.mean,
            "clips": cell.clips,
            "text": f"{cell.mean:.2f}",
            "strong": cell.mean > middle,
        }
        for cell in found
    ]
    scored = {cell.label for cell in found}
    labels = [entry.label for entry in entries if entry.label in scored]
    tags = list(dict.fromkeys(cell.tag for cell in found))
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("system:N", sort=labels, title=None, axis=alt.Axis(orient="top", labelAngle=-30)),
        y=alt.Y("class:N", sort=tags, title=None),
    )
    heat = base.mark_rect(cornerRadius=2).encode(
        color=alt.Color("score:Q", title=metric, scale=alt.Scale(range="heatmap")),
        tooltip=["system:N", "class:N", alt.Tooltip("score:Q", format=".3f", title=metric), "clips:Q"],
    )
    # The page names the inks for faint and strong cells: what can be read depends on its colours.
    ink = alt.Color("strong:N", scale=alt.Scale(domain=[False, True], range="ordinal"), legend=None)
    written = base.mark_text(fontSize=11).encode(text="text:N", color=ink)
    both = alt.layer(heat, written).resolve_scale(color="independent")
    return _spec(both, height=24 * len(tags))


def per_clip_metrics(entries: Sequence[Entry]) -> list[str]:
    """Metrics with a score for each clip, recognition first: it is the one that is about classes."""
    metrics = dict.fromkeys(row.metric for entry in entries for row in entry.source.scores)
    return sorted(metrics, key=lambda metric: base_name(metric) != "recognition")


def svg(spec: Mapping[str, Any]) -> str:
    """A spec drawn on white, at a fixed width, without a browser."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg({**spec, "width": SVG_WIDTH, "background": "white"})
    # Names of clip paths carry a counter that runs on through the whole process.
    names = dict.fromkeys(re.findall(r'id="(\w+)"', drawn))
    places = {name: f"part{place}" for place, name in enumerate(names)}
    return re.sub(r'(?<=id=")\w+(?=")|(?<=url\(#)\w+(?=\))', lambda found: places[found[0]], drawn)


def _spec(chart: Any, height: int) -> Spec:
    spec: Spec = chart.properties(width="container", height=height).to_dict(context={"pre_transform": False})
    # The theme and the schema's address belong to altair, not to what is drawn.
    drawn = {key: value for key, value in spec.items() if key not in ("config", "$schema")}
    return {**drawn, "autosize": {"type": "fit-x", "contains": "padding"}}


def _point(entry: Entry, quality: Measured, latency: Measured) -> dict[str, Any] | None:
    y, x = quality.measurements().get(entry.label), latency.measurements().get(entry.label)
    if x is None or y is None or x.value <= 0 or entry.system.role != "generator":
        return None
    return {
        "system": entry.label,
        "family": entry.family,
        **_axis("x", x, latency),
        **_axis("y", y, quality),
    }


def _place_labels(points: list[dict[str, Any]], levels: list[Any]) -> None:
    """Puts a label below its point where the point just above would cover it."""
    heights = [*levels, *(point["y"] for point in points)]
    near = 0.08 * (max(heights) - min(heights))
    for point in points:
        rivals = (p for p in points if abs(math.log(p["x"] / point["x"])) < 0.2)
        point["below"] = any(0 < rival["y"] - point["y"] < near for rival in rivals)


def _axis(axis: str, measured: Measurement, column: Measured) -> dict[str, object]:
    """Value, ends of the interval (the value itself where there is none), and text for the tooltip."""
    factor, interval = column.scale.factor, measured.interval
    low, high = (interval.low, interval.high) if interval else (measured.value, measured.value)
    text = f"{measured.value * factor:.4g}"
    if interval:
        text += f" [{low * factor:.4g}, {high * factor:.4g}]"
    return {
        axis: measured.value * factor,
        f"{axis}_low": low * factor,
        f"{axis}_high": high * factor,
        f"{axis}_text": f"{text} {column.scale.unit}".rstrip(),
    }
