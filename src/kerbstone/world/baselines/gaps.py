"""Infilling between what is visible before and after: straight lines, and cubic curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex128, Int64

from kerbstone.world.baselines.motion import choose_axis
from kerbstone.world.baselines.tracks import Paths, Tracks, make_paths
from kerbstone.world.windows import STEP

_REACH = 10
"""Steps beside a gap that its velocity there is estimated from."""


@dataclass(frozen=True, eq=False)
class Ends:
    """The visible cells before and after each cell.

    Args:
        before: The last visible step up to it, or the next one where there is none (0 without
            any).
        after: The next visible step from it on, or the last one where there is none.
        share: How far it is on the way from one to the other, from 0 to 1.
        is_between: Whether something is visible on both sides.
        lag: Steps to the nearer one; 0 where nothing is visible.
    """

    before: Int64[np.ndarray, "agent step"]
    after: Int64[np.ndarray, "agent step"]
    share: np.ndarray
    is_between: Bool[np.ndarray, "agent step"]
    lag: Int64[np.ndarray, "agent step"]


def find_ends(valid: Bool[np.ndarray, "agent step"]) -> Ends:
    """Return the visible cells before and after each cell."""
    steps = valid.shape[1]
    step = np.arange(steps)
    before = np.maximum.accumulate(np.where(valid, step, -1), axis=1)
    after = np.minimum.accumulate(np.where(valid, step, steps)[:, ::-1], axis=1)[:, ::-1]
    is_between = (before >= 0) & (after < steps)
    near = np.minimum(
        np.where(before >= 0, step - before, steps), np.where(after < steps, after - step, steps)
    )
    some = valid.any(axis=1, keepdims=True)
    first = np.where(some, np.where(before >= 0, before, after), 0)
    second = np.where(some, np.where(after < steps, after, before), 0)
    width = np.maximum(second - first, 1)
    return Ends(
        before=first,
        after=second,
        share=np.clip((step - first) / width, 0, 1),
        is_between=is_between,
        lag=np.where(some, near, 0),
    )


def linear(tracks: Tracks) -> Paths:
    """Say that everybody goes straight and evenly from where it was seen to where it is next.

    Where only one side is visible, it goes on with the velocity that it had there.
    """
    ends = find_ends(tracks.valid)
    before, after, even = span_gaps(tracks, ends)
    return fill_gaps(tracks, ends, before + (after - before) * ends.share, even)


def cubic(tracks: Tracks) -> Paths:
    """Say that everybody follows the cubic curve that fits places and velocities on both sides.

    The velocities are those of `slope_beside`; where one is not known, it is that of `linear`.
    Where only one side is visible, the road user goes on with its velocity there.
    """
    ends = find_ends(tracks.valid)
    before, after, even = span_gaps(tracks, ends)
    row = np.arange(len(tracks))[:, None]
    start = slope_beside(tracks, -1)[row, ends.before]
    end = slope_beside(tracks, 1)[row, ends.after]
    start, end = np.where(np.isnan(start), even, start), np.where(np.isnan(end), even, end)
    share, left = ends.share, 1 - ends.share
    width = STEP * (ends.after - ends.before)
    place = (
        before * (1 + 2 * share) * left**2
        + after * (1 + 2 * left) * share**2
        + width * share * left * (start * left - end * share)
    )
    velocity = (
        6 * share * left * even + start * left * (1 - 3 * share) + end * share * (3 * share - 2)
    )
    return fill_gaps(tracks, ends, place, velocity)


def span_gaps(tracks: Tracks, ends: Ends) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the places before and after each cell, and the even velocity between them."""
    row = np.arange(len(tracks))[:, None]
    before, after = tracks.place[row, ends.before], tracks.place[row, ends.after]
    return before, after, (after - before) / (STEP * np.maximum(ends.after - ends.before, 1))


def fill_gaps(tracks: Tracks, ends: Ends, place: np.ndarray, velocity: np.ndarray) -> Paths:
    """Return the paths of an infill; beyond what is visible, they go straight on.

    Args:
        tracks: What was asked.
        ends: What is visible around.
        place: Where they are between what is visible, x + iy [m], [agent, step].
        velocity: Their velocity then [m/s].
    """
    row = np.arange(len(tracks))[:, None]
    step = np.arange(tracks.valid.shape[1])
    nearer = np.where(step - ends.before <= ends.after - step, ends.before, ends.after)
    nearer = np.where(ends.is_between, nearer, ends.before)
    # Outside, both ends are the one cell that is next.
    onward = np.where(
        step < ends.before,
        slope_beside(tracks, 1, is_straight=True)[row, nearer],
        slope_beside(tracks, -1, is_straight=True)[row, nearer],
    )
    onward = np.nan_to_num(onward)
    edge = tracks.place[row, nearer]
    place = np.where(ends.is_between, place, edge + onward * STEP * (step - nearer))
    velocity = np.where(ends.is_between, velocity, onward)
    even = np.where(ends.is_between, span_gaps(tracks, ends)[2], onward)
    heading = tracks.heading[row, nearer]
    return make_paths(
        tracks,
        [place],
        axis=choose_axis(velocity, np.where(np.isfinite(heading), heading, np.angle(even))),
        speed=np.abs(even),
        lag=ends.lag,
    )


def slope_beside(
    tracks: Tracks, side: int, *, is_straight: bool = False
) -> Complex128[np.ndarray, "agent step"]:
    """Return the velocity at each visible cell, from what is visible on one side of it [m/s].

    It is the slope of the least-squares curve that goes through the cell itself: a parabola, or a
    line where only one other cell is visible. NaN where none is.

    Args:
        tracks: The tracks.
        side: -1 for the second before the cell, 1 for the one after.
        is_straight: Whether to fit a line through 0.5 s, not a parabola through 1 s.
    """
    steps = tracks.valid.shape[1]
    square, cube, fourth = (np.zeros(tracks.valid.shape) for _ in range(3))
    first, second = (np.zeros(tracks.valid.shape, complex) for _ in range(2))
    for far in range(1, (_REACH // 2 if is_straight else _REACH) + 1):
        there = np.arange(steps) + side * far
        inside = (there >= 0) & (there < steps)
        there = np.clip(there, 0, steps - 1)
        both = tracks.valid & tracks.valid[:, there] & inside
        moved = np.where(both, tracks.place[:, there] - tracks.place, 0)
        time = side * far * STEP
        square += both * time**2
        cube += both * time**3
        fourth += both * time**4
        first += moved * time
        second += moved * time**2
    unknown = np.full(square.shape, complex(np.nan, np.nan))
    line = np.divide(first, square, out=unknown, where=square > 0)
    if is_straight:
        return line
    # With one other cell it is 0, but for rounding.
    below = square * fourth - cube**2
    is_bent = below > 1e-9 * square * fourth
    return np.divide(first * fourth - second * cube, below, out=line, where=is_bent)
