"""The whole loop on simulated roads, as far as it is built: simulate, ingest, find, label, show."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from kerbstone.app.playback import Event, playback_page
from kerbstone.app.summary import summarise
from kerbstone.app.terminal import Progress, format_count, writing_file
from kerbstone.formats.detections import stored_detections
from kerbstone.formats.sumo import TOWNS, SimulationConfig, simulate_roads, vary_config
from kerbstone.label import label
from kerbstone.mine import find
from kerbstone.scene import NS_PER_S, Scene
from kerbstone.store import Store

_SHOWN = 6
_LABELLED = 2
"""So many of the scenes that are shown are labelled."""
_SOUGHT = (
    "red_light_running",
    "emergency_stop_of_leader",
    "cut_in",
    "stepping_out_from_occlusion",
    "stopped_in_lane",
    "slow_leader",
    "driving_wrong_way",
    "tailgating",
)
"""Named scenarios that find what is planted, and the like that traffic does by itself."""

Step = Callable[..., AbstractContextManager[Progress]]


@dataclass(frozen=True)
class DemoReport:
    """What the demo made.

    Args:
        store: The store's folder.
        page: The report.
        seconds: Wall time [s].
        datasets: What is in the store, as `kerbstone scenes` tells it.
        towns: Scenes and road users of each town.
        events: Planted events by kind.
        found: Matches of named scenarios.
        detections: Number of simulated detections.
        labels: Store with finished tracks of some scenes.
        tracks: Number of finished tracks.
        filled: Number of labels without a detection.
    """

    store: Path
    page: Path
    seconds: float
    datasets: list[dict[str, Any]]
    towns: list[dict[str, Any]]
    events: dict[str, int]
    found: dict[str, int]
    detections: int
    labels: Path
    tracks: int
    filled: int


def run_demo(
    folder: Path, *, seed: int = 4, workers: int | None = None, show_step: Step
) -> DemoReport:
    """Simulate towns, read them into a store, find scenarios, label detections, write a report.

    What is there already from an earlier demo is not made again.

    Args:
        folder: Where everything goes.
        seed: Another seed gives other traffic; with 4, all kinds of planted events come off.
        workers: Processes; as many as there are processors, at most one per town, if not given.
        show_step: Shows the progress of a step, as `show_progress` does.

    Raises:
        MissingError: SUMO is not installed.
    """
    started = time.monotonic()
    towns = list(TOWNS)
    config = SimulationConfig(seed=seed, duration=90.0, agents=80, event_pause=6.0)
    configs = vary_config(config, towns=towns, sides=("right", "left"), logs=len(towns) + 2)
    road = folder / "road"
    workers = workers or min(os.cpu_count() or 1, len(towns))
    with show_step("simulating and reading towns", unit="steps") as progress:
        simulate_roads(
            configs,
            road,
            folder=folder / "logs",
            workers=workers,
            on_start=lambda count: progress.start(2 * count),
            on_log=lambda _: progress.advance(1),
            on_result=lambda _: progress.advance(1),
        )
    store = Store.open(str(road))
    with show_step("finding scenarios", unit="scenarios") as progress:
        progress.start(len(_SOUGHT))
        found = {name: _count(name, store, progress) for name in _SOUGHT}
    table = _simulated(store)
    events = store.rows("events").to_pylist()
    counts: dict[str, int] = {}
    for event in events:
        counts[event["kind"]] = counts.get(event["kind"], 0) + 1
    page = folder / "report.html"
    labels = folder / "labels"
    chosen = _choose_scenes(table, events)
    with show_step("labelling detections", unit="scenes") as progress:
        _label(store, labels, chosen[:_LABELLED], progress)
    finished = Store.open(str(labels)).rows(
        "label_cells", columns=["scene_id", "agent", "detection"]
    )
    report = DemoReport(
        store=road,
        page=page,
        seconds=time.monotonic() - started,
        datasets=summarise(table),
        towns=_summarise_towns(table),
        events=dict(sorted(counts.items())),
        found=found,
        detections=store.rows("detections", columns=["scene_id"]).num_rows,
        labels=labels,
        tracks=finished.group_by(["scene_id", "agent"]).aggregate([]).num_rows,
        filled=int((finished["detection"].to_numpy() < 0).sum()),
    )
    text = _write_page(store, report, events, chosen)
    with writing_file(page):
        page.write_text(text, encoding="utf-8")
    return report


def _count(name: str, store: Store, progress: Progress) -> int:
    finding = find(name, store, where="dataset = 'sumo'", top=20, near_misses=0)
    progress.advance(1)
    return finding.total


def _label(store: Store, out: Path, scenes: list[str], progress: Progress) -> None:
    label(
        stored_detections(store, scenes=scenes),
        out,
        on_start=progress.start,
        on_result=lambda _: progress.advance(1),
    )


def _write_page(
    store: Store, report: DemoReport, events: list[dict[str, Any]], chosen: list[str]
) -> str:
    scenes = [store.scene(name) for name in chosen]
    (dataset,) = report.datasets
    return playback_page(
        scenes,
        title="Kerbstone demo: simulated roads",
        facts=[
            ("towns", str(len(report.towns))),
            ("scenes", format_count(dataset["scenes"])),
            ("road users", format_count(dataset["agents"])),
            ("road time", f"{dataset['hours'] * 60:.0f} min"),
            ("driven by ego", f"{dataset['ego_km']:.1f} km"),
            ("planted events", format_count(sum(report.events.values()))),
            ("scenarios found", format_count(sum(report.found.values()))),
            ("simulated detections", format_count(report.detections)),
            (f"tracks labelled in {_LABELLED} scenes", format_count(report.tracks)),
        ],
        notes=[
            "All traffic on this page is simulated with SUMO.",
            "Marks on the time line are planted rare events, at the times at which they happened.",
        ],
        events={
            scene.id: [_to_event(event, scene) for event in events if event["scene_id"] == scene.id]
            for scene in scenes
        },
    )


def _simulated(store: Store) -> pa.Table:
    # Who goes on from the demo may have read other logs into its store.
    return store.scenes(filter="dataset = 'sumo'")


def _choose_scenes(table: pa.Table, events: list[dict[str, Any]]) -> list[str]:
    """Return the scenes to show: the ones with most kinds of events, each from another town."""
    kinds: dict[str, set[str]] = {}
    for event in events:
        kinds.setdefault(event["scene_id"], set()).add(event["kind"])
    scenes = sorted(
        zip(table.column("id").to_pylist(), table.column("town").to_pylist(), strict=True),
        key=lambda scene: (-len(kinds.get(scene[0], ())), scene[0]),
    )
    first_of_town: dict[str, str] = {}
    for name, town in scenes:
        first_of_town.setdefault(town, name)
    return list(first_of_town.values())[:_SHOWN]


def _to_event(event: dict[str, Any], scene: Scene) -> Event:
    start = (event["start_ns"] - scene.clock.start_ns) / NS_PER_S
    end = (event["end_ns"] - scene.clock.start_ns) / NS_PER_S
    return Event(
        kind=event["kind"],
        agents=tuple(event["agents"]),
        start=max(start, 0.0),
        end=min(end, scene.clock.duration),
    )


def _summarise_towns(table: pa.Table) -> list[dict[str, Any]]:
    towns: dict[str, dict[str, Any]] = {}
    for scene in table.to_pylist():
        row = towns.setdefault(scene["town"], {"town": scene["town"], "scenes": 0, "agents": 0})
        row["scenes"] += 1
        row["agents"] += scene["agents"]
        row["side"] = ("unknown", "right", "left")[scene["driving_side"]]
    return [towns[name] for name in sorted(towns)]
