"""Simulated road: a town, its traffic, planted events, and what is recorded of them."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerbstone.errors import InputError, suggest_name
from kerbstone.formats.sumo.demand import EGO, Population, write_demand
from kerbstone.formats.sumo.events import EventKind, plant_events
from kerbstone.formats.sumo.log import MANIFEST, SimulatedLog
from kerbstone.formats.sumo.network import read_network
from kerbstone.formats.sumo.program import read_version, run_connected
from kerbstone.formats.sumo.towns import TOWNS, Side, build_town
from kerbstone.formats.sumo.truth import confirm_events, write_events

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = 0.1
"""Time from step to step [s]: 10 Hz."""


@dataclass(frozen=True)
class SimulationConfig:
    """What to simulate.

    Args:
        town: A key of `TOWNS`, or the path of one's own `.net.xml`, `.osm` or `.xodr`.
        side: On which side vehicles drive; a network of one's own has its own side.
        seed: The same seed, configuration and version of SUMO give the same scenes, bit by bit.
        duration: How much road time is recorded [s].
        agents: Number of road users in the town, the recording car included.
        population: How the drivers are.
        events: The kinds of rare events to plant, or `all`; empty for none.
        event_pause: Mean time between planted events [s].
        radius: How far around the recording car road users are recorded [m]; 0 for everywhere.
        scene_duration: How long a scene is [s].
        warm_up: How long traffic runs before it is recorded [s].

    Raises:
        InputError: A value is out of range, or an event has no such name.
    """

    town: str = "grid"
    side: Side = "right"
    seed: int = 0
    duration: float = 300.0
    agents: int = 100
    population: Population = "mixed"
    events: tuple[str, ...] = ("all",)
    event_pause: float = 15.0
    radius: float = 150.0
    scene_duration: float = 60.0
    warm_up: float = 30.0

    def __post_init__(self) -> None:
        for name, least in (
            ("duration", 1.0),
            ("agents", 1),
            ("event_pause", 0.1),
            ("radius", 0.0),
            ("scene_duration", 1.0),
            ("warm_up", 0.0),
            ("seed", 0),
        ):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= least):
                raise InputError(
                    "config", f"{name} is out of range", why=f"{value}, must be at least {least}"
                )
        for name in self.events:
            if name not in {"all", *EventKind}:
                raise InputError(
                    "name",
                    f"there is no event {name!r}",
                    remedy=suggest_name(name, ["all", *map(str, EventKind)]),
                )

    @property
    def event_kinds(self) -> tuple[EventKind, ...]:
        """The kinds of events to plant."""
        if "all" in self.events:
            return tuple(EventKind)
        return tuple(EventKind(name) for name in dict.fromkeys(self.events))

    @property
    def town_name(self) -> str:
        """The town as splits know it: same name, same roads."""
        if self.town not in TOWNS:
            return Path(self.town).name.split(".")[0]
        variant = f"-{self.seed}" if TOWNS[self.town].is_generated else ""
        return f"{self.town}{variant}-{self.side}"


def simulate(config: SimulationConfig, folder: Path) -> SimulatedLog:
    """Simulate traffic and write it as a log that `kerbstone ingest` reads.

    Args:
        config: What to simulate.
        folder: Folder to write; it must be empty or new, or hold an earlier simulation,
            which is then replaced.

    Returns:
        The log. Its `events.json` holds the truth about the planted events.

    Raises:
        InputError: The folder holds something else, or the town cannot be read.
        MissingError: SUMO is not installed.
        KerbstoneError: SUMO stopped with an error.
    """
    with new_folder(folder) as place:
        log = _simulate(config, place)
        log.write()
    return dataclasses.replace(log, folder=Path(folder).resolve())


def _simulate(config: SimulationConfig, folder: Path) -> SimulatedLog:
    demand_rng, event_rng, sumo_rng = np.random.default_rng(config.seed).spawn(3)
    network_path = folder / "town.net.xml.gz"
    build_town(config.town, network_path, side=config.side, seed=config.seed)
    network = read_network(network_path)
    end = config.warm_up + config.duration
    write_demand(
        folder / "demand.rou.xml",
        network,
        agents=config.agents,
        population=config.population,
        duration=end,
        rng=demand_rng,
    )
    (folder / "signals.add.xml").write_text(signals_request("signals.xml"), encoding="utf-8")
    arguments = [
        *("-n", str(network_path), "-r", str(folder / "demand.rou.xml")),
        *("-a", str(folder / "signals.add.xml")),
        *("--step-length", str(STEP), "--lateral-resolution", "0.8"),
        *("--seed", str(sumo_rng.integers(1, 2**31)), "--precision", "6"),
        *("--fcd-output", str(folder / "fcd.parquet"), "--output.compression", "zstd"),
        *("--device.fcd.begin", str(config.warm_up), "--max-depart-delay", str(config.warm_up)),
        # Nobody is spirited away: who is stuck or collides stays where it is.
        *("--time-to-teleport", "-1", "--collision.action", "warn", "--no-step-log"),
    ]
    place = f"{config.town}, seed {config.seed}"
    with run_connected(arguments, folder / "sumo.log", where=place) as connection:
        attempts = plant_events(
            connection,
            network,
            kinds=config.event_kinds,
            pause=config.event_pause,
            start=config.warm_up,
            end=end,
            rng=event_rng,
        )
    (folder / "signals.add.xml").unlink()
    log = SimulatedLog(
        folder=folder,
        town=config.town_name,
        ego=EGO,
        radius=config.radius,
        scene_duration=config.scene_duration,
        network=network_path.name,
        recordings=("fcd.parquet",),
        types=("demand.rou.xml",),
        # SUMO writes no file where there are no lights.
        signals="signals.xml" if (folder / "signals.xml").exists() else "",
        events="events.json",
        licence=TOWNS[config.town].licence if config.town in TOWNS else "",
        sumo=read_version(),
        config=dataclasses.asdict(config),
    )
    write_events(confirm_events(attempts, log, network), folder / log.events)
    return log


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to write into, which takes its place and name when all went well.

    Raises:
        InputError: What is there already is neither empty nor an earlier simulation.
    """
    folder = Path(folder).resolve()
    if folder.exists():
        is_ours = folder.is_dir() and ((folder / MANIFEST).is_file() or not any(folder.iterdir()))
        if not is_ours:
            raise InputError(
                "value",
                "the place to simulate into holds something else",
                where=str(folder),
                remedy="choose an empty or new folder",
            )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        place = Path(temporary) / folder.name
        place.mkdir()
        yield place
        if folder.exists():
            shutil.rmtree(folder)
        place.rename(folder)


def signals_request(file: str) -> str:
    """Return the additional file that has SUMO record when lights switch."""
    event = f'<timedEvent type="SaveTLSSwitchStates" dest="{file}"/>'
    return f"<additional>{event}</additional>\n"
