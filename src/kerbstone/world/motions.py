"""How a track moves: by random accelerations or jerks, and by how strong ones.

Forces count by how well they fill what is seen: cells of the track that are left out, as if they
lay in a gap. The less is seen of a track, the more it is taken to move as those around it do, and
as road users do.

References:
    Stone, "Cross-validatory choice and assessment of statistical predictions", Journal of the Royal
    Statistical Society B 36, 1974.
    Efron and Morris, "Stein's estimation rule and its competitors: an empirical Bayes approach",
    Journal of the American Statistical Association 68, 1973.
    Yao et al., "Using Stacking to Average Bayesian Predictive Distributions", Bayesian Analysis 13,
    2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.world.bridges import weigh
from kerbstone.world.windows import STEP

FORCES = np.array([(order, level) for order in (2, 3) for level in range(9)])
"""Order and level of each force; see `bridges.weigh`."""
_LEFT_OUT = (4, 8, 16, 24)
"""Cells that are left out at once; the one in the middle is asked for."""
_BESIDE = 6
"""Cells that it is filled from, on either side."""
_EVERY = 2
"""Steps from one place in which cells are left out to the next."""
_ENOUGH = 20
"""With fewer such places in all tracks nothing is told."""
_AROUND = 20.0
"""So many places of its own count as much as all tracks around it do."""
_USUALLY = 30.0
"""So many count as much as how road users move in general."""
_AT_FIRST = 2.0
"""So many count as much as how far a track lies off itself from cell to cell."""
_SHARP = 20.0
"""A force whose error is larger by one part in so many weighs e times less."""
_LEAST_WEIGHT = 0.01
"""What weighs less does not count."""
_LEAST_ERROR = 1e-3
"""Errors [m] are told from each other no better than that."""
_LEAST_DEVIATION = 1e-4
"""Of a cell [m]."""
_ROUGH = 1.1
"""With a random acceleration gaps are missed by so much more, in general."""
_BEST_LEVEL = 5.1, 0.375
"""Level of the best force in gaps of no length, and by how much less it is for each second."""
_BLUNT = 0.12
"""How fast the log of the error grows with the square of the levels to the best one, at 1 s."""
_LONGEST = 5.0
"""Longer gaps [s] count as so long."""
_MOST_ERROR = 2.0
"""In those of the best force: no force is ruled out before a track is looked at."""


@dataclass(frozen=True, eq=False)
class Motion:
    """How tracks move, as far as can be told from what is seen of each.

    Args:
        error: How far cells that were left out are missed, in those of the best force; 1 where
            nothing tells.
        places: On how many places, or as good as so many, that rests.
        deviation: Of a cell, along each axis, from the path of each force [m].
    """

    error: Float64[np.ndarray, "agent force"]
    places: Float64[np.ndarray, " agent"]
    deviation: Float64[np.ndarray, "agent force"]

    def weigh_forces(
        self,
        row: Int64[np.ndarray, " gap"],
        cells: Int64[np.ndarray, " gap"],
        beside: Int64[np.ndarray, " gap"],
    ) -> Float64[np.ndarray, "gap force"]:
        """Return by how much each force counts in gaps; those that hardly do, not at all.

        Args:
            row: Whose gap it is.
            cells: Cells of the gap.
            beside: Cells that are seen beside it, 2 or more.
        """
        places = self.places[row, None]
        error = places * self.error[row] + _USUALLY * _expect_errors(cells * STEP)
        error /= places + _USUALLY
        # Two cells show a velocity, and no acceleration.
        error[FORCES[:, 0] > beside[:, None]] = np.inf
        weight = np.exp(-_SHARP * (error - error.min(axis=1, keepdims=True)))
        weight[weight < _LEAST_WEIGHT * weight.sum(axis=1, keepdims=True)] = 0.0
        return weight / weight.sum(axis=1, keepdims=True)


def _expect_errors(gap: Float64[np.ndarray, " gap"]) -> Float64[np.ndarray, "gap force"]:
    """Return how far road users in general are missed in gaps of some lengths [s].

    The log of it is a parabola in the level, laid through mean errors over simulated and recorded
    tracks (decision 14).
    """
    gap = np.clip(gap, 0.5, _LONGEST)[:, None]
    order, level = FORCES.T
    at_no_length, by_second = _BEST_LEVEL
    away = level - (at_no_length - by_second * gap)
    error = np.where(order == 2, _ROUGH, 1.0) * np.exp(_BLUNT / np.sqrt(gap) * away**2)
    return np.minimum(error, _MOST_ERROR)


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
    """Return how tracks move: how well each force fills what is left out of them.

    Args:
        position: World frame [m].
        valid: Which cells are seen.
    """
    trembling = _measure_trembling(position, valid)[:, None]
    tried = [_leave_out(position, valid, gap) for gap in _LEFT_OUT]
    tried = [errors for errors in tried if errors.cells.sum() >= _ENOUGH]
    places = np.full(len(valid), _AROUND * len(tried))
    error = np.ones((len(valid), len(FORCES)))
    count = np.full((len(valid), 1), _AT_FIRST)
    variance = np.repeat(count * trembling, len(FORCES), axis=1)
    if tried:
        own, every = zip(*(errors.compare() for errors in tried), strict=True)
        cells = np.stack([errors.cells for errors in tried])
        places += cells.sum(axis=0)
        error = np.einsum("ga,gaf->af", cells, own) + _AROUND * np.sum(every, axis=0)
        error /= places[:, None]
        # Distances of a plane's normal errors are so many of their deviations along an axis long.
        far = np.sqrt(np.pi / 2.0)
        for errors in tried:
            mean = errors.total / np.maximum(errors.cells, 1)[:, None]
            variance += errors.cells[:, None] * (mean / far) ** 2 / (1.0 + errors.spread**2)
            count += errors.cells[:, None]
    return Motion(
        error,
        places,
        np.sqrt(np.maximum(variance / count, _LEAST_DEVIATION**2)),
    )


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
    total = np.zeros((len(valid), len(FORCES)))
    np.add.at(total, row, np.hypot(off[..., 0], off[..., 1]))
    return _Errors(total, np.bincount(row, minlength=len(valid)), stencil.spread)


@lru_cache
def _make_stencil(gap: int) -> _Stencil:
    middle = gap // 2
    bridges = [weigh(order, level, gap, _BESIDE, _BESIDE) for order, level in FORCES.tolist()]
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
