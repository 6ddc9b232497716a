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
from kerbstone.formats.av2_rig import (
    POSE,
    ROTATION,
    TRANSLATION,
    find_cameras,
    find_lidars,
    stack_columns,
)
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
    BoxIndex,
    Clock,
    DrivingSide,
    EgoPoses,
    Kind,
    Lidar,
    Scene,
    Source,
    agents_from_rows,
    pack_boxes,
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

_SIZE = ("length_m", "width_m", "height_m")
_BOX = {"timestamp_ns": int, "track_uuid": str, "category": str} | dict.fromkeys(
    (*_SIZE, *ROTATION, *TRANSLATION), float
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
        yield _read_scene(log.path)


def log_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of a log that its content depends on."""
    files = [find_packed(folder, name) for name in (_POSES, *_ANNOTATIONS)]
    files += [find_map(folder / "map"), *sorted((folder / "calibration").glob("*.feather"))]
    return tuple(file for file in files if file is not None)


def _log(folder: Path, claimed: tuple[str, ...]) -> Log:
    return Log(
        format="av2-sensor",
        name=log_name(folder),
        path=folder,
        files=log_files(folder),
        claimed=claimed,
    )


def read_drive(folder: Path, times_ns: Int64[np.ndarray, " time"]) -> Scene:
    """Return a log with nobody but the recording car, for whom others are to be found.

    Args:
        folder: The log.
        times_ns: Times that the clock shall have, rising, beside those of the lidar sweeps [ns].

    Raises:
        InputError: A file is missing or malformed, or a time lies outside the ego poses.
    """
    poses, lidars = read_poses(folder), find_lidars(folder)
    times = np.union1d(times_ns, _within(poses, lidars[0].times_ns) if lidars else times_ns)
    return _build_scene(folder, poses, lidars, times, {}, str(folder))


def _read_scene(folder: Path) -> Scene:
    poses, lidars = read_poses(folder), find_lidars(folder)
    annotations = next((p for name in _ANNOTATIONS if (p := find_packed(folder, name))), None)
    if annotations:
        place, boxes = str(annotations), _read_boxes(annotations)
        times = np.unique(boxes["timestamp_ns"])
        _check_poses(poses, times, place)
    else:
        place, boxes = str(folder / _POSES), {}
        times = _times_without_boxes(poses, lidars)
    return _build_scene(folder, poses, lidars, times, boxes, place)


def _build_scene(
    folder: Path,
    poses: EgoPoses,
    lidars: tuple[Lidar, ...],
    times: Int64[np.ndarray, " time"],
    boxes: Columns,
    place: str,
) -> Scene:
    clock, step_of_time = Clock.from_times(times, where=place)
    boxes = _replace_ego(boxes, times)
    row = np.searchsorted(times, boxes["timestamp_ns"])
    box = boxes_in_world(boxes, poses.at(times)[row])
    agents = agents_from_rows(
        track=boxes["track_uuid"],
        step=step_of_time[row],
        steps=clock.steps,
        dt=clock.gaps,
        label=boxes["category"],
        kinds=KINDS,
        centre=box[:, : BoxIndex.HEADING],
        heading=box[:, BoxIndex.HEADING],
        size=box[:, BoxIndex.LENGTH :],
        where=place,
    )
    map_path = find_map(folder / "map")
    return Scene(
        id=log_name(folder),
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
        cameras=find_cameras(folder),
        lidars=lidars,
    )


def boxes_in_world(boxes: Columns, world_from_ego: SE3) -> Float64[np.ndarray, "row 7"]:
    """Return boxes in the city frame (`BoxIndex`) of columns in the ego frame.

    Args:
        boxes: Columns `tx_m` to `tz_m`, `qw` to `qz`, `length_m`, `width_m`, `height_m`.
        world_from_ego: Pose of the ego frame at the time of each row.

    Raises:
        InputError: A quaternion is zero.
    """
    ego_from_box = SE3.from_quaternion(
        stack_columns(boxes, ROTATION), stack_columns(boxes, TRANSLATION)
    )
    world_from_box = world_from_ego @ ego_from_box
    return pack_boxes(world_from_box.translation, world_from_box.yaw, stack_columns(boxes, _SIZE))


def is_log(folder: Path) -> bool:
    """Tell whether a folder is a log: one with ego poses."""
    return find_packed(folder, _POSES) is not None


def log_name(folder: Path) -> str:
    """Return the name of a log, which is also the id of its scene."""
    return f"av2-sensor/{folder.name}"


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
    for name, value in zip((*_SIZE, *ROTATION, *TRANSLATION), [*size, *pose], strict=True):
        ego[name] = np.full(len(times), value)
    if not boxes:
        return ego
    return {name: np.concatenate([ego[name], boxes[name][~is_ego]]) for name in _BOX}


def _times_without_boxes(poses: EgoPoses, lidars: tuple[Lidar, ...]) -> Int64[np.ndarray, " time"]:
    first, last = poses.times_ns[0], poses.times_ns[-1]
    times = lidars[0].times_ns if lidars else np.arange(first, last + 1, 100_000_000)
    return _within(poses, times)


def _within(poses: EgoPoses, times: Int64[np.ndarray, " time"]) -> Int64[np.ndarray, " left"]:
    return times[(times >= poses.times_ns[0]) & (times <= poses.times_ns[-1])]


def read_poses(folder: Path) -> EgoPoses:
    """Return the ego poses of a log.

    Raises:
        InputError: They are missing, malformed, or repeat or go backwards in time.
    """
    path = find_packed(folder, _POSES) or folder / _POSES
    columns = read_feather(path, {"timestamp_ns": int, **POSE})
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
    pose = SE3.from_quaternion(
        stack_columns(columns, ROTATION), stack_columns(columns, TRANSLATION)
    )
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
