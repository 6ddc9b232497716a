"""Roads of Argoverse 2: the vector map that lies beside every log and scenario.

Sensor logs and forecasting scenarios share one JSON form: lane segments with their left and right
boundaries, drivable areas, and pedestrian crossings given by their two long edges. Coordinates are
those of the city [m].

A lane's centre line is computed from its boundaries in both: the mean of points at equal shares of
their lengths, which is how the forecasting maps' own centre lines were made (those lack heights).

References:
    Wilson et al., "Argoverse 2: Next generation datasets for self-driving perception and
    forecasting", NeurIPS Datasets and Benchmarks 2021.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError, suggest_name
from kerbstone.formats.files import bare_name, read_json
from kerbstone.scene import LaneKind, Map, MapBuilder, Marking, PieceKind
from kerbstone.scene.polylines import arc_length

TOWNS = {
    "ATX": "Austin",
    "DTW": "Detroit",
    "MIA": "Miami",
    "PAO": "Palo Alto",
    "PIT": "Pittsburgh",
    "WDC": "Washington DC",
    # The names that forecasting scenarios use.
    "austin": "Austin",
    "dearborn": "Detroit",
    "miami": "Miami",
    "palo-alto": "Palo Alto",
    "pittsburgh": "Pittsburgh",
    "washington-dc": "Washington DC",
}
LICENCE = "CC BY-NC-SA 4.0"

_LANE_KINDS = {
    "VEHICLE": LaneKind.VEHICLE,
    "BIKE": LaneKind.BICYCLE,
    "BUS": LaneKind.BUS,
}
_MARKINGS = {
    "NONE": Marking.NONE,
    "UNKNOWN": Marking.UNKNOWN,
    "SOLID_WHITE": Marking.SOLID,
    "SOLID_BLUE": Marking.SOLID,
    "SOLID_YELLOW": Marking.SOLID_YELLOW,
    "DASHED_WHITE": Marking.DASHED,
    "DASHED_YELLOW": Marking.DASHED_YELLOW,
    "DOUBLE_SOLID_WHITE": Marking.DOUBLE_SOLID,
    "DOUBLE_SOLID_YELLOW": Marking.DOUBLE_SOLID_YELLOW,
    "DOUBLE_DASH_WHITE": Marking.DOUBLE_DASHED,
    "DOUBLE_DASH_YELLOW": Marking.DOUBLE_DASHED_YELLOW,
    "SOLID_DASH_WHITE": Marking.SOLID_DASHED,
    "SOLID_DASH_YELLOW": Marking.SOLID_DASHED_YELLOW,
    "DASH_SOLID_WHITE": Marking.DASHED_SOLID,
    "DASH_SOLID_YELLOW": Marking.DASHED_SOLID_YELLOW,
}


def find_map(folder: Path) -> Path | None:
    """Return the map archive in a folder, or None."""
    return next(iter(sorted(folder.glob("log_map_archive_*.json*"))), None)


def town_of(map_path: Path) -> str:
    """Return the town that a sensor log's map file is named after, "" where it does not say.

    Example:
        >>> town_of(Path("log_map_archive_3b35____MIA_city_47894.json"))
        'Miami'
    """
    _, _, tail = map_path.name.partition("____")
    return TOWNS.get(tail.split("_")[0], "")


def read_map(path: Path) -> Map:
    """Read a map archive.

    Raises:
        InputError: The file is missing, cut off or no such map, or a class in it is unknown.
    """
    content = read_json(path)
    road = MapBuilder()
    try:
        for lane in content["lane_segments"].values():
            _add_lane(road, lane, str(path))
        for area in content["drivable_areas"].values():
            ring = _close(_read_points(area["area_boundary"]))
            road.add_piece(PieceKind.DRIVABLE_AREA, ring, id=str(area["id"]))
        for crossing in content["pedestrian_crossings"].values():
            ring = _join_edges(_read_points(crossing["edge1"]), _read_points(crossing["edge2"]))
            road.add_piece(PieceKind.CROSSWALK, ring, id=str(crossing["id"]))
        return road.build("av2/" + Path(bare_name(path.name)).stem)
    except InputError as error:
        error.where = error.where or str(path)
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            "syntax",
            "a file is no Argoverse 2 map",
            where=str(path),
            why=f"{type(error).__name__}: {error}",
            remedy="take the log_map_archive_*.json that came with the log",
        ) from error


def _add_lane(road: MapBuilder, lane: dict[str, Any], where: str) -> None:
    id_ = str(lane["id"])
    left, right = (_read_points(lane[f"{side}_lane_boundary"]) for side in ("left", "right"))
    centre, width = _centre_line(left, right)
    is_crossing = bool(lane["is_intersection"])
    left_piece, right_piece = (
        road.add_piece(
            PieceKind.LANE_BOUNDARY,
            line,
            id=f"{id_}/{side}",
            marking=_marking(lane[f"{side}_lane_mark_type"], f"{where}, lane {id_}", is_crossing),
        )
        for side, line in (("left", left), ("right", right))
    )
    road.add_lane(
        id_,
        _pick(_LANE_KINDS, lane["lane_type"], "lane type", f"{where}, lane {id_}"),
        road.add_piece(PieceKind.LANE_CENTRE, centre, id=id_),
        left_boundary=left_piece,
        right_boundary=right_piece,
        left=None if lane["left_neighbor_id"] is None else str(lane["left_neighbor_id"]),
        right=None if lane["right_neighbor_id"] is None else str(lane["right_neighbor_id"]),
        successors=[str(other) for other in lane["successors"]],
        width=width,
        in_intersection=is_crossing,
    )


def _centre_line(
    left: Float64[np.ndarray, "left 3"], right: Float64[np.ndarray, "right 3"]
) -> tuple[Float64[np.ndarray, "centre 3"], float]:
    """Return the line halfway between two boundaries, and their typical distance [m].

    At equal shares of the boundaries' lengths; it has a vertex where either boundary has one, so
    nothing of their shape is lost.
    """
    shares = [_share_of_length(line) for line in (left, right)]
    share = np.unique(np.concatenate(shares))
    share = share[np.diff(share, prepend=-1.0) > 1e-9]
    at_left, at_right = (
        np.stack([np.interp(share, known, column) for column in line.T], axis=-1)
        for known, line in zip(shares, (left, right), strict=True)
    )
    width = np.hypot(*(at_left - at_right)[:, :2].T)
    return (at_left + at_right) / 2, float(np.median(width))


def _share_of_length(line: Float64[np.ndarray, "vertex 3"]) -> Float64[np.ndarray, " vertex"]:
    length = arc_length(line)
    # A boundary may be a single place, where a lane begins or ends in a point.
    return length / length[-1] if length[-1] > 0 else np.linspace(0.0, 1.0, len(line))


def _join_edges(
    first: Float64[np.ndarray, "a 3"], second: Float64[np.ndarray, "b 3"]
) -> Float64[np.ndarray, "ring 3"]:
    """Return the ring around a crossing from its two edges, which may run either way."""
    straight = np.linalg.norm(first[0] - second[0]) + np.linalg.norm(first[-1] - second[-1])
    crossed = np.linalg.norm(first[0] - second[-1]) + np.linalg.norm(first[-1] - second[0])
    back = second[::-1] if straight <= crossed else second
    return _close(np.concatenate([first, back]))


def _close(ring: Float64[np.ndarray, "open 3"]) -> Float64[np.ndarray, "closed 3"]:
    return ring if (ring[0] == ring[-1]).all() else np.concatenate([ring, ring[:1]])


def _read_points(points: list[dict[str, float]]) -> Float64[np.ndarray, "point 3"]:
    array = np.array([(point["x"], point["y"], point["z"]) for point in points], np.float64)
    if len(array) < 2:
        raise InputError("geometry", "a line of the map has fewer than two points")
    return array


def _marking(name: str, where: str, is_crossing: bool) -> Marking:  # noqa: FBT001
    marking = _pick(_MARKINGS, name, "lane marking", where)
    return Marking.VIRTUAL if is_crossing and marking == Marking.NONE else marking


def _pick(known: dict[str, Any], name: str, what: str, where: str) -> Any:
    if name not in known:
        raise InputError(
            "label", f"unknown {what} {name!r}", where=where, remedy=suggest_name(str(name), known)
        )
    return known[name]
