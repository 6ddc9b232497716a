"""Which formats of detections there are, and whose detections lie at a path."""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from kerbstone.errors import InputError, KerbstoneError, suggest_name
from kerbstone.formats.detections.source import DetectedLog, DetectionFormat, DetectionSource

# In order of recognition: a table may have any name, so it comes last.
_FORMATS = {
    "kitti": "kerbstone.formats.detections.kitti:KittiDetections",
    "nuscenes": "kerbstone.formats.detections.nuscenes:NuScenesDetections",
    "av2": "kerbstone.formats.detections.av2:Av2Detections",
    "table": "kerbstone.formats.detections.table:TableDetections",
    "store": "kerbstone.formats.detections.stored:StoredDetections",
}


def detection_formats() -> dict[str, DetectionFormat]:
    """Return every format of detections by name, in order of recognition."""
    return {name: _load(where) for name, where in _FORMATS.items()}


def find_detections(
    paths: Iterable[Path | str],
    *,
    logs: Path | str | None = None,
    format: str | None = None,  # noqa: A002 - named as the flag
) -> list[DetectionSource]:
    """Return the logs whose detections lie at some paths, without reading more than is needed.

    Args:
        paths: Files of detections, or folders of them.
        logs: Folder with the logs themselves (poses, calibration, maps), where those do not lie
            beside the detections.
        format: Read everything as this format instead of recognising it.

    Returns:
        One source per log, by format and name. Each can be sent to another process.

    Raises:
        InputError: A path is not there, nothing at it is recognised, what a log needs beside its
            detections is missing, or two logs have one name.
    """
    formats = detection_formats()
    if format is not None and format not in formats:
        raise InputError(
            "name",
            f"there is no format of detections {format!r}",
            remedy=suggest_name(format, formats),
        )
    folder = None if logs is None else _existing(logs)
    owned: dict[str, list[Path]] = defaultdict(list)
    for path in map(_existing, paths):
        owned[format or _recognise(path, formats)].append(path)
    sources = [
        source for name, reader in formats.items() for source in reader.find(owned[name], folder)
    ]
    names: dict[str, DetectionSource] = {}
    for source in sources:
        twin = names.setdefault(source.name, source)
        if twin is not source:
            raise InputError(
                "duplicate",
                f"detections of the log {source.name!r} are there twice",
                where=source.where,
                why=f"and {twin.where}",
                remedy="label them one after the other, each into results of its own",
            )
    return sources


def read_detections(source: DetectionSource) -> DetectedLog:
    """Return the detections of a log, with what else is known of its drive.

    Rows that are no boxes, that repeat others or lie outside the log's time are left out and
    counted; rows may come in any order.

    Raises:
        InputError: A file is missing or malformed, or names a class, log or sample that is not
            known.
    """
    try:
        return _load(_FORMATS[source.format]).read(source)
    except KerbstoneError as error:
        if not error.where:
            error.where = source.where
        raise


def _existing(path: Path | str) -> Path:
    # `Path("")` is the current folder, which nobody means by an empty text (`"$UNSET"`).
    if not str(path) or not Path(path).exists():
        raise InputError("missing-file", "there is no such file or folder", where=repr(str(path)))
    return Path(path).resolve()


def _recognise(path: Path, formats: dict[str, DetectionFormat]) -> str:
    for name, reader in formats.items():
        if reader.claims(path):
            return name
    raise InputError(
        "format-unknown",
        "no detections of a known format here",
        where=str(path),
        why="looked for: " + "; ".join(f"{name} ({r.reads})" for name, r in formats.items()),
        remedy="name the format, to be told what it misses",
    )


@cache
def _load(where: str) -> DetectionFormat:
    module, name = where.split(":")
    return getattr(importlib.import_module(module), name)()
