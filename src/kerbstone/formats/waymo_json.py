"""Waymo Open Motion scenarios in the JSON form that was written for GPUDrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.errors import InputError
from kerbstone.formats.files import bare_name, open_bytes, read_json
from kerbstone.formats.registry import Log
from kerbstone.formats.waymo_roads import build_map, read_signals
from kerbstone.scene import (
    Agents,
    Clock,
    DrivingSide,
    Kind,
    Scene,
    Source,
    agents_from_rows,
    angle_difference,
)

KINDS = {
    "vehicle": Kind.CAR,
    "pedestrian": Kind.PEDESTRIAN,
    "cyclist": Kind.CYCLIST,
    "other": Kind.UNKNOWN,
    "unset": Kind.UNKNOWN,
}

LICENCE = (
    "Waymo Dataset License Agreement for Non-Commercial Use. This was made using the Waymo Open "
    "Dataset, provided by Waymo LLC under license terms available at waymo.com/open."
)

_DT_NS = 100_000_000
_LOST = -9_999.0  # steps without a measurement are often written as -10000
# Telling degrees from radians by motion: where the vehicles move, and how well headings must fit.
_MOVING = 2.0
_SAMPLES = 10
_FIT = np.pi / 9


class WaymoJson:
    """Waymo Open Motion scenarios as JSON, one log per file (`tfrecord-….json`, also `.xz`, `.gz`).

    A file holds `objects`, `roads`, `tl_states` and, in newer files, `metadata`, which tells the
    recording car; without it no agent is ego.

    Headings are in degrees in some files and in radians in others. The unit is the one in which
    moving vehicles point where they go; where too little moves, headings beyond a full turn of
    radians are degrees, and all others radians. `Source.extra` says what was found
    ("heading_unit") and how ("heading_unit_by").

    Lanes come without their graph: what follows and borders what is inferred from the centre
    lines, and `Source.derived` lists "lane-graph". Lanes of a single point are left out and
    counted in `Source.extra`. In older files the map says neither who a lane is for nor how a
    line is painted; both are UNKNOWN there.
    """

    name = "waymo-json"
    title = "Waymo Open Motion (GPUDrive JSON)"
    reads = "objects, roads and traffic lights of a 9 s scenario"
    extra = ""

    def claim(self, folder: Path, names: frozenset[str]) -> Iterable[Log]:
        """Give one log per scenario file."""
        for name in sorted(names):
            bare = bare_name(name)
            path = folder / name
            if bare.endswith(".json") and path.is_file() and _is_scenario(path):
                yield Log(
                    format=self.name,
                    name=f"{self.name}/{bare.removesuffix('.json')}",
                    path=path,
                    files=(path,),
                    claimed=(name,),
                )

    def read(self, log: Log) -> Iterator[Scene]:
        """Give the scenario as one scene.

        Raises:
            InputError: The file is malformed, or its headings fit neither unit.
        """
        where = str(log.path)
        scenario = read_json(log.path)
        try:
            yield _make_scene(scenario, log, where)
        except (KeyError, TypeError, AttributeError) as error:
            what = f"key {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(
                "column",
                "the scenario lacks something that every scenario has",
                where=where,
                why=what,
                remedy="write the file again with GPUDrive's converter",
            ) from error


def _is_scenario(path: Path) -> bool:
    if path.name.startswith("tfrecord-"):
        return True
    try:
        with open_bytes(path) as file:
            head = file.read(400)
    except InputError:
        return False
    return (
        head.lstrip().startswith(b"{")
        and b'"name"' in head
        and (b'"objects"' in head or b'"scenario_id"' in head)
    )


def _make_scene(scenario: dict[str, Any], log: Log, where: str) -> Scene:
    objects = scenario["objects"]
    if not objects:
        raise InputError("empty", "the scenario has no objects", where=where)
    states = _read_states(objects, where)
    ids = [str(thing.get("id", row)) for row, thing in enumerate(objects)]
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise InputError("duplicate", "an object id appears twice", where=where, why=f"id {twice}")
    labels = np.array([thing["type"] for thing in objects])
    heading, unit, found_by = _find_unit(states, labels == "vehicle", where)
    steps = states.valid.shape[1]
    clock = Clock(0, _DT_NS, steps)
    agents = _make_agents(states, heading, ids, labels, clock, where)
    metadata = scenario.get("metadata") or {}
    car = metadata.get("sdc_track_index")
    if car is not None and not (0 <= car < len(ids) and states.valid[car].any()):
        raise InputError(
            "reference",
            "the recording car is no object, or never seen",
            where=where,
            why=f"object {car} of {len(ids)}",
        )
    road, left_out = build_map(scenario["roads"], log.name, where)
    extra: dict[str, Any] = {"heading_unit": unit, "heading_unit_by": found_by}
    if left_out:
        extra["lanes_of_one_point"] = left_out
    if metadata:
        extra["objects_of_interest"] = [str(name) for name in metadata["objects_of_interest"]]
        extra["tracks_to_predict"] = [
            {"agent": ids[track["track_index"]], "difficulty": track.get("difficulty", 0)}
            for track in metadata["tracks_to_predict"]
        ]
    return Scene(
        id=log.name,
        clock=clock,
        agents=agents,
        ego=None if car is None else agents.index(ids[car]),
        source=Source(
            dataset="waymo-open-motion",
            log=str(scenario.get("scenario_id", log.name.split("/")[-1])),
            licence=LICENCE,
            driving_side=DrivingSide.RIGHT,
            path=where,
            derived=("lane-graph",),
            extra=extra,
        ),
        map=road,
        signals=read_signals(scenario["tl_states"], road, steps, where),
    )


@dataclass(frozen=True)
class _States:
    """What is measured of each object at each step; anything where it is not valid."""

    position: Float64[np.ndarray, "object time 3"]
    velocity: Float64[np.ndarray, "object time 2"]
    heading: Float64[np.ndarray, "object time"]
    valid: Bool[np.ndarray, "object time"]
    size: Float64[np.ndarray, "object 3"]


def _read_states(objects: list[dict[str, Any]], where: str) -> _States:
    steps = len(objects[0]["valid"])
    for row, thing in enumerate(objects):
        for name in ("position", "velocity", "heading", "valid"):
            if len(thing[name]) != steps or not steps:
                raise InputError(
                    "truncated",
                    "an object's steps do not fit the others'",
                    where=f"{where}, object {row}",
                    why=f"{len(thing[name])} in {name!r}, {steps} in object 0",
                )
    nan = float("nan")

    def vectors(key: str, names: str) -> np.ndarray:
        return np.array(
            [[[point.get(axis, nan) for axis in names] for point in o[key]] for o in objects],
            np.float64,
        )

    try:
        states = _States(
            position=vectors("position", "xyz"),
            velocity=vectors("velocity", "xy"),
            heading=np.array([thing["heading"] for thing in objects], np.float64),
            valid=np.array([thing["valid"] for thing in objects], bool),
            size=np.array(
                [[thing["length"], thing["width"], thing.get("height", nan)] for thing in objects],
                np.float64,
            ),
        )
    except ValueError as error:
        raise InputError("value", "a state is not a number", where=where, why=str(error)) from error
    wrong = states.valid & (
        (states.position[..., :2] < _LOST).all(axis=-1)
        | ~np.isfinite(states.position[..., :2]).all(axis=-1)
        | ~np.isfinite(states.heading)
    )
    if wrong.any():
        row, step = np.argwhere(wrong)[0]
        raise InputError(
            "value",
            "a step is marked valid but has no pose",
            where=f"{where}, object {row}, step {step}",
            why=f"position {states.position[row, step]}, heading {states.heading[row, step]}",
            remedy="mark the step as not valid",
        )
    return states


def _find_unit(
    states: _States, is_vehicle: Bool[np.ndarray, " object"], where: str
) -> tuple[Float64[np.ndarray, "object time"], str, str]:
    """Return the headings in radians, their unit in the file, and by what it was found.

    Raises:
        InputError: Neither unit fits the direction of motion.
    """
    units = {"radians": states.heading, "degrees": np.radians(states.heading)}
    speed = np.hypot(states.velocity[..., 0], states.velocity[..., 1])
    moving = states.valid & is_vehicle[:, None] & (speed >= _MOVING)
    if moving.sum() < _SAMPLES:
        beyond = (np.abs(states.heading) > 2 * np.pi) & states.valid
        unit = "degrees" if beyond.any() else "radians"
        return units[unit], unit, "range"
    course = np.arctan2(states.velocity[..., 1], states.velocity[..., 0])[moving]
    misfit = {
        unit: float(np.median(np.abs(angle_difference(course, heading[moving]))))
        for unit, heading in units.items()
    }
    unit = min(misfit, key=lambda name: misfit[name])
    if misfit[unit] > _FIT:
        raise InputError(
            "heading-unit",
            "headings fit the direction of motion neither as degrees nor as radians",
            where=where,
            why=", ".join(f"off by {np.degrees(off):.0f}° as {u}" for u, off in misfit.items()),
            remedy="check how the file was made: headings are counter-clockwise from x (east)",
        )
    return units[unit], unit, "motion"


def _make_agents(
    states: _States,
    heading: Float64[np.ndarray, "object time"],
    ids: list[str],
    labels: np.ndarray,
    clock: Clock,
    where: str,
) -> Agents:
    row, step = np.nonzero(states.valid)
    return agents_from_rows(
        track=np.array(ids)[row],
        step=step,
        steps=clock.steps,
        dt=clock.dt,
        label=labels[row],
        kinds=KINDS,
        centre=states.position[row, step],
        heading=heading[row, step],
        velocity=states.velocity[row, step],
        size=states.size[row],
        where=where,
    )
