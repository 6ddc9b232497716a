"""Argoverse 2 sensor logs: boxes, ego poses, map, calibration, references to cameras and lidar.

A log is a folder with `city_SE3_egovehicle.feather` and, but for test logs, `annotations.feather`
or, in the scenario-mining release, `annotations_with_ego.feather`.

- Boxes are given in the ego frame at their own time. They are brought into the city frame with
  the pose of exactly that time, which every log has. Velocities are derived.
- The ego car becomes an agent. Its frame has its origin at the rear axle: in turns it moves where
  it heads, without side slip. The scenario-mining release puts the box of `EGO_VEHICLE` right
  there, which is no place for it; here the box is moved ahead to where the car is, in every log
  alike, and the release's size is kept.
- A log without annotations gives the ego car alone, at the times of its lidar sweeps or, without
  any, at 10 Hz.
- Lidar points lie in the ego frame of their sweep's time already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.formats.av2_map import LICENCE, find_map, read_map, town_of
from kerbstone.formats.files import (
    Columns,
    bare_name,
    check_finite,
    find_packed,
    read_feather,
    split_of,
)
from kerbstone.formats.registry import Log
from kerbstone.scene import (
    SE3,
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

_POSES = "city_SE3_egovehicle.feather"
_ANNOTATIONS = ("annotations_with_ego.feather", "annotations.feather")
_EGO = "EGO_VEHICLE"

KINDS = {
    "ANIMAL": Kind.ANIMAL,
    "ARTICULATED_BUS": Kind.BUS,
    "BICYCLE": Kind.BICYCLE,
    "BICYCLIST": Kind.CYCLIST,
    "BOLLARD": Kind.OBJECT,
    "BOX_TRUCK": Kind.TRUCK,
    "BUS": Kind.BUS,
    "CONSTRUCTION_BARREL": Kind.OBJECT,
    "CONSTRUCTION_CONE": Kind.OBJECT,
    "DOG": Kind.ANIMAL,
    _EGO: Kind.CAR,
    "LARGE_VEHICLE": Kind.TRUCK,
    "MESSAGE_BOARD_TRAILER": Kind.TRAILER,
    "MOBILE_PEDESTRIAN_CROSSING_SIGN": Kind.OBJECT,
    "MOBILE_PEDESTRIAN_SIGN": Kind.OBJECT,
    "MOTORCYCLE": Kind.MOTORCYCLE,
    "MOTORCYCLIST": Kind.MOTORCYCLE,
    "OFFICIAL_SIGNALER": Kind.PEDESTRIAN,
    "PEDESTRIAN": Kind.PEDESTRIAN,
    "RAILED_VEHICLE": Kind.TRAIN,
    "REGULAR_VEHICLE": Kind.CAR,
    "SCHOOL_BUS": Kind.BUS,
    "SIGN": Kind.OBJECT,
    "STOP_SIGN": Kind.OBJECT,
    "STROLLER": Kind.PEDESTRIAN,
    "TRAFFIC_LIGHT_TRAILER": Kind.TRAILER,
    "TRUCK": Kind.TRUCK,
    "TRUCK_CAB": Kind.TRUCK,
    "VEHICULAR_TRAILER": Kind.TRAILER,
    "WHEELCHAIR": Kind.PEDESTRIAN,
    "WHEELED_DEVICE": Kind.OBJECT,
    "WHEELED_RIDER": Kind.RIDER,
}
"""What each of the 30 published categories stands for; a bicycle and its rider have boxes each."""

EGO_SIZE = np.array([4.877, 2.0, 1.473])
"""Box of the recording car, as `annotations_with_ego.feather` gives it [m]."""
EGO_CENTRE = np.array([1.339, 0.0, 0.41])
"""Centre of that box in the ego frame [m].

Ahead by half the length less the rear overhang of the car (a Ford Fusion, whose wheelbase is
2.85 m); up by half the height less the 0.33 m at which the axle runs above the ground that the
lidar sees.
"""

_ROTATION = ("qw", "qx", "qy", "qz")
_TRANSLATION = ("tx_m", "ty_m", "tz_m")
_SIZE = ("length_m", "width_m", "height_m")
_POSE = dict.fromkeys((*_ROTATION, *_TRANSLATION), float)
_BOX = {"timestamp_ns": int, "track_uuid": str, "category": str} | dict.fromkeys(
    (*_SIZE, *_ROTATION, *_TRANSLATION), float
)


@dataclass(frozen=True)
class Av2Sensor:
    """Reader of Argoverse 2 sensor and scenario-mining logs."""

    name: str = "av2-sensor"
    title: str = "Argoverse 2 sensor logs"
    reads: str = "annotations (with or without ego), ego poses, map, calibration, sensor references"
    extra: str = ""

    def claim(self, folder: Path, names: frozenset[str]) -> Iterable[Log]:
        """Give the logs among `names`: folders with ego poses, or `folder` by a file of its own."""
        for name in sorted(names):
            if find_packed(folder / name, _POSES):
                yield _log(folder / name, claimed=(name,))
        own = {_POSES, *_ANNOTATIONS}
        named = tuple(sorted(name for name in names if bare_name(name) in own))
        if named and find_packed(folder, _POSES):
            yield _log(folder, claimed=named)

    def read(self, log: Log) -> Iterator[Scene]:
        """Give the log as one scene.

        Raises:
            InputError: A file is missing or malformed, or an annotation has no ego pose.
        """
        yield _read_scene(log)


def _log(folder: Path, claimed: tuple[str, ...]) -> Log:
    files = [find_packed(folder, name) for name in (_POSES, *_ANNOTATIONS)]
    files += [find_map(folder / "map"), *sorted((folder / "calibration").glob("*.feather"))]
    return Log(
        format="av2-sensor",
        name=f"av2-sensor/{folder.name}",
        path=folder,
        files=tuple(file for file in files if file is not None),
        claimed=claimed,
    )


def _read_scene(log: Log) -> Scene:
    folder = log.path
    poses = _read_poses(folder)
    lidars = _find_lidars(folder)
    annotations = next((p for name in _ANNOTATIONS if (p := find_packed(folder, name))), None)
    if annotations:
        place, boxes = str(annotations), _read_boxes(annotations)
        times = np.unique(boxes["timestamp_ns"])
        _check_poses(poses, times, place)
    else:
        place, boxes = str(folder / _POSES), {}
        times = _times_without_boxes(poses, lidars)
    clock, step_of_time = Clock.from_times(times, where=place)
    boxes = _replace_ego(boxes, times)
    row = np.searchsorted(times, boxes["timestamp_ns"])
    ego_from_box = SE3.from_quaternion(_stack(boxes, _ROTATION), _stack(boxes, _TRANSLATION))
    world_from_box = poses.at(times)[row] @ ego_from_box
    agents = agents_from_rows(
        track=boxes["track_uuid"],
        step=step_of_time[row],
        steps=clock.steps,
        dt=clock.gaps,
        label=boxes["category"],
        kinds=KINDS,
        centre=world_from_box.translation,
        heading=world_from_box.yaw,
        size=_stack(boxes, _SIZE),
        where=place,
    )
    map_path = find_map(folder / "map")
    return Scene(
        id=log.name,
        clock=clock,
        agents=agents,
        ego=0,
        source=Source(
            dataset="av2-sensor",
            log=folder.name,
            town=town_of(map_path) if map_path else "",
            licence=LICENCE,
            driving_side=DrivingSide.RIGHT,
            path=str(folder),
            split=split_of(folder),
            derived=("velocity", "ego_box"),
        ),
        map=read_map(map_path) if map_path else None,
        ego_poses=poses,
        cameras=_find_cameras(folder),
        lidars=lidars,
    )


def _read_boxes(path: Path) -> Columns:
    boxes = read_feather(path, _BOX)
    if not len(boxes["timestamp_ns"]):
        raise InputError("empty", "there are no annotations in the log", where=str(path))
    check_finite(boxes, path)
    return boxes


def _replace_ego(boxes: Columns, times: Int64[np.ndarray, " time"]) -> Columns:
    """Return the boxes with the ego car as the first track, in its place at all times."""
    is_ego = boxes["category"] == _EGO if boxes else np.zeros(0, bool)
    track, size = "ego", EGO_SIZE
    if is_ego.any():
        first = int(np.argmax(is_ego))
        track, size = str(boxes["track_uuid"][first]), [boxes[name][first] for name in _SIZE]
    ego = {
        "timestamp_ns": times,
        "track_uuid": np.full(len(times), track, object),
        "category": np.full(len(times), _EGO, object),
    }
    pose = [1.0, 0.0, 0.0, 0.0, *EGO_CENTRE]
    for name, value in zip((*_SIZE, *_ROTATION, *_TRANSLATION), [*size, *pose], strict=True):
        ego[name] = np.full(len(times), value)
    if not boxes:
        return ego
    return {name: np.concatenate([ego[name], boxes[name][~is_ego]]) for name in _BOX}


def _times_without_boxes(poses: EgoPoses, lidars: tuple[Lidar, ...]) -> Int64[np.ndarray, " time"]:
    first, last = poses.times_ns[0], poses.times_ns[-1]
    times = lidars[0].times_ns if lidars else np.arange(first, last + 1, 100_000_000)
    return times[(times >= first) & (times <= last)]


def _read_poses(folder: Path) -> EgoPoses:
    path = find_packed(folder, _POSES) or folder / _POSES
    columns = read_feather(path, {"timestamp_ns": int, **_POSE})
    check_finite(columns, path)
    times = columns["timestamp_ns"]
    if not len(times):
        raise InputError("empty", "there are no ego poses in the log", where=str(path))
    back = np.diff(times) <= 0
    if back.any():
        row = int(np.argmax(back)) + 1
        raise InputError(
            "clock",
            "ego poses repeat or go backwards in time",
            where=f"{path}, row {row}",
            why=f"{times[row]} ns follows {times[row - 1]} ns",
            remedy="sort the poses by time and remove repeated ones",
        )
    pose = SE3.from_quaternion(_stack(columns, _ROTATION), _stack(columns, _TRANSLATION))
    return EgoPoses(times, pose.translation, pose.rotation)


def _check_poses(poses: EgoPoses, times: Int64[np.ndarray, " time"], where: str) -> None:
    known = np.isin(times, poses.times_ns)
    if not known.all():
        raise InputError(
            "reference",
            "an annotation has no ego pose at its time",
            where=where,
            why=f"no pose at {times[np.argmin(known)]} ns in {_POSES}",
            remedy="take both files from the same release of the log",
        )


def _find_cameras(folder: Path) -> tuple[Camera, ...]:
    """Return the cameras whose images lie in the log, with their calibration."""
    recorded = [
        path for path in sorted((folder / "sensors" / "cameras").glob("*")) if path.is_dir()
    ]
    if not recorded:
        return ()
    path = find_packed(folder / "calibration", "intrinsics.feather")
    intrinsics = read_feather(
        path or folder / "calibration" / "intrinsics.feather",
        {"sensor_name": str}
        | dict.fromkeys(("fx_px", "fy_px", "cx_px", "cy_px", "k1", "k2", "k3"), float)
        | dict.fromkeys(("height_px", "width_px"), int),
    )
    path = find_packed(folder / "calibration", "egovehicle_SE3_sensor.feather")
    mounting = read_feather(
        path or folder / "calibration" / "egovehicle_SE3_sensor.feather",
        {"sensor_name": str, **_POSE},
    )
    ego_from_sensor = SE3.from_quaternion(
        _stack(mounting, _ROTATION), _stack(mounting, _TRANSLATION)
    ).matrix()
    cameras = []
    for images in recorded:
        lens = _row_of(intrinsics, images.name, folder)
        fx, fy, cx, cy = (
            float(intrinsics[f"{name}_px"][lens]) for name in ("fx", "fy", "cx", "cy")
        )
        times, paths = _find_frames(images, folder)
        cameras.append(
            Camera(
                name=images.name,
                paths=paths,
                times_ns=times,
                width_px=int(intrinsics["width_px"][lens]),
                height_px=int(intrinsics["height_px"][lens]),
                intrinsics=np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]),
                distortion=np.array([intrinsics[name][lens] for name in ("k1", "k2", "k3")]),
                model="argoverse",
                ego_from_camera=ego_from_sensor[_row_of(mounting, images.name, folder)],
            )
        )
    return tuple(cameras)


def _find_lidars(folder: Path) -> tuple[Lidar, ...]:
    times, paths = _find_frames(folder / "sensors" / "lidar", folder)
    # Sweeps of both lidars are in one file, brought into the ego frame.
    return (Lidar("lidar", paths, times, np.eye(4)),) if paths else ()


def _find_frames(sensor: Path, folder: Path) -> tuple[Int64[np.ndarray, " frame"], tuple[str, ...]]:
    """Return the times of a sensor's files, which are their names, and their paths in the log."""
    frames = sorted((int(path.stem), path) for path in sensor.glob("*") if path.stem.isdigit())
    times = np.array([time for time, _ in frames], np.int64)
    return times, tuple(str(path.relative_to(folder)) for _, path in frames)


def _row_of(columns: Columns, sensor: str, folder: Path) -> int:
    rows = np.flatnonzero(columns["sensor_name"] == sensor)
    if not rows.size:
        raise InputError(
            "reference",
            f"camera {sensor!r} has images but no calibration",
            where=str(folder / "calibration"),
        )
    return int(rows[0])


def _stack(columns: Columns, names: tuple[str, ...]) -> Float64[np.ndarray, "row column"]:
    return np.stack([columns[name] for name in names], axis=-1)
