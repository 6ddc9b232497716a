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
from kerbstone.formats.registry import Log
from kerbstone.scene import (
    SE3,
    Agents,
    Camera,
    Clock,
    DrivingSide,
    EgoPoses,
    Kind,
    Lidar,
    Scene,
    Source,
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

_EARTH_RADIUS = 6_378_137.0
_FOLDERS = {"label_02", "calib", "oxts", "image_02", "image_03", "velodyne", "det_02"}
_CAMERAS = {"image_02": "P2", "image_03": "P3"}


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

    name = "kitti-tracking"
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
            poses = _find_poses(root, sequence)
            yield Log(
                format=self.name,
                name=f"{self.name}/{sequence}",
                path=label,
                files=tuple(
                    file
                    for file in (label, root / "calib" / label.name, poses)
                    if file is not None and file.exists()
                ),
                claimed=tuple(sorted(claimed)),
            )

    def read(self, log: Log) -> Iterator[Scene]:
        """Give the sequence as one scene.

        Raises:
            InputError: A file is missing or malformed, or a label lies beyond the poses.
        """
        root, sequence = log.path.parent.parent, log.path.stem
        labels = _read_labels(log.path)
        calib_path = root / "calib" / log.path.name
        calibration = kitti.read_calibration(calib_path)
        velodyne_from_ego = kitti.velodyne_from_imu(calibration, calib_path)
        camera_from_ego = kitti.camera_from_velodyne(calibration, calib_path) @ velodyne_from_ego
        poses_path = _find_poses(root, sequence)
        frames = _count_frames(root, sequence, labels)
        world_from_ego = _read_world(poses_path, frames, camera_from_ego)
        _check_frames(labels, len(world_from_ego), log.path, poses_path)
        clock = Clock(0, kitti.DT_NS, len(world_from_ego))
        pose_kind = poses_path.parent.name if poses_path else ""
        yield Scene(
            id=log.name,
            clock=clock,
            agents=_place_agents(labels, world_from_ego, camera_from_ego, log.path),
            ego=0,
            source=Source(
                dataset=self.name,
                log=sequence,
                town=kitti.TOWN,
                licence=kitti.LICENCE,
                driving_side=DrivingSide.RIGHT,
                path=str(root),
                derived=("velocity",) if poses_path else ("velocity", "ego-frame"),
                extra={
                    "poses": pose_kind,
                    "world": {"oxts": "east-north-up", "": "moving ego frame"}.get(
                        pose_kind, "first ego frame"
                    ),
                },
            ),
            ego_poses=EgoPoses(clock.times_ns, world_from_ego.translation, world_from_ego.rotation),
            cameras=tuple(_find_cameras(root, sequence, calibration, calib_path, camera_from_ego)),
            lidars=tuple(_find_lidars(root, sequence, velodyne_from_ego)),
        )


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


def _find_poses(root: Path, sequence: str) -> Path | None:
    folders = [root / "oxts", *sorted(p for p in root.glob("poses*") if p.is_dir())]
    files = [folder / f"{sequence}.txt" for folder in folders]
    return next((file for file in files if file.exists()), None)


def _count_frames(root: Path, sequence: str, labels: _Labels) -> int:
    """Return the length of a sequence without poses: its images, or else its last label."""
    _, images = kitti.list_frames(root / "image_02" / sequence, "*.png")
    return 1 + max([*images.tolist(), *labels.frame.tolist()], default=-1)


def _read_world(path: Path | None, frames: int, camera_from_ego: SE3) -> SE3:
    if path is None:
        return SE3.identity(frames)
    if path.parent.name == "oxts":
        return _read_oxts(path)
    return kitti.start_at_first(kitti.read_poses(path) @ camera_from_ego)


def _read_oxts(path: Path) -> SE3:
    """Read the GPS/IMU unit's poses, in metres east, north and up of the first one.

    References:
        KITTI raw data development kit, `convertOxtsToPose`: Mercator projection, scaled to be
        true at the first latitude.
    """
    rows = kitti.read_numbers(path, 30)
    latitude, longitude = np.radians(rows[:, 0]), np.radians(rows[:, 1])
    scale = _EARTH_RADIUS * np.cos(latitude[0])
    place = np.column_stack(
        [scale * longitude, scale * np.log(np.tan(np.pi / 4 + latitude / 2)), rows[:, 2]]
    )
    return SE3.from_euler(
        roll=rows[:, 3], pitch=rows[:, 4], yaw=rows[:, 5], translation=place - place[0]
    )


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
    half_height = labels.size[:, 2] / 2
    middle = labels.bottom_camera - half_height[:, None] * np.array([0.0, 1.0, 0.0])
    # A turn of 0 looks along the camera's x; it turns about y, which points down.
    ahead = np.column_stack([np.cos(labels.turn), np.zeros(len(labels.turn)), -np.sin(labels.turn)])
    ahead_world = world_from_camera.rotate(ahead)
    return agents_from_rows(
        track=np.array(["ego"] * frames + list(labels.track)),
        step=np.concatenate([np.arange(frames), labels.frame]),
        steps=frames,
        dt=kitti.DT_NS / 1e9,
        label=np.array(["ego"] * frames + list(labels.kind)),
        kinds=KINDS,
        centre=np.concatenate([world_from_ego @ kitti.EGO_BOX_CENTRE, world_from_camera @ middle]),
        heading=np.concatenate(
            [world_from_ego.yaw, np.arctan2(ahead_world[:, 1], ahead_world[:, 0])]
        ),
        size=np.concatenate([np.tile(kitti.EGO_SIZE, (frames, 1)), labels.size]),
        where=str(path),
    )


def _find_cameras(
    root: Path,
    sequence: str,
    calibration: dict[str, Float64[np.ndarray, "_ _"]],
    calib_path: Path,
    camera_from_ego: SE3,
) -> Iterator[Camera]:
    for name, entry in _CAMERAS.items():
        images, frame = kitti.list_frames(root / name / sequence, "*.png")
        if images:
            yield kitti.make_camera(
                name,
                paths=tuple(str(image.relative_to(root)) for image in images),
                times_ns=frame * kitti.DT_NS,
                size_px=kitti.png_size(images[0]),
                projection=kitti.require_entry(calibration, entry, calib_path),
                ego_from_camera0=camera_from_ego.inverse(),
            )


def _find_lidars(root: Path, sequence: str, velodyne_from_ego: SE3) -> Iterator[Lidar]:
    sweeps, frame = kitti.list_frames(root / "velodyne" / sequence, "*.bin")
    if sweeps:
        yield Lidar(
            name="velodyne",
            paths=tuple(str(sweep.relative_to(root)) for sweep in sweeps),
            times_ns=frame * kitti.DT_NS,
            ego_from_lidar=velodyne_from_ego.inverse().matrix(),
        )
