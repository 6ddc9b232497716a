"""Outcomes: what everybody answered about the items of one cell, and the row that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.errors import InputError
from kerbstone.judge.generality.measures import Measure
from kerbstone.world.metrics import interval_of

GENERALIST, SPECIALIST = "generalist", "specialist"
LEAST_LOGS = 3
"""Of fewer logs an interval tells nothing of other ones."""
LEAST_ITEMS = 20
LEAST_OF_CLASS = 5
"""A class with fewer items does not count; with less than two that do, nothing is told apart."""
DRAWS = 400


class Bounds(NamedTuple):
    """A figure with the ends of its interval of 95 %; None where they are not defined."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


NO_BOUNDS = Bounds()


@dataclass(frozen=True, eq=False)
class Outcome:
    """What everybody answered about the same items.

    Args:
        truth: What is true of each item; 0 where the answers are errors.
        log: Log of each item.
        answers: Of the generalist, of the specialist if there is one, and of each trivial rule.
        reason: Why there are no items, if there are none.

    Raises:
        InputError: They do not fit together.
    """

    truth: Float64[np.ndarray, " item"]
    log: np.ndarray
    answers: Mapping[str, Float64[np.ndarray, " item"]]
    reason: str = ""

    def __post_init__(self) -> None:
        lengths = {len(self.truth), len(self.log), *map(len, self.answers.values())}
        if len(lengths) > 1:
            raise InputError("shape", "answers do not fit their items", why=f"{sorted(lengths)}")

    @classmethod
    def nothing(cls, reason: str) -> Outcome:
        """Return the outcome of a cell that has no items."""
        return cls(np.zeros(0), np.zeros(0, object), {}, reason)

    def select(self, rows: Bool[np.ndarray, " item"]) -> Outcome:
        """Return some of the items."""
        answers = {name: values[rows] for name, values in self.answers.items()}
        return replace(self, truth=self.truth[rows], log=self.log[rows], answers=answers)

    @property
    def trivial(self) -> dict[str, Float64[np.ndarray, " item"]]:
        """Answers of the trivial rules."""
        models = (GENERALIST, SPECIALIST)
        return {name: values for name, values in self.answers.items() if name not in models}


@dataclass(frozen=True)
class Row:
    """A cell of the matrix: a task in a domain.

    Everything but the names is None where it is not defined.

    Args:
        task: Name of the task.
        domain: Name of the domain.
        is_own: Whether the domain is one that the generalist was trained in (on other logs).
        measure: Name of the figure.
        unit: Its unit.
        score: The generalist's figure, and the ends of its interval.
        logs: Number of logs.
        items: Number of items.
        trivial: Name of the best trivial rule in this very cell.
        trivial_score: Its figure.
        scores: Figures of all, by name.
        specialist_score: The specialist's.
        skill: How far the generalist is on the way from the best trivial rule to perfect, with the
            ends of its interval; None where that rule is perfect already.
        specialist_skill: The same of the specialist.
        over_trivial: By how much the generalist is better than the best trivial rule, with the
            ends of the paired interval.
        over_specialist: The same against the specialist.
        reason: Why the cell is not defined; "" where it is.
    """

    task: str
    domain: str
    is_own: bool
    measure: str
    unit: str
    score: Bounds = NO_BOUNDS
    logs: int = 0
    items: int = 0
    trivial: str = ""
    trivial_score: float | None = None
    scores: Mapping[str, float] | None = None
    specialist_score: float | None = None
    skill: Bounds = NO_BOUNDS
    specialist_skill: float | None = None
    over_trivial: Bounds = NO_BOUNDS
    over_specialist: Bounds = NO_BOUNDS
    reason: str = ""

    @property
    def is_defined(self) -> bool:
        """Whether there was enough to tell."""
        return not self.reason

    @property
    def result(self) -> str:
        """Against the strongest opponent, the better of trivial and specialist, by its interval.

        "win" and "loss" where the paired interval does not hold 0, else "tie"; "" where the cell is
        not defined.
        """
        if not self.is_defined:
            return ""
        gains = [
            gain for gain in (self.over_trivial, self.over_specialist) if gain.value is not None
        ]
        return tell_result(min(gains, key=lambda gain: gain.value or 0.0))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self) | {"result": self.result}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Row:
        """Return the row that `to_dict` told of."""
        known: dict[str, Any] = {name: values[name] for name in cls.__dataclass_fields__}
        triples = ("score", "skill", "over_trivial", "over_specialist")
        known |= {name: Bounds(*known[name]) for name in triples}
        return cls(**known)


def tell_result(gain: Bounds) -> str:
    """Return "win", "loss" or "tie" of a paired difference with its interval."""
    if gain.low is not None and gain.low > 0:
        return "win"
    return "loss" if gain.high is not None and gain.high < 0 else "tie"


def make_row(
    outcome: Outcome, measure: Measure, *, task: str, domain: str, is_own: bool, seed: int = 0
) -> Row:
    """Return the row of a cell.

    Only items that all answered count, so that all figures are of the same ones. The best trivial
    rule is the one that does best on these very items, which favours it. Intervals of 95 % are
    over whole logs that are drawn with replacement, for differences of both at once (paired).
    """
    empty = Row(task, domain, is_own, measure.name, measure.unit)
    told = [outcome.truth, *outcome.answers.values()]
    kept = outcome.select(np.asarray(np.isfinite(told).all(axis=0)))
    if measure.classes:
        kept = kept.select(_has_enough(kept.truth))
    logs = len(set(kept.log.tolist()))
    empty = replace(empty, logs=logs, items=len(kept.truth))
    reason = outcome.reason or _find_lack(kept, measure, logs)
    if reason:
        return replace(empty, reason=reason)
    scores = {name: measure.of(values, kept.truth) for name, values in kept.answers.items()}
    best = min(kept.trivial, key=lambda name: measure.gain(0.0, scores[name]))
    has_specialist = SPECIALIST in scores

    def figure(rows: np.ndarray, name: str) -> float:
        return measure.of(kept.answers[name][rows], kept.truth[rows])

    def bound(statistic: Callable[[np.ndarray], float]) -> Bounds:
        found = interval_of(statistic, kept.log, draws=DRAWS, seed=seed)
        return Bounds(_known(found.value), _known(found.low), _known(found.high))

    def over(other: str) -> Bounds:
        return bound(lambda rows: measure.gain(figure(rows, GENERALIST), figure(rows, other)))

    return replace(
        empty,
        score=bound(lambda rows: figure(rows, GENERALIST)),
        trivial=best,
        trivial_score=scores[best],
        scores=scores,
        specialist_score=scores.get(SPECIALIST),
        skill=bound(lambda rows: measure.skill(figure(rows, GENERALIST), figure(rows, best))),
        specialist_skill=(
            _known(measure.skill(scores[SPECIALIST], scores[best])) if has_specialist else None
        ),
        over_trivial=over(best),
        over_specialist=over(SPECIALIST) if has_specialist else NO_BOUNDS,
    )


def _has_enough(truth: np.ndarray) -> np.ndarray:
    """Return which items are of a class that has enough of them."""
    _, number, count = np.unique(truth, return_inverse=True, return_counts=True)
    return (count >= LEAST_OF_CLASS)[number] if len(truth) else np.zeros(0, bool)


def _find_lack(kept: Outcome, measure: Measure, logs: int) -> str:
    if len(kept.truth) < LEAST_ITEMS:
        return f"{len(kept.truth)} items, at least {LEAST_ITEMS} are needed"
    if measure.classes and len(np.unique(kept.truth)) < 2:
        return f"fewer than two classes have {LEAST_OF_CLASS} items"
    if logs < LEAST_LOGS:
        counted = "1 log" if logs == 1 else f"{logs} logs"
        return f"{counted}, at least {LEAST_LOGS} are needed"
    return ""


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
