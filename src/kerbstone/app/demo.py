"""The whole loop on simulated roads, as far as it is built."""

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
from kerbstone.mine import FoundMatch, embed, find
from kerbstone.scene import NS_PER_S, Scene
from kerbstone.store import Store
from kerbstone.world import ForecastCheck
from kerbstone.world.training.progress import Progress as Line

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

_SIMULATED = "dataset = 'sumo'"
_SURPRISING = "any a: surprise(a) > 3"

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
        model: Folder of the model of the road; None where none was trained.
        forecast: How far off its forecasts are in towns that it never saw.
        surprises: Stretches in which a road user did what at most one in 1,000 does.
        planted: So many of them overlap a planted event of that road user.
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
    model: Path | None = None
    forecast: ForecastCheck | None = None
    surprises: int = 0
    planted: int = 0


def run_demo(
    folder: Path,
    *,
    seed: int = 4,
    workers: int | None = None,
    minutes: float = 2.0,
    show_step: Step,
) -> DemoReport:
    """Simulate towns, read them into a store, find, label, learn, and write a report.

    What is there already from an earlier demo is not made again.

    Args:
        folder: Where everything goes.
        seed: Another seed gives other traffic; with 4, all kinds of planted events come off.
        workers: Processes; as many as there are processors, at most one per town, if not given.
        minutes: For how long the model of the road learns [min]; 0 for not at all.
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
    learned = (
        _learn(store, folder / f"model-{minutes:g}min", minutes, show_step) if minutes > 0 else {}
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
        **learned,
    )
    text = _write_page(store, report, events, chosen)
    with writing_file(page):
        page.write_text(text, encoding="utf-8")
    return report


def _count(name: str, store: Store, progress: Progress) -> int:
    finding = find(name, store, where=_SIMULATED, top=20, near_misses=0)
    progress.advance(1)
    return finding.total


def _learn(store: Store, out: Path, minutes: float, show_step: Step) -> dict[str, Any]:
    """Train a small model of the road, let it look at all scenes, and find what surprised it."""
    from kerbstone.world import PretrainConfig, check_forecasts, pretrain, read_model
    from kerbstone.world.training.splits import split_store

    with show_step("learning the road", unit="steps") as progress:
        done = 0

        def advance(line: Line) -> None:
            nonlocal done
            if not done:
                progress.start(line.total)
            progress.advance(line.step - done)
            done = line.step

        # So short a run gets further by larger steps (decision 11).
        trained = pretrain(
            store,
            out,
            size="tiny",
            minutes=minutes,
            where=_SIMULATED,
            config=PretrainConfig(rate=5e-3),
            on_progress=advance,
        )
    with show_step("looking at scenes with the model", unit="logs") as progress:
        embed(
            store,
            out,
            where=_SIMULATED,
            on_start=progress.start,
            on_result=lambda _: progress.advance(1),
        )
    unseen = split_store(store, _SIMULATED, trained.held_out).held_out
    model, _ = read_model(out)
    surprising = find(_SURPRISING, store, where=_SIMULATED, top=200, near_misses=0)
    events = store.rows("events").to_pylist()
    return {
        "model": out,
        "forecast": check_forecasts(model, [store.scene(scene.id) for scene in unseen]),
        "surprises": surprising.total,
        "planted": sum(_is_planted(match, events, store) for match in surprising.matches),
    }


def _is_planted(match: FoundMatch, events: list[dict[str, Any]], store: Store) -> bool:
    """Return whether a match overlaps a planted event of the same road user."""
    clock = store.scene(match.scene).clock
    first = clock.start_ns + match.first * clock.dt_ns
    last = clock.start_ns + match.last * clock.dt_ns
    names = {witness.agent for witness in match.witnesses}
    return any(
        event["scene_id"] == match.scene
        and names & set(event["agents"])
        and event["start_ns"] < last
        and event["end_ns"] > first
        for event in events
    )


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
            *_tell_model(report),
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


def _tell_model(report: DemoReport) -> list[tuple[str, str]]:
    check = report.forecast
    if check is None:
        return []
    return [
        (f"off by {check.ahead:g} s ahead, unseen town", f"{check.likeliest:.1f} m"),
        ("constant velocity there", f"{check.constant_velocity:.1f} m"),
        ("surprises (rarer than 1 in 1,000)", format_count(report.surprises)),
    ]


def _simulated(store: Store) -> pa.Table:
    # Who goes on from the demo may have read other logs into its store.
    return store.scenes(filter=_SIMULATED)


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
