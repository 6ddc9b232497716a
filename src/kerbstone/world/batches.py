"""Sums over the samples of a batch, with gradients, as suits the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Int, PyTree

Model = TypeVar("Model", bound=eqx.Module)
Sums = dict[str, Array]
JUDGED = "judged"
"""A sum of this name takes the place of the loss where a model is judged by held-out examples."""
Loss = Callable[[Any, Any], tuple[Array, Sums]]


def map_batch(
    function: Callable[[Any], PyTree], batch: PyTree, count: Int[ArrayLike, ""]
) -> PyTree:
    """Return a function's results for each sample of a batch, stacked.

    A processor runs one sample after the other, which keeps what it works on in its cache, and only
    those that count; an accelerator all at once.

    Args:
        function: Takes a sample.
        batch: Samples, stacked.
        count: How many of them count, the first ones; results of the others are of no meaning.
    """
    if jax.default_backend() != "cpu":
        return jax.vmap(function)(batch)
    size = len(jax.tree.leaves(batch)[0])

    def take(place: ArrayLike) -> PyTree:
        return jax.tree.map(lambda each: each[place], batch)

    def step(place: Array, results: PyTree) -> PyTree:
        found = function(take(place))
        return jax.tree.map(lambda every, one: every.at[place].set(one), results, found)

    shapes = jax.eval_shape(lambda: function(take(0)))
    nothing = jax.tree.map(lambda each: jnp.zeros((size, *each.shape), each.dtype), shapes)
    return jax.lax.fori_loop(0, count, step, nothing)


def sum_losses(loss: Loss, model: Model, batch: PyTree) -> tuple[Array, Sums]:
    """Return the sum of a loss over the samples of a batch, and of what else it counts.

    On a processor the gradient is summed sample by sample while the loss is, so that nothing is
    kept for a way back: half the time of differentiating the sum, and memory for one sample.

    Args:
        loss: Takes the model and a sample; returns the sample's loss, and numbers to be summed
            which no gradient flows through.
        model: The model; gradients are with respect to its arrays.
        batch: Samples, stacked.
    """
    if jax.default_backend() != "cpu":
        values, sums = jax.vmap(lambda sample: loss(model, sample))(batch)
        return values.sum(), jax.tree.map(lambda each: each.sum(axis=0), sums)
    arrays, rest = eqx.partition(model, eqx.is_inexact_array)

    def of_sample(arrays: PyTree, sample: PyTree) -> tuple[Array, Sums]:
        return loss(eqx.combine(arrays, rest), sample)

    @jax.custom_vjp
    def total(arrays: PyTree) -> tuple[Array, Sums]:
        values, sums = jax.lax.map(lambda sample: of_sample(arrays, sample), batch)
        return values.sum(), jax.tree.map(lambda each: each.sum(axis=0), sums)

    def forward(arrays: PyTree) -> tuple[tuple[Array, Sums], PyTree]:
        slope = jax.value_and_grad(of_sample, has_aux=True)

        def add(carry: PyTree, sample: PyTree) -> tuple[PyTree, tuple[Array, Sums]]:
            value, gradient = slope(arrays, sample)
            return jax.tree.map(jnp.add, carry, gradient), value

        nothing = jax.tree.map(jnp.zeros_like, arrays)
        gradient, (values, sums) = jax.lax.scan(add, nothing, batch)
        summed = jax.tree.map(lambda each: each.sum(axis=0), sums)
        return (values.sum(), summed), gradient

    def backward(gradient: PyTree, slope: tuple[Array, Sums]) -> tuple[PyTree]:
        return (jax.tree.map(lambda each: slope[0] * each, gradient),)

    total.defvjp(forward, backward)
    return total(arrays)
