"""Roads of nuScenes: the map expansion, one JSON file per location (version 1.3).

Shapes are given by reference: areas by polygons, lines by nodes, nodes by their coordinates in the
location's frame [m]. Lanes and the connectors through intersections have their centre lines as
chains of three arcs; they are cut into chords of about a metre. A lane's dividers are its
boundaries, marked as most of their segments are. Holes of areas are left out. There are no heights.

References:
    https://github.com/nutonomy/nuscenes-devkit, tutorial of the map expansion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.formats.files import find_packed, read_json
from kerbstone.scene import LaneKind, Map, MapBuilder, Marking, PieceKind

_AREAS = {
    "ped_crossing": PieceKind.CROSSWALK,
    "walkway": PieceKind.SIDEWALK,
    "carpark_area": PieceKind.PARKING,
}
_MARKINGS = {
    "NIL": Marking.NONE,
    "SINGLE_SOLID_WHITE": Marking.SOLID,
    "SINGLE_SOLID_YELLOW": Marking.SOLID_YELLOW,
    "SINGLE_DASHED_WHITE": Marking.DASHED,
    "SINGLE_DASHED_YELLOW": Marking.DASHED_YELLOW,
    "SINGLE_ZIGZAG_WHITE": Marking.SOLID,
    "DOUBLE_SOLID_WHITE": Marking.DOUBLE_SOLID,
    "DOUBLE_SOLID_YELLOW": Marking.DOUBLE_SOLID_YELLOW,
    "DOUBLE_DASHED_WHITE": Marking.DOUBLE_DASHED,
    "DOUBLE_DASHED_YELLOW": Marking.DOUBLE_DASHED_YELLOW,
}
_TURNS = {"L": 1.0, "S": 0.0, "R": -1.0}
_CHORD = 1.0


def find_map(root: Path, location: str) -> Path | None:
    """Return the map of a location below a data root, or None."""
    folders = (root / "maps" / "expansion", root / "maps")
    found = (find_packed(folder, f"{location}.json") for folder in folders)
    return next((path for path in found if path), None)


def read_map(path: Path) -> Map:
    """Read a location's map, from memory if it was read before and did not change.

    Raises:
        InputError: The file is missing, cut off or no map expansion.
    """
    return _read(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=4)
def _read(path: Path, changed_ns: int) -> Map:
    del changed_ns  # a part of the key only
    content = read_json(path)
    try:
        return _Town(content).build("nuscenes/" + path.name.split(".")[0])
    except InputError as error:
        error.where = error.where or str(path)
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            "syntax",
            "a file is no nuScenes map expansion",
            where=str(path),
            why=f"{type(error).__name__}: {error}",
            remedy="take the files of the map expansion, version 1.3",
        ) from error


def trace_arcs(paths: list[dict[str, Any]], *, chord: float = _CHORD) -> Float64[np.ndarray, "n 2"]:
    """Return the points of a chain of arc paths.

    A path is three arcs one after the other: to the left (L), straight (S) or to the right (R),
    all of one radius.

    Args:
        paths: Each with `start_pose` (x, y, yaw), `shape` such as "LSR", `radius` [m] and the
            three `segment_length` [m].
        chord: Largest distance between points [m].
    """
    points: list[np.ndarray] = []
    for path in paths:
        x, y, yaw = map(float, path["start_pose"])
        points.append(np.array([[x, y]]))
        for turn, length in zip(path["shape"], path["segment_length"], strict=True):
            if length <= 0:
                continue
            s = np.linspace(0.0, length, max(int(np.ceil(length / chord)), 1) + 1)[1:]
            bend = _TURNS[turn] / float(path["radius"])
            # The chord of an arc of length s leaves at half its turn, shortened by sinc.
            reach = s * np.sinc(bend * s / (2 * np.pi))
            course = yaw + bend * s / 2
            arc = np.stack([x + reach * np.cos(course), y + reach * np.sin(course)], axis=-1)
            points.append(arc)
            (x, y), yaw = arc[-1], yaw + bend * length
    line = np.concatenate(points)
    apart = np.hypot(*np.diff(line, axis=0, prepend=np.inf).T) > 1e-6
    return line[apart]


class _Town:
    """A map expansion's records by token, on their way into a map."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.node = {node["token"]: (node["x"], node["y"]) for node in content["node"]}
        self.polygon = {one["token"]: one for one in content["polygon"]}
        self.line = {one["token"]: one["node_tokens"] for one in content["line"]}
        self.road = MapBuilder()

    def build(self, name: str) -> Map:
        self._add_areas()
        for record in self._layer("stop_line"):
            self._add_stop_line(record)
        for record in self._layer("road_divider", "lane_divider"):
            nodes = self.line[record["line_token"]]
            if len(nodes) > 1:  # some lines have no nodes
                self.road.add_piece(
                    PieceKind.LANE_BOUNDARY, self._points(nodes), id=record["token"]
                )
        for record in self._layer("lane"):
            self._add_lane(record, is_connector=False)
        for record in self._layer("lane_connector"):
            self._add_lane(record, is_connector=True)
        return self.road.build(name)

    def _layer(self, *names: str) -> Iterator[dict[str, Any]]:
        return chain.from_iterable(self.content.get(name, ()) for name in names)

    def _add_areas(self) -> None:
        for layer, kind in _AREAS.items():
            for record in self._layer(layer):
                self._add_area(kind, record["polygon_token"], record["token"])
        for record in self._layer("drivable_area"):
            for polygon in record["polygon_tokens"]:
                self._add_area(PieceKind.DRIVABLE_AREA, polygon, polygon)
        for record in self._layer("road_segment"):
            if record["is_intersection"]:
                self._add_area(PieceKind.INTERSECTION, record["polygon_token"], record["token"])

    def _points(self, nodes: list[str]) -> Float64[np.ndarray, "point 2"]:
        return np.array([self.node[token] for token in nodes], np.float64)

    def _ring(self, polygon: str) -> Float64[np.ndarray, "ring 2"] | None:
        nodes = self.polygon[polygon]["exterior_node_tokens"]
        if len(nodes) < 3:
            return None
        ring = self._points(nodes)
        return ring if (ring[0] == ring[-1]).all() else np.concatenate([ring, ring[:1]])

    def _add_area(self, kind: PieceKind, polygon: str, id_: str) -> int:
        ring = self._ring(polygon)
        return -1 if ring is None else self.road.add_piece(kind, ring, id=id_)

    def _add_stop_line(self, record: dict[str, Any]) -> None:
        """Add a stop line, which is drawn as an area, as the longer of its middle lines."""
        import shapely

        ring = self._ring(record["polygon_token"])
        if ring is None:
            return
        box = shapely.minimum_rotated_rectangle(shapely.Polygon(ring))
        corners = shapely.get_coordinates(box)
        if len(corners) == 5:
            middle = (corners[:-1] + corners[1:]) / 2
            lines = np.stack([middle[[0, 2]], middle[[1, 3]]])
            longest = lines[np.argmax(np.linalg.norm(lines[:, 1] - lines[:, 0], axis=-1))]
            self.road.add_piece(PieceKind.STOP_LINE, longest, id=record["token"])

    def _add_lane(self, record: dict[str, Any], *, is_connector: bool) -> None:
        token = record["token"]
        paths = self.content["arcline_path_3"].get(token)
        if not paths:
            return  # some lanes have no centre line
        centre = trace_arcs(paths)
        if len(centre) < 2:
            return
        area = record.get("polygon_token", "")
        links = self.content["connectivity"].get(token, {})
        self.road.add_lane(
            token,
            LaneKind.VEHICLE,
            self.road.add_piece(PieceKind.LANE_CENTRE, centre, id=token),
            left_boundary=self._add_divider(record.get("left_lane_divider_segments"), token),
            right_boundary=self._add_divider(record.get("right_lane_divider_segments"), token),
            area=self._add_area(PieceKind.LANE_AREA, area, token) if area in self.polygon else -1,
            successors=links.get("outgoing", ()),
            in_intersection=is_connector,
        )

    def _add_divider(self, segments: list[dict[str, str]] | None, lane: str) -> int:
        if not segments or len(segments) < 2:
            return -1
        names = Counter(segment["segment_type"] for segment in segments)
        return self.road.add_piece(
            PieceKind.LANE_BOUNDARY,
            self._points([segment["node_token"] for segment in segments]),
            id=lane,
            marking=_MARKINGS.get(names.most_common(1)[0][0], Marking.UNKNOWN),
        )
