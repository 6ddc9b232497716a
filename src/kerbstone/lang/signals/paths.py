"""Whose way a road user gets into, and whom it goes by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.lang.facts import Facts
from kerbstone.lang.registry import signal
from kerbstone.lang.signals.kinematics import forward_speed, yaw_rate
from kerbstone.lang.signals.pairs import extents, lateral_gap, turn_between

Rows = Int64[np.ndarray, " pair"]
Values = Float64[np.ndarray, "pair time"]

_AHEAD = 3.0
"""How far ahead a path is looked at [s]."""
_TIGHTEST = 0.2
"""Curvature beyond which a path is no road user's, but noise [1/m]."""
_SLOWEST = 1.0
_STRIP = 50.0
"""How far before or behind a road user another still crosses its path [m]."""
_BESIDE = 6.0
"""How far aside another still goes by [m]."""
_WALK = 0.5
_FAINT = 0.02
"""The margin of what holds, but only just."""


@signal(agents=2, margin=1.0)
def in_path(facts: Facts, a: Rows, b: Rows) -> Values:
    """In the strip that b sweeps in the next 3 s at its present speed and turn rate, or backwards."""
    x, y = facts.offsets(a, b)
    speed = facts.agents.speed
    rate = facts.keep(("yaw_rate", ()), lambda: yaw_rate(facts))
    sense = np.where(facts.keep(("forward_speed", ()), lambda: forward_speed(facts)) < 0, -1.0, 1.0)
    moving = speed >= _SLOWEST
    bend = np.clip(
        np.where(moving, rate / np.where(moving, sense * speed, 1.0), 0.0), -_TIGHTEST, _TIGHTEST
    )
    bend = np.nan_to_num(bend)[b]
    # Along and beside the arc; one that is all but straight is straight.
    arc = np.abs(bend) > 1e-6
    safe = np.where(arc, bend, 1.0)
    angle = np.arctan2(safe * x, 1 - safe * y)
    along = np.where(arc, angle / safe, x)
    radius = np.hypot(safe * x, 1 - safe * y)
    aside = np.where(arc, (1 - radius) / safe, y)
    turn = turn_between(facts, a, b) - np.where(arc, angle, 0.0)
    size = facts.agents.size
    across = (np.abs(np.sin(turn)) * size[a, 0, None] + np.abs(np.cos(turn)) * size[a, 1, None]) / 2
    front, half = size[b, 0, None] / 2, size[b, 1, None] / 2
    inside = half + across - np.abs(aside)
    along = sense[b] * along
    before, within = (along - front) / 2, (front + speed[b] * _AHEAD - along) / 5
    return np.minimum(np.minimum(inside, before), within)


@signal(agents=2, margin=1.0, reach=_STRIP)
def crosses_in_front(facts: Facts, a: Rows, b: Rows) -> Values:
    """Crosses b's way ahead of it, within 50 m: from entering the strip before b to leaving it."""
    return _crosses(facts, a, b, sign=1.0)


@signal(agents=2, margin=1.0, reach=_STRIP)
def crosses_behind(facts: Facts, a: Rows, b: Rows) -> Values:
    """Crosses b's way at its back, within 50 m: from entering the strip behind b to leaving it."""
    return _crosses(facts, a, b, sign=-1.0)


@signal(agents=2, margin=1.0, reach=2 * _BESIDE)
def passing(facts: Facts, a: Rows, b: Rows) -> Values:
    """Goes by b, standing or going the same way, at most 6 m aside: while it is beside it."""
    return _passes(facts, a, b, least=None)


@signal(agents=2, margin=1.0, reach=2 * _BESIDE)
def overtaking(facts: Facts, a: Rows, b: Rows) -> Values:
    """Goes by b, which drives the same way at 1 m/s or more: while it is beside it."""
    return _passes(facts, a, b, least=1.0)


def _crosses(facts: Facts, a: Rows, b: Rows, *, sign: float) -> Values:
    x, y = facts.offsets(a, b)
    _, across = extents(facts, a, b)
    half = facts.agents.size[b, :, None] / 2
    beyond = sign * x - half[:, 0]
    inside = (np.abs(y) < half[:, 1] + across) & (beyond > 0) & (beyond < _STRIP)
    # It must be a that crosses, not b that turns.
    velocity, heading = facts.agents.velocity[a], facts.ahead[b]
    sideways = heading[..., 0] * velocity[..., 1] - heading[..., 1] * velocity[..., 0]

    def crosses(pair: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        enters, leaves = y[pair, first - 1], y[pair, last + 1]
        goes = np.sign(leaves) * sideways[pair, (first + last) // 2] > _WALK
        return (enters * leaves < 0) & goes & (beyond[pair, last + 1] > 0)

    strength = np.clip(1 - beyond / _STRIP, _FAINT, 1.0)
    return _stretches(inside, strength, np.isnan(x + across + half[:, 0]), crosses)


def _passes(facts: Facts, a: Rows, b: Rows, *, least: float | None) -> Values:
    x, y = facts.offsets(b, a)
    along, _ = extents(facts, b, a)
    gap = lateral_gap(facts, b, a)
    velocity, heading = facts.agents.velocity[b], facts.ahead[a]
    pace = heading[..., 0] * velocity[..., 0] + heading[..., 1] * velocity[..., 1]
    inside = (np.abs(x) < facts.agents.size[a, 0, None] / 2 + along) & (gap > 0) & (gap < _BESIDE)
    inside &= pace > -_WALK if least is None else pace > least

    def passes(pair: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        return (x[pair, first - 1] > 0) & (x[pair, last + 1] < 0)

    strength = np.clip(1 - gap / _BESIDE, _FAINT, 1.0)
    return _stretches(inside, strength, np.isnan(y + gap + pace), passes)


def _stretches(
    inside: Bool[np.ndarray, "pair time"],
    strength: Values,
    unknown: Bool[np.ndarray, "pair time"],
    accept: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> Values:
    """Return the strength over those stretches that are accepted, and -1 elsewhere.

    Args:
        inside: Where a stretch may be.
        strength: The margin there.
        unknown: Where nothing is known.
        accept: Takes pairs with the first and last steps of stretches, which both have a known
            neighbour, and returns which of them count.
    """
    steps = inside.shape[1]
    out = np.where(unknown, np.nan, -1.0)
    edges = np.diff(np.pad(inside, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    pair, first = np.nonzero(edges == 1)
    _, end = np.nonzero(edges == -1)
    last = end - 1
    seen = (first > 0) & (last < steps - 1)
    pair, first, last = pair[seen], first[seen], last[seen]
    known = ~unknown[pair, first - 1] & ~unknown[pair, last + 1]
    pair, first, last = pair[known], first[known], last[known]
    counts = accept(pair, first, last)
    for row, start, stop in zip(pair[counts], first[counts], last[counts] + 1, strict=True):
        out[row, start:stop] = strength[row, start:stop]
    return out
