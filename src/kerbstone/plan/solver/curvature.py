"""The exact second derivatives at a plan, and linear systems with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from kerbstone.plan.solver.bicycle import bend, differentiate
from kerbstone.plan.solver.interior import Car, expect
from kerbstone.plan.solver.places import Discs, OfDiscs, OfSteps, place_discs
from kerbstone.plan.solver.riccati import unfold_dynamics
from kerbstone.plan.solver.terms import Data, add_up, evaluate, sum_barriers

OfStates = Float[Array, "step 6 mode lane"]
OfControls = Float[Array, "step 2 mode lane"]
# Cost and barrier of states, controls and discs.
_Rate = Callable[[jax.Array, jax.Array, Discs], jax.Array]


class Curvature(NamedTuple):
    """The derivatives of a plan's cost and barrier by its controls, step by step.

    Args:
        gradient: By the controls, the states following them.
        state: Second derivative by the state after each step.
        control: Second derivative by the control, a diagonal.
        motion: Second derivative of the step itself, times what a change of its end is worth, by
            the state before it and its control.
        dynamics: First derivative of the step, by the same.
        rating: Cost and barrier.
    """

    gradient: OfControls
    state: Float[Array, "step 6 6 mode lane"]
    control: OfControls
    motion: Float[Array, "step 8 8 mode lane"]
    dynamics: Float[Array, "step 6 8 mode lane"]
    rating: Float[Array, " lane"]


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
    # Not known to the compiler; see `riccati.sweep`.
    one = jax.lax.optimization_barrier(jnp.ones((), states.dtype))
    low = jnp.full(weight.shape, 1e-12, states.dtype)

    def rate(states: OfStates, controls: OfControls, discs: Discs) -> jax.Array:
        value = evaluate(states, controls, data, parameter, car.vehicle, car.dt, one, discs)
        return expect(value.cost, data) + weight * sum_barriers(value.rooms, low)

    discs = place_discs(states, car.vehicle, one)
    place = _curve_places(rate, states, controls, discs)
    own = _curve_own(rate, states, controls, discs)
    zero = jnp.zeros_like(own.speed_speed)
    by_state = jnp.stack(
        [place.x, place.y, place.turn, own.speed, own.acceleration, own.steering], axis=1
    )
    rows = [
        [place.xx, place.xy, place.x_turn, place.x_speed, zero, zero],
        [place.xy, place.yy, place.y_turn, place.y_speed, zero, zero],
        [place.x_turn, place.y_turn, place.turn_turn, place.turn_speed, zero, zero],
        [place.x_speed, place.y_speed, place.turn_speed, own.speed_speed, zero, own.speed_steering],
        [zero, zero, zero, zero, own.acceleration_acceleration, zero],
        [zero, zero, zero, own.speed_steering, zero, own.steering_steering],
    ]
    state = jnp.stack([jnp.stack(row, axis=1) for row in rows], axis=1)
    before = jnp.concatenate([data.start[None], states[:-1]])
    parts = jnp.stack(differentiate(before, controls, car.vehicle, car.dt), axis=1)
    dynamics = jax.vmap(unfold_dynamics(car.dt))(parts)

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
    return Curvature(
        own.control + pulled,
        state,
        own.control_control,
        bend(before, controls, worth, car.vehicle, car.dt),
        dynamics,
        own.rating,
    )


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
        (*curvature[1:5], right, shared),
        reverse=True,
    )

    def ahead(change: jax.Array, inputs: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        step, gain, f = inputs
        control = step + (gain * change[None]).sum(1)
        joint = jnp.concatenate([change, control])
        return (f * joint[None]).sum(1), control

    return jax.lax.scan(ahead, zero, (steps, gains, curvature.dynamics))[1]


class _Places(NamedTuple):
    """Derivatives by where the car is and heads, and those by its speed too."""

    x: OfSteps
    y: OfSteps
    turn: OfSteps
    xx: OfSteps
    xy: OfSteps
    yy: OfSteps
    x_turn: OfSteps
    y_turn: OfSteps
    turn_turn: OfSteps
    x_speed: OfSteps
    y_speed: OfSteps
    turn_speed: OfSteps


def _curve_places(rate: _Rate, states: OfStates, controls: OfControls, discs: Discs) -> _Places:
    def total(x: OfDiscs, y: OfDiscs, speed: OfSteps) -> jax.Array:
        moved = states.at[:, 3].set(speed)
        there = Discs(x, y, discs.turn_x, discs.turn_y)
        return rate(moved, controls, there).sum()

    slopes = jax.grad(total, argnums=(0, 1, 2))
    at = (discs.x, discs.y, states[:, 3])
    # No disc minds where the others are, so that one change of all tells each one's.
    still, step = jnp.zeros_like(discs.x), jnp.ones_like(discs.x)
    (x, y, _), (xx, xy, x_speed) = jax.jvp(slopes, at, (step, still, jnp.zeros_like(at[2])))
    _, (_, yy, y_speed) = jax.jvp(slopes, at, (still, step, jnp.zeros_like(at[2])))
    turn_x, turn_y = discs.turn_x, discs.turn_y
    x_turn, y_turn = xx * turn_x + xy * turn_y, xy * turn_x + yy * turn_y
    return _Places(
        add_up(x),
        add_up(y),
        add_up(x * turn_x + y * turn_y),
        add_up(xx),
        add_up(xy),
        add_up(yy),
        add_up(x_turn),
        add_up(y_turn),
        # A disc that turns is drawn towards the rear axle.
        add_up(x_turn * turn_x + y_turn * turn_y - x * turn_y + y * turn_x),
        x_speed,
        y_speed,
        # The wanted speed is that at the middle disc.
        x_speed * turn_x[1] + y_speed * turn_y[1],
    )


class _Own(NamedTuple):
    """Derivatives by what the car does: speed, acceleration, steering, and the controls."""

    rating: Float[Array, " lane"]
    speed: OfSteps
    acceleration: OfSteps
    steering: OfSteps
    control: OfControls
    speed_speed: OfSteps
    speed_steering: OfSteps
    acceleration_acceleration: OfSteps
    steering_steering: OfSteps
    control_control: OfControls


def _curve_own(rate: _Rate, states: OfStates, controls: OfControls, discs: Discs) -> _Own:
    def total(
        speed: OfSteps, acceleration: OfSteps, steering: OfSteps, controls: OfControls
    ) -> tuple[jax.Array, jax.Array]:
        own = jnp.stack([speed, acceleration, steering], axis=1)
        moved = jnp.concatenate([states[:, :3], own], axis=1)
        rating = rate(moved, controls, discs)
        return rating.sum(), rating

    slopes = jax.grad(total, argnums=(0, 1, 2, 3), has_aux=True)
    at = (states[:, 3], states[:, 4], states[:, 5], controls)
    still, step = jnp.zeros_like(at[0]), jnp.ones_like(at[0])
    quiet = jnp.zeros_like(controls)
    (first, rating), ((speed_speed, _, speed_steering, _), _) = jax.jvp(
        slopes, at, (step, still, still, quiet)
    )
    # Acceleration, steering and controls do not mix: one change of all tells each one's.
    _, ((_, acceleration, steering, control), _) = jax.jvp(
        slopes, at, (still, step, step, jnp.ones_like(controls))
    )
    return _Own(
        rating,
        first[0],
        first[1],
        first[2],
        first[3],
        speed_speed,
        speed_steering,
        acceleration,
        steering,
        control,
    )
