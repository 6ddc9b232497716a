"""Who drives, rides and walks: vehicle types, driver populations and endless routes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kerbstone.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kerbstone.formats.sumo.network import Network

Population = Literal["calm", "normal", "aggressive", "mixed"]
EGO = "ego"
"""Id of the recording car."""


@dataclass(frozen=True)
class _Body:
    """A vehicle as built: its class, size, how it accelerates, and how common it is."""

    vehicle_class: str
    size: tuple[float, float, float]
    acceleration: float
    top_speed: float
    in_town: float
    on_motorway: float


# Length, width, height [m], acceleration [m/s²], top speed [m/s], shares.
_BODIES = {
    "small-car": _Body("passenger", (3.7, 1.67, 1.50), 2.4, 44.0, 0.20, 0.14),
    "car": _Body("passenger", (4.5, 1.82, 1.46), 2.6, 55.0, 0.32, 0.36),
    "suv": _Body("passenger", (4.8, 1.93, 1.70), 2.5, 55.0, 0.18, 0.20),
    "van": _Body("delivery", (5.9, 2.05, 2.60), 2.0, 40.0, 0.07, 0.08),
    "lorry": _Body("truck", (8.6, 2.50, 3.40), 1.3, 25.0, 0.05, 0.07),
    "articulated-lorry": _Body("trailer", (16.5, 2.55, 4.00), 1.0, 24.0, 0.00, 0.11),
    "bus": _Body("bus", (12.0, 2.55, 3.10), 1.2, 25.0, 0.04, 0.01),
    "motorcycle": _Body("motorcycle", (2.2, 0.85, 1.55), 4.0, 50.0, 0.04, 0.03),
    "bicycle": _Body("bicycle", (1.8, 0.65, 1.70), 1.0, 6.5, 0.10, 0.00),
}

# What each driver multiplies or sets. Names are SUMO's own:
# https://sumo.dlr.de/docs/Definition_of_Vehicles,_Vehicle_Types,_and_Routes.html
_DRIVERS: dict[str, dict[str, str | float]] = {
    "calm": {
        "accel": 0.75,
        "decel": 3.5,
        "tau": 1.6,
        "minGap": 2.8,
        "speedFactor": "normc(0.90,0.05,0.75,1.02)",
        "minGapLat": 0.8,
        "maxSpeedLat": 0.8,
        "lcSpeedGain": 0.4,
        "lcAssertive": 0.7,
        "lcPushy": 0.0,
        "impatience": 0.0,
        "jmTimegapMinor": 1.6,
    },
    "normal": {
        "accel": 1.0,
        "decel": 4.5,
        "tau": 1.2,
        "minGap": 2.2,
        "speedFactor": "normc(1.00,0.08,0.80,1.20)",
        "minGapLat": 0.6,
        "maxSpeedLat": 1.0,
        "lcSpeedGain": 1.0,
        "lcAssertive": 1.0,
        "lcPushy": 0.1,
        "impatience": 0.1,
        "jmTimegapMinor": 1.0,
    },
    "aggressive": {
        "accel": 1.35,
        "decel": 5.0,
        "tau": 0.8,
        "minGap": 1.4,
        "speedFactor": "normc(1.15,0.10,0.95,1.40)",
        "minGapLat": 0.35,
        "maxSpeedLat": 1.6,
        "lcSpeedGain": 3.0,
        "lcAssertive": 2.5,
        "lcPushy": 0.6,
        "impatience": 0.5,
        "jmTimegapMinor": 0.6,
    },
}
_MIXTURES: dict[str, dict[str, float]] = {
    "calm": {"calm": 0.8, "normal": 0.2},
    "normal": {"calm": 0.2, "normal": 0.7, "aggressive": 0.1},
    "aggressive": {"normal": 0.3, "aggressive": 0.7},
    "mixed": {"calm": 0.3, "normal": 0.45, "aggressive": 0.25},
}
# Length (along the walking direction), width, height [m], speed factor, share.
_WALKERS = {
    "adult": (0.45, 0.60, 1.74, "normc(1.0,0.12,0.7,1.5)", 0.72),
    "child": (0.35, 0.45, 1.25, "normc(0.9,0.15,0.5,1.5)", 0.12),
    "elder": (0.45, 0.60, 1.66, "normc(0.65,0.1,0.4,0.9)", 0.16),
}
_WALKING_SHARE = 0.2
_LEAST_ROOM = 30.0
"""Length of lane per vehicle below which a town jams up [m]."""


def write_demand(
    path: Path,
    network: Network,
    *,
    agents: int,
    population: Population,
    duration: float,
    rng: np.random.Generator,
) -> None:
    """Write the road users of a simulation as a SUMO route file.

    Everyone is there from the start and stays to the end, on a random walk through the part of
    the town in which no walk ever gets stuck: so the number of road users is constant, and nobody
    appears or vanishes before the recording car's eyes.

    Args:
        path: File to write, `.rou.xml`.
        network: The town.
        agents: Number of road users, the recording car included.
        population: How the drivers are.
        duration: How long the routes must last [s].
        rng: Source of all choices.

    Raises:
        InputError: There is no loop of roads to drive on.
    """
    root = ET.Element("routes")
    _declare_types(root)
    sidewalks = _sidewalks(network)
    walkers = round(_WALKING_SHARE * agents) if len(sidewalks) > 1 else 0
    roads = _Walks(network, "passenger")
    room = int(roads.lane_length / _LEAST_ROOM)
    if agents - walkers > room:
        raise InputError(
            "config",
            "there are too many road users for the town: traffic would stand still",
            where=network.name,
            why=f"{agents - walkers} vehicles, and room for {room} to move",
            remedy="simulate fewer agents or a larger town",
        )
    _add_vehicle(root, EGO, "car.normal", roads, network, duration, rng)
    walks = {"passenger": roads}
    shares = {
        name: body.in_town if len(sidewalks) > 1 else body.on_motorway
        for name, body in _BODIES.items()
    }
    for i in range(1, agents - walkers):
        body = _draw(rng, shares)
        vehicle_class = _BODIES[body].vehicle_class
        if vehicle_class not in walks:
            walks[vehicle_class] = _Walks(network, vehicle_class, roads)
        kind = f"{body}.{_draw(rng, _MIXTURES[population])}"
        _add_vehicle(root, f"v{i:03d}", kind, walks[vehicle_class], network, duration, rng)
    for i in range(walkers):
        _add_walker(root, f"p{i:03d}", sidewalks, duration, rng)
    ET.indent(root)
    ET.ElementTree(root).write(path)


def _declare_types(root: ET.Element) -> None:
    for body in _BODIES:
        for driver in _DRIVERS:
            ET.SubElement(root, "vType", _vehicle_type(body, driver))
    for name, (length, width, height, speed_factor, _) in _WALKERS.items():
        attributes = {"id": name, "vClass": "pedestrian", "speedFactor": speed_factor}
        attributes |= {"length": f"{length}", "width": f"{width}", "height": f"{height}"}
        ET.SubElement(root, "vType", attributes)


def _add_walker(
    root: ET.Element, name: str, sidewalks: list[str], duration: float, rng: np.random.Generator
) -> None:
    kind = _draw(rng, {walker: row[-1] for walker, row in _WALKERS.items()})
    attributes = {"id": name, "type": kind, "depart": "0", "departPos": "random"}
    person = ET.SubElement(root, "person", attributes)
    # At 1.4 m/s on average, one walk across a few blocks takes minutes.
    places = [str(place) for place in rng.choice(sidewalks, 2 + int(duration / 60))]
    places.append(next(place for place in sidewalks if place != places[-1]))
    for here, there in pairwise(places):
        if here != there:
            ET.SubElement(person, "walk", {"from": here, "to": there})


class _Walks:
    """Random walks of one vehicle class through the roads that it can circle in for ever."""

    def __init__(self, network: Network, vehicle_class: str, other: _Walks | None = None) -> None:
        usable = {
            name: lanes
            for name, edge in network.roads.items()
            if (lanes := [lane for lane in edge.lanes if lane.permits(vehicle_class)])
        }
        names = list(usable)
        number = {name: i for i, name in enumerate(names)}
        lanes = network.lanes
        pairs = {
            (number[lanes[c.source].edge], number[lanes[c.target].edge])
            for c in network.connections
            if c.direction not in {"t", "T"}  # nobody turns back on the spot
            and lanes[c.source].edge in number
            and lanes[c.target].edge in number
            and lanes[c.source].permits(vehicle_class)
            and lanes[c.target].permits(vehicle_class)
        }
        row, column = np.array(sorted(pairs), np.int64).reshape(-1, 2).T
        ones = np.ones(len(row))
        graph = coo_array((ones, (row, column)), shape=(len(names), len(names)))
        count, part = connected_components(graph, connection="strong")
        size = np.array([usable[name][0].length * len(usable[name]) for name in names])
        inside = np.zeros(len(names), bool)
        if count:
            core = np.bincount(part, weights=size, minlength=count)
            # A road on its own is a part too, but nobody can circle in it.
            core[np.bincount(part, minlength=count) < 2] = 0
            # A divided road is two parts, one for each direction; a small loop is none.
            inside = (core[part] > 0) & (core[part] > 0.2 * core.max())
        if not inside.any():
            if other is None:
                raise InputError(
                    "empty",
                    f"there is no loop of roads for the class {vehicle_class!r}",
                    where=network.name,
                    remedy="use a town whose roads connect, or run your own scenario",
                )
            self.__dict__.update(other.__dict__)
            return
        self._length = {names[i]: usable[names[i]][0].length for i in np.flatnonzero(inside)}
        self._speed = {names[i]: usable[names[i]][0].speed for i in np.flatnonzero(inside)}
        self._starts = list(self._length)
        self.lane_length = float(size[inside].sum())
        self._weight = size[inside] / size[inside].sum()
        self._next: dict[str, list[str]] = {name: [] for name in self._starts}
        for i, j in sorted(pairs):
            if inside[i] and inside[j]:
                self._next[names[i]].append(names[j])

    def walk(self, rng: np.random.Generator, duration: float, top_speed: float) -> list[str]:
        """Return a route that takes longer than `duration` [s] at the speed limit."""
        here = str(rng.choice(self._starts, p=self._weight))
        route, needed = [here], duration + 60
        while needed > 0:
            needed -= self._length[here] / min(1.4 * self._speed[here], top_speed)
            here = self._next[here][int(rng.integers(len(self._next[here])))]
            route.append(here)
        return route


def _vehicle_type(body_name: str, driver: str) -> dict[str, str]:
    body, style = _BODIES[body_name], dict(_DRIVERS[driver])
    style["accel"] = float(style["accel"]) * body.acceleration
    length, width, height = body.size
    if body.vehicle_class == "bicycle":
        style |= {"decel": 3.0, "latAlignment": "right", "minGap": 0.8, "speedFactor": "1.0"}
    if body.vehicle_class in {"truck", "trailer", "bus"}:
        style["decel"] = min(float(style["decel"]), 4.0)
    attributes = {
        "id": f"{body_name}.{driver}",
        "vClass": body.vehicle_class,
        "length": length,
        "width": width,
        "height": height,
        "maxSpeed": body.top_speed,
        # Drivers look up and correct themselves about once a second, not at every step.
        "sigma": 0.4,
        "sigmaStep": 1.0,
        "emergencyDecel": 8.5,
        "lcSigma": 0.1,
        # Who hardly moves forwards does not move sideways: wheels steer, they do not slide.
        "lcMaxSpeedLatStanding": 0.0,
        "lcMaxSpeedLatFactor": 0.2,
        **style,
    }
    return {key: str(value) for key, value in attributes.items()}


def _add_vehicle(
    root: ET.Element,
    name: str,
    kind: str,
    walks: _Walks,
    network: Network,
    duration: float,
    rng: np.random.Generator,
) -> None:
    body = _BODIES[kind.partition(".")[0]]
    attributes = {"id": name, "type": kind, "depart": "0", "departPos": "random_free"}
    vehicle = ET.SubElement(
        root, "vehicle", attributes | {"departLane": "best", "departSpeed": "max"}
    )
    route = walks.walk(rng, duration, body.top_speed)
    ET.SubElement(vehicle, "route", {"edges": " ".join(route)})
    if body.vehicle_class == "bus":
        for road in route[2::4]:
            lane = next(lane for lane in network.edges[road].lanes if lane.permits("bus"))
            if lane.length > 50:
                stop = {"lane": lane.id, "endPos": f"{0.6 * lane.length:.1f}", "duration": "12"}
                ET.SubElement(vehicle, "stop", stop)


def _sidewalks(network: Network) -> list[str]:
    """Return the roads that one can walk along, of the largest stretch that hangs together."""
    lanes = network.lanes
    number = {name: i for i, name in enumerate(network.edges)}
    joined = [
        (number[lanes[c.source].edge], number[lanes[c.target].edge])
        for c in network.connections
        if lanes[c.source].permits("pedestrian") and lanes[c.target].permits("pedestrian")
    ]
    if not joined:
        return []
    row, column = np.array(joined, np.int64).T
    graph = coo_array((np.ones(len(row)), (row, column)), shape=(len(number), len(number)))
    _, part = connected_components(graph, directed=False)
    walkable = [
        name
        for name, edge in network.roads.items()
        if edge.lanes[0].allow == frozenset({"pedestrian"}) and edge.lanes[0].length > 5
    ]
    if not walkable:
        return []
    parts = part[[number[name] for name in walkable]]
    largest = np.bincount(parts).argmax()
    return [name for name, where in zip(walkable, parts, strict=True) if where == largest]


def _draw(rng: np.random.Generator, shares: Mapping[str, float]) -> str:
    weight = np.array(list(shares.values()))
    return list(shares)[int(rng.choice(len(weight), p=weight / weight.sum()))]
