"""Text that others wrote does nothing where it is shown."""

import pytest

from arc_eval.escape import console, printable


@pytest.mark.parametrize(
    "text",
    [
        "::error::forged",
        "fine\n::set-output name=a::b",
        "fine\n  \t::stop-commands::x",
        "fine\r::add-mask::x",
        "fine\u2028::add-mask::x",
        "error: ##[add-mask]x",
        "\x1b::error::forged",
        ":::error::forged",
    ],
)
def test_no_line_on_the_console_is_a_workflow_command(text: str):
    lines = console(text).splitlines()
    assert not any(line.strip().startswith("::") or "##[" in line for line in lines)


@pytest.mark.parametrize("control", ["\x00", "\x07", "\x1b[31m", "\x7f", "\x9b31m"])
def test_no_control_sequence_reaches_a_terminal(control: str):
    assert not any(character in printable(f"a{control}b") for character in "\x00\x07\x1b\x7f\x9b")


@pytest.mark.parametrize(
    "text", ["", "a bell", "two\nlines", "suite.yaml:3: takes::x", "généré à 10 %", "# head", "a: b"]
)
def test_harmless_text_is_shown_as_written(text: str):
    assert console(text) == text
