"""The road as the shield needs it: routes along lanes, where to drive, where not to stop."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import shapely
from jaxtyping import Bool, Float64
from shapely.ops import substring

from kerbstone.errors import InputError
from kerbstone.plan.shield.path import Path

_MOST_ROUTES = 256
"""More ways through a road network are refused: cut the map around ego first."""

ENDS = 5.0
"""The area beside a route often ends where the route does, so its ends tell nothing [m]."""

_ROUNDING = 1e-3
"""A line is taken to be so much nearer to an edge than it is [m]."""

BESIDE = 3.0
"""Ego may be so far beside a lane and still go along it [m]."""


@dataclass(frozen=True, eq=False)
class Lane:
    """A lane in its driving direction.

    Args:
        centre: Points of the centre line in the world frame [m].
        half_width: From the centre line to either side [m].
        speed_limit: [m/s].
        successors: Indices of the lanes that go on from its end.
    """

    centre: Float64[np.ndarray, "point 2"]
    half_width: float = 1.75
    speed_limit: float = 13.9
    successors: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Route:
    """One way along lanes, from where none leads in to where none goes on.

    Args:
        lanes: Indices of the lanes.
        path: Their centre lines, one after the other.
        half_width: The greatest of the lanes [m].
        speed_limit: The greatest of the lanes [m/s].
        clearance: What is no farther from the path, but for its ends, is on the drivable area [m].
    """

    lanes: tuple[int, ...]
    path: Path
    half_width: float
    speed_limit: float
    clearance: float


@dataclass(frozen=True, eq=False)
class Road:
    """One road, shared by all episodes of a batch.

    Args:
        lanes: All lanes.
        drivable: Where ego's whole box has to be, in the world frame. None: anywhere.
        no_stopping: Where no part of ego's box may come to rest, such as crossings. None: nowhere.

    Raises:
        InputError: A successor does not exist, an area is not valid, or there are too many routes.
    """

    lanes: tuple[Lane, ...] = ()
    drivable: shapely.Geometry | None = None
    no_stopping: shapely.Geometry | None = None
    routes: tuple[Route, ...] = field(init=False)

    def __post_init__(self) -> None:
        for index, lane in enumerate(self.lanes):
            for follower in lane.successors:
                if not 0 <= follower < len(self.lanes):
                    raise InputError(
                        "index",
                        "a lane goes on into one that does not exist",
                        where=f"lane {index}",
                        why=f"successor {follower} of {len(self.lanes)} lanes",
                    )
        for name in ("drivable", "no_stopping"):
            area = getattr(self, name)
            if area is not None and not area.is_valid:
                raise InputError(
                    "geometry",
                    f"road.{name} is not a valid area",
                    why=shapely.is_valid_reason(area),
                    remedy="shapely.make_valid",
                )
            if area is not None:
                shapely.prepare(area)
        object.__setattr__(self, "routes", tuple(map(self._route, _routes(self.lanes))))

    def _route(self, lanes: tuple[int, ...]) -> Route:
        points = np.concatenate([self.lanes[i].centre for i in lanes])
        return Route(
            lanes,
            Path(points),
            max(self.lanes[i].half_width for i in lanes),
            max(self.lanes[i].speed_limit for i in lanes),
            self._find_clearance(points),
        )

    def _find_clearance(self, points: Float64[np.ndarray, "point 2"]) -> float:
        """Return how far a line without its ends is from the drivable area's edge; zero outside."""
        if self.drivable is None:
            return np.inf
        line = shapely.LineString(points)
        if line.length <= 2.0 * ENDS:
            return 0.0
        line = substring(line, ENDS, line.length - ENDS)
        if not shapely.covers(self.drivable, line):
            return 0.0
        return max(float(shapely.distance(line, shapely.boundary(self.drivable))) - _ROUNDING, 0.0)

    def find_outside(
        self,
        centre: Float64[np.ndarray, "box 2"],
        direction: Float64[np.ndarray, "box 2"],
        half: Float64[np.ndarray, "box 2"],
    ) -> Bool[np.ndarray, " box"]:
        """Return which boxes are not wholly on the drivable area. Exact."""
        if self.drivable is None:
            return np.zeros(len(centre), dtype=bool)
        return ~np.asarray(shapely.covers(self.drivable, _polygons(centre, direction, half)))

    def find_no_stopping(
        self,
        centre: Float64[np.ndarray, "box 2"],
        direction: Float64[np.ndarray, "box 2"],
        half: Float64[np.ndarray, "box 2"],
    ) -> Bool[np.ndarray, " box"]:
        """Return which boxes touch an area in which ego must not come to rest. Exact."""
        touched = np.zeros(len(centre), dtype=bool)
        if self.no_stopping is None or shapely.is_empty(self.no_stopping):
            return touched
        low_x, low_y, high_x, high_y = shapely.bounds(self.no_stopping)
        reach = np.hypot(half[:, 0], half[:, 1])
        near = (centre[:, 0] + reach >= low_x) & (centre[:, 0] - reach <= high_x)
        near &= (centre[:, 1] + reach >= low_y) & (centre[:, 1] - reach <= high_y)
        rows = np.flatnonzero(near)
        boxes = _polygons(centre[rows], direction[rows], half[rows])
        touched[rows] = shapely.intersects(self.no_stopping, boxes)
        return touched


def _routes(lanes: tuple[Lane, ...]) -> list[tuple[int, ...]]:
    """List all ways through the lanes; a way ends where it would come back to a lane of its own."""
    entered = {follower for lane in lanes for follower in lane.successors}
    reached: set[int] = set()
    routes: list[tuple[int, ...]] = []
    for first in sorted(range(len(lanes)), key=lambda i: (i in entered, i)):
        if first in entered and first in reached:
            continue
        open_ends = [(first,)]
        while open_ends:
            way = open_ends.pop()
            reached.update(way)
            further = [i for i in lanes[way[-1]].successors if i not in way]
            open_ends += [(*way, i) for i in reversed(further)]
            if not further:
                routes.append(way)
            if len(routes) > _MOST_ROUTES:
                raise InputError(
                    "value",
                    "there are too many routes along the lanes",
                    why=f"more than {_MOST_ROUTES}",
                    remedy="cut the road around ego first",
                )
    return routes


def _polygons(
    centre: Float64[np.ndarray, "box 2"],
    direction: Float64[np.ndarray, "box 2"],
    half: Float64[np.ndarray, "box 2"],
) -> np.ndarray:
    ahead = direction * half[:, :1]
    left = np.stack([-direction[:, 1], direction[:, 0]], axis=-1) * half[:, 1:]
    corners = np.stack([ahead + left, left - ahead, -ahead - left, ahead - left], axis=1)
    return np.asarray(shapely.polygons(centre[:, None] + corners))
