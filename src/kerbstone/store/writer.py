"""Writing a log: its rows first, and at last, in one commit, the rows that make them count."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from kerbstone.errors import InputError
from kerbstone.scene import Map, Scene
from kerbstone.store.columns import is_numbers, seal_of, to_table, typed
from kerbstone.store.heads import head_row
from kerbstone.store.layout import (
    CACHES,
    MAPS,
    PIECES,
    RESULTS,
    SCENES,
    SENSORS,
    SIDE,
    STATES,
)
from kerbstone.store.maps import map_key, map_row, piece_rows
from kerbstone.store.sensors import sensor_rows
from kerbstone.store.states import chunk_rows
from kerbstone.store.table import sql
from kerbstone.store.tables import Tables

_BATCH_BYTES = 64 << 20
_BATCH_IDS = 1000


def write_log(
    tables: Tables, scenes: Iterable[Scene], *, log: str, fingerprint: str, run: str
) -> int:
    """Write all scenes of a log and return how many; see `Store.add`."""
    tables.scenes.refresh()
    found = tables.scenes.scan(["fingerprint"], f"log_key = {sql(log)}")
    if fingerprint in found.column("fingerprint").to_pylist():
        return 0
    rows = _write_parts(tables, scenes, log=log)
    if not rows:
        return 0
    ids = [row["id"] for row in rows]
    _check_free(tables, ids, log)
    marks = {"log_key": log, "fingerprint": fingerprint, "run": run}
    written = tables.scenes.merge(
        to_table(SCENES, [row | marks for row in rows], where=f"log {log}"),
        key="id",
        # Another process may have finished the same log by now: the first one counts. Another
        # state of the log is replaced, with the scenes that it no longer has.
        update="target.log_key = source.log_key AND target.fingerprint != source.fingerprint",
        delete=f"log_key = {sql(log)}",
    )
    if written < len(ids):
        _check_free(tables, ids, log)
    for name, table in tables.core().items():
        table.tidy(lambda name=name: tables.named_versions().get(name, set()))
    return written


def write_side(tables: Tables, name: str, rows: pa.Table, *, log: str, run: str) -> None:
    """Write a log's rows of a side table; see `Store.put_rows`."""
    taken = sorted(set(rows.column_names) & set(SIDE.names))
    if taken:
        raise InputError("column", f"the column {taken[0]!r} is the store's own", where=name)
    marks = {"log_key": log, "run": run, **_new_part()}
    fields = [*rows.schema.remove_metadata(), *SIDE]
    table = tables.add_side(name, pa.schema(fields))
    columns = [
        *rows.columns,
        *(pa.repeat(pa.scalar(marks[f.name], f.type), len(rows)) for f in SIDE),
    ]
    marked = pa.table(columns, schema=pa.schema(fields))
    table.refresh()
    try:
        marked = marked.select(table.dataset.schema.names).cast(_plain(table.dataset.schema))
    except (KeyError, pa.ArrowInvalid, ValueError) as error:
        raise InputError(
            "column",
            f"the rows do not fit the table {name!r}",
            where=table.uri,
            why=str(error),
            remedy=f"it has the columns {', '.join(table.dataset.schema.names)}",
        ) from error
    older = set(table.scan(["part"], f"log_key = {sql(log)}").column("part").to_pylist())
    table.append(marked)
    if older:
        table.delete(f"part IN {sql(sorted(older))}")
    table.tidy(lambda: tables.named_versions().get(name, set()))


def write_kept(tables: Tables, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows of results or of a cache; see `Store.append`."""
    schema, marks = (RESULTS | CACHES)[name], {"written": datetime.now(UTC)}
    lists = [field.name for field in schema if is_numbers(field.type)]
    marked = [
        typed(schema, row | {n: np.asarray(row[n]) for n in lists if row[n] is not None}) | marks
        for row in rows
    ]
    if name in CACHES:
        marked = [row | {"checksum": seal_of(schema, row)} for row in marked]
    batch = to_table(schema, marked, where=name)
    table = tables.add_kept(name)
    if name == "findings":
        table.merge(batch, key="id")
        return
    table.append(batch)
    table.tidy(lambda: tables.named_versions().get(name, set()))


def _write_parts(tables: Tables, scenes: Iterable[Scene], *, log: str) -> list[dict[str, Any]]:
    """Write what scenes are made of, and return the rows that make it count."""
    rows: dict[str, dict[str, Any]] = {}
    maps: dict[str, int] = {}
    states: list[dict[str, Any]] = []
    sensors: list[dict[str, Any]] = []
    size = 0

    def flush() -> None:
        for table, schema, batch in (
            (tables.states, STATES, states),
            (tables.sensors, SENSORS, sensors),
        ):
            if batch:
                table.append(to_table(schema, batch, where=f"log {log}"))
                batch.clear()

    for scene in scenes:
        scene.check()
        if scene.id in rows:
            raise InputError("duplicate", f"scene {scene.id!r} appears twice", where=f"log {log}")
        mark = _new_part()
        map_part = None if scene.map is None else _write_map(tables, scene.map, maps)
        rows[scene.id] = mark | head_row(scene, part=mark["part"], map_part=map_part)
        sensors += [row | mark for row in sensor_rows(scene)]
        for row in chunk_rows(scene):
            states.append(row | mark)
            size += row["cells"].nbytes
            if size > _BATCH_BYTES:
                flush()
                size = 0
    flush()
    return list(rows.values())


def _write_map(tables: Tables, road: Map, known: dict[str, int]) -> int:
    """Return the part of a map, after writing it if no map of that content is there."""
    key = map_key(road)
    if key not in known:
        part = _find_map(tables, key)
        known[key] = _add_map(tables, road, key) if part is None else part
    return known[key]


def _add_map(tables: Tables, road: Map, key: str) -> int:
    mark, where = _new_part(), f"map {road.id}"
    pieces = [row | mark for row in piece_rows(road)]
    tables.pieces.append(to_table(PIECES, pieces, where=where))
    row = map_row(road) | mark | {"key": key}
    tables.maps.merge(to_table(MAPS, [row], where=where), key="key")
    # Where another process wrote the same map first, its part counts.
    part = _find_map(tables, key)
    return mark["part"] if part is None else part


def _find_map(tables: Tables, key: str) -> int | None:
    tables.maps.refresh()
    parts = tables.maps.scan(["part"], f"key = {sql(key)}").column("part").to_pylist()
    return parts[0] if parts else None


def _check_free(tables: Tables, ids: Sequence[str], log: str) -> None:
    """Check that no other log has a scene of one of these ids.

    Raises:
        InputError: One does.
    """
    for first in range(0, len(ids), _BATCH_IDS):
        some = sql(list(ids[first : first + _BATCH_IDS]))
        taken = tables.scenes.scan(
            ["id", "log_key"], f"id IN {some} AND log_key != {sql(log)}"
        ).to_pylist()
        if taken:
            raise InputError(
                "duplicate",
                f"the store has a scene {taken[0]['id']!r} from another log",
                where=f"log {log}",
                why=f"it is from log {taken[0]['log_key']}",
                remedy="ingest the logs into different stores, or give their scenes other names",
            )


def _new_part() -> dict[str, Any]:
    return {"part": secrets.randbits(63), "written": datetime.now(UTC)}


def _plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.remove_metadata() for field in schema])
