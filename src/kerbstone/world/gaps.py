"""Gaps in tracks, filled as the track itself moves."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.world.bridges import weigh
from kerbstone.world.motions import FORCES, tell_motion

_SEEN = 20
"""So many cells beside a gap count, on either side; of more than `_FEW`, a multiple of it."""
_FEW = 5


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
    weight = motion.weigh_forces(row, last - first, before + after)
    sorts, which = np.unique(
        np.stack([last - first, before, after], axis=1), axis=0, return_inverse=True
    )
    for number, (gap, left, right) in enumerate(sorts.tolist()):
        some = np.flatnonzero(which.ravel() == number)
        used = np.flatnonzero(weight[some].any(axis=0))
        bridges = [weigh(*FORCES[force].tolist(), gap, left, right) for force in used]
        share, deviation = weight[some][:, used], motion.deviation[row[some]][:, used]
        beside = np.concatenate([np.arange(-left, 0), gap + np.arange(right)])
        mine, inside = row[some, None], first[some, None] + np.arange(gap)
        seen = position[mine, first[some, None] + beside]
        origin = seen[:, :1]
        apart = np.stack([bridge.place @ (seen - origin) for bridge in bridges], axis=1)
        moving = np.stack([bridge.velocity @ (seen - origin) for bridge in bridges], axis=1)
        mean = np.einsum("gf,gfcx->gcx", share, apart)
        place[mine, inside] = origin + mean
        velocity[mine, inside] = np.einsum("gf,gfcx->gcx", share, moving)
        # The variance of the force that counts most, and that of what they all say, along an axis.
        most = share.argmax(axis=1)
        of_most = np.stack([bridge.spread for bridge in bridges])[most]
        own = (of_most * deviation[np.arange(len(some)), most, None]) ** 2
        between = ((apart - mean[:, None]) ** 2).mean(axis=-1)
        spread[mine, inside] = np.sqrt(own + np.einsum("gf,gfc->gc", share, between))
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
    """Return how many cells count that are seen in a row before and after each gap."""
    steps = np.arange(valid.shape[1])
    gone = np.maximum.accumulate(np.where(valid, -1, steps), axis=1)
    comes = np.minimum.accumulate(np.where(valid, len(steps), steps)[:, ::-1], axis=1)[:, ::-1]
    before = first - 1 - gone[row, first - 1]
    after = comes[row, last] - last
    return _round(before), _round(after)


def _round(count: Int64[np.ndarray, " gap"]) -> Int64[np.ndarray, " gap"]:
    """Return fewer different numbers, so that there are few sorts of gaps, whose weights are kept."""
    return np.minimum(np.where(count > _FEW, count // _FEW * _FEW, count), _SEEN)
