"""A page that plays scenes from above, in one file that needs nothing else."""

from kerbstone.app.playback.page import Event, playback_page

__all__ = ["Event", "playback_page"]
