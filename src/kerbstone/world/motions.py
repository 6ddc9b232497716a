"""How a track moves: by a random acceleration or jerk, and by how strong a one.

It is the force that fills best what is seen: cells of the track that are left out, as if they lay
in a gap. The less is seen of a track, the more it is taken to move as those around it do.

References:
    Stone, "Cross-validatory choice and assessment of statistical predictions", Journal of the Royal
    Statistical Society B 36, 1974.
    Efron and Morris, "Stein's estimation rule and its competitors: an empirical Bayes approach",
    Journal of the American Statistical Association 68, 1973.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.world.bridges import weigh

_FORCES = np.array([(order, level) for order in (2, 3) for level in range(17)])
"""Order and level of each force that may be the one."""
_USUAL = 2, 8
"""The same where too little is seen to tell."""
_LEFT_OUT = (4, 8, 16)
"""Cells that are left out at once; the one in the middle is asked for."""
_BESIDE = 6
"""Cells that it is filled from, on either side."""
_EVERY = 2
"""Steps from one place in which cells are left out to the next."""
_ENOUGH = 20
"""With fewer such places in all tracks nothing is told."""
_AROUND = 40.0
"""So many places of its own count as much as all tracks around it do."""
_AT_FIRST = 2.0
"""So many count as much as how far a track lies off itself from cell to cell."""
_LEAST_ERROR = 1e-3
"""Errors [m] are told from each other no better than that."""
_LEAST_DEVIATION = 1e-4
"""Of a cell [m]."""


@dataclass(frozen=True, eq=False)
class Motion:
    """How tracks move, as far as can be told from what is seen of each.

    Args:
        order: 2 where the acceleration is random, 3 where the jerk is.
        level: Twice the log (base 10) of that force's spectral density, in variances of a cell.
        deviation: Of a cell, along each axis, from a smooth path [m].
    """

    order: Int64[np.ndarray, " agent"]
    level: Int64[np.ndarray, " agent"]
    deviation: Float64[np.ndarray, " agent"]


class _Stencil(NamedTuple):
    """How the cell in the middle of a gap follows, by each force, from those beside it.

    Args:
        place: Weights of the cells beside it.
        spread: Standard deviation of that cell, in those of a cell that is seen.
        beside: Steps from the cell in the middle to those beside the gap.
    """

    place: Float64[np.ndarray, "force seen"]
    spread: Float64[np.ndarray, " force"]
    beside: Int64[np.ndarray, " seen"]


class _Errors(NamedTuple):
    """How far cells that were left out were missed, for gaps of one length.

    Args:
        total: Sum of the distances by each force [m].
        cells: How many of each track were left out.
        spread: As in `_Stencil`.
    """

    total: Float64[np.ndarray, "agent force"]
    cells: Int64[np.ndarray, " agent"]
    spread: Float64[np.ndarray, " force"]

    def compare(self) -> tuple[Float64[np.ndarray, "agent force"], Float64[np.ndarray, " force"]]:
        """Return errors in those of the best force: of each track, and of all of them."""
        own = self.total / np.maximum(self.cells, 1)[:, None] + _LEAST_ERROR
        every = self.total.sum(axis=0) / self.cells.sum() + _LEAST_ERROR
        return own / own.min(axis=1, keepdims=True), every / every.min()


def tell_motion(
    position: Float64[np.ndarray, "agent step 2"], valid: Bool[np.ndarray, "agent step"]
) -> Motion:
    """Return how tracks move: by the force that fills best what is left out of them.

    Args:
        position: World frame [m].
        valid: Which cells are seen.
    """
    trembling = _measure_trembling(position, valid)
    tried = [_leave_out(position, valid, gap) for gap in _LEFT_OUT]
    tried = [errors for errors in tried if errors.cells.sum() >= _ENOUGH]
    if not tried:
        order, level = (np.full(len(valid), value) for value in _USUAL)
        return Motion(order, level, np.sqrt(np.maximum(trembling, _LEAST_DEVIATION**2)))
    own, every = zip(*(errors.compare() for errors in tried), strict=True)
    count = np.stack([errors.cells for errors in tried])
    error = np.einsum("ga,gaf->af", count, own) + _AROUND * np.sum(every, axis=0)
    best = error.argmin(axis=1)
    # Distances of a plane's normal errors are so many of their deviations along an axis long.
    variance = [
        (errors.total[np.arange(len(best)), best] / np.maximum(errors.cells, 1)) ** 2
        / (np.pi / 2.0 * (1.0 + errors.spread[best] ** 2))
        for errors in tried
    ]
    share = len(tried) * _AT_FIRST
    variance = (np.sum(count * variance, axis=0) + share * trembling) / (count.sum(axis=0) + share)
    order, level = _FORCES[best].T
    return Motion(order, level, np.sqrt(np.maximum(variance, _LEAST_DEVIATION**2)))


def _leave_out(
    position: Float64[np.ndarray, "agent step 2"], valid: Bool[np.ndarray, "agent step"], gap: int
) -> _Errors:
    """Return how well each force fills cells that are seen, from those beside gaps around them."""
    stencil = _make_stencil(gap)
    reach = stencil.beside[-1]
    middle = np.arange(-stencil.beside[0], valid.shape[1] - reach, _EVERY)
    used = np.append(stencil.beside, 0)
    row, place = np.nonzero(valid[:, middle[:, None] + used].all(axis=-1))
    middle = middle[place]
    beside = position[row[:, None], middle[:, None] + stencil.beside]
    off = stencil.place @ (beside - position[row, middle][:, None])
    total = np.zeros((len(valid), len(_FORCES)))
    np.add.at(total, row, np.hypot(off[..., 0], off[..., 1]))
    return _Errors(total, np.bincount(row, minlength=len(valid)), stencil.spread)


@lru_cache
def _make_stencil(gap: int) -> _Stencil:
    middle = gap // 2
    bridges = [weigh(order, level, gap, _BESIDE, _BESIDE) for order, level in _FORCES.tolist()]
    return _Stencil(
        np.stack([bridge.place[middle] for bridge in bridges]),
        np.array([bridge.spread[middle] for bridge in bridges]),
        np.concatenate([np.arange(-_BESIDE, 0), gap + np.arange(_BESIDE)]) - middle,
    )


def _measure_trembling(
    position: Float64[np.ndarray, "agent step 2"], valid: Bool[np.ndarray, "agent step"]
) -> Float64[np.ndarray, " agent"]:
    """Return the variance of independent noise that would bend tracks as much as they are [m²]."""
    three = valid[:, :-2] & valid[:, 1:-1] & valid[:, 2:]
    bend = position[:, :-2] - 2.0 * position[:, 1:-1] + position[:, 2:]
    total = np.where(three, (bend**2).sum(axis=-1), 0.0).sum(axis=1)
    return total / (2.0 * 6.0 * np.maximum(three.sum(axis=1), 1))
