"""Plans as differentiable functions of what they are made from."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from kerbstone.plan.problem import Horizon, Problem
from kerbstone.plan.solver.bicycle import roll_out
from kerbstone.plan.solver.curvature import curve, solve_system
from kerbstone.plan.solver.interior import Barrier, Car, Iterate, begin, expect, repeat
from kerbstone.plan.solver.layout import lay_out, move_to_car, to_precision
from kerbstone.plan.solver.terms import Data, evaluate, least_room, sum_barriers
from kerbstone.plan.vehicle import Vehicle

# Saving, as part of the cost, below which Newton's steps take over.
_NEARLY = 1e-4


class SmoothPlan(NamedTuple):
    """A plan that has derivatives, in the world frame.

    Args:
        controls: Of each step, columns `ControlIndex`.
        states: At each step, the start first, columns `StateIndex`.
        cost: Expected over the modes, without the barrier.
        residual: The largest derivative left of cost and barrier by a control; derivatives of the
            plan are right only where it is small. It has no derivative itself.
        strict: Whether the plan is inside all constraints; derivatives mean nothing where not.
    """

    controls: Float[Array, "batch mode step 2"]
    states: Float[Array, "batch mode step_plus_1 6"]
    cost: Float[Array, " batch"]
    residual: Float[Array, " batch"]
    strict: Bool[Array, " batch"]


def settle(
    problem: Problem,
    controls: Float[Array, "batch mode step 2"],
    *,
    vehicle: Vehicle,
    horizon: Horizon,
    barrier: float = 1e-2,
    iterations: int = 40,
    polish: int = 30,
    precision: Any = None,
) -> SmoothPlan:
    """Return the plan that controls settle to, as a function that has derivatives.

    The plan minimises cost and log barrier, whose weight stays above zero so that the plan moves
    smoothly with every prediction, cost, width of the road and start. Its derivatives are those
    of the condition that it is a minimum (the implicit function theorem): one linear system with
    the exact second derivative, solved by a Riccati sweep; nothing is unrolled. They are wrong
    where the least change makes another plan the best, and one-sided where a term of the cost
    begins to count (comfort, clearance).

    It may be compiled, batched and differentiated like any function of JAX.

    Args:
        problem: With one batch axis. Derivatives are by all of its numbers that are not integers.
        controls: A plan to begin from, strictly inside the constraints; `plan` with the effort
            `SMOOTH` gives one that is nearly there. The result does not depend on it, but for
            which minimum it leads to: its derivative is zero.
        vehicle: The car.
        horizon: How far ahead.
        barrier: Weight of the barrier.
        iterations: At most so many, until little is left to gain.
        polish: At most so many steps of Newton's after them, with the exact second derivative.
            A batch waits for its slowest plan; most need four, and `residual` tells the others.
        precision: Of the iterations and the derivatives, around the car's place; that of the
            problem if none is given. float32 takes two thirds of the time of float64 and tells
            most derivatives to about three digits.

    References:
        Amos et al., Differentiable MPC for End-to-end Planning and Control, NeurIPS 2018.
        Blondel et al., Efficient and Modular Implicit Differentiation, NeurIPS 2022.
    """
    numbers, rest = eqx.partition(jax.tree.map(jnp.asarray, problem), eqx.is_inexact_array)
    kind = jnp.dtype(precision or numbers.start.dtype)
    fixed = _Fixed(Car(vehicle, horizon.dt), horizon.steps, barrier, iterations, polish, kind.name)
    begun = jnp.transpose(jax.lax.stop_gradient(jnp.asarray(controls, kind)), (2, 3, 1, 0))
    found, parameter, strict = cast(
        tuple[jax.Array, jax.Array, jax.Array], _settle(fixed, numbers, rest, begun)
    )
    parameter = jax.lax.stop_gradient(parameter)
    data = _data(fixed, numbers, rest)
    states = roll_out(data.start, found, vehicle, horizon.dt)
    value = evaluate(states, found, data, parameter, vehicle, horizon.dt, jnp.ones((), found.dtype))
    slope = jax.grad(partial(_rate, fixed, jax.lax.stop_gradient(data)))(
        jax.lax.stop_gradient(found), parameter
    )
    slope = jnp.where(data.shared[:, None, None], slope.sum(2, keepdims=True), slope)
    whole = jnp.concatenate([data.start[None], states]).astype(numbers.start.dtype)
    place = jax.lax.stop_gradient(numbers.start[:, :2])
    whole = whole.at[:, :2].add(place.T[None, :, None])
    return SmoothPlan(
        jnp.transpose(found, (3, 2, 0, 1)),
        jnp.transpose(whole, (3, 2, 0, 1)),
        expect(value.cost, data),
        jnp.abs(slope).max((0, 1, 2)),
        strict,
    )


class _Fixed(NamedTuple):
    """What is known when a plan is compiled."""

    car: Car
    steps: int
    barrier: float
    iterations: int
    polish: int
    precision: str


def _data(fixed: _Fixed, numbers: Any, rest: Any) -> Data:
    moved, _ = move_to_car(eqx.combine(numbers, rest))
    return to_precision(lay_out(moved, fixed.car.vehicle, fixed.steps), fixed.precision)


def _rate(fixed: _Fixed, data: Data, controls: jax.Array, parameter: jax.Array) -> jax.Array:
    """Return cost and barrier of all plans together."""
    one = jnp.ones((), controls.dtype)
    car = fixed.car
    states = roll_out(data.start, controls, car.vehicle, car.dt)
    value = evaluate(states, controls, data, parameter, car.vehicle, car.dt, one)
    low = jnp.full(data.start.shape[-1:], 1e-12, controls.dtype)
    cost = (data.probability * value.cost).sum()
    return cost + fixed.barrier * sum_barriers(value.rooms, low).sum()


def _run(
    fixed: _Fixed, numbers: Any, rest: Any, begun: jax.Array
) -> tuple[jax.Array, jax.Array, Bool[Array, " batch"]]:
    data = _data(fixed, numbers, rest)
    one = jnp.ones((), begun.dtype)
    barrier = Barrier(first=fixed.barrier, last=fixed.barrier, second=False, tolerance=_NEARLY)
    now = begin(begun, data, fixed.car, barrier, one)
    now = repeat(now, fixed.iterations, data, fixed.car, barrier, one)
    weight = jnp.full_like(now.barrier, fixed.barrier)

    def polish(carry: tuple[jax.Array, Iterate, jax.Array]) -> tuple[jax.Array, Iterate, jax.Array]:
        return carry[0] + 1, *_polish(fixed, data, *carry[1:], weight)

    def go_on(carry: tuple[jax.Array, Iterate, jax.Array]) -> jax.Array:
        return (carry[0] < fixed.polish) & ~carry[1].done.all()

    now = now._replace(done=~now.strict)
    first = (jnp.zeros((), jnp.int32), now, jnp.zeros_like(weight))
    _, now, _ = jax.lax.while_loop(go_on, polish, first)
    return now.controls, now.parameter, now.strict


def _polish(
    fixed: _Fixed, data: Data, now: Iterate, firmness: jax.Array, weight: jax.Array
) -> tuple[Iterate, jax.Array]:
    """Return the plans after one step of Newton's, damped where it did not better the last."""
    car, one = fixed.car, jnp.ones((), now.controls.dtype)
    curvature = curve(now.states, now.controls, now.parameter, data, weight, car)
    change = solve_system(curvature, -curvature.gradient, data.shared, firmness)
    controls = now.controls + change
    states = roll_out(data.start, controls, car.vehicle, car.dt)
    value = evaluate(states, controls, data, now.parameter, car.vehicle, car.dt, one)
    room = least_room(value.rooms)
    low = jnp.full_like(weight, 1e-12)
    rating = expect(value.cost, data) + weight * sum_barriers(value.rooms, low)
    smallest = jnp.finfo(rating.dtype).eps
    # What rounding leaves of the best is no worse.
    slack = 100 * smallest * jnp.abs(curvature.rating)
    better = (room > 0).all(0) & (rating <= curvature.rating + slack) & ~now.done
    moved = now._replace(
        controls=controls, states=states, parameter=value.parameter, cost=value.cost, room=room
    )
    now = jax.tree.map(lambda a, b: jnp.where(better, a, b), moved, now)
    # The error left is the square of such a step.
    still = jnp.abs(change).max((0, 1, 2)) < jnp.sqrt(smallest) / 10
    firmer = jnp.where(
        better, jnp.where(firmness > 1e-4, firmness / 10, 0.0), jnp.maximum(10 * firmness, 1e-4)
    )
    return now._replace(done=now.done | (better & still)), firmer


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _settle(
    fixed: _Fixed, numbers: Any, rest: Any, begun: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    return _run(fixed, numbers, rest, begun)


def _settle_forward(fixed: _Fixed, numbers: Any, rest: Any, begun: jax.Array) -> tuple[Any, Any]:
    found = _run(fixed, numbers, rest, begun)
    return found, (numbers, rest, *found[:2])


def _settle_backward(fixed: _Fixed, saved: Any, cotangent: Any) -> tuple[Any, None, None]:
    numbers, rest, controls, parameter = saved
    data = _data(fixed, numbers, rest)
    states = roll_out(data.start, controls, fixed.car.vehicle, fixed.car.dt)
    weight = jnp.full(data.start.shape[-1:], fixed.barrier, controls.dtype)
    curvature = curve(states, controls, parameter, data, weight, fixed.car)
    change = solve_system(curvature, cotangent[0], data.shared)

    def along(numbers: Any) -> jax.Array:
        data = _data(fixed, numbers, rest)
        rate = partial(_rate, fixed, data, parameter=parameter)
        return jax.jvp(rate, (controls,), (change,))[1]

    slopes = jax.grad(along)(numbers)
    return jax.tree.map(jnp.negative, slopes), None, None


_settle.defvjp(_settle_forward, _settle_backward)
