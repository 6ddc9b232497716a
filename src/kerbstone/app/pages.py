"""Where a command writes its page, and what it says about it."""

from __future__ import annotations

from pathlib import Path

import typer

from kerbstone.app.terminal import print_note


def page_path(html: Path | None, usual: str, *, open_page: bool) -> Path | None:
    """Return where to write a page: where the user said, or its usual name if it is opened."""
    return html or (Path(usual) if open_page else None)


def tell_page(page: Path | None, *, open_page: bool) -> None:
    """Say where a page was written, and open it if that was asked for."""
    if page is not None:
        print_note(f"page   {page}")
        if open_page:
            typer.launch(page.resolve().as_uri())
