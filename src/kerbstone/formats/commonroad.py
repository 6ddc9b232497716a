"""CommonRoad scenarios: XML with lanelets, obstacles and planning problems.

References:
    M. Althoff, M. Koschi, S. Manzinger, "CommonRoad: Composable benchmarks for motion planning on
    roads", IV 2017; XML format specification 2018b and 2020a.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kerbstone.errors import InputError
from kerbstone.formats.commonroad_roads import build_map, read_signals
from kerbstone.formats.commonroad_values import (
    as_json,
    body_box,
    find,
    read_number,
    read_place,
    read_text_of,
)
from kerbstone.formats.countries import driving_side_of
from kerbstone.formats.files import bare_name, open_bytes, read_xml
from kerbstone.formats.registry import Log
from kerbstone.scene import (
    Agents,
    Clock,
    Kind,
    Scene,
    Source,
    agents_from_rows,
    derive_velocity,
)

KINDS = {
    "car": Kind.CAR,
    "taxi": Kind.CAR,
    "priorityVehicle": Kind.CAR,
    "parkedVehicle": Kind.CAR,
    "truck": Kind.TRUCK,
    "bus": Kind.BUS,
    "train": Kind.TRAIN,
    "motorcycle": Kind.MOTORCYCLE,
    "bicycle": Kind.CYCLIST,
    "pedestrian": Kind.PEDESTRIAN,
    "constructionZone": Kind.OBJECT,
    "roadBoundary": Kind.OBJECT,
    "unknown": Kind.UNKNOWN,
}

_VERSIONS = ("2018b", "2020a")


class CommonRoad:
    """CommonRoad scenarios of versions 2018b and 2020a, one log per XML file.

    Obstacles become agents; static ones stand there all the time. Where a state is an interval or
    a region, its middle counts, and `Source.derived` lists "interval-middle". An obstacle whose
    future is only a set of occupancies has its initial state alone.

    There is no recording car: the planning problems are kept, as JSON values, in `Source.extra`
    together with the scenario's tags, location, environment and phantom obstacles. Speed limits
    come from traffic signs (2020a) or the lanelets (2018b); traffic lights follow their cycles.
    """

    name = "commonroad"
    title = "CommonRoad"
    reads = "obstacles, lanelets, signs, lights and planning problems of XML scenarios"
    extra = ""

    def claim(self, folder: Path, names: frozenset[str]) -> Iterable[Log]:
        """Give one log per scenario file."""
        for name in sorted(names):
            bare = bare_name(name)
            path = folder / name
            if bare.endswith(".xml") and path.is_file() and _is_scenario(path):
                yield Log(
                    format=self.name,
                    name=f"{self.name}/{bare.removesuffix('.xml')}",
                    path=path,
                    files=(path,),
                    claimed=(name,),
                )

    def read(self, log: Log) -> Iterator[Scene]:
        """Give the scenario as one scene.

        Raises:
            InputError: The file is malformed or of another version, or holds no obstacle.
        """
        root, where = read_xml(log.path), str(log.path)
        version = root.get("commonRoadVersion", "")
        if version not in _VERSIONS:
            raise InputError(
                "syntax",
                f"CommonRoad version {version!r} cannot be read",
                where=where,
                why="versions that can: " + ", ".join(_VERSIONS),
                remedy="convert it with commonroad-io",
            )
        states = _States()
        for obstacle in _obstacles(root):
            states.add(obstacle, where)
        clock = Clock(0, _read_step(root, where), _count_steps(root, states))
        agents = _make_agents(states, clock, where)
        road = build_map(root, log.name, where)
        benchmark = root.get("benchmarkID", "")
        place = benchmark.removeprefix("C-")
        velocity = () if states.has_velocity else ("velocity",)
        middle = ("interval-middle",) if states.is_rough else ()
        yield Scene(
            id=log.name,
            clock=clock,
            agents=agents,
            ego=None,
            source=Source(
                dataset=self.name,
                log=benchmark or log.path.stem,
                town="_".join(place.split("_")[:2]),
                driving_side=driving_side_of(place[:3]),
                path=where,
                simulated="simulated" in _tags(root),
                derived=velocity + middle,
                extra=_extra(root, states),
            ),
            map=road,
            signals=read_signals(root, road, clock.steps, where),
        )


def _is_scenario(path: Path) -> bool:
    try:
        with open_bytes(path) as file:
            return re.search(rb"<commonRoad\s", file.read(4000)) is not None
    except InputError:
        return False


@dataclass
class _States:
    """The states of all obstacles, one row each, as they are read."""

    track: list[str] = field(default_factory=list)
    label: list[str] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    centre: list[tuple[float, float, float]] = field(default_factory=list)
    heading: list[float] = field(default_factory=list)
    velocity: list[tuple[float, float]] = field(default_factory=list)
    size: list[tuple[float, float, float]] = field(default_factory=list)
    standing: list[int] = field(default_factory=list)
    """Rows of obstacles that stay where they are."""
    set_based: list[str] = field(default_factory=list)
    has_velocity: bool = True
    is_rough: bool = False
    _ids: set[str] = field(default_factory=set)

    def add(self, obstacle: ET.Element, file: str) -> None:
        """Add the states of one obstacle."""
        id_ = obstacle.get("id", "")
        where = f"{file}, obstacle {id_}"
        if id_ in self._ids:
            raise InputError("duplicate", "an obstacle id appears twice", where=where)
        self._ids.add(id_)
        label = read_text_of(obstacle, "type", where)
        box = body_box(find(obstacle, "shape", where), where)
        nodes = [find(obstacle, "initialState", where), *obstacle.iterfind("trajectory/state")]
        is_static = obstacle.tag == "staticObstacle" or obstacle.findtext("role") == "static"
        if is_static:
            self.standing.append(len(self.track))
        elif obstacle.find("occupancySet") is not None:
            self.set_based.append(id_)
        previous = -1
        for node in nodes[:1] if is_static else nodes:
            step = round(self._number(node, "time", where))
            if step <= previous:
                raise InputError(
                    "clock" if step < previous else "duplicate",
                    "the states of an obstacle do not follow one another in time",
                    where=where,
                    why=f"step {step} follows step {previous}",
                )
            previous = step
            place = f"{where}, step {step}"
            x, y, z, exact = read_place(find(node, "position", place), place)
            self.is_rough |= not exact
            heading = self._number(node, "orientation", place)
            cos, sin = np.cos(heading), np.sin(heading)
            self.track.append(id_)
            self.label.append(label)
            self.step.append(step)
            self.centre.append((x + cos * box.x - sin * box.y, y + sin * box.x + cos * box.y, z))
            self.heading.append(heading + box.turn)
            self.velocity.append((0.0, 0.0) if is_static else self._velocity(node, heading, place))
            self.size.append((box.length, box.width, np.nan))

    def _number(self, node: ET.Element, name: str, where: str) -> float:
        value, exact = read_number(find(node, name, where), where)
        self.is_rough |= not exact
        return value

    def _velocity(self, node: ET.Element, heading: float, where: str) -> tuple[float, float]:
        """Return the velocity in the plane: along the body, aside of it, or turned by the slip."""
        if node.find("velocity") is None:
            self.has_velocity = False
            return np.nan, np.nan
        ahead = self._number(node, "velocity", where)
        aside = 0.0
        if node.find("velocityY") is not None:
            aside = self._number(node, "velocityY", where)
        elif node.find("slipAngle") is not None:
            heading += self._number(node, "slipAngle", where)
        cos, sin = np.cos(heading), np.sin(heading)
        return ahead * cos - aside * sin, ahead * sin + aside * cos


def _obstacles(root: ET.Element) -> Iterator[ET.Element]:
    for tag in ("staticObstacle", "dynamicObstacle", "obstacle"):
        yield from root.iterfind(tag)


def _read_step(root: ET.Element, where: str) -> int:
    text = root.get("timeStepSize", "")
    try:
        step = float(text)
    except ValueError:
        step = 0.0
    if not 0 < step < 3600:
        raise InputError(
            "clock", "timeStepSize is not a positive number", where=where, why=f"it is {text!r}"
        )
    return round(step * 1e9)


def _count_steps(root: ET.Element, states: _States) -> int:
    """Return the length of a scenario: to its last state, or to its goals where nothing moves."""
    moving = np.delete(np.array(states.step, np.int64), states.standing)
    if len(moving):
        return int(moving.max()) + 1
    goals = [node.text for node in root.iterfind("planningProblem/goalState/time/intervalEnd")]
    return max([round(float(text or 0)) for text in goals], default=0) + 1


def _make_agents(states: _States, clock: Clock, where: str) -> Agents:
    row = np.arange(len(states.track))
    # What stands is repeated over all steps.
    rows = np.concatenate(
        [np.delete(row, states.standing), np.repeat(states.standing, clock.steps)]
    )
    rows = rows.astype(np.int64)
    step = np.concatenate(
        [
            np.delete(np.array(states.step, np.int64), states.standing),
            np.tile(np.arange(clock.steps), len(states.standing)),
        ]
    )
    order = np.argsort(rows, kind="stable")
    rows, step = rows[order], step[order]
    agents = agents_from_rows(
        track=np.array(states.track)[rows],
        step=step,
        steps=clock.steps,
        dt=clock.dt,
        label=np.array(states.label)[rows],
        kinds=KINDS,
        centre=np.array(states.centre).reshape(-1, 3)[rows],
        heading=np.array(states.heading)[rows],
        velocity=np.array(states.velocity).reshape(-1, 2)[rows],
        size=np.array(states.size).reshape(-1, 3)[rows],
        where=where,
    )
    if states.has_velocity:
        return agents
    derived = derive_velocity(agents.centre, agents.valid, clock.dt)
    return replace(agents, velocity=np.where(np.isnan(agents.velocity), derived, agents.velocity))


def _tags(root: ET.Element) -> list[str]:
    stated = [node.tag for node in root.iterfind("scenarioTags/*")]
    return stated or root.get("tags", "").split()


def _extra(root: ET.Element, states: _States) -> dict[str, Any]:
    extra: dict[str, Any] = {
        name: root.get(name, "")
        for name in ("commonRoadVersion", "author", "affiliation", "source", "date")
    }
    extra["tags"] = _tags(root)
    location = root.find("location")
    if location is not None:
        extra["location"] = as_json(location)
    for name, tag in (
        ("planning_problems", "planningProblem"),
        ("environment_obstacles", "environmentObstacle"),
        ("phantom_obstacles", "phantomObstacle"),
    ):
        found = [as_json(node) for node in root.iterfind(tag)]
        if found:
            extra[name] = found
    if states.set_based:
        extra["set_based_obstacles"] = states.set_based
    return extra
