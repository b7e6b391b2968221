"""The command line: its commands by name, and the way in."""

import logging
import sys

import typer

from arc_eval import __version__
from arc_eval.cli import catalog, evaluate, judge, make, reference, training, weights
from arc_eval.cli.failures import FrontDoor, unforeseen
from arc_eval.escape import console
from arc_eval.models.offline import go_offline, offline

app = typer.Typer(
    name="arc-eval",
    cls=FrontDoor,
    no_args_is_help=True,
    add_completion=False,
    # Plain help and errors: rich would double the time that --help takes.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Evaluate and benchmark fast text-to-audio generators: quality, diversity and latency.",
    epilog="Exit codes: 0 passed; 1 a gate found a regression; 2 you can fix it (a bad suite, a missing "
    "file, an unknown name); 3 incomplete; 4 not comparable; 5 inconclusive; 130 interrupted.",
)

app.command("run")(evaluate.run)
app.command("score")(evaluate.score)
app.command("reference")(reference.reference)
app.command("report")(judge.report)
app.command("compare")(judge.compare)
app.command("gate")(judge.gate)
app.command("claims")(judge.claims)
app.command("bench")(evaluate.bench)
app.command("generate")(make.generate)
app.command("train")(training.train)
app.add_typer(weights.app, name="weights")
app.command("list")(catalog.installed)
app.command("check")(evaluate.check)


class Inert(logging.Formatter):
    """Log records as lines; what others wrote in them is no command to a terminal or a build server."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as `LEVEL: message`."""
        return console(super().format(record))


def version(wanted: bool) -> None:
    """Prints the version and leaves."""
    if wanted:
        typer.echo(f"arc-eval {__version__}")
        raise typer.Exit


@app.callback()
def options(
    show_version: bool = typer.Option(
        False, "--version", callback=version, is_eager=True, help="Print the version."
    ),
) -> None:
    """What stands before the command's name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Inert("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    if offline():
        go_offline()


def main() -> None:
    """Runs the command line and leaves with its exit code."""
    try:
        app()
    except Exception as error:  # the last door: what nobody foresaw still gets a message and a code
        sys.exit(unforeseen(error))
