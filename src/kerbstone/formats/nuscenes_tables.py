"""The tables of a nuScenes release, read once and joined, with the rows of each scene together.

The tables are JSON lists of records that refer to one another by token; those of the full release
hold millions. They are turned into columns record by record while they are parsed, and tokens into
row numbers, so that what stays in memory is a small part of what the files hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.formats.files import find_packed
from kerbstone.formats.json_tables import JsonTable, as_integer

TABLES = (
    "attribute",
    "calibrated_sensor",
    "category",
    "ego_pose",
    "instance",
    "log",
    "sample",
    "sample_annotation",
    "sample_data",
    "scene",
    "sensor",
)
_RIDDEN = "cycle.with_rider"


@dataclass(frozen=True)
class SceneRecord:
    """One scene, with what its log says.

    Args:
        name: Such as `scene-0061`.
        description: What its author saw.
        location: The map it was recorded on.
        vehicle: The recording car.
        date: When it was recorded.
    """

    name: str
    description: str
    location: str
    vehicle: str
    date: str


@dataclass(frozen=True, eq=False)
class Annotations:
    """The boxes of one scene, in the global frame.

    Args:
        sample_time_us: Times of the scene's samples, rising [us].
        sample: Which of them each box belongs to.
        track: Token of the instance.
        category: Its category.
        is_ridden: Whether the box is a cycle with a rider on it.
        centre: [m].
        rotation: Quaternions w, x, y, z.
        size: Width, length, height [m].
    """

    sample_time_us: Int64[np.ndarray, " sample"]
    sample: Int64[np.ndarray, " box"]
    track: np.ndarray
    category: np.ndarray
    is_ridden: Bool[np.ndarray, " box"]
    centre: Float64[np.ndarray, "box 3"]
    rotation: Float64[np.ndarray, "box 4"]
    size: Float64[np.ndarray, "box 3"]

    def without_boxes(self) -> Annotations:
        """Return the times alone."""
        return Annotations(
            sample_time_us=self.sample_time_us,
            sample=self.sample[:0],
            track=self.track[:0],
            category=self.category[:0],
            is_ridden=self.is_ridden[:0],
            centre=self.centre[:0],
            rotation=self.rotation[:0],
            size=self.size[:0],
        )


@dataclass(frozen=True, eq=False)
class Recordings:
    """What the sensors recorded in one scene: key frames and the sweeps between, by time.

    Args:
        time_us: [us].
        sensor: Row of the calibrated sensor.
        filename: Path below the data root.
        width_px: Image width, 0 for what is no image [px].
        height_px: Image height [px].
        pose_time_us: Time of the ego pose of each [us].
        translation: Ego pose in the global frame [m].
        rotation: Ego pose, as quaternions w, x, y, z.
    """

    time_us: Int64[np.ndarray, " frame"]
    sensor: Int64[np.ndarray, " frame"]
    filename: np.ndarray
    width_px: Int64[np.ndarray, " frame"]
    height_px: Int64[np.ndarray, " frame"]
    pose_time_us: Int64[np.ndarray, " frame"]
    translation: Float64[np.ndarray, "frame 3"]
    rotation: Float64[np.ndarray, "frame 4"]


@dataclass(frozen=True, eq=False)
class Sensors:
    """The calibrated sensors of all logs.

    Args:
        channel: Name, such as `CAM_FRONT`.
        modality: `camera`, `lidar` or `radar`.
        translation: Position in the ego frame [m].
        rotation: Quaternions w, x, y, z.
        intrinsics: Pinhole matrix as a nested list, empty where there is none [px].
    """

    channel: list[str]
    modality: list[str]
    translation: Float64[np.ndarray, "sensor 3"]
    rotation: Float64[np.ndarray, "sensor 4"]
    intrinsics: list[list[list[float]]]


class NuScenesTables:
    """All tables of a release.

    Args:
        folder: Where the tables lie, such as `v1.0-mini`.

    Raises:
        InputError: A table is missing, cut off or malformed, or refers to a row that is not there.
    """

    def __init__(self, folder: Path) -> None:
        said = ("location", "vehicle", "date_captured")
        log = JsonTable(folder, "log", dict.fromkeys(said))
        scene = JsonTable(
            folder, "scene", {"name": None, "description": None, "log_token": log.row_of}
        )
        self.scenes = [
            SceneRecord(name, description, *(log[field][row] for field in said))
            for name, description, row in zip(
                scene["name"], scene["description"], scene["log_token"], strict=True
            )
        ]
        sample = JsonTable(folder, "sample", {"scene_token": scene.row_of, "timestamp": as_integer})
        self._sample_row = {token: row for row, token in enumerate(sample["token"])}
        self._sample_token = np.array(sample["token"], object)
        self._sample_scene = sample["scene_token"]
        self._sample_time = sample["timestamp"]
        self._load_annotations(folder, sample)
        self._load_recordings(folder, sample)

    def scene_row(self, name: str) -> int | None:
        """Return the row of a scene by its name, or None."""
        rows = [row for row, scene in enumerate(self.scenes) if scene.name == name]
        return rows[0] if rows else None

    def scene_of_sample(self, token: str) -> int | None:
        """Return the row of the scene that a sample belongs to, or None for no sample."""
        row = self._sample_row.get(token)
        return None if row is None else int(self._sample_scene[row])

    def sample_tokens(self, scene: int) -> list[str]:
        """Return the tokens of the samples of a scene, by time."""
        return self._sample_token[self._samples(scene)].tolist()

    def sample_times_us(self, scene: int) -> Int64[np.ndarray, " sample"]:
        """Return the times of the samples of a scene, rising [us]."""
        return self._sample_time[self._samples(scene)]

    def annotations(self, scene: int) -> Annotations:
        """Return the boxes of a scene."""
        samples = self._samples(scene)
        place = np.full(len(self._sample_scene), -1)
        place[samples] = np.arange(len(samples))
        rows = self._box_order[slice(*np.searchsorted(self._box_scene, [scene, scene + 1]))]
        instance = self._box_instance[rows]
        return Annotations(
            sample_time_us=self._sample_time[samples],
            sample=place[self._box_sample[rows]],
            track=self._instance_token[instance],
            category=self._instance_category[instance],
            is_ridden=self._box_is_ridden[rows],
            centre=self._box_centre[rows],
            rotation=self._box_rotation[rows],
            size=self._box_size[rows],
        )

    def recordings(self, scene: int) -> Recordings:
        """Return what the sensors recorded in a scene."""
        rows = self._frame_order[slice(*np.searchsorted(self._frame_scene, [scene, scene + 1]))]
        rows = rows[np.argsort(self._frame_time[rows], kind="stable")]
        pose = self._frame_pose[rows]
        return Recordings(
            time_us=self._frame_time[rows],
            sensor=self._frame_sensor[rows],
            filename=self._frame_file.take(rows).to_numpy(zero_copy_only=False),
            width_px=self._frame_size[rows, 0],
            height_px=self._frame_size[rows, 1],
            pose_time_us=self._pose_time[pose],
            translation=self._pose_translation[pose],
            rotation=self._pose_rotation[pose],
        )

    def _samples(self, scene: int) -> Int64[np.ndarray, " sample"]:
        """Return the rows of the samples of a scene, by time."""
        samples = np.flatnonzero(self._sample_scene == scene)
        return samples[np.argsort(self._sample_time[samples], kind="stable")]

    def _load_annotations(self, folder: Path, sample: JsonTable) -> None:
        category = JsonTable(folder, "category", {"name": None})
        instance = JsonTable(folder, "instance", {"category_token": category.row_of})
        attribute = JsonTable(folder, "attribute", {"name": None})
        named = zip(attribute["token"], attribute["name"], strict=True)
        ridden = {token for token, name in named if name == _RIDDEN}
        box = JsonTable(
            folder,
            "sample_annotation",
            {
                "sample_token": sample.row_of,
                "instance_token": instance.row_of,
                "attribute_tokens": lambda tokens: not ridden.isdisjoint(tokens),
                "translation": 3,
                "rotation": 4,
                "size": 3,
            },
            has_tokens=False,
        )
        self._instance_token = np.array(instance["token"], object)
        self._instance_category = np.array(category["name"], object)[instance["category_token"]]
        self._box_sample = box["sample_token"]
        self._box_instance = box["instance_token"]
        self._box_is_ridden = box["attribute_tokens"].astype(bool)
        self._box_centre = box["translation"]
        self._box_rotation = box["rotation"]
        self._box_size = box["size"]
        self._box_order, self._box_scene = _group(self._sample_scene[self._box_sample])

    def _load_recordings(self, folder: Path, sample: JsonTable) -> None:
        import pyarrow as pa

        sensor = JsonTable(folder, "sensor", {"channel": None, "modality": None})
        mounted = JsonTable(
            folder,
            "calibrated_sensor",
            {
                "sensor_token": sensor.row_of,
                "translation": 3,
                "rotation": 4,
                "camera_intrinsic": None,
            },
        )
        self.sensors = Sensors(
            channel=[sensor["channel"][row] for row in mounted["sensor_token"]],
            modality=[sensor["modality"][row] for row in mounted["sensor_token"]],
            translation=mounted["translation"],
            rotation=mounted["rotation"],
            intrinsics=mounted["camera_intrinsic"],
        )
        pose = JsonTable(
            folder, "ego_pose", {"timestamp": as_integer, "translation": 3, "rotation": 4}
        )
        self._pose_time = pose["timestamp"]
        self._pose_translation = pose["translation"]
        self._pose_rotation = pose["rotation"]
        frame = JsonTable(
            folder,
            "sample_data",
            {
                "sample_token": sample.row_of,
                "ego_pose_token": pose.row_of,
                "calibrated_sensor_token": mounted.row_of,
                "filename": None,
                "timestamp": as_integer,
                "width": _size_px,
                "height": _size_px,
            },
            has_tokens=False,
        )
        self._frame_pose = frame["ego_pose_token"]
        self._frame_sensor = frame["calibrated_sensor_token"]
        self._frame_time = frame["timestamp"]
        self._frame_file = pa.array(frame["filename"], pa.string())
        self._frame_size = np.stack([frame["width"], frame["height"]], axis=-1)
        self._frame_order, self._frame_scene = _group(self._sample_scene[frame["sample_token"]])


def _size_px(value: int | None) -> int:
    """Return the size of an image; it is null for what is none."""
    return 0 if value is None else as_integer(value)


def load_tables(folder: Path) -> NuScenesTables:
    """Return the tables of a folder, from memory if they were read before and did not change.

    Raises:
        InputError: A table is missing, cut off or malformed, or refers to a row that is not there.
    """
    files = [find_packed(folder, f"{name}.json") for name in TABLES]
    return _load(folder, tuple(file.stat().st_mtime_ns if file else 0 for file in files))


@lru_cache(maxsize=1)
def _load(folder: Path, changed_ns: tuple[int, ...]) -> NuScenesTables:
    del changed_ns  # a part of the key only
    return NuScenesTables(folder)


def _group(
    scene: Int64[np.ndarray, " row"],
) -> tuple[Int64[np.ndarray, " row"], Int64[np.ndarray, " row"]]:
    """Return the order that brings rows of one scene together, and their scenes in it."""
    order = np.argsort(scene, kind="stable")
    return order, scene[order]
