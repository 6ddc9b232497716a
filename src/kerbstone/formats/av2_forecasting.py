"""Argoverse 2 motion-forecasting scenarios: 11 s of tracks at 10 Hz, with a map.

A scenario is a folder with `scenario_<id>.parquet` and `log_map_archive_<id>.json`, or the two
files beside those of others. Positions are box centres in the city frame; there are no heights
and no sizes. Headings and velocities are the tracker's own. The recording car is the track `AV`.

Scenarios of the test split end where the observed part does; so does their scene.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerbstone.errors import InputError
from kerbstone.formats.av2_map import LICENCE, TOWNS, read_map
from kerbstone.formats.files import (
    Columns,
    bare_name,
    check_finite,
    find_packed,
    read_parquet,
    split_of,
)
from kerbstone.formats.registry import Log
from kerbstone.scene import Clock, DrivingSide, Kind, Scene, Source, agents_from_rows

KINDS = {
    "vehicle": Kind.CAR,
    "pedestrian": Kind.PEDESTRIAN,
    "motorcyclist": Kind.MOTORCYCLE,
    "cyclist": Kind.CYCLIST,
    "bus": Kind.BUS,
    "static": Kind.OBJECT,
    "background": Kind.OBJECT,
    "construction": Kind.OBJECT,
    "riderless_bicycle": Kind.BICYCLE,
    "unknown": Kind.UNKNOWN,
}
"""What each published object type stands for; `vehicle` is any motor vehicle but a bus."""

_EGO = "AV"
_COLUMNS = (
    dict.fromkeys(("track_id", "object_type", "focal_track_id", "city"), str)
    | dict.fromkeys(("object_category", "timestep", "num_timestamps"), int)
    | dict.fromkeys(("position_x", "position_y", "heading", "velocity_x", "velocity_y"), float)
    | dict.fromkeys(("start_timestamp", "end_timestamp"), float)
    | {"observed": bool}
)


@dataclass(frozen=True)
class Av2Forecasting:
    """Reader of Argoverse 2 motion-forecasting scenarios."""

    name: str = "av2-forecasting"
    title: str = "Argoverse 2 motion-forecasting scenarios"
    reads: str = "scenario_*.parquet with its map; focal track and track categories are kept"
    extra: str = ""

    def claim(self, folder: Path, names: frozenset[str]) -> Iterable[Log]:
        """Give the scenarios among `names`: their folders, or their Parquet files."""
        for name in sorted(names):
            bare = bare_name(name)
            if bare.startswith("scenario_") and bare.endswith(".parquet"):
                id_ = bare.removeprefix("scenario_").removesuffix(".parquet")
                yield _log(folder / name, id_, whole=False)
            elif path := find_packed(folder / name, f"scenario_{name}.parquet"):
                yield _log(path, name, whole=True)

    def read(self, log: Log) -> Iterator[Scene]:
        """Give the scenario as one scene.

        Raises:
            InputError: A file is missing or malformed.
        """
        yield _read_scene(log)


def _log(path: Path, id_: str, *, whole: bool) -> Log:
    road = find_packed(path.parent, f"log_map_archive_{id_}.json")
    files = (path, road) if road else (path,)
    return Log(
        format="av2-forecasting",
        name=f"av2-forecasting/{id_}",
        path=path.parent if whole else path,
        files=files,
        claimed=(path.parent.name,) if whole else tuple(file.name for file in files),
    )


def _read_scene(log: Log) -> Scene:
    path, *road = log.files
    rows = read_parquet(path, _COLUMNS)
    if not len(rows["timestep"]):
        raise InputError("empty", "there are no tracks in the scenario", where=str(path))
    check_finite(rows, path)
    clock = _read_clock(rows, path)
    agents = agents_from_rows(
        track=rows["track_id"],
        step=rows["timestep"],
        steps=clock.steps,
        dt=clock.dt,
        label=rows["object_type"],
        kinds=KINDS,
        centre=np.stack(
            [rows["position_x"], rows["position_y"], np.full(len(rows["timestep"]), np.nan)],
            axis=-1,
        ),
        heading=rows["heading"],
        velocity=np.stack([rows["velocity_x"], rows["velocity_y"]], axis=-1),
        where=str(path),
    )
    categories = dict(zip(rows["track_id"], rows["object_category"].tolist(), strict=True))
    city = str(rows["city"][0])
    return Scene(
        id=log.name,
        clock=clock,
        agents=agents,
        ego=agents.ids.index(_EGO) if _EGO in agents.ids else None,
        source=Source(
            dataset="av2-forecasting",
            log=log.name.removeprefix("av2-forecasting/"),
            town=TOWNS.get(city, city),
            licence=LICENCE,
            driving_side=DrivingSide.RIGHT,
            path=str(log.path),
            split=split_of(log.path),
            extra={
                "focal_track": str(rows["focal_track_id"][0]),
                "observed_steps": int(rows["timestep"][rows["observed"]].max(initial=-1)) + 1,
                "track_categories": categories,
            },
        ),
        map=read_map(road[0]) if road else None,
    )


def _read_clock(rows: Columns, path: Path) -> Clock:
    """Return the clock, which a scenario gives by its first and last time and their number."""
    start, end = (round(float(rows[f"{side}_timestamp"][0])) for side in ("start", "end"))
    number, last = int(rows["num_timestamps"][0]), int(rows["timestep"].max())
    if number < 2 or end <= start or last >= number:
        raise InputError(
            "clock",
            "the times of a scenario do not fit together",
            where=str(path),
            why=f"{number} steps from {start} ns to {end} ns, and a row at step {last}",
        )
    # Times are stored as floats of some 60 ns resolution; the step is a whole millisecond.
    dt_ns = round((end - start) / (number - 1) / 1e6) * 1_000_000
    return Clock(start, dt_ns, last + 1)
