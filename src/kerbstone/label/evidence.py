"""What speaks for a cell of a track: its detections, those around it, and how surely it is placed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64
from scipy.signal import lfilter

from kerbstone.label.chains import Chains
from kerbstone.label.profile import Profile
from kerbstone.label.refinement import Tracks
from kerbstone.scene import Detections

_ODDS = 6.0
"""Log odds beyond this say no more."""
_REACHES = (0.3, 1.5)
_FARTHEST = 3.0


def gather_evidence(
    tracks: Tracks,
    detections: Detections,
    profile: Profile,
    *,
    sensor: Float64[np.ndarray, "time 2"] | None = None,
) -> Float64[np.ndarray, "cell feature"]:
    """Return what is known of each cell, in the order of `label.confidence.FEATURES`.

    Args:
        tracks: Finished tracks.
        detections: What they were made of.
        profile: What is known of the detector.
        sensor: Where the recording car was at each step [m]; without it no distance counts.
    """
    chains, dt = tracks.chains, detections.clock.dt
    track, cells = chains.track, chains.cells
    count = len(tracks.kind)
    real = profile.reality(detections.kind, detections.score)[tracks.row]
    odds = np.clip(np.log(np.maximum(real, 1e-9) / np.maximum(1 - real, 1e-9)), -_ODDS, _ODDS)
    own = track[tracks.cell]
    hits = np.bincount(own, minlength=count)
    reality, detected = np.zeros(cells), np.zeros(cells)
    reality[tracks.cell], detected[tracks.cell] = real, odds
    seen = np.zeros(cells)
    seen[tracks.cell] = 1.0
    order = np.lexsort((odds, own))
    surest = np.cumsum(hits) - 1 - hits // 10
    gap, beyond = _time_from_detections(chains, tracks.cell, dt)
    away = np.zeros(cells)
    if sensor is not None:
        off = tracks.place[:, :2] - sensor[chains.step]
        away = np.nan_to_num(np.hypot(off[:, 0], off[:, 1]))
    columns = (
        detected,
        seen,
        _spread_evidence(chains, reality, _REACHES[0] / dt),
        _spread_evidence(chains, reality, _REACHES[1] / dt),
        (np.bincount(own, odds, minlength=count) / hits)[track],
        odds[order][surest][track],
        np.log(hits)[track],
        np.minimum(gap, _FARTHEST),
        np.minimum(beyond, _FARTHEST),
        np.log(np.hypot(tracks.std[:, 0], tracks.std[:, 1]) + 0.02),
        away / 50.0,
        tracks.stands[track].astype(np.float64),
    )
    return np.column_stack(columns)


def _spread_evidence(
    chains: Chains, value: Float64[np.ndarray, " cell"], reach: float
) -> Float64[np.ndarray, " cell"]:
    """Return the mean of a value over the cells around, those that are missing counting as 0."""
    keep = np.exp(-1.0 / max(reach, 1e-6))
    # Zeros between the tracks let what one left die away before the next one starts.
    pad = int(np.ceil(8 * max(reach, 1.0)))
    place = np.arange(chains.cells) + pad * chains.track
    spaced = np.zeros(int(place[-1]) + 1 + pad if len(place) else 0)
    spaced[place] = value
    after = lfilter([1.0], [1.0, -keep], spaced)
    before = lfilter([1.0], [1.0, -keep], spaced[::-1])[::-1]
    total = np.asarray(after) + np.asarray(before) - spaced
    return total[place] * (1 - keep) / (1 + keep)


def _time_from_detections(
    chains: Chains, cell: Int64[np.ndarray, " row"], dt: float
) -> tuple[Float64[np.ndarray, " cell"], Float64[np.ndarray, " cell"]]:
    """Return the time to the nearest detection [s]: between detections, and beyond them."""
    cells = np.arange(chains.cells)
    seen = np.zeros(chains.cells, bool)
    seen[cell] = True
    start = chains.start[chains.track]
    last = np.maximum.accumulate(np.where(seen, cells, -1))
    since = np.where(last >= start, cells - last, chains.cells)
    backwards = np.minimum.accumulate(np.where(seen, cells, 2 * chains.cells)[::-1])[::-1]
    end = start + chains.length[chains.track]
    until = np.where(backwards < end, backwards - cells, chains.cells)
    inside = (since < chains.cells) & (until < chains.cells)
    nearest = np.minimum(since, until) * dt
    return np.where(inside, nearest, 0.0), np.where(inside, 0.0, nearest)
