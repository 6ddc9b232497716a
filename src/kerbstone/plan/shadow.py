"""Where the others may be, as the shield has it, drawn: polygons instead of parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Bool, Float64

from kerbstone.plan.shield.duties import Duties
from kerbstone.plan.shield.occupancy import Occupancy
from kerbstone.plan.shield.path import RUN_OUT
from kerbstone.plan.shield.road import Road
from kerbstone.scene import arc_length, interpolate

_LINE_TOLERANCE, _AREA_TOLERANCE = 0.1, 0.03
"""Lines and outlines are drawn to this: the shield computes with parameters, not with these [m]."""
_ROUND = 24
"""Segments in a quarter of a disc."""


@dataclass(frozen=True, eq=False)
class Shadow:
    """Where others may be at some time within an interval.

    Args:
        start: Start of the interval from now [s].
        end: Its end [s].
        area: A shapely geometry in the world frame; it may be empty.
    """

    start: float
    end: float
    area: shapely.Geometry


def cast_shadows(
    occupancy: Occupancy,
    duties: Duties,
    brakes: Bool[np.ndarray, " batch"],
    road: Road,
    times: Float64[np.ndarray, " time"],
) -> tuple[Shadow, ...]:
    """Return where those may be who need not keep clear of the car, between successive times.

    Args:
        occupancy: The sets of one episode.
        duties: Who has to keep clear.
        brakes: Whether the manoeuvre brakes so that those ahead may cut in, by RSS.
        road: The routes.
        times: From now, increasing [s].
    """
    start, end = times[:-1], times[1:]
    free = duties.may_change | (duties.goes_along & ~brakes[:, None, None])
    counts = occupancy.on_route & ~(duties.follows | duties.trails | duties.yields)
    _, agent, route = (index.astype(np.int64) for index in np.nonzero(counts[:1]))
    row = np.zeros_like(agent)
    areas = [_discs(occupancy, np.flatnonzero(_is_loose(occupancy, duties)), start, end)]
    if len(agent):
        least, most = occupancy.along(row, agent, route, start, end)
        low, high = occupancy.beside(row, agent, route, end, is_free=free[row, agent, route])
        lines = {int(k): _line(road, int(k)) for k in np.unique(route)}
        strips = np.array(
            [
                [
                    _strip(lines[int(k)], *ends)
                    for ends in zip(least[pair], most[pair], low[pair], high[pair], strict=True)
                ]
                for pair, k in enumerate(route)
            ],
            object,
        )
        broken = ~shapely.is_valid(strips)
        strips[broken] = shapely.make_valid(strips[broken])
        areas.append(shapely.intersection(strips, _discs(occupancy, agent, start, end)))
    union = shapely.union_all(np.concatenate(areas), axis=0)
    joined = np.asarray(shapely.simplify(union, _AREA_TOLERANCE), object)
    return tuple(
        Shadow(float(a), float(b), area) for a, b, area in zip(start, end, joined, strict=True)
    )


def _is_loose(occupancy: Occupancy, duties: Duties) -> Bool[np.ndarray, " agent"]:
    keeps_clear = duties.clear_behind | duties.close_behind
    return (occupancy.is_loose & occupancy.valid & ~keeps_clear)[0]


def _discs(
    occupancy: Occupancy, agent: np.ndarray, start: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """Return what the plane allows some road users in each interval: `[agent, interval]`."""
    centre, radius = occupancy.disc(np.zeros(len(agent), np.int64), agent, start, end)
    way = occupancy.radius[0, agent][:, None] + occupancy.top[0, agent][:, None] * end
    near = shapely.buffer(shapely.points(centre), radius, quad_segs=_ROUND)
    here = np.asarray(shapely.points(occupancy.centre[0, agent]), object)
    return np.asarray(
        shapely.intersection(near, shapely.buffer(here[:, None], way, quad_segs=_ROUND)), object
    )


def _line(road: Road, route: int) -> np.ndarray:
    """Return a route's line with what it goes on straight at both ends."""
    points = np.concatenate([road.lanes[i].centre for i in road.routes[route].lanes])
    points = shapely.get_coordinates(shapely.simplify(shapely.LineString(points), _LINE_TOLERANCE))
    first, last = points[0] - points[1], points[-1] - points[-2]
    before = points[:1] + RUN_OUT * first / np.hypot(*first)
    after = points[-1:] + RUN_OUT * last / np.hypot(*last)
    return np.concatenate([before, points, after])


def _strip(
    line: np.ndarray, least: float, most: float, low: float, high: float
) -> shapely.Geometry:
    """Return what lies between two stations of a line and between two offsets from it."""
    s = arc_length(line) - RUN_OUT
    least, most = max(least, float(s[0])), min(most, float(s[-1]))
    if not least < most:
        return shapely.Polygon()
    place = np.concatenate([[least], s[(s > least) & (s < most)], [most]]) + RUN_OUT
    points = interpolate(line, place)
    way = np.gradient(points, axis=0)
    way /= np.maximum(np.hypot(way[:, 0], way[:, 1]), 1e-9)[:, None]
    side = np.column_stack([-way[:, 1], way[:, 0]])
    ring = np.concatenate([points + low * side, (points + high * side)[::-1]])
    return shapely.Polygon(ring)
