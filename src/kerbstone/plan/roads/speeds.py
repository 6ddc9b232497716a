"""The speed wanted along a line: the limit, less in curves, reached without a jump."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from kerbstone.plan.roads.rooms import settle

_SLOWEST = 1.5
"""However sharp a curve, one drives through it at this speed [m/s]."""


def wish_speed(
    limit: Float64[np.ndarray, " sample"],
    curvature: Float64[np.ndarray, " sample"],
    *,
    spacing: float,
    lateral: float,
    acceleration: float,
    braking: float,
) -> Float64[np.ndarray, " sample"]:
    """Return the speed wanted at samples of a line [m/s].

    The least over all samples of what a limit there allows here, when one brakes and accelerates
    comfortably: `v² <= limit² + 2 a distance`.

    Args:
        limit: The highest speed allowed at each sample, above 0 [m/s].
        curvature: Of the line there [1/m].
        spacing: Distance of the samples [m].
        lateral: Greatest comfortable lateral acceleration [m/s²].
        acceleration: Greatest comfortable acceleration [m/s²].
        braking: Hardest comfortable braking, a positive number [m/s²].
    """
    in_curve = np.sqrt(lateral / np.maximum(np.abs(curvature), 1e-6))
    square = np.minimum(limit, np.maximum(in_curve, _SLOWEST)) ** 2
    way = spacing * np.arange(len(square))
    gain, loss = 2.0 * acceleration * way, 2.0 * braking * way
    square = gain + np.minimum.accumulate(square - gain)
    square = np.minimum.accumulate((square + loss)[::-1])[::-1] - loss
    return settle(np.sqrt(square))
