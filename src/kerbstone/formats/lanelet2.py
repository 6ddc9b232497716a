"""Lanelet2 maps: OpenStreetMap XML whose relations are lanes between two ways.

References:
    F. Poggenhans et al., "Lanelet2: A high-definition map framework for the future of automated
    driving", ITSC 2018, and the format's documentation of primitives, tags and regulatory elements.
"""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.formats import utm
from kerbstone.formats.files import read_xml
from kerbstone.scene import LaneKind, Map, MapBuilder, Marking, PieceKind
from kerbstone.scene.polylines import arc_length, resample

_LANE_KINDS = {
    "road": LaneKind.VEHICLE,
    "highway": LaneKind.VEHICLE,
    "play_street": LaneKind.VEHICLE,
    "exit": LaneKind.VEHICLE,
    "emergency_lane": LaneKind.SHOULDER,
    "bus_lane": LaneKind.BUS,
    "bicycle_lane": LaneKind.BICYCLE,
    "walkway": LaneKind.PEDESTRIAN,
    "shared_walkway": LaneKind.PEDESTRIAN,
    "crosswalk": LaneKind.PEDESTRIAN,
    "stairs": LaneKind.PEDESTRIAN,
    "rail": LaneKind.RAIL,
}
_RINGS = {
    "crosswalk": PieceKind.CROSSWALK,
    "walkway": PieceKind.SIDEWALK,
    "shared_walkway": PieceKind.SIDEWALK,
}
_EDGES = {
    "curbstone": Marking.CURB,
    "road_border": Marking.NONE,
    "guard_rail": Marking.NONE,
    "fence": Marking.NONE,
    "wall": Marking.NONE,
}
_PAINT = {
    "solid": Marking.SOLID,
    "dashed": Marking.DASHED,
    "solid_solid": Marking.DOUBLE_SOLID,
    "dashed_dashed": Marking.DOUBLE_DASHED,
    "solid_dashed": Marking.SOLID_DASHED,
    "dashed_solid": Marking.DASHED_SOLID,
}
_STOP_SIGNS = {"usR1-1", "de206"}
_SPEED = re.compile(r"([\d.]+)\s*(mph|kmh|km/h|kph|m/s|)")
_UNITS = {"mph": 0.44704, "kmh": 1 / 3.6, "km/h": 1 / 3.6, "kph": 1 / 3.6, "m/s": 1.0, "": 1 / 3.6}


@dataclass
class _Way:
    """A line: its nodes in order, their places [m], and its tags."""

    id: str
    nodes: list[str]
    points: Float64[np.ndarray, "_ 3"]
    tags: dict[str, str]
    piece: int = -1


@dataclass
class _Lanelet:
    """A lane between two ways, each read in driving direction."""

    id: str
    tags: dict[str, str]
    left: _Way
    right: _Way
    left_flipped: bool
    right_flipped: bool
    rules: list[str] = field(default_factory=list)

    @property
    def start(self) -> tuple[str, str]:
        return self._corners(0)

    @property
    def end(self) -> tuple[str, str]:
        return self._corners(-1)

    def _corners(self, at: int) -> tuple[str, str]:
        """Return the nodes of the left and right bound at the lane's start (0) or end (-1)."""
        ends = ((self.left, self.left_flipped), (self.right, self.right_flipped))
        left, right = (way.nodes[-1 - at if flipped else at] for way, flipped in ends)
        return left, right

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        left = self.left.points[::-1] if self.left_flipped else self.left.points
        right = self.right.points[::-1] if self.right_flipped else self.right.points
        return left, right


def read_lanelet2(path: Path, *, origin: tuple[float, float] = (0.0, 0.0)) -> Map:
    """Read a Lanelet2 map.

    The plane is that of Lanelet2's UTM projector: UTM in the zone of the origin, minus the
    origin. Lanes follow one another where both their bounds go on, and are neighbours where they
    share a bound. Pairs of parallel pedestrian markings become crosswalks; one without a partner is
    left out. Lanes that may be used both ways are read in one, and areas (multipolygons) not at all:
    their outlines are ways of their own.

    Args:
        path: The `.osm` file, plain or packed.
        origin: Latitude and longitude that are mapped to (0, 0) [deg].

    Raises:
        InputError: The file is missing or malformed, or refers to something that it lacks.
    """
    state = path.stat() if path.exists() else None
    stamp = (state.st_size, state.st_mtime_ns) if state else (0, 0)
    return _read(path, origin, stamp)


@lru_cache(maxsize=4)
def _read(path: Path, origin: tuple[float, float], stamp: tuple[int, int]) -> Map:  # noqa: ARG001
    """Read a map; a place has many recordings, and `stamp` notices when its map has changed."""
    root = read_xml(path)
    if root.tag != "osm":
        raise InputError(
            "syntax", "this is no OpenStreetMap file", where=str(path), why=f"root <{root.tag}>"
        )
    ways = _read_ways(root, path, origin)
    lanelets, rules = _read_relations(root, path, ways)
    road = MapBuilder()
    _add_ways(road, ways, {way.id for lane in lanelets for way in (lane.left, lane.right)})
    _add_lanes(road, lanelets, rules)
    digest = hashlib.blake2b(ET.tostring(root), digest_size=6).hexdigest()
    return road.build(f"lanelet2/{path.name.split('.')[0]}-{digest}")


def _read_ways(root: ET.Element, path: Path, origin: tuple[float, float]) -> dict[str, _Way]:
    nodes = root.findall("node")
    try:
        place = np.array(
            [(node.get("lat", ""), node.get("lon", "")) for node in nodes], np.float64
        ).reshape(-1, 2)
        height = np.array([_tags(node).get("ele", "nan") for node in nodes], np.float64)
    except ValueError as error:
        raise InputError(
            "value", "a node's place is not a number", where=str(path), why=str(error)
        ) from error
    lost = ~np.isfinite(place).all(axis=1)
    if lost.any():
        node = nodes[int(np.argmax(lost))].get("id")
        raise InputError("value", "a node's place is not a number", where=f"{path}, node {node}")
    zone = utm.zone_of(origin[1])
    zero = utm.project(np.array([origin[0]]), np.array([origin[1]]), zone=zone)
    points = np.column_stack([utm.project(*place.T, zone=zone) - zero, height])
    row = {node.get("id", ""): i for i, node in enumerate(nodes)}
    if len(row) != len(nodes):
        raise InputError("duplicate", "a node id appears twice", where=str(path))
    ways: dict[str, _Way] = {}
    for element in root.findall("way"):
        id_ = element.get("id", "")
        refs = [nd.get("ref", "") for nd in element.findall("nd")]
        missing = [ref for ref in refs if ref not in row]
        if missing or not refs:
            raise InputError(
                "reference",
                "a way refers to a node that is not there" if missing else "a way has no nodes",
                where=f"{path}, way {id_}",
                why=f"node {missing[0]}" if missing else "",
            )
        if id_ in ways:
            raise InputError("duplicate", f"way {id_} appears twice", where=str(path))
        ways[id_] = _Way(id_, refs, points[[row[ref] for ref in refs]], _tags(element))
    return ways


def _read_relations(
    root: ET.Element, path: Path, ways: dict[str, _Way]
) -> tuple[list[_Lanelet], dict[str, dict[str, str]]]:
    """Return the lanelets, and the tags of the other relations by id."""
    lanelets: list[_Lanelet] = []
    rules: dict[str, dict[str, str]] = {}
    for relation in root.findall("relation"):
        id_, tags = relation.get("id", ""), _tags(relation)
        if tags.get("type") != "lanelet":
            rules[id_] = tags
            continue
        roles = defaultdict(list)
        for member in relation.findall("member"):
            roles[member.get("role", "")].append(member.get("ref", ""))
        where = f"{path}, lanelet {id_}"
        if len(roles["left"]) != 1 or len(roles["right"]) != 1:
            raise InputError(
                "reference",
                "a lanelet needs one left and one right way",
                where=where,
                why=f"{len(roles['left'])} left, {len(roles['right'])} right",
            )
        sides = [roles["left"][0], roles["right"][0]]
        for side in sides:
            if side not in ways:
                raise InputError(
                    "reference",
                    "a lanelet refers to a way that is not there",
                    where=where,
                    why=f"way {side}",
                )
            if not arc_length(ways[side].points)[-1] > 0:
                raise InputError(
                    "geometry", "a lanelet's bound has no length", where=where, why=f"way {side}"
                )
        left, right = (ways[side] for side in sides)
        flips = _orient(left.points, right.points)
        lanelets.append(_Lanelet(id_, tags, left, right, *flips, roles["regulatory_element"]))
    return lanelets, rules


def _orient(left: np.ndarray, right: np.ndarray) -> tuple[bool, bool]:
    """Tell which bounds to read backwards, so that both run with left on the left.

    Ways are shared between lanes, so a way may run against the lane.
    """

    def gap(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.hypot(*(a[0] - b[0])[:2]) + np.hypot(*(a[-1] - b[-1])[:2]))

    right_flipped = gap(left, right[::-1]) < gap(left, right)
    ring = np.concatenate([left, right if right_flipped else right[::-1]])[:, :2]
    ring = ring - ring[0]
    following = np.roll(ring, -1, axis=0)
    area = np.sum(ring[:, 0] * following[:, 1] - ring[:, 1] * following[:, 0])
    # Up the left and back down the right is clockwise.
    return (True, not right_flipped) if area > 0 else (False, right_flipped)


def _add_ways(road: MapBuilder, ways: dict[str, _Way], bounds: set[str]) -> None:
    crossings: list[_Way] = []
    for way in ways.values():
        kind, marking = _describe(way.tags, is_bound=way.id in bounds)
        if kind is not None:
            points = way.points
            if kind == PieceKind.STOP_SIGN:
                points = np.repeat(points.mean(axis=0, keepdims=True), 2, axis=0)
            way.piece = road.add_piece(kind, points, id=way.id, marking=marking)
        if way.tags.get("type") == "pedestrian_marking" and len(way.points) > 1:
            crossings.append(way)
    for first, second in _pair_parallel([way.points for way in crossings]):
        a, b = crossings[first], crossings[second]
        ring = _ring(a.points, b.points)
        road.add_piece(PieceKind.CROSSWALK, ring, id=f"{a.id}+{b.id}")


def _describe(tags: dict[str, str], *, is_bound: bool) -> tuple[PieceKind | None, Marking]:
    """Return what a way stands for (None: nothing for the map) and how it is painted."""
    type_, subtype = tags.get("type", ""), tags.get("subtype", "")
    if type_ == "stop_line":
        return PieceKind.STOP_LINE, Marking.UNKNOWN
    if type_ == "traffic_sign" and subtype in _STOP_SIGNS:
        return PieceKind.STOP_SIGN, Marking.UNKNOWN
    if type_ in _EDGES:
        return PieceKind.ROAD_EDGE, _EDGES[type_]
    if type_ in ("line_thin", "line_thick"):
        marking = _PAINT.get(subtype, Marking.UNKNOWN)
        if tags.get("color") == "yellow" and marking:
            marking = Marking[marking.name + "_YELLOW"]
        return PieceKind.LANE_BOUNDARY, marking
    if type_ == "virtual":
        return PieceKind.LANE_BOUNDARY, Marking.VIRTUAL
    return (PieceKind.LANE_BOUNDARY if is_bound else None), Marking.UNKNOWN


def _add_lanes(
    road: MapBuilder, lanelets: list[_Lanelet], rules: dict[str, dict[str, str]]
) -> None:
    starts, same_right, same_left = defaultdict(list), {}, {}
    opposite_left, opposite_right = defaultdict(list), defaultdict(list)
    for lane in lanelets:
        starts[lane.start].append(lane.id)
        # The lane to the left has my left bound on its right; an oncoming one, on its left.
        same_right[lane.right.id, lane.right_flipped] = lane.id
        same_left[lane.left.id, lane.left_flipped] = lane.id
        opposite_left[lane.left.id, lane.left_flipped].append(lane.id)
        opposite_right[lane.right.id, lane.right_flipped].append(lane.id)
    for lane in lanelets:
        left, right = lane.bounds()
        subtype = lane.tags.get("subtype", "")
        ring = _RINGS.get(subtype)
        oncoming_left = opposite_left[lane.left.id, not lane.left_flipped]
        oncoming_right = opposite_right[lane.right.id, not lane.right_flipped]
        number = max(len(left), len(right), int(np.ceil(arc_length(left)[-1])) + 1)
        left_even, right_even = resample(left, number=number), resample(right, number=number)
        centre = (left_even + right_even) / 2
        gap = np.hypot(*(left_even - right_even)[:, :2].T)
        road.add_lane(
            lane.id,
            _LANE_KINDS.get(subtype, LaneKind.UNKNOWN),
            road.add_piece(PieceKind.LANE_CENTRE, centre, id=lane.id),
            left_boundary=lane.left.piece,
            right_boundary=lane.right.piece,
            area=-1 if ring is None else road.add_piece(ring, _ring(left, right), id=lane.id),
            left=same_right.get((lane.left.id, lane.left_flipped), next(iter(oncoming_left), None)),
            right=same_left.get(
                (lane.right.id, lane.right_flipped), next(iter(oncoming_right), None)
            ),
            successors=[name for name in starts[lane.end] if name != lane.id],
            width=float(np.median(gap)),
            speed_limit=_speed_limit(lane, rules),
        )


def _speed_limit(lane: _Lanelet, rules: dict[str, dict[str, str]]) -> float:
    """Return the lane's limit [m/s]: its own tag, or else the lowest of its rules."""
    stated = [lane.tags.get("speed_limit", "")]
    stated += [
        rules[rule].get("sign_type", "")
        for rule in lane.rules
        if rules.get(rule, {}).get("subtype") == "speed_limit"
    ]
    for candidates in (stated[:1], stated[1:]):
        found = [_SPEED.fullmatch(text.strip()) for text in candidates]
        limits = [float(m[1]) * _UNITS[m[2]] for m in found if m]
        if limits:
            return min(limits)
    return float("nan")


def _pair_parallel(lines: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """Pair the two edges of each crosswalk: parallel lines, close to each other, nearest first."""
    samples = [resample(line, number=9)[:, :2] for line in lines]
    chords = [line[-1] - line[0] for line in samples]
    gaps: list[tuple[float, int, int]] = []
    for i, j in combinations(range(len(lines)), 2):
        lengths = np.linalg.norm(chords[i]), np.linalg.norm(chords[j])
        cosine = chords[i] @ chords[j] / max(lengths[0] * lengths[1], 1e-9)
        if abs(cosine) < np.cos(np.pi / 9) or max(lengths) > 1.6 * min(lengths):
            continue
        other = samples[j] if cosine > 0 else samples[j][::-1]
        gap = np.linalg.norm(samples[i] - other, axis=1)
        if gap.min() > 1.0 and gap.max() < 8.0:
            gaps.append((float(gap.mean()), i, j))
    taken: set[int] = set()
    pairs: list[tuple[int, int]] = []
    for _, i, j in sorted(gaps):
        if not taken & {i, j}:
            taken |= {i, j}
            pairs.append((i, j))
    return pairs


def _ring(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the outline between two lines, closed."""
    straight = np.linalg.norm((a[-1] - b[0])[:2]) > np.linalg.norm((a[-1] - b[-1])[:2])
    return np.concatenate([a, b[::-1] if straight else b, a[:1]])


def _tags(element: ET.Element) -> dict[str, str]:
    return {tag.get("k", ""): tag.get("v", "") for tag in element.findall("tag")}
