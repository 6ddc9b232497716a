"""Which regions hold what was hidden: read off from windows of scenes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.scene import Scene
from kerbstone.world.anchors import anchor
from kerbstone.world.masks import Forecast, Infill, MaskFamily
from kerbstone.world.metrics import region_level
from kerbstone.world.network import SceneModel
from kerbstone.world.observed import Observed, hide
from kerbstone.world.predicting import predict_all
from kerbstone.world.windows import PATCH, PATCHES, Window, cut_window

_EVERY = 3
"""One cell in so many is looked at: neighbours in time tell the same."""


class Cells(NamedTuple):
    """Cells that were hidden.

    Args:
        level: Level of the smallest region that holds the truth.
        away: Time to the nearest step that is seen [s].
        is_between: Whether steps before and after are seen.
        dataset: Data set of each.
    """

    level: Float64[np.ndarray, " cell"]
    away: Float64[np.ndarray, " cell"]
    is_between: Bool[np.ndarray, " cell"]
    dataset: np.ndarray


def cover_cells(
    model: SceneModel, scenes: Iterable[Scene], *, windows: int = 2, seed: int = 0
) -> Cells:
    """Return which regions hold what was hidden, in forecasts and infills of all lengths.

    Args:
        model: The model.
        scenes: The scenes.
        windows: Windows of each scene, evenly over it.
        seed: Of the masks.
    """
    rng = np.random.default_rng(seed)
    found = [Cells(np.zeros(0), np.zeros(0), np.zeros(0, bool), np.zeros(0, object))]
    truths: list[tuple[Window, str]] = []

    def observed() -> Iterator[Observed]:
        for scene in scenes:
            for window, family in _cut(scene, windows):
                truths.append((window, scene.source.dataset))
                yield hide(window, family(window, rng))

    seen = list(observed())
    said = predict_all(model, seen)
    for (window, dataset), left, prediction in zip(truths, seen, said, strict=True):
        counted = prediction.asked & window.valid
        counted &= (np.arange(window.steps) % _EVERY) == (_EVERY - 1)
        if not counted.any():
            continue
        level = region_level(prediction.mixture, window.position, counted)
        path = anchor(left)
        away = np.minimum(path.age, path.wait)
        between = np.isfinite(path.age) & np.isfinite(path.wait)
        names = np.full(counted.sum(), dataset, object)
        found.append(Cells(level[counted], away[counted], between[counted], names))
    return Cells(*(np.concatenate(part) for part in zip(*found, strict=True)))


def _cut(scene: Scene, count: int) -> Iterator[tuple[Window, MaskFamily]]:
    patches = min(PATCHES, int(scene.clock.duration / PATCH + 1e-6))
    if patches < 4:
        return
    last = scene.clock.duration - patches * PATCH
    for start in np.unique(np.linspace(0.0, last, count).round(1)):
        window = cut_window(scene, float(start), patches)
        for family in (Forecast(patches * PATCH * 0.4), Infill(share=1.0)):
            yield window, family
