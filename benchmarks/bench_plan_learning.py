"""What a planner teaches the predictor before it: a bias, unlearned from the car's own driving.

    python benchmarks/bench_plan_learning.py

A predictor places the car ahead too far away and takes it for too fast, and nobody shows it where
the car really was. It learns from

- *planning loss*: the difference between the plan that its predictions lead to and the plan that
  turned out to be right, derived through the planner;
- *loss of intervention*: how far the safety shield had to change the command, in closed loop. The
  shield is no part of any derivative: what it did instead is where the command should have been.

Simulated: one lane, a car ahead that drives on at constant speed, 16 situations at a time.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from kerbstone.plan.admission import admit
from kerbstone.plan.corridor import fit_corridor
from kerbstone.plan.gradients import settle
from kerbstone.plan.planning import plan
from kerbstone.plan.problem import Ellipses, Horizon, Problem, Weights
from kerbstone.plan.shield import Lane, Road, Shield, Surroundings, advance
from kerbstone.plan.solver.compiling import compiler_options
from kerbstone.plan.vehicle import Vehicle
from kerbstone.scene import Kind
from timing import print_rows, write_results

VEHICLE = Vehicle()
HORIZON = Horizon(25, 0.2)
SETTINGS: dict[str, Any] = {"vehicle": VEHICLE, "horizon": HORIZON}
SIZE = (4.6, 1.9)
BIAS = (
    6.0,
    2.5,
)  # the car ahead is placed so far too far [m], and taken for so much too fast [m/s]
BATCH, CYCLES = 16, 16


class Ahead(NamedTuple):
    """Ego's speed, and the gap to the car ahead and its speed; `[batch]` each."""

    speed: np.ndarray
    gap: np.ndarray
    lead_speed: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=40, help="of learning")
    parser.add_argument("--rounds", type=int, default=12, help="of driving under the shield")
    arguments = parser.parse_args()
    rows = [*unlearn_by_plans(arguments.steps), *unlearn_by_interventions(arguments.rounds)]
    print_rows("Bias of a predictor before and after learning through the planner", rows)
    write_results("plan_learning", rows)


def draw(rng: np.random.Generator, gaps: tuple[float, float]) -> Ahead:
    speed = rng.uniform(9.0, 14.0, BATCH)
    return Ahead(speed, rng.uniform(*gaps, BATCH), speed - rng.uniform(2.0, 5.0, BATCH))


def make_problem(ahead: Ahead) -> Problem:
    """Return the problems with the car ahead where it really is and will be."""
    s = np.arange(-20.0, 160.0, 4.0)
    line = np.stack([s, np.zeros_like(s)], axis=1)
    one = np.ones(len(s))
    corridor = fit_corridor(line, 1.75 * one, 1.75 * one, 15.0 * one)
    corridor = jax.tree.map(lambda v: np.repeat(np.asarray(v)[None], BATCH, 0), corridor)
    start = np.zeros((BATCH, 6))
    start[:, 3] = ahead.speed
    time = HORIZON.dt * np.arange(1, HORIZON.steps + 1)
    x = VEHICLE.length - VEHICLE.rear_overhang + ahead.gap + SIZE[0] / 2
    centre = np.zeros((BATCH, 1, 1, HORIZON.steps, 2))
    centre[:, 0, 0, :, 0] = x[:, None] + ahead.lead_speed[:, None] * time
    shape = centre.shape[:-1]
    axes = np.array([SIZE[0] / np.sqrt(2), SIZE[1] / np.sqrt(2)]) + VEHICLE.disc_radius
    return admit(
        Problem(
            start,
            corridor,
            Ellipses(centre, np.broadcast_to(axes, centre.shape).copy(), np.zeros(shape), np.ones(shape, bool)),
            np.ones((BATCH, 1)),
            np.zeros(BATCH, np.int32),
            Weights(clearance=np.array(1.0), margin=np.array(6.0)),
        ),
        VEHICLE,
        HORIZON,
    )  # fmt: skip


def shift(problem: Problem, bias: Any) -> Problem:
    """Return the problems as the predictor sees them."""
    time = HORIZON.dt * jnp.arange(1, HORIZON.steps + 1)
    moved = jnp.asarray(problem.ellipses.centre).at[..., 0].add(bias[0] + bias[1] * time)
    return replace(problem, ellipses=replace(problem.ellipses, centre=moved))


def make_plans(problem: Problem) -> np.ndarray:
    """Return plans to settle from, near the settled ones."""
    return np.asarray(plan(jax.tree.map(np.asarray, problem), **SETTINGS).controls)


def unlearn_by_plans(steps: int) -> list[dict[str, Any]]:
    """Learn the bias from the difference of plans."""
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):

        def loss(bias: jax.Array, problem: Problem, begun: jax.Array, right: jax.Array) -> Any:
            smooth = settle(shift(problem, bias), begun, **SETTINGS)
            apart = jnp.where(smooth.strict[:, None], smooth.states[:, 0, :, 3] - right, 0.0)
            return (apart**2).mean()

        slope = jax.jit(jax.value_and_grad(loss), compiler_options=compiler_options())
        bias = jnp.asarray(BIAS)
        optimiser = optax.adam(0.4)
        state = optimiser.init(bias)
        losses = []
        for _ in range(steps):
            problem = make_problem(draw(rng, (18.0, 30.0)))
            right = np.asarray(plan(problem, **SETTINGS).states)[:, 0, :, 3]
            begun = make_plans(shift(problem, bias))
            value, gradient = slope(bias, jax.tree.map(jnp.asarray, problem), begun, right)
            change, state = optimiser.update(gradient, state)
            bias = optax.apply_updates(bias, change)
            losses.append(float(value))
    return [row("planning loss", steps, losses, np.asarray(bias), [])]


def unlearn_by_interventions(rounds: int) -> list[dict[str, Any]]:
    """Learn the bias from what the shield changed."""
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):

        def loss(bias: jax.Array, problem: Problem, begun: jax.Array, applied: jax.Array) -> Any:
            smooth = settle(shift(problem, bias), begun, **SETTINGS)
            apart = (smooth.controls[:, 0, 0, 0] - applied[:, 0]) / VEHICLE.jerk
            # Where the shield let the command pass, the two are one and nothing is learned.
            return jnp.where(smooth.strict & (applied[:, 1] > 0), apart**2, 0.0).mean()

        slope = jax.jit(jax.value_and_grad(loss), compiler_options=compiler_options())
        bias = jnp.asarray(BIAS)
        optimiser = optax.adam(0.8)
        state = optimiser.init(bias)
        losses, shares = [], []
        for _ in range(rounds):
            sum_gradient, sum_loss, share = jnp.zeros(2), 0.0, 0.0
            for problem, begun, applied in drive(draw(rng, (9.0, 15.0)), np.asarray(bias)):
                value, gradient = slope(bias, jax.tree.map(jnp.asarray, problem), begun, applied)
                sum_gradient, sum_loss = sum_gradient + gradient, sum_loss + float(value)
                share += float(applied[:, 1].mean()) / CYCLES
            change, state = optimiser.update(sum_gradient, state)
            bias = optax.apply_updates(bias, change)
            losses.append(sum_loss)
            shares.append(share)
    return [row("loss of intervention", rounds, losses, np.asarray(bias), shares)]


def drive(ahead: Ahead, bias: np.ndarray) -> list[tuple[Problem, np.ndarray, np.ndarray]]:
    """Drive under the shield; return each cycle's problems, plans, and what was applied instead."""
    road = Road((Lane(np.array([[-50.0, 0.0], [600.0, 0.0]])),))
    shield = Shield(road, vehicle=VEHICLE)
    state = np.zeros((BATCH, 6))
    state[:, 3] = ahead.speed
    place = VEHICLE.length - VEHICLE.rear_overhang + ahead.gap + SIZE[0] / 2
    ready = shield.start(state, see(place, ahead.lead_speed))
    cycles = []
    for _ in range(CYCLES):
        gap = place - state[:, 0] - (VEHICLE.length - VEHICLE.rear_overhang) - SIZE[0] / 2
        problem = make_problem(Ahead(state[:, 3], np.maximum(gap, 0.5), ahead.lead_speed))
        start = np.concatenate([np.zeros((BATCH, 3)), state[:, 3:]], axis=1)
        problem = replace(problem, start=start)
        begun = make_plans(shift(problem, bias))
        decision = shield.step(state, begun[:, 0, 0], see(place, ahead.lead_speed))
        changed = decision.intervened & ready
        cycles.append((problem, begun, np.stack([decision.control[:, 0], changed], axis=1)))
        state = advance(state, decision.control, shield.assumptions.control_step, VEHICLE)
        place = place + shield.assumptions.control_step * ahead.lead_speed
    return cycles


def see(place: np.ndarray, speed: np.ndarray) -> Surroundings:
    """Return the car ahead as ego sees it, without error."""
    column = np.ones((BATCH, 1))
    return Surroundings(
        kind=np.full((BATCH, 1), int(Kind.CAR)),
        position=np.stack([place, np.zeros(BATCH)], axis=-1)[:, None],
        heading=0.0 * column,
        speed=speed[:, None],
        length=SIZE[0] * column,
        width=SIZE[1] * column,
        valid=np.ones((BATCH, 1), bool),
    )


def row(
    name: str, steps: int, losses: list[float], bias: np.ndarray, shares: list[float]
) -> dict[str, Any]:
    return {
        "learned_from": name,
        "steps": steps,
        "loss_before": losses[0],
        "loss_after": float(np.mean(losses[-3:])),
        "too_far_before": BIAS[0],
        "too_far_after": float(bias[0]),
        "too_fast_before": BIAS[1],
        "too_fast_after": float(bias[1]),
        "intervened_before": shares[0] if shares else float("nan"),
        "intervened_after": float(np.mean(shares[-3:])) if shares else float("nan"),
    }


if __name__ == "__main__":
    main()
