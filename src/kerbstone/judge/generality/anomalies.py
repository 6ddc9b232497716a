"""The task of anomalies: does surprise tell who takes part in a planted event, and when?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from kerbstone.judge.generality.events import Event
from kerbstone.judge.generality.measures import AUROC, Measure
from kerbstone.judge.generality.outcomes import Outcome
from kerbstone.judge.generality.sampling import Listed, Sample
from kerbstone.judge.generality.subjects import Bench, Subject
from kerbstone.mine.moments.criticality import assess_scene
from kerbstone.scene import Scene
from kerbstone.world.calibrating import kinds_of, measure_excess
from kerbstone.world.conformal import Calibration, fit_calibration
from kerbstone.world.scoring import AHEAD, SceneScores, score_scene

_CALIBRATING = 8
"""Training scenes that surprise is calibrated with, by kind and speed."""


@dataclass(frozen=True)
class AnomalyTask:
    """Which road users misbehave in a planted event, among all of them, every second for 3 s.

    The item is a road user in a stretch of 3 s that begins on a whole second. It is sought where
    it is the one who misbehaves in an event that shares a second with it; those whom the event
    concerns are no items then, for what they do is neither usual nor staged. The specialist is the
    model that learned to forecast alone. The rules are the criticality of the moment, for the pair
    that it is about, how near the nearest other road user comes, and how unlikely constant velocity
    finds what was done.
    """

    name: str = "anomaly"
    family: str = "forecast"
    is_simulated_only: bool = True
    measure: Measure = AUROC

    def ask(self, sample: Sample, bench: Bench) -> Outcome:
        """Return what everybody answers about the scenes of a domain."""
        subjects = list(bench.subjects(self.family))
        found = [self._ask(listed, sample, bench, subjects) for listed in sample.scenes]
        parts = [part for part in found if len(part.truth)]
        if not parts:
            return Outcome.nothing("no road user is seen for long enough")
        return Outcome(
            np.concatenate([part.truth for part in parts]),
            np.concatenate([part.log for part in parts]),
            {n: np.concatenate([part.answers[n] for part in parts]) for n in parts[0].answers},
        )

    def _ask(
        self, listed: Listed, sample: Sample, bench: Bench, subjects: list[Subject]
    ) -> Outcome:
        scene = sample.open(listed.id)
        events = sample.events.get(listed.id, ())
        surprise, scores = {}, None
        for subject in subjects:
            scores = _score(subject, sample, scene)
            surprise[subject.name] = _surprise(subject, bench.training, scene, scores)
        assert scores is not None  # noqa: S101 - the generalist is always asked
        if not len(scores.start):
            return Outcome.nothing("a scene is too short")
        truth = _find_truth(scores, events)
        answers = surprise | {
            "criticality": _criticality(scene, scores),
            "nearness": _nearness(scene, scores),
            "constant_velocity": np.where(scores.steps > 0, scores.baseline, np.nan),
        }
        known = np.isfinite(truth) & np.isfinite(surprise[subjects[0].name])
        log = np.full(int(known.sum()), listed.log, object)
        return Outcome(truth[known], log, {name: v[known] for name, v in answers.items()})


def _score(subject: Subject, sample: Sample, scene: Scene) -> SceneScores:
    return sample.keep(("scores", subject.key, scene.id), lambda: score_scene(subject.model, scene))


def _surprise(
    subject: Subject, training: Sample, scene: Scene, scores: SceneScores
) -> Float64[np.ndarray, "agent window"]:
    """Return surprise, calibrated by kind and speed on training scenes."""

    def calibrate() -> Calibration:
        scenes = [training.open(each.id) for each in training.scenes[:_CALIBRATING]]
        found = [_tell(each, _score(subject, training, each)) for each in scenes]
        parts = [np.concatenate([each[part] for each in found]) for part in range(3)]
        return fit_calibration(*parts, model=subject.key)

    calibration: Calibration = training.keep(("calibration", subject.key), calibrate)
    values = [each.reshape(scores.nll.shape) for each in _tell(scene, scores)]
    return calibration.surprise(*values)


def _tell(scene: Scene, scores: SceneScores) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return excess, kind and speed of all cells."""
    excess = measure_excess(scores)
    kind = np.broadcast_to(kinds_of(scene, scores)[:, None], excess.shape)
    return excess.ravel(), kind.ravel(), scores.speed.ravel()


def _find_truth(
    scores: SceneScores, events: tuple[Event, ...]
) -> Float64[np.ndarray, "agent window"]:
    """Return 1 for who misbehaves, 0 for who has nothing to do with it, NaN for others."""
    truth = np.zeros((len(scores.ids), len(scores.start)))
    row_of = {name: row for row, name in enumerate(scores.ids)}
    shared = [
        (event, np.array([event.shares(start, start + AHEAD) for start in scores.start], bool))
        for event in events
    ]
    for event, when in shared:
        for agent in event.agents[1:]:
            if agent in row_of:
                truth[row_of[agent], when] = np.nan
    for event, when in shared:
        if event.agents and event.agents[0] in row_of:
            truth[row_of[event.agents[0]], when] = 1.0
    return truth


def _criticality(scene: Scene, scores: SceneScores) -> Float64[np.ndarray, "agent window"]:
    """Return the criticality of each moment for the pair that it is about, 0 for all others."""
    found = np.zeros((len(scores.ids), len(scores.start)))
    row_of = {name: row for row, name in enumerate(scores.ids)}
    rows = {round(row["start"]): row for row in assess_scene(scene).to_pylist()}
    for column, start in enumerate(scores.start):
        row = rows.get(round(start), {"agents": (), "score": 0.0})
        for agent in row["agents"]:
            found[row_of[agent], column] = np.nan_to_num(row["score"])
    return found


def _nearness(scene: Scene, scores: SceneScores) -> Float64[np.ndarray, "agent window"]:
    """Return minus the distance of the nearest other road user, twice a second [m]."""
    every = max(round(0.5 / scene.clock.dt), 1)
    point = scene.agents.centre[:, ::every, :2]
    nearest = np.full(point.shape[:2], np.inf)
    for step in range(point.shape[1]):
        here = np.flatnonzero(np.isfinite(point[:, step]).all(axis=1))
        apart = point[here, None, step] - point[None, here, step]
        away = np.hypot(apart[..., 0], apart[..., 1])
        np.fill_diagonal(away, np.inf)
        nearest[here, step] = away.min(axis=1, initial=np.inf)
    found = np.full((len(scores.ids), len(scores.start)), -np.inf)
    for column, start in enumerate(scores.start):
        first = round(start / (every * scene.clock.dt))
        last = first + round(AHEAD / (every * scene.clock.dt))
        found[:, column] = -nearest[:, first:last].min(axis=1, initial=np.inf)
    return np.maximum(found, -1e6)
