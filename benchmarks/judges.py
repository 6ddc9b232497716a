"""Whether something really happened, told from SUMO's own recording, without any scenario.

A simulation plants some events and confirms them. The traffic does the like by itself; these
measures tell it, for what its own measures of the planted events cannot:

- Emergency braking: it slows down by more than 4.5 m/s² over half a second, at most 60 m ahead of
  ego, where ego itself drives by within the next 20 s, going the same way at that place. (The
  simulation's measure looks straight ahead of ego, which on a bend is beside the road.)
- Hidden pedestrian: a vehicle that stands lies in the line from ego's middle to the pedestrian,
  who ego would reach in less than 5 s, and less than 3.5 s later the pedestrian is in ego's way:
  straight ahead of its width and half a metre on both sides, within 40 m.
- Stopped vehicle: it stands for 6 s on a lane with nobody to wait for: nobody slower than 3 m/s
  less than 15 m ahead in its lane, or in its way though his middle is in the lane beside. Less than
  5 m from the lane's end it must have the right of way, as on a motorway where an exit leaves it,
  without a light, and free lanes to go on to: nobody slower than 3 m/s on them within 40 m.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from kerbstone.formats.sumo.events import EventKind
from kerbstone.formats.sumo.log import SimulatedLog
from kerbstone.formats.sumo.network import Network
from kerbstone.formats.sumo.recordings import Rows, read_stretches
from kerbstone.formats.sumo.trajectories import build_agents
from kerbstone.formats.sumo.vehicle_types import VehicleType, read_vehicle_types
from kerbstone.scene import NS_PER_S, VEHICLES, Agents, Clock, Kind
from kerbstone.scene.boxes import box_corners_bev

_BEFORE, _AFTER = 6.0, 6.0
"""How much around a match is looked at [s]."""
_LATER = 20.0
"""How long ego may take to get to where another braked [s]."""
_ON_WAY = 2.0
"""So far from ego's later way a vehicle is still on it [m]."""


@dataclass(frozen=True, eq=False)
class Traffic:
    """Everybody's motion for a while.

    Args:
        agents: The road users.
        lanes: The name of SUMO's lane of each at each step, "" for none.
        dt: The time from one step to the next [s].
        seen: At which steps something may have happened; the others only tell what came of it.
    """

    agents: Agents
    lanes: np.ndarray
    dt: float
    seen: np.ndarray

    def relative(self, of: int, seen_from: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where one is in another's frame, ahead and to the left [m]."""
        step = self.agents.centre[of, :, :2] - self.agents.centre[seen_from, :, :2]
        cos, sin = np.cos(self.agents.heading[seen_from]), np.sin(self.agents.heading[seen_from])
        return cos * step[:, 0] + sin * step[:, 1], cos * step[:, 1] - sin * step[:, 0]


class Recording:
    """The recording of a simulated log."""

    def __init__(self, log: SimulatedLog, network: Network) -> None:
        paths = [log.folder / name for name in log.recordings]
        self._rows: Rows
        (self._rows,) = read_stretches(paths, duration=np.inf)
        self._types: dict[str, VehicleType] = dict(
            read_vehicle_types([log.folder / name for name in log.types])
        )
        self._where = str(paths[0])
        self._network = network

    def happened(self, kind: EventKind, agent: str, ego: str, start: float, end: float) -> bool:
        """Return whether it happened about then [s of the log]; False for other kinds."""
        if kind not in _JUDGES:
            return False
        traffic = self._cut(start - _BEFORE, end + _AFTER)
        ids = traffic.agents.ids
        if agent not in ids or ego not in ids:
            return False
        return _JUDGES[kind](traffic, ids.index(agent), ids.index(ego), self._network)

    def _cut(self, start: float, end: float) -> Traffic:
        time = self._rows.time_ns
        rows = self._rows.select(
            np.flatnonzero((time >= start * NS_PER_S) & (time <= (end + _LATER) * NS_PER_S))
        )
        clock, _ = Clock.from_times(np.unique(rows.time_ns))
        agents = build_agents(
            rows,
            start_ns=clock.start_ns,
            dt_ns=clock.dt_ns,
            steps=clock.steps,
            types=self._types,
            where=self._where,
        )
        lanes = np.full((len(agents), clock.steps), "", object)
        row = {name: k for k, name in enumerate(agents.ids)}
        step = np.rint((rows.time_ns - clock.start_ns) / clock.dt_ns).astype(np.int64)
        names = [row[str(name)] for name in rows.id.to_pylist()]
        lanes[names, step] = [name or "" for name in rows.lane.to_pylist()]
        return Traffic(agents, lanes, clock.dt, clock.times_ns <= end * NS_PER_S)


def _braked(traffic: Traffic, agent: int, ego: int, _: Network) -> bool:
    agents = traffic.agents
    speed = agents.speed[agent]
    half = max(round(0.25 / traffic.dt), 1)
    slows = np.zeros(len(speed), bool)
    slows[half:-half] = (speed[2 * half :] - speed[: -2 * half]) / (2 * half * traffic.dt) < -4.5
    reach = round(_LATER / traffic.dt)
    for step in np.flatnonzero(slows & traffic.seen):
        way = agents.centre[ego, step : step + reach, :2] - agents.centre[agent, step, :2]
        apart = np.hypot(*way.T)
        if not np.isfinite(apart[0]) or apart[0] > 60.0:
            continue
        nearest = int(np.nanargmin(apart))
        turn = agents.heading[ego, step + nearest] - agents.heading[agent, step]
        if apart[nearest] < _ON_WAY and nearest > 0 and np.cos(turn) > 0.7:
            return True
    return False


def _stepped_out(traffic: Traffic, agent: int, ego: int, _: Network) -> bool:
    agents = traffic.agents
    ahead, aside = traffic.relative(agent, ego)
    pace = agents.speed[ego]
    with np.errstate(invalid="ignore"):
        in_way = (np.abs(aside) < agents.size[ego, 1] / 2 + 0.5) & (ahead > 0) & (ahead < 40)
        urgent = (ahead > 0) & (ahead < 5.0 * pace) & (pace > 2.0)
    covers = np.flatnonzero(agents.is_kind(*sorted(VEHICLES)) & (np.arange(len(agents)) != ego))
    later = round(3.5 / traffic.dt)
    for step in np.flatnonzero(urgent & traffic.seen):
        if not in_way[step : step + later].any():
            continue
        stands = covers[agents.speed[covers, step] < 1.0]
        boxes = np.column_stack(
            [agents.centre[stands, step, :2], agents.heading[stands, step], agents.size[stands, :2]]
        )
        sight = shapely.LineString(agents.centre[[ego, agent], step, :2])
        if shapely.intersects(shapely.polygons(box_corners_bev(boxes)), sight).any():
            return True
    return False


def _stopped(traffic: Traffic, agent: int, ego: int, network: Network) -> bool:
    del ego
    agents = traffic.agents
    stands = (agents.speed[agent] < 0.3) & traffic.seen
    others = np.flatnonzero(~agents.is_kind(Kind.PEDESTRIAN) & (np.arange(len(agents)) != agent))
    for step in np.flatnonzero(stands):
        name = traffic.lanes[agent, step]
        if not name:
            stands[step] = False
            continue
        heading = agents.heading[agent, step]
        forward = np.array([np.cos(heading), np.sin(heading)])
        front = agents.centre[agent, step, :2] + forward * agents.size[agent, 0] / 2
        slow = others[agents.speed[others, step] < 3.0]
        lanes = traffic.lanes[slow, step]
        away = agents.centre[slow, step, :2] - front
        gap = away @ forward - agents.size[slow, 0] / 2
        aside = np.abs(away @ np.array([-forward[1], forward[0]]))
        width = (agents.size[slow, 1] + agents.size[agent, 1]) / 2
        is_parallel = np.cos(agents.heading[slow, step] - heading) > 0.9
        in_way = (lanes == name) | ((aside < width + 0.5) & is_parallel)
        is_free = not (in_way & (gap > -1.0) & (gap < 15.0)).any()
        if np.hypot(*(network.lanes[name].shape[-1, :2] - front)) < 5.0:
            onward = _right_of_way(network, name)
            is_near = np.isin(lanes, list(onward)) & (gap < 40.0)
            is_free &= bool(onward) and not is_near.any()
        stands[step] = is_free
    least = round(6.0 / traffic.dt)
    return bool((np.convolve(stands, np.ones(least), mode="valid") > least - 0.5).any())


def _right_of_way(network: Network, lane: str) -> set[str]:
    """Return the lanes that a lane leads to, if it gives way on none of them; else none."""
    ways = [
        way
        for way in network.connections
        if way.source == lane and way.direction not in {"t", "T"} and way.target in network.lanes
    ]
    if any(way.state != "M" or way.light for way in ways):
        return set()
    return {name for way in ways for name in (way.via, way.target) if name}


_JUDGES = {
    EventKind.EMERGENCY_BRAKING: _braked,
    EventKind.HIDDEN_PEDESTRIAN: _stepped_out,
    EventKind.STOPPED_VEHICLE: _stopped,
}
