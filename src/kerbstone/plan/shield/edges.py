"""Which of ego's swept boxes leave the drivable area."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.plan.shield.manoeuvre import SweptBoxes
from kerbstone.plan.shield.road import Road

_PART = 6
"""So many steps are looked at together, where the whole manoeuvre is not inside at once."""


def find_outside(
    boxes: SweptBoxes, moves: Bool[np.ndarray, "batch step"], road: Road
) -> tuple[Int64[np.ndarray, " found"], Int64[np.ndarray, " found"]]:
    """Return episodes and steps whose boxes are not wholly on the drivable area.

    One box around all steps of a manoeuvre is tried first, then one around each few steps, and only
    where these are not inside the boxes themselves. Inside is exact, and so is outside.
    """
    count, steps = moves.shape
    if road.drivable is None or not count:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    rows = np.flatnonzero(moves.any(axis=1))
    found: list[tuple[np.ndarray, np.ndarray]] = []
    rows = rows[road.find_outside(*_enclose(boxes, rows, 0, steps))]
    for first in range(0, steps, _PART):
        last = min(first + _PART, steps)
        some = rows[moves[rows, first:last].any(axis=1)]
        some = some[road.find_outside(*_enclose(boxes, some, first, last))]
        for step in range(first, last):
            single = some[moves[some, step]]
            outside = road.find_outside(
                boxes.centre[single, step], boxes.direction[single, step], boxes.half[single, step]
            )
            found.append((single[outside], np.full(int(outside.sum()), step)))
    row, step = (np.concatenate(part).astype(np.int64) for part in zip(*found, strict=True))
    return row, step


def _enclose(
    boxes: SweptBoxes, rows: Int64[np.ndarray, " row"], first: int, last: int
) -> tuple[
    Float64[np.ndarray, "row 2"], Float64[np.ndarray, "row 2"], Float64[np.ndarray, "row 2"]
]:
    """Return one box around the boxes of some steps, along the middle one."""
    direction = boxes.direction[rows, (first + last) // 2]
    normal = np.stack([-direction[:, 1], direction[:, 0]], axis=-1)
    heading, half = boxes.direction[rows, first:last], boxes.half[rows, first:last]
    origin = boxes.centre[rows, first]
    away = boxes.centre[rows, first:last] - origin[:, None]
    centre, size = origin.copy(), np.empty_like(origin)
    for index, axis in enumerate((direction, normal)):
        cosine = np.abs((heading * axis[:, None]).sum(axis=-1))
        sine = np.abs(heading[..., 0] * axis[:, None, 1] - heading[..., 1] * axis[:, None, 0])
        reach = cosine * half[..., 0] + sine * half[..., 1]
        along = (away * axis[:, None]).sum(axis=-1)
        low, high = (along - reach).min(axis=1), (along + reach).max(axis=1)
        centre += (low + high)[:, None] / 2.0 * axis
        size[:, index] = (high - low) / 2.0
    return centre, direction, size
