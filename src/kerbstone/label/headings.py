"""Which end of a road user is the front: told over its whole track."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.label.rows import sum_by


def tell_front(
    track: Int64[np.ndarray, " row"],
    heading: Float64[np.ndarray, " row"],
    position: Float64[np.ndarray, "row 2"],
    weight: Float64[np.ndarray, " row"],
    *,
    count: int,
    trust: Float64[np.ndarray, " track"],
    min_travel: float = 1.0,
) -> Float64[np.ndarray, " row"]:
    """Return headings that follow one another, front and rear told apart.

    Detectors take the front for the rear now and then, and more so far away. Along a track the
    headings are first joined regardless of front and rear; then one vote of the whole track says
    which end is in front: each detection's, and the way that it moved.

    Args:
        track: Track of each row; rows of a track stand together, by time.
        heading: Measured heading [rad].
        position: Measured place [m].
        weight: How much a row counts.
        count: Number of tracks.
        trust: For each track, how many detections' votes a metre of travel is worth; 0 where
            things move sideways as well as ahead.
        min_travel: Chords shorter than this say nothing of a direction [m].

    Returns:
        Headings that change by less than a quarter turn from row to row of a track; they are not
        wrapped [rad].
    """
    joined = _join(track, heading)
    # +1 where the detection itself says so, -1 where it looks the other way.
    votes = sum_by(track, weight * np.cos(heading - joined), count)
    votes += trust * _travel(track, joined, position, count, min_travel)
    return joined + np.where(votes < 0, np.pi, 0.0)[track]


def _join(
    track: Int64[np.ndarray, " row"], heading: Float64[np.ndarray, " row"]
) -> Float64[np.ndarray, " row"]:
    """Return headings up to half a turn, each the nearest to the one before it."""
    turn = np.diff(heading, prepend=heading[:1])
    turn -= np.pi * np.round(turn / np.pi)
    starts = np.diff(track, prepend=-1) != 0
    turn[starts] = 0.0
    total = np.cumsum(turn)
    first = np.flatnonzero(starts)
    group = np.cumsum(starts) - 1
    return total - total[first][group] + heading[first][group]


def _travel(
    track: Int64[np.ndarray, " row"],
    heading: Float64[np.ndarray, " row"],
    position: Float64[np.ndarray, "row 2"],
    count: int,
    min_travel: float,
) -> Float64[np.ndarray, " track"]:
    """Return how far each track moved ahead, less how far it moved back [m]."""
    ahead = np.zeros(len(track))
    # Chords over a few rows: what is measured twice in a row moves by noise alone.
    for reach in (4, 16):
        if len(track) <= reach:
            continue
        chord = position[reach:] - position[:-reach]
        same = track[reach:] == track[:-reach]
        far = same & (np.hypot(chord[:, 0], chord[:, 1]) > min_travel)
        middle = heading[reach // 2 : len(track) - (reach - reach // 2)]
        along = chord[:, 0] * np.cos(middle) + chord[:, 1] * np.sin(middle)
        ahead[:-reach] += np.where(far, along, 0.0) / reach
    return sum_by(track, ahead, count)
