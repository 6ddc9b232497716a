"""Many simulated logs at once: traffic in several towns, straight into a store."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from kerbstone.errors import InputError, KerbstoneError
from kerbstone.formats.intake import IngestReport, LogResult, ingest
from kerbstone.formats.sumo.log import MANIFEST, SimulatedLog
from kerbstone.formats.sumo.program import read_version
from kerbstone.formats.sumo.simulation import SimulationConfig, simulate
from kerbstone.formats.sumo.towns import check_town
from kerbstone.store import Store, parallel_map


def vary_config(
    config: SimulationConfig, *, towns: Sequence[str], sides: Sequence[str], logs: int
) -> list[SimulationConfig]:
    """Return configurations that go through the towns and driving sides in turn.

    Args:
        config: What they have in common; its seed is the first one's, and each next is one up.
        towns: Keys of `TOWNS`, or networks of one's own.
        sides: "right", "left" or both.
        logs: How many configurations.
    """
    places = [(town, side) for side in sides for town in towns]
    return [
        dataclasses.replace(config, town=town, side=side, seed=config.seed + i)
        for i, (town, side) in enumerate(islice(cycle(places), logs))
    ]


def simulate_roads(
    configs: Sequence[SimulationConfig],
    store: str | Path,
    *,
    folder: Path | None = None,
    workers: int = 1,
    on_start: Callable[[int], object] = lambda _: None,
    on_log: Callable[[Path], object] = lambda _: None,
    on_result: Callable[[LogResult], object] = lambda _: None,
) -> IngestReport:
    """Simulate traffic and ingest it, with the events that were planted and what ego detects.

    A log that is there already, from the same configuration and the same SUMO, is not simulated
    again, so a run that was stopped goes on where it was.

    Args:
        configs: What to simulate, one log each.
        store: The store's folder or URI; it is made if it is not there.
        folder: Where the logs are kept; beside the store if not given.
        workers: Processes that work at the same time.
        on_start: Called with the number of logs to simulate.
        on_log: Called with each log's folder as it is there.
        on_result: Called with the result of each log as it is ingested.

    Raises:
        InputError: A configuration cannot be simulated, or nothing is to be simulated.
        MissingError: SUMO is not installed.
        KerbstoneError: SUMO stopped with an error.
    """
    if not configs:
        raise InputError("empty", "there is nothing to simulate", remedy="ask for at least one log")
    for config in configs:  # before anything is made
        check_town(config.town)
    place = Path(folder) if folder is not None else Path(f"{store}-logs")
    works = [_Work(config, place / log_name(config)) for config in configs]
    target = Store.create(str(store))
    on_start(len(works))
    settings = {"logs": [dataclasses.asdict(config) for config in configs], "workers": workers}
    with target.run(command="simulate", config=settings, seed=configs[0].seed) as run:
        failures: list[KerbstoneError] = []
        for work, outcome in parallel_map(_simulate_one, works, workers=workers):
            if isinstance(outcome, KerbstoneError):
                failures.append(outcome)
            else:
                on_log(work.folder)
        if failures:  # the other logs are kept, so that a second run goes on with what is missing
            raise failures[0]
        run.metrics["logs"] = len(works)
        run.metrics["duration"] = sum(config.duration for config in configs)
    return ingest(
        [work.folder for work in works],
        store,
        format="sumo",
        workers=workers,
        on_result=on_result,
    )


def log_name(config: SimulationConfig) -> str:
    """Return the name of the log that a configuration gives: the town and a digest of it all."""
    text = json.dumps(dataclasses.asdict(config), sort_keys=True)
    return f"{config.town_name}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"


@dataclass(frozen=True)
class _Work:
    config: SimulationConfig
    folder: Path


def _simulate_one(work: _Work) -> None:
    """Simulate one log unless it is there; runs in a worker process."""
    if (work.folder / MANIFEST).is_file():
        known = SimulatedLog.read(work.folder)
        if known.sumo == read_version():
            return
    simulate(work.config, work.folder)
