"""Tracks as a plain table in Parquet, in which nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kerbstone.errors import InputError
from kerbstone.formats.detections.tracks import TrackRows, file_of
from kerbstone.formats.files import cut_off, read_bytes
from kerbstone.formats.stage import writing_whole
from kerbstone.formats.table import table_rows


def write_table_rows(tracks: TrackRows, folder: Path) -> list[Path]:
    """Write a scene; see `write_tracks`.

    Args:
        tracks: The rows.
        folder: Gets a Parquet file named by the scene's id.
    """
    import pyarrow as pa

    scene = tracks.scene
    agents = scene.agents
    others = np.array([row for row in range(len(agents)) if row != scene.ego], np.int64)
    columns = table_rows(replace(scene, agents=agents.select(others), ego=None))
    # The rows there are by agent and time.
    order = np.lexsort((tracks.step, tracks.agent))
    texts = {"scene", "agent", "kind", "label"}
    table = pa.table(
        {
            name: pa.array(column, pa.string()) if name in texts else column
            for name, column in columns.items()
            if name != "ego"
        }
        | {"score": tracks.score[order]}
    )
    path = file_of(folder, scene.id, ".parquet")
    _write(path, table)
    return [path]


def join_tables(files: Sequence[Path], path: Path) -> None:
    """Make one table of several scenes; see `join_tracks`."""
    import pyarrow as pa
    from pyarrow import parquet

    owner: dict[str, Path] = {}
    parts = []
    for file in files:
        try:
            part = parquet.read_table(pa.BufferReader(read_bytes(file)))
            scenes = part.column("scene").unique().to_pylist()
        except (pa.ArrowException, OSError, KeyError) as error:
            raise cut_off(file, str(error)) from None
        for scene in scenes:
            if scene in owner:
                raise InputError(
                    "duplicate",
                    f"two files have tracks of the scene {scene!r}",
                    where=str(file),
                    why=f"it is in {owner[scene]} too",
                )
            owner[scene] = file
        parts.append(part)
    if not parts:
        raise InputError("empty", "there is no file to join", where=str(path))
    _write(path, pa.concat_tables(parts))


def _write(path: Path, table: Any) -> None:
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    with writing_whole(path) as part:
        parquet.write_table(table, part)
