"""Turns: how far a road user changes its direction within a few seconds."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from kerbstone.lang.facts import Facts
from kerbstone.lang.registry import signal
from kerbstone.scene import wrap_angle

Values = Float64[np.ndarray, "agent time"]

_AROUND = 3.0
"""How far before and after now a turn is looked at [s]."""
_U_AROUND = 6.0
_NOW = 1.0
"""How far before and after now one must be turning [s]."""
_TURN = np.deg2rad(45.0)
_U_TURN = np.deg2rad(150.0)
_RATE = np.deg2rad(4.0)
"""Slower than this one is not turning now [rad/s]."""
_PART = np.deg2rad(10.0)
"""How much of a U-turn lies on either side of now, at least [rad]."""
_STANDS = 0.5
"""Below this speed a change of heading is noise [m/s]."""


@signal(unit="rad", margin=0.3)
def turn(facts: Facts) -> Values:
    """Change of heading from 3 s before to 3 s after now, to the left positive.

    Where the record begins later or ends earlier it is what is there of it. While a road user
    stands its heading counts as unchanged.
    """
    return _turned(facts, _AROUND, _AROUND)


@signal(margin=1.0)
def turning_left(facts: Facts) -> Values:
    """Turns left by over 45° within 3 s around now, and is turning now."""
    return _turning(facts, 1.0)


@signal(margin=1.0)
def turning_right(facts: Facts) -> Values:
    """Turns right by over 45° within 3 s around now, and is turning now."""
    return _turning(facts, -1.0)


@signal(margin=1.0)
def u_turn(facts: Facts) -> Values:
    """In the middle of turning by over 150°, within 6 s around now."""
    before, after = _turned(facts, _U_AROUND, 0.0), _turned(facts, 0.0, _U_AROUND)
    total = before + after
    side = np.sign(total)
    margin = (np.abs(total) - _U_TURN) / _TURN
    return np.minimum(margin, (np.minimum(side * before, side * after) - _PART) / _PART)


def _turning(facts: Facts, side: float) -> Values:
    margin = (side * _turned(facts, _AROUND, _AROUND) - _TURN) / _TURN
    step = max(round(_NOW / 2 / facts.dt), 1)
    rate = side * _turned_steps(facts, step, step) / _time_steps(facts, step, step)
    return np.minimum(margin, (rate - _RATE) / _RATE)


def _turned(facts: Facts, before: float, after: float) -> Values:
    return _turned_steps(facts, round(before / facts.dt), round(after / facts.dt))


def _turned_steps(facts: Facts, before: int, after: int) -> Values:
    """Return the change of heading over some steps before and after now [rad]."""
    course = _course(facts)
    first, last = _ends(facts, before, after)
    rows = np.arange(len(course))[:, None]
    return np.where(facts.agents.valid, course[rows, last] - course[rows, first], np.nan)


def _time_steps(facts: Facts, before: int, after: int) -> Values:
    """Return how long the steps before and after now take, as far as they are in the record [s]."""
    first, last = _ends(facts, before, after)
    return np.maximum(last - first, 1) * facts.dt


def _ends(facts: Facts, before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps so far before and after now, but within the record of each agent."""
    valid, step = facts.agents.valid, np.arange(facts.steps)
    begin = np.argmax(valid, axis=1)[:, None]
    end = facts.steps - 1 - np.argmax(valid[:, ::-1], axis=1)[:, None]
    return np.clip(step - before, begin, end), np.clip(step + after, begin, end)


def _course(facts: Facts) -> Values:
    """Return the heading without jumps by a full turn, held where an agent stands or is missing."""

    def unwrap() -> np.ndarray:
        heading, step = facts.agents.heading, np.arange(facts.steps)
        known = np.isfinite(heading)
        last = np.maximum.accumulate(np.where(known, step, -1), axis=1)
        earlier = np.full_like(last, -1)
        earlier[:, 1:] = last[:, :-1]
        rows = np.arange(len(heading))[:, None]
        change = wrap_angle(heading - heading[rows, np.maximum(earlier, 0)])
        speed = facts.agents.speed
        moves = np.maximum(speed, speed[rows, np.maximum(earlier, 0)]) > _STANDS
        return np.cumsum(np.where(known & (earlier >= 0) & moves, change, 0.0), axis=1)

    return facts.keep("course", unwrap)
