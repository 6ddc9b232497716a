"""Which detections of a step may be of which running tracks: those near where a track should be."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8
from scipy.spatial import KDTree

from kerbstone.label.motion import StateIndex
from kerbstone.label.profile import Profile

_FEW = 250_000
"""Tracks times detections up to which all pairs are looked at."""
_NEAREST = 32
"""In larger steps a track looks at as many of the nearest detections."""


class LookIndex(IntEnum):
    """Columns of what something looks like, apart from where it is."""

    Z = 0  # height of the centre [m]
    LOG_LENGTH = 1
    LOG_WIDTH = 2
    LOG_HEIGHT = 3
    DOUBT = 4  # minus the log of the chance that it is real


class Expected(NamedTuple):
    """The tracks that run, moved to the present step.

    Args:
        state: Their states (`StateIndex`).
        covariance: Of the states.
        kind: The `Kind` each was first seen as.
        hits: How many detections each has.
        unseen: How long ago each was last seen [s].
        look: What each looked like on average (`LookIndex`).
    """

    state: Float64[np.ndarray, "track 5"]
    covariance: Float64[np.ndarray, "track 5 5"]
    kind: UInt8[np.ndarray, " track"]
    hits: Int64[np.ndarray, " track"]
    unseen: Float64[np.ndarray, " track"]
    look: Float64[np.ndarray, "track 5"]


class Sightings(NamedTuple):
    """The detections of a step.

    Args:
        place: x, y and heading [m, rad].
        variance: Of these three.
        kind: `Kind` of each.
        look: What each looks like (`LookIndex`).
    """

    place: Float64[np.ndarray, "row 3"]
    variance: Float64[np.ndarray, "row 3"]
    kind: UInt8[np.ndarray, " row"]
    look: Float64[np.ndarray, "row 5"]


class Candidates(NamedTuple):
    """Pairs of a track and a detection that may belong together, by track.

    Args:
        track: Index of the track of each.
        row: Index of the detection.
        distance: Squared Mahalanobis distance of the detection from where the track should be.
        log_area: Log of the determinant of the covariance of their difference [log m⁴].
        strangeness: Minus the log of the chance that one thing gets both classes.
    """

    track: Int64[np.ndarray, " pair"]
    row: Int64[np.ndarray, " pair"]
    distance: Float64[np.ndarray, " pair"]
    log_area: Float64[np.ndarray, " pair"]
    strangeness: Float64[np.ndarray, " pair"]


def find_candidates(tracks: Expected, rows: Sightings, profile: Profile) -> Candidates:
    """Return the pairs within the profile's gate whose classes one thing may have.

    Where tracks and detections are very many, a track considers only the detections nearest to
    it, so that neither time nor memory grows with their product.
    """
    if len(tracks.kind) * len(rows.kind) <= _FEW:
        distance, area = _distances(tracks, rows, np.s_[:, None], np.s_[None, :])
        strange = profile.strangeness[tracks.kind[:, None], rows.kind[None]]
        track, row = np.nonzero(_fit(distance, strange, profile))
        pairs = track, row
    else:
        track, row = _near_pairs(tracks, rows, profile.gate)
        distance, area = _distances(tracks, rows, track, row)
        strange = profile.strangeness[tracks.kind[track], rows.kind[row]]
        pairs = np.flatnonzero(_fit(distance, strange, profile))
        track, row = track[pairs], row[pairs]
    return Candidates(track, row, distance[pairs], np.log(area[pairs]), strange[pairs])


def _distances(
    tracks: Expected, rows: Sightings, track: Any, row: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return squared Mahalanobis distances, and determinants, of pairs by any index."""
    place, variance = rows.place, rows.variance
    dx = place[:, 0][row] - tracks.state[:, StateIndex.X][track]
    dy = place[:, 1][row] - tracks.state[:, StateIndex.Y][track]
    xx = tracks.covariance[:, 0, 0][track] + variance[:, 0][row]
    yy = tracks.covariance[:, 1, 1][track] + variance[:, 1][row]
    xy = tracks.covariance[:, 0, 1][track]
    area = xx * yy - xy * xy
    return (yy * dx * dx - 2 * xy * dx * dy + xx * dy * dy) / area, area


def _fit(distance: np.ndarray, strange: np.ndarray, profile: Profile) -> Bool[np.ndarray, "..."]:
    return (distance < profile.gate) & np.isfinite(strange)


def _near_pairs(
    tracks: Expected, rows: Sightings, gate: float
) -> tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]:
    """Return each track's nearest detections, none beyond the farthest that any gate reaches."""
    spread = np.linalg.eigvalsh(tracks.covariance[:, :2, :2])[:, 1] + rows.variance[:, :2].max()
    count = min(_NEAREST, len(rows.kind))
    _, near = KDTree(rows.place[:, :2]).query(
        tracks.state[:, :2],
        k=count,
        distance_upper_bound=float(np.sqrt(gate * spread.max())) * (1 + 1e-9),
    )
    near = np.sort(np.asarray(near, np.int64).reshape(-1, count), axis=1)
    track, rank = np.nonzero(near < len(rows.kind))
    return track, near[track, rank]
