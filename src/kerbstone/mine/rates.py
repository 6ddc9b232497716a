"""How often something happens: rates of counts, with intervals that they may be trusted to.

Occurrences are counted over an exposure: hours, or kilometres. If they came independently, a count
would be Poisson distributed, and its exact interval is Garwood's. They do not: a log with one
traffic jam has ten of what others have none of. Where there are logs enough to see by how much
more the counts vary than Poisson's would, count and exposure are divided by that factor, the
design effect, before the interval is taken.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy import stats

LEVEL = 0.95
FEWEST_LOGS = 8
"""Logs that are needed to see how much counts vary between them."""

POISSON = "Poisson"
CLUSTERED = "clustered by log"


@dataclass(frozen=True)
class Rate:
    """A rate with its interval.

    Args:
        count: How often it happened.
        exposure: Over what, in the unit of the rate.
        rate: Count by exposure; None without exposure.
        low: Lower end of the 95 % interval; 0 for a count of 0.
        high: Upper end of it; None without exposure.
        method: `Poisson` (exact, and too narrow where occurrences come in clusters) or
            `clustered by log`.
        effect: The design effect: the variance of the count over Poisson's, 1 for Poisson.
        logs: Number of logs with exposure.
    """

    count: int
    exposure: float
    rate: float | None
    low: float
    high: float | None
    method: str
    effect: float
    logs: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as a plain mapping."""
        return asdict(self)


def estimate_rate(
    counts: Float64[np.ndarray, " log"],
    exposures: Float64[np.ndarray, " log"],
    *,
    level: float = LEVEL,
) -> Rate:
    """Return the rate of something that was counted in several logs, with its interval.

    With fewer than 8 logs it is Garwood's exact Poisson interval; so it is for a count of 0, where
    nothing is known of clusters, and its upper end is a bound on the rate. With 8 logs or more,
    the design effect is the ratio of the variance of the total between logs,
    `L / (L − 1) Σ (n_i − r e_i)²`, to Poisson's, `Σ n_i`, times the square of the ratio of
    Student's quantile for L − 1 to the normal one, since that variance is itself estimated from L
    logs; at least 1.

    Args:
        counts: How often it happened in each log.
        exposures: Of each log, in the unit of the rate; logs with none do not count.
        level: Confidence of the interval.

    References:
        Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28, 1936.
        Rao and Scott, "A simple method for analysing overdispersion in clustered Poisson data",
        Statistics in Medicine 18, 1999.

    Example:
        >>> found = estimate_rate(np.array([0.0]), np.array([2.0]))
        >>> found.rate, round(found.high, 2)
        (0.0, 1.84)
    """
    has_exposure = exposures > 0
    counts, exposures = counts[has_exposure], exposures[has_exposure]
    count, exposure, logs = float(counts.sum()), float(exposures.sum()), len(counts)
    if not logs:
        return Rate(0, 0.0, None, 0.0, None, POISSON, 1.0, 0)
    effect, method = 1.0, POISSON
    if logs >= FEWEST_LOGS and count:
        rest = counts - count / exposure * exposures
        quantile = 0.5 + level / 2
        student = stats.t.ppf(quantile, logs - 1) / stats.norm.ppf(quantile)
        spread = logs / (logs - 1) * float(rest @ rest)
        effect, method = max(1.0, float(spread / count * student**2)), CLUSTERED
    low, high = poisson_interval(count / effect, level=level)
    return Rate(
        count=round(count),
        exposure=exposure,
        rate=count / exposure,
        low=low * effect / exposure,
        high=high * effect / exposure,
        method=method,
        effect=effect,
        logs=logs,
    )


def poisson_interval(count: float, *, level: float = LEVEL) -> tuple[float, float]:
    """Return Garwood's interval for the expectation of a Poisson count.

    Args:
        count: The count; an effective one need not be whole.
        level: Its confidence, half of the rest on either side.

    Example:
        >>> [round(end, 3) for end in poisson_interval(10)]
        [4.795, 18.39]
    """
    tail = (1 - level) / 2
    low = float(stats.chi2.ppf(tail, 2 * count)) / 2 if count > 0 else 0.0
    return low, float(stats.chi2.ppf(1 - tail, 2 * count + 2)) / 2
