"""Anchors: where a road user would be by itself, from what is seen of its track alone.

Each hidden patch is asked for at its anchor, and answered relative to it: constant velocity beyond
the ends of what is seen, a bridge within gaps.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float64
from numpy.lib.stride_tricks import sliding_window_view

from kerbstone.scene import angle_difference, wrap_angle
from kerbstone.world.gaps import fill
from kerbstone.world.observed import Observed
from kerbstone.world.windows import STEP

_STRETCH = 3
"""Steps over which the velocity at an end is taken."""
_CURVES = (3, 6, 10)
"""Steps over which the acceleration at an end is taken: as many of these as are seen."""
_MOVED = 0.5
"""Shorter displacements show no direction [m]."""
_BEYOND = (0.1, 0.5, 1.5)
_WITHIN = (0.01, 0.04, 1.7)
_PLACED = (0.5, 2.0, 1.0)
"""How far from its anchor a road user may be after some time, about: at once [m], then so much
after a second, and how that grows. Beyond the ends of what is seen, within a gap, and around a
place of which no velocity is known."""
_SPREAD = 1.5
"""Within a gap, so many standard deviations of the bridge more."""

_BEND = np.sqrt(6.0 * 2.0 * np.log(2.0))
"""Median of a second difference of independent noise, in standard deviations along an axis."""


@dataclass(frozen=True, eq=False)
class Anchors:
    """The path that each road user would have by itself, through all that is seen of it.

    Args:
        position: World frame [m]; NaN for a road user of whom nothing is seen.
        heading: Direction [rad], finite wherever the position is.
        velocity: World frame [m/s].
        acceleration: World frame [m/s²]: that at the end of what is seen, and within a gap between
            those at its ends. The path does not bend by it.
        age: Time since the last step that is seen [s]; inf before the first.
        wait: Time until the next step that is seen [s]; inf after the last.
        unit: About how far from the path it may be [m]: the unit of what is predicted.
        noise: About how much the track trembles [m].
    """

    position: Float64[np.ndarray, "agent step 2"]
    heading: Float64[np.ndarray, "agent step"]
    velocity: Float64[np.ndarray, "agent step 2"]
    acceleration: Float64[np.ndarray, "agent step 2"]
    age: Float64[np.ndarray, "agent step"]
    wait: Float64[np.ndarray, "agent step"]
    unit: Float64[np.ndarray, "agent step"]
    noise: Float64[np.ndarray, " agent"]

    @property
    def is_known(self) -> Bool[np.ndarray, " agent"]:
        """Of whom anything is seen."""
        return np.asarray(np.isfinite(self.position).all(axis=(1, 2)))

    def select(self, rows: np.ndarray) -> Anchors:
        """Return those of some road users, in the order given (indices)."""
        return Anchors(*(getattr(self, field.name)[rows] for field in fields(self)))


def unit_beyond(
    away: Float64[np.ndarray, "*#shape"], noise: Float64[np.ndarray, "*#shape"]
) -> Float64[np.ndarray, "..."]:
    """Return the unit of what is predicted some time after the last step that is seen [m].

    Args:
        away: That time [s].
        noise: Noise of the track [m].
    """
    return _grow(_BEYOND, away) + 2 * noise


def measure_noise(
    position: Float64[np.ndarray, "agent step 2"], valid: Bool[np.ndarray, "agent step"]
) -> Float64[np.ndarray, " agent"]:
    """Return about how much each track trembles [m]: by how far steps lie off their neighbours.

    Args:
        position: World frame [m].
        valid: Which cells are seen.

    Returns:
        The standard deviation of independent noise that would tremble as much, along each axis; 0
        where no three steps in a row are seen.
    """
    three = valid[:, :-2] & valid[:, 1:-1] & valid[:, 2:]
    off = position[:, :-2] - 2 * position[:, 1:-1] + position[:, 2:]
    bend = np.where(three, np.hypot(off[..., 0], off[..., 1]), np.nan)
    noise = np.zeros(len(valid))
    some = three.any(axis=1)
    noise[some] = np.nanmedian(bend[some], axis=1) / _BEND
    return noise


def anchor(observed: Observed) -> Anchors:
    """Return the anchors of a window's road users."""
    window = observed.window
    position, valid = window.position, window.valid
    steps = np.arange(valid.shape[1])
    before = np.maximum.accumulate(np.where(valid, steps, -1), axis=1)
    after = np.where(valid, steps, valid.shape[1])
    after = np.minimum.accumulate(after[:, ::-1], axis=1)[:, ::-1]
    has_before, has_after = before >= 0, after < valid.shape[1]
    first = np.where(has_before, before, after)
    last = np.where(has_after, after, before)
    known = has_before | has_after
    first, last = np.where(known, first, 0), np.where(known, last, 0)
    row = np.arange(len(valid))[:, None]
    inside = last > first
    # Beyond what is seen: on from its end. A place alone tells no velocity.
    leaving, arriving = _end_velocities(position, valid)
    outward = np.where((steps < first)[..., None], arriving[row, last], leaving[row, first])
    is_place = ~inside & ~np.isfinite(outward[..., 0])
    outward = np.where(np.isfinite(outward), outward, 0.0)
    beyond = position[row, first] + outward * ((steps - first) * STEP)[..., None]
    bridge, speed, spread = fill(position, valid)
    path = np.where(inside[..., None], bridge, beyond)
    velocity = np.where(inside[..., None], speed, outward)
    share = np.clip((steps - first) / np.maximum(last - first, 1), 0.0, 1.0)
    # What is not known counts as going evenly; within a gap it changes evenly from end to end.
    before_it, after_it = map(np.nan_to_num, _end_accelerations(position, valid))
    start = np.where((steps < first)[..., None], after_it[row, last], before_it[row, first])
    end = np.where(inside[..., None], after_it[row, last], start)
    acceleration = start + share[..., None] * (end - start)
    heading = _fill_headings(window.heading, position, valid)
    turn = angle_difference(heading[row, last], heading[row, first])
    age = np.where(has_before, (steps - before) * STEP, np.inf)
    wait = np.where(has_after, (after - steps) * STEP, np.inf)
    away = np.where(known, np.minimum(age, wait), 0.0)
    noise = measure_noise(position, valid)
    unit = np.where(is_place, _grow(_PLACED, away), _grow(_BEYOND, away))
    within = _grow(_WITHIN, away) + _SPREAD * spread
    unit = np.where(inside, within, unit) + 2 * noise[:, None]
    return Anchors(
        position=np.where(known[..., None], path, np.nan),
        heading=np.where(known, wrap_angle(heading[row, first] + share * turn), np.nan),
        velocity=np.where(known[..., None], velocity, np.nan),
        acceleration=np.where(known[..., None], acceleration, np.nan),
        age=age,
        wait=wait,
        unit=unit,
        noise=noise,
    )


def _grow(law: tuple[float, float, float], away: np.ndarray) -> np.ndarray:
    at_once, after_a_second, power = law
    return at_once + after_a_second * away**power


def _end_velocities(position: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the velocity that each valid step has by the steps before it, and after it."""
    leaving, arriving = np.full(position.shape, np.nan), np.full(position.shape, np.nan)
    unbroken = valid.copy()
    for reach in range(1, _STRETCH + 1):
        if reach >= valid.shape[1]:
            break
        unbroken = unbroken[:, :-1] & valid[:, reach:]
        change = (position[:, reach:] - position[:, :-reach]) / (reach * STEP)
        leaving[:, reach:][unbroken] = change[unbroken]
        arriving[:, :-reach][unbroken] = change[unbroken]
    return leaving, arriving


def _end_accelerations(position: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the acceleration that each valid step has by the steps before it, and after it.

    It is that of the parabola of least squares; NaN where too few steps in a row are seen.
    """
    leaving, arriving = np.full(position.shape, np.nan), np.full(position.shape, np.nan)
    for reach in _CURVES:
        if reach >= valid.shape[1]:
            break
        weight = 2.0 * np.linalg.pinv(np.vander(STEP * np.arange(reach + 1), 3))[0]
        unbroken = sliding_window_view(valid, reach + 1, axis=1).all(axis=-1)
        bend = (sliding_window_view(position, reach + 1, axis=1) @ weight)[unbroken]
        leaving[:, reach:][unbroken] = bend
        arriving[:, :-reach][unbroken] = bend
    return leaving, arriving


def _fill_headings(heading: np.ndarray, position: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return headings without gaps: the nearest known one, else that of the way as a whole."""
    known = valid & np.isfinite(heading)
    steps = np.arange(valid.shape[1])
    before = np.maximum.accumulate(np.where(known, steps, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, steps, len(steps))[:, ::-1], axis=1)[:, ::-1]
    nearer = (before >= 0) & ((after >= len(steps)) | (steps - before <= after - steps))
    nearest = np.clip(np.where(nearer, before, after), 0, len(steps) - 1)
    filled = np.take_along_axis(heading, nearest, axis=1)
    without = valid.any(axis=1) & ~known.any(axis=1)
    for row in np.flatnonzero(without):
        seen = position[row, valid[row]]
        way = seen[-1] - seen[0]
        if np.hypot(*way) < _MOVED:
            # Nothing shows a direction: one that turns with the scene is towards the others.
            way = np.nanmean(position.reshape(-1, 2), axis=0) - seen[0]
        filled[row] = np.arctan2(way[1], way[0])
    return filled
