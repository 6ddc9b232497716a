"""What is believed of others, and plans that take it into account.

The mode of those in view is inferred from how they move (`update_belief`), that of those hidden
from seeing nobody (`look`). A plan shares its controls between the modes until the belief can tell
them apart (`when_to_branch`), and weighs what they cost by the belief (`plan_with_belief`).
"""

from kerbstone.plan.beliefs.beginnings import (
    hold_standstill,
    keep_to_modes,
    move_up,
    plan_alone,
    share_trunk,
)
from kerbstone.plan.beliefs.branching import bound_mistakes, when_to_branch
from kerbstone.plan.beliefs.deciding import BeliefPlans, cost_branches, plan_with_belief
from kerbstone.plan.beliefs.emergence import Exits, predict_phantoms, when_phantoms_show
from kerbstone.plan.beliefs.equivalents import drop_unlikely, expect, keep_likeliest, never_branch
from kerbstone.plan.beliefs.modes import (
    Memory,
    Noise,
    Outlook,
    foresee,
    score_modes,
    update_belief,
)
from kerbstone.plan.beliefs.phantoms import Habits, existence_of, is_in_view, look, suspect
from kerbstone.plan.beliefs.risk import Risk, value_at_risk, weigh_risk

__all__ = [
    "BeliefPlans",
    "Exits",
    "Habits",
    "Memory",
    "Noise",
    "Outlook",
    "Risk",
    "bound_mistakes",
    "cost_branches",
    "drop_unlikely",
    "existence_of",
    "expect",
    "foresee",
    "hold_standstill",
    "is_in_view",
    "keep_likeliest",
    "keep_to_modes",
    "look",
    "move_up",
    "never_branch",
    "plan_alone",
    "plan_with_belief",
    "predict_phantoms",
    "score_modes",
    "share_trunk",
    "suspect",
    "update_belief",
    "value_at_risk",
    "weigh_risk",
    "when_phantoms_show",
    "when_to_branch",
]
