"""How road users move at the last moment that is visible before what is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex128, Float64, Int64

from kerbstone.world.baselines.tracks import Tracks
from kerbstone.world.windows import STEP

REACH = 5
"""Steps that the velocity is estimated from, where nothing was learned."""
STANDING = 0.5
"""Who is slower may stand: the motion shows no direction [m/s]."""
_TURNING = 2.0
"""Who is slower is not said to turn: a wobble would count [m/s]."""
_FASTEST_TURN = 1.0
_SIDEWAYS = 5.0
"""The largest lateral acceleration of a turn [m/s²]."""


@dataclass(frozen=True, eq=False)
class Motion:
    """The state of road users at their last visible step before the first that is asked for.

    Args:
        step: That step; -1 where nothing before is visible, and all else is NaN there.
        place: Where they are, x + iy [m].
        velocity: Their velocity then, if they go straight on [m/s].
        turn_rate: How fast they turn [rad/s]; 0 where they are too slow to tell.
        turning_velocity: Their velocity then, if they turn [m/s].
        axis: Direction in which they move, or point while they stand [rad].
    """

    step: Int64[np.ndarray, " agent"]
    place: Complex128[np.ndarray, " agent"]
    velocity: Complex128[np.ndarray, " agent"]
    turn_rate: Float64[np.ndarray, " agent"]
    turning_velocity: Complex128[np.ndarray, " agent"]
    axis: Float64[np.ndarray, " agent"]


def estimate_motion(tracks: Tracks, *, reach: int = REACH) -> Motion:
    """Return how road users move before what is asked.

    The velocity is the slope of the least-squares line through the last `reach` steps (twice as
    many, where less than two cells are visible in them; 0 where only one is). The turn rate is that
    between chords: with complex places z and chords c(t) = z(t) - z(t - reach / 2), the angle of the
    sum of c(t) conj(c(t - reach)) over the last 2 `reach` steps, so that long chords count more. It
    is exact on a circle; below 2 m/s it is 0, and it is bounded by 1 rad/s and a lateral
    acceleration of 5 m/s². The velocity of who turns is that of the circle with this turn rate that
    fits best.

    Args:
        tracks: What is visible.
        reach: Steps that the velocity is estimated from, at least 2.
    """
    count = len(tracks)
    row = np.arange(count)
    step = last_seen(tracks)
    seen = np.where(step >= 0, step, 0)
    offset = np.arange(-2 * reach, 1)
    cell = seen[:, None] + offset
    valid = tracks.valid[row[:, None], np.maximum(cell, 0)] & (cell >= 0) & (step >= 0)[:, None]
    place = np.where(step >= 0, tracks.place[row, seen], np.nan)
    recent = np.where(valid, tracks.place[row[:, None], np.maximum(cell, 0)] - place[:, None], 0)
    short = valid & (offset >= -reach)
    used = np.where((short.sum(axis=1) >= 2)[:, None], short, valid)
    velocity = _fit_velocity(recent, used, np.zeros(count))
    turn_rate = _estimate_turn(recent, valid, np.abs(velocity), reach)
    gone = np.where(step >= 0, 0.0, np.nan)
    velocity = velocity + gone
    return Motion(
        step=step,
        place=place,
        velocity=velocity,
        turn_rate=turn_rate + gone,
        turning_velocity=_fit_velocity(recent, used, turn_rate) + gone,
        axis=choose_axis(velocity, _point(tracks, step)) + gone,
    )


def last_seen(tracks: Tracks) -> Int64[np.ndarray, " agent"]:
    """Return the last visible step of each road user before the first it is asked for, or -1."""
    wanted = tracks.asked & ~tracks.valid
    steps = tracks.valid.shape[1]
    first = np.where(wanted.any(axis=1), wanted.argmax(axis=1), steps)
    before = tracks.valid & (np.arange(steps) < first[:, None])
    return np.where(before.any(axis=1), steps - 1 - before[:, ::-1].argmax(axis=1), -1)


def travel(time: np.ndarray, turn_rate: np.ndarray) -> np.ndarray:
    """Return how far who turns gets, for each m/s of velocity at time 0, as x + iy [s].

    The integral of exp(iωt), as chord times direction: it is well-behaved at ω = 0.
    """
    half = turn_rate * time / 2
    return time * np.sinc(half / np.pi) * np.exp(1j * half)


def choose_axis(velocity: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Return the direction of a velocity (x + iy), or another where it shows none [rad]."""
    moving = np.abs(velocity) >= STANDING
    return np.where(moving, np.angle(velocity), otherwise)


def _fit_velocity(
    place: np.ndarray, valid: np.ndarray, turn_rate: np.ndarray
) -> Complex128[np.ndarray, " agent"]:
    """Return the velocity at the last of some steps, least squares with a free place."""
    time = STEP * np.arange(-place.shape[1] + 1, 1)
    basis = travel(time, turn_rate[:, None])
    count = np.maximum(valid.sum(axis=1, keepdims=True), 1)
    centred = np.where(valid, basis - (basis * valid).sum(axis=1, keepdims=True) / count, 0)
    above = (centred.conj() * place).sum(axis=1)
    below = (np.abs(centred) ** 2).sum(axis=1)
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _estimate_turn(
    place: np.ndarray, valid: np.ndarray, speed: np.ndarray, reach: int
) -> Float64[np.ndarray, " agent"]:
    long = reach // 2
    chord = place[:, long:] - place[:, :-long]
    there = valid[:, long:] & valid[:, :-long]
    both = there[:, reach:] & there[:, :-reach]
    turned = (chord[:, reach:] * chord[:, :-reach].conj() * both).sum(axis=1)
    rate = np.where(both.any(axis=1), np.angle(turned), 0) / (reach * STEP)
    most = np.minimum(_FASTEST_TURN, _SIDEWAYS / np.maximum(speed, _TURNING))
    return np.where(speed >= _TURNING, np.clip(rate, -most, most), 0.0)


def _point(tracks: Tracks, step: np.ndarray) -> np.ndarray:
    """Return where who stands points: its latest heading, or how far it ever came, or east."""
    steps = tracks.valid.shape[1]
    row = np.arange(len(tracks))
    before = tracks.valid & (np.arange(steps) <= step[:, None])
    known = before & np.isfinite(tracks.heading)
    latest = tracks.heading[row, steps - 1 - known[:, ::-1].argmax(axis=1)]
    came = tracks.place[row, step] - tracks.place[row, before.argmax(axis=1)]
    came = np.where(before.any(axis=1), came, 0)
    return np.where(known.any(axis=1), latest, np.angle(came))
