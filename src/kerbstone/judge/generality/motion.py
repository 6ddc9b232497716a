"""Tasks of motion: where road users will be, and where they were while nobody saw them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.errors import InputError
from kerbstone.judge.generality.measures import MEAN_ERROR, Measure
from kerbstone.judge.generality.outcomes import Outcome
from kerbstone.judge.generality.sampling import PAST, PRESENT, Sample
from kerbstone.judge.generality.subjects import Bench, repeat_logs
from kerbstone.world.baselines import FORECASTS, INFILLS, Baseline, Example, fit_baseline
from kerbstone.world.masks import Forecast, HideKind, Infill, MaskFamily, Together
from kerbstone.world.metrics import reaches, score_forecast, score_infill
from kerbstone.world.mixture import Mixture
from kerbstone.world.windows import STEP

_MODES = 6
_SINGLE = frozenset({"stand"})
"""Rules that have but one mode."""
_FIXED = frozenset({"stand", "linear", "cubic"})
"""Rules that learn nothing but the scales of their errors."""
_LEAST_HALVED = 4


@dataclass(frozen=True)
class ForecastTask:
    """Where road users will be after some time: the distance of the nearest of six modes then.

    Args:
        name: Name of the task.
        horizon: After how long [s].
        family: Name of its specialist.
        is_kind_hidden: Whether kinds and sizes are hidden at once, which no model was trained for.
    """

    name: str
    horizon: float
    family: str = "forecast"
    is_kind_hidden: bool = False
    is_simulated_only: bool = False
    measure: Measure = MEAN_ERROR

    @property
    def mask(self) -> tuple[str, MaskFamily]:
        """Name of its mask, and the mask."""
        future = Forecast(PAST)
        if not self.is_kind_hidden:
            return "future", future
        return "future without kinds", Together((future, HideKind(share=1.0)))

    def ask(self, sample: Sample, bench: Bench) -> Outcome:
        """Return what everybody answers about the windows of a domain."""
        last = PRESENT + round(self.horizon / STEP)

        def score(mixture: Mixture, example: Example) -> np.ndarray:
            counted = reaches(self._counted(example), last)
            return score_forecast(mixture, example.position, counted, modes=_MODES).min_fde

        def asked(example: Example) -> np.ndarray:
            return np.asarray(reaches(self._counted(example), last).any(axis=1))

        question = _Question(*self.mask, FORECASTS, _MODES, score, asked)
        return _compare(sample, bench, self.family, question)

    @staticmethod
    def _counted(example: Example) -> Bool[np.ndarray, "agent step"]:
        # Who is not there at the present has no beginning to go on from.
        return example.counted & example.tracks.valid[:, PRESENT, None]


@dataclass(frozen=True)
class InfillTask:
    """Where road users were during a gap: the mean distance of one trajectory (`world.condense`).

    Args:
        name: Name of the task.
        gap: Length of the gap [s].
    """

    name: str
    gap: float
    family: str = "infill"
    is_simulated_only: bool = False
    measure: Measure = MEAN_ERROR

    @property
    def mask(self) -> tuple[str, MaskFamily]:
        """Name of its mask, and the mask."""
        return f"gap {self.gap:g}", Infill(self.gap)

    def ask(self, sample: Sample, bench: Bench) -> Outcome:
        """Return what everybody answers about the windows of a domain."""

        def score(mixture: Mixture, example: Example) -> np.ndarray:
            return score_infill(mixture, example.position, example.counted).mean

        def asked(example: Example) -> np.ndarray:
            return np.asarray(example.counted.any(axis=1))

        question = _Question(*self.mask, INFILLS, 1, score, asked)
        return _compare(sample, bench, self.family, question)


@dataclass(frozen=True, eq=False)
class _Question:
    """A mask, and how what is said of its hidden cells is scored.

    Args:
        name: Name of the mask.
        hiding: The mask.
        rules: Names of the trivial rules.
        modes: How many modes those have that can have several.
        score: Of each road user of an example.
        asked: Which road users of an example count.
    """

    name: str
    hiding: MaskFamily
    rules: tuple[str, ...]
    modes: int
    score: Callable[[Mixture, Example], np.ndarray]
    asked: Callable[[Example], np.ndarray]


def _compare(sample: Sample, bench: Bench, family: str, question: _Question) -> Outcome:
    """Return what everybody says.

    Rules are fitted to what the generalist was trained on and, in a domain that is new to it, once
    more to half of the domain's own logs each, to speak of the other half: a rule that only has
    another noise to learn there must not look bad for that.
    """
    examples = _make_examples(sample, question)
    if not examples:
        return Outcome.nothing("no window has a road user")
    rows = [question.asked(example) for example in examples]

    def gather(mixtures: Sequence[Mixture]) -> Float64[np.ndarray, " item"]:
        told = zip(mixtures, examples, rows, strict=True)
        return np.concatenate([question.score(mixture, each)[own] for mixture, each, own in told])

    answers = {}
    for subject in bench.subjects(family):
        predicted = subject.predict(sample, question.name, question.hiding)
        answers[subject.name] = gather([each.mixture for each in predicted])

    def ask_rules() -> dict[str, list[Mixture]]:
        rules = bench.training.keep(
            ("rules", question.name),
            lambda: _fit_rules(_make_examples(bench.training, question), question, sample.seed),
        )
        told = {rule.name: [rule.predict(each.tracks) for each in examples] for rule in rules}
        return told if sample.is_own else told | _fit_here(examples, question, sample.seed)

    for name, told in sample.keep(("told", question.name), ask_rules).items():
        answers[name] = gather(told)
    log = repeat_logs(sample, [int(own.sum()) for own in rows])
    return Outcome(np.zeros(len(log)), log, answers)


def _make_examples(sample: Sample, question: _Question) -> list[Example]:
    def make() -> list[Example]:
        seen = sample.observe(question.name, question.hiding)
        told = zip(sample.drawn, seen, strict=True)
        return [Example.of(each.window, left, log=each.log) for each, left in told]

    return sample.keep(("examples", question.name), make)


def _fit_rules(examples: Sequence[Example], question: _Question, seed: int) -> list[Baseline]:
    return [
        fit_baseline(rule, examples, modes=1 if rule in _SINGLE else question.modes, seed=seed)
        for rule in question.rules
    ]


def _fit_here(
    examples: Sequence[Example], question: _Question, seed: int
) -> dict[str, list[Mixture]]:
    """Return what rules say that were fitted to the other half of the domain's logs."""
    logs = list(dict.fromkeys(example.log for example in examples))
    if len(logs) < _LEAST_HALVED:
        return {}
    even = set(logs[::2])
    sides = [example.log in even for example in examples]
    try:
        fitted = {
            side: _fit_rules(
                [e for e, own in zip(examples, sides, strict=True) if own != side], question, seed
            )
            for side in (True, False)
        }
    except InputError:  # too little is there to learn from
        return {}
    return {
        f"{rule}, fitted there": [
            fitted[side][place].predict(each.tracks)
            for each, side in zip(examples, sides, strict=True)
        ]
        for place, rule in enumerate(question.rules)
        if rule not in _FIXED
    }
