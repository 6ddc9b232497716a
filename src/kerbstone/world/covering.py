"""Which regions hold what was hidden: read off from windows of scenes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from kerbstone.scene import Scene
from kerbstone.world.anchors import anchor
from kerbstone.world.masks import Forecast, Infill, MaskFamily
from kerbstone.world.metrics import region_level
from kerbstone.world.mixture import Mixture
from kerbstone.world.network import SceneModel
from kerbstone.world.observed import Observed, hide
from kerbstone.world.predicting import predict_all
from kerbstone.world.regions import Cells
from kerbstone.world.windows import PATCH, PATCHES, Window, cut_window

_EVERY = 3
"""One cell in so many is looked at: neighbours in time tell the same."""
_AT_ONCE = 8
"""Scenes whose windows are predicted together."""


class Covered(NamedTuple):
    """Cells that were hidden, and how far out in what was said of them the truth lay.

    Args:
        level: Level of the smallest region that holds the truth.
        cells: What is known of each.
        scene: Id of the scene of each.
    """

    level: Float64[np.ndarray, " cell"]
    cells: Cells
    scene: np.ndarray


def cover_cells(
    model: SceneModel,
    scenes: Iterable[Scene],
    *,
    windows: int = 2,
    seed: int = 0,
) -> Covered:
    """Return which regions hold what was hidden, in forecasts and infills of all lengths.

    Args:
        model: The model.
        scenes: The scenes.
        windows: Windows of each scene, evenly over it.
        seed: Of the masks.
    """
    rng = np.random.default_rng(seed)
    empty = Cells(np.zeros(0), np.zeros(0, bool), np.zeros(0))
    found = [Covered(np.zeros(0), empty, np.zeros(0, object))]
    rest = iter(scenes)
    while group := list(islice(rest, _AT_ONCE)):
        cut = [(scene.id, *each) for scene in group for each in _cut(scene, windows)]
        seen = [hide(window, family(window, rng)) for _, window, family in cut]
        said = predict_all(model, seen)
        for (scene, window, _), left, prediction in zip(cut, seen, said, strict=True):
            counted = prediction.asked & window.valid
            counted &= (np.arange(window.steps) % _EVERY) == (_EVERY - 1)
            if not counted.any():
                continue
            level = region_level(prediction.mixture, window.position, counted)[counted]
            cells = describe_cells(left, prediction.mixture).select(counted)
            found.append(Covered(level, cells, np.full(len(level), scene, object)))
    level, cells, names = zip(*found, strict=True)
    parts = Cells(*(np.concatenate(part) for part in zip(*cells, strict=True)))
    return Covered(np.concatenate(level), parts, np.concatenate(names))


def describe_cells(observed: Observed, mixture: Mixture) -> Cells:
    """Return what is known of each cell of a window, by which regions are recalibrated.

    Args:
        observed: What the model got.
        mixture: What it said.

    Returns:
        For each road user and step; NaN where nothing was said.
    """
    path = anchor(observed)
    likeliest = np.argmax(np.nan_to_num(mixture.weight), axis=1)
    scale = mixture.scale[np.arange(len(likeliest)), likeliest]
    return Cells(
        away=np.minimum(path.age, path.wait),
        is_between=np.isfinite(path.age) & np.isfinite(path.wait),
        width=np.sqrt(scale.prod(axis=-1)) / path.unit,
    )


def _cut(scene: Scene, count: int) -> Iterator[tuple[Window, MaskFamily]]:
    patches = min(PATCHES, int(scene.clock.duration / PATCH + 1e-6))
    if patches < 4:
        return
    last = scene.clock.duration - patches * PATCH
    for start in np.unique(np.linspace(0.0, last, count).round(1)):
        window = cut_window(scene, float(start), patches)
        for family in (Forecast(patches * PATCH * 0.4), Infill(share=1.0)):
            yield window, family
