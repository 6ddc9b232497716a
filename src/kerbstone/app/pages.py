"""Where a command writes its page, what it says about it, and what every page says."""

from __future__ import annotations

from pathlib import Path
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
