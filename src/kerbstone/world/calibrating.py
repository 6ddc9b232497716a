"""Calibrating a model: what it is surprised by, and what its vectors are, in held-out scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64, Int

from kerbstone.scene import Scene
from kerbstone.world.conformal import SPEEDS, Calibration, fit_calibration

LEAST_STEPS = 10
"""What was seen for fewer steps surprises nobody: one step may be noise."""
_USUAL = (25.0, 75.0)
_ENOUGH = 20
"""With fewer cells of like speed, those of all speeds tell what is usual in a scene."""


@runtime_checkable
class Scores(Protocol):
    """How likely a model found what the road users of a scene did, in windows of time."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Id of each road user."""
        ...

    @property
    def start(self) -> Float64[np.ndarray, " window"]:
        """When what is scored begins, since the scene's start [s]."""
        ...

    @property
    def nll(self) -> Float[np.ndarray, "agent window"]:
        """Negative log-likelihood per valid step [nat]; NaN where not defined."""
        ...

    @property
    def baseline(self) -> Float[np.ndarray, "agent window"]:
        """That of a Laplace distribution around constant velocity [nat]."""
        ...

    @property
    def steps(self) -> Int[np.ndarray, "agent window"]:
        """Valid steps."""
        ...

    @property
    def speed(self) -> Float[np.ndarray, "agent window"]:
        """Speed as it begins [m/s]; NaN where not known."""
        ...


@runtime_checkable
class Vectors(Protocol):
    """What the moments of a scene are like."""

    @property
    def start(self) -> Float64[np.ndarray, " moment"]:
        """When each begins, since the scene's start [s]."""
        ...

    @property
    def duration(self) -> Float64[np.ndarray, " moment"]:
        """How long each is [s]."""
        ...

    @property
    def vectors(self) -> Float[np.ndarray, "moment value"]:
        """One vector for each."""
        ...


def calibrate(
    score: Callable[[Scene], Scores],
    embed: Callable[[Scene], Vectors],
    scenes: Iterable[Scene],
    *,
    model: str,
) -> Calibration:
    """Return the calibration of a model by scenes that it was not trained on.

    Args:
        score: The model's scores of a scene.
        embed: Its vectors of a scene.
        scenes: Held-out scenes.
        model: Version of the model.

    Raises:
        InputError: In none of them is a road user seen for long enough.
    """
    excess, kind, speed = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros(0)]
    total, count = np.zeros(0), 0
    for scene in scenes:
        scores, vectors = score(scene), embed(scene).vectors
        values = measure_excess(scores)
        kinds = kinds_of(scene, scores)[:, None]
        excess.append(values.ravel())
        kind.append(np.broadcast_to(kinds, values.shape).ravel())
        speed.append(np.asarray(scores.speed, np.float64).ravel())
        if len(vectors):
            summed = vectors.sum(axis=0, dtype=np.float64)
            total, count = (total + summed if count else summed), count + len(vectors)
    return fit_calibration(
        np.concatenate(excess),
        np.concatenate(kind),
        np.concatenate(speed),
        model=model,
        centre=total / max(count, 1),
    )


def measure_excess(scores: Scores) -> Float64[np.ndarray, "agent window"]:
    """Return by how much less likely what happened was than constant velocity [nat per step].

    The baseline stands for how noisy a record is and how easily its like is foretold. Who brakes
    hard or swerves is no more likely by constant velocity than by a model, and would earn with the
    one what he costs with the other. So a baseline counts within the middle half of those of the
    scene's road users of like speed only.

    Args:
        scores: Of a scene.

    Returns:
        NaN where a road user was there for less than a second.
    """
    nll, baseline = (np.asarray(v, np.float64) for v in (scores.nll, scores.baseline))
    known = (scores.steps >= LEAST_STEPS) & np.isfinite(nll) & np.isfinite(baseline)
    speed = np.asarray(scores.speed, np.float64)
    classes = np.where(np.isnan(speed), -1, np.digitize(np.nan_to_num(speed), SPEEDS))
    excess = np.full(nll.shape, np.nan)
    for each in np.unique(classes[known]):
        own = known & (classes == each)
        like = own if own.sum() >= _ENOUGH else known
        low, high = np.percentile(baseline[like], _USUAL)
        excess[own] = nll[own] - np.clip(baseline[own], low, high)
    return excess


def kinds_of(scene: Scene, scores: Scores) -> Int[np.ndarray, " agent"]:
    """Return the `Kind` of each road user that was scored."""
    kind = dict(zip(scene.agents.ids, scene.agents.kind.tolist(), strict=True))
    return np.array([kind[name] for name in scores.ids], np.int64)
