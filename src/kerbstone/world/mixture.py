"""Mixtures over trajectories: what a model, or a baseline, says road users may have done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

_ROUNDS = 50
"""Of the search for the point with the least mean distance."""
_NEAR = 1e-3
"""What is nearer to a mode is at it [m]."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """For each of some road users, modes of its trajectory with Laplace errors at every step.

    Given the mode, the errors along and across `axis` are independent Laplace variables.

    Args:
        weight: Probability of each mode; they sum to 1 over the modes.
        position: Median of each mode, world frame [m].
        scale: Laplace scale along and across `axis` [m]: half of all errors are below
            0.69 of it.
        axis: Direction of the first of the two errors [rad].
    """

    weight: Float64[np.ndarray, "agent mode"]
    position: Float64[np.ndarray, "agent mode step 2"]
    scale: Float64[np.ndarray, "agent mode step 2"]
    axis: Float64[np.ndarray, "agent step"]


def condense(mixture: Mixture) -> Mixture:
    """Return one trajectory for each road user: the one whose distance is least on average.

    It is the geometric median of the modes, by their weights, at each step. The most probable of
    several modes is likely to be right, but may be far off where it is not; this one is between.

    Args:
        mixture: The modes.

    Returns:
        A mixture of one mode; its scale is the mean error of all modes around it, at most.

    References:
        Weiszfeld, "Sur le point pour lequel la somme des distances de n points donnés est minimum",
        Tohoku Mathematical Journal 43, 1937.
    """
    weight = mixture.weight[:, :, None]
    place = (weight[..., None] * mixture.position).sum(axis=1)
    for _ in range(_ROUNDS):
        apart = np.linalg.norm(mixture.position - place[:, None], axis=-1)
        pull = weight / np.maximum(apart, _NEAR)
        total = pull.sum(axis=1)[..., None]
        place = (pull[..., None] * mixture.position).sum(axis=1) / total
    apart = mixture.position - place[:, None]
    cosine, sine = np.cos(mixture.axis)[:, None], np.sin(mixture.axis)[:, None]
    along = np.abs(apart[..., 0] * cosine + apart[..., 1] * sine)
    across = np.abs(apart[..., 1] * cosine - apart[..., 0] * sine)
    scale = (weight[..., None] * (mixture.scale + np.stack([along, across], axis=-1))).sum(axis=1)
    return Mixture(
        np.where(np.isfinite(mixture.weight[:, :1]), 1.0, np.nan),
        place[:, None],
        scale[:, None],
        mixture.axis,
    )
