"""Stretches of scenes as a page: a list to click through, each played with a little around it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kerbstone.app.pages import say_simulated
from kerbstone.app.playback import Event, Listed, playback_page
from kerbstone.app.terminal import count_of
from kerbstone.errors import InputError
from kerbstone.scene import Scene
from kerbstone.store import Store

MARGIN = 3.0
"""How much is shown before a stretch and after it [s]."""
_MOST = 12
_LONGEST = 60.0


@dataclass(frozen=True)
class Line:
    """A stretch that is listed.

    Args:
        scene: Id of its scene.
        start: When it begins [s].
        end: When it ends [s].
        detail: What is said about it.
        strength: A number or word beside it.
        agents: Ids of those it is about; the recording car if none.
        rank: Its number in the list; none for what the list is compared with.
    """

    scene: str
    start: float
    end: float
    detail: str = ""
    strength: str = ""
    agents: tuple[str, ...] = ()
    rank: int | None = None


def stretches_page(
    lines: Sequence[Line], store: Store, *, title: str, listed_as: str, notes: Sequence[str] = ()
) -> str:
    """Return a page that lists stretches and plays the first twelve of them.

    Of a stretch longer than a minute, its first minute is played.

    Args:
        lines: What to list, the first first.
        store: The store that holds the scenes.
        title: Heading of the page.
        listed_as: Heading of the list.
        notes: Sentences below it.

    Raises:
        InputError: There is nothing to list, or a scene cannot be read.
    """
    if not lines:
        raise InputError("empty", "there is nothing to show", where=store.uri)
    scenes: dict[str, Scene] = {}
    events: dict[str, list[Event]] = defaultdict(list)
    offsets: dict[str, float] = {}
    listed = []
    names = _shorten([line.scene for line in lines])
    for place, (line, short) in enumerate(zip(lines, names, strict=True)):
        name, event = "", None
        if place < _MOST:
            shown, offset = _cut(store.scene(line.scene), line)
            name, event = shown.id, _event(line, shown, offset)
            scenes.setdefault(name, shown)
            offsets[name] = offset
            events[name].append(event)
        listed.append(
            Listed(
                title=short if line.rank is None else f"{line.rank}. {short}",
                when=f"{line.start:.1f}–{line.end:.1f} s",
                detail=line.detail,
                strength=line.strength,
                scene=name,
                event=event,
            )
        )
    said = [*notes, *say_simulated(scenes.values())]
    if len(lines) > _MOST:
        said.append(f"{count_of(len(lines) - _MOST, 'line')} of the list are not played here.")
    return playback_page(
        list(scenes.values()),
        title=title,
        notes=said,
        events=events,
        matches=listed,
        listed_as=listed_as,
        offsets=offsets,
    )


def _shorten(scenes: Sequence[str]) -> list[str]:
    """Return the names of scenes without their data set, where it is the same of all."""
    sets = {scene.partition("/")[0] for scene in scenes}
    return [scene.partition("/")[2] or scene for scene in scenes] if len(sets) == 1 else [*scenes]


def _cut(scene: Scene, line: Line) -> tuple[Scene, float]:
    """Return what is shown of a scene, and when that begins [s]."""
    dt, steps = scene.clock.dt, scene.clock.steps
    first = max(round((line.start - MARGIN) / dt), 0)
    last = min(round((min(line.end, line.start + _LONGEST) + MARGIN) / dt), steps)
    part = scene.window_steps(first, last - first)
    if last - first < steps:
        part = replace(part, id=f"{scene.id}, {first * dt:.1f}–{last * dt:.1f} s")
    return part, first * dt


def _event(line: Line, shown: Scene, offset: float) -> Event:
    agents = tuple(agent for agent in line.agents if agent in shown.agents.ids)
    if not agents and shown.ego is not None:
        agents = (shown.agents.ids[shown.ego],)
    return Event(
        kind="match",
        agents=agents,
        start=line.start - offset,
        end=line.end - offset,
        note=line.detail,
    )
