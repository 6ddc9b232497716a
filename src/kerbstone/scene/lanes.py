"""Which lane a road user is in, through a spatial index over the lanes' surfaces."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64

from kerbstone.errors import InputError
from kerbstone.scene.frenet import project_packed
from kerbstone.scene.kinds import LaneKind
from kerbstone.scene.map import Map
from kerbstone.scene.polylines import Segments
from kerbstone.scene.transforms import angle_difference

DEFAULT_LANE_WIDTH = 3.5
"""Width of a lane of which the map gives neither boundaries nor width [m]."""

_RADIANS_PER_HALF_WIDTH = 0.5


@dataclass(frozen=True, eq=False)
class LanePositions:
    """Where points are on their lanes.

    Args:
        lane: The lane, -1 where a point is on none.
        s: Arc length along its centre line [m], NaN on no lane.
        d: Offset from its centre line, left positive [m], NaN on no lane.
        heading: Direction of the lane there [rad], NaN on no lane.
    """

    lane: Int64[np.ndarray, "*batch"]
    s: Float64[np.ndarray, "*batch"]
    d: Float64[np.ndarray, "*batch"]
    heading: Float64[np.ndarray, "*batch"]


@dataclass(frozen=True, eq=False)
class LaneCandidates:
    """Points on the lanes that hold them: one row for each pair, ordered by point.

    Args:
        points: How many points were asked for.
        point: The point of each row.
        lane: A lane whose surface holds it.
        s: Arc length along the lane's centre line [m].
        d: Offset from it, left positive [m].
        heading: Direction of the lane there [rad].
        half_width: Half the lane's width [m].
    """

    points: int
    point: Int64[np.ndarray, " row"]
    lane: Int64[np.ndarray, " row"]
    s: Float64[np.ndarray, " row"]
    d: Float64[np.ndarray, " row"]
    heading: Float64[np.ndarray, " row"]
    half_width: Float64[np.ndarray, " row"]

    def cost(
        self, headings: Float[np.ndarray, " point"] | None = None
    ) -> Float64[np.ndarray, " row"]:
        """Return how badly each lane fits: half a lane's width weighs as half a radian.

        Args:
            headings: Direction of travel of each point; NaN, or none, leaves the offset alone.
        """
        cost = np.abs(self.d) / self.half_width * _RADIANS_PER_HALF_WIDTH
        if headings is None:
            return cost
        turn = np.abs(angle_difference(headings[self.point], self.heading))
        return cost + np.where(np.isfinite(turn), turn, 0.0)

    def spread(self, rows: Int64[np.ndarray, " chosen"], batch: tuple[int, ...]) -> LanePositions:
        """Return some rows, at most one for each point, as positions of that shape."""

        def fill(values: np.ndarray, empty: float) -> np.ndarray:
            full = np.full(self.points, empty, values.dtype)
            full[self.point[rows]] = values[rows]
            return full.reshape(batch)

        return LanePositions(
            lane=fill(self.lane, -1),
            s=fill(self.s, np.nan),
            d=fill(self.d, np.nan),
            heading=fill(self.heading, np.nan),
        )


class LaneIndex:
    """Finds the lanes at points. Build it once per map.

    A lane's surface is its `area` where the map gives one, else what lies between its boundaries,
    else its centre line widened to the lane's width (`DEFAULT_LANE_WIDTH` if not known).

    Args:
        road: The map.
        kinds: Only lanes of these kinds; all if None.
    """

    def __init__(self, road: Map, *, kinds: Collection[LaneKind] | None = None) -> None:
        lanes = road.lanes
        chosen = lanes.centre >= 0
        if kinds is not None:
            chosen &= np.isin(lanes.kind, np.array(sorted(kinds), np.uint8))
        self._road = road
        self._lanes = np.flatnonzero(chosen)
        self._segments = Segments.from_packed(road.points[:, :2], road.offsets)

    @cached_property
    def surfaces(self) -> np.ndarray:
        """The surface of each indexed lane, as shapely polygons."""
        import shapely

        rings = [self._ring(int(lane)) for lane in self._lanes]
        polygons = np.empty(len(rings), object)
        has_ring = np.array([len(ring) >= 3 for ring in rings], bool)
        drawn = [rings[i] for i in np.flatnonzero(has_ring)]
        if drawn:
            owner = np.repeat(np.arange(len(drawn)), [len(ring) for ring in drawn])
            polygons[has_ring] = shapely.polygons(
                shapely.linearrings(np.concatenate(drawn), indices=owner)
            )
        for i in np.flatnonzero(~has_ring):
            polygons[i] = self._widened_centre(int(self._lanes[i]))
        # Boundaries that cross make a polygon of several parts: all of them are the lane's.
        return shapely.make_valid(polygons)

    @cached_property
    def _tree(self) -> Any:
        import shapely

        shapely.prepare(self.surfaces)
        return shapely.STRtree(self.surfaces)

    def lanes_at(
        self, points: Float[np.ndarray, "point 2"]
    ) -> tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]:
        """Return every pair of a point and a lane whose surface holds it, ordered by point.

        Points that are not finite are on no lane.
        """
        import shapely

        known = np.flatnonzero(np.isfinite(points).all(axis=1))
        places = points[known]
        found, surface = self._tree.query(shapely.points(places))
        # The tree's own predicate prepares the points and not the surfaces, which have the vertices.
        inside = shapely.intersects_xy(self.surfaces[surface], *places[found].T)
        found, surface = found[inside], surface[inside]
        order = np.lexsort((surface, found))
        return known[found[order]], self._lanes[surface[order]]

    def candidates(self, points: Float[np.ndarray, "point 2"]) -> LaneCandidates:
        """Return where points are on every lane whose surface holds them, ordered by point."""
        point, lane = self.lanes_at(points)
        piece = self._road.lanes.centre[lane]
        place = project_packed(points[point], self._segments, piece)
        vertex = self._road.offsets[piece] + place.segment
        ahead = self._road.points[vertex + 1, :2] - self._road.points[vertex, :2]
        width = self._road.lanes.width[lane]
        return LaneCandidates(
            points=len(points),
            point=point,
            lane=lane,
            s=place.s,
            d=place.d,
            heading=np.arctan2(ahead[:, 1], ahead[:, 0]),
            half_width=np.where(np.isfinite(width), width, DEFAULT_LANE_WIDTH) / 2,
        )

    def locate(
        self,
        points: Float[np.ndarray, "*batch 2"],
        headings: Float[np.ndarray, "*batch"] | None = None,
    ) -> LanePositions:
        """Return the one lane that each point is in.

        Where lanes overlap, as they do in an intersection, the lane counts whose direction is
        closest to the heading and whose centre is nearest: half a lane's width weighs as much as
        half a radian. A heading that is NaN leaves the centre to decide.

        Args:
            points: World frame [m].
            headings: Direction of travel [rad].

        Raises:
            InputError: Headings and points do not fit together.
        """
        batch = points.shape[:-1]
        if headings is not None and headings.shape != batch:
            raise InputError(
                "shape",
                "headings and points do not fit together",
                why=f"{headings.shape} against {batch}",
            )
        flat = points.reshape(-1, 2)
        found = self.candidates(flat)
        cost = found.cost(None if headings is None else headings.reshape(-1))
        order = np.lexsort((cost, found.point))
        best = order[np.flatnonzero(np.diff(found.point[order], prepend=-1))]
        return found.spread(best, batch)

    def _ring(self, lane: int) -> np.ndarray:
        lanes = self._road.lanes
        if lanes.area[lane] >= 0:
            return self._road.piece(int(lanes.area[lane]))[:, :2]
        if lanes.left_boundary[lane] < 0 or lanes.right_boundary[lane] < 0:
            return np.zeros((0, 2))
        centre = self._road.centre_line(lane)[:, :2]
        left = _align(self._road.piece(int(lanes.left_boundary[lane]))[:, :2], centre)
        right = _align(self._road.piece(int(lanes.right_boundary[lane]))[:, :2], centre)
        return np.concatenate([left, right[::-1]])

    def _widened_centre(self, lane: int) -> Any:
        import shapely

        width = self._road.lanes.width[lane]
        half = (width if np.isfinite(width) else DEFAULT_LANE_WIDTH) / 2
        centre = shapely.LineString(self._road.centre_line(lane)[:, :2])
        return shapely.buffer(centre, half, cap_style="flat", join_style="mitre")


def _align(line: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return a boundary in the direction of the centre line: shared ones run either way."""
    with_it = np.hypot(*(line[0] - centre[0])) + np.hypot(*(line[-1] - centre[-1]))
    against = np.hypot(*(line[0] - centre[-1])) + np.hypot(*(line[-1] - centre[0]))
    return line if with_it <= against else line[::-1]
