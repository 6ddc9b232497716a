"""Small Argoverse 2 logs: a street, a recording car that turns left, three others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import feather, parquet

Edit = Callable[[pa.Table], pa.Table]

START_NS = 315_966_253_660_357_000
STEPS = 21
SPEED = 8.0
TURN_RATE = 0.2
PARKED = (30.0, 12.0, 1.0)
"""Where the parked car stands in the city frame [m]."""
WALKER_SPEED = 1.5


def keep(table: pa.Table) -> pa.Table:
    return table


def lane(id_: int, y: float, **changes) -> dict:
    """Return a straight lane of 3 m width in x direction, from 0 to 60."""
    line = lambda side: [{"x": float(x), "y": y + side, "z": 0.5} for x in (0, 20, 60)]
    return {
        "id": id_,
        "is_intersection": False,
        "lane_type": "VEHICLE",
        "left_lane_boundary": line(1.5),
        "right_lane_boundary": line(-1.5),
        "left_lane_mark_type": "DASHED_WHITE",
        "right_lane_mark_type": "SOLID_WHITE",
        "left_neighbor_id": None,
        "right_neighbor_id": None,
        "predecessors": [],
        "successors": [],
        **changes,
    }


def road() -> dict:
    """Return a map of two lanes side by side, one that follows, an area and a crossing."""
    after = lane(3, 0.0, is_intersection=True, left_lane_mark_type="NONE", lane_type="BIKE")
    for side in ("left", "right"):
        for point in after[f"{side}_lane_boundary"]:
            point["x"] += 60.0
    lanes = [
        lane(1, 0.0, left_neighbor_id=2, successors=[3, 999]),
        lane(2, 3.0, right_neighbor_id=1, left_lane_mark_type="DOUBLE_SOLID_YELLOW"),
        after,
    ]
    corner = lambda x, y: {"x": x, "y": y, "z": 0.5}
    return {
        "lane_segments": {str(one["id"]): one for one in lanes},
        "drivable_areas": {
            "7": {
                "id": 7,
                "area_boundary": [
                    corner(-20, -40),
                    corner(120, -40),
                    corner(120, 40),
                    corner(-20, 40),
                ],
            }
        },
        "pedestrian_crossings": {
            "8": {
                "id": 8,
                "edge1": [corner(50, -5), corner(50, 8)],
                "edge2": [corner(53, 8), corner(53, -5)],
            }
        },
    }


def ego_track(times_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return position [m] and yaw [rad] of the rear axle on its circle, at these times."""
    t = (times_ns - START_NS) / 1e9
    yaw = 0.3 + TURN_RATE * t
    radius = SPEED / TURN_RATE
    position = radius * np.stack([np.sin(yaw) - np.sin(0.3), np.cos(0.3) - np.cos(yaw)], axis=-1)
    return np.column_stack([position, np.full(len(t), 0.8)]), yaw


def write_sensor_log(
    folder: Path,
    *,
    boxes: Edit = keep,
    poses: Edit = keep,
    has_ego: bool = False,
    has_sensors: bool = True,
    town: str = "PIT",
    packed: str = "",
) -> Path:
    """Write a sensor log of two seconds and return its folder.

    Args:
        folder: Where to write; it is made.
        boxes: Changes the annotations before they are written.
        poses: Changes the ego poses before they are written.
        has_ego: Write `annotations_with_ego.feather`, with the ego box at the ego frame's origin.
        has_sensors: Write calibration, two images of one camera, and two sweeps.
        town: Code in the map's file name.
        packed: ".xz" or ".gz", to pack the annotations.
    """
    folder.mkdir(parents=True)
    times = START_NS + 100_000_000 * np.arange(STEPS)
    table = pa.concat_tables([_boxes_at(times, name) for name in _TRACKS])
    name = "annotations_with_ego.feather" if has_ego else "annotations.feather"
    if not has_ego:
        table = table.filter(pa.compute.not_equal(table["category"], "EGO_VEHICLE"))
    feather.write_feather(boxes(table), folder / name)
    if packed:
        _pack(folder / name, packed)
    pose_times = np.union1d(times, START_NS - 30_000_000 + 50_000_000 * np.arange(2 * STEPS))
    position, yaw = ego_track(pose_times)
    pose = pa.table({"timestamp_ns": pose_times} | _pose_columns(position, yaw))
    feather.write_feather(poses(pose), folder / "city_SE3_egovehicle.feather")
    (folder / "map").mkdir()
    archive = f"log_map_archive_{folder.name}____{town}_city_1.json"
    (folder / "map" / archive).write_text(json.dumps(road()))
    if has_sensors:
        _write_sensors(folder, times)
    return folder


def write_scenario(folder: Path, *, tracks: Edit = keep, steps: int = 110) -> Path:
    """Write a forecasting scenario: the recording car, a focal car, one who walks for a while."""
    folder.mkdir(parents=True)
    number = np.arange(steps)
    rows = []
    for track, type_, category, shown, speed, y in (
        ("AV", "vehicle", 1, number, 10.0, 0.0),
        ("focal", "vehicle", 3, number, 8.0, 3.0),
        ("walker", "pedestrian", 0, number[20:60], -1.4, -3.0),
    ):
        rows.append(
            pa.table(
                {
                    "observed": shown < 50,
                    "track_id": [track] * len(shown),
                    "object_type": [type_] * len(shown),
                    "object_category": [category] * len(shown),
                    "timestep": shown,
                    "position_x": 5.0 + speed * 0.1 * shown,
                    "position_y": np.full(len(shown), y),
                    "heading": np.full(len(shown), 0.0 if speed > 0 else np.pi),
                    "velocity_x": np.full(len(shown), speed),
                    "velocity_y": np.zeros(len(shown)),
                    "scenario_id": [folder.name] * len(shown),
                    "start_timestamp": np.full(len(shown), float(START_NS)),
                    "end_timestamp": np.full(len(shown), float(START_NS + 10_900_000_000)),
                    "num_timestamps": np.full(len(shown), 110),
                    "focal_track_id": ["focal"] * len(shown),
                    "city": ["dearborn"] * len(shown),
                }
            )
        )
    table = tracks(pa.concat_tables(rows))
    parquet.write_table(table, folder / f"scenario_{folder.name}.parquet")
    (folder / f"log_map_archive_{folder.name}.json").write_text(json.dumps(road()))
    return folder


def set_column(name: str, change: Callable[[np.ndarray], object]) -> Edit:
    """Return an edit that passes one column's values through `change`."""

    def edit(table: pa.Table) -> pa.Table:
        values = np.array(table[name].to_pylist(), object)
        values = change(values)
        column = pa.array(list(values), table.schema.field(name).type)
        return table.set_column(table.column_names.index(name), name, column)

    return edit


def set_cell(name: str, row: int, value: object) -> Edit:
    """Return an edit that sets one cell."""

    def change(values: np.ndarray) -> np.ndarray:
        values[row] = value
        return values

    return set_column(name, change)


def cut(path: Path) -> None:
    """Cut a file off in the middle."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


_TRACKS = {
    "parked": "REGULAR_VEHICLE",
    "walker": "PEDESTRIAN",
    "ahead": "BUS",
    "ego-track": "EGO_VEHICLE",
}
_SIZES = {
    "parked": (4.5, 1.9, 1.6),
    "walker": (0.6, 0.7, 1.7),
    "ahead": (12.0, 2.6, 3.2),
    "ego-track": (4.877, 2.0, 1.473),
}


def _boxes_at(times: np.ndarray, track: str) -> pa.Table:
    position, yaw = ego_track(times)
    t = (times - START_NS) / 1e9
    if track == "parked":
        world, heading = np.tile(PARKED, (len(t), 1)), np.full(len(t), 0.7)
    elif track == "walker":
        world = np.stack([10.0 + 0 * t, 20.0 - WALKER_SPEED * t, 1.0 + 0 * t], axis=-1)
        heading = np.full(len(t), -np.pi / 2)
    elif track == "ahead":
        world, heading = np.stack([40.0 + 6.0 * t, 3.0 + 0 * t, 2.0 + 0 * t], axis=-1), 0.0 * t
    else:
        world, heading = position, yaw
    offset = world - position
    ego = np.stack(
        [
            np.cos(yaw) * offset[:, 0] + np.sin(yaw) * offset[:, 1],
            -np.sin(yaw) * offset[:, 0] + np.cos(yaw) * offset[:, 1],
            offset[:, 2],
        ],
        axis=-1,
    )
    size = dict(zip(("length_m", "width_m", "height_m"), _SIZES[track], strict=True))
    return pa.table(
        {
            "timestamp_ns": times,
            "track_uuid": [track] * len(t),
            "category": [_TRACKS[track]] * len(t),
            **{name: np.full(len(t), value) for name, value in size.items()},
            **_pose_columns(ego, heading - yaw),
            "num_interior_pts": np.full(len(t), 9),
        }
    )


def _pose_columns(position: np.ndarray, yaw: np.ndarray) -> dict[str, np.ndarray]:
    zero = np.zeros(len(yaw))
    return {
        "qw": np.cos(yaw / 2),
        "qx": zero,
        "qy": zero,
        "qz": np.sin(yaw / 2),
        "tx_m": position[:, 0],
        "ty_m": position[:, 1],
        "tz_m": position[:, 2],
    }


def _write_sensors(folder: Path, times: np.ndarray) -> None:
    (folder / "calibration").mkdir()
    lens = {"fx_px": 1776.0, "fy_px": 1775.0, "cx_px": 777.0, "cy_px": 1013.0}
    lens |= {"k1": -0.24, "k2": -0.21, "k3": 0.33}
    feather.write_feather(
        pa.table(
            {"sensor_name": ["ring_front_center"]}
            | {name: [value] for name, value in lens.items()}
            | {
                "height_px": pa.array([2048], pa.uint16()),
                "width_px": pa.array([1550], pa.uint16()),
            }
        ),
        folder / "calibration" / "intrinsics.feather",
    )
    mounted = {"qw": 0.5, "qx": -0.5, "qy": 0.5, "qz": -0.5, "tx_m": 1.6, "ty_m": 0.0, "tz_m": 1.4}
    feather.write_feather(
        pa.table(
            {"sensor_name": ["ring_front_center", "up_lidar"]}
            | {name: [value, value] for name, value in mounted.items()}
        ),
        folder / "calibration" / "egovehicle_SE3_sensor.feather",
    )
    for sensor, ending in (("cameras/ring_front_center", "jpg"), ("lidar", "feather")):
        (folder / "sensors" / sensor).mkdir(parents=True)
        for time in times[:2]:
            (folder / "sensors" / sensor / f"{time}.{ending}").write_bytes(b"")


def _pack(path: Path, ending: str) -> None:
    import gzip
    import lzma

    pack = {".xz": lzma.compress, ".gz": gzip.compress}[ending]
    path.with_name(path.name + ending).write_bytes(pack(path.read_bytes()))
    path.unlink()
