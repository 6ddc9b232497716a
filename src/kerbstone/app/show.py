"""One scene of a store, written as a page, a Rerun recording or an MCAP file."""

from __future__ import annotations

import re
from pathlib import Path

from kerbstone.app.terminal import writing_file
from kerbstone.errors import UsageError
from kerbstone.scene import Scene
from kerbstone.store import Store


def show(
    scene: str,
    store: str | Path,
    *,
    out: Path | None = None,
    rerun: bool = False,
    mcap: bool = False,
    start: float = 0.0,
    duration: float | None = None,
) -> Path:
    """Write a file that shows a scene, and return its path.

    Args:
        scene: Id of the scene, or a part of it that is unique in the store.
        store: The store's folder or URI.
        out: File to write; by default named after the scene, in the current folder.
        rerun: Write a Rerun recording instead of a page.
        mcap: Write an MCAP file instead of a page.
        start: First second to show [s].
        duration: How long to show [s]; to the end if None.

    Raises:
        UsageError: Both `rerun` and `mcap` are asked for.
        InputError: There is no such store or scene, the window reaches beyond it, or the file
            cannot be written.
        MissingError: The extra for the file is not installed.
    """
    if rerun and mcap:
        raise UsageError(
            "usage", "--rerun and --mcap are two files", remedy="ask for one at a time"
        )
    road = Store.open(str(store))
    name = road.find(scene)
    chosen = road.scene(name).window(start, duration)
    suffix = ".rrd" if rerun else ".mcap" if mcap else ".html"
    path = out or Path(re.sub(r"[^A-Za-z0-9._-]+", "-", name) + suffix)
    with writing_file(path):
        _write(chosen, path, rerun=rerun, mcap=mcap)
    return path


def _write(scene: Scene, path: Path, *, rerun: bool, mcap: bool) -> None:
    if rerun:
        from kerbstone.formats.rerun import write_rerun

        write_rerun(scene, path)
    elif mcap:
        from kerbstone.formats.mcap import write_mcap

        write_mcap(scene, path)
    else:
        from kerbstone.app.playback import playback_page

        path.write_text(playback_page([scene], title=scene.id), encoding="utf-8")
