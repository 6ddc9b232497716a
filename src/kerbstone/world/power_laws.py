"""Sums of power laws with positive factors, fitted to many sets of values at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from jaxtyping import Float64

LEAST, MOST = 0.02, 3.0
"""Exponents lie between these: below, a power is hardly told from a logarithm."""
_COUNT = 60
_ZOOMS = 2


@dataclass(frozen=True, eq=False)
class Laws:
    """Laws E + Σ F x^-e, one for each set of values.

    Args:
        floor: E.
        factor: F of each axis, at least 0.
        exponent: e of each; some value where the factor is 0.
    """

    floor: Float64[np.ndarray, " law"]
    factor: Float64[np.ndarray, "law axis"]
    exponent: Float64[np.ndarray, "law axis"]

    def predict(self, shares: Float64[np.ndarray, "axis run"]) -> Float64[np.ndarray, "law run"]:
        """Return the values of the laws."""
        powers = shares[None] ** -self.exponent[..., None]
        return self.floor[:, None] + (self.factor[..., None] * powers).sum(axis=1)


def fit_laws(
    shares: Float64[np.ndarray, "axis run"],
    values: Float64[np.ndarray, "law run"],
    weight: Float64[np.ndarray, " run"],
) -> Laws:
    """Return the laws that are nearest to values, by weighted squares.

    Every pair of exponents of a grid is tried; the rest follows, for each choice of the axes whose
    factor is above 0. The grid is then drawn together to where the laws' exponents are: so its
    points lie much closer than those do, or, for one law, than any noise lets it be known.

    Args:
        shares: Where the runs are along each axis; above 0.
        values: Of each run, for each law.
        weight: Of each run.
    """
    grid = [np.geomspace(LEAST, MOST, _COUNT)] * len(shares)
    laws = _search(shares, values, weight, grid)
    for _ in range(_ZOOMS if len(values) else 0):
        grid = [
            _draw_together(*each) for each in zip(grid, laws.exponent.T, laws.factor.T, strict=True)
        ]
        laws = _search(shares, values, weight, grid)
    return laws


def _draw_together(grid: np.ndarray, exponent: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Return a grid over the exponents of an axis that count, and a step beyond."""
    known = exponent[factor > 0]
    if not len(known):
        return grid
    ratio = grid[1] / grid[0]
    return np.geomspace(max(known.min() / ratio, LEAST), min(known.max() * ratio, MOST), len(grid))


def _search(
    shares: np.ndarray, values: np.ndarray, weight: np.ndarray, grid: list[np.ndarray]
) -> Laws:
    """Return the laws that are nearest to values, of those whose exponents are on a grid."""
    root = np.sqrt(weight)
    wanted = (values * root).T
    count, axes = values.shape[0], len(shares)
    best = np.full(count, np.inf)
    floor, factor = np.zeros(count), np.zeros((count, axes))
    exponent = np.tile([np.sqrt(each[0] * each[-1]) for each in grid], (count, 1))
    for active in _choices(axes):
        tried = np.array(list(product(*(grid[axis] for axis in active))))
        powers = shares[list(active)][None] ** -tried[..., None]
        columns = np.concatenate([np.ones((len(tried), 1, shares.shape[1])), powers], axis=1)
        basis, upper = np.linalg.qr((columns * root).swapaxes(1, 2))
        # Laws are taken some at a time: the memory is that of all points of the grid for each.
        for start in range(0, count, 64):
            part = slice(start, start + 64)
            along = basis.swapaxes(1, 2) @ wanted[:, part]
            missed = (wanted[:, part] ** 2).sum(axis=0) - (along**2).sum(axis=1)
            found = _solve(upper, along)
            is_allowed = (found[:, 1:] >= 0).all(axis=1)
            missed = np.where(is_allowed & np.isfinite(found).all(axis=1), missed, np.inf)
            row = missed.argmin(axis=0)
            column = np.arange(len(row))
            closer = missed[row, column] < best[part]
            chosen = np.flatnonzero(closer) + start
            row, column = row[closer], column[closer]
            best[chosen] = missed[row, column]
            floor[chosen] = found[row, 0, column]
            factor[chosen] = 0.0
            factor[chosen[:, None], list(active)] = found[row, 1:, column]
            exponent[chosen[:, None], list(active)] = tried[row]
    return Laws(floor, factor, exponent)


def _choices(axes: int) -> Iterator[tuple[int, ...]]:
    """Give every choice of axes, the fewest first."""
    for size in range(axes + 1):
        yield from combinations(range(axes), size)


def _solve(upper: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Return the solutions of triangular systems; what is singular is not finite."""
    size = upper.shape[1]
    found = np.zeros_like(along)
    with np.errstate(divide="ignore", invalid="ignore"):
        for row in range(size - 1, -1, -1):
            known = (upper[:, row, row + 1 :, None] * found[:, row + 1 :]).sum(axis=1)
            found[:, row] = (along[:, row] - known) / upper[:, row, row, None]
    return found
