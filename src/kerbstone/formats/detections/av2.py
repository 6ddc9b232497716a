"""Detections on Argoverse 2 sensor logs, as its evaluator reads them.

Tables with a row per box in the ego frame at its own time: `tx_m ty_m tz_m length_m width_m
height_m qw qx qy qz category score timestamp_ns`, and `log_id` where a table holds several logs.
Poses and map come from the logs themselves; their annotations are not looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.formats import av2_sensor
from kerbstone.formats.detections.rows import (
    Rows,
    column_names,
    concatenate_columns,
    distinct,
    is_table,
    read_rows,
    require_columns,
    steps_at,
)
from kerbstone.formats.detections.source import DetectedLog, DetectionSource, number_kinds
from kerbstone.formats.files import Columns, bare_name
from kerbstone.scene import BoxIndex, EgoPoses, detections_from_rows

KINDS = {name: kind for name, kind in av2_sensor.KINDS.items() if name != "EGO_VEHICLE"}
"""The categories that a detector may find."""

_ROTATION = ("qw", "qx", "qy", "qz")
_COLUMNS = {"timestamp_ns": int, "category": str, "score": float} | dict.fromkeys(
    ("tx_m", "ty_m", "tz_m", "length_m", "width_m", "height_m", *_ROTATION), float
)
_LOG = "log_id"
_OTHER_FOLDERS = ("sensors", "map", "calibration")
_LEVELS = 3


class Av2Detections:
    """Detections on Argoverse 2 sensor logs, one source per log."""

    name = "av2"
    reads = "Feather or Parquet with tx_m … qz, category, score, timestamp_ns, log_id; logs in logs"

    def claims(self, path: Path) -> bool:
        """Tell whether a path is a table with these columns, or a folder with one."""
        return any(_COLUMNS.keys() <= set(column_names(file)) for file in _find_files(path))

    def find(self, paths: Sequence[Path], logs: Path | None) -> list[DetectionSource]:
        """Return one source per log that has detections.

        Raises:
            InputError: There is no table, or a log that one of them names is not there.
        """
        files: dict[tuple[str, Path], list[Path]] = {}
        for path in paths:
            found = [file for file in _find_files(path) if path.is_file() or self.claims(file)]
            if not found:
                raise InputError(
                    "missing-file", "no table of detections here", where=str(path)
                )  # fmt: skip
            for file in found:
                require_columns(file, _COLUMNS)
                for log in _logs_of(file):
                    own = files.setdefault((log, _find_log(log, file, logs)), [])
                    own.extend([file] if file not in own else [])
        return [
            DetectionSource(
                format=self.name,
                name=av2_sensor.log_name(folder),
                log=log,
                detections=tuple(own),
                logs=folder,
                files=(*own, *av2_sensor.log_files(folder)),
            )
            for (log, folder), own in sorted(files.items())
        ]

    def read(self, source: DetectionSource) -> DetectedLog:
        """Read the detections of a log.

        The clock's steps are the lidar sweeps and the times of detections.

        Raises:
            InputError: A file is missing or malformed, or a category is not known.
        """
        folder = source.logs or Path()
        parts = [
            read_rows(path, _COLUMNS, optional={_LOG: str}, split_by=_LOG, part=source.log)
            for path in source.detections
        ]
        kind = np.concatenate([_kinds_of(part) for part in parts])
        columns = concatenate_columns([part.columns for part in parts])
        times = columns["timestamp_ns"]
        poses = av2_sensor.read_poses(folder)
        is_posed = (times >= poses.times_ns[0]) & (times <= poses.times_ns[-1])
        if not is_posed.any():
            raise InputError(
                "reference",
                "no detection lies within the time of its log",
                where=source.where,
                why=f"the ego poses of {folder} are from {poses.times_ns[0]} to "
                f"{poses.times_ns[-1]} ns",
            )
        scene = av2_sensor.read_drive(folder, np.unique(times[is_posed]))
        detections, rejects, kept = detections_from_rows(
            clock=scene.clock,
            step=np.where(is_posed, steps_at(times, scene.clock), -1),
            box=_boxes_in_world(columns, poses, times),
            kind=kind,
            score=columns["score"],
        )
        return DetectedLog(source.name, scene, detections, columns["category"][kept], rejects)


def _kinds_of(rows: Rows) -> np.ndarray:
    def refuse(row: int, name: str) -> InputError:
        return rows.refuse(
            row, "label", f"unknown category {name!r}", "known: " + ", ".join(sorted(KINDS))
        )

    return number_kinds(rows.columns["category"], KINDS, refuse)


def _boxes_in_world(
    columns: Columns, poses: EgoPoses, times: Int64[np.ndarray, " row"]
) -> Float64[np.ndarray, "row 7"]:
    """Return boxes in the city frame; what is no number or no rotation is NaN."""
    numbers = np.stack([columns[name] for name in _COLUMNS if _COLUMNS[name] is float], axis=-1)
    turn = np.stack([columns[name] for name in _ROTATION], axis=-1)
    broken = ~np.isfinite(numbers).all(axis=1) | ~turn.any(axis=1)
    sound = columns | {name: np.where(broken, 1.0, columns[name]) for name in _ROTATION}
    inside = np.clip(times, poses.times_ns[0], poses.times_ns[-1])
    boxes = av2_sensor.boxes_in_world(sound, poses.at(inside))
    boxes[broken, BoxIndex.X] = np.nan
    return boxes


def _find_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield from [path] if is_table(path) else []
        return
    for folder, below, names in os.walk(path):
        below[:] = sorted(name for name in below if name not in _OTHER_FOLDERS)
        yield from (Path(folder, name) for name in sorted(names) if is_table(Path(name)))


def _logs_of(file: Path) -> list[str]:
    if _LOG in column_names(file):
        return distinct(file, _LOG)
    stem = bare_name(file.name).rpartition(".")[0]
    return [file.parent.name if av2_sensor.is_log(file.parent) else stem]


def _find_log(name: str, file: Path, logs: Path | None) -> Path:
    near = [logs] if logs is not None else list(file.parents)[:_LEVELS]
    # A name comes from a file: it must not lead out of the folder.
    if name and Path(name).name == name:
        for folder in near:
            splits = sorted(entry for entry in folder.iterdir() if entry.is_dir())
            for place in (folder, folder / name, *(split / name for split in splits)):
                if place.name == name and av2_sensor.is_log(place):
                    return place
    raise InputError(
        "reference",
        f"there is no log {name!r}",
        where=str(file),
        why="looked in " + ", ".join(map(str, near)),
        remedy="give the folder that holds the logs as `logs`",
    )
