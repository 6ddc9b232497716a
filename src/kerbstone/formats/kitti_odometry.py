"""KITTI's odometry benchmark: where the car drove, and what its cameras saw."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.formats import kitti
from kerbstone.formats.files import read_text
from kerbstone.formats.mp4 import read_video_header
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

_POSES = re.compile(r"poses_(\d\d)(_.*)?\.txt")
_NUMBER = r"\s*=\s*([\d.]+?)[.,;]?"
_STATED = re.compile(rf"fx\s*=\s*fy{_NUMBER}\s+cx{_NUMBER}\s+cy{_NUMBER}(?=\s|$)")


class KittiOdometry:
    """KITTI's odometry benchmark, one log per sequence; the recording car is the only road user.

    Two layouts are read:

    - the benchmark's own: `sequences/NN/` with `calib.txt`, `times.txt`, `image_0` to `image_3`
      and `velodyne`, and `poses/NN.txt` beside `sequences`. A sequence without poses (11 to 21)
      is a scene with cameras and no road user;
    - a folder with `poses_NN….txt` and videos `image_0.mp4` to `image_3.mp4`, at 10 Hz. The
      cameras' intrinsics come from a `calib.txt` for images of the video's size, or from a README
      that states `fx=fy=…, cx=…, cy=…` for it; without either they are NaN.

    Scenes cover the frames that have poses. The world is the first ego frame, so x points along
    the car's first direction. The ego frame is that of the GPS/IMU unit, placed by KITTI's drawing
    of the sensors against camera 0, which this benchmark's poses are of.
    """

    name = "kitti-odometry"
    title = "KITTI odometry"
    reads = "poses, times, images, videos and laser sweeps by reference"
    extra = ""

    def claim(self, folder: Path, names: frozenset[str]) -> Iterable[Log]:
        """Give the log of a sequence's folder, or one per pose file beside videos."""
        index = [folder / "times.txt", folder / "calib.txt"]
        if {file.name for file in index} & names and all(file.exists() for file in index):
            files = [*index, _poses_of(folder)]
            yield Log(
                format=self.name,
                name=f"{self.name}/{folder.name}",
                path=folder,
                files=tuple(file for file in files if file.exists()),
                claimed=tuple(names),
            )
            return
        videos = _find_videos(folder)
        for name in sorted(names):
            match = _POSES.fullmatch(name)
            if match and videos:
                files = [folder / name, folder / "calib.txt", *videos]
                yield Log(
                    format=self.name,
                    name=f"{self.name}/{match[1]}",
                    path=folder / name,
                    files=tuple(file for file in files if file.exists()),
                    claimed=(name, *(video.name for video in videos)),
                )

    def read(self, log: Log) -> Iterator[Scene]:
        """Give the sequence as one scene.

        Raises:
            InputError: A file is missing or malformed, or there are more poses than times.
        """
        if log.path.is_dir():
            yield _read_sequence(log)
        else:
            yield _read_videos(log)


def _find_videos(folder: Path) -> list[Path]:
    candidates = [folder / f"image_{i}.{kind}" for i in range(4) for kind in ("mp4", "mov")]
    return [path for path in candidates if path.is_file()]


def _poses_of(sequence: Path) -> Path:
    return sequence.parent.parent / "poses" / f"{sequence.name}.txt"


def _read_sequence(log: Log) -> Scene:
    """Read a sequence in the benchmark's own layout."""
    folder = log.path
    calib_path = folder / "calib.txt"
    calibration = kitti.read_calibration(calib_path)
    times = kitti.read_numbers(folder / "times.txt", 1)[:, 0]
    times_ns = np.rint(times * 1e9).astype(np.int64)
    ego_from_camera, ego_from_velodyne = _place_sensors(calibration, calib_path)
    poses_path = _poses_of(folder)
    poses = kitti.read_poses(poses_path) if poses_path.exists() else None
    if poses is not None and len(poses) > len(times_ns):
        raise InputError(
            "reference",
            "there are more poses than times",
            where=str(poses_path),
            why=f"{len(poses)} poses, {len(times_ns)} times in {folder / 'times.txt'}",
        )
    posed_ns = times_ns if poses is None else times_ns[: len(poses)]
    clock, step = Clock.from_times(posed_ns, where=str(folder / "times.txt"))

    def frame_times(frame: np.ndarray, place: Path) -> np.ndarray:
        if frame.max() >= len(times_ns):
            raise InputError(
                "reference",
                "a frame has no time",
                where=str(place),
                why=f"frame {frame.max()}, but times.txt has {len(times_ns)} rows",
            )
        return times_ns[frame]

    def cameras() -> Iterator[Camera]:
        for number in range(4):
            images, frame = kitti.list_frames(folder / f"image_{number}", "*.png")
            if images:
                yield kitti.make_camera(
                    f"image_{number}",
                    paths=tuple(str(image.relative_to(folder)) for image in images),
                    times_ns=frame_times(frame, images[0].parent),
                    size_px=kitti.png_size(images[0]),
                    projection=kitti.require_entry(calibration, f"P{number}", calib_path),
                    ego_from_camera0=ego_from_camera,
                )

    def lidars() -> Iterator[Lidar]:
        sweeps, frame = kitti.list_frames(folder / "velodyne", "*.bin")
        if sweeps and ego_from_velodyne is not None:
            yield Lidar(
                name="velodyne",
                paths=tuple(str(sweep.relative_to(folder)) for sweep in sweeps),
                times_ns=frame_times(frame, sweeps[0].parent),
                ego_from_lidar=ego_from_velodyne.matrix(),
            )

    return _make_scene(
        log,
        root=folder,
        clock=clock,
        posed_ns=posed_ns,
        step=step,
        poses=None if poses is None else poses @ ego_from_camera.inverse(),
        cameras=tuple(cameras()),
        lidars=tuple(lidars()),
    )


def _read_videos(log: Log) -> Scene:
    """Read a pose file with videos beside it."""
    folder = log.path.parent
    poses = kitti.read_poses(log.path) @ kitti.NOMINAL_EGO_FROM_CAMERA.inverse()
    clock = Clock(0, kitti.DT_NS, len(poses))
    cameras = []
    for path in _find_videos(folder):
        video = read_video_header(path)
        cameras.append(
            kitti.make_camera(
                path.stem,
                paths=(path.name,),
                times_ns=np.arange(video.frames, dtype=np.int64) * kitti.DT_NS,
                size_px=(video.width_px, video.height_px),
                projection=_find_projection(folder, path.stem, video.width_px),
                ego_from_camera0=kitti.NOMINAL_EGO_FROM_CAMERA,
            )
        )
    return _make_scene(
        log,
        root=folder,
        clock=clock,
        posed_ns=clock.times_ns,
        step=np.arange(len(poses)),
        poses=poses,
        cameras=tuple(cameras),
        lidars=(),
    )


def _place_sensors(
    calibration: dict[str, Float64[np.ndarray, "_ _"]], calib_path: Path
) -> tuple[SE3, SE3 | None]:
    """Return the poses of camera 0 and of the laser scanner in the ego frame.

    The laser scanner is level with the car, so it tells how camera 0 is tilted; where the
    calibration does not have it, camera 0 is taken as level.
    """
    nominal = kitti.NOMINAL_EGO_FROM_CAMERA
    if "Tr_velo_cam" not in calibration:
        return nominal, None
    velodyne_from_camera = kitti.camera_from_velodyne(calibration, calib_path).inverse()
    ego_from_camera = SE3(velodyne_from_camera.rotation, nominal.translation)
    return ego_from_camera, ego_from_camera @ velodyne_from_camera.inverse()


def _find_projection(folder: Path, camera: str, width_px: int) -> Float64[np.ndarray, "3 4"]:
    """Return the matrix from camera 0's frame to a video's images; NaN where nothing tells it.

    Of camera 0 itself the offset is known to be zero.
    """
    if (folder / "calib.txt").exists():
        path = folder / "calib.txt"
        return kitti.require_entry(kitti.read_calibration(path), f"P{camera[-1]}", path)
    projection = np.full((3, 4), np.nan)
    if camera != "image_0":
        return projection
    projection[:, 3] = 0.0
    stated = [
        [float(value) for value in match]
        for readme in sorted(folder.glob("README*"))
        for match in _STATED.findall(read_text(readme))
    ]
    # A README may state them for several sizes: the principal point is near the image's middle.
    for focal, cx, cy in stated:
        if abs(cx / width_px - 0.5) < 0.1:
            projection[:, :3] = [[focal, 0.0, cx], [0.0, focal, cy], [0.0, 0.0, 1.0]]
    return projection


def _make_scene(
    log: Log,
    *,
    root: Path,
    clock: Clock,
    posed_ns: np.ndarray,
    step: np.ndarray,
    poses: SE3 | None,
    cameras: tuple[Camera, ...],
    lidars: tuple[Lidar, ...],
) -> Scene:
    world_from_ego = None if poses is None else kitti.start_at_first(poses)
    return Scene(
        id=log.name,
        clock=clock,
        agents=_ego_alone(world_from_ego, step, clock, log.path),
        ego=None if world_from_ego is None else 0,
        source=Source(
            dataset="kitti-odometry",
            log=log.name.split("/")[-1],
            town=kitti.TOWN,
            licence=kitti.LICENCE,
            driving_side=DrivingSide.RIGHT,
            path=str(root),
            derived=() if world_from_ego is None else ("velocity",),
            extra={"world": "none" if world_from_ego is None else "first ego frame"},
        ),
        ego_poses=None
        if world_from_ego is None
        else EgoPoses(posed_ns, world_from_ego.translation, world_from_ego.rotation),
        cameras=cameras,
        lidars=lidars,
    )


def _ego_alone(world_from_ego: SE3 | None, step: np.ndarray, clock: Clock, path: Path) -> Agents:
    if world_from_ego is None:
        return Agents.empty(clock.steps)
    frames = len(world_from_ego)
    return agents_from_rows(
        track=np.array(["ego"] * frames),
        step=step,
        steps=clock.steps,
        dt=clock.gaps,
        label=np.array(["ego"] * frames),
        kinds={"ego": Kind.CAR},
        centre=world_from_ego @ kitti.EGO_BOX_CENTRE,
        heading=world_from_ego.yaw,
        size=np.tile(kitti.EGO_SIZE, (frames, 1)),
        where=str(path),
    )
