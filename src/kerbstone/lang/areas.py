"""Areas of a map: where points lie in them, and how far boxes are from them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.scene import Map, PieceKind

_ROUGH = 0.01
"""How much outlines may be off [m]: what is simpler is faster."""


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

    def distance(self, shapes: np.ndarray) -> Float64[np.ndarray, " shape"]:
        """Return how far shapely geometries are from the area [m]: 0 on contact, inf without one."""
        import shapely

        if self.shape is None:
            return np.full(len(shapes), np.inf)
        return shapely.distance(self.shape, shapes)


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
