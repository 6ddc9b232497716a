"""Confidence intervals over logs: what another draw of logs would have given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError


@dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval; all NaN where it is not defined.

    Args:
        value: The figure.
        low: Lower end; NaN with less than two logs, which tell nothing of other ones.
        high: Upper end; the same.
        logs: Logs that it is from.
    """

    value: float
    low: float
    high: float
    logs: int


def interval_of_mean(
    value: Float64[np.ndarray, " row"],
    log: Sequence[str] | np.ndarray,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the mean of values with its confidence interval over logs.

    Whole logs are drawn with replacement, for what happens in one log is alike (cluster bootstrap);
    the interval lies between quantiles of the means (percentile). Each row counts the same, so that
    long logs count more.

    Args:
        value: Values; NaN does not count.
        log: Log of each.
        level: Of confidence.
        draws: How often logs are drawn.
        seed: Of the draws.

    Raises:
        InputError: There is not one log for each value.

    References:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13.
    """
    number, logs = _number_logs(log, len(value))
    known = np.isfinite(value)
    if not known.any():
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    total = np.bincount(number, np.where(known, value, 0), logs)
    count = np.bincount(number, known, logs)
    # Logs without a value are no draw.
    total, count = total[count > 0], count[count > 0]
    logs = len(total)
    taken = np.random.default_rng(seed).multinomial(logs, np.full(logs, 1 / logs), size=draws)
    return _bound(total.sum() / count.sum(), (taken @ total) / (taken @ count), level, logs)


def interval_of_difference(
    value: Float64[np.ndarray, " row"],
    other: Float64[np.ndarray, " row"],
    log: Sequence[str] | np.ndarray,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the mean of `value - other`, row by row, with its confidence interval over logs.

    Rows in which either is not defined do not count. Otherwise as `interval_of_mean`.
    """
    if value.shape != other.shape:
        raise InputError(
            "shape", "values to compare do not fit", why=f"{len(value)} and {len(other)} rows"
        )
    return interval_of_mean(value - other, log, level=level, draws=draws, seed=seed)


def interval_of(
    statistic: Callable[[Int64[np.ndarray, " drawn"]], float],
    log: Sequence[str] | np.ndarray,
    *,
    level: float = 0.95,
    draws: int = 500,
    seed: int = 0,
) -> Interval:
    """Return any figure of rows with its confidence interval over logs.

    Args:
        statistic: Given rows (indices; those of a log that was drawn twice come twice), the figure.
            Draws for which it is NaN do not count.
        log: Log of each row.
        level: Of confidence.
        draws: How often logs are drawn.
        seed: Of the draws.
    """
    number, logs = _number_logs(log, len(log))
    value = statistic(np.arange(len(number)))
    if not np.isfinite(value):
        return Interval(float("nan"), float("nan"), float("nan"), logs)
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(number == each) for each in range(logs)]
    drawn = np.array(
        [
            statistic(np.concatenate([rows[each] for each in rng.integers(logs, size=logs)]))
            for _ in range(draws if logs > 1 else 0)
        ]
    )
    return _bound(value, drawn[np.isfinite(drawn)], level, logs)


def _number_logs(log: Sequence[str] | np.ndarray, rows: int) -> tuple[np.ndarray, int]:
    names, number = np.unique(np.asarray(log), return_inverse=True)
    if len(number) != rows:
        raise InputError(
            "shape", "logs do not fit the values", why=f"{len(number)} logs for {rows} rows"
        )
    return number, len(names)


def _bound(value: float, drawn: np.ndarray, level: float, logs: int) -> Interval:
    if not 0 < level < 1:
        raise InputError("value", "a level of confidence is out of range", why=f"{level}")
    if logs < 2 or not len(drawn):
        return Interval(float(value), float("nan"), float("nan"), logs)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high), logs)
