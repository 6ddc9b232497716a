"""Routes for want of a map: along the recorded path of a car, or straight on."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from kerbstone.plan.roads.routes import Route, check_pose
from kerbstone.scene import arc_length

_STEP = 0.5
"""Points of a record nearer than this to the one before are left out: they show no way [m]."""
_FORWARD = 0.5
"""A part of a record counts as driven forward while its direction, along the heading before it,
has at least this cosine."""


def follow_record(
    past: Float64[np.ndarray, "before 2"],
    position: Float64[np.ndarray, " 2"],
    heading: float,
    future: Float64[np.ndarray, "after 2"],
    *,
    behind: float = 10.0,
) -> Route:
    """Return the route along the recorded path of a car.

    Only what was driven forward counts: where the car set back, its path ends.

    Args:
        past: Where the car was before; NaN where that is not known [m].
        position: Middle of the car, world frame [m].
        heading: Of the car [rad].
        future: Where it went [m].
        behind: How far the route should begin before the car [m].

    Raises:
        InputError: The position is not finite.
    """
    check_pose(position, heading)
    way = np.array([np.cos(heading), np.sin(heading)])
    after = _thin_out(position, future, way)
    before = _thin_out(position, past[::-1], -way)
    if len(before) == 1:
        before = np.stack([position, position - behind * way])
    origin = "record" if len(after) > 1 else "straight"
    if len(after) == 1:
        after = np.stack([position, position + way])
    line = np.concatenate([before[:0:-1], after])
    along = arc_length(line)
    start = along[len(before) - 1]
    kept = along >= min(start - behind, along[len(before) - 2])
    nothing = np.zeros(0, np.int64)
    return Route(line[kept], float(start - along[kept][0]), nothing, nothing.astype(float), origin)


def _thin_out(position: np.ndarray, record: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Return points of a record in steps, from the car on, as long as they lead onward."""
    kept = [position]
    for point in record[np.isfinite(record).all(axis=1)]:
        step = point - kept[-1]
        length = float(np.hypot(*step))
        if length < _STEP:
            continue
        if step @ way < _FORWARD * length:
            break
        kept.append(point)
        way = step / length
    return np.stack(kept)
