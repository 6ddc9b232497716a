"""What labelling did, as a page: counts, how sure labels are, and logs played before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kerbstone.app.pages import say_simulated
from kerbstone.app.playback import Event, Listed, playback_page
from kerbstone.app.terminal import count_of, format_count
from kerbstone.errors import InputError
from kerbstone.formats.detections import DetectedLog, DetectionSource, read_detections
from kerbstone.label import GapCount, LabelReport, Labels, Provenance, read_labels, read_profile
from kerbstone.label.labelling import sensor_path
from kerbstone.label.online import track_online
from kerbstone.scene import BoxIndex, Scene
from kerbstone.store import Store

_MOST_LOGS = 3
_MOST_EVENTS = 40
"""So many joined and extended tracks of a log are listed."""
_LONGEST = 60.0
"""A log is shown for so long at most, where most was filled in [s]."""
_LEAST = 3
"""Online tracks of fewer detections are left out of what was before."""
_HOW_TO_COMPARE = (
    "Choose a scene with “before” to see the tracks of the online pass, with the boxes as they "
    "were detected."
)
_WORDS = {
    Provenance.INTERPOLATED: ("joined", "filled in over {:.1f} s"),
    Provenance.INFILLED: ("joined", "filled in by the scene model over {:.1f} s"),
    Provenance.EXTRAPOLATED: ("extended", "goes on for {:.1f} s without a detection"),
}


def label_page(report: LabelReport, sources: Sequence[DetectionSource], store: str) -> str:
    """Return a page about a labelling.

    It plays the logs in which most was filled in, as the online pass had them and as they are in
    the store, and lists there what was joined over a gap or goes on beyond its detections.

    Args:
        report: What the labelling did.
        sources: What was labelled.
        store: The store with the labels.

    Raises:
        InputError: No log was labelled.
    """
    road = Store.open(store)
    chosen = _choose(report, sources, road)
    if not chosen:
        raise InputError("empty", "there is nothing to show: no log has labels", where=store)
    profile = read_profile(report.profile)
    scenes: list[Scene] = []
    events: dict[str, list[Event]] = {}
    offsets: dict[str, float] = {}
    listed: list[Listed] = []
    for source, scene in chosen:
        log = read_detections(source)
        online = track_online(log.detections, profile.matching, sensor=sensor_path(log.scene))
        labels = read_labels(road, scene)
        first, steps = _busiest(labels)
        before, _ = _online_labels(log, online).to_scene(first, steps)
        after, part = labels.to_scene(first, steps)
        # What has changed is what one comes for, so it is shown first.
        after = replace(after, id=f"{source.name} · after")
        before = replace(before, id=f"{source.name} · before")
        scenes += [after, before]
        offsets |= {made.id: first * labels.scene.clock.dt for made in (after, before)}
        events[after.id] = _events(part)
        listed += [
            _list(event, after, source.name, offsets[after.id]) for event in events[after.id]
        ]
    counts = report.metrics
    histogram = report.histogram()
    total = max(sum(histogram), 1)
    sure = sum(histogram[len(histogram) * 9 // 10 :]) / total
    return playback_page(
        scenes,
        title=f"Labels of {count_of(len(report.logs), 'log')}",
        facts=[
            ("tracks", format_count(counts["tracks"])),
            ("by the online pass alone", format_count(counts["online"])),
            ("joined to others", format_count(counts["joined"])),
            ("split off", format_count(counts["split"])),
            ("labels detected", format_count(counts["cells_detected"])),
            ("filled in", format_count(counts["cells_interpolated"] + counts["cells_infilled"])),
            ("extended", format_count(counts["cells_extrapolated"])),
            ("surer than 0.9", f"{100 * sure:.0f} %"),
        ],
        notes=[
            _HOW_TO_COMPARE,
            "Labels by confidence: "
            + ", ".join(
                f"{place / len(histogram):.1f} to {(place + 1) / len(histogram):.1f}: "
                f"{format_count(count)}"
                for place, count in enumerate(histogram)
                if count
            )
            + ".",
            *_tell_gaps(report),
            *say_simulated(scenes),
        ],
        events=events,
        matches=listed,
        listed_as="Joined and extended",
        offsets=offsets,
    )


def _tell_gaps(report: LabelReport) -> list[str]:
    """Say who filled how many gaps; the terminal has them by length, with both likelihoods."""
    infilling = report.infilling()
    if infilling is None:
        return []
    groups: dict[str, list[GapCount]] = {}
    for row in infilling.counts:
        groups.setdefault(row.group, []).append(row)
    told = [
        f"{group} {sum(row.infilled for row in rows)} of {sum(row.gaps for row in rows)}"
        for group, rows in groups.items()
    ]
    counts = ", ".join(told) or "there are none"
    why = "where it gives hidden detections a higher likelihood than the smoother"
    return [f"Gaps that the scene model filled, {why}: {counts}."]


def _choose(
    report: LabelReport, sources: Sequence[DetectionSource], road: Store
) -> list[tuple[DetectionSource, str]]:
    """Return the logs in which most was filled in, each with its first scene of labels."""
    table = road.scenes(["id", "log_key"])
    scene_of: dict[str, str] = {}
    for scene, log in zip(table["id"].to_pylist(), table["log_key"].to_pylist(), strict=True):
        scene_of.setdefault(log, scene)
    filled = {
        log.name: sum(log.cells.get(each.name.lower(), 0) for each in _WORDS)
        for log in report.logs
        if log.error is None and log.name in scene_of
    }
    order = sorted(filled, key=lambda name: (-filled[name], name))[:_MOST_LOGS]
    by_name = {source.name: source for source in sources}
    return [(by_name[name], scene_of[name]) for name in order]


def _busiest(labels: Labels) -> tuple[int, int]:
    """Return the first step and the number of steps of the stretch where most was filled in."""
    clock = labels.scene.clock
    steps = min(clock.steps, max(round(_LONGEST / clock.dt), 1))
    made = np.isin(labels.provenance, np.array([*_WORDS], np.uint8))
    count = np.bincount(labels.step[made], minlength=clock.steps)
    total = np.concatenate([[0], np.cumsum(count)])
    return int(np.argmax(total[steps:] - total[:-steps])), steps


def _online_labels(log: DetectedLog, online: np.ndarray) -> Labels:
    """Return the tracks of the online pass, with the boxes as they were detected."""
    seen = log.detections
    hits = np.bincount(online)
    rows = np.flatnonzero(hits[online] >= _LEAST)
    rows = rows[np.lexsort((seen.step[rows], online[rows]))]
    numbers, first, agent = np.unique(online[rows], return_index=True, return_inverse=True)
    count = len(rows)
    centre = seen.box[rows, : BoxIndex.HEADING]
    return Labels(
        scene=log.scene,
        ids=tuple(f"online-{number}" for number in numbers),
        kind=seen.kind[rows[first]],
        name=tuple(str(each) for each in log.labels[rows[first]]),
        size=seen.box[rows[first], BoxIndex.LENGTH :],
        agent=agent.astype(np.int64),
        step=seen.step[rows],
        place=centre,
        heading=seen.box[rows, BoxIndex.HEADING],
        velocity=np.full((count, 2), np.nan),
        std=np.full((count, 4), np.nan),
        confidence=np.ones(count),
        provenance=np.full(count, Provenance.DETECTED, np.uint8),
        row=rows,
    )


@dataclass(frozen=True)
class _Run:
    agent: int
    first: int
    last: int
    provenance: Provenance


def _events(labels: Labels) -> list[Event]:
    """Return the stretches that no detection shows, the longest first."""
    same = (np.diff(labels.agent) == 0) & (np.diff(labels.step) == 1)
    same &= np.diff(labels.provenance.astype(np.int64)) == 0
    starts = np.flatnonzero(np.concatenate([[True], ~same])) if len(labels) else np.zeros(0, int)
    ends = np.append(starts[1:], len(labels)) - 1
    runs = [
        _Run(
            int(labels.agent[start]),
            int(labels.step[start]),
            int(labels.step[end]),
            Provenance(int(labels.provenance[start])),
        )
        for start, end in zip(starts, ends, strict=True)
    ]
    made = sorted(
        (run for run in runs if run.provenance in _WORDS),
        key=lambda run: (run.first - run.last, run.agent, run.first),
    )[:_MOST_EVENTS]
    dt = labels.scene.clock.dt
    events = []
    for run in made:
        kind, note = _WORDS[run.provenance]
        events.append(
            Event(
                kind=kind,
                agents=(labels.ids[run.agent],),
                start=run.first * dt,
                end=(run.last + 1) * dt,
                note=note.format((run.last - run.first + 1) * dt),
            )
        )
    return events


def _list(event: Event, scene: Scene, log: str, offset: float) -> Listed:
    return Listed(
        title=f"{log.rpartition('/')[2]} · {event.kind}",
        when=f"{offset + event.start:.1f} s",
        detail=f"track {event.agents[0]}: {event.note}",
        strength="",
        scene=scene.id,
        event=event,
    )
