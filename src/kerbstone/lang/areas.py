"""Areas of a map: where points lie in them, and how far boxes are from them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.scene import Map, PieceKind

_ROUGH = 0.01
"""How much outlines may be off [m]: what is simpler is faster."""
_BLOCK = 1_000_000
"""How many boxes and parts are compared at once."""


class Area:
    """Pieces of a map as one shape.

    Args:
        shape: A shapely geometry; None where the map has none of its pieces.
    """

    def __init__(self, shape: Any) -> None:
        import shapely

        self.shape = shape
        if shape is not None:
            shapely.prepare(shape)

    def __bool__(self) -> bool:
        return self.shape is not None

    def holds(self, points: Float64[np.ndarray, "point 2"]) -> Bool[np.ndarray, " point"]:
        """Return which points lie in the area, its border included."""
        import shapely

        if self.shape is None:
            return np.zeros(len(points), bool)
        return shapely.intersects_xy(self.shape, *points.T)

    def is_near(
        self, points: Float64[np.ndarray, "point 2"], *, within: float
    ) -> Bool[np.ndarray, " point"]:
        """Return which points are at most so far from the area [m]."""
        import shapely

        if self.shape is None:
            return np.zeros(len(points), bool)
        return shapely.dwithin(self.shape, shapely.points(points), within)

    def distance(self, boxes: Float64[np.ndarray, "box 4 2"]) -> Float64[np.ndarray, " box"]:
        """Return how far boxes are from the area [m]: 0 on contact, inf where there is none.

        Args:
            boxes: Their corners, in order around them [m]; all in one place for a point. Where
                one is NaN, so is the distance.
        """
        if self.shape is None:
            return np.full(len(boxes), np.inf)
        out = np.full(len(boxes), np.nan)
        known = np.flatnonzero(np.isfinite(boxes).all(axis=(1, 2)))
        size = max(_BLOCK // len(self._parts), 1)
        for first in range(0, len(known), size):
            some = known[first : first + size]
            out[some] = self._measure(boxes[some])
        return out

    def _measure(self, boxes: Float64[np.ndarray, "box 4 2"]) -> Float64[np.ndarray, " box"]:
        import shapely

        outlines: Any = shapely.linearrings(boxes)
        # The part whose extent is nearest, and then those only that may be nearer.
        apart = _between(boxes.min(axis=1), boxes.max(axis=1), self._extents)
        nearest = apart.argmin(axis=1)
        out = shapely.distance(outlines, self._parts[nearest])
        apart[np.arange(len(boxes)), nearest] = np.inf
        box, part = np.nonzero(apart < out[:, None])
        np.minimum.at(out, box, shapely.distance(outlines[box], self._parts[part]))
        # What lies in a box, or it in what, need not touch its outline.
        sides = np.linalg.norm(boxes[:, 1:3] - boxes[:, :2], axis=-1)
        close = np.flatnonzero((out > 0) & (out <= sides.min(axis=1) / 2))
        if len(close):
            covers = shapely.intersects(self.shape, shapely.polygons(outlines[close]))
            out[close[covers]] = 0.0
        return out

    @cached_property
    def _parts(self) -> np.ndarray:
        import shapely

        return shapely.get_parts(self.shape)

    @cached_property
    def _extents(self) -> Float64[np.ndarray, "part 4"]:
        import shapely

        return shapely.bounds(self._parts)


def _between(
    low: Float64[np.ndarray, "box 2"],
    high: Float64[np.ndarray, "box 2"],
    extents: Float64[np.ndarray, "part 4"],
) -> Float64[np.ndarray, "box part"]:
    """Return how far apart upright rectangles are [m]: things in them are no nearer."""
    beyond = np.maximum(extents[:, :2] - high[:, None], low[:, None] - extents[:, 2:])
    return np.hypot(*np.moveaxis(np.maximum(beyond, 0.0), -1, 0))


def area_of_pieces(town: Map, *kinds: PieceKind) -> Area:
    """Return the area of all pieces of these kinds: what rings and open outlines enclose.

    Lines and points are areas of no size.
    """
    return area_of_shapes(
        _shape(town.piece(int(piece))[:, :2], is_line=town.kind[piece] in _LINES)
        for piece in town.pieces_of(*kinds)
    )


def area_of_shapes(shapes: Iterable[Any]) -> Area:
    """Return the area of shapely geometries."""
    import shapely

    parts = list(shapes)
    return Area(shapely.simplify(shapely.union_all(parts), _ROUGH) if parts else None)


_LINES: Collection[int] = frozenset({PieceKind.STOP_LINE, PieceKind.STOP_SIGN})


def _shape(points: np.ndarray, *, is_line: bool) -> Any:
    import shapely

    if (points == points[0]).all():
        return shapely.Point(points[0])
    if is_line or len(points) < 3:
        return shapely.LineString(points)
    return shapely.make_valid(shapely.Polygon(points))
