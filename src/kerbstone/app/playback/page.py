"""The page: one HTML file with its style, its scripts and its scenes, and no way to the network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from kerbstone.app.playback.events import Event, Listed, pack_events, pack_list
from kerbstone.app.playback.packing import pack_scene
from kerbstone.app.playback.plans import Plans
from kerbstone.errors import InputError, suggest_name
from kerbstone.formats.appearance import (
    EGO_COLOUR,
    KIND_COLOURS,
    SIGNAL_COLOURS,
    USUAL_SIZE,
    css_colour,
)
from kerbstone.scene import Scene

# What is on pages with plans only; it stands before the player.
_PLAN_SCRIPTS = ("plan.js", "plan_panel.js")
_BLIND_SCRIPT = "plan_blind.js"

# The order matters: each uses what stands before it.
_SCRIPTS = (
    "codec.js",
    "scene.js",
    "camera.js",
    "road.js",
    "agents.js",
    "chart.js",
    "panel.js",
    "traces.js",
    "matches.js",
    "link.js",
    "picture.js",
    "player.js",
    "input.js",
    "main.js",
)


def playback_page(
    scenes: Sequence[Scene],
    *,
    title: str,
    facts: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
    events: Mapping[str, Sequence[Event]] | None = None,
    matches: Sequence[Listed] = (),
    listed_as: str = "Matches",
    offsets: Mapping[str, float] | None = None,
    plans: Mapping[str, Plans] | None = None,
) -> str:
    """Return a page that plays scenes from above, whole and without network access.

    Positions are shown to 1 cm, velocities to 1 cm/s and headings to 0.1°; the map is cut 80 m
    around the agents and its lines are drawn to 1 cm. Everything that comes from the data is put
    in as text, and the page's own policy lets it run no script but its own and load nothing.

    A link to a moment is the page's address with `#scene=2&t=3.2&select=ID`; the page keeps it
    up to date while it is paused.

    Args:
        scenes: What to play; with several, the page has a chooser.
        title: Heading of the page.
        facts: Labels and values of a summary above the player.
        notes: Sentences below the title.
        events: Marks on the time slider, by the id of their scene.
        matches: A list of events to click through; the page opens at its first line.
        listed_as: Heading of that list.
        offsets: By the id of a scene that is a stretch of a longer one, where in that it begins
            [s]: times are shown from the longer one's start.
        plans: By the id of a scene, what is planned in it: it opens at its first plan.

    Raises:
        InputError: There are no scenes, or events, plans or matches name a scene or an agent that
            is not there.
    """
    if not scenes:
        raise InputError("empty", "a page needs at least one scene")
    events, offsets, plans = events or {}, offsets or {}, plans or {}
    _check_events(scenes, events)
    _check_plans(scenes, plans)
    data = {
        "kinds": [
            {"name": kind.name.lower(), "colour": css_colour(colour), "size": USUAL_SIZE[kind]}
            for kind, colour in sorted(KIND_COLOURS.items())
        ],
        "egoColour": css_colour(EGO_COLOUR),
        "signals": [
            {"name": state.name.lower().replace("_", " "), "colour": css_colour(colour)}
            for state, colour in sorted(SIGNAL_COLOURS.items())
        ],
        "scenes": [
            {
                **pack_scene(scene, plans.get(scene.id)),
                "offset": offsets.get(scene.id, 0.0),
                "events": pack_events(scene, events.get(scene.id, ())),
            }
            for scene in scenes
        ],
        "matches": pack_list(scenes, events, matches),
    }
    folder = files("kerbstone.app.playback")

    def read(names: Iterable[str]) -> str:
        return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)

    style = read(("page.css", "plan.css") if plans else ("page.css",))
    place = _SCRIPTS.index("player.js")
    own = _PLAN_SCRIPTS if plans else ()
    if any(one.blind is not None for each in plans.values() for one in each.drawings):
        own = (*own, _BLIND_SCRIPT)
    parts = read((*_SCRIPTS[:place], *own, *_SCRIPTS[place:]))
    script = "(() => {\n'use strict';\n" + parts + "})();\n"
    return Template(folder.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        title=escape(title),
        policy=_policy(style, script),
        style=style,
        script=script,
        data=_embed(data),
        listed=escape(listed_as),
        facts="".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts),
        notes="".join(f"<p>{escape(note)}</p>" for note in notes),
    )


def _policy(style: str, script: str) -> str:
    """Return the content security policy: this style, this script, and nothing from elsewhere."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")

    return (
        f"default-src 'none'; script-src 'sha256-{digest(script)}'; "
        f"style-src 'sha256-{digest(style)}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _embed(data: Mapping[str, Any]) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _check_plans(scenes: Sequence[Scene], plans: Mapping[str, Plans]) -> None:
    known = {scene.id for scene in scenes}
    for scene_id in plans:
        if scene_id not in known:
            raise InputError(
                "reference",
                f"plans are given for scene {scene_id!r}, which is not on the page",
                remedy=suggest_name(scene_id, known),
            )


def _check_events(scenes: Sequence[Scene], events: Mapping[str, Sequence[Event]]) -> None:
    by_id = {scene.id: scene for scene in scenes}
    for scene_id, marks in events.items():
        if scene_id not in by_id:
            raise InputError(
                "reference",
                f"events are given for scene {scene_id!r}, which is not on the page",
                remedy=suggest_name(scene_id, by_id),
            )
        known = set(by_id[scene_id].agents.ids)
        for event in marks:
            for agent in event.agents:
                if agent not in known:
                    raise InputError(
                        "reference",
                        f"an event names agent {agent!r}, which is not in its scene",
                        where=f"scene {scene_id}, event {event.kind!r} at {event.start} s",
                    )
