"""A small Waymo Open Motion scenario in the JSON form that was written for GPUDrive."""

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NAME = "tfrecord-00001-of-00150_abc"
STEPS = 20
HEADING = 1.1
SPEED = 8.0


def make_object(
    kind: str,
    start: tuple[float, float],
    *,
    speed: float,
    heading: float = HEADING,
    unit: str = "radians",
    first: int = 0,
    **more: Any,
) -> dict[str, Any]:
    """Return somebody who moves straight on, seen from step `first` on."""
    distance = 0.1 * speed * np.arange(STEPS)
    x = start[0] + distance * np.cos(heading)
    y = start[1] + distance * np.sin(heading)
    valid = np.arange(STEPS) >= first
    place = np.where(valid[:, None], np.column_stack([x, y, 0 * x + 1.5]), -10000.0)
    turned = np.where(valid, np.degrees(heading) if unit == "degrees" else heading, -10000.0)
    velocity = np.where(valid[:, None], speed * np.array([np.cos(heading), np.sin(heading)]), 0.0)
    return {
        "position": [dict(zip("xyz", row, strict=True)) for row in place.tolist()],
        "heading": turned.tolist(),
        "velocity": [dict(zip("xy", row, strict=True)) for row in velocity.tolist()],
        "valid": valid.tolist(),
        "length": 4.5,
        "width": 1.9,
        "height": 1.6,
        "type": kind,
        "goalPosition": {"x": float(x[-1]), "y": float(y[-1]), "z": 1.5},
        **more,
    }


def points(*places: tuple[float, float]) -> list[dict[str, float]]:
    return [{"x": float(x), "y": float(y), "z": 0.5} for x, y in places]


def make_roads() -> list[dict[str, Any]]:
    """Return two lanes one behind the other, one beside the first, and one of each other thing."""
    return [
        {"geometry": points((0, 0), (30, 0)), "type": "lane", "map_element_id": 2, "id": 10},
        {"geometry": points((30, 0), (60, 0)), "type": "lane", "map_element_id": 2, "id": 11},
        {"geometry": points((0, 3.6), (30, 3.6)), "type": "lane", "map_element_id": 3, "id": 12},
        {"geometry": points((5, 5)), "type": "lane", "map_element_id": 2, "id": 13},
        {"geometry": points((0, 2), (30, 2)), "type": "road_line", "map_element_id": 12, "id": 20},
        {
            "geometry": points((0, -2), (60, -2)),
            "type": "road_edge",
            "map_element_id": 15,
            "id": 21,
        },
        {
            "geometry": points((28, -2), (29, -2), (29, 5), (28, 5)),
            "type": "crosswalk",
            "map_element_id": 18,
            "id": 22,
        },
        {"geometry": points((27, -3)), "type": "stop_sign", "map_element_id": 17, "id": 23},
        {
            "geometry": points((40, -2), (40, 2), (41, 2)),
            "type": "speed_bump",
            "map_element_id": 19,
            "id": 24,
        },
        {
            "geometry": points((50, -2), (50, -9), (55, -9)),
            "type": "driveway",
            "map_element_id": 20,
            "id": 25,
        },
    ]


def make_light(states: list[str], steps: list[int]) -> dict[str, Any]:
    count = len(states)
    return {
        "state": states,
        "x": [30.0] * count,
        "y": [0.5] * count,
        "z": [0.4] * count,
        "time_index": steps,
    }


def make_scenario(*, unit: str = "radians", is_old: bool = False) -> dict[str, Any]:
    """Return a scenario; an old one has no ids, numbers of pieces, heights or recording car."""
    objects = [
        make_object("vehicle", (0, 0), speed=SPEED, unit=unit, id=900),
        make_object("vehicle", (9, 9), speed=0.0, unit=unit, heading=-2.0, id=901, first=4),
        make_object("pedestrian", (3, 7), speed=1.4, unit=unit, id=902),
        make_object("cyclist", (5, 7), speed=4.0, unit=unit, id=903),
        make_object("vehicle", (30, 9), speed=0.0, unit=unit, id=904, first=STEPS),  # never seen
        make_object("vehicle", (0, 5), speed=5.0, unit=unit, heading=0.0, id=905),
    ]
    states = ["stop"] * 5 + ["go"] * 3 + ["arrow_caution"]
    scenario: dict[str, Any] = {
        "name": NAME + ".json",
        "scenario_id": "abc",
        "objects": objects,
        "roads": make_roads(),
        "tl_states": {"11": make_light(states, list(range(9)))},
        "metadata": {
            "sdc_track_index": 5,
            "objects_of_interest": [900],
            "tracks_to_predict": [{"track_index": 3, "difficulty": 1}],
        },
    }
    if is_old:
        del scenario["metadata"], scenario["scenario_id"]
        scenario["tl_states"] = {}
        for thing in objects:
            del thing["id"], thing["height"]
            for place in thing["position"]:
                del place["z"]
        for road in scenario["roads"]:
            del road["id"], road["map_element_id"]
            for place in road["geometry"]:
                del place["z"]
    return scenario


def write_scenario(
    folder: Path,
    *,
    name: str = NAME,
    change: Callable[[dict[str, Any]], object] = lambda _: None,
    **how: Any,
) -> Path:
    """Write a scenario, changed by `change`, as packed JSON."""
    scenario = make_scenario(**how)
    change(scenario)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json.xz"
    path.write_bytes(lzma.compress(json.dumps(scenario).encode(), preset=0))
    return path
