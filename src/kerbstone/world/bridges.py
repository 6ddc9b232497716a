"""Gaps in tracks, filled as the track itself moves: the smoother of a random acceleration or jerk.

A track is a linear combination of what is seen of it around a gap. The weights depend on the length
of the gap, on how many cells are seen beside it, and on how the track moves, so few are ever needed.

References:
    Rasmussen and Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, chapter 2.
    Wahba, "Improper priors, spline smoothing and the problem of guarding against model errors in
    regression", Journal of the Royal Statistical Society B 40, 1978.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.world.baselines.smoothing import PRIOR, make_model

_SEEN = 20
"""So many cells beside a gap count, on either side."""
_LEVELS = (0.0, 8.0)
"""Logs (base 10) of the smallest and greatest strength of the random force."""
_USUAL = 4.0
"""The same where a track is too short to tell it."""
_BENT = 2.9
"""Slope of the log of the second differences' variance over that of their lag, above which a track
moves by a random jerk. It is 3 for a random acceleration and 4 for a steady one; noise of the cells
makes it less."""
_LEAST_DEVIATION = 1e-4
"""Of a cell [m]."""


@dataclass(frozen=True, eq=False)
class Motion:
    """How tracks move, as far as can be told from what is seen of each.

    Args:
        order: 2 where the acceleration is random, 3 where the jerk is.
        level: Twice the log (base 10) of that force's spectral density, in variances of a cell.
        deviation: Of a cell, along each axis, from a smooth path, at most [m].
    """

    order: Int64[np.ndarray, " agent"]
    level: Int64[np.ndarray, " agent"]
    deviation: Float64[np.ndarray, " agent"]


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


def tell_motion(
    position: Float64[np.ndarray, "agent step 2"], valid: Bool[np.ndarray, "agent step"]
) -> Motion:
    """Return how tracks move: from the second differences of their places over several lags."""
    near, short, middle, long = (_spread_over(position, valid, lag) for lag in (1, 2, 4, 8))
    variance = np.maximum(np.nan_to_num(near) / 6.0, _LEAST_DEVIATION**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.log2(long / short) / 2.0
        slope = np.where(np.isfinite(slope), slope, np.log2(middle / near) / 2.0)
        order = np.where(slope > _BENT, 3, 2)
        force = np.maximum(middle - near, 0.0) / np.where(order == 3, _drift(3, 4), _drift(2, 4))
        level = np.clip(np.log10(force / variance), *_LEVELS)
    level = np.where(np.isfinite(level), level, _USUAL)
    return Motion(order, np.round(2.0 * level).astype(np.int64), np.sqrt(variance))


def fill(
    position: Float64[np.ndarray, "agent step 2"], valid: Bool[np.ndarray, "agent step"]
) -> tuple[
    Float64[np.ndarray, "agent step 2"],
    Float64[np.ndarray, "agent step 2"],
    Float64[np.ndarray, "agent step"],
]:
    """Return place [m], velocity [m/s] and standard deviation [m] in gaps; NaN elsewhere.

    Args:
        position: World frame [m].
        valid: Which cells are seen.
    """
    place, velocity = np.full(position.shape, np.nan), np.full(position.shape, np.nan)
    spread = np.full(valid.shape, np.nan)
    row, first, last = _find_gaps(valid)
    if not len(row):
        return place, velocity, spread
    motion = tell_motion(position, valid)
    before, after = _count_beside(valid, row, first, last)
    sort = np.stack([motion.order[row], motion.level[row], last - first, before, after], axis=1)
    sorts, which = np.unique(sort, axis=0, return_inverse=True)
    for number, (order, level, gap, left, right) in enumerate(sorts.tolist()):
        some = np.flatnonzero(which.ravel() == number)
        bridge = weigh(order, level, gap, left, right)
        beside = np.concatenate([np.arange(-left, 0), gap + np.arange(right)])
        mine, inside = row[some, None], first[some, None] + np.arange(gap)
        seen = position[mine, first[some, None] + beside]
        origin = seen[:, :1]
        place[mine, inside] = origin + bridge.place @ (seen - origin)
        velocity[mine, inside] = bridge.velocity @ (seen - origin)
        spread[mine, inside] = bridge.spread * motion.deviation[mine]
    return place, velocity, spread


@lru_cache(maxsize=2048)
def weigh(order: int, level: int, gap: int, before: int, after: int) -> Bridge:
    """Return how a gap follows from what is seen beside it.

    Args:
        order: 2 where the acceleration is random, 3 where the jerk is.
        level: As in `Motion`.
        gap: Cells of the gap.
        before: Cells that are seen before it.
        after: Cells that are seen after it.
    """
    steps = before + gap + after
    covariance = _covary(order, 10.0 ** (level / 2.0), steps)
    inside = np.arange(before, before + gap)
    seen = np.concatenate([np.arange(before), np.arange(before + gap, steps)])
    among = covariance[np.ix_(seen, seen)][..., 0] + np.eye(len(seen))
    place = np.linalg.solve(among, covariance[np.ix_(inside, seen)][..., 0].T).T
    velocity = np.linalg.solve(among, covariance[np.ix_(inside, seen)][..., 1].T).T
    gone = (place * covariance[np.ix_(inside, seen)][..., 0]).sum(axis=1)
    left = covariance[inside, inside, 0] - gone
    return Bridge(place, velocity, np.sqrt(np.maximum(left, 0.0)))


def _covary(order: int, strength: float, steps: int) -> Float64[np.ndarray, "step step 2"]:
    """Return covariances of place and of velocity at one step with the place at another."""
    advance, noise = make_model(order, strength)
    state = PRIOR * np.eye(order)
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


@lru_cache
def _drift(order: int, lag: int) -> float:
    """Return the variance of a second difference over a lag that comes from a unit force."""
    covariance = _covary(order, 1.0, 2 * lag + 1)[..., 0] - _covary(order, 0.0, 2 * lag + 1)[..., 0]
    weight = np.zeros(2 * lag + 1)
    weight[[0, lag, 2 * lag]] = 1.0, -2.0, 1.0
    return float(weight @ covariance @ weight)


def _spread_over(
    position: Float64[np.ndarray, "agent step 2"], valid: Bool[np.ndarray, "agent step"], lag: int
) -> Float64[np.ndarray, " agent"]:
    """Return the variance of second differences along each axis [m²]; NaN where there are none."""
    if valid.shape[1] <= 2 * lag:
        return np.full(len(valid), np.nan)
    three = valid[:, : -2 * lag] & valid[:, lag:-lag] & valid[:, 2 * lag :]
    off = position[:, : -2 * lag] - 2.0 * position[:, lag:-lag] + position[:, 2 * lag :]
    total = np.where(three, (off**2).sum(axis=-1), 0.0).sum(axis=1)
    count = three.sum(axis=1)
    return np.where(count > 0, total / (2.0 * np.maximum(count, 1)), np.nan)


def _find_gaps(
    valid: Bool[np.ndarray, "agent step"],
) -> tuple[Int64[np.ndarray, " gap"], Int64[np.ndarray, " gap"], Int64[np.ndarray, " gap"]]:
    """Return row, first hidden step, and next seen step of each gap between cells that are seen."""
    change = np.diff(valid.astype(np.int8), axis=1)
    row, first = np.nonzero(change < 0)
    back, last = np.nonzero(change > 0)
    # A track that begins hidden comes back once without having gone.
    begins = valid.argmax(axis=1)
    late = last + 1 > begins[back]
    back, last = back[late], last[late]
    # One that ends hidden goes and does not come back: its last leave has no partner.
    ends = valid.shape[1] - 1 - valid[:, ::-1].argmax(axis=1)
    early = first < ends[row]
    return row[early], first[early] + 1, last + 1


def _count_beside(
    valid: Bool[np.ndarray, "agent step"],
    row: Int64[np.ndarray, " gap"],
    first: Int64[np.ndarray, " gap"],
    last: Int64[np.ndarray, " gap"],
) -> tuple[Int64[np.ndarray, " gap"], Int64[np.ndarray, " gap"]]:
    """Return how many cells are seen in a row before and after each gap, `_SEEN` at most."""
    steps = np.arange(valid.shape[1])
    gone = np.maximum.accumulate(np.where(valid, -1, steps), axis=1)
    comes = np.minimum.accumulate(np.where(valid, len(steps), steps)[:, ::-1], axis=1)[:, ::-1]
    before = first - 1 - gone[row, first - 1]
    after = comes[row, last] - last
    return np.minimum(before, _SEEN), np.minimum(after, _SEEN)
