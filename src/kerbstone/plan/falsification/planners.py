"""Nominal planners that ask the shield for commands: a sensible one, and some that try to crash.

A planner sees the truth, which is more than any planner will ever see. It wants an acceleration
and a steering angle; what is asked for is the jerk and the steering rate that lead there in one
step, within the vehicle's limits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from kerbstone.plan.falsification.crowds import Crowd
from kerbstone.plan.falsification.motion import body_centre
from kerbstone.plan.falsification.rails import Rails
from kerbstone.plan.vehicle import StateIndex, Vehicle

Numbers = Float64[np.ndarray, " episode"]
_HEADWAY = 1.2
_STANDSTILL_GAP = 3.0
_COMFORT_PUSH = 1.5
_COMFORT_BRAKE = 2.0


@dataclass(frozen=True, eq=False)
class View:
    """What a planner knows at a step.

    Args:
        step: Number of the step.
        ego: States of the car.
        path: Ego's lane.
        wanted: Speed that it would like [m/s].
        crowd: The others.
        vehicle: Limits.
        duration: Of a step [s].
        rng: For planners that draw.
        memory: What a planner keeps between steps.
    """

    step: int
    ego: Float64[np.ndarray, "episode 6"]
    path: Rails
    wanted: Numbers
    crowd: Crowd
    vehicle: Vehicle
    duration: float
    rng: np.random.Generator
    memory: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def speed(self) -> Numbers:
        """Speed of ego [m/s]."""
        return self.ego[:, StateIndex.SPEED]


def plan_sensibly(view: View) -> Float64[np.ndarray, "episode 2"]:
    """Keep the lane, and a distance to whoever is ahead in it (intelligent driver model).

    References:
        Treiber, Hennecke and Helbing, "Congested traffic states in empirical observations and
        microscopic simulations", Physical Review E 62, 2000.
    """
    gap, closing = _look_ahead(view)
    speed = view.speed
    root = 2.0 * np.sqrt(_COMFORT_PUSH * _COMFORT_BRAKE)
    desired = _STANDSTILL_GAP + np.maximum(_HEADWAY * speed + speed * closing / root, 0.0)
    free = 1.0 - (speed / np.maximum(view.wanted, 1.0)) ** 4
    push = _COMFORT_PUSH * (free - (desired / np.maximum(gap, 0.1)) ** 2)
    return _reach(view, np.clip(push, -6.0, 2.0), _keep_lane(view))


def plan_full_throttle(view: View) -> Float64[np.ndarray, "episode 2"]:
    """Keep the lane and accelerate, whoever is there."""
    return _reach(view, np.full(len(view.ego), np.inf), _keep_lane(view))


def plan_swerves(view: View) -> Float64[np.ndarray, "episode 2"]:
    """Accelerate and throw the wheel from side to side."""
    count = len(view.ego)
    side = _hold(view, "side", 8, lambda: view.rng.choice([-1.0, 0.0, 1.0], count))
    limit = _steering_limit(view)
    steer = np.where(side == 0.0, _keep_lane(view), side * limit)
    return _reach(view, np.full(count, view.vehicle.acceleration[1]), steer)


def plan_chase(view: View) -> Float64[np.ndarray, "episode 2"]:
    """Accelerate towards the nearest road user."""
    centre = body_centre(view.ego, view.vehicle)
    away = view.crowd.place - centre[:, None]
    distance = np.where(view.crowd.valid, np.sqrt((away**2).sum(axis=-1)), np.inf)
    nearest = distance.argmin(axis=1)
    aim = np.take_along_axis(away, nearest[:, None, None], axis=1)[:, 0]
    heading = np.arctan2(aim[:, 1], aim[:, 0]) - view.ego[:, StateIndex.HEADING]
    heading = (heading + np.pi) % (2.0 * np.pi) - np.pi
    steer = np.where(np.isfinite(distance.min(axis=1)), 1.5 * heading, _keep_lane(view))
    return _reach(view, np.full(len(view.ego), np.inf), steer)


def plan_at_random(view: View) -> Float64[np.ndarray, "episode 2"]:
    """Draw an acceleration and a steering angle and hold them for some steps."""
    count, limits = len(view.ego), view.vehicle.acceleration
    push = _hold(view, "push", 5, lambda: view.rng.uniform(limits[0], 2.5 * limits[1], count))
    share = _hold(view, "steer", 5, lambda: view.rng.uniform(-1.0, 1.0, count))
    return _reach(view, push, share * _steering_limit(view))


def plan_late_braking(view: View) -> Float64[np.ndarray, "episode 2"]:
    """Accelerate until a touch is under a second away, then brake."""
    gap, closing = _look_ahead(view)
    late = gap < np.maximum(closing, 0.0) + 0.5
    return _reach(view, np.where(late, -np.inf, np.inf), _keep_lane(view))


PLANNERS: dict[str, Callable[[View], Float64[np.ndarray, "episode 2"]]] = {
    "sensible": plan_sensibly,
    "full throttle": plan_full_throttle,
    "swerves": plan_swerves,
    "chase": plan_chase,
    "random": plan_at_random,
    "late braking": plan_late_braking,
}
"""All planners by name."""
HOSTILE = tuple(name for name in PLANNERS if name != "sensible")
"""The planners that try to crash."""


def _hold(view: View, name: str, steps: int, draw: Callable[[], Numbers]) -> Numbers:
    """Return what was drawn last, drawn anew every so many steps."""
    if view.step % steps == 0 or name not in view.memory:
        view.memory[name] = draw()
    return view.memory[name]


def _steering_limit(view: View) -> Numbers:
    """Return the greatest steering angle of a lateral acceleration within the limit."""
    curvature = view.vehicle.lateral_acceleration / np.maximum(view.speed, 0.1) ** 2
    return np.minimum(view.vehicle.steering, np.arctan(0.95 * view.vehicle.wheelbase * curvature))


def _keep_lane(view: View) -> Numbers:
    """Return the steering angle that leads to a point ahead on the lane (pure pursuit)."""
    along, _, _ = view.path.project(view.ego[:, : StateIndex.HEADING])
    reach = 4.0 + 0.6 * view.speed
    target, _ = view.path.place(along + reach, np.zeros_like(along))
    away = target - view.ego[:, : StateIndex.HEADING]
    angle = np.arctan2(away[:, 1], away[:, 0]) - view.ego[:, StateIndex.HEADING]
    distance = np.sqrt((away**2).sum(axis=-1))
    return np.arctan(2.0 * view.vehicle.wheelbase * np.sin(angle) / distance)


def _look_ahead(view: View) -> tuple[Numbers, Numbers]:
    """Return the gap to the nearest road user in or near ego's way, and how fast it closes."""
    crowd = view.crowd
    rails = Rails(view.path.pose[:, None], view.path.curvature[:, None])
    along, left, heading = rails.project(crowd.place)
    own, own_left, _ = view.path.project(view.ego[:, : StateIndex.HEADING])
    front = own + view.vehicle.length - view.vehicle.rear_overhang
    turn = crowd.heading - heading
    forward = crowd.speed * np.cos(turn)
    drift = crowd.speed * np.sin(turn)
    long = np.abs(np.cos(turn)) * crowd.length / 2.0 + np.abs(np.sin(turn)) * crowd.width / 2.0
    wide = np.abs(np.sin(turn)) * crowd.length / 2.0 + np.abs(np.cos(turn)) * crowd.width / 2.0
    gap = along - long - front[:, None]
    # Who will have come into ego's way by the time ego is there counts as being there.
    time = np.clip(gap / np.maximum(view.speed[:, None], 1.0), 0.0, 4.0)
    later = left + drift * time
    aside = np.minimum(np.abs(left - own_left[:, None]), np.abs(later - own_left[:, None]))
    in_way = crowd.valid & (aside < wide + view.vehicle.width / 2.0 + 0.4) & (gap > -3.0)
    gap = np.where(in_way, gap, np.inf)
    nearest = gap.argmin(axis=1)[:, None]
    ahead = np.take_along_axis(forward, nearest, axis=1)[:, 0]
    gap = np.take_along_axis(gap, nearest, axis=1)[:, 0]
    return np.minimum(gap, 1e3), np.where(np.isfinite(gap), view.speed - ahead, 0.0)


def _reach(view: View, push: Numbers, steer: Numbers) -> Float64[np.ndarray, "episode 2"]:
    """Return jerk and steering rate that lead to an acceleration and an angle within a step."""
    car, step = view.vehicle, view.duration
    low, high = car.acceleration
    # At the top speed there is nothing to accelerate for.
    room = (car.speed[1] - 0.5 - view.speed) / step
    push = np.clip(np.minimum(push, room), low, high)
    limit = _steering_limit(view)
    jerk = np.clip((push - view.ego[:, StateIndex.ACCELERATION]) / step, -car.jerk, car.jerk)
    rate = (np.clip(steer, -limit, limit) - view.ego[:, StateIndex.STEERING]) / step
    return np.stack([jerk, np.clip(rate, -car.steering_rate, car.steering_rate)], axis=-1)
