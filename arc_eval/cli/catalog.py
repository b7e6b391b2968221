"""The command that says what is installed, and from where."""

from typing import Annotated

import typer

from arc_eval.cli import show
from arc_eval.cli.options import Json
from arc_eval.errors import suggest


def installed(
    group: Annotated[
        str | None,
        typer.Argument(
            metavar="[GROUP]", help="generators, extractors, metrics, targets, data, suites or protocols."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List what is installed and where it comes from; without GROUP, everything."""
    known = groups()
    if group is not None and group not in known:
        raise typer.BadParameter(f"no group {group!r}; {suggest(group, known)}")
    chosen = [group] if group else list(known)
    found = {name: entries(name) for name in chosen}
    if as_json:
        show.as_json(found)
        return
    rows = [[kind, entry["name"], entry["origin"], entry["from"]] for kind in chosen for entry in found[kind]]
    typer.echo(show.columns([["group", "name", "origin", "from"], *rows]))


def groups() -> tuple[str, ...]:
    """What can be listed."""
    from arc_eval.registry import GROUPS

    return (*GROUPS, "suites", "protocols")


def entries(group: str) -> list[dict[str, str]]:
    """Name, distribution and place of everything in a group, without importing any of it."""
    from arc_eval.registry import plugins
    from arc_eval.suite import shipped_suites

    if group == "protocols":
        from arc_eval.suite.protocol import protocols

        return [
            {"name": name, "origin": "arc_eval", "from": found.source} for name, found in protocols().items()
        ]
    if group == "suites":
        return [
            {"name": name, "origin": "arc_eval", "from": str(path)} for name, path in shipped_suites().items()
        ]
    return [{"name": found.name, "origin": found.origin, "from": found.module} for found in plugins(group)]
