"""The route a car takes: the lanes it follows, as one line with the car somewhere on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError, suggest_name
from kerbstone.plan.roads.branches import choose_branch, cover_record, reach_goal, trace_back
from kerbstone.plan.roads.road import Road
from kerbstone.scene import angle_difference, arc_length, interpolate, project_packed

_WRONG_WAY = np.deg2rad(75.0)
"""A lane that leads further away than this from where a car heads is not the car's."""
_BESIDE = 2.0
"""A car this far from a lane's surface still counts as on it [m]."""


@dataclass(frozen=True, eq=False)
class Route:
    """Where a car goes.

    Args:
        line: What it follows, from some way behind it; a polyline in the world frame [m].
        start: Arc length of the car's middle on the line [m].
        lanes: The lanes of it in order, as rows of the lane graph; none without a map.
        lane_start: Arc length at which each of them begins, below 0 for one that was cut [m].
        origin: Whether it follows lanes or the recorded path, or goes straight on for want of both.
    """

    line: Float64[np.ndarray, "vertex 2"]
    start: float
    lanes: Int64[np.ndarray, " lane"]
    lane_start: Float64[np.ndarray, " lane"]
    origin: Literal["lanes", "record", "straight"]

    @property
    def length(self) -> float:
        """Arc length at which the known way ends [m]."""
        return float(arc_length(self.line)[-1])


def find_route(
    road: Road,
    position: Float64[np.ndarray, " 2"],
    heading: float,
    *,
    ahead: float,
    behind: float = 10.0,
    future: Float64[np.ndarray, "point 2"] | None = None,
    lanes: Sequence[str] | None = None,
    goal: str | None = None,
) -> Route:
    """Return the route from the lane a car is in.

    At a fork it takes what the car drove where that is known, else the straightest way. A change
    of lane in the record does not change the lane that the route keeps to.

    Args:
        road: The road.
        position: Middle of the car, world frame [m].
        heading: Of the car [rad].
        ahead: How far the route should reach; shorter where the lanes end [m].
        behind: How far it should begin before the car; shorter where the lanes begin [m].
        future: Where the car went, to choose at forks by; NaN where that is not known [m].
        lanes: Ids of the lanes to follow, instead of choosing.
        goal: Id of a lane to get to by the shortest way that changes no lane, instead of choosing.

    Raises:
        InputError: The position is not finite; the car is on no lane that leads its way; a lane
            is not known; the lanes given do not follow one another; the goal cannot be reached.
    """
    check_pose(position, heading)
    if lanes is not None:
        chain = _chain_of(road, lanes)
    else:
        first, cost = _lanes_at(road, position, heading)
        reach = ahead + float(road.lengths[first].max())
        known = np.zeros((0, 2)) if future is None else future[np.isfinite(future).all(axis=1)]
        if goal is not None:
            chain = reach_goal(road, first, _row_of(road, goal))
        elif len(known):
            chain = cover_record(road, first, cost, known, reach)
        else:
            chain = choose_branch(road, int(first[np.argmin(cost)]), reach)
    own, along = _place(road, chain, position)
    missing = ahead + along - float(road.lengths[chain[own:]].sum())
    if missing > 0.0:
        onward = choose_branch(road, chain[-1], missing + float(road.lengths[chain[-1]]))
        chain = [*chain, *onward[1:]]
    before = trace_back(road, chain[0], behind)
    return _join(road, [*before, *chain], len(before) + own, along, ahead=ahead, behind=behind)


def find_neighbours(
    road: Road, lane: int
) -> tuple[Int64[np.ndarray, " left"], Int64[np.ndarray, " right"]]:
    """Return the lanes beside one that lead the same way: left and right, nearest first."""
    graph = road.map.lanes
    sides = []
    for beside in (graph.left, graph.right):
        found = [lane]
        while True:
            there = int(beside[found[-1]])
            if there < 0 or there in found or not road.is_drivable[there]:
                break
            turn = angle_difference(road.directions[there, 0], road.directions[lane, 0])
            if not np.abs(turn) < _WRONG_WAY:
                break
            found.append(there)
        sides.append(np.array(found[1:], np.int64))
    return sides[0], sides[1]


def check_pose(position: Float64[np.ndarray, " 2"], heading: float) -> None:
    """Raise an error where a pose is not finite.

    Raises:
        InputError: It is not.
    """
    if not np.isfinite([*position, heading]).all():
        raise InputError(
            "geometry",
            "where the car is, is not known",
            why=f"x, y = {position.tolist()}, heading = {heading}",
        )


def _lanes_at(road: Road, position: np.ndarray, heading: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the lanes a car may be in, and how badly each fits."""
    import shapely

    found = road.index.candidates(position[None])
    cost = found.cost(np.array([heading]))
    leads = np.abs(angle_difference(np.float64(heading), found.heading)) < _WRONG_WAY
    if leads.any():
        return found.lane[leads], cost[leads]
    gap = shapely.distance(road.surfaces[road.rows], shapely.Point(*position))
    near = road.rows[(gap < _BESIDE) & (road.lengths[road.rows] > 0)]
    piece = road.map.lanes.centre[near]
    here = project_packed(np.tile(position, (len(near), 1)), road.segments, piece)
    vertex = road.map.offsets[piece] + here.segment
    onward = road.map.points[vertex + 1, :2] - road.map.points[vertex, :2]
    turn = np.abs(angle_difference(np.float64(heading), np.arctan2(onward[:, 1], onward[:, 0])))
    leads = turn < _WRONG_WAY
    if leads.any():
        return near[leads], (turn + np.abs(here.d))[leads]
    if len(near):
        why = f"the lanes there lead another way: the car heads {np.rad2deg(heading):.0f}°"
    elif len(gap):
        why = f"the nearest lane is {np.min(gap):.1f} m away"
    else:
        why = "the map has no lanes for cars"
    raise InputError(
        "value",
        "the car is on no lane that leads its way",
        where=f"map {road.map.id}, x, y = {position[0]:.1f}, {position[1]:.1f}",
        why=why,
        remedy="give the lanes of the route, or plan along the recorded path",
    )


def _row_of(road: Road, name: str) -> int:
    ids = road.map.lanes.ids
    if name not in ids:
        raise InputError(
            "name",
            f"there is no lane {name!r}",
            where=f"map {road.map.id}",
            remedy=suggest_name(name, ids),
        )
    return ids.index(name)


def _chain_of(road: Road, lanes: Sequence[str]) -> list[int]:
    chain = [_row_of(road, name) for name in lanes]
    if not chain:
        raise InputError("empty", "a route without lanes was given", where=f"map {road.map.id}")
    ids = road.map.lanes.ids
    for lane in chain:
        if not road.lengths[lane] > 0:
            raise InputError("value", f"lane {ids[lane]!r} is not for cars", where=road.map.id)
    for here, there in pairwise(chain):
        onward = road.map.lanes.successors(here)
        if there not in onward:
            raise InputError(
                "reference",
                f"lane {ids[there]!r} does not follow lane {ids[here]!r}",
                where=f"map {road.map.id}",
                why=f"it is followed by {', '.join(ids[i] for i in onward) or 'nothing'}",
            )
    return chain


def _place(road: Road, chain: list[int], position: np.ndarray) -> tuple[int, float]:
    """Return which lane of a chain a car is nearest to, and how far along that one it is [m]."""
    piece = road.map.lanes.centre[chain]
    found = project_packed(np.tile(position, (len(chain), 1)), road.segments, piece)
    own = int(np.argmin(np.abs(found.d)))
    return own, float(found.s[own])


def _join(
    road: Road, chain: list[int], own: int, along: float, *, ahead: float, behind: float
) -> Route:
    """Return the centre lines of a chain as one line, cut to what is wanted."""
    centres = [road.map.centre_line(lane)[:, :2] for lane in chain]
    line = np.concatenate(centres)
    s = arc_length(line)
    begins = s[np.cumsum([0, *map(len, centres[:-1])])]
    place = begins[own] + along
    first, last = max(place - behind, 0.0), min(place + ahead, float(s[-1]))
    inner = (s > first) & (s < last)
    ends = interpolate(line, np.array([first, last]))
    used = (begins < last) & (np.append(begins[1:], s[-1]) > first)
    return Route(
        line=np.concatenate([ends[:1], line[inner], ends[1:]]),
        start=float(place - first),
        lanes=np.array(chain, np.int64)[used],
        lane_start=begins[used] - first,
        origin="lanes",
    )
