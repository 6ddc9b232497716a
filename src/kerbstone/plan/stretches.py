"""Stretches of lanes on which vehicles may drive that are not seen, and come into a car's way."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely
from jaxtyping import Bool, Float64, Int64

from kerbstone.plan.shield import Assumptions, Road
from kerbstone.plan.shield.path import RUN_OUT
from kerbstone.plan.shield.road import Route
from kerbstone.plan.vehicle import StateIndex, Vehicle
from kerbstone.scene import arc_length, interpolate

NARROWEST, SHORTEST = 0.6, 1.6
"""No vehicle is smaller: a bicycle that is ridden [m]."""
_ASIDE = 3.0
"""So far beside the line that the car goes along, its fail-safes may still come [m]."""
_SPARE = 0.05
"""Lanes are taken to be so much wider, as their edges are drawn as chords [m]."""


class Way(NamedTuple):
    """Where a car may come before it stands.

    Args:
        line: Where its rear axle goes: a shapely geometry.
        time: Until when it stands, at the latest [s].
    """

    line: shapely.Geometry
    time: float


class Stretches(NamedTuple):
    """Stretches of routes.

    Args:
        route: Index into `Road.routes`.
        start: Where they begin along it [m].
        end: Where they end [m].
        owner: The area that each lies in.
        areas: The connected parts of all, shapely polygons.
    """

    route: Int64[np.ndarray, " stretch"]
    start: Float64[np.ndarray, " stretch"]
    end: Float64[np.ndarray, " stretch"]
    owner: Int64[np.ndarray, " stretch"]
    areas: tuple[shapely.Geometry, ...]


class _Cells(NamedTuple):
    """Lanes cut into short pieces, those of all lanes one after another."""

    first: Int64[np.ndarray, " lane_plus_1"]
    area: np.ndarray
    blind: Bool[np.ndarray, " cell"]
    near: Bool[np.ndarray, " cell"]


def find_stretches(
    hidden: shapely.Geometry,
    way: Way,
    state: Float64[np.ndarray, " 6"],
    road: Road,
    *,
    vehicle: Vehicle,
    assumptions: Assumptions,
    cell: float,
) -> Stretches:
    """Return the stretches on which a vehicle may be wholly hidden and come to a car in time.

    A vehicle is hidden only if the line along its middle lies in what is not seen and no nearer to
    what is than half its width, or if the range ends there. A stretch that reaches to where the
    lanes are cut goes on beyond, as far as routes do. Where the car is in the lane itself, what is
    behind it does not count.

    Args:
        hidden: What is not seen.
        way: Where the car may come.
        state: Of the car, columns `StateIndex`.
        road: The routes.
        vehicle: The car.
        assumptions: How fast the unseen are.
        cell: Lanes are cut into pieces of this length at most; what a piece has any of counts
            whole [m].
    """
    wide = vehicle.width / 2.0 + _ASIDE
    routes = [k for k, route in enumerate(road.routes) if _come_near(road, route, way.line, wide)]
    lanes = sorted({lane for k in routes for lane in road.routes[k].lanes})
    cells = _cut(road, lanes, hidden, way.line, wide, cell)
    need = max(int((SHORTEST - NARROWEST) / cell + 1e-9), 1)
    found: dict[tuple[object, ...], tuple[int, float, float]] = {}
    used: list[np.ndarray] = []
    heading = state[StateIndex.HEADING]
    ahead = np.array([np.cos(heading), np.sin(heading)])
    box = (
        state[:2] + vehicle.centre_offset * ahead,
        ahead,
        np.array([vehicle.length, vehicle.width]) / 2.0,
    )
    behaviour = assumptions.default
    for k in routes:
        route = road.routes[k]
        index, ends = _lay_out(road, route, cells)
        blind, near = cells.blind[index].copy(), cells.near[index]
        here = _find_own(route, box, assumptions.aligned)
        blind[ends[:, 1] <= here] = False
        cap = min(behaviour.speed, behaviour.speed_factor * route.speed_limit)
        change = np.diff(np.concatenate([[0], blind.astype(np.int8), [0]]))
        for a, b in zip(np.flatnonzero(change > 0), np.flatnonzero(change < 0), strict=True):
            last = np.searchsorted(ends[:, 0], ends[b - 1, 1] + cap * way.time + SHORTEST)
            met = np.flatnonzero(near[a:last])
            if b - a < need or not len(met):
                continue
            # Routes that part elsewhere only are one.
            key = tuple(index[[a, b - 1]]), tuple(index[b : a + met[-1] + 1])
            if key in found:
                continue
            slack = NARROWEST / 2.0 + _SPARE
            start = -RUN_OUT if a == 0 else ends[a, 0] - slack
            end = ends[-1, 1] + RUN_OUT if b == len(index) else ends[b - 1, 1] + slack
            found[key] = k, max(start, here), end
            used.append(index[a:b])
    return _join(list(found.values()), used, cells)


def _come_near(road: Road, route: Route, line: shapely.Geometry, wide: float) -> bool:
    points = np.concatenate([road.lanes[i].centre for i in route.lanes])
    return bool(shapely.dwithin(shapely.LineString(points), line, wide + route.half_width))


def _cut(
    road: Road,
    lanes: list[int],
    hidden: shapely.Geometry,
    line: shapely.Geometry,
    wide: float,
    cell: float,
) -> _Cells:
    """Return the pieces of some lanes; the others have none."""
    count = np.zeros(len(road.lanes), np.int64)
    areas: list[np.ndarray] = []
    middles: list[np.ndarray] = []
    for lane in lanes:
        points, half = road.lanes[lane].centre, road.lanes[lane].half_width + _SPARE
        s = arc_length(points)
        count[lane] = max(int(np.ceil(s[-1] / cell)), 1)
        place = interpolate(points, np.linspace(0.0, s[-1], count[lane] + 1))
        tangent = np.gradient(place, axis=0)
        tangent /= np.maximum(np.hypot(*tangent.T), 1e-9)[:, None]
        side = half * np.column_stack([-tangent[:, 1], tangent[:, 0]])
        left, right = place + side, place - side
        areas.append(np.stack([right[:-1], right[1:], left[1:], left[:-1]], axis=1))
        middles.append((place[:-1] + place[1:]) / 2.0)
    first = np.concatenate([[0], np.cumsum(count)])
    if not lanes:
        nothing = np.zeros(0, bool)
        return _Cells(first, np.zeros(0, object), nothing, nothing)
    rings, points = np.concatenate(areas), np.concatenate(middles)
    area = np.asarray(shapely.polygons(rings), object)
    around = shapely.box(*(rings.min(axis=(0, 1)) - 1.0), *(rings.max(axis=(0, 1)) + 1.0))
    dark = shapely.buffer(shapely.intersection(hidden, around), -NARROWEST / 2.0, quad_segs=4)
    blind = np.zeros(len(area), bool)
    tree = shapely.STRtree(area)
    for part in shapely.get_parts(dark):
        blind[tree.query(part, predicate="intersects")] = True
    half = np.repeat([lane.half_width for lane in road.lanes], count)
    near = shapely.distance(line, shapely.points(points)) <= wide + half + cell
    return _Cells(first, area, blind, near)


def _lay_out(road: Road, route: Route, cells: _Cells) -> tuple[np.ndarray, np.ndarray]:
    """Return the pieces along a route, and where each begins and ends along it [m]."""
    index = [np.arange(cells.first[lane], cells.first[lane + 1]) for lane in route.lanes]
    along = arc_length(np.concatenate([road.lanes[lane].centre for lane in route.lanes]))
    sizes = np.cumsum([0, *(len(road.lanes[lane].centre) for lane in route.lanes)])
    ends = [
        np.linspace(along[a], along[b - 1], len(part) + 1)
        for a, b, part in zip(sizes[:-1], sizes[1:], index, strict=True)
    ]
    return np.concatenate(index), np.concatenate(
        [np.column_stack([place[:-1], place[1:]]) for place in ends]
    )


def _find_own(
    route: Route, box: tuple[np.ndarray, np.ndarray, np.ndarray], aligned: float
) -> float:
    """Return where a car is along a route that it goes along in its lane, else minus infinity."""
    extent = route.path.bound_boxes(*(values[None] for values in box))
    low, high = extent.offset[0]
    goes = extent.near[0] & extent.sure[0] & (np.abs(extent.turn[0]) < aligned)
    if goes and low < route.half_width and high > -route.half_width:
        return float(extent.station[0].mean())
    return -np.inf


def _join(
    found: list[tuple[int, float, float]], used: list[np.ndarray], cells: _Cells
) -> Stretches:
    if not found:
        nothing = np.zeros(0, np.int64)
        return Stretches(nothing, np.zeros(0), np.zeros(0), nothing, ())
    rows = np.unique(np.concatenate(used))
    # A little more than the pieces themselves, so that those of one lane surely hang together.
    union = shapely.union_all(shapely.buffer(cells.area[rows], _SPARE, join_style="mitre"))
    areas = shapely.get_parts(union)
    middle = shapely.centroid(cells.area[[one[0] for one in used]])
    owner = shapely.STRtree(areas).nearest(middle)
    route, start, end = (np.array(values) for values in zip(*found, strict=True))
    return Stretches(route.astype(np.int64), start, end, owner.astype(np.int64), tuple(areas))
