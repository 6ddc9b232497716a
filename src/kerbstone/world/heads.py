"""Heads: what is read from the tokens; trajectories, kind and presence."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from kerbstone.world.windows import STEPS_PER_PATCH

_VALUES = 5
"""Of each step: two offsets, the logs of their scales, a turn."""
_LEAST, _MOST = -3.5, 3.0
"""Logs of the smallest and largest scale, in units of the anchors."""
_FIRST = ((0.0, 0.0), (-0.8, 0.0), (0.8, 0.0), (0.0, 0.8), (0.0, -0.8), (-2.0, 0.0))
"""Offsets that the first modes start from, so that none is idle: go on, slower, faster, to the
left, to the right, stop."""
_SPREAD = 0.3
_SPREAD_WITHIN = 0.1
"""They start so many times as far from their anchor, beyond what is seen and within a gap."""


class Predicted(NamedTuple):
    """What is predicted of a window, relative to the anchors and in their units.

    Args:
        log_weight: Log probability of each mode of each road user.
        offset: Median of each mode.
        log_scale: Log of the Laplace scale.
        turn: Direction, from the anchor's [rad].
        presence: Logit that a road user is there, at each step.
        kind: Logits of its kind.
    """

    log_weight: Float[Array, "agent mode"]
    offset: Float[Array, "agent patch mode step 2"]
    log_scale: Float[Array, "agent patch mode step 2"]
    turn: Float[Array, "agent patch mode step"]
    presence: Float[Array, "agent patch step"]
    kind: Float[Array, "agent kind"]


class Trajectories(eqx.Module):
    """One hidden layer, with a threshold of each mode, and what the modes start from.

    Args:
        width: Values of a token.
        modes: Number of modes.
        spread: How far from the anchor the modes start.
        key: Of the weights at first.
    """

    inward: Float[Array, "width hidden"]
    mode: Float[Array, "mode hidden"]
    outward: Float[Array, "hidden value"]
    first: Float[Array, "mode value"]

    def __init__(self, width: int, modes: int, spread: float, *, key: PRNGKeyArray) -> None:
        keys = jax.random.split(key, 3)
        scale = width**-0.5
        values = STEPS_PER_PATCH * _VALUES
        self.inward = jax.random.normal(keys[0], (width, width)) * scale
        self.mode = jax.random.normal(keys[1], (modes, width)) * 0.5
        self.outward = jax.random.normal(keys[2], (width, values)) * scale * 0.1
        first = jnp.zeros((modes, STEPS_PER_PATCH, _VALUES))
        starts = jnp.array([_FIRST[mode % len(_FIRST)] for mode in range(modes)])
        first = first.at[..., :2].set(spread * starts[:, None]).at[..., 2:4].set(-0.5)
        self.first = first.reshape(modes, values)

    def __call__(self, tokens: Float[Array, "*batch width"]) -> Float[Array, "*batch mode value"]:
        """Return the values of each mode of a patch."""
        hidden = jax.nn.relu((tokens @ self.inward)[..., None, :] + self.mode)
        return hidden @ self.outward + self.first


class Heads(eqx.Module):
    """Readouts: trajectories, the weights of the modes, kind and presence.

    Within a gap next to all is said by the anchors, beyond what is seen little is: they are read
    apart, or each would blur the other.

    Args:
        width: Values of a token.
        modes: Number of modes.
        kinds: Number of kinds.
        key: Of the weights at first.
    """

    beyond: Trajectories
    within: Trajectories
    weigh_inward: Float[Array, "width hidden"]
    weigh_threshold: Float[Array, " hidden"]
    weigh_outward: Float[Array, "hidden mode"]
    presence: Float[Array, "width step"]
    presence_first: Float[Array, " step"]
    kind: Float[Array, "width kind"]

    def __init__(self, width: int, modes: int, kinds: int, *, key: PRNGKeyArray) -> None:
        keys = jax.random.split(key, 5)
        scale = width**-0.5
        self.beyond = Trajectories(width, modes, _SPREAD, key=keys[0])
        self.within = Trajectories(width, modes, _SPREAD_WITHIN, key=keys[1])
        self.weigh_inward = jax.random.normal(keys[2], (width, width)) * scale
        self.weigh_threshold = jnp.zeros(width)
        self.weigh_outward = jax.random.normal(keys[3], (width, modes)) * scale * 0.1
        self.presence = jnp.zeros((width, STEPS_PER_PATCH))
        self.presence_first = jnp.zeros(STEPS_PER_PATCH)
        self.kind = jax.random.normal(keys[4], (width, kinds)) * scale * 0.1

    def __call__(
        self,
        tokens: Float[Array, "agent patch width"],
        is_hidden: Bool[Array, "agent patch"],
        is_there: Bool[Array, "agent patch"],
        is_within: Bool[Array, "agent patch"],
    ) -> Predicted:
        """Return what is read from the tokens of one window.

        Args:
            tokens: The tokens.
            is_hidden: Which patches are hidden.
            is_there: Which patches there are.
            is_within: Which lie between patches that are seen.
        """
        offset, log_scale, turn = self.draw(tokens, is_within)
        return Predicted(
            log_weight=self.weigh(pool(tokens, is_hidden)),
            offset=offset,
            log_scale=log_scale,
            turn=turn,
            presence=tokens @ self.presence + self.presence_first,
            kind=self.name(tokens, is_there),
        )

    def name(
        self, tokens: Float[Array, "agent patch width"], is_there: Bool[Array, "agent patch"]
    ) -> Float[Array, "agent kind"]:
        """Return the logits of the kinds."""
        return pool(tokens, is_there) @ self.kind

    def draw(
        self,
        tokens: Float[Array, "*batch width"],
        is_within: Bool[Array, "*batch"] | None = None,
    ) -> tuple[
        Float[Array, "*batch mode step 2"],
        Float[Array, "*batch mode step 2"],
        Float[Array, "*batch mode step"],
    ]:
        """Return the modes of a patch: offsets, logs of their scales, turns.

        Args:
            tokens: The tokens.
            is_within: Which lie between patches that are seen; none if not given.
        """
        values = self.beyond(tokens)
        if is_within is not None:
            values = jnp.where(is_within[..., None, None], self.within(tokens), values)
        values = values.reshape(*values.shape[:-1], STEPS_PER_PATCH, _VALUES)
        return values[..., :2], _bound(values[..., 2:4]), values[..., 4]

    def weigh(self, tokens: Float[Array, "*batch width"]) -> Float[Array, "*batch mode"]:
        """Return the log probabilities of the modes."""
        hidden = jax.nn.relu(tokens @ self.weigh_inward + self.weigh_threshold)
        return jax.nn.log_softmax(hidden @ self.weigh_outward, axis=-1)


def pool(
    tokens: Float[Array, "agent patch width"], chosen: Bool[Array, "agent patch"]
) -> Float[Array, "agent width"]:
    """Return the mean of some of each road user's tokens; zeros where there are none."""
    total = jnp.where(chosen[..., None], tokens, 0.0).sum(axis=1)
    return total / jnp.maximum(chosen.sum(axis=1), 1)[:, None]


def _bound(log_scale: Array) -> Array:
    """Return logs of scales within bounds that still have a slope near them."""
    middle, half = (_MOST + _LEAST) / 2, (_MOST - _LEAST) / 2
    return middle + half * jnp.tanh((log_scale - middle) / half)
