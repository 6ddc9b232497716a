"""Plans along a recorded scene: at each of some times the car plans anew from where it was."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError, KerbstoneError
from kerbstone.plan.checking import check_plans
from kerbstone.plan.guard import Guard, Safety
from kerbstone.plan.modes import predict_modes, trust_followers
from kerbstone.plan.planning import Plans, plan
from kerbstone.plan.predictions import Predictions
from kerbstone.plan.problem import Horizon, Problem
from kerbstone.plan.roads import pad_corridor, prepare_road
from kerbstone.plan.shield import Assumptions, Road
from kerbstone.plan.situations import Situation, SituationRules, situation_at, stack_problems
from kerbstone.plan.solver.starts import STARTS
from kerbstone.plan.survey import SurveyRules, look_around, survey_road
from kerbstone.plan.vehicle import StateIndex, Vehicle
from kerbstone.plan.ways import Ways, find_ways, select_others
from kerbstone.scene import Scene

KNOTS = 128
"""Corridors are at least this long, so that slow and fast cars share one compiled program."""

FAILSAFE = "fail-safe"
"""The name of a plan that began as the shield's fail-safe."""

HELD = "held controls"
"""The name of one that began with jerk and steering rate zero, where there is no shield."""

_SAID = {
    "speed": "speed",
    "acceleration": "acceleration",
    "steering": "steering angle",
    "lateral_acceleration": "lateral acceleration",
    "jerk": "jerk",
    "steering_rate": "steering rate",
    "road": "edge of the road",
    "ellipse": "other road users",
}

Forecast = Callable[[Scene, int, Horizon], Predictions]


@dataclass(frozen=True)
class TimelineRules:
    """What is done at each time.

    Args:
        modes: What the others may do, by the names of `modes.MODES`, with probabilities.
        situation: How problems are made.
        survey: How much the shield is shown; None leaves the shield out.
        assumptions: What the shield assumes; its control step is set to the plan's.
        has_ways: Whether other ways around are looked for as well.
        shadow_times: Between which times from now it is told where others may be [s].
    """

    modes: Mapping[str, float] = field(default_factory=lambda: {"lanes": 0.8, "brake": 0.2})
    situation: SituationRules = field(default_factory=SituationRules)
    survey: SurveyRules | None = field(default_factory=SurveyRules)
    assumptions: Assumptions = field(default_factory=Assumptions)
    has_ways: bool = True
    shadow_times: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


@dataclass(frozen=True, eq=False)
class Moment:
    """The plan of one time.

    Args:
        situation: What was planned from; its predictions hold the modes.
        modes: Name of each mode.
        plan: The plan, a batch of one.
        tightest: Name of the constraint with the least room, in words.
        begun: Which start, or `FAILSAFE` or `HELD`, it began as.
        seconds: How long the planner took, once compiled [s].
        ways: The other ways, cheapest first; None where they were not looked for.
        safety: What the shield says of its first control; None where it was left out.
        given: The shield's fail-safe as controls, from which the plan could begin; None as well.
    """

    situation: Situation
    modes: tuple[str, ...]
    plan: Plans
    tightest: str
    begun: str
    seconds: float
    ways: Ways | None
    safety: Safety | None
    given: Float64[np.ndarray, "step 2"] | None = None

    @property
    def states(self) -> Float64[np.ndarray, "mode step_plus_1 6"]:
        """The plan's states, the start first, columns `StateIndex`."""
        return np.asarray(self.plan.states[0], np.float64)

    @property
    def controls(self) -> Float64[np.ndarray, "mode step 2"]:
        """The plan's controls, columns `ControlIndex`."""
        return np.asarray(self.plan.controls[0], np.float64)


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
    planner = _Planner(scene, agent, vehicle, horizon, rules, forecast, is_alone=len(times) == 1)
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


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is known at a time, before a plan is made."""

    situation: Situation
    problem: Problem
    modes: tuple[str, ...]


class _Planner:
    def __init__(
        self,
        scene: Scene,
        agent: str | None,
        vehicle: Vehicle,
        horizon: Horizon,
        rules: TimelineRules,
        forecast: Forecast | None,
        *,
        is_alone: bool,
    ) -> None:
        self.scene, self.agent, self.rules = scene, agent, rules
        self.vehicle, self.horizon, self.forecast = vehicle, horizon, forecast
        self.is_alone = is_alone
        self._road: tuple[Road, Float64[np.ndarray, " 2"], float] | None = None

    def look(self, time: float) -> _Seen:
        """Return the situation at a time."""
        scene, horizon = self.scene, self.horizon
        # The first look, with everybody predicted straight on, finds out what is wrong with the
        # time or the car.
        options = {"vehicle": self.vehicle, "horizon": horizon, "agent": self.agent}
        found = situation_at(scene, time, rules=self.rules.situation, **options)
        if self.forecast is None:
            names = tuple(self.rules.modes)
            place = np.asarray(found.problem.start)[:2]
            predicted = predict_modes(scene, found.step, horizon, self.rules.modes, near=place)
        else:
            predicted = self.forecast(scene, found.step, horizon)
            names = tuple(f"mode {k + 1}" for k in range(len(predicted.probability)))
        predicted = trust_followers(
            predicted,
            scene.agents,
            found.step,
            found.route.line,
            np.asarray(found.problem.start),
            self.vehicle,
        )
        found = situation_at(
            scene, time, rules=self.rules.situation, predictions=predicted, **options
        )
        problem = found.problem
        knots = max(len(problem.corridor.left), KNOTS)
        problem = replace(problem, corridor=pad_corridor(problem.corridor, knots))
        return _Seen(found, problem, names)

    def warm_up(self, seen: _Seen) -> None:
        """Compile all programs that the plans need, side by side."""
        tasks: list[Callable[[], object]] = [partial(self._plan, seen, None)]
        if self.rules.has_ways:
            tasks.append(partial(self._find_ways, seen.problem))
        with ThreadPoolExecutor(len(tasks)) as threads:
            for task in [threads.submit(task) for task in tasks]:
                task.result()

    def plan(self, seen: _Seen) -> Moment:
        """Return the plan from a situation, the shield's fail-safe among its starts."""
        situation = seen.situation
        guard = self._post_guard(situation)
        failsafe = None if guard is None else guard.failsafe_controls(self.horizon)
        begin = clock.perf_counter()
        made = self._plan(seen, failsafe)
        seconds = clock.perf_counter() - begin
        begun = int(made.begun[0])
        ways = None
        if self.rules.has_ways:
            ways = self._find_ways(seen.problem)
            ways = ways.take(select_others(ways, np.asarray(made.states[0])))
        return Moment(
            situation=situation,
            modes=seen.modes,
            plan=made,
            tightest=self._find_tightest(seen.problem, made),
            begun=STARTS[begun].name if begun < len(STARTS) else FAILSAFE if guard else HELD,
            seconds=seconds,
            ways=ways,
            safety=None
            if guard is None
            else guard.judge(
                np.asarray(made.controls[0, 0, 0]), shadow_times=np.array(self.rules.shadow_times)
            ),
            given=failsafe,
        )

    def _plan(self, seen: _Seen, failsafe: Float64[np.ndarray, "step 2"] | None) -> Plans:
        # Something is given always, so that one program serves with the shield and without.
        control = np.zeros((self.horizon.steps, 2)) if failsafe is None else failsafe
        given = np.tile(control, (1, 1, len(seen.modes), 1, 1))
        return plan(seen.problem, vehicle=self.vehicle, horizon=self.horizon, given=given)

    def _find_ways(self, problem: Problem) -> Ways:
        return find_ways(problem, vehicle=self.vehicle, horizon=self.horizon)

    def _find_tightest(self, problem: Problem, made: Plans) -> str:
        check = check_plans(
            stack_problems([problem]), made.controls, vehicle=self.vehicle, horizon=self.horizon
        )
        # That modes share controls is exact, and says nothing.
        names = [name for name in check.excess if name != "branch"]
        return _SAID[max(names, key=lambda name: float(check.excess[name][0]))]

    def _post_guard(self, situation: Situation) -> Guard | None:
        rules = self.rules.survey
        if rules is None:
            return None
        scene, step = self.scene, situation.step
        row = scene.agents.index(situation.agent)
        start = np.asarray(situation.problem.start)
        reach = rules.reach_at(float(start[StateIndex.SPEED]))
        ids = scene.agents.ids
        return Guard(
            start,
            look_around(scene, step, row, reach=rules.sight),
            self._survey(start[:2], reach, rules),
            vehicle=self.vehicle,
            assumptions=replace(self.rules.assumptions, control_step=self.horizon.dt),
            ids=tuple(name for other, name in enumerate(ids) if other != row),
        )

    def _survey(self, place: Float64[np.ndarray, " 2"], reach: float, rules: SurveyRules) -> Road:
        """Return the road around a place; the last one while it reaches far enough."""
        if self._road is not None:
            road, centre, known = self._road
            if np.hypot(*(place - centre)) + reach <= known:
                return road
        known = reach if self.is_alone else reach + rules.spare
        town = None if self.scene.map is None else prepare_road(self.scene.map)
        self._road = survey_road(town, place, reach=known, rules=rules), place.copy(), known
        return self._road[0]
