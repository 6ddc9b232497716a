"""SUMO's floating-car data, as XML, CSV or Parquet, read stretch by stretch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.formats.files import bare_name, cut_off, open_bytes
from kerbstone.formats.sumo.xml_stream import iterate_children
from kerbstone.scene import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_NUMBERS = ("time", "x", "y", "angle", "speed")
_TEXTS = ("id", "type")
_OPTIONAL_NUMBERS = ("z",)
_OPTIONAL_TEXTS = ("lane",)
_BATCH = 65536


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of floating-car data: one road user at one time each.

    Args:
        time_ns: [ns].
        id: Id of the road user, as Arrow strings.
        type: Its vehicle type, as Arrow strings.
        lane: Its lane, as Arrow strings; null for persons and where it is not recorded.
        front: The middle of its front end [m].
        heading: Counter-clockwise from east [rad].
        speed: [m/s].
    """

    time_ns: Int64[np.ndarray, " row"]
    id: Any
    type: Any
    lane: Any
    front: Float64[np.ndarray, "row 3"]
    heading: Float64[np.ndarray, " row"]
    speed: Float64[np.ndarray, " row"]

    def __len__(self) -> int:
        return len(self.time_ns)

    def select(self, rows: Int64[np.ndarray, " chosen"]) -> Rows:
        """Return some rows, by their numbers."""
        return Rows(
            time_ns=self.time_ns[rows],
            id=self.id.take(rows),
            type=self.type.take(rows),
            lane=self.lane.take(rows),
            front=self.front[rows],
            heading=self.heading[rows],
            speed=self.speed[rows],
        )


def read_stretches(paths: Sequence[Path], *, duration: float) -> Iterator[Rows]:
    """Give the rows of recordings that run side by side, in stretches of some duration.

    Args:
        paths: Files of one simulation: `.xml`, `.csv` or `.parquet`, the first two also packed.
        duration: Length of a stretch [s].

    Raises:
        InputError: A file is missing, cut off or malformed, or a value in it is no number.
    """
    import pyarrow as pa

    streams = [_Stream(path) for path in paths]
    start = min(stream.first_time for stream in streams)
    k = 0
    while not all(stream.is_done for stream in streams):
        k += 1
        # Half a millisecond aside of any step, so that rounding never moves a step's rows apart.
        tables = [stream.take_until(start + k * duration - 5e-4) for stream in streams]
        table = pa.concat_tables(tables)
        if table.num_rows:
            yield _to_rows(table)


class _Stream:
    """One recording, handed out up to a time."""

    def __init__(self, path: Path) -> None:
        self._batches = iter(_batches(path))
        self._table = next(self._batches, None)
        if self._table is None:
            raise InputError(
                "empty",
                "a recording of floating-car data is empty",
                where=str(path),
                remedy="record while there is traffic",
            )
        self.first_time = float(self._table["time"][0].as_py())

    @property
    def is_done(self) -> bool:
        return self._table is None

    def take_until(self, time: float) -> Any:
        """Return the rows before a time [s] that were not handed out yet."""
        import pyarrow as pa

        taken = []
        while self._table is not None:
            count = int(np.searchsorted(self._table["time"].to_numpy(), time))
            taken.append(self._table.slice(0, count))
            if count < self._table.num_rows:
                self._table = self._table.slice(count)
                break
            self._table = next(self._batches, None)
        return pa.concat_tables(taken) if taken else _empty()


def _batches(path: Path) -> Iterator[Any]:
    """Give a recording's rows in order of time, as tables of the canonical columns."""
    name = bare_name(path.name).lower()
    read = (
        _parquet_batches
        if name.endswith(".parquet")
        else _csv_batches
        if name.endswith(".csv")
        else _xml_batches
    )
    last = -np.inf
    for table in read(path):
        if table.num_rows == 0:
            continue
        _check(table, path, last)
        last = table["time"][-1].as_py()
        yield table


def _parquet_batches(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH):
                yield _canonical(pa.table(batch), path)
    except FileNotFoundError:
        raise InputError("missing-file", "there is no such file", where=str(path)) from None
    except pa.ArrowException as error:
        raise cut_off(path, str(error)) from None


def _csv_batches(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import csv

    with open_bytes(path) as file:
        header = file.readline().decode("utf-8", errors="replace").strip()
    separator = ";" if ";" in header else ","
    names = header.split(separator)
    numbers = {n: pa.float64() for n in names if _plain(n) in (*_NUMBERS, *_OPTIONAL_NUMBERS)}
    texts = {n: pa.string() for n in names if _plain(n) in (*_TEXTS, *_OPTIONAL_TEXTS)}
    with open_bytes(path) as file:
        try:
            reader = csv.open_csv(
                file,
                parse_options=csv.ParseOptions(delimiter=separator),
                convert_options=csv.ConvertOptions(
                    column_types=numbers | texts,
                    include_columns=[*numbers, *texts],
                    strings_can_be_null=True,
                ),
            )
            for batch in reader:
                yield _canonical(pa.table(batch), path)
        except pa.ArrowException as error:
            raise InputError(
                "syntax", "a CSV file cannot be read", where=str(path), why=str(error)
            ) from None


def _xml_batches(path: Path) -> Iterator[Any]:
    columns: dict[str, list[Any]] = {}
    count = 0

    def flush() -> Any:
        import pyarrow as pa

        try:
            return _canonical(pa.table(columns), path)
        finally:
            columns.clear()

    wanted = (*_NUMBERS[1:], *_TEXTS, *_OPTIONAL_NUMBERS, *_OPTIONAL_TEXTS)
    for step in iterate_children(path, root="fcd-export"):
        time = step.attrib.get("time")
        for element in step:
            if element.tag in {"vehicle", "person", "container"}:
                columns.setdefault("time", []).append(time)
                for name in wanted:
                    columns.setdefault(name, []).append(element.attrib.get(name))
                count += 1
        if count >= _BATCH:
            yield flush()
            count = 0
    if count:
        yield flush()


def _plain(name: str) -> str:
    """Return an attribute's name without the tags that SUMO puts before it in tables."""
    return name.rpartition("_")[2]


def _canonical(table: Any, path: Path) -> Any:
    """Return a table with the canonical columns.

    Vehicles and persons may share columns (`vehicle_id`, or just `id`) or have their own
    (`vehicle_id` and `person_id`, empty where the row is the other's).
    """
    import pyarrow as pa
    from pyarrow import compute

    columns: dict[str, Any] = {}
    for name in (*_NUMBERS, *_TEXTS, *_OPTIONAL_NUMBERS, *_OPTIONAL_TEXTS):
        same = [table[column] for column in table.column_names if _plain(column) == name]
        if not same and name in (*_NUMBERS, *_TEXTS):
            raise InputError(
                "column",
                f"floating-car data lacks the column {name!r}",
                where=str(path),
                why="the file has: " + ", ".join(table.column_names),
                remedy="record it with SUMO's default attributes, or add the missing one to "
                "--fcd-output.attributes",
            )
        kind = pa.string() if name in (*_TEXTS, *_OPTIONAL_TEXTS) else pa.float64()
        try:
            column = (
                compute.call_function("coalesce", same) if same else pa.nulls(table.num_rows, kind)
            )
            columns[name] = column.cast(kind)
        except pa.ArrowException as error:
            raise InputError(
                "value", f"column {name!r} holds what is no number", where=str(path), why=str(error)
            ) from None
    # Steps at which nobody is there have a row of their own in some tables.
    return pa.table(columns).filter(columns["id"].is_valid())


def _check(table: Any, path: Path, last: float) -> None:
    time = table["time"].to_numpy()
    gaps = np.diff(np.concatenate([[last], time]))
    if (gaps < 0).any():
        row = int(np.argmax(gaps < 0))
        raise InputError(
            "clock", "times go backwards", where=f"{path}, at time {time[row]} s",
            remedy="sort the recording by time",
        )  # fmt: skip
    for name in _NUMBERS:
        values = table[name].to_numpy()
        if not np.isfinite(values).all():
            row = int(np.argmax(~np.isfinite(values)))
            agent, time_s = table["id"][row].as_py(), table["time"][row].as_py()
            raise InputError(
                "value",
                f"{name!r} is not a number",
                where=f"{path}, road user {agent!r} at time {time_s} s",
                remedy="record it again; SUMO itself writes finite numbers only",
            )
    if table["type"].null_count:
        row = table["type"].is_null().to_pylist().index(True)
        raise InputError(
            "value", "a road user has no type",
            where=f"{path}, road user {table['id'][row].as_py()!r}",
        )  # fmt: skip


def _empty() -> Any:
    import pyarrow as pa

    names = (*_NUMBERS, *_TEXTS, *_OPTIONAL_NUMBERS, *_OPTIONAL_TEXTS)
    texts = (*_TEXTS, *_OPTIONAL_TEXTS)
    return pa.table(
        {name: pa.array([], pa.string() if name in texts else pa.float64()) for name in names}
    )


def _to_rows(table: Any) -> Rows:
    table = table.combine_chunks()

    def numbers(name: str) -> np.ndarray:
        return table[name].fill_null(0.0).to_numpy().astype(np.float64)

    turned = np.radians(90.0 - numbers("angle"))
    return Rows(
        time_ns=np.rint(numbers("time") * NS_PER_S).astype(np.int64),
        id=table["id"].combine_chunks(),
        type=table["type"].combine_chunks(),
        lane=table["lane"].combine_chunks(),
        front=np.stack([numbers("x"), numbers("y"), numbers("z")], axis=1),
        heading=np.remainder(turned + np.pi, 2 * np.pi) - np.pi,
        speed=numbers("speed"),
    )
