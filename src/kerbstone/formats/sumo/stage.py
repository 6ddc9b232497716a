"""What a script sees of a running simulation, and how it takes hold of road users."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kerbstone.formats.sumo.demand import EGO
from kerbstone.formats.sumo.program import import_traci

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Float64

    from kerbstone.formats.sumo.network import Edge, Lane, Network
    from kerbstone.formats.sumo.program import Connection

# SUMO's modes: https://sumo.dlr.de/docs/TraCI/Change_Vehicle_State.html
_SPEED_CHECKS = 31
_LANE_CHANGES = 1621
NO_LANE_CHANGES = 0
_SIGHT = 200.0
"""How far around the recording car scripts look for others [m]."""
IGNORE_RIGHT_OF_WAY = 7
"""Keeps safe distance and limits of acceleration, but heeds neither lights nor priority."""


@dataclass(frozen=True)
class Actor:
    """A vehicle at one moment.

    Args:
        id: Its id.
        front: The middle of its front end [m].
        heading: Counter-clockwise from east [rad].
        speed: [m/s].
        lane: The lane that it is on.
        position: How far along the lane its front is [m].
        length: [m].
        width: [m].
    """

    id: str
    front: Float64[np.ndarray, " 2"]
    heading: float
    speed: float
    lane: Lane
    position: float
    length: float
    width: float

    @property
    def remaining(self) -> float:
        """Distance to the end of its lane [m]."""
        return self.lane.length - self.position

    @property
    def centre(self) -> Float64[np.ndarray, " 2"]:
        """The middle of its box [m]."""
        return self.front - self.length / 2 * self.ahead

    @property
    def ahead(self) -> Float64[np.ndarray, " 2"]:
        """Unit vector of its heading."""
        return np.array([np.cos(self.heading), np.sin(self.heading)])

    def see(self, point: Float64[np.ndarray, " 2"]) -> tuple[float, float]:
        """Return a point in its frame: how far ahead of its front, and to its left [m]."""
        x, y = point - self.front
        cos, sin = self.ahead
        return float(cos * x + sin * y), float(cos * y - sin * x)


class Stage:
    """A running simulation.

    Args:
        connection: TraCI's connection.
        network: The roads.
        rng: Source of all choices.
    """

    def __init__(self, connection: Connection, network: Network, rng: np.random.Generator) -> None:
        self.connection = connection
        self.vehicles: Any = connection.vehicle
        self.persons: Any = connection.person
        self.network = network
        self.rng = rng
        self.time = 0.0
        self._made = 0
        self._constants: Any = import_traci().constants
        self._size: dict[str, tuple[float, float]] = {}
        self._seen: list[Actor] = []
        self._seen_at = -1.0

    def advance(self, time: float) -> None:
        """Let the simulation run up to a time [s]."""
        self.connection.simulationStep(time)
        self.time = float(self.connection.simulation.getTime())

    @property
    def has_ego(self) -> bool:
        """Whether the recording car is on the road."""
        return EGO in self.vehicles.getIDList()

    @property
    def ego(self) -> Actor:
        """The recording car."""
        return self.actor(EGO)

    def actor(self, name: str) -> Actor:
        """Return how a vehicle is at this moment."""
        get = self.vehicles
        if name not in self._size:
            self._size[name] = (get.getLength(name), get.getWidth(name))
        return self._actor(
            name,
            front=get.getPosition(name),
            angle=get.getAngle(name),
            speed=get.getSpeed(name),
            lane=get.getLaneID(name),
            position=get.getLanePosition(name),
        )

    def near(self, reach: float) -> list[Actor]:
        """Return the other motor vehicles around the recording car, nearest first."""
        if self._seen_at != self.time:
            self._seen, self._seen_at = self._look_around(), self.time
        here = np.array(self.vehicles.getPosition(EGO))
        gaps = [(float(np.hypot(*(actor.front - here))), actor) for actor in self._seen]
        return [actor for gap, actor in sorted(gaps, key=lambda pair: pair[0]) if gap < reach]

    def _look_around(self) -> list[Actor]:
        """Return the motor vehicles around the recording car, with one question to SUMO."""
        tc = self._constants
        wanted = (
            *(tc.VAR_POSITION, tc.VAR_ANGLE, tc.VAR_SPEED, tc.VAR_LANE_ID, tc.VAR_LANEPOSITION),
            *(tc.VAR_LENGTH, tc.VAR_WIDTH, tc.VAR_VEHICLECLASS),
        )
        get, domain = self.vehicles, tc.CMD_GET_VEHICLE_VARIABLE
        get.subscribeContext(EGO, domain, _SIGHT, wanted)
        found = get.getContextSubscriptionResults(EGO)
        get.unsubscribeContext(EGO, domain, _SIGHT)
        seen = []
        for name, row in sorted(found.items()):
            front, angle, speed, lane, position, length, width, vehicle_class = (
                row[variable] for variable in wanted
            )
            if name != EGO and vehicle_class != "bicycle":
                self._size[name] = (length, width)
                seen.append(
                    self._actor(
                        name, front=front, angle=angle, speed=speed, lane=lane, position=position
                    )
                )
        return seen

    def _actor(
        self,
        name: str,
        *,
        front: tuple[float, float],
        angle: float,
        speed: float,
        lane: str,
        position: float,
    ) -> Actor:
        length, width = self._size[name]
        return Actor(
            id=name,
            front=np.array(front),
            heading=float(np.radians(90 - angle)),
            speed=speed,
            lane=self.network.lanes[lane],
            position=position,
            length=length,
            width=width,
        )

    def edge(self, actor: Actor) -> Edge:
        """Return the edge that a vehicle is on."""
        return self.network.edges[actor.lane.edge]

    def is_on_road(self, actor: Actor) -> bool:
        """Return whether a vehicle is between junctions, not inside one."""
        return self.edge(actor).function == "normal"

    def leader(self, name: str, reach: float) -> tuple[str, float] | None:
        """Return the vehicle ahead and the gap to it [m], if there is one within reach."""
        found = self.vehicles.getLeader(name, reach)
        if not found or not found[0] or found[1] > reach:
            return None
        return found[0], found[1] + self.vehicles.getMinGap(name)

    def follower(self, name: str, reach: float) -> tuple[str, float] | None:
        """Return the vehicle behind and the gap to it [m], if there is one within reach."""
        found = self.vehicles.getFollower(name, reach)
        if not found or not found[0] or not 0 <= found[1] <= reach:
            return None
        return found[0], found[1]

    @contextmanager
    def hold(self, *names: str) -> Iterator[None]:
        """Take hold of vehicles, and give them back to their drivers in the end."""
        get, traits = self.vehicles, {}
        for name in names:
            traits[name] = (
                get.getDecel(name),
                get.getMaxSpeed(name),
                get.getTau(name),
                get.getMinGap(name),
                get.getSpeedFactor(name),
                get.getMaxSpeedLat(name),
            )
        try:
            yield
        except GeneratorExit:
            names = ()  # the simulation is over
            raise
        finally:
            for name in set(names) & set(get.getIDList() if names else ()):
                decel, max_speed, tau, min_gap, speed_factor, lateral = traits[name]
                get.setSpeed(name, -1)
                get.setSpeedMode(name, _SPEED_CHECKS)
                get.setLaneChangeMode(name, _LANE_CHANGES)
                get.setDecel(name, decel)
                get.setMaxSpeed(name, max_speed)
                get.setTau(name, tau)
                get.setMinGap(name, min_gap)
                get.setSpeedFactor(name, speed_factor)
                get.setMaxSpeedLat(name, lateral)

    def new_name(self) -> str:
        """Return an id for somebody who joins during the simulation."""
        self._made += 1
        return f"p-event{self._made:02d}"
