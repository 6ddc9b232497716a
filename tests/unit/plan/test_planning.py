"""Plans are feasible, no worse than what they begin from, and honest about what they are not."""

from __future__ import annotations

import equinox as eqx
import jax
import numpy as np
import pytest

import planned
from kerbstone.errors import InputError
from kerbstone.plan.checking import check_plans
from kerbstone.plan.planning import RENEWAL, Effort, Plans, plan
from kerbstone.plan.problem import Problem

SETTINGS = {"vehicle": planned.VEHICLE, "horizon": planned.HORIZON}
EFFORT = Effort(coarse=((6, 2),), fine=(), last=12)


def check(problem: Problem, plans: Plans):
    return check_plans(problem, np.asarray(plans.controls), **SETTINGS)


@pytest.fixture(scope="module")
def case() -> tuple[Problem, np.ndarray, Plans]:
    problem = planned.small_problem(4, seed=1)
    given = planned.braking(problem)
    return problem, given, plan(problem, given=given, effort=EFFORT, **SETTINGS)


def test_plans_pass_the_independent_check(case) -> None:
    problem, _, plans = case
    checked = check(problem, plans)
    assert checked.feasible.all()
    np.testing.assert_array_equal(plans.feasible, checked.feasible)
    np.testing.assert_allclose(plans.cost, checked.cost, rtol=1e-9)
    np.testing.assert_allclose(plans.states, checked.states, atol=1e-9)


def test_plans_are_far_cheaper_than_braking_and_never_dearer(case) -> None:
    problem, given, plans = case
    braked = check_plans(problem, given[:, 0], **SETTINGS)
    assert braked.feasible.all()
    assert (plans.cost < braked.cost).all()
    assert np.median(plans.cost / braked.cost) < 0.5


def test_where_nothing_else_is_feasible_the_given_controls_come_back(case) -> None:
    problem, given, _ = case
    # A wall around the car that leaves only the place where it brakes to a stop.
    check_given = check_plans(problem, given[:, 0], **SETTINGS)
    assert check_given.feasible.all()
    ahead = check_given.states[:, 0, -1, :2] + np.array([7.0, 0.0])
    ellipses = problem.ellipses
    centre = np.broadcast_to(ahead[:, None, None, None], ellipses.centre.shape).copy()
    axes = np.full(ellipses.semi_axes.shape, [1.5, 30.0])
    blocked = eqx.tree_at(
        lambda p: (p.ellipses.centre, p.ellipses.semi_axes, p.ellipses.heading),
        problem,
        (centre, axes, np.zeros(ellipses.heading.shape)),
    )
    plans = plan(blocked, given=given, effort=EFFORT, **SETTINGS)
    braked = check_plans(blocked, given[:, 0], **SETTINGS)
    assert check(blocked, plans).feasible[braked.feasible].all()
    assert (plans.cost[braked.feasible] <= braked.cost[braked.feasible] + 1e-9).all()


def test_an_impossible_problem_is_reported_as_not_feasible(case) -> None:
    problem, given, _ = case
    ellipses = problem.ellipses
    on_top = np.broadcast_to(problem.start[:, None, None, None, :2], ellipses.centre.shape).copy()
    plans = plan(
        eqx.tree_at(lambda p: p.ellipses.centre, problem, on_top),
        given=given,
        effort=EFFORT,
        **SETTINGS,
    )
    assert not plans.feasible.any()
    assert (plans.room < 0).all()
    assert np.isfinite(plans.controls).all()


def test_a_plan_does_not_depend_on_the_rest_of_its_batch(case) -> None:
    problem, given, plans = case
    order = np.array([2, 0, 3, 1])
    mixed = jax.tree.map(lambda value: value[order] if np.ndim(value) else value, problem)
    again = plan(mixed, given=given[order], effort=EFFORT, **SETTINGS)
    np.testing.assert_allclose(again.cost, np.asarray(plans.cost)[order], rtol=1e-4)


def test_a_plan_moves_with_the_world(case) -> None:
    problem, given, plans = case
    shift = np.array([4e5, -3e6])
    start = problem.start.copy()
    start[:, :2] += shift
    moved = eqx.tree_at(
        lambda p: (p.start, p.corridor.line, p.ellipses.centre),
        problem,
        (start, problem.corridor.line + shift, problem.ellipses.centre + shift),
    )
    again = plan(moved, given=given, effort=EFFORT, **SETTINGS)
    np.testing.assert_allclose(again.cost, plans.cost, rtol=1e-3)
    np.testing.assert_allclose(
        np.asarray(again.states)[..., :2] - shift, np.asarray(plans.states)[..., :2], atol=0.05
    )


def test_the_same_problem_gives_the_same_plan(case) -> None:
    problem, given, plans = case
    again = plan(problem, given=given, effort=EFFORT, **SETTINGS)
    np.testing.assert_array_equal(again.controls, plans.controls)


def test_a_renewed_plan_is_no_worse(case) -> None:
    problem, _, plans = case
    given = np.asarray(plans.controls)[:, None]
    again = plan(problem, given=given, effort=RENEWAL, **SETTINGS)
    assert check(problem, again).feasible.all()
    assert (again.cost <= plans.cost + 1e-9).all()


def test_one_problem_needs_no_batch_axis(case) -> None:
    problem, _, _ = case
    one = jax.tree.map(lambda value: value[0] if np.ndim(value) else value, problem)
    plans = plan(one, effort=RENEWAL, given=planned.braking(problem)[:1], **SETTINGS)
    assert plans.controls.shape == (1, 1, planned.HORIZON.steps, 2)


def spoilt(problem: Problem, pick, value: float) -> Problem:
    array = np.array(pick(problem), float)
    array[(0,) * array.ndim] = value
    return eqx.tree_at(pick, problem, array)


@pytest.mark.parametrize(
    ("pick", "value", "message"),
    [
        (lambda p: p.start, np.nan, "start of a problem is not finite"),
        (lambda p: p.corridor.line, np.inf, "corridor of a problem is not finite"),
        (lambda p: p.ellipses.centre, np.nan, "centre of a prediction is not finite"),
        (lambda p: p.ellipses.heading, np.nan, "heading of a prediction is not finite"),
        (lambda p: p.ellipses.semi_axes, 0.0, "semi-axis of a prediction is not above zero"),
        (lambda p: p.probability, 0.7, "do not add up to one"),
    ],
)
def test_what_cannot_be_planned_for_is_refused(case, pick, value, message) -> None:
    with pytest.raises(InputError, match=message):
        plan(spoilt(case[0], pick, value), **SETTINGS)


def test_a_start_beyond_the_car_is_refused_by_name(case) -> None:
    start = case[0].start.copy()
    start[1, 3] = 60.0
    with pytest.raises(InputError, match="speed") as error:
        plan(eqx.tree_at(lambda p: p.start, case[0], start), **SETTINGS)
    assert error.value.where == "problem 1"


def test_controls_that_do_not_fit_are_refused(case) -> None:
    with pytest.raises(InputError, match="do not fit"):
        plan(case[0], given=np.zeros((4, 1, 1, 3, 2)), **SETTINGS)
    with pytest.raises(InputError, match="nothing to begin from"):
        plan(case[0], effort=RENEWAL, **SETTINGS)


def test_nan_where_there_is_no_one_does_no_harm(case) -> None:
    problem, given, plans = case
    ellipses = problem.ellipses
    present = ellipses.present.copy()
    present[:, :, 1] = False
    centre = np.where(present[..., None], ellipses.centre, np.nan)
    half = eqx.tree_at(
        lambda p: (p.ellipses.centre, p.ellipses.present), problem, (centre, present)
    )
    again = plan(half, given=given, effort=EFFORT, **SETTINGS)
    assert again.feasible.all()
    assert (again.cost <= plans.cost + 0.02 * np.abs(plans.cost)).all()
