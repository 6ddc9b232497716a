"""The likeliest course of each track, given all that was measured of it, before and after.

A course is the least-squares solution of what was measured and of how road users move
(`label.motion`), over all its steps at once: in gaps and beyond the ends the motion alone says
where it was. Measurements that fit badly count less, as those of a Student distribution do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.label.chains import Chains, invert_diagonal, solve_chain
from kerbstone.label.motion import MEASURED, predict_state, process_noise
from kerbstone.label.rows import sum_by

_FREEDOM = 4.0
"""Degrees of freedom of the measurements' distribution: detectors have heavy tails."""
_FREEDOMS = _FREEDOM + np.array([2.0, 1.0])
"""The same and the number of values measured, of place and of heading."""
_SHORTENINGS = 4
"""So often is a step that leads nowhere made a quarter as long."""
_TOLERANCE = 1e-3
"""A log likelihood that falls by less has not fallen."""
_TURNING = 0.5
"""Standard deviation of the yaw rate of what was just seen for the first time [rad/s]."""
_SETTLED = np.array([0.01, 0.01, 0.003, 0.05, 0.02])
"""A state that moved by less in a round is found: what is left is far below any noise."""
_FEW = 0.7
"""Share of tracks that are not, below which the others are set aside."""
_CELLS = 200_000
"""So many cells are smoothed together: about half a gigabyte."""
_SLACK = np.array([0.01, 0.01, 0.002, 0.05, 0.01]) ** 2
"""Variance per step that no model of driving explains, so that no direction is certain."""


@dataclass(frozen=True, eq=False)
class Measurements:
    """What was measured of tracks, one row each, at most one for each cell.

    Args:
        cell: Cell of each row.
        value: x, y and heading; headings of one track lie within half a turn of their neighbours,
            front and rear told apart [m, m, rad].
        variance: Their variances.
    """

    cell: Int64[np.ndarray, " row"]
    value: Float64[np.ndarray, "row 3"]
    variance: Float64[np.ndarray, "row 3"]


@dataclass(frozen=True, eq=False)
class Course:
    """How tracks went.

    Args:
        state: State of each cell (`StateIndex`); headings are not wrapped.
        covariance: Its covariance.
        misfit: How badly each measurement fits: its squared distance in standard deviations, of
            place and of heading.
    """

    state: Float64[np.ndarray, "cell 5"]
    covariance: Float64[np.ndarray, "cell 5 5"]
    misfit: Float64[np.ndarray, "row 2"]


def smooth(
    chains: Chains,
    measured: Measurements,
    *,
    wheeled: Bool[np.ndarray, " track"],
    acceleration: Float64[np.ndarray, " track"],
    turning: Float64[np.ndarray, " track"],
    speed: Float64[np.ndarray, " track"],
    dt: float,
    rounds: int = 6,
) -> Course:
    """Return the likeliest course of each track.

    Args:
        chains: The tracks.
        measured: What was measured of them.
        wheeled: Which move along their heading.
        acceleration: As in `process_noise`.
        turning: As in `process_noise`.
        speed: Standard deviation of what speed may be [m/s].
        dt: Time step [s].
        rounds: How often the course is found again, with what is known by then of its curves and
            of the measurements that do not fit.

    References:
        Bell, "The Iterated Kalman Smoother as a Gauss-Newton Method", SIAM J. Optim. 4(3), 1994;
        Lange, Little and Taylor, "Robust Statistical Modeling Using the t Distribution", 1989.
    """
    problem = _Problem(chains, measured, wheeled, acceleration, turning, speed, dt)
    course = Course(
        np.zeros((chains.cells, 5)),
        np.zeros((chains.cells, 5, 5)),
        np.zeros((len(measured.cell), 2)),
    )
    # A long log has millions of cells, of which a part at a time is laid out as a system.
    parts = (np.cumsum(chains.length) - 1) // _CELLS
    for part in np.unique(parts):
        tracks = parts == part
        found = _smooth_part(problem.select(tracks), rounds)
        cells = tracks[chains.track]
        course.state[cells], course.covariance[cells] = found.state, found.covariance
        course.misfit[tracks[problem.row_track]] = found.misfit
    return course


def _smooth_part(problem: _Problem, rounds: int) -> Course:
    """Return the likeliest course of tracks whose system fits into memory."""
    chains, measured = problem.chains, problem.measured
    state = _first_guess(chains, measured, problem.wheeled, problem.dt)
    part, cells, course = problem, np.arange(chains.cells), state.copy()
    for _ in range(rounds):
        before, course = course, _improve(part, course)
        state[cells] = course
        moved = np.zeros(len(part.wheeled))
        np.maximum.at(moved, part.chains.track, (np.abs(course - before) / _SETTLED).max(axis=1))
        restless = moved > 1.0
        if not restless.any():
            break
        # Most tracks of a long log are short, or stand, and need few rounds.
        if restless.mean() < _FEW:
            kept = restless[part.chains.track]
            part, cells, course = part.select(restless), cells[kept], course[kept]
    system = _linearise(problem, state, *problem.predict(state))
    # Weights that look at how well each fits take the fit for knowledge; on average a measurement
    # of a Student distribution says by this less.
    less = np.repeat(2 / (_FREEDOMS + 2), [2, 1]) * system.share
    for axis in range(MEASURED):
        system.diagonal[measured.cell, axis, axis] -= less[:, axis]
    covariance = invert_diagonal(system.diagonal, system.coupling, chains)
    return Course(state, covariance, _misfit(measured, state))


@dataclass(frozen=True, eq=False)
class _Problem:
    """Tracks whose courses are looked for, and what is known of them (as in `smooth`)."""

    chains: Chains
    measured: Measurements
    wheeled: Bool[np.ndarray, " track"]
    acceleration: Float64[np.ndarray, " track"]
    turning: Float64[np.ndarray, " track"]
    speed: Float64[np.ndarray, " track"]
    dt: float

    @cached_property
    def tail(self) -> Int64[np.ndarray, " link"]:
        """First cell of each link; the next one is the other."""
        return np.flatnonzero(self.chains.follows)

    @cached_property
    def link_track(self) -> Int64[np.ndarray, " link"]:
        """Track of each link."""
        return self.chains.track[self.tail]

    @cached_property
    def row_track(self) -> Int64[np.ndarray, " row"]:
        """Track of each measurement."""
        return self.chains.track[self.measured.cell]

    @cached_property
    def prior(self) -> Float64[np.ndarray, "track 5"]:
        """How certain the first states are before anything is measured."""
        prior = np.zeros((len(self.wheeled), 5))
        prior[:, 3] = self.speed**-2.0
        prior[:, 4] = np.where(self.wheeled, _TURNING**-2.0, self.speed**-2.0)
        return prior

    def select(self, tracks: Bool[np.ndarray, " track"]) -> _Problem:
        """Return the problem of some of the tracks."""
        chains, seen = self.chains, self.measured
        number = np.cumsum(tracks[chains.track]) - 1
        rows = tracks[self.row_track]
        return _Problem(
            Chains(chains.first[tracks], chains.length[tracks]),
            Measurements(number[seen.cell[rows]], seen.value[rows], seen.variance[rows]),
            self.wheeled[tracks],
            self.acceleration[tracks],
            self.turning[tracks],
            self.speed[tracks],
            self.dt,
        )

    def predict(
        self,
        state: Float64[np.ndarray, "cell 5"],
        links: Int64[np.ndarray, " some"] | slice = slice(None),
    ) -> tuple[Float64[np.ndarray, "some 5"], Float64[np.ndarray, "some 5 5"]]:
        """Return what is expected at the ends of links, and its derivatives by their beginnings."""
        return predict_state(state[self.tail[links]], self.wheeled[self.link_track[links]], self.dt)

    def cost(
        self,
        state: Float64[np.ndarray, "cell 5"],
        after: Float64[np.ndarray, "some 5"],
        certainty: Float64[np.ndarray, "link 5 5"],
        links: Int64[np.ndarray, " some"],
        rows: Int64[np.ndarray, " few"],
    ) -> Float64[np.ndarray, " track"]:
        """Return minus the log of how likely each track's course is, but for a constant.

        Args:
            state: The course.
            after: What motion makes one expect at the ends of some links.
            certainty: Of the motion at each link.
            links: These links: all of the tracks that are asked for.
            rows: All measurements of these tracks.
        """
        count = len(self.wheeled)
        error = state[self.tail[links] + 1] - after
        driving = (error * (certainty[links] @ error[:, :, None])[:, :, 0]).sum(axis=1) / 2
        cost = sum_by(self.link_track[links], driving, count)
        cost += (self.prior * state[self.chains.start] ** 2).sum(axis=1) / 2
        seen = self.measured
        few = Measurements(seen.cell[rows], seen.value[rows], seen.variance[rows])
        tails = _FREEDOMS / 2 * np.log1p(_misfit(few, state) / _FREEDOM)
        return cost + sum_by(self.row_track[rows], tails.sum(axis=1), count)


class _System(NamedTuple):
    """A problem near a course: a linear system for the step to a better one.

    Args:
        diagonal: As in `solve_chain`.
        coupling: As in `solve_chain`.
        right: As in `solve_chain`.
        certainty: Inverse of what the motion may differ by at each link.
        share: How much each measured value counts, by its variance and by how well it fits.
    """

    diagonal: Float64[np.ndarray, "cell 5 5"]
    coupling: Float64[np.ndarray, "pair 5 5"]
    right: Float64[np.ndarray, "cell 5"]
    certainty: Float64[np.ndarray, "link 5 5"]
    share: Float64[np.ndarray, "row 3"]


def _linearise(
    problem: _Problem,
    state: Float64[np.ndarray, "cell 5"],
    after: Float64[np.ndarray, "link 5"],
    jacobian: Float64[np.ndarray, "link 5 5"],
) -> _System:
    chains, measured, tail, track = (
        problem.chains,
        problem.measured,
        problem.tail,
        problem.link_track,
    )
    noise = process_noise(
        state[tail],
        problem.wheeled[track],
        problem.acceleration[track],
        problem.turning[track],
        problem.dt,
    )
    certainty = np.linalg.inv(noise + np.diag(_SLACK))
    error = state[tail + 1] - after
    pulled = jacobian.transpose(0, 2, 1) @ certainty
    diagonal = np.zeros((chains.cells, 5, 5))
    right = np.zeros_like(state)
    diagonal[tail] += pulled @ jacobian
    diagonal[tail + 1] += certainty
    right[tail] += (pulled @ error[:, :, None])[:, :, 0]
    right[tail + 1] -= (certainty @ error[:, :, None])[:, :, 0]
    coupling = np.zeros((max(chains.cells - 1, 0), 5, 5))
    coupling[tail] = -pulled
    axes = np.arange(5)
    diagonal[chains.start[:, None], axes, axes] += problem.prior
    right[chains.start] -= problem.prior * state[chains.start]
    off = measured.value - state[measured.cell, :MEASURED]
    weight = _FREEDOMS / (_FREEDOM + _misfit(measured, state))
    share = np.repeat(weight, [2, 1], axis=1) / measured.variance
    for axis in range(MEASURED):
        # A cell has one measurement at most, so nothing is added twice.
        diagonal[measured.cell, axis, axis] += share[:, axis]
        right[measured.cell, axis] += share[:, axis] * off[:, axis]
    return _System(diagonal, coupling, right, certainty, share)


def _improve(
    problem: _Problem, state: Float64[np.ndarray, "cell 5"]
) -> Float64[np.ndarray, "cell 5"]:
    """Return a likelier course of each track, or the same if it is the likeliest."""
    after, jacobian = problem.predict(state)
    system = _linearise(problem, state, after, jacobian)
    step = solve_chain(system.diagonal, system.coupling, system.right)
    links, rows = np.arange(len(problem.tail)), np.arange(len(problem.row_track))
    most = problem.cost(state, after, system.certainty, links, rows) + _TOLERANCE
    onward, part = state + step, 1.0
    after, _ = problem.predict(onward)
    worse = problem.cost(onward, after, system.certainty, links, rows) > most
    for _ in range(_SHORTENINGS):
        # Where headings contradict the way, a whole step may lead away from the likeliest.
        if not worse.any():
            break
        part /= 4
        cells = worse[problem.chains.track]
        links, rows = (
            np.flatnonzero(worse[problem.link_track]),
            np.flatnonzero(worse[problem.row_track]),
        )
        onward[cells] = state[cells] + part * step[cells]
        after, _ = problem.predict(onward, links)
        worse &= problem.cost(onward, after, system.certainty, links, rows) > most
    return onward


def _misfit(
    measured: Measurements, state: Float64[np.ndarray, "cell 5"]
) -> Float64[np.ndarray, "row 2"]:
    squared = (measured.value - state[measured.cell, :MEASURED]) ** 2 / measured.variance
    return np.column_stack([squared[:, 0] + squared[:, 1], squared[:, 2]])


def _first_guess(
    chains: Chains, measured: Measurements, wheeled: Bool[np.ndarray, " track"], dt: float
) -> Float64[np.ndarray, "cell 5"]:
    """Return states that join what was measured by straight lines."""
    state = np.zeros((chains.cells, 5))
    cells = np.arange(chains.cells)
    place = np.column_stack(
        [np.interp(cells, measured.cell, measured.value[:, axis]) for axis in range(MEASURED)]
    )
    # Before the first and after the last measurement of a track, hold it: no line to its neighbour.
    count = np.bincount(chains.track[measured.cell], minlength=len(chains.length))
    last = np.cumsum(count) - 1
    first = last - count + 1
    track = chains.track
    low, high = measured.cell[first][track], measured.cell[last][track]
    place = np.where((cells < low)[:, None], measured.value[first][track], place)
    place = np.where((cells > high)[:, None], measured.value[last][track], place)
    state[:, :MEASURED] = place
    step = np.zeros((chains.cells, 2))
    step[:-1] = np.where(chains.follows[:, None], np.diff(place[:, :2], axis=0), 0.0) / dt
    along = step[:, 0] * np.cos(place[:, 2]) + step[:, 1] * np.sin(place[:, 2])
    state[:, 3] = np.where(wheeled[track], along, step[:, 0])
    state[:, 4] = np.where(wheeled[track], 0.0, step[:, 1])
    return state
