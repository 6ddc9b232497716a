"""A small nuScenes release in the real layout: tables, and a map expansion of one location."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Tables = dict[str, list[dict[str, Any]]]

START_US = 1_532_402_927_647_951
SAMPLES = 9
JITTER_US = np.array([0, 2_000, -50_000, 30_000, 0, 0, -1_000, 40_000, 0])
SPEED = 5.0
EGO_YAW = 0.5
LOCATION = "singapore-onenorth"
CHANNELS = {"LIDAR_TOP": "lidar", "CAM_FRONT": "camera", "RADAR_FRONT": "radar"}

INSTANCES = {
    "car": "vehicle.car",
    "ridden": "vehicle.bicycle",
    "parked": "vehicle.bicycle",
    "cone": "movable_object.trafficcone",
}


def sample_times_us() -> np.ndarray:
    return START_US + 500_000 * np.arange(SAMPLES) + JITTER_US


def quaternion(yaw: float) -> list[float]:
    return [float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))]


def position(name: str, t: float) -> tuple[float, float, float, float]:
    """Return x, y, z [m] and yaw [rad] of an instance at a time after the start."""
    return {
        "car": (400.0 + 10.0 * t, 1100.0, 1.0, 0.0),
        "ridden": (380.0, 1105.0 - 4.0 * t, 1.1, -np.pi / 2),
        "parked": (390.0, 1112.0, 0.7, 2.0),
        "cone": (395.0, 1098.0, 0.4, 0.0),
    }[name]


SIZES = {
    "car": [1.9, 4.6, 1.7],
    "ridden": [0.6, 1.8, 1.8],
    "parked": [0.6, 1.8, 1.1],
    "cone": [0.4, 0.4, 0.8],
}
"""Width, length, height [m]: in nuScenes' order."""


def ego_at(time_us: int) -> tuple[float, float]:
    t = (time_us - START_US) / 1e6
    return 380.0 + SPEED * np.cos(EGO_YAW) * t, 1090.0 + SPEED * np.sin(EGO_YAW) * t


def tables(scenes: tuple[str, ...] = ("scene-0061", "scene-0103")) -> Tables:
    """Return all tables, with the same drive in each scene."""
    made: Tables = {name: [] for name in ("scene", "sample", "sample_annotation", "instance")}
    made |= {name: [] for name in ("sample_data", "ego_pose")}
    made["category"] = [
        {"token": f"category-{name}", "name": name, "description": ""}
        for name in dict.fromkeys(INSTANCES.values())
    ]
    made["attribute"] = [
        {"token": f"attribute-{name}", "name": name, "description": ""}
        for name in ("cycle.with_rider", "cycle.without_rider", "vehicle.moving")
    ]
    made["visibility"] = [{"token": "4", "level": "v80-100", "description": ""}]
    made["sensor"] = [
        {"token": f"sensor-{channel}", "channel": channel, "modality": modality}
        for channel, modality in CHANNELS.items()
    ]
    made["calibrated_sensor"] = [
        {
            "token": f"calibrated-{channel}",
            "sensor_token": f"sensor-{channel}",
            "translation": [1.7, 0.0, 1.5],
            "rotation": [0.5, -0.5, 0.5, -0.5] if modality == "camera" else [1.0, 0.0, 0.0, 0.0],
            "camera_intrinsic": [[1266.0, 0, 816.0], [0, 1267.0, 491.0], [0, 0, 1]]
            if modality == "camera"
            else [],
        }
        for channel, modality in CHANNELS.items()
    ]
    made["log"] = [
        {
            "token": "log-1",
            "logfile": "n015-2018-07-24-11-22-45+0800",
            "vehicle": "n015",
            "date_captured": "2018-07-24",
            "location": LOCATION,
        }
    ]
    made["map"] = [
        {"token": "map-1", "category": "semantic_prior", "filename": "", "log_tokens": ["log-1"]}
    ]
    for scene in scenes:
        _add_scene(made, scene)
    return made


def _add_scene(made: Tables, scene: str) -> None:
    made["scene"].append(
        {
            "token": f"token-{scene}",
            "log_token": "log-1",
            "nbr_samples": SAMPLES,
            "first_sample_token": f"{scene}-sample-0",
            "last_sample_token": f"{scene}-sample-{SAMPLES - 1}",
            "name": scene,
            "description": "Parked bicycle, cone",
        }
    )
    times = sample_times_us().tolist()
    for number, time in enumerate(times):
        made["sample"].append(
            {
                "token": f"{scene}-sample-{number}",
                "timestamp": time,
                "prev": f"{scene}-sample-{number - 1}" if number else "",
                "next": f"{scene}-sample-{number + 1}" if number + 1 < SAMPLES else "",
                "scene_token": f"token-{scene}",
            }
        )
        for sweep in (0, 1):
            for channel in CHANNELS:
                _add_recording(made, scene, number, time + 250_000 * sweep, channel, sweep == 0)
    for name, category in INSTANCES.items():
        shown = range(SAMPLES) if name != "cone" else range(2, 5)
        made["instance"].append(
            {
                "token": f"{scene}-{name}",
                "category_token": f"category-{category}",
                "nbr_annotations": len(shown),
                "first_annotation_token": f"{scene}-{name}-{shown[0]}",
                "last_annotation_token": f"{scene}-{name}-{shown[-1]}",
            }
        )
        for number in shown:
            x, y, z, yaw = position(name, (times[number] - START_US) / 1e6)
            rider = "cycle.with_rider" if name == "ridden" else "cycle.without_rider"
            made["sample_annotation"].append(
                {
                    "token": f"{scene}-{name}-{number}",
                    "sample_token": f"{scene}-sample-{number}",
                    "instance_token": f"{scene}-{name}",
                    "visibility_token": "4",
                    "attribute_tokens": [f"attribute-{rider}"]
                    if category == "vehicle.bicycle"
                    else [],
                    "translation": [x, y, z],
                    "size": SIZES[name],
                    "rotation": quaternion(yaw),
                    "prev": "",
                    "next": "",
                    "num_lidar_pts": 5,
                    "num_radar_pts": 0,
                }
            )


def _add_recording(
    made: Tables,
    scene: str,
    sample: int,
    time: int,
    channel: str,
    is_key: bool,  # noqa: FBT001
) -> None:
    # Cameras fire a little before the lidar has turned round.
    time -= 0 if channel == "LIDAR_TOP" else 35_000
    token = f"{scene}-{channel}-{time}"
    x, y = ego_at(time)
    made["ego_pose"].append(
        {
            "token": token,
            "timestamp": time,
            "rotation": quaternion(EGO_YAW),
            "translation": [x, y, 0.0],
        }
    )
    is_camera = CHANNELS[channel] == "camera"
    folder = "samples" if is_key else "sweeps"
    made["sample_data"].append(
        {
            "token": token,
            "sample_token": f"{scene}-sample-{sample}",
            "ego_pose_token": token,
            "calibrated_sensor_token": f"calibrated-{channel}",
            "timestamp": time,
            "fileformat": "jpg" if is_camera else "pcd",
            "is_key_frame": is_key,
            "height": 900 if is_camera else 0,
            "width": 1600 if is_camera else 0,
            "filename": f"{folder}/{channel}/n015__{channel}__{time}",
            "prev": "",
            "next": "",
        }
    )


def expansion() -> dict[str, Any]:
    """Return a map expansion: a lane, a connector that turns left, and one area of each kind."""
    nodes: dict[str, tuple[float, float]] = {}

    def line(*points: tuple[float, float]) -> list[str]:
        tokens = [f"node-{len(nodes) + i}" for i in range(len(points))]
        nodes.update(zip(tokens, points, strict=True))
        return tokens

    def box(x: float, y: float, width: float, height: float) -> list[str]:
        return line((x, y), (x + width, y), (x + width, y + height), (x, y + height))

    polygons = {
        "crossing": box(440, 1090, 4, 20),
        "walkway": box(380, 1116, 60, 3),
        "carpark": box(380, 1120, 60, 5),
        "drivable": box(370, 1080, 100, 40),
        "segment": box(450, 1090, 20, 20),
        "stop": box(436, 1098, 1, 4),
        "lane": box(390, 1098, 50, 4),
    }
    left = [{"node_token": n, "segment_type": "NIL"} for n in line((390, 1102))]
    left += [
        {"node_token": n, "segment_type": "DOUBLE_DASHED_WHITE"}
        for n in line((415, 1102), (440, 1102))
    ]
    right = [
        {"node_token": n, "segment_type": "SINGLE_SOLID_WHITE"}
        for n in line((390, 1098), (440, 1098))
    ]
    lines = {"divider": line((390, 1104), (440, 1104)), "nothing": []}
    return {
        "version": "1.3",
        "node": [{"token": t, "x": x, "y": y} for t, (x, y) in nodes.items()],
        "polygon": [
            {"token": t, "exterior_node_tokens": n, "holes": []} for t, n in polygons.items()
        ],
        "line": [{"token": t, "node_tokens": n} for t, n in lines.items()],
        "ped_crossing": [{"token": "c", "polygon_token": "crossing", "road_segment_token": "s"}],
        "walkway": [{"token": "w", "polygon_token": "walkway"}],
        "carpark_area": [{"token": "p", "polygon_token": "carpark", "orientation": 0.0}],
        "drivable_area": [{"token": "d", "polygon_tokens": ["drivable"]}],
        "road_segment": [
            {"token": "s", "polygon_token": "segment", "is_intersection": True},
            {"token": "t", "polygon_token": "drivable", "is_intersection": False},
        ],
        "stop_line": [{"token": "h", "polygon_token": "stop", "stop_line_type": "TRAFFIC_LIGHT"}],
        "road_divider": [{"token": "r", "line_token": "divider", "road_segment_token": "s"}],
        "lane_divider": [{"token": "n", "line_token": "nothing"}],
        "lane": [
            {
                "token": "lane-1",
                "polygon_token": "lane",
                "lane_type": "CAR",
                "from_edge_line_token": "",
                "to_edge_line_token": "",
                "left_lane_divider_segments": left,
                "right_lane_divider_segments": right,
            },
            {"token": "lane-without-path", "polygon_token": "lane", "lane_type": "CAR"},
        ],
        "lane_connector": [{"token": "turn-1", "polygon_token": "gone"}],
        "arcline_path_3": {
            "lane-1": [arcs((390.0, 1100.0, 0.0), "LSR", 900.0, (0.0, 50.0, 0.0))],
            "turn-1": [arcs((440.0, 1100.0, 0.0), "LSL", 10.0, (10.0 * np.pi / 4, 5.0, 7.0))],
        },
        "connectivity": {
            "lane-1": {"incoming": [], "outgoing": ["turn-1"]},
            "turn-1": {"incoming": ["lane-1"], "outgoing": ["lane-of-another-town"]},
        },
    }


def arcs(
    start: tuple[float, float, float], shape: str, radius: float, lengths: tuple[float, ...]
) -> dict[str, Any]:
    return {
        "start_pose": list(start),
        "end_pose": [0.0, 0.0, 0.0],
        "shape": shape,
        "radius": radius,
        "segment_length": list(lengths),
    }


def write_release(
    root: Path,
    *,
    change: Callable[[Tables], object] = lambda _: None,
    has_map: bool = True,
    version: str = "v1.0-mini",
) -> Path:
    """Write a release and return the folder of its tables.

    Args:
        root: The data root; it is made.
        change: Changes the tables before they are written.
        has_map: Write the map expansion.
        version: Name of the folder.
    """
    folder = root / version
    folder.mkdir(parents=True)
    content = tables()
    change(content)
    for name, records in content.items():
        (folder / f"{name}.json").write_text(json.dumps(records, indent=0))
    if has_map:
        (root / "maps" / "expansion").mkdir(parents=True)
        (root / "maps" / "expansion" / f"{LOCATION}.json").write_text(json.dumps(expansion()))
    return folder
