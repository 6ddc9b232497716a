"""How well modes of trajectories fit what happened: the part that objectives share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

_ABSURD_NLL, _ABSURD_DISTANCE = 15.0, 15.0
"""A track that is further off than this has jumped, or is another's: it teaches nothing."""


class Modes(NamedTuple):
    """Modes of trajectories, relative to their anchors and in their units."""

    log_weight: Float[Array, "*track mode"]
    offset: Float[Array, "*track mode step 2"]
    log_scale: Float[Array, "*track mode step 2"]
    turn: Float[Array, "*track mode step"]


class Misses(NamedTuple):
    """By how much modes miss what happened, summed over tracks; each of a step, on average.

    Args:
        nll: Negative log density of the mixture [nat per step], at most `_ABSURD_NLL` each.
        distance: Distance of the modes that came true, in units; at most `_ABSURD_DISTANCE` each.
        heading: 1 - cos of the turn they are off by.
    """

    nll: Float[Array, ""]
    distance: Float[Array, ""]
    heading: Float[Array, ""]


def score_modes(
    modes: Modes,
    offset: Float[Array, "*track step 2"],
    turn: Float[Array, "*track step"],
    valid: Bool[Array, "*track step"],
    unit: Float[Array, "*track step"],
) -> Misses:
    """Return by how much modes miss what happened.

    Through its own density a road user that stands would pull a thousand times as hard as one
    that drives. So the density teaches weights and scales only, and the distance the trajectories.

    Args:
        modes: What was predicted.
        offset: What happened, relative to the anchors.
        turn: Direction then [rad]; NaN where not known.
        valid: Which steps count.
        unit: Unit of the offsets [m].

    References:
        Seitzer et al., "On the Pitfalls of Heteroscedastic Uncertainty Estimation with
        Probabilistic Neural Networks", ICLR 2022.
    """
    still = modes._replace(offset=jax.lax.stop_gradient(modes.offset))
    joint = modes.log_weight + log_density(still, offset, valid, unit)
    steps = at_least_one(valid.sum(axis=-1))
    nll = -jax.scipy.special.logsumexp(joint, axis=-1) / steps
    share = jax.lax.stop_gradient(jax.nn.softmax(joint, axis=-1))
    apart = jnp.abs(offset[..., None, :, :] - modes.offset).sum(axis=-1)
    apart = jnp.where(valid[..., None, :], apart, 0.0).sum(axis=-1) / steps[..., None]
    apart = jnp.minimum(apart, _ABSURD_DISTANCE)
    known = valid & jnp.isfinite(turn)
    aside = 1.0 - jnp.cos(modes.turn - jnp.where(known, turn, 0.0)[..., None, :])
    aside = jnp.where(known[..., None, :], aside, 0.0).sum(axis=-1)
    aside /= at_least_one(known.sum(axis=-1))[..., None]
    return Misses(
        nll=jnp.where(valid.any(axis=-1), jnp.minimum(nll, _ABSURD_NLL), 0.0).sum(),
        distance=(share * apart).sum(),
        heading=(share * aside).sum(),
    )


def log_density(
    modes: Modes,
    offset: Float[Array, "*track step 2"],
    valid: Bool[Array, "*track step"],
    unit: Float[Array, "*track step"],
) -> Float[Array, "*track mode"]:
    """Return the log density of what happened under each mode, over all valid steps [1/m² each]."""
    error = jnp.abs(offset[..., None, :, :] - modes.offset)
    density = -error * jnp.exp(-modes.log_scale) - modes.log_scale
    density = density.sum(axis=-1) - 2.0 * jnp.log(2.0 * unit)[..., None, :]
    return jnp.where(valid[..., None, :], density, 0.0).sum(axis=-1)


def at_least_one(count: Array) -> Array:
    """Return a count to divide by."""
    return jnp.maximum(count, 1)


def weigh_parts(parts: Mapping[str, Array], weights: Mapping[str, float]) -> Array:
    """Return the sum of the parts of a loss, each by its weight."""
    return jnp.stack([weights[name] * part for name, part in parts.items()]).sum()
