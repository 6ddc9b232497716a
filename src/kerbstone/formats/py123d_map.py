"""Maps of 123D logs, cut out around what happens in a log."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from kerbstone.scene import LaneKind, Map, MapBuilder, Marking, PieceKind, Tristate

_REACH = 150.0
_LANE_KINDS = {
    "FREEWAY": LaneKind.VEHICLE,
    "SURFACE_STREET": LaneKind.VEHICLE,
    "BIKE_LANE": LaneKind.BICYCLE,
    "BUS_LANE": LaneKind.BUS,
}
_SURFACES = {
    "CROSSWALK": PieceKind.CROSSWALK,
    "WALKWAY": PieceKind.SIDEWALK,
    "CARPARK": PieceKind.PARKING,
    "GENERIC_DRIVABLE": PieceKind.DRIVABLE_AREA,
    "INTERSECTION": PieceKind.INTERSECTION,
    "SPEED_BUMP": PieceKind.SPEED_BUMP,
    "STOP_ZONE": PieceKind.STOP_LINE,
}
_MARKINGS = {
    "NONE": Marking.NONE,
    "DASH_SOLID_YELLOW": Marking.DASHED_SOLID_YELLOW,
    "DASH_SOLID_WHITE": Marking.DASHED_SOLID,
    "DASHED_WHITE": Marking.DASHED,
    "DASHED_YELLOW": Marking.DASHED_YELLOW,
    "DOUBLE_SOLID_YELLOW": Marking.DOUBLE_SOLID_YELLOW,
    "DOUBLE_SOLID_WHITE": Marking.DOUBLE_SOLID,
    "DOUBLE_DASH_YELLOW": Marking.DOUBLE_DASHED_YELLOW,
    "DOUBLE_DASH_WHITE": Marking.DOUBLE_DASHED,
    "SOLID_YELLOW": Marking.SOLID_YELLOW,
    "SOLID_WHITE": Marking.SOLID,
    "SOLID_DASH_WHITE": Marking.SOLID_DASHED,
    "SOLID_DASH_YELLOW": Marking.SOLID_DASHED_YELLOW,
    "SOLID_BLUE": Marking.SOLID,
}


def cut_map(api: Any, places: Float64[np.ndarray, "place 2"], name: str) -> Map | None:
    """Return the part of a 123D map around some places, or None where it has nothing there.

    Args:
        api: A `py123d` map.
        places: Where something happens [m].
        name: Id of the map.
    """
    import shapely

    around = shapely.MultiPoint(places).convex_hull.buffer(_REACH)
    found = api.query(around, list(api.available_map_layers), predicate="intersects")
    layers = {layer.name: objects for layer, objects in found.items()}
    road = MapBuilder()
    for layer, kind in _SURFACES.items():
        for area in layers.get(layer, ()):
            road.add_piece(kind, _closed(area.outline.array), id=str(area.object_id))
    for edge in layers.get("ROAD_EDGE", ()):
        road.add_piece(PieceKind.ROAD_EDGE, edge.polyline.array, id=str(edge.object_id))
    for line in layers.get("ROAD_LINE", ()):
        marking = _MARKINGS.get(line.road_line_type.name, Marking.UNKNOWN)
        points = line.polyline.array
        road.add_piece(PieceKind.LANE_BOUNDARY, points, id=str(line.object_id), marking=marking)
    groups = {group.object_id: group for group in layers.get("LANE_GROUP", ())}
    lanes = layers.get("LANE", ())
    for lane in lanes:
        _add_lane(road, lane, groups)
    return road.build(name) if found and any(layers.values()) else None


def _add_lane(road: MapBuilder, lane: Any, groups: dict[Any, Any]) -> None:
    id_ = str(lane.object_id)
    group = groups.get(lane.lane_group_id)
    inside = Tristate.UNKNOWN
    if group is not None:
        inside = Tristate.NO if group.intersection_id is None else Tristate.YES
    left, right = (
        road.add_piece(PieceKind.LANE_BOUNDARY, line.array, id=f"{id_}-{side}")
        for side, line in (("left", lane.left_boundary), ("right", lane.right_boundary))
    )
    limit = lane.speed_limit_mps
    road.add_lane(
        id_,
        _LANE_KINDS.get(lane.lane_type.name, LaneKind.UNKNOWN),
        road.add_piece(PieceKind.LANE_CENTRE, lane.centerline.array, id=id_),
        left_boundary=left,
        right_boundary=right,
        left=_name(lane.left_lane_id),
        right=_name(lane.right_lane_id),
        successors=[str(other) for other in lane.successor_ids],
        speed_limit=np.nan if limit is None else limit,
        in_intersection=inside,
    )


def _name(lane: Any) -> str | None:
    return None if lane is None else str(lane)


def _closed(points: np.ndarray) -> np.ndarray:
    return points if np.array_equal(points[0], points[-1]) else np.concatenate([points, points[:1]])
