"""Pairs of road users at the steps at which both are known, as one flat list of cells.

Vectors in the ground plane are complex numbers, x + iy: turning one is a multiplication, and
`vector * conj(axis)` has the part along a unit vector and the part to its left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from kerbstone.lang.facts import Facts

Rows = Int64[np.ndarray, " pair"]
Values = Float64[np.ndarray, "pair time"]
Plane = NDArray[np.complex128]
"""Vectors in the ground plane, one for each cell."""
Numbers = Float64[np.ndarray, " cell"]

_BLOCK = 16_384
STILL = 0.3
"""A road user that is slower stands, as in the signal `stopped` [m/s]."""


class States(NamedTuple):
    """Road users, each at some time.

    Args:
        place: Centre of the box [m].
        velocity: [m/s].
        ahead: Unit vector of the heading.
        half_length: [m].
        half_width: [m].
        radius: From the centre to a corner [m].
    """

    place: Plane
    velocity: Plane
    ahead: Plane
    half_length: Numbers
    half_width: Numbers
    radius: Numbers

    def take(self, rows: np.ndarray) -> States:
        """Return some of them (indices or a Boolean mask)."""
        return States(*(part[rows] for part in self))

    @property
    def speed(self) -> Numbers:
        """[m/s]."""
        return np.abs(self.velocity)

    @property
    def travel(self) -> Plane:
        """Unit vector of the motion; of the heading while it stands."""
        speed = self.speed
        moving = speed >= STILL
        return np.where(moving, self.velocity / np.where(moving, speed, 1.0), self.ahead)


class Encounters:
    """The cells of `[pair, time]` at which both road users have a box and a velocity.

    Args:
        facts: The scene.
        a: Row of the first road user of each pair.
        b: Row of the second.
    """

    def __init__(self, facts: Facts, a: Rows, b: Rows) -> None:
        states, known = facts.keep("encounter states", lambda: _states_of(facts))
        self.states: States = states
        self._shape = (len(a), facts.steps)
        both = known[a] & known[b]
        counts = np.count_nonzero(both, axis=1)
        self.cell = np.flatnonzero(both)
        row = np.arange(len(a))
        self.index = self.cell + np.repeat((a - row) * facts.steps, counts)
        self.other_index = self.cell + np.repeat((b - row) * facts.steps, counts)

    def __len__(self) -> int:
        return len(self.cell)

    def first(self, cells: np.ndarray | slice = slice(None)) -> States:
        """Return a in each cell, or in some of the cells."""
        return self.states.take(self.index[cells])

    def second(self, cells: np.ndarray | slice = slice(None)) -> States:
        """Return b in each cell, or in some of the cells."""
        return self.states.take(self.other_index[cells])

    def blocks(self) -> Iterator[slice]:
        """Give the cells in blocks that a processor's cache holds."""
        for start in range(0, len(self), _BLOCK):
            yield slice(start, start + _BLOCK)

    def offset(self, cells: slice = slice(None)) -> Plane:
        """Return the way from b's centre to a's in each cell, or in some [m]."""
        place = self.states.place
        return place[self.index[cells]] - place[self.other_index[cells]]

    def drift(self, cells: slice = slice(None)) -> Plane:
        """Return the velocity of a less that of b in each cell, or in some [m/s]."""
        velocity = self.states.velocity
        return velocity[self.index[cells]] - velocity[self.other_index[cells]]

    def reach(self, cells: slice = slice(None)) -> Numbers:
        """Return the sum of both radii [m]: boxes further apart do not touch."""
        radius = self.states.radius
        return radius[self.index[cells]] + radius[self.other_index[cells]]

    def spread(self, values: Numbers) -> Values:
        """Return the values of all cells as `[pair, time]`, NaN elsewhere."""
        out = np.full(self._shape, np.nan)
        out.ravel()[self.cell] = values
        return out


def measure_once(
    facts: Facts, a: Rows, b: Rows, measure: Callable[[Facts, Rows, Rows], Values]
) -> Values:
    """Return a measure that is the same for (a, b) and (b, a), asked for once for both."""
    count = max(len(facts.agents), 1)
    code, place = np.unique(np.minimum(a, b) * count + np.maximum(a, b), return_inverse=True)
    found = measure(facts, *np.divmod(code, count))
    return found[place]


def _states_of(facts: Facts) -> tuple[States, np.ndarray]:
    agents = facts.agents
    half = np.broadcast_to(agents.size[:, None, :2] / 2, (*agents.valid.shape, 2))
    states = States(
        place=_plane(facts.point),
        velocity=_plane(agents.velocity),
        ahead=_plane(facts.ahead),
        half_length=half[..., 0].ravel(),
        half_width=half[..., 1].ravel(),
        radius=np.hypot(half[..., 0], half[..., 1]).ravel(),
    )
    known = np.isfinite(states.place + states.velocity + states.ahead + states.radius)
    return states, known.reshape(agents.valid.shape)


def _plane(vectors: np.ndarray) -> Plane:
    return np.ascontiguousarray(vectors, np.float64).view(np.complex128).ravel()
