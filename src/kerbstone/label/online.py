"""The online pass: each step's detections go to the tracks that run, or start new ones.

Nothing is decided here that the offline pass could decide better: every detection that fits no
track starts one, weak ones too, and tracks live on while they are not seen, since a premature
death is what breaks identities. What was noise is told by its whole track, later.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from scipy.optimize import linear_sum_assignment

from kerbstone.label.motion import MEASURED, has_wheels, predict_state, process_noise
from kerbstone.label.profile import Profile
from kerbstone.scene import BoxIndex, Detections

_BEYOND = 1e6
"""Cost of a pair that cannot be; finite, so that the solver takes it."""


def track_online(
    detections: Detections, profile: Profile, *, sensor: Float64[np.ndarray, "time 2"] | None = None
) -> Int64[np.ndarray, " row"]:
    """Return the track of each detection, numbered from 0 by first row.

    Args:
        detections: What the detector saw.
        profile: How road users move and how well the detector measures.
        sensor: Where the recording car was at each step [m]; measurement noise grows with the
            distance from it, and is that of near ones where it is not known.

    References:
        Weng et al., "3D Multi-Object Tracking: A Baseline and New Evaluation Metrics", IROS 2020;
        Wang et al., "Immortal Tracker: Tracklet Never Dies", 2021.
    """
    track = np.full(len(detections), -1, np.int64)
    bounds = detections.starts()
    running = _Running(profile, detections.clock.dt)
    place = detections.box[:, [BoxIndex.X, BoxIndex.Y, BoxIndex.HEADING]]
    noise = np.empty_like(place)
    noise[:, :2] = profile.place_noise(detections, sensor)[:, None]
    noise[:, 2] = profile.table["heading_noise"][detections.kind]
    doubt = -np.log(np.maximum(profile.reality(detections.kind, detections.score), 1e-3))
    for step in np.unique(detections.step):
        rows = slice(bounds[step], bounds[step + 1])
        running.advance(int(step))
        track[rows] = running.take(
            place[rows], noise[rows] ** 2, detections.kind[rows], doubt[rows]
        )
    return track


class _Running:
    """The tracks that run: an extended Kalman filter each, all as rows of a few arrays."""

    def __init__(self, profile: Profile, dt: float) -> None:
        self._profile, self._dt = profile, dt
        self._step = 0
        self._count = 0
        self._number = np.zeros(0, np.int64)
        self._state = np.zeros((0, 5))
        self._covariance = np.zeros((0, 5, 5))
        self._kind = np.zeros(0, np.uint8)
        self._hits = np.zeros(0, np.int64)
        self._seen = np.zeros(0, np.int64)

    def advance(self, step: int) -> None:
        """Move all tracks to a step; end those that were not seen for too long."""
        unseen = (step - self._seen) * self._dt
        limit = np.where(self._hits > 1, self._profile.lifetime, self._profile.trial)
        alive = unseen <= limit + 1e-9
        if not alive.all():
            for name in ("_number", "_state", "_covariance", "_kind", "_hits", "_seen"):
                setattr(self, name, getattr(self, name)[alive])
        dt, self._step = (step - self._step) * self._dt, step
        if dt == 0 or not len(self._number):
            return
        table, wheeled = self._profile.table, has_wheels(self._kind)
        spread = process_noise(
            self._state,
            wheeled,
            table["acceleration"][self._kind],
            table["turning"][self._kind],
            dt,
        )
        self._state, jacobian = predict_state(self._state, wheeled, dt)
        self._covariance = jacobian @ self._covariance @ jacobian.transpose(0, 2, 1) + spread

    def take(
        self,
        place: Float64[np.ndarray, "row 3"],
        variance: Float64[np.ndarray, "row 3"],
        kind: UInt8[np.ndarray, " row"],
        doubt: Float64[np.ndarray, " row"],
    ) -> Int64[np.ndarray, " row"]:
        """Give the step's detections to tracks, or start new ones; return the tracks' numbers."""
        number = np.full(len(place), -1, np.int64)
        if len(self._number):
            row, column = self._match(place, variance, kind, doubt)
            number[column] = self._number[row]
            self._update(row, place[column], variance[column])
        fresh = np.flatnonzero(number < 0)
        number[fresh] = self._count + np.arange(len(fresh))
        self._start(number[fresh], place[fresh], variance[fresh], kind[fresh])
        return number

    def _match(
        self,
        place: Float64[np.ndarray, "row 3"],
        variance: Float64[np.ndarray, "row 3"],
        kind: UInt8[np.ndarray, " row"],
        doubt: Float64[np.ndarray, " row"],
    ) -> tuple[Int64[np.ndarray, " match"], Int64[np.ndarray, " match"]]:
        """Return which track goes with which detection, at the least total cost.

        The cost of a pair is minus the log of how likely the track leaves the detection there.
        """
        dx = place[None, :, 0] - self._state[:, None, 0]
        dy = place[None, :, 1] - self._state[:, None, 1]
        xx = self._covariance[:, None, 0, 0] + variance[None, :, 0]
        yy = self._covariance[:, None, 1, 1] + variance[None, :, 1]
        xy = self._covariance[:, None, 0, 1]
        area = xx * yy - xy * xy
        distance = (yy * dx * dx - 2 * xy * dx * dy + xx * dy * dy) / area
        strange = self._profile.strangeness[self._kind[:, None], kind[None]]
        cost = 0.5 * (distance + np.log(area)) + strange + doubt[None]
        fits = (distance < self._profile.gate) & np.isfinite(strange)
        return _assign(cost, fits)

    def _update(
        self,
        row: Int64[np.ndarray, " match"],
        place: Float64[np.ndarray, "match 3"],
        variance: Float64[np.ndarray, "match 3"],
    ) -> None:
        """Correct tracks by what was measured of them."""
        state, covariance = self._state[row], self._covariance[row]
        off = place - state[:, :MEASURED]
        # Front and rear are told apart over the whole track, later.
        off[:, 2] -= np.pi * np.round(off[:, 2] / np.pi)
        gain_part = covariance[:, :, :MEASURED]
        total = covariance[:, :MEASURED, :MEASURED].copy()
        total[:, [0, 1, 2], [0, 1, 2]] += variance
        gain = gain_part @ np.linalg.inv(total)
        self._state[row] = state + (gain @ off[:, :, None])[:, :, 0]
        covariance = covariance - gain @ gain_part.transpose(0, 2, 1)
        # What rounding makes uneven would grow from step to step.
        self._covariance[row] = (covariance + covariance.transpose(0, 2, 1)) / 2
        self._hits[row] += 1
        self._seen[row] = self._step

    def _start(
        self,
        number: Int64[np.ndarray, " new"],
        place: Float64[np.ndarray, "new 3"],
        variance: Float64[np.ndarray, "new 3"],
        kind: UInt8[np.ndarray, " new"],
    ) -> None:
        """Start tracks that stand, as far as is known."""
        count = len(number)
        if not count:
            return
        self._count += count
        state = np.zeros((count, 5))
        state[:, :MEASURED] = place
        covariance = np.zeros((count, 5, 5))
        covariance[:, [0, 1, 2], [0, 1, 2]] = variance
        speed = self._profile.table["speed"][kind]
        covariance[:, 3, 3] = speed**2
        covariance[:, 4, 4] = np.where(has_wheels(kind), 0.3, speed) ** 2
        self._number = np.concatenate([self._number, number])
        self._state = np.concatenate([self._state, state])
        self._covariance = np.concatenate([self._covariance, covariance])
        self._kind = np.concatenate([self._kind, kind])
        self._hits = np.concatenate([self._hits, np.ones(count, np.int64)])
        self._seen = np.concatenate([self._seen, np.full(count, self._step)])


def _assign(
    cost: Float64[np.ndarray, "track row"], fits: np.ndarray
) -> tuple[Int64[np.ndarray, " match"], Int64[np.ndarray, " match"]]:
    """Return the pairs of the best assignment, as many of those that fit as can be."""
    row, column = np.nonzero(fits)
    if len(np.unique(row)) == len(row) and len(np.unique(column)) == len(column):
        return row, column  # nothing competes
    # Only rows and columns that fit anything take part; groups that touch no other are solved alone.
    rows, columns = np.unique(row), np.unique(column)
    table = np.where(fits, cost, _BEYOND)[np.ix_(rows, columns)]
    picked_row, picked_column = linear_sum_assignment(table)
    kept = table[picked_row, picked_column] < _BEYOND
    return rows[picked_row[kept]], columns[picked_column[kept]]
