"""Baselines: what can be said of hidden tracks without a model of the road."""

from kerbstone.world.baselines.baseline import FORECASTS, INFILLS, Baseline, fit_baseline
from kerbstone.world.baselines.tracks import Example, Group, Tracks

__all__ = ["FORECASTS", "INFILLS", "Baseline", "Example", "Group", "Tracks", "fit_baseline"]
