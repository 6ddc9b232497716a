"""Plans along a recorded scene: at each of some times the car plans anew from where it was."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kerbstone.errors import InputError, KerbstoneError
from kerbstone.plan.moments import Forecast, Moment, Planner, TimelineRules
from kerbstone.plan.planning import Plans
from kerbstone.plan.problem import Horizon
from kerbstone.plan.vehicle import Vehicle
from kerbstone.scene import Scene


@dataclass(frozen=True, eq=False)
class Timeline:
    """Plans along a scene.

    Args:
        moments: Those that could be planned, in the order of time.
        failed: The other times, and what was wrong.
        compiling: How long compiling took, or reading from JAX' cache on disk [s].
    """

    moments: tuple[Moment, ...]
    failed: tuple[tuple[float, KerbstoneError], ...]
    compiling: float

    @property
    def plans(self) -> Plans:
        """All plans as one batch, a row for each moment.

        Raises:
            InputError: Nothing could be planned.
        """
        if not self.moments:
            raise InputError("empty", "nothing could be planned", remedy="see `failed`")
        rows = zip(*(moment.plan for moment in self.moments), strict=True)
        return Plans(*(np.concatenate(columns) for columns in rows))


def plan_scene(
    scene: Scene,
    times: Sequence[float],
    *,
    agent: str | None = None,
    vehicle: Vehicle | None = None,
    horizon: Horizon | None = None,
    rules: TimelineRules | None = None,
    forecast: Forecast | None = None,
    on_stage: Callable[[str, int], None] = lambda _name, _total: None,
    on_moment: Callable[[Moment], None] = lambda _moment: None,
) -> Timeline:
    """Return the plans that a car of a scene makes at some times, each from its recorded state.

    At each time the shield looks for a fail-safe first, from which the planner begins beside its
    own starts, so that no plan is worse than it; then it judges the plan's first control. The
    shield keeps nothing from one time to the next.

    Args:
        scene: The scene.
        times: Seconds after its start.
        agent: Id of the road user to plan for; the recording car if None.
        vehicle: The car.
        horizon: How far ahead.
        rules: What is done at each time.
        forecast: Takes the scene, the step that is now and the horizon, and returns what all road
            users may do; used in place of `rules.modes`.
        on_stage: Called with the name of what is done next, and how many times.
        on_moment: Called with each moment.

    Raises:
        InputError: The only time cannot be planned; or the rules are wrong.

    Example:
        >>> timeline = plan_scene(scene, [4.0, 4.5])  # doctest: +SKIP
        >>> timeline.plans.states.shape  # doctest: +SKIP
        (2, 2, 41, 6)
    """
    vehicle, horizon, rules = vehicle or Vehicle(), horizon or Horizon(), rules or TimelineRules()
    planner = Planner(scene, agent, vehicle, horizon, rules, forecast, is_alone=len(times) == 1)
    on_stage("looking", len(times))
    ready, failed = [], []
    for time in times:
        try:
            ready.append(planner.look(time))
        except KerbstoneError as error:
            if len(times) == 1:
                raise
            failed.append((time, error))
    compiling = 0.0
    if ready:
        on_stage("compiling the planner", 1)
        begin = clock.perf_counter()
        planner.warm_up(ready[0])
        compiling = clock.perf_counter() - begin
    on_stage("planning", len(ready))
    moments = []
    for seen in ready:
        try:
            moments.append(planner.plan(seen))
        except KerbstoneError as error:
            if len(times) == 1:
                raise
            failed.append((seen.situation.time, error))
            continue
        on_moment(moments[-1])
    return Timeline(tuple(moments), tuple(sorted(failed, key=lambda one: one[0])), compiling)
