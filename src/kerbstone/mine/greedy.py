"""Choosing few vectors that stand for many: facility location and k-centre, both greedily.

Both are pure functions of arrays, deterministic (of equals the first is taken), and hold a block
of distances at a time, never all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

_BATCH = 256
"""Candidates that are looked at together: one product of matrices serves all."""
_BLOCK = 2048
"""Rows that each of them is compared with at a time, so that the product stays in the cache."""
_REPRESENTED = 10_000
_SAMPLE = 2_000


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Args:
        rows: The rows, in the order in which they were chosen.
        gain: What each added to the value.
        value: The value of all, those that were given included.
    """

    rows: tuple[int, ...]
    gain: tuple[float, ...]
    value: float


class Facility:
    """The facility-location value of a set of vectors.

    `f(S) = Σ_i w_i max_{j in S} s(i, j) / Σ_i w_i + Σ_{j in S} b_j`, with the similarity
    `s(i, j) = max(0, 1 - |x_i - x_j|² / r²)`: every vector is represented by its nearest chosen
    one, the more the nearer, and not at all from the radius r on. It is monotone and submodular
    for weights and bonuses that are not negative.

    Of more than 10,000 vectors the sum goes over a sample of that size, drawn evenly along the
    weights, which changes a value by more than 0.02 in less than 1 of 1000 cases (Hoeffding's
    bound for independent draws). All of them may be chosen.

    Args:
        vectors: The vectors.
        weight: What it counts that each is represented; not negative, not all 0.
        bonus: What each adds when it is chosen itself; not negative.
        radius: From which distance on nothing is represented.
    """

    def __init__(
        self,
        vectors: Float32[np.ndarray, "row value"],
        *,
        weight: Float[np.ndarray, " row"],
        bonus: Float[np.ndarray, " row"],
        radius: float,
    ) -> None:
        # Centred vectors keep the rounding of the products small.
        points = (vectors - vectors.mean(axis=0, keepdims=True)) / np.float32(radius)
        squared = (points**2).sum(axis=1, keepdims=True)
        one = np.ones_like(squared)
        sample, share = _represented(weight)
        # s(i, j) less what covers j is one product of these two, with the latter's last column.
        self._points = points
        self._left = np.concatenate([2 * points, 1 - squared, one], axis=1)
        self._right = np.concatenate([points, one, -squared], axis=1)[sample]
        self._others, self._squared = points[sample], squared[sample, 0]
        self._weight = share.astype(np.float32)
        self._bonus = bonus.astype(np.float64)

    def nothing(self) -> Float32[np.ndarray, " represented"]:
        """Return how well everything is represented by nothing."""
        return np.zeros(len(self._others), np.float32)

    def similarity(self, row: int) -> Float32[np.ndarray, " represented"]:
        """Return how well one row represents everything."""
        apart = ((self._others - self._points[row]) ** 2).sum(axis=1)
        return np.maximum(1 - apart, 0.0)

    def gains(
        self, rows: Int64[np.ndarray, " chosen"], covered: Float32[np.ndarray, " represented"]
    ) -> Float64[np.ndarray, " chosen"]:
        """Return what each of some rows would add to what is covered."""
        gain = self._bonus[rows].copy()
        self._right[:, -1] = -self._squared - covered
        left = self._left[rows]
        for first in range(0, len(covered), _BLOCK):
            part = slice(first, first + _BLOCK)
            better = left @ self._right[part].T
            gain += np.maximum(better, 0.0, out=better) @ self._weight[part]
        return gain

    def cover(
        self, rows: Int64[np.ndarray, " chosen"], covered: Float32[np.ndarray, " represented"]
    ) -> Float32[np.ndarray, " represented"]:
        """Return how well everything is represented once some rows are chosen too."""
        for row in rows:
            covered = np.maximum(covered, self.similarity(int(row)))
        return covered

    def value(self, rows: Int64[np.ndarray, " chosen"]) -> float:
        """Return the value of a set."""
        covered = self.cover(rows, self.nothing())
        return float(covered.astype(np.float64) @ self._weight + self._bonus[rows].sum())


def choose_facilities(
    facility: Facility,
    count: int,
    candidates: Int64[np.ndarray, " candidate"],
    *,
    given: Int64[np.ndarray, " given"],
) -> Choice:
    """Return a set of at least (1 − 1/e) of the best possible gain over what is given.

    Gains only fall as the set grows, so a gain that was computed earlier is an upper bound: only
    candidates whose bound is above the best gain known are computed again.

    Args:
        facility: The value.
        count: How many to choose; fewer where there are no more candidates.
        candidates: Rows that may be chosen, in the order in which equals are taken.
        given: Rows that are chosen already.

    References:
        Nemhauser, Wolsey and Fisher, "An analysis of approximations for maximizing submodular set
        functions", Mathematical Programming 14, 1978.
        Minoux, "Accelerated greedy algorithms for maximizing submodular set functions", 1978.
    """
    covered = facility.cover(given, facility.nothing())
    bound = np.concatenate(
        [
            np.zeros(0),
            *(facility.gains(candidates[part], covered) for part in _batches(len(candidates))),
        ]
    )
    fresh = np.ones(len(candidates), bool)
    rows: list[int] = []
    gain: list[float] = []
    while len(rows) < min(count, len(candidates)):
        best = int(bound.argmax())
        if not fresh[best]:
            # The highest bounds first, as many as one product takes.
            stale = np.flatnonzero(~fresh & (bound > _best_of(bound, fresh)))
            ordered = stale[np.argsort(-bound[stale], kind="stable")][:_BATCH]
            now = facility.gains(candidates[ordered], covered)
            # Rounding must not let a bound rise.
            bound[ordered] = np.minimum(now, bound[ordered])
            fresh[ordered] = True
            continue
        rows.append(int(candidates[best]))
        gain.append(float(bound[best]))
        covered = facility.cover(candidates[best : best + 1], covered)
        bound[best] = -np.inf
        fresh[:] = False
    chosen = np.concatenate([given, np.array(rows, np.int64)])
    return Choice(tuple(rows), tuple(gain), facility.value(chosen))


def choose_centres(
    vectors: Float32[np.ndarray, "row value"],
    count: int,
    candidates: Int64[np.ndarray, " candidate"],
    *,
    weight: Float[np.ndarray, " row"],
    given: Int64[np.ndarray, " given"],
) -> Choice:
    """Return centres such that the largest weighted distance to the nearest one is small.

    The next centre is the vector whose distance to the nearest centre, times its weight, is the
    largest; the first one, where none is given, is the heaviest. With equal weights the largest
    distance is at most twice the least possible, with others three times.

    Args:
        vectors: The vectors.
        count: How many to choose.
        candidates: Rows that may be chosen, in the order in which equals are taken.
        weight: Of each; not negative.
        given: Rows that are chosen already.

    Returns:
        The choice; its gain is each one's weighted distance when it was chosen, its value the
        largest weighted distance of a candidate that is left.

    References:
        Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer
        Science 38, 1985; Dyer and Frieze, "A simple heuristic for the p-centre problem",
        Operations Research Letters 3, 1985 (weights).
    """
    points = vectors[candidates].astype(np.float64)
    scale = weight[candidates].astype(np.float64)
    apart = np.full(len(candidates), np.inf)
    for row in given:
        apart = np.minimum(apart, np.linalg.norm(points - vectors[row], axis=1))
    rows: list[int] = []
    gain: list[float] = []
    is_free = np.ones(len(candidates), bool)
    while len(rows) < min(count, len(candidates)):
        cost = scale * apart if np.isfinite(apart).all() else scale
        # Those of no weight, and repetitions, come last.
        best = int(np.where(is_free, cost, -1.0).argmax())
        gain.append(float(scale[best] * apart[best]))
        rows.append(int(candidates[best]))
        is_free[best] = False
        apart = np.minimum(apart, np.linalg.norm(points - points[best], axis=1))
    left = (scale * apart)[is_free]
    return Choice(tuple(rows), tuple(gain), float(left.max()) if left.size else 0.0)


def near_distance(vectors: Float32[np.ndarray, "row value"]) -> float:
    """Return the distance that a quarter of the pairs lie within, of an even sample of vectors.

    1 where all are the same.
    """
    sample = vectors[even_rows(len(vectors), _SAMPLE)].astype(np.float64)
    squared = (sample**2).sum(axis=1)
    apart = squared[:, None] + squared - 2 * sample @ sample.T
    apart = np.sqrt(np.maximum(apart[np.triu_indices(len(sample), 1)], 0.0))
    apart = apart[apart > 1e-6]
    return float(np.percentile(apart, 25)) if apart.size else 1.0


def _represented(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that the value is summed over, and what each counts."""
    if len(weight) <= _REPRESENTED:
        return np.arange(len(weight)), weight / weight.sum()
    upto = np.cumsum(weight, dtype=np.float64)
    place = (np.arange(_REPRESENTED) + 0.5) / _REPRESENTED * upto[-1]
    rows = np.minimum(np.searchsorted(upto, place), len(weight) - 1)
    return rows, np.full(_REPRESENTED, 1 / _REPRESENTED)


def even_rows(count: int, most: int) -> Int64[np.ndarray, " sample"]:
    """Return at most so many of `count` rows, spread evenly over them."""
    if count <= most:
        return np.arange(count)
    return np.linspace(0, count - 1, most).astype(np.int64)


def _best_of(bound: np.ndarray, fresh: np.ndarray) -> float:
    return float(bound[fresh].max()) if fresh.any() else -np.inf


def _batches(count: int) -> Iterator[slice]:
    for first in range(0, count, _BATCH):
        yield slice(first, min(first + _BATCH, count))
