"""Bridges: what the smoother of a random acceleration or jerk makes of the cells beside a gap.

A track is a linear combination of what is seen of it around a gap. The weights depend on the length
of the gap, on how many cells are seen beside it, and on how the track moves, so few are ever needed.

References:
    Rasmussen and Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, chapter 2.
    Wahba, "Improper priors, spline smoothing and the problem of guarding against model errors in
    regression", Journal of the Royal Statistical Society B 40, 1978.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from kerbstone.world.baselines.smoothing import PRIOR, make_model

_WIDE = 3
"""Level up to which a start is as wide as the smoother's."""
_BLOCK = 64
"""Covariances are made for so many steps, or a multiple of it: a shorter track's are part of them."""


class Bridge(NamedTuple):
    """How the cells of a gap follow from those beside it.

    Args:
        place: Weights of what is seen for the place.
        velocity: The same for the velocity [1/s].
        spread: Standard deviation of a place, in those of a cell that is seen.
    """

    place: Float64[np.ndarray, "cell seen"]
    velocity: Float64[np.ndarray, "cell seen"]
    spread: Float64[np.ndarray, " cell"]


@lru_cache(maxsize=4096)
def weigh(order: int, level: int, gap: int, before: int, after: int) -> Bridge:
    """Return how a gap follows from what is seen beside it.

    Args:
        order: 2 where the acceleration is random, 3 where the jerk is.
        level: Log (base 10) of that force's spectral density, in variances of a cell.
        gap: Cells of the gap.
        before: Cells that are seen before it.
        after: Cells that are seen after it.
    """
    steps = before + gap + after
    covariance = _covary(order, level, -(-steps // _BLOCK) * _BLOCK)
    inside = np.arange(before, before + gap)
    seen = np.concatenate([np.arange(before), np.arange(before + gap, steps)])
    among = covariance[np.ix_(seen, seen)][..., 0] + np.eye(len(seen))
    place = np.linalg.solve(among, covariance[np.ix_(inside, seen)][..., 0].T).T
    velocity = np.linalg.solve(among, covariance[np.ix_(inside, seen)][..., 1].T).T
    gone = (place * covariance[np.ix_(inside, seen)][..., 0]).sum(axis=1)
    left = covariance[inside, inside, 0] - gone
    return Bridge(place, velocity, np.sqrt(np.maximum(left, 0.0)))


@lru_cache(maxsize=64)
def _covary(order: int, level: int, steps: int) -> Float64[np.ndarray, "step step 2"]:
    """Return covariances of place and of velocity at one step with the place at another."""
    advance, noise = make_model(order, 10.0**level)
    # A start is wide beside what the force does, or two cells alone would be drawn towards it.
    state = PRIOR * max(1.0, 10.0 ** (level - _WIDE)) * np.eye(order)
    states, powers = [state], [np.eye(order)]
    for _ in range(steps - 1):
        states.append(advance @ states[-1] @ advance.T + noise)
        powers.append(advance @ powers[-1])
    state, power = np.stack(states), np.stack(powers)
    one, other = np.indices((steps, steps))
    # With a later step as with the state now, carried on; with an earlier one as carried here.
    later = np.einsum("stij,stj->sti", state[one], power[np.maximum(other - one, 0)][..., 0, :])
    earlier = np.einsum("stij,stj->sti", power[np.maximum(one - other, 0)], state[other][..., 0])
    return np.where((other >= one)[..., None], later, earlier)[..., :2]
