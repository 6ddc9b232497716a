"""Next-patch prediction: each patch of every track from all that came before it.

All patches are seen, but none attends to later ones; so one pass predicts every next patch. A
forecast is a rollout: what is predicted is appended, and predicted from.

References:
    Wu et al., "SMART: Scalable Multi-agent Real-time Motion Generation via Next-token Prediction",
    NeurIPS 2024.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from kerbstone.scene import angle_difference
from kerbstone.world.anchors import unit_beyond
from kerbstone.world.batches import Sums, sum_losses
from kerbstone.world.masks import HideKind
from kerbstone.world.network import SceneModel
from kerbstone.world.objectives.focus import draw_focus
from kerbstone.world.objectives.masked import miss_kinds
from kerbstone.world.objectives.modes import Modes, at_least_one, score_modes, weigh_parts
from kerbstone.world.observed import hide
from kerbstone.world.tokens import Limits, Targets, Tokens, pad, tokenise, turn_vectors
from kerbstone.world.windows import STEP, STEPS_PER_PATCH, Window

AHEAD = STEP * np.arange(1, STEPS_PER_PATCH + 1)
"""Time of each step of a next patch, after the patch before it [s]."""
_WEIGHTS = {"nll": 0.2, "distance": 2.0, "heading": 0.2, "kind": 0.2}


class Following(NamedTuple):
    """A window of which all is seen but some kinds, and what each patch is followed by."""

    tokens: Tokens
    targets: Targets


def make_following(window: Window, rng: np.random.Generator, limits: Limits) -> Following | None:
    """Return a window with the next patch of each patch; None where nothing follows."""
    if not len(window):
        return None
    mask = HideKind()(window, rng)
    observed = hide(window, mask)
    tokens, frame = tokenise(observed, limits, focus=draw_focus(window, mask, rng))
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
        kind=truth.kind.astype(np.int32),
        is_kind_asked=frame.observed.is_type_hidden & (truth.kind > 0),
    )
    if not valid.any():
        return None
    # The unit is that of what follows; what is seen has none.
    padded = np.ones_like(tokens.unit)
    padded[: len(unit), : window.patches] = unit
    return Following(tokens._replace(unit=padded), pad(targets, limits))


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
