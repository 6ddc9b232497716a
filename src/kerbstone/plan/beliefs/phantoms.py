"""Those who may be hidden: a belief over a road user in each occlusion.

Each region that cannot be seen holds nobody or one. Its belief is one array, `mass`: the
probability that there is one *and* that they are in a cell. What is left of one is the
probability that there is nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from kerbstone.errors import InputError
from kerbstone.scene import BevIndex, boxes_overlap

Mass = Float64[np.ndarray, "*batch region cell"]


@dataclass(frozen=True)
class Habits:
    """What is assumed of those who are hidden.

    Args:
        arrival: Rate at which somebody comes into an empty region, all of it hidden, from where
            it would not have been noticed [1/s].
        departure: Rate at which one who is hidden leaves that way [1/s].
        emergence: Rate at which one who is hidden steps out [1/s].
        detection: Probability that one who is in view is noticed at a look.
        speed: At which they walk when they have stepped out [m/s].
        spread: Standard deviation of where they are then, in either direction [m].
        size: Length and width of the box around them [m].
    """

    arrival: float = 0.01
    departure: float = 0.01
    emergence: float = 0.2
    detection: float = 0.95
    speed: float = 1.5
    spread: float = 0.1
    size: tuple[float, float] = (0.7, 0.7)

    def __post_init__(self) -> None:
        for name in ("arrival", "departure", "emergence", "spread"):
            value = getattr(self, name)
            if not 0.0 <= value < np.inf:
                raise InputError("value", f"habits.{name} is below zero", why=f"{value:g}")
        if not 0.0 <= self.detection <= 1.0:
            raise InputError(
                "value", "habits.detection is no probability", why=f"{self.detection:g}"
            )
        if not (self.speed > 0.0 and min(self.size) > 0.0):
            raise InputError("value", "a speed or size of the hidden is not above zero")


def suspect(
    existence: Float[np.ndarray, "*batch region"], hidden: Bool[np.ndarray, "*batch region cell"]
) -> Mass:
    """Return a belief to begin with: spread evenly over the cells that are hidden.

    Args:
        existence: Probability that there is somebody in each region.
        hidden: Cells out of view. A region without any holds nobody.

    Raises:
        InputError: A probability is not from 0 to 1.
    """
    existence = np.asarray(existence, np.float64)
    if not ((existence >= 0) & (existence <= 1)).all():
        raise InputError("value", "the probability of somebody hidden is not from 0 to 1")
    return existence[..., None] * _spread_evenly(hidden)


def look(
    mass: Float[np.ndarray, "*batch region cell"],
    in_view: Bool[np.ndarray, "*batch region cell"],
    dt: float,
    habits: Habits | None = None,
) -> Mass:
    """Return the belief after time has gone by and a look has found nobody in any region.

    In that time somebody may have come or gone unseen. That nobody stepped out, and that nobody is
    in the cells in view, each speak against there being somebody. One who was found is a road
    user like others; then the region's mass is to be set to zero.

    Args:
        mass: The belief before.
        in_view: The cells that are seen into.
        dt: Time since the last look [s].
        habits: What is assumed.

    Raises:
        InputError: The belief is none, or the time is below zero.

    References:
        Ristic, Vo, Vo and Farina, "A tutorial on Bernoulli filters", IEEE Transactions on Signal
        Processing, 2013.
    """
    habits = habits or Habits()
    if dt < 0.0:
        raise InputError("value", "the time between two looks is below zero", why=f"{dt:g} s")
    mass = np.asarray(mass, np.float64)
    nobody = 1.0 - existence_of(mass)[..., None]
    hidden = ~in_view
    share = hidden.mean(axis=-1, keepdims=True)
    came = nobody * -np.expm1(-habits.arrival * dt * share)
    there = mass * np.exp(-habits.departure * dt)
    nobody = 1.0 - there.sum(axis=-1, keepdims=True) - came
    there = there + came * _spread_evenly(hidden)
    missed = np.where(in_view, 1.0 - habits.detection, np.exp(-habits.emergence * dt))
    left = there * missed
    total = nobody + left.sum(axis=-1, keepdims=True)
    # With certain detection and nobody in doubt before, nothing may be left: then nobody is there.
    return np.where(total > 0, left / np.where(total > 0, total, 1.0), 0.0)


def existence_of(
    mass: Float[np.ndarray, "*batch region cell"],
) -> Float64[np.ndarray, "*batch region"]:
    """Return the probability that somebody is in each region.

    Raises:
        InputError: A mass is negative or NaN, or a region's is more than one.
    """
    total = np.asarray(mass, np.float64).sum(axis=-1)
    if not ((mass >= 0).all() and (total <= 1.0 + 1e-9).all()):
        raise InputError("value", "a belief over the hidden is not from 0 to 1")
    return np.minimum(total, 1.0)


def is_in_view(
    eye: Float[np.ndarray, "*batch 2"],
    places: Float[np.ndarray, "*batch region cell 2"],
    boxes: Float[np.ndarray, "*batch box 5"],
) -> Bool[np.ndarray, "*batch region cell"]:
    """Tell which places are to be seen past boxes.

    Args:
        eye: Where the sensor is, world frame [m].
        places: World frame [m].
        boxes: What hides them, columns `scene.BevIndex`.
    """
    line = places - eye[..., None, None, :]
    middle = eye[..., None, None, :] + line / 2.0
    length = np.hypot(line[..., 0], line[..., 1])
    heading = np.arctan2(line[..., 1], line[..., 0])
    # A line of sight is a box without width.
    sight = np.zeros((*length.shape, len(BevIndex)))
    sight[..., [BevIndex.X, BevIndex.Y]] = middle
    sight[..., BevIndex.HEADING] = heading
    sight[..., BevIndex.LENGTH] = length
    cut = boxes_overlap(sight[..., None, :], boxes[..., None, None, :, :])
    return np.asarray(~cut.any(axis=-1))


def _spread_evenly(hidden: Bool[np.ndarray, "*batch region cell"]) -> Mass:
    count = hidden.sum(axis=-1, keepdims=True)
    return hidden / np.maximum(count, 1)
