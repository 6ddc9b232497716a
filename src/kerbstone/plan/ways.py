"""The other ways around: the best plan of each decision that a plan might begin with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float64

from kerbstone.plan.admission import admit
from kerbstone.plan.planning import Effort, plan
from kerbstone.plan.problem import Horizon, Problem
from kerbstone.plan.solver.interior import Car
from kerbstone.plan.solver.layout import lay_out
from kerbstone.plan.solver.starts import STARTS, Start, make_starts
from kerbstone.plan.vehicle import Vehicle

EFFORT = Effort(starts=(), fine=(), last=24, rescue=0)
"""What is done for each way: as many iterations as a plan that is kept gets."""

_ANOTHER = 1.0
"""Two plans that are nowhere further apart are the same way [m]."""


@dataclass(frozen=True, eq=False)
class Ways:
    """Plans that began in different ways, of one problem.

    Args:
        names: What each decided at first.
        controls: Of each step, columns `ControlIndex`.
        states: At each step, the start first, columns `StateIndex`, world frame.
        cost: Expected over the modes.
        feasible: Whether every constraint holds, checked in float64.
        room: The least room under any constraint; below zero where it is broken.
    """

    names: tuple[str, ...]
    controls: Float64[np.ndarray, "way mode step 2"]
    states: Float64[np.ndarray, "way mode step_plus_1 6"]
    cost: Float64[np.ndarray, " way"]
    feasible: Bool[np.ndarray, " way"]
    room: Float64[np.ndarray, " way"]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, ways: Sequence[int]) -> Ways:
        """Return some of the ways, in the order given."""
        rows = np.asarray(ways, np.int64)
        return Ways(
            tuple(self.names[way] for way in rows),
            self.controls[rows],
            self.states[rows],
            self.cost[rows],
            self.feasible[rows],
            self.room[rows],
        )


def find_ways(
    problem: Problem,
    *,
    vehicle: Vehicle | None = None,
    horizon: Horizon | None = None,
    starts: tuple[Start, ...] = STARTS,
) -> Ways:
    """Return the plan that each start of the planner leads to by itself.

    Args:
        problem: One, without a batch axis.
        vehicle: The car.
        horizon: How far ahead.
        starts: Ways to begin.

    Raises:
        InputError: As `planning.plan`.
    """
    vehicle, horizon = vehicle or Vehicle(), horizon or Horizon()
    batch = admit(problem, vehicle, horizon)
    with jax.enable_x64(True):
        begun = jax.device_get(_compile(vehicle, horizon, starts)(batch, np.ones(())))
    # One at a time: all share one program, and each takes a few milliseconds.
    found = [
        plan(problem, vehicle=vehicle, horizon=horizon, given=begun[:, k : k + 1], effort=EFFORT)
        for k in range(len(starts))
    ]
    return Ways(
        names=tuple(start.name for start in starts),
        controls=np.concatenate([plans.controls for plans in found]),
        states=np.concatenate([plans.states for plans in found]),
        cost=np.concatenate([plans.cost for plans in found]),
        feasible=np.concatenate([plans.feasible for plans in found]),
        room=np.concatenate([plans.room for plans in found]),
    )


def select_others(ways: Ways, states: Float64[np.ndarray, "mode step_plus_1 6"]) -> list[int]:
    """Return the ways that are feasible, and neither a given plan nor a cheaper way, cheapest first.

    Args:
        ways: The ways.
        states: Of the plan that they are others to.
    """
    kept: list[int] = []
    known = [states]
    for way in map(int, np.argsort(ways.cost)):
        if not ways.feasible[way]:
            continue
        places = ways.states[way, ..., :2]
        if all(np.hypot(*(places - one[..., :2]).T).max() > _ANOTHER for one in known):
            kept.append(way)
            known.append(ways.states[way])
    return kept


@cache
def _compile(vehicle: Vehicle, horizon: Horizon, starts: tuple[Start, ...]) -> Any:
    car = Car(vehicle, horizon.dt)

    def begin(problem: Problem, one: Float[Array, ""]) -> Float[Array, "batch start mode step 2"]:
        data = lay_out(problem, vehicle, horizon.steps)
        controls = make_starts(data, starts, horizon.steps, car, one)
        return jnp.transpose(controls, (4, 3, 2, 0, 1))

    return jax.jit(begin)
