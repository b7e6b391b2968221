"""Tables in LaTeX, for `booktabs`: one float for each group of columns."""

from string import ascii_lowercase

from arc_eval.escape import latex as escape
from arc_eval.report.tables import Cell, Table

PREAMBLE = "% needs: \\usepackage[T1]{fontenc} \\usepackage{amssymb} \\usepackage{booktabs}\n"

_ARROWS = {"↑": r"$\uparrow$", "↓": r"$\downarrow$", "→": r"$\rightarrow$"}


def table(content: Table) -> str:
    """The floats of a table, ready for `\\input`."""
    return PREAMBLE + "\n".join(
        _float(block, f"tab:{content.name}-{i}") for i, block in enumerate(content.blocks(), 1)
    )


def _float(block: Table, label: str) -> str:
    notes: list[str] = []
    body = [_line([escape(row.title), *(_cell(cell, notes) for cell in row.cells)]) for row in block.rows]
    return "\n".join(
        [
            r"\begin{table}[t]",
            r"\centering\small",
            rf"\caption{{{_text(' '.join([block.title + '.', *block.notes]))}}}",
            rf"\label{{{label}}}",
            rf"\begin{{tabular}}{{l{'r' * len(block.columns)}}}",
            r"\toprule",
            _line(["", *(_text(column.heading) for column in block.columns)]),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            *(
                rf"\par\footnotesize\textsuperscript{{{_mark(i)}}} {escape(note)}"
                for i, note in enumerate(notes)
            ),
            r"\end{table}",
            "",
        ]
    )


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell, notes: list[str]) -> str:
    """The cell; the reason of a missing number goes to the notes."""
    if cell.state != "value":
        if not cell.note:
            return escape(cell.text)
        note = f"{cell.text}: {cell.note}"
        if note not in notes:
            notes.append(note)
        return rf"{escape(cell.text)}\textsuperscript{{{_mark(notes.index(note))}}}"
    value = rf"\textbf{{{escape(cell.text)}}}" if cell.best else escape(cell.text)
    return rf"{value} {{\scriptsize {escape(cell.interval)}}}" if cell.interval else value


def _mark(index: int) -> str:
    """a to z, then aa, ab, ..."""
    first, rest = divmod(index, 26)
    return (ascii_lowercase[first - 1] if first else "") + ascii_lowercase[rest]


def _text(text: str) -> str:
    """Escaped, our own arrows as mathematics."""
    escaped = escape(text)
    for arrow, command in _ARROWS.items():
        escaped = escaped.replace(arrow, command)
    return escaped
