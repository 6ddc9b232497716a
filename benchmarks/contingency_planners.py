"""Ours in the problems of `contingency_problems`: the contingency plan, and what it is beside."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import numpy as np

from contingency_problems import CAR, DT, HORIZON, WEIGHTS, Merge, Occlusion
from contingency_trackers import NEGLIGIBLE, MergeTracker, OcclusionTracker
from kerbstone.plan.beliefs import (
    Risk,
    drop_unlikely,
    expect,
    hold_standstill,
    keep_likeliest,
    keep_to_modes,
    move_up,
    never_branch,
    plan_with_belief,
    share_trunk,
)
from kerbstone.plan.corridor import Corridor, fit_corridor
from kerbstone.plan.planning import Effort
from kerbstone.plan.predictions import Predictions, inflate
from kerbstone.plan.problem import Problem
from kerbstone.plan.solver.starts import STARTS

HALF_LANE = CAR.disc_radius + 0.05
"""Leaves no room to evade, which the search in a tree of `pomcp_peer` cannot either [m]."""

TRACKERS = {"merge": MergeTracker, "occlusion": OcclusionTracker}
EFFORT = Effort(
    starts=tuple(start for start in STARTS if start.name in ("yield", "go")),
    coarse=(),
    fine=((4, 2),),
    last=8,
)


@dataclass(frozen=True)
class Planner:
    """One way to deal with what is not known.

    Args:
        name: Its name.
        risk: What of the costs counts.
        change: What it makes of the problem.
        predict: What it makes of the predictions.
        rarer: What the number of its episodes is divided by, where it takes longer.
    """

    name: str
    risk: Risk | None = None
    change: Callable[[Problem], Problem] | None = None
    predict: Callable[[Predictions], Predictions] | None = None
    rarer: int = 1


def as_both(predictions: Predictions) -> Predictions:
    """Return the expected prediction in both of two modes, for what is compiled already."""
    one = expect(predictions)
    twice = {
        name: np.repeat(getattr(one, name), 2, axis=1)
        for name in ("mean", "covariance", "heading", "valid")
    }
    return replace(one, probability=np.full_like(predictions.probability, 0.5), **twice)


PLANNERS = (
    Planner("contingency, mean"),
    Planner("contingency, CVaR 0.2", risk=Risk(tail=0.2, rounds=4, tolerance=0.01), rarer=3),
    Planner("likeliest mode", change=keep_likeliest),
    Planner("expected prediction", predict=as_both),
    Planner("all modes for ever", change=lambda problem: never_branch(problem, HORIZON)),
)


class Outcome(NamedTuple):
    """What became of episodes.

    Args:
        cost: Of each, with that of a collision.
        collided: Which ended in a collision.
        stuck: Share of each one's decisions without a feasible plan, at which ego braked.
        seconds: For each decision, or each of some made together.
    """

    cost: np.ndarray
    collided: np.ndarray
    stuck: np.ndarray
    seconds: np.ndarray


def play(
    problem: Merge | Occlusion,
    decide: Callable[[Any, list[Any]], tuple[np.ndarray, np.ndarray]],
    episodes: np.ndarray,
    *,
    steps: int | None = None,
) -> Outcome:
    """Drive some episodes to their end; each is the same for everybody who decides.

    Args:
        problem: The problem.
        decide: From the tracker and the states to the controls `[episode, 2]`, and where there was
            no feasible plan. Of the states it may use ego's only.
        episodes: Their numbers, which are the seeds of their chances.
        steps: How many are driven, if not all.
    """
    chances = [np.random.default_rng([7, int(episode)]) for episode in episodes]
    states: list[Any] = [problem.draw(rng) for rng in chances]
    tracker = TRACKERS[problem.name](problem, len(episodes))
    normal = np.stack([rng.normal(size=(problem.steps, 3)) for rng in chances])
    even = np.stack([rng.random(problem.steps) for rng in chances])
    chance = even if problem.name == "occlusion" else normal[:, :, 2]
    cost, stuck, decisions = np.zeros((3, len(episodes)))
    seconds = []
    for step in range(steps or problem.steps):
        egos = [state.ego for state in states]
        tracker.learn(tracker.observe(states, normal[:, step, :2]), egos)
        going = np.array([not state.collided for state in states])
        begin = time.perf_counter()
        controls, failed = decide(tracker, states)
        seconds.append((time.perf_counter() - begin) / max(going.sum(), 1))
        stuck, decisions = stuck + (failed & going), decisions + going
        for i in np.flatnonzero(going):
            states[i], charged = problem.step(states[i], *map(float, controls[i]), chance[i, step])
            cost[i] += charged
    collided = np.array([state.collided for state in states])
    return Outcome(cost, collided, stuck / decisions, np.array(seconds))


def decide_by(planner: Planner, problem: Merge | Occlusion) -> Callable[..., Any]:
    """Return the decisions of one of ours."""
    corridor = lay_lane(problem.wanted)
    last: list[tuple[np.ndarray, np.ndarray]] = []

    def decide(tracker: Any, states: list[Any]) -> tuple[np.ndarray, np.ndarray]:
        egos = np.array([state.ego for state in states])
        posed, given = pose(planner, tracker, egos, corridor, last)
        found = plan_with_belief(
            posed, risk=planner.risk, vehicle=CAR, horizon=HORIZON, given=given, effort=EFFORT
        )
        controls, failed = np.array(found.plans.controls), ~np.asarray(found.plans.feasible)
        controls[failed] = given[failed, -1]
        held = hold_standstill(controls, found.plans.states, dt=DT)
        held[failed] = controls[failed]
        last[:] = [(controls, held)]
        return controls[:, 0, 0], failed

    return decide


def pose(
    planner: Planner,
    tracker: Any,
    egos: np.ndarray,
    corridor: Corridor,
    last: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[Problem, np.ndarray]:
    """Return the problem of a moment as a planner sees it, and controls to begin from."""
    predictions, branch = tracker.predict(egos)
    if planner.predict is not None:
        predictions = planner.predict(predictions)
    batch = len(egos)
    start = egos.copy()
    low, high = CAR.speed
    start[:, 3] = np.clip(start[:, 3], low + 1e-3, high)
    start[:, 4] = np.clip(start[:, 4], CAR.acceleration[0] + 1e-3, CAR.acceleration[1] - 1e-3)
    problem = Problem(
        start,
        jax.tree.map(lambda value: np.broadcast_to(value, (batch, *np.shape(value))), corridor),
        inflate(predictions, CAR, confidence=0.9),
        np.asarray(predictions.probability, np.float64),
        np.asarray(branch, np.int32),
        WEIGHTS,
    )
    problem = drop_unlikely(problem, NEGLIGIBLE)
    if planner.change is not None:
        problem = planner.change(problem)
    hard = brake(egos)
    hard = np.broadcast_to(hard[:, None, None], (batch, 1, 2, *hard.shape[1:]))
    before, held = (move_up(controls) for controls in last[0]) if last else (hard[:, 0],) * 2
    trunks = share_trunk(before, np.asarray(problem.branch_step))
    given = np.concatenate([trunks, keep_to_modes(held), hard], axis=1)
    return problem, given


def lay_lane(wanted: float) -> Corridor:
    """Return the lane that ego drives in."""
    along = np.arange(-30.0, 160.0, 5.0)
    side = np.full(len(along), HALF_LANE)
    line = np.stack([along, 0.0 * along], axis=-1)
    return jax.tree.map(
        np.asarray, fit_corridor(line, side, side, np.full(len(along), float(wanted)))
    )


def brake(egos: np.ndarray) -> np.ndarray:
    """Return controls that brake as hard as they may to a standstill, wheels straightened."""
    controls = np.empty((len(egos), HORIZON.steps, 2))
    speed, acceleration, steering = egos[:, 3:].T.copy()
    for step in range(HORIZON.steps):
        # From the speed and acceleration after the step: it must be possible to let go in time.
        aim = np.maximum(-7.6, -1.5 * np.maximum(speed + DT * acceleration, 0.0))
        jerk = np.clip((aim - acceleration) / DT, -19.0, 19.0)
        rate = np.clip(-steering / DT, -0.5, 0.5)
        controls[:, step] = np.stack([jerk, rate], axis=-1)
        speed = speed + DT * acceleration + DT * DT / 2 * jerk
        acceleration = acceleration + DT * jerk
        steering = steering + DT * rate
    return controls
