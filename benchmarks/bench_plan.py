"""Planning beside CasADi + IPOPT on P50: feasible, how dear, how long, and are gradients right.

    python benchmarks/bench_plan.py            # all 256 instances, about 15 minutes
    python benchmarks/bench_plan.py --quick    # 32 of them

Cost is compared with the best of what IPOPT finds from several starts, in the same run, and is
checked in float64 by code that neither solver uses. A plan counts as within 2 % where it exceeds
that best by at most 2 % of the best plan's cost before the reward for progress, which is never
below zero (costs with the reward cross zero, where a share of them means nothing).
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ipopt_peer import homotopy_starts, solve_all
from kerbstone.plan.admission import admit
from kerbstone.plan.checking import check_plans, place_discs, project_points
from kerbstone.plan.gradients import settle
from kerbstone.plan.planning import RENEWAL, plan
from kerbstone.plan.problem import Problem
from kerbstone.plan.solver.compiling import compiler_options
from p50 import HORIZON, VEHICLE, braking_start, make_p50, take
from timing import measure, print_rows, write_results

SETTINGS: dict[str, Any] = {"vehicle": VEHICLE, "horizon": HORIZON}
SHARE = 0.02
BATCHES = (1, 16, 64)
STARTS = 7  # of IPOPT's: braking, yielding, going on, left and right, slow and fast
STEP = 1e-5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="32 instances, fewer repeats")
    parser.add_argument("--count", type=int, default=256, help="instances")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--parts", nargs="*", default=["cost", "time", "gradient"])
    arguments = parser.parse_args()
    problem = make_p50(32 if arguments.quick else arguments.count)
    repeats = 5 if arguments.quick else arguments.repeats
    rows: list[dict[str, Any]] = []
    if "cost" in arguments.parts:
        rows += show("P50: cost beside IPOPT", compare_costs(problem))
    if "time" in arguments.parts:
        rows += show("P50: time for each problem", compare_times(problem, repeats))
    if "gradient" in arguments.parts:
        rows += show("P50: gradients beside differences, float64", check_gradients(problem))
    write_results("plan", rows)


def show(title: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    print_rows(title, rows)
    return rows


def compare_costs(problem: Problem) -> list[dict[str, Any]]:
    """Compare costs with those of IPOPT's starts."""
    ours = plan(problem, **SETTINGS)
    checked = check_plans(problem, np.asarray(ours.controls), **SETTINGS)
    starts = homotopy_starts(problem)[:, :STARTS]
    peer = solve_all(problem, starts)
    best, whose = peer.best()
    scale = best + reward(problem, peer.controls[np.arange(len(best)), whose])
    rows = []
    for name, feasible, cost in (
        ("ours", checked.feasible, checked.cost),
        ("IPOPT, from braking", peer.feasible[:, 0], peer.cost[:, 0]),
        (f"IPOPT, best of {STARTS}", np.isfinite(best), best),
    ):
        excess = np.where(feasible, cost - best, np.inf)
        rows.append(
            {
                "solver": name,
                "problems": len(best),
                "feasible": float(np.mean(feasible)),
                "within_2_percent": float(np.mean(excess <= SHARE * scale)),
                "below_best": float(np.mean(excess < -SHARE * scale)),
                "excess_median": float(np.median(excess)),
                "excess_p95": float(np.quantile(excess, 0.95)),
                "excess_max": float(excess.max()),
            }
        )
    return rows


def reward(problem: Problem, controls: np.ndarray) -> np.ndarray:
    """Return the reward for progress in a plan's cost."""
    states = check_plans(problem, controls[:, None], **SETTINGS).states[:, 0]
    places = project_points(problem.corridor, place_discs(states[:, [0, -1]], VEHICLE)[:, :, 1])
    gained = places.arc[:, 1] - places.arc[:, 0]
    return np.asarray(problem.weights.progress) * gained


def compare_times(problem: Problem, repeats: int) -> list[dict[str, Any]]:
    """Time plans from nothing and from the last cycle's, alone and with derivatives."""
    peer = time_peer(problem)
    rows = []
    for size in (size for size in BATCHES if size <= len(problem.start)):
        some = take(problem, np.arange(size))
        first = plan(some, **SETTINGS)
        later, given = move_on(some, np.asarray(first.controls), np.asarray(first.states))
        derive = make_derivative(some, np.asarray(first.controls))
        cold = measure(partial(plan, some, **SETTINGS), repeats)
        warm = measure(partial(plan, later, given=given, effort=RENEWAL, **SETTINGS), repeats)
        slope = measure(derive, repeats)
        renewed = plan(later, given=given, effort=RENEWAL, **SETTINGS)
        for name, timing in (("cold", cold), ("warm", warm), ("derivative", slope)):
            each = 1e3 * timing.median_s / size
            rows.append(
                {
                    "case": name,
                    "batch": size,
                    "ms_each": each,
                    "spread": 1e3 * timing.spread_s / size,
                    "feasible": float(
                        np.mean(renewed.feasible if name == "warm" else first.feasible)
                    ),
                    "ipopt_ms": peer,
                    "ratio": peer / each,
                }
            )
    return rows


def time_peer(problem: Problem) -> float:
    """Return IPOPT's median time from braking [ms]."""
    some = take(problem, np.arange(min(32, len(problem.start))))
    return 1e3 * float(np.median(solve_all(some, braking_start(some)[:, None]).seconds))


def move_on(
    problem: Problem, controls: np.ndarray, states: np.ndarray
) -> tuple[Problem, np.ndarray]:
    """Return the problems one step later, and the last plans and braking to begin from."""
    ellipses = jax.tree.map(
        lambda value: (
            np.concatenate(
                [value[:, :, :, 1:], 2 * value[:, :, :, -1:] - value[:, :, :, -2:-1]], axis=3
            )
            if value.dtype != bool
            else value
        ),
        problem.ellipses,
    )
    later = eqx.tree_at(
        lambda p: (p.start, p.ellipses), problem, (states[:, 0, 1].copy(), ellipses)
    )
    moved = np.concatenate([controls[:, :, 1:], np.zeros_like(controls[:, :, :1])], axis=2)
    return later, np.stack([moved, braking_start(later)[:, None]], axis=1)


def make_derivative(problem: Problem, controls: np.ndarray) -> Any:
    """Return the call that settles plans and derives a loss of them by everything."""
    admitted = admit(problem, VEHICLE, HORIZON)
    with jax.enable_x64(True):
        numbers, rest = eqx.partition(jax.tree.map(jnp.asarray, admitted), eqx.is_inexact_array)

        def loss(numbers: Any) -> jax.Array:
            smooth = settle(
                eqx.combine(numbers, rest), controls, **SETTINGS, barrier=1e-2, iterations=2
            )
            return (smooth.states[..., :2] ** 2).mean() + smooth.cost.sum()

        function = jax.jit(jax.grad(loss), compiler_options=compiler_options())
        jax.block_until_ready(function(numbers))

    def call() -> Any:
        with jax.enable_x64(True):
            return jax.block_until_ready(function(numbers))

    return call


def check_gradients(problem: Problem, ways: int = 4) -> list[dict[str, Any]]:
    """Compare derivatives by starts and predictions with central differences of settled plans."""
    count = min(208, len(problem.start))
    problem = admit(take(problem, np.arange(count)), VEHICLE, HORIZON)
    begun = plan(problem, **SETTINGS)
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        problem = jax.tree.map(jnp.asarray, problem)
        look = jnp.asarray(rng.normal(size=begun.states.shape))

        def measure_states(inputs: Any, problem: Problem, controls: jax.Array, look: Any) -> Any:
            moved = eqx.tree_at(
                lambda p: (p.start, p.ellipses.centre, p.ellipses.semi_axes), problem, inputs
            )
            smooth = settle(moved, controls, **SETTINGS)
            return (look * smooth.states).sum((1, 2, 3)), smooth

        value = jax.jit(measure_states, compiler_options=compiler_options())

        def measure_all(*arguments: Any) -> Any:
            each, smooth = measure_states(*arguments)
            return each.sum(), smooth

        slope = jax.jit(jax.grad(measure_all, has_aux=True), compiler_options=compiler_options())
        analytic, numeric, steady = [], [], []
        for at in range(0, count, 16):
            some = jax.tree.map(
                lambda v, at=at: v[at : at + 16], (problem, jnp.asarray(begun.controls), look)
            )
            part, controls, view = some
            inputs = (part.start, part.ellipses.centre, part.ellipses.semi_axes)
            slopes, smooth = slope(inputs, part, controls, view)
            settled = smooth.controls
            for _ in range(ways):
                way = draw_way(rng, inputs)
                ends = []
                calm = np.asarray(smooth.strict & (smooth.residual < 1e-6))
                for sign in (1.0, -1.0):
                    moved = jax.tree.map(lambda a, b, sign=sign: a + sign * STEP * b, inputs, way)
                    each, there = value(moved, part, settled, view)
                    jump = jnp.abs(there.controls - settled).max((1, 2, 3))
                    # A plan that leaps under so small a change went to another minimum.
                    calm = calm & np.asarray(there.strict & (there.residual < 1e-6) & (jump < 0.01))
                    ends.append(np.asarray(each))
                numeric.append((ends[0] - ends[1]) / (2 * STEP))
                pieces = jax.tree.map(
                    lambda s, w: (s * w).reshape(s.shape[0], -1).sum(1), slopes, way
                )
                analytic.append(np.asarray(sum(jax.tree.leaves(pieces))))
                steady.append(calm)
    batches = count // 16
    shape = (batches, ways, 16)
    ours, theirs, calm = (
        np.reshape(v, shape).swapaxes(1, 2).reshape(count, ways)
        for v in (analytic, numeric, steady)
    )
    cosine = (ours * theirs).sum(1) / np.sqrt((ours**2).sum(1) * (theirs**2).sum(1))
    calm = calm.all(1)
    return [
        {
            "instances": name,
            "count": int(pick.sum()),
            "cosine_least": float(cosine[pick].min()) if pick.any() else float("nan"),
            "cosine_median": float(np.median(cosine[pick])) if pick.any() else float("nan"),
            "at_least_0.999": float(np.mean(cosine[pick] >= 0.999)) if pick.any() else float("nan"),
        }
        for name, pick in (("all", np.ones(count, bool)), ("settled", calm), ("not settled", ~calm))
    ]


def draw_way(rng: np.random.Generator, inputs: Any) -> Any:
    """Return a random change: of the start, and of each prediction as a whole over time."""
    start, centre, axes = inputs
    steps = np.linspace(0.0, 1.0, centre.shape[3])[:, None]
    shape = (*centre.shape[:3], 1, 2)
    return (
        jnp.asarray(rng.normal(size=start.shape) * [0.1, 0.1, 0.01, 0.1, 0.1, 0.01]),
        jnp.asarray(0.1 * (rng.normal(size=shape) + steps * rng.normal(size=shape))),
        jnp.asarray(0.05 * rng.normal(size=shape) + 0.0 * axes),
    )


if __name__ == "__main__":
    begun = time.perf_counter()
    main()
    print(f"\n{time.perf_counter() - begun:.0f} s in all")
