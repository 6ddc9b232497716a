"""Attention with relative poses: over a token's own track, and over its nearest neighbours.

Both score a key by what it is and by how it lies to the query, and return what it is and how it
lies, so that places are never told but relative to one another. Memory is linear in tokens: a
track has a bounded number of patches, and a token a bounded number of neighbours.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from kerbstone.world.relative import RELATIVE_VALUES

_NEVER = -1e9


class TrackAttention(eqx.Module):
    """Each patch attends to the patches of its own track.

    Args:
        width: Values of a token.
        heads: Heads; they share the width.
        key: Of the weights at first.
    """

    query: Float[Array, "width width"]
    keys_values: Float[Array, "width two_width"]
    query_relative: Float[Array, "width heads_relative"]
    value_relative: Float[Array, "heads relative part"]
    out: Float[Array, "width width"]
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, *, key: PRNGKeyArray) -> None:
        keys = jax.random.split(key, 5)
        part = width // heads
        scale = width**-0.5
        self.heads = heads
        self.query = jax.random.normal(keys[0], (width, width)) * scale * part**-0.5
        self.keys_values = jax.random.normal(keys[1], (width, 2 * width)) * scale
        self.query_relative = (
            jax.random.normal(keys[2], (width, heads * RELATIVE_VALUES)) * scale * 0.25
        )
        self.value_relative = (
            jax.random.normal(keys[3], (heads, RELATIVE_VALUES, part)) * RELATIVE_VALUES**-0.5
        )
        self.out = jax.random.normal(keys[4], (width, width)) * scale * 0.5

    def __call__(
        self,
        tokens: Float[Array, "agent patch width"],
        relative: Float[Array, "agent patch patch relative"],
        allowed: Bool[Array, "agent patch patch"],
    ) -> Float[Array, "agent patch width"]:
        """Return what each patch learns from its track."""
        agents, patches, width = tokens.shape
        heads, part = self.heads, width // self.heads

        def split(values: Array) -> Array:
            return values.reshape(agents, patches, heads, part).transpose(0, 2, 1, 3)

        keys, values = jnp.split(tokens @ self.keys_values, 2, axis=-1)
        score = split(tokens @ self.query) @ split(keys).swapaxes(-1, -2)
        told = (tokens @ self.query_relative).reshape(agents, patches, heads, RELATIVE_VALUES)
        score += (told @ relative.swapaxes(-1, -2)).transpose(0, 2, 1, 3)
        share = _weigh(score, allowed[:, None])
        mixed = (share @ split(values)).transpose(0, 2, 1, 3)
        lies = share.transpose(0, 2, 1, 3) @ relative
        mixed += jnp.einsum("aphr,hrc->aphc", lies, self.value_relative)
        return mixed.reshape(agents, patches, width) @ self.out


class NearAttention(eqx.Module):
    """Each token attends to its nearest neighbours in a table of tokens.

    Key and value are the same: what a neighbour is, in half the width, and how it lies. So little
    is gathered, and each head is one product of small matrices.
    """

    narrow: Float[Array, "width half"]
    query: Float[Array, "width heads_told"]
    out: Float[Array, "heads_told width"]
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, *, key: PRNGKeyArray) -> None:
        first, second, third = jax.random.split(key, 3)
        told = width // 2 + RELATIVE_VALUES
        self.heads = heads
        self.narrow = jax.random.normal(third, (width, width // 2)) * width**-0.5
        self.query = jax.random.normal(first, (width, heads * told)) * (width * told) ** -0.5
        self.out = jax.random.normal(second, (heads * told, width)) * (heads * told) ** -0.5

    def __call__(
        self,
        tokens: Float[Array, "token width"],
        table: Float[Array, "entry width"],
        near: Int[Array, "token neighbour"],
        relative: Float[Array, "token neighbour relative"],
        allowed: Bool[Array, "token neighbour"],
    ) -> Float[Array, "token width"]:
        """Return what each token learns from its neighbours; nothing where it has none."""
        told = jnp.concatenate([(table @ self.narrow)[near], relative], axis=-1)
        query = (tokens @ self.query).reshape(len(tokens), self.heads, -1)
        share = _weigh(query @ told.swapaxes(-1, -2), allowed[:, None])
        return (share @ told).reshape(len(tokens), -1) @ self.out


def _weigh(score: Array, allowed: Array) -> Array:
    """Return the softmax over what is allowed; all zeros where nothing is."""
    score = jnp.where(allowed, score, _NEVER)
    return jax.nn.softmax(score, axis=-1) * allowed
