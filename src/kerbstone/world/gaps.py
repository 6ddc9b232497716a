"""Gaps in tracks, filled as the track itself moves."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.world.bridges import weigh
from kerbstone.world.motions import tell_motion

_SEEN = 20
"""So many cells beside a gap count, on either side."""


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
