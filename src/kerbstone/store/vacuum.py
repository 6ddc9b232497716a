"""Removing what no finished scene needs: rows of interrupted writes, and old versions."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kerbstone.store.table import MAKING, Table, sql
from kerbstone.store.tables import Tables

_BATCH = 1000


def vacuum(tables: Tables, *, keep: timedelta) -> dict[str, int]:
    """Remove what is not needed and older than `keep`; see `Store.vacuum`."""
    before = datetime.now(UTC) - keep
    tables.refresh()
    scenes, maps = tables.scenes.index, tables.maps.index
    live = set(scenes.part.values())
    # Rows of an id that has an earlier row: no merge leaves any, but another writer might.
    shadowed = set(tables.scenes.scan(["part"]).column("part").to_pylist()) - live
    rows = _delete(tables.scenes, shadowed, before)
    for table in (tables.states, tables.sensors):
        rows += _delete(table, table.index.positions.keys() - live, before)
    rows += _delete(
        tables.pieces, tables.pieces.index.positions.keys() - maps.positions.keys(), before
    )
    logs = set(tables.scenes.scan(["log_key"]).column("log_key").to_pylist())
    for table in tables.sides().values():
        last = {part for log, part in table.index.last.items() if log in logs}
        rows += _delete(table, table.index.parts - last, before)
    rows += _vacuum_kept(tables, live, before)
    named = tables.named_versions(since=before)
    freed = _drop_unfinished(tables, before)
    for name, table in (tables.all() | tables.caches()).items():
        table.compact()
        # Joining files made versions of its own, so "before" is reckoned again.
        freed += table.forget(before=datetime.now(UTC) - keep, named=named.get(name, ()))
    return {"rows": rows, "bytes": freed}


def _vacuum_kept(tables: Tables, live: set[int], before: datetime) -> int:
    results, caches = tables.results(), tables.caches()
    rows = 0
    if "matches" in results:
        finished = set[int]()
        if "findings" in results:
            finished.update(results["findings"].scan(["part"]).column("part").to_pylist())
        parts = set(results["matches"].scan(["part"]).column("part").to_pylist())
        rows += _delete(results["matches"], parts - finished, before)
    if "columns" in caches:
        parts = set(caches["columns"].scan(["scene_part"]).column("scene_part").to_pylist())
        rows += _delete(caches["columns"], parts - live, before, key="scene_part")
    if "answers" in caches:
        # They are quick to find again, and most are of queries that nobody asks any more.
        rows += caches["answers"].delete(_older(before))
    return rows


def _drop_unfinished(tables: Tables, before: datetime) -> int:
    """Remove what processes left that were killed while they made a table."""
    freed = 0
    for folder in Path(tables.uri).glob(f"{MAKING}*"):
        files = [path.stat() for path in [folder, *folder.rglob("*")]]
        if max(file.st_mtime for file in files) < before.timestamp():
            freed += sum(file.st_size for file in files)
            shutil.rmtree(folder, ignore_errors=True)
    return freed


def _delete(table: Table, parts: Iterable[int], before: datetime, *, key: str = "part") -> int:
    ordered = sorted(parts)
    return sum(
        table.delete(f"{key} IN {sql(ordered[i : i + _BATCH])} AND {_older(before)}")
        for i in range(0, len(ordered), _BATCH)
    )


def _older(before: datetime) -> str:
    return f"written < timestamp '{before:%Y-%m-%d %H:%M:%S.%f}'"
