"""Options that many commands take, and what their values mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerbstone.errors import UsageError


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
