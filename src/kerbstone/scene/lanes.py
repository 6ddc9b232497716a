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
        for i in np.flatnonzero(has_ring):
            polygons[i] = shapely.Polygon(rings[i])
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
        point, lane = self.lanes_at(flat)
        piece = self._road.lanes.centre[lane]
        place = project_packed(flat[point], self._segments, piece)
        vertex = self._road.offsets[piece] + place.segment
        ahead = self._road.points[vertex + 1, :2] - self._road.points[vertex, :2]
        direction = np.arctan2(ahead[:, 1], ahead[:, 0])
        width = self._road.lanes.width[lane]
        half_width = np.where(np.isfinite(width), width, DEFAULT_LANE_WIDTH) / 2
        cost = np.abs(place.d) / half_width * _RADIANS_PER_HALF_WIDTH
        if headings is not None:
            turn = np.abs(angle_difference(headings.reshape(-1)[point], direction))
            cost = cost + np.where(np.isfinite(turn), turn, 0.0)
        order = np.lexsort((cost, point))
        best = order[np.flatnonzero(np.diff(point[order], prepend=-1))]

        def spread(values: np.ndarray, empty: float) -> np.ndarray:
            full = np.full(len(flat), empty, values.dtype)
            full[point[best]] = values[best]
            return full.reshape(batch)

        return LanePositions(
            lane=spread(lane, -1),
            s=spread(place.s, np.nan),
            d=spread(place.d, np.nan),
            heading=spread(direction, np.nan),
        )

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
