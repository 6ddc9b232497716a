"""What the assumptions permit the others to do, as a cut of what they wish.

Everything here holds in continuous time, not at the looks only: a speed that is linear in time and
a square of one that is convex have their greatest values at the ends of a step, so it is enough to
bound them there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from kerbstone.plan.falsification.crowds import Crowd, Wish
from kerbstone.plan.shield.assumptions import Assumptions

_BEND = 0.2
"""Sharpest turn of what follows lanes [1/m]: a car turns on a circle of 5 m."""
_INSIDE = 1.0 - 1e-9
"""Permits are used up but for this, so that rounding breaks none."""


@dataclass(frozen=True, eq=False)
class Permits:
    """What each of the others may do, looked up once for a batch of episodes.

    Args:
        push: Greatest acceleration along the way [m/s²].
        brake: Hardest braking along the way, above zero [m/s²].
        pull: Greatest acceleration in any direction [m/s²].
        drift: Greatest speed across the lane [m/s].
        skew: Greatest heading beside the lane [rad].
    """

    push: Float64[np.ndarray, "episode agent"]
    brake: Float64[np.ndarray, "episode agent"]
    pull: Float64[np.ndarray, "episode agent"]
    drift: Float64[np.ndarray, "episode agent"]
    skew: Float64[np.ndarray, "episode agent"]


def look_up_permits(crowd: Crowd, assumptions: Assumptions) -> Permits:
    """Return what the assumptions permit each of the others."""

    def of(name: str) -> Float64[np.ndarray, "episode agent"]:
        return assumptions.look_up(name, crowd.kind) * _INSIDE

    return Permits(
        of("acceleration"),
        of("braking"),
        of("plane_acceleration"),
        of("lateral_speed"),
        np.arctan(of("lateral_slope")),
    )


def cut_wish(crowd: Crowd, wish: Wish, permits: Permits, duration: float) -> Wish:
    """Return the wish, cut to what is permitted at every time of a step.

    What is cut keeps its direction where it can: a swerve is made milder before it is dropped.
    """
    push = np.clip(wish.push, -permits.brake, permits.push)
    skew = crowd.skew
    sine = np.maximum(np.abs(np.sin(skew)), 1e-12)
    top = np.minimum(crowd.cap, permits.drift / sine)
    # What is beyond its cap when the episode starts keeps its speed, but gains none.
    push = np.minimum(push, np.maximum((top - crowd.speed) / duration, 0.0))
    push = np.maximum(push, -crowd.speed / duration)
    most = np.maximum(crowd.speed, crowd.speed + push * duration)
    least = np.minimum(crowd.speed, crowd.speed + push * duration)
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = np.arcsin(np.minimum(1.0, permits.drift / np.maximum(most, 1e-9)))
        room = np.abs(crowd.rail.curvature) / (1.0 - np.abs(crowd.rail.curvature * crowd.left))
        side = np.sqrt(np.maximum(permits.pull**2 - push**2, 0.0)) / np.maximum(most, 1e-9)
    angle = np.minimum(angle, permits.skew)
    rate = np.maximum(np.minimum(side - room * most, _BEND * least), 0.0)
    veer = np.clip(wish.veer, -rate, rate)
    veer = np.clip(skew + veer * duration, -angle, angle) - skew
    veer = np.clip(veer / duration, -rate, rate)
    return Wish(push, veer, _cut_pull(crowd, wish.pull, permits, duration))


def _cut_pull(
    crowd: Crowd,
    pull: Float64[np.ndarray, "episode agent 2"],
    permits: Permits,
    duration: float,
) -> Float64[np.ndarray, "episode agent 2"]:
    """Return accelerations of what moves freely, cut to its circle, its way and its speed.

    The gain of speed along the way is greatest at the end of a step and the loss greatest at its
    start, as the speed is convex in time.
    """
    most = permits.pull[..., None]
    size = np.sqrt((pull**2).sum(axis=-1, keepdims=True))
    pull = pull * np.minimum(1.0, most / np.maximum(size, 1e-12))
    velocity = crowd.velocity
    pull = pull * _speed_share(velocity, pull, crowd.cap, duration)[..., None]
    for _ in range(2):
        gain = _along(velocity + pull * duration, pull)
        loss = -_along(velocity, pull)
        share = np.minimum(
            permits.push / np.maximum(gain, 1e-12), permits.brake / np.maximum(loss, 1e-12)
        )
        pull = pull * np.minimum(1.0, share)[..., None]
    gain = _along(velocity + pull * duration, pull)
    return np.where((gain > permits.push)[..., None], 0.0, pull)


def _along(
    velocity: Float64[np.ndarray, "episode agent 2"],
    pull: Float64[np.ndarray, "episode agent 2"],
) -> Float64[np.ndarray, "episode agent"]:
    speed = np.sqrt((velocity**2).sum(axis=-1))
    return (velocity * pull).sum(axis=-1) / np.maximum(speed, 1e-9)


def _speed_share(
    velocity: Float64[np.ndarray, "episode agent 2"],
    pull: Float64[np.ndarray, "episode agent 2"],
    cap: Float64[np.ndarray, "episode agent"],
    duration: float,
) -> Float64[np.ndarray, "episode agent"]:
    """Return the share of an acceleration after which the speed is no more than its cap."""
    a = (pull**2).sum(axis=-1) * duration**2
    b = (velocity * pull).sum(axis=-1) * duration
    top = np.maximum(cap, np.sqrt((velocity**2).sum(axis=-1)))
    c = (velocity**2).sum(axis=-1) - top**2
    root = np.sqrt(np.maximum(b**2 - a * c, 0.0))
    share = (root - b) / np.maximum(a, 1e-12)
    return np.where(a > 1e-12, np.clip(share, 0.0, 1.0), 1.0)
