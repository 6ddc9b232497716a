"""The command line: one command per step, each a thin wrapper over one public function."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

import kerbstone
from kerbstone.app import commands
from kerbstone.app.terminal import print_error
from kerbstone.errors import InputError, KerbstoneError

INTERRUPTED = 130

app = typer.Typer(
    name="kerbstone",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help needs a third of the time
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Find what breaks the car in driving logs, learn from it, and prove that it drives better.",
)


def main() -> None:
    """Run the command line."""
    # A stream that the caller closed (`>&-`) is None; what goes there has no audience.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - open to the end
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    app()


def _show_version(asked: bool) -> bool:  # noqa: FBT001 - Typer calls it so
    if asked:
        sys.stdout.write(f"kerbstone {kerbstone.__version__}\n")
        raise typer.Exit
    return asked


@app.callback()
def _start(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", is_eager=True, callback=_show_version
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def _guard(command: Callable[..., None]) -> Callable[..., None]:
    """Turn a user's mistake into four lines and an exit code; a defect keeps its traceback."""

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except KerbstoneError as error:
            raise fail(error, error.exit_code, kwargs) from None
        except KeyboardInterrupt:
            error = KerbstoneError(
                "interrupted",
                "stopped by the user",
                why="what was finished is kept",
                remedy="the same command again goes on from there",
            )
            raise fail(error, INTERRUPTED, kwargs) from None
        except BrokenPipeError:
            # The reader of our output went away (`| head`).
            _drop_output()
            raise typer.Exit(0) from None
        except OSError as error:
            _drop_output()
            refusal = InputError(
                "system",
                "the operating system refused",
                where=str(error.filename or ""),
                why=error.strerror or str(error),
                remedy="see that the disk has room and that you may read and write there",
            )
            raise fail(refusal, refusal.exit_code, kwargs) from None

    def fail(error: KerbstoneError, code: int, kwargs: dict[str, Any]) -> typer.Exit:
        print_error(error, as_json=bool(kwargs.get("as_json")))
        return typer.Exit(code)

    return guarded


def _drop_output() -> None:
    """Let what is still to be written to stdout go nowhere, so that Python's exit is quiet."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


for _command in commands.ALL:
    app.command(_command.__name__)(_guard(_command))
