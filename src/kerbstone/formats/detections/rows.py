"""Detections as rows of Arrow, Parquet or CSV files that hold one log or many.

A file is read once and split by log; the last one stays in memory, so that log after log of it can
be read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from kerbstone.errors import InputError, suggest_name
from kerbstone.formats.files import (
    Columns,
    bare_name,
    cut_off,
    open_bytes,
    read_bytes,
    read_csv,
    read_feather,
    read_parquet,
)
from kerbstone.scene import Clock

_READERS = {
    "feather": read_feather,
    "arrow": read_feather,
    "parquet": read_parquet,
    "csv": read_csv,
}


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one log.

    Args:
        path: Their file.
        number: Number of each row in it, from 0.
        columns: What they hold.
    """

    path: Path
    number: Int64[np.ndarray, " row"]
    columns: Columns

    def refuse(self, row: int, code: str, what: str, why: str, remedy: str = "") -> InputError:
        """Return an error about one of the rows, by its place in `number`."""
        where = f"{self.path}, row {self.number[row]}"
        return InputError(code, what, where=where, why=why, remedy=remedy)


def is_table(path: Path) -> bool:
    """Tell by its name whether a file is a table that can be read here."""
    return _ending(path) in _READERS


def column_names(path: Path) -> list[str]:
    """Return the names of a table's columns without reading its rows; none if it is no table."""
    import pyarrow as pa
    from pyarrow import ipc, parquet

    try:
        if _ending(path) == "csv":
            with open_bytes(path) as file:
                line = file.readline(65536).decode("utf-8-sig")
            return next(csv.reader(io.StringIO(line)), [])
        source = pa.BufferReader(read_bytes(path)) if _is_packed(path) else pa.memory_map(str(path))
        if _ending(path) == "parquet":
            return parquet.read_schema(source).names
        return ipc.open_file(source).schema.names
    except (InputError, pa.ArrowException, OSError, UnicodeDecodeError, csv.Error):
        return []


def require_columns(path: Path, columns: Iterable[str]) -> None:
    """Refuse a file that is broken or lacks a column, without reading its rows if it is sound.

    Raises:
        InputError: It is.
    """
    names = column_names(path)
    if not names:
        _READERS[_ending(path)](path, {})  # it tells what is wrong
    missing = [name for name in columns if name not in names]
    if missing:
        raise InputError(
            "column",
            f"column {missing[0]!r} is missing",
            where=str(path),
            why="the file has: " + ", ".join(names),
            remedy=suggest_name(missing[0], names) if names else "",
        )


def distinct(path: Path, column: str) -> list[str]:
    """Return the different values of a column of text, in the order in which they come first.

    Raises:
        InputError: The file is broken, lacks the column, or lacks a value of it.
    """
    import pyarrow as pa
    from pyarrow import feather

    if _ending(path) in ("feather", "arrow") and not _is_packed(path):
        try:  # `read_feather` would unpack the other columns too
            values = feather.read_table(path, columns=[column]).column(0)
        except (pa.ArrowException, OSError) as error:
            raise cut_off(path, str(error)) from None
        if values.null_count:
            row = values.is_null().to_pylist().index(True)
            raise InputError(
                "value", f"column {column!r} lacks a value", where=f"{path}, row {row}"
            )
        return [str(value) for value in values.unique().to_pylist()]
    return pa.array(_READERS[_ending(path)](path, {column: str})[column]).unique().to_pylist()


def read_rows(
    path: Path,
    columns: Mapping[str, type],
    *,
    optional: Mapping[str, type],
    split_by: str,
    part: str,
) -> Rows:
    """Read the rows of one log.

    Args:
        path: The file.
        columns: Columns that must be there, with their types.
        optional: Columns that are read where they are there.
        split_by: The column that names the log; without it all rows are of one.
        part: The log.

    Raises:
        InputError: The file is missing or malformed; see `files.read_feather`.
    """
    wanted = tuple(columns.items()), tuple(optional.items())
    found, place, names = _load(path, path.stat().st_mtime_ns, *wanted, split_by)
    if split_by not in found:
        rows = np.arange(len(next(iter(found.values()))))
    else:
        order, first = place
        number = names.get(part, -1)
        rows = order[first[number] : first[number + 1]] if number >= 0 else order[:0]
    return Rows(path, rows, {name: column[rows] for name, column in found.items()})


def steps_at(times_ns: Int64[np.ndarray, " row"], clock: Clock) -> Int64[np.ndarray, " row"]:
    """Return the step that was measured nearest to each time; -1 beyond half a step's distance."""
    measured = clock.measured_ns
    # Times far away must not overflow in differences.
    times_ns = np.clip(times_ns, measured[0] - clock.dt_ns, measured[-1] + clock.dt_ns)
    after = np.clip(np.searchsorted(measured, times_ns), 1, max(len(measured) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(measured) - 1)
    is_nearer = np.abs(measured[after] - times_ns) < np.abs(measured[before] - times_ns)
    step = np.where(is_nearer, after, before)
    return np.where(2 * np.abs(measured[step] - times_ns) <= clock.dt_ns, step, -1)


def concatenate_columns(parts: list[Columns]) -> Columns:
    """Return the rows of several files of one log; a column that one of them lacks is NaN there."""
    if len(parts) == 1:
        return parts[0]
    lengths = [len(next(iter(part.values()))) for part in parts]
    names = {name: column.dtype for part in parts for name, column in part.items()}
    return {
        name: np.concatenate(
            [
                part[name] if name in part else np.full(length, np.nan if kind.kind == "f" else "")
                for part, length in zip(parts, lengths, strict=True)
            ]
        )
        for name, kind in names.items()
    }


_Split = tuple[Int64[np.ndarray, " row"], Int64[np.ndarray, " bound"]]


@lru_cache(maxsize=1)
def _load(
    path: Path,
    changed_ns: int,
    columns: tuple[tuple[str, type], ...],
    optional: tuple[tuple[str, type], ...],
    split_by: str,
) -> tuple[Columns, _Split, dict[str, int]]:
    """Return a table, the order that brings logs together with their bounds in it, and the logs."""
    import pyarrow as pa

    del changed_ns  # a part of the key only
    found = _READERS[_ending(path)](path, dict(columns), optional=dict(optional))
    place, names = (np.zeros(0, np.int64), np.zeros(1, np.int64)), {}
    for name, column in found.items():
        if column.dtype != object:
            continue
        # Equal texts become one object: tables repeat few names in many rows.
        encoded = pa.array(column, pa.string()).dictionary_encode()
        values = encoded.dictionary.to_pylist()
        code = encoded.indices.to_numpy().astype(np.int64)
        found[name] = np.array(values, object)[code] if values else column
        if name == split_by:
            order = np.argsort(code, kind="stable")
            place = order, np.searchsorted(code[order], np.arange(len(values) + 1))
            names = {value: number for number, value in enumerate(values)}
    return found, place, names


def _ending(path: Path) -> str:
    return bare_name(path.name).rpartition(".")[2].lower()


def _is_packed(path: Path) -> bool:
    return bare_name(path.name) != path.name
