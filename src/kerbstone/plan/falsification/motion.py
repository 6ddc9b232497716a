"""How the car and the others move between two looks: finely, in float64, and by itself.

Nothing here is shared with the shield, which would then be checked against its own mistakes. A
control is held over a window, and the window is sampled at `samples + 1` times far finer than any
step of the shield.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from kerbstone.plan.vehicle import STATE_SIZE, ControlIndex, StateIndex, Vehicle


def drive_car(
    state: Float64[np.ndarray, "episode 6"],
    control: Float64[np.ndarray, "episode 2"],
    vehicle: Vehicle,
    duration: float,
    samples: int,
) -> Float64[np.ndarray, "episode sample 6"]:
    """Return the states of a kinematic bicycle whose jerk and steering rate are held.

    Controls are cut to what keeps acceleration and steering within the vehicle's limits. Speed
    never falls below zero: a car that has braked to a standstill has no acceleration, and drives
    off as its jerk says. Ways and speeds are exact; places take the mean heading of each sample.

    Args:
        state: At the start (`StateIndex`, rear axle, world frame).
        control: Held over the window (`ControlIndex`).
        vehicle: Limits.
        duration: Of the window [s].
        samples: How many parts it is cut into.

    Returns:
        States at the `samples + 1` times of the window, its start and end among them.
    """
    h = duration / samples
    time = np.linspace(0.0, duration, samples + 1)
    pull, wheel = state[:, StateIndex.ACCELERATION], state[:, StateIndex.STEERING]
    low, high, most = *vehicle.acceleration, vehicle.steering
    jerk = np.clip(control[:, ControlIndex.JERK], (low - pull) / duration, (high - pull) / duration)
    rate = np.clip(
        control[:, ControlIndex.STEERING_RATE],
        (-most - wheel) / duration,
        (most - wheel) / duration,
    )
    way, speed, acceleration = _roll(
        np.maximum(state[:, [StateIndex.SPEED]], 0.0), pull[:, None], jerk[:, None], time
    )
    steering = wheel[:, None] + rate[:, None] * time
    spin = speed * np.tan(steering) / vehicle.wheelbase
    heading = np.empty_like(speed)
    heading[:, 0] = state[:, StateIndex.HEADING]
    np.cumsum(0.5 * h * (spin[:, 1:] + spin[:, :-1]), axis=1, out=heading[:, 1:])
    heading[:, 1:] += heading[:, :1]
    mean = heading[:, :-1] + h / 6.0 * (2.0 * spin[:, :-1] + spin[:, 1:])
    out = np.empty((len(state), samples + 1, STATE_SIZE))
    for index, part in ((StateIndex.X, np.cos(mean)), (StateIndex.Y, np.sin(mean))):
        out[:, 0, index] = state[:, index]
        np.cumsum(np.diff(way, axis=1) * part, axis=1, out=out[:, 1:, index])
        out[:, 1:, index] += out[:, :1, index]
    out[..., StateIndex.HEADING] = heading
    out[..., StateIndex.SPEED] = speed
    out[..., StateIndex.ACCELERATION] = acceleration
    out[..., StateIndex.STEERING] = steering
    return out


def _roll(
    speed: Float64[np.ndarray, "episode 1"],
    pull: Float64[np.ndarray, "episode 1"],
    jerk: Float64[np.ndarray, "episode 1"],
    time: Float64[np.ndarray, " sample"],
) -> tuple[
    Float64[np.ndarray, "episode sample"],
    Float64[np.ndarray, "episode sample"],
    Float64[np.ndarray, "episode sample"],
]:
    """Return way, speed and acceleration at times under a jerk that is held."""
    stop = _stopping_time(speed, pull, jerk)
    before = np.minimum(time, stop)
    after = np.where(jerk > 0.0, np.maximum(time - stop, 0.0), 0.0)
    way = before * (speed + before * (pull / 2.0 + before * jerk / 6.0)) + jerk * after**3 / 6.0
    moving = speed + before * (pull + before * jerk / 2.0)
    runs = time < stop
    return (
        way,
        np.where(runs, np.maximum(moving, 0.0), jerk * after**2 / 2.0),
        np.where(runs, pull + time * jerk, jerk * after),
    )


def _stopping_time(
    speed: Float64[np.ndarray, "episode 1"],
    pull: Float64[np.ndarray, "episode 1"],
    jerk: Float64[np.ndarray, "episode 1"],
) -> Float64[np.ndarray, "episode 1"]:
    """Return when the speed falls to zero [s]; inf where it does not."""
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(pull**2 - 2.0 * speed * jerk)
        first = 2.0 * speed / (root - pull)
        last = np.where(jerk < 0.0, -2.0 * pull / jerk, np.inf)
    moving = np.where(np.isfinite(first) & (first > 0.0), first, np.inf)
    standing = np.where((pull > 0.0) | ((pull == 0.0) & (jerk > 0.0)), last, 0.0)
    standing = np.where(standing > 0.0, standing, np.where(pull > 0.0, np.inf, 0.0))
    standing = np.where((pull == 0.0) & (jerk > 0.0), np.inf, standing)
    return np.where(speed > 0.0, moving, standing)


def coast_points(
    place: Float64[np.ndarray, "*batch 2"],
    velocity: Float64[np.ndarray, "*batch 2"],
    acceleration: Float64[np.ndarray, "*batch 2"],
    duration: float,
    samples: int,
) -> tuple[Float64[np.ndarray, "*batch sample 2"], Float64[np.ndarray, "*batch sample 2"]]:
    """Return places and velocities under an acceleration that is held: exact parabolas."""
    time = np.linspace(0.0, duration, samples + 1)[:, None]
    moved = velocity[..., None, :] * time + 0.5 * acceleration[..., None, :] * time**2
    return place[..., None, :] + moved, velocity[..., None, :] + acceleration[..., None, :] * time


def body_centre(
    state: Float64[np.ndarray, "*batch 6"], vehicle: Vehicle
) -> Float64[np.ndarray, "*batch 2"]:
    """Return the middle of the box around the car, which lies ahead of the rear axle [m]."""
    heading = state[..., StateIndex.HEADING]
    ahead = vehicle.length / 2.0 - vehicle.rear_overhang
    return state[..., : StateIndex.HEADING] + ahead * np.stack(
        [np.cos(heading), np.sin(heading)], axis=-1
    )
