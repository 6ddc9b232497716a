"""Plans under a belief: the mean of what the modes cost, or the mean of the worst part of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Float64

from kerbstone.plan.admission import admit
from kerbstone.plan.beliefs.beginnings import split_modes
from kerbstone.plan.beliefs.risk import Risk, value_at_risk, weigh_risk
from kerbstone.plan.checking import check_plans
from kerbstone.plan.planning import Effort, Plans, plan
from kerbstone.plan.problem import Horizon, Problem
from kerbstone.plan.vehicle import Vehicle

_LEAST_SHARE = 0.02
"""Part of the belief that always stays in the weights, so that no branch is left to chance."""


class BeliefPlans(NamedTuple):
    """Plans under a belief.

    Args:
        plans: The plans; their `cost` is the mean under `weight`.
        branch_cost: What each plan costs in each mode, the trunk included, checked in float64.
        weight: Of each mode, under which the plan was made.
        value: Conditional value at risk of the plan under the belief: what is made least.
        gap: How far the value is at most above the least one, provided that each plan made on the
            way is the best under its weights; the mean has none.
    """

    plans: Plans
    branch_cost: Float[np.ndarray, "batch mode"]
    weight: Float[np.ndarray, "batch mode"]
    value: Float[np.ndarray, " batch"]
    gap: Float[np.ndarray, " batch"]


def plan_with_belief(
    problem: Problem,
    *,
    risk: Risk | None = None,
    vehicle: Vehicle | None = None,
    horizon: Horizon | None = None,
    given: Float[np.ndarray, "batch given mode step 2"] | None = None,
    effort: Effort | None = None,
    precision: Any = np.float32,
) -> BeliefPlans:
    """Return the plans of least risk found, for one problem or a batch.

    The conditional value at risk of a plan is its mean cost under the worst of a set of weights
    (see `risk.weigh_risk`). So a plan is made, the weights move towards those that are worst for
    it, the next plan is made, and so on. The best plan met counts, and more rounds never make it
    worse.

    Args:
        problem: With one batch axis, or none, which is a batch of one; its `probability` is the
            belief.
        risk: What of the costs counts; their mean if None.
        vehicle: The car.
        horizon: How far ahead.
        given: Controls to begin from, as in `planning.plan`.
        effort: How much is done for each plan.
        precision: Of the iterations.

    Raises:
        InputError: As `planning.plan`.

    References:
        Rockafellar and Uryasev, "Optimization of conditional value-at-risk", Journal of Risk,
        2000. The rounds are those of Frank and Wolfe, "An algorithm for quadratic programming",
        Naval Research Logistics Quarterly, 1956, on the weights.
    """
    risk, vehicle, horizon = risk or Risk(), vehicle or Vehicle(), horizon or Horizon()
    problem = admit(problem, vehicle, horizon)
    belief = np.asarray(problem.probability, np.float64)
    weight, bound = belief, np.full(len(belief), -np.inf)
    best: BeliefPlans | None = None
    for turn in range(risk.rounds if risk.tail < 1.0 else 1):
        made = plan(
            replace(problem, probability=weight),
            vehicle=vehicle,
            horizon=horizon,
            given=given,
            effort=effort,
            precision=precision,
        )
        cost = cost_branches(problem, np.asarray(made.controls), vehicle=vehicle, horizon=horizon)
        value = value_at_risk(cost, belief, risk.tail)
        now = BeliefPlans(made, cost, weight, value, np.zeros_like(value))
        best = now if best is None else _take_where(_is_better(now, best), now, best)
        # The least mean under any weights in the set is a bound from below.
        bound = np.maximum(bound, (weight * cost).sum(axis=-1))
        gap = np.maximum(best.value - bound, 0.0)
        best = best._replace(gap=gap)
        if (gap <= risk.tolerance * (1.0 + np.abs(best.value))).all():
            break
        worst = weigh_risk(cost, belief, risk.tail)
        worst = (1.0 - _LEAST_SHARE) * worst + _LEAST_SHARE * belief
        weight = weight + 2.0 / (turn + 2.0) * (worst - weight)
    assert best is not None  # noqa: S101  There is always a first round.
    return best


def cost_branches(
    problem: Problem,
    controls: Float[np.ndarray, "batch mode step 2"],
    *,
    vehicle: Vehicle,
    horizon: Horizon,
) -> Float64[np.ndarray, "batch mode"]:
    """Return what plans cost in each mode, from the first step on.

    Args:
        problem: A batch of problems.
        controls: Columns `ControlIndex`.
        vehicle: The car.
        horizon: Of the plans.
    """
    batch, modes = np.shape(problem.probability)
    values = np.asarray(controls)
    check = check_plans(
        split_modes(problem),
        values.reshape(batch * modes, 1, *values.shape[2:]),
        vehicle=vehicle,
        horizon=horizon,
    )
    return check.cost.reshape(batch, modes)


def _is_better(now: BeliefPlans, best: BeliefPlans) -> Bool[np.ndarray, " batch"]:
    """Tell which plans are better: feasible first, then by value."""
    first, second = np.asarray(now.plans.feasible), np.asarray(best.plans.feasible)
    return (first & ~second) | ((first == second) & (now.value < best.value))


def _take_where(
    condition: Bool[np.ndarray, " batch"], first: BeliefPlans, second: BeliefPlans
) -> BeliefPlans:
    def pick(a: Any, b: Any) -> np.ndarray:
        a, b = np.asarray(a), np.asarray(b)
        return np.where(condition.reshape(-1, *(1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(pick, first, second)
