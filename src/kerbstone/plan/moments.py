"""The plan of one moment of a recorded scene: what is known then, and what guards it."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from jaxtyping import Float64

from kerbstone.plan.beliefs.deciding import plan_with_belief
from kerbstone.plan.beliefs.risk import Risk
from kerbstone.plan.blind import Blind, find_blind
from kerbstone.plan.checking import check_plans
from kerbstone.plan.emerging import (
    STEPS_OUT,
    Emergence,
    add_emergence,
    add_unseen,
    find_emergence,
)
from kerbstone.plan.guard import Guard, Safety
from kerbstone.plan.modes import predict_modes, trust_followers
from kerbstone.plan.planning import Plans, plan
from kerbstone.plan.predictions import Predictions
from kerbstone.plan.problem import Horizon, Problem
from kerbstone.plan.roads import pad_corridor, prepare_road
from kerbstone.plan.shield import Assumptions, Road
from kerbstone.plan.sight import SightRules, look_out
from kerbstone.plan.situations import Situation, SituationRules, situation_at, stack_problems
from kerbstone.plan.solver.starts import STARTS
from kerbstone.plan.survey import SurveyRules, look_around, survey_road
from kerbstone.plan.vehicle import StateIndex, Vehicle
from kerbstone.plan.ways import Ways, find_ways, select_others
from kerbstone.scene import Scene, arc_length, interpolate

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
        sight: What the car sees: the shield then expects the unseen, and there is one more mode,
            in which one of them steps out. None takes nobody to be hidden.
        risk: What of the costs counts; their mean if None.
        has_ways: Whether other ways around are looked for as well.
        shadow_times: Between which times from now it is told where others may be [s].
    """

    modes: Mapping[str, float] = field(default_factory=lambda: {"lanes": 0.8, "brake": 0.2})
    situation: SituationRules = field(default_factory=SituationRules)
    survey: SurveyRules | None = field(default_factory=SurveyRules)
    assumptions: Assumptions = field(default_factory=Assumptions)
    sight: SightRules | None = None
    risk: Risk | None = None
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
        blind: Where the car does not see; None where nobody is taken to be hidden.
        emergence: Where one steps out in the mode of that name; None where nobody could in time.
        value: Mean of the worst part of the costs, where plans are made for that; None elsewhere.
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
    blind: Blind | None = None
    emergence: Emergence | None = None
    value: float | None = None

    @property
    def states(self) -> Float64[np.ndarray, "mode step_plus_1 6"]:
        """The plan's states, the start first, columns `StateIndex`."""
        return np.asarray(self.plan.states[0], np.float64)

    @property
    def controls(self) -> Float64[np.ndarray, "mode step 2"]:
        """The plan's controls, columns `ControlIndex`."""
        return np.asarray(self.plan.controls[0], np.float64)


@dataclass(frozen=True, eq=False)
class _Dark:
    """What is not seen, and the road that it was told by."""

    blind: Blind
    emergence: Emergence | None
    road: Road


@dataclass(frozen=True, eq=False)
class Seen:
    """What is known at a time, before a plan is made."""

    situation: Situation
    problem: Problem
    modes: tuple[str, ...]
    dark: _Dark | None


class Planner:
    """Plans for one car of a scene.

    Args:
        scene: The scene.
        agent: Id of the road user to plan for; the recording car if None.
        vehicle: The car.
        horizon: How far ahead.
        rules: What is done at each time.
        forecast: Used in place of `rules.modes`, if there is one.
        is_alone: Whether there is but one time, so that no road is kept for the next.
    """

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
        # With one more road user, who steps out.
        self._peopled = (
            scene if rules.sight is None else replace(scene, agents=add_unseen(scene.agents))
        )
        self._road: tuple[Road, Float64[np.ndarray, " 2"], float] | None = None

    def look(self, time: float) -> Seen:
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
        dark = self._look_into_the_dark(found)
        emergence = None if dark is None else dark.emergence
        shown = scene
        if self.rules.sight is not None and self.rules.sight.chance > 0.0:
            chance = self.rules.sight.chance
            predicted = add_emergence(predicted, emergence, horizon, chance=chance)
            shown, names = self._peopled, (*names, STEPS_OUT)
        found = situation_at(
            shown, time, rules=self.rules.situation, predictions=predicted, **options
        )
        problem = found.problem
        knots = max(len(problem.corridor.left), KNOTS)
        problem = replace(problem, corridor=pad_corridor(problem.corridor, knots))
        return Seen(found, problem, names, dark)

    def warm_up(self, seen: Seen) -> None:
        """Compile all programs that the plans need, side by side."""
        tasks: list[Callable[[], object]] = [partial(self._plan, seen, None)]
        if self.rules.has_ways:
            tasks.append(partial(self._find_ways, seen.problem))
        with ThreadPoolExecutor(len(tasks)) as threads:
            for task in [threads.submit(task) for task in tasks]:
                task.result()

    def plan(self, seen: Seen) -> Moment:
        """Return the plan from a situation, the shield's fail-safe among its starts."""
        situation = seen.situation
        guard = self._post_guard(seen)
        failsafe = None if guard is None else guard.failsafe_controls(self.horizon)
        begin = clock.perf_counter()
        made, value = self._plan(seen, failsafe)
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
            blind=None if seen.dark is None else seen.dark.blind,
            emergence=None if seen.dark is None else seen.dark.emergence,
            value=value,
        )

    def _plan(
        self, seen: Seen, failsafe: Float64[np.ndarray, "step 2"] | None
    ) -> tuple[Plans, float | None]:
        """Return the plan, and what was made least where that is not its expected cost."""
        # Something is given always, so that one program serves with the shield and without.
        control = np.zeros((self.horizon.steps, 2)) if failsafe is None else failsafe
        given = np.tile(control, (1, 1, len(seen.modes), 1, 1))
        options = {"vehicle": self.vehicle, "horizon": self.horizon, "given": given}
        risk = self.rules.risk
        if risk is None or risk.tail == 1.0:
            return plan(seen.problem, **options), None
        made = plan_with_belief(seen.problem, risk=risk, **options)
        mean = np.asarray(seen.problem.probability) @ made.branch_cost[0]
        return made.plans._replace(cost=np.array([mean])), float(made.value[0])

    def _find_ways(self, problem: Problem) -> Ways:
        return find_ways(problem, vehicle=self.vehicle, horizon=self.horizon)

    def _find_tightest(self, problem: Problem, made: Plans) -> str:
        check = check_plans(
            stack_problems([problem]), made.controls, vehicle=self.vehicle, horizon=self.horizon
        )
        # That modes share controls is exact, and says nothing.
        names = [name for name in check.excess if name != "branch"]
        return _SAID[max(names, key=lambda name: float(check.excess[name][0]))]

    @property
    def _assumptions(self) -> Assumptions:
        return replace(self.rules.assumptions, control_step=self.horizon.dt)

    def _look_into_the_dark(self, situation: Situation) -> _Dark | None:
        """Return where the car does not see, and where one steps out; None if all are seen."""
        rules = self.rules.sight
        if rules is None:
            return None
        start, line = np.asarray(situation.problem.start), _line_ahead(situation)
        row = self.scene.agents.index(situation.agent)
        road = self._survey(start)
        blind = find_blind(
            look_out(self.scene, situation.step, row, rules=rules),
            line,
            start,
            road,
            vehicle=self.vehicle,
            assumptions=self._assumptions,
            rules=rules,
        )
        wait = float(situation.problem.branch_step) * self.horizon.dt
        emergence = find_emergence(blind, line, start, vehicle=self.vehicle, wait=wait)
        return _Dark(blind, emergence, road)

    def _post_guard(self, seen: Seen) -> Guard | None:
        rules, situation = self.rules.survey, seen.situation
        if rules is None:
            return None
        scene, step = self.scene, situation.step
        row = scene.agents.index(situation.agent)
        start = np.asarray(situation.problem.start)
        around = look_around(scene, step, row, reach=rules.sight)
        if seen.dark is not None:
            blind = seen.dark.blind
            around = replace(around, places=blind.places, stretches=blind.stretches)
        return Guard(
            start,
            around,
            self._survey(start) if seen.dark is None else seen.dark.road,
            vehicle=self.vehicle,
            assumptions=self._assumptions,
            ids=tuple(name for other, name in enumerate(scene.agents.ids) if other != row),
        )

    def _survey(self, start: Float64[np.ndarray, " 6"]) -> Road:
        """Return the road around a car; the last one while it reaches far enough."""
        rules = self.rules.survey
        if rules is None:
            return Road()
        place, reach = start[:2], rules.reach_at(float(start[StateIndex.SPEED]))
        if self._road is not None:
            road, centre, known = self._road
            if np.hypot(*(place - centre)) + reach <= known:
                return road
        known = reach if self.is_alone else reach + rules.spare
        town = None if self.scene.map is None else prepare_road(self.scene.map)
        self._road = survey_road(town, place, reach=known, rules=rules), place.copy(), known
        return self._road[0]


def _line_ahead(situation: Situation) -> Float64[np.ndarray, "vertex 2"]:
    """Return the line of a situation's corridor from the car's rear axle on."""
    line = np.asarray(situation.laid.corridor.line, np.float64)
    line = (line[:-2] + 4.0 * line[1:-1] + line[2:]) / 6.0
    s, rear = arc_length(line), situation.laid.rear
    return interpolate(line, np.concatenate([[rear], s[s > rear + 0.1]]))
