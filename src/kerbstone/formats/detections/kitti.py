"""Detections on KITTI's tracking benchmark, as AB3DMOT publishes them or as result files.

A file `NNNN.txt` holds a sequence, of all classes or of one; the folders of several classes are
joined. Two kinds of rows are read:

- with commas, as AB3DMOT hands on PointRCNN's output: frame, type (1 pedestrian, 2 car, 3 cyclist),
  2D box, score, height, width, length, bottom centre and turn in the frame of camera 0, alpha;
- with spaces, as the benchmark's results and labels are: frame, track, class, …, with the score at
  the end. Without one a row counts as sure; tracks are not read.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.formats import kitti, kitti_sequence
from kerbstone.formats.detections.kitti_rows import KittiRows, join_rows, looks_like_rows, read_rows
from kerbstone.formats.detections.source import DetectedLog, DetectionSource
from kerbstone.formats.files import bare_name
from kerbstone.formats.kitti_sequence import BOX_CAMERA, COLOUR_CAMERA
from kerbstone.formats.kitti_tracking import KINDS
from kerbstone.scene import Agents, BoxIndex, Camera, agents_from_rows, detections_from_rows

_OTHER_FOLDERS = ("label", "calib", "oxts", "poses", "image", "velodyne")
"""Beginnings of the names of folders with something else; labels count only where named."""
_LEVELS = 5
"""How far above a file the calibration of its sequence is looked for."""
_SIZES_PX = ((1224, 370), (1238, 374), (1241, 376), (1242, 375))
"""The image sizes of the benchmark [px]."""
_FOCAL_PX = (707.0493, 718.3351, 718.856, 721.5377)
"""Focal length that goes with each of them: a recording day has one calibration [px]."""
_MAX_PX = 100_000
_MANY_FRAMES = 1_000_000


class KittiDetections:
    """Detections on KITTI's tracking benchmark, one log per sequence."""

    name = "kitti"
    reads = "NNNN.txt per sequence, of AB3DMOT or as results; calib and poses beside it or in logs"

    def claims(self, path: Path) -> bool:
        """Tell whether a path is a file of such rows, or a folder with some at any depth."""
        return any(looks_like_rows(file) for file in _find_files(path))

    def find(self, paths: Sequence[Path], logs: Path | None) -> list[DetectionSource]:
        """Return one source per sequence.

        Raises:
            InputError: No file is named as a sequence is, or a sequence has no calibration.
        """
        files: dict[tuple[Path, str], list[Path]] = defaultdict(list)
        for path in paths:
            found = list(_find_files(path))
            if not found:
                raise InputError(
                    "missing-file",
                    "no file here is named by its sequence",
                    where=str(path),
                    remedy="name files as 0001.txt",
                )
            for file in found:
                own = files[_find_root(file, logs), _sequence_of(file)]
                if file not in own:
                    own.append(file)
        return [
            DetectionSource(
                format=self.name,
                name=f"{kitti_sequence.DATASET}/{name}",
                log=name,
                detections=tuple(own),
                logs=root,
                files=(*own, *_companions(root, name)),
            )
            for (root, name), own in sorted(files.items())
        ]

    def read(self, source: DetectionSource) -> DetectedLog:
        """Read a sequence.

        The clock has a step per pose. Without poses the world is the moving ego frame, as in
        `KittiTracking`, and the clock reaches to the last image or detection. The scene always has
        cameras `image_00`, in whose frame the files' boxes stand, and `image_02`.

        Raises:
            InputError: A file is missing or malformed, or two files have detections of one class.
        """
        rows = join_rows([read_rows(path) for path in source.detections])
        sequence = kitti_sequence.read_sequence(source.logs or Path(), source.log)
        frames = max(kitti_sequence.count_images(sequence), int(rows.frame.max(initial=-1)) + 1)
        if sequence.poses is None and not 0 < frames <= _MANY_FRAMES:
            raise InputError(
                "clock",
                "without poses the detections should tell the length of the sequence",
                where=source.where,
                why=f"the last frame is {frames - 1}",
                remedy="put the sequence's poses beside its calibration",
            )
        world_from_ego = kitti_sequence.read_world(sequence, frames)
        agents = _place_ego(kitti_sequence.ego_boxes(world_from_ego))
        scene = kitti_sequence.build_scene(sequence, agents, world_from_ego)
        cameras = _complete_cameras(scene.cameras, sequence, rows)
        scene = replace(scene, cameras=cameras)
        inside = np.clip(rows.frame, 0, len(world_from_ego) - 1)
        world_from_camera = (world_from_ego @ sequence.camera_from_ego.inverse())[inside]
        boxes = kitti_sequence.boxes_in_world(
            rows.bottom_camera, rows.turn, rows.size, world_from_camera
        )
        detections, rejects, kept = detections_from_rows(
            clock=scene.clock,
            step=rows.frame,
            box=boxes,
            kind=np.array([KINDS[name] for name in rows.label], np.uint8),
            score=rows.score,
            image_box=rows.image_box,
        )
        return DetectedLog(source.name, scene, detections, rows.label[kept], rejects)


def _find_files(path: Path) -> Iterator[Path]:
    """Give the files named by a sequence: of a folder itself, and of those below with rows."""
    if path.is_file():
        yield from [path] if _sequence_of(path) else []
        return
    for folder, below, names in os.walk(path):
        below[:] = sorted(name for name in below if not name.startswith(_OTHER_FOLDERS))
        files = [Path(folder, name) for name in sorted(names) if _sequence_of(Path(name))]
        if Path(folder) == path or any(map(looks_like_rows, files)):
            yield from files


def _sequence_of(path: Path) -> str:
    """Return the sequence that a file is named by, or ""."""
    stem, _, ending = bare_name(path.name).rpartition(".")
    return stem if ending == "txt" and stem.isdecimal() else ""


def _find_root(file: Path, logs: Path | None) -> Path:
    """Return the folder that has a sequence's calibration."""
    name = _sequence_of(file)
    near = [*file.parents][:_LEVELS] if logs is None else [logs, logs / "training"]
    for folder in near:
        if kitti_sequence.find_calibration(folder, name).exists():
            return folder
    raise InputError(
        "missing-file",
        f"there is no calibration of sequence {name!r}",
        where=str(file),
        why=f"looked for calib/{name}.txt in " + ", ".join(map(str, near)),
        remedy="give the folder that holds `calib` and the poses as `logs`",
    )


def _companions(root: Path, name: str) -> list[Path]:
    poses = kitti_sequence.find_poses(root, name)
    return [kitti_sequence.find_calibration(root, name), *([poses] if poses else [])]


def _place_ego(boxes_world: Float64[np.ndarray, "time 7"]) -> Agents:
    steps = len(boxes_world)
    return agents_from_rows(
        track=["ego"] * steps,
        step=np.arange(steps),
        steps=steps,
        dt=kitti.DT_NS / 1e9,
        label=["ego"] * steps,
        kinds=KINDS,
        centre=boxes_world[:, : BoxIndex.HEADING],
        heading=boxes_world[:, BoxIndex.HEADING],
        size=boxes_world[:, BoxIndex.LENGTH :],
    )


def _complete_cameras(
    found: tuple[Camera, ...], sequence: kitti_sequence.Sequence, rows: KittiRows
) -> tuple[Camera, ...]:
    """Return the cameras that have images, and those that a writer of boxes needs all the same."""
    names = {camera.name for camera in found}
    sizes = [(camera.width_px, camera.height_px) for camera in found]
    size = sizes[0] if sizes else _guess_size(sequence, rows.image_box)
    missing = [name for name in (BOX_CAMERA, COLOUR_CAMERA) if name not in names]
    added = [kitti_sequence.without_images(sequence, name, size) for name in missing]
    return tuple(sorted([*added, *found], key=lambda camera: camera.name))


def _guess_size(
    sequence: kitti_sequence.Sequence, image_box: Float64[np.ndarray, "row 4"]
) -> tuple[int, int]:
    """Return the image size [px] that the focal length tells, or else the largest 2D box."""
    projection = kitti.require_entry(sequence.calibration, "P2", sequence.calibration_path)
    for focal, size in zip(_FOCAL_PX, _SIZES_PX, strict=True):
        if abs(projection[0, 0] - focal) < 1e-3:
            return size
    reach = np.clip(np.nanmax(image_box[:, 2:], axis=0, initial=0), 0, _MAX_PX)
    width, height = np.ceil(reach).astype(int) + 1
    fitting = (size for size in _SIZES_PX if width <= size[0] and height <= size[1])
    return next(fitting, (int(width), int(height)))
