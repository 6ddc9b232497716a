"""Scores: how likely a model found what the road users of a scene did, second by second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.scene import Scene
from kerbstone.world.anchors import anchor
from kerbstone.world.masks import Forecast
from kerbstone.world.metrics import joint_nll
from kerbstone.world.network import SceneModel
from kerbstone.world.observed import hide
from kerbstone.world.predicting import predict_all
from kerbstone.world.windows import PATCH, STEP, cut_window

PAST = 3.0
"""What is seen before each whole second [s]."""
AHEAD = 3.0
"""What is scored after it [s]."""

_SPEEDS = (0.5, 5.0)
_LEAST_SCALE = 0.05
_LEAST_COUNT = 20


@dataclass(frozen=True, eq=False)
class SceneScores:
    """How likely a model found what road users did in the 3 s after each whole second.

    Args:
        ids: Id of each road user.
        start: When what is scored begins, since the scene's start [s].
        nll: Negative log-likelihood per valid step, given the 3 s before [nat]; NaN where not
            defined.
        baseline: That of a Laplace distribution around constant velocity [nat], whose scales are
            those of the scene.
        steps: Valid steps.
        speed: Speed as it begins [m/s]; NaN where not known.
    """

    ids: tuple[str, ...]
    start: Float64[np.ndarray, " window"]
    nll: Float64[np.ndarray, "agent window"]
    baseline: Float64[np.ndarray, "agent window"]
    steps: Int64[np.ndarray, "agent window"]
    speed: Float64[np.ndarray, "agent window"]


def score_scene(model: SceneModel, scene: Scene) -> SceneScores:
    """Return how likely a model found what each road user of a scene did.

    Args:
        model: The model; trained with `masked`.
        scene: The scene. One of at most 3 s has no scores.
    """
    starts = np.arange(PAST, scene.clock.duration - STEP, 1.0)
    patches = round((PAST + AHEAD) / PATCH)
    ids = scene.agents.ids
    shape = (len(ids), len(starts))
    nll, speed = np.full(shape, np.nan), np.full(shape, np.nan)
    steps = np.zeros(shape, np.int64)
    ahead = round(AHEAD / STEP)
    error = np.full((*shape, ahead, 2), np.nan)
    row_of = {name: row for row, name in enumerate(ids)}
    windows = [cut_window(scene, start - PAST, patches) for start in starts]
    rng = np.random.default_rng(0)
    observed = [hide(window, Forecast(PAST)(window, rng)) for window in windows]
    for column, (window, seen, prediction) in enumerate(
        zip(windows, observed, predict_all(model, observed), strict=True)
    ):
        rows = np.array([row_of[name] for name in window.ids], np.int64)
        present = round(PAST / STEP) - 1
        # Who is not there at the present has no beginning to go on from.
        counted = prediction.asked & window.valid & seen.window.valid[:, present, None]
        nll[rows, column] = joint_nll(prediction.mixture, window.position, counted)
        steps[rows, column] = counted.sum(axis=1)
        path = anchor(seen)
        known = seen.window.valid[:, present]
        speed[rows[known], column] = np.hypot(*path.velocity[known, present].T)
        apart = np.where(counted[..., None], window.position - path.position, np.nan)
        error[rows, column] = apart[:, -ahead:]
    return SceneScores(ids, starts, nll, _score_steady(error, speed), steps, speed)


def _score_steady(error: np.ndarray, speed: np.ndarray) -> np.ndarray:
    """Return the negative log-likelihood per step of errors of constant velocity.

    The scale of each step is that of the scene's own road users of like speed, by the median, so
    that a noisy record surprises nobody.
    """
    size = np.abs(error)
    group = np.where(np.isfinite(speed), np.digitize(speed, _SPEEDS), -1)
    found = np.full(size.shape[:2], np.nan)
    for each in range(len(_SPEEDS) + 1):
        own = group == each
        part = size[own]
        if not np.isfinite(part).any():
            continue
        counts = np.isfinite(part).sum(axis=(0, 2))
        pooled = part if counts.min() >= _LEAST_COUNT else size.reshape(-1, *size.shape[2:])
        by_step = np.moveaxis(pooled, 1, 0).reshape(pooled.shape[1], -1)
        middle = np.zeros(len(by_step))
        some = np.isfinite(by_step).any(axis=1)
        middle[some] = np.nanmedian(by_step[some], axis=1)
        scale = np.maximum(middle / np.log(2.0), _LEAST_SCALE)[:, None]
        density = (part / scale + np.log(2.0 * scale)).sum(axis=-1)
        valid = np.isfinite(density)
        total = np.where(valid, density, 0.0).sum(axis=-1)
        found[own] = np.where(valid.any(axis=-1), total / np.maximum(valid.sum(axis=-1), 1), np.nan)
    return found
