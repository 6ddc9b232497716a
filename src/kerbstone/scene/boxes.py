"""Oriented boxes as packed arrays: corners, overlap, distance, intersection over union.

A box is a row of `[..., 5]` seen from above (`BevIndex`) or of `[..., 7]` in space (`BoxIndex`).
Functions of two boxes work element by element under NumPy's rules, so all pairs are

    box_distance(boxes[:, None], others[None])

A box that holds NaN has NaN distances, areas and IoUs and overlaps nothing; nothing warns of it.
Sizes are not negative; a box of size zero is a segment or a point, and has its distances.
All arithmetic is relative to the boxes, so large world coordinates cost no more than their own
rounding.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from kerbstone.errors import InputError


class BevIndex(IntEnum):
    """Columns of a box seen from above."""

    X = 0  # centre [m]
    Y = 1
    HEADING = 2  # direction of the length, counter-clockwise from x [rad]
    LENGTH = 3  # [m]
    WIDTH = 4


class BoxIndex(IntEnum):
    """Columns of a box in space; it stands upright."""

    X = 0  # centre [m]
    Y = 1
    Z = 2  # the centre's, not the floor's
    HEADING = 3  # direction of the length, counter-clockwise from x [rad]
    LENGTH = 4  # [m]
    WIDTH = 5
    HEIGHT = 6


# Front left, rear left, rear right, front right: counter-clockwise, in half lengths and widths.
_CORNERS = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
_Values = np.ndarray | np.floating  # NumPy makes a scalar of what it computes for a single box
_BEV_COLUMNS = [BoxIndex.X, BoxIndex.Y, BoxIndex.HEADING, BoxIndex.LENGTH, BoxIndex.WIDTH]


def pack_boxes(
    centre: Float[np.ndarray, "*#batch 3"],
    heading: Float[np.ndarray, "*#batch"],
    size: Float[np.ndarray, "*#batch 3"],
) -> Float[np.ndarray, "*batch 7"]:
    """Return boxes in space from their parts, such as those of `Agents`.

    Args:
        centre: x, y, z [m].
        heading: Direction of the length [rad].
        size: Length, width, height [m]; `size[:, None]` serves all times of an agent.
    """
    batch = np.broadcast_shapes(centre.shape[:-1], heading.shape, size.shape[:-1])
    boxes = np.empty((*batch, len(BoxIndex)))
    boxes[..., : BoxIndex.HEADING] = centre
    boxes[..., BoxIndex.HEADING] = heading
    boxes[..., BoxIndex.LENGTH :] = size
    return boxes


def bev_boxes(boxes: Float[np.ndarray, "*batch 7"]) -> Float[np.ndarray, "*batch 5"]:
    """Return the boxes as seen from above."""
    return boxes[..., _BEV_COLUMNS]


def box_corners_bev(boxes: Float[np.ndarray, "*batch 5"]) -> Float[np.ndarray, "*batch 4 2"]:
    """Return the corners front left, rear left, rear right, front right (counter-clockwise) [m]."""
    cos, sin = np.cos(boxes[..., BevIndex.HEADING]), np.sin(boxes[..., BevIndex.HEADING])
    half_length, half_width = boxes[..., BevIndex.LENGTH] / 2, boxes[..., BevIndex.WIDTH] / 2
    ahead_x, ahead_y = half_length * cos, half_length * sin
    left_x, left_y = -half_width * sin, half_width * cos
    corners = np.empty((*boxes.shape[:-1], 4, 2))
    for corner, (ahead, left) in enumerate(_CORNERS):
        corners[..., corner, 0] = boxes[..., BevIndex.X] + ahead * ahead_x + left * left_x
        corners[..., corner, 1] = boxes[..., BevIndex.Y] + ahead * ahead_y + left * left_y
    return corners


def box_corners_3d(boxes: Float[np.ndarray, "*batch 7"]) -> Float[np.ndarray, "*batch 8 3"]:
    """Return the four corners of the floor, then those of the roof above them [m].

    Each four run as in `box_corners_bev`.
    """
    corners = np.empty((*boxes.shape[:-1], 8, 3))
    flat = box_corners_bev(bev_boxes(boxes))
    half_height = boxes[..., None, BoxIndex.HEIGHT] / 2
    for part, side in ((slice(0, 4), -half_height), (slice(4, 8), half_height)):
        corners[..., part, :2] = flat
        corners[..., part, 2] = boxes[..., None, BoxIndex.Z] + side
    return corners


def points_in_boxes(
    points: Float[np.ndarray, "*#pair axis"], boxes: Float[np.ndarray, "*#pair column"]
) -> Bool[np.ndarray, "*pair"]:
    """Tell which points lie in their boxes; the boundary belongs to the box.

    Args:
        points: x, y for boxes seen from above, x, y, z for boxes in space [m]. All pairs are
            `points_in_boxes(points[:, None], boxes[None])`.
        boxes: Boxes, `[..., 5]` or `[..., 7]`.

    Raises:
        InputError: Points and boxes are not both flat or both in space.
    """
    if (points.shape[-1], boxes.shape[-1]) not in {(2, len(BevIndex)), (3, len(BoxIndex))}:
        raise InputError(
            "shape",
            "points and boxes do not fit together",
            why=f"points have {points.shape[-1]} coordinates, boxes {boxes.shape[-1]} columns",
            remedy="give 2 coordinates with 5 columns, or 3 with 7",
        )
    if boxes.shape[-1] == len(BevIndex):
        return np.asarray(_point_gap(points, boxes) <= 0)
    above = np.abs(points[..., 2] - boxes[..., BoxIndex.Z]) - boxes[..., BoxIndex.HEIGHT] / 2
    return np.asarray((_point_gap(points, bev_boxes(boxes)) <= 0) & (above <= 0))


def boxes_overlap(
    first: Float[np.ndarray, "*#pair 5"], second: Float[np.ndarray, "*#pair 5"]
) -> Bool[np.ndarray, "*pair"]:
    """Tell which pairs of boxes share a point, seen from above; boxes that touch do.

    References:
        Gottschalk, Lin and Manocha, "OBBTree", SIGGRAPH 1996: separating axes.
    """
    return np.asarray(_separation(_relate(first, second)) <= 0)


def box_distance(
    first: Float[np.ndarray, "*#pair 5"], second: Float[np.ndarray, "*#pair 5"]
) -> Float[np.ndarray, "*pair"]:
    """Return the signed distance between boxes seen from above [m].

    Positive: the shortest way between disjoint boxes. Negative: how far one of two overlapping
    boxes must move, at least, until they only touch. It is at most zero exactly where
    `boxes_overlap`.
    """
    pair = _relate(first, second)
    separation = np.asarray(_separation(pair))
    apart = separation > 0
    if np.any(apart):
        # Only disjoint pairs need it, and their nearest points include a corner of one of them.
        pair = _Relation(*(np.broadcast_to(part, apart.shape)[apart] for part in pair))
        # Rounding must not make the true distance shorter than the gap along an axis.
        separation[apart] = np.maximum(separation[apart], _corner_distance(pair))
    return separation


def bev_intersection_area(
    first: Float[np.ndarray, "*#pair 5"], second: Float[np.ndarray, "*#pair 5"]
) -> Float[np.ndarray, "*pair"]:
    """Return the area that boxes share, seen from above [m²].

    In the frame of the second box the shared region lies between the outline of the first,
    clamped to the second. So its area is the integral along that outline of the clamped height,
    over the clamped x: a sum over four edges, without cases, that is continuous in its input.
    """
    pair = _relate(first, second)
    ahead = (pair.half_length * pair.cos, pair.half_length * pair.sin)
    left = (-pair.half_width * pair.sin, pair.half_width * pair.cos)
    x, y = (
        [centre + a * u + b * v for a, b in _CORNERS]
        for centre, u, v in zip((pair.x, pair.y), ahead, left, strict=True)
    )
    bounds = (pair.other_half_length, pair.other_half_width)
    area = sum(_area_over_edge((x[k - 1], y[k - 1]), (x[k], y[k]), bounds) for k in range(4))
    smaller = np.minimum(_area(first), _area(second))
    return np.asarray(np.minimum(np.maximum(area, 0.0), smaller))


def bev_iou(
    first: Float[np.ndarray, "*#pair 5"], second: Float[np.ndarray, "*#pair 5"]
) -> Float[np.ndarray, "*pair"]:
    """Return the intersection over union seen from above, in [0, 1]; NaN where both areas are 0."""
    shared = bev_intersection_area(first, second)
    return _share_of_union(shared, _area(first), _area(second))


def iou_3d(
    first: Float[np.ndarray, "*#pair 7"], second: Float[np.ndarray, "*#pair 7"]
) -> Float[np.ndarray, "*pair"]:
    """Return the intersection over union of upright boxes, in [0, 1]; NaN where both are empty."""
    height, other_height = first[..., BoxIndex.HEIGHT], second[..., BoxIndex.HEIGHT]
    rise = np.abs(first[..., BoxIndex.Z] - second[..., BoxIndex.Z])
    overlap = (height + other_height) / 2 - rise
    overlap = np.maximum(np.minimum(overlap, np.minimum(height, other_height)), 0.0)
    first, second = bev_boxes(first), bev_boxes(second)
    shared = bev_intersection_area(first, second) * overlap
    return _share_of_union(shared, _area(first) * height, _area(second) * other_height)


class _Relation(NamedTuple):
    """Where the first box lies in the frame of the second."""

    x: _Values
    y: _Values
    cos: _Values
    sin: _Values
    half_length: _Values
    half_width: _Values
    other_half_length: _Values
    other_half_width: _Values


def _relate(first: np.ndarray, second: np.ndarray) -> _Relation:
    x, y = _local(first, second)
    turn = first[..., BevIndex.HEADING] - second[..., BevIndex.HEADING]
    return _Relation(
        x,
        y,
        np.cos(turn),
        np.sin(turn),
        first[..., BevIndex.LENGTH] / 2,
        first[..., BevIndex.WIDTH] / 2,
        second[..., BevIndex.LENGTH] / 2,
        second[..., BevIndex.WIDTH] / 2,
    )


def _local(points: np.ndarray, boxes: np.ndarray) -> tuple[_Values, _Values]:
    """Return points (or box centres) in the frames of boxes."""
    cos, sin = np.cos(boxes[..., BevIndex.HEADING]), np.sin(boxes[..., BevIndex.HEADING])
    dx = points[..., BevIndex.X] - boxes[..., BevIndex.X]
    dy = points[..., BevIndex.Y] - boxes[..., BevIndex.Y]
    return cos * dx + sin * dy, cos * dy - sin * dx


def _point_gap(points: np.ndarray, boxes: np.ndarray) -> _Values:
    x, y = _local(points, boxes)
    beyond_length = np.abs(x) - boxes[..., BevIndex.LENGTH] / 2
    return np.maximum(beyond_length, np.abs(y) - boxes[..., BevIndex.WIDTH] / 2)


def _separation(pair: _Relation) -> _Values:
    """Return the largest gap along the four axes of two boxes, negative if there is none."""
    cos, sin = np.abs(pair.cos), np.abs(pair.sin)
    length, width = pair.half_length, pair.half_width
    other_length, other_width = pair.other_half_length, pair.other_half_width
    ahead = np.abs(pair.cos * pair.x + pair.sin * pair.y)
    aside = np.abs(pair.cos * pair.y - pair.sin * pair.x)
    along_other = np.maximum(
        np.abs(pair.x) - (other_length + length * cos + width * sin),
        np.abs(pair.y) - (other_width + length * sin + width * cos),
    )
    along_own = np.maximum(
        ahead - (length + other_length * cos + other_width * sin),
        aside - (width + other_length * sin + other_width * cos),
    )
    return np.maximum(along_other, along_own)


def _corner_distance(pair: _Relation) -> _Values:
    """Return the smallest distance from a corner of either box to the other box."""
    x, y, cos, sin, length, width, other_length, other_width = pair
    # Mirroring a box in its own axes changes nothing for it, so each frame needs one quadrant.
    own_x, own_y = -(cos * x + sin * y), sin * x - cos * y
    nearest = np.full(x.shape, np.inf)
    for ahead, left in _CORNERS:
        a, b = ahead * length, left * width
        dx = np.abs(x + a * cos - b * sin) - other_length
        dy = np.abs(y + a * sin + b * cos) - other_width
        nearest = np.minimum(nearest, np.maximum(dx, 0.0) ** 2 + np.maximum(dy, 0.0) ** 2)
        a, b = ahead * other_length, left * other_width
        dx = np.abs(own_x + a * cos + b * sin) - length
        dy = np.abs(own_y - a * sin + b * cos) - width
        nearest = np.minimum(nearest, np.maximum(dx, 0.0) ** 2 + np.maximum(dy, 0.0) ** 2)
    return np.sqrt(nearest)


def _area_over_edge(
    start: tuple[_Values, _Values],
    end: tuple[_Values, _Values],
    bounds: tuple[_Values, _Values],
) -> _Values:
    """Return the integral of clamped y over clamped x along an edge, leftwards positive."""
    (start_x, start_y), (end_x, end_y), (bound_x, bound_y) = start, end, bounds
    run, rise = end_x - start_x, end_y - start_y
    run = np.where(run == 0.0, 1.0, run)
    enter_x, leave_x = _clamp(start_x, bound_x), _clamp(end_x, bound_x)
    enter_y = start_y + (enter_x - start_x) / run * rise
    leave_y = start_y + (leave_x - start_x) / run * rise
    low, high = _clamp(enter_y, bound_y), _clamp(leave_y, bound_y)
    # Mean of the clamped y: `low` before the ramp, half way on it, `high` behind it.
    rise = leave_y - enter_y
    ramp = (leave_y - (low + high) / 2) / np.where(rise == 0.0, 1.0, rise)
    return (enter_x - leave_x) * (low + (high - low) * ramp)


def _clamp(value: _Values, bound: _Values) -> _Values:
    return np.minimum(np.maximum(value, -bound), bound)


def _area(boxes: np.ndarray) -> _Values:
    return boxes[..., BevIndex.LENGTH] * boxes[..., BevIndex.WIDTH]


def _share_of_union(shared: np.ndarray, first: _Values, second: _Values) -> np.ndarray:
    union = first + second - shared
    return np.asarray(shared / np.where(union > 0.0, union, np.nan))
