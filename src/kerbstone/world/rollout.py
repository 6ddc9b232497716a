"""Rollouts: joint samples of the future, in which road users react to each other.

What is predicted of everybody is drawn for a while, shown as if it had been seen, and predicted on
from. Each draw is of one mode for each road user by itself; what they do together comes of seeing
each other do it, some time later.

References:
    Montali et al., "The Waymo Open Sim Agents Challenge", NeurIPS Datasets and Benchmarks 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import equinox as eqx
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Float64, Int

from kerbstone.errors import InputError
from kerbstone.scene import wrap_angle
from kerbstone.world.anchors import unit_beyond
from kerbstone.world.batches import map_batch
from kerbstone.world.mixture import Mixture
from kerbstone.world.network import SceneModel
from kerbstone.world.objectives.following import AHEAD
from kerbstone.world.observed import Observed
from kerbstone.world.predicting import predict_all, run_model
from kerbstone.world.tokens import Frame, Tokens, turn_vectors
from kerbstone.world.windows import PATCH, STEPS_PER_PATCH

_PRESENT = 0.5
"""Who is there with a smaller probability is not shown to the others."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Joint samples of a window's future.

    What is seen is in every sample as it was; what is neither seen nor asked for is NaN.

    Args:
        position: World frame [m].
        heading: Direction [rad].
        scale: Laplace scale of what the drawn modes leave open, along and across `axis` [m].
        axis: Direction in which each was last seen [rad].
        asked: The cells that were sampled.
    """

    position: Float64[np.ndarray, "sample agent step 2"]
    heading: Float64[np.ndarray, "sample agent step"]
    scale: Float64[np.ndarray, "sample agent step 2"]
    axis: Float64[np.ndarray, " agent"]
    asked: Bool[np.ndarray, "agent step"]

    def to_mixture(self) -> Mixture:
        """Return a mixture in which each sample is a mode; all are equally probable."""
        samples, agents, steps = self.heading.shape
        asked = self.asked[None, ..., None]
        return Mixture(
            weight=np.full((agents, samples), 1 / max(samples, 1)),
            position=np.where(asked, self.position, np.nan).swapaxes(0, 1),
            scale=np.where(asked, self.scale, np.nan).swapaxes(0, 1),
            axis=np.repeat(self.axis[:, None], steps, axis=1),
        )


def roll_out(
    model: SceneModel,
    observed: Observed,
    rng: np.random.Generator,
    *,
    samples: int,
    every: float = 1.0,
    leads: bool = False,
    spread: bool = False,
) -> Samples:
    """Return joint samples of a future that a model trained with `masked` tells.

    Who is probably gone is not shown to the others, but told on from where it was last shown.

    Args:
        model: The model.
        observed: A window whose future is hidden, as `Forecast` hides it.
        rng: Of the draws.
        samples: How many samples.
        every: How much is shown before the next prediction [s]; rounded to patches.
        leads: Whether the first sample takes the most probable modes; all others are drawn.
        spread: Whether a sample is off the medians of its modes. How far off in scales is drawn
            once for each prediction, along and across, so that paths are smooth, and the places
            at each single step are distributed as the mixture says.

    Raises:
        InputError: What is hidden is not the future, or `samples` is below 1.
    """

    def tell(states: Sequence[Observed], part: slice) -> list[_Said]:
        said = []
        for prediction in predict_all(model, states):
            mixture = prediction.mixture
            chance = prediction.presence[:, part]
            shape = (len(chance), chance.shape[1] // STEPS_PER_PATCH, STEPS_PER_PATCH)
            chance = chance.reshape(shape).mean(axis=-1)
            said.append(
                _Said(
                    mixture.weight,
                    mixture.position[:, :, part],
                    prediction.heading[:, :, part],
                    mixture.scale[:, :, part],
                    mixture.axis[:, part.start],
                    np.repeat(chance >= _PRESENT, STEPS_PER_PATCH, axis=1),
                )
            )
        return said

    patches = max(round(every / PATCH), 1)
    return _unroll(tell, observed, rng, samples, patches=patches, leads=leads, spread=spread)


def follow(
    model: SceneModel,
    observed: Observed,
    rng: np.random.Generator,
    *,
    samples: int,
    leads: bool = False,
    spread: bool = False,
) -> Samples:
    """Return joint samples of a future that a model trained with `next` tells, patch by patch.

    Who is not seen in the last patch before the future is followed by nothing, so not asked for.

    Args:
        model: The model.
        observed: A window whose future is hidden, as `Forecast` hides it.
        rng: Of the draws.
        samples: How many samples.
        leads: As for `roll_out`.
        spread: As for `roll_out`.

    Raises:
        InputError: What is hidden is not the future, or `samples` is below 1.
    """

    def tell(states: Sequence[Observed], part: slice) -> list[_Said]:
        patch = part.start // STEPS_PER_PATCH - 1
        # Nothing is hidden from such a model: what is to come is not there.
        seen = [replace(each, hidden=np.zeros_like(each.hidden)) for each in states]
        results = run_model(_follow_batch, model, seen)
        return [
            _read_next(values, frame, len(each.window), patch)
            for each, (values, frame) in zip(states, results, strict=True)
        ]

    return _unroll(tell, observed, rng, samples, patches=1, leads=leads, spread=spread)


@dataclass(frozen=True, eq=False)
class _Said:
    """What is said of the next steps of a window; NaN of whom nothing is said."""

    weight: Float64[np.ndarray, "agent mode"]
    position: Float64[np.ndarray, "agent mode step 2"]
    heading: Float64[np.ndarray, "agent mode step"]
    scale: Float64[np.ndarray, "agent mode step 2"]
    axis: Float64[np.ndarray, " agent"]
    is_there: Bool[np.ndarray, "agent step"]


_Tell = Callable[[Sequence[Observed], slice], list[_Said]]


def _unroll(
    tell: _Tell,
    observed: Observed,
    rng: np.random.Generator,
    samples: int,
    *,
    patches: int,
    leads: bool,
    spread: bool,
) -> Samples:
    """Draw what is said of the next patches, show it, and ask again, to the window's end."""
    if samples < 1:
        raise InputError("value", "there is no sample to draw", why=f"samples is {samples}")
    first, window = _find_future(observed), observed.window
    states = [observed] * samples
    position, heading, scale = (
        np.repeat(each[None], samples, axis=0)
        for each in (window.position, window.heading, np.full(window.position.shape, np.nan))
    )
    axis = np.full(len(window), np.nan)
    open_before = np.zeros((samples, len(window), 2))
    for start in range(first, window.patches, patches):
        end = min(start + patches, window.patches)
        part = slice(start * STEPS_PER_PATCH, end * STEPS_PER_PATCH)
        if start == first:
            # All are alike yet.
            said = tell(states[:1], part) * samples
            axis = said[0].axis
        else:
            said = tell(states, part)
        chance = rng.random((samples, len(window)))
        off = rng.laplace(size=(samples, len(window), 2)) if spread else np.zeros_like(open_before)
        hidden = np.repeat(observed.hidden[:, start:end], STEPS_PER_PATCH, axis=1)
        for row, each in enumerate(said):
            path, turned, width = _draw(each, None if leads and not row else chance[row], off[row])
            position[row, :, part][hidden] = path[hidden]
            heading[row, :, part][hidden] = turned[hidden]
            square = _turn_squares(width**2, each.axis - axis) + open_before[row][:, None]
            scale[row, :, part][hidden] = np.sqrt(square)[hidden]
            if not spread:
                open_before[row] = square[:, -1]
            told = hidden & np.isfinite(path).all(axis=-1) & each.is_there
            states[row] = _show(states[row], part, path, turned, told)
    asked = np.repeat(observed.hidden, STEPS_PER_PATCH, axis=1)
    asked &= np.isfinite(position).all(axis=(0, 3))
    seen = asked | window.valid
    return Samples(
        position=np.where(seen[..., None], position, np.nan),
        heading=np.where(seen, heading, np.nan),
        scale=np.where(asked[..., None], scale, np.nan),
        axis=axis,
        asked=asked,
    )


def _find_future(observed: Observed) -> int:
    """Return the first patch of the future: from there on all is hidden of whoever is."""
    hidden = observed.hidden[observed.hidden.any(axis=1)]
    patches = observed.window.patches
    first = int(hidden.any(axis=0).argmax()) if len(hidden) else patches
    if (hidden != (np.arange(patches) >= first)).any() or observed.placed.any():
        raise InputError(
            "value",
            "only the future of a window can be rolled out",
            where=f"scene {observed.window.scene}",
            why="its mask hides another part",
            remedy="hide it with Forecast",
        )
    return first


def _draw(
    said: _Said, chance: np.ndarray | None, off: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the path, heading and scales of one mode of each road user.

    Args:
        said: What is said.
        chance: Numbers from 0 to 1 that choose the modes; None for the most probable ones.
        off: How far off the medians, in scales, along and across.
    """
    weight = np.nan_to_num(said.weight)
    row = np.arange(len(weight))
    if chance is None:
        mode = weight.argmax(axis=1)
    else:
        # Short of the last one, whatever rounding leaves of the sum.
        mode = (weight.cumsum(axis=1)[:, :-1] <= chance[:, None]).sum(axis=1)
    scale = said.scale[row, mode]
    apart = turn_vectors(off[:, None] * scale, said.axis[:, None])
    return said.position[row, mode] + apart, wrap_angle(said.heading[row, mode]), scale


def _show(
    observed: Observed, part: slice, path: np.ndarray, heading: np.ndarray, told: np.ndarray
) -> Observed:
    """Return a window in which a stretch that was hidden is seen."""
    window = observed.window
    position, direction, valid = window.position.copy(), window.heading.copy(), window.valid.copy()
    hidden = observed.hidden.copy()
    position[:, part][told] = path[told]
    direction[:, part][told] = heading[told]
    valid[:, part] |= told
    hidden[:, part.start // STEPS_PER_PATCH : part.stop // STEPS_PER_PATCH] = False
    return replace(
        observed,
        window=replace(window, position=position, heading=direction, valid=valid),
        hidden=hidden,
    )


def _turn_squares(square: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Return the squares of independent errors along axes that are turned by an angle [rad]."""
    share = np.sin(angle)[:, None, None] ** 2
    return (1 - share) * square + share * square[..., ::-1]


@eqx.filter_jit
def _follow_batch(
    model: SceneModel, tokens: Tokens, count: Int[ArrayLike, ""]
) -> tuple[
    Float[Array, "sample agent patch mode"],
    Float[Array, "sample agent patch mode step 2"],
    Float[Array, "sample agent patch mode step 2"],
    Float[Array, "sample agent patch mode step"],
]:
    def tell(each: Tokens) -> tuple[Array, Array, Array, Array]:
        learned = model.encode(each, is_causal=True).tokens
        return (model.heads.weigh(learned), *model.heads.draw(learned))

    return map_batch(tell, tokens, count)


def _read_next(values: tuple, frame: Frame, agents: int, patch: int) -> _Said:
    """Return what a patch is followed by, in the world frame, for all of a window's road users."""
    rows, anchors = frame.rows, frame.anchors
    count, last = len(rows), (patch + 1) * STEPS_PER_PATCH - 1
    known = np.zeros((count, STEPS_PER_PATCH), bool)
    if patch >= 0:
        known |= frame.observed.window.valid_patch[:, patch, None]
    log_weight, offset, log_scale, turn = (
        np.asarray(each[:count, max(patch, 0)], np.float64) for each in values
    )
    axis = anchors.heading[:, last]
    unit = unit_beyond(AHEAD, anchors.noise[:, None])[:, None, :, None]
    expected = anchors.position[:, last, None] + anchors.velocity[:, last, None] * AHEAD[:, None]
    path = expected[:, None] + turn_vectors(offset * unit, axis[:, None, None])

    def spread(told: np.ndarray) -> np.ndarray:
        full = np.full((agents, *told.shape[1:]), np.nan)
        full[rows] = np.where(known[:, :1].reshape(-1, *[1] * (told.ndim - 1)), told, np.nan)
        return full

    is_there = np.zeros((agents, STEPS_PER_PATCH), bool)
    is_there[rows] = known
    return _Said(
        weight=spread(np.exp(log_weight)),
        position=spread(path),
        heading=spread(wrap_angle(axis[:, None, None] + turn)),
        scale=spread(np.exp(log_scale) * unit),
        axis=spread(axis),
        is_there=is_there,
    )
