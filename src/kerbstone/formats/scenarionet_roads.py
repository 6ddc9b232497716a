"""Roads and traffic lights of ScenarioNet scenarios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float64

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
    Tristate,
)

_LANES = {
    "LANE_SURFACE_STREET": LaneKind.VEHICLE,
    "LANE_SURFACE_UNSTRUCTURE": LaneKind.VEHICLE,
    "LANE_FREEWAY": LaneKind.VEHICLE,
    "LANE_BIKE_LANE": LaneKind.BICYCLE,
    "LANE_UNKNOWN": LaneKind.UNKNOWN,
}
_LINES = {
    "UNKNOWN_LINE": Marking.UNKNOWN,
    "ROAD_LINE_UNKNOWN": Marking.UNKNOWN,
    "ROAD_LINE_BROKEN_SINGLE_WHITE": Marking.DASHED,
    "ROAD_LINE_SOLID_SINGLE_WHITE": Marking.SOLID,
    "ROAD_LINE_SOLID_DOUBLE_WHITE": Marking.DOUBLE_SOLID,
    "ROAD_LINE_BROKEN_SINGLE_YELLOW": Marking.DASHED_YELLOW,
    "ROAD_LINE_BROKEN_DOUBLE_YELLOW": Marking.DOUBLE_DASHED_YELLOW,
    "ROAD_LINE_SOLID_SINGLE_YELLOW": Marking.SOLID_YELLOW,
    "ROAD_LINE_SOLID_DOUBLE_YELLOW": Marking.DOUBLE_SOLID_YELLOW,
    "ROAD_LINE_PASSING_DOUBLE_YELLOW": Marking.DOUBLE_DASHED_YELLOW,
}
_OTHERS = {
    "UNKNOWN": PieceKind.ROAD_EDGE,
    "ROAD_EDGE_UNKNOWN": PieceKind.ROAD_EDGE,
    "ROAD_EDGE_BOUNDARY": PieceKind.ROAD_EDGE,
    "ROAD_EDGE_MEDIAN": PieceKind.ROAD_EDGE,
    "ROAD_EDGE_SIDEWALK": PieceKind.SIDEWALK,
    "GUARDRAIL": PieceKind.ROAD_EDGE,
    "CROSSWALK": PieceKind.CROSSWALK,
    "SPEED_BUMP": PieceKind.SPEED_BUMP,
    "DRIVEWAY": PieceKind.DRIVEWAY,
    "STOP_SIGN": PieceKind.STOP_SIGN,
    "STOP_LINE": PieceKind.STOP_LINE,
}
_STATES = {
    None: SignalState.UNKNOWN,
    "LANE_STATE_UNKNOWN": SignalState.UNKNOWN,
    "LANE_STATE_ARROW_STOP": SignalState.RED,
    "LANE_STATE_ARROW_CAUTION": SignalState.YELLOW,
    "LANE_STATE_ARROW_GO": SignalState.GREEN,
    "LANE_STATE_STOP": SignalState.RED,
    "LANE_STATE_CAUTION": SignalState.YELLOW,
    "LANE_STATE_GO": SignalState.GREEN,
    "LANE_STATE_FLASHING_STOP": SignalState.FLASHING_RED,
    "LANE_STATE_FLASHING_CAUTION": SignalState.FLASHING_YELLOW,
    "TRAFFIC_LIGHT_UNKNOWN": SignalState.UNKNOWN,
    "TRAFFIC_LIGHT_RED": SignalState.RED,
    "TRAFFIC_LIGHT_YELLOW": SignalState.YELLOW,
    "TRAFFIC_LIGHT_GREEN": SignalState.GREEN,
}


def build_map(
    features: Mapping[Any, Mapping[str, Any]], *, name: str, dataset: str, where: str
) -> tuple[Map | None, bool]:
    """Return the map of a scenario, and whether its lane graph was inferred from the lines alone.

    Lanes that are all in one place are left out.

    Args:
        features: The scenario's `map_features`.
        name: Id of the map.
        dataset: Where the scenario comes from; converters differ in what they write.
        where: The file, for errors.

    Raises:
        InputError: A feature is of an unknown type or has no usable points.
    """
    road = MapBuilder()
    lanes: dict[str, Mapping[str, Any]] = {}
    pieces: dict[str, int] = {}
    for key, feature in features.items():
        id_ = str(key)
        if feature["type"] in _LANES:
            lanes[id_] = feature
        else:
            pieces[id_] = _add_piece(road, id_, feature, dataset, where)
    centres = {id_: _points(lane["polyline"], dataset) for id_, lane in lanes.items()}
    centres = {id_: line for id_, line in centres.items() if np.ptp(line[:, :2], axis=0).any()}
    is_linked = any(_links(lane, "exit_lanes") for lane in lanes.values())
    graph = _read_graph(lanes, centres) if is_linked else _infer_graph(centres)
    for id_, centre in centres.items():
        lane = lanes[id_]
        left, right, successors = graph[id_]
        polygon = lane.get("polygon")
        area = -1
        if polygon is not None and len(polygon) >= 3:
            area = road.add_piece(PieceKind.LANE_AREA, _ring(polygon, dataset), id=id_)
        road.add_lane(
            id_,
            _LANES[lane["type"]],
            road.add_piece(PieceKind.LANE_CENTRE, centre, id=id_),
            left_boundary=_only_boundary(lane, "left_boundaries", pieces),
            right_boundary=_only_boundary(lane, "right_boundaries", pieces),
            area=area,
            left=left,
            right=right,
            successors=successors,
            width=_width(lane),
            # Other converters write a constant here that says nothing of the road.
            speed_limit=lane.get("speed_limit_kmh", np.nan) / 3.6 if dataset == "waymo" else np.nan,
            in_intersection=_in_intersection(lane, dataset),
        )
    return (road.build(name) if centres or pieces else None), not is_linked and bool(centres)


def read_signals(
    states: Mapping[Any, Mapping[str, Any]], road: Map | None, steps: int, where: str
) -> Signals | None:
    """Return the traffic lights of a scenario.

    Args:
        states: The scenario's `dynamic_map_states`.
        road: Its map.
        steps: Length of the time axis.
        where: The file, for errors.

    Raises:
        InputError: A light shows something unknown, or has not as many states as there are steps.
    """
    lights = {str(key): light for key, light in states.items() if light["type"] == "TRAFFIC_LIGHT"}
    if not lights:
        return None
    rows = {} if road is None else {id_: row for row, id_ in enumerate(road.lanes.ids)}
    state = np.zeros((len(lights), steps), np.uint8)
    stop_point = np.full((len(lights), 3), np.nan)
    lane = np.full(len(lights), -1, np.int64)
    for number, (id_, light) in enumerate(lights.items()):
        place = f"{where}, traffic light {id_!r}"
        shown = list(light["state"]["object_state"])
        if len(shown) != steps:
            raise InputError(
                "shape",
                "a traffic light's states do not fit the steps",
                where=place,
                why=f"{len(shown)} states, {steps} steps",
            )
        unknown = [one for one in shown if one not in _STATES]
        if unknown:
            raise InputError(
                "label",
                f"unknown state {unknown[0]!r} of a traffic light",
                where=place,
                remedy=suggest_name(str(unknown[0]), map(str, _STATES)),
            )
        state[number] = [_STATES[one] for one in shown]
        lane[number] = rows.get(str(light.get("lane")), -1)
        point = light.get("stop_point")
        if point is not None and len(point) >= 2:
            stop_point[number, : len(point)] = np.asarray(point, np.float64)[:3]
    return Signals(lane=lane, stop_point=stop_point, state=state)


def _add_piece(
    road: MapBuilder, id_: str, feature: Mapping[str, Any], dataset: str, where: str
) -> int:
    type_ = feature["type"]
    if type_ in _LINES:
        points = _points(feature["polyline"], dataset)
        # The outline of the road is written as if it were paint, but for its name.
        if id_.startswith("boundary_") and dataset in ("nuscenes", "nuplan"):
            return road.add_piece(PieceKind.ROAD_EDGE, points, id=id_)
        return road.add_piece(PieceKind.LANE_BOUNDARY, points, id=id_, marking=_LINES[type_])
    if type_ not in _OTHERS:
        raise InputError(
            "label",
            f"unknown map feature {type_!r}",
            where=f"{where}, map feature {id_!r}",
            remedy=suggest_name(str(type_), [*_LANES, *_LINES, *_OTHERS]),
        )
    kind = _OTHERS[type_]
    if "polygon" in feature:
        return road.add_piece(kind, _ring(feature["polygon"], dataset), id=id_)
    if "position" in feature:
        return road.add_piece(kind, _points([feature["position"]] * 2, dataset), id=id_)
    kind = PieceKind.ROAD_EDGE if kind == PieceKind.SIDEWALK else kind
    return road.add_piece(kind, _points(feature["polyline"], dataset), id=id_)


def _points(line: Any, dataset: str) -> Float64[np.ndarray, "point 3"]:
    """Return the points of a line [m]. In nuScenes the third column is a heading, no height."""
    array = np.asarray(line, np.float64)
    array = array.reshape(len(array), -1)
    if array.shape[1] == 2 or dataset == "nuscenes":
        array = np.column_stack([array[:, :2], np.full(len(array), np.nan)])
    return array[:, :3]


def _ring(polygon: Any, dataset: str) -> Float64[np.ndarray, "point 3"]:
    ring = _points(polygon, dataset)
    return ring if (ring[0, :2] == ring[-1, :2]).all() else np.concatenate([ring, ring[:1]])


_Graph = dict[str, tuple[str | None, str | None, list[str]]]


def _links(lane: Mapping[str, Any], field: str) -> list[Any]:
    found = lane.get(field)
    return [] if found is None else list(found)


def _read_graph(lanes: Mapping[str, Mapping[str, Any]], kept: Iterable[str]) -> _Graph:
    return {
        id_: (
            _neighbour(lanes[id_], "left_neighbor"),
            _neighbour(lanes[id_], "right_neighbor"),
            [str(other) for other in _links(lanes[id_], "exit_lanes")],
        )
        for id_ in kept
    }


def _infer_graph(centres: Mapping[str, Float64[np.ndarray, "_ 3"]]) -> _Graph:
    names, lines = list(centres), list(centres.values())
    links = infer_links(lines)
    return {
        name: (
            names[links.left[row]] if links.left[row] >= 0 else None,
            names[links.right[row]] if links.right[row] >= 0 else None,
            [names[other] for other in links.following[row]],
        )
        for row, name in enumerate(names)
    }


def _neighbour(lane: Mapping[str, Any], field: str) -> str | None:
    """Return the neighbour on one side; of several the one beside the longest part of the lane."""
    found = _links(lane, field)
    if not found:
        return None
    if not isinstance(found[0], Mapping):
        return str(found[0])
    length = [int(one["self_end_index"]) - int(one["self_start_index"]) for one in found]
    return str(found[int(np.argmax(length))]["feature_id"])


def _only_boundary(lane: Mapping[str, Any], field: str, pieces: Mapping[str, int]) -> int:
    """Return the piece that bounds a lane on one side if it is a single one, else -1."""
    found = {str(one["boundary_feature_id"]) for one in _links(lane, field)}
    return pieces.get(found.pop(), -1) if len(found) == 1 else -1


def _width(lane: Mapping[str, Any]) -> float:
    """Return the typical width: what is left and right of the centre line, where it is known."""
    halves = np.asarray(lane.get("width", ()), np.float64)
    if halves.ndim != 2 or halves.shape[1] != 2:
        return np.nan
    whole = halves[(halves > 0).all(axis=1)].sum(axis=1)
    return float(np.median(whole)) if whole.size else np.nan


def _in_intersection(lane: Mapping[str, Any], dataset: str) -> Tristate:
    if lane["type"] == "LANE_SURFACE_UNSTRUCTURE":
        return Tristate.YES
    if dataset == "nuscenes":
        # Connectors through intersections have no surface of their own there.
        return Tristate.NO if "polygon" in lane else Tristate.YES
    return Tristate.UNKNOWN
