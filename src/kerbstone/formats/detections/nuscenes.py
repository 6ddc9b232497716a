"""Detections on nuScenes, as its detection and tracking evaluators read them.

A JSON file holds the boxes of all scenes by sample, in the global frame. Which scene a sample
belongs to, its time and the ego poses come from the tables of the release, whose annotations are
not looked at. What the detector says of velocities is not read.

- A bicycle is a cyclist unless its attribute says that nobody rides it.
- `Source.extra` of a scene keeps `sample_tokens`, one per step ("" where no sample was taken), and
  the file's `meta`, which tracks that are written back need.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.formats.detections.nuscenes_results import (
    Results,
    load_results,
    looks_like_results,
)
from kerbstone.formats.detections.rows import steps_at
from kerbstone.formats.detections.source import DetectedLog, DetectionSource, number_kinds
from kerbstone.formats.files import bare_name, find_packed
from kerbstone.formats.nuscenes import has_tables, read_scene, scene_id
from kerbstone.formats.nuscenes_tables import TABLES, NuScenesTables, load_tables
from kerbstone.scene import SE3, Clock, Kind, Scene, detections_from_rows, pack_boxes

KINDS = {
    "barrier": Kind.OBJECT,
    "bicycle": Kind.CYCLIST,
    "bus": Kind.BUS,
    "car": Kind.CAR,
    "construction_vehicle": Kind.TRUCK,
    "motorcycle": Kind.MOTORCYCLE,
    "pedestrian": Kind.PEDESTRIAN,
    "traffic_cone": Kind.OBJECT,
    "trailer": Kind.TRAILER,
    "truck": Kind.TRUCK,
}
"""What each of the detection challenge's ten classes stands for."""

_UNRIDDEN = "cycle.without_rider"
_OTHER_FOLDERS = ("samples", "sweeps", "maps", "v1.0-")
_LEVELS = 3


class NuScenesDetections:
    """Detections on nuScenes, one log per scene."""

    name = "nuscenes"
    reads = "results JSON of the detection or tracking challenge; tables v1.0-* in logs"

    def claims(self, path: Path) -> bool:
        """Tell whether a path is a result file, or a folder with one."""
        return any(looks_like_results(file) for file in _find_files(path))

    def find(self, paths: Sequence[Path], logs: Path | None) -> list[DetectionSource]:
        """Return one source per scene that has samples in the files.

        Raises:
            InputError: A file is malformed, there are no tables, or a sample is not in them.
        """
        files: dict[tuple[Path, str], list[Path]] = {}
        for path in paths:
            found = [f for f in _find_files(path) if path.is_file() or looks_like_results(f)]
            if not found:
                raise InputError("missing-file", "no result file here", where=str(path))
            for file in found:
                results = load_results(file)
                folder = _find_tables(file, logs, results)
                tables = load_tables(folder)
                scenes = {_scene_of(token, tables, results) for token in results.rows}
                for scene in sorted(scenes):
                    own = files.setdefault((folder, tables.scenes[scene].name), [])
                    own.extend([file] if file not in own else [])
        return [
            DetectionSource(
                format=self.name,
                name=scene_id(folder, name),
                log=name,
                detections=tuple(own),
                logs=folder,
                files=(*own, *_companions(folder)),
            )
            for (folder, name), own in sorted(files.items())
        ]

    def read(self, source: DetectionSource) -> DetectedLog:
        """Read the detections of a scene.

        Raises:
            InputError: A file is missing or malformed, or a class is not known.
        """
        folder = source.logs or Path()
        scene = read_scene(folder, source.log, has_boxes=False)
        step_of = _steps_of_samples(folder, source.log, scene.clock)
        files = [load_results(path) for path in source.detections]
        scene = _with_tokens(scene, step_of, files[-1])
        parts = [_part(results, step_of) for results in files]
        labels = np.concatenate([part[1] for part in parts])
        detections, rejects, kept = detections_from_rows(
            clock=scene.clock,
            step=np.concatenate([part[0] for part in parts]),
            kind=np.concatenate([part[2] for part in parts]),
            box=np.concatenate([part[3] for part in parts]),
            score=np.concatenate([part[4] for part in parts]),
        )
        return DetectedLog(source.name, scene, detections, labels[kept], rejects)


_Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _part(results: Results, step_of: dict[str, int]) -> _Part:
    """Return step, class, kind, box and score of a file's boxes in a scene."""
    own = [(step, results.rows[token]) for token, step in step_of.items() if token in results.rows]
    rows = np.concatenate([np.zeros(0, np.int64), *(rows for _, rows in own)])
    step = np.repeat(
        np.array([step for step, _ in own], np.int64), [len(rows) for _, rows in own]
    )  # fmt: skip
    label = results.name[rows]

    def refuse(row: int, name: str) -> InputError:
        return InputError(
            "label",
            f"unknown class {name!r}",
            where=f"{results.path}, box {rows[row]}",
            why="known classes: " + ", ".join(sorted(KINDS)),
        )

    kind = number_kinds(label, KINDS, refuse)
    is_unridden = np.asarray(results.attribute[rows] == _UNRIDDEN)
    kind = np.where(is_unridden & (kind == Kind.CYCLIST), np.uint8(Kind.BICYCLE), kind)
    return step, label, kind, _boxes_in_world(results, rows), results.score[rows]


def _steps_of_samples(folder: Path, name: str, clock: Clock) -> dict[str, int]:
    tables = load_tables(folder)
    row = tables.scene_row(name)
    if row is None:
        return {}
    step = steps_at(tables.sample_times_us(row) * 1000, clock)
    return dict(zip(tables.sample_tokens(row), step.tolist(), strict=True))


def _boxes_in_world(
    results: Results, rows: Int64[np.ndarray, " row"]
) -> Float64[np.ndarray, "row 7"]:
    rotation = results.rotation[rows]
    broken = np.asarray(~np.isfinite(rotation).all(axis=1) | ~rotation.any(axis=1))
    centre = results.translation[rows]
    pose = SE3.from_quaternion(np.where(broken[:, None], 1.0, rotation), centre)
    heading = np.where(broken, np.nan, pose.yaw)
    return pack_boxes(centre, heading, results.size[rows][:, [1, 0, 2]])


def _with_tokens(scene: Scene, step_of: dict[str, int], results: Results) -> Scene:
    tokens = [""] * scene.clock.steps
    for token, step in step_of.items():
        tokens[step] = token
    extra = {**scene.source.extra, "sample_tokens": tokens, "meta": results.meta}
    return replace(scene, source=replace(scene.source, extra=extra))


def _scene_of(token: str, tables: NuScenesTables, results: Results) -> int:
    scene = tables.scene_of_sample(token)
    if scene is None:
        raise InputError(
            "reference",
            f"sample {token!r} is not in the tables",
            where=str(results.path),
            remedy="take the tables of the release that the detector ran on",
        )
    return scene


def _find_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield from [path] if bare_name(path.name).endswith(".json") else []
        return
    for folder, below, names in os.walk(path):
        below[:] = sorted(name for name in below if not name.startswith(_OTHER_FOLDERS))
        if not has_tables(Path(folder)):
            chosen = (name for name in sorted(names) if bare_name(name).endswith(".json"))
            yield from (Path(folder, name) for name in chosen)


def _find_tables(file: Path, logs: Path | None, results: Results) -> Path:
    """Return the folder of the tables that have the samples of a file."""
    near = [logs] if logs is not None else list(file.parents)[:_LEVELS]
    found = [
        place
        for folder in near
        for place in (folder, *sorted(folder.glob("v1.0-*")))
        if has_tables(place)
    ]
    if not found:
        raise InputError(
            "missing-file",
            "there are no nuScenes tables",
            where=str(file),
            why="looked for v1.0-* in " + ", ".join(map(str, near)),
            remedy="give the folder that holds the tables as `logs`",
        )
    token = next(iter(results.rows), None)
    if len(found) == 1 or token is None:
        return found[0]
    return next((f for f in found if load_tables(f).scene_of_sample(token) is not None), found[0])


def _companions(folder: Path) -> list[Path]:
    found = (find_packed(folder, f"{name}.json") for name in TABLES)
    return [file for file in found if file is not None]
