"""A trained scene model at work: read from its folder, once in each process, and its vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Float64

from kerbstone.errors import InputError
from kerbstone.scene import Scene
from kerbstone.world.calibrating import Scores, Vectors
from kerbstone.world.calibration_file import read_calibration
from kerbstone.world.conformal import Calibration
from kerbstone.world.model_version import version_of

WIDTH = 256
"""Values of a vector: a column has vectors of one size, and models of all sizes write into it."""


@runtime_checkable
class SceneModel(Protocol):
    """A trained model, ready to be asked about scenes."""

    @property
    def version(self) -> str:
        """Another one where its weights are others."""
        ...

    @property
    def calibration(self) -> Calibration:
        """What is usual for it."""
        ...

    def embed(self, scene: Scene) -> Vectors:
        """Return the moments of a scene."""
        ...

    def score(self, scene: Scene) -> Scores:
        """Return how likely what its road users did was."""
        ...


Load = Callable[[str], SceneModel]
"""Reads a model from its folder. Where there is more than one worker it must be picklable."""


def load_model(path: str) -> SceneModel:
    """Read a trained model with its calibration.

    Args:
        path: Folder of the model.

    Raises:
        InputError: There is none, it is damaged, or it was trained for something else.
    """
    # Only who asks a model waits for JAX.
    from kerbstone.world import read_model

    network, header = read_model(path)
    if header.get("objective") != "masked":
        raise InputError(
            "value",
            "this model cannot be surprised",
            where=path,
            why=f"it was trained for {header.get('objective')!r:.40}, and is told nothing hidden",
            remedy="train one with `kerbstone pretrain --objective masked`",
        )
    return _Trained(network, version_of(path), read_calibration(path))


@lru_cache(maxsize=1)
def use_model(load: Load, path: str, version: str) -> SceneModel:
    """Return a model, which each process reads once.

    Args:
        load: Reads it.
        path: Its folder.
        version: The version that is meant.

    Raises:
        InputError: Another one has taken its place.
    """
    model = load(path)
    if model.version != version:
        raise InputError(
            "value",
            "the model was replaced while it was used",
            where=path,
            remedy="the same command again uses the new one",
        )
    return model


def fit_vectors(
    vectors: Float[np.ndarray, "moment value"],
    centre: Float64[np.ndarray, " usual"],
    *,
    where: str,
) -> Float32[np.ndarray, "moment width"]:
    """Return vectors as they are stored: from the centre, and of one width.

    Zeros behind them change neither distances nor angles. What is wider is projected onto
    directions that are drawn once and for all, which keeps both to a few per cent.

    Args:
        vectors: The model's.
        centre: What is usual; of no values where that is not known.
        where: What they are of, for an error.

    Raises:
        InputError: They do not fit the centre, or are not finite.

    References:
        Johnson and Lindenstrauss, "Extensions of Lipschitz mappings into a Hilbert space", 1984.
    """
    width = vectors.shape[1]
    if len(centre) not in (0, width) or not np.isfinite(vectors).all():
        raise InputError(
            "value",
            "the vectors of a model cannot be used",
            where=where,
            why=f"{width} values for {len(centre)} of the centre, or one is not finite",
        )
    told = vectors - centre if len(centre) else vectors.astype(np.float64)
    if width > WIDTH:
        return (told @ _draw_directions(width)).astype(np.float32)
    return np.pad(told, ((0, 0), (0, WIDTH - width))).astype(np.float32)


@cache
def _draw_directions(width: int) -> Float64[np.ndarray, "value width"]:
    drawn = np.random.default_rng(0).normal(size=(width, WIDTH))
    return np.linalg.qr(drawn)[0] * np.sqrt(width / WIDTH)


@dataclass(frozen=True, eq=False)
class _Trained:
    """A model from a file."""

    network: Any
    version: str
    calibration: Calibration

    def embed(self, scene: Scene) -> Vectors:
        from kerbstone.world import embed_scene

        return embed_scene(self.network, scene)

    def score(self, scene: Scene) -> Scores:
        from kerbstone.world import score_scene

        return score_scene(self.network, scene)
