"""Lines of constant curvature that batches of road users are led along.

A rail starts at a pose and bends evenly, so that a place beside it has a closed form in both
directions, for any number of episodes at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

_STRAIGHT = 1e-7
"""A rail that bends less is straight [1/m]."""


@dataclass(frozen=True)
class Rails:
    """Where each rail starts, world frame, and how it bends to the left.

    Args:
        pose: x, y [m] and heading [rad] of its start.
        curvature: To the left [1/m].
    """

    pose: Float64[np.ndarray, "*batch 3"]
    curvature: Float64[np.ndarray, "*batch"]

    def place(
        self, along: Float64[np.ndarray, "*batch"], left: Float64[np.ndarray, "*batch"]
    ) -> tuple[Float64[np.ndarray, "*batch 2"], Float64[np.ndarray, "*batch"]]:
        """Return the place at a way along the rail and left of it, and the rail's heading there."""
        turn = self.curvature * along
        half = 0.5 * turn
        chord = along * np.sinc(half / np.pi)
        x = chord * np.cos(half) - left * np.sin(turn)
        y = chord * np.sin(half) + left * np.cos(turn)
        c, s = np.cos(self.pose[..., 2]), np.sin(self.pose[..., 2])
        place = np.stack(
            [self.pose[..., 0] + c * x - s * y, self.pose[..., 1] + s * x + c * y], axis=-1
        )
        return place, self.pose[..., 2] + turn

    def project(
        self, place: Float64[np.ndarray, "*batch 2"]
    ) -> tuple[
        Float64[np.ndarray, "*batch"], Float64[np.ndarray, "*batch"], Float64[np.ndarray, "*batch"]
    ]:
        """Return the way along, the distance to the left, and the rail's heading there."""
        away = place - self.pose[..., :2]
        c, s = np.cos(self.pose[..., 2]), np.sin(self.pose[..., 2])
        x, y = c * away[..., 0] + s * away[..., 1], c * away[..., 1] - s * away[..., 0]
        bend = np.where(np.abs(self.curvature) < _STRAIGHT, np.nan, self.curvature)
        # From the centre of the circle, towards the start of the rail.
        turn = np.arctan2(x, (1.0 / bend - y) * np.sign(bend)) * np.sign(bend)
        radius = np.sqrt(x**2 + (1.0 / bend - y) ** 2)
        along = np.where(np.isnan(bend), x, turn / bend)
        left = np.where(np.isnan(bend), y, (1.0 / np.abs(bend) - radius) * np.sign(bend))
        return along, left, self.pose[..., 2] + self.curvature * along

    def part(self, rows: np.ndarray) -> Rails:
        """Return the rails of indices, or where a mask holds."""
        return Rails(self.pose[rows], self.curvature[rows])
