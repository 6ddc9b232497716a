"""123D logs: nuPlan, Waymo, KITTI-360, PandaSet and more, in one Arrow layout, through `py123d`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kerbstone.errors import InputError, missing_extra
from kerbstone.formats.py123d_map import cut_map
from kerbstone.formats.registry import Log
from kerbstone.scene import (
    SE3,
    Agents,
    Camera,
    Clock,
    DrivingSide,
    EgoPoses,
    Kind,
    Map,
    Scene,
    Signals,
    SignalState,
    Source,
    agents_from_rows,
    derive_velocity,
)

# 123D keeps each data set's own labels. What the name says counts, the first that fits.
_WORDS = {
    "TRAILER": Kind.TRAILER,
    "TOWED_OBJECT": Kind.TRAILER,
    "CARAVAN": Kind.TRAILER,
    "BUS": Kind.BUS,
    "PICKUP": Kind.CAR,
    "TRUCK": Kind.TRUCK,
    "CONSTRUCTION_VEHICLE": Kind.TRUCK,
    "VEHICLE_CONSTRUCTION": Kind.TRUCK,
    "LARGE_VEHICLE": Kind.TRUCK,
    "AMBULANCE": Kind.TRUCK,
    "MOTORC": Kind.MOTORCYCLE,
    "MOTORIZED_SCOOTER": Kind.MOTORCYCLE,
    "PERSONAL_MOBILITY": Kind.RIDER,
    "WHEELED_RIDER": Kind.RIDER,
    "CYCLIST": Kind.CYCLIST,
    "RIDER": Kind.CYCLIST,
    "PEDICAB": Kind.CYCLIST,
    "BICYCLE_RACK": Kind.OBJECT,
    "BICYCLE": Kind.BICYCLE,
    "STROLLER": Kind.PEDESTRIAN,
    "WHEELCHAIR": Kind.PEDESTRIAN,
}
# Otherwise what 123D itself takes the label for.
_DEFAULTS = {
    "EGO": Kind.CAR,
    "VEHICLE": Kind.CAR,
    "TRAIN": Kind.TRAIN,
    "TWO_WHEELER": Kind.CYCLIST,
    "PERSON": Kind.PEDESTRIAN,
    "ANIMAL": Kind.ANIMAL,
    "OTHER": Kind.UNKNOWN,
}
_LIGHTS = {
    "GREEN": SignalState.GREEN,
    "YELLOW": SignalState.YELLOW,
    "RED": SignalState.RED,
    "OFF": SignalState.OFF,
    "UNKNOWN": SignalState.UNKNOWN,
}
_EGO = "ego_vehicle"
_BOXES, _EGO_FILE, _LIGHTS_FILE = "box_detections_se3", "ego_state_se3", "traffic_light_detections"
_RIGHT_HAND = ("av2", "wod", "pandaset", "kitti360", "nuplan", "nuscenes")


class Py123d:
    """123D logs, one log per folder that holds `sync.arrow` and a file per modality.

    Read are the car's states, the boxes, the traffic lights, the map within 150 m of what happens
    (the log's own `map.arrow`, or the data set's below `maps` beside `logs`), and references to
    cameras whose images are files or one video; where the data set's files lie py123d takes from
    environment variables such as `NUPLAN_SENSOR_ROOT`. Images and points inside Arrow files are
    not referenced. The ego frame is that of 123D's IMU, which its calibrations refer to.
    """

    name = "py123d"
    title = "123D"
    reads = "car, boxes, traffic lights, map and cameras of any log converted with py123d"
    extra = "py123d"

    def claim(self, folder: Path, names: frozenset[str]) -> Iterable[Log]:
        """Give the log of a folder that holds `sync.arrow`."""
        if "sync.arrow" in names and (folder / "sync.arrow").is_file():
            parts = ("sync", _EGO_FILE, _BOXES, _LIGHTS_FILE, "map")
            files = [folder / f"{part}.arrow" for part in parts]
            yield Log(
                format=self.name,
                name=f"{self.name}/{folder.parent.name}/{folder.name}",
                path=folder,
                files=tuple(file for file in files if file.is_file()),
                claimed=tuple(names),
            )

    def read(self, log: Log) -> Iterator[Scene]:
        """Give the whole log as one scene.

        Raises:
            MissingError: `py123d` is not installed.
            InputError: A file of the log is missing or cannot be read.
        """
        import pyarrow as pa

        try:
            from py123d.api.scene.arrow.arrow_scene_api import (  # pyright: ignore[reportMissingImports]
                ArrowSceneAPI,
            )
        except ModuleNotFoundError as error:
            raise missing_extra("py123d", "reading 123D logs") from error
        _refuse_foreign_labels(log.path / f"{_BOXES}.arrow")
        # A data root holds logs/SPLIT/LOG and maps/DATASET.
        maps = log.path.parents[min(2, len(log.path.parents) - 1)] / "maps"
        try:
            yield _make_scene(ArrowSceneAPI(log_dir=log.path, maps_root=maps), log)
        except (
            pa.ArrowException,
            OSError,
            ValueError,
            KeyError,
            IndexError,
            AssertionError,
        ) as error:
            raise InputError(
                "truncated",
                "a 123D log cannot be read",
                where=str(log.path),
                why=f"{type(error).__name__}: {error}",
                remedy="convert the log again with the installed version of py123d",
            ) from error


def _refuse_foreign_labels(path: Path) -> None:
    """Refuse a log whose labels would make py123d import a module from elsewhere.

    The file names the class of its labels, and py123d imports whatever it names.
    """
    import msgpack  # pyright: ignore[reportMissingImports] - it comes with py123d
    import pyarrow as pa

    if not path.is_file():
        return
    try:
        with pa.OSFile(str(path)) as source:
            stored = (pa.ipc.open_file(source).schema.metadata or {}).get(b"metadata", b"\x80")
        named = str(msgpack.unpackb(stored).get("box_detection_label_class", ""))
    except (pa.ArrowException, ValueError, AttributeError) as error:
        raise InputError(
            "truncated", "a 123D file cannot be read", where=str(path), why=str(error)
        ) from error
    if "." in named and not named.startswith("py123d."):
        raise InputError(
            "unsafe",
            "a 123D log asks for a class from outside py123d, and is refused",
            where=str(path),
            why=f"label class {named!r}",
            remedy="convert the log with a parser that is part of py123d",
        )


def _make_scene(api: Any, log: Log) -> Scene:
    where = str(log.path)
    times_ns = np.array([time.time_ns for time in api.get_all_iteration_timestamps()], np.int64)
    clock, step = Clock.from_times(times_ns, where=where)
    states = [api.get_ego_state_se3_at_iteration(i) for i in range(len(step))]
    agents, derived = _read_agents(api, states, step, clock, where)
    about = api.log_metadata
    road = None
    map_api = api.get_map_api()
    if map_api is not None:
        road = cut_map(map_api, agents.centre[agents.valid][:, :2], log.name)
    place = about.location or ""
    return Scene(
        id=log.name,
        clock=clock,
        agents=agents,
        ego=agents.ids.index(_EGO) if _EGO in agents.ids else None,
        source=Source(
            dataset=about.dataset,
            log=about.log_name,
            town=place,
            driving_side=_driving_side(about.dataset, place),
            path=where,
            split=about.split,
            derived=derived,
            extra={"py123d_version": about.version},
        ),
        map=road,
        signals=_read_signals(api, road, step, clock.steps),
        ego_poses=_read_poses(states),
        cameras=tuple(_find_cameras(api, log.path, about.dataset)),
    )


def _read_agents(
    api: Any, states: list[Any], step: np.ndarray, clock: Clock, where: str
) -> tuple[Agents, tuple[str, ...]]:
    """Return the car and the boxes, and what had to be derived."""
    track: list[str] = []
    label: list[str] = []
    frames: list[np.ndarray] = []
    at: list[int] = []
    velocity: list[np.ndarray] = []
    kinds = {"EGO": Kind.CAR}
    names: dict[int, str] = {}
    about: Any = api.get_modality_metadata(_BOXES)
    for member in () if about is None else about.box_detection_label_class:
        names[int(member)] = member.name
        kinds[member.name] = _kind_of(member.name, member.to_default().name, api.dataset)

    def add(tokens: list[str], labels: list[str], boxes: Any, speeds: list[Any], row: int) -> None:
        track.extend(tokens)
        label.extend(labels)
        at.extend([row] * len(tokens))
        frames.append(np.array(boxes, np.float64).reshape(-1, 10))
        unknown = [np.nan] * 3
        velocity.append(np.array([s if s is not None else unknown for s in speeds], np.float64))

    for i, (row, state) in enumerate(zip(step.tolist(), states, strict=True)):
        if state is not None:
            seen = state.box_detection_se3
            speed = None if seen.velocity_3d is None else seen.velocity_3d.array
            add([_EGO], ["EGO"], [seen.bounding_box_se3.array], [speed], row)
        tokens, codes, boxes, speeds = (
            api.get_modality_column_at_iteration(i, name, _BOXES) or []
            for name in ("track_token", "label", "bounding_box_se3", "velocity_3d")
        )
        unknown = [code for code in codes if code not in names]
        if unknown:
            raise InputError(
                "label",
                f"unknown class number {unknown[0]}",
                where=f"{where}, step {row}",
                why="known classes: " + ", ".join(f"{n} {name}" for n, name in names.items()),
            )
        if tokens:
            add(tokens, [names[code] for code in codes], boxes, speeds, row)
    if not track:
        raise InputError("empty", "there are no agents in the log", where=where)
    box = np.concatenate(frames)
    world_from_box = SE3.from_quaternion(box[:, 3:7], box[:, :3])
    agents = agents_from_rows(
        track=np.array(track, object),
        step=np.array(at, np.int64),
        steps=clock.steps,
        dt=clock.gaps,
        label=np.array(label, object),
        kinds=kinds,
        centre=world_from_box.translation,
        heading=world_from_box.yaw,
        velocity=np.concatenate(velocity)[:, :2],
        size=box[:, 7:10],
        where=where,
    )
    open_ = agents.valid & np.isnan(agents.velocity).any(axis=-1)
    if not open_.any():
        return agents, ()
    found = derive_velocity(agents.centre, agents.valid, clock.gaps)
    return replace(agents, velocity=np.where(open_[..., None], found, agents.velocity)), (
        "velocity",
    )


def _kind_of(name: str, default: str, dataset: str) -> Kind:
    if dataset == "nuplan" and name == "BICYCLE":
        return Kind.CYCLIST  # nuPlan's boxes hold the rider too
    fitting = (kind for word, kind in _WORDS.items() if word in name)
    return next(fitting, _DEFAULTS.get(default, Kind.OBJECT))


def _driving_side(dataset: str, place: str) -> DrivingSide:
    if place.startswith(("sg-", "singapore")):
        return DrivingSide.LEFT
    return DrivingSide.RIGHT if dataset.startswith(_RIGHT_HAND) else DrivingSide.UNKNOWN


def _read_poses(states: list[Any]) -> EgoPoses | None:
    known = [state for state in states if state is not None]
    if not known:
        return None
    times, first = np.unique([state.timestamp.time_ns for state in known], return_index=True)
    pose = np.array([known[i].imu_se3.array for i in first], np.float64)
    track = SE3.from_quaternion(pose[:, 3:7], pose[:, :3])
    return EgoPoses(times.astype(np.int64), track.translation, track.rotation)


def _read_signals(api: Any, road: Map | None, step: np.ndarray, steps: int) -> Signals | None:
    """Return the lights over lanes, UNKNOWN where a step says nothing about one."""
    seen: dict[str, dict[int, SignalState]] = {}
    for i, row in enumerate(step.tolist()):
        for light in api.get_traffic_light_detections_at_iteration(i) or ():
            seen.setdefault(str(light.lane_id), {})[row] = _LIGHTS[light.status.name]
    if not seen:
        return None
    rows = {} if road is None else {name: i for i, name in enumerate(road.lanes.ids)}
    lane = np.array([rows.get(name, -1) for name in seen], np.int64)
    state = np.zeros((len(seen), steps), np.uint8)
    stop = np.full((len(seen), 3), np.nan)
    for light, (controlled, shown) in enumerate(zip(lane.tolist(), seen.values(), strict=True)):
        state[light, list(shown)] = list(shown.values())
        if road is not None and controlled >= 0:
            stop[light] = road.centre_line(controlled)[0]
    return Signals(lane=lane, stop_point=stop, state=state)


def _find_cameras(api: Any, folder: Path, dataset: str) -> Iterator[Camera]:
    """Give the pinhole cameras whose images lie in files of their own."""
    import pyarrow as pa
    from py123d.common.runtime import (  # pyright: ignore[reportMissingImports]
        get_dataset_paths,
    )

    # Where the data set's own files lie is known to py123d from its environment variables only.
    root = get_dataset_paths().get_sensor_root(dataset) or Path()
    for about in api.get_camera_metadatas().values():
        file = folder / f"{about.modality_key}.arrow"
        if about.camera_model.name != "PINHOLE" or about.intrinsics is None or not file.is_file():
            continue
        with pa.OSFile(str(file)) as source:
            table = pa.ipc.open_file(source).read_all()
            data = table[f"{about.modality_key}.data"]
            times_ns = table[f"{about.modality_key}.timestamp_us"].to_numpy() * 1000
            if pa.types.is_string(data.type):
                paths = tuple(str(root / path) for path in data.to_pylist())
            elif pa.types.is_integer(data.type):
                paths = (f"{about.modality_key}.mp4",)
            else:
                continue
        focal = about.intrinsics
        lens = about.distortion if about.is_distorted else None
        pose = about.camera_to_imu_se3.array
        yield Camera(
            name=about.camera_name,
            paths=paths,
            times_ns=times_ns.astype(np.int64),
            width_px=int(about.width),
            height_px=int(about.height),
            intrinsics=np.array(
                [[focal.fx, focal.skew, focal.cx], [0.0, focal.fy, focal.cy], [0.0, 0.0, 1.0]]
            ),
            distortion=np.zeros(0) if lens is None else lens.array.astype(np.float64),
            model="pinhole" if lens is None else "opencv",
            ego_from_camera=SE3.from_quaternion(pose[3:7], pose[:3]).matrix(),
        )
