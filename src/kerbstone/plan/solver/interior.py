"""The iteration: an interior point method over roll-outs, many plans at once.

A plan that is strictly inside all its constraints stays so (a log barrier); one that is not is
drawn in by a barrier that goes on as a parabola outside, the steeper the longer it takes. So a
plan started from a verified manoeuvre may be stopped after any iteration, and plans started
elsewhere may find other ways around the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from kerbstone.plan.solver.bicycle import move, roll_out
from kerbstone.plan.solver.model import expand
from kerbstone.plan.solver.riccati import Policy, sweep
from kerbstone.plan.solver.terms import Data, evaluate, least_room, sum_barriers
from kerbstone.plan.vehicle import Vehicle

_SLOWEST, _SOFTEST, _FIRMEST = 1e-3, 1e-6, 1e4
_INSIDE = 1e-9
_FIRST_FIRMNESS = 1e-3


@dataclass(frozen=True)
class Barrier:
    """How the barrier is lowered, and how a step is chosen.

    Args:
        first: Weight of the barrier at first.
        last: Its weight at the end; a plan costs about this much too much for each constraint
            that holds it.
        shrink: What the weight is multiplied by when a full step was taken.
        relaxation: The room below which the barrier of a plan outside is a parabola, at first.
        relaxation_shrink: What it is multiplied by with each step.
        least_relaxation: Where it ends.
        shorter: What the length of a step is multiplied by where it was too long.
        second: Whether the shorter step is tried in the same iteration.
        tolerance: The saving, as part of the cost, below which a plan is done.
    """

    first: float = 0.1
    last: float = 1e-3
    shrink: float = 0.3
    relaxation: float = 0.5
    relaxation_shrink: float = 0.5
    least_relaxation: float = 0.002
    shorter: float = 0.35
    second: bool = True
    tolerance: float = 1e-4


class Iterate(NamedTuple):
    """Plans as far as they have come.

    Args:
        controls: Of each step.
        states: After each step.
        parameter: Of each disc's projection.
        cost: Of each mode.
        room: The least of each mode under any constraint.
        barrier: Weight of the barrier.
        relaxation: Room below which the barrier of a plan outside is a parabola.
        firmness: Added to the Hessian by the controls.
        pace: The part of a step to try first.
        strict: Whether the plan is strictly inside all constraints.
        done: Whether it has nothing left to gain.
    """

    controls: Float[Array, "step 2 mode lane"]
    states: Float[Array, "step 6 mode lane"]
    parameter: Float[Array, "3 step mode lane"]
    cost: Float[Array, "mode lane"]
    room: Float[Array, "mode lane"]
    barrier: Float[Array, " lane"]
    relaxation: Float[Array, " lane"]
    firmness: Float[Array, " lane"]
    pace: Float[Array, " lane"]
    strict: Bool[Array, " lane"]
    done: Bool[Array, " lane"]


@dataclass(frozen=True)
class Car:
    """What is known when the solver is compiled.

    Args:
        vehicle: The car.
        dt: Length of a step [s].
    """

    vehicle: Vehicle
    dt: float


def begin(
    controls: Float[Array, "step 2 mode lane"],
    data: Data,
    car: Car,
    barrier: Barrier,
    one: Float[Array, ""],
) -> Iterate:
    """Return the plans that controls make.

    Args:
        controls: The same in all modes as long as the modes share them.
        data: The problems.
        car: What is known at compile time.
        barrier: How to go on.
        one: The number one, not known to the compiler; see `riccati.sweep`.
    """
    states = roll_out(data.start, controls, car.vehicle, car.dt)
    ways = jnp.concatenate([data.start[None, :2], states[:, :2]])
    steps = jnp.diff(ways, axis=0)
    way = jnp.cumsum(jnp.sqrt(steps[:, 0] ** 2 + steps[:, 1] ** 2), axis=0)
    parameter = data.origin[:, None] + way / data.line.spacing
    value = evaluate(states, controls, data, parameter, car.vehicle, car.dt, one)
    # Once more from what was found: the first guess may lie pieces away.
    value = evaluate(states, controls, data, value.parameter, car.vehicle, car.dt, one)
    lanes = (data.start.shape[-1],)
    kind = controls.dtype
    room = least_room(value.rooms)
    return Iterate(
        controls,
        states,
        value.parameter,
        value.cost,
        room,
        jnp.full(lanes, barrier.first, kind),
        jnp.full(lanes, barrier.relaxation, kind),
        jnp.full(lanes, _FIRST_FIRMNESS, kind),
        jnp.ones(lanes, kind),
        (room > 0).all(0),
        jnp.zeros(lanes, bool),
    )


def advance(now: Iterate, data: Data, car: Car, barrier: Barrier, one: Float[Array, ""]) -> Iterate:
    """Return the plans one iteration further; those that are done stay.

    Args:
        now: The plans.
        data: The problems.
        car: What is known at compile time.
        barrier: How to go on.
        one: The number one, not known to the compiler; see `riccati.sweep`.
    """
    low = jnp.where(now.strict, _INSIDE, now.relaxation)
    policy, barriers = improve(now, data, low, car, one)
    was = expect(now.cost, data) + now.barrier * barriers

    def attempt(pace: Float[Array, " lane"]) -> _Attempt:
        states, controls = follow(now, policy, pace, data, car)
        forward = (
            (states[:, 0] - now.states[:, 0]) * jnp.cos(now.states[:, 2])
            + (states[:, 1] - now.states[:, 1]) * jnp.sin(now.states[:, 2])
        ) / data.line.spacing
        guess = now.parameter + forward
        value = evaluate(states, controls, data, guess, car.vehicle, car.dt, one)
        room = least_room(value.rooms)
        rating = expect(value.cost, data) + now.barrier * sum_barriers(value.rooms, low)
        allowed = jnp.isfinite(rating) & (~now.strict | (room > 0).all(0))
        rating = jnp.where(allowed, rating, jnp.inf)
        return _Attempt(controls, states, value.parameter, value.cost, room, rating, pace)

    slack = was + 1e-6 * jnp.abs(was)
    best = attempt(now.pace)
    if barrier.second:
        # Only where some plan needs it: late iterations mostly do without. The others keep the
        # first, so that none depends on what else is in the batch.
        fine = (best.rating <= slack) | now.done
        best = jax.lax.cond(
            fine.all(),
            lambda: best,
            lambda: _shorten(best, attempt(now.pace * barrier.shorter), fine),
        )
    better = (best.rating <= slack) & ~now.done
    slower = barrier.shorter ** (2 if barrier.second else 1)
    full = best.pace >= 0.99
    lower = better & full & now.strict
    ended = lower & (now.barrier <= barrier.last * 1.001)
    saved = policy.decrease < barrier.tolerance * (1 + jnp.abs(was))
    controls, states, parameter, cost, room = _choose(better, best[:5], now[:5])
    return Iterate(
        controls,
        states,
        parameter,
        cost,
        room,
        jnp.where(lower, jnp.maximum(barrier.shrink * now.barrier, barrier.last), now.barrier),
        jnp.where(
            better,
            jnp.maximum(now.relaxation * barrier.relaxation_shrink, barrier.least_relaxation),
            now.relaxation,
        ),
        jnp.clip(jnp.where(better, now.firmness / 4, now.firmness * 4), _SOFTEST, _FIRMEST),
        jnp.clip(jnp.where(better, best.pace * 2, now.pace * slower), _SLOWEST, 1.0),
        now.strict | (better & (best.room > 0).all(0)),
        now.done | (ended & saved),
    )


def repeat(
    now: Iterate,
    times: int,
    data: Data,
    car: Car,
    barrier: Barrier,
    one: Float[Array, ""],
    more: int = 0,
    batch: int = 1,
) -> Iterate:
    """Return the plans so many iterations further, or as soon as all are done.

    Args:
        now: The plans.
        times: At most so many.
        data: The problems.
        car: What is known at compile time.
        barrier: How to go on.
        one: The number one, not known to the compiler; see `riccati.sweep`.
        more: At most so many after these, of problems that have no plan inside their constraints.
        batch: How many problems there are; lanes of the same are so many apart.
    """

    def is_inside(now: Iterate) -> jax.Array:
        return now.strict.reshape(-1, batch).any(0)

    def go_on(carry: tuple[jax.Array, Iterate]) -> jax.Array:
        count, now = carry
        wanted = ~now.done.all() & (count < times)
        return wanted | (~is_inside(now).all() & (count < times + more))

    def step(carry: tuple[jax.Array, Iterate]) -> tuple[jax.Array, Iterate]:
        count, now = carry
        if more:
            held = jnp.tile(is_inside(now), now.done.shape[0] // batch) & (count >= times)
            now = now._replace(done=now.done | held)
        return count + 1, advance(now, data, car, barrier, one)

    return jax.lax.while_loop(go_on, step, (jnp.zeros((), jnp.int32), now))[1]


def improve(
    now: Iterate,
    data: Data,
    low: Float[Array, " lane"],
    car: Car,
    one: Float[Array, ""],
) -> tuple[Policy, Float[Array, " lane"]]:
    """Return the change of a plan that its quadratic model asks for, and its barrier.

    Args:
        now: The plans.
        data: The problems.
        low: The room below which the barrier is a parabola [as the room].
        car: What is known at compile time.
        one: The number one, not known to the compiler; see `riccati.sweep`.
    """
    before = jnp.concatenate([data.start[None], now.states[:-1]])
    stages, barriers = expand(
        now.states,
        before,
        now.controls,
        now.parameter,
        data,
        now.barrier,
        low,
        car.vehicle,
        car.dt,
        one,
    )
    return sweep(stages, data.shared, now.firmness, car.dt, one), barriers


def follow(
    now: Iterate, policy: Policy, pace: Float[Array, " lane"], data: Data, car: Car
) -> tuple[Float[Array, "step 6 mode lane"], Float[Array, "step 2 mode lane"]]:
    """Return states and controls where a policy is followed from the start."""

    def step(
        carry: tuple[jax.Array, jax.Array], inputs: tuple[jax.Array, ...]
    ) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
        state, change = carry
        control, was, open_loop, gain = inputs
        control = control + pace * open_loop
        for i in range(6):
            control = control + gain[:, i] * change[i]
        state = move(state, control, car.vehicle, car.dt)
        return (state, state - was), (state, control)

    first = (data.start, jnp.zeros_like(data.start))
    return jax.lax.scan(step, first, (now.controls, now.states, policy.step, policy.gain))[1]


def expect(cost: Float[Array, "mode lane"], data: Data) -> Float[Array, " lane"]:
    """Return the cost expected over the modes."""
    return (data.probability * cost).sum(0)


class _Attempt(NamedTuple):
    """A plan that may become the next iterate; the first five as there."""

    controls: Float[Array, "step 2 mode lane"]
    states: Float[Array, "step 6 mode lane"]
    parameter: Float[Array, "3 step mode lane"]
    cost: Float[Array, "mode lane"]
    room: Float[Array, "mode lane"]
    rating: Float[Array, " lane"]
    pace: Float[Array, " lane"]


def _shorten(long: _Attempt, short: _Attempt, fine: Bool[Array, " lane"]) -> _Attempt:
    """Return the better of two attempts, the long one where it is fine."""
    return _choose(~fine & (short.rating < long.rating), short, long)


def _choose(condition: Bool[Array, " lane"], first: Any, second: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), first, second)
