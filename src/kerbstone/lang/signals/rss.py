"""Responsibility-sensitive safety: the distances that a road user must keep, and by how much.

The frame is that of the lane: x along it, the way b faces, y to its left. Where both are on lanes
that run within 45 degrees of each other, the frame lies half way between the lanes' directions
(on a circle that is the direction from one place to the other), and each one's speeds are along
and across its own lane; else b's lane serves for both, and b's heading where it is on none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.lang.facts import Facts
from kerbstone.lang.registry import signal
from kerbstone.lang.signals.encounters import Encounters, Numbers, Plane, States
from kerbstone.lang.signals.safe_distances import (
    safe_distance_aside,
    safe_distance_behind,
    safe_distance_head_on,
)

Rows = Int64[np.ndarray, " pair"]
Values = Float64[np.ndarray, "pair time"]
Flags = Bool[np.ndarray, " cell"]

_ALIKE = np.cos(np.deg2rad(45.0))
_CLEAR = 5.0
"""How far a longitudinal distance must be violated to be so as clearly as one wishes [m]."""
_CLEAR_ASIDE = 0.5
_ROUNDING = 1e-9


@signal(agents=2, unit="m", margin=5.0)
def rss_longitudinal_margin(facts: Facts, a: Rows, b: Rows) -> Values:
    """Distance to a along the lane, less what b must keep; negative where b violates it.

    While a is behind b, or side by side with it, b need keep none.
    """
    return _measure(facts, a, b, _longitudinal_margin)


@signal(agents=2, unit="m", margin=0.5)
def rss_lateral_margin(facts: Facts, a: Rows, b: Rows) -> Values:
    """Distance to a across the lane, less what b must keep; negative where b violates it."""
    return _measure(facts, a, b, _lateral_margin)


@signal(agents=2, margin=1.0)
def rss_unsafe(facts: Facts, a: Rows, b: Rows) -> Values:
    """Too near for b, both along the lane and across it: a dangerous situation of RSS."""
    return _measure(
        facts,
        a,
        b,
        lambda relation: (
            -np.maximum(
                _longitudinal_margin(relation) / _CLEAR, _lateral_margin(relation) / _CLEAR_ASIDE
            )
        ),
    )


class _Placed(NamedTuple):
    """Road users in the frames of their own lanes, each at some time.

    Args:
        direction: Of the lane, the way the road user faces; its heading where it is on none.
        on_lane: Whether it is on one.
        right: Whether it faces the way that the lane goes.
        velocity: Along and across, as x + iy [m/s].
        extent: Half of the box along and across, as x + iy [m].
    """

    direction: Plane
    on_lane: Flags
    right: Flags
    velocity: Plane
    extent: Plane


class _Relation(NamedTuple):
    """Where a is in the lane's frame, and how both move in it.

    Args:
        offset: Of a's centre from b's [m].
        reach: The sum of both half extents [m].
        velocity: Of b [m/s].
        other_velocity: Of a [m/s].
        comes: Whether a faces the other way.
        right: Whether b faces the way that its lane goes.
    """

    offset: Plane
    reach: Plane
    velocity: Plane
    other_velocity: Plane
    comes: Flags
    right: Flags


def _measure(facts: Facts, a: Rows, b: Rows, margin: Callable[[_Relation], Numbers]) -> Values:
    meetings = Encounters(facts, a, b)
    placed = facts.keep("rss", lambda: _place(facts, meetings.states))
    values = np.empty(len(meetings))
    for part in meetings.blocks():
        index, other = meetings.index[part], meetings.other_index[part]
        values[part] = margin(_relate(meetings.states, placed, index, other))
    return meetings.spread(values)


def _place(facts: Facts, states: States) -> _Placed:
    lane = np.full(len(states.place), np.nan + 0j)
    if facts.places is not None:
        lane = np.exp(1j * facts.places.heading.ravel())
    on_lane = ~np.isnan(lane)
    right = ~on_lane | ((states.ahead * lane.conj()).real >= 0)
    direction = np.where(on_lane, np.where(right, lane, -lane), states.ahead)
    return _Placed(
        direction=direction,
        on_lane=on_lane,
        right=right,
        velocity=states.velocity * direction.conj(),
        extent=_extent(states, slice(None), direction),
    )


def _relate(states: States, placed: _Placed, index: np.ndarray, other: np.ndarray) -> _Relation:
    frame = placed.direction[other]
    offset = states.place[index] - states.place[other]
    velocity = states.velocity[index] * frame.conj()
    extent = _extent(states, index, frame)
    lane = placed.direction[index]
    alike = lane.real * frame.real + lane.imag * frame.imag
    # At a right angle, but for rounding, nobody comes.
    comes = alike < -_ROUNDING
    on_lanes = placed.on_lane[index] & placed.on_lane[other]
    # Where lanes run alike, each one's speeds are along its own.
    same = np.flatnonzero(on_lanes & (np.abs(alike) >= _ALIKE))
    turned = np.where(comes[same], -1.0, 1.0)
    between = frame[same] + turned * lane[same]
    frame[same] = between / np.abs(between)
    velocity[same] = turned * placed.velocity[index[same]]
    extent[same] = placed.extent[index[same]]
    return _Relation(
        offset=offset * frame.conj(),
        reach=extent + placed.extent[other],
        velocity=placed.velocity[other],
        other_velocity=velocity,
        comes=comes,
        right=placed.right[other],
    )


def _longitudinal_margin(relation: _Relation) -> Numbers:
    ahead = relation.offset.real
    margin = np.abs(ahead) - relation.reach.real
    keeps = (ahead > 0) & (margin >= 0)
    for comes in (False, True):
        cells = np.flatnonzero(keeps & (relation.comes == comes))
        speed = np.maximum(relation.velocity.real[cells], 0.0)
        along = relation.other_velocity.real[cells]
        if comes:
            right = relation.right[cells]
            margin[cells] -= safe_distance_head_on(speed, np.maximum(-along, 0.0), right)
        else:
            margin[cells] -= safe_distance_behind(speed, np.maximum(along, 0.0))
    return margin


def _lateral_margin(relation: _Relation) -> Numbers:
    aside = relation.offset.imag
    nearing, other_nearing = relation.velocity.imag, -relation.other_velocity.imag
    side = np.where(aside >= 0, 1.0, -1.0)
    needed = safe_distance_aside(nearing * side, other_nearing * side)
    return np.abs(aside) - relation.reach.imag - needed


def _extent(states: States, rows: np.ndarray | slice, direction: Plane) -> Plane:
    """Return half extents of boxes along directions and across them, as x + iy [m]."""
    turn = states.ahead[rows] * direction.conj()
    cos, sin = np.abs(turn.real), np.abs(turn.imag)
    length, width = states.half_length[rows], states.half_width[rows]
    extent = np.empty(turn.shape, np.complex128)
    extent.real = length * cos + width * sin
    extent.imag = length * sin + width * cos
    return extent
