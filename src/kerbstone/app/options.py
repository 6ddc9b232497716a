"""Options that many commands take, and what their values mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kerbstone.errors import UsageError, suggest_name

if TYPE_CHECKING:
    from collections.abc import Sequence


def _refuse_empty(name: str) -> str:
    # An empty text is a shell variable that is not set, and never meant the current folder.
    if not name:
        raise typer.BadParameter("it is empty")
    return name


StoreOption = Annotated[
    str,
    typer.Option("--store", "-s", help="Folder or URI of the store.", callback=_refuse_empty),
]
WhereOption = Annotated[
    str | None,
    typer.Option(help="SQL condition on the scenes, such as \"town = 'Miami'\"."),
]
HtmlOption = Annotated[Path | None, typer.Option(help="Write a page to this file.")]
OpenOption = Annotated[bool, typer.Option("--open", help="Open the page.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def parse_workers(workers: str) -> int | str:
    """Return a number of processes, or "ray", from what the user typed.

    Raises:
        UsageError: It is neither.
    """
    if workers == "ray":
        return workers
    if workers.isdecimal() and int(workers) > 0:
        return int(workers)
    raise UsageError(
        "usage",
        "--workers takes a number of processes or 'ray'",
        why=f"found {workers!r}",
        remedy="--workers 2",
    )


def check_name(flag: str, name: str, known: Sequence[str]) -> None:
    """Check that a name is one of those known.

    Raises:
        UsageError: It is not.
    """
    if name not in known:
        raise UsageError(
            "usage",
            f"{flag} is one of {', '.join(known)}",
            why=f"found {name!r}",
            remedy=suggest_name(name, known),
        )
