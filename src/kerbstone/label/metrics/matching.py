"""One-to-one matching over a sparse list of candidate pairs.

Most pairs are the only candidate of both their sides, so they need no solver. What is left falls
into small connected groups, and each is an assignment problem of its own.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def match_pairs(
    first: Int64[np.ndarray, " pair"],
    second: Int64[np.ndarray, " pair"],
    weight: Float64[np.ndarray, " pair"],
) -> Bool[np.ndarray, " pair"]:
    """Choose the pairs of the heaviest one-to-one matching.

    Args:
        first: Index of one side of each pair.
        second: Index of its other side; no pair appears twice.
        weight: What the pair is worth, positive.

    Example:
        >>> first, second = np.array([0, 0, 1]), np.array([0, 1, 0])
        >>> match_pairs(first, second, np.array([0.9, 0.8, 0.7]))
        array([False,  True,  True])
    """
    matched, groups = split_pairs(first, second)
    for group in groups:
        matched[group] = match_group(first[group], second[group], weight[group])
    return matched


def split_pairs(
    first: Int64[np.ndarray, " pair"], second: Int64[np.ndarray, " pair"]
) -> tuple[Bool[np.ndarray, " pair"], list[Int64[np.ndarray, " _"]]]:
    """Split pairs into those without a rival and groups that must be solved together.

    Returns:
        Which pairs are the only candidate of both their sides, and the indices of the others, one
        array per connected group, in the order of the least `first` in each.
    """
    if len(first) == 0:
        return np.zeros(0, bool), []
    alone = (np.bincount(first)[first] == 1) & (np.bincount(second)[second] == 1)
    rest = np.flatnonzero(~alone)
    if len(rest) == 0:
        return alone, []
    rows, row = np.unique(first[rest], return_inverse=True)
    columns, column = np.unique(second[rest], return_inverse=True)
    nodes = len(rows) + len(columns)
    graph = coo_array((np.ones(len(rest), bool), (row, column + len(rows))), shape=(nodes, nodes))
    _, component = connected_components(graph, directed=False)
    # `rows` is sorted, so a component's first appearance in it tells its least `first`.
    found, seen = np.unique(component[: len(rows)], return_index=True)
    rank = np.empty(len(found), np.int64)
    rank[np.argsort(seen)] = np.arange(len(found))
    place = rank[component[row]]
    order = np.argsort(place, kind="stable")
    bounds = np.cumsum(np.bincount(place))[:-1]
    return alone, np.split(rest[order], bounds)


def match_group(
    first: Int64[np.ndarray, " pair"],
    second: Int64[np.ndarray, " pair"],
    weight: Float64[np.ndarray, " pair"],
) -> Bool[np.ndarray, " pair"]:
    """Choose the pairs of the heaviest matching among a few, by a dense assignment.

    Pairs that are not listed weigh 0, and are never chosen.
    """
    rows, row = np.unique(first, return_inverse=True)
    columns, column = np.unique(second, return_inverse=True)
    if len(rows) == 1 or len(columns) == 1:
        best = np.zeros(len(weight), bool)
        best[np.argmax(weight)] = True
        return best
    table = np.zeros((len(rows), len(columns)))
    table[row, column] = weight
    chosen = np.zeros(table.shape, bool)
    chosen[linear_sum_assignment(table, maximize=True)] = True
    return chosen[row, column]
