"""Planted events: which moments and road users of simulated scenes they are about."""

from __future__ import annotations

from dataclasses import dataclass

from kerbstone.store import Store

LEAST_OVERLAP = 1.0
"""A stretch of time is of an event if they share so much, or all of the shorter one [s]."""


@dataclass(frozen=True)
class Event:
    """Something rare that a simulation staged.

    Args:
        kind: What it is.
        agents: Who takes part: first who misbehaves, then whom it concerns.
        start: From when, since the scene's start [s].
        end: Until when [s].
    """

    kind: str
    agents: tuple[str, ...]
    start: float
    end: float

    def shares(self, start: float, end: float) -> bool:
        """Return whether a stretch of time is of this event."""
        shared = min(end, self.end) - max(start, self.start)
        return bool(shared >= min(LEAST_OVERLAP, end - start, self.end - self.start) - 1e-9)


def read_events(store: Store) -> dict[str, tuple[Event, ...]]:
    """Return the events of each simulated scene; none where the store knows of no events."""
    if "events" not in store.versions():
        return {}
    found: dict[str, tuple[Event, ...]] = {}
    starts = {
        row["id"]: row["start_ns"]
        for row in store.scenes(["id", "start_ns"], "simulated").to_pylist()
    }
    found = dict.fromkeys(starts, ())
    columns = ["scene_id", "kind", "agents", "start_ns", "end_ns"]
    for row in store.rows("events", None, columns).to_pylist():
        scene = row["scene_id"]
        if scene in starts:
            first, last = (1e-9 * (row[end] - starts[scene]) for end in ("start_ns", "end_ns"))
            event = Event(row["kind"], tuple(row["agents"]), first, last)
            found[scene] = (*found[scene], event)
    return found
