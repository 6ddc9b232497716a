"""The online pass: each step's detections go to the tracks that run, or start new ones.

Nothing is decided here that the offline pass could decide better: every detection that fits no
track starts one, weak ones too, and tracks live on while they are not seen, since a premature
death is what breaks identities. What was noise is told by its whole track, later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.label.affinity.model import Affinity
from kerbstone.label.assignment import assign_pairs
from kerbstone.label.candidates import (
    Candidates,
    Expected,
    LookIndex,
    Sightings,
    find_candidates,
)
from kerbstone.label.motion import MEASURED, has_wheels, predict_state, process_noise
from kerbstone.label.profile import Profile
from kerbstone.scene import BoxIndex, Detections

_ANY = 1e6
"""Gain of any pair that fits, so that as many as can be are matched before costs are looked at."""
_FORGETTING = 0.2
"""Least weight of a new detection in what a track looks like."""


class Situation(NamedTuple):
    """What the online pass faces at a step, before it decides.

    Args:
        first_row: Row of the step's first detection.
        number: Number of each track that runs.
        tracks: The tracks that run, moved to the step.
        rows: The step's detections.
        pairs: Which of them may belong together.
    """

    first_row: int
    number: Int64[np.ndarray, " track"]
    tracks: Expected
    rows: Sightings
    pairs: Candidates


def track_online(
    detections: Detections,
    profile: Profile,
    *,
    sensor: Float64[np.ndarray, "time 2"] | None = None,
    affinity: Affinity | None = None,
    on_step: Callable[[Situation], object] | None = None,
) -> Int64[np.ndarray, " row"]:
    """Return the track of each detection, numbered from 0 by first row.

    A step with very many detections takes no more memory than they do: each track then considers
    only the detections nearest to it.

    Args:
        detections: What the detector saw.
        profile: How road users move and how well the detector measures.
        sensor: Where the recording car was at each step [m]; measurement noise grows with the
            distance from it, and is that of near ones where it is not known.
        affinity: What it costs that a track and a detection belong together or are alone. If not
            given, as many pairs as fit are matched, at the least sum of minus the log of how
            likely each track leaves its detection there.
        on_step: Called at each step at which tracks run, before detections are given to them.

    References:
        Weng et al., "3D Multi-Object Tracking: A Baseline and New Evaluation Metrics", IROS 2020;
        Wang et al., "Immortal Tracker: Tracklet Never Dies", 2021.
    """
    track = np.full(len(detections), -1, np.int64)
    bounds = detections.starts()
    running = _Running(profile, detections.clock.dt, affinity)
    seen = see(detections, profile, sensor)
    for step in np.unique(detections.step):
        rows = slice(bounds[step], bounds[step + 1])
        running.advance(int(step))
        present = Sightings(*(column[rows] for column in seen))
        pairs = None
        if len(running.number):
            pairs = find_candidates(running.expected(), present, profile)
            if on_step is not None:
                now = Situation(
                    int(bounds[step]), running.number, running.expected(), present, pairs
                )
                on_step(now)
        track[rows] = running.take(present, pairs)
    return track


def see(
    detections: Detections, profile: Profile, sensor: Float64[np.ndarray, "time 2"] | None = None
) -> Sightings:
    """Return all detections of a log as the online pass sees those of a step."""
    place = detections.box[:, [BoxIndex.X, BoxIndex.Y, BoxIndex.HEADING]]
    noise = np.empty_like(place)
    noise[:, :2] = profile.place_noise(detections, sensor)[:, None]
    noise[:, 2] = profile.table["heading_noise"][detections.kind]
    look = np.empty((len(place), len(LookIndex)))
    look[:, LookIndex.Z] = detections.box[:, BoxIndex.Z]
    look[:, LookIndex.LOG_LENGTH : LookIndex.DOUBT] = np.log(detections.box[:, BoxIndex.LENGTH :])
    reality = profile.reality(detections.kind, detections.score)
    look[:, LookIndex.DOUBT] = -np.log(np.maximum(reality, 1e-3))
    return Sightings(place, noise**2, detections.kind, look)


class _Running:
    """The tracks that run: an extended Kalman filter each, all as rows of a few arrays."""

    def __init__(self, profile: Profile, dt: float, affinity: Affinity | None) -> None:
        self._profile, self._dt, self._affinity = profile, dt, affinity
        self._step = 0
        self._count = 0
        self.number = np.zeros(0, np.int64)
        self._state = np.zeros((0, 5))
        self._covariance = np.zeros((0, 5, 5))
        self._kind = np.zeros(0, np.uint8)
        self._hits = np.zeros(0, np.int64)
        self._seen = np.zeros(0, np.int64)
        self._look = np.zeros((0, len(LookIndex)))

    def advance(self, step: int) -> None:
        """Move all tracks to a step; end those that were not seen for too long."""
        unseen = (step - self._seen) * self._dt
        limit = np.where(self._hits > 1, self._profile.lifetime, self._profile.trial)
        # Whatever the rate, everything lives to the next step.
        alive = unseen <= np.maximum(limit, self._dt) + 1e-9
        if not alive.all():
            for name in (
                "number",
                "_state",
                "_covariance",
                "_kind",
                "_hits",
                "_seen",
                "_look",
            ):
                setattr(self, name, getattr(self, name)[alive])
        dt, self._step = (step - self._step) * self._dt, step
        if dt == 0 or not len(self.number):
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

    def expected(self) -> Expected:
        """Return the tracks as they are expected at the present step."""
        unseen = (self._step - self._seen) * self._dt
        return Expected(self._state, self._covariance, self._kind, self._hits, unseen, self._look)

    def take(self, rows: Sightings, pairs: Candidates | None) -> Int64[np.ndarray, " row"]:
        """Give the step's detections to tracks, or start new ones; return the tracks' numbers."""
        number = np.full(len(rows.kind), -1, np.int64)
        if pairs is not None:
            chosen = assign_pairs(pairs.track, pairs.row, self._gain(rows, pairs))
            track, row = pairs.track[chosen], pairs.row[chosen]
            number[row] = self.number[track]
            self._update(track, Sightings(*(column[row] for column in rows)))
        fresh = np.flatnonzero(number < 0)
        if len(fresh):
            number[fresh] = self._count + np.arange(len(fresh))
            self._start(number[fresh], Sightings(*(column[fresh] for column in rows)))
        return number

    def _gain(self, rows: Sightings, pairs: Candidates) -> Float64[np.ndarray, " pair"]:
        """Return what each pair is worth against leaving its track and its detection alone."""
        if self._affinity is not None:
            return self._affinity.gain(self.expected(), rows, pairs)
        cost = 0.5 * (pairs.distance + pairs.log_area) + pairs.strangeness
        return _ANY - cost - rows.look[pairs.row, LookIndex.DOUBT]

    def _update(self, track: Int64[np.ndarray, " match"], rows: Sightings) -> None:
        """Correct tracks by what was measured of them."""
        state, covariance = self._state[track], self._covariance[track]
        off = rows.place - state[:, :MEASURED]
        # Front and rear are told apart over the whole track, later.
        off[:, 2] -= np.pi * np.round(off[:, 2] / np.pi)
        gain_part = covariance[:, :, :MEASURED]
        total = covariance[:, :MEASURED, :MEASURED].copy()
        total[:, [0, 1, 2], [0, 1, 2]] += rows.variance
        gain = gain_part @ np.linalg.inv(total)
        self._state[track] = state + (gain @ off[:, :, None])[:, :, 0]
        covariance = covariance - gain @ gain_part.transpose(0, 2, 1)
        # What rounding makes uneven would grow from step to step.
        self._covariance[track] = (covariance + covariance.transpose(0, 2, 1)) / 2
        hits = self._hits[track] + 1
        look = self._look[track]
        self._look[track] = look + (rows.look - look) * np.maximum(1 / hits, _FORGETTING)[:, None]
        self._hits[track] = hits
        self._seen[track] = self._step

    def _start(self, number: Int64[np.ndarray, " new"], rows: Sightings) -> None:
        """Start tracks that stand, as far as is known."""
        count = len(number)
        self._count += count
        state = np.zeros((count, 5))
        state[:, :MEASURED] = rows.place
        covariance = np.zeros((count, 5, 5))
        covariance[:, [0, 1, 2], [0, 1, 2]] = rows.variance
        speed = self._profile.table["speed"][rows.kind]
        covariance[:, 3, 3] = speed**2
        covariance[:, 4, 4] = np.where(has_wheels(rows.kind), 0.3, speed) ** 2
        self.number = np.concatenate([self.number, number])
        self._state = np.concatenate([self._state, state])
        self._covariance = np.concatenate([self._covariance, covariance])
        self._kind = np.concatenate([self._kind, rows.kind])
        self._hits = np.concatenate([self._hits, np.ones(count, np.int64)])
        self._seen = np.concatenate([self._seen, np.full(count, self._step)])
        self._look = np.concatenate([self._look, rows.look])
