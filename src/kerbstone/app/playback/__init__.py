"""A page that plays scenes from above, in one file that needs nothing else."""

from kerbstone.app.playback.events import Curve, Event, Listed, Plot
from kerbstone.app.playback.page import playback_page

__all__ = ["Curve", "Event", "Listed", "Plot", "playback_page"]
