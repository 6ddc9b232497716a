"""SUMO road networks (`.net.xml`): edges, lanes, connections and junctions as they are written."""

from __future__ import annotations

import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.formats.sumo.program import run_program
from kerbstone.formats.sumo.xml_stream import iterate_children, stem_of

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_WIDTH = 3.2
"""Width of a lane that does not give its own: SUMO's default [m]."""


@dataclass(frozen=True, eq=False)
class Lane:
    """A lane of an edge.

    Args:
        id: Its name.
        edge: The name of its edge.
        index: 0 at the kerb, counting towards the middle of the road.
        shape: Its centre line [m]; z is 0 in a flat network.
        width: [m].
        speed: Speed limit [m/s].
        length: The length that SUMO counts positions along [m]; it may differ from the shape's.
        allow: Vehicle classes that may use it; None for all.
        disallow: Vehicle classes that may not.
    """

    id: str
    edge: str
    index: int
    shape: Float64[np.ndarray, "point 3"]
    width: float
    speed: float
    length: float
    allow: frozenset[str] | None
    disallow: frozenset[str]

    def permits(self, vehicle_class: str) -> bool:
        """Return whether a vehicle class may use the lane."""
        if self.allow is not None:
            return vehicle_class in self.allow
        return vehicle_class not in self.disallow

    def place(self, position: float, aside: float) -> tuple[Float64[np.ndarray, " 2"], float]:
        """Return a point along the lane, and the lane's heading there [rad].

        Args:
            position: How far along it, as SUMO counts [m].
            aside: How far to the left of its centre line [m].
        """
        steps = np.diff(self.shape[:, :2], axis=0)
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*steps.T))])
        at = np.clip(position / self.length, 0.0, 1.0) * along[-1]
        step = steps[np.clip(np.searchsorted(along, at) - 1, 0, len(steps) - 1)]
        heading = float(np.arctan2(step[1], step[0]))
        x, y = (np.interp(at, along, self.shape[:, axis]) for axis in (0, 1))
        return np.array([x - aside * np.sin(heading), y + aside * np.cos(heading)]), heading


@dataclass(frozen=True, eq=False)
class Edge:
    """A road in one direction, or a part of a junction.

    Args:
        id: Its name.
        function: `normal`, `internal`, `crossing`, `walkingarea` or `connector`.
        source: The junction that it comes from ("" for parts of a junction).
        target: The junction that it leads to.
        type: The type that the network's author gave it, such as `highway.primary`.
        lanes: Its lanes, from the kerb.
    """

    id: str
    function: str
    source: str
    target: str
    type: str
    lanes: tuple[Lane, ...]


@dataclass(frozen=True)
class Connection:
    """Which lane leads to which.

    Args:
        source: The lane that it starts from.
        target: The lane that it leads to.
        via: The lane through the junction, "" where there is none.
        light: The traffic light that controls it, or "".
        link: Its place in the light's state.
        direction: `s` straight, `l` left, `r` right, `L`, `R` partly, `t` turn around.
        state: Right of way: `M` major, `m` minor, `s` stop, `w` all-way stop, `=` equal, …
    """

    source: str
    target: str
    via: str
    light: str
    link: int
    direction: str
    state: str


@dataclass(frozen=True, eq=False)
class Junction:
    """A node of the network.

    Args:
        id: Its name.
        type: `traffic_light`, `priority`, `dead_end`, `internal`, …
        shape: Its outline, not closed [m].
    """

    id: str
    type: str
    shape: Float64[np.ndarray, "point 3"]


@dataclass(frozen=True, eq=False)
class Network:
    """A road network.

    Args:
        name: The file's name without endings.
        left_hand: Whether traffic drives on the left.
        edges: All edges by name.
        connections: All connections.
        junctions: All junctions by name.
    """

    name: str
    left_hand: bool
    edges: dict[str, Edge]
    connections: tuple[Connection, ...]
    junctions: dict[str, Junction]

    @cached_property
    def lanes(self) -> dict[str, Lane]:
        """All lanes by name."""
        return {lane.id: lane for edge in self.edges.values() for lane in edge.lanes}

    @cached_property
    def roads(self) -> dict[str, Edge]:
        """The edges between junctions."""
        return {key: edge for key, edge in self.edges.items() if edge.function == "normal"}


def read_network(path: Path) -> Network:
    """Read a SUMO network, also compressed, or an OpenDRIVE file through SUMO's netconvert.

    Raises:
        InputError: The file is missing, cut off, no network, or holds values that are not.
        MissingError: An OpenDRIVE file needs SUMO, which is not installed.
    """
    path = Path(path)
    if path.suffix.lower() == ".xodr":
        with tempfile.TemporaryDirectory() as folder:
            converted = Path(folder) / f"{path.stem}.net.xml"
            convert_opendrive(path, converted)
            return read_network(converted)
    edges: dict[str, Edge] = {}
    connections: list[Connection] = []
    junctions: dict[str, Junction] = {}
    header: dict[str, str] = {}
    for element in iterate_children(path, root="net", header=header):
        try:
            _collect(element, edges, connections, junctions)
        except (KeyError, ValueError) as error:
            raise InputError(
                "value",
                f"<{element.tag} id={element.get('id', '')!r}> of a network cannot be read",
                where=str(path),
                why=f"{type(error).__name__}: {error}",
                remedy="write the network again with netconvert",
            ) from None
    network = Network(
        name=stem_of(path),
        left_hand=header.get("lefthand", "false") in {"true", "1"},
        edges=edges,
        connections=tuple(connections),
        junctions=junctions,
    )
    if not network.roads:
        raise InputError("empty", "a network has no roads", where=str(path))
    return network


def convert_opendrive(path: Path, network: Path) -> None:
    """Convert an OpenDRIVE file to a SUMO network, keeping its coordinates.

    Raises:
        InputError: The file is missing, or netconvert cannot read it.
        MissingError: SUMO is not installed.
    """
    if not path.is_file():
        raise InputError("missing-file", "there is no such OpenDRIVE file", where=str(path))
    run_program(
        "netconvert",
        [
            *("--opendrive-files", str(path), "-o", str(network)),
            *("--offset.disable-normalization", "true", "--opendrive.import-all-lanes", "true"),
        ],
        error=InputError,
        where=str(path),
    )


def _collect(
    element: ET.Element,
    edges: dict[str, Edge],
    connections: list[Connection],
    junctions: dict[str, Junction],
) -> None:
    get = element.attrib
    if element.tag == "edge":
        edges[get["id"]] = Edge(
            id=get["id"],
            function=get.get("function", "normal"),
            source=get.get("from", ""),
            target=get.get("to", ""),
            type=get.get("type", ""),
            lanes=tuple(_lanes(element)),
        )
    elif element.tag == "connection":
        connections.append(
            Connection(
                source=f"{get['from']}_{get['fromLane']}",
                target=f"{get['to']}_{get['toLane']}",
                via=get.get("via", ""),
                light=get.get("tl", ""),
                link=int(get.get("linkIndex", -1)),
                direction=get.get("dir", ""),
                state=get.get("state", ""),
            )
        )
    elif element.tag == "junction":
        shape = get.get("shape", "")
        junctions[get["id"]] = Junction(
            get["id"], get.get("type", ""), _points(shape) if shape else np.zeros((0, 3))
        )


def _lanes(edge: ET.Element) -> Iterator[Lane]:
    for element in edge.iter("lane"):
        get = element.attrib
        yield Lane(
            id=get["id"],
            edge=edge.attrib["id"],
            index=int(get["index"]),
            shape=_points(get["shape"]),
            width=float(get.get("width", DEFAULT_WIDTH)),
            speed=float(get["speed"]),
            length=float(get["length"]),
            allow=_classes(get["allow"]) if get.get("allow") else None,
            disallow=_classes(get.get("disallow", "")),
        )


def _classes(names: str) -> frozenset[str]:
    return frozenset(names.split())


def _points(text: str) -> Float64[np.ndarray, "point 3"]:
    rows = [[float(value) for value in point.split(",")] for point in text.split()]
    points = np.array(rows, np.float64)
    if points.ndim != 2 or points.shape[1] not in (2, 3) or not np.isfinite(points).all():
        raise ValueError(f"shape {text[:60]!r}")
    if points.shape[1] == 2:
        points = np.column_stack([points, np.zeros(len(points))])
    return points
