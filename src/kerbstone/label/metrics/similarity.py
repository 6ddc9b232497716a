"""How alike boxes of the same frame are: every pair that is alike at all, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError, UsageError, suggest_name
from kerbstone.scene import BoxIndex, bev_boxes, bev_iou, iou_3d

Similarity = Literal["iou_3d", "bev_iou", "centre_distance", "iou_2d"]
"""How alike two boxes are, from 0 to 1."""

_CHUNK = 1_000_000  # candidate pairs looked at together: some tens of megabytes

_Truth = tuple[Int64[np.ndarray, " truth"], Float64[np.ndarray, "truth _"]]
_Predicted = tuple[Int64[np.ndarray, " predicted"], Float64[np.ndarray, "predicted _"]]
_Pairs = tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]
_Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]


def find_overlaps(
    truth: _Truth,
    predicted: _Predicted,
    *,
    similarity: Similarity,
    zero_distance: float,
) -> tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"], Float64[np.ndarray, " pair"]]:
    """Find the pairs of boxes of the same frame that are alike at all.

    Args:
        truth: Frames, in order, and boxes of one side.
        predicted: Frames, in order, and boxes of the other.
        similarity: Which (see `compare_boxes`).
        zero_distance: Where `centre_distance` has fallen to 0 [m].

    Returns:
        Row of the one, row of the other, and how alike they are, above 0.

    Raises:
        UsageError: There is no such similarity, or `zero_distance` is not above 0.
        InputError: The boxes have not the columns that it needs.
    """
    measures: dict[str, tuple[int, _Measure]] = {
        "iou_3d": (len(BoxIndex), _iou_in_space),
        "bev_iou": (len(BoxIndex), _iou_from_above),
        "iou_2d": (4, _image_iou),
        "centre_distance": (len(BoxIndex), lambda a, b: _closeness(a, b, zero_distance)),
    }
    if similarity not in measures:
        raise UsageError(
            "usage", f"no similarity {similarity!r}", remedy=suggest_name(similarity, measures)
        )
    if not zero_distance > 0:
        raise UsageError("usage", "`zero_distance` must be above 0", why=f"it is {zero_distance}")
    columns, measure = measures[similarity]
    for _, boxes in (truth, predicted):
        if boxes.shape[1] != columns:
            raise InputError(
                "shape",
                f"`{similarity}` needs boxes of {columns} columns",
                why=f"they have {boxes.shape[1]}",
            )
    reach = zero_distance / 2 if similarity == "centre_distance" else None
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = [
        (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    ]
    for row, other in _near_pairs(truth, predicted, reach):
        value = measure(truth[1][row], predicted[1][other])
        alike = value > 0.0
        found.append((row[alike], other[alike], value[alike]))
    rows, others, values = (np.concatenate(part) for part in zip(*found, strict=True))
    return rows, others, values


def _near_pairs(truth: _Truth, predicted: _Predicted, reach: float | None) -> Iterator[_Pairs]:
    """Give the pairs of a frame whose surrounding circles meet, a bounded number at a time."""
    x, y, radius = _surround(truth[1], reach)
    other_x, other_y, other_radius = _surround(predicted[1], reach)
    for row, other in _candidates(truth[0], predicted[0]):
        dx, dy = x[row] - other_x[other], y[row] - other_y[other]
        within = radius[row] + other_radius[other]
        near = np.flatnonzero(dx * dx + dy * dy < within * within)
        yield row[near], other[near]


def _candidates(
    frame: Int64[np.ndarray, " box"], other_frame: Int64[np.ndarray, " other"]
) -> Iterator[_Pairs]:
    """Give all pairs of the same frame."""
    start = np.searchsorted(other_frame, frame, side="left")
    count = np.searchsorted(other_frame, frame, side="right") - start
    total = np.cumsum(count)
    row = 0
    while row < len(frame):
        before = total[row - 1] if row else 0
        end = max(row + 1, int(np.searchsorted(total, before + _CHUNK, side="right")))
        number = count[row:end]
        rows = np.repeat(np.arange(row, end), number)
        nth = np.arange(len(rows)) - np.repeat(np.cumsum(number) - number, number)
        yield rows, start[rows] + nth
        row = end


def _surround(
    boxes: np.ndarray, reach: float | None
) -> tuple[Float64[np.ndarray, " box"], Float64[np.ndarray, " box"], Float64[np.ndarray, " box"]]:
    """Return the centres of boxes, seen from above or in the image, and their radii."""
    if boxes.shape[1] == 4:
        (x, y), size = (boxes[:, :2] + boxes[:, 2:]).T / 2, boxes[:, 2:] - boxes[:, :2]
    else:
        x, y = boxes[:, BoxIndex.X], boxes[:, BoxIndex.Y]
        size = boxes[:, [BoxIndex.LENGTH, BoxIndex.WIDTH]]
    radius = np.hypot(*size.T) / 2 if reach is None else np.full(len(boxes), reach)
    return x.copy(), y.copy(), radius


def _iou_in_space(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.nan_to_num(iou_3d(first, second), nan=0.0)  # two empty boxes are not alike


def _iou_from_above(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.nan_to_num(bev_iou(bev_boxes(first), bev_boxes(second)), nan=0.0)


def _closeness(first: np.ndarray, second: np.ndarray, zero_distance: float) -> np.ndarray:
    apart = np.hypot(*(first - second)[:, : BoxIndex.Z].T)
    return np.maximum(0.0, 1.0 - apart / zero_distance)


def _image_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    low, high = np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])
    shared = np.maximum(high - low, 0.0).prod(axis=1)
    area = [(b[:, 2:] - b[:, :2]).prod(axis=1) for b in (first, second)]
    shared[(area[0] <= 0) | (area[1] <= 0)] = 0.0
    union = area[0] + area[1] - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1.0), 0.0)
