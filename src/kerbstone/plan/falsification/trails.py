"""What the others did in a round, and how where they were depends on it: derivatives backwards in time.

The others' motion is known, so the derivative of anything that depends on their places has a closed
form. The motion between two ends of steps is taken at its middle, which is exact for those that
move freely and within a hundredth for those on rails.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.plan.falsification.adversaries import GENES, KNOTS, SCALES, find_knot
from kerbstone.plan.falsification.crowds import Crowd
from kerbstone.plan.falsification.episodes import Instant

_TURNS = 0.05
"""One that moves freely and slower than this does not turn with its velocity [m/s]."""


@dataclass(eq=False)
class Trail:
    """Where ego and the others were at the ends of all steps of a round.

    Args:
        ego: States of the car, at the start and after each step.
        crowd: The others, likewise.
    """

    ego: list[Float64[np.ndarray, "episode 6"]]
    crowd: list[Crowd]

    def add(self, instant: Instant) -> None:
        """Add a step."""
        self.ego.append(instant.ego[:, -1])
        self.crowd.append(instant.wake.after)

    def gather(self, name: str) -> np.ndarray:
        """Return a value of the others at all times, the time on the axis after the agents."""
        return np.stack([getattr(crowd, name) for crowd in self.crowd], axis=2)


def trace_back(
    trail: Trail,
    slope: Float64[np.ndarray, "episode agent time 2"],
    duration: float,
    fades: float = np.inf,
) -> Float64[np.ndarray, "episode agent step 3"]:
    """Return the derivative of what depends on the others' places by what they did in each step.

    Args:
        trail: How they moved.
        slope: The derivative by their places at all times, those of the start among them.
        duration: Of a step [s].
        fades: Time in which the effect of what was done is taken for less by a factor e, so that
            what was done late counts for more [s]. The derivative is exact without.

    Returns:
        Derivatives by acceleration along the way, by that to the left of those that move freely,
        and by the turning of those on rails, as a `Scripts` has them, before its scales.
    """
    on_rail = trail.crowd[0].on_rail[..., None]
    rail = _trace_rails(trail, slope, duration, np.exp(-duration / fades))
    free = _trace_free(trail, slope, duration, np.exp(-duration / fades))
    return np.where(on_rail[..., None], rail, free)


def _trace_rails(
    trail: Trail, slope: Float64[np.ndarray, "episode agent time 2"], h: float, keep: float
) -> Float64[np.ndarray, "episode agent step 3"]:
    rail = trail.crowd[0].rail
    bend = rail.curvature
    speed, skew, left = (trail.gather(name) for name in ("speed", "skew", "left"))
    course = rail.pose[..., None, 2] + bend[..., None] * trail.gather("along")
    c, s = np.cos(course), np.sin(course)
    room = 1.0 - bend[..., None] * left
    by_along = (slope[..., 0] * c + slope[..., 1] * s) * room
    by_left = slope[..., 1] * c - slope[..., 0] * s
    mean, turn = (0.5 * (one[..., 1:] + one[..., :-1]) for one in (speed, skew))
    between = 0.5 * (room[..., 1:] + room[..., :-1])
    ahead, veered = np.cos(turn) / between, -np.sin(turn) / between
    out = np.zeros((*speed[..., 1:].shape, GENES))
    along, aside, fast, skewed = np.zeros((4, *bend.shape))
    for step in reversed(range(len(trail.crowd) - 1)):
        along, aside = keep * along + by_along[..., step + 1], keep * aside + by_left[..., step + 1]
        fast, skewed = keep * fast, keep * skewed
        sine, cosine = np.sin(turn[..., step]), np.cos(turn[..., step])
        v, forward = mean[..., step], ahead[..., step]
        by_speed = h * (along * forward + aside * sine)
        by_skew = h * v * (along * veered[..., step] + aside * cosine)
        # One that stands goes no slower.
        stands = speed[..., step + 1] <= 0.0
        fast = np.where(stands, np.minimum(fast, 0.0), fast)
        by_push = h * (0.5 * by_speed + fast)
        out[..., step, 0] = np.where(stands, np.minimum(by_push, 0.0), by_push)
        out[..., step, 2] = h * (0.5 * by_skew + skewed)
        fast, skewed = fast + by_speed, skewed + by_skew
        aside = aside + h * v * along * forward * bend / room[..., step]
    return out


def _trace_free(
    trail: Trail, slope: Float64[np.ndarray, "episode agent time 2"], h: float, keep: float
) -> Float64[np.ndarray, "episode agent step 3"]:
    velocity = np.stack([crowd.velocity for crowd in trail.crowd], axis=2)
    speed, heading = trail.gather("speed"), trail.gather("heading")
    ahead = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    left = np.stack([-ahead[..., 1], ahead[..., 0]], axis=-1)
    pull = np.diff(velocity, axis=2) / h
    out = np.zeros((*speed[..., 1:].shape, GENES))
    place = fast = np.zeros_like(slope[:, :, 0])
    for step in reversed(range(len(trail.crowd) - 1)):
        place, fast = keep * place + slope[:, :, step + 1], keep * fast
        by_pull = h * (0.5 * h * place + fast)
        own, side = ahead[:, :, step], left[:, :, step]
        out[..., step, 0] = (by_pull * own).sum(axis=-1)
        out[..., step, 1] = (by_pull * side).sum(axis=-1)
        # What is done is told from the heading, which turns with the velocity.
        now = pull[:, :, step]
        swung = (now * own).sum(axis=-1) * out[..., step, 1]
        swung = swung - (now * side).sum(axis=-1) * out[..., step, 0]
        turns = speed[..., step] > _TURNS
        swung = np.where(turns, swung / np.maximum(speed[..., step], _TURNS), 0.0)
        fast = fast + h * place + swung[..., None] * side
    return out


def read_genes(trail: Trail, duration: float) -> Float64[np.ndarray, "episode agent knot 3"]:
    """Return what was done, cut as it was, as the genes that wish for it."""
    heading = trail.gather("heading")[..., :-1]
    ahead = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    left = np.stack([-ahead[..., 1], ahead[..., 0]], axis=-1)
    velocity = np.stack([crowd.velocity for crowd in trail.crowd], axis=2)
    pull = np.diff(velocity, axis=2)
    free = np.stack(
        [(pull * ahead).sum(axis=-1), (pull * left).sum(axis=-1), np.zeros(heading.shape)], axis=-1
    )
    push, veer = (np.diff(trail.gather(name), axis=2) for name in ("speed", "skew"))
    rail = np.stack([push, np.zeros(heading.shape), veer], axis=-1)
    on_rail = trail.crowd[0].on_rail[..., None, None]
    done = np.where(on_rail, rail, free) / (duration * np.array(SCALES))
    knot = _knots(done.shape[2])
    counts = np.bincount(knot, minlength=KNOTS)
    return sum_knots(done) / np.maximum(counts, 1)[:, None]


def _knots(steps: int) -> Int64[np.ndarray, " step"]:
    """Return which part of a script is played in each step."""
    return np.array([find_knot(step / steps) for step in range(steps)])


def sum_knots(
    value: Float64[np.ndarray, "episode agent step 3"],
) -> Float64[np.ndarray, "episode agent knot 3"]:
    """Return values of steps added up over the parts of a script."""
    knot = _knots(value.shape[2])
    return np.stack([value[:, :, knot == one].sum(axis=2) for one in range(KNOTS)], axis=2)
