"""What detections come from: one log of a detector's output, with what is known of its drive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped, UInt8

from kerbstone.errors import InputError
from kerbstone.scene import Agents, Detections, Kind, Rejects, Scene
from kerbstone.store import Store


@dataclass(frozen=True)
class DetectionSource:
    """The detections of one log, found but not read: the unit that is read, labelled and resumed.

    It can be sent to another process.

    Args:
        format: Name of the format that reads it.
        name: Name of the log, unique among those found together: that of the scene to be.
        log: The log's own name, by which the files know it.
        detections: Files with its detections; they may hold those of other logs too.
        logs: Where its poses, calibration and map are, or None where there are none.
        files: All files that its content depends on, for telling whether it changed.
        store: The store that holds it, where it is no file.
        table: The store's table of detections.
    """

    format: str
    name: str
    log: str
    detections: tuple[Path, ...] = ()
    logs: Path | None = None
    files: tuple[Path, ...] = ()
    store: Store | None = None
    table: str = ""

    @property
    def where(self) -> str:
        """The place of it, for errors."""
        if self.store is not None:
            return f"{self.store.uri}, table {self.table}, scene {self.log}"
        return ", ".join(map(str, self.detections))


@dataclass(frozen=True, eq=False)
class DetectedLog:
    """A log as a detector saw it.

    Args:
        name: Its name, as its source has it.
        scene: What is known without looking at other road users: clock, map, signals, ego poses
            and sensors. Its agents are the recording car, or nobody.
        detections: What was detected.
        labels: The format's own class name of each detection.
        rejects: What of the rows could not be used.

    Raises:
        InputError: The scene and the detections do not fit together, or the scene holds others
            than the recording car.
    """

    name: str
    scene: Scene
    detections: Detections
    labels: Shaped[np.ndarray, " row"]
    rejects: Rejects

    def __post_init__(self) -> None:
        if self.labels.shape != (len(self.detections),):
            raise InputError(
                "shape",
                "labels do not fit the detections",
                where=self.name,
                why=f"{len(self.labels)} labels, {len(self.detections)} detections",
            )
        if self.detections.clock.steps != self.scene.clock.steps:
            raise InputError("shape", "detections do not fit the scene's clock", where=self.name)
        if len(self.scene.agents) > (self.scene.ego is not None):
            raise InputError(
                "value",
                "a detected log holds road users beside the recording car",
                where=self.name,
                why="what is to be found out would be known already",
                remedy="`hide_agents` leaves the recording car alone",
            )


@runtime_checkable
class DetectionFormat(Protocol):
    """What a reader of a format of detections offers."""

    name: str
    """Short name, as `--format` takes it."""
    reads: str
    """What it reads, in one line."""

    def claims(self, path: Path) -> bool:
        """Tell whether a file or folder holds detections of this format, by names and a glance."""
        ...

    def find(self, paths: Sequence[Path], logs: Path | None) -> list[DetectionSource]:
        """Return the logs whose detections lie at paths that it claims, or that it was told of.

        Raises:
            InputError: There are none, or what a log needs beside them is missing.
        """
        ...

    def read(self, source: DetectionSource) -> DetectedLog:
        """Read the detections of a log.

        Raises:
            InputError: A file is missing or malformed.
        """
        ...


def number_kinds(
    label: Shaped[np.ndarray, " row"],
    kinds: Mapping[str, Kind],
    refuse: Callable[[int, str], InputError],
) -> UInt8[np.ndarray, " row"]:
    """Return the `Kind` of each class name.

    Args:
        label: Class names.
        kinds: What each stands for.
        refuse: Returns the error for a row whose class name is not among them.

    Raises:
        InputError: One is not.
    """
    numbers = {name: int(kind) for name, kind in kinds.items()}
    for name in set(label) - numbers.keys():
        raise refuse(int(np.argmax(label == name)), str(name))
    return np.array([numbers[name] for name in label], np.uint8)


def hide_agents(scene: Scene) -> Scene:
    """Return a scene with no agent but the recording car, and nobody where there is none."""
    if scene.ego is None:
        return replace(scene, agents=Agents.empty(scene.clock.steps))
    return replace(scene, agents=scene.agents.select([scene.ego]), ego=0)
