"""Measures: one figure for what somebody answered about many items, and what would be perfect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from kerbstone.world.metrics import auroc

Answers = Float64[np.ndarray, " item"]
"""What was answered about each item; NaN where nothing was."""


@dataclass(frozen=True)
class Measure:
    """A figure of answers.

    Args:
        name: Its name.
        unit: Its unit, "" if it has none.
        perfect: The figure of perfect answers.
        is_error: Whether less is better.
        of: Takes answers and the truth; returns the figure, NaN where it is not defined.
        classes: Whether the truth names classes, each of which must have enough items.
    """

    name: str
    unit: str
    perfect: float
    is_error: bool
    of: Callable[[Answers, Answers], float]
    classes: bool = False

    def gain(self, value: float, other: float) -> float:
        """Return by how much a figure is better than another one: positive where it is."""
        return other - value if self.is_error else value - other

    def skill(self, value: float, trivial: float) -> float:
        """Return how far a figure is on the way from the trivial one to the perfect one.

        It is 0 for the trivial figure, 1 for the perfect one, and negative for what is worse than
        trivial. For errors that is 1 - error / trivial, for areas (a - trivial) / (1 - trivial).
        NaN where the trivial answer is perfect already.

        Example:
            >>> MEAN_ERROR.skill(0.5, 2.0), AUROC.skill(0.8, 0.6)
            (0.75, 0.5000000000000001)
        """
        way = self.perfect - trivial
        if not np.isfinite(way) or abs(way) < 1e-9:
            return float("nan")
        return float((value - trivial) / way)


def _mean(answers: Answers, truth: Answers) -> float:
    del truth  # an answer is an error, or a score, already
    return float(answers.mean()) if len(answers) else float("nan")


def _auroc(answers: Answers, truth: Answers) -> float:
    return auroc(answers, truth > 0.5)


def balanced_accuracy(answers: Answers, truth: Answers) -> float:
    """Return the mean over the classes of the share of each that is named right.

    Args:
        answers: Number of the class that was named.
        truth: That of the true one; classes without an item do not count.
    """
    if not len(truth):
        return float("nan")
    _, number = np.unique(truth, return_inverse=True)
    right = np.bincount(number, answers == truth) / np.bincount(number)
    return float(right.mean())


MEAN_ERROR = Measure("displacement", "m", 0.0, is_error=True, of=_mean)
MEAN_DELAY = Measure("error", "s", 0.0, is_error=True, of=_mean)
AUROC = Measure("AUROC", "", 1.0, is_error=False, of=_auroc, classes=True)
BALANCED_ACCURACY = Measure(
    "balanced accuracy", "", 1.0, is_error=False, of=balanced_accuracy, classes=True
)
RECALL = Measure("recall@10", "", 1.0, is_error=False, of=_mean)
