"""A page that plays scenes from above, in one file that needs nothing else."""

from kerbstone.app.playback.events import Curve, Event, Listed, Plot
from kerbstone.app.playback.page import playback_page
from kerbstone.app.playback.plans import (
    BlindArea,
    Drive,
    Fact,
    Forecast,
    PlanDrawing,
    Plans,
    Reach,
)

__all__ = [
    "BlindArea",
    "Curve",
    "Drive",
    "Event",
    "Fact",
    "Forecast",
    "Listed",
    "PlanDrawing",
    "Plans",
    "Plot",
    "Reach",
    "playback_page",
]
