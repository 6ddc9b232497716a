"""A finding as a page: its matches to click through, played, with the reasons below the player."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kerbstone.app.findings import format_robustness, name_witnesses
from kerbstone.app.pages import say_simulated
from kerbstone.app.playback import Curve, Event, Listed, Plot, playback_page
from kerbstone.app.terminal import count_of, format_count, format_duration
from kerbstone.errors import InputError
from kerbstone.mine import Finding, FoundMatch
from kerbstone.scene import Scene
from kerbstone.store import Store

_LONGEST = 60.0
"""A stretch is not made longer than this to hold another match [s]."""
_LONG = 60
"""So many characters of a query fit into the heading."""
_MOST_STRETCHES = 12
_MOST_OF_MATCHES = 9
"""So many stretches are for matches as long as there are near misses to show."""


def finding_page(finding: Finding, store: Store) -> str:
    """Return a page that plays a finding.

    It opens at the first match. Only some stretches of scenes are on the page, those of the
    strongest matches and of the nearest near misses; the others are listed.

    Args:
        finding: The finding.
        store: The store that it is from.

    Raises:
        InputError: Nothing was found, or no scene can be read any more.
    """
    stretches = _choose_stretches(finding.matches)
    if not stretches:
        raise InputError(
            "empty",
            "there is nothing to show: neither a match nor a near miss was found",
            where=f"finding {finding.id}",
            remedy="loosen the query",
        )
    shown = [made for stretch in stretches if (made := _show(stretch, store)) is not None]
    if not shown:
        raise InputError(
            "scene-missing",
            "the scenes of the finding are not in the store any more",
            where=f"{store.uri}, finding {finding.id}",
            remedy="find again",
        )
    place_of = {id(match): (page, event) for page in shown for match, event in page.events}
    names = _shorten([match.scene for match in finding.matches])
    listed = []
    for match, name in zip(finding.matches, names, strict=True):
        page, event = place_of.get(id(match), (None, None))
        listed.append(_list(match, name, page.scene.id if page else "", event))
    facts = [
        ("matches", format_count(finding.total)),
        ("scenes searched", format_count(finding.scenes)),
        ("road time", format_duration(finding.seconds)),
    ]
    is_said_alike = "".join(finding.given.split()) == "".join(finding.query.split())
    remarks = say_simulated(page.scene for page in shown)
    hidden = len(finding.matches) - len(place_of)
    if hidden:
        remarks.append(f"{count_of(hidden, 'line')} of the list cannot be played on this page.")
    return playback_page(
        [page.scene for page in shown],
        title=finding.query if is_said_alike else finding.given,
        facts=facts,
        notes=[
            *([finding.query] if not is_said_alike or len(finding.query) > _LONG else []),
            " ".join(remarks),
        ],
        events={page.scene.id: [event for _, event in page.events] for page in shown},
        matches=listed,
        offsets={page.scene.id: page.offset for page in shown},
    )


@dataclass(eq=False)
class _Stretch:
    """Some steps of a scene, with the matches in them."""

    scene: str
    dt: float
    first: int
    last: int
    matches: list[FoundMatch] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Shown:
    """A stretch as it stands on the page."""

    scene: Scene
    offset: float
    events: tuple[tuple[FoundMatch, Event], ...]


def _choose_stretches(matches: Sequence[FoundMatch]) -> list[_Stretch]:
    """Return the stretches to show, in the order of their first matches."""
    found = [match for match in matches if match.is_match]
    missed = [match for match in matches if not match.is_match]
    stretches: list[_Stretch] = []
    by_scene: dict[str, list[_Stretch]] = defaultdict(list)

    def place(some: Iterable[FoundMatch], most: int) -> None:
        for match in some:
            if not any(_take(stretch, match) for stretch in by_scene[match.scene]):
                if len(stretches) >= most:
                    continue
                stretches.append(_stretch_of(match))
                by_scene[match.scene].append(stretches[-1])

    place(found, _MOST_OF_MATCHES if missed else _MOST_STRETCHES)
    place(missed, _MOST_STRETCHES)
    held = {id(match) for stretch in stretches for match in stretch.matches}
    place([match for match in found if id(match) not in held], _MOST_STRETCHES)
    return stretches


def _stretch_of(match: FoundMatch) -> _Stretch:
    half = round(_LONGEST / 2 / match.dt)
    first = max(match.trace.first, match.best - half)
    last = min(match.trace.first + len(match.trace.robustness) - 1, match.best + half)
    return _Stretch(match.scene, match.dt, first, last, [match])


def _take(stretch: _Stretch, match: FoundMatch) -> bool:
    """Make a stretch hold another match too, if it need not become too long."""
    own = _stretch_of(match)
    first, last = min(stretch.first, own.first), max(stretch.last, own.last)
    if (last - first + 1) * stretch.dt > _LONGEST + 1e-9:
        return False
    stretch.first, stretch.last = first, last
    stretch.matches.append(match)
    return True


def _show(stretch: _Stretch, store: Store) -> _Shown | None:
    """Return a stretch as it stands on the page, None where its scene cannot be read any more."""
    try:
        scene = store.scene(stretch.scene)
    except InputError:
        return None
    steps = min(stretch.last + 1, scene.clock.steps) - stretch.first
    if steps < 1:
        return None
    part = scene.window_steps(stretch.first, steps)
    if steps < scene.clock.steps:
        start, end = (step * stretch.dt for step in (stretch.first, stretch.first + steps))
        part = replace(part, id=f"{scene.id}, {start:.1f}–{end:.1f} s")
    known = set(scene.agents.ids)
    matches = [m for m in stretch.matches if {w.agent for w in m.witnesses} <= known]
    return _Shown(
        scene=part,
        offset=stretch.first * stretch.dt,
        events=tuple((match, _event(match, stretch.first, scene)) for match in matches),
    )


def _event(match: FoundMatch, first: int, scene: Scene) -> Event:
    agents = tuple(witness.agent for witness in match.witnesses)
    roles = tuple(witness.variable for witness in match.witnesses)
    if not agents and scene.ego is not None:
        agents = (scene.agents.ids[scene.ego],)
    return Event(
        kind="match" if match.is_match else "near miss",
        agents=agents,
        start=(match.first - first) * match.dt,
        end=(match.last + 1 - first) * match.dt,
        note="; ".join(match.missed_by),
        roles=roles,
        plot=_plot(match, first),
    )


def _plot(match: FoundMatch, first: int) -> Plot:
    trace = match.trace
    # What lies before the stretch is not on its time axis.
    skipped = max(first - trace.first, 0)
    whole = Curve("the query", trace.robustness[skipped:])
    atoms = tuple(
        Curve(
            atom.text,
            atom.robustness[skipped:],
            None if atom.left is None else np.asarray(atom.left[skipped:]),
            atom.unit,
        )
        for atom in trace.atoms
    )
    one = len(atoms) == 1 and np.array_equal(atoms[0].robustness, whole.robustness, equal_nan=True)
    return Plot(trace.first + skipped - first, atoms if one else (whole, *atoms))


def _shorten(scenes: Sequence[str]) -> list[str]:
    """Return the names of scenes without their data set, where it is the same of all."""
    sets = {scene.partition("/")[0] for scene in scenes}
    return [scene.partition("/")[2] or scene for scene in scenes] if len(sets) == 1 else [*scenes]


def _list(match: FoundMatch, name: str, scene: str, event: Event | None) -> Listed:
    return Listed(
        title=f"{match.rank}. {name}",
        when=f"{match.start:.1f}–{match.end:.1f} s",
        detail="; ".join(match.missed_by) or name_witnesses(match, is_short=True) or "ego",
        strength=format_robustness(match.robustness),
        is_match=match.is_match,
        scene=scene,
        event=event,
    )
