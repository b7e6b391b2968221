"""One page that needs nothing else: table, plots, sounds and pictures travel inside it.

Everything from a Run is untrusted text. The template escapes it, data for scripts travels as JSON
that cannot close its element, and a content security policy allows the page's own scripts and
styles by their digest, data addresses for pictures and sounds, and nothing else.
"""

import base64
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from arc_eval.report import plots
from arc_eval.report.comparison import Measured, comparison, measured_columns
from arc_eval.report.prompts import prompt_ids, prompt_views
from arc_eval.report.source import Entry
from arc_eval.report.summary import sentences
from arc_eval.report.tables import Table

TEMPLATES = Path(__file__).parent / "templates"


def page(entries: Sequence[Entry], extra: Sequence[Table] = ()) -> str:
    """The whole HTML document. `extra` tables follow the comparison."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    columns = measured_columns(entries)
    specs = _plots(entries, columns)
    scripts = [_script(vega()), _script((TEMPLATES / "report.js").read_text("utf-8"))]
    style = (TEMPLATES / "report.css").read_text("utf-8")
    return environment.get_template("report.html.j2").render(
        policy=_policy(scripts, style),
        scripts=scripts,
        style=style,
        sources=_sources(entries),
        sentences=sentences(entries, columns),
        table=comparison(entries),
        extra=extra,
        plots=specs,
        data=_json({plot["id"]: plot["specs"] for plot in specs}),
        prompts=prompt_views(entries),
        prompt_count=len(prompt_ids(entries)),
        entries=entries,
        pretty=_pretty,
        machine=lambda source: dataclasses.asdict(source.run.machine),
    )


@cache
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, from the wheel that brings them."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle


def _plots(entries: Sequence[Entry], columns: Sequence[Measured]) -> list[dict[str, Any]]:
    """The plots that this data supports: each with a choice of specs by name."""
    latency = plots.latency_column(columns)
    quality = {
        column.title: plots.quality_against_latency(entries, column, latency)
        for column in plots.quality_columns(columns)
        if latency is not None
    }
    classes = {metric: plots.class_scores(entries, metric) for metric in plots.per_clip_metrics(entries)}
    stages = {"stages": plots.stage_times(entries)}
    found = (("quality", quality), ("classes", classes), ("stages", stages))
    kept = ((name, {title: spec for title, spec in specs.items() if spec}) for name, specs in found)
    return [{"id": name, "specs": specs} for name, specs in kept if specs]


def _sources(entries: Sequence[Entry]) -> list[Any]:
    return list({entry.source.name: entry.source for entry in entries}.values())


def _policy(scripts: Sequence[str], style: str) -> str:
    allowed = " ".join(map(_digest, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_digest(style)}; "
        "img-src data:; media-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _script(text: str) -> str:
    """A script that cannot close its own element; the parser's newline is the only newline."""
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--").replace("\r", "")


def _json(data: Mapping[str, Any]) -> str:
    """JSON in which no markup can begin."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, sort_keys=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _pretty(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, default=str)
