"""Masked prediction: what a mask hides of windows is predicted, as a mixture's likelihood."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from kerbstone.world.batches import JUDGED, Sums, sum_losses
from kerbstone.world.heads import Predicted
from kerbstone.world.masks import PRETRAINING, MaskFamily
from kerbstone.world.network import SceneModel
from kerbstone.world.objectives.focus import draw_focus
from kerbstone.world.objectives.modes import Modes, at_least_one, score_modes, weigh_parts
from kerbstone.world.tokens import Example, Limits, Targets, make_example
from kerbstone.world.windows import Window

_WEIGHTS = {"nll": 0.2, "distance": 2.0, "heading": 0.2, "kind": 0.5, "presence": 0.1}


def make_masked(
    window: Window,
    rng: np.random.Generator,
    limits: Limits,
    *,
    family: MaskFamily = PRETRAINING,
) -> Example | None:
    """Return a window of which a mask of a family hides part; None where it hides nobody."""
    if not len(window):
        return None
    mask = family(window, rng)
    example = make_example(window, mask, limits, focus=draw_focus(window, mask, rng))
    return example if example.targets.valid.any() else None


def masked_loss(model: SceneModel, batch: Example) -> tuple[Float[Array, ""], Sums]:
    """Return the loss of predicting what masks hide of windows, and what it is made of.

    Of trajectories it is minus the log of the mixture's density, per step, a mean over road
    users; with small parts for headings, hidden kinds, and being there. Who is judged by it is
    judged by how many kinds it names wrong, not by how sure it was: the few kinds of a place that
    was never seen would else outweigh all trajectories.
    """
    targets = batch.targets
    users = at_least_one(targets.valid.any(axis=(2, 3)).sum())
    kinds = at_least_one(targets.is_kind_asked.sum())
    cells = at_least_one((batch.tokens.is_hidden[..., None] & targets.is_recorded).sum())

    def loss(model: SceneModel, sample: Example) -> tuple[Array, Sums]:
        tokens, targets = sample
        predicted = model(tokens)
        # Modes of a whole track: patch and step are one axis behind the modes.
        misses = score_modes(
            Modes(
                predicted.log_weight,
                *(
                    _join_patches(v)
                    for v in (predicted.offset, predicted.log_scale, predicted.turn)
                ),
            ),
            _flatten(targets.offset),
            _flatten(targets.turn),
            _flatten(targets.valid),
            _flatten(tokens.unit),
        )
        wrong, right = miss_kinds(predicted.kind, targets)
        parts = {name: value / users for name, value in misses._asdict().items()} | {
            "kind": wrong / kinds,
            "presence": _miss_presence(predicted, targets, tokens.is_hidden) / cells,
        }
        misnamed = (targets.is_kind_asked.sum() - right) / kinds
        told = {
            "kind_accuracy": right / kinds,
            JUDGED: weigh_parts(parts | {"kind": misnamed}, _WEIGHTS),
        }
        return weigh_parts(parts, _WEIGHTS), parts | told

    return sum_losses(loss, model, batch)


def _flatten(values: Array) -> Array:
    """Return values of [agent, patch, step, …] with one axis of steps."""
    return values.reshape(values.shape[0], -1, *values.shape[3:])


def _join_patches(values: Array) -> Array:
    """Return values of [agent, patch, mode, step, …] as [agent, mode, step, …]."""
    moved = jnp.moveaxis(values, 2, 1)
    return moved.reshape(*moved.shape[:2], -1, *moved.shape[4:])


def miss_kinds(
    logits: Float[Array, "agent kind"], targets: Targets
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return the sum of the cross entropies of hidden kinds, and how many are named right."""
    log = jax.nn.log_softmax(logits, axis=-1)
    right = jnp.take_along_axis(log, targets.kind[:, None], axis=-1)[:, 0]
    asked = targets.is_kind_asked
    hits = asked & (logits.argmax(axis=-1) == targets.kind)
    return -jnp.where(asked, right, 0.0).sum(), hits.sum().astype(jnp.float32)


def _miss_presence(predicted: Predicted, targets: Targets, is_hidden: Array) -> Array:
    """Return the sum of the cross entropies of being there at hidden steps.

    Beyond the record nobody is known to be away.
    """
    logit = predicted.presence
    loss = jax.nn.softplus(logit) - jnp.where(targets.valid, logit, 0.0)
    return jnp.where(is_hidden[..., None] & targets.is_recorded, loss, 0.0).sum()
