"""INTERACTION: drone recordings of junctions and roundabouts, with Lanelet2 maps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from kerbstone.errors import InputError
from kerbstone.formats.countries import driving_side_of
from kerbstone.formats.files import Columns, bare_name, find_packed, read_csv
from kerbstone.formats.lanelet2 import read_lanelet2
from kerbstone.formats.registry import Log
from kerbstone.scene import (
    Agents,
    Clock,
    Kind,
    Scene,
    Source,
    agents_from_rows,
    derive_heading,
)

KINDS = {
    "car": Kind.CAR,
    "truck": Kind.TRUCK,
    "bus": Kind.BUS,
    "motorcycle": Kind.MOTORCYCLE,
    "bicycle": Kind.CYCLIST,
    "pedestrian": Kind.PEDESTRIAN,
    "pedestrian/bicycle": Kind.PEDESTRIAN,
}

_TRACKS = re.compile(r"(vehicle|pedestrian)_tracks_(\w+)\.csv")
_DT_NS = 100_000_000
_COLUMNS = {
    "track_id": str,
    "frame_id": int,
    "timestamp_ms": int,
    "agent_type": str,
    "x": float,
    "y": float,
    "vx": float,
    "vy": float,
}
_BOX = {"psi_rad": float, "length": float, "width": float}
# The data set does not tell people on foot from people on bicycles. Hardly anyone walks this fast.
_CYCLING_SPEED = 3.0


class Interaction:
    """INTERACTION recordings: `recorded_trackfiles/PLACE/vehicle_tracks_NNN.csv` and more.

    A `pedestrian_tracks_NNN.csv` beside it belongs to the same scene. The map is
    `maps/PLACE.osm`, beside the recordings or up to two folders above; a recording without one is
    a scene without a map. Coordinates are the data set's own plane, at 10 Hz. There is no
    recording car.

    Labels `pedestrian/bicycle` become cyclists where they mostly move faster than 3 m/s, and
    pedestrians elsewhere; `Source.derived` then lists "kind". The prediction task's files, which
    are cut into cases, are not read.
    """

    name = "interaction"
    title = "INTERACTION"
    reads = "vehicle and pedestrian tracks (CSV) with Lanelet2 maps"
    extra = ""

    def claim(self, folder: Path, names: frozenset[str]) -> Iterable[Log]:
        """Give one log per recording, of vehicles, of pedestrians or of both."""
        recordings: dict[str, list[str]] = {}
        for name in sorted(names, reverse=True):  # vehicles first
            match = _TRACKS.fullmatch(bare_name(name))
            if match:
                recordings.setdefault(match[2], []).append(name)
        road = _find_map(folder)
        for number, files in sorted(recordings.items()):
            paths = [folder / file for file in files]
            yield Log(
                format=self.name,
                name=f"{self.name}/{folder.name}/{number}",
                path=paths[0],
                files=(*paths, *([road] if road else [])),
                claimed=tuple(files),
            )

    def read(self, log: Log) -> Iterator[Scene]:
        """Give the recording as one scene.

        Raises:
            InputError: A file is malformed, or its times do not follow its frames.
        """
        place = log.path.parent.name
        road = _find_map(log.path.parent)
        tables = [(path, _read_tracks(path)) for path in log.files if path != road]
        first = min(int(table["timestamp_ms"].min()) for _, table in tables)
        last = max(int(table["timestamp_ms"].max()) for _, table in tables)
        clock = Clock(first * 1_000_000, _DT_NS, (last - first) // 100 + 1)
        agents, derived = _make_agents(tables, first, clock, log.path)
        yield Scene(
            id=log.name,
            clock=clock,
            agents=agents,
            ego=None,
            source=Source(
                dataset=self.name,
                log=log.name.split("/")[-1],
                town=place,
                licence="INTERACTION dataset, non-commercial research use",
                driving_side=driving_side_of(next(iter(place.split("_")[1:]), "")),
                path=str(log.path.parent),
                derived=derived,
            ),
            map=None if road is None else read_lanelet2(road),
        )


def _find_map(folder: Path) -> Path | None:
    above = [folder, *folder.parents][:4]
    found = (find_packed(place / "maps", f"{folder.name}.osm") for place in above)
    return next((path for path in found if path is not None), None)


def _read_tracks(path: Path) -> Columns:
    table = read_csv(path, _COLUMNS, optional=_BOX)
    where = str(path)
    if not len(table["track_id"]):
        raise InputError("empty", "the recording has no rows", where=where)
    times, frames = table["timestamp_ms"], table["frame_id"]
    off = times - times[0] != 100 * (frames - frames[0])
    if off.any():
        row = int(np.argmax(off))
        raise InputError(
            "clock",
            "a time does not follow from its frame",
            where=f"{where}, row {row}",
            why=f"frame {frames[row]} at {times[row]} ms, where frames are 100 ms apart and "
            f"frame {frames[0]} is at {times[0]} ms",
            remedy="resample the recording to 10 Hz",
        )
    same = table["track_id"][1:] == table["track_id"][:-1]
    back = np.concatenate([[False], same & (np.diff(times) < 0)])
    if back.any():
        row = int(np.argmax(back))
        raise InputError(
            "clock",
            "a track goes backwards in time",
            where=f"{where}, row {row}, track {table['track_id'][row]}",
            why=f"{times[row]} ms follows {times[row - 1]} ms",
            remedy="sort the rows by track and time",
        )
    for name in ("vx", "vy", *(_BOX.keys() & table.keys())):
        lost = ~np.isfinite(table[name])
        if lost.any():
            row = int(np.argmax(lost))
            raise InputError(
                "value", f"column {name!r} is not a number", where=f"{where}, row {row}"
            )
    return table


def _make_agents(
    tables: list[tuple[Path, Columns]], first_ms: int, clock: Clock, path: Path
) -> tuple[Agents, tuple[str, ...]]:
    """Return the agents of all files, and what had to be derived."""

    def column(name: str) -> np.ndarray:
        return np.concatenate(
            [table.get(name, np.full(len(table["x"]), np.nan)) for _, table in tables]
        )

    heading = column("psi_rad")
    nowhere = np.full_like(heading, np.nan)
    agents = agents_from_rows(
        track=column("track_id"),
        step=(column("timestamp_ms") - first_ms) // 100,
        steps=clock.steps,
        dt=clock.dt,
        label=column("agent_type"),
        kinds=KINDS,
        centre=np.column_stack([column("x"), column("y"), nowhere]),
        heading=heading,
        velocity=np.column_stack([column("vx"), column("vy")]),
        size=np.column_stack([column("length"), column("width"), nowhere]),
        where=str(path),
    )
    return _complete(agents)


def _complete(agents: Agents) -> tuple[Agents, tuple[str, ...]]:
    """Fill in what pedestrian files leave open: where people look, and who rides a bicycle."""
    undecided = np.array([name == "pedestrian/bicycle" for name in agents.label])
    if not undecided.any():
        return agents, ()
    speed = np.where(agents.valid, agents.speed, np.nan)[undecided]
    kind = agents.kind.copy()
    riding = np.nanmedian(speed, axis=1) > _CYCLING_SPEED
    kind[np.flatnonzero(undecided)[riding]] = Kind.CYCLIST
    motion = derive_heading(agents.centre, agents.valid)
    heading = np.where(np.isnan(agents.heading), motion, agents.heading)
    return replace(agents, kind=kind, heading=heading), ("heading", "kind")
