"""POUCT of `pomdp-py` in the problems of `contingency_problems`: the tree search of POMCP.

It knows the exact simulator, what a collision costs, and looks as far ahead as ours. Each search
starts from the same beliefs: states are drawn from the tracker instead of from particles that were
left over, which is the part of POMCP that differs and cannot run out here. In the tree ego has six
actions, an acceleration to tend to with a limit on the jerk on the way, each held for two steps;
it decides anew in every step. What is observed is cut into bins. Roll-outs know the state that
they begin from: they drive to the wanted speed and brake for who is or will be in the way.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from contingency_problems import (
    CAR,
    COLLISION,
    DT,
    HORIZON,
    Ego,
    Merge,
    MergeState,
    Occlusion,
    OcclusionState,
)
from kerbstone.errors import missing_extra

try:
    import pomdp_py
except ImportError as error:
    raise missing_extra("bench", "the comparison with POMCP") from error

_WARY = 6.0  # speed at which roll-outs pass where somebody may step out [m/s]
_VISITS = 5  # that what is thought of an action counts for
_HELD = 2  # steps that an action is held for in the tree
_FRONT = CAR.length - CAR.rear_overhang
_LEAST, _MOST = CAR.acceleration


class Drive(NamedTuple):
    """An action: an acceleration to tend to [m/s²], with a jerk of at most so much [m/s³]."""

    aim: float
    jerk: float


DRIVES = (
    Drive(-7.5, 18.0),
    Drive(-4.0, 8.0),
    Drive(-2.0, 4.0),
    Drive(-1.0, 4.0),
    Drive(0.0, 4.0),
    Drive(1.5, 4.0),
)
_GENTLE, _CRUISE, _GO = 3, 4, 5


def steer_speed(ego: Ego, drive: Drive) -> float:
    """Return the jerk of an action; braking ends at a standstill, gently enough not to go back."""
    aim = max(drive.aim, -1.5 * max(ego.speed + DT * ego.acceleration, 0.0))
    limit = 19.0 if aim > drive.aim else drive.jerk
    aim = min(max(aim, _LEAST), _MOST)
    return min(max((aim - ego.acceleration) / DT, -limit), limit)


class _Chances(NamedTuple):
    """A state in the tree: of the problem, and how many steps of it are left."""

    state: Any
    left: int


class _Model(pomdp_py.BlackboxModel):
    """What happens when an action is held: the problem's own simulator."""

    def __init__(self, problem: Any, penalty: float) -> None:
        self.problem, self.penalty = problem, penalty
        self.draw = random.random if isinstance(problem, Occlusion) else lambda: random.gauss(0, 1)

    def sample(self, state: Any, action: Any) -> tuple[Any, Any, float, int]:
        # The last number is by how much the tree grows deeper, which the search unpacks.
        now, left = state.data
        cost = 0.0
        for _ in range(0 if now.collided else min(_HELD, left)):
            jerk = steer_speed(now.ego, DRIVES[int(action.name)])
            now, charged = self.problem.step(now, jerk, 0.0, self.draw())
            cost += charged
            left -= 1
            if now.collided:
                cost += self.penalty - COLLISION
                break
        following = pomdp_py.SimpleState(_Chances(now, left))
        return following, pomdp_py.SimpleObservation(self._observe(now)), -cost, 1

    def _observe(self, now: Any) -> tuple[float, ...]:
        if now.collided:
            return (-1.0, -1.0)
        if isinstance(now, MergeState):
            blur = self.problem.blur
            return (
                round((now.way + random.gauss(0.0, blur[0])) / 2.0),
                round((now.speed + random.gauss(0.0, blur[1])) / 1.5),
            )
        if not now.exists or not self.problem.sees(now.ego, now.y):
            return (0.0, 0.0)
        return (1.0 + now.walks, round(now.y))


class _Policy(pomdp_py.RolloutPolicy):
    """The actions, and the driver of the roll-outs."""

    actions = tuple(pomdp_py.SimpleAction(str(i)) for i in range(len(DRIVES)))

    def __init__(self, problem: Any) -> None:
        self.problem = problem

    def get_all_actions(self, state: Any = None, history: Any = None) -> tuple[Any, ...]:  # noqa: ARG002
        return self.actions

    def rollout(self, state: Any, history: Any = None) -> Any:  # noqa: ARG002
        now, ego = state.data.state, state.data.state.ego
        problem = self.problem
        if isinstance(now, OcclusionState):
            gap, slow = problem.crossing - problem.half[0], 0.0
            is_in_way = now.exists and now.walks and now.y < 1.5
            if not is_in_way:  # perhaps somebody will be
                slow, gap = _WARY, gap - 4.0
                is_in_way = now.exists or not problem.sees(ego, problem.spots[0])
        else:
            gap, slow = problem.place(now.way)[0] - problem.half[0], now.speed
            is_in_way = not now.yields
        gap -= ego.x + _FRONT + 1.0
        if is_in_way and gap > -1.0:
            need = max(ego.speed - slow, 0.0) ** 2 / (2.0 * max(gap, 0.5))
            if need > 1.0:
                return self.actions[next((i for i in (2, 1) if -DRIVES[i].aim >= 1.2 * need), 0)]
            if gap < ego.speed:
                return self.actions[_GENTLE if ego.speed > slow else _CRUISE]
        return self.actions[_GO if ego.speed < problem.wanted - 0.5 else _CRUISE]


class _Prior(pomdp_py.ActionPrior):
    """What actions are thought worth before they are tried: the driver of the roll-outs knows best.

    Without it each action is tried wherever the tree grows, and what collisions that costs is in
    the mean that a decision is made by.
    """

    def __init__(self, policy: _Policy, doubt: float) -> None:
        self.policy, self.doubt = policy, doubt

    def get_preferred_actions(self, state: Any, history: Any) -> set[tuple[Any, int, float]]:
        liked = self.policy.rollout(state, history)
        return {
            (action, _VISITS, 0.0 if action is liked else -self.doubt)
            for action in self.policy.actions
        }


class _Belief(pomdp_py.GenerativeDistribution):
    """States drawn from a tracker."""

    def __init__(self, draw: Callable[[], Any]) -> None:
        self.draw = draw

    def random(self) -> Any:
        return pomdp_py.SimpleState(self.draw())


def decide_by_search(
    problem: Merge | Occlusion,
    *,
    searches: int,
    penalty: float = COLLISION,
    exploration: float = 10.0,
    doubt: float = 10.0,
    seed: int = 0,
) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Return the decisions of POUCT.

    Args:
        problem: The problem.
        searches: Simulations for each decision.
        penalty: Of a collision in the tree. Values there are means over what is tried, also over
            what is only tried once: with the true penalty it hardly dares to move.
        exploration: Constant of the upper confidence bound, in units of cost: what an episode
            without a collision costs spreads by about as much.
        doubt: What an action is thought to cost more that the driver of roll-outs would not take.
        seed: Of what the search draws.
    """
    policy, model = _Policy(problem), _Model(problem, penalty)
    rng = np.random.default_rng(seed)
    random.seed(seed)

    def decide(tracker: Any, states: list[Any]) -> tuple[np.ndarray, np.ndarray]:
        controls = np.zeros((len(states), 2))
        for i, state in enumerate(states):
            if state.collided:
                continue
            # An episode ends; what is planned looks as far ahead as ours at every moment.
            belief = _Belief(
                lambda i=i, state=state: _Chances(tracker.sample(i, state, rng), HORIZON.steps)
            )
            agent = pomdp_py.Agent(belief, policy, blackbox_model=model)
            planner = pomdp_py.POUCT(
                max_depth=HORIZON.steps // _HELD,
                discount_factor=1.0,
                num_sims=searches,
                exploration_const=exploration,
                rollout_policy=policy,
                action_prior=_Prior(policy, doubt),
            )
            action = planner.plan(agent)
            controls[i, 0] = steer_speed(state.ego, DRIVES[int(action.name)])
        return controls, np.zeros(len(states), bool)

    return decide
