"""Relative poses: how a token lies to another and moves, in the frame of the one that attends."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

RELATIVE_VALUES = 18
_SCALES = (2.0, 8.0, 30.0)
"""Distances that are told apart best [m]."""
_WIDE = 30.0
_LONG = 5.0
_TINY = 1e-3


def relate(
    query: Float[Array, "*#batch 3"],
    key: Float[Array, "*#batch 3"],
    wait: Float[Array, "*#batch"],
    drift: Float[Array, "*#batch 2"],
) -> Float[Array, "... value"]:
    """Return what is told of how one pose lies to another; the same after any rigid motion.

    Args:
        query: Pose of the token that attends: place [m] and direction [rad].
        key: Pose of the token that it attends to; a direction that is not known is NaN.
        wait: How much later the other one is [s].
        drift: Velocity of the other one less that of the token that attends, in any unit.

    References:
        Zhou et al., "Query-Centric Trajectory Prediction", CVPR 2023.
    """
    apart = key[..., :2] - query[..., :2]
    cos, sin = jnp.cos(query[..., 2]), jnp.sin(query[..., 2])
    ahead = cos * apart[..., 0] + sin * apart[..., 1]
    left = cos * apart[..., 1] - sin * apart[..., 0]
    away = jnp.sqrt(ahead**2 + left**2 + _TINY**2)
    known = jnp.isfinite(key[..., 2])
    turn = jnp.where(known, key[..., 2], 0.0) - query[..., 2]
    return jnp.stack(
        [
            ahead / _WIDE,
            left / _WIDE,
            jnp.arcsinh(ahead),
            jnp.arcsinh(left),
            ahead / away,
            left / away,
            jnp.where(known, jnp.cos(turn), 0.0),
            jnp.where(known, jnp.sin(turn), 0.0),
            jnp.where(known, jnp.sin(turn) * left, 0.0) / (1.0 + away),
            *(jnp.exp(-away / scale) for scale in _SCALES),
            cos * drift[..., 0] + sin * drift[..., 1],
            cos * drift[..., 1] - sin * drift[..., 0],
            wait / _LONG,
            jnp.abs(wait) / _LONG,
            jnp.exp(-jnp.abs(wait)),
            jnp.ones_like(away),
        ],
        axis=-1,
    )
