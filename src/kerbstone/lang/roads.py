"""What signals read of a map, derived once for all scenes on it."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.lang.areas import Area, area_of_pieces, area_of_shapes
from kerbstone.lang.sides import Sides, find_sides
from kerbstone.scene import (
    DEFAULT_LANE_WIDTH,
    LaneIndex,
    LaneKind,
    Map,
    PieceKind,
    Segments,
    Tristate,
)

DRIVEN = frozenset(LaneKind) - {LaneKind.PEDESTRIAN}
"""Kinds of lanes that something on wheels drives on."""


@lru_cache(maxsize=8)
def road_of(town: Map) -> Road:
    """Return what is derived from a map; the same object for the same map."""
    return Road(town)


class Road:
    """A map with its lane graph and areas ready to be asked.

    Args:
        town: The map.
    """

    def __init__(self, town: Map) -> None:
        self.town = town
        self.lanes = town.lanes
        self._onward: dict[tuple[int, float], tuple[np.ndarray, np.ndarray]] = {}
        self.index = LaneIndex(town, kinds=DRIVEN)
        self.is_driven: Bool[np.ndarray, " lane"] = (self.lanes.centre >= 0) & np.isin(
            self.lanes.kind, np.array(sorted(DRIVEN), np.uint8)
        )

    @cached_property
    def length(self) -> Float64[np.ndarray, " lane"]:
        """Length of each lane along its centre line [m]; 0 where it has none."""
        segments = Segments.from_packed(self.town.points[:, :2], self.town.offsets)
        total = np.concatenate([[0.0], np.cumsum(segments.length)])
        pieces = np.diff(total[segments.offsets])
        return np.where(self.lanes.centre >= 0, pieces[self.lanes.centre], 0.0)

    @cached_property
    def half_width(self) -> Float64[np.ndarray, " lane"]:
        """Half the width of each lane [m], the usual one where it is not known."""
        width = self.lanes.width
        return np.where(np.isfinite(width), width, DEFAULT_LANE_WIDTH) / 2

    @cached_property
    def is_inside(self) -> Bool[np.ndarray, " lane"]:
        """Which lanes lead through an intersection.

        Where the format leaves it open, those do whose centre line crosses another's.
        """
        told = self.lanes.in_intersection
        inside = told == Tristate.YES
        return inside | self._crosses if (told == Tristate.UNKNOWN).any() else inside

    @cached_property
    def sides(self) -> Sides:
        """Which lanes lie beside which: as the map says, and where it says nothing, as they lie."""
        which = self.is_driven & (self.length > 0)
        return find_sides(
            self.town, self.index, which=which, is_inside=self.is_inside, half_width=self.half_width
        )

    @cached_property
    def groups(self) -> Int64[np.ndarray, " lane"]:
        """Number of the carriageway of each lane: those side by side in one direction share it."""
        from scipy.sparse.csgraph import connected_components

        return connected_components(self.sides.left + self.sides.right, directed=False)[1].astype(
            np.int64
        )

    def reach(
        self, lanes: Int64[np.ndarray, " start"], *, limit: float, is_backward: bool = False
    ) -> Float64[np.ndarray, "start lane"]:
        """Return how far it is from the start of lanes to the start of every lane [m].

        Args:
            lanes: From where.
            limit: What is farther is inf [m].
            is_backward: Whether to go against the lanes: then it is how far each lane's start
                lies before theirs.
        """
        from scipy.sparse.csgraph import dijkstra

        if not len(lanes):
            return np.zeros((0, len(self.lanes)))
        graph = self._graph_back if is_backward else self._graph
        return dijkstra(graph, indices=lanes, limit=limit)

    def onward(
        self, lanes: Int64[np.ndarray, " start"], *, limit: float
    ) -> Float64[np.ndarray, "start lane"]:
        """Return the same as `reach`, searched once for each lane: scenes on a map share lanes."""
        new = [lane for lane in lanes.tolist() if (lane, limit) not in self._onward]
        for lane, row in zip(new, self.reach(np.array(new, np.int64), limit=limit), strict=True):
            near = np.flatnonzero(np.isfinite(row))
            self._onward[lane, limit] = near, row[near]
        found = np.full((len(lanes), len(self.lanes)), np.inf)
        for row, lane in zip(found, lanes.tolist(), strict=True):
            near, away = self._onward[lane, limit]
            row[near] = away
        return found

    @cached_property
    def crosswalks(self) -> Area:
        """Crosswalks."""
        return area_of_pieces(self.town, PieceKind.CROSSWALK)

    @cached_property
    def footways(self) -> Area:
        """Lanes for pedestrians."""
        return area_of_shapes(LaneIndex(self.town, kinds=(LaneKind.PEDESTRIAN,)).surfaces)

    @cached_property
    def sidewalks(self) -> Area:
        """Sidewalks, and lanes for pedestrians."""
        pieces = area_of_pieces(self.town, PieceKind.SIDEWALK)
        return area_of_shapes([area.shape for area in (pieces, self.footways) if area])

    @cached_property
    def parking(self) -> Area:
        """Parking areas."""
        return area_of_pieces(self.town, PieceKind.PARKING)

    @cached_property
    def stop_lines(self) -> Area:
        """Stop lines."""
        return area_of_pieces(self.town, PieceKind.STOP_LINE)

    @cached_property
    def stop_signs(self) -> Area:
        """Stop signs."""
        return area_of_pieces(self.town, PieceKind.STOP_SIGN)

    @cached_property
    def crossroads(self) -> Area:
        """Intersections that the map draws."""
        return area_of_pieces(self.town, PieceKind.INTERSECTION)

    @cached_property
    def intersections(self) -> Area:
        """Intersections that the map draws, with the lanes that lead through intersections."""
        inside = self.index.surfaces[self.is_inside[np.flatnonzero(self.is_driven)]]
        return area_of_shapes([*inside, *([self.crossroads.shape] if self.crossroads else [])])

    @cached_property
    def drivable(self) -> Area:
        """Drivable areas that the map draws."""
        return area_of_pieces(self.town, PieceKind.DRIVABLE_AREA)

    @cached_property
    def paved(self) -> Area:
        """All that the map draws and that can be driven on, but for the lanes."""
        kinds = PieceKind.DRIVABLE_AREA, PieceKind.DRIVEWAY, PieceKind.PARKING
        return area_of_pieces(self.town, *kinds, PieceKind.INTERSECTION)

    def is_near_lane(
        self, points: Float64[np.ndarray, "point 2"], *, within: float
    ) -> Bool[np.ndarray, " point"]:
        """Return which points are at most so far [m] from a lane to drive on."""
        import shapely

        near = np.zeros(len(points), bool)
        shapes = shapely.points(points)
        near[self._surfaces.query(shapes, predicate="dwithin", distance=within)[0]] = True
        return near

    @cached_property
    def follows(self) -> Any:
        """Which lane follows which: the column the row, as a sparse matrix [lane, lane]."""
        return self._graph > 0

    @cached_property
    def changes(self) -> Any:
        """Which lane one changes to from which, as a sparse matrix [lane, lane].

        It lies beside it, or beside one that follows or leads into it.
        """
        from scipy.sparse import eye_array

        onward = self.follows.astype(float)
        beside = sum(side.astype(float) for side in self.sides)
        near = eye_array(len(self.lanes)) + onward + onward.T
        return (near @ beside).tocsr()

    @cached_property
    def _surfaces(self) -> Any:
        import shapely

        return shapely.STRtree(self.index.surfaces)

    @cached_property
    def _graph(self) -> Any:
        from scipy.sparse import csr_array

        lanes = self.lanes
        source = np.repeat(np.arange(len(lanes)), np.diff(lanes.next_offsets))
        # An edge of no length is none to SciPy.
        weights = np.maximum(self.length, 1e-6)[source]
        shape = (len(lanes), len(lanes))
        return csr_array((weights, lanes.next_lanes, lanes.next_offsets), shape=shape)

    @cached_property
    def _graph_back(self) -> Any:
        return self._graph.T.tocsr()

    @cached_property
    def _crosses(self) -> Bool[np.ndarray, " lane"]:
        import shapely

        rows = np.flatnonzero(self.is_driven)
        lines = np.array(
            [shapely.LineString(self.town.centre_line(int(lane))[:, :2]) for lane in rows], object
        )
        first, second = shapely.STRtree(lines).query(lines, predicate="crosses")
        found = np.zeros(len(self.lanes), bool)
        found[rows[first]] = True
        found[rows[second]] = True
        return found


def are_paired(
    pairs: Any, row: Int64[np.ndarray, " pair"], column: Int64[np.ndarray, " pair"]
) -> Bool[np.ndarray, " pair"]:
    """Return for which rows and columns a sparse matrix has an entry above 0."""
    cells = pairs.tocoo()
    rows, columns = (axis[cells.data > 0].astype(np.int64) for axis in cells.coords)
    return np.isin(row * pairs.shape[1] + column, rows * pairs.shape[1] + columns)
