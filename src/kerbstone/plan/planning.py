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
from kerbstone.plan.solver.terms import Data, Others
from kerbstone.plan.vehicle import Vehicle

# Lanes solved by one call: a batch is cut into parts of these sizes, one to a thread.
_BATCHES = (1, 4, 16, 32)
_THREADS = 2
# Weight of the barrier, and the room below which it is a parabola, by which a plan that was inside
# the constraints at longer steps is drawn back.
_PUSH, _REACH = 0.03, 0.1


# Iterations, and how many plans of each problem go on after them; then so again.
Rounds = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Effort:
    """How much is done for a plan.

    Args:
        starts: Ways to begin; none where only given controls are to be bettered.
        coarse: Rounds in which several steps are one, where there are starts and the horizon's
            number of steps is a multiple of `stride`. Of several modes each may want another
            start, so that all go on but for the last time.
        stride: Steps that are one then.
        fine: Rounds after these, step by step.
        last: Iterations of those that are left.
        rescue: More of them, while a problem has no plan inside all constraints.
        barrier: How each iteration goes; step by step they try a second step always.
    """

    starts: tuple[Start, ...] = STARTS
    coarse: Rounds = ((6, 4), (6, 2))
    stride: int = 2
    fine: Rounds = ((10, 1),)
    last: int = 14
    rescue: int = 24
    barrier: Barrier = field(default_factory=lambda: Barrier(second=False))


# What is done for a plan that goes on from the last: three iterations of it and of braking.
RENEWAL = Effort(starts=(), fine=(), last=3, rescue=0, barrier=Barrier(first=3e-3, relaxation=0.05))
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
    coarse = effort.starts and effort.coarse and horizon.steps % effort.stride == 0
    stride = effort.stride if coarse else 1
    grid = _Grid(_coarsen(rough, stride), Car(car.vehicle, stride * car.dt), effort.barrier, unit)
    steps = horizon.steps // stride
    controls = given.astype(precision).reshape(steps, stride, *given.shape[1:]).mean(1)
    if effort.starts:
        own = make_starts(grid.rough, effort.starts, steps, grid.car, unit)
        controls = jnp.concatenate([own, controls], axis=3)
    batch = problem.start.shape[0]
    names = jnp.repeat(jnp.arange(controls.shape[3])[:, None], batch, axis=1)
    now = grid.begin(_join(controls))
    is_mixed = problem.probability.shape[1] == 1
    if coarse:
        now, names = _sift(now, names, effort.coarse, grid, is_mixed=is_mixed)
    grid = _Grid(rough, car, replace(effort.barrier, second=True), unit)
    if stride > 1:
        now = _refine(now, stride, grid)
    now, names = _sift(now, names, effort.fine, grid, is_mixed=is_mixed or bool(coarse))
    if stride > 1:
        now, names = _replace_lost(now, names, effort.starts, grid)
    now = grid.repeat(now, effort.last, effort.rescue)
    kept = len(names)
    found = now.controls.reshape(*now.controls.shape[:3], kept, batch).astype(given.dtype)
    # What was given stands as it is, so that no plan is worse than it.
    found = jnp.concatenate([found, given], axis=3)
    own = jnp.broadcast_to(
        len(effort.starts) + jnp.arange(given.shape[3])[:, None], (given.shape[3], batch)
    )
    names = jnp.concatenate([names, own])
    return _pick(found, names, exact, place, car, one)


class _Grid(NamedTuple):
    """What iterations need to know: the problems, the car with the length of a step, and how."""

    rough: Data
    car: Car
    barrier: Barrier
    one: Float[Array, ""]

    @property
    def batch(self) -> int:
        return self.rough.start.shape[-1]

    def spread(self, lanes: int) -> Data:
        """Return the problem of each lane; lanes of the same are a batch apart."""
        return _take(self.rough, jnp.arange(lanes) % self.batch)

    def begin(self, controls: Float[Array, "step 2 mode lane"]) -> Iterate:
        data = self.spread(controls.shape[-1])
        return begin(controls, data, self.car, self.barrier, self.one)

    def repeat(self, now: Iterate, times: int, more: int = 0) -> Iterate:
        data = self.spread(now.done.shape[0])
        return repeat(now, times, data, self.car, self.barrier, self.one, more, self.batch)


def _sift(
    now: Iterate,
    names: Int[Array, "start batch"],
    rounds: Rounds,
    grid: _Grid,
    *,
    is_mixed: bool,
) -> tuple[Iterate, Int[Array, "kept batch"]]:
    """Return the plans that go on after some rounds, and as which start each began.

    Where modes part that are not mixed yet, one more joins in the end; see `_mix`.
    """
    batch = grid.batch
    for turn, (times, kept) in enumerate(rounds, start=1):
        now = grid.repeat(now, times)
        if kept >= len(names) or (turn < len(rounds) and not is_mixed):
            continue
        data = grid.spread(len(names) * batch)
        order = _order(now, data, batch)[:kept]
        best = _take(now, (order * batch + jnp.arange(batch)).reshape(-1))
        names = jnp.take_along_axis(names, order, axis=0)
        if not is_mixed:
            best = _append(best, grid.begin(_mix(now, best, data, batch)))
            names = jnp.concatenate([names, names[:1]])
        now = best
    return now, names


def _replace_lost(
    now: Iterate, names: Int[Array, "start batch"], starts: tuple[Start, ...], grid: _Grid
) -> tuple[Iterate, Int[Array, "start batch"]]:
    """Return plans of which one begins anew as the first start, where none is inside.

    One that was inside at longer steps may have no way back; braking mostly has.
    """
    batch = grid.batch
    fresh = make_starts(grid.rough, starts[:1], now.controls.shape[0], grid.car, grid.one)
    lost = ~now.strict.reshape(-1, batch).any(0)
    rows = jnp.arange(len(names))[:, None]
    chosen = lost & (rows == len(names) - 1)
    lanes = chosen.reshape(-1)
    anew = _take(grid.begin(_join(fresh)), jnp.arange(len(lanes)) % batch)
    now = jax.tree.map(lambda a, b: jnp.where(lanes, a, b), anew, now)
    return now, jnp.where(chosen, 0, names)


def _join(controls: Float[Array, "step 2 mode start batch"]) -> Float[Array, "step 2 mode lane"]:
    return controls.reshape(*controls.shape[:3], -1)


def _append(first: Iterate, second: Iterate) -> Iterate:
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=-1), first, second)


def _coarsen(data: Data, stride: int) -> Data:
    """Return problems of fewer steps, each as long as several."""
    others = Others(*(value[:, stride - 1 :: stride] for value in data.others))
    return data._replace(others=others, shared=data.shared[::stride])


def _refine(now: Iterate, stride: int, grid: _Grid) -> Iterate:
    """Return plans of the same controls, step by step."""
    fine = grid.begin(jnp.repeat(now.controls, stride, axis=0))
    # One that touches somebody between the longer steps is drawn out anew.
    return fine._replace(
        barrier=jnp.where(fine.strict, now.barrier, jnp.maximum(now.barrier, _PUSH)),
        relaxation=jnp.where(fine.strict, now.relaxation, _REACH),
        firmness=now.firmness,
        pace=jnp.where(fine.strict, now.pace, 1.0),
    )


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
