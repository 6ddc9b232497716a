"""Metrics of distance: how far the medians of mixtures are from where road users were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.errors import InputError
from kerbstone.world.metrics.errors import find_counted
from kerbstone.world.mixture import Mixture, condense


@dataclass(frozen=True, eq=False)
class ForecastScores:
    """How good the forecast of each road user is; NaN where that is not defined.

    Args:
        best: Index of the mode that ends nearest, of those that count; -1 where not defined.
        min_ade: Mean distance of that mode [m].
        min_fde: Its distance at the last cell that counts [m].
        missed: 1 where that is more than the limit, 0 where it is not.
        brier_min_fde: `min_fde` + (1 - p)², with the probability p of that mode.
    """

    best: Int64[np.ndarray, " agent"]
    min_ade: Float64[np.ndarray, " agent"]
    min_fde: Float64[np.ndarray, " agent"]
    missed: Float64[np.ndarray, " agent"]
    brier_min_fde: Float64[np.ndarray, " agent"]


@dataclass(frozen=True, eq=False)
class InfillScores:
    """How far the one trajectory of a mixture is from each road user; NaN where not defined.

    Args:
        mean: Over the cells that count [m].
        largest: Of them [m].
    """

    mean: Float64[np.ndarray, " agent"]
    largest: Float64[np.ndarray, " agent"]


def score_forecast(
    mixture: Mixture,
    position: Float64[np.ndarray, "agent step 2"],
    valid: Bool[np.ndarray, "agent step"],
    *,
    modes: int = 6,
    limit: float = 2.0,
) -> ForecastScores:
    """Return the distances of forecasts, as Argoverse 2 defines them.

    Only the most probable modes count (equal ones in their order), and their probabilities are made
    to sum to 1. The best is the one that ends nearest, and minADE is its mean distance, not the
    smallest mean distance of any, as Waymo has it. The end is the last cell that counts of each
    road user. Argoverse scores tracks that are there to the end, and Waymo leaves those out that are
    not there at the step in question: for figures to compare with theirs, let only such road users
    count (`reaches`).

    Args:
        mixture: The forecasts.
        position: Where the road users were, world frame [m].
        valid: Which cells count: those that are asked for and were there.
        modes: How many modes count.
        limit: A forecast that ends farther off is a miss [m].

    Raises:
        InputError: `modes` is below 1, or a cell that counts has no true position.

    References:
        Wilson et al., "Argoverse 2: Next Generation Datasets for Self-Driving Perception and
        Forecasting", NeurIPS Datasets and Benchmarks 2021.
    """
    if modes < 1:
        raise InputError("value", "no mode is to count", why=f"modes is {modes}")
    counted = find_counted(mixture, position, valid)
    row = np.arange(len(counted))
    some = counted.any(axis=1)
    order = np.argsort(-mixture.weight, axis=1, kind="stable")[:, :modes]
    weight = np.take_along_axis(mixture.weight, order, axis=1)
    distance = _measure(mixture, position, counted)[row[:, None], order]
    end = counted.shape[1] - 1 - counted[:, ::-1].argmax(axis=1) if counted.size else row
    final = distance[row, :, end]
    best = final.argmin(axis=1)
    sure = weight[row, best] / weight.sum(axis=1)
    undefined = np.where(some, 0.0, np.nan)
    min_fde = final[row, best] + undefined
    return ForecastScores(
        best=np.where(some, order[row, best], -1),
        min_ade=distance[row, best].sum(axis=1) / np.maximum(counted.sum(axis=1), 1) + undefined,
        min_fde=min_fde,
        missed=(min_fde > limit) + undefined,
        brier_min_fde=min_fde + (1 - sure) ** 2,
    )


def score_infill(
    mixture: Mixture,
    position: Float64[np.ndarray, "agent step 2"],
    valid: Bool[np.ndarray, "agent step"],
) -> InfillScores:
    """Return the distances of one trajectory over the cells that count: that of `condense`.

    Args:
        mixture: What is said of the gaps.
        position: Where the road users were, world frame [m].
        valid: Which cells count: those that are asked for and were there.

    Raises:
        InputError: A cell that counts has no true position.
    """
    counted = find_counted(mixture, position, valid)
    distance = _measure(condense(mixture), position, counted)[:, 0]
    undefined = np.where(counted.any(axis=1), 0.0, np.nan)
    return InfillScores(
        mean=distance.sum(axis=1) / np.maximum(counted.sum(axis=1), 1) + undefined,
        largest=distance.max(axis=1, initial=0.0) + undefined,
    )


def reaches(valid: Bool[np.ndarray, "agent step"], step: int) -> Bool[np.ndarray, "agent step"]:
    """Return the cells up to a step, of those road users that are there at that step.

    Args:
        valid: Which cells count.
        step: The last one.
    """
    until = np.arange(valid.shape[1]) <= step
    return valid & until & valid[:, step, None]


def _measure(
    mixture: Mixture, position: np.ndarray, counted: np.ndarray
) -> Float64[np.ndarray, "agent mode step"]:
    distance = np.linalg.norm(mixture.position - position[:, None], axis=-1)
    return np.where(counted[:, None], distance, 0.0)
