"""Detections that a store holds beside its scenes, as simulated logs bring them.

A scene's road users are what the detections are of, so they are left out: what is read is what the
recording car knew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerbstone.errors import InputError
from kerbstone.formats.detections.box_rows import (
    COLUMNS,
    OPTIONAL,
    check_names,
    detect,
)
from kerbstone.formats.detections.rows import Rows
from kerbstone.formats.detections.source import DetectedLog, DetectionSource, hide_agents
from kerbstone.formats.files import table_columns
from kerbstone.store import Store

_SCENE = "scene_id"
FORMAT = "store"


def stored_detections(
    store: Store, name: str = "detections", scenes: Sequence[str] | None = None
) -> list[DetectionSource]:
    """Return a source for each scene of a store of which there are detections.

    Args:
        store: The store.
        name: Its table of detections, with the columns that `TableDetections` reads.
        scenes: Ids of scenes, or unique parts of them; all if not given.

    Returns:
        Sources in the order of the scenes, by their ids.

    Raises:
        InputError: There is no such table or scene, or no detections of a scene that was named.
    """
    rows = store.rows(name, columns=[_SCENE])
    detected = set(rows.column(_SCENE).unique().to_pylist())
    ids = store.scenes(["id"]).column("id").to_pylist()
    if scenes is not None:
        ids = list(dict.fromkeys(store.find(scene) for scene in scenes))
        lost = [scene for scene in ids if scene not in detected]
        if lost:
            raise InputError(
                "empty",
                f"there are no detections of the scene {lost[0]!r}",
                where=f"{store.uri}, table {name}",
            )
    return [
        DetectionSource(format=FORMAT, name=scene, log=scene, store=store, table=name)
        for scene in ids
        if scene in detected
    ]


class StoredDetections:
    """Detections of a store; `stored_detections` finds them."""

    name = FORMAT
    reads = "a table of a store, such as `detections` of simulated logs"

    def claims(self, path: Path) -> bool:
        """Tell that no path is one."""
        del path
        return False

    def find(self, paths: Sequence[Path], logs: Path | None) -> list[DetectionSource]:
        """Return nothing: a store is not found by paths.

        Raises:
            InputError: There are paths.
        """
        del logs
        if paths:
            raise InputError(
                "usage",
                "a store's detections are no files",
                where=str(paths[0]),
                remedy="open the store, and name its table",
            )
        return []

    def read(self, source: DetectionSource) -> DetectedLog:
        """Read the detections of a scene.

        Raises:
            InputError: The scene is not there, or the table's columns are not those of detections.
        """
        if source.store is None:
            raise InputError("usage", "a source of a store has no store", where=source.name)
        quoted = source.log.replace("'", "''")
        found = source.store.rows(source.table, filter=f"{_SCENE} = '{quoted}'")
        check_names(found.column_names, source.where)
        place = Path(f"{source.store.uri}, table {source.table}, scene {source.log}")
        columns = table_columns(found, COLUMNS, path=place, optional=OPTIONAL)
        rows = Rows(place, np.arange(found.num_rows), columns)
        scene = hide_agents(source.store.scene(source.log))
        return detect(scene, source.name, [rows], columns)
