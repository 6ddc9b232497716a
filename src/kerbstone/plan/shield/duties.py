"""Who of the others has to keep clear of ego, and who may come in its way (A2).

The shield need not answer for what others must not do. These exceptions are RSS' own and no wider:
one behind keeps its distance, and one beside that would leave too short a gap stays in its lane.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Integer

from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.manoeuvre import place_body
from kerbstone.plan.shield.occupancy import Occupancy
from kerbstone.plan.shield.path import Extent, Path
from kerbstone.plan.shield.road import Road
from kerbstone.plan.shield.rss import longitudinal_distance
from kerbstone.plan.shield.surroundings import Surroundings
from kerbstone.plan.vehicle import StateIndex, Vehicle

NARROW = 2.0 / 3.0
"""Share of the angle within which one goes ego's way: those bound to follow surely do."""


@dataclass(frozen=True, eq=False)
class Memory:
    """What has to be remembered to know who follows ego.

    Ego must not make anyone its follower by moving into its lane close ahead of it. One that is
    nearer behind than RSS wants is a follower only if it was one before, or if it comes into line
    while ego keeps its course.

    Args:
        on_route: Which routes each might take one step ago.
        follows: Who followed ego for certain, by route, then.
        in_line: Who may have overlapped ego across the route.
        clear_behind: Who followed it in the plane.
        before: Who overlapped it across its heading.
        track: Middles of ego's box during the response time before, and now [m].
        swaying: How far ego may be off a straight course that does not count as moving aside [m].
    """

    on_route: Bool[np.ndarray, "batch agent route"]
    follows: Bool[np.ndarray, "batch agent route"]
    in_line: Bool[np.ndarray, "batch agent route"]
    clear_behind: Bool[np.ndarray, "batch agent"]
    before: Bool[np.ndarray, "batch agent"]
    track: Float64[np.ndarray, "batch past 2"]
    swaying: float

    def take(self, rows: Integer[np.ndarray, " row"]) -> Memory:
        """Return some of the episodes, in the order given."""
        kept = {name: value for name, value in vars(self).items() if name != "swaying"}
        return replace(self, **{name: value[rows] for name, value in kept.items()})

    def note(
        self,
        rows: Integer[np.ndarray, " row"],
        on_route: Bool[np.ndarray, "row agent route"],
        duties: Duties,
    ) -> None:
        """Remember the routes and the duties of some of the episodes."""
        self.on_route[rows] = on_route
        self.follows[rows] = duties.follows | duties.keeps
        self.in_line[rows] = duties.in_line
        self.clear_behind[rows] = duties.clear_behind | duties.close_behind
        self.before[rows] = duties.before

    def recall(
        self, route: int
    ) -> tuple[Bool[np.ndarray, "batch agent"], Bool[np.ndarray, "batch agent"]]:
        """Return who followed ego in its way on a route, and who may have been in its way there.

        Whoever has come from other routes, or from beside all, brings what it was there.
        """
        kept = self.follows & self.in_line
        was_on = self.on_route[..., route]
        from_route = self.on_route.any(axis=-1)
        followed = np.where(
            from_route, (kept | ~self.on_route).all(axis=-1), self.clear_behind & self.before
        )
        in_line = np.where(from_route, self.in_line.any(axis=-1), self.before)
        return (
            np.where(was_on, kept[..., route], followed),
            np.where(was_on, self.in_line[..., route], in_line),
        )

    def trace(
        self, path: Path, asked: Bool[np.ndarray, " batch"]
    ) -> Float64[np.ndarray, "batch past"]:
        """Return where ego has been across a path [m]; NaN where not known or not asked."""
        across = np.full(self.track.shape[:2], np.nan)
        rows = np.flatnonzero(asked)
        track = self.track[rows]
        direction = np.zeros_like(track)
        direction[..., 0] = 1.0
        extent = path.bound_boxes(track, direction, np.zeros_like(track))
        known = (extent.near & extent.sure).all(axis=1, keepdims=True)
        across[rows] = np.where(known, extent.offset[..., 0], np.nan)
        return across

    def is_straight(self, heading: Float64[np.ndarray, " batch"]) -> Bool[np.ndarray, " batch"]:
        """Tell where ego has not moved across its heading now."""
        x, y = self.track[..., 0], self.track[..., 1]
        aside = y * np.cos(heading)[:, None] - x * np.sin(heading)[:, None]
        return np.asarray(np.ptp(aside, axis=1) <= self.swaying)


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
        keeps: It trails ego, and that is certain: it overlaps ego by more than it may be off, or
            ego has not moved aside. No duty, but what has to be remembered.
        past: Where ego's middle was across each route during the response time before [m]; NaN
            where that is not known, or nobody is near behind.
        in_line: It may overlap ego across the route, no matter how far ahead or behind; no duty,
            but what has to be remembered.
        before: The same across ego's heading.
    """

    follows: Bool[np.ndarray, "batch agent route"]
    trails: Bool[np.ndarray, "batch agent route"]
    comes_in: Bool[np.ndarray, "batch agent route"]
    yields: Bool[np.ndarray, "batch agent route"]
    may_change: Bool[np.ndarray, "batch agent route"]
    goes_along: Bool[np.ndarray, "batch agent route"]
    clear_behind: Bool[np.ndarray, "batch agent"]
    close_behind: Bool[np.ndarray, "batch agent"]
    keeps: Bool[np.ndarray, "batch agent route"]
    past: Float64[np.ndarray, "batch past route"]
    in_line: Bool[np.ndarray, "batch agent route"]
    before: Bool[np.ndarray, "batch agent"]

    def take(self, rows: Integer[np.ndarray, " row"]) -> Duties:
        """Return some of the episodes, in the order given."""
        return Duties(**{name: value[rows] for name, value in vars(self).items()})


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
    follows, trails, comes_in, keeps, yields, may_change, goes_along, in_line = (
        np.zeros(shape, dtype=bool) for _ in range(8)
    )
    length = round(assumptions.ego.response / assumptions.control_step) + 1
    past = np.full((len(state), length, len(road.routes)), np.nan)
    heading = state[:, StateIndex.HEADING]
    centre, direction, half = place_body(state, vehicle)
    tube, error, kind = assumptions.tube, assumptions.perception, surroundings.kind
    wide_half = half + [tube.longitudinal, tube.lateral] + vehicle.length * tube.heading
    speed = np.maximum(state[:, StateIndex.SPEED], 0.0)[:, None]
    safe_ahead = _safe_ahead(speed, occupancy, assumptions)
    safe_behind = _safe_behind(speed, kind, occupancy, assumptions)
    # By so much, and a little for the bounds of bent boxes, a gap may be more than its least.
    doubt = 2.0 * (error.position + assumptions.rounding) + error.size + 0.5
    for k, route in enumerate(road.routes):
        on_route = occupancy.on_route[..., k]
        if not on_route.any():
            continue
        tight = route.path.bound_boxes(centre, direction, half)
        wide = route.path.bound_boxes(centre, direction, wide_half)
        sure = (wide.near & wide.sure)[:, None]
        known = on_route & sure
        along = known & (np.abs(tight.turn) < assumptions.aligned)[:, None]
        along &= np.abs(occupancy.turn[..., k]) < assumptions.aligned
        station, offset = occupancy.station[..., k, :], occupancy.tight[..., k, :]
        ahead = station[..., 0] - tight.station[:, None, 1] + doubt
        behind = wide.station[:, None, 0] - station[..., 1]
        in_lane = _overlap(tight, offset)
        in_way = known & _overlap(wide, occupancy.band[..., k, :])
        goes_along[..., k] = along
        may_change[..., k] = in_way | (along & (ahead >= safe_ahead))
        narrow = np.abs(tight.turn)[:, None] < NARROW * assumptions.aligned
        narrow = narrow & along & (np.abs(occupancy.turn[..., k]) < NARROW * assumptions.aligned)
        in_line[..., k] = on_route & (in_lane | ~sure)
        near = narrow & (behind >= 0.0) & (behind < safe_behind)
        if memory is not None:
            past[..., k] = memory.trace(route.path, np.asarray(near.any(axis=1)))
            followed, was_in_line = memory.recall(k)
        else:
            past[..., k] = tight.offset.mean(axis=-1, keepdims=True)
            followed = was_in_line = np.zeros_like(near)
        steady = (np.ptp(past[..., k], axis=1) <= assumptions.swaying)[:, None]
        trails[..., k] = near & in_lane & (followed | (steady & ~was_in_line))
        keeps[..., k] = trails[..., k] & (steady | _overlap(tight, offset, by=doubt - 0.5))
        comes_in[..., k] = near & ~in_lane & steady
        follows[..., k] = narrow & (behind >= safe_behind)
        if surroundings.yields is not None:
            yields[..., k] = on_route & surroundings.yields & ~along & ~in_way
    clear, close, before = _clear_behind(
        centre, heading, safe_behind, surroundings, occupancy, road, vehicle, assumptions, memory
    )
    return Duties(
        follows,
        trails,
        comes_in,
        yields,
        may_change,
        goes_along,
        clear,
        close,
        keeps,
        past,
        in_line,
        before,
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


def _safe_behind(
    speed: Float64[np.ndarray, "batch 1"],
    kind: Integer[np.ndarray, "batch agent"],
    occupancy: Occupancy,
    assumptions: Assumptions,
) -> Float64[np.ndarray, "batch agent"]:
    """Return the gap that one behind has to keep to ego [m]."""
    return longitudinal_distance(
        occupancy.speed[..., 1],
        speed,
        response=assumptions.look_up("response", kind),
        acceleration=occupancy.acceleration,
        mild_braking=assumptions.look_up("mild_braking", kind),
        braking=assumptions.ego.hardest,
    )


def _clear_behind(
    centre: Float64[np.ndarray, "batch 2"],
    heading: Float64[np.ndarray, " batch"],
    safe_behind: Float64[np.ndarray, "batch agent"],
    surroundings: Surroundings,
    occupancy: Occupancy,
    road: Road,
    vehicle: Vehicle,
    assumptions: Assumptions,
    memory: Memory | None,
) -> tuple[
    Bool[np.ndarray, "batch agent"],
    Bool[np.ndarray, "batch agent"],
    Bool[np.ndarray, "batch agent"],
]:
    """Tell who is far enough behind ego in the plane, who trails it, and who is in line with it."""
    away = occupancy.centre - centre[:, None]
    cosine, sine = np.cos(heading)[:, None], np.sin(heading)[:, None]
    behind = -(away[..., 0] * cosine + away[..., 1] * sine) - vehicle.length / 2.0
    behind -= occupancy.radius + assumptions.tube.longitudinal
    aside = np.abs(away[..., 1] * cosine - away[..., 0] * sine)
    in_lane = aside <= (vehicle.width + np.where(occupancy.valid, surroundings.width, 0.0)) / 2.0
    turn = np.where(occupancy.valid, surroundings.heading, 0.0) - heading[:, None]
    along = np.cos(turn) > np.cos(NARROW * assumptions.aligned)
    near = along & (behind >= 0.0) & (behind < safe_behind) & in_lane
    if memory is not None and near.any():
        straight = memory.is_straight(heading)
        straight &= _keeps_beside_routes(
            centre, heading, near.any(axis=1), road, assumptions, memory
        )
        near &= memory.clear_behind | (straight[:, None] & ~memory.before)
    return along & (behind >= safe_behind), near, in_lane & occupancy.valid


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
