"""A small INTERACTION recording: a street with a lane each way, one more to turn, a crosswalk.

The lanes run east along y = 1000, from x = 1000 on. Every way runs in some direction of its own.
"""

import lzma
from pathlib import Path

import numpy as np
import pyproj

PLACE = "DR_USA_Testing_AB"
STEPS = 30

# Ways by id: their nodes (by place in metres) and tags. 1 and 2 are followed by 11 and 12.
WAYS: dict[int, tuple[list[tuple[float, float]], dict[str, str]]] = {
    1: (
        [(1000, 1003), (1050, 1003)],
        {"type": "line_thin", "subtype": "solid_solid", "color": "yellow"},
    ),
    2: ([(1050, 1000), (1025, 1000), (1000, 1000)], {"type": "line_thin", "subtype": "dashed"}),
    3: ([(1000, 997), (1050, 997)], {"type": "curbstone", "subtype": "low"}),
    4: ([(1000, 1006), (1050, 1006)], {"type": "road_border"}),
    11: ([(1100, 1003), (1050, 1003)], {"type": "virtual"}),
    12: ([(1050, 1000), (1100, 1000)], {"type": "virtual"}),
    20: ([(1049, 1003), (1049, 997)], {"type": "stop_line"}),
    21: ([(1048, 995), (1048.5, 995)], {"type": "traffic_sign", "subtype": "usR1-1"}),
    22: ([(1048, 996), (1048.5, 996)], {"type": "traffic_sign", "subtype": "usR5-1"}),
    30: ([(1010, 996), (1010, 1007)], {"type": "pedestrian_marking"}),
    31: ([(1013, 1007), (1013, 996)], {"type": "pedestrian_marking"}),
    32: ([(1080, 996), (1080, 1007)], {"type": "pedestrian_marking"}),
    40: ([(1060, 990), (1060, 996)], {"type": "line_thick", "subtype": "solid"}),
    41: ([(1063, 990), (1063, 996)], {"type": "line_thick", "subtype": "solid"}),
}
# Lanelets by id: left way, right way, tags, rules. They share ways with their neighbours.
LANELETS: dict[int, tuple[int, int, dict[str, str], list[int]]] = {
    101: (1, 2, {"subtype": "road"}, [900]),
    102: (2, 3, {"subtype": "road", "speed_limit": "30 km/h"}, [900]),
    103: (11, 12, {"subtype": "road"}, []),
    104: (1, 4, {"subtype": "road"}, [901]),  # oncoming
    105: (40, 41, {"subtype": "crosswalk"}, []),
}
RULES = {900: {"subtype": "speed_limit", "sign_type": "25mph"}, 901: {"subtype": "right_of_way"}}


def write_map(path: Path) -> Path:
    """Write the street as a Lanelet2 map."""
    # Of pyproj, not of the code under test.
    to_degrees = pyproj.Transformer.from_crs(32631, 4326, always_xy=True)
    zero = pyproj.Transformer.from_crs(4326, 32631, always_xy=True).transform(0.0, 0.0)
    places = list(dict.fromkeys(place for points, _ in WAYS.values() for place in points))
    node = {place: 5000 + i for i, place in enumerate(places)}
    lines = ['<?xml version="1.0"?>', '<osm version="0.6" generator="lanelet2">']
    for (x, y), id_ in node.items():
        lon, lat = to_degrees.transform(x + zero[0], y + zero[1])
        height = tag("ele", "3.5") if (x, y) == (1000, 1003) else ""
        lines.append(f'<node id="{id_}" lat="{lat:.12f}" lon="{lon:.12f}">{height}</node>')
    for id_, (points, tags) in WAYS.items():
        refs = "".join(f'<nd ref="{node[place]}"/>' for place in points)
        lines.append(f'<way id="{id_}">{refs}{"".join(tag(*t) for t in tags.items())}</way>')
    for id_, (left, right, tags, rules) in LANELETS.items():
        members = [("way", left, "left"), ("way", right, "right")]
        members += [("relation", rule, "regulatory_element") for rule in rules]
        lines.append(relation(id_, members, {"type": "lanelet", **tags}))
    for id_, tags in RULES.items():
        lines.append(relation(id_, [], {"type": "regulatory_element", **tags}))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, "</osm>"]))
    return path


def tag(key: str, value: str) -> str:
    return f'<tag k="{key}" v="{value}"/>'


def relation(id_: int, members: list[tuple[str, int, str]], tags: dict[str, str]) -> str:
    inside = "".join(f'<member type="{t}" ref="{r}" role="{role}"/>' for t, r, role in members)
    return f'<relation id="{id_}">{inside}{"".join(tag(*t) for t in tags.items())}</relation>'


def vehicle_lines() -> list[str]:
    """Return two cars: one on lanes 101 and 103, one that comes later and the other way on 104."""
    lines = ["track_id,frame_id,timestamp_ms,agent_type,x,y,vx,vy,psi_rad,length,width"]
    for k in range(STEPS):
        x = 1005 + 0.9 * k
        lines.append(f"1,{k + 1},{100 * (k + 1)},car,{x:.3f},1001.5,9.0,0.0,0.0,4.5,1.8")
    for k in range(5, STEPS):
        x = 1045 - 0.6 * k
        lines.append(f"2,{k + 1},{100 * (k + 1)},car,{x:.3f},1004.5,-6.0,0.0,3.142,5.0,2.0")
    return lines


def pedestrian_lines() -> list[str]:
    """Return somebody who walks and somebody who rides, for longer than the cars are there."""
    lines = ["track_id,frame_id,timestamp_ms,agent_type,x,y,vx,vy"]
    for name, speed in (("P1", 1.3), ("P2", 4.5)):
        for k in range(STEPS + 4):
            y = 990 + 0.1 * speed * k
            lines.append(
                f"{name},{k + 1},{100 * (k + 1)},pedestrian/bicycle,1011.5,{y:.3f},0,{speed}"
            )
    return lines


def write_recording(root: Path, *, has_pedestrians: bool = False, has_map: bool = True) -> Path:
    """Write the recording as the data set lays it out; return the place's folder of tracks."""
    folder = root / "recorded_trackfiles" / PLACE
    folder.mkdir(parents=True)
    with lzma.open(folder / "vehicle_tracks_000.csv.xz", "wt") as file:
        file.write("\n".join(vehicle_lines()) + "\n")
    if has_pedestrians:
        path = folder / "pedestrian_tracks_000.csv"
        path.write_text("\n".join(pedestrian_lines()) + "\n")
    if has_map:
        write_map(root / "maps" / f"{PLACE}.osm")
    return folder


def middle_of(way: int) -> np.ndarray:
    return np.mean(WAYS[way][0], axis=0)
