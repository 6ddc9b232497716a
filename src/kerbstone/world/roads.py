"""Pieces of road: a map cut into short lines, each told in its own frame."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float32, Float64
from scipy.spatial import KDTree

from kerbstone.scene import LaneKind, Map, Marking, PieceKind, resample_packed

POINTS = 5
"""Points of a piece."""
PIECE_VALUES = 2 * (POINTS - 1) + 4 + len(LaneKind) + 12
_LONGEST = 12.0
"""Longest piece [m]."""
_SHORTEST = 0.1
_LINES = (PieceKind.LANE_CENTRE, PieceKind.ROAD_EDGE, PieceKind.CROSSWALK, PieceKind.STOP_LINE)
"""The kinds that count, in the order of their numbers."""
_MAY_CROSS = frozenset(
    {
        Marking.NONE,
        Marking.DASHED,
        Marking.DOUBLE_DASHED,
        Marking.DASHED_YELLOW,
        Marking.DOUBLE_DASHED_YELLOW,
        Marking.VIRTUAL,
    }
)
_KEPT = 16
"""Maps whose pieces are kept."""


@dataclass(frozen=True, eq=False)
class RoadPieces:
    """The pieces of a map.

    Args:
        pose: Middle of each piece [m] and direction there [rad], world frame.
        values: What is told of each piece, in its own frame.
        tree: Search tree of the middles.
    """

    pose: Float64[np.ndarray, "piece 3"]
    values: Float32[np.ndarray, "piece value"]
    tree: KDTree

    def __len__(self) -> int:
        return len(self.pose)


_of_map: WeakKeyDictionary[Map, RoadPieces] = WeakKeyDictionary()
_cache: OrderedDict[bytes, RoadPieces] = OrderedDict()
_lock = Lock()


def road_pieces(road: Map | None) -> RoadPieces:
    """Return the pieces of a map; those of the last few maps are kept.

    Lanes, crosswalks, stop lines and road edges count. Boundaries of lanes are told with their
    lane.
    """
    if road is None:
        return _NONE
    if not len(road):
        return _NONE
    with _lock:
        known = _of_map.get(road)
    if known is not None:
        return known
    key = _digest(road)
    with _lock:
        if key in _cache:
            _cache.move_to_end(key)
    with _lock:
        pieces = _cache.get(key)
    pieces = pieces or _cut(road)
    with _lock:
        _of_map[road] = _cache[key] = pieces
        while len(_cache) > _KEPT:
            _cache.popitem(last=False)
    return pieces


def _digest(road: Map) -> bytes:
    """Return a mark of all that pieces are told of: scenes may hold the same map as two objects."""
    digest = hashlib.blake2b(digest_size=16)
    lanes = road.lanes
    for array in (
        *(road.kind, road.marking, road.points, road.offsets),
        *(lanes.kind, lanes.centre, lanes.left_boundary, lanes.right_boundary, lanes.left),
        *(lanes.right, lanes.next_offsets, lanes.width, lanes.speed_limit, lanes.in_intersection),
    ):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _cut(road: Map) -> RoadPieces:
    chosen = road.pieces_of(*_LINES)
    step = np.hypot(*np.diff(road.points[:, :2], axis=0, append=np.nan).T)
    step[road.offsets[1:] - 1] = 0.0
    length = np.add.reduceat(step, road.offsets[:-1])[chosen]
    chosen = chosen[(length > _SHORTEST) & (length < np.inf)]
    length = length[(length > _SHORTEST) & (length < np.inf)]
    if not len(chosen):
        return _NONE
    pieces = np.maximum(np.ceil(length / _LONGEST), 1).astype(np.int64)
    lines, sources = [], []
    # Lines that fall into as many pieces are cut together.
    for count in np.unique(pieces):
        group = chosen[pieces == count]
        points, offsets = _pack(road, group)
        along = resample_packed(points, offsets, number=int(count) * (POINTS - 1) + 1)
        first = np.arange(count) * (POINTS - 1)
        lines.append(along[:, first[:, None] + np.arange(POINTS)].reshape(-1, POINTS, 2))
        sources.append(np.repeat(group, count))
    points, source = np.concatenate(lines), np.concatenate(sources)
    middle = points[:, POINTS // 2]
    ahead = points[:, POINTS // 2 + 1] - points[:, POINTS // 2 - 1]
    pose = np.column_stack([middle, np.arctan2(ahead[:, 1], ahead[:, 0])])
    own = _turn(points - middle[:, None], -pose[:, 2, None]) / _LONGEST
    own = np.delete(own, POINTS // 2, axis=1).reshape(len(pose), -1)
    kind = np.searchsorted(_LINES, road.kind[source])
    told = _tell_lanes(road)
    lane_of = np.full(len(road), len(told))
    has_centre = road.lanes.centre >= 0
    lane_of[road.lanes.centre[has_centre]] = np.flatnonzero(has_centre)
    nothing = np.zeros((1, told.shape[1]))
    values = np.concatenate(
        [own, np.eye(len(_LINES))[kind], np.concatenate([told, nothing])[lane_of[source]]], axis=1
    )
    return RoadPieces(pose, values.astype(np.float32), KDTree(pose[:, :2]))


def _pack(road: Map, pieces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the vertices of some pieces, one after the other, and where each begins."""
    counts = road.offsets[pieces + 1] - road.offsets[pieces]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    rows = np.arange(offsets[-1]) + np.repeat(road.offsets[pieces] - offsets[:-1], counts)
    return road.points[rows, :2], offsets


def _tell_lanes(road: Map) -> np.ndarray:
    """Return what is told of each lane besides its shape."""
    lanes = road.lanes
    limit_known, width_known = np.isfinite(lanes.speed_limit), np.isfinite(lanes.width)
    crossable = np.isin(road.marking, np.array(sorted(_MAY_CROSS), np.uint8))

    def may_cross(boundary: np.ndarray) -> np.ndarray:
        return np.where(boundary >= 0, crossable[boundary], False)

    return np.column_stack(
        [
            np.eye(len(LaneKind))[lanes.kind],
            np.where(limit_known, lanes.speed_limit / 20.0, 0.0),
            limit_known,
            np.where(width_known, lanes.width / 4.0, 0.0),
            width_known,
            np.eye(3)[np.asarray(lanes.in_intersection, np.int64) + 1],
            lanes.left >= 0,
            lanes.right >= 0,
            may_cross(lanes.left_boundary),
            may_cross(lanes.right_boundary),
            np.minimum(np.diff(lanes.next_offsets), 4) / 4.0,
        ]
    ).astype(np.float64)


def _turn(points: np.ndarray, angle: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = points[..., 0], points[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


_NONE = RoadPieces(
    np.zeros((0, 3)), np.zeros((0, PIECE_VALUES), np.float32), KDTree(np.zeros((0, 2)))
)
