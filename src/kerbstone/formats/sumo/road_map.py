"""From a SUMO network to a map with its lane graph, and to what its traffic lights show."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.formats.sumo.xml_stream import iterate_children
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

if TYPE_CHECKING:
    from pathlib import Path

    from kerbstone.formats.sumo.network import Edge, Lane, Network

Line = Float64[np.ndarray, "point 3"]

_STATES = {
    "r": SignalState.RED,
    "u": SignalState.RED_YELLOW,
    "y": SignalState.YELLOW,
    "Y": SignalState.YELLOW,
    "G": SignalState.GREEN,
    "g": SignalState.GREEN_YIELD,
    "s": SignalState.FLASHING_RED,
    "o": SignalState.FLASHING_YELLOW,
    "O": SignalState.OFF,
}


def build_map(network: Network) -> Map:
    """Return a network as a map.

    Lanes for pedestrians alone become sidewalks, not lanes. Neighbours across the middle of the
    road are found for pairs of edges that run beside each other in opposite directions.
    """
    builder = MapBuilder()
    crossed = _intersections(network)
    following: dict[str, list[str]] = {}
    for connection in network.connections:
        following.setdefault(connection.source, []).append(connection.via or connection.target)
    opposite = _opposite_edges(network)
    middle: dict[str, int] = {}
    for edge in network.edges.values():
        if edge.function in {"crossing", "walkingarea"}:
            _add_footway(builder, edge)
        else:
            _add_edge(builder, network, edge, crossed, following, opposite, middle)
    _add_stop_lines(builder, network)
    _add_junctions(builder, network, crossed)
    built = builder.build(network.name)
    digest = hashlib.sha256(built.points.tobytes() + "\0".join(built.ids).encode())
    return replace(built, id=f"sumo/{network.name}-{digest.hexdigest()[:12]}")


def read_signals(
    path: Path, network: Network, road: Map, times_ns: Int64[np.ndarray, " time"]
) -> Signals:
    """Return what the lights show at given times, from the switches that SUMO recorded.

    There is one row per movement: the lane through the junction that a light opens and closes.

    Args:
        path: Output of SUMO's `SaveTLSSwitchStates`.
        network: The network.
        road: The network's map.
        times_ns: Times [ns].

    Raises:
        InputError: The file is missing or broken.
    """
    switches: dict[str, list[tuple[int, str]]] = {}
    for element in iterate_children(path, root="tlsStates"):
        try:
            time_ns = round(float(element.attrib["time"]) * 1e9)
            switches.setdefault(element.attrib["id"], []).append((time_ns, element.attrib["state"]))
        except (KeyError, ValueError) as error:
            raise InputError(
                "value", "a traffic light's state cannot be read", where=str(path), why=str(error)
            ) from None
    row_of = {name: i for i, name in enumerate(road.lanes.ids)}
    lanes, points, states = [], [], []
    for connection in network.connections:
        log = switches.get(connection.light, [])
        lane = row_of.get(connection.via or connection.target)
        if not log or lane is None or connection.link < 0:
            continue
        codes = [state[connection.link : connection.link + 1] for _, state in log]
        shown = np.array([_STATES.get(code, SignalState.UNKNOWN) for code in codes], np.uint8)
        at = np.searchsorted([time for time, _ in log], times_ns, side="right") - 1
        lanes.append(lane)
        points.append(network.lanes[connection.source].shape[-1])
        states.append(np.where(at >= 0, shown[np.maximum(at, 0)], np.uint8(SignalState.UNKNOWN)))
    if not lanes:
        return Signals.empty(len(times_ns))
    return Signals(np.array(lanes, np.int64), np.array(points), np.array(states, np.uint8))


def offset_line(line: Line, distance: float) -> Line:
    """Return a line shifted to its left [m], with mitred corners."""
    step = np.diff(line[:, :2], axis=0)
    length = np.hypot(*step.T)
    known = length > 1e-9
    if not known.any():
        return line
    # A vertex on top of its neighbour takes that neighbour's direction.
    normal = np.stack([-step[:, 1], step[:, 0]], axis=1)[known] / length[known, None]
    at = np.clip(np.cumsum(known) - 1, 0, None)
    normal = normal[at]
    before, after = np.vstack([normal[:1], normal]), np.vstack([normal, normal[-1:]])
    mean = before + after
    # |mean| is 2 cos(half the turn): dividing by its square keeps the offset; sharp turns are cut.
    scale = 2.0 / np.maximum((mean**2).sum(axis=1), 0.5)
    shifted = line.copy()
    shifted[:, :2] += distance * mean * scale[:, None]
    return shifted


def _lane_kind(lane: Lane, edge: Edge) -> LaneKind | None:
    """Return what a lane is for, or None if it is for pedestrians alone."""
    if lane.permits("passenger"):
        return LaneKind.RAMP if edge.type.endswith("motorway_link") else LaneKind.VEHICLE
    if lane.permits("bus"):
        return LaneKind.BUS
    if lane.permits("bicycle"):
        return LaneKind.BICYCLE
    if lane.permits("tram") or lane.permits("rail"):
        return LaneKind.RAIL
    if lane.permits("pedestrian"):
        return None
    return LaneKind.SHOULDER if lane.allow is None else LaneKind.UNKNOWN


def _add_edge(
    builder: MapBuilder,
    network: Network,
    edge: Edge,
    crossed: set[str],
    following: dict[str, list[str]],
    opposite: dict[str, str],
    middle: dict[str, int],
) -> None:
    """Add the lanes of a road, or of a way through a junction, with their boundaries.

    Seen along the driving direction of right-hand traffic the lanes are counted from the right;
    `sign` turns that round for left-hand traffic.
    """
    sign = -1 if network.left_hand else 1
    is_inside = edge.function != "normal"
    lanes: list[tuple[Lane, LaneKind]] = []
    for lane in edge.lanes:
        kind = _lane_kind(lane, edge)
        if kind is None:
            if not is_inside:
                _add_ring(builder, PieceKind.SIDEWALK, lane)
            continue
        lanes.append((lane, kind))
    if not lanes:
        return
    # Boundaries from the kerb to the middle, one more than lanes.
    outer = lanes[0][0]
    lines = [offset_line(outer.shape, -sign * outer.width / 2)]
    lines += [offset_line(lane.shape, sign * lane.width / 2) for lane, _ in lanes]
    has_sidewalk = edge.lanes[0] is not outer
    partner = opposite.get(edge.id, "")
    pieces = [
        middle[partner]
        if i == len(lanes) and partner in middle
        else builder.add_piece(
            PieceKind.LANE_BOUNDARY,
            line,
            marking=_marking(
                i,
                [kind for _, kind in lanes],
                is_inside=is_inside,
                has_sidewalk=has_sidewalk,
                has_partner=bool(partner),
            ),
        )
        for i, line in enumerate(lines)
    ]
    middle[edge.id] = pieces[-1]
    if not is_inside:
        builder.add_piece(PieceKind.ROAD_EDGE, lines[0])
        if not partner:
            builder.add_piece(PieceKind.ROAD_EDGE, lines[-1])
        ring = np.concatenate([lines[0], lines[-1][::-1], lines[0][:1]])
        builder.add_piece(PieceKind.DRIVABLE_AREA, ring, id=edge.id)
    names = [lane.id for lane, _ in lanes]
    across = network.edges[partner].lanes[-1].id if partner else None
    towards_middle: list[str | None] = [*names[1:], across]
    towards_kerb: list[str | None] = [None, *names[:-1]]
    for i, (lane, kind) in enumerate(lanes):
        kerb, inner = pieces[i], pieces[i + 1]
        left, right = (towards_middle[i], towards_kerb[i])
        if network.left_hand:
            kerb, inner, left, right = inner, kerb, right, left
        builder.add_lane(
            lane.id,
            kind,
            builder.add_piece(PieceKind.LANE_CENTRE, lane.shape, id=lane.id),
            left_boundary=inner,
            right_boundary=kerb,
            left=left,
            right=right,
            successors=following.get(lane.id, ()),
            width=lane.width,
            speed_limit=lane.speed,
            in_intersection=Tristate(int(is_inside and edge.id[1:].rpartition("_")[0] in crossed)),
        )


def _marking(
    line: int, kinds: list[LaneKind], *, is_inside: bool, has_sidewalk: bool, has_partner: bool
) -> Marking:
    """Return how a boundary is painted, counted from the kerb, as is usual in Europe."""
    if is_inside:
        return Marking.VIRTUAL
    if line == 0:
        return Marking.CURB if has_sidewalk else Marking.SOLID
    if line == len(kinds):
        return Marking.DASHED if has_partner and len(kinds) == 1 else Marking.SOLID
    return Marking.DASHED if kinds[line - 1] == kinds[line] else Marking.SOLID


def _add_footway(builder: MapBuilder, edge: Edge) -> None:
    for lane in edge.lanes:
        if edge.function == "walkingarea":
            ring = lane.shape
            if len(ring) >= 3:
                closed = np.concatenate([ring, ring[:1]])
                builder.add_piece(PieceKind.SIDEWALK, closed, id=lane.id)
        else:
            _add_ring(builder, PieceKind.CROSSWALK, lane)


def _add_ring(builder: MapBuilder, kind: PieceKind, lane: Lane) -> None:
    left, right = (offset_line(lane.shape, sign * lane.width / 2) for sign in (1, -1))
    builder.add_piece(kind, np.concatenate([right, left[::-1], right[:1]]), id=lane.id)


def _add_stop_lines(builder: MapBuilder, network: Network) -> None:
    halting: dict[str, bool] = {}
    for connection in network.connections:
        must_stop = connection.state in {"s", "w"}
        if connection.light or must_stop:
            halting[connection.source] = halting.get(connection.source, False) or must_stop
    for name, must_stop in halting.items():
        lane = network.lanes[name]
        if network.edges[lane.edge].function != "normal" or lane.allow == {"pedestrian"}:
            continue
        left, right = (offset_line(lane.shape, side * lane.width / 2)[-1] for side in (1, -1))
        builder.add_piece(PieceKind.STOP_LINE, np.stack([right, left]), id=name)
        if must_stop:
            kerb = left if network.left_hand else right
            builder.add_piece(PieceKind.STOP_SIGN, np.stack([kerb, kerb]), id=name)


def _add_junctions(builder: MapBuilder, network: Network, crossed: set[str]) -> None:
    import shapely

    footways = [
        shapely.make_valid(shapely.Polygon(edge.lanes[0].shape[:, :2]))
        for edge in network.edges.values()
        if edge.function == "walkingarea" and len(edge.lanes[0].shape) >= 3
    ]
    tree = shapely.STRtree(footways)
    for junction in network.junctions.values():
        if junction.type in {"internal", "dead_end"} or len(junction.shape) < 3:
            continue
        ring = np.concatenate([junction.shape, junction.shape[:1]])
        if junction.id in crossed:
            builder.add_piece(PieceKind.INTERSECTION, ring, id=junction.id)
        area = shapely.make_valid(shapely.Polygon(ring[:, :2]))
        near = [footways[i] for i in tree.query(area)]
        if near:
            area = shapely.difference(area, shapely.union_all(near))
        height = float(ring[:, 2].mean())
        for part in shapely.get_parts(area):
            if part.geom_type == "Polygon" and part.area > 0.5:
                outline = np.array(part.exterior.coords)[:, :2]
                flat = np.column_stack([outline, np.full(len(outline), height)])
                builder.add_piece(PieceKind.DRIVABLE_AREA, flat, id=junction.id)


def _intersections(network: Network) -> set[str]:
    """Return the junctions where roads cross: not bends, lane ends, or a motorway's exits."""
    incoming: dict[str, set[str]] = {}
    outgoing: dict[str, set[str]] = {}
    for edge in network.roads.values():
        if any(lane.permits("passenger") for lane in edge.lanes):
            incoming.setdefault(edge.target, set()).add(edge.source)
            outgoing.setdefault(edge.source, set()).add(edge.target)
    found = set()
    for name, junction in network.junctions.items():
        sources, targets = incoming.get(name, set()), outgoing.get(name, set())
        is_crossed = len(sources) >= 2 and len(targets) >= 2 and len(sources | targets) >= 3
        if is_crossed or junction.type.startswith("traffic_light"):
            found.add(name)
    return found


def _opposite_edges(network: Network) -> dict[str, str]:
    """Return for each road the one that runs beside it the other way, lane touching lane."""
    between: dict[tuple[str, str], list[Edge]] = {}
    for edge in network.roads.values():
        inner = edge.lanes[-1]
        if inner.permits("passenger") or inner.permits("bus"):
            between.setdefault((edge.source, edge.target), []).append(edge)
    found: dict[str, str] = {}
    for (source, target), edges in between.items():
        for edge in edges:
            for other in between.get((target, source), []):
                here, there = edge.lanes[-1], other.lanes[-1]
                gap = _distance(here.shape, there.shape)
                if other.id != edge.id and gap < (here.width + there.width) / 2 + 0.6:
                    found[edge.id] = other.id
    return found


def _distance(line: Line, other: Float64[np.ndarray, "vertex 3"]) -> float:
    """Return how far the middle of a line is from another line [m]."""
    import shapely

    middle = shapely.line_interpolate_point(shapely.LineString(line[:, :2]), 0.5, normalized=True)
    return float(shapely.distance(middle, shapely.LineString(other[:, :2])))
