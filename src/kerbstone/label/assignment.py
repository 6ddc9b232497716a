"""The best one-to-one assignment over a sparse list of pairs, whatever its size."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from kerbstone.label.metrics.matching import split_pairs

_SMALL = 2_500
"""Cells of a table that is solved as a whole: to look for its parts would take longer."""
_DENSE = 1_000_000
"""Cells of a table beyond which a sparse solver takes over."""


def assign_pairs(
    first: Int64[np.ndarray, " pair"],
    second: Int64[np.ndarray, " pair"],
    gain: Float64[np.ndarray, " pair"],
) -> Int64[np.ndarray, " match"]:
    """Return the pairs of the one-to-one assignment with the greatest sum of gains.

    Pairs that gain nothing are never taken. Memory grows with the number of pairs.

    Args:
        first: Index of one side of each pair, from 0.
        second: Index of the other side; no pair appears twice.
        gain: What the pair is worth against leaving both sides alone.

    Returns:
        Indices of the pairs taken, rising.

    Example:
        >>> first, second = np.array([0, 0, 1]), np.array([0, 1, 0])
        >>> assign_pairs(first, second, np.array([3.0, 2.0, 2.0]))
        array([1, 2])
    """
    pairs = np.flatnonzero(gain > 0)
    first, second, gain = first[pairs], second[pairs], gain[pairs]
    if not len(pairs):
        return pairs
    if np.bincount(first).max() <= 1 and np.bincount(second).max() <= 1:
        return pairs  # nothing competes
    return pairs[np.sort(_solve(first, second, gain))]


def _solve(
    first: Int64[np.ndarray, " pair"],
    second: Int64[np.ndarray, " pair"],
    gain: Float64[np.ndarray, " pair"],
) -> Int64[np.ndarray, " match"]:
    rows, row = np.unique(first, return_inverse=True)
    columns, column = np.unique(second, return_inverse=True)
    shape = (len(rows), len(columns))
    if len(rows) * len(columns) <= _SMALL:
        return _solve_dense(row, column, gain, shape)
    alone, groups = split_pairs(first, second)
    if len(groups) == 1 and not alone.any():
        solve = _solve_dense if len(rows) * len(columns) <= _DENSE else _solve_sparse
        return solve(row, column, gain, shape)
    taken = [np.flatnonzero(alone)]
    taken += [group[_solve(first[group], second[group], gain[group])] for group in groups]
    return np.concatenate(taken)


def _solve_dense(
    row: Int64[np.ndarray, " pair"],
    column: Int64[np.ndarray, " pair"],
    gain: Float64[np.ndarray, " pair"],
    shape: tuple[int, int],
) -> Int64[np.ndarray, " match"]:
    table = np.zeros(shape)
    table[row, column] = gain
    which = np.full(shape, -1)
    which[row, column] = np.arange(len(gain))
    taken = which[linear_sum_assignment(table, maximize=True)]
    return taken[taken >= 0]


def _solve_sparse(
    row: Int64[np.ndarray, " pair"],
    column: Int64[np.ndarray, " pair"],
    gain: Float64[np.ndarray, " pair"],
    shape: tuple[int, int],
) -> Int64[np.ndarray, " match"]:
    # The solver wants everyone on the smaller side matched: each gets a partner of its own that is
    # worth nothing. Costs may not be 0, which a sparse matrix takes for no pair; as every row is
    # matched once, a constant on all of them changes nothing.
    if shape[0] > shape[1]:
        row, column, shape = column, row, (shape[1], shape[0])
    lonely = np.arange(shape[0])
    cost = np.concatenate([-gain, np.zeros(shape[0])]) + (gain.max() + 1.0)
    ends = np.concatenate([column, shape[1] + lonely])
    starts = np.concatenate([row, lonely])
    graph = csr_array((cost, (starts, ends)), shape=(shape[0], sum(shape)))
    matched = np.full(shape[0], -1)
    rows, columns = min_weight_full_bipartite_matching(graph)
    matched[rows] = columns
    return np.flatnonzero(matched[row] == column)
