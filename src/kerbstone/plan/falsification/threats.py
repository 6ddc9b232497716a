"""How near the others came to a collision that ego causes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from kerbstone.plan.falsification.motion import body_centre
from kerbstone.plan.vehicle import StateIndex, Vehicle

SLOW = 2.0
"""Ego is less to blame the slower it is below this [m/s]."""
_EXCUSED = 5.0
"""Where ego stands, or the other is behind it, a gap counts as so much wider [m]."""


def measure_threats(
    ego: Float64[np.ndarray, "episode time 6"],
    place: Float64[np.ndarray, "episode agent time 2"],
    heading: Float64[np.ndarray, "episode agent time"],
    half: Float64[np.ndarray, "episode agent 2"],
    vehicle: Vehicle,
) -> tuple[Float64[np.ndarray, "episode agent time"], Float64[np.ndarray, "episode agent time 2"]]:
    """Return how near each of the others is to a collision that ego causes, and its slope.

    It is the gap between ego's box and the box around the other that is aligned with it, and wider
    where a touch would hardly be ego's: as ego stands, or is hit from behind.

    Args:
        ego: States of the car.
        place: Middles of the others' boxes [m].
        heading: Of the others [rad].
        half: Half of their length and width [m].
        vehicle: Ego's size.

    Returns:
        Threats [m], below zero where the boxes overlap, and their derivatives by the places, the
        headings held.
    """
    course = ego[:, None, :, StateIndex.HEADING]
    ahead = np.stack([np.cos(course), np.sin(course)], axis=-1)
    aside = np.stack([-ahead[..., 1], ahead[..., 0]], axis=-1)
    away = place - body_centre(ego, vehicle)[:, None]
    turn = heading - course
    c, s = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    long, wide = half[..., None, 0], half[..., None, 1]
    way, side = (away * ahead).sum(axis=-1), (away * aside).sum(axis=-1)
    along = np.abs(way) - vehicle.length / 2.0 - c * long - s * wide
    across = np.abs(side) - vehicle.width / 2.0 - s * long - c * wide
    apart = (along > 0.0) | (across > 0.0)
    gap = np.hypot(np.maximum(along, 0.0), np.maximum(across, 0.0))
    gap = np.where(apart, gap, np.maximum(along, across))
    inside = np.stack([along >= across, along < across], axis=-1)
    outside = np.maximum(np.stack([along, across], axis=-1), 0.0)
    share = np.where(apart[..., None], outside / np.maximum(gap, 1e-9)[..., None], inside)
    share = share * np.sign(np.stack([way, side], axis=-1))
    slope = share[..., :1] * ahead + share[..., 1:] * aside
    still = 1.0 - np.clip(ego[:, None, :, StateIndex.SPEED] / SLOW, 0.0, 1.0)
    behind = (along > 0.0) & (way < 0.0) & (np.cos(turn) > np.sqrt(0.5))
    return gap + _EXCUSED * np.maximum(still, behind), slope
