"""How well hidden detections were filled, by either way to fill: which of them is to be taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.label.gaps import BINS, GROUPS

_FARTHEST = 5.0
_SPREADS = (0.25, 16.0)
"""Variances are scaled by no less and no more."""
_ENOUGH = 20
"""Of fewer stretches nothing follows."""


@dataclass(frozen=True, eq=False)
class Scores:
    """How likely detections that were hidden are by either way to fill their stretch.

    Args:
        group: Group of each detection, as an index of `GROUPS`.
        bin: Bin of its stretch, as an index of `BINS`.
        track: Its track.
        stretch: Its stretch.
        smoother: Log density of its place by the smoother [log 1/m²].
        model: The same by the scene model.
        error: Its squared distance from the model's likeliest path [m²].
        believed: What the model says of that [m²].
        noise: What the detector's noise and the track's error at both ends add to it [m²].
    """

    group: Int64[np.ndarray, " row"]
    bin: Int64[np.ndarray, " row"]
    track: Int64[np.ndarray, " row"]
    stretch: Int64[np.ndarray, " row"]
    smoother: Float64[np.ndarray, " row"]
    model: Float64[np.ndarray, " row"]
    error: Float64[np.ndarray, " row"]
    believed: Float64[np.ndarray, " row"]
    noise: Float64[np.ndarray, " row"]

    def spread(self) -> Float64[np.ndarray, "group bin"]:
        """Return how many times what the model believes of its error the true one is.

        Detections farther off than five times what is expected are of something else. Longer
        stretches are told apart, as the model may know its errors in short ones only; where there
        are few of a length, all of the group tell.
        """
        found = np.ones((len(GROUPS), len(BINS)))
        for group, each in np.ndindex(*found.shape):
            rows = self._alike(group, each)
            if rows.any():
                found[group, each] = self._spread_of(rows)
        return found

    def _spread_of(self, rows: Bool[np.ndarray, " row"]) -> float:
        believed, noise = self.believed[rows], self.noise[rows]
        expected = believed + noise
        error = np.minimum(self.error[rows], _FARTHEST**2 * expected) - noise
        # Weighed by how exactly each tells it.
        share = (error / expected**2).sum() / (believed / expected**2).sum()
        return float(np.sqrt(np.clip(share, *_SPREADS)))

    def _alike(self, group: int, each: int) -> Bool[np.ndarray, " row"]:
        """Return those of a group and bin, or of all the group where they are too few."""
        rows = (self.group == group) & (self.bin == each)
        return rows if self.stretches(rows) >= _ENOUGH else self.group == group

    def stretches(self, rows: Bool[np.ndarray, " row"]) -> int:
        """Return of how many stretches some of the detections are."""
        return len(np.unique(self.stretch[rows]))

    def choose(self) -> Bool[np.ndarray, "group bin"]:
        """Return where the model is better, by more than the standard error of the difference.

        Detections of one track are not independent, so the error is that over tracks. A bin with
        too few stretches goes by all of its group; where these are too few, the smoother stays.
        """
        chosen = np.zeros((len(GROUPS), len(BINS)), bool)
        for group, each in np.ndindex(*chosen.shape):
            rows = self._alike(group, each)
            if self.stretches(rows) >= _ENOUGH:
                chosen[group, each] = self._prefers_model(rows)
        return chosen

    def _prefers_model(self, rows: Bool[np.ndarray, " row"]) -> bool:
        gain = (self.model - self.smoother)[rows]
        _, track = np.unique(self.track[rows], return_inverse=True)
        tracks = int(track.max()) + 1
        if tracks < 2:
            return False
        apart = np.bincount(track, gain - gain.mean())
        error = np.sqrt((apart**2).sum() * tracks / (tracks - 1)) / len(gain)
        return bool(gain.mean() > error)
