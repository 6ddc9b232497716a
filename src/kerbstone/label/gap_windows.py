"""Windows around gaps, as a scene model reads them: the road around each, before and after it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from kerbstone.errors import InputError
from kerbstone.label.fillings import Filling, read_filling, within_gap
from kerbstone.label.gaps import Gaps
from kerbstone.label.labels import Labels
from kerbstone.world.model_version import version_of
from kerbstone.world.observed import Observed
from kerbstone.world.windows import PATCH, PATCHES, STEP, STEPS_PER_PATCH, Window, cut_window

if TYPE_CHECKING:
    from kerbstone.world.predicting import Prediction

Predictor = Callable[[Iterable[Observed]], Iterable["Prediction"]]
"""Says what was hidden of windows, in their order: `world.predict_all` with its model given."""

_WINDOW = PATCHES * PATCH
_GRID = 1.0
"""Windows begin at whole multiples of this, so that gaps of one time share theirs [s]."""
_STRETCH = 60.0
"""So much of a log is laid out at once, and a window more [s]."""
_CLOSE = 1e-6


@lru_cache(maxsize=1)
def read_predictor(path: str, version: str) -> Predictor:
    """Return a trained scene model, which each process reads once.

    Args:
        path: Folder of the run that made it, or its file.
        version: The version that is meant.

    Raises:
        InputError: There is no such model, it is damaged, it was trained for something else, or
            another one has taken its place.
    """
    # Only who asks a model waits for JAX.
    from kerbstone.world import predict_all, read_model

    network, header = read_model(path)
    if header.get("objective") != "masked":
        raise InputError(
            "value",
            "this model cannot fill gaps",
            where=path,
            why=f"it was trained for {header.get('objective')!r:.40}, and is told nothing hidden",
            remedy="train one with `kerbstone pretrain --objective masked`",
        )
    if version_of(path) != version:
        raise InputError(
            "value",
            "the model was replaced while it was used",
            where=path,
            remedy="the same command again uses the new one",
        )
    return partial(predict_all, network)


def fill_gaps(
    labels: Labels, gaps: Gaps, wanted: Int64[np.ndarray, " some"], predictor: Predictor
) -> list[Filling | None]:
    """Return what a model says of some gaps.

    Each lies as near to the middle of its window as whole seconds allow. All gaps within a window
    are hidden, whoever filled them: nothing there was seen.

    Args:
        labels: The labels; only what was detected of them tells of the gaps.
        gaps: All their gaps, from `find_gaps`.
        wanted: Those that are asked for, by their number.
        predictor: The model.

    Returns:
        One for each that is asked for; None where the model says nothing.
    """
    told: deque[tuple[list[int], dict[str, int], np.ndarray]] = deque()

    def observed() -> Iterator[Observed]:
        for asked, window in _cut_windows(labels, gaps, wanted):
            rows = {name: row for row, name in enumerate(window.ids)}
            time = window.start + STEP * np.arange(window.steps)
            told.append((asked, rows, time))
            yield _hide_gaps(labels, gaps, window, rows, time)

    found: list[Filling | None] = [None] * len(wanted)
    for prediction in predictor(observed()):
        asked, rows, time = told.popleft()
        for place in asked:
            gap = int(wanted[place])
            row = rows.get(labels.ids[gaps.agent[gap]])
            if row is not None:
                found[place] = read_filling(labels, gaps, gap, time, row, prediction)
    return found


def _cut_windows(
    labels: Labels, gaps: Gaps, wanted: Int64[np.ndarray, " some"]
) -> Iterator[tuple[list[int], Window]]:
    """Give windows around gaps, each with which of those that are asked for it is about."""
    clock = labels.scene.clock
    middle = (gaps.first + gaps.last)[wanted] * clock.dt / 2
    latest = max(np.ceil((clock.duration - _WINDOW) / _GRID - _CLOSE), 0.0)
    number = np.clip(np.round((middle - _WINDOW / 2) / _GRID), 0, latest).astype(np.int64)
    stretch = (number * _GRID // _STRETCH).astype(np.int64)
    for each in np.unique(stretch):
        first = int(each * _STRETCH / clock.dt)
        steps = int(np.ceil((_STRETCH + _WINDOW) / clock.dt)) + 1
        scene, _ = labels.to_scene(first, min(steps, clock.steps - first))
        for start in np.unique(number[stretch == each]):
            window = cut_window(scene, max(start * _GRID - first * clock.dt, 0.0))
            yield (
                np.flatnonzero(number == start).tolist(),
                replace(window, start=first * clock.dt + window.start),
            )


def _hide_gaps(
    labels: Labels, gaps: Gaps, window: Window, rows: dict[str, int], time: np.ndarray
) -> Observed:
    """Return a window without what lies in gaps.

    Patches that a gap touches are asked for; the detections in them still say where the path is.
    """
    dt = labels.scene.clock.dt
    begin, end = gaps.first * dt, gaps.last * dt
    hidden = np.zeros((len(window), window.steps), bool)
    for gap in np.flatnonzero((begin < time[-1]) & (end > time[0])):
        row = rows.get(labels.ids[gaps.agent[gap]])
        if row is not None:
            hidden[row] |= within_gap(time, begin[gap], end[gap])
    patches = hidden.reshape(len(window), window.patches, STEPS_PER_PATCH)
    # No heading of a label is derived from its motion, so none tells of what is hidden.
    return Observed(
        window=replace(
            window,
            position=np.where(hidden[..., None], np.nan, window.position),
            heading=np.where(hidden, np.nan, window.heading),
            valid=window.valid & ~hidden,
        ),
        hidden=np.asarray(patches.any(axis=-1)),
        placed=np.zeros((len(window), window.patches), bool),
        is_type_hidden=np.zeros(len(window), bool),
    )
