"""A quick check of a model: how far off its forecasts are, beside constant velocity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kerbstone.scene import Scene
from kerbstone.world.anchors import anchor
from kerbstone.world.masks import Forecast
from kerbstone.world.metrics import score_forecast
from kerbstone.world.network import SceneModel
from kerbstone.world.observed import hide
from kerbstone.world.predicting import predict_all
from kerbstone.world.windows import PATCH, STEP, cut_window

_PAST = 3.0
_MOVING = 0.5


@dataclass(frozen=True)
class ForecastCheck:
    """Mean distances at the end of a forecast, of road users that move as it begins.

    Args:
        ahead: How far ahead [s].
        likeliest: Of the most probable mode [m].
        nearest: Of the nearest mode [m].
        constant_velocity: Of constant velocity [m].
        road_users: How many there were.
    """

    ahead: float
    likeliest: float
    nearest: float
    constant_velocity: float
    road_users: int


def check_forecasts(
    model: SceneModel, scenes: Iterable[Scene], *, ahead: float = 3.0, every: float = 5.0
) -> ForecastCheck:
    """Return how far off a model's forecasts are, in windows of scenes.

    Args:
        model: The model.
        scenes: Scenes that it was not trained on.
        ahead: How far ahead [s]; rounded to patches.
        every: Time from window to window [s].
    """
    patches = round((_PAST + ahead) / PATCH)
    windows = [
        cut_window(scene, float(start), patches)
        for scene in scenes
        for start in np.arange(0.0, scene.clock.duration - patches * PATCH + 1e-6, every)
    ]
    rng = np.random.default_rng(0)
    observed = [hide(window, Forecast(_PAST)(window, rng)) for window in windows]
    present = round(_PAST / STEP) - 1
    off: list[np.ndarray] = [np.zeros((0, 3))]
    for window, seen, said in zip(windows, observed, predict_all(model, observed), strict=True):
        path = anchor(seen)
        moves = seen.window.valid[:, present] & window.valid[:, -1]
        moves &= np.hypot(*path.velocity[:, present].T) > _MOVING
        counted = np.zeros_like(window.valid)
        counted[moves, -1] = True
        scores = [
            score_forecast(said.mixture, window.position, counted, modes=modes).min_fde
            for modes in (1, said.mixture.weight.shape[1])
        ]
        steady = np.hypot(*(path.position[:, -1] - window.position[:, -1]).T)
        off.append(np.column_stack([*scores, steady])[moves])
    found = np.concatenate(off)
    means = found.mean(axis=0) if len(found) else np.full(3, np.nan)
    return ForecastCheck(ahead, *(float(mean) for mean in means), road_users=len(found))
