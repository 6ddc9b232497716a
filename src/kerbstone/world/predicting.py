"""Predictions: what a model says was hidden, in the world frame."""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import ArrayLike, Bool, Float64, Int
from scipy.special import expit, softmax

from kerbstone.scene import wrap_angle
from kerbstone.world.batches import map_batch
from kerbstone.world.heads import Predicted
from kerbstone.world.mixture import Mixture
from kerbstone.world.network import SceneModel
from kerbstone.world.observed import Observed
from kerbstone.world.tokens import Frame, Limits, Tokens, stack, tokenise, turn_vectors
from kerbstone.world.windows import STEPS_PER_PATCH

_BUCKETS = (16, 32, 64, 128, 256, 512)
"""Numbers of road users for which a program is compiled."""
_BATCH = 8
_CORES = min(os.cpu_count() or 1, 8)
"""As many batches are worked on at once: most of a sample keeps one core busy."""
_AHEAD = 64
"""Windows that are looked at before any is predicted, to fill batches of one size."""


Program = Callable[[SceneModel, Tokens, Int[ArrayLike, ""]], tuple]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of a window; cells that were not asked for are NaN.

    Args:
        asked: The cells that were hidden, of road users of whom anything else was seen.
        mixture: What each road user may have done.
        heading: Direction under each mode [rad].
        presence: Probability that it was there.
        kind: Probability of each `Kind`, for every road user of whom anything was seen.
    """

    asked: Bool[np.ndarray, "agent step"]
    mixture: Mixture
    heading: Float64[np.ndarray, "agent mode step"]
    presence: Float64[np.ndarray, "agent step"]
    kind: Float64[np.ndarray, "agent kind"]


def predict(model: SceneModel, observed: Observed) -> Prediction:
    """Return what a model says was hidden of a window."""
    (prediction,) = predict_all(model, [observed])
    return prediction


def predict_all(model: SceneModel, observed: Iterable[Observed]) -> Iterator[Prediction]:
    """Give what a model says was hidden of each of many windows, in their order.

    Windows are taken some at a time, so they need not all be in memory.
    """
    rest = iter(observed)
    while group := list(islice(rest, _AHEAD)):
        results = run_model(_predict_batch, model, group)
        for each, (predicted, frame) in zip(group, results, strict=True):
            yield _read(Predicted(*predicted), frame, each)


def run_model(
    program: Program, model: SceneModel, observed: Sequence[Observed]
) -> list[tuple[tuple, Frame]]:
    """Return what a compiled program makes of windows, and their frames.

    Args:
        program: Takes the model, a batch of tokens, and how many samples of it count; returns
            arrays, the sample first.
        model: The model.
        observed: The windows; those of one size share their batches.
    """
    sized: dict[Limits, list[int]] = defaultdict(list)
    for place, each in enumerate(observed):
        sized[fit_limits(each)].append(place)
    results: list[tuple[tuple, Frame] | None] = [None] * len(observed)
    running: deque[tuple[list[int], list[Frame], Future[tuple]]] = deque()

    def collect() -> None:
        part, frames, future = running.popleft()
        found = jax.tree.map(np.asarray, future.result())
        for row, (place, frame) in enumerate(zip(part, frames, strict=True)):
            results[place] = (tuple(array[row] for array in found), frame)

    with ThreadPoolExecutor(_CORES) as pool:
        for limits, places in sized.items():
            for start in range(0, len(places), _BATCH):
                part = places[start : start + _BATCH]
                tokens, frames = map(
                    list, zip(*(tokenise(observed[i], limits) for i in part), strict=True)
                )
                # A batch that is not full repeats its last window: one size, one program.
                batch = stack(tokens + [tokens[-1]] * (_BATCH - len(part)))
                work = pool.submit(program, model, batch, np.asarray(len(part)))
                running.append((part, frames, work))
                if len(running) > _CORES:
                    collect()
        while running:
            collect()
    return [result for result in results if result is not None]


def fit_limits(observed: Observed) -> Limits:
    """Return sizes that hold all of a window; there are few of them."""
    count = int(observed.window.valid.any(axis=1).sum())
    agents = next((size for size in _BUCKETS if size >= count), _BUCKETS[-1])
    return Limits(
        agents=agents,
        patches=observed.window.patches,
        pieces=24 * agents,
        lights=max(agents // 2, 32),
    )


@eqx.filter_jit
def _predict_batch(model: SceneModel, tokens: Tokens, count: Int[ArrayLike, ""]) -> Predicted:
    return map_batch(model, tokens, count)


def _read(predicted: Predicted, frame: Frame, observed: Observed) -> Prediction:
    """Return a prediction in the world frame, with a row for each road user of the window."""
    window, rows = observed.window, frame.rows
    count, steps = len(rows), window.steps
    modes = predicted.log_weight.shape[-1]
    part = (slice(count),)

    def by_step(values: Any) -> np.ndarray:
        """Patches and their steps, behind the modes, as one axis of steps."""
        moved = np.moveaxis(np.asarray(values[part], np.float64), 2, 1)
        return moved.reshape(count, modes, steps, *values.shape[4:])

    anchors = frame.anchors
    axis = _axes(anchors.heading)
    unit = anchors.unit[:, None, :, None]
    apart = turn_vectors(by_step(predicted.offset) * unit, axis[:, None])
    asked = np.repeat(frame.observed.hidden, STEPS_PER_PATCH, axis=1)
    asked &= ~frame.observed.window.valid
    hidden = ~asked[:, None]

    def spread(values: np.ndarray, fill: float = np.nan) -> np.ndarray:
        full = np.full((len(window), *values.shape[1:]), fill)
        full[rows] = values
        return full

    position = anchors.position[:, None] + apart
    scale = np.exp(by_step(predicted.log_scale)) * unit
    heading = wrap_angle(axis[:, None] + by_step(predicted.turn))
    presence = expit(predicted.presence[part].astype(np.float64)).reshape(count, steps)
    weight = np.exp(predicted.log_weight[part].astype(np.float64))
    return Prediction(
        asked=spread(asked, fill=0.0).astype(bool),
        mixture=Mixture(
            weight=spread(weight / weight.sum(axis=-1, keepdims=True)),
            position=spread(np.where(hidden[..., None], np.nan, position)),
            scale=spread(np.where(hidden[..., None], np.nan, scale)),
            axis=spread(axis),
        ),
        heading=spread(np.where(hidden, np.nan, heading)),
        presence=spread(np.where(asked, presence, np.nan)),
        kind=spread(softmax(predicted.kind[part].astype(np.float64), axis=-1)),
    )


def _axes(heading: np.ndarray) -> np.ndarray:
    """Return the direction in which offsets are told at each step: that of its patch's anchor."""
    last = heading[:, STEPS_PER_PATCH - 1 :: STEPS_PER_PATCH]
    return np.repeat(last, STEPS_PER_PATCH, axis=1)
