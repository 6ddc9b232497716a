"""A simulated log: a folder that holds what SUMO wrote, and a manifest that says what is what."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kerbstone.errors import InputError
from kerbstone.formats.files import read_json

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "simulation.json"
_VERSION = 1


@dataclass(frozen=True)
class SimulatedLog:
    """What lies in a folder of simulated traffic.

    Args:
        folder: Where it lies.
        town: Name of the town: all logs of one road network, and no others, share it.
        ego: Id of the recording car; `auto` to choose one for each scene, or "" for none.
        radius: How far around the recording car road users are recorded [m]; 0 for everywhere.
        scene_duration: How long a scene is [s]; the log is cut into consecutive scenes.
        network: File of the road network.
        recordings: Files of floating-car data.
        types: Files that declare the vehicle types.
        signals: File of the traffic lights' switches, or "".
        events: File of the planted events, or "".
        licence: Under which terms the map may be used.
        sumo: Version of SUMO.
        config: What the simulation was started with.
    """

    folder: Path
    town: str
    ego: str
    radius: float
    scene_duration: float
    network: str
    recordings: tuple[str, ...]
    types: tuple[str, ...]
    signals: str = ""
    events: str = ""
    licence: str = ""
    sumo: str = ""
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The log's name."""
        return f"sumo/{self.folder.name}"

    @property
    def files(self) -> tuple[str, ...]:
        """All its files, the manifest first."""
        named = (self.network, *self.recordings, *self.types, self.signals, self.events)
        return (MANIFEST, *(name for name in named if name))

    def write(self) -> None:
        """Write the manifest; it comes last, so that a folder with one is complete."""
        values = {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "folder"
        }
        text = json.dumps({"kerbstone_simulation": _VERSION, **values}, indent=2)
        (self.folder / MANIFEST).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> SimulatedLog:
        """Read the manifest of a folder.

        Raises:
            InputError: It is missing, broken, of a newer version, or names a missing file.
        """
        path = folder / MANIFEST
        values = read_json(path)
        version = values.pop("kerbstone_simulation", None) if isinstance(values, dict) else None
        if version != _VERSION:
            raise InputError(
                "syntax",
                "this is no manifest of a simulation that this version reads",
                where=str(path),
                why=f"kerbstone_simulation is {version!r}, expected {_VERSION}",
            )
        try:
            for name in ("recordings", "types"):
                values[name] = tuple(values[name])
            log = cls(folder=folder, **values)
        except (KeyError, TypeError) as error:
            raise InputError(
                "syntax", "the manifest of a simulation is broken", where=str(path), why=str(error)
            ) from None
        for name in log.files:
            if not (folder / name).is_file():
                raise InputError(
                    "missing-file",
                    f"a simulated log lacks its file {name!r}",
                    where=str(folder),
                    remedy="copy the whole folder, or simulate it again",
                )
        return log
