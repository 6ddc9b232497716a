"""The room on either side of a line: how far lanes, their neighbours or the whole road reach."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from kerbstone.plan.roads.road import Road
from kerbstone.plan.roads.routes import Route, find_neighbours
from kerbstone.scene import DEFAULT_LANE_WIDTH

_SEAM = 0.3
"""Surfaces this near to one another are one: maps leave gaps between lanes [m]."""
_OVERLAP = 4.0
"""A lane's surface counts for samples this far before it and behind it [m]."""
_ON_THE_LINE = 0.6
"""A road edge nearer than this to the line cannot be one: it would leave no way [m]."""


class Room(StrEnum):
    """How far a plan may leave its lane."""

    LANE = "lane"
    """Not at all."""
    DIRECTION = "direction"
    """Into the lanes beside it that lead the same way."""
    ROAD = "road"
    """As far as one can drive, the other direction's lanes included."""


class Sides(NamedTuple):
    """Room at the samples of a line [m]."""

    left: Float64[np.ndarray, " sample"]
    right: Float64[np.ndarray, " sample"]


def measure_room(
    road: Road,
    route: Route,
    place: Float64[np.ndarray, " sample"],
    points: Float64[np.ndarray, "sample 2"],
    normal: Float64[np.ndarray, "sample 2"],
    *,
    room: Room,
    reach: float,
) -> Sides:
    """Return how far one can go to the left and to the right of samples of a line.

    It is measured along the normal, over surfaces that follow one another without a gap, to the
    first road edge at most. A sample that is on no surface gets half the width of its lane.

    Args:
        road: The road.
        route: The route that the line is made from.
        place: Arc length of each sample on the route's line [m].
        points: The samples [m].
        normal: Unit vectors to the left there.
        room: How far a plan may leave its lane.
        reach: No room is said to be greater [m].
    """
    import shapely

    ends = np.stack([points - reach * normal, points + reach * normal], axis=1)
    rays = np.asarray(shapely.linestrings(ends), object)
    if room is Room.ROAD:
        sample, row = road.ground_tree.query(rays)
        surface = road.ground[row]
    else:
        sample, lane = _lanes_beside(road, route, place, with_neighbours=room is Room.DIRECTION)
        surface = road.surfaces[lane]
    row, low, high = _cut(rays[sample], surface, points[sample], normal[sample])
    left, right = _join_intervals(sample[row], low, high, len(points))
    half = _half_width(road, route, place)
    left = np.where(np.isnan(left), half, left)
    right = np.where(np.isnan(right), half, right)
    near_left, near_right = _to_edges(road, rays, points, normal, reach)
    return Sides(np.minimum(left, near_left), np.minimum(right, near_right))


def settle(
    values: Float64[np.ndarray, " sample"], *, known: int | None = None
) -> Float64[np.ndarray, " sample"]:
    """Return values that change gradually, none above the given one there or those beside it.

    Taken as the coefficients of a cubic B-spline, which stays between its coefficients, they are
    nowhere above the greater of the two values given around a place.

    Args:
        values: The values.
        known: From this sample on, the value before it holds.
    """
    if known is not None and 0 < known < len(values):
        values = np.concatenate([values[:known], np.full(len(values) - known, values[known - 1])])
    # A mean over three of the least over five: each of the three has seen all that it may not pass.
    return uniform_filter1d(minimum_filter1d(values, 5, mode="nearest"), 3, mode="nearest")


def lane_of(route: Route, place: Float64[np.ndarray, " sample"]) -> Int64[np.ndarray, " sample"]:
    """Return the lane at each arc length of a route."""
    number = np.searchsorted(route.lane_start, place, side="right") - 1
    return route.lanes[np.maximum(number, 0)]


def _half_width(road: Road, route: Route, place: np.ndarray) -> np.ndarray:
    width = road.map.lanes.width[lane_of(route, place)]
    return np.where(np.isfinite(width), width, DEFAULT_LANE_WIDTH) / 2


def _lanes_beside(
    road: Road, route: Route, place: np.ndarray, *, with_neighbours: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of a sample and a lane whose surface may hold it, ordered by sample."""
    end = np.append(route.lane_start[1:], np.inf)
    holds = (route.lane_start - _OVERLAP < place[:, None]) & (place[:, None] < end + _OVERLAP)
    sample, number = np.nonzero(holds)
    if not with_neighbours:
        return sample, route.lanes[number]
    groups = [
        np.concatenate([[lane], *find_neighbours(road, int(lane))]).astype(np.int64)
        for lane in route.lanes
    ]
    counts = np.array([len(group) for group in groups])
    first = np.cumsum(counts) - counts
    many = counts[number]
    within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    lane = np.concatenate(groups)[np.repeat(first[number], many) + within]
    return np.repeat(sample, many), lane


def _cut(
    rays: np.ndarray, surfaces: np.ndarray, points: np.ndarray, normal: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the stretches of rays upon surfaces: the ray, and from where to where [m]."""
    import shapely

    parts, row = shapely.get_parts(shapely.intersection(rays, surfaces), return_index=True)
    is_line = (shapely.get_dimensions(parts) == 1) & ~shapely.is_empty(parts)
    parts, row = parts[is_line], row[is_line]
    if not len(parts):
        return row, np.zeros(0), np.zeros(0)
    places, owner = shapely.get_coordinates(parts, return_index=True)
    t = ((places - points[row[owner]]) * normal[row[owner]]).sum(-1)
    begin = np.flatnonzero(np.diff(owner, prepend=-1))
    return row, np.minimum.reduceat(t, begin), np.maximum.reduceat(t, begin)


def _join_intervals(
    sample: np.ndarray, low: np.ndarray, high: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far from 0 joined intervals reach, up and down; NaN where none holds 0."""
    up, down = np.zeros(count), np.zeros(count)
    found = np.zeros(count, bool)
    found[sample[(low <= _SEAM) & (high >= -_SEAM)]] = True
    # Each round adds the intervals that begin where the last ones ended: as many as lanes.
    for _ in range(len(sample)):
        before = up.sum() + down.sum()
        joins = (low <= up[sample] + _SEAM) & (high >= -down[sample] - _SEAM)
        np.maximum.at(up, sample[joins], high[joins])
        np.maximum.at(down, sample[joins], -low[joins])
        if up.sum() + down.sum() == before:
            break
    return np.where(found, up, np.nan), np.where(found, down, np.nan)


def _to_edges(
    road: Road, rays: np.ndarray, points: np.ndarray, normal: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance to the first road edge on the left and on the right [m]."""
    import shapely

    left, right = np.full(len(points), reach), np.full(len(points), reach)
    sample, edge = road.edge_tree.query(rays, predicate="intersects")
    if not len(sample):
        return left, right
    met = shapely.intersection(rays[sample], road.edge_tree.geometries[edge])
    places, owner = shapely.get_coordinates(met, return_index=True)
    owner = sample[owner]
    t = ((places - points[owner]) * normal[owner]).sum(-1)
    np.minimum.at(left, owner[t > _ON_THE_LINE], t[t > _ON_THE_LINE])
    np.minimum.at(right, owner[t < -_ON_THE_LINE], -t[t < -_ON_THE_LINE])
    return left, right
