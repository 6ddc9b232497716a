"""Mixtures over trajectories: what a model, or a baseline, says road users may have done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64


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
