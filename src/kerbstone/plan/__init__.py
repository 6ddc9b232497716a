"""The planner: constrained plans over several predicted modes, and the shield beneath them.

The shield and what tries to break it are packages of their own: `kerbstone.plan.shield` and
`kerbstone.plan.falsification`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerbstone.plan.checking import PlanCheck, check_plans
    from kerbstone.plan.corridor import Corridor, fit_corridor
    from kerbstone.plan.gradients import SmoothPlan, settle
    from kerbstone.plan.guard import Safety
    from kerbstone.plan.modes import MODES, join_modes, predict_modes
    from kerbstone.plan.planning import RENEWAL, SMOOTH, Effort, Plans, plan
    from kerbstone.plan.predictions import (
        Predictions,
        Spread,
        inflate,
        predict_straight,
        tell_future,
    )
    from kerbstone.plan.problem import Ellipses, Horizon, Problem, Weights
    from kerbstone.plan.roads import CorridorRules, Room, predict_along_lanes
    from kerbstone.plan.situations import (
        Situation,
        SituationRules,
        situation_at,
        stack_problems,
    )
    from kerbstone.plan.survey import SurveyRules, look_around, survey_road
    from kerbstone.plan.timeline import Moment, Timeline, TimelineRules, plan_scene
    from kerbstone.plan.vehicle import ControlIndex, StateIndex, Vehicle
    from kerbstone.plan.ways import Ways, find_ways

# Where each public name comes from. Its module is loaded when it is first asked for: the shield
# needs no JAX.
_HOMES = {
    "checking": ("PlanCheck", "check_plans"),
    "corridor": ("Corridor", "fit_corridor"),
    "gradients": ("SmoothPlan", "settle"),
    "guard": ("Safety",),
    "modes": ("MODES", "join_modes", "predict_modes"),
    "planning": ("RENEWAL", "SMOOTH", "Effort", "Plans", "plan"),
    "predictions": ("Predictions", "Spread", "inflate", "predict_straight", "tell_future"),
    "problem": ("Ellipses", "Horizon", "Problem", "Weights"),
    "roads": ("CorridorRules", "Room", "predict_along_lanes"),
    "situations": ("Situation", "SituationRules", "situation_at", "stack_problems"),
    "survey": ("SurveyRules", "look_around", "survey_road"),
    "timeline": ("Moment", "Timeline", "TimelineRules", "plan_scene"),
    "vehicle": ("ControlIndex", "StateIndex", "Vehicle"),
    "ways": ("Ways", "find_ways"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "MODES",
    "RENEWAL",
    "SMOOTH",
    "ControlIndex",
    "Corridor",
    "CorridorRules",
    "Effort",
    "Ellipses",
    "Horizon",
    "Moment",
    "PlanCheck",
    "Plans",
    "Predictions",
    "Problem",
    "Room",
    "Safety",
    "Situation",
    "SituationRules",
    "SmoothPlan",
    "Spread",
    "StateIndex",
    "SurveyRules",
    "Timeline",
    "TimelineRules",
    "Vehicle",
    "Ways",
    "Weights",
    "check_plans",
    "find_ways",
    "fit_corridor",
    "inflate",
    "join_modes",
    "look_around",
    "plan",
    "plan_scene",
    "predict_along_lanes",
    "predict_modes",
    "predict_straight",
    "settle",
    "situation_at",
    "stack_problems",
    "survey_road",
    "tell_future",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
