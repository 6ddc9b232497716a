"""Roads and traffic lights of Waymo Open Motion scenarios in JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerbstone.errors import InputError, suggest_name
from kerbstone.formats.lane_links import infer_links
from kerbstone.scene import (
    LaneKind,
    Map,
    MapBuilder,
    Marking,
    PieceKind,
    Signals,
    SignalState,
)

_PIECES = {
    "lane": PieceKind.LANE_CENTRE,
    "road_line": PieceKind.LANE_BOUNDARY,
    "road_edge": PieceKind.ROAD_EDGE,
    "crosswalk": PieceKind.CROSSWALK,
    "speed_bump": PieceKind.SPEED_BUMP,
    "stop_sign": PieceKind.STOP_SIGN,
    "driveway": PieceKind.DRIVEWAY,
}
_OUTLINES = {"crosswalk", "speed_bump", "driveway"}

# `map_element_id` is Waymo's own number of what a piece is.
_LANE_KINDS = {1: LaneKind.VEHICLE, 2: LaneKind.VEHICLE, 3: LaneKind.BICYCLE}
_MARKINGS = {
    6: Marking.DASHED,
    7: Marking.SOLID,
    8: Marking.DOUBLE_SOLID,
    9: Marking.DASHED_YELLOW,
    10: Marking.DOUBLE_DASHED_YELLOW,
    11: Marking.SOLID_YELLOW,
    12: Marking.DOUBLE_SOLID_YELLOW,
    13: Marking.DOUBLE_DASHED_YELLOW,  # "passing double yellow"
}

_STATES = {
    "unknown": SignalState.UNKNOWN,
    "stop": SignalState.RED,
    "arrow_stop": SignalState.RED,
    "caution": SignalState.YELLOW,
    "arrow_caution": SignalState.YELLOW,
    "go": SignalState.GREEN,
    "arrow_go": SignalState.GREEN,
    "flashing_stop": SignalState.FLASHING_RED,
    "flashing_caution": SignalState.FLASHING_YELLOW,
}


def build_map(roads: list[dict[str, Any]], name: str, where: str) -> tuple[Map | None, int]:
    """Return the map of a scenario's `roads`, and how many lanes of a single point it lacks.

    Args:
        roads: The scenario's list.
        name: Id of the map.
        where: The file, for errors.

    Raises:
        InputError: A road is of an unknown type, or has no usable points.
    """
    road = MapBuilder()
    lanes: dict[str, tuple[LaneKind, int]] = {}
    centres: list[np.ndarray] = []
    left_out = 0
    for number, element in enumerate(roads):
        type_ = element["type"]
        if type_ not in _PIECES:
            raise InputError(
                "label",
                f"unknown road type {type_!r}",
                where=f"{where}, road {number}",
                remedy=suggest_name(str(type_), _PIECES),
            )
        id_ = str(element.get("id", number))
        if id_ in lanes:
            raise InputError("duplicate", "two lanes have one id", where=where, why=f"id {id_}")
        code = element.get("map_element_id", -1)
        points = _read_points(element["geometry"], f"{where}, road {number}")
        if type_ == "lane" and np.ptp(points[:, :2], axis=0).max() == 0:
            left_out += 1
            continue
        if type_ in _OUTLINES or len(points) == 1:
            points = np.concatenate([points, points[:1]])
        piece = road.add_piece(
            _PIECES[type_],
            points,
            id=id_,
            marking=_MARKINGS.get(code, Marking.UNKNOWN)
            if type_ == "road_line"
            else Marking.UNKNOWN,
        )
        if type_ == "lane":
            lanes[id_] = (_LANE_KINDS.get(code, LaneKind.UNKNOWN), piece)
            centres.append(points)
    _add_lanes(road, lanes, centres)
    return (road.build(name) if roads else None), left_out


def read_signals(
    lights: dict[str, dict[str, Any]], road: Map | None, steps: int, where: str
) -> Signals | None:
    """Return a scenario's traffic lights, UNKNOWN at steps at which they were not seen.

    Args:
        lights: The scenario's `tl_states`, by the id of the lane that a light controls.
        road: The scenario's map.
        steps: Length of the time axis.
        where: The file, for errors.

    Raises:
        InputError: A state is unknown, or lies outside the scenario's steps.
    """
    if not lights:
        return None
    rows = {} if road is None else {name: row for row, name in enumerate(road.lanes.ids)}
    state = np.zeros((len(lights), steps), np.uint8)
    stop = np.full((len(lights), 3), np.nan)
    for light, (lane, seen) in enumerate(lights.items()):
        step = np.asarray(seen["time_index"], np.int64)
        place = f"{where}, traffic light of lane {lane}"
        if len(step) != len(seen["state"]) or not ((step >= 0) & (step < steps)).all():
            raise InputError(
                "truncated",
                "a traffic light's states do not fit the steps",
                where=place,
                why=f"{len(seen['state'])} states, {len(step)} times within {steps} steps",
            )
        unknown = set(seen["state"]) - set(_STATES)
        if unknown:
            name = min(unknown)
            raise InputError(
                "label",
                f"unknown state {name!r} of a traffic light",
                where=place,
                remedy=suggest_name(name, _STATES),
            )
        state[light, step] = [_STATES[name] for name in seen["state"]]
        if len(step):
            stop[light] = [seen[axis][0] if axis in seen else np.nan for axis in "xyz"]
    lane_row = np.array([rows.get(lane, -1) for lane in lights], np.int64)
    return Signals(lane=lane_row, stop_point=stop, state=state)


def _read_points(geometry: Any, where: str) -> np.ndarray:
    nan = float("nan")
    points = [geometry] if isinstance(geometry, dict) else geometry
    array = np.array(
        [(point["x"], point["y"], point.get("z", nan)) for point in points], np.float64
    ).reshape(-1, 3)
    if not len(array) or not np.isfinite(array[:, :2]).all():
        raise InputError("geometry", "a road has no usable points", where=where)
    return array


def _add_lanes(
    road: MapBuilder, lanes: dict[str, tuple[LaneKind, int]], centres: list[np.ndarray]
) -> None:
    names = list(lanes)
    links = infer_links(centres)

    def name_of(row: int) -> str | None:
        return names[row] if row >= 0 else None

    for row, (name, (kind, piece)) in enumerate(lanes.items()):
        road.add_lane(
            name,
            kind,
            piece,
            left=name_of(int(links.left[row])),
            right=name_of(int(links.right[row])),
            successors=[names[other] for other in links.following[row]],
        )
