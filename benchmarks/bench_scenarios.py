"""Named scenarios against the rare events planted into simulated roads: recall and precision.

    python benchmarks/bench_scenarios.py [--folder FOLDER] [--share SHARE] [--seed S]

All traffic is simulated with SUMO. The scenarios were written with seeds below 9000; these are
others. All the towns that there are had been looked at: of grid, spider, roundabouts and motorway
each seed is another town, of berlin and braunschweig it is other traffic.

A planted event is found where a match names the road user that misbehaves while it does. A match
that was not planted may still be one: traffic does such things by itself. So each is put to the
measure by which the simulation confirms what it planted, from SUMO's own recording, or to one of
`judges.py`, where that measure does not fit. `planted` is the share of matches that were planted,
`precision` the share that were planted or are confirmed.

An event at the border of two scenes counts once, and is found if it is found in either. One whose
road user the scenes do not hold for half of it, because it is too far from ego, does not count.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from judges import Recording
from kerbstone.formats.sumo import SimulationConfig, simulate_roads, vary_config
from kerbstone.formats.sumo.events import Attempt, EventKind
from kerbstone.formats.sumo.log import SimulatedLog
from kerbstone.formats.sumo.network import read_network
from kerbstone.formats.sumo.truth import confirm_events
from kerbstone.lang import Facts, evaluate
from kerbstone.lang.library import prepare
from kerbstone.lang.matches import list_matches
from kerbstone.scene import NS_PER_S, Scene
from kerbstone.store import Store, parallel_map
from timing import print_rows, write_results

QUERIES = {
    EventKind.RED_LIGHT_RUNNING: "any v: red_light_running(v)",
    EventKind.EMERGENCY_BRAKING: "any v: emergency_stop_of_leader(v, ego)",
    EventKind.CLOSE_CUT_IN: "vehicle v: cut_in(v, ego)",
    EventKind.HIDDEN_PEDESTRIAN: "pedestrian v, vehicle w: stepping_out_from_occlusion(v, w)",
    EventKind.STOPPED_VEHICLE: "any v: stopped_in_lane(v) and distance(v, ego) < 120 m",
    EventKind.SLOW_VEHICLE: "any v: slow_leader(v, ego)",
    EventKind.WRONG_WAY: "vehicle v: driving_wrong_way(v)",
    EventKind.TAILGATING: "vehicle v: tailgating(v, ego)",
}
"""What looks for each kind; `v` is the one that misbehaves."""

HELD_OUT = 9000
_TOWNS = ("grid", "spider", "roundabouts", "motorway", "berlin", "braunschweig")
_RARE = {  # these come off seldom, and only in some towns: where, and in how many logs
    EventKind.CLOSE_CUT_IN: (("motorway", "motorway", "spider"), 36),
    EventKind.HIDDEN_PEDESTRIAN: (("spider", "spider", "roundabouts"), 22),
    EventKind.TAILGATING: (("motorway", "grid", "berlin"), 8),
    EventKind.WRONG_WAY: (("grid", "spider", "braunschweig"), 6),
    EventKind.EMERGENCY_BRAKING: (("grid", "motorway", "braunschweig"), 5),
}
_MIXED = 24
"""How many logs hold all kinds."""
_JUDGED_APART = (EventKind.HIDDEN_PEDESTRIAN, EventKind.STOPPED_VEHICLE)
"""What the simulation's measure cannot tell: it needs the vehicle that the script chose to hide the
pedestrian, or takes any vehicle that stands, as in a queue."""
_AROUND = 6.0
"""How long around a match the measure may find it [s]."""
_NEAR = 1.0
"""A match may begin that much after an event's end, or end before its beginning [s]."""


def configurations(share: float, seed: int) -> list[SimulationConfig]:
    """Return logs of 300 s: some with all kinds of events, and some with each rare one alone."""
    base = SimulationConfig(seed=seed, duration=300.0, agents=100, event_pause=8.0)
    logs = max(round(share * _MIXED), 1)
    configs = vary_config(base, towns=_TOWNS, sides=("right", "left"), logs=logs)
    for k, (kind, (towns, count)) in enumerate(_RARE.items()):
        own = replace(base, seed=seed + 100 * (k + 1), events=(str(kind),))
        logs = max(round(share * count), 1)
        configs += vary_config(own, towns=towns, sides=("right", "left"), logs=logs)
    return configs


def score_scene(work: tuple[str, str]) -> dict[str, dict[str, Any]]:
    """Return the planted events of a scene and whether each is found, and what else was."""
    uri, name = work
    store = Store.open(uri)
    scene = store.scene(name)
    facts = Facts(scene)
    events = store.rows("events", filter=f"scene_id = '{name}'").to_pylist()
    origin = scene.clock.start_ns
    out = {}
    rows = {name: row for row, name in enumerate(scene.agents.ids)}
    for kind, text in QUERIES.items():
        truth = []
        for event in events:
            if event["kind"] != kind:
                continue
            start, end = ((event[key] - origin) / NS_PER_S for key in ("start_ns", "end_ns"))
            truth.append((event["agents"], start, end))
        found = list_matches(evaluate(prepare(text), facts, floor=0.0), facts)
        spans = _merge([(m.witnesses["v"], m.start, m.end) for m in found if m.robustness > 0])

        def fits(event, span):
            (agents, start, end), (agent, first, last) = event, span
            return agents[0] == agent and first <= end + _NEAR and last >= start - _NEAR

        hits = [any(fits(event, span) for span in spans) for event in truth]
        extra = [span for span in spans if not any(fits(event, span) for event in truth)]
        right = len(spans) - len(extra)
        ego = scene.agents.ids[scene.ego] if scene.ego is not None else ""
        out[str(kind)] = {
            "truth": [
                (name, agents, start, end, origin, _recorded(scene, rows, agents[0], start, end))
                for agents, start, end in truth
            ],
            "hits": hits,
            "right": right,
            "extra": [(name, agent, start, end, ego, origin) for agent, start, end in extra],
        }
    return out


def _recorded(scene: Scene, rows: dict[str, int], agent: str, start: float, end: float) -> float:
    """Return for how long a scene holds a road user between two times [s]."""
    if agent not in rows:
        return 0.0
    time = np.arange(scene.clock.steps) * scene.clock.dt
    inside = (time >= start) & (time <= end)
    return float((scene.agents.valid[rows[agent]] & inside).sum() * scene.clock.dt)


def _merge(spans: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Return one span for each stretch of a road user, over short gaps."""
    merged: list[tuple[str, float, float]] = []
    for agent, start, end in sorted(spans):
        if merged and merged[-1][0] == agent and start <= merged[-1][2] + 2.0:
            merged[-1] = (agent, merged[-1][1], max(merged[-1][2], end))
        else:
            merged.append((agent, start, end))
    return merged


def confirm(extra: dict[str, list], folder: Path) -> dict[str, list]:
    """Return for each kind which of the matches that were not planted are real all the same."""
    confirmed = defaultdict(list)
    by_log = defaultdict(list)
    for kind, spans in extra.items():
        for span in spans:
            by_log[span[0].split("/")[1]].append((kind, span))
    for log_name, spans in by_log.items():
        folders = [path for path in folder.iterdir() if log_name.startswith(path.name)]
        log = SimulatedLog.read(max(folders, key=lambda path: len(path.name)))
        network = read_network(log.folder / log.network)
        recording = Recording(log, network)
        for kind, span in spans:
            _, agent, start, end, ego, origin = span
            begin, until = origin / NS_PER_S + start, origin / NS_PER_S + end
            if recording.happened(EventKind(kind), agent, ego, begin, until):
                confirmed[kind].append(span)
                continue
            if kind in _JUDGED_APART or agent == ego:
                continue
            # A match may be only a part of what the measure asks to last.
            attempt = Attempt(EventKind(kind), (agent, ego), begin - _AROUND, until + _AROUND)
            if confirm_events([attempt], log, network):
                confirmed[kind].append(span)
    return confirmed


def interval(hits: int, count: int) -> str:
    """Return the 95 % interval of a share (Wilson 1927)."""
    low, high = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    return f"{low:.2f}–{high:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, help="keep the logs and the store here")
    parser.add_argument("--share", type=float, default=1.0, help="simulate so much of it all")
    parser.add_argument("--seed", type=int, default=HELD_OUT)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="print what was missed or extra")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        configs = configurations(given.share, given.seed)
        simulate_roads(configs, folder / "road", folder=folder / "logs", workers=given.workers)
        store = Store.open(str(folder / "road"))
        names = store.scenes(columns=["id"]).column("id").to_pylist()
        rows = score(str(folder / "road"), names, folder / "logs", given)
    print_rows(f"{len(configs)} simulated logs of 300 s, {len(names)} scenes", rows)
    print("wrote", write_results("scenarios", rows))


@dataclass
class _Event:
    """A planted event, over all scenes that it is in."""

    where: tuple
    duration: float
    recorded: float = 0.0
    is_found: bool = False


def score(uri: str, names: list[str], logs: Path, given: argparse.Namespace) -> list[dict]:
    total = {str(kind): Counter() for kind in QUERIES}
    extra, missed = defaultdict(list), defaultdict(list)
    seen: dict[str, dict[tuple, _Event]] = defaultdict(dict)
    works = [(uri, name) for name in names]
    for _, result in parallel_map(score_scene, works, workers=given.workers):
        if isinstance(result, Exception):
            raise result
        for kind, found in result.items():
            total[kind]["right"] += found["right"]
            extra[kind] += found["extra"]
            for event, hit in zip(found["truth"], found["hits"], strict=True):
                name, agents, start, end, origin, recorded = event
                key = (name.split("/")[1], tuple(agents), round(origin / NS_PER_S + start, 1))
                known = seen[kind].setdefault(key, _Event(event, end - start))
                known.recorded += recorded
                known.is_found |= hit
    for kind, known in seen.items():
        counted = [event for event in known.values() if event.recorded >= event.duration / 2]
        total[kind]["events"] = len(counted)
        total[kind]["found"] = sum(event.is_found for event in counted)
        missed[kind] = [event.where for event in counted if not event.is_found]
    confirmed = confirm(extra, logs)
    rows = []
    for kind, counts in total.items():
        events, found, right = counts["events"], counts["found"], counts["right"]
        matches = right + len(extra[kind])
        real = right + len(confirmed[kind])
        rows.append(
            {
                "kind": kind,
                "query": QUERIES[EventKind(kind)],
                "events": events,
                "recall": found / events if events else np.nan,
                "recall_95": interval(found, events) if events else "",
                "matches": matches,
                "planted": right / matches if matches else np.nan,
                "precision": real / matches if matches else np.nan,
                "precision_95": interval(real, matches) if matches else "",
            }
        )
        if given.verbose:
            for event in missed[kind]:
                print("missed", kind, event)
            for span in extra[kind]:
                print("confirmed" if span in confirmed[kind] else "extra", kind, span)
    return rows


if __name__ == "__main__":
    main()
