"""The area that may be driven on, as polygons."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.plan.roads.road import Road, keep_polygons

_SEAM = 0.15
"""Gaps twice as wide between surfaces are closed: maps leave some between lanes [m]."""


def join_surfaces(road: Road, *, within: Float64[np.ndarray, " 4"] | None = None) -> Any:
    """Return the area that may be driven on: lanes for cars, drivable areas, intersections.

    Gaps of up to 0.3 m are closed. Parking places and driveways are no part of it.

    Args:
        road: The road.
        within: Smallest x, smallest y, largest x, largest y of the part wanted; all if None [m].

    Returns:
        A shapely polygon or multipolygon, not empty.

    Raises:
        InputError: There is nothing to drive on.
    """
    import shapely

    surfaces = road.ground
    if within is not None:
        surfaces = surfaces[road.ground_tree.query(shapely.box(*within))]
    joined = shapely.union_all(surfaces)
    closed = shapely.buffer(joined, _SEAM, join_style="mitre", mitre_limit=2.0)
    closed = shapely.buffer(closed, -_SEAM, join_style="mitre", mitre_limit=2.0)
    if within is not None:
        closed = shapely.intersection(closed, shapely.box(*within))
    area = keep_polygons(np.array([closed], object))[0]
    if area.is_empty:
        raise InputError("empty", "the road is empty: there is no area to drive on")
    return area
