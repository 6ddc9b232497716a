"""The network: tokens of a window in, what each token has learned of its surroundings out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from kerbstone.errors import InputError
from kerbstone.scene import Kind
from kerbstone.world.attention import NearAttention, TrackAttention
from kerbstone.world.heads import Heads, Predicted
from kerbstone.world.relative import RELATIVE_VALUES, relate
from kerbstone.world.roads import PIECE_VALUES
from kerbstone.world.tokens import LIGHT_VALUES, STATE_VALUES, TYPE_VALUES, Flag, Tokens
from kerbstone.world.windows import PATCH


@dataclass(frozen=True)
class ModelConfig:
    """How large a model is.

    Args:
        width: Values of a token.
        heads: Heads of attention.
        layers: Layers.
        modes: Trajectories that a prediction is a mixture of.
    """

    width: int = 64
    heads: int = 4
    layers: int = 3
    modes: int = 6

    def __post_init__(self) -> None:
        for name, most in (("width", 1024), ("heads", 32), ("layers", 48), ("modes", 64)):
            if not 1 <= getattr(self, name) <= most:
                raise InputError(
                    "config", f"{name} is out of range", why=f"{getattr(self, name)}, 1 to {most}"
                )
        if self.width % self.heads:
            raise InputError(
                "config",
                "the heads do not share the width evenly",
                why=f"{self.heads} heads, width {self.width}",
            )


SIZES = {
    "tiny": ModelConfig(),
    "small": ModelConfig(width=160, heads=5, layers=7),
    "base": ModelConfig(width=320, heads=8, layers=12),
}
"""Models of about 0.3, 3 and 20 million parameters."""


class Layer(eqx.Module):
    """Attention over the own track, then over the neighbours, then each token for itself."""

    track: TrackAttention
    near: NearAttention
    inward: Float[Array, "width hidden"]
    threshold: Float[Array, " hidden"]
    outward: Float[Array, "hidden width"]
    norms: tuple[eqx.nn.RMSNorm, eqx.nn.RMSNorm, eqx.nn.RMSNorm]

    def __init__(self, config: ModelConfig, *, key: PRNGKeyArray) -> None:
        keys = jax.random.split(key, 4)
        width, hidden = config.width, 4 * config.width
        self.track = TrackAttention(width, config.heads, key=keys[0])
        self.near = NearAttention(width, config.heads, key=keys[1])
        self.inward = jax.random.normal(keys[2], (width, hidden)) * width**-0.5
        self.threshold = jnp.zeros(hidden)
        self.outward = jax.random.normal(keys[3], (hidden, width)) * hidden**-0.5
        norm = eqx.nn.RMSNorm(width, use_bias=False)
        self.norms = (norm, norm, norm)


class Perceptron(eqx.Module):
    """Two layers, applied to the last axis."""

    inward: Float[Array, "value hidden"]
    threshold: Float[Array, " hidden"]
    outward: Float[Array, "hidden width"]

    def __init__(self, values: int, hidden: int, width: int, *, key: PRNGKeyArray) -> None:
        first, second = jax.random.split(key)
        self.inward = jax.random.normal(first, (values, hidden)) * values**-0.5
        self.threshold = jnp.zeros(hidden)
        self.outward = jax.random.normal(second, (hidden, width)) * hidden**-0.5

    def __call__(self, values: Float[Array, "*batch value"]) -> Float[Array, "*batch width"]:
        """Return the second layer's values."""
        return jax.nn.relu(values @ self.inward + self.threshold) @ self.outward


class Encoded(NamedTuple):
    """What the network has learned of each token."""

    tokens: Float[Array, "agent patch width"]
    is_there: Bool[Array, "agent patch"]


class SceneModel(eqx.Module):
    """The model of the road.

    Args:
        config: Its size.
        key: Of the weights at first.
    """

    of_state: Perceptron
    of_piece: Perceptron
    of_light: Perceptron
    layers: tuple[Layer, ...]
    norm: eqx.nn.RMSNorm
    heads: Heads
    config: ModelConfig = eqx.field(static=True)

    def __init__(self, config: ModelConfig, *, key: PRNGKeyArray) -> None:
        keys = jax.random.split(key, 5)
        width = config.width
        told = STATE_VALUES + len(Flag) + TYPE_VALUES
        self.config = config
        self.of_state = Perceptron(told, 2 * width, width, key=keys[0])
        self.of_piece = Perceptron(PIECE_VALUES, width, width, key=keys[1])
        self.of_light = Perceptron(LIGHT_VALUES + 1, width, width, key=keys[2])
        self.layers = tuple(Layer(config, key=k) for k in jax.random.split(keys[3], config.layers))
        self.norm = eqx.nn.RMSNorm(width, use_bias=False)
        self.heads = Heads(width, config.modes, len(Kind), key=keys[4])

    def encode(self, tokens: Tokens, *, is_causal: bool = False) -> Encoded:
        """Return what the network has learned of each token of one window.

        Args:
            tokens: What it sees.
            is_causal: Whether no patch attends to later ones.
        """
        agents, patches = tokens.is_there.shape
        surroundings = _Surroundings.of(tokens, is_causal=is_causal)
        told = jnp.broadcast_to(tokens.type[:, None], (agents, patches, tokens.type.shape[-1]))
        x = self.of_state(jnp.concatenate([tokens.state, tokens.flags, told], axis=-1))
        pieces = self.of_piece(tokens.piece)
        is_known = 1.0 - tokens.light[..., :1]
        lights = self.of_light(jnp.concatenate([tokens.light, is_known], axis=-1))
        still = jnp.concatenate([pieces, lights.reshape(-1, lights.shape[-1])])
        for layer in self.layers:
            x = _apply(layer, x, still, surroundings)
        x = _normalise(self.norm, x)
        return Encoded(x, tokens.is_there)

    def __call__(self, tokens: Tokens) -> Predicted:
        """Return what is predicted for the hidden patches of one window."""
        encoded = self.encode(tokens)
        is_within = _lie_within(tokens)
        return self.heads(encoded.tokens, tokens.is_hidden, tokens.is_there, is_within)


def _lie_within(tokens: Tokens) -> Bool[Array, "agent patch"]:
    """Return which hidden patches have some that are seen on both sides.

    A place that is left of a road user does not count: of it no bridge is made.
    """
    seen = tokens.flags[..., Flag.SEEN] > 0.5
    before = jnp.cumsum(seen, axis=1) > 0
    after = jnp.cumsum(seen[:, ::-1], axis=1)[:, ::-1] > 0
    return tokens.is_hidden & before & after


class _Surroundings(NamedTuple):
    """How tokens lie to what they attend to; the same in all layers."""

    of_track: Float[Array, "agent patch patch relative"]
    in_track: Bool[Array, "agent patch patch"]
    near: Float[Array, "token neighbour"]
    of_near: Float[Array, "token neighbour relative"]
    is_near: Bool[Array, "token neighbour"]

    @classmethod
    def of(cls, tokens: Tokens, *, is_causal: bool) -> _Surroundings:
        agents, patches = tokens.is_there.shape
        pose, there = tokens.pose, tokens.is_there
        moves = _velocity(tokens)
        moment = jnp.arange(patches) * PATCH
        wait = jnp.broadcast_to(moment - moment[:, None], (agents, patches, patches))
        drift = moves[:, None] - moves[:, :, None]
        of_track = relate(pose[:, :, None], pose[:, None], wait, drift)
        in_track = there[:, :, None] & there[:, None]
        if is_causal:
            in_track &= jnp.tril(jnp.ones((patches, patches), bool))
        # One table: patches of all tracks, then pieces of road, then lights at each time.
        pieces = len(tokens.piece)
        patch = jnp.arange(patches)[:, None]
        near = jnp.concatenate(
            [
                tokens.near_agents * patches + patch,
                agents * patches + tokens.near_pieces,
                agents * patches + pieces + tokens.near_lights * patches + patch,
            ],
            axis=-1,
        ).reshape(agents * patches, -1)
        index = (tokens.near_agents, tokens.near_pieces, tokens.near_lights)
        is_near = jnp.concatenate([i >= 0 for i in index], axis=-1).reshape(near.shape)
        light_pose = jnp.repeat(tokens.light_pose, patches, axis=0)
        places = jnp.concatenate([pose.reshape(-1, 3), tokens.piece_pose, light_pose])
        near = jnp.where(is_near, near, 0)
        moves = moves.reshape(-1, 2)
        stands = jnp.zeros((len(places) - len(moves), 2))
        drift = jnp.concatenate([moves, stands])[near] - moves[:, None]
        of_near = relate(pose.reshape(-1, 1, 3), places[near], jnp.zeros(near.shape), drift)
        return cls(of_track, in_track, near, of_near, is_near & there.reshape(-1, 1))


def _velocity(tokens: Tokens) -> Float[Array, "agent patch 2"]:
    """Return the velocity of each patch's anchor in the frame of the poses, in tens of m/s."""
    cos, sin = jnp.cos(tokens.pose[..., 2]), jnp.sin(tokens.pose[..., 2])
    along, across = tokens.flags[..., Flag.ALONG], tokens.flags[..., Flag.ACROSS]
    return jnp.stack([cos * along - sin * across, sin * along + cos * across], axis=-1)


def _apply(layer: Layer, x: Array, still: Array, around: _Surroundings) -> Array:
    shape = x.shape
    x = x + layer.track(_normalise(layer.norms[0], x), around.of_track, around.in_track)
    flat = _normalise(layer.norms[1], x).reshape(-1, shape[-1])
    table = jnp.concatenate([flat, still])
    found = layer.near(flat, table, around.near, around.of_near, around.is_near)
    x = x + found.reshape(shape)
    hidden = jax.nn.relu(_normalise(layer.norms[2], x) @ layer.inward + layer.threshold)
    return x + hidden @ layer.outward


def _normalise(norm: eqx.nn.RMSNorm, x: Array) -> Array:
    scale = jax.lax.rsqrt(jnp.mean(x**2, axis=-1, keepdims=True) + norm.eps)
    return x * scale if norm.weight is None else x * scale * norm.weight


def build_model(config: ModelConfig, *, key: PRNGKeyArray) -> SceneModel:
    """Return a model that has learned nothing yet."""
    return SceneModel(config, key=key)


__all__ = [
    "RELATIVE_VALUES",
    "SIZES",
    "Encoded",
    "Layer",
    "ModelConfig",
    "SceneModel",
    "build_model",
]
