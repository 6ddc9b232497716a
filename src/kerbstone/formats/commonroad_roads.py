"""Lanelets, traffic signs and traffic lights of CommonRoad scenarios."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError, suggest_name
from kerbstone.formats.commonroad_values import find, read_float, read_point, read_text_of
from kerbstone.scene import (
    LaneKind,
    Map,
    MapBuilder,
    Marking,
    PieceKind,
    Signals,
    SignalState,
    Tristate,
)
from kerbstone.scene.polylines import resample

_VEHICLE_TYPES = (
    "urban interstate country highway mainCarriageWay driveWay intersection parking busStop"
)
_LANE_KINDS = {
    # What narrows a lane down comes before what only says where it lies.
    "crosswalk": LaneKind.PEDESTRIAN,
    "sidewalk": LaneKind.PEDESTRIAN,
    "bicycleLane": LaneKind.BICYCLE,
    "busLane": LaneKind.BUS,
    "shoulder": LaneKind.SHOULDER,
    "accessRamp": LaneKind.RAMP,
    "exitRamp": LaneKind.RAMP,
    "border": LaneKind.UNKNOWN,
    "restricted": LaneKind.UNKNOWN,
    "restricted_area": LaneKind.UNKNOWN,
    **dict.fromkeys(_VEHICLE_TYPES.split(), LaneKind.VEHICLE),
    "unknown": LaneKind.UNKNOWN,
}
_RINGS = {
    "crosswalk": PieceKind.CROSSWALK,
    "sidewalk": PieceKind.SIDEWALK,
    "parking": PieceKind.PARKING,
}
_MARKINGS = {
    "dashed": Marking.DASHED,
    "broad_dashed": Marking.DASHED,
    "solid": Marking.SOLID,
    "broad_solid": Marking.SOLID,
    "solid_solid": Marking.DOUBLE_SOLID,
    "dashed_dashed": Marking.DOUBLE_DASHED,
    "solid_dashed": Marking.SOLID_DASHED,
    "dashed_solid": Marking.DASHED_SOLID,
    "curb": Marking.CURB,
    "lowered_curb": Marking.CURB,
    "no_marking": Marking.NONE,
    "unknown": Marking.UNKNOWN,
}
# "Maximum speed" in each country's numbering; its value is in metres per second.
_SPEED_SIGNS = {"274", "274.1", "R2-1", "r301", "3.24", "R15", "C43", "B14", "\u03a1-32", "B31"}
_COLOURS = {
    "red": SignalState.RED,
    "redYellow": SignalState.RED_YELLOW,
    "yellow": SignalState.YELLOW,
    "green": SignalState.GREEN,
    "inactive": SignalState.OFF,
}
_TURNS = {
    "left": ("Left",),
    "straight": ("Straight",),
    "right": ("Right",),
    "leftStraight": ("Left", "Straight"),
    "straightRight": ("Straight", "Right"),
    "leftRight": ("Left", "Right"),
}


def build_map(root: ET.Element, name: str, where: str) -> Map | None:
    """Return the map of a scenario's lanelets, or None where it has none.

    Raises:
        InputError: A lanelet is malformed, or refers to something that is not there.
    """
    lanelets = _lanelets(root, where)
    if not lanelets:
        return None
    limits = _sign_limits(root, where)
    following = _find_following(lanelets)
    inside = _find_inside(root, lanelets)
    road = MapBuilder()
    for id_, node in lanelets.items():
        place = f"{where}, lanelet {id_}"
        left, right = (_read_bound(node, side, place) for side in ("leftBound", "rightBound"))
        bounds = _pair(left.points, right.points)
        centre = bounds.mean(axis=0)
        if not np.ptp(centre[:, :2], axis=0).any():
            raise InputError("geometry", "a lanelet has no length", where=place)
        types = [_known(t.text, _LANE_KINDS, place) for t in node.iterfind("laneletType")]
        ring = next((_RINGS[t] for t in types if t in _RINGS), None)
        outline = np.concatenate([left.points, right.points[::-1], left.points[:1]])
        for stop in node.iterfind("stopLine"):
            points = [read_point(point, place) for point in stop.iterfind("point")]
            ends = np.stack([left.points[-1], right.points[-1]])
            road.add_piece(PieceKind.STOP_LINE, points if len(points) > 1 else ends, id=id_)
        road.add_lane(
            id_,
            _lane_kind(types),
            road.add_piece(PieceKind.LANE_CENTRE, centre, id=id_),
            left_boundary=road.add_piece(
                PieceKind.LANE_BOUNDARY, left.points, id=f"{id_}-left", marking=left.marking
            ),
            right_boundary=road.add_piece(
                PieceKind.LANE_BOUNDARY, right.points, id=f"{id_}-right", marking=right.marking
            ),
            area=-1 if ring is None else road.add_piece(ring, outline, id=id_),
            left=_reference(node.find("adjacentLeft")),
            right=_reference(node.find("adjacentRight")),
            successors=following[id_],
            width=float(np.median(np.hypot(*(bounds[0] - bounds[1])[:, :2].T))),
            speed_limit=_speed_limit(node, limits, place),
            in_intersection=inside.get(id_, Tristate.UNKNOWN),
        )
    return road.build(name)


def read_signals(root: ET.Element, road: Map | None, steps: int, where: str) -> Signals | None:
    """Return the traffic lights, one row per light and lane that may only be entered with it.

    A lanelet refers to the lights at its end; they control the lanelets that follow it.

    Raises:
        InputError: A light's cycle is malformed, or a lanelet refers to a light that is missing.
    """
    lights = {light.get("id", ""): light for light in root.iterfind("trafficLight")}
    if not lights or road is None:
        return None
    turns = _find_turns(root)
    row = {name: i for i, name in enumerate(road.lanes.ids)}
    lane: list[int] = []
    stop: list[np.ndarray] = []
    state: list[np.ndarray] = []
    for id_, node in _lanelets(root, where).items():
        point = _stop_point(node, road, row[id_], where)
        for ref in node.iterfind("trafficLightRef"):
            light = lights.get(ref.get("ref", ""))
            if light is None:
                raise InputError(
                    "reference",
                    "a lanelet refers to a traffic light that is not there",
                    where=f"{where}, lanelet {id_}",
                    why=f"light {ref.get('ref')}",
                )
            shown = _read_cycle(light, steps, where)
            direction = light.findtext("direction", "all")
            ways = {lane_ for turn in _TURNS.get(direction, ()) for lane_ in turns[id_, turn]}
            ahead = [int(i) for i in road.lanes.successors(row[id_])]
            chosen = [i for i in ahead if road.lanes.ids[i] in ways] if ways else ahead
            for i in chosen or [-1]:
                lane.append(i)
                stop.append(point)
                state.append(shown)
    if not lane:
        return None
    return Signals(
        lane=np.array(lane, np.int64),
        stop_point=np.array(stop).reshape(-1, 3),
        state=np.array(state, np.uint8),
    )


@dataclass(frozen=True, eq=False)
class _Bound:
    points: Float64[np.ndarray, "_ 3"]
    marking: Marking


def _lanelets(root: ET.Element, where: str) -> dict[str, ET.Element]:
    lanelets: dict[str, ET.Element] = {}
    for node in root.iterfind("lanelet"):
        id_ = node.get("id", "")
        if id_ in lanelets:
            raise InputError("duplicate", f"lanelet {id_} appears twice", where=where)
        lanelets[id_] = node
    return lanelets


def _read_bound(lanelet: ET.Element, side: str, where: str) -> _Bound:
    node = find(lanelet, side, where)
    points = np.array([read_point(point, where) for point in node.iterfind("point")])
    if len(points) < 2:
        raise InputError(
            "geometry", f"<{side}> needs two points", where=where, why=f"it has {len(points)}"
        )
    marking = _known(node.findtext("lineMarking", "unknown"), _MARKINGS, where)
    return _Bound(points.reshape(-1, 3), _MARKINGS[marking])


def _pair(left: np.ndarray, right: np.ndarray) -> Float64[np.ndarray, "2 point 3"]:
    """Return both bounds with equally many points; the format asks for that already."""
    if len(left) != len(right):
        number = max(len(left), len(right))
        left, right = resample(left, number=number), resample(right, number=number)
    return np.stack([left, right])


def _known(name: str | None, choices: Mapping[str, object], where: str) -> str:
    name = (name or "").strip()
    if name not in choices:
        raise InputError(
            "label", f"unknown {name!r}", where=where, remedy=suggest_name(name, choices)
        )
    return name


def _lane_kind(types: list[str]) -> LaneKind:
    if not types:
        return LaneKind.VEHICLE  # version 2018b has no types, and roads only
    order = list(_LANE_KINDS)
    return _LANE_KINDS[min(types, key=order.index)]


def _reference(node: ET.Element | None) -> str | None:
    return None if node is None else node.get("ref")


def _find_following(lanelets: dict[str, ET.Element]) -> dict[str, list[str]]:
    """Return who follows whom, as said by either of the two."""
    following: dict[str, list[str]] = defaultdict(list)
    for id_, node in lanelets.items():
        following[id_] += [ref.get("ref", "") for ref in node.iterfind("successor")]
        for ref in node.iterfind("predecessor"):
            following[ref.get("ref", "")].append(id_)
    return following


def _find_turns(root: ET.Element) -> dict[tuple[str, str], list[str]]:
    """Return where each lanelet leads when one turns `Left` or `Right` or goes `Straight`."""
    turns: dict[tuple[str, str], list[str]] = defaultdict(list)
    for group in root.iterfind("intersection/incoming"):
        for turn in ("Left", "Straight", "Right"):
            leads = [ref.get("ref", "") for ref in group.iterfind(f"successors{turn}")]
            for lane in group.iterfind("incomingLanelet"):
                turns[lane.get("ref", ""), turn] += leads
    return turns


def _find_inside(root: ET.Element, lanelets: dict[str, ET.Element]) -> dict[str, Tristate]:
    """Return which lanelets lie in an intersection, if the scenario says anything about it."""
    inside = {ref for leads in _find_turns(root).values() for ref in leads}
    inside |= {
        id_
        for id_, node in lanelets.items()
        if "intersection" in [t.text for t in node.iterfind("laneletType")]
    }
    if not inside:
        return {}
    return {id_: Tristate.YES if id_ in inside else Tristate.NO for id_ in lanelets}


def _sign_limits(root: ET.Element, where: str) -> dict[str, float]:
    """Return the speed limit of each traffic sign that is one [m/s]."""
    limits: dict[str, float] = {}
    for sign in root.iterfind("trafficSign"):
        for element in sign.iterfind("trafficSignElement"):
            place = f"{where}, traffic sign {sign.get('id')}"
            if read_text_of(element, "trafficSignID", place) in _SPEED_SIGNS:
                limits[sign.get("id", "")] = read_float(element, "additionalValue", place)
    return limits


def _speed_limit(node: ET.Element, limits: dict[str, float], where: str) -> float:
    if node.find("speedLimit") is not None:
        return read_float(node, "speedLimit", where)
    refs = [ref.get("ref", "") for ref in node.iterfind("trafficSignRef")]
    return min((limits[ref] for ref in refs if ref in limits), default=np.nan)


def _stop_point(node: ET.Element, road: Map, lane: int, where: str) -> np.ndarray:
    """Return the middle of a lanelet's stop line, or the end of its centre line."""
    points = [read_point(point, where) for point in node.iterfind("stopLine/point")]
    return np.mean(points, axis=0) if points else road.centre_line(lane)[-1]


def _read_cycle(light: ET.Element, steps: int, where: str) -> np.ndarray:
    """Return what a light shows at each step."""
    place = f"{where}, traffic light {light.get('id')}"
    elements = light.findall("cycle/cycleElement")
    if light.findtext("active", "true").strip() == "false" or not elements:
        return np.full(steps, SignalState.OFF, np.uint8)
    duration = np.array([read_float(node, "duration", place) for node in elements])
    if (duration <= 0).any():
        raise InputError("value", "a phase of a traffic light has no duration", where=place)
    colour = [_known(node.findtext("color"), _COLOURS, place) for node in elements]
    cycle = find(light, "cycle", place)
    offset = read_float(cycle, "timeOffset", place) if cycle.find("timeOffset") is not None else 0.0
    phase = (np.arange(steps) - offset) % duration.sum()
    shown = np.array([_COLOURS[name] for name in colour], np.uint8)
    return shown[np.searchsorted(np.cumsum(duration), phase, side="right")]
