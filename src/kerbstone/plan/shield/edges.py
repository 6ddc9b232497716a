"""Which of ego's swept boxes leave the drivable area."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.plan.shield.manoeuvre import SweptBoxes
from kerbstone.plan.shield.road import ENDS, Road


def find_outside(
    boxes: SweptBoxes, moves: Bool[np.ndarray, "batch step"], road: Road
) -> tuple[Int64[np.ndarray, " found"], Int64[np.ndarray, " found"]]:
    """Return episodes with a box that is not wholly on the drivable area, and the first such step.

    What is nearer to a route than the area's edge is from it is inside. The others are told exactly:
    a few of each episode, then more of the next, until one is outside.
    """
    first = np.full(len(moves), -1)
    if road.drivable is not None:
        row, step = np.nonzero(moves)
        parts = boxes.centre[row, step], boxes.direction[row, step], boxes.half[row, step]
        doubt = _find_doubt(parts, road)
        count = 2
        while len(doubt):
            place = np.arange(len(doubt)) - np.searchsorted(row[doubt], row[doubt])
            some = doubt[place < count]
            outside = some[road.find_outside(*(part[some] for part in parts))]
            # The last that is entered stays: the earliest of its episode.
            first[row[outside[::-1]]] = step[outside[::-1]]
            doubt = doubt[(place >= count) & (first[row[doubt]] < 0)]
            count *= 4
    found = np.flatnonzero(first >= 0)
    return found, first[found]


def _find_doubt(
    parts: tuple[
        Float64[np.ndarray, "box 2"], Float64[np.ndarray, "box 2"], Float64[np.ndarray, "box 2"]
    ],
    road: Road,
) -> Int64[np.ndarray, " doubt"]:
    """Return which boxes are not inside for certain, by how far from the routes they are."""
    doubt = np.arange(len(parts[0]))
    for route in road.routes:
        if route.clearance > 0.0 and len(doubt):
            extent = route.path.bound_boxes(*(part[doubt] for part in parts))
            inside = extent.near & extent.sure
            inside &= extent.station[:, 0] >= ENDS
            inside &= extent.station[:, 1] <= route.path.length - ENDS
            inside &= extent.offset[:, 0] >= -route.clearance
            inside &= extent.offset[:, 1] <= route.clearance
            doubt = doubt[~inside]
    return doubt
