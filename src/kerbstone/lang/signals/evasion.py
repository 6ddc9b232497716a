"""What a road user can still do about a collision: brake, or steer to one side.

It is measured against its undisturbed motion. A manoeuvre displaces its box, from where it would
have been, by some way z(t) in a fixed direction: backwards when it brakes, sideways when it
steers. The box keeps its heading, and the other road user its velocity. So the boxes overlap in a
convex polygon of the plane of t and z (four slabs again, see `collision`), and the manoeuvre
succeeds exactly if z(t) stays above the polygon's upper edge for as long as there is one. With
z(t) = a t²/2, the least acceleration a, and the latest time to start at a given one, are each
reached at one of a few times: where the edge begins or ends, at its corners, and where the curve
touches one of its sides.

References:
    Jansson, "Collision Avoidance Theory", Linköping 2005, sections 5.3.5 and 5.3.8: required
    longitudinal and lateral acceleration.
    Hillenbrand, Spieker and Kroschel, "A multilevel collision mitigation approach", IEEE
    Transactions on Intelligent Transportation Systems 7(4), 2006: time to react.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.lang.facts import Facts
from kerbstone.lang.signals.collision import (
    contact_time,
    discs_meet,
    overlap_time,
    project,
    slabs_between,
)
from kerbstone.lang.signals.encounters import STILL, Encounters, Numbers, Plane, States

Rows = Int64[np.ndarray, " pair"]
Values = Float64[np.ndarray, "pair time"]
Lines = Float64[np.ndarray, "line cell"]

_ACROSS = 1e-9


class Edge(NamedTuple):
    """The way that clears the other box, over time: the least of some lines.

    Args:
        start: From when on the boxes meet at some displacement, 0 where they do now [s].
        end: Until when [s].
        height: Each line at time 0 [m]; inf where an axis sets no bound.
        slope: Of each line [m/s].
        from_behind: Whether the other one, at the start, lies wholly in the direction of the
            displacement: the manoeuvre gives way towards it.
    """

    start: Numbers
    end: Numbers
    height: Lines
    slope: Lines
    from_behind: Bool[np.ndarray, " cell"]

    def at(self, time: Float64[np.ndarray, "time cell"]) -> Float64[np.ndarray, "time cell"]:
        """Return the way at some times [m]; it is negative where nothing is in the way."""
        return (self.height[:, None] + self.slope[:, None] * time).min(axis=0)

    def candidates(self, turning: Lines) -> Float64[np.ndarray, "time cell"]:
        """Return its ends, its corners and the times given for each line, within its duration."""
        first, second = np.triu_indices(len(self.height), 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            corners = (self.height[second] - self.height[first]) / (
                self.slope[first] - self.slope[second]
            )
        times = np.concatenate([self.start[None], self.end[None], corners, turning])
        times = np.where(np.isnan(times), self.start, times)
        return np.clip(times, self.start, self.end)


class Course:
    """The cells in which b moves and is to collide with a, both at their present velocities.

    Args:
        facts: The scene.
        a: Row of the first road user of each pair.
        b: Row of the second.
    """

    def __init__(self, facts: Facts, a: Rows, b: Rows) -> None:
        self._meetings = Encounters(facts, a, b)
        near = np.flatnonzero(discs_meet(self._meetings))
        first, second = self._meetings.first(near), self._meetings.second(near)
        contact = contact_time(slabs_between(first, second))
        acts = np.isfinite(contact) & (second.speed >= STILL)
        self._cells = near[acts]
        self.first, self.second = first.take(acts), second.take(acts)
        self.contact = contact[acts]

    def edge(self, turn: complex) -> Edge:
        """Return what clears a, in the direction of b's travel turned by a unit vector."""
        return clearing_edge(self.first, self.second, self.second.travel * turn, self.contact)

    def spread(self, values: Numbers, *, otherwise: float) -> Values:
        """Return the values as `[pair, time]`: in other cells another one, elsewhere NaN."""
        full = np.full(len(self._meetings), otherwise)
        full[self._cells] = values
        return self._meetings.spread(full)


def course_of(facts: Facts, a: Rows, b: Rows) -> Course:
    """Return the course of pairs, kept for the next signal that asks for it."""
    key = ("course", a.tobytes(), b.tobytes())
    return facts.keep_recent(key, lambda: Course(facts, a, b))


def clearing_edge(first: States, second: States, direction: Plane, contact: Numbers) -> Edge:
    """Return what displacement of b in a direction clears a, for boxes that are to collide.

    Args:
        first: The boxes of a.
        second: Those of b.
        direction: Unit vector of b's displacement.
        contact: When they will touch [s].
    """
    slabs = slabs_between(first, second)
    side = project(direction, first, second)
    # An axis across the direction sets no bound; nor does one that is so but for rounding.
    free = np.abs(side) < _ACROSS
    side = np.where(free, 1.0, side)
    reach = slabs.reach / np.abs(side)
    height, slope = slabs.offset / side, np.where(free, 0.0, slabs.rate / side)
    upper = np.where(free, np.inf, height + reach)
    lower = np.where(free, -np.inf, height - reach)
    start, end = _time_abreast(first, second, direction)
    start = np.maximum(start, 0.0)
    # Boxes that drive in line stay so forever; what counts has long been settled by then.
    end = np.maximum(np.minimum(end, 10 * contact + 100), start)
    from_behind = (lower + slope * start).max(axis=0) > 0
    return Edge(start, end, upper, slope, from_behind)


def least_acceleration(edge: Edge) -> Numbers:
    """Return the constant acceleration that just clears the other box [m/s²], inf if none does."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        times = edge.candidates(-2 * edge.height / edge.slope)
        way = edge.at(times)
        needed = 2 * way / times**2
    return np.where(way > 0, needed, 0.0).max(axis=0)


def latest_start(edge: Edge, limit: float, speed: Numbers | None = None) -> Numbers:
    """Return for how long an acceleration can wait and still clear the other box [s].

    Args:
        edge: What must be cleared.
        limit: The acceleration [m/s²].
        speed: For braking, the speed that there is to lose [m/s]: it ends at standstill.

    Returns:
        Negative where it is too late.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        touching = (edge.slope**2 / (2 * limit) - edge.height) / edge.slope
    times = edge.candidates(touching)
    way = edge.at(times)
    needed = np.sqrt(2 * np.maximum(way, 0.0) / limit)
    if speed is not None:
        standing = way / np.maximum(speed, 1e-9) + speed / (2 * limit)
        needed = np.where(way > speed**2 / (2 * limit), standing, needed)
    return np.where(way > 0, times - needed, np.inf).min(axis=0)


def _time_abreast(first: States, second: States, direction: Plane) -> tuple[np.ndarray, ...]:
    """Return from when to when the boxes overlap as seen along a direction [s]."""
    across = 1j * direction
    offset = ((first.place - second.place) * across.conj()).real
    rate = ((first.velocity - second.velocity) * across.conj()).real
    return overlap_time(offset, rate, _half_extent(first, across) + _half_extent(second, across))


def _half_extent(states: States, axis: Plane) -> Numbers:
    turn = states.ahead * axis.conj()
    return states.half_length * np.abs(turn.real) + states.half_width * np.abs(turn.imag)
