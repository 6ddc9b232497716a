"""POUCT of `pomdp-py` in the problems of `contingency_problems`: the tree search of POMCP.

It knows the exact simulator and penalty, and starts each search from the same beliefs as ours:
states are drawn from the tracker instead of from particles that were left over, which is the part
of POMCP that differs. In the tree ego keeps to the lane's middle and has six actions, an
acceleration to tend to with a limit on the jerk on the way, each held for two steps; it decides
anew in every step. What is observed is cut into bins. Roll-outs drive to the wanted speed, and
brake for who is in the way.
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

_HELD = 2  # steps that an action is held for in the tree


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
_CRUISE, _GO, _STOP, _SLOW = 4, 5, 0, 1


def steer_speed(ego: Ego, drive: Drive) -> float:
    """Return the jerk of an action; braking ends at a standstill, gently enough not to go back."""
    aim = max(drive.aim, -1.5 * max(ego.speed + DT * ego.acceleration, 0.0))
    limit = 19.0 if aim > drive.aim else drive.jerk
    low, high = CAR.acceleration
    aim = min(max(aim, low), high)
    return min(max((aim - ego.acceleration) / DT, -limit), limit)


class _Chances(NamedTuple):
    """A state in the tree: of the problem, and how many steps of it are left."""

    state: Any
    left: int


class _Model(pomdp_py.BlackboxModel):
    """What happens when an action is held: the problem's own simulator."""

    def __init__(self, problem: Merge | Occlusion, penalty: float) -> None:
        self.problem, self.penalty = problem, penalty
        self.is_merge = isinstance(problem, Merge)

    def sample(self, state: Any, action: Any) -> tuple[Any, Any, float, int]:
        # The last number is by how much the tree grows deeper, which the search unpacks.
        now, left = state.data
        cost = 0.0
        if not now.collided:
            for _ in range(min(_HELD, left)):
                chance = random.gauss(0.0, 1.0) if self.is_merge else random.random()
                jerk = steer_speed(now.ego, DRIVES[int(action.name)])
                now, charged = self.problem.step(now, jerk, 0.0, chance)
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

    def __init__(self, problem: Merge | Occlusion) -> None:
        self.problem = problem

    def get_all_actions(self, state: Any = None, history: Any = None) -> tuple[Any, ...]:  # noqa: ARG002
        return self.actions

    def sample(self, state: Any) -> Any:  # noqa: ARG002
        return random.choice(self.actions)

    def rollout(self, state: Any, history: Any = None) -> Any:  # noqa: ARG002
        now = state.data.state
        ego: Ego = now.ego
        front = ego.x + CAR.disc_offsets[2] + CAR.disc_radius
        if isinstance(now, OcclusionState):
            gap = self.problem.crossing - self.problem.half[0] - front
            in_way = now.exists and now.walks and now.y < 1.5 and gap > -1.0
        else:
            x, y, _ = self.problem.place(now.way)
            gap = x - self.problem.half[0] - front
            in_way = gap > -2.0 and not (now.yields and now.speed < 2.0) and y > -7.0
            gap = gap - 2.0 + max(now.speed, 0.0) ** 2 / 8.0
        if in_way and gap < ego.speed * 0.5 + ego.speed**2 / 8.0:
            urgent = gap < ego.speed * 0.3 + ego.speed**2 / 14.0
            return self.actions[_STOP if urgent else _SLOW]
        return self.actions[_GO if ego.speed < self.problem.wanted - 0.5 else _CRUISE]


class _Belief(pomdp_py.GenerativeDistribution):
    """States drawn from a tracker."""

    def __init__(self, draw: Callable[[], Any]) -> None:
        self.draw = draw

    def random(self) -> Any:
        return pomdp_py.SimpleState(self.draw())


def decide_by_search(
    problem: Merge | Occlusion,
    *,
    searches: int = 2000,
    exploration: float = 20.0,
    penalty: float = 100.0,
) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Return the decisions of POUCT.

    Args:
        problem: The problem.
        searches: Simulations for each decision.
        exploration: Constant of the upper confidence bound, in units of cost.
        penalty: Of a collision in the tree. Values there are means over what is tried, also over
            what is only tried once: with the true penalty it hardly dares to move.
    """
    policy, model = _Policy(problem), _Model(problem, penalty)
    rng = np.random.default_rng(0)
    random.seed(0)  # what the search draws from

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
            )
            action = planner.plan(agent)
            controls[i, 0] = steer_speed(state.ego, DRIVES[int(action.name)])
        return controls, np.zeros(len(states), bool)

    return decide
