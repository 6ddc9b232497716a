"""When two boxes meet: moving straight ahead, and turning.

Straight ahead, the boxes keep their headings, so the four axes that can separate them stay the
same, and on each axis the time of overlap is one interval: the answer is exact.

Turning, both follow circles, and there is no closed form. Conservative advancement walks along
time: from the gap along the best separating axis, and bounds on how fast the boxes can close it,
it takes the longest step that cannot pass a contact.

References:
    Gottschalk, Lin and Manocha, "OBBTree", SIGGRAPH 1996 (separating axes).
    Mirtich, "Impulse-based dynamic simulation of rigid body systems", 1996 (conservative
    advancement).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.lang.signals.encounters import Encounters, Numbers, Plane, States

HORIZON = 8.0
"""How far ahead turning road users are followed [s]."""
TOLERANCE = 0.005
"""The shortest step along time: a turning contact is found to this [s]."""
_ROUNDING = 1 + 1e-9


class Slabs(NamedTuple):
    """Boxes overlap exactly while |offset + rate t| <= reach on each axis.

    The axes are b's heading and left, then a's.

    Args:
        offset: Of a's centre from b's, along the axis [m].
        rate: How fast it grows [m/s].
        reach: The sum of both half extents along the axis [m].
    """

    offset: Float64[np.ndarray, "axis cell"]
    rate: Float64[np.ndarray, "axis cell"]
    reach: Float64[np.ndarray, "axis cell"]


def slabs_between(first: States, second: States) -> Slabs:
    """Return the slabs of each pair of boxes."""
    return Slabs(
        offset=project(first.place - second.place, first, second),
        rate=project(first.velocity - second.velocity, first, second),
        reach=_reach(first, second),
    )


def project(vector: Plane, first: States, second: States) -> Float64[np.ndarray, "axis cell"]:
    """Return the parts of vectors along the axes of both boxes."""
    along_second = vector * second.ahead.conj()
    along_first = vector * first.ahead.conj()
    return np.stack([along_second.real, along_second.imag, along_first.real, along_first.imag])


def overlap_time(offset: np.ndarray, rate: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return from when to when |offset + rate t| <= reach [s]: inf to -inf where never."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        pace, aside = np.abs(rate), np.sign(rate) * offset
        start, end = (-aside - reach) / pace, (reach - aside) / pace
    still, apart = rate == 0, np.abs(offset) > reach
    start = np.where(still, np.where(apart, np.inf, -np.inf), start)
    end = np.where(still, np.where(apart, -np.inf, np.inf), end)
    return start, end


def contact_time(slabs: Slabs) -> Numbers:
    """Return when boxes that keep their velocities first touch [s]: 0 now, inf never."""
    start, end = overlap_time(*slabs)
    enters, leaves = start.max(axis=0), end.min(axis=0)
    meets = (enters <= leaves) & (leaves >= 0)
    return np.where(meets, np.maximum(enters, 0.0), np.inf)


def discs_meet(meetings: Encounters) -> Bool[np.ndarray, " cell"]:
    """Tell where the discs around the boxes ever meet, if both keep their velocities."""
    meets = np.empty(len(meetings), bool)
    for block in meetings.blocks():
        offset, drift = meetings.offset(block), meetings.drift(block)
        reach = meetings.reach(block) * _ROUNDING
        apart = offset.real**2 + offset.imag**2 - reach**2
        turned = offset * drift.conj()
        pace = drift.real**2 + drift.imag**2
        closes = (turned.real < 0) & (turned.imag**2 <= reach**2 * pace)
        meets[block] = (apart <= 0) | closes
    return meets


def discs_apart(meetings: Encounters, bend: Float64[np.ndarray, " state"]) -> Numbers:
    """Return for how long at least the discs around the boxes stay apart, as both turn [s].

    Args:
        meetings: The cells.
        bend: Centripetal acceleration of each road user at each time [m/s²].
    """
    time = np.zeros(len(meetings))
    for block in meetings.blocks():
        offset, drift = meetings.offset(block), meetings.drift(block)
        between = np.sqrt(offset.real**2 + offset.imag**2)
        gap = between - meetings.reach(block) * _ROUNDING
        closing = -(offset.real * drift.real + offset.imag * drift.imag)
        closing /= np.where(between > 0, between, 1.0)
        bends = bend[meetings.index[block]] + bend[meetings.other_index[block]]
        time[block] = np.where(gap > 0, _safe_step(gap, closing, bends), 0.0)
    return time


def turning_contact_time(
    first: States, second: States, turn: Numbers, other_turn: Numbers, start: Numbers
) -> Numbers:
    """Return when boxes first touch that keep their speeds and turn rates [s].

    Args:
        first: The boxes of a.
        second: Those of b.
        turn: Turn rate of a, counter-clockwise [rad/s].
        other_turn: That of b.
        start: Until when it is known that they do not touch [s].

    Returns:
        0 where they touch now, inf where they do not within `HORIZON`. A contact is found to
        `TOLERANCE`; one that lasts no longer may be missed.
    """
    bend = np.abs(turn) * first.speed + np.abs(other_turn) * second.speed
    spin = np.abs(turn) * first.radius + np.abs(other_turn) * second.radius
    result = np.full(len(turn), np.inf)
    cell = np.flatnonzero(start <= HORIZON)
    due = time = start[cell]
    while cell.size:
        one = _advance(first.take(cell), turn[cell], time)
        other = _advance(second.take(cell), other_turn[cell], time)
        gap, closing = _separate(one, other)
        touches = gap <= 0
        result[cell[touches]] = due[touches]
        due = time + _safe_step(gap, closing + spin[cell], bend[cell])
        left = ~touches & (due <= HORIZON)
        cell, due = cell[left], due[left]
        time = np.maximum(due, time[left] + TOLERANCE)
    return result


def _safe_step(gap: Numbers, closing: Numbers, bend: Numbers) -> Numbers:
    """Return how long a gap lasts that closes at a speed, and at most faster by `bend` [1/s²].

    It is the smallest positive solution of gap = closing t + bend t² / 2, or inf.
    """
    root = closing + np.sqrt(closing**2 + 2 * bend * np.maximum(gap, 0.0))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        step = 2 * gap / root
    return np.where(root > 0, step, np.inf)


def _advance(states: States, turn: Numbers, time: Numbers) -> States:
    """Return road users after some time at constant speed and turn rate."""
    half = turn * time / 2
    half_turn = np.cos(half) + 1j * np.sin(half)
    chord = states.velocity * time * np.sinc(half / np.pi) * half_turn
    turned = half_turn * half_turn
    return states._replace(
        place=states.place + chord,
        velocity=states.velocity * turned,
        ahead=states.ahead * turned,
    )


def _separate(first: States, second: States) -> tuple[Numbers, Numbers]:
    """Return the widest gap along an axis of the boxes, and how fast the motion closes it."""
    offset = project(first.place - second.place, first, second)
    gaps = np.abs(offset) - _reach(first, second)
    axis = gaps.argmax(axis=0)[None]
    drift = project(first.velocity - second.velocity, first, second)
    closing = -np.take_along_axis(np.sign(offset) * drift, axis, axis=0)[0]
    return np.take_along_axis(gaps, axis, axis=0)[0], closing


def _reach(first: States, second: States) -> Float64[np.ndarray, "axis cell"]:
    turn = first.ahead * second.ahead.conj()
    cos, sin = np.abs(turn.real), np.abs(turn.imag)
    length, width = first.half_length, first.half_width
    other_length, other_width = second.half_length, second.half_width
    return np.stack(
        [
            other_length + length * cos + width * sin,
            other_width + length * sin + width * cos,
            length + other_length * cos + other_width * sin,
            width + other_length * sin + other_width * cos,
        ]
    )
