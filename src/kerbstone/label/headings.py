"""Which end of a road user is the front: told over its whole track."""

from __future__ import annotations

import numpy as np
from jaxtyping import Complex128, Float64, Int64
from scipy.ndimage import maximum_filter1d

from kerbstone.label.rows import sum_by

_AROUND = 2
"""So many rows on either side say with a row how the road user stood."""
_JUMP = np.pi / 4
"""Of an axis that turns by more than this between rows [rad], as one may over a gap, which end went
where is anyone's guess."""


def tell_front(
    track: Int64[np.ndarray, " row"],
    heading: Float64[np.ndarray, " row"],
    position: Float64[np.ndarray, "row 2"],
    weight: Float64[np.ndarray, " row"],
    *,
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
        trust: For each track, how many detections' votes a metre of travel is worth; 0 where
            things move sideways as well as ahead.
        min_travel: Chords shorter than this say nothing of a direction [m].

    Returns:
        Headings that change by less than a quarter turn from row to row of a track; they are not
        wrapped [rad].
    """
    joined, part = _join(track, heading, weight + 1e-9)
    parts = int(part.max(initial=-1)) + 1
    # +1 where the detection itself says so, -1 where it looks the other way.
    votes = sum_by(part, weight * np.cos(heading - joined), parts)
    moved = _travel(part, joined, position, min_travel)
    votes += sum_by(part, trust[track] * moved, parts)
    fronts = joined + np.where(votes < 0, np.pi, 0.0)[part]
    # From part to part, and past a heading across the road, at most half a turn.
    turn = np.diff(fronts, prepend=fronts[:1])
    lap = np.cumsum(2 * np.pi * np.round(turn / (2 * np.pi)))
    return fronts - lap


def _join(
    track: Int64[np.ndarray, " row"],
    heading: Float64[np.ndarray, " row"],
    weight: Float64[np.ndarray, " row"],
) -> tuple[Float64[np.ndarray, " row"], Int64[np.ndarray, " row"]]:
    """Return headings up to half a turn that follow their neighbours, and the part of each row.

    A row is compared with the axis of those around it, not with the one before it: a single
    heading across the road must not turn round all that follow it. Where the axis itself jumps a
    new part begins.
    """
    part = _split(track, weight * np.exp(2j * heading))
    axis = np.angle(_sum_around(part, weight * np.exp(2j * heading), _AROUND, _AROUND)) / 2
    turn = np.diff(axis, prepend=axis[:1])
    turn -= np.pi * np.round(turn / np.pi)
    first = np.flatnonzero(np.diff(part, prepend=-1))
    total = np.cumsum(turn)
    joined = total - total[first][part] + axis[first][part]
    return heading - np.pi * np.round((heading - joined) / np.pi), part


def _split(
    track: Int64[np.ndarray, " row"], axis: Complex128[np.ndarray, " row"]
) -> Int64[np.ndarray, " row"]:
    """Return the part of each row: tracks, cut where their doubled headings jump."""
    behind = _sum_around(track, axis, _AROUND, 0)
    ahead = _sum_around(track, axis, 0, _AROUND)
    jump = np.zeros(len(track))
    jump[1:] = np.abs(np.angle(ahead[1:] * behind[:-1].conj())) / 2
    starts = np.diff(track, prepend=-1) != 0
    jump[starts] = 0.0
    # Rows next to a jump see some of it.
    most = maximum_filter1d(jump, 2 * _AROUND + 1) if len(jump) else jump
    starts |= (jump > _JUMP) & (jump == most)
    return (np.cumsum(starts) - 1).astype(np.int64)


def _sum_around(
    group: Int64[np.ndarray, " row"],
    value: Complex128[np.ndarray, " row"],
    behind: int,
    ahead: int,
) -> Complex128[np.ndarray, " row"]:
    """Return the sum of each row and of so many rows before and after it, of its own group."""
    total = value.copy()
    for reach in range(1, behind + 1):
        total[reach:] += (group[reach:] == group[:-reach]) * value[:-reach]
    for reach in range(1, ahead + 1):
        total[:-reach] += (group[reach:] == group[:-reach]) * value[reach:]
    return total


def _travel(
    part: Int64[np.ndarray, " row"],
    heading: Float64[np.ndarray, " row"],
    position: Float64[np.ndarray, "row 2"],
    min_travel: float,
) -> Float64[np.ndarray, " row"]:
    """Return how far each row's part moves ahead around it, less how far it moves back [m]."""
    ahead = np.zeros(len(part))
    # Chords over a few rows: what is measured twice in a row moves by noise alone.
    for reach in (4, 16):
        if len(part) <= reach:
            continue
        chord = position[reach:] - position[:-reach]
        same = part[reach:] == part[:-reach]
        far = same & (np.hypot(chord[:, 0], chord[:, 1]) > min_travel)
        middle = heading[reach // 2 : len(part) - (reach - reach // 2)]
        along = chord[:, 0] * np.cos(middle) + chord[:, 1] * np.sin(middle)
        ahead[:-reach] += np.where(far, along, 0.0) / reach
    return ahead
