"""The road around the agents, as the layers in which the page draws it.

A town may be large: only what lies near the agents is kept. Lines lose the vertices that lie
within 1 cm of the line without them. A double marking becomes two lines here, so that the page
knows only solid and dashed ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.app.playback.codec import CM, pack, quantise
from kerbstone.scene import RINGS, LaneGraph, LaneIndex, LaneKind, Map, Marking, PieceKind, Tristate

MARGIN = 80.0
"""How far from any agent the map is shown [m]."""

Layers = dict[str, list[Any]]
"""Shapely geometries by the name of the layer that they are drawn in."""

_CELL = 40.0
_TOLERANCE = 0.01
_HALF_GAP = 0.1  # half the distance between the two lines of a double marking [m]

_PIECE_LAYERS = {
    PieceKind.DRIVABLE_AREA: "drivable",
    PieceKind.INTERSECTION: "drivable",
    PieceKind.PARKING: "parking",
    PieceKind.DRIVEWAY: "driveway",
    PieceKind.SIDEWALK: "sidewalk",
    PieceKind.CROSSWALK: "crosswalk",
    PieceKind.ROAD_EDGE: "edge",
    PieceKind.STOP_LINE: "stop_line",
    PieceKind.SPEED_BUMP: "speed_bump",
    PieceKind.STOP_SIGN: "stop_sign",
    PieceKind.LANE_CENTRE: "centre",
}

_LANE_LAYERS = {
    LaneKind.BUS: "bus_lane",
    LaneKind.BICYCLE: "bicycle_lane",
    LaneKind.PEDESTRIAN: "sidewalk",
    LaneKind.RAIL: "rail",
    LaneKind.SHOULDER: "shoulder",
}

# Each marking as lines: their layer, and the side of the line's direction on which they lie.
_LEFT, _MIDDLE, _RIGHT = 1, 0, -1
_MARKING_LINES = {
    Marking.UNKNOWN: [("border", _MIDDLE)],
    Marking.NONE: [("border", _MIDDLE)],
    Marking.VIRTUAL: [("virtual", _MIDDLE)],
    Marking.CURB: [("edge", _MIDDLE)],
    Marking.SOLID: [("white_solid", _MIDDLE)],
    Marking.DASHED: [("white_dashed", _MIDDLE)],
    Marking.DOUBLE_SOLID: [("white_solid", _LEFT), ("white_solid", _RIGHT)],
    Marking.DOUBLE_DASHED: [("white_dashed", _LEFT), ("white_dashed", _RIGHT)],
    Marking.SOLID_DASHED: [("white_solid", _LEFT), ("white_dashed", _RIGHT)],
    Marking.DASHED_SOLID: [("white_dashed", _LEFT), ("white_solid", _RIGHT)],
    Marking.SOLID_YELLOW: [("yellow_solid", _MIDDLE)],
    Marking.DASHED_YELLOW: [("yellow_dashed", _MIDDLE)],
    Marking.DOUBLE_SOLID_YELLOW: [("yellow_solid", _LEFT), ("yellow_solid", _RIGHT)],
    Marking.DOUBLE_DASHED_YELLOW: [("yellow_dashed", _LEFT), ("yellow_dashed", _RIGHT)],
    Marking.SOLID_DASHED_YELLOW: [("yellow_solid", _LEFT), ("yellow_dashed", _RIGHT)],
    Marking.DASHED_SOLID_YELLOW: [("yellow_dashed", _LEFT), ("yellow_solid", _RIGHT)],
}


def pack_road(
    road: Map | None, positions: Float64[np.ndarray, "cell 2"], origin: Float64[np.ndarray, " 2"]
) -> dict[str, Any]:
    """Return the layers of a map near some positions as JSON values; none where there is no map.

    Args:
        road: The map.
        positions: Where the agents are, at all times [m]; without any, the whole map is kept.
        origin: What all coordinates are relative to [m].
    """
    import shapely

    if road is None:
        return {}
    if len(positions):
        road = _crop(road, positions)
    layers: Layers = {}
    _add_lanes(layers, road)
    _add_pieces(layers, road)
    _add_markings(layers, road)
    packed = {
        name: _pack_lines(shapely.simplify(np.array(shapes, object), _TOLERANCE), origin)
        for name, shapes in layers.items()
        if shapes
    }
    if "crosswalk" in packed:
        packed["crosswalk_axis"] = _pack_lines(_crossing_axes(layers["crosswalk"]), origin)
    return packed


def _add_lanes(layers: Layers, road: Map) -> None:
    """Add the lanes' surfaces, and an outline to those of which no boundary is given."""
    import shapely

    lanes = road.lanes
    if not (lanes.centre >= 0).any():
        return
    surfaces, lane = shapely.get_parts(LaneIndex(road).surfaces, return_index=True)
    is_surface = shapely.get_type_id(surfaces) == shapely.GeometryType.POLYGON
    # All rings one way round: where lanes overlap, the surface must not have a hole.
    surfaces = shapely.orient_polygons(surfaces[is_surface])
    lane = np.flatnonzero(lanes.centre >= 0)[lane[is_surface]]
    bounded = (lanes.left_boundary >= 0) & (lanes.right_boundary >= 0)
    rings, surface = shapely.get_rings(surfaces, return_index=True)
    for ring, of in zip(rings, lane[surface], strict=True):
        name = _LANE_LAYERS.get(LaneKind(int(lanes.kind[of])), "lane")
        layers.setdefault(name, []).append(ring)
        if not bounded[of]:
            layers.setdefault("virtual", []).append(ring)


def _add_pieces(layers: Layers, road: Map) -> None:
    import shapely

    crossing = road.lanes.centre[_is_crossing(road)]
    for kind, name in _PIECE_LAYERS.items():
        # The lanes across an intersection lie over one another: arrows there tell nothing.
        for piece in np.setdiff1d(road.pieces_of(kind), crossing):
            points = road.piece(int(piece))[:, :2]
            if len(points) < 2:
                points = np.repeat(points, 2, axis=0)
            shape = shapely.LineString(points)
            if kind in RINGS and len(points) > 3:
                shape = shapely.get_exterior_ring(shapely.orient_polygons(shapely.Polygon(points)))
            layers.setdefault(name, []).append(shape)


def _is_crossing(road: Map) -> Bool[np.ndarray, " lane"]:
    """Return which lanes lie in an intersection, or, where that is open, cross another lane."""
    import shapely

    lanes = road.lanes
    inside = lanes.in_intersection == Tristate.YES
    drawn = np.flatnonzero((lanes.centre >= 0) & (np.diff(road.offsets)[lanes.centre] > 1))
    lines = np.array(
        [shapely.LineString(road.centre_line(lane)[:, :2]) for lane in map(int, drawn)], object
    )
    first, _ = shapely.STRtree(lines).query(lines, predicate="crosses")
    crosses = np.zeros(len(lanes), bool)
    crosses[drawn[first]] = True
    return inside | (crosses & (lanes.in_intersection == Tristate.UNKNOWN))


def _add_markings(layers: Layers, road: Map) -> None:
    import shapely

    drawn: set[bytes] = set()
    for piece in road.pieces_of(PieceKind.LANE_BOUNDARY):
        points = road.piece(int(piece))[:, :2]
        if len(points) < 2:
            continue
        # Neighbouring lanes often bring the same line twice; dashes drawn over one another
        # from both ends would look solid.
        places = np.rint(points * CM).astype(np.int64)
        key = min(places.tobytes(), places[::-1].tobytes())
        if key in drawn:
            continue
        drawn.add(key)
        line = shapely.LineString(points)
        for name, side in _MARKING_LINES[Marking(int(road.marking[piece]))]:
            beside = line if side == _MIDDLE else shapely.offset_curve(line, side * _HALF_GAP)
            layers.setdefault(name, []).extend(shapely.get_parts(beside))


def _crossing_axes(rings: list[Any]) -> np.ndarray:
    """Return the middle line of each crosswalk along its longer side: the way people walk."""
    import shapely

    envelopes = shapely.oriented_envelope(np.array(rings, object))
    axes = []
    for envelope in envelopes:
        corners = np.resize(shapely.get_coordinates(envelope), (4, 2))  # it may be a line
        sides = np.roll(corners, -1, axis=0) - corners
        along = int(np.argmax(np.hypot(sides[:, 0], sides[:, 1])))
        middles = corners + sides / 2
        axes.append(shapely.LineString([middles[along - 1], middles[(along + 1) % 4]]))
    return np.array(axes, object)


def _pack_lines(lines: np.ndarray, origin: Float64[np.ndarray, " 2"]) -> dict[str, str]:
    import shapely

    points, line = shapely.get_coordinates(lines, return_index=True)
    centimetres = quantise(points - origin, CM)
    return {
        "count": pack(np.bincount(line, minlength=len(lines))),
        "x": pack(centimetres[:, 0]),
        "y": pack(centimetres[:, 1]),
    }


def _crop(road: Map, positions: Float64[np.ndarray, "cell 2"]) -> Map:
    """Return the pieces near some positions, with the lanes whose centre lines are among them."""
    near = _pieces_near(road, positions)
    lanes = road.lanes
    lane = np.flatnonzero((lanes.centre >= 0) & near[lanes.centre])
    bounds = ("centre", "left_boundary", "right_boundary", "area")
    for name in bounds:
        piece = getattr(lanes, name)[lane]
        near[piece[piece >= 0]] = True
    keep = np.flatnonzero(near)
    number = np.full(len(road) + 1, -1)
    number[keep] = np.arange(len(keep))
    count = np.diff(road.offsets)
    none = np.full(len(lane), -1, np.int64)
    graph = LaneGraph(
        ids=tuple(lanes.ids[i] for i in lane),
        kind=lanes.kind[lane],
        **{name: number[getattr(lanes, name)[lane]] for name in bounds},
        left=none,
        right=none,
        next_lanes=none[:0],
        next_offsets=np.zeros(len(lane) + 1, np.int64),
        width=lanes.width[lane],
        speed_limit=lanes.speed_limit[lane],
        in_intersection=lanes.in_intersection[lane],
    )
    return Map(
        id=road.id,
        ids=tuple(road.ids[i] for i in keep),
        kind=road.kind[keep],
        marking=road.marking[keep],
        points=road.points[np.repeat(near, count)],
        offsets=np.concatenate([[0], np.cumsum(count[keep])]).astype(np.int64),
        lanes=graph,
    )


def _pieces_near(road: Map, positions: Float64[np.ndarray, "cell 2"]) -> Bool[np.ndarray, " piece"]:
    import shapely

    cells = np.unique(np.floor(positions / _CELL).astype(np.int64), axis=0) * _CELL
    low, high = cells - MARGIN, cells + _CELL + MARGIN
    region = shapely.union_all(shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1]))
    shapely.prepare(region)
    # A line needs two points: pieces of one point get it twice.
    count = np.diff(road.offsets)
    vertex = np.repeat(np.arange(len(road.points)), np.repeat(np.where(count == 1, 2, 1), count))
    piece = np.repeat(np.arange(len(road)), np.maximum(count, 2))
    lines = np.asarray(shapely.linestrings(road.points[vertex, :2], indices=piece))
    near = np.asarray(shapely.intersects(region, lines))
    # What lies around the whole region touches it nowhere.
    rings = road.pieces_of(*RINGS)
    near[rings] |= shapely.intersects(region, shapely.envelope(lines[rings]))
    return near
