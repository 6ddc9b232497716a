"""The exact second derivatives at a plan, and linear systems with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from kerbstone.plan.solver.bicycle import move
from kerbstone.plan.solver.interior import Car, expect
from kerbstone.plan.solver.places import OfDiscs
from kerbstone.plan.solver.terms import Data, evaluate, sum_barriers

OfStates = Float[Array, "step 6 mode lane"]
OfControls = Float[Array, "step 2 mode lane"]


class Curvature(NamedTuple):
    """The derivatives of a plan's cost and barrier by its controls, step by step.

    Args:
        gradient: By the controls, the states following them.
        state: Second derivative by the state after each step.
        control: Second derivative by the control, a diagonal.
        motion: Second derivative of the step itself, times what a change of its end is worth, by
            the state before it and its control.
        dynamics: First derivative of the step, by the same.
    """

    gradient: OfControls
    state: Float[Array, "step 6 6 mode lane"]
    control: OfControls
    motion: Float[Array, "step 8 8 mode lane"]
    dynamics: Float[Array, "step 6 8 mode lane"]


def curve(
    states: OfStates,
    controls: OfControls,
    parameter: OfDiscs,
    data: Data,
    weight: Float[Array, " lane"],
    car: Car,
) -> Curvature:
    """Return the exact derivatives at a plan strictly inside its constraints.

    Args:
        states: After each step.
        controls: Of each step.
        parameter: Of the discs' projections.
        data: The problems.
        weight: Of the barrier.
        car: What is known at compile time.
    """
    one = jnp.ones((), states.dtype)

    def total(states: OfStates, controls: OfControls) -> jax.Array:
        value = evaluate(states, controls, data, parameter, car.vehicle, car.dt, one)
        low = jnp.full(weight.shape, 1e-12, states.dtype)
        cost = expect(value.cost, data)
        return (cost + weight * sum_barriers(value.rooms, low)).sum()

    slopes = jax.grad(total, argnums=(0, 1))
    by_state, by_control = slopes(states, controls)
    state = _columns(lambda x: slopes(x, controls)[0], states)
    control = _columns(lambda u: slopes(states, u)[1], controls)
    before = jnp.concatenate([data.start[None], states[:-1]])
    joint = jnp.concatenate([before, controls], axis=1)

    def step(joint: jax.Array) -> OfStates:
        return jax.vmap(lambda each: move(each[:6], each[6:], car.vehicle, car.dt))(joint)

    dynamics = _columns(step, joint)

    def back(
        worth: jax.Array, inputs: tuple[jax.Array, ...]
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        slope, jacobian = inputs
        worth = worth + slope
        pulled = (jacobian * worth[:, None]).sum(0)
        return pulled[:6], (worth, pulled[6:])

    _, (worth, pulled) = jax.lax.scan(
        back, jnp.zeros_like(states[0]), (by_state, dynamics), reverse=True
    )
    motion = _columns(jax.grad(lambda joint: (worth * step(joint)).sum()), joint)
    diagonal = jnp.stack([control[:, 0, 0], control[:, 1, 1]], axis=1)
    return Curvature(by_control + pulled, state, diagonal, motion, dynamics)


def solve_system(
    curvature: Curvature,
    right: OfControls,
    shared: Bool[Array, "step lane"],
    firmness: Float[Array, " lane"] | float = 0.0,
) -> OfControls:
    """Return `H⁻¹ right`, with `H` the second derivative by the controls.

    One Riccati sweep and one roll-out: the solution is the change of the controls that minimises
    the quadratic `½ changeᵀ H change - rightᵀ change`.

    Args:
        curvature: At a plan.
        right: The right side; where modes share a control, its sum over the modes counts.
        shared: Whether the modes share the control of a step.
        firmness: Added to the diagonal of `H`.
    """
    modes = right.shape[2]

    def back(
        carry: tuple[jax.Array, jax.Array], inputs: tuple[jax.Array, ...]
    ) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
        value, slope = carry
        state, control, motion, f, side, joint = inputs
        value = value + state
        product = jnp.einsum("ik...,kj...->ij...", value, f)
        hessian = motion + jnp.einsum("ki...,kj...->ij...", f, product)
        hessian = hessian.at[6, 6].add(control[0] + firmness).at[7, 7].add(control[1] + firmness)
        gradient = (f * slope[:, None]).sum(0)
        gradient = gradient.at[6:].add(-side)
        if modes > 1:
            hessian = jnp.where(joint, hessian.sum(-2, keepdims=True), hessian)
            gradient = jnp.where(joint, gradient.sum(-2, keepdims=True), gradient)
        a, b, c = hessian[6, 6], hessian[6, 7], hessian[7, 7]
        scale = 1.0 / (a * c - b * b)
        both = jnp.concatenate([gradient[6:, None], hessian[6:, :6]], axis=1)
        gain = -scale * jnp.stack([c * both[0] - b * both[1], a * both[1] - b * both[0]])
        share = jnp.where(joint, 1.0 / modes, 1.0) if modes > 1 else 1.0
        value = hessian[:6, :6] + jnp.einsum("ki...,kj...->ij...", hessian[6:, :6], gain[:, 1:])
        slope = gradient[:6] + jnp.einsum("ki...,k...->i...", hessian[6:, :6], gain[:, 0])
        return (share * value, share * slope), (gain[:, 0], gain[:, 1:])

    zero = jnp.zeros_like(curvature.state[0, 0])
    _, (steps, gains) = jax.lax.scan(
        back,
        (jnp.zeros_like(curvature.state[0]), zero),
        (*curvature[1:], right, shared),
        reverse=True,
    )

    def ahead(change: jax.Array, inputs: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        step, gain, f = inputs
        control = step + (gain * change[None]).sum(1)
        joint = jnp.concatenate([change, control])
        return (f * joint[None]).sum(1), control

    return jax.lax.scan(ahead, zero, (steps, gains, curvature.dynamics))[1]


def _columns(function: Callable[[jax.Array], jax.Array], at: jax.Array) -> jax.Array:
    """Return the derivative of a function that keeps steps and lanes apart, `[step, to, from, …]`."""
    ways = jnp.eye(at.shape[1], dtype=at.dtype)
    ways = jnp.broadcast_to(ways[:, None, :, None, None], (at.shape[1], *at.shape))
    return jax.vmap(lambda way: jax.jvp(function, (at,), (way,))[1], out_axes=2)(ways)
