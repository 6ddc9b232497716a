"""When the room that ego takes meets where others may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.duties import NARROW, Duties
from kerbstone.plan.shield.manoeuvre import SweptBoxes
from kerbstone.plan.shield.occupancy import Occupancy
from kerbstone.plan.shield.path import REACH
from kerbstone.plan.shield.place import STAYS, Place, apart, locate, plane_room
from kerbstone.plan.shield.road import BESIDE, Road


@dataclass(frozen=True, eq=False)
class Meetings:
    """Pairs of ego and one other that come near.

    Args:
        row: Episode of each pair.
        agent: The other of each pair.
        time: Start of the first step in which they may touch [s]; inf where they do not.
        margin: Least room between them during any step [m], below zero where they may touch.
    """

    row: Int64[np.ndarray, " pair"]
    agent: Int64[np.ndarray, " pair"]
    time: Float64[np.ndarray, " pair"]
    margin: Float64[np.ndarray, " pair"]


def meet_agents(
    boxes: SweptBoxes,
    moves: Bool[np.ndarray, "batch step"],
    step: float,
    road: Road,
    occupancy: Occupancy,
    duties: Duties,
    brakes: Bool[np.ndarray, " batch"],
    assumptions: Assumptions,
) -> Iterator[Meetings]:
    """Yield where ego may meet those who need not keep clear of it.

    Args:
        boxes: What ego may touch.
        moves: In which steps ego moves. Where it stands, nothing is its fault.
        step: Length of a step [s].
        road: The routes.
        occupancy: Where the others may be.
        duties: Who has to keep clear.
        brakes: Which manoeuvres brake so that those ahead may cut in, by RSS.
        assumptions: Whether the time between the grid points is covered.
    """
    start, end = interval(moves.shape[1], step, assumptions)
    free = duties.may_change | (duties.goes_along & ~brakes[:, None, None])
    relevant = occupancy.on_route & ~duties.follows & ~duties.yields
    relevant &= np.asarray(moves.any(axis=1))[:, None, None]
    for k in range(len(road.routes)):
        rows = np.flatnonzero(relevant[..., k].any(axis=1))
        if not len(rows):
            continue
        place = locate(boxes, rows, road, k)
        local, agent = np.nonzero(relevant[rows, :, k])
        row, route = rows[local], np.full(len(local), k)
        bound = place.whole(moves[rows])
        # Whoever's lane ego comes into need not stay in it, even where ego is behind.
        band = occupancy.band[row, agent, k]
        is_free = free[row, agent, k] | (
            (bound[local, 2] <= band[:, 1]) & (bound[local, 3] >= band[:, 0])
        )
        # First over the whole time at once, which leaves most pairs out.
        least, most = occupancy.along(row, agent, route, start[:1], end[-1:])
        low, high = occupancy.beside(row, agent, route, end[-1:], is_free=is_free)
        room = apart(bound[local, 0:1], bound[local, 1:2], least, most)
        room = np.maximum(room, apart(bound[local, 2:3], bound[local, 3:4], low, high))
        width = road.routes[k].half_width
        spared = _find_spared(
            place, local, moves, row, agent, k, duties, occupancy, end, width, assumptions
        )
        farthest = np.maximum(-low, high)
        limit = min(road.routes[k].path.fold, REACH - 6.0)
        loses = (most[:, 0] > road.routes[k].path.length) | (farthest[:, 0] > limit)
        kept = np.flatnonzero(((room[:, 0] <= 0.0) | loses) & ~spared.all(axis=1))
        if not len(kept):
            continue
        row, agent, route, local = row[kept], agent[kept], route[kept], local[kept]
        least, most = occupancy.along(row, agent, route, start, end)
        low, high = occupancy.beside(row, agent, route, end, is_free=is_free[kept])
        room = place.room(local, least, most, low, high)
        # Who may come so far from its route, while ego moves, that another part of it may be nearer.
        folded = ((np.maximum(-low, high) > limit) & moves[row]).any(axis=1, keepdims=True)
        room[(most > road.routes[k].path.length) | folded] = -np.inf
        room[~moves[row] | spared[kept]] = np.inf
        yield _resolve(boxes, moves, (start, end), occupancy, row, agent, room)
    loose = occupancy.is_loose & occupancy.valid & ~duties.clear_behind
    if (loose & duties.close_behind).any():
        loose &= ~(duties.close_behind & _stays_ahead(boxes, moves, occupancy))
    row, agent = np.nonzero(loose)
    moving = np.flatnonzero(np.asarray(moves[row].any(axis=1)))
    row, agent = row[moving], agent[moving]
    if len(row):
        room = np.where(moves[row], -np.inf, np.inf)
        yield _resolve(boxes, moves, (start, end), occupancy, row, agent, room)


def _find_spared(
    place: Place,
    local: Int64[np.ndarray, " pair"],
    moves: Bool[np.ndarray, "batch step"],
    row: Int64[np.ndarray, " pair"],
    agent: Int64[np.ndarray, " pair"],
    route: int,
    duties: Duties,
    occupancy: Occupancy,
    end: Float64[np.ndarray, " step"],
    half_width: float,
    assumptions: Assumptions,
) -> Bool[np.ndarray, "pair steps"]:
    """Tell of pairs in which steps the other is near behind ego and has to keep clear of it."""
    comes = duties.comes_in[row, agent, route]
    some = np.flatnonzero(duties.trails[row, agent, route] | comes)
    if not len(some):
        return np.zeros((len(row), 1), dtype=bool)
    pair = row[some], agent[some], np.full(len(some), route)
    swaying, error = assumptions.swaying, assumptions.perception
    tight, half = occupancy.tight[pair], occupancy.half[pair[:2]]
    doubt = occupancy.radius[pair[:2]] - np.hypot(half[:, 0], half[:, 1])
    reach = occupancy.shift(*pair, end) + (doubt - half[:, 1] + error.size)[:, None]
    middle = tight.mean(axis=1)[:, None]
    near = local[some], moves[pair[0]]
    goes = place.goes_along(
        local[some], narrow=NARROW * assumptions.aligned, farthest=half_width + BESIDE
    )
    found = place.find_spared(
        *near, goes, duties.past[pair[0], :, route], middle - reach, middle + reach, swaying
    )
    found &= (~comes[some] | place.find_steady(*near, tight, swaying))[:, None]
    spared = np.zeros((len(row), moves.shape[1]), dtype=bool)
    spared[some] = found
    return spared


def find_relieved(
    boxes: SweptBoxes,
    moves: Bool[np.ndarray, "batch step"],
    road: Road,
    occupancy: Occupancy,
    duties: Duties,
    step: float,
    assumptions: Assumptions,
) -> tuple[Bool[np.ndarray, "batch agent route"], Bool[np.ndarray, "batch agent"]]:
    """Return into whose bands ego comes, and who has to keep clear of ego.

    This tells the ledger what `meet_agents` took for granted.

    Args:
        boxes: What ego may touch.
        moves: In which steps ego moves.
        road: The routes.
        occupancy: The others' bands.
        duties: Who has to keep clear.
        step: Length of a step [s].
        assumptions: How far they get across their lanes.
    """
    _, end = interval(moves.shape[1], step, assumptions)
    entered = np.zeros(occupancy.on_route.shape, dtype=bool)
    owes = duties.follows | duties.yields
    rows = np.arange(len(moves))
    for k in range(len(road.routes)):
        place = locate(boxes, rows, road, k)
        bound, band = place.whole(moves)[:, None], occupancy.band[..., k, :]
        entered[..., k] = (bound[..., 2] <= band[..., 1]) & (bound[..., 3] >= band[..., 0])
        row, agent = np.nonzero(duties.trails[..., k] | duties.comes_in[..., k])
        width = road.routes[k].half_width
        spared = _find_spared(
            place, row, moves, row, agent, k, duties, occupancy, end, width, assumptions
        )
        owes[row, agent, k] |= spared.all(axis=1)
    behind = duties.clear_behind
    behind = behind | (duties.close_behind & _stays_ahead(boxes, moves, occupancy))
    # On each route that it may take, or, where none bounds it, in the plane.
    bound_by = (owes | ~occupancy.on_route).all(axis=-1)
    return entered, occupancy.valid & np.where(occupancy.is_loose, behind, bound_by)


def _stays_ahead(
    boxes: SweptBoxes, moves: Bool[np.ndarray, "batch step"], occupancy: Occupancy
) -> Bool[np.ndarray, "batch agent"]:
    """Tell before whom ego stays in the plane while it moves, across its heading at the start."""
    first = boxes.direction[:, :1]
    normal = np.stack([-first[..., 1], first[..., 0]], axis=-1)
    ego = (boxes.centre * normal).sum(axis=-1)
    other = (occupancy.centre * normal).sum(axis=-1)
    least = np.where(moves, ego, np.inf).min(axis=1)[:, None]
    most = np.where(moves, ego, -np.inf).max(axis=1)[:, None]
    reach = (
        occupancy.half[..., 1] + np.where(moves, boxes.half[..., 1], np.inf).min(axis=1)[:, None]
    )
    farthest = np.maximum(other - least, most - other)
    return farthest <= reach - STAYS


def interval(
    steps: int, step: float, assumptions: Assumptions
) -> tuple[Float64[np.ndarray, " step"], Float64[np.ndarray, " step"]]:
    """Return start and end of each step [s]; both the end where only grid points are looked at."""
    end = (np.arange(steps) + 1.0) * step
    return (end - step if assumptions.covers_intervals else end), end


def first_meeting(
    row: Int64[np.ndarray, " pair"],
    agent: Int64[np.ndarray, " pair"],
    room: Float64[np.ndarray, "pair step"],
    start: Float64[np.ndarray, " step"],
) -> Meetings:
    """Return when rooms first are zero or less."""
    meets = room <= 0.0
    time = np.where(meets.any(axis=1), start[meets.argmax(axis=1)], np.inf)
    return Meetings(row, agent, time, room.min(axis=1, initial=np.inf))


def _resolve(
    boxes: SweptBoxes,
    moves: Bool[np.ndarray, "batch step"],
    time: tuple[Float64[np.ndarray, " step"], Float64[np.ndarray, " step"]],
    occupancy: Occupancy,
    row: Int64[np.ndarray, " pair"],
    agent: Int64[np.ndarray, " pair"],
    room: Float64[np.ndarray, "pair step"],
) -> Meetings:
    """Add what the plane tells to pairs that the lanes do not keep apart."""
    doubt = np.flatnonzero((room <= 0.0).any(axis=1))
    if len(doubt):
        pair = row[doubt], agent[doubt]
        centre, radius = occupancy.disc(*pair, *time)
        apart = plane_room(boxes, pair[0], centre, radius)
        # No faster than its greatest speed from where it is now.
        way = occupancy.radius[pair][:, None] + occupancy.top[pair][:, None] * time[1]
        slow = plane_room(boxes, pair[0], occupancy.centre[pair][:, None], way)
        apart = np.where(moves[pair[0]], np.maximum(apart, slow), np.inf)
        room[doubt] = np.maximum(room[doubt], apart)
    return first_meeting(row, agent, room, time[0])
