"""The distances of responsibility-sensitive safety (RSS).

References:
    Shalev-Shwartz, Shammah and Shashua, "On a formal model of safe and scalable self-driving
    cars", arXiv:1708.06374: definitions 1 and 2 with lemmas 2 and 3 (longitudinal), definition 6
    with lemma 4 (lateral).
    Intel, ad-rss-lib, "Parameter discussion": the values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from kerbstone.lang.signals.encounters import Numbers


@dataclass(frozen=True)
class RssParameters:
    """What road users are assumed to do at worst.

    Args:
        response_time: Of b, before it brakes [s].
        other_response_time: Of a [s].
        acceleration: At most, during the response time [m/s²].
        least_braking: That is sure to come after it [m/s²].
        least_braking_right: The same, of one that goes its lane's way and meets one that does not
            [m/s²].
        hardest_braking: Of the one ahead [m/s²].
        acceleration_aside: At most, during the response time [m/s²].
        least_braking_aside: That is sure to come after it [m/s²].
        fluctuation: Lateral distance for swaying [m].
    """

    response_time: float = 1.0
    other_response_time: float = 2.0
    acceleration: float = 3.5
    least_braking: float = 4.0
    least_braking_right: float = 3.0
    hardest_braking: float = 8.0
    acceleration_aside: float = 0.2
    least_braking_aside: float = 0.8
    fluctuation: float = 0.1


PARAMETERS = RssParameters()
"""The starting values that ad-rss proposes, with b in the place of its ego."""


def safe_distance_behind(
    speed: Numbers, other_speed: Numbers, parameters: RssParameters = PARAMETERS
) -> Numbers:
    """Return the distance to keep to one ahead that goes the same way [m].

    Args:
        speed: Of the one behind [m/s]; not negative.
        other_speed: Of the one ahead [m/s]; not negative.
        parameters: What is assumed.
    """
    way = _stopping_way(
        speed, parameters.response_time, parameters.acceleration, parameters.least_braking
    )
    return np.maximum(way - other_speed**2 / (2 * parameters.hardest_braking), 0.0)


def safe_distance_head_on(
    speed: Numbers,
    other_speed: Numbers,
    right: Bool[np.ndarray, " cell"],
    parameters: RssParameters = PARAMETERS,
) -> Numbers:
    """Return the distance to keep to one that comes the other way [m].

    Args:
        speed: Of b [m/s]; not negative.
        other_speed: Of a [m/s]; not negative.
        right: Whether b drives the way that its lane goes: then it is a that is wrong.
        parameters: What is assumed.
    """
    gentle, plain = parameters.least_braking_right, parameters.least_braking
    own = _stopping_way(
        speed,
        parameters.response_time,
        parameters.acceleration,
        np.where(right, gentle, plain),
    )
    other = _stopping_way(
        other_speed,
        parameters.other_response_time,
        parameters.acceleration,
        np.where(right, plain, gentle),
    )
    return own + other


def safe_distance_aside(
    nearing: Numbers, other_nearing: Numbers, parameters: RssParameters = PARAMETERS
) -> Numbers:
    """Return the distance to keep to one beside [m].

    Args:
        nearing: Lateral speed of b towards a [m/s]; negative away from it.
        other_nearing: That of a towards b [m/s].
        parameters: What is assumed.
    """
    ways = (
        _stopping_way(speed, time, parameters.acceleration_aside, parameters.least_braking_aside)
        for speed, time in (
            (nearing, parameters.response_time),
            (other_nearing, parameters.other_response_time),
        )
    )
    return parameters.fluctuation + np.maximum(sum(ways), 0.0)


def _stopping_way(
    speed: Numbers, time: float, acceleration: float, braking: np.ndarray | float
) -> Numbers:
    """Return the way of one that accelerates for a time and then brakes to a halt [m].

    One that moves away even after the response time, with a negative speed, does not brake: its
    way ends there. (The paper's formula would have it brake towards the other one.)
    """
    faster = speed + acceleration * time
    return (speed + faster) / 2 * time + np.maximum(faster, 0.0) ** 2 / (2 * braking)
