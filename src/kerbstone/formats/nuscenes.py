"""nuScenes in its own tables: 20 s scenes with boxes at 2 Hz, in the map's global frame.

A release is a data root with the tables in `v1.0-*/` and, where it was downloaded, the map
expansion in `maps/expansion/`. Every scene is a log; the tables are read once for all of them.

- Only key frames carry boxes, so a scene has two steps a second. Velocities are derived over the
  measured times.
- The ego car becomes an agent. Its frame has its origin at the middle of the rear axle, on the
  ground; poses have no height (z = 0). The poses of all sensors' recordings are kept.
- A `vehicle.bicycle` is a cyclist if most of its boxes say that it has a rider.
- Camera and lidar files are referred to below the data root, key frames and sweeps alike. Images
  are rectified. Radars are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kerbstone.errors import InputError
from kerbstone.formats.files import bare_name, find_packed, read_json
from kerbstone.formats.nuscenes_map import find_map, read_map
from kerbstone.formats.nuscenes_tables import (
    TABLES,
    Annotations,
    Recordings,
    SceneRecord,
    Sensors,
    load_tables,
)
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

LICENCE = "CC BY-NC-SA 4.0, with the nuScenes terms of use"
EGO_LABEL = "vehicle.ego"
KINDS = {
    "animal": Kind.ANIMAL,
    "human.pedestrian.adult": Kind.PEDESTRIAN,
    "human.pedestrian.child": Kind.PEDESTRIAN,
    "human.pedestrian.construction_worker": Kind.PEDESTRIAN,
    "human.pedestrian.personal_mobility": Kind.RIDER,
    "human.pedestrian.police_officer": Kind.PEDESTRIAN,
    "human.pedestrian.stroller": Kind.PEDESTRIAN,
    "human.pedestrian.wheelchair": Kind.PEDESTRIAN,
    "movable_object.barrier": Kind.OBJECT,
    "movable_object.debris": Kind.OBJECT,
    "movable_object.pushable_pullable": Kind.OBJECT,
    "movable_object.trafficcone": Kind.OBJECT,
    "static_object.bicycle_rack": Kind.OBJECT,
    "vehicle.bicycle": Kind.BICYCLE,
    "vehicle.bus.bendy": Kind.BUS,
    "vehicle.bus.rigid": Kind.BUS,
    "vehicle.car": Kind.CAR,
    "vehicle.construction": Kind.TRUCK,
    EGO_LABEL: Kind.CAR,
    "vehicle.emergency.ambulance": Kind.TRUCK,
    "vehicle.emergency.police": Kind.CAR,
    "vehicle.motorcycle": Kind.MOTORCYCLE,
    "vehicle.trailer": Kind.TRAILER,
    "vehicle.truck": Kind.TRUCK,
}
"""What each of the 23 published categories stands for, and the ego car's own."""

EGO_SIZE = np.array([4.084, 1.730, 1.562])
"""Box of the recording car, a Renault Zoe [m]."""
EGO_CENTRE = np.array([1.385, 0.0, 0.781])
"""Centre of that box in the ego frame: half its length less the rear overhang, half its height."""


@dataclass(frozen=True)
class NuScenes:
    """Reader of nuScenes tables."""

    name: str = "nuscenes"
    title: str = "nuScenes tables (v1.0)"
    reads: str = "v1.0-*/*.json, map expansion, camera and lidar references; one log per scene"
    extra: str = ""

    def claim(self, folder: Path, names: frozenset[str]) -> Iterable[Log]:
        """Give the scenes of the tables among `names`, or of `folder` by one of its tables."""
        data = {"samples", "sweeps", "maps"} & names
        for name in sorted(names):
            if has_tables(folder / name):
                yield from _logs(folder / name, claimed=(name, *sorted(data)))
        own = {f"{name}.json" for name in TABLES}
        named = tuple(sorted(name for name in names if bare_name(name) in own))
        if named and has_tables(folder):
            yield from _logs(folder, claimed=named)

    def read(self, log: Log) -> Iterator[Scene]:
        """Give the scene.

        Raises:
            InputError: A table or the map is missing or malformed.
        """
        yield read_scene(log.path, log.name.rsplit("/", 1)[1])


def read_scene(folder: Path, name: str, *, has_boxes: bool = True) -> Scene:
    """Return a scene by its name.

    Args:
        folder: Where the tables lie, such as `v1.0-mini`.
        name: Such as `scene-0061`.
        has_boxes: With the annotated road users; without them the recording car is alone.

    Raises:
        InputError: There is no such scene, or a table or the map is missing or malformed.
    """
    tables = load_tables(folder)
    row = tables.scene_row(name)
    if row is None:
        raise InputError("reference", f"there is no scene {name!r}", where=str(folder))
    boxes = tables.annotations(row)
    return _build_scene(
        folder,
        tables.scenes[row],
        boxes if has_boxes else boxes.without_boxes(),
        tables.recordings(row),
        tables.sensors,
    )


def scene_id(folder: Path, name: str) -> str:
    """Return the id of a scene by its name, and so the name of its log."""
    return f"nuscenes/{folder.name}/{name}"


def has_tables(folder: Path) -> bool:
    """Tell whether a folder is one of tables."""
    return all(find_packed(folder, f"{name}.json") for name in ("scene", "sample_annotation"))


def _logs(folder: Path, claimed: tuple[str, ...]) -> Iterator[Log]:
    found = (find_packed(folder, f"{name}.json") for name in TABLES)
    files = tuple(file for file in found if file)
    try:
        scenes = read_json(find_packed(folder, "scene.json") or folder)
        names = [str(scene["name"]) for scene in scenes]
    except (InputError, KeyError, TypeError):
        names = []
    # Tables that cannot be read are a log all the same, whose reading tells what is wrong.
    for name in names or ["unreadable"]:
        yield Log("nuscenes", scene_id(folder, name), folder, files, claimed)


def _build_scene(
    folder: Path,
    record: SceneRecord,
    boxes: Annotations,
    recordings: Recordings,
    sensors: Sensors,
) -> Scene:
    root = folder.parent
    where = f"{folder}, {record.name}"
    clock, step = Clock.from_times(boxes.sample_time_us * 1000, where=where)
    if not len(recordings.time_us):
        raise InputError("empty", "no sensor data in the scene, so no ego poses", where=where)
    poses = _ego_poses(recordings)
    map_path = find_map(root, record.location)
    return Scene(
        id=scene_id(folder, record.name),
        clock=clock,
        agents=_build_agents(boxes, poses, clock, step, where),
        ego=0,
        source=Source(
            dataset="nuscenes",
            log=record.name,
            town=record.location,
            licence=LICENCE,
            driving_side=driving_side(record.location),
            path=str(root),
            split=folder.name.removeprefix("v1.0-"),
            derived=("velocity", "ego_box"),
            extra={
                "description": record.description,
                "vehicle": record.vehicle,
                "date": record.date,
            },
        ),
        map=read_map(map_path) if map_path else None,
        ego_poses=poses,
        cameras=tuple(
            _camera(row, recordings, sensors) for row in _recorded(recordings, sensors, "camera")
        ),
        lidars=tuple(
            Lidar(
                name=sensors.channel[row],
                paths=tuple(recordings.filename[recordings.sensor == row]),
                times_ns=recordings.time_us[recordings.sensor == row] * 1000,
                ego_from_lidar=_mounting(row, sensors),
            )
            for row in _recorded(recordings, sensors, "lidar")
        ),
    )


def driving_side(location: str) -> DrivingSide:
    """Return the driving side of a nuScenes or nuPlan location.

    Example:
        >>> driving_side("singapore-onenorth").name, driving_side("us-ma-boston").name
        ('LEFT', 'RIGHT')
    """
    if location.startswith(("singapore", "sg-")):
        return DrivingSide.LEFT
    return DrivingSide.RIGHT if location.startswith(("boston", "us-")) else DrivingSide.UNKNOWN


def _build_agents(
    boxes: Annotations, poses: EgoPoses, clock: Clock, step: np.ndarray, where: str
) -> Agents:
    ego = poses.at(boxes.sample_time_us * 1000)
    box = SE3.from_quaternion(boxes.rotation, boxes.centre)
    agents = agents_from_rows(
        track=np.concatenate([np.full(len(step), "ego", object), boxes.track]),
        step=np.concatenate([step, step[boxes.sample]]),
        steps=clock.steps,
        dt=clock.gaps,
        label=np.concatenate([np.full(len(step), EGO_LABEL, object), boxes.category]),
        kinds=KINDS,
        centre=np.concatenate([ego @ np.broadcast_to(EGO_CENTRE, (len(step), 3)), boxes.centre]),
        heading=np.concatenate([ego.yaw, box.yaw]),
        size=np.concatenate([np.broadcast_to(EGO_SIZE, (len(step), 3)), boxes.size[:, [1, 0, 2]]]),
        where=where,
    )
    row = {id_: number for number, id_ in enumerate(agents.ids)}
    owner = np.array([row[track] for track in boxes.track], np.int64)
    ridden = np.bincount(owner, boxes.is_ridden, len(agents))
    has_rider = (agents.kind == Kind.BICYCLE) & (2 * ridden > agents.valid.sum(axis=1))
    return replace(agents, kind=np.where(has_rider, np.uint8(Kind.CYCLIST), agents.kind))


def _ego_poses(recordings: Recordings) -> EgoPoses:
    """Return the poses of all recordings; many sensors share one."""
    times, first = np.unique(recordings.pose_time_us, return_index=True)
    pose = SE3.from_quaternion(recordings.rotation[first], recordings.translation[first])
    return EgoPoses(times * 1000, pose.translation, pose.rotation)


def _recorded(recordings: Recordings, sensors: Sensors, modality: str) -> list[int]:
    """Return the sensors of a modality that recorded something, by name."""
    rows = np.unique(recordings.sensor).tolist()
    chosen = (row for row in rows if sensors.modality[row] == modality)
    return sorted(chosen, key=lambda row: sensors.channel[row])


def _camera(row: int, recordings: Recordings, sensors: Sensors) -> Camera:
    own = recordings.sensor == row
    return Camera(
        name=sensors.channel[row],
        paths=tuple(recordings.filename[own]),
        times_ns=recordings.time_us[own] * 1000,
        width_px=int(recordings.width_px[own][0]),
        height_px=int(recordings.height_px[own][0]),
        intrinsics=np.array(sensors.intrinsics[row], np.float64).reshape(3, 3),
        distortion=np.zeros(0),
        model="pinhole",
        ego_from_camera=_mounting(row, sensors),
    )


def _mounting(row: int, sensors: Sensors) -> np.ndarray:
    pose = SE3.from_quaternion(sensors.rotation[row : row + 1], sensors.translation[row : row + 1])
    return pose.matrix()[0]
