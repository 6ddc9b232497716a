"""The likeliest course of each track, given all that was measured of it, before and after.

A course is the least-squares solution of what was measured and of how road users move
(`label.motion`), over all its steps at once: in gaps and beyond the ends the motion alone says
where it was. Measurements that fit badly count less, as those of a Student distribution do.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    if not chains.cells:
        return Course(np.zeros((0, 5)), np.zeros((0, 5, 5)), np.zeros((0, 2)))
    tail = np.flatnonzero(chains.follows)
    head = tail + 1
    track, own = chains.track[tail], chains.track[measured.cell]
    every_link, every_row = np.arange(len(tail)), np.arange(len(own))
    state = _first_guess(chains, measured, wheeled, dt)
    after, jacobian = predict_state(state[tail], wheeled[track], dt)
    diagonal = coupling = np.zeros((0, 5, 5))
    share = np.zeros_like(measured.value)
    prior = np.zeros((len(wheeled), 5))
    prior[:, 3] = speed**-2.0
    prior[:, 4] = np.where(wheeled, 0.5**-2, speed**-2.0)
    for _ in range(rounds):
        noise = process_noise(
            state[tail], wheeled[track], acceleration[track], turning[track], dt
        ) + np.diag(_SLACK)
        certainty = np.linalg.inv(noise)
        error = state[head] - after
        pulled = jacobian.transpose(0, 2, 1) @ certainty
        diagonal = np.zeros((chains.cells, 5, 5))
        right = np.zeros_like(state)
        diagonal[tail] += pulled @ jacobian
        diagonal[head] += certainty
        right[tail] += (pulled @ error[:, :, None])[:, :, 0]
        right[head] -= (certainty @ error[:, :, None])[:, :, 0]
        coupling = np.zeros((max(chains.cells - 1, 0), 5, 5))
        coupling[tail] = -pulled
        axes = np.arange(5)
        diagonal[chains.start[:, None], axes, axes] += prior
        right[chains.start] -= prior * state[chains.start]
        off = measured.value - state[measured.cell, :MEASURED]
        misfit = _misfit(measured, state)
        weight = _FREEDOMS / (_FREEDOM + misfit)
        share = np.repeat(weight, [2, 1], axis=1) / measured.variance
        for axis in range(MEASURED):
            # A cell has one measurement at most, so nothing is added twice.
            diagonal[measured.cell, axis, axis] += share[:, axis]
            right[measured.cell, axis] += share[:, axis] * off[:, axis]
        step = solve_chain(diagonal, coupling, right)
        costs = _Costs(chains.start, prior, track, certainty, own, measured)
        loss = costs.sum(state, error, every_link, every_row)
        onward = state + step
        after, jacobian = predict_state(onward[tail], wheeled[track], dt)
        reached = costs.sum(onward, onward[head] - after, every_link, every_row)
        # Where headings contradict the way, a whole step may lead away from the likeliest.
        worse, part = reached > loss + _TOLERANCE, 1.0
        for _ in range(_SHORTENINGS):
            if not worse.any():
                break
            part /= 4
            cells, rows = worse[chains.track], np.flatnonzero(worse[own])
            links = np.flatnonzero(worse[track])
            onward[cells] = state[cells] + part * step[cells]
            after[links], jacobian[links] = predict_state(
                onward[tail[links]], wheeled[track[links]], dt
            )
            error = onward[head[links]] - after[links]
            worse &= costs.sum(onward, error, links, rows) > loss + _TOLERANCE
        state = onward
    # Weights that look at how well each fits take the fit for knowledge; on average a measurement
    # of a Student distribution says by this less.
    less = np.repeat(2 / (_FREEDOMS + 2), [2, 1]) * share
    for axis in range(MEASURED):
        diagonal[measured.cell, axis, axis] -= less[:, axis]
    covariance = invert_diagonal(diagonal, coupling, chains)
    return Course(state, covariance, _misfit(measured, state))


class _Costs(NamedTuple):
    """What makes a course unlikely."""

    start: Int64[np.ndarray, " track"]
    prior: Float64[np.ndarray, "track 5"]
    link_track: Int64[np.ndarray, " link"]
    certainty: Float64[np.ndarray, "link 5 5"]
    row_track: Int64[np.ndarray, " row"]
    measured: Measurements

    def sum(
        self,
        state: Float64[np.ndarray, "cell 5"],
        error: Float64[np.ndarray, "some 5"],
        links: Int64[np.ndarray, " some"],
        rows: Int64[np.ndarray, " few"],
    ) -> Float64[np.ndarray, " track"]:
        """Return minus the log of how likely each track's course is, but for a constant.

        Args:
            state: The course.
            error: By how much it differs from what the motion model expects, at some links.
            links: These links; all of the tracks that are asked for.
            rows: All measurements of these tracks.
        """
        count = len(self.start)
        driving = (error * (self.certainty[links] @ error[:, :, None])[:, :, 0]).sum(axis=1) / 2
        cost = sum_by(self.link_track[links], driving, count)
        cost += (self.prior * state[self.start] ** 2).sum(axis=1) / 2
        seen = self.measured
        few = Measurements(seen.cell[rows], seen.value[rows], seen.variance[rows])
        tails = _FREEDOMS / 2 * np.log1p(_misfit(few, state) / _FREEDOM)
        return cost + sum_by(self.row_track[rows], tails.sum(axis=1), count)


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
