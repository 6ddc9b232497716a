"""KITTI's tracking benchmark: labels in camera frames, brought to the world where poses allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.formats import kitti
from kerbstone.formats.files import read_text
from kerbstone.formats.kitti_sequence import (
    DATASET,
    Sequence,
    boxes_in_world,
    build_scene,
    count_images,
    ego_boxes,
    find_calibration,
    find_poses,
    read_sequence,
    read_world,
)
from kerbstone.formats.registry import Log
from kerbstone.scene import (
    SE3,
    Agents,
    BoxIndex,
    Kind,
    Scene,
    agents_from_rows,
)

KINDS = {
    "ego": Kind.CAR,
    "Car": Kind.CAR,
    "Van": Kind.CAR,
    "Truck": Kind.TRUCK,
    "Tram": Kind.TRAIN,
    "Pedestrian": Kind.PEDESTRIAN,
    "Person": Kind.PEDESTRIAN,
    "Person_sitting": Kind.PEDESTRIAN,
    "Cyclist": Kind.CYCLIST,
    "Misc": Kind.UNKNOWN,
}
"""`Misc` holds what fits nowhere else, such as trailers and three-wheelers."""

_FOLDERS = {"label_02", "calib", "oxts", "image_02", "image_03", "velodyne", "det_02"}


class KittiTracking:
    """KITTI's tracking benchmark, one log per sequence.

    Laid out as the benchmark's archives unpack: `label_02/NNNN.txt` and `calib/NNNN.txt`, and
    where present `oxts/NNNN.txt`, `poses…/NNNN.txt` (camera 0, one 3×4 matrix per frame),
    `image_02`, `image_03` and `velodyne` with a folder per sequence.

    The world is, in this order:

    - with `oxts`: east, north, up in metres from the first frame (KITTI's Mercator projection);
    - with a `poses…` folder: the ego frame of the first frame, so x points along the car's first
      direction and z along its own vertical;
    - with neither: the moving ego frame itself. The car stands at the origin, what stands on the
      road moves, and velocities are relative; `Source.derived` then lists "ego-frame".

    The ego frame is that of the GPS/IMU unit (see `kerbstone.formats.kitti`). Labels cover only
    what the left colour camera sees. `DontCare` regions and boxes without a track are left out.
    """

    name = DATASET
    title = "KITTI tracking"
    reads = "label_02, calib, oxts or poses, images and laser sweeps by reference"
    extra = ""

    def claim(self, folder: Path, names: frozenset[str]) -> Iterable[Log]:
        """Give one log per label file."""
        if "label_02" in names:
            labels = sorted((folder / "label_02").glob("*.txt"))
            claimed = {name for name in names if name in _FOLDERS or name.startswith("poses")}
        elif folder.name == "label_02":
            labels = [folder / name for name in sorted(names) if name.endswith(".txt")]
            claimed = {label.name for label in labels}
        else:
            return
        for label in labels:
            root, sequence = label.parent.parent, label.stem
            poses = find_poses(root, sequence)
            yield Log(
                format=self.name,
                name=f"{self.name}/{sequence}",
                path=label,
                files=tuple(
                    file
                    for file in (label, find_calibration(root, sequence), poses)
                    if file is not None and file.exists()
                ),
                claimed=tuple(sorted(claimed)),
            )

    def read(self, log: Log) -> Iterator[Scene]:
        """Give the sequence as one scene.

        Raises:
            InputError: A file is missing or malformed, or a label lies beyond the poses.
        """
        labels = _read_labels(log.path)
        sequence = read_sequence(log.path.parent.parent, log.path.stem)
        world_from_ego = read_world(sequence, _count_frames(sequence, labels))
        _check_frames(labels, len(world_from_ego), log.path, sequence.poses)
        agents = _place_agents(labels, world_from_ego, sequence.camera_from_ego, log.path)
        yield build_scene(sequence, agents, world_from_ego)


@dataclass(frozen=True)
class _Labels:
    frame: Int64[np.ndarray, " row"]
    track: tuple[str, ...]
    kind: tuple[str, ...]
    size: Float64[np.ndarray, "row 3"]
    bottom_camera: Float64[np.ndarray, "row 3"]
    turn: Float64[np.ndarray, " row"]
    line: Int64[np.ndarray, " row"]


def _read_labels(path: Path) -> _Labels:
    """Read the tracked boxes of a label file: size, bottom centre and turn about the camera's y."""
    lines = [line.split() for line in read_text(path).splitlines()]
    numbered = [(number, row) for number, row in enumerate(lines, start=1) if row]
    for number, row in numbered:
        if len(row) not in (17, 18):
            raise InputError(
                "column",
                "a label needs 17 columns, or 18 with a score",
                where=f"{path}, line {number}",
                why=f"it has {len(row)}",
                remedy="the file may be cut off: fetch it again",
            )
    kept = [(number, row) for number, row in numbered if row[2] != "DontCare" and row[1] != "-1"]
    try:
        values = np.array([[row[0], *row[10:17]] for _, row in kept], np.float64).reshape(-1, 8)
    except ValueError as error:
        raise InputError(
            "value", "a label holds something else than a number", where=str(path), why=str(error)
        ) from error
    line = np.array([number for number, _ in kept], np.int64)

    def refuse(wrong: np.ndarray, code: str, what: str, why: str) -> None:
        if wrong.any():
            row = int(np.argmax(wrong))
            found = f"{why}: {' '.join(kept[row][1])}"
            raise InputError(code, what, where=f"{path}, line {line[row]}", why=found)

    lost = np.asarray(~np.isfinite(values).all(axis=1))
    refuse(lost, "value", "a label is not finite", "the line is")
    refuse(values[:, 0] < 0, "value", "a frame number is negative", "the line is")
    back = np.concatenate([[False], np.diff(values[:, 0]) < 0])
    refuse(back, "clock", "frames go backwards", "after a later frame comes")
    flat = np.asarray((values[:, 1:4] <= 0).any(axis=1))
    refuse(flat, "value", "a size is not positive", "the line is")
    return _Labels(
        frame=values[:, 0].astype(np.int64),
        track=tuple(row[1] for _, row in kept),
        kind=tuple(row[2] for _, row in kept),
        size=values[:, [3, 2, 1]],
        bottom_camera=values[:, 4:7],
        turn=values[:, 7],
        line=line,
    )


def _count_frames(sequence: Sequence, labels: _Labels) -> int:
    """Return the length of a sequence without poses: its images, or else its last label."""
    return max(count_images(sequence), *(labels.frame + 1).tolist(), 0)


def _check_frames(labels: _Labels, frames: int, path: Path, poses: Path | None) -> None:
    if frames == 0:
        raise InputError("empty", "the sequence has neither poses nor labels", where=str(path))
    late = labels.frame >= frames
    if late.any():
        row = int(np.argmax(late))
        raise InputError(
            "reference",
            "a label lies beyond the poses",
            where=f"{path}, line {labels.line[row]}",
            why=f"frame {labels.frame[row]}, but {poses} has {frames} poses",
            remedy="take poses of the whole sequence",
        )


def _place_agents(labels: _Labels, world_from_ego: SE3, camera_from_ego: SE3, path: Path) -> Agents:
    frames = len(world_from_ego)
    world_from_camera = (world_from_ego @ camera_from_ego.inverse())[labels.frame]
    seen = boxes_in_world(labels.bottom_camera, labels.turn, labels.size, world_from_camera)
    boxes = np.concatenate([ego_boxes(world_from_ego), seen])
    return agents_from_rows(
        track=np.array(["ego"] * frames + list(labels.track)),
        step=np.concatenate([np.arange(frames), labels.frame]),
        steps=frames,
        dt=kitti.DT_NS / 1e9,
        label=np.array(["ego"] * frames + list(labels.kind)),
        kinds=KINDS,
        centre=boxes[:, : BoxIndex.HEADING],
        heading=boxes[:, BoxIndex.HEADING],
        size=boxes[:, BoxIndex.LENGTH :],
        where=str(path),
    )
