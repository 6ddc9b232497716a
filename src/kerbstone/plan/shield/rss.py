"""Safe distances of responsibility-sensitive safety (RSS).

References:
    Shalev-Shwartz, Shammah and Shashua, "On a formal model of safe and scalable self-driving
    cars", arXiv:1708.06374, 2017.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

_LEAST = 1e-9
"""Least braking, so that what never brakes has a way that is very long, not undefined."""


def response_way(
    speed: Float64[np.ndarray, "*#shape"],
    *,
    response: float | Float64[np.ndarray, "*#shape"],
    acceleration: float | Float64[np.ndarray, "*#shape"],
    braking: float | Float64[np.ndarray, "*#shape"],
) -> Float64[np.ndarray, "*#shape"]:
    """Return how far one goes that accelerates for its response, then brakes to a standstill [m].

    Args:
        speed: Now; below zero is away from where the way is measured to [m/s].
        response: [s].
        acceleration: During the response [m/s²].
        braking: After it, above zero [m/s²].

    Returns:
        Below zero where it goes away all the time.
    """
    faster = speed + response * acceleration
    # What still goes away after its response is not asked to brake.
    stop = np.maximum(faster, 0.0) ** 2 / (2.0 * np.maximum(braking, _LEAST))
    return (speed + faster) / 2.0 * response + stop


def longitudinal_distance(
    rear: Float64[np.ndarray, "*#shape"],
    front: Float64[np.ndarray, "*#shape"],
    *,
    response: float | Float64[np.ndarray, "*#shape"],
    acceleration: float | Float64[np.ndarray, "*#shape"],
    mild_braking: float | Float64[np.ndarray, "*#shape"],
    braking: float | Float64[np.ndarray, "*#shape"],
) -> Float64[np.ndarray, "*#shape"]:
    """Return the gap that one behind has to keep (definition 1) [m].

    Args:
        rear: Speed of the one behind [m/s].
        front: Speed of the one in front, the same way [m/s].
        response: Of the one behind [s].
        acceleration: Of the one behind, at most, during its response [m/s²].
        mild_braking: Of the one behind, at least, after its response [m/s²].
        braking: Of the one in front, at most [m/s²].
    """
    way = response_way(rear, response=response, acceleration=acceleration, braking=mild_braking)
    return np.maximum(way - front**2 / (2.0 * np.maximum(braking, _LEAST)), 0.0)


def opposite_distance(
    first: Float64[np.ndarray, "*#shape"],
    second: Float64[np.ndarray, "*#shape"],
    *,
    response: float,
    acceleration: float,
    mild_braking: float,
    wrong_side_braking: float,
) -> Float64[np.ndarray, "*#shape"]:
    """Return the gap between two that drive towards each other (definition 2) [m].

    Args:
        first: Speed of the one that is in its own lane [m/s].
        second: Speed of the other, which is not [m/s].
        response: Of both [s].
        acceleration: Of both, at most, during their response [m/s²].
        mild_braking: Of the first, at least, after it [m/s²].
        wrong_side_braking: Of the second, at least, after it [m/s²].
    """
    one = response_way(first, response=response, acceleration=acceleration, braking=mild_braking)
    other = response_way(
        second, response=response, acceleration=acceleration, braking=wrong_side_braking
    )
    return one + other


def lateral_distance(
    left: Float64[np.ndarray, "*#shape"],
    right: Float64[np.ndarray, "*#shape"],
    *,
    response: float,
    acceleration: float,
    braking: float,
    swaying: float,
) -> Float64[np.ndarray, "*#shape"]:
    """Return the gap between two beside each other (definition 6) [m].

    Args:
        left: Lateral speed of the one to the left, to the right above zero [m/s].
        right: Lateral speed of the one to the right, to the left above zero [m/s].
        response: Of both [s].
        acceleration: Towards each other, at most, during their response [m/s²].
        braking: Of their lateral speeds, at least, after it [m/s²].
        swaying: Lateral movement that is no intent [m].
    """
    one = response_way(left, response=response, acceleration=acceleration, braking=braking)
    other = response_way(right, response=response, acceleration=acceleration, braking=braking)
    return swaying + np.maximum(one + other, 0.0)
