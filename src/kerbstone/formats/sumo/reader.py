"""SUMO's recordings as scenes: simulated logs, and networks with floating-car data beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from kerbstone.errors import InputError
from kerbstone.formats.files import bare_name, open_bytes
from kerbstone.formats.registry import Log
from kerbstone.formats.sumo.log import MANIFEST, SimulatedLog
from kerbstone.formats.sumo.network import Network, read_network
from kerbstone.formats.sumo.recordings import Rows, read_stretches
from kerbstone.formats.sumo.road_map import build_map, read_signals
from kerbstone.formats.sumo.sensor import simulate_detections
from kerbstone.formats.sumo.trajectories import build_agents, smooth_walks
from kerbstone.formats.sumo.truth import event_rows, read_events
from kerbstone.formats.sumo.vehicle_types import read_vehicle_types
from kerbstone.formats.sumo.xml_stream import stem_of
from kerbstone.scene import Agents, Clock, DrivingSide, Kind, Map, Scene, Signals, Source

_NETWORK = re.compile(r"\.(net\.xml(\.gz|\.xz)?|xodr)$", re.IGNORECASE)
_RECORDING = re.compile(r"\.(xml|csv)(\.gz|\.xz)?$|\.parquet$", re.IGNORECASE)
_TYPES = re.compile(r"(\.(rou|add|trips)|vtypes?)\.xml(\.gz|\.xz)?$", re.IGNORECASE)
_DEFAULT_SCENE = 60.0


@dataclass(frozen=True)
class _Recording:
    """What the scenes of a log are made from."""

    name: str
    path: Path
    town: str
    network: Path
    recordings: tuple[Path, ...]
    types: tuple[Path, ...]
    signals: Path | None = None
    ego: str = ""
    radius: float = 0.0
    scene_duration: float = _DEFAULT_SCENE
    licence: str = ""
    is_generated: bool = False


class Sumo:
    """SUMO: logs that `kerbstone simulate` wrote, and one's own runs.

    One's own run is a folder with a road network (`.net.xml`, or OpenDRIVE `.xodr` in the
    network's coordinates), floating-car data (`--fcd-output`, as XML, CSV or Parquet) and the
    `.rou.xml` and `.add.xml` files that declare its vehicle types. Such a run has no recording
    car. A scenario that was not run yet (`.sumocfg`) is run by `kerbstone simulate --sumo`.

    Logs are cut into consecutive scenes of a minute, or as the manifest says. The world is the
    network's own frame. Velocities are SUMO's speed in the direction of its heading.
    """

    name = "sumo"
    title = "SUMO"
    reads = "simulated logs; a road network with floating-car data (XML, CSV, Parquet)"
    extra = ""

    def claim(self, folder: Path, names: frozenset[str]) -> Iterable[Log]:
        """Give a simulated log, or one log per recording beside a network."""
        if MANIFEST in names or (len(names) == 1 and (folder / MANIFEST).is_file()):
            log = SimulatedLog.read(folder)
            if names & set(log.files):
                files = tuple(folder / name for name in log.files)
                yield Log(self.name, log.name, folder, files, claimed=tuple(sorted(names)))
                return
        recordings = sorted(name for name in names if _is_recording(folder / name))
        persons = [name for name in recordings if "person" in name.lower()]
        if len(recordings) == 2 and len(persons) == 1:
            recordings.remove(persons[0])
        for name in recordings:
            path = folder / name
            alone = f"sumo/{folder.name}"
            log_name = alone if len(recordings) == 1 else f"{alone}/{stem_of(path)}"
            beside = _beside(path)
            yield Log(self.name, log_name, path, beside, claimed=tuple(p.name for p in beside))
        if len(names) == 1 and next(iter(names)).lower().endswith(".sumocfg"):
            path = folder / next(iter(names))
            yield Log(self.name, f"sumo/{stem_of(path)}", path, (path,), claimed=(path.name,))

    def read(self, log: Log) -> Iterator[Scene]:
        """Give the scenes of a log, one after the other.

        Raises:
            InputError: A file is missing, cut off or malformed; a vehicle type is not known; the
                recording does not lie on the network; or the scenario was not run yet.
        """
        if log.path.is_dir():
            recording = _of_simulation(SimulatedLog.read(log.path), log)
        elif log.path.suffix.lower() == ".sumocfg":
            raise InputError(
                "missing-file",
                "a SUMO scenario has no recording yet",
                where=str(log.path),
                why="it says what to simulate, not what happened",
                remedy=f"kerbstone simulate --sumo {log.path.name}",
            )
        else:
            recording = _of_run(log)
        yield from _read_scenes(recording)

    def tables(self, log: Log, scene: Scene) -> Mapping[str, pa.Table]:
        """Give the planted events of a scene, what its car detects, and the truth about that.

        Only simulated logs have them: `events`, `detections`, `detection_truth`, `visibility`.

        Raises:
            InputError: The list of events is broken.
        """
        if not log.path.is_dir():
            return {}
        simulated = SimulatedLog.read(log.path)
        tables = {"events": event_rows(read_events(log.path), scene)}
        if scene.ego is not None:
            seen = simulate_detections(scene, seed=int(simulated.config.get("seed", 0)))
            tables |= {
                "detections": seen.detections,
                "detection_truth": seen.truth,
                "visibility": seen.visibility,
            }
        return tables


def _of_simulation(simulated: SimulatedLog, log: Log) -> _Recording:
    folder = simulated.folder
    return _Recording(
        name=log.name,
        path=folder,
        town=simulated.town,
        network=folder / simulated.network,
        recordings=tuple(folder / name for name in simulated.recordings),
        types=tuple(folder / name for name in simulated.types),
        signals=folder / simulated.signals if simulated.signals else None,
        ego=simulated.ego,
        radius=simulated.radius,
        scene_duration=simulated.scene_duration,
        licence=simulated.licence,
        is_generated="town" in simulated.config,
    )


def _of_run(log: Log) -> _Recording:
    beside = _beside(log.path)
    networks = [path for path in beside if _NETWORK.search(path.name)]
    stem = stem_of(log.path)
    matching = [path for path in networks if stem.startswith(stem_of(path))] or networks
    if len(matching) != 1:
        raise InputError(
            "missing-file" if not networks else "reference",
            "a recording of SUMO has no road network beside it"
            if not networks
            else "it is not clear which road network a recording belongs to",
            where=str(log.path),
            why=", ".join(path.name for path in networks) or f"no .net.xml in {log.path.parent}",
            remedy="put the recording and its .net.xml into a folder of their own",
        )
    return _Recording(
        name=log.name,
        path=log.path,
        town=stem_of(matching[0]),
        network=matching[0],
        recordings=tuple(path for path in beside if _is_recording(path)),
        types=tuple(path for path in beside if _TYPES.search(path.name)),
    )


def _read_scenes(recording: _Recording) -> Iterator[Scene]:
    network = read_network(recording.network)
    road = build_map(network)
    types = read_vehicle_types(recording.types)
    source = Source(
        dataset="sumo",
        log=recording.name.partition("/")[2],
        town=recording.town,
        licence=recording.licence,
        driving_side=DrivingSide.LEFT if network.left_hand else DrivingSide.RIGHT,
        path=str(recording.path),
        simulated=True,
        derived=("velocity",),
    )
    where = str(recording.recordings[0])
    dt_ns = None
    for part, rows in enumerate(
        read_stretches(recording.recordings, duration=recording.scene_duration)
    ):
        if part == 0:
            _check_place(rows, network, recording.recordings[0])
        times_ns = np.unique(rows.time_ns)
        # The step of the first stretch is the log's: a last stretch may be a single step.
        clock, _ = Clock.from_times(times_ns, dt_ns=dt_ns, where=where)
        dt_ns = clock.dt_ns
        agents = build_agents(
            rows,
            start_ns=clock.start_ns,
            dt_ns=dt_ns,
            steps=clock.steps,
            types=types,
            where=where,
        )
        if recording.is_generated:
            agents = smooth_walks(agents, clock.dt)
        cut = _record(agents, clock, recording)
        if cut is None:
            continue
        agents, clock, ego = cut
        yield Scene(
            id=f"{recording.name}/{part:03d}",
            clock=clock,
            agents=agents,
            ego=ego,
            source=source,
            map=road,
            signals=_signals(recording, network, road, clock),
        )


def _signals(recording: _Recording, network: Network, road: Map, clock: Clock) -> Signals | None:
    """Return what the lights show, or None where there are some that were not recorded."""
    if recording.signals is not None:
        return read_signals(recording.signals, network, road, clock.times_ns)
    has_lights = any(connection.light for connection in network.connections)
    return None if has_lights else Signals.empty(clock.steps)


def _record(
    agents: Agents, clock: Clock, recording: _Recording
) -> tuple[Agents, Clock, int | None] | None:
    """Return what the recording car records, from when to when it is there; None if it is not."""
    if not recording.ego:
        return agents, clock, None
    ego = _choose_ego(agents) if recording.ego == "auto" else _find(agents, recording.ego)
    if ego is None:
        return None
    there = np.flatnonzero(agents.valid[ego])
    first, last = int(there[0]), int(there[-1])
    if len(there) < max(last - first + 1, 2):
        return None
    agents = agents.window(first, last - first + 1)
    clock = clock.window(first, last - first + 1)
    if recording.radius > 0:
        step = agents.centre[..., :2] - agents.centre[ego, :, :2]
        with np.errstate(invalid="ignore"):
            near = np.hypot(step[..., 0], step[..., 1]) <= recording.radius
        agents = _keep(agents, agents.valid & near)
    rows = np.flatnonzero(agents.valid.any(axis=1))
    return agents.select(rows), clock, int(np.searchsorted(rows, ego))


def _keep(agents: Agents, valid: np.ndarray) -> Agents:
    return Agents(
        ids=agents.ids,
        kind=agents.kind,
        label=agents.label,
        size=agents.size,
        centre=np.where(valid[..., None], agents.centre, np.nan),
        heading=np.where(valid, agents.heading, np.nan),
        velocity=np.where(valid[..., None], agents.velocity, np.nan),
        valid=valid,
    )


def _find(agents: Agents, name: str) -> int | None:
    return agents.ids.index(name) if name in agents.ids else None


def _choose_ego(agents: Agents) -> int | None:
    """Return the car that is there all the time and goes farthest, or None."""
    always = np.flatnonzero(agents.is_kind(Kind.CAR) & agents.valid.all(axis=1))
    if not always.size:
        return None
    return int(always[np.argmax(agents.speed[always].sum(axis=1))])


def _check_place(rows: Rows, network: Network, path: Path) -> None:
    """Check on a sample of vehicles that the recording lies on the network."""
    import shapely

    named = np.flatnonzero(rows.lane.is_valid().to_numpy(zero_copy_only=False))
    sample = named[:: max(len(named) // 200, 1)]
    names = [str(name) for name in rows.lane.take(sample).to_pylist()]
    strange = sorted(set(names) - set(network.lanes))
    why = ""
    if strange:
        why = f"vehicles drive on lane {strange[0]!r}, which the network lacks"
    elif names:
        lines = [shapely.LineString(network.lanes[name].shape[:, :2]) for name in names]
        gap = shapely.distance(shapely.points(rows.front[sample, :2]), np.array(lines))
        if np.median(gap) > 10.0:
            why = f"vehicles are {np.median(gap):.0f} m off the lanes that they drive on"
    else:
        points = np.concatenate([lane.shape[:, :2] for lane in network.lanes.values()])
        low, high = points.min(axis=0) - 100, points.max(axis=0) + 100
        inside = ((rows.front[:, :2] >= low) & (rows.front[:, :2] <= high)).all(axis=1)
        if inside.mean() < 0.5:
            why = "most road users are outside the network"
    if why:
        raise InputError(
            "reference",
            "a recording does not belong to the road network beside it",
            where=str(path),
            why=why,
            remedy="record in the network's own coordinates (without --fcd-output.geo), and put "
            "the network of that run beside it",
        )


def _is_recording(path: Path) -> bool:
    """Return whether a file is floating-car data: by its name, else by its first bytes."""
    name = path.name.lower()
    if not _RECORDING.search(name) or _NETWORK.search(name) or _TYPES.search(name):
        return False
    if bare_name(name).endswith(".parquet"):
        return "fcd" in name
    if not path.is_file():
        return False
    try:
        with open_bytes(path) as file:
            head = file.read(16384)
    except InputError:
        # A damaged file is its reader's to report; here it only counts if its name is telling.
        return "fcd" in name
    is_table = b"\n" in head and b"vehicle_id" in head.split(b"\n", 1)[0]
    return b"<fcd-export" in head or (is_table and b"timestep_time" in head)


def _beside(path: Path) -> tuple[Path, ...]:
    """Return a recording and the files beside it that belong to it: network, types, persons."""
    others = sorted(other for other in path.parent.iterdir() if other != path)
    parts = [other for other in others if _NETWORK.search(other.name) or _TYPES.search(other.name)]
    recordings = [other for other in others if _is_recording(other)]
    if len(recordings) == 1 and "person" in recordings[0].name.lower():
        parts += recordings
    return (path, *parts)
