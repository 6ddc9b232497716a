"""Towns drawn here, node by node, in SUMO's plain XML; and mirroring for left-hand traffic."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass
class Plan:
    """Nodes, edges and connections of a town, drawn for right-hand traffic."""

    nodes: list[dict[str, str]] = field(default_factory=list)
    edges: list[dict[str, str]] = field(default_factory=list)
    connections: list[dict[str, str]] = field(default_factory=list)

    def node(self, name: str, point: np.ndarray) -> None:
        """Add a junction at a point [m]."""
        self.nodes.append(
            {"id": name, "x": f"{point[0]:.2f}", "y": f"{point[1]:.2f}", "type": "priority"}
        )

    def edge(
        self,
        source: str,
        target: str,
        shape: np.ndarray | None = None,
        *,
        speed: float,
        lanes: int = 1,
        priority: int,
        **attributes: str,
    ) -> None:
        """Add a one-way road, straight or along the inner points `shape` [m]."""
        row = {"id": f"{source}-{target}", "from": source, "to": target, **attributes}
        row |= {"speed": f"{speed:.2f}", "numLanes": str(lanes), "priority": str(priority)}
        if shape is not None:
            row["shape"] = " ".join(f"{x:.2f},{y:.2f}" for x, y in shape)
        self.edges.append(row)

    def connect(self, before: str, here: str, after: str, from_lane: int, to_lane: int) -> None:
        """Connect a lane from `before` to `here` with a lane from there to `after`."""
        self.connections.append(
            {
                "from": f"{before}-{here}",
                "to": f"{here}-{after}",
                "fromLane": str(from_lane),
                "toLane": str(to_lane),
            }
        )

    def write(self, folder: Path) -> dict[str, Path]:
        """Write the plan and return its files by netconvert's name for them."""
        files: dict[str, Path] = {}
        for tag in ("node", "edge", "connection"):
            root = ET.Element(f"{tag}s")
            for row in getattr(self, f"{tag}s"):
                ET.SubElement(root, tag, row)
            files[tag] = folder / f"plan.{tag}s.xml"
            ET.ElementTree(root).write(files[tag])
        return files


def mirror_plans(files: Iterable[Path]) -> None:
    """Mirror plain XML files at the x axis, in place.

    Mirrored, a right-hand town is a left-hand one in which each bend and each lane is as real as
    before, roundabouts and divided roads too, which a mere change of sides would reverse.
    """
    for path in files:
        tree = ET.parse(path)  # noqa: S314 - netconvert or this module wrote it
        for element in tree.iter():
            if "y" in element.attrib:
                element.set("y", f"{-float(element.attrib['y']):.3f}")
            for key in {"shape", "outlineShape"} & set(element.attrib):
                points = [point.split(",") for point in element.attrib[key].split()]
                mirrored = [",".join([x, f"{-float(y):.3f}", *z]) for x, y, *z in points]
                element.set(key, " ".join(mirrored))
        tree.write(path)


def plan_roundabouts(rng: np.random.Generator) -> Plan:
    """Plan a grid of streets that meet in roundabouts."""
    plan, count = Plan(), 3
    spacing = rng.uniform(140, 180)
    place = {
        (i, j): spacing * np.array([i, j]) + rng.normal(0, 6, 2)
        for i in range(count)
        for j in range(count)
    }
    radius = rng.uniform(14, 20)
    for here, centre in place.items():
        arms = [
            there
            for step in ((1, 0), (0, 1), (-1, 0), (0, -1))
            if (there := (here[0] + step[0], here[1] + step[1])) in place
        ]
        angles = [math.atan2(*(place[there] - centre)[::-1]) for there in arms]
        for there, angle in zip(arms, angles, strict=True):
            plan.node(_port(here, there), centre + radius * _unit(angle))
            plan.edge(_port(here, there), _port(there, here), speed=13.89, priority=2)
        for k, there in enumerate(arms):
            following = arms[(k + 1) % len(arms)]
            turn = (angles[(k + 1) % len(arms)] - angles[k]) % (2 * np.pi)
            ring = centre + radius * _unit(angles[k] + np.linspace(0, turn, 13)[1:-1])
            plan.edge(
                *(_port(here, there), _port(here, following), ring),
                speed=8.33,
                priority=5,
                spreadType="center",
            )
    return plan


def plan_motorway(rng: np.random.Generator) -> Plan:
    """Plan a ring of motorway with two carriageways, exits and entries."""
    plan = Plan()
    radius, lanes = rng.uniform(380, 460), int(rng.integers(2, 4))
    exits = np.sort(rng.uniform(0, 0.6, 3) + np.arange(3) * 2 * np.pi / 3)
    # The outer carriageway runs counter-clockwise and exits outwards, the inner one inwards.
    _carriageway(plan, "outer", radius + 8, 1, lanes, exits)
    _carriageway(plan, "inner", radius - 8, -1, lanes, -exits)
    return plan


def _carriageway(
    plan: Plan, name: str, radius: float, sense: int, lanes: int, exits: np.ndarray
) -> None:
    """Plan one direction of a ring motorway, with slip roads that leave and join it again.

    Angles run in driving direction; `sense` is 1 for counter-clockwise, -1 for clockwise.
    """
    slip, speed_lane = 0.75, 180 / radius
    stations = [
        (f"{name}{k}{what}", (angle + offset) % (2 * np.pi))
        for k, angle in enumerate(exits)
        for what, offset in (
            ("widen", -speed_lane),
            ("off", 0.0),
            ("on", slip),
            ("narrow", slip + speed_lane),
        )
    ]
    stations.sort(key=lambda station: station[1])
    for station, angle in stations:
        plan.node(station, radius * _unit(sense * angle))
    names = [station for station, _ in stations]
    for (source, start), (target, end) in pairwise([*stations, stations[0]]):
        arc = start + np.linspace(0, (end - start) % (2 * np.pi), 40)[1:-1]
        extra = source.endswith(("widen", "on"))
        plan.edge(
            *(source, target, radius * _unit(sense * arc)),
            speed=30.56,
            lanes=lanes + extra,
            priority=9,
            type="highway.motorway",
        )
    aside = 30 * np.sin(np.linspace(0, np.pi, 41))
    for k, angle in enumerate(exits):
        slip_road = (radius + sense * aside)[:, None] * _unit(
            sense * (angle + np.linspace(0, slip, 41))
        )
        # The node in the middle keeps the slip road apart from the main road between its ends.
        plan.node(f"{name}{k}rest", slip_road[20])
        for source, target, shape in (
            (f"{name}{k}off", f"{name}{k}rest", slip_road[1:20]),
            (f"{name}{k}rest", f"{name}{k}on", slip_road[21:-1]),
        ):
            plan.edge(source, target, shape, speed=16.67, priority=3, type="highway.motorway_link")
    for before, here, after in zip(
        [names[-1], *names], names, [*names[1:], names[0]], strict=False
    ):
        # The speed-change lane is the one at the kerb, so through lanes move up by one beside it.
        wide_before, wide_after = (n.endswith(("widen", "on")) for n in (before, here))
        for lane in range(lanes):
            plan.connect(before, here, after, lane + wide_before, lane + wide_after)
        if here.endswith("off"):
            plan.connect(before, here, here[:-3] + "rest", 0, 0)
        elif here.endswith("on"):
            plan.connect(here[:-2] + "rest", here, after, 0, 0)


def _port(here: tuple[int, int], there: tuple[int, int]) -> str:
    return f"r{here[0]}{here[1]}to{there[0]}{there[1]}"


def _unit(angle: np.ndarray | float) -> np.ndarray:
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)
