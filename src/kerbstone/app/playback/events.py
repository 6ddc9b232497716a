"""What a page tells about a scene besides the scene itself: events, plots and a list of matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError, suggest_name
from kerbstone.scene import Scene

_LARGEST = 1e9
"""What is larger is drawn as if it were this large: the page knows no infinity."""

Values = Float64[np.ndarray, " time"]


@dataclass(frozen=True, eq=False)
class Curve:
    """A robustness over time: above zero something holds.

    Args:
        label: What it is about.
        robustness: Its values, step by step; NaN where it is undefined.
        values: The number behind it, in `unit`, to be read at each step.
        unit: Its unit.
    """

    label: str
    robustness: Values
    values: Values | None = None
    unit: str = ""


@dataclass(frozen=True, eq=False)
class Plot:
    """Curves below the player, one under the other.

    Args:
        first: The step of the scene at which they begin.
        curves: The curves.
    """

    first: int
    curves: tuple[Curve, ...]


@dataclass(frozen=True, eq=False)
class Event:
    """Something that happens in a scene: a mark on the time slider that one can jump to.

    Args:
        kind: What happens, such as "cut_in".
        agents: Ids of those who take part; the first is selected by a jump.
        start: When it begins, from the start of the scene [s].
        end: When it is over [s].
        note: A few words more.
        roles: A name for each of `agents`, under which they are marked while one looks at it.
        plot: Curves to go with it.
    """

    kind: str
    agents: tuple[str, ...]
    start: float
    end: float
    note: str = ""
    roles: tuple[str, ...] = ()
    plot: Plot | None = None


@dataclass(frozen=True, eq=False)
class Listed:
    """A line in the list of matches beside the player.

    Args:
        title: Its heading, such as a rank and a scene.
        when: When it happens.
        detail: A line below.
        strength: How strongly it matches.
        is_match: Whether it does; else it is a near miss.
        scene: Id of the scene of the page that shows it; empty where none does.
        event: The event of that scene to jump to.
    """

    title: str
    when: str
    detail: str
    strength: str
    is_match: bool = True
    scene: str = ""
    event: Event | None = None


def pack_events(scene: Scene, events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return events as the page reads them, in the order of time."""
    length = scene.clock.duration
    return [
        {
            "kind": event.kind,
            "agents": list(event.agents),
            "start": min(max(event.start, 0.0), length),
            "end": min(max(event.end, 0.0), length),
            "note": event.note,
            "roles": list(event.roles),
            "plot": None if event.plot is None else _pack_plot(event.plot),
        }
        for event in order_events(events)
    ]


def order_events(events: Sequence[Event]) -> list[Event]:
    """Return events in the order of time."""
    return sorted(events, key=lambda event: event.start)


def pack_list(
    scenes: Sequence[Scene], events: Mapping[str, Sequence[Event]], listed: Sequence[Listed]
) -> list[dict[str, Any]]:
    """Return the list of matches as the page reads it: with places of scenes and events.

    Raises:
        InputError: A line names a scene or an event that is not on the page.
    """
    place_of = {scene.id: place for place, scene in enumerate(scenes)}
    rows = []
    for line in listed:
        scene = event = None
        if line.scene:
            known = order_events(events.get(line.scene, ()))
            if line.scene not in place_of or not any(line.event is one for one in known):
                raise InputError(
                    "reference",
                    "a match is listed that is not on the page",
                    where=f"scene {line.scene!r}",
                    remedy=suggest_name(line.scene, place_of),
                )
            scene = place_of[line.scene]
            event = next(place for place, one in enumerate(known) if one is line.event)
        rows.append(
            {
                "title": line.title,
                "when": line.when,
                "detail": line.detail,
                "strength": line.strength,
                "isMatch": line.is_match,
                "scene": scene,
                "event": event,
            }
        )
    return rows


def _pack_plot(plot: Plot) -> dict[str, Any]:
    return {
        "first": plot.first,
        "curves": [
            {
                "label": curve.label,
                "robustness": _round(curve.robustness),
                "values": None if curve.values is None else _round(curve.values),
                "unit": curve.unit,
            }
            for curve in plot.curves
        ],
    }


def _round(values: Values) -> list[float | None]:
    """Return values to four digits, as JSON has them."""
    return [
        None if np.isnan(value) else float(f"{min(max(value, -_LARGEST), _LARGEST):.4g}")
        for value in values.tolist()
    ]
