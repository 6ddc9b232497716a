"""A map made ready for planning: the lanes a car may use, their directions and surfaces."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.errors import InputError
from kerbstone.scene import LaneIndex, LaneKind, Map, PieceKind, Segments

DRIVABLE = (LaneKind.UNKNOWN, LaneKind.VEHICLE, LaneKind.BUS, LaneKind.RAMP)
"""Lanes that a car may use."""

_SURFACES = (PieceKind.DRIVABLE_AREA, PieceKind.INTERSECTION, PieceKind.LANE_AREA)
_LOOK = 20.0
"""How far into a lane one looks to see where it leads [m]."""


class Road:
    """What is worked out once for each map.

    Args:
        map: The map.

    Raises:
        InputError: The map holds neither a lane nor an area to drive on.
    """

    def __init__(self, map: Map) -> None:  # noqa: A002 - it is the scene's own word
        lanes = map.lanes
        kinds = np.array(DRIVABLE, np.uint8)
        self.map = map
        self.index = LaneIndex(map, kinds=DRIVABLE)
        self.is_drivable: Bool[np.ndarray, " lane"] = (lanes.centre >= 0) & np.isin(
            lanes.kind, kinds
        )
        if not self.is_drivable.any() and not len(map.pieces_of(*_SURFACES)):
            raise InputError(
                "empty",
                "the road is empty: its map has nothing to drive on",
                where=f"map {map.id}",
                why=f"{len(map)} pieces, {len(lanes)} lanes, none of them for cars",
                remedy="plan without a map, along the recorded path",
            )

    @cached_property
    def rows(self) -> Int64[np.ndarray, " drivable"]:
        """The lanes that a car may use, as rows of the lane graph."""
        return np.flatnonzero(self.is_drivable)

    @cached_property
    def segments(self) -> Segments:
        """The straight parts of all pieces of the map."""
        return Segments.from_packed(self.map.points[:, :2], self.map.offsets)

    @cached_property
    def directions(self) -> Float64[np.ndarray, "lane 4"]:
        """Where each lane leads [rad]: at its start, some way in, that far from its end, at its end.

        NaN for lanes without a centre line.
        """
        segments = self.segments
        ends = np.full((len(self.map.lanes), 4), np.nan)
        for lane in self.rows:
            piece = self.map.lanes.centre[lane]
            part = slice(segments.offsets[piece], segments.offsets[piece + 1])
            begin, way = segments.arc_length[part], segments.direction[part]
            if not len(begin):
                continue
            length = begin[-1] + segments.length[part][-1]
            into = np.searchsorted(begin, min(_LOOK, length), side="left") - 1
            back = np.searchsorted(begin, max(length - _LOOK, 0.0), side="right") - 1
            chosen = way[[0, max(into, 0), back, -1]]
            ends[lane] = np.arctan2(chosen[:, 1], chosen[:, 0])
        return ends

    @cached_property
    def lengths(self) -> Float64[np.ndarray, " lane"]:
        """Length of each lane's centre line, 0 where there is none [m]."""
        segments = self.segments
        total = np.zeros(len(self.map.lanes))
        first = segments.offsets[self.map.lanes.centre[self.rows]]
        last = segments.offsets[self.map.lanes.centre[self.rows] + 1] - 1
        drawn = first <= last
        total[self.rows[drawn]] = (segments.arc_length + segments.length)[last[drawn]]
        return total

    @cached_property
    def surfaces(self) -> np.ndarray:
        """The surface of each lane of the graph as a shapely polygon, None where it has none."""
        surfaces = np.full(len(self.map.lanes), None, object)
        if len(self.rows):
            surfaces[self.rows] = keep_polygons(self.index.surfaces)
        return surfaces

    @cached_property
    def ground(self) -> np.ndarray:
        """All that may be driven on, as overlapping shapely polygons."""
        return np.concatenate([self.surfaces[self.rows], draw_areas(self.map, *_SURFACES)])

    @cached_property
    def ground_tree(self) -> Any:
        """A spatial index over `ground`."""
        import shapely

        return shapely.STRtree(self.ground)

    @cached_property
    def edge_tree(self) -> Any:
        """A spatial index over the road's edges, as shapely lines."""
        import shapely

        pieces = [self.map.piece(int(i))[:, :2] for i in self.map.pieces_of(PieceKind.ROAD_EDGE)]
        lines = [shapely.LineString(piece) for piece in pieces if len(piece) >= 2]
        return shapely.STRtree(np.array(lines, object))

    def distance(self, points: Float64[np.ndarray, "point 2"]) -> Float64[np.ndarray, " point"]:
        """Return how far points are from what may be driven on, 0 upon it [m]."""
        import shapely

        at = shapely.points(points)
        (row, _), gap = self.ground_tree.query_nearest(at, return_distance=True, all_matches=False)
        far = np.full(len(points), np.inf)
        far[row] = gap
        return far


@lru_cache(maxsize=8)
def prepare_road(map: Map) -> Road:  # noqa: A002 - it is the scene's own word
    """Return the road of a map; that of a map used a little while ago is remembered.

    Raises:
        InputError: The map holds neither a lane nor an area to drive on.
    """
    return Road(map)


def draw_areas(town: Map, *kinds: PieceKind) -> np.ndarray:
    """Return the pieces of some kinds as valid shapely polygons."""
    import shapely

    pieces = [town.piece(int(piece))[:, :2] for piece in town.pieces_of(*kinds)]
    rings = [shapely.Polygon(piece) for piece in pieces if len(piece) >= 3]
    return keep_polygons(shapely.make_valid(np.array(rings, object)))


def keep_polygons(shapes: np.ndarray) -> np.ndarray:
    """Return shapes without the lines and points that making them valid may have left."""
    import shapely

    kept = np.array(shapes, object)
    for row in np.flatnonzero(shapely.get_type_id(kept) == shapely.GeometryType.GEOMETRYCOLLECTION):
        parts = shapely.get_parts(kept[row])
        kept[row] = shapely.union_all(parts[shapely.get_dimensions(parts) == 2])
    return kept
