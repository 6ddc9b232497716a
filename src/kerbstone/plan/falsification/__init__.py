"""Falsification: an independent attempt to break the shield, and to count what comes of it."""

from kerbstone.plan.falsification.breaking import BREAKS, Break
from kerbstone.plan.falsification.campaign import Campaign, Played, play_chunk, replay
from kerbstone.plan.falsification.episodes import Instant, Outcome
from kerbstone.plan.falsification.falsifying import BreakRow, break_assumptions, falsify
from kerbstone.plan.falsification.nominal import NominalReport, measure_nominal
from kerbstone.plan.falsification.report import Case, FalsificationReport, Row, keep, recall

__all__ = [
    "BREAKS",
    "Break",
    "BreakRow",
    "Campaign",
    "Case",
    "FalsificationReport",
    "Instant",
    "NominalReport",
    "Outcome",
    "Played",
    "Row",
    "break_assumptions",
    "falsify",
    "keep",
    "measure_nominal",
    "play_chunk",
    "recall",
    "replay",
]
