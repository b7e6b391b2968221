"""What the front door does with what goes wrong: one clear message on stderr and an exit code.

0 passed; 1 a gate found a regression; 2 the user can fix it; 3 incomplete; 4 not comparable;
5 inconclusive; 130 interrupted by Ctrl-C, as shells say it; 141 the reader of our output went away.
"""

import errno
import os
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from arc_eval.errors import ArcEvalError, IncompleteError
from arc_eval.escape import console, one_line

DEBUG = "ARC_EVAL_DEBUG"
"""With this variable set to 1, an error that nobody foresaw shows its traceback."""

INTERRUPTED = 130
READER_GONE = 141


class FrontDoor(TyperGroup):
    """The command group that turns every foreseen error into its message and exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the chosen command. Raises typer.Exit with the error's code if it fails."""
        try:
            return super().invoke(ctx)
        except ArcEvalError as error:
            refuse(str(error), error.exit_code)
        except KeyboardInterrupt:
            refuse(f"interrupted; everything computed so far is kept. {resumption(ctx)}", INTERRUPTED)
        except BrokenPipeError:
            # Without this the interpreter complains once more when it flushes stdout at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(READER_GONE) from None
        except OSError as error:
            if os.environ.get(DEBUG) == "1":
                raise
            refuse(explain(error), ArcEvalError.exit_code)


def resumption(ctx: Any) -> str:
    """How to go on after an interruption of the command that `ctx` ran."""
    if ctx.invoked_subcommand == "train":
        return "Run the same command with --resume to go on from the last checkpoint."
    return "Run the same command again to go on from there."


def refuse(message: str, code: int) -> NoReturn:
    """Prints an error and leaves with its code."""
    typer.echo(console(f"error: {message}"), err=True)
    raise typer.Exit(code) from None


def explain(error: OSError) -> str:
    """What, where and what to do about a file operation that the system refused."""
    where = f"{error.filename}: " if error.filename else ""
    what = error.strerror or str(error)
    remedies = {
        errno.ENOSPC: "free some space and run the same command again; finished work is kept",
        errno.EDQUOT: "free some of your quota and run the same command again; finished work is kept",
        errno.EACCES: "choose a folder that you may read and write",
        errno.EROFS: "choose a folder that can be written, with --out and --store",
        errno.ENOENT: "is the path spelt as it is on disk?",
        errno.EISDIR: "a file is needed here, not a folder",
        errno.ENOTDIR: "a folder is needed here, not a file",
    }
    remedy = remedies.get(error.errno or 0, f"set {DEBUG}=1 to see where it happened")
    return f"{where}{what}; {remedy}"


def unforeseen(error: Exception) -> int:
    """Says in one line that something broke that nobody foresaw; the exit code to leave with.

    Re-raises the error instead when ARC_EVAL_DEBUG=1, so that its traceback shows.
    """
    if os.environ.get(DEBUG) == "1":
        raise error
    first = one_line((str(error) or "no message").splitlines()[0])
    typer.echo(
        f"error: {type(error).__name__}: {first}\n"
        f"This is a defect of arc_eval or of a plug-in. Run again with {DEBUG}=1 to see the traceback; "
        "everything computed so far is kept.",
        err=True,
    )
    return IncompleteError.exit_code
