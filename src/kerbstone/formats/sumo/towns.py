"""The towns that traffic is simulated in: generated ones, real ones of SUMO's own, one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from kerbstone.errors import InputError, suggest_name
from kerbstone.formats.sumo.network import convert_opendrive
from kerbstone.formats.sumo.plans import Plan, mirror_plans, plan_motorway, plan_roundabouts
from kerbstone.formats.sumo.program import find_home, run_program

Side = Literal["right", "left"]
Build = Callable[[Path, Side, np.random.Generator], tuple[str, list[str]]]
"""Given a folder for intermediate files, returns the program to run and its arguments."""

_URBAN = (
    *("--sidewalks.guess", "--crossings.guess", "--default.crossing-width", "3.5"),
    *("--default.sidewalk-width", "2.5", "--default.junctions.radius", "6"),
)
_COMMON = (
    *(
        "--no-turnarounds",
        "--junctions.corner-detail",
        "8",
        "--junctions.internal-link-detail",
        "8",
    ),
    *("--tls.default-type", "static", "--tls.cycle.time", "60", "--precision", "3"),
)
_PLAIN = {"node": "nod", "edge": "edg", "connection": "con", "tllogic": "tll", "type": "typ"}
_OSM_LICENCE = "EPL-2.0 (SUMO); map data © OpenStreetMap contributors, ODbL 1.0"


@dataclass(frozen=True)
class Town:
    """A kind of town.

    Args:
        name: What it is called.
        title: One line about it.
        build: Writes the network: folder for intermediate files, driving side, random numbers;
            returns the program to run and its arguments.
        licence: Under which terms its map may be used.
        is_generated: Whether each seed gives another variant of it.
    """

    name: str
    title: str
    build: Build
    licence: str = "unrestricted (generated)"
    is_generated: bool = True


def check_town(name: str) -> None:
    """Raise `InputError` if there is neither a town of ours of that name nor a file."""
    if name not in TOWNS and not Path(name).is_file():
        raise InputError(
            "name",
            f"there is no town {name!r}",
            remedy=suggest_name(name, TOWNS) + "; or the path of a .net.xml, .osm or .xodr file",
        )


def build_town(name: str, network: Path, *, side: Side = "right", seed: int = 0) -> None:
    """Write the road network of a town.

    Args:
        name: A key of `TOWNS`, or the path of a network of one's own: `.net.xml` (also
            compressed), `.osm` or `.xodr`; its own driving side counts, except for `.osm`.
        network: File to write, ending in `.net.xml` or `.net.xml.gz`.
        side: On which side vehicles drive.
        seed: Varies generated towns: block lengths, lanes, bends.

    Raises:
        InputError: There is no such town, or its file cannot be read.
        MissingError: SUMO is not installed.
    """
    check_town(name)
    if name in TOWNS:
        rng = np.random.default_rng([seed, sorted(TOWNS).index(name)])
        program, arguments = TOWNS[name].build(network.parent, side, rng)
        run_program(program, [*arguments, *_COMMON, "-o", str(network)])
        return
    path = Path(name)
    if path.suffix == ".xodr":
        convert_opendrive(path, network)
        return
    is_osm = path.name.endswith((".osm", ".osm.gz", ".osm.xml"))
    side_argument = ["--lefthand"] if is_osm and side == "left" else []
    source = ["--osm-files", str(path), *_URBAN, *side_argument] if is_osm else ["-s", str(path)]
    run_program("netconvert", [*source, "-o", str(network)], error=InputError, where=str(path))


def _grid(folder: Path, side: Side, rng: np.random.Generator) -> tuple[str, list[str]]:
    del folder
    return "netgenerate", [
        "--grid",
        *("--grid.x-number", "4", "--grid.y-number", "4"),
        *(
            "--grid.x-length",
            _m(rng.uniform(110, 160)),
            "--grid.y-length",
            _m(rng.uniform(90, 140)),
        ),
        *("--perturb-x", "norm(0,7)", "--perturb-y", "norm(0,7)", "--seed", _seed(rng)),
        *(
            "--default.lanenumber",
            str(rng.integers(1, 3)),
            "--turn-lanes",
            "1",
            "--turn-lanes.length",
            "45",
        ),
        *("--default.speed", "13.89", "--default-junction-type", "priority"),
        *("--tls.set", "B1,B2,C1,C2," + str(rng.choice(["A1", "B0", "C3", "D2"]))),
        *("--bikelanes.guess", "--default.bikelane-width", "1.6", *_URBAN),
        *(["--lefthand"] if side == "left" else []),
    ]


def _spider(folder: Path, side: Side, rng: np.random.Generator) -> tuple[str, list[str]]:
    del folder
    return "netgenerate", [
        "--spider",
        *("--spider.arm-number", str(rng.integers(5, 8)), "--spider.circle-number", "3"),
        *("--spider.space-radius", _m(rng.uniform(80, 110)), "--spider.omit-center"),
        *("--perturb-x", "norm(0,4)", "--perturb-y", "norm(0,4)", "--seed", _seed(rng)),
        *("--default.lanenumber", "2", "--default.speed", "13.89"),
        *("--default-junction-type", "priority", "--tls.guess", "--tls.guess.threshold", "90"),
        *_URBAN,
        *(["--lefthand"] if side == "left" else []),
    ]


def _drawn(draw: Callable[[np.random.Generator], Plan], *arguments: str) -> Build:
    """Return a builder for a town that is drawn here."""

    def build(folder: Path, side: Side, rng: np.random.Generator) -> tuple[str, list[str]]:
        return "netconvert", [*_use(draw(rng).write(folder), side), *arguments]

    return build


def _real(file: str, boundary: str) -> Build:
    """Return a builder that cuts a stretch out of a network that comes with SUMO."""

    def build(folder: Path, side: Side, rng: np.random.Generator) -> tuple[str, list[str]]:
        del rng
        arguments = [
            *("-s", str(find_home() / "tools" / "game" / file)),
            *("--keep-edges.in-boundary", boundary),
            *("--keep-edges.by-vclass", "passenger,pedestrian,bicycle"),
            *("--remove-edges.isolated", "--offset.disable-normalization", "true"),
            *("--sidewalks.guess.max-speed", "20", *_URBAN, "--tls.rebuild", "--flatten"),
        ]
        if side == "right":
            return "netconvert", arguments
        plain = folder / "right"
        run_program("netconvert", [*arguments, *_COMMON, "--plain-output-prefix", str(plain)])
        files = {tag: folder / f"right.{name}.xml" for tag, name in _PLAIN.items()}
        files = {tag: path for tag, path in files.items() if path.exists()}
        keep = ("--offset.disable-normalization", "true", "--walkingareas")
        return "netconvert", [*_use(files, side), *keep]

    return build


def _use(files: dict[str, Path], side: Side) -> list[str]:
    """Return netconvert's arguments for plain XML files drawn for right-hand traffic."""
    arguments = [text for tag, path in files.items() for text in (f"--{tag}-files", str(path))]
    if side == "right":
        return arguments
    mirror_plans(files.values())
    return [*arguments, "--lefthand"]


def _m(value: float) -> str:
    return f"{value:.2f}"


def _seed(rng: np.random.Generator) -> str:
    return str(rng.integers(1, 2**31))


TOWNS: dict[str, Town] = {
    town.name: town
    for town in (
        Town("grid", "blocks with traffic lights, turn lanes, sidewalks and cycle lanes", _grid),
        Town("spider", "ring roads and arms, partly with lights, else priority", _spider),
        Town(
            "roundabouts",
            "streets that meet in roundabouts",
            _drawn(plan_roundabouts, "--roundabouts.guess", *_URBAN),
        ),
        Town(
            "motorway",
            "a ring of motorway, both directions, with exits and entries",
            _drawn(plan_motorway),
        ),
        Town(
            "berlin",
            "streets of Berlin, from the networks that come with SUMO",
            _real("DRT/osm.net.xml", "1100,600,1750,1150"),
            _OSM_LICENCE,
            is_generated=False,
        ),
        Town(
            "braunschweig",
            "streets of Brunswick, from the networks that come with SUMO",
            _real("bs3d/bs.net.xml", "0,0,1600,1200"),
            _OSM_LICENCE,
            is_generated=False,
        ),
    )
}
"""The towns by name."""
