"""Errors of mixtures, turned into the direction of motion."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.errors import InputError
from kerbstone.world.mixture import Mixture


def turn_errors(
    median: Float64[np.ndarray, "agent mode step 2"],
    axis: Float64[np.ndarray, "agent step"],
    position: Float64[np.ndarray, "agent step 2"],
) -> Float64[np.ndarray, "agent mode step 2"]:
    """Return how far places are from medians, along and across an axis [m].

    Args:
        median: Median of each mode, world frame [m].
        axis: Direction of the first of the two errors [rad].
        position: The places, world frame [m].
    """
    error = position[:, None] - median
    cos, sin = np.cos(axis)[:, None], np.sin(axis)[:, None]
    return np.stack(
        [
            error[..., 0] * cos + error[..., 1] * sin,
            error[..., 1] * cos - error[..., 0] * sin,
        ],
        axis=-1,
    )


def find_counted(
    mixture: Mixture,
    position: Float64[np.ndarray, "agent step 2"],
    valid: Bool[np.ndarray, "agent step"],
) -> Bool[np.ndarray, "agent step"]:
    """Return which cells count, and no cell of a road user that is not told in full.

    A mixture that leaves out a cell that counts would otherwise be judged by the cells it chose.

    Raises:
        InputError: A cell that should count has no true position.
    """
    if not np.isfinite(position[valid]).all():
        raise InputError("value", "a cell that counts has no true position")
    told = np.isfinite(mixture.position).all(axis=(1, 3))
    return valid & (told | ~valid).all(axis=1, keepdims=True)
