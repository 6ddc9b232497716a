"""Metrics of what is said of hidden tracks, of rankings, and their confidence over logs.

A value that is not defined is NaN, and does not count.
"""

from kerbstone.world.metrics.confidence import (
    Interval,
    interval_of,
    interval_of_difference,
    interval_of_mean,
)
from kerbstone.world.metrics.displacement import (
    ForecastScores,
    InfillScores,
    reaches,
    score_forecast,
    score_infill,
)
from kerbstone.world.metrics.likelihood import (
    axis_level,
    coverage,
    joint_nll,
    marginal_nll,
    region_level,
    transform_probability,
)
from kerbstone.world.metrics.ranking import auroc, average_precision, recall_at

__all__ = [
    "ForecastScores",
    "InfillScores",
    "Interval",
    "auroc",
    "average_precision",
    "axis_level",
    "coverage",
    "interval_of",
    "interval_of_difference",
    "interval_of_mean",
    "joint_nll",
    "marginal_nll",
    "reaches",
    "recall_at",
    "region_level",
    "score_forecast",
    "score_infill",
    "transform_probability",
]
