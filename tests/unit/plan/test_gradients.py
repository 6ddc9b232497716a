"""Derivatives of plans against differences of plans."""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import planned
from kerbstone.plan.gradients import settle
from kerbstone.plan.problem import Problem
from kerbstone.plan.solver.compiling import compiler_options

STEP = 1e-5


@pytest.fixture(scope="module")
def case():
    """Plans of two modes, their derivatives, and differences along some ways."""
    with jax.enable_x64(True):
        problem = planned.small_problem(3, 2, branch_step=8, seed=2)
        problem = jax.tree.map(jnp.asarray, problem)
        weights = jax.tree.map(lambda value: jnp.asarray(np.full(3, value)), problem.weights)
        problem = eqx.tree_at(lambda p: p.weights, problem, weights)
        controls = jnp.asarray(planned.braking(problem)[:, 0])
        rng = np.random.default_rng(0)
        look = jnp.asarray(rng.normal(size=(3, 2, planned.HORIZON.steps + 1, 6)))

        def measure(problem: Problem):
            smooth = settle(
                problem, controls, vehicle=planned.VEHICLE, horizon=planned.HORIZON, barrier=0.02
            )
            return (look * smooth.states).sum((1, 2, 3)) + smooth.cost, smooth

        @partial(jax.jit, compiler_options=compiler_options())
        def both(numbers, rest):
            def function(numbers):
                each, smooth = measure(eqx.combine(numbers, rest))
                return each.sum(), (each, smooth)

            return jax.value_and_grad(function, has_aux=True)(numbers)

        numbers, rest = eqx.partition(problem, eqx.is_inexact_array)
        (_, (_, smooth)), slopes = both(numbers, rest)

        def difference(way):
            ahead, back = (
                both(jax.tree.map(lambda a, b, step=step: a + step * b, numbers, way), rest)[0][1][
                    0
                ]
                for step in (STEP, -STEP)
            )
            return np.asarray(ahead - back) / (2 * STEP)

        yield numbers, smooth, slopes, difference


def test_plans_settle_to_a_minimum_inside_the_constraints(case) -> None:
    _, smooth, _, _ = case
    assert smooth.strict.all()
    assert float(smooth.residual.max()) < 1e-7


@pytest.mark.parametrize(
    "pick",
    [
        lambda p: p.start,
        lambda p: p.ellipses.centre,
        lambda p: p.ellipses.semi_axes,
        lambda p: p.ellipses.heading,
        lambda p: p.corridor.line,
        lambda p: p.corridor.left,
        lambda p: p.corridor.speed,
        lambda p: p.probability,
        lambda p: p.weights.progress,
        lambda p: p.weights.clearance,
    ],
    ids=[
        "start",
        "mean",
        "extent",
        "heading",
        "line",
        "room",
        "wanted",
        "belief",
        "progress",
        "clearance",
    ],
)
def test_derivatives_are_those_of_differences(case, pick) -> None:
    numbers, _, slopes, difference = case
    still = jax.tree.map(jnp.zeros_like, numbers)
    rng = np.random.default_rng(1)
    found, expected = [], []
    for _ in range(2):
        way = rng.normal(size=pick(numbers).shape)
        if way.ndim > 3:  # Predictions move as a whole, not each step for itself.
            way = np.broadcast_to(way[..., :1] if way.ndim == 4 else way[..., :1, :], way.shape)
        way = jnp.asarray(0.1 * way)
        expected.append(difference(eqx.tree_at(pick, still, way)))
        found.append(np.asarray((pick(slopes) * way).reshape(3, -1).sum(1)))
    found, expected = np.ravel(found), np.ravel(expected)
    cosine = found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)
    assert cosine > 0.999
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=1e-5)
