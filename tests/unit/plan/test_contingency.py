"""Plans that share a trunk between modes, then branch; and plans under a belief.

A lane 3.5 m wide. In mode 0 somebody comes to stand in it after 2 s, in mode 1 nobody does.
"""

from dataclasses import replace

import jax
import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.plan.beliefs import (
    Risk,
    cost_branches,
    hold_standstill,
    keep_likeliest,
    keep_to_modes,
    move_up,
    never_branch,
    plan_alone,
    plan_with_belief,
    share_trunk,
    value_at_risk,
)
from kerbstone.plan.beliefs.beginnings import split_modes
from kerbstone.plan.checking import check_plans, roll_out
from kerbstone.plan.corridor import fit_corridor
from kerbstone.plan.planning import Effort, plan
from kerbstone.plan.problem import Ellipses, Horizon, Problem, Weights
from kerbstone.plan.solver.starts import STARTS
from kerbstone.plan.vehicle import ControlIndex, StateIndex, Vehicle

CAR = Vehicle()
HORIZON = Horizon(24, 0.25)
# All starts go on to the end, which takes one loop less to compile.
EFFORT = Effort(
    starts=tuple(start for start in STARTS if start.name in ("brake", "yield", "go")),
    coarse=(),
    fine=(),
    last=20,
    rescue=0,
)
WALKER = 32.0
"""Where somebody may come to stand [m]."""


def problems(*, probability=0.3, branch_step=8, speed=(8.0, 8.0, 7.0, 9.0), modes=(True, False)):
    """Return a batch of four problems; `modes` says in which somebody comes."""
    batch = len(speed)
    time = HORIZON.dt * np.arange(1, HORIZON.steps + 1)
    along = np.arange(-20.0, 120.0, 5.0)
    side = np.full(len(along), 1.75)
    line = np.stack([along, 0 * along], axis=-1)
    corridor = fit_corridor(line, side, side, np.full(len(along), 9.0))
    start = np.zeros((batch, 6))
    start[:, StateIndex.SPEED] = speed
    shape = (batch, len(modes), 1, HORIZON.steps)
    centre = np.broadcast_to([WALKER, 0.0], (*shape, 2)).copy()
    present = np.broadcast_to((time >= 2.0) & np.array(modes)[:, None, None], shape).copy()
    share = np.array([probability, 1 - probability]) if len(modes) == 2 else np.ones(1)
    return Problem(
        start,
        jax.tree.map(lambda value: np.repeat(np.asarray(value)[None], batch, 0), corridor),
        Ellipses(centre, np.full((*shape, 2), 1.8), np.zeros(shape), present),
        np.broadcast_to(share, (batch, len(modes))).copy(),
        np.broadcast_to(branch_step, batch).astype(np.int32),
        Weights(clearance=0.0),
    )


def solve(problem, given=None):
    return plan(problem, vehicle=CAR, horizon=HORIZON, effort=EFFORT, given=given)


def believe(problem, **options):
    return plan_with_belief(problem, vehicle=CAR, horizon=HORIZON, effort=EFFORT, **options)


def check(problem, controls):
    return check_plans(problem, controls, vehicle=CAR, horizon=HORIZON)


def cost_of(problem, controls):
    return cost_branches(problem, controls, vehicle=CAR, horizon=HORIZON)


def brake_from(problem, plans, step):
    """Return whether braking as hard as can be from a step of the first mode's plan still helps."""
    state = plans.states[:, 0, step]
    speed, acceleration = state[:, StateIndex.SPEED], state[:, StateIndex.ACCELERATION]
    # The brake is on only after the jerk has built it up, for which the car goes on meanwhile.
    wait = (acceleration - CAR.acceleration[0]) / CAR.jerk
    way = speed * wait + np.maximum(speed, 0) ** 2 / 2 / -CAR.acceleration[0] - 0.5
    room = WALKER - 1.8 - CAR.disc_offsets[-1] - state[:, StateIndex.X]
    return way <= room


def test_the_trunk_is_shared_to_the_last_bit():
    branch = np.array([0, 5, 11, 24])
    plans = solve(problems(branch_step=branch))
    assert plans.feasible.all()
    for row, step in enumerate(branch):
        assert np.array_equal(plans.controls[row, 0, :step], plans.controls[row, 1, :step])
        assert np.array_equal(plans.states[row, 0, : step + 1], plans.states[row, 1, : step + 1])
        if step < 24:
            assert not np.array_equal(plans.controls[row, 0, step:], plans.controls[row, 1, step:])


def test_each_branch_and_the_trunk_keep_out_of_whom_its_mode_has():
    problem = problems(branch_step=np.array([0, 5, 11, 24]))
    plans = solve(problem)
    found = check(problem, plans.controls)
    assert found.feasible.all()
    assert found.cost == pytest.approx(plans.cost)
    # The modes alone, too: what is safe in one mode is no excuse in the other.
    assert check(split_modes(problem), plans.controls.reshape(8, 1, 24, 2)).feasible.all()
    swapped = check(problem, plans.controls[:, ::-1])
    assert swapped.feasible.tolist() == [False, False, False, True]


def test_branching_at_once_is_planning_each_mode_alone():
    problem = problems(branch_step=0)
    together = cost_of(problem, solve(problem).controls)
    for mode, comes in enumerate((True, False)):
        alone = solve(problems(branch_step=0, modes=(comes,)))
        assert together[:, mode] == pytest.approx(alone.cost, rel=0.02, abs=0.02)


def test_modes_that_are_the_same_are_one():
    alone = solve(problems(modes=(True,)))
    for branch in (0, 8):
        both = solve(problems(modes=(True, True), branch_step=branch, probability=0.5))
        assert both.cost == pytest.approx(alone.cost, rel=0.02, abs=0.02)
        assert both.controls[:, 0] == pytest.approx(both.controls[:, 1], abs=1e-5)
        unlike = solve(problems(modes=(True, True), branch_step=branch, probability=0.2))
        assert unlike.cost == pytest.approx(alone.cost, rel=0.02, abs=0.02)


def test_a_mode_of_no_probability_still_binds_the_trunk():
    problem = problems(probability=0.0, branch_step=8)
    plans = solve(problem)
    assert plans.feasible.all()
    assert brake_from(problem, plans, 8).all()


def test_knowing_earlier_never_costs_more():
    costs = [solve(problems(branch_step=step)).cost for step in (0, 4, 8, 12, 24)]
    assert (np.diff(costs, axis=0) > -0.03).all()
    assert (costs[-1] - costs[1] > 5.0).all()


def test_contingency_beats_ignoring_the_unlikely_and_fearing_it_for_ever():
    problem = problems(probability=0.2, branch_step=9)
    tree = solve(problem)
    ignoring = solve(keep_likeliest(problem))
    fearing = solve(never_branch(problem, HORIZON))
    assert tree.feasible.all()
    # Who ignores the unlikely cannot stop any more when they learn that it is so.
    assert brake_from(problem, tree, 9).all()
    assert not brake_from(problem, ignoring, 9).any()
    # Who fears it for ever stops although nobody comes; the tree drives on in that mode.
    assert fearing.states[:, 1, -1, StateIndex.X].max() < WALKER
    assert tree.states[:, 1, -1, StateIndex.X].min() > WALKER + 5.0
    assert (tree.cost < fearing.cost - 3.0).all()


def test_a_plan_under_a_belief_is_the_plan_where_the_mean_counts():
    problem = problems()
    plain, found = solve(problem), believe(problem)
    assert np.array_equal(found.plans.controls, plain.controls)
    assert found.value == pytest.approx(plain.cost)
    assert found.value == pytest.approx((problem.probability * found.branch_cost).sum(axis=1))
    assert found.gap == pytest.approx(np.zeros(4))


def test_the_smaller_the_tail_the_less_the_worst_mode_costs():
    problem = problems(probability=0.2, branch_step=10)
    found = [believe(problem, risk=Risk(tail=tail)) for tail in (1.0, 0.5, 0.1)]
    worst = np.array([plans.branch_cost[:, 0] for plans in found])
    mean = np.array([(problem.probability * plans.branch_cost).sum(axis=1) for plans in found])
    assert (np.diff(worst, axis=0) < 0).all()
    assert (np.diff(mean, axis=0) > 0).all()


def test_a_plan_for_a_tail_is_better_by_it_than_the_plan_for_the_mean():
    problem = problems(probability=0.2, branch_step=10)
    neutral, averse = believe(problem), believe(problem, risk=Risk(tail=0.4, rounds=6))
    assert averse.plans.feasible.all()
    assert averse.value == pytest.approx(
        value_at_risk(averse.branch_cost, problem.probability, 0.4)
    )
    of_neutral = value_at_risk(neutral.branch_cost, problem.probability, 0.4)
    assert (averse.value < of_neutral - 0.5).all()
    assert (averse.gap < 0.05 * (1 + averse.value)).all()


def test_more_rounds_are_never_worse():
    problem = problems(probability=0.2, branch_step=10)
    values = [believe(problem, risk=Risk(tail=0.3, rounds=n)).value for n in (1, 2, 4)]
    assert (np.diff(values, axis=0) <= 1e-9).all()


def test_one_problem_is_a_batch_of_one():
    one = jax.tree.map(lambda value: value[0] if np.ndim(value) else value, problems())
    quick = Effort(starts=EFFORT.starts[:1], coarse=(), fine=(), last=4, rescue=0)
    found = plan_with_belief(one, vehicle=CAR, horizon=HORIZON, effort=quick)
    assert found.plans.controls.shape == (1, 2, 24, 2)
    assert found.branch_cost.shape == found.weight.shape == (1, 2)
    assert found.value == pytest.approx(found.plans.cost)


def test_a_trunk_is_shared_once_by_each_mode():
    rng = np.random.default_rng(0)
    controls = rng.normal(size=(2, 3, 6, 2))
    given = share_trunk(controls, np.array([4, 0]))
    for mode in range(3):
        assert np.array_equal(given[0, mode, :, :4], np.repeat(controls[0, mode, None, :4], 3, 0))
        assert np.array_equal(given[0, mode, :, 4:], controls[0, :, 4:])
        assert np.array_equal(given[1, mode], controls[1])


def test_a_plan_moved_up_goes_on_from_the_step_after():
    rng = np.random.default_rng(0)
    controls = rng.normal(size=(2, 3, 6, 2))
    moved = move_up(controls, 2)
    assert np.array_equal(moved[:, :, :4], controls[:, :, 2:])
    assert not moved[:, :, 4:].any()


def test_the_careful_branch_is_safe_in_all_modes():
    problem = problems(branch_step=8)
    plans = solve(problem)
    given = keep_to_modes(plans.controls)
    assert given.shape == (4, 2, 2, 24, 2)
    found = [check(problem, given[:, mode]) for mode in range(2)]
    assert found[0].feasible.all()
    assert not found[1].feasible.any()
    assert all((one.excess["branch"] == 0).all() for one in found)


def test_who_stops_for_somebody_stays_there():
    problem = problems(branch_step=4)
    controls = np.zeros((4, 2, 24, 2))
    speed, acceleration = np.array([8.0, 8.0, 7.0, 9.0]), np.zeros(4)
    for step in range(24):
        aim = np.maximum(-5.0, -1.5 * np.maximum(speed + HORIZON.dt * acceleration, 0.0))
        # Towards the end it creeps on.
        jerk = np.clip((aim - acceleration) / HORIZON.dt, -18.0, 18.0) if step < 21 else 4.0
        controls[:, 0, step, ControlIndex.JERK] = jerk
        speed = speed + HORIZON.dt * acceleration + HORIZON.dt**2 / 2 * jerk
        acceleration = acceleration + HORIZON.dt * jerk
    states = roll_out(problem.start, controls, vehicle=CAR, dt=HORIZON.dt)
    assert (states[:, 0, -1, StateIndex.SPEED] > 0.5).all()
    held = hold_standstill(controls, states, dt=HORIZON.dt)
    ends = roll_out(problem.start, held, vehicle=CAR, dt=HORIZON.dt)
    assert ends[:, 0, -1, 3:5] == pytest.approx(np.zeros((4, 2)), abs=1e-9)
    assert check(problem, keep_to_modes(held)[:, 0]).feasible.all()
    # Moved up, it still stands; as it was it has driven on.
    now = replace(problem, start=states[:, 0, 6])
    later = [keep_to_modes(move_up(plan, 6))[:, 0] for plan in (controls, held)]
    ways = [roll_out(now.start, plan, vehicle=CAR, dt=HORIZON.dt) for plan in later]
    assert (ways[0][:, 0, -1, 0] - ends[:, 0, -1, 0] > 2.0).all()
    assert ways[1][:, 0, -1, 0] == pytest.approx(ends[:, 0, -1, 0], abs=1e-6)
    # The other mode never stops, and nothing of it is changed.
    assert np.array_equal(held[:, 1], controls[:, 1])


def test_a_tree_joined_of_each_mode_alone_is_each_alone_where_nothing_is_shared():
    problem = problems(branch_step=np.array([0, 0, 6, 24]))
    given = plan_alone(problem, vehicle=CAR, horizon=HORIZON, effort=EFFORT)
    assert given.shape == (4, 2, 2, 24, 2)
    for mode, comes in enumerate((True, False)):
        alone = solve(problems(modes=(comes,)))
        assert np.array_equal(given[:2, 0, mode], alone.controls[:2, 0])
        # Shared by the mode that somebody comes in, they are safe; by the other they are not.
        assert check(problem, given[:, mode]).feasible[3] == comes
    assert (check(problem, given[:, 0]).excess["branch"] == 0).all()


def test_what_no_plan_can_be_made_of_is_an_error():
    problem = problems()
    problem.probability[:, 0] = 0.5
    with pytest.raises(InputError, match="add up"):
        believe(problem)
    with pytest.raises(InputError, match="add up"):
        plan_alone(problem, vehicle=CAR, horizon=HORIZON, effort=EFFORT)
