"""Where a command writes its page, what it says about it, and what pages have in common."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import typer

from kerbstone.app.terminal import print_note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kerbstone.scene import Scene


def page_path(html: Path | None, usual: str, *, open_page: bool) -> Path | None:
    """Return where to write a page: where the user said, or its usual name if it is opened."""
    return html or (Path(usual) if open_page else None)


def tell_page(page: Path | None, *, open_page: bool) -> None:
    """Say where a page was written, and open it if that was asked for."""
    if page is not None:
        print_note(f"page   {page}")
        if open_page:
            typer.launch(page.resolve().as_uri())


def say_simulated(scenes: Iterable[Scene]) -> list[str]:
    """Return the sentence that tells how much of a page's traffic is simulated, if any is."""
    simulated = [scene.source.simulated for scene in scenes]
    if not any(simulated):
        return []
    return [f"{'All' if all(simulated) else 'Some'} traffic is simulated."]


def static_page(name: str, *, title: str, **parts: str) -> str:
    """Return a page that needs no network and runs no script, of its template and its styles.

    Args:
        name: Of its files, `NAME.html` and `NAME.css`; `static.css` stands before the latter.
        title: Its title.
        parts: What else the template holds, as markup.
    """
    folder = files("kerbstone.app")
    sheets = ("static.css", f"{name}.css")
    style = "".join(folder.joinpath(sheet).read_text(encoding="utf-8") for sheet in sheets)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return Template(folder.joinpath(f"{name}.html").read_text(encoding="utf-8")).substitute(
        parts,
        title=title,
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        style=style,
    )
