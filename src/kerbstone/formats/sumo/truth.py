"""The truth about planted events: what really happened in the recorded motion, and when.

A staged event that did not come off is not written. Each kind has one measure over time, and the
interval is the longest stretch over which that measure holds.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.errors import InputError
from kerbstone.formats.files import read_json
from kerbstone.formats.sumo.events import Attempt, EventKind
from kerbstone.formats.sumo.lane_entries import (
    ENTRY,
    find_changes,
    find_entry,
    lanes_ahead,
    roads_of,
)
from kerbstone.formats.sumo.log import SimulatedLog
from kerbstone.formats.sumo.recordings import Rows, read_stretches
from kerbstone.formats.sumo.road_map import build_map, read_signals
from kerbstone.formats.sumo.trajectories import build_agents
from kerbstone.formats.sumo.vehicle_types import read_vehicle_types
from kerbstone.scene import NS_PER_S, Agents, Clock, LaneKind, Map, SignalState, angle_difference
from kerbstone.scene.boxes import bev_boxes, box_corners_bev, box_distance, pack_boxes
from kerbstone.scene.lanes import LaneIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pyarrow as pa

    from kerbstone.formats.sumo.network import Network
    from kerbstone.scene import Scene

_BEFORE, _AFTER = 3.0, 5.0
"""How much motion around an attempt is looked at [s]."""


@dataclass(frozen=True)
class Event:
    """A rare event that happened.

    Args:
        kind: What happened.
        agents: Ids of who took part: first the one that misbehaves, then the one it concerns
            (mostly the recording car), then others (the vehicle that hid a pedestrian).
        start_ns: When it began, in the log's time [ns].
        end_ns: When it was over [ns].
        facts: What was measured, in SI units.
    """

    kind: EventKind
    agents: tuple[str, ...]
    start_ns: int
    end_ns: int
    facts: dict[str, float]


@dataclass(frozen=True, eq=False)
class _Motion:
    """The motion of an event's agents around it.

    Args:
        clock: The steps.
        agents: The agents in the attempt's order.
        lanes: The lane of each agent at each step, "" for none.
        red: For each lane through a junction that has a light, at which steps it shows red.
        network: The roads.
        index: Finds the lane at a point.
    """

    clock: Clock
    agents: Agents
    lanes: np.ndarray
    red: dict[str, np.ndarray]
    network: Network
    index: LaneIndex

    def relative(self, of: int, seen_from: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where one agent is in another's frame, ahead and to the left [m]."""
        step = self.agents.centre[of, :, :2] - self.agents.centre[seen_from, :, :2]
        cos, sin = np.cos(self.agents.heading[seen_from]), np.sin(self.agents.heading[seen_from])
        return cos * step[:, 0] + sin * step[:, 1], cos * step[:, 1] - sin * step[:, 0]

    def gap(self, of: int, seen_from: int) -> np.ndarray:
        """Return the gap from one agent's front to the rear of another ahead of it [m]."""
        length = (self.agents.size[of, 0] + self.agents.size[seen_from, 0]) / 2
        return self.relative(of, seen_from)[0] - length


Measure = tuple[Bool[np.ndarray, " time"], float, dict[str, Float64[np.ndarray, " time"]]]
"""When the event is on, how long it must last [s], and facts by step."""


def confirm_events(attempts: Sequence[Attempt], log: SimulatedLog, network: Network) -> list[Event]:
    """Return the events that really happened among those that were staged.

    Args:
        attempts: What was staged.
        log: The simulation's recording.
        network: Its roads.

    Raises:
        InputError: The recording is broken.
    """
    if not attempts:
        return []
    recording = [log.folder / name for name in log.recordings]
    types = read_vehicle_types([log.folder / name for name in log.types])
    (rows,) = read_stretches(recording, duration=np.inf)
    road = build_map(network)
    index = LaneIndex(road, kinds=(LaneKind.VEHICLE, LaneKind.BUS, LaneKind.RAMP))
    events = []
    for attempt in attempts:
        clock, part = _cut(rows, attempt)
        if part is None:
            continue
        agents = build_agents(
            part,
            start_ns=clock.start_ns,
            dt_ns=clock.dt_ns,
            steps=clock.steps,
            types=types,
            where=str(recording[0]),
        )
        if not set(attempt.agents) <= set(agents.ids):
            continue
        motion = _Motion(
            clock=clock,
            agents=agents.select([agents.ids.index(name) for name in attempt.agents]),
            lanes=_lanes(part, attempt.agents, clock),
            red=_red(log, network, road, clock),
            network=network,
            index=index,
        )
        event = _confirm(attempt, motion)
        if event is not None:
            events.append(event)
    return events


def write_events(events: Sequence[Event], path: Path) -> None:
    """Write events as JSON."""
    rows = [asdict(event) for event in events]
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def read_events(folder: Path) -> list[Event]:
    """Return the events that were planted in a simulated log and happened.

    Raises:
        InputError: The folder holds no simulated log, or its events are broken.
    """
    log = SimulatedLog.read(folder)
    if not log.events:
        return []
    path = folder / log.events
    try:
        return [
            Event(
                kind=EventKind(row["kind"]),
                agents=tuple(row["agents"]),
                start_ns=int(row["start_ns"]),
                end_ns=int(row["end_ns"]),
                facts={str(name): float(value) for name, value in row["facts"].items()},
            )
            for row in read_json(path)
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            "syntax", "a list of events is broken", where=str(path), why=str(error)
        ) from None


def event_rows(events: Sequence[Event], scene: Scene) -> pa.Table:
    """Return the events that fall into a scene, as rows of the store's table `events`."""
    import pyarrow as pa

    times_ns = scene.clock.times_ns
    inside = [e for e in events if e.end_ns >= times_ns[0] and e.start_ns <= times_ns[-1]]
    fact = pa.struct([("name", pa.string()), ("value", pa.float64())])
    return pa.table(
        {
            "scene_id": pa.array([scene.id] * len(inside), pa.string()),
            "kind": pa.array([str(e.kind) for e in inside], pa.string()),
            "agents": pa.array([list(e.agents) for e in inside], pa.list_(pa.string())),
            "start_ns": pa.array([e.start_ns for e in inside], pa.int64()),
            "end_ns": pa.array([e.end_ns for e in inside], pa.int64()),
            "facts": pa.array(
                [[{"name": n, "value": v} for n, v in e.facts.items()] for e in inside],
                pa.list_(fact),
            ),
        }
    )


def _confirm(attempt: Attempt, motion: _Motion) -> Event | None:
    is_on, least, facts = _MEASURES[attempt.kind](motion)
    # What happens later is not staged: a slow vehicle may then wait at a light.
    is_on &= motion.clock.times_ns <= (attempt.end + 1.0) * NS_PER_S
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_on, [False]]).astype(np.int8)))
    if not edges.size:
        return None
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    first, last = int(starts[longest]), int(ends[longest]) - 1
    dt_ns = motion.clock.dt_ns
    if (last - first) * dt_ns < least * NS_PER_S:
        return None
    return Event(
        kind=attempt.kind,
        agents=attempt.agents,
        start_ns=motion.clock.start_ns + first * dt_ns,
        end_ns=motion.clock.start_ns + last * dt_ns,
        facts={
            name: round(float(np.nanmin(value[first : last + 1])), 3)
            for name, value in facts.items()
        },
    )


def _red_light(motion: _Motion) -> Measure:
    """On from the stop line to the far side of the junction, if the light was red at the line."""
    lane = motion.lanes[0]
    is_inside = np.array([name.startswith(":") for name in lane])
    is_on = np.zeros(len(lane), bool)
    for step in np.flatnonzero(lane[1:] != lane[:-1]) + 1:
        red = motion.red.get(lane[step])
        if red is not None and red[step] and red[step - 1]:
            leaves = np.flatnonzero(~is_inside[step:])
            is_on[step - 1 : step + (leaves[0] if leaves.size else len(lane))] = True
    return is_on, 0.5, {"speed": motion.agents.speed[0]}


def _emergency_braking(motion: _Motion) -> Measure:
    """On while the leader brakes by more than 4.5 m/s², close ahead of ego."""
    speed = motion.agents.speed[0]
    # Over half a second, as a driver behind would feel it.
    acceleration = np.full(len(speed), np.nan)
    acceleration[2:-3] = (speed[5:] - speed[:-5]) / (5 * motion.clock.dt)
    ahead, aside = motion.relative(0, 1)
    with np.errstate(invalid="ignore"):
        is_on = (acceleration < -4.5) & (ahead > 0) & (ahead < 60) & (np.abs(aside) < 4)
    return is_on, 0.5, {"acceleration": acceleration, "gap": motion.gap(0, 1)}


def _cut_in(motion: _Motion) -> Measure:
    """On while the vehicle changes from the lane beside into ego's way, close ahead of it.

    Ego keeps its lane, and as in Regulation (EU) 2022/1426 what counts is the moment at which the
    vehicle's side is 0.3 m beyond the marking: then it is less than 12 m and 1.2 s ahead.
    """
    gap, speed = motion.gap(0, 1), motion.agents.speed[1]
    _, aside = motion.relative(0, 1)
    width = motion.agents.size[:2, 1].sum() / 2
    is_on = np.zeros(len(gap), bool)
    own, dt = motion.lanes[0], motion.clock.dt
    for step in np.flatnonzero(find_changes(own)).tolist():
        lane = motion.network.lanes[own[step]]
        span = find_entry(own, step, motion.agents.centre[0], motion.agents.size[0, 1], lane, dt)
        if own[step] not in lanes_ahead(motion.lanes[1], span, dt):
            continue
        is_close = 0 < gap[span.start] < min(12.0, 1.2 * speed[span.start])
        settled = slice(step, step + round(ENTRY / dt))
        with np.errstate(invalid="ignore"):
            is_in_way = ((np.abs(aside) < width) & (gap > 0))[settled].any()
        is_on[span] |= is_close and is_in_way
    return is_on, 0.3, {"gap": gap, "time_gap": gap / np.maximum(speed, 0.1)}


def _hidden_pedestrian(motion: _Motion) -> Measure:
    """On from the first step out to leaving ego's path, if ego could not see the start."""
    ahead, aside = motion.relative(0, 1)
    width = motion.agents.size[1, 1]
    with np.errstate(invalid="ignore"):
        in_way = (np.abs(aside) < width / 2 + 0.5) & (ahead > 0) & (ahead < 40)
    steps = np.flatnonzero(in_way)
    there = np.flatnonzero(motion.agents.valid[0])
    is_on = np.zeros(len(in_way), bool)
    if steps.size and there.size and _is_hidden(motion, int(there[0])):
        is_on[there[0] : steps[-1] + 1] = True
    boxes = pack_boxes(motion.agents.centre, motion.agents.heading, motion.agents.size[:, None])
    gap = box_distance(*bev_boxes(boxes[:2]))
    return is_on, 0.5, {"distance": gap}


def _is_hidden(motion: _Motion, step: int) -> bool:
    """Return whether the third agent's box lies between ego's middle and the first agent."""
    import shapely

    agents = motion.agents
    cover = np.array([*agents.centre[2, step, :2], agents.heading[2, step], *agents.size[2, :2]])
    sight = shapely.LineString(agents.centre[[1, 0], step, :2])
    return bool(shapely.intersects(shapely.Polygon(box_corners_bev(cover)), sight))


def _stopped(motion: _Motion) -> Measure:
    """On while the vehicle stands ahead of ego or beside it."""
    ahead, _ = motion.relative(0, 1)
    with np.errstate(invalid="ignore"):
        is_on = (motion.agents.speed[0] < 0.1) & (np.abs(ahead) < 120)
    return is_on, 6.0, {"distance": np.abs(ahead)}


def _slow(motion: _Motion) -> Measure:
    """On while the vehicle goes at less than 45 % of the limit, but goes."""
    limit = np.array([motion.network.lanes[n].speed if n else np.nan for n in motion.lanes[0]])
    speed = motion.agents.speed[0]
    with np.errstate(invalid="ignore"):
        is_on = (speed > 0.5) & (speed < 0.45 * limit)
    return is_on, 6.0, {"speed": speed, "share_of_limit": speed / limit}


def _wrong_way(motion: _Motion) -> Measure:
    """On while the vehicle is in a lane that leads the other way, ahead of ego."""
    ahead, _ = motion.relative(0, 1)
    heading = motion.agents.heading[0]
    place = motion.index.locate(motion.agents.centre[0, :, :2], heading)
    with np.errstate(invalid="ignore"):
        is_on = (np.abs(angle_difference(place.heading, heading)) > 2.6) & (ahead > 0)
    return is_on, 0.8, {"distance": ahead}


def _tailgating(motion: _Motion) -> Measure:
    """On while the follower is less than 0.7 s behind ego, in its lane, at more than 4 m/s."""
    gap, speed = motion.gap(1, 0), motion.agents.speed[0]
    _, aside = motion.relative(1, 0)
    own, other = motion.lanes[:2]
    # Who is straight ahead on a bend, or comes over, may be in the lane beside.
    is_beside = (own != other) & (roads_of(own) == roads_of(other))
    with np.errstate(invalid="ignore", divide="ignore"):
        time_gap = gap / speed
        is_on = (speed > 4) & (gap > 0) & (time_gap < 0.7) & (np.abs(aside) < 2) & ~is_beside
    return is_on, 2.0, {"gap": gap, "time_gap": time_gap}


_MEASURES: dict[EventKind, Callable[[_Motion], Measure]] = {
    EventKind.RED_LIGHT_RUNNING: _red_light,
    EventKind.EMERGENCY_BRAKING: _emergency_braking,
    EventKind.CLOSE_CUT_IN: _cut_in,
    EventKind.HIDDEN_PEDESTRIAN: _hidden_pedestrian,
    EventKind.STOPPED_VEHICLE: _stopped,
    EventKind.SLOW_VEHICLE: _slow,
    EventKind.WRONG_WAY: _wrong_way,
    EventKind.TAILGATING: _tailgating,
}


def _cut(rows: Rows, attempt: Attempt) -> tuple[Clock, Rows | None]:
    """Return the steps around an attempt, and the rows of those who took part."""
    low, high = (attempt.start - _BEFORE) * NS_PER_S, (attempt.end + _AFTER) * NS_PER_S
    in_time = (rows.time_ns >= low) & (rows.time_ns <= high)
    times_ns = np.unique(rows.time_ns[in_time])
    names = rows.id.dictionary_encode()
    wanted = np.isin(np.array(names.dictionary.to_pylist(), object), attempt.agents)
    takes_part = wanted[names.indices.to_numpy()]
    kept = np.flatnonzero(in_time & takes_part)
    clock, _ = Clock.from_times(times_ns)
    return clock, rows.select(kept) if kept.size else None


def _lanes(rows: Rows, agents: Sequence[str], clock: Clock) -> np.ndarray:
    lanes = np.full((len(agents), clock.steps), "", object)
    step = np.rint((rows.time_ns - clock.start_ns) / clock.dt_ns).astype(np.int64)
    row = np.array([agents.index(str(name)) for name in rows.id.to_pylist()])
    lanes[row, step] = [name or "" for name in rows.lane.to_pylist()]
    return lanes


def _red(log: SimulatedLog, network: Network, road: Map, clock: Clock) -> dict[str, np.ndarray]:
    if not log.signals:
        return {}
    signals = read_signals(log.folder / log.signals, network, road, clock.times_ns)
    return {
        road.lanes.ids[lane]: state == SignalState.RED
        for lane, state in zip(signals.lane, signals.state, strict=True)
    }
