"""A sequence of KITTI's tracking benchmark but for its boxes: calibration, poses, sensors.

Boxes of the benchmark, labels and results alike, stand in the rectified frame of camera 0, which is
a little askew against the world. `boxes_in_world` and `boxes_in_camera` undo each other exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from kerbstone.formats import kitti
from kerbstone.scene import (
    SE3,
    Agents,
    BoxIndex,
    Camera,
    Clock,
    DrivingSide,
    EgoPoses,
    Lidar,
    Scene,
    Source,
    pack_boxes,
)

DATASET = "kitti-tracking"
COLOUR_CAMERA = "image_02"
"""The left colour camera: labels cover what it sees, and 2D boxes lie in its image."""
BOX_CAMERA = "image_00"
"""Camera 0, in whose frame the boxes stand."""

_EARTH_RADIUS = 6_378_137.0
_CAMERAS = {COLOUR_CAMERA: "P2", "image_03": "P3"}


@dataclass(frozen=True, eq=False)
class Sequence:
    """What stands beside a file of boxes.

    Args:
        root: The folder that holds `calib`, and where present `oxts`, `poses…` and the sensors.
        name: Number of the sequence, as its files are called.
        calibration: Matrices by name (`kitti.read_calibration`).
        velodyne_from_ego: Pose of the ego frame in the laser scanner's frame.
        camera_from_ego: Pose of the ego frame in the rectified frame of camera 0.
        poses: File of its poses, or None.
    """

    root: Path
    name: str
    calibration: dict[str, Float64[np.ndarray, "_ _"]]
    velodyne_from_ego: SE3
    camera_from_ego: SE3
    poses: Path | None

    @property
    def calibration_path(self) -> Path:
        """File of its calibration."""
        return find_calibration(self.root, self.name)


def find_calibration(root: Path, name: str) -> Path:
    """Return where the calibration of a sequence belongs."""
    return root / "calib" / f"{name}.txt"


def find_poses(root: Path, name: str) -> Path | None:
    """Return the file of a sequence's poses: of the GPS/IMU unit or else of a folder `poses…`."""
    folders = [root / "oxts", *sorted(p for p in root.glob("poses*") if p.is_dir())]
    files = [folder / f"{name}.txt" for folder in folders]
    return next((file for file in files if file.exists()), None)


def read_sequence(root: Path, name: str) -> Sequence:
    """Read the calibration of a sequence and find its poses.

    Raises:
        InputError: The calibration is missing or malformed.
    """
    path = find_calibration(root, name)
    calibration = kitti.read_calibration(path)
    velodyne_from_ego = kitti.velodyne_from_imu(calibration, path)
    return Sequence(
        root=root,
        name=name,
        calibration=calibration,
        velodyne_from_ego=velodyne_from_ego,
        camera_from_ego=kitti.camera_from_velodyne(calibration, path) @ velodyne_from_ego,
        poses=find_poses(root, name),
    )


def count_images(sequence: Sequence) -> int:
    """Return how many frames the left colour camera's images reach to, 0 if there are none."""
    _, images = kitti.list_frames(sequence.root / COLOUR_CAMERA / sequence.name, "*.png")
    return 1 + max(images.tolist(), default=-1)


def read_world(sequence: Sequence, frames: int) -> SE3:
    """Return the pose of the ego frame in the world, one for each frame.

    Args:
        sequence: The sequence.
        frames: How many, where the sequence has no poses: the world is the ego frame then.

    Raises:
        InputError: The poses are malformed.
    """
    if sequence.poses is None:
        return SE3.identity(frames)
    if sequence.poses.parent.name == "oxts":
        return _read_oxts(sequence.poses)
    return kitti.start_at_first(kitti.read_poses(sequence.poses) @ sequence.camera_from_ego)


def ego_boxes(world_from_ego: SE3) -> Float64[np.ndarray, "time 7"]:
    """Return the recording car's own boxes in the world (`BoxIndex`)."""
    middle = world_from_ego @ kitti.EGO_BOX_CENTRE
    return pack_boxes(middle, world_from_ego.yaw, kitti.EGO_SIZE[None])


def boxes_in_world(
    bottom_camera: Float64[np.ndarray, "row 3"],
    turn: Float64[np.ndarray, " row"],
    size: Float64[np.ndarray, "row 3"],
    world_from_camera: SE3,
) -> Float64[np.ndarray, "row 7"]:
    """Return boxes in the world (`BoxIndex`) of boxes as the benchmark gives them.

    Args:
        bottom_camera: Middle of the floor in the frame of camera 0 [m].
        turn: Turn about the camera's y axis, which points down; 0 looks along its x axis [rad].
        size: Length, width, height [m].
        world_from_camera: Pose of camera 0 at the time of each row.
    """
    middle = bottom_camera - size[:, 2:] / 2 * np.array([0.0, 1.0, 0.0])
    ahead = np.column_stack([np.cos(turn), np.zeros(len(turn)), -np.sin(turn)])
    ahead_world = world_from_camera.rotate(ahead)
    heading = np.arctan2(ahead_world[:, 1], ahead_world[:, 0])
    return pack_boxes(world_from_camera @ middle, heading, size)


def boxes_in_camera(
    boxes_world: Float64[np.ndarray, "row 7"], world_from_camera: SE3
) -> tuple[Float64[np.ndarray, "row 3"], Float64[np.ndarray, " row"]]:
    """Return the middles of the floors [m] and turns [rad] of boxes, as the benchmark wants them.

    Arguments are as in `boxes_in_world`, which it undoes.
    """
    middle = world_from_camera.inverse() @ boxes_world[:, : BoxIndex.HEADING]
    bottom = middle + boxes_world[:, BoxIndex.HEIGHT :] / 2 * np.array([0.0, 1.0, 0.0])
    # A turn (c, s) looks along c·x - s·z of the camera's axes; from above that must be the heading.
    axes = world_from_camera.matrix()[:, :2, :3]
    right, ahead = axes[:, :, 0], -axes[:, :, 2]
    heading = boxes_world[:, BoxIndex.HEADING]
    looks = np.column_stack([np.cos(heading), np.sin(heading)])
    cos = _cross(looks, ahead)
    sin = _cross(right, looks)
    # Seen from above the axes turn left or right; Cramer's rule divides by that.
    side = np.sign(_cross(right, ahead))
    return bottom, np.arctan2(side * sin, side * cos)


def build_scene(sequence: Sequence, agents: Agents, world_from_ego: SE3) -> Scene:
    """Return the scene of a sequence, of which agent 0 is the recording car.

    The cameras are those whose images are there.
    """
    clock = Clock(0, kitti.DT_NS, len(world_from_ego))
    pose_kind = sequence.poses.parent.name if sequence.poses else ""
    world = {"oxts": "east-north-up", "": "moving ego frame"}.get(pose_kind, "first ego frame")
    return Scene(
        id=f"{DATASET}/{sequence.name}",
        clock=clock,
        agents=agents,
        ego=0,
        source=Source(
            dataset=DATASET,
            log=sequence.name,
            town=kitti.TOWN,
            licence=kitti.LICENCE,
            driving_side=DrivingSide.RIGHT,
            path=str(sequence.root),
            derived=("velocity",) if sequence.poses else ("velocity", "ego-frame"),
            extra={"poses": pose_kind, "world": world},
        ),
        ego_poses=EgoPoses(clock.times_ns, world_from_ego.translation, world_from_ego.rotation),
        cameras=tuple(_find_cameras(sequence)),
        lidars=tuple(_find_lidars(sequence)),
    )


def without_images(sequence: Sequence, name: str, size_px: tuple[int, int]) -> Camera:
    """Return a camera of which there are no images: how it sees, and nothing that it saw.

    Args:
        sequence: The sequence.
        name: `image_00` to `image_03`.
        size_px: Width and height of its images [px].

    Raises:
        InputError: The calibration does not have it.
    """
    entry = f"P{int(name[-2:])}"
    return kitti.make_camera(
        name,
        paths=(),
        times_ns=np.zeros(0, np.int64),
        size_px=size_px,
        projection=kitti.require_entry(sequence.calibration, entry, sequence.calibration_path),
        ego_from_camera0=sequence.camera_from_ego.inverse(),
    )


def _cross(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]


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


def _find_cameras(sequence: Sequence) -> Iterator[Camera]:
    root = sequence.root
    for name, entry in _CAMERAS.items():
        images, frame = kitti.list_frames(root / name / sequence.name, "*.png")
        if images:
            yield kitti.make_camera(
                name,
                paths=tuple(str(image.relative_to(root)) for image in images),
                times_ns=frame * kitti.DT_NS,
                size_px=kitti.png_size(images[0]),
                projection=kitti.require_entry(
                    sequence.calibration, entry, sequence.calibration_path
                ),
                ego_from_camera0=sequence.camera_from_ego.inverse(),
            )


def _find_lidars(sequence: Sequence) -> Iterator[Lidar]:
    root = sequence.root
    sweeps, frame = kitti.list_frames(root / "velodyne" / sequence.name, "*.bin")
    if sweeps:
        yield Lidar(
            name="velodyne",
            paths=tuple(str(sweep.relative_to(root)) for sweep in sweeps),
            times_ns=frame * kitti.DT_NS,
            ego_from_lidar=sequence.velodyne_from_ego.inverse().matrix(),
        )
