"""Sums, means and medians of rows by their track."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64, Shaped


def sum_by(
    group: Int64[np.ndarray, " row"], value: Shaped[np.ndarray, " row"], count: int
) -> Float64[np.ndarray, " group"]:
    """Return the sum of the values of each group."""
    # Without any row NumPy counts in integers, weights or not.
    return np.bincount(group, weights=value, minlength=count).astype(np.float64)


def weighted_median_by(
    group: Int64[np.ndarray, " row"],
    value: Float64[np.ndarray, " row"],
    weight: Float64[np.ndarray, " row"],
    count: int,
) -> Float64[np.ndarray, " group"]:
    """Return the weighted median of each group, between the two values around the half.

    A group without rows, or of no weight, gets NaN.
    """
    order = np.lexsort((value, group))
    group, value, weight = group[order], value[order], weight[order]
    total = np.bincount(group, weights=weight, minlength=count)
    summed = np.cumsum(weight)
    before = np.concatenate([[0.0], np.cumsum(total)])[:-1]
    # Where the middle of each value's own weight lies in its group, from 0 to 1.
    place = (summed - weight / 2 - before[group]) / np.where(total > 0, total, np.nan)[group]
    # Groups one after the other on one axis, so that one interpolation serves all.
    axis = group + np.clip(place, 0.0, 1.0) * 0.999
    median = np.full(count, np.nan)
    some = np.flatnonzero(total > 0)
    if not len(some):
        return median
    first = np.searchsorted(group, some)
    last = np.searchsorted(group, some, side="right") - 1
    half = some + 0.5 * 0.999
    known = np.isfinite(axis)
    guess = np.interp(half, axis[known], value[known])
    # A single value, or one of more than half the weight at an end, is the median itself.
    guess = np.where(half <= axis[first], value[first], guess)
    median[some] = np.where(half >= axis[last], value[last], guess)
    return median
