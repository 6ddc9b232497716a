"""Next-patch prediction: each patch of every track from all that came before it.

All patches are seen, but none attends to later ones; so one pass predicts every next patch. A
forecast is a rollout: what is predicted is appended, and predicted from.

References:
    Wu et al., "SMART: Scalable Multi-agent Real-time Motion Generation via Next-token Prediction",
    NeurIPS 2024.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Float64

from kerbstone.scene import angle_difference
from kerbstone.world.anchors import unit_beyond
from kerbstone.world.batches import Sums, sum_losses
from kerbstone.world.masks import HideKind
from kerbstone.world.network import SceneModel
from kerbstone.world.objectives.masked import miss_kinds
from kerbstone.world.objectives.modes import Modes, at_least_one, score_modes, weigh_parts
from kerbstone.world.observed import hide
from kerbstone.world.tokens import Limits, Targets, Tokens, pad, tokenise, turn_vectors
from kerbstone.world.windows import STEP, STEPS_PER_PATCH, Window

AHEAD = STEP * np.arange(1, STEPS_PER_PATCH + 1)
"""Time of each step of a next patch, after the patch before it [s]."""
_SHOWS = 0.5
"""Shorter ways show no direction [m]."""
_WEIGHTS = {"nll": 0.2, "distance": 2.0, "heading": 0.2, "kind": 0.2}


class Following(NamedTuple):
    """A window of which all is seen but some kinds, and what each patch is followed by."""

    tokens: Tokens
    targets: Targets


def make_following(window: Window, rng: np.random.Generator, limits: Limits) -> Following | None:
    """Return a window with the next patch of each patch; None where nothing follows."""
    if not len(window):
        return None
    window, focus = see_causally(window, rng, limits.agents)
    observed = hide(window, HideKind()(window, rng))
    tokens, frame = tokenise(observed, limits, focus=focus, keep_order=True)
    truth, anchors = window.select(frame.rows), frame.anchors
    shape = (len(frame.rows), window.patches, STEPS_PER_PATCH)
    last = slice(STEPS_PER_PATCH - 1, None, STEPS_PER_PATCH)
    axis = anchors.heading[:, last]
    expected = anchors.position[:, last, None] + anchors.velocity[:, last, None] * AHEAD[:, None]
    follows = np.roll(truth.position.reshape(*shape, 2), -1, axis=1)
    valid = (
        np.roll(truth.valid.reshape(shape), -1, axis=1)
        & frame.observed.window.valid_patch[..., None]
    )
    valid[:, -1] = False
    unit = unit_beyond(AHEAD, anchors.noise[:, None, None])
    unit = np.broadcast_to(unit, valid.shape)
    offset = turn_vectors(follows - expected, -axis[..., None]) / unit[..., None]
    turn = angle_difference(np.roll(truth.heading.reshape(shape), -1, axis=1), axis[..., None])
    targets = Targets(
        offset=np.where(valid[..., None], offset, 0.0),
        turn=np.where(valid, turn, np.nan),
        valid=valid,
        is_recorded=np.ones(shape, bool),
        kind=truth.kind.astype(np.int32),
        is_kind_asked=frame.observed.is_type_hidden & (truth.kind > 0),
    )
    if not valid.any():
        return None
    # The unit is that of what follows; what is seen has none.
    padded = np.ones_like(tokens.unit)
    padded[: len(unit), : window.patches] = unit
    return Following(tokens._replace(unit=padded), pad(targets, limits))


def see_causally(
    window: Window, rng: np.random.Generator, most: int
) -> tuple[Window, Float64[np.ndarray, " 2"]]:
    """Return what of a window tells no patch of later ones, and where to look.

    Who counts is chosen by what was there up to one patch, drawn by chance. A heading that was
    derived from motion is that of the way so far; patches whose last step has no place or no
    heading yet are left out, since those would come from later ones.

    Args:
        window: The window.
        rng: Draws the patch, and the road user around whom it looks.
        most: How many road users there is room for.
    """
    until = STEPS_PER_PATCH * (1 + int(rng.integers(window.patches)))
    heading = np.where(
        window.is_heading_derived[:, None], _head_back(window.position), window.heading
    )
    known = np.maximum.accumulate(
        np.where(np.isfinite(heading), np.arange(window.steps), -1), axis=1
    )
    held = np.take_along_axis(heading, np.maximum(known, 0), axis=1)
    heading = np.where((known >= 0) & window.valid, held, np.nan)
    shape = (len(window), window.patches, STEPS_PER_PATCH)
    is_whole = np.isfinite(heading).reshape(shape)[..., -1]
    valid = window.valid & np.repeat(is_whole, STEPS_PER_PATCH, axis=1) & np.isfinite(heading)
    so_far = valid[:, :until].any(axis=1)
    if not so_far.any():
        return window.select([]), np.zeros(2)
    seen = np.where(valid[:, :until, None], window.position[:, :until], np.nan)
    one = rng.choice(np.flatnonzero(so_far))
    focus = seen[one, np.flatnonzero(valid[one, :until])[-1]]
    away = np.full(len(window), np.inf)
    away[so_far] = np.nanmin(np.hypot(*np.moveaxis(seen[so_far] - focus, -1, 0)), axis=1)
    rows = np.argsort(away, kind="stable")[: min(most, int(so_far.sum()))]
    causal = replace(
        window,
        position=np.where(valid[..., None], window.position, np.nan),
        heading=np.where(valid, heading, np.nan),
        valid=valid,
        is_heading_derived=np.zeros(len(window), bool),
    )
    return causal.select(np.sort(rows)), focus


def _head_back(position: Float64[np.ndarray, "agent step 2"]) -> np.ndarray:
    """Return the direction of the way to each step, over the last half metre or a little more."""
    heading = np.full(position.shape[:2], np.nan)
    reach = 1
    while reach < position.shape[1]:
        way = position[:, reach:] - position[:, :-reach]
        shows = (np.hypot(way[..., 0], way[..., 1]) >= _SHOWS) & np.isnan(heading[:, reach:])
        heading[:, reach:][shows] = np.arctan2(way[..., 1], way[..., 0])[shows]
        reach *= 2
    return heading


def following_loss(model: SceneModel, batch: Following) -> tuple[Float[Array, ""], Sums]:
    """Return the loss of predicting each next patch, and what it is made of."""
    tracks = at_least_one(batch.targets.valid.any(axis=-1).sum())
    kinds = at_least_one(batch.targets.is_kind_asked.sum())

    def loss(model: SceneModel, sample: Following) -> tuple[Array, Sums]:
        tokens, targets = sample
        x = model.encode(tokens, is_causal=True).tokens
        misses = score_modes(
            Modes(model.heads.weigh(x), *model.heads.draw(x)),
            targets.offset,
            targets.turn,
            targets.valid,
            tokens.unit,
        )
        parts = {name: value / tracks for name, value in misses._asdict().items()}
        logits = model.heads.name(x, tokens.is_there)
        wrong, right = miss_kinds(logits, targets)
        parts |= {"kind": wrong / kinds}
        told = {"kind_accuracy": right / kinds}
        return weigh_parts(parts, _WEIGHTS), parts | told

    return sum_losses(loss, model, batch)
