"""A plain table with one row per road user and time, for people with their own car."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from kerbstone.errors import InputError
from kerbstone.formats.files import Columns, bare_name, open_bytes, read_csv, read_parquet
from kerbstone.formats.registry import Log
from kerbstone.scene import Agents, Clock, Kind, Scene, Source, agents_from_rows

KINDS = {kind.name.lower(): kind for kind in Kind}

_REQUIRED = {"agent": str, "kind": str, "x": float, "y": float}
_TIMES = {"time_ns": int, "time_s": float}
_OPTIONAL = {
    "scene": str,
    "label": str,
    "z": float,
    "heading": float,
    "vx": float,
    "vy": float,
    "length": float,
    "width": float,
    "height": float,
    "ego": bool,
}


class Table:
    """A table of road users, CSV (also `.xz`, `.gz`) or Parquet, one row per agent and time.

    | column | unit | |
    |---|---|---|
    | `time_s` or `time_ns` | s, ns | required; evenly spaced but for missing steps and jitter |
    | `agent` | | required; name of the road user, text or number |
    | `kind` | | required; `car`, `truck`, `bus`, `trailer`, `train`, `motorcycle`, `cyclist`, \
`bicycle` (without rider), `pedestrian`, `rider` (scooter), `animal`, `object` or `unknown` |
    | `x`, `y` | m | required; middle of the box, x east, y north, in any plane of your own |
    | `z` | m | height of the middle of the box |
    | `heading` | rad | where the box's length points, counter-clockwise from x; from motion if absent |
    | `vx`, `vy` | m/s | velocity; from the positions if absent |
    | `length`, `width`, `height` | m | size of the box |
    | `ego` | true, false | marks the rows of the recording car |
    | `scene` | | name of the scene, where a file holds several |
    | `label` | | your own class name; `kind` if absent |

    Rows may come in any order, other columns are ignored, and a number left empty is not known. A
    time at which an agent was not seen has no row.
    """

    name = "table"
    title = "Plain table"
    reads = "CSV or Parquet with columns time_s (or time_ns), agent, kind, x, y and more"
    extra = ""

    def claim(self, folder: Path, names: frozenset[str]) -> Iterable[Log]:
        """Give one log per file that has the required columns."""
        for name in sorted(names):
            path = folder / name
            stem, _, ending = bare_name(name).rpartition(".")
            if ending not in ("csv", "parquet") or not path.is_file():
                continue
            columns = set(_read_header(path, ending))
            if _REQUIRED.keys() <= columns and columns & _TIMES.keys():
                yield Log(
                    format=self.name,
                    name=f"{self.name}/{folder.name}/{stem}",
                    path=path,
                    files=(path,),
                    claimed=(name,),
                )

    def read(self, log: Log) -> Iterator[Scene]:
        """Give the scenes of the file, in the order of their first rows.

        Raises:
            InputError: A value is missing or wrong, a time or an agent appears twice, or times are
                not evenly spaced.
        """
        read = read_parquet if bare_name(log.path.name).endswith(".parquet") else read_csv
        table = read(log.path, _REQUIRED, optional=_TIMES | _OPTIONAL)
        where = str(log.path)
        count = len(table["agent"])
        if not count:
            raise InputError("empty", "the table has no rows", where=where)
        if not _TIMES.keys() & table.keys():
            raise InputError(
                "column", "column 'time_s' is missing", where=where, remedy="or give 'time_ns'"
            )
        names, first, scene_of = np.unique(
            table.get("scene", np.zeros(count)), return_index=True, return_inverse=True
        )
        for number in np.argsort(first):
            part = np.flatnonzero(scene_of.reshape(-1) == number)
            scene = f"/{names[number]}" if "scene" in table else ""
            yield _make_scene(
                {name: column[part] for name, column in table.items()}, log, scene, where
            )


def write_table(scenes: Scene | Iterable[Scene], path: Path) -> None:
    """Write scenes as a plain table, in the columns that `Table` reads.

    Agents, kinds, sizes, positions, headings and velocities come back exactly as they were; maps,
    signals and sensors are not written. Times are those of the clock's steps; steps at the ends in
    which there is no agent are lost, as a table has no row for them.

    Args:
        scenes: One scene or several; several are told apart by their ids.
        path: A `.parquet` or `.csv` file.

    Raises:
        InputError: The ending is another, or there is no scene.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    parts = [table_rows(scene) for scene in ([scenes] if isinstance(scenes, Scene) else scenes)]
    if not parts:
        raise InputError("empty", "there is no scene to write", where=str(path))
    names = [name for name in parts[0] if name != "scene" or len(parts) > 1]
    table = pa.table({name: np.concatenate([part[name] for part in parts]) for name in names})
    if path.suffix == ".parquet":
        parquet.write_table(table, path)
    elif path.suffix == ".csv":
        arrow_csv.write_csv(table, path)
    else:
        raise InputError(
            "value", "a table is written as .parquet or .csv", where=str(path), why=path.suffix
        )


def table_rows(scene: Scene) -> Columns:
    """Return the rows of a scene, in the columns that `Table` reads, by agent and time."""
    agents = scene.agents
    row, step = np.nonzero(agents.valid)
    x, y, z = agents.centre[row, step].T
    vx, vy = agents.velocity[row, step].T
    length, width, height = agents.size[row].T
    kind = np.array([Kind(value).name.lower() for value in agents.kind], object)
    return {
        "scene": np.full(len(row), scene.id, object),
        "time_ns": scene.clock.times_ns[step],
        "agent": np.array(agents.ids, object)[row],
        "kind": kind[row],
        "label": np.array(agents.label, object)[row],
        "x": x,
        "y": y,
        "z": z,
        "heading": agents.heading[row, step],
        "vx": vx,
        "vy": vy,
        "length": length,
        "width": width,
        "height": height,
        "ego": row == scene.ego,
    }


def _read_header(path: Path, ending: str) -> list[str]:
    """Return a file's column names, without reading its rows; none if it is no table."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        if ending == "parquet":
            return parquet.read_schema(path).names
        with open_bytes(path) as file:
            line = file.read(8192).split(b"\n", 1)[0].decode("utf-8-sig")
        return next(csv.reader(io.StringIO(line)), [])
    except (InputError, pa.ArrowException, OSError, UnicodeDecodeError, csv.Error):
        return []


def _make_scene(table: Columns, log: Log, scene: str, where: str) -> Scene:
    time = read_times(table, where)
    moments, moment = np.unique(time, return_inverse=True)
    clock, steps = Clock.from_times(moments, where=where)
    count = len(time)
    nowhere = np.full(count, np.nan)

    def stack(*names: str) -> np.ndarray:
        return np.column_stack([table.get(name, nowhere) for name in names])

    has_velocity = {"vx", "vy"} <= table.keys()
    agents = agents_from_rows(
        track=table["agent"],
        step=steps[moment.reshape(-1)],
        steps=clock.steps,
        dt=clock.gaps,
        label=table["kind"],
        kinds=KINDS,
        centre=stack("x", "y", "z"),
        heading=table.get("heading"),
        velocity=stack("vx", "vy") if has_velocity else None,
        size=stack("length", "width", "height"),
        where=where,
    )
    derived = {"velocity": has_velocity, "heading": "heading" in table}
    return Scene(
        id=log.name + scene,
        clock=clock,
        agents=_with_labels(agents, table),
        ego=_find_ego(table, agents, where),
        source=Source(
            dataset="table",
            log=log.name.split("/", 1)[1] + scene,
            path=where,
            derived=tuple(name for name, given in derived.items() if not given),
        ),
    )


def read_times(table: Columns, where: str) -> np.ndarray:
    """Return the time of each row [ns].

    Args:
        table: Columns, with `time_ns` or `time_s`.
        where: The file, for errors.

    Raises:
        InputError: A time is missing or too far away for nanoseconds.
    """
    if "time_ns" in table:
        return table["time_ns"]
    seconds = table["time_s"]
    lost = ~(np.abs(seconds) < 9e9)  # what still fits into nanoseconds
    if lost.any():
        row = int(np.argmax(lost))
        raise InputError(
            "value", "a time is missing or no number of seconds", where=f"{where}, row {row}"
        )
    return np.rint(seconds * 1e9).astype(np.int64)


def _with_labels(agents: Agents, table: Columns) -> Agents:
    """Give agents the class names of their first rows."""
    if "label" not in table:
        return agents
    names, first = np.unique(table["agent"], return_index=True)
    labels = dict(zip(names.tolist(), table["label"][first].tolist(), strict=True))
    return replace(agents, label=tuple(labels[name] for name in agents.ids))


def _find_ego(table: Columns, agents: Agents, where: str) -> int | None:
    if "ego" not in table or not table["ego"].any():
        return None
    names = np.unique(table["agent"][table["ego"]])
    if len(names) > 1:
        raise InputError(
            "duplicate",
            "two agents are marked as the recording car",
            where=where,
            why=f"{names[0]} and {names[1]}",
            remedy="mark one agent per scene",
        )
    return agents.index(str(names[0]))
