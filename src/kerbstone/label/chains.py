"""Chains of cells: tracks laid one after the other along one axis, and linear systems on them.

A system of a chain couples each cell with the next one of its track only, so all tracks together
are one banded matrix, which LAPACK solves in time that grows with the number of cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.linalg import solve, solveh_banded

_LEAST = 1e-8
"""Least variance of a step, so that a value that does not change leaves the system regular."""


@dataclass(frozen=True, eq=False)
class Chains:
    """Tracks as stretches of one axis of cells; a cell is one step of one track.

    Args:
        first: First time step of each track.
        length: Number of steps of each track, at least one.
    """

    first: Int64[np.ndarray, " track"]
    length: Int64[np.ndarray, " track"]

    @property
    def cells(self) -> int:
        """Number of cells."""
        return int(self.length.sum())

    @property
    def start(self) -> Int64[np.ndarray, " track"]:
        """First cell of each track."""
        return np.cumsum(self.length) - self.length

    @property
    def track(self) -> Int64[np.ndarray, " cell"]:
        """Track of each cell."""
        return np.repeat(np.arange(len(self.length)), self.length)

    @property
    def step(self) -> Int64[np.ndarray, " cell"]:
        """Time step of each cell."""
        track = self.track
        return self.first[track] + np.arange(self.cells) - self.start[track]

    @property
    def follows(self) -> Bool[np.ndarray, " link"]:
        """For each cell but the last of all, whether the next one is of the same track."""
        track = self.track
        return track[1:] == track[:-1]

    def cell(
        self, track: Int64[np.ndarray, " row"], step: Int64[np.ndarray, " row"]
    ) -> Int64[np.ndarray, " row"]:
        """Return the cell of a track's step."""
        return self.start[track] + step - self.first[track]


def solve_chain(
    diagonal: Float64[np.ndarray, "cell d d"],
    coupling: Float64[np.ndarray, "link d d"],
    right: Float64[np.ndarray, "cell d"],
) -> Float64[np.ndarray, "cell d"]:
    """Solve a positive definite block-tridiagonal system.

    Args:
        diagonal: Diagonal blocks.
        coupling: Blocks of each cell's row in the next cell's column; zeros where a track ends.
        right: Right-hand side.

    Raises:
        numpy.linalg.LinAlgError: The system is not positive definite.
    """
    cells, size = right.shape
    if not cells:
        return right.copy()
    if cells == 1:
        # LAPACK's wrapper of banded systems fails on a single number.
        return np.asarray(solve(diagonal[0], right[0], assume_a="pos"))[None]
    width = 2 * size - 1
    band = np.zeros((width + 1, cells, size))
    for row in range(size):
        for column in range(size):
            if row <= column:
                band[width + row - column, :, column] = diagonal[:, row, column]
            band[width + row - column - size, 1:, column] = coupling[:, row, column]
    flat = band.reshape(width + 1, cells * size)
    solved = solveh_banded(
        flat, right.ravel(), overwrite_ab=True, overwrite_b=False, check_finite=False
    )
    return np.asarray(solved).reshape(cells, size)


def invert_diagonal(
    diagonal: Float64[np.ndarray, "cell d d"],
    coupling: Float64[np.ndarray, "link d d"],
    chains: Chains,
) -> Float64[np.ndarray, "cell d d"]:
    """Return the diagonal blocks of the inverse of a system: the cells' covariances.

    All tracks take a step at a time, forwards and back, so it takes as many steps as the longest
    has.

    References:
        Meurant, "A review on the inverse of symmetric tridiagonal and block tridiagonal
        matrices", SIAM J. Matrix Anal. Appl. 13(3), 1992.
    """
    start, running = _in_step(chains)
    longest = len(running)
    inverse = np.empty_like(diagonal)
    gains = np.zeros_like(diagonal)
    left = diagonal[start]
    for k in range(longest):
        here = start[: running[k]] + k
        inverse[here] = np.linalg.inv(left[: running[k]])
        if k + 1 < longest:
            here = start[: running[k + 1]] + k
            gains[here] = inverse[here] @ coupling[here]
            left = diagonal[here + 1] - coupling[here].transpose(0, 2, 1) @ gains[here]
    for k in range(longest - 2, -1, -1):
        here = start[: running[k + 1]] + k
        inverse[here] += gains[here] @ inverse[here + 1] @ gains[here].transpose(0, 2, 1)
    return inverse


def smooth_values(
    chains: Chains,
    cell: Int64[np.ndarray, " row"],
    value: Float64[np.ndarray, "row value"],
    variance: Float64[np.ndarray, "row value"],
    *,
    wander: Float64[np.ndarray, "cell value"],
) -> tuple[Float64[np.ndarray, "cell value"], Float64[np.ndarray, "cell value"]]:
    """Return the likeliest course of values that wander, each for itself, and their variances.

    Args:
        chains: The tracks; each has a row at least.
        cell: Cell of each row.
        value: What was measured.
        variance: Its variance.
        wander: Variance of the change from each cell to the next; the last one's is not used.
    """
    shape = (chains.cells, value.shape[1])
    certainty, right = np.zeros(shape), np.zeros(shape)
    for column in range(shape[1]):
        share = 1 / variance[:, column]
        certainty[:, column] = np.bincount(cell, share, minlength=chains.cells)
        right[:, column] = np.bincount(cell, share * value[:, column], minlength=chains.cells)
    link = np.where(chains.follows[:, None], 1 / np.maximum(wander[:-1], _LEAST), 0.0)
    certainty[:-1] += link
    certainty[1:] += link
    smoothed = np.empty(shape)
    for column in range(shape[1]):
        smoothed[:, column] = solve_chain(
            certainty[:, column, None, None],
            -link[:, column, None, None],
            right[:, column, None],
        )[:, 0]
    return smoothed, _invert_scalars(certainty, -link, chains)


def _invert_scalars(
    diagonal: Float64[np.ndarray, "cell value"],
    coupling: Float64[np.ndarray, "link value"],
    chains: Chains,
) -> Float64[np.ndarray, "cell value"]:
    """Return the diagonals of the inverses of systems of single values, as `invert_diagonal`."""
    start, running = _in_step(chains)
    inverse, gains = np.empty_like(diagonal), np.zeros_like(diagonal)
    left = diagonal[start]
    for k in range(len(running)):
        here = start[: running[k]] + k
        inverse[here] = 1 / left[: running[k]]
        if k + 1 < len(running):
            here = start[: running[k + 1]] + k
            gains[here] = inverse[here] * coupling[here]
            left = diagonal[here + 1] - coupling[here] * gains[here]
    for k in range(len(running) - 2, -1, -1):
        here = start[: running[k + 1]] + k
        inverse[here] += gains[here] ** 2 * inverse[here + 1]
    return inverse


def _in_step(
    chains: Chains,
) -> tuple[Int64[np.ndarray, " track"], Int64[np.ndarray, " step"]]:
    """Return the first cells of the tracks, the longest first, and how many go on at each step."""
    order = np.argsort(-chains.length, kind="stable")
    length = chains.length[order]
    longest = int(length[0]) if len(length) else 0
    running = np.searchsorted(-length, -np.arange(1, longest + 1), side="right")
    return chains.start[order], running.astype(np.int64)
