"""The step that learns: Muon and Adam, with a moving average of the weights, as one program."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jax import Array

from kerbstone.world.batches import JUDGED
from kerbstone.world.training.config import PretrainConfig

Objective = Callable[[Any, Any, Array], tuple[Array, Mapping[str, Array]]]
"""Takes a model, a batch and a key; returns the loss and numbers to be told of."""

_MOMENTS = (0.9, 0.99)
_STEP = 0.4
"""Root mean square of a step of a matrix, in learning rates: about that of Adam's steps."""
_LEAST_SIDE = 32
"""A matrix with a shorter side is a readout, or has little to be made orthogonal."""


class Learned(NamedTuple):
    """What a step changes; see `Arrays`."""

    weights: Any
    average: Any
    moments: Any


def learning_rate(step: int, total: int, config: PretrainConfig) -> float:
    """Return the learning rate of a step: a straight rise, then a cosine that ends near 0.

    Args:
        step: Number of the step, from 0.
        total: Steps of the run.
        config: The highest rate, and how long it takes to get there.
    """
    rise = max(round(config.warmup * total), 1)
    if step < rise:
        return config.rate * (step + 1) / rise
    return 0.5 * config.rate * (1 + math.cos(math.pi * (step - rise + 1) / (total - rise + 1)))


def make_optimiser(config: PretrainConfig) -> optax.GradientTransformation:
    """Return the optimiser; what it gives is still to be multiplied by minus the learning rate.

    Large matrices learn by Muon, all else by Adam.

    References:
        Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
        Liu et al., "Muon is Scalable for LLM Training", arXiv:2502.16982, 2025.
        Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    """
    return optax.chain(
        optax.clip_by_global_norm(config.clip),
        optax.contrib.muon(
            -1.0,
            adam_b1=_MOMENTS[0],
            adam_b2=_MOMENTS[1],
            muon_weight_dimension_numbers=_find_large,
            consistent_rms=_STEP,
        ),
        optax.add_decayed_weights(config.decay, mask=find_matrices),
    )


def _find_large(weights: Any) -> Any:
    """Return for each leaf how it is a matrix that learns by Muon; None where it is not."""
    return jax.tree.map(
        lambda leaf: (
            optax.contrib.MuonDimensionNumbers()
            if jnp.ndim(leaf) == 2 and min(leaf.shape) >= _LEAST_SIDE
            else None
        ),
        weights,
    )


def find_matrices(weights: Any) -> Any:
    """Return which leaves are matrices: neither biases, stacked or not, nor scales fade."""

    def is_matrix(path: tuple[Any, ...], leaf: Any) -> bool:
        last = str(path[-1]) if path else ""
        return jnp.ndim(leaf) > 1 and "bias" not in last

    return jax.tree_util.tree_map_with_path(is_matrix, weights)


def start_learning(weights: Any, config: PretrainConfig) -> Learned:
    """Return what a run starts from."""
    average = jax.tree.map(jnp.copy, weights) if config.average else ()
    return Learned(weights, average, make_optimiser(config).init(weights))


def compile_step(
    static: Any, objective: Objective, config: PretrainConfig
) -> Callable[..., tuple[Learned, dict[str, Array]]]:
    """Return the step, a function of what was learned, a batch, the rate, a key and the number.

    A step whose loss or gradient is not finite changes nothing; `is_finite` tells of it. What was
    learned before is given up to the step, which reuses its memory.

    Args:
        static: What of the model is not learned.
        objective: What is made small.
        config: How.
    """
    optimiser = make_optimiser(config)

    def step(
        learned: Learned, batch: Any, rate: Array, key: Array, number: Array
    ) -> tuple[Learned, dict[str, Array]]:
        def measure(weights: Any) -> tuple[Array, Mapping[str, Array]]:
            model = eqx.combine(weights, static)
            return objective(model, batch, jax.random.fold_in(key, number))

        (loss, told), gradient = jax.value_and_grad(measure, has_aux=True)(learned.weights)
        squares = [jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(gradient)]
        norm = jnp.sqrt(sum(squares, start=jnp.zeros(())))
        is_finite = jnp.isfinite(loss) & jnp.isfinite(norm)
        change, moments = optimiser.update(gradient, learned.moments, learned.weights)
        weights = jax.tree.map(
            lambda old, by: (old - rate * by).astype(old.dtype), learned.weights, change
        )
        # The average forgets the first steps sooner, or a short run would end with them.
        share = jnp.minimum(config.average, (1.0 + number) / (10.0 + number))
        average = learned.average
        if config.average:
            average = jax.tree.map(
                lambda old, new: (share * old + (1 - share) * new).astype(old.dtype),
                learned.average,
                weights,
            )
        after = jax.tree.map(
            lambda new, old: jnp.where(is_finite, new, old),
            Learned(weights, average, moments),
            learned,
        )
        told = {name: value for name, value in told.items() if name != JUDGED}
        return after, {**told, "loss": loss, "gradient": norm, "is_finite": is_finite}

    return jax.jit(step, donate_argnums=0)


def compile_score(
    static: Any, objective: Objective
) -> Callable[[Any, Any, Array, Any], dict[str, Array]]:
    """Return a function of weights, a batch, a key and a number that gives the loss and metrics.

    The loss is what the objective says that a model is judged by, if it does.
    """

    @jax.jit
    def score(weights: Any, batch: Any, key: Array, number: Any) -> dict[str, Array]:
        model = eqx.combine(weights, static)
        loss, told = objective(model, batch, jax.random.fold_in(key, number))
        told = dict(told)
        return {"loss": told.pop(JUDGED, loss), **told}

    return score
