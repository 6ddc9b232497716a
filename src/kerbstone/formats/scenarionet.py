"""ScenarioNet scenarios: pickled dicts into which many data sets have been converted.

A file holds one scenario: tracks as arrays over time, map features, traffic lights. It is read by
an unpickler that builds plain data and runs nothing. Positions are box centres, headings are
counter-clockwise from east [rad], times are seconds from the start.

What its converters did to the data is undone, or told in `source.derived`:

- nuScenes: boxes were interpolated from 2 Hz to 10 Hz ("interpolated"). Velocities are differences
  to the next step with zeros at either end of a track, so they are derived anew. The ego car has
  length and width swapped, and its position is the rear axle on the ground: its box is moved
  ahead. The third column of lanes is a heading, and constant speed limits mean nothing. Outlines
  of the drivable area are written as painted lines; here they are road edges.
- Argoverse 2: sizes are the converter's guesses by class ("size").
- Where no lane names its followers, the lane graph is inferred from the lines ("lane_graph").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError, suggest_name
from kerbstone.formats import nuscenes
from kerbstone.formats.files import bare_name, open_bytes, split_of
from kerbstone.formats.pickles import read_pickle
from kerbstone.formats.registry import Log
from kerbstone.formats.scenarionet_roads import build_map, read_signals
from kerbstone.scene import (
    NS_PER_S,
    Clock,
    DrivingSide,
    Kind,
    Scene,
    Source,
    agents_from_rows,
)

KINDS = nuscenes.KINDS | {
    "VEHICLE": Kind.CAR,
    "PEDESTRIAN": Kind.PEDESTRIAN,
    "CYCLIST": Kind.CYCLIST,
    "OTHER": Kind.UNKNOWN,
    "UNSET": Kind.UNKNOWN,
    "TRAFFIC_BARRIER": Kind.OBJECT,
    "TRAFFIC_CONE": Kind.OBJECT,
    "TRAFFIC_OBJECT": Kind.OBJECT,
    # The converter writes a nuScenes bicycle as CYCLIST and drops whether it has a rider.
    "vehicle.bicycle": Kind.CYCLIST,
}
"""ScenarioNet's own types, and the finer nuScenes categories that it keeps beside them."""

_LICENCES = {
    "nuscenes": nuscenes.LICENCE,
    "nuplan": "CC BY-NC-SA 4.0, with the nuPlan terms of use",
    "waymo": "Waymo Dataset Licence Agreement for Non-Commercial Use",
    "av2": "CC BY-NC-SA 4.0",
}
_DERIVED = {
    "nuscenes": ("interpolated", "velocity", "ego_box"),
    "av2": ("size",),
}
_NOT_SCENARIOS = ("dataset_summary.pkl", "dataset_mapping.pkl")
_HEAD = 4096
# Keys of a scenario that stand near the start of the file, whichever data set it came from.
_SIGNS = (b"version", b"length")
_KEYS = ("tracks", "metadata", "map_features")


@dataclass(frozen=True)
class ScenarioNet:
    """Reader of ScenarioNet scenarios."""

    name: str = "scenarionet"
    title: str = "ScenarioNet scenarios"
    reads: str = "pickled scenarios (.pkl, .pkl.xz, .pkl.gz) of plain data, with map and lights"
    extra: str = ""

    def claim(self, folder: Path, names: frozenset[str]) -> Iterable[Log]:
        """Give the scenarios among `names`: pickles that begin as a scenario does."""
        for name in sorted(names):
            bare = bare_name(name)
            if bare.endswith(".pkl") and bare not in _NOT_SCENARIOS and _is_one(folder / name):
                path, stem = folder / name, bare.removesuffix(".pkl")
                yield Log(self.name, f"{self.name}/{stem}", path, (path,), (name,))

    def read(self, log: Log) -> Iterator[Scene]:
        """Give the scenario as one scene.

        Raises:
            InputError: The file is malformed, or asks to run something.
        """
        yield _read_scene(log)


def _is_one(path: Path) -> bool:
    try:
        with open_bytes(path) as file:
            head = file.read(_HEAD)
    except InputError:
        return False
    return all(sign in head for sign in _SIGNS) and (b"tracks" in head or b"metadata" in head)


def _read_scene(log: Log) -> Scene:
    where = str(log.path)
    content = read_pickle(log.path)
    if not isinstance(content, Mapping):
        raise InputError(
            "syntax",
            "a file is no scenario",
            where=where,
            why=f"it holds a {type(content).__name__}",
        )
    for key in _KEYS:
        if not isinstance(content.get(key), Mapping):
            raise _missing(key, content, where)
    try:
        return _build_scene(content, log)
    except InputError as error:
        error.where = error.where or where
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            "syntax",
            "a part of a scenario is not what it should be",
            where=where,
            why=f"{type(error).__name__}: {error}",
        ) from error


def _build_scene(content: Mapping[str, Any], log: Log) -> Scene:
    where = str(log.path)
    metadata = content["metadata"]
    dataset = str(metadata.get("dataset", "")).lower()
    clock, step = _read_clock(metadata, where)
    rows = _read_tracks(content["tracks"], len(step), where)
    ego = None if metadata.get("sdc_id") is None else str(metadata["sdc_id"])
    if ego is not None and ego not in set(rows.track):
        raise InputError(
            "reference",
            f"the recording car {ego!r} is in no step of the scenario",
            where=where,
            remedy=suggest_name(ego, set(rows.track.tolist())),
        )
    if dataset == "nuscenes":
        _restore_ego(rows, rows.track == ego)
    agents = agents_from_rows(
        track=rows.track,
        step=step[rows.step],
        steps=clock.steps,
        dt=clock.gaps,
        label=rows.label,
        kinds=KINDS,
        centre=rows.centre,
        heading=rows.heading,
        velocity=None if dataset == "nuscenes" else rows.velocity,
        size=rows.size,
        where=where,
    )
    road, is_inferred = build_map(
        content["map_features"], name=log.name, dataset=dataset, where=where
    )
    location = str(metadata.get("map", ""))
    derived = _DERIVED.get(dataset, ())
    return Scene(
        id=log.name,
        clock=clock,
        agents=agents,
        ego=None if ego is None else agents.index(ego),
        source=Source(
            dataset=dataset or "scenarionet",
            log=str(metadata.get("scenario_id", content.get("id", log.path.stem))),
            town=location,
            licence=_LICENCES.get(dataset, ""),
            driving_side=_driving_side(dataset, location),
            path=where,
            split=split_of(log.path),
            derived=(*derived, "lane_graph") if is_inferred else derived,
            extra=_read_extra(content, metadata),
        ),
        map=road,
        signals=read_signals(content.get("dynamic_map_states") or {}, road, len(step), where),
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """The valid states of all tracks, one row each."""

    track: np.ndarray
    label: np.ndarray
    step: np.ndarray
    centre: Float64[np.ndarray, "row 3"]
    heading: Float64[np.ndarray, " row"]
    velocity: Float64[np.ndarray, "row 2"]
    size: Float64[np.ndarray, "row 3"]


def _read_clock(metadata: Mapping[str, Any], where: str) -> tuple[Clock, np.ndarray]:
    times = metadata.get("ts", metadata.get("timestep"))
    if times is None:
        raise _missing("ts", metadata, where, part="metadata")
    times = np.asarray(times, np.float64).reshape(-1)
    if not np.isfinite(times).all():
        raise InputError("value", "a time is not a number", where=f"{where}, metadata 'ts'")
    # Times in single precision are off by up to some microseconds.
    return Clock.from_times(
        np.rint(times * 1e6).astype(np.int64) * (NS_PER_S // 10**6), where=where
    )


def _read_tracks(tracks: Mapping[Any, Mapping[str, Any]], steps: int, where: str) -> _Rows:
    if not tracks:
        raise InputError("empty", "there are no tracks in the scenario", where=where)
    names = [str(key) for key in tracks]
    states = [
        _read_state(track["state"], steps, f"{where}, track {name!r}")
        for name, track in zip(names, tracks.values(), strict=True)
    ]
    cells = np.stack(states)
    owner, step = np.nonzero(cells[..., _VALID] > 0.5)
    rows = cells[owner, step]
    size = rows[:, _SIZE]
    lost = ~np.isfinite(rows[:, _HEADING])
    if lost.any():
        row = int(np.argmax(lost))
        raise InputError(
            "value",
            "a heading is not a number",
            where=f"{where}, track {names[owner[row]]!r}, step {step[row]}",
        )
    return _Rows(
        track=np.array(names, object)[owner],
        label=np.array([_label_of(track) for track in tracks.values()], object)[owner],
        step=step,
        centre=rows[:, _CENTRE],
        heading=rows[:, _HEADING],
        velocity=rows[:, _VELOCITY],
        size=np.where(size > 0, size, np.nan),
    )


# Columns of a track's cells while it is read.
_CENTRE, _HEADING, _VELOCITY, _SIZE, _VALID = slice(0, 3), 3, slice(4, 6), slice(6, 9), 9


def _read_state(state: Mapping[str, Any], steps: int, where: str) -> Float64[np.ndarray, "time 10"]:
    columns = []
    for name, width, is_needed in (
        ("position", 3, True),
        ("heading", 1, True),
        ("velocity", 2, False),
        ("length", 1, False),
        ("width", 1, False),
        ("height", 1, False),
        ("valid", 1, True),
    ):
        if name not in state:
            if is_needed:
                raise _missing(name, state, where, part="state")
            columns.append(np.full((steps, width), np.nan))
            continue
        values = np.asarray(state[name], np.float64)
        if len(values) != steps:
            raise InputError(
                "shape",
                f"the track's {name} does not fit the steps",
                where=where,
                why=f"{len(values)} values, {steps} times in the metadata",
            )
        values = values.reshape(steps, -1)[:, :width]
        lacking = width - values.shape[1]
        columns.append(np.pad(values, ((0, 0), (0, lacking)), constant_values=np.nan))
    return np.concatenate(columns, axis=1)


def _label_of(track: Mapping[str, Any]) -> str:
    """Return the finest class that a track has: the data set's own where it is known."""
    own = track.get("metadata", {}).get("type")
    return str(own if own in KINDS else track["type"])


def _restore_ego(rows: _Rows, is_ego: np.ndarray) -> None:
    """Put the nuScenes ego car's box where the car is, with its length along it."""
    heading = rows.heading[is_ego]
    ahead, _, up = nuscenes.EGO_CENTRE
    forward = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    rows.centre[is_ego, :2] += ahead * forward
    rows.centre[is_ego, 2] += up
    rows.size[is_ego, :2] = -np.sort(-rows.size[is_ego, :2], axis=1)


def _driving_side(dataset: str, location: str) -> DrivingSide:
    if dataset in ("waymo", "av2"):
        return DrivingSide.RIGHT
    return nuscenes.driving_side(location)


def _read_extra(content: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    extra: dict[str, Any] = {"version": str(content.get("version", ""))}
    extra |= {
        key: str(metadata[key]) for key in ("date", "scenario_type", "log_name") if key in metadata
    }
    for key in ("tracks_to_predict", "objects_of_interest"):
        if key in metadata:
            extra[key] = [str(track) for track in metadata[key]]
    if "current_time_index" in metadata:
        extra["current_step"] = int(metadata["current_time_index"])
    return extra


def _missing(
    key: str, found: Mapping[str, Any], where: str, *, part: str = "scenario"
) -> InputError:
    return InputError(
        "column",
        f"the {part} lacks {key!r}",
        where=where,
        why="it has: " + ", ".join(map(str, found)),
    )
