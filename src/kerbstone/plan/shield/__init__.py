"""The safety shield that stands beneath any planner: independent of it, and small."""

from kerbstone.plan.shield.assumptions import (
    BEHAVIOURS,
    Assumptions,
    Behaviour,
    Perception,
    Response,
    Tube,
)
from kerbstone.plan.shield.blame import Contact, is_caused_by_ego
from kerbstone.plan.shield.failsafe import BRAKE, DEFAULT_CANDIDATES, Candidate, build_failsafe
from kerbstone.plan.shield.ledger import Assumption, Ledger
from kerbstone.plan.shield.manoeuvre import Manoeuvre, roll_out
from kerbstone.plan.shield.motion import advance
from kerbstone.plan.shield.occupancy import Occupancy, predict
from kerbstone.plan.shield.road import Lane, Road, Route
from kerbstone.plan.shield.shield import Decision, Shield
from kerbstone.plan.shield.surroundings import BlindPlaces, BlindStretches, Surroundings
from kerbstone.plan.shield.verifier import Cause, Verdict, verify

__all__ = [
    "BEHAVIOURS",
    "BRAKE",
    "DEFAULT_CANDIDATES",
    "Assumption",
    "Assumptions",
    "Behaviour",
    "BlindPlaces",
    "BlindStretches",
    "Candidate",
    "Cause",
    "Contact",
    "Decision",
    "Lane",
    "Ledger",
    "Manoeuvre",
    "Occupancy",
    "Perception",
    "Response",
    "Road",
    "Route",
    "Shield",
    "Surroundings",
    "Tube",
    "Verdict",
    "advance",
    "build_failsafe",
    "is_caused_by_ego",
    "predict",
    "roll_out",
    "verify",
]
