"""Tables in GitHub's Markdown."""

from arc_eval.escape import markdown as escape
from arc_eval.report.tables import Cell, Table


def table(content: Table, *, level: int = 2) -> str:
    """A heading, one table for each group of columns with what its numbers rest on, the notes below."""
    parts = [f"{'#' * level} {escape(content.title)}"]
    for block in content.blocks():
        parts += [f"{'#' * (level + 1)} {escape(block.columns[0].group)}", _grid(block)]
        parts.append("\n".join(f"{escape(note)}  " for note in block.denominators()))
    parts.append("\n".join(f"- {escape(note)}" for note in content.notes))
    return "\n\n".join(filter(None, parts)) + "\n"


def _grid(block: Table) -> str:
    head = ["system", *(escape(column.heading) for column in block.columns)]
    rows = [head, ["---", *("---:" for _ in block.columns)]]
    for row in block.rows:
        name = escape(row.title) if row.role == "generator" else f"*{escape(row.title)}* ({escape(row.role)})"
        rows.append([name, *map(_cell, row.cells)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _cell(cell: Cell) -> str:
    if not cell.best:
        return escape(cell.full)
    return f"**{escape(cell.text)}** {escape(cell.interval)}".rstrip()
