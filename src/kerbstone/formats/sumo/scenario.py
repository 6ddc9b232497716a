"""A SUMO scenario of one's own (`.sumocfg`), run at 10 Hz and written as a simulated log."""

from __future__ import annotations

import dataclasses
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kerbstone.errors import InputError
from kerbstone.formats.files import read_xml
from kerbstone.formats.sumo.log import SimulatedLog
from kerbstone.formats.sumo.network import read_network
from kerbstone.formats.sumo.program import read_version, run_program
from kerbstone.formats.sumo.simulation import STEP, new_folder, signals_request
from kerbstone.formats.sumo.vehicle_types import read_vehicle_types, write_vehicle_types
from kerbstone.formats.sumo.xml_stream import stem_of

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

# SUMO knows each option by several names.
_OPTIONS = {
    "network": ("net-file", "net", "n"),
    "routes": ("route-files", "route", "r"),
    "additional": ("additional-files", "additional", "a"),
    "begin": ("begin", "b"),
}


@dataclass(frozen=True)
class _Inputs:
    """The files that a scenario names, as absolute paths, and when it begins [s]."""

    network: Path
    routes: tuple[Path, ...]
    additional: tuple[Path, ...]
    begin: float


def simulate_scenario(
    scenario: Path,
    folder: Path,
    *,
    duration: float | None = None,
    ego: str = "auto",
    radius: float = 150.0,
    scene_duration: float = 60.0,
    timeout: float = 3600.0,
) -> SimulatedLog:
    """Run a scenario and write it as a log that `kerbstone ingest` reads.

    The scenario runs as its author set it up, but in steps of 0.1 s. Its own files are not
    touched: what it writes besides (trip infos, detectors) is thrown away.

    Args:
        scenario: The `.sumocfg` file.
        folder: Folder to write; it must be empty or new, or hold an earlier simulation.
        duration: How much is simulated [s]; as the scenario says if None.
        ego: Id of the vehicle that counts as the recording car; `auto` chooses for each scene the
            car that is there all the time and goes farthest; "" for none.
        radius: How far around it road users are recorded [m]; 0 for everywhere.
        scene_duration: How long a scene is [s].
        timeout: Longest run of SUMO [s].

    Raises:
        InputError: The scenario or a file that it names is missing or broken, or SUMO refuses it.
        MissingError: SUMO is not installed.
    """
    scenario = Path(scenario).resolve()
    inputs = _read_inputs(scenario)
    types = read_vehicle_types([*inputs.routes, *inputs.additional])
    read_network(inputs.network)
    with new_folder(folder) as place:
        work = place / "work"
        linked = _link_inputs(scenario, inputs, work)
        request = work / "kerbstone-signals.add.xml"
        request.write_text(signals_request(str(place / "signals.xml")), encoding="utf-8")
        end = [] if duration is None else ["--end", str(inputs.begin + duration)]
        run_program(
            "sumo",
            [
                *("-c", str(linked[scenario]), *end, "--step-length", str(STEP)),
                *("-a", ",".join(map(str, [*(linked[p] for p in inputs.additional), request]))),
                *("--fcd-output", str(place / "fcd.parquet"), "--precision", "6"),
                *("--output.compression", "zstd", "--no-step-log"),
            ],
            timeout=timeout,
            error=InputError,
            where=str(scenario),
        )
        shutil.rmtree(work)
        network = f"town.net.xml{'.gz' if inputs.network.suffix == '.gz' else ''}"
        shutil.copyfile(inputs.network, place / network)
        write_vehicle_types(types.values(), place / "types.add.xml")
        log = SimulatedLog(
            folder=place,
            town=stem_of(inputs.network),
            ego=ego,
            radius=radius,
            scene_duration=scene_duration,
            network=network,
            recordings=("fcd.parquet",),
            types=("types.add.xml",),
            signals="signals.xml" if (place / "signals.xml").exists() else "",
            sumo=read_version(),
            config={"scenario": scenario.name, "duration": duration},
        )
        log.write()
    return dataclasses.replace(log, folder=Path(folder).resolve())


def _read_inputs(scenario: Path) -> _Inputs:
    root = read_xml(scenario)
    if not root.tag.endswith("onfiguration"):
        raise InputError(
            "syntax",
            f"a SUMO scenario has another root: <{root.tag}>, expected <configuration>",
            where=str(scenario),
        )
    paths = {
        name: tuple(_existing(scenario, file) for file in _files(root, _OPTIONS[name]))
        for name in ("network", "routes", "additional")
    }
    if len(paths["network"]) != 1:
        raise InputError(
            "missing-file",
            "a SUMO scenario names no road network",
            where=str(scenario),
            remedy='add <net-file value="….net.xml"/> to its <input>',
        )
    begin = _files(root, _OPTIONS["begin"])
    try:
        start = float(begin[0]) if begin else 0.0
    except ValueError:
        raise InputError(
            "value", "the begin of a scenario is no number of seconds",
            where=str(scenario), why=begin[0],
        ) from None  # fmt: skip
    return _Inputs(paths["network"][0], paths["routes"], paths["additional"], start)


def _files(root: ET.Element, names: tuple[str, ...]) -> list[str]:
    """Return the values of an option: the last one given counts, as for SUMO."""
    found = [element for element in root.iter() if element.tag in names]
    if not found:
        return []
    value = found[-1].get("value", found[-1].get("v", ""))
    return [part.strip() for part in value.split(",") if part.strip()]


def _existing(scenario: Path, name: str) -> Path:
    path = Path(os.path.normpath(scenario.parent / name))
    if not path.is_file():
        raise InputError(
            "missing-file",
            f"a SUMO scenario names the file {name!r}, which is not there",
            where=str(scenario),
            why=f"looked for {path}",
            remedy="put it there, or correct the name in the scenario",
        )
    return path


def _link_inputs(scenario: Path, inputs: _Inputs, work: Path) -> dict[Path, Path]:
    """Link a scenario's files into a folder of our own, and return the links by the files.

    SUMO writes outputs beside the file that asks for them. Beside a link is in our folder, so
    the user's own folder stays as it is. All files beside the named ones are linked too, for they
    may name one another.
    """
    named = (scenario, inputs.network, *inputs.routes, *inputs.additional)
    top = Path(os.path.commonpath([path.parent for path in named]))
    links: dict[Path, Path] = {}
    for parent in dict.fromkeys(path.parent for path in named):
        target = work / parent.relative_to(top)
        target.mkdir(parents=True, exist_ok=True)
        for path in parent.iterdir():
            if path.is_file():
                link = target / path.name
                link.symlink_to(path)
                links[path] = link
    return links
