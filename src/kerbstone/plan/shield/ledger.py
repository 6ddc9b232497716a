"""The ledger of assumptions: which of A1 to A6 were seen to be broken, and when.

A collision or an intervention is laid to the assumption that was broken first. Where none was, the
shield itself is at fault: a defect.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float64, Int64, Integer

from kerbstone.errors import UsageError
from kerbstone.plan.shield.duties import assign_duties, find_safe_behind
from kerbstone.plan.shield.manoeuvre import place_body, sweep
from kerbstone.plan.shield.meetings import find_relieved
from kerbstone.plan.shield.occupancy import Occupancy, predict
from kerbstone.plan.shield.road import Road
from kerbstone.plan.shield.rss import longitudinal_distance
from kerbstone.plan.shield.shield import Decision, Shield
from kerbstone.plan.shield.surroundings import Surroundings
from kerbstone.plan.shield.verifier import brakes_as_promised, find_moving
from kerbstone.plan.vehicle import StateIndex

_SLACK = 1e-6
"""What is seen may touch a bound [m]."""


class Assumption(IntEnum):
    """What the theorem rests on. `NONE` in an attribution is a defect."""

    NONE = 0
    START = 1
    """A1: a verified fail-safe at the start."""
    OTHERS = 2
    """A2: the others stay in their assumed sets."""
    PERCEPTION = 3
    """A3: all that matters is seen, within the stated errors."""
    TRACKING = 4
    """A4: ego is where its manoeuvre says, within the tube."""
    ARITHMETIC = 5
    """A5: bounds are bounds."""
    REST = 6
    """A6: what a fail-safe ends in is safe for good."""


class Ledger:
    """Watches a shield from outside, in all episodes of its batch.

    Call `observe` with each new state and sight before `Shield.step`, and `record` after it; where
    a simulation finds contacts, `note_contacts` first.

    Args:
        shield: The one to watch; started.
        state: Where it was started.
        surroundings: What was seen then.

    Raises:
        UsageError: The shield was not started.
    """

    def __init__(
        self, shield: Shield, state: Float64[np.ndarray, "batch 6"], surroundings: Surroundings
    ) -> None:
        if len(shield.failsafe) != len(state):
            raise UsageError("usage", "the shield was started with another number of episodes")
        self._shield = shield
        self._time = 0.0
        self.since = np.full((len(state), len(Assumption)), np.inf)
        """When each assumption was first seen to be broken [s]; inf while it holds."""
        self._note(Assumption.START, ~shield.ready)
        if not shield.assumptions.covers_intervals:
            self._note(Assumption.ARITHMETIC, np.ones(len(state), dtype=bool))
        self._seen = surroundings
        self._released = np.zeros(surroundings.valid.shape, dtype=bool)
        self._verified_at = np.zeros(len(state))
        self._occupancy, self._free, self._owes = self._foresee(state, surroundings)

    @property
    def broken(self) -> Bool[np.ndarray, "batch assumption"]:
        """Which assumptions were seen to be broken, by `Assumption`."""
        return np.isfinite(self.since)

    def attribute(self) -> Int64[np.ndarray, " batch"]:
        """Return the `Assumption` that was broken first in each episode; `NONE` if none was."""
        # What is seen wrongly seems to move wrongly, so of two at once perception comes first.
        order = [Assumption.START, Assumption.PERCEPTION]
        order += [one for one in Assumption if one not in order]
        first = np.array(order)[self.since[:, order].argmin(axis=1)]
        return np.where(np.isfinite(self.since.min(axis=1)), first, int(Assumption.NONE))

    def observe(
        self,
        state: Float64[np.ndarray, "batch 6"],
        surroundings: Surroundings,
        *,
        truth: Surroundings | None = None,
    ) -> None:
        """Compare what is now with what was assumed.

        Args:
            state: Where ego is now.
            surroundings: What it sees now; agents keep their index from step to step.
            truth: What is really there, in a simulation; its agents have the same indices.
        """
        step = self._shield.assumptions.control_step
        self._time += step
        self._note(Assumption.TRACKING, self._is_off_track(state))
        self._note(Assumption.REST, self._rests_badly(state))
        self._watch_others(state, surroundings)
        self._note(Assumption.PERCEPTION, self._is_surprised(surroundings))
        if truth is not None:
            self._note(Assumption.PERCEPTION, self._is_misled(surroundings, truth))
            hidden = truth.valid & ~surroundings.valid
            unexplained = hidden & ~self._comes_from_blind(hidden, truth, surroundings)
            self._note(Assumption.PERCEPTION, np.asarray(unexplained.any(axis=1)))
        self._seen = surroundings

    def record(
        self,
        state: Float64[np.ndarray, "batch 6"],
        surroundings: Surroundings,
        decision: Decision,
    ) -> None:
        """Remember what the fail-safes that were verified now assume.

        Args:
            state: Where ego was when the shield decided.
            surroundings: What it saw then.
            decision: What it decided.
        """
        renewed = np.flatnonzero(~decision.intervened)
        self._verified_at[renewed] = self._time
        self._released[renewed] = False
        if not len(renewed):
            return
        occupancy, free, owes = self._foresee(state, surroundings)
        for name, values in vars(self._occupancy).items():
            values[renewed] = getattr(occupancy, name)[renewed]
        self._free[renewed] = free[renewed]
        self._owes[renewed] = owes[renewed]

    def note_contacts(self, touches: Bool[np.ndarray, "batch agent"]) -> None:
        """Tell who touches ego. Whoever had to keep clear of it has broken A2.

        Args:
            touches: Whom ego touched since the shield last decided.
        """
        self._note(Assumption.OTHERS, np.asarray((touches & self._owes).any(axis=1)))

    def _note(self, assumption: Assumption, broken: Bool[np.ndarray, " batch"]) -> None:
        first = broken & np.isinf(self.since[:, assumption])
        self.since[first, assumption] = self._time

    def _foresee(
        self, state: Float64[np.ndarray, "batch 6"], surroundings: Surroundings
    ) -> tuple[Occupancy, Bool[np.ndarray, "batch agent route"], Bool[np.ndarray, "batch agent"]]:
        shield = self._shield
        occupancy = predict(surroundings, shield.road, shield.assumptions)
        duties = assign_duties(
            state,
            surroundings,
            occupancy,
            shield.road,
            vehicle=shield.vehicle,
            assumptions=shield.assumptions,
            memory=shield.memory,
        )
        manoeuvre = shield.failsafe
        boxes = sweep(manoeuvre, vehicle=shield.vehicle, assumptions=shield.assumptions)
        entered, owes = find_relieved(
            boxes,
            find_moving(manoeuvre),
            shield.road,
            occupancy,
            duties,
            manoeuvre.step,
            shield.assumptions,
        )
        brakes = brakes_as_promised(manoeuvre, shield.assumptions)
        # Who has to keep clear is bound by more than a band: it must not touch.
        free = duties.may_change | entered | owes[..., None]
        free |= duties.goes_along & ~brakes[:, None, None]
        owned = {name: np.array(values) for name, values in vars(occupancy).items()}
        return Occupancy(**owned), free, owes

    def _is_off_track(self, state: Float64[np.ndarray, "batch 6"]) -> Bool[np.ndarray, " batch"]:
        """Tell where ego is outside the tube around its stored fail-safe."""
        planned, tube = self._shield.planned, self._shield.assumptions.tube
        away = state[:, :2] - planned[:, :2]
        heading = planned[:, StateIndex.HEADING]
        along = away[:, 0] * np.cos(heading) + away[:, 1] * np.sin(heading)
        aside = away[:, 1] * np.cos(heading) - away[:, 0] * np.sin(heading)
        turn = state[:, StateIndex.HEADING] - heading
        off = np.abs(along) > tube.longitudinal + _SLACK
        off |= np.abs(aside) > tube.lateral + _SLACK
        return off | (np.abs(np.angle(np.exp(1j * turn))) > tube.heading + _SLACK)

    def _rests_badly(self, state: Float64[np.ndarray, "batch 6"]) -> Bool[np.ndarray, " batch"]:
        shield = self._shield
        bad = np.zeros(len(state), dtype=bool)
        rows = np.flatnonzero(state[:, StateIndex.SPEED] <= 0.0)
        bad[rows] = shield.road.find_no_stopping(*place_body(state[rows], shield.vehicle))
        return bad

    def _watch_others(self, state: Float64[np.ndarray, "batch 6"], now: Surroundings) -> None:
        """Note who has left its set since the stored fail-safe was verified."""
        shield = self._shield
        both = now.valid & self._occupancy.valid
        elapsed = self._time - self._verified_at
        here = predict(now, shield.road, shield.assumptions)
        middles = _middles(here, shield.road)
        heading = 2.0 * shield.assumptions.perception.heading
        inside, kept = _inside(
            self._occupancy, here, middles, heading, elapsed, self._free, self._released
        )
        # Whoever leaves its band at a gap that is safe by RSS, ahead or behind, may do so.
        safe = self._gap_is_safe(state, now.kind, here)
        self._released |= ~kept & safe
        gone = both & ~(inside & (kept | self._released))
        before, step = self._seen, shield.assumptions.control_step
        error = 2.0 * shield.assumptions.perception.speed + _SLACK
        lasting = now.valid & before.valid
        gain = np.where(lasting, now.speed, 0.0) - np.where(lasting, before.speed, 0.0)
        pull = shield.assumptions.look_up("acceleration", now.kind)
        brake = shield.assumptions.look_up("braking", now.kind)
        wild = (gain > pull * step + error) | (-gain > brake * step + error)
        fast = shield.assumptions.look_up("follows_lanes", now.kind) > 0.0
        self._note(Assumption.OTHERS, np.asarray((gone | lasting & wild & fast).any(axis=1)))

    def _gap_is_safe(
        self,
        state: Float64[np.ndarray, "batch 6"],
        kind: Integer[np.ndarray, "batch agent"],
        here: Occupancy,
    ) -> Bool[np.ndarray, "batch agent"]:
        """Tell who is ahead of ego, or behind, at a gap that RSS asks of one that comes in."""
        shield, ego = self._shield, self._shield.assumptions.ego
        heading = state[:, StateIndex.HEADING]
        direction = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
        front = state[:, :2] + (shield.vehicle.length - shield.vehicle.rear_overhang) * direction
        away = here.centre - front[:, None]
        ahead = (away * direction[:, None]).sum(axis=-1) - here.radius
        speed = np.maximum(state[:, StateIndex.SPEED], 0.0)[:, None]
        needed = longitudinal_distance(
            speed,
            here.speed[..., 0],
            response=ego.response,
            acceleration=ego.acceleration,
            mild_braking=ego.braking,
            braking=here.braking,
        )
        behind = -(away * direction[:, None]).sum(axis=-1) - shield.vehicle.length - here.radius
        asked = find_safe_behind(speed, kind, here, shield.assumptions)
        return (ahead >= needed) | (behind >= asked)

    def _is_surprised(self, now: Surroundings) -> Bool[np.ndarray, " batch"]:
        """Tell where someone appears who was not seen before, though no blind place is near."""
        fresh = now.valid & ~self._seen.valid
        explained = self._comes_from_blind(fresh, now, self._seen)
        return np.asarray((fresh & ~explained).any(axis=1))

    def _comes_from_blind(
        self, asked: Bool[np.ndarray, "batch agent"], now: Surroundings, seen: Surroundings
    ) -> Bool[np.ndarray, "batch agent"]:
        """Tell who may have been where ego could not see one step ago; false if not asked."""
        if not asked.any():
            return np.zeros_like(asked)
        shield = self._shield
        step = shield.assumptions.control_step
        places, stretches = seen.places, seen.stretches
        explained = np.zeros_like(asked)
        position = np.where(asked[..., None], now.position, 0.0)
        if places is not None:
            start, along = places.start[:, None], (places.end - places.start)[:, None]
            size = np.maximum((along**2).sum(axis=-1), 1e-12)
            share = ((position[:, :, None] - start) * along).sum(axis=-1) / size
            nearest = start + np.clip(share, 0.0, 1.0)[..., None] * along
            distance = np.sqrt(((position[:, :, None] - nearest) ** 2).sum(axis=-1))
            reach = places.radius[:, None] + shield.assumptions.phantom_speed * step + _SLACK
            reach += shield.assumptions.perception.position
            explained |= ((distance <= reach) & places.valid[:, None]).any(axis=-1)
        if stretches is not None:
            here = predict(now, shield.road, shield.assumptions)
            seeing = shield.assumptions.perception
            error = seeing.position + _SLACK
            # It has been within its lane until a step ago, as far as its corners can be told.
            corners = seeing.size + 2.0 * seeing.heading * here.half[..., 0]
            sway = shield.assumptions.default.lateral_speed * step + error + corners
            for k, route in enumerate(shield.road.routes):
                limit = shield.assumptions.default.speed_factor * route.speed_limit * step + error
                middle = here.station[..., k, :].mean(axis=-1)[..., None]
                within = stretches.valid & (stretches.route == k)
                covered = (middle >= stretches.start[:, None] - error) & within[:, None]
                covered &= middle <= stretches.end[:, None] + limit
                in_lane = np.abs(here.tight[..., k, :]).max(axis=-1) <= route.half_width + sway
                explained |= covered.any(axis=-1) & here.on_route[..., k] & in_lane
        return explained & asked

    def _is_misled(self, seen: Surroundings, truth: Surroundings) -> Bool[np.ndarray, " batch"]:
        """Tell where what is seen differs from the truth by more than the stated errors."""
        error = self._shield.assumptions.perception
        both = seen.valid & truth.valid
        away = np.where(both[..., None], seen.position - truth.position, 0.0)
        off = np.hypot(away[..., 0], away[..., 1]) > error.position + _SLACK
        turn = np.where(both, seen.heading - truth.heading, 0.0)
        off |= np.abs(np.angle(np.exp(1j * turn))) > error.heading + _SLACK
        for name, most in (("speed", error.speed), ("length", error.size), ("width", error.size)):
            difference = np.where(both, getattr(seen, name) - getattr(truth, name), 0.0)
            off |= np.abs(difference) > most + _SLACK
        return np.asarray(off.any(axis=1))


def _inside(
    then: Occupancy,
    here: Occupancy,
    middles: Float64[np.ndarray, "batch agent route"],
    heading: float,
    elapsed: Float64[np.ndarray, " batch"],
    free: Bool[np.ndarray, "batch agent route"],
    released: Bool[np.ndarray, "batch agent"],
) -> tuple[Bool[np.ndarray, "batch agent"], Bool[np.ndarray, "batch agent"]]:
    """Tell who is inside the sets along its way and in the plane, and who inside its band."""
    shape = here.valid.shape
    inside, kept = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    row, agent = np.indices(shape)
    row, agent = row.ravel(), agent.ravel()
    for moment in np.unique(elapsed):
        chosen = elapsed[row] == moment
        r, a = row[chosen], agent[chosen]
        time = np.array([moment])
        centre, radius = then.disc(r, a, time, time)
        distance = np.hypot(*(here.centre[r, a] - centre[:, 0]).T)
        # Both looks may be off.
        error = _error(here, r, a)
        body = np.hypot(*then.half[r, a].T)
        plane = distance <= radius[:, 0] - body + error + _SLACK
        along, beside = then.is_loose[r, a].copy(), then.is_loose[r, a].copy()
        for k in range(then.on_route.shape[2]):
            route, on = np.full(len(r), k), then.on_route[r, a, k]
            least, most = then.along(r, a, route, time, time)
            low, high = then.beside(r, a, route, time, is_free=free[r, a, k] | released[r, a])
            middle = here.station[r, a, k].mean(axis=-1)
            reach = (then.station[r, a, k, 1] - then.station[r, a, k, 0]) / 2.0
            fits = (middle - reach >= least[:, 0] - _SLACK - 2.0 * error) & (
                middle + reach <= most[:, 0] + _SLACK + 2.0 * error
            )
            # The whole body counts: a long one that turns swings out.
            aside, turn = middles[r, a, k], here.turn[r, a, k]
            breadth = here.half[r, a, 1] * np.abs(np.cos(turn))
            breadth += here.half[r, a, 0] * np.maximum(np.abs(np.sin(turn)) - heading, 0.0)
            in_band = (aside - breadth >= low[:, 0] - _SLACK - 2.0 * error) & (
                aside + breadth <= high[:, 0] + _SLACK + 2.0 * error
            )
            along |= on & fits
            beside |= on & fits & in_band
        inside[r, a], kept[r, a] = plane & along, beside
    return inside, kept


def _middles(here: Occupancy, road: Road) -> Float64[np.ndarray, "batch agent route"]:
    """Return the offset of everyone's middle from each route [m]."""
    middles = np.zeros(here.on_route.shape)
    direction, size = np.zeros_like(here.centre), np.zeros_like(here.centre)
    direction[..., 0] = 1.0
    for k, route in enumerate(road.routes):
        extent = route.path.bound_boxes(here.centre, direction, size)
        middles[..., k] = extent.offset.mean(axis=-1)
    return middles


def _error(
    here: Occupancy, row: Int64[np.ndarray, " pair"], agent: Int64[np.ndarray, " pair"]
) -> Float64[np.ndarray, " pair"]:
    """Return how far a body that is seen now may be from where it is [m]."""
    return here.radius[row, agent] - np.hypot(*here.half[row, agent].T)
