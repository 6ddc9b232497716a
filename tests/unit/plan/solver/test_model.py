"""The solver's derivatives against automatic ones, and its sweep against dense algebra."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import planned
from kerbstone.plan.checking import check_plans
from kerbstone.plan.problem import Weights
from kerbstone.plan.solver.bicycle import move, roll_out
from kerbstone.plan.solver.curvature import curve, solve_system
from kerbstone.plan.solver.interior import Barrier, Car, begin
from kerbstone.plan.solver.layout import lay_out
from kerbstone.plan.solver.model import expand
from kerbstone.plan.solver.riccati import Stages, _fold_hessian, sweep, unfold_dynamics
from kerbstone.plan.solver.terms import evaluate, sum_barriers

DT = planned.HORIZON.dt
VEHICLE = planned.VEHICLE
CAR = Car(VEHICLE, DT)


@pytest.fixture(autouse=True, scope="module")
def _in_float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def case(_in_float64):
    """Two modes of two problems, a plan strictly inside them, and their layout."""
    problem = planned.small_problem(2, 2, branch_step=9, seed=3)
    weights = Weights(progress=np.full(2, 0.3), comfort=np.full(2, 5.0), margin=np.full(2, 3.0))
    problem = eqx.tree_at(lambda p: p.weights, problem, weights)
    data = lay_out(problem, VEHICLE, planned.HORIZON.steps)
    controls = planned.braking(problem)[:, 0]
    noise = 0.002 * np.random.default_rng(0).normal(size=controls.shape)
    noise[:, :, :9] = noise[:, :1, :9]
    controls = jnp.asarray(np.transpose(controls + noise, (2, 3, 1, 0)))
    one = jnp.ones(())
    now = begin(controls, data, CAR, Barrier(), one)
    assert bool(now.strict.all())
    return problem, data, now, one


def test_cost_and_states_agree_with_the_independent_check(case) -> None:
    problem, data, now, _ = case
    controls = np.transpose(np.asarray(now.controls), (3, 2, 0, 1))
    check = check_plans(problem, controls, vehicle=VEHICLE, horizon=planned.HORIZON)
    np.testing.assert_allclose((data.probability * now.cost).sum(0), check.cost, rtol=1e-9)
    states = np.transpose(np.asarray(now.states), (3, 2, 0, 1))
    np.testing.assert_allclose(states, check.states[:, :, 1:], atol=1e-10)
    assert check.feasible.all()


def test_room_agrees_with_the_independent_check_where_a_plan_is_outside(case) -> None:
    problem, data, _, one = case
    controls = np.zeros((2, 2, planned.HORIZON.steps, 2))
    controls[..., 0] = 1.0
    now = begin(jnp.asarray(np.transpose(controls, (2, 3, 1, 0))), data, CAR, Barrier(), one)
    check = check_plans(problem, controls, vehicle=VEHICLE, horizon=planned.HORIZON)
    assert not now.strict.any()
    assert not check.feasible.any()


def test_gradient_of_the_model_is_exact(case) -> None:
    _, data, now, one = case
    weight = jnp.asarray([0.1, 0.02])
    low = jnp.full(2, 1e-9)

    def total(controls):
        states = roll_out(data.start, controls, VEHICLE, DT)
        value = evaluate(states, controls, data, now.parameter, VEHICLE, DT, one)
        cost = (data.probability * value.cost).sum(0)
        return (cost + weight * sum_barriers(value.rooms, low)).sum()

    before = jnp.concatenate([data.start[None], now.states[:-1]])
    stages, barriers = expand(
        now.states, before, now.controls, now.parameter, data, weight, low, VEHICLE, DT, one
    )
    unfold = unfold_dynamics(DT)
    worth, found = jnp.zeros_like(now.states[0]), []
    for k in reversed(range(planned.HORIZON.steps)):
        worth = worth + stages.rows[k, 10:16]
        pulled = jnp.einsum("ij...,i...->j...", unfold(stages.rows[k, 20:]), worth)
        found.append(pulled[6:] + stages.rows[k, 18:20])
        worth = pulled[:6]
    np.testing.assert_allclose(jnp.stack(found[::-1]), jax.grad(total)(now.controls), atol=1e-9)
    value = evaluate(now.states, now.controls, data, now.parameter, VEHICLE, DT, one)
    np.testing.assert_allclose(barriers, sum_barriers(value.rooms, low), rtol=1e-10)


def test_folded_dynamics_are_the_derivative_of_a_step(case) -> None:
    _, data, now, one = case
    before = jnp.concatenate([data.start[None], now.states[:-1]])
    stages, _ = expand(
        now.states, before, now.controls, now.parameter, data, jnp.ones(2), jnp.full(2, 0.1),
        VEHICLE, DT, one,
    )  # fmt: skip
    k = 5
    found = unfold_dynamics(DT)(stages.rows[k, 20:])[:, :, 0, 1]
    x, u = before[k, :, 0, 1], now.controls[k, :, 0, 1]
    expected = np.concatenate(jax.jacfwd(move, argnums=(0, 1))(x, u, VEHICLE, DT), axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_model_is_never_negative(case) -> None:
    _, data, now, one = case
    before = jnp.concatenate([data.start[None], now.states[:-1]])
    stages, _ = expand(
        now.states, before, now.controls, now.parameter, data, jnp.ones(2), jnp.full(2, 0.1),
        VEHICLE, DT, one,
    )  # fmt: skip
    hessian = jnp.stack([_fold_hessian()(row) for row in stages.rows])
    least = np.linalg.eigvalsh(np.moveaxis(np.asarray(hessian), (1, 2), (-2, -1))).min()
    assert least > -1e-9
    assert float(stages.rows[:, 16:18].min()) > 0


def test_a_barrier_goes_on_smoothly_below_the_relaxed_room() -> None:
    from kerbstone.plan.solver.terms import Rooms

    low = jnp.asarray([0.2])

    def barrier(room):
        at = jnp.broadcast_to(room, (1, 1, 1, 1))
        return sum_barriers(Rooms(at, at[:0], at[:0], at[:0]), low)[0]

    for order in range(3):
        below, above = barrier, barrier
        for _ in range(order):
            below, above = jax.grad(below), jax.grad(above)
        np.testing.assert_allclose(below(0.2 - 1e-9), above(0.2 + 1e-9), rtol=1e-6)
    assert np.isfinite(barrier(jnp.asarray(-3.0)))


@pytest.mark.parametrize("modes", [1, 3])
def test_sweep_solves_the_quadratic_problem(modes: int) -> None:
    rng = np.random.default_rng(modes)
    steps, lanes, together = 5, 2, 3
    rows = rng.normal(size=(steps, 28, modes, lanes))
    rows[:, 0:3] = np.array([3.0, 0.4, 2.0])[:, None, None]
    rows[:, 3:5] *= 0.1
    rows[:, 5:10] = np.abs(rows[:, 5:10]) + 1.0
    rows[:, 7] = 0.1
    rows[:, 16:18] = np.abs(rows[:, 16:18]) + 0.5
    # Modes move alike for as long as they share their controls.
    rows[:together, 20:] = rows[:together, 20:, :1]
    shared = np.arange(steps)[:, None] < np.full(lanes, together)
    stages = Stages(jnp.asarray(rows))
    policy = sweep(stages, jnp.asarray(shared), jnp.zeros(lanes), DT, jnp.ones(()))
    unfold, fold = unfold_dynamics(DT), _fold_hessian()
    for lane in range(lanes):
        # All controls in one vector: those that are shared stand once.
        count = 2 * together + modes * 2 * (steps - together)
        hessian, gradient = np.zeros((count, count)), np.zeros(count)
        for mode in range(modes):
            reach = np.zeros((6, count))
            for k in range(steps):
                f = np.asarray(unfold(stages.rows[k, 20:]))[:, :, mode, lane]
                at = (
                    2 * k
                    if k < together
                    else 2 * (together + mode * (steps - together) + k - together)
                )
                pick = np.zeros((2, count))
                pick[[0, 1], [at, at + 1]] = 1.0
                reach = f[:, :6] @ reach + f[:, 6:] @ pick
                weight = np.asarray(fold(stages.rows[k]))[:, :, mode, lane]
                hessian += reach.T @ weight @ reach
                gradient += reach.T @ rows[k, 10:16, mode, lane]
                hessian += pick.T @ np.diag(rows[k, 16:18, mode, lane]) @ pick
                gradient += pick.T @ rows[k, 18:20, mode, lane]
        best = np.linalg.solve(hessian, -gradient)
        np.testing.assert_allclose(policy.decrease[lane], -0.5 * gradient @ best, rtol=1e-8)
        for mode in range(modes):
            change = np.zeros(6)
            for k in range(steps):
                f = np.asarray(unfold(stages.rows[k, 20:]))[:, :, mode, lane]
                control = (
                    np.asarray(policy.step[k, :, mode, lane])
                    + np.asarray(policy.gain[k, :, :, mode, lane]) @ change
                )
                at = (
                    2 * k
                    if k < together
                    else 2 * (together + mode * (steps - together) + k - together)
                )
                np.testing.assert_allclose(control, best[at : at + 2], atol=1e-8)
                change = f[:, :6] @ change + f[:, 6:] @ control


def test_exact_system_is_solved(case) -> None:
    """Against the second derivative by all controls at once, from automatic differentiation."""
    _, data, now, one = case
    weight = jnp.asarray([0.1, 0.02])
    right = jnp.asarray(np.random.default_rng(1).normal(size=now.controls.shape))

    @jax.jit
    def solve(now, data):
        curvature = curve(now.states, now.controls, now.parameter, data, weight, CAR)
        return curvature.gradient, solve_system(curvature, right, data.shared, 5.0)

    gradient, found = solve(now, data)

    def total(controls):
        states = roll_out(data.start, controls, VEHICLE, DT)
        value = evaluate(states, controls, data, now.parameter, VEHICLE, DT, one)
        low = jnp.full(2, 1e-12)
        cost = (data.probability * value.cost).sum(0)
        return (cost + weight * sum_barriers(value.rooms, low)).sum()

    slope, bent = jax.jit(lambda u, way: jax.jvp(jax.grad(total), (u,), (way,)))(
        now.controls, found
    )
    joint = np.asarray(data.shared)[:, None, None]

    def add_shared(values):
        return np.where(joint, np.asarray(values).sum(2, keepdims=True), values)

    np.testing.assert_allclose(gradient, slope, atol=1e-9)
    # The firmness counts once for what all modes share.
    np.testing.assert_allclose(
        add_shared(bent) + np.where(joint, 2 * 5.0 * found, 5.0 * found),
        add_shared(right),
        atol=1e-7,
    )
