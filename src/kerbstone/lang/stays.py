"""On which lane each road user is over time, without flicker where lanes overlap.

In an intersection many lanes share the ground, and which of them a vehicle is on shows only in
where it came from and where it goes. So of all ways to assign lanes the one counts that fits the
positions and headings best and jumps least between lanes that do not follow one another: the most
likely path of a hidden Markov model.

References:
    Newson and Krumm, "Hidden Markov map matching through noise and sparseness", GIS 2009.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.lang.roads import Road
from kerbstone.scene import LaneCandidates, LaneKind, LanePositions

_JUMP = 1.5
"""What it costs to go on on a lane that does not follow, in radians at one step."""
_CHANGE = 0.5
"""The same for the lane beside it."""
_SKIPPED = 20.0
"""How much lane may lie between two steps [m]."""
_ODD = 0.5
"""What it costs to be on rails, on a shoulder or on a cycle lane, where there is another lane."""
_ODD_KINDS = np.array([LaneKind.RAIL, LaneKind.SHOULDER, LaneKind.BICYCLE], np.uint8)


@dataclass(frozen=True, eq=False)
class Stays:
    """Who is on which lane, and when.

    Args:
        places: Lane and place on it of each agent at each time.
        number: Which stay each cell belongs to, -1 on no lane.
        agent: The agent of each stay; stays come by agent, then by time.
        lane: Its lane.
        first: Its first step.
        last: Its last step.
        candidates: All lanes at each agent and time; a point is a cell of [agent, time].
    """

    places: LanePositions
    number: Int64[np.ndarray, "agent time"]
    agent: Int64[np.ndarray, " stay"]
    lane: Int64[np.ndarray, " stay"]
    first: Int64[np.ndarray, " stay"]
    last: Int64[np.ndarray, " stay"]
    candidates: LaneCandidates


def find_stays(
    road: Road,
    points: Float64[np.ndarray, "agent time 2"],
    headings: Float64[np.ndarray, "agent time"],
) -> Stays:
    """Return who is on which lane.

    Args:
        road: The road.
        points: Centres, NaN where an agent is not there [m].
        headings: Their directions [rad].
    """
    shape = points.shape[:2]
    found = road.index.candidates(points.reshape(-1, 2))
    cost = found.cost(headings.reshape(-1))
    cost = cost + _ODD * np.isin(road.lanes.kind[found.lane], _ODD_KINDS)
    return lay_out(found, _choose(road, found, cost, shape[1]), shape)


def lay_out(
    found: LaneCandidates, chosen: Int64[np.ndarray, " chosen"], shape: tuple[int, int]
) -> Stays:
    """Return the stays of road users who are on chosen ones of the lanes under them.

    Args:
        found: All lanes at each agent and time.
        chosen: One row of them for each cell that has any.
        shape: How many agents and steps there are.
    """
    places = found.spread(chosen, shape)
    lane = places.lane
    starts = np.ones(shape, bool)
    starts[:, 1:] = lane[:, 1:] != lane[:, :-1]
    starts &= lane >= 0
    number = np.where(lane >= 0, np.cumsum(starts).reshape(shape) - 1, -1)
    agent, first = np.nonzero(starts)
    ends = np.ones(shape, bool)
    ends[:, :-1] = lane[:, 1:] != lane[:, :-1]
    _, last = np.nonzero(ends & (lane >= 0))
    return Stays(places, number, agent, lane[agent, first], first, last, found)


def _choose(
    road: Road, found: LaneCandidates, cost: Float64[np.ndarray, " row"], steps: int
) -> Int64[np.ndarray, " chosen"]:
    """Return one row of the candidates for each point that has any."""
    if not len(found.point):
        return np.zeros(0, np.int64)
    stretch, option, option_lane = _stretches(found, steps)
    total = np.bincount(option, cost, len(option_lane))
    best = _cheapest_path(road, total, option_lane, *_layout(stretch, option, found.point // steps))
    return np.flatnonzero(best[option])


def _stretches(
    found: LaneCandidates, steps: int
) -> tuple[Int64[np.ndarray, " row"], Int64[np.ndarray, " row"], Int64[np.ndarray, " option"]]:
    """Cut each agent's time where the set of lanes under it changes.

    Returns:
        The stretch of each row, its option (a lane on a stretch), and the lane of each option.
    """
    begins = np.diff(found.point, prepend=-1) != 0
    first = np.flatnonzero(begins)
    count = np.diff(first, append=len(found.point))
    # Rows of a point are ordered by lane, so equal sets have equal sums of random numbers.
    code = np.random.default_rng(0).integers(1, 2**40, int(found.lane.max()) + 1)
    key = np.add.reduceat(code[found.lane], first)
    agent = found.point[first] // steps
    changes = np.ones(len(first), bool)
    changes[1:] = (key[1:] != key[:-1]) | (count[1:] != count[:-1]) | (agent[1:] != agent[:-1])
    stretch = np.repeat(np.cumsum(changes) - 1, count)
    size = count[changes]
    offset = np.cumsum(size) - size
    rank = np.arange(len(found.point)) - np.repeat(first, count)
    option = offset[stretch] + rank
    lane = np.zeros(int(size.sum()), np.int64)
    lane[option] = found.lane
    return stretch, option, lane


def _layout(
    stretch: Int64[np.ndarray, " row"],
    option: Int64[np.ndarray, " row"],
    agent: Int64[np.ndarray, " row"],
) -> tuple[Int64[np.ndarray, "stretch most"], Int64[np.ndarray, " stretch"]]:
    """Return the options of each stretch, -1 behind the last, and which stretch of its agent it is."""
    first = np.flatnonzero(np.diff(stretch, prepend=-1))
    owner = agent[first]
    begins = np.flatnonzero(np.diff(owner, prepend=-1))
    rank = np.arange(len(first)) - np.repeat(begins, np.diff(begins, append=len(first)))
    low = option[first]
    size = np.diff(low, append=int(option.max()) + 1)
    column = np.arange(int(size.max()))
    table = np.where(column < size[:, None], low[:, None] + column, -1)
    return table, rank


def _cheapest_path(
    road: Road,
    total: Float64[np.ndarray, " option"],
    lane: Int64[np.ndarray, " option"],
    table: Int64[np.ndarray, "stretch most"],
    rank: Int64[np.ndarray, " stretch"],
) -> Bool[np.ndarray, " option"]:
    """Return which options lie on each agent's cheapest path (Viterbi, over all agents at once)."""
    lanes, number = np.unique(lane, return_inverse=True)
    step_cost = _step_costs(road, lanes)
    cost = np.where(table >= 0, total[table], np.inf)
    number = np.where(table >= 0, number[table], 0)
    came_from = np.zeros_like(table)
    for k in range(1, int(rank.max()) + 1):
        here = np.flatnonzero(rank == k)
        before = here - 1
        way = cost[before, :, None] + step_cost[number[before, :, None], number[here, None, :]]
        came_from[here] = way.argmin(axis=1)
        cost[here] += way.min(axis=1)
    chosen = np.full(len(table), -1)
    is_last = np.append(rank[1:] == 0, True)
    chosen[is_last] = cost[is_last].argmin(axis=1)
    for k in range(int(rank.max()), 0, -1):
        here = np.flatnonzero(rank == k)
        chosen[here - 1] = came_from[here, chosen[here]]
    best = np.zeros(len(lane), bool)
    best[table[np.arange(len(table)), chosen]] = True
    return best


def _step_costs(road: Road, lanes: Int64[np.ndarray, " lane"]) -> Float64[np.ndarray, "lane lane"]:
    """Return what it costs to be on one lane and then on another."""
    ahead = road.reach(lanes, limit=float(road.length[lanes].max()) + _SKIPPED)[:, lanes]
    cost = np.full((len(lanes), len(lanes)), _JUMP)
    left, right, _ = (side[lanes][:, lanes].toarray() for side in road.sides)
    cost[left | right] = _CHANGE
    cost[ahead - road.length[lanes, None] <= _SKIPPED] = 0.0
    np.fill_diagonal(cost, 0.0)
    return cost
