"""Which lane follows and borders which, found from the lines alone.

Some formats give lanes as centre lines without saying how they hang together. Lanes are drawn so
that one begins where another ends, and run side by side a lane's width apart; that is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy.spatial import KDTree

from kerbstone.scene import angle_difference
from kerbstone.scene.polylines import resample

_SPACING = 2.0
# A lane that follows begins within this distance of the end, and turns no more than this.
_REACH = 0.6
_BEND = np.pi / 4
# Neighbours' centre lines are this far apart, run alike, and do so for this part of the lane.
_NARROW, _WIDE = 2.2, 5.0
_ALIKE = np.pi / 9
_SHARE = 0.5
# A road above another has its own lanes; where heights are known they tell them apart.
_LEVEL = 2.5


@dataclass(frozen=True, eq=False)
class LaneLinks:
    """How lanes hang together, by their row numbers.

    Args:
        following: The lanes that follow each lane.
        left: The neighbour on the left that runs the same way, -1 for none.
        right: The neighbour on the right that runs the same way, -1 for none.
    """

    following: list[list[int]]
    left: Int64[np.ndarray, " lane"]
    right: Int64[np.ndarray, " lane"]


def infer_links(centres: Sequence[Float64[np.ndarray, "_ 3"]]) -> LaneLinks:
    """Find which lane follows and borders which.

    A lane follows where it begins within 0.6 m of another's end and goes on in its direction, give
    or take 45°. A neighbour runs beside a lane for half of its length or more, in the same
    direction, 2.2 to 5 m from it; lanes that part or merge come closer than that.

    Args:
        centres: Centre lines in driving direction, of at least two distinct points each; heights
            may be NaN [m].

    Raises:
        InputError: A line has fewer than two distinct points.
    """
    if not centres:
        return LaneLinks([], np.zeros(0, np.int64), np.zeros(0, np.int64))
    lines = [resample(line, spacing=_SPACING) for line in centres]
    point = np.concatenate(lines)
    lane = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    first = np.searchsorted(lane, np.arange(len(lines)))
    last = np.append(first[1:], len(lane)) - 1
    here = np.arange(len(lane))
    chord = point[np.minimum(here + 1, last[lane])] - point[np.maximum(here - 1, first[lane])]
    heading = np.arctan2(chord[:, 1], chord[:, 0])
    following = _find_following(point[first], point[last], heading[first], heading[last])
    left, right = _find_beside(point, heading, lane, len(lines))
    return LaneLinks(following, left, right)


def _find_following(
    start: Float64[np.ndarray, "lane 3"],
    end: Float64[np.ndarray, "lane 3"],
    start_heading: Float64[np.ndarray, " lane"],
    end_heading: Float64[np.ndarray, " lane"],
) -> list[list[int]]:
    near = KDTree(end[:, :2]).query_ball_tree(KDTree(start[:, :2]), _REACH)
    lane = np.repeat(np.arange(len(near)), [len(found) for found in near])
    other = np.array([row for found in near for row in sorted(found)], np.int64)
    goes_on = (
        (lane != other)
        & (np.abs(angle_difference(start_heading[other], end_heading[lane])) <= _BEND)
        & ~(np.abs(start[other, 2] - end[lane, 2]) > _LEVEL)
    )
    bounds = np.searchsorted(lane[goes_on], np.arange(1, len(near)))
    return [found.tolist() for found in np.split(other[goes_on], bounds)]


def _find_beside(
    point: Float64[np.ndarray, "point 3"],
    heading: Float64[np.ndarray, " point"],
    lane: Int64[np.ndarray, " point"],
    count: int,
) -> tuple[Int64[np.ndarray, " lane"], Int64[np.ndarray, " lane"]]:
    pairs = KDTree(point[:, :2]).query_pairs(_WIDE + _SPACING / 2, output_type="ndarray")
    # Each pair counts both ways: either lane may be beside the other.
    a, b = np.concatenate([pairs, pairs[:, ::-1]]).T
    step = point[b] - point[a]
    cos, sin = np.cos(heading[a]), np.sin(heading[a])
    along = step[:, 0] * cos + step[:, 1] * sin
    aside = step[:, 1] * cos - step[:, 0] * sin
    beside = (
        (lane[a] != lane[b])
        & (np.abs(along) <= 0.55 * _SPACING)
        & (np.abs(aside) >= _NARROW)
        & (np.abs(aside) <= _WIDE)
        & (np.abs(angle_difference(heading[b], heading[a])) <= _ALIKE)
        & ~(np.abs(step[:, 2]) > _LEVEL)
    )
    a, b, aside = a[beside], b[beside], aside[beside]
    needed = _SHARE * np.bincount(lane, minlength=count)
    left, right = (
        _choose_beside(lane[a[side]], a[side], lane[b[side]], np.abs(aside[side]), needed)
        for side in (aside > 0, aside < 0)
    )
    return left, right


def _choose_beside(
    lane: Int64[np.ndarray, " pair"],
    point: Int64[np.ndarray, " pair"],
    other: Int64[np.ndarray, " pair"],
    distance: Float64[np.ndarray, " pair"],
    needed: Float64[np.ndarray, " lane"],
) -> Int64[np.ndarray, " lane"]:
    """Return the lane that is beside most points of each lane, and of equals the nearest."""
    seen, first = np.unique(np.column_stack([point, other]), axis=0, return_index=True)
    pair, which, votes = np.unique(
        np.column_stack([lane[first], seen[:, 1]]), axis=0, return_inverse=True, return_counts=True
    )
    mean = np.bincount(which.reshape(-1), distance[first], len(pair)) / votes
    order = np.lexsort([-mean, votes])
    order = order[votes[order] >= needed[pair[order, 0]]]
    best = np.full(len(needed), -1, np.int64)
    best[pair[order, 0]] = pair[order, 1]  # of several the last one written stays
    return best
