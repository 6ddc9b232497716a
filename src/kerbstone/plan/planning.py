"""From problems to plans: several ways to begin, the best that passes a check in float64 wins."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from kerbstone.errors import InputError
from kerbstone.plan.admission import admit
from kerbstone.plan.problem import Horizon, Problem
from kerbstone.plan.solver.compiling import compiler_options
from kerbstone.plan.solver.interior import Barrier, Car, Iterate, begin, expect, repeat
from kerbstone.plan.solver.layout import lay_out, move_to_car, to_precision
from kerbstone.plan.solver.starts import STARTS, Start, make_starts
from kerbstone.plan.solver.terms import Data
from kerbstone.plan.vehicle import Vehicle

# Lanes solved by one call: a batch is cut into parts of these sizes, one to a thread.
_BATCHES = (1, 4, 16, 32)
_THREADS = 2


@dataclass(frozen=True)
class Effort:
    """How much is done for a plan.

    Args:
        starts: Ways to begin; none where only given controls are to be bettered.
        sift: Iterations, and how many starts go on where there is one mode; then so again.
        first: Iterations of every start that is left.
        kept: How many of them go on.
        last: Iterations of those.
        barrier: How each iteration goes. Those that are kept always try a second step.
    """

    starts: tuple[Start, ...] = STARTS
    sift: tuple[tuple[int, int], ...] = ((5, 4),)
    first: int = 7
    kept: int = 2
    last: int = 16
    barrier: Barrier = field(default_factory=lambda: Barrier(second=False))


# What is done for a plan that goes on from the last: three iterations of it and of braking.
RENEWAL = Effort(
    starts=(), sift=(), first=3, kept=1, last=0, barrier=Barrier(first=3e-3, relaxation=0.05)
)
# What is done for a plan that `settle` goes on from: the barrier ends where it begins there.
SMOOTH = Effort(barrier=Barrier(second=False, last=1e-2))


class Plans(NamedTuple):
    """Plans of a batch of problems, in the world frame.

    Args:
        controls: Of each step, columns `ControlIndex`.
        states: At each step, the start first, columns `StateIndex`.
        cost: Expected over the modes.
        feasible: Whether every constraint holds, checked in float64.
        begun: Which of the starts, or of the given controls after them, the plan began as.
        room: The least room under any constraint; below zero where it is broken.
    """

    controls: Float[Array | np.ndarray, "batch mode step 2"]
    states: Float[Array | np.ndarray, "batch mode step_plus_1 6"]
    cost: Float[Array | np.ndarray, " batch"]
    feasible: Bool[Array | np.ndarray, " batch"]
    begun: Int[Array | np.ndarray, " batch"]
    room: Float[Array | np.ndarray, " batch"]


def plan(
    problem: Problem,
    *,
    vehicle: Vehicle | None = None,
    horizon: Horizon | None = None,
    given: Float[np.ndarray, "batch given mode step 2"] | None = None,
    effort: Effort | None = None,
    precision: Any = np.float32,
) -> Plans:
    """Return the best plans found.

    Args:
        problem: With one batch axis, or none.
        vehicle: The car.
        horizon: How far ahead.
        given: Controls to begin from, beside the starts: the stored fail-safe, or the plan of the
            cycle before, moved up a step. A plan never costs more than the best given one that
            is feasible.
        effort: How much is done.
        precision: Of the iterations. The choice is always made in float64.

    Raises:
        InputError: Something is not finite, shapes do not fit, or the start is beyond what the
            car can do.
    """
    vehicle, horizon, effort = vehicle or Vehicle(), horizon or Horizon(), effort or Effort()
    problem = admit(problem, vehicle, horizon)
    batch, modes = problem.start.shape[0], problem.probability.shape[1]
    if given is None:
        given = np.zeros((batch, 0, modes, horizon.steps, 2))
    if given.shape != (batch, given.shape[1], modes, horizon.steps, 2):
        raise InputError(
            "shape",
            "controls to begin from do not fit the problem",
            why=f"{given.shape}, expected ({batch}, any, {modes}, {horizon.steps}, 2)",
        )
    if not np.isfinite(given).all():
        raise InputError("value", "controls to begin from are not finite")
    if not effort.starts and not given.shape[1]:
        raise InputError(
            "value", "there is nothing to begin from", remedy="give starts, or controls"
        )
    solver = _compile(vehicle, horizon, effort, np.dtype(precision).name)
    parts = _cut(batch)

    def solve(part: slice) -> Any:
        size = next(size for size in _BATCHES if size >= part.stop - part.start)
        rows = np.minimum(np.arange(part.start, part.start + size), part.stop - 1)
        picked = jax.tree.map(lambda value: value[rows], (problem, given))
        with jax.enable_x64(True):
            out = jax.device_get(solver(*picked, np.ones(())))
        return jax.tree.map(lambda value: value[: part.stop - part.start], out)

    if len(parts) == 1:
        done = [solve(parts[0])]
    else:
        with ThreadPoolExecutor(_THREADS) as threads:
            done = list(threads.map(solve, parts))
    return jax.tree.map(lambda *values: np.concatenate(values), *done)


def _cut(batch: int) -> list[slice]:
    """Return the parts of a batch: even for the threads, none larger than the largest size."""
    size = min(max(-(-batch // _THREADS), 1), _BATCHES[-1]) if batch > _BATCHES[1] else batch
    return [slice(at, min(at + size, batch)) for at in range(0, batch, size)]


@cache
def _compile(vehicle: Vehicle, horizon: Horizon, effort: Effort, precision: str) -> Any:
    car = Car(vehicle, horizon.dt)
    function = partial(_solve, horizon=horizon, car=car, effort=effort, precision=precision)
    return jax.jit(function, compiler_options=compiler_options())


def _solve(
    problem: Problem,
    given: Float[Array, "batch given mode step 2"],
    one: Float[Array, ""],
    *,
    horizon: Horizon,
    car: Car,
    effort: Effort,
    precision: str,
) -> Plans:
    moved, place = move_to_car(problem)
    exact = lay_out(moved, car.vehicle, horizon.steps)
    rough = to_precision(exact, precision)
    unit = one.astype(precision)
    given = jnp.transpose(given, (3, 4, 2, 1, 0))
    # Modes share one control to the last bit as long as they may.
    given = jnp.where(exact.shared[:, None, None, None], given[:, :, :1], given)
    controls = given.astype(precision)
    if effort.starts:
        own = make_starts(rough, effort.starts, horizon.steps, car, unit)
        controls = jnp.concatenate([own, controls], axis=3)
    begun = controls.shape[3]
    batch = problem.start.shape[0]
    problems = jnp.arange(batch)
    data = _take(rough, jnp.tile(problems, begun))
    now = begin(controls.reshape(*controls.shape[:3], -1), data, car, effort.barrier, unit)
    names = jnp.repeat(jnp.arange(begun)[:, None], batch, axis=1)
    for times, left in effort.sift:
        now = repeat(now, times, data, car, effort.barrier, unit)
        # Each of several modes may want another start, which is seen only below.
        if left < len(names) and problem.probability.shape[1] == 1:
            order = _order(now, data, batch)[:left]
            now = _take(now, (order * batch + problems).reshape(-1))
            data = _take(rough, jnp.tile(problems, left))
            names = jnp.take_along_axis(names, order, axis=0)
    now = repeat(now, effort.first, data, car, effort.barrier, unit)
    begun = len(names)
    kept = min(effort.kept, begun)
    order = _order(now, data, batch)[:kept]
    names = jnp.take_along_axis(names, order, axis=0)
    if kept < begun or effort.last:
        best = _take(now, (order * batch + problems).reshape(-1))
        if problem.probability.shape[1] > 1 and begun > 1:
            mixed = begin(_mix(now, best, data, batch), rough, car, effort.barrier, unit)
            best = jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=-1), best, mixed)
            names = jnp.concatenate([names, names[:1]])
            kept += 1
        data = _take(rough, jnp.tile(jnp.arange(batch), kept))
        now = repeat(best, effort.last, data, car, replace(effort.barrier, second=True), unit)
    found = now.controls.reshape(*now.controls.shape[:3], kept, batch).astype(given.dtype)
    # What was given stands as it is, so that no plan is worse than it.
    found = jnp.concatenate([found, given], axis=3)
    own = jnp.broadcast_to(
        len(effort.starts) + jnp.arange(given.shape[3])[:, None], (given.shape[3], batch)
    )
    names = jnp.concatenate([names, own])
    return _pick(found, names, exact, place, car, one)


def _pick(
    found: Float[Array, "step 2 mode choice batch"],
    names: Int[Array, "choice batch"],
    exact: Data,
    place: Float[Array, "batch 2"],
    car: Car,
    one: Float[Array, ""],
) -> Plans:
    """Return the cheapest of some plans that is feasible, or else the one nearest to it."""
    choices, batch = names.shape
    data = _take(exact, jnp.tile(jnp.arange(batch), choices))
    controls = found.reshape(*found.shape[:3], -1)
    controls = jnp.where(data.shared[:, None, None], controls[:, :, :1], controls)
    now = begin(controls, data, car, Barrier(), one)
    cost, room = expect(now.cost, data), now.room.min(0)
    fine = jnp.isfinite(cost) & (room >= 0)
    score = jnp.where(fine, cost, jnp.where(jnp.isfinite(room), 1e9 - 1e6 * room, jnp.inf))
    best = jnp.argmin(score.reshape(choices, batch), axis=0)
    lane = best * batch + jnp.arange(batch)
    states = jnp.concatenate([data.start[None], now.states])[..., lane]
    states = states.at[:, :2].add(place.T[None, :, None])
    return Plans(
        jnp.transpose(controls[..., lane], (3, 2, 0, 1)),
        jnp.transpose(states, (3, 2, 0, 1)),
        cost[lane],
        fine[lane],
        names[best, jnp.arange(batch)],
        room[lane],
    )


def _order(now: Iterate, data: Data, batch: int) -> Int[Array, "start batch"]:
    """Return which starts of each problem are best so far: inside first, then by cost."""
    rank = expect(now.cost, data) + _fine(now).sum(0)
    return jnp.argsort(rank.reshape(-1, batch), axis=0)


def _fine(now: Iterate) -> Float[Array, "mode lane"]:
    """Return what is added to the cost of modes that are not inside all constraints."""
    return jnp.where(now.room > 0, 0.0, 100.0 - 50.0 * now.room)


def _mix(now: Iterate, best: Iterate, data: Data, batch: int) -> Float[Array, "step 2 mode batch"]:
    """Return plans that decide in each mode as the start that is best there.

    A start decides alike in all modes, but one may be best passed and another waited for. What
    all modes share is taken from the start that is best over all.
    """
    modes = now.cost.shape[0]
    score = (now.cost + _fine(now)).reshape(modes, -1, batch)
    lane = jnp.argmin(score, axis=1) * batch + jnp.arange(batch)
    each = jnp.stack([now.controls[:, :, mode, lane[mode]] for mode in range(modes)], axis=2)
    trunk = best.controls[:, :, :1, :batch]
    return jnp.where(data.shared[:, None, None, :batch], trunk, each)


def _take(tree: Any, lanes: Int[Array, " lane"]) -> Any:
    """Return some lanes of arrays whose last axis is the lane."""
    return jax.tree.map(lambda value: value[..., lanes], tree)
