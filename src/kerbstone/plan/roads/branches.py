"""Choosing among the lanes that follow: the straightest, those a car drove, those to a goal."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from kerbstone.errors import InputError
from kerbstone.plan.roads.road import Road
from kerbstone.scene import angle_difference, project_packed

_BEAM = 16
"""As many chains of lanes are kept while looking for the one that was driven."""
_LANES = 400
"""No chain is longer: lanes of no length could follow one another for ever."""
_POINTS = 40
"""So many points of a record are looked at."""
_FAR = 8.0
"""A point of the record further from a lane than this says no more against it [m]."""
_FIT_WEIGHT = 0.2
_TURN_WEIGHT = 0.05


def choose_branch(road: Road, lane: int, reach: float) -> list[int]:
    """Return the chain from a lane's start that goes straightest on at every fork.

    Args:
        road: The road.
        lane: The first lane.
        reach: How long the chain should be [m]; shorter where the lanes end.
    """
    chain, length = [lane], float(road.lengths[lane])
    while length < reach and len(chain) < _LANES:
        onward = _followers(road, chain[-1])
        if not len(onward):
            break
        chain.append(int(onward[np.argmin(_turn(road, chain[-1], onward))]))
        length += float(road.lengths[chain[-1]])
    return chain


def cover_record(
    road: Road,
    first: Int64[np.ndarray, " lane"],
    cost: Float64[np.ndarray, " lane"],
    record: Float64[np.ndarray, "point 2"],
    reach: float,
) -> list[int]:
    """Return the chain of lanes that lies nearest to a recorded path, by a beam search.

    A chain is judged by the mean distance of the record to it; where that tells nothing, by how
    well its first lane fits the car and by how straight it goes on.

    Args:
        road: The road.
        first: Lanes that it may begin with.
        cost: How badly each of these fits the car.
        record: Where the car went [m].
        reach: How long the chain should be [m]; shorter where the lanes end.
    """
    record = record[np.linspace(0, len(record) - 1, min(len(record), _POINTS)).round().astype(int)]
    near: dict[int, np.ndarray] = {}

    def distance(lane: int) -> np.ndarray:
        if lane not in near:
            piece = np.full(len(record), road.map.lanes.centre[lane])
            found = project_packed(record, road.segments, piece)
            near[lane] = np.minimum(np.abs(found.d), _FAR)
        return near[lane]

    # Of each chain: its lanes, its length, the distance of each point, and what is held against it.
    open_ = [
        ([int(lane)], float(road.lengths[lane]), distance(int(lane)), _FIT_WEIGHT * float(fit))
        for lane, fit in zip(first, cost, strict=True)
        if road.lengths[lane] > 0
    ]
    done = []
    while open_:
        grown = []
        for chain, length, gap, against in open_:
            onward = _followers(road, chain[-1])
            if length >= reach or not len(onward) or len(chain) >= _LANES:
                done.append((float(gap.mean()) + against, chain))
                continue
            turns = _turn(road, chain[-1], onward)
            for lane, turn in zip(onward.tolist(), turns.tolist(), strict=True):
                grown.append(
                    (
                        [*chain, lane],
                        length + float(road.lengths[lane]),
                        np.minimum(gap, distance(lane)),
                        against + _TURN_WEIGHT * turn,
                    )
                )
        grown.sort(key=lambda chain: float(chain[2].mean()) + chain[3])
        open_ = grown[:_BEAM]
    return min(done)[1]


def trace_back(road: Road, lane: int, reach: float) -> list[int]:
    """Return the lanes before one, the straightest way back, in driving direction."""
    chain: list[int] = []
    length = 0.0
    while length < reach and len(chain) < _LANES:
        here = chain[0] if chain else lane
        before = road.map.lanes.predecessors(here)
        before = before[road.is_drivable[before] & (road.lengths[before] > 0)]
        if not len(before):
            break
        turn = angle_difference(road.directions[here, 0], road.directions[before, 2])
        chain.insert(0, int(before[np.argmin(np.abs(turn))]))
        length += float(road.lengths[chain[0]])
    return chain


def reach_goal(road: Road, first: Int64[np.ndarray, " lane"], goal: int) -> list[int]:
    """Return the shortest chain of lanes from one of the first to a goal.

    Raises:
        InputError: The goal cannot be reached without a change of lane.
    """
    graph = road.map.lanes
    source = np.repeat(np.arange(len(graph)), np.diff(graph.next_offsets))
    usable = road.is_drivable[source] & road.is_drivable[graph.next_lanes]
    source, following = source[usable], graph.next_lanes[usable]
    # A lane of no length still is a step, and a weight of zero would be no edge.
    weight = np.maximum(road.lengths[source], 1e-6)
    edges = csr_array((weight, (source, following)), shape=(len(graph), len(graph)))
    far, before = dijkstra(edges, indices=first, return_predecessors=True)
    best = int(np.argmin(far[:, goal]))
    if not np.isfinite(far[best, goal]):
        raise InputError(
            "reference",
            f"lane {graph.ids[goal]!r} cannot be reached without a change of lane",
            where=f"map {road.map.id}, from lane {graph.ids[first[0]]!r}",
            why="following the lanes from there does not lead to it",
            remedy="give a goal further on, or the lanes of the route",
        )
    chain = [goal]
    while chain[-1] != first[best]:
        chain.append(int(before[best, chain[-1]]))
    return chain[::-1]


def _followers(road: Road, lane: int) -> np.ndarray:
    onward = road.map.lanes.successors(lane)
    return onward[road.is_drivable[onward] & (road.lengths[onward] > 0)]


def _turn(road: Road, lane: int, onward: np.ndarray) -> np.ndarray:
    return np.abs(angle_difference(road.directions[onward, 1], road.directions[lane, 3]))
