"""Which outside formats there are, and which logs lie at a path."""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa

from kerbstone.errors import InputError, KerbstoneError, suggest_name
from kerbstone.scene import Scene


@dataclass(frozen=True)
class Log:
    """One log that a format found: the unit that an ingest reads, commits and resumes.

    Args:
        format: Name of the format that reads it.
        name: Name of the log, unique within the format: `dataset/log`.
        path: The log's folder or file.
        files: The files that its content depends on, for telling whether it changed.
        claimed: Names in the searched folder that are spoken for; a claimed folder is not
            searched further.
    """

    format: str
    name: str
    path: Path
    files: tuple[Path, ...]
    claimed: tuple[str, ...] = ()


@runtime_checkable
class Format(Protocol):
    """What a reader of an outside format offers."""

    name: str
    """Short name, as `--format` takes it."""
    title: str
    """What people call it."""
    reads: str
    """What it can read, in one line."""
    extra: str
    """The extra that it needs, or ""."""

    def claim(self, folder: Path, names: frozenset[str]) -> Iterable[Log]:
        """Give the logs among `names`, entries (files and folders) of `folder`.

        It decides by names and, where those are not telling, by the first bytes of a file; it
        does not read logs. An entry that is not its own is left alone without an error.
        """
        ...

    def read(self, log: Log) -> Iterator[Scene]:
        """Give the scenes of a log, one at a time.

        Raises:
            InputError: The log is malformed.
        """
        ...


@runtime_checkable
class TablesFormat(Format, Protocol):
    """A format whose logs hold more than scenes: detections, events, labels."""

    def tables(self, log: Log, scene: Scene) -> Mapping[str, pa.Table]:
        """Give what else the log says of one of its scenes, by the name of the store's table.

        Raises:
            InputError: The log is malformed.
        """
        ...


# In order of recognition: a format with telling names comes before one that looks into files.
_BUILT_IN = {
    "av2-sensor": "kerbstone.formats.av2_sensor:Av2Sensor",
    "av2-forecasting": "kerbstone.formats.av2_forecasting:Av2Forecasting",
    "argoverse1": "kerbstone.formats.argoverse1:Argoverse1",
    "kitti-tracking": "kerbstone.formats.kitti_tracking:KittiTracking",
    "kitti-odometry": "kerbstone.formats.kitti_odometry:KittiOdometry",
    "nuscenes": "kerbstone.formats.nuscenes:NuScenes",
    "scenarionet": "kerbstone.formats.scenarionet:ScenarioNet",
    "interaction": "kerbstone.formats.interaction:Interaction",
    "waymo-json": "kerbstone.formats.waymo_json:WaymoJson",
    "commonroad": "kerbstone.formats.commonroad:CommonRoad",
    "sumo": "kerbstone.formats.sumo.reader:Sumo",
    "py123d": "kerbstone.formats.py123d:Py123d",
    "table": "kerbstone.formats.table:Table",
}


@cache
def all_formats() -> dict[str, Format]:
    """Return every format by name: the built-in ones, then those of entry points.

    A package adds a format with an entry point in the group `kerbstone.formats`.

    Raises:
        InputError: Two formats have one name.
    """
    found: dict[str, Format] = {name: _load(where) for name, where in _BUILT_IN.items()}
    for entry in entry_points(group="kerbstone.formats"):
        if entry.name in found:
            raise InputError(
                "duplicate",
                f"two formats are called {entry.name!r}",
                where=f"entry point {entry.value}",
                remedy="uninstall the package that brings it, or have it renamed there",
            )
        found[entry.name] = entry.load()()
    return found


def get_format(name: str) -> Format:
    """Return a format by name.

    Raises:
        InputError: There is no format of that name.
    """
    if name in _BUILT_IN:
        # Alone: a worker that reads one format need not import what the others need.
        return _load(_BUILT_IN[name])
    formats = all_formats()
    if name not in formats:
        raise InputError("name", f"there is no format {name!r}", remedy=suggest_name(name, formats))
    return formats[name]


def find_logs(
    paths: Iterable[Path | str],
    *,
    format: str | None = None,  # noqa: A002 - named as the flag
) -> list[Log]:
    """Return the logs that lie at or below `paths`, in the order of their paths.

    Args:
        paths: Files, log folders, or folders of logs at any depth.
        format: Read everything as this format instead of recognising it.

    Raises:
        InputError: A path is not there or may not be read, or nothing at it is recognised.
    """
    formats = [get_format(format)] if format else list(all_formats().values())
    logs: dict[tuple[str, str, Path], Log] = {}
    for path in paths:
        try:
            found = _find_at(path, formats)
        except OSError as error:
            raise InputError(
                "unreadable",
                "a file or folder cannot be read",
                where=str(error.filename or path),
                why=error.strerror or str(error),
                remedy="allow it to be read, or name the files and folders beside it",
            ) from error
        if not found:
            raise _not_recognised(path, formats, format)
        for log in found:
            logs.setdefault((log.format, log.name, log.path), log)
    return list(logs.values())


def read_log(log: Log) -> Iterator[Scene]:
    """Give the scenes of a log, checked.

    Raises:
        InputError: The log is malformed; whatever a reader trips over is reported with the file.
    """
    try:
        for scene in get_format(log.format).read(log):
            yield scene.check()
    except KerbstoneError as error:
        if not error.where:
            error.where = str(log.path)
        raise


def _find_at(path: Path | str, formats: list[Format]) -> list[Log]:
    # `Path("")` is the current folder, which nobody means by an empty text (`"$UNSET"`).
    if not str(path) or not Path(path).exists():
        raise InputError("missing-file", "there is no such file or folder", where=repr(str(path)))
    if not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return list(_walk(Path(path).resolve(), formats))


def _not_recognised(path: Path | str, formats: list[Format], chosen: str | None) -> InputError:
    if chosen:
        return InputError(
            "format-unknown",
            f"no log of the format {chosen!r} here",
            where=str(path),
            why=f"{chosen} reads: {formats[0].reads}",
            remedy="correct the path or the file, or leave out --format",
        )
    return InputError(
        "format-unknown",
        "no log of a known format here",
        where=str(path),
        why="looked for: " + ", ".join(f.name for f in formats),
        remedy="'kerbstone formats' tells what each reads; --format NAME tells what one of them "
        "misses",
    )


def _walk(path: Path, formats: list[Format]) -> Iterator[Log]:
    if path.is_file():
        yield from _claim(path.parent, {path.name}, formats)[0]
        return
    # The folder itself may be the log that its parent's format would claim.
    logs, _ = _claim(path.parent, {path.name}, formats)
    if logs:
        yield from logs
        return
    for folder, subfolders, files in os.walk(path, onerror=_raise):
        subfolders.sort()
        logs, claimed = _claim(Path(folder), {*subfolders, *files}, formats)
        yield from logs
        subfolders[:] = [name for name in subfolders if name not in claimed]


def _claim(folder: Path, names: set[str], formats: list[Format]) -> tuple[list[Log], set[str]]:
    free = {name for name in names if not name.startswith(".")}
    taken: set[str] = set()
    logs: list[Log] = []
    for reader in formats:
        if not free:
            break
        for log in reader.claim(folder, frozenset(free)):
            logs.append(log)
            taken.update(log.claimed)
        free -= taken
    return logs, taken


def _raise(error: OSError) -> None:
    raise error


@cache
def _load(where: str) -> Format:
    module, name = where.split(":")
    return getattr(importlib.import_module(module), name)()
