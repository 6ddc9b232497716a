"""What the others owe ego (A2): they keep their distance behind it and cut in only where it is safe.

Told from the truth, not from what ego sees, and from rails, not from the shield's paths. Whoever is
bound keeps to its lane as RSS has it: it may accelerate aside a little for its response, then takes
its lateral speed back. Its whole body keeps its band meanwhile, its ends too when it turns. Whoever
presses from behind brakes after its response; so does one that came over at a safe gap, which ego
then shortened by braking, even before it is in line. Whoever is hidden on a lane stays within it.

References:
    Shalev-Shwartz, Shammah and Shashua, "On a formal model of safe and scalable self-driving
    cars", arXiv:1708.06374, 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.plan.falsification.crowds import Crowd, Wish
from kerbstone.plan.falsification.motion import body_centre
from kerbstone.plan.falsification.rails import Rails
from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.rss import response_way
from kerbstone.plan.vehicle import StateIndex, Vehicle

_SHARE = 0.9
"""Lateral accelerations use so much of what is permitted: they are told at the ends of a step."""
_STRAIGHTENS = 1.25
"""Lateral speed is taken back by so much more than is owed, for the same reason."""
_INSTANT = 1e-6
"""Sums of steps are off by less [s]."""


@dataclass(eq=False)
class Discipline:
    """For how long each of the others has been bound to its lane, and has pressed from behind.

    Args:
        assumptions: Response times and accelerations.
        vehicle: Ego's size.
        bound_for: Time since it was last free to leave its lane [s].
        pressed_for: Time since it last kept its distance behind ego [s].
        owes: Who moves freely and has been behind ego, going its way.
        overlaps: Who was ahead in ego's lane when ego's fail-safe was last verified.
        band: How far to the right and to the left the sides of each may get, as of then [m]; infinite
            for those that were free to leave their lane, NaN before the first look.
    """

    assumptions: Assumptions
    vehicle: Vehicle
    bound_for: Float64[np.ndarray, "episode agent"]
    pressed_for: Float64[np.ndarray, "episode agent"]
    owes: Bool[np.ndarray, "episode agent"]
    overlaps: Bool[np.ndarray, "episode agent"]
    band: Float64[np.ndarray, "episode agent 2"]

    def restrain(
        self,
        ego: Float64[np.ndarray, "episode 6"],
        crowd: Crowd,
        wish: Wish,
        duration: float,
        *,
        renewed: Bool[np.ndarray, " episode"],
        edges: Float64[np.ndarray, "episode agent 2"] | None = None,
    ) -> Wish:
        """Return wishes without what the others owe ego, and note the time.

        What is returned is to be cut to its permits afterwards.

        Args:
            ego: States of the car.
            crowd: The others.
            wish: What they wish.
            duration: Of the step [s].
            renewed: Where ego's fail-safe was verified anew at the start of this step. Who is bound
                stays so while an older one is driven, even if that brings ego into its lane.
            edges: How far to the right and to the left those on lanes get who are hidden [m];
                infinite for all others. They keep to that whatever ego does, in any way they like.
        """
        if edges is None:
            edges = np.broadcast_to([-np.inf, np.inf], (*crowd.valid.shape, 2))
        hidden = np.isfinite(edges[..., 0])
        bound, presses, comes, overlaps = _find_duties(ego, crowd, self.assumptions, self.vehicle)
        # Without a band: it was free to leave its lane when it began to come over.
        presses |= comes & bound & np.isinf(self.band[..., 0])
        self.overlaps = np.where(renewed[:, None], overlaps, self.overlaps)
        bound = (bound & ~self.overlaps) | hidden
        fresh = renewed[:, None] | np.isnan(self.band[..., 0])
        band = np.where(fresh[..., None], _find_band(crowd, self.assumptions), self.band)
        self.band = np.where(bound[..., None], band, [-np.inf, np.inf])
        self.band = np.where(hidden[..., None], edges, self.band)
        response = self.assumptions.look_up("response", crowd.kind)
        mild = self.assumptions.look_up("mild_braking", crowd.kind)
        # Duties are noticed at the ends of steps, so at most one step late.
        brakes = presses & (self.pressed_for + duration >= response - _INSTANT)
        push = np.where(brakes, np.minimum(wish.push, -mild), wish.push)
        hardest = self.assumptions.look_up("braking", crowd.kind)
        push = np.clip(push, -hardest, self.assumptions.look_up("acceleration", crowd.kind))
        # It has its response yet when it comes out.
        owes = bound & ~hidden
        straightens = owes & (self.bound_for + duration >= response - _INSTANT)
        push, veer = self._keep_lane(crowd, push, wish.veer, bound, straightens, duration)
        pull = self._keep_behind(ego, crowd, wish.pull)
        self.bound_for = np.where(owes, self.bound_for + duration, 0.0)
        self.pressed_for = np.where(presses, self.pressed_for + duration, 0.0)
        return Wish(push, veer, pull)

    def _keep_behind(
        self,
        ego: Float64[np.ndarray, "episode 6"],
        crowd: Crowd,
        pull: Float64[np.ndarray, "episode agent 2"],
    ) -> Float64[np.ndarray, "episode agent 2"]:
        """Return accelerations of those that move freely, who keep their distance behind ego.

        One that was ever behind ego and owed it a distance does not pass it: that is less than it
        may do, but it may not come past and then into ego's way either.
        """
        heading = ego[:, [StateIndex.HEADING]]
        away = crowd.place - body_centre(ego, self.vehicle)[:, None]
        reach = np.hypot(crowd.length, crowd.width) / 2.0
        behind = -(away[..., 0] * np.cos(heading) + away[..., 1] * np.sin(heading))
        behind -= self.vehicle.length / 2.0 + reach
        aside = np.abs(away[..., 1] * np.cos(heading) - away[..., 0] * np.sin(heading))
        same_way = np.cos(crowd.heading - heading) > np.cos(self.assumptions.aligned)
        safe = _find_safe_behind(ego, crowd, self.assumptions)
        in_way = aside <= (self.vehicle.width + crowd.width) / 2.0
        owes = ~crowd.on_rail & same_way & (behind >= 0.0) & (in_way | (behind >= safe))
        self.owes |= owes
        self.owes &= behind > -self.vehicle.length - 2.0 * reach
        late = self.owes & (behind < safe + 0.2 * crowd.speed + 1.0)
        ahead = np.stack([np.cos(crowd.heading), np.sin(crowd.heading)], axis=-1)
        return np.where(late[..., None], -100.0 * ahead, pull)

    def _keep_lane(
        self,
        crowd: Crowd,
        push: Float64[np.ndarray, "episode agent"],
        veer: Float64[np.ndarray, "episode agent"],
        bound: Bool[np.ndarray, "episode agent"],
        straightens: Bool[np.ndarray, "episode agent"],
        duration: float,
    ) -> tuple[Float64[np.ndarray, "episode agent"], Float64[np.ndarray, "episode agent"]]:
        """Return accelerations and turns under which lateral speeds stay as RSS wants them."""
        gain = _SHARE * duration * self.assumptions.look_up("lateral_acceleration", crowd.kind)
        loss = _STRAIGHTENS * duration * self.assumptions.look_up("lateral_braking", crowd.kind)
        skew = crowd.skew
        sideways = crowd.speed * np.sin(skew)
        low = np.where(
            straightens, np.minimum(sideways + loss, 0.0), np.minimum(sideways, 0) - gain
        )
        high = np.where(
            straightens, np.maximum(sideways - loss, 0.0), np.maximum(sideways, 0) + gain
        )
        # At most so fast at the end; what then turns too slowly to obey brakes instead.
        speed = np.maximum(crowd.speed + np.maximum(push, -crowd.speed / duration) * duration, 1e-6)
        least, most = (
            np.arcsin(np.clip(low / speed, -1, 1)),
            np.arcsin(np.clip(high / speed, -1, 1)),
        )
        end = np.clip(skew + veer * duration, least, most)
        # Where its sides would leave the band it turns straight, which brings its ends back.
        stays = self._stays_in_band(crowd, end, speed, duration)
        low, high = np.minimum(sideways + loss, 0.0), np.maximum(sideways - loss, 0.0)
        back = np.clip(
            skew, np.arcsin(np.clip(low / speed, -1, 1)), np.arcsin(np.clip(high / speed, -1, 1))
        )
        end = np.where(stays, end, back)
        reach = 0.19 * np.minimum(speed, crowd.speed) * duration
        brakes = bound & (np.abs(end - skew) > reach) & (np.abs(sideways) > 1e-9)
        veer = np.where(bound, (end - skew) / duration, veer)
        return np.where(brakes, -100.0, push), veer

    def _stays_in_band(
        self,
        crowd: Crowd,
        skew: Float64[np.ndarray, "episode agent"],
        speed: Float64[np.ndarray, "episode agent"],
        duration: float,
    ) -> Bool[np.ndarray, "episode agent"]:
        """Tell whose sides stay in the band during a step, and after it if it turns straight.

        Args:
            crowd: The others.
            skew: Their heading beside the rail at the end of the step [rad].
            speed: At the end [m/s].
            duration: Of the step [s].
        """
        drift = np.stack([crowd.speed * np.sin(crowd.skew), speed * np.sin(skew)])
        low = crowd.left + duration * drift.min(axis=0)
        high = crowd.left + duration * drift.max(axis=0)
        # It takes back its lateral speed, or brakes where it turns too slowly for that.
        stop = np.maximum(
            drift[1] ** 2 / (2.0 * self.assumptions.look_up("lateral_braking", crowd.kind)),
            speed**2
            * np.sin(np.abs(skew))
            / np.maximum(2.0 * self.assumptions.look_up("braking", crowd.kind), 1e-9),
        )
        low, high = np.where(skew < 0.0, low - stop, low), np.where(skew > 0.0, high + stop, high)
        reach = _find_breadth(crowd, skew)
        return (low - reach >= self.band[..., 0]) & (high + reach <= self.band[..., 1])


def begin_discipline(crowd: Crowd, assumptions: Assumptions, vehicle: Vehicle) -> Discipline:
    """Return the discipline of others of whom nothing is known before now."""
    shape = crowd.valid.shape
    return Discipline(
        assumptions,
        vehicle,
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(shape, bool),
        np.zeros(shape, bool),
        np.full((*shape, 2), np.nan),
    )


def _find_breadth(
    crowd: Crowd, skew: Float64[np.ndarray, "episode agent"]
) -> Float64[np.ndarray, "episode agent"]:
    """Return how far a body reaches to either side of its middle [m]."""
    return (np.sin(np.abs(skew)) * crowd.length + np.cos(skew) * crowd.width) / 2.0


def _find_band(crowd: Crowd, assumptions: Assumptions) -> Float64[np.ndarray, "episode agent 2"]:
    """Return where the sides of one that keeps to its lane get to, as the shield has it [m]."""
    drift = crowd.speed * np.sin(crowd.skew)
    ways = response_way(
        np.stack([-drift, drift]),
        response=assumptions.look_up("response", crowd.kind),
        acceleration=assumptions.look_up("lateral_acceleration", crowd.kind),
        braking=assumptions.look_up("lateral_braking", crowd.kind),
    )
    right, left = np.maximum(ways, 0.0) + _find_breadth(crowd, crowd.skew)
    return np.stack([crowd.left - right, crowd.left + left], axis=-1)


def _find_duties(
    ego: Float64[np.ndarray, "episode 6"],
    crowd: Crowd,
    assumptions: Assumptions,
    vehicle: Vehicle,
) -> tuple[
    Bool[np.ndarray, "episode agent"],
    Bool[np.ndarray, "episode agent"],
    Bool[np.ndarray, "episode agent"],
    Bool[np.ndarray, "episode agent"],
]:
    """Tell whose gap is too short to leave its lane, or to be behind ego, or to come in behind it.

    And last who is ahead in ego's way.
    """
    along, left, turn = _locate_ego(ego, crowd.rail, vehicle)
    skew = np.abs(crowd.skew)
    reach = np.stack(
        [
            np.cos(skew) * crowd.length / 2.0 + np.sin(skew) * crowd.width / 2.0,
            np.sin(skew) * crowd.length / 2.0 + np.cos(skew) * crowd.width / 2.0,
        ],
        axis=-1,
    )
    same_way = (np.abs(turn) < assumptions.aligned) & (skew < assumptions.aligned)
    is_right = left[..., 0] > crowd.left + reach[..., 1]
    beside = is_right | (left[..., 1] < crowd.left - reach[..., 1])
    ahead = crowd.along - reach[..., 0] - along[..., 1]
    behind = along[..., 0] - (crowd.along + reach[..., 0])
    own = ego[:, [StateIndex.SPEED]]
    safe_ahead = _safe_gap(
        own,
        crowd.speed,
        assumptions.ego.response,
        assumptions.ego.acceleration,
        assumptions.ego.braking,
        assumptions.look_up("braking", crowd.kind),
    )
    safe_behind = _find_safe_behind(ego, crowd, assumptions)
    may_change = same_way & ((ahead >= safe_ahead) | (behind >= safe_behind))
    overlaps = ~beside & (ahead >= 0.0)
    may_change |= ~beside & (behind >= 0.0)
    # Whoever has come too near goes on braking until it is past, beside or far enough behind.
    is_short = crowd.on_rail & same_way & (ahead < 0.0) & (behind < safe_behind)
    comes = beside & (np.where(is_right, crowd.skew, -crowd.skew) > 0.0)
    return crowd.on_rail & ~may_change, is_short & ~beside, is_short & comes, overlaps


def _find_safe_behind(
    ego: Float64[np.ndarray, "episode 6"], crowd: Crowd, assumptions: Assumptions
) -> Float64[np.ndarray, "episode agent"]:
    """Return the gap that each has to keep behind ego [m]."""
    return _safe_gap(
        crowd.speed,
        ego[:, [StateIndex.SPEED]],
        assumptions.look_up("response", crowd.kind),
        assumptions.look_up("acceleration", crowd.kind),
        assumptions.look_up("mild_braking", crowd.kind),
        assumptions.ego.hardest,
    )


def _locate_ego(
    ego: Float64[np.ndarray, "episode 6"], rail: Rails, vehicle: Vehicle
) -> tuple[
    Float64[np.ndarray, "episode agent 2"],
    Float64[np.ndarray, "episode agent 2"],
    Float64[np.ndarray, "episode agent"],
]:
    """Return ego's least and greatest way along and distance beside each rail, and its turn."""
    centre, heading = body_centre(ego, vehicle), ego[:, StateIndex.HEADING]
    ahead = np.stack([np.cos(heading), np.sin(heading)], axis=-1) * (vehicle.length / 2.0)
    aside = np.stack([-np.sin(heading), np.cos(heading)], axis=-1) * (vehicle.width / 2.0)
    corners = [centre + i * ahead + j * aside for i in (-1, 1) for j in (-1, 1)]
    ways, sides = [], []
    for corner in corners:
        way, side, _ = rail.project(np.broadcast_to(corner[:, None], (*rail.curvature.shape, 2)))
        ways.append(way)
        sides.append(side)
    way, side = np.stack(ways), np.stack(sides)
    course = rail.pose[..., 2] + rail.curvature * way.mean(axis=0)
    turn = (heading[:, None] - course + np.pi) % (2.0 * np.pi) - np.pi
    return (
        np.stack([way.min(axis=0), way.max(axis=0)], axis=-1),
        np.stack([side.min(axis=0), side.max(axis=0)], axis=-1),
        turn,
    )


def _safe_gap(
    rear: Float64[np.ndarray, "episode #agent"],
    front: Float64[np.ndarray, "episode #agent"],
    response: float | Float64[np.ndarray, "episode agent"],
    acceleration: float | Float64[np.ndarray, "episode agent"],
    mild: float | Float64[np.ndarray, "episode agent"],
    hardest: float | Float64[np.ndarray, "episode agent"],
) -> Float64[np.ndarray, "episode agent"]:
    """Return the gap that one behind has to keep (definition 1 of RSS) [m]."""
    fastest = rear + response * acceleration
    way = 0.5 * (rear + fastest) * response + fastest**2 / (2.0 * np.maximum(mild, 1e-9))
    return np.maximum(way - front**2 / (2.0 * np.maximum(hardest, 1e-9)), 0.0)
