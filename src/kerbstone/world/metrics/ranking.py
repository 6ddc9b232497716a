"""Metrics of rankings: how well scores tell what is sought from the rest."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64
from scipy.stats import rankdata

from kerbstone.errors import InputError


def auroc(score: Float64[np.ndarray, " item"], sought: Bool[np.ndarray, " item"]) -> float:
    """Return the probability that something sought has a higher score than something else.

    Equal scores count half (Mann and Whitney's U, divided by the number of pairs). Items without
    a score (NaN) are left out; NaN where nothing or everything is sought.

    Args:
        score: Score of each item; higher is more likely sought.
        sought: What is sought.
    """
    score, sought = _known(score, sought)
    number, rest = sought.sum(), (~sought).sum()
    if not number or not rest:
        return float("nan")
    rank = rankdata(score)[sought].sum()
    return float((rank - number * (number + 1) / 2) / (number * rest))


def average_precision(
    score: Float64[np.ndarray, " item"], sought: Bool[np.ndarray, " item"]
) -> float:
    """Return the mean precision at the scores of what is sought, the area under its step curve.

    Items of equal score come in together. Items without a score (NaN) are left out; NaN where
    nothing is sought.

    Args:
        score: Score of each item; higher is more likely sought.
        sought: What is sought.
    """
    score, sought = _known(score, sought)
    if not sought.any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    found = np.cumsum(sought[order])
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    gained = np.diff(found[last], prepend=0)
    return float((gained * found[last] / (last + 1)).sum() / sought.sum())


def recall_at(
    score: Float64[np.ndarray, " item"], sought: Bool[np.ndarray, " item"], *, first: int = 10
) -> float:
    """Return the share of what is sought among the items of the highest scores.

    It is a share of all that is sought: with more than `first` of them it cannot be 1. Of items of
    equal score, of which not all are among the first, each is so with the same probability. Items
    without a score (NaN) come last of all; NaN where nothing is sought.

    Args:
        score: Score of each item; higher is more likely sought.
        sought: What is sought.
        first: How many items are looked at.

    Raises:
        InputError: `first` is below 1.
    """
    if first < 1:
        raise InputError("value", "no item is to be looked at", why=f"first is {first}")
    if not sought.any():
        return float("nan")
    score = np.where(np.isnan(score), -np.inf, score)
    if len(score) <= first:
        return 1.0
    least = np.sort(score)[-first]
    sure, tied = score > least, score == least
    chance = (first - sure.sum()) / tied.sum()
    return float(((sure & sought).sum() + chance * (tied & sought).sum()) / sought.sum())


def _known(score: np.ndarray, sought: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = ~np.isnan(score)
    return score[known], sought[known]
