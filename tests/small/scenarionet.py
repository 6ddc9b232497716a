"""Small ScenarioNet scenarios, as the converters of nuScenes and of Waymo write them."""

from __future__ import annotations

import lzma
import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

STEPS = 41
SPEED = 8.0
EGO_YAW = 2.5


def track(type_: str, position, heading, velocity, size, *, valid=None, own_type="") -> dict:
    """Return a track in the dict form; the arrays of invalid steps are zeros there."""
    valid = np.ones(STEPS) if valid is None else valid
    zero = lambda values: (
        np.asarray(values, float) * valid.reshape(-1, *[1] * (np.ndim(values) - 1))
    )
    full = lambda value: zero(np.full((STEPS, 1), value))
    return {
        "type": type_,
        "state": {
            "position": zero(position),
            "heading": zero(np.full(STEPS, heading)),
            "velocity": zero(velocity),
            "valid": valid,
            "length": full(size[0]),
            "width": full(size[1]),
            "height": full(size[2]),
        },
        "metadata": {
            "type": own_type or type_,
            "track_length": STEPS,
            "object_id": "",
            "extra": {},
        },
    }


def straight(x: float, y: float, z: float, heading: float, speed: float) -> np.ndarray:
    along = speed * 0.1 * np.arange(STEPS)
    return np.column_stack(
        [x + along * np.cos(heading), y + along * np.sin(heading), np.full(STEPS, z)]
    )


def differences(position: np.ndarray) -> np.ndarray:
    """Return velocities as the nuScenes converter makes them, with a zero at the end."""
    velocity = np.zeros((STEPS, 2))
    velocity[:-1] = np.diff(position[:, :2], axis=0) / 0.1
    return velocity


def heading_lane(x: float, y: float, heading: float, length: int) -> list[tuple[float, ...]]:
    return [(x + s * np.cos(heading), y + s * np.sin(heading), heading) for s in range(length + 1)]


def nuscenes_scenario() -> dict[str, Any]:
    """Return a scenario as the converter of nuScenes writes it, with its peculiarities."""
    ego = straight(0, 0, 0.0, EGO_YAW, SPEED)
    car = straight(10, 5, 1.0, EGO_YAW, 6.0)
    seen = np.ones(STEPS)
    seen[:5] = seen[30:] = 0
    return {
        "id": "scene-0061",
        "version": "nuscenesv1.0-mini",
        "length": STEPS,
        "metadata": {
            "dataset": "nuscenes",
            "map": "singapore-onenorth",
            "date": "2018-07-24",
            "coordinate": "right-handed",
            "scenario_id": "scene-0061",
            "sample_rate": 0.1,
            "ts": np.arange(STEPS) * 0.1,
            "sdc_id": "ego",
            "number_summary": {"types": {"VEHICLE"}, "count": defaultdict(int, {"VEHICLE": 2})},
        },
        "tracks": {
            "ego": track("VEHICLE", ego, EGO_YAW, differences(ego), (1.73, 4.08, 1.56)),
            "a1": track(
                "VEHICLE",
                car,
                EGO_YAW,
                differences(car),
                (9.0, 2.8, 3.5),
                valid=seen,
                own_type="vehicle.truck",
            ),
            "b2": track(
                "CYCLIST",
                straight(3, 3, 1, 0.0, 0.0),
                0.0,
                np.zeros((STEPS, 2)),
                (1.8, 0.6, 1.5),
                own_type="vehicle.bicycle",
            ),
            "c3": track(
                "TRAFFIC_CONE",
                straight(4, 3, 1, 0.0, 0.0),
                0.0,
                np.zeros((STEPS, 2)),
                (0.4, 0.4, 0.8),
                own_type="movable_object.trafficcone",
            ),
        },
        "dynamic_map_states": {},
        "map_features": {
            "boundary_0": {
                "type": "ROAD_LINE_SOLID_SINGLE_WHITE",
                "polyline": np.array([[-50.0, -9.0], [50.0, -9.0]]),
            },
            "divider": {
                "type": "ROAD_LINE_BROKEN_SINGLE_WHITE",
                "polyline": [[-50.0, 2.0], [50.0, 2.0]],
            },
            "first": {
                "type": "LANE_SURFACE_STREET",
                "polyline": heading_lane(20, -15, EGO_YAW, 20),
                "polygon": [[20.0, -13.0], [22.0, -15.0], [0.0, -2.0]],
            },
            "beside": {
                "type": "LANE_SURFACE_STREET",
                "polyline": heading_lane(
                    20 - 3.2 * np.sin(EGO_YAW), -15 + 3.2 * np.cos(EGO_YAW), EGO_YAW, 20
                ),
                "polygon": [[20.0, -13.0], [22.0, -15.0], [0.0, -2.0]],
            },
            "second": {
                "type": "LANE_SURFACE_STREET",
                "polyline": heading_lane(
                    20 + 20 * np.cos(EGO_YAW), -15 + 20 * np.sin(EGO_YAW), EGO_YAW, 30
                ),
                "speed_limit_kmh": 100,
            },
        },
    }


def waymo_scenario() -> dict[str, Any]:
    """Return a scenario as the converter of Waymo Open Motion writes it."""
    line = lambda y: np.array([[x, y, 7.0] for x in range(0, 60, 2)], np.float32)
    neighbour = lambda id_, start, end: {
        "feature_id": id_,
        "self_start_index": str(start),
        "self_end_index": str(end),
        "boundaries": [],
    }
    boundary = lambda id_: {"boundary_feature_id": id_, "boundary_type": "x"}
    lane = lambda y, **changes: {
        "type": "LANE_FREEWAY",
        "polyline": line(y),
        "speed_limit_mph": 45.0,
        "speed_limit_kmh": 72.0,
        "interpolating": False,
        "entry_lanes": [],
        "exit_lanes": [],
        "left_boundaries": [],
        "right_boundaries": [],
        "left_neighbor": [],
        "right_neighbor": [],
        "width": np.full((30, 2), 1.75, np.float32),
        **changes,
    }
    after = line(0.0) + np.array([58.0, 0.0, 0.0], np.float32)
    car = straight(0, 0, 7.5, 0.0, 12.0)
    single = lambda state: {key: value.astype(np.float32) for key, value in state.items()}
    tracks = {
        "77": track("VEHICLE", car, 0.0, np.tile([12.0, 0.0], (STEPS, 1)), (4.5, 2.0, 1.6)),
        "78": track(
            "PEDESTRIAN",
            straight(30, 9, 7.5, 1.5, 1.2),
            1.5,
            1.2 * np.tile([np.cos(1.5), np.sin(1.5)], (STEPS, 1)),
            (0.8, 0.7, 1.8),
        ),
    }
    for one in tracks.values():
        one["state"] = single(one["state"])
    return {
        "id": "abc",
        "version": "v1.2",
        "length": STEPS,
        "tracks": tracks,
        "dynamic_map_states": {
            "1": {
                "type": "TRAFFIC_LIGHT",
                "state": {
                    "object_state": ["LANE_STATE_STOP"] * 20 + [None] + ["LANE_STATE_GO"] * 20
                },
                "lane": 1,
                "stop_point": np.array([58.0, 0.0, 7.0], np.float32),
                "metadata": {},
            }
        },
        "map_features": {
            "1": lane(
                0.0,
                exit_lanes=[2, 99],
                left_neighbor=[neighbour(5, 0, 3), neighbour(3, 3, 29)],
                left_boundaries=[boundary(10), boundary(10)],
                right_boundaries=[boundary(11), boundary(12)],
            ),
            "2": {**lane(0.0), "polyline": after},
            "3": lane(3.5, right_neighbor=[neighbour(1, 0, 29)]),
            "4": {**lane(0.0), "polyline": line(0.0)[:1]},
            "10": {"type": "ROAD_LINE_BROKEN_SINGLE_WHITE", "polyline": line(1.75)},
            "11": {"type": "ROAD_EDGE_BOUNDARY", "polyline": line(-1.75)},
            "20": {"type": "STOP_SIGN", "lane": [1], "position": np.array([59.0, -2.0, 7.0])},
            "21": {
                "type": "CROSSWALK",
                "polygon": np.array([[50.0, -4, 7], [53, -4, 7], [53, 6, 7], [50, 6, 7]]),
            },
        },
        "metadata": {
            "dataset": "waymo",
            "coordinate": "waymo",
            "ts": (np.arange(STEPS) * 0.1).astype(np.float32),
            "sdc_id": "77",
            "scenario_id": "abc",
            "current_time_index": 10,
            "objects_of_interest": ["78"],
            "tracks_to_predict": {"78": {"difficulty": 0}},
        },
    }


def write_scenario(path: Path, scenario: Any = None, *, protocol: int = 4) -> Path:
    """Write a scenario; a name that ends in .xz is packed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = pickle.dumps(nuscenes_scenario() if scenario is None else scenario, protocol)
    path.write_bytes(lzma.compress(data) if path.suffix == ".xz" else data)
    return path
