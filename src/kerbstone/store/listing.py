"""Listing rows of a store's tables, and only those that count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kerbstone.errors import InputError, suggest_name
from kerbstone.store.columns import arrays, is_numbers, seal_of
from kerbstone.store.layout import CACHES, RESULTS, SUMMARY, TABLES
from kerbstone.store.table import Table
from kerbstone.store.tables import Tables


def list_scenes(tables: Tables, columns: Sequence[str] | None, condition: str | None) -> pa.Table:
    """Return rows of `scenes`; see `Store.scenes`."""
    tables.scenes.refresh()
    names = list(SUMMARY.names if columns is None else columns)
    index = tables.scenes.index
    if len(index.position) == index.rows:
        return _select(tables.scenes, names, condition)
    return _select_live(tables.scenes, names, condition, index.part.values())


def list_rows(
    tables: Tables, name: str, columns: Sequence[str] | None, condition: str | None
) -> pa.Table:
    """Return rows of any other table; see `Store.rows`."""
    if name in RESULTS or name in CACHES:
        return _list_kept(tables, name, columns, condition)
    tables.scenes.refresh()
    if name not in TABLES:
        side = tables.side(name)
        side.refresh()
        logs = set(finished_logs(tables))
        live = [part for log, part in side.index.last.items() if log in logs]
        return _select_live(side, columns, condition, live)
    table = tables.core()[name]
    table.refresh()
    if name in ("states", "sensors"):
        return _select_live(table, columns, condition, tables.scenes.index.part.values())
    if name == "pieces":
        tables.maps.refresh()
        return _select_live(table, columns, condition, tables.maps.index.positions)
    return _select(table, columns, condition)


def _list_kept(
    tables: Tables, name: str, columns: Sequence[str] | None, condition: str | None
) -> pa.Table:
    kept = tables.kept(name)
    if kept is None:
        empty = (RESULTS | CACHES)[name].empty_table()
        return empty if columns is None else empty.select(list(columns))
    kept.refresh()
    return _select(kept, columns, condition)


def list_cached(tables: Tables, name: str, condition: str) -> list[dict[str, Any]]:
    """Return rows of a cache with their lists of numbers as arrays; see `Store.cached`."""
    try:
        rows = _list_kept(tables, name, None, condition)
    except InputError as error:
        if error.code != "store-damaged":
            raise
        return []
    schema = CACHES[name]
    columns = {field.name: _values(rows, field) for field in schema}
    found = [
        {column: values[row] for column, values in columns.items()} for row in range(len(rows))
    ]
    return [row for row in found if seal_of(schema, row) == row["checksum"]]


def _values(rows: pa.Table, field: pa.Field) -> list[Any]:
    if is_numbers(field.type):
        return arrays(rows, field.name)
    return rows.column(field.name).to_pylist()


def finished_logs(tables: Tables) -> dict[str, str]:
    """Return the fingerprint of each log that is finished."""
    tables.scenes.refresh()
    rows = tables.scenes.scan(["log_key", "fingerprint"])
    return dict(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def _select(table: Table, columns: Sequence[str] | None, condition: str | None) -> pa.Table:
    for name in columns or ():
        if name not in table.names:
            raise InputError(
                "column",
                f"there is no column {name!r}",
                where=table.uri,
                remedy=suggest_name(name, table.names),
            )
    try:
        return table.scan(columns, condition)
    except InputError as error:
        if condition is None:
            raise
        # Where the table can be read without the condition, the condition is to blame.
        table.scan(columns, "false")
        raise InputError(
            "usage",
            "the condition on the rows is wrong",
            where=condition,
            why=error.why,
            remedy="columns: " + ", ".join(table.names),
        ) from error


def _select_live(
    table: Table, columns: Sequence[str] | None, condition: str | None, parts: Iterable[int]
) -> pa.Table:
    """Return rows of some parts: others are left over from writes that did not finish."""
    names = table.names if columns is None else list(columns)
    rows = _select(table, list(dict.fromkeys([*names, "part"])), condition)
    live = np.isin(rows.column("part").to_numpy(), np.fromiter(parts, np.int64))
    return rows.filter(pa.array(live)).select(names)
