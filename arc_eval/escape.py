"""Text that others wrote (prompts, names, reasons), made harmless for the format it is put into.

HTML is not here: templates escape by themselves.
"""

import re

_MARKDOWN = re.compile(r"([\\`*_{}\[\]#!|~$]|^[-+])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_COMMAND = re.compile(r"^(\s*:)(?=:)|(##)(?=\[)", re.MULTILINE)
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "[": "{[}", "]": "{]}",
}  # fmt: skip
_FORMULA = ("=", "+", "-", "@")


def printable(text: str) -> str:
    """Without the control characters that XML forbids and terminals obey; other whitespace stays."""
    return _CONTROL.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Printable, every run of whitespace one space."""
    return " ".join(printable(text).split())


def console(text: str) -> str:
    """Printable lines for a terminal or a log, none of which GitHub Actions takes for a command to it.

    Commands are `::name::` at the start of a line and `##[name]` anywhere; a space breaks them.
    """
    return _COMMAND.sub(r"\g<0> ", "\n".join(printable(text).splitlines()))


def markdown(text: str) -> str:
    """One line that GitHub shows as written: no markup, no table cell, no mention, no link."""
    text = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _MARKDOWN.sub(r"\\\1", text)
    return text.replace("@", "&#64;").replace("://", "&#58;//").replace("www.", "www&#46;")


def latex(text: str) -> str:
    """One line of LaTeX text; brackets are grouped, so that none is taken for an option of `\\\\`."""
    return "".join(_LATEX.get(character, character) for character in one_line(text))


def csv(text: str) -> str:
    """One line that a spreadsheet does not take for a formula."""
    line = one_line(text)
    return "'" + line if line.startswith(_FORMULA) else line
