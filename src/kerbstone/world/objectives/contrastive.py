"""Contrastive learning: which past of a window belongs to which future.

The past and the future of a window are seen apart. What is learned of a road user from its past
must be nearer to what is learned from its own future than to what the others' futures say.

References:
    van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from kerbstone.world.batches import Sums, sum_losses
from kerbstone.world.heads import pool
from kerbstone.world.masks import Forecast, Mask
from kerbstone.world.network import SceneModel
from kerbstone.world.objectives.focus import draw_focus
from kerbstone.world.objectives.modes import at_least_one
from kerbstone.world.observed import Observed, hide
from kerbstone.world.tokens import Limits, Tokens, tokenise
from kerbstone.world.windows import Window

_TEMPERATURE = 0.1


class Views(NamedTuple):
    """Past and future of a window, with the same road users in the same rows."""

    past: Tokens
    future: Tokens
    is_both: Bool[np.ndarray, "*batch agent"]


def make_views(window: Window, rng: np.random.Generator, limits: Limits) -> Views | None:
    """Return past and future of a window; None where fewer than two road users have both."""
    if not len(window):
        return None
    ahead = Forecast()(window, rng)
    behind = replace(ahead, states=~ahead.states, lights=~ahead.lights)
    focus = draw_focus(window, ahead, rng)
    if focus is None:
        return None
    seen = [_see(window, mask) for mask in (ahead, behind)]
    is_both = seen[0].window.valid.any(axis=1) & seen[1].window.valid.any(axis=1)
    rows = np.flatnonzero(is_both)
    if len(rows) < 2:
        return None
    first, frame = tokenise(seen[0].select(rows), limits, focus=focus)
    chosen = rows[frame.rows]
    second, _ = tokenise(seen[1].select(chosen), limits, focus=focus, keep_order=True)
    return Views(first, second, np.arange(limits.agents) < len(chosen))


def contrastive_loss(model: SceneModel, batch: Views) -> tuple[Float[Array, ""], Sums]:
    """Return the loss of matching pasts and futures, and what it is made of."""
    count = at_least_one(batch.is_both.sum())

    def loss(model: SceneModel, sample: Views) -> tuple[Array, Sums]:
        past, future = (_summarise(model, tokens) for tokens in (sample.past, sample.future))
        score = past @ future.T / _TEMPERATURE
        score = jnp.where(sample.is_both[:, None] & sample.is_both, score, -1e9)
        diagonal = jnp.diagonal(score)
        forth = jax.nn.logsumexp(score, axis=1) - diagonal
        back = jax.nn.logsumexp(score, axis=0) - diagonal
        total = jnp.where(sample.is_both, 0.5 * (forth + back), 0.0).sum() / count
        right = (score.argmax(axis=1) == jnp.arange(len(score))) & sample.is_both
        return total, {"match": total, "match_accuracy": right.sum() / count}

    return sum_losses(loss, model, batch)


def _see(window: Window, mask: Mask) -> Observed:
    """Return what a mask leaves, with nothing asked for."""
    observed = hide(window, mask)
    return replace(observed, hidden=np.zeros_like(observed.hidden))


def _summarise(model: SceneModel, tokens: Tokens) -> Array:
    """Return what is learned of each road user, of length 1."""
    found = pool(model.encode(tokens).tokens, tokens.is_there)
    return found / jnp.sqrt((found**2).sum(axis=-1, keepdims=True) + 1e-6)
