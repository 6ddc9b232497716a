"""Tasks that ask of vehicles what they are about to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.judge.generality.measures import Measure
from kerbstone.judge.generality.outcomes import Outcome
from kerbstone.judge.generality.reading import read_tokens
from kerbstone.judge.generality.sampling import PAST, Drawn, Sample
from kerbstone.judge.generality.subjects import Bench, Subject, repeat_logs
from kerbstone.world.masks import Forecast
from kerbstone.world.mixture import Mixture
from kerbstone.world.probes import fit_probe


@dataclass(frozen=True, eq=False)
class Questions:
    """What is asked about road users of a window.

    Args:
        rows: The road users; all are seen at the present.
        target: The answers.
        features: What simple kinematics tell of each by its past.
        rules: What rules say without having learned anything, by their names.
    """

    rows: Int64[np.ndarray, " item"]
    target: Float64[np.ndarray, " item"]
    features: Float64[np.ndarray, "item feature"]
    rules: dict[str, Float64[np.ndarray, " item"]]


Pose = Callable[[Drawn], Questions | None]
"""Returns what is asked about a window, None where its scene has no road to ask about."""
Foretell = Callable[[Drawn, Questions, Mixture], Float64[np.ndarray, " item"]]
"""Returns the answers that follow from a forecast of a window."""


@dataclass(frozen=True)
class QuestionTask:
    """A question about vehicles.

    A model answers by its forecast where that says it, else a linear probe reads the answer off its
    tokens, fitted on training logs. The probe on a few kinematic features is a trivial rule, and so
    is the mean of the answers.

    Args:
        name: Name of the task.
        pose: Asks the questions.
        measure: Of the answers.
        is_class: Whether an answer is yes or no, and what is answered ranks; else it is a time [s],
            and the error counts.
        foretell: Reads the answers off a forecast; None where a probe does.
        longest: The longest time that can be the answer [s].
        family: Whose specialist is asked too.
    """

    name: str
    pose: Pose
    measure: Measure
    is_class: bool
    foretell: Foretell | None = None
    longest: float = 5.0
    family: str = "forecast"
    is_simulated_only: bool = False

    def ask(self, sample: Sample, bench: Bench) -> Outcome:
        """Return what everybody answers about the windows of a domain."""
        asked, learned = self._ask(sample), self._ask(bench.training)
        if asked is None:
            return Outcome.nothing("no scene has a map with lanes")
        if learned is None:
            raise InputError("empty", f"the task {self.name!r} needs a map in the training scenes")
        told = {**{name: [q.rules[name] for q in asked] for name in asked[0].rules}}
        answers = {name: np.concatenate(values) for name, values in told.items()}
        target = np.concatenate([q.target for q in asked])
        known = np.concatenate([q.target for q in learned])
        log = repeat_logs(bench.training, [len(q.rows) for q in learned])
        features = (
            np.concatenate([q.features for q in learned]),
            np.concatenate([q.features for q in asked]),
        )
        answers["mean"] = np.full(len(target), known.mean() if len(known) else np.nan)
        answers["kinematics"] = self._probe(*features, known, log)
        for subject in bench.subjects(self.family):
            if self.foretell is not None:
                answers[subject.name] = self._foretell(self.foretell, subject, sample, asked)
                continue
            tokens = (
                read_tokens(subject, bench.training, [q.rows for q in learned]),
                read_tokens(subject, sample, [q.rows for q in asked]),
            )
            answers[subject.name] = self._probe(*tokens, known, log)
        if not self.is_class:
            times = {name: np.clip(v, 0.0, self.longest) for name, v in answers.items()}
            answers = {name: np.abs(values - target) for name, values in times.items()}
        return Outcome(
            target if self.is_class else np.zeros(len(target)),
            repeat_logs(sample, [len(q.rows) for q in asked]),
            answers,
        )

    @staticmethod
    def _foretell(
        foretell: Foretell, subject: Subject, sample: Sample, asked: list[Questions]
    ) -> Float64[np.ndarray, " item"]:
        predicted = subject.predict(sample, "future", Forecast(PAST))
        told = zip(sample.drawn, asked, predicted, strict=True)
        return np.concatenate([foretell(drawn, q, each.mixture) for drawn, q, each in told])

    def _probe(
        self, learned: np.ndarray, asked: np.ndarray, target: np.ndarray, log: np.ndarray
    ) -> Float64[np.ndarray, " item"]:
        return fit_probe(learned, target, log, is_class=self.is_class)(asked)

    def _ask(self, sample: Sample) -> list[Questions] | None:
        """Return what is asked about each window; None where nothing can be asked at all."""

        def pose() -> list[Questions] | None:
            found = [self.pose(each) for each in sample.drawn]
            known = [each for each in found if each is not None]
            if not known:
                return None
            none = Questions(
                np.zeros(0, np.int64),
                np.zeros(0),
                np.zeros((0, known[0].features.shape[1])),
                dict.fromkeys(known[0].rules, np.zeros(0)),
            )
            return [none if each is None else each for each in found]

        return sample.keep(("questions", self.name), pose)
