"""Who of the others has to keep clear of ego, and who may come in its way (A2).

The shield need not answer for what others must not do. These exceptions are RSS' own and no wider:
one behind keeps its distance, and one beside that would leave too short a gap stays in its lane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Integer

from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.manoeuvre import place_body
from kerbstone.plan.shield.memory import Memory, Standing, came_fairly, forget
from kerbstone.plan.shield.occupancy import Occupancy
from kerbstone.plan.shield.path import Extent
from kerbstone.plan.shield.road import Road
from kerbstone.plan.shield.rss import longitudinal_distance
from kerbstone.plan.shield.surroundings import Surroundings
from kerbstone.plan.vehicle import StateIndex, Vehicle

NARROW = 2.0 / 3.0
"""Share of the angle within which one goes ego's way: those bound to follow surely do."""


@dataclass(frozen=True, eq=False)
class Duties:
    """What each road user has to do for ego, on each route that it may take.

    Args:
        follows: It is behind ego, goes ego's way and is far enough back to brake for ego: it does
            not run into it, whatever ego does.
        trails: It is behind ego, goes ego's way and is nearer than that, in ego's lane, but not by
            ego's doing: it does not run into ego while ego is before it. Once it may have left
            ego's way, this holds only if ego does not move aside towards it.
        comes_in: It is behind ego, goes ego's way, nearer than that, and beside ego's lane, and ego
            has not moved aside: if it comes into ego's lane it does not run into ego, as long as
            ego keeps its course.
        yields: It has to give way, and has not come into ego's way yet.
        may_change: It may leave its lane whatever ego does: it is in ego's lane, or so far ahead
            that ego can brake for it.
        goes_along: It goes ego's way. Behind a manoeuvre that does not brake as RSS wants, it may
            leave its lane, too.
        clear_behind: As `follows`, in the plane, for those that no lane bounds.
        close_behind: As `trails`, for the same.
        past: Where ego's middle was across each route during the response time before the last
            step, and since [m]; NaN where that is not known, or nobody is near behind.
        standing: How it stands to ego; no duty, but what has to be remembered.
    """

    follows: Bool[np.ndarray, "batch agent route"]
    trails: Bool[np.ndarray, "batch agent route"]
    comes_in: Bool[np.ndarray, "batch agent route"]
    yields: Bool[np.ndarray, "batch agent route"]
    may_change: Bool[np.ndarray, "batch agent route"]
    goes_along: Bool[np.ndarray, "batch agent route"]
    clear_behind: Bool[np.ndarray, "batch agent"]
    close_behind: Bool[np.ndarray, "batch agent"]
    past: Float64[np.ndarray, "batch past route"]
    standing: Standing

    def take(self, rows: Integer[np.ndarray, " row"]) -> Duties:
        """Return some of the episodes, in the order given."""
        taken = {name: value[rows] for name, value in vars(self).items() if name != "standing"}
        return Duties(**taken, standing=self.standing.take(rows))


def assign_duties(
    state: Float64[np.ndarray, "batch 6"],
    surroundings: Surroundings,
    occupancy: Occupancy,
    road: Road,
    *,
    vehicle: Vehicle,
    assumptions: Assumptions,
    memory: Memory | None = None,
) -> Duties:
    """Return who has which duty towards ego where all are now.

    Duties relieve the shield, so they are given only where they are certain.

    Args:
        state: Of ego.
        surroundings: What is seen.
        occupancy: Where the others are and may be.
        road: The routes.
        vehicle: Ego's size.
        assumptions: Response and braking of all.
        memory: What was so until now. None: nothing is known, and whoever is behind ego in its lane
            is taken to have been there.
    """
    shape = occupancy.on_route.shape
    follows, trails, comes_in, yields, may_change, goes_along = (
        np.zeros(shape, dtype=bool) for _ in range(6)
    )
    loose = occupancy.is_loose & occupancy.valid
    standing = forget((*shape[:2], shape[2] + 1))
    standing.counts[...] = np.concatenate([occupancy.on_route, loose[..., None]], axis=-1)
    past = np.full((len(state), assumptions.remembered, len(road.routes)), np.nan)
    gives_way = np.False_ if surroundings.yields is None else surroundings.yields
    centre, direction, half = place_body(state, vehicle)
    tube, error, kind = assumptions.tube, assumptions.perception, surroundings.kind
    wide_half = half + [tube.longitudinal, tube.lateral] + vehicle.length * tube.heading
    speed = np.maximum(state[:, StateIndex.SPEED], 0.0)[:, None]
    safe_ahead = _safe_ahead(speed, occupancy, assumptions)
    safe_behind = find_safe_behind(speed, kind, occupancy, assumptions)
    # By so much, and a little for the bounds of bent boxes, a gap may be more than its least.
    inexact = 2.0 * (error.position + assumptions.rounding) + error.size
    goes = np.zeros((len(state), shape[2]), dtype=bool)
    for k, route in enumerate(road.routes):
        on_route = occupancy.on_route[..., k]
        if not (on_route.any() or loose.any()):
            continue
        tight = route.path.bound_boxes(centre, direction, half)
        wide = route.path.bound_boxes(centre, direction, wide_half)
        sure = (wide.near & wide.sure)[:, None]
        offset = occupancy.tight[..., k, :]
        may_overlap = _overlap(wide, occupancy.offset[..., k, :]) | ~sure
        standing.may_overlap[..., k] = may_overlap
        standing.overlaps[..., k] = sure & _overlap(tight, offset, by=inexact)
        goes[:, k] = wide.near & (np.abs(tight.turn) < assumptions.aligned)
        known = on_route & sure
        along = known & goes[:, [k]] & (np.abs(occupancy.turn[..., k]) < assumptions.aligned)
        station = occupancy.station[..., k, :]
        ahead = station[..., 0] - tight.station[:, None, 1] + inexact + 0.5
        behind = wide.station[:, None, 0] - station[..., 1]
        in_lane = _overlap(tight, offset)
        in_way = known & _overlap(wide, occupancy.band[..., k, :])
        goes_along[..., k] = along
        may_change[..., k] = in_way | (along & (ahead >= safe_ahead))
        turn = np.maximum(np.abs(tight.turn)[:, None], np.abs(occupancy.turn[..., k]))
        narrow = along & (turn < NARROW * assumptions.aligned)
        follows[..., k] = narrow & (behind >= safe_behind)
        near = narrow & (behind >= 0.0) & (behind < safe_behind)
        past[..., k] = (
            tight.offset.mean(axis=-1, keepdims=True)
            if memory is None
            else memory.trace(route.path, np.asarray(near.any(axis=1)))
        )
        steady = (np.ptp(past[..., k], axis=1) <= assumptions.swaying)[:, None]
        is_fair = follows[..., k] | (near & came_fairly(steady, memory, k))
        standing.is_fair[..., k] = is_fair & may_overlap
        trails[..., k] = near & in_lane & is_fair
        comes_in[..., k] = near & ~in_lane & steady & (is_fair | ~may_overlap)
        yields[..., k] = on_route & gives_way & ~along & ~in_way
    clear, close = _find_behind(
        centre,
        state[:, StateIndex.HEADING],
        safe_behind,
        goes[:, None],
        standing,
        surroundings,
        occupancy,
        road,
        vehicle,
        assumptions,
        memory,
    )
    return Duties(
        follows, trails, comes_in, yields, may_change, goes_along, clear, close, past, standing
    )


def _overlap(
    ego: Extent, offset: Float64[np.ndarray, "batch agent 2"], *, by: float = 0.0
) -> Bool[np.ndarray, "batch agent"]:
    low, high = ego.offset[:, None, 0], ego.offset[:, None, 1]
    return (offset[..., 0] + by <= high) & (offset[..., 1] - by >= low)


def _safe_ahead(
    speed: Float64[np.ndarray, "batch 1"], occupancy: Occupancy, assumptions: Assumptions
) -> Float64[np.ndarray, "batch agent"]:
    """Return the least gap at which one ahead may think that ego can brake for it [m]."""
    ego = assumptions.ego
    return longitudinal_distance(
        speed,
        occupancy.speed[..., 1],
        response=ego.response,
        acceleration=ego.acceleration,
        mild_braking=ego.braking,
        braking=occupancy.braking,
    )


def find_safe_behind(
    speed: Float64[np.ndarray, "batch 1"],
    kind: Integer[np.ndarray, "batch agent"],
    occupancy: Occupancy,
    assumptions: Assumptions,
) -> Float64[np.ndarray, "batch agent"]:
    """Return the gap that one behind has to keep to ego [m].

    Args:
        speed: Of ego [m/s].
        kind: Of the others: values of `Kind`.
        occupancy: How fast they are at most.
        assumptions: Response and braking of all.
    """
    return longitudinal_distance(
        occupancy.speed[..., 1],
        speed,
        response=assumptions.look_up("response", kind),
        acceleration=occupancy.acceleration,
        mild_braking=assumptions.look_up("mild_braking", kind),
        braking=assumptions.ego.hardest,
    )


def _find_behind(
    centre: Float64[np.ndarray, "batch 2"],
    heading: Float64[np.ndarray, " batch"],
    safe_behind: Float64[np.ndarray, "batch agent"],
    goes: Bool[np.ndarray, "batch 1 route"],
    standing: Standing,
    surroundings: Surroundings,
    occupancy: Occupancy,
    road: Road,
    vehicle: Vehicle,
    assumptions: Assumptions,
    memory: Memory | None,
) -> tuple[Bool[np.ndarray, "batch agent"], Bool[np.ndarray, "batch agent"]]:
    """Tell who is far enough behind ego in the plane and who trails it; enter how they stand to it.

    Args:
        centre: Middle of ego's box [m].
        heading: Of ego [rad].
        safe_behind: The gap that each has to keep behind ego [m].
        goes: Which routes ego goes along.
        standing: How they stand to it across the routes, and where to enter the rest.
        surroundings: What is seen.
        occupancy: Where the others are.
        road: The routes.
        vehicle: Ego's size.
        assumptions: What is the same direction.
        memory: What was so until now.
    """
    away = occupancy.centre - centre[:, None]
    cosine, sine = np.cos(heading)[:, None], np.sin(heading)[:, None]
    behind = -(away[..., 0] * cosine + away[..., 1] * sine) - vehicle.length / 2.0
    behind -= occupancy.radius + assumptions.tube.longitudinal
    aside = np.abs(away[..., 1] * cosine - away[..., 0] * sine)
    reach = (vehicle.width + np.where(occupancy.valid, surroundings.width, 0.0)) / 2.0
    in_lane = aside <= reach
    error, tube = assumptions.perception, assumptions.tube
    wide = vehicle.width / 2.0 + occupancy.radius + tube.lateral + vehicle.length * tube.heading
    # It may be in ego's way where it is so across any route; it surely is where it is across all.
    may_overlap = (aside <= wide) | (standing.may_overlap[..., :-1] & goes).any(axis=-1)
    inexact = 2.0 * (error.position + assumptions.rounding) + error.size
    overlaps = (aside <= reach - inexact) & (standing.overlaps[..., :-1] | ~goes).all(axis=-1)
    turn = np.where(occupancy.valid, surroundings.heading, 0.0) - heading[:, None]
    along = np.cos(turn) > np.cos(NARROW * assumptions.aligned)
    clear = along & (behind >= safe_behind)
    near = along & (behind >= 0.0) & ~clear & may_overlap & standing.counts[..., -1]
    is_fair = near
    if memory is not None and near.any():
        straight = memory.is_straight(heading)
        straight &= _keeps_beside_routes(
            centre, heading, near.any(axis=1), road, assumptions, memory
        )
        is_fair = near & came_fairly(straight[:, None], memory, -1)
    standing.may_overlap[..., -1], standing.overlaps[..., -1] = may_overlap, overlaps
    standing.is_fair[..., -1] = (is_fair | clear) & may_overlap
    return clear, is_fair & in_lane


def _keeps_beside_routes(
    centre: Float64[np.ndarray, "batch 2"],
    heading: Float64[np.ndarray, " batch"],
    asked: Bool[np.ndarray, " batch"],
    road: Road,
    assumptions: Assumptions,
    memory: Memory,
) -> Bool[np.ndarray, " batch"]:
    """Tell where ego has not moved aside across any route that it goes along; false if not asked.

    One that drives straight on, at an angle to its lane, moves aside as blame has it.
    """
    keeps = asked.copy()
    for route in road.routes:
        offset, direction, _ = route.path.follow(centre)
        # The offset from a route that is not near is NaN.
        along = keeps & np.isfinite(offset)
        along &= np.cos(heading - direction) >= np.cos(assumptions.aligned)
        across = memory.trace(route.path, along)
        # Written so that what is not known, NaN, is no relief.
        keeps &= ~along | (np.ptp(across, axis=1) <= assumptions.swaying)
    return keeps
