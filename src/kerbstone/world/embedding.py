"""Embeddings: what the model has learned of road users, moments and scenes, as vectors."""

from __future__ import annotations

from dataclasses import dataclass

import equinox as eqx
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Float32, Float64, Int

from kerbstone.scene import Scene
from kerbstone.world.batches import map_batch
from kerbstone.world.masks import Mask
from kerbstone.world.network import SceneModel
from kerbstone.world.observed import hide
from kerbstone.world.predicting import run_model
from kerbstone.world.tokens import Frame, Tokens
from kerbstone.world.windows import PATCH, PATCHES, STEPS_PER_PATCH, cut_window

LENGTH = 3.0
"""Length of a moment [s]."""
_EVERY = 5
"""Windows begin so far apart [s]; each tells of the moments that begin in its middle."""
_BEFORE = 4
_NEAR = 20.0
"""Road users count less the further they are from whom a moment is seen [m]."""


@dataclass(frozen=True, eq=False)
class SceneVectors:
    """What the moments of a scene are like.

    Their Euclidean distance tells how unlike two moments are: the first half of a vector is of
    the road user that a moment is seen from, the second of those around it.

    Args:
        start: When each moment begins, since the scene's start [s]: every second.
        duration: How long each is [s].
        vectors: One vector for each.
    """

    start: Float64[np.ndarray, " moment"]
    duration: Float64[np.ndarray, " moment"]
    vectors: Float32[np.ndarray, "moment value"]


def embed_scene(model: SceneModel, scene: Scene) -> SceneVectors:
    """Return what a model has learned of each moment of a scene, from all that is seen of it.

    A moment is seen from the recording car; where that is not there, from the middle of all.

    Args:
        model: The model.
        scene: The scene; one that is shorter than a moment has one, at its start.
    """
    count = max(int(np.floor(scene.clock.duration - LENGTH + 1e-6)) + 1, 1)
    starts = np.arange(0, count, _EVERY)
    # A window begins on a whole second, so that moments are whole patches of it.
    first = np.maximum(starts - _BEFORE, 0)
    windows = [cut_window(scene, float(begin)) for begin in first]
    observed = [hide(window, Mask.nothing(window)) for window in windows]
    encoded = run_model(encode_batch, model, observed)
    vectors = np.zeros((count, 2 * model.config.width), np.float32)
    for begin, start, ((tokens,), frame) in zip(first, starts, encoded, strict=True):
        for moment in range(start, min(start + _EVERY, count)):
            patch = round((moment - begin) / PATCH)
            part = slice(patch, min(patch + round(LENGTH / PATCH), PATCHES))
            vectors[moment] = _describe(tokens, frame, part)
    return SceneVectors(np.arange(count, dtype=np.float64), np.full(count, LENGTH), vectors)


@eqx.filter_jit
def encode_batch(
    model: SceneModel, tokens: Tokens, count: Int[ArrayLike, ""]
) -> tuple[Float[Array, "sample agent patch width"]]:
    """Return what a model has learned of each token of the first samples of a batch."""
    return (map_batch(lambda each: model.encode(each).tokens, tokens, count),)


def _describe(tokens: np.ndarray, frame: Frame, part: slice) -> np.ndarray:
    """Return the vector of a moment: a stretch of patches."""
    window = frame.observed.window
    there = window.valid_patch[:, part]
    width = tokens.shape[-1]
    if not there.any():
        return np.zeros(2 * width, np.float32)
    told = tokens[: len(there), part]
    steps = slice(part.start * STEPS_PER_PATCH, part.stop * STEPS_PER_PATCH)
    ego = window.ego if window.ego is not None and there[window.ego].any() else None
    points = window.position[:, steps]
    centre = np.nanmean(points if ego is None else points[ego], axis=(0, 1) if ego is None else 0)
    away = np.nanmin(
        np.hypot(*np.moveaxis(points - centre, -1, 0)),
        axis=1,
        initial=np.inf,
        where=np.isfinite(points[..., 0]),
    )
    weight = there * np.exp(-away / _NEAR)[:, None]
    own = weight if ego is None else np.where(np.arange(len(there))[:, None] == ego, there, 0.0)
    others = weight if ego is None else np.where(np.arange(len(there))[:, None] == ego, 0.0, weight)
    halves = [(told * w[..., None]).sum(axis=(0, 1)) / max(w.sum(), 1e-9) for w in (own, others)]
    return (np.concatenate(halves) / np.sqrt(2 * width)).astype(np.float32)
