"""The drivable area as polygons: exact distances and exact tests of what lies within."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from kerbstone.errors import InputError
from kerbstone.plan.roads.road import Road, keep_polygons
from kerbstone.scene import box_corners_bev

_SEAM = 0.15
"""Gaps twice as wide between surfaces are closed: maps leave some between lanes [m]."""


class DrivableArea:
    """Where one may drive.

    Args:
        shape: A shapely polygon or multipolygon.

    Raises:
        InputError: It is empty.
    """

    def __init__(self, shape: Any) -> None:
        if shape.is_empty:
            raise InputError("empty", "the road is empty: there is no area to drive on")
        self.shape = shape

    @cached_property
    def border(self) -> Any:
        """Its outer and inner borders, as shapely lines."""
        import shapely

        return shapely.boundary(self.shape)

    @cached_property
    def _border_tree(self) -> Any:
        import shapely

        place, line = shapely.get_coordinates(shapely.get_parts(self.border), return_index=True)
        inner = np.flatnonzero(line[1:] == line[:-1])
        pieces = np.stack([place[inner], place[inner + 1]], axis=1)
        return shapely.STRtree(np.asarray(shapely.linestrings(pieces), object))

    @cached_property
    def bounds(self) -> Float64[np.ndarray, " 4"]:
        """Smallest x, smallest y, largest x, largest y [m]."""
        import shapely

        return np.asarray(shapely.bounds(self.shape), np.float64)

    def is_inside(self, points: Float[np.ndarray, "*batch 2"]) -> Bool[np.ndarray, "*batch"]:
        """Return which points lie within, or on the border."""
        import shapely

        shapely.prepare(self.shape)
        return np.asarray(shapely.intersects_xy(self.shape, points[..., 0], points[..., 1]))

    def holds_boxes(self, boxes: Float[np.ndarray, "*batch 5"]) -> Bool[np.ndarray, "*batch"]:
        """Return which boxes (x, y, heading, length, width) lie within as a whole."""
        import shapely

        shapely.prepare(self.shape)
        return np.asarray(shapely.covers(self.shape, shapely.polygons(box_corners_bev(boxes))))

    def distance(self, points: Float[np.ndarray, "*batch 2"]) -> Float64[np.ndarray, "*batch"]:
        """Return the exact distance to the border, positive within and negative without [m].

        NaN for points that are not finite.
        """
        import shapely

        flat = points.reshape(-1, 2)
        gap = np.full(len(flat), np.nan)
        known = np.flatnonzero(np.isfinite(flat).all(axis=1))
        (row, _), found = self._border_tree.query_nearest(
            shapely.points(flat[known]), return_distance=True, all_matches=False
        )
        gap[known[row]] = found
        gap = gap.reshape(points.shape[:-1])
        return np.where(self.is_inside(points), gap, -gap)


def join_surfaces(road: Road, *, within: Float64[np.ndarray, " 4"] | None = None) -> DrivableArea:
    """Return the area that may be driven on: lanes for cars, drivable areas, intersections.

    Gaps of up to 0.3 m are closed. Parking places and driveways are no part of it.

    Args:
        road: The road.
        within: Smallest x, smallest y, largest x, largest y of the part wanted; all if None [m].

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
    return DrivableArea(keep_polygons(np.array([closed], object))[0])
