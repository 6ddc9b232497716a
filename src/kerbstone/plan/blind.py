"""Where the shield has to expect people and vehicles that are not seen: places and stretches.

All of it is drawn from exact shapes. Places cover what is not seen near the way of the car, and
stretches the lanes that come to it; they reach at most `SightRules.cover` farther.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float64, Int64

from kerbstone.plan.shield import (
    DEFAULT_CANDIDATES,
    Assumptions,
    BlindPlaces,
    BlindStretches,
    Road,
)
from kerbstone.plan.shield.failsafe import choose_route
from kerbstone.plan.shield.occupancy import most_way
from kerbstone.plan.sight import Sight, SightRules
from kerbstone.plan.stretches import Stretches, Way, find_stretches
from kerbstone.plan.vehicle import StateIndex, Vehicle
from kerbstone.scene import Kind, arc_length, interpolate, project

_BODY = 0.5
"""The shield keeps so far from the middle of one on foot [m]."""
_SPECK = 0.01
"""What is smaller is rounding [m²]."""


@dataclass(frozen=True, eq=False)
class Region:
    """A part of what is not seen.

    Args:
        is_lane: Whether vehicles are expected there, else people on foot.
        area: A shapely polygon in the world frame.
    """

    is_lane: bool
    area: shapely.Geometry


@dataclass(frozen=True, eq=False)
class Blind:
    """All that a car does not see where it matters.

    Args:
        sight: What it sees.
        regions: The parts, those of people on foot first.
        places: Cover the parts of people on foot, as one episode.
        stretches: Cover the parts of vehicles, numbered after the places: no index means both.
        owner: The region that each place or stretch belongs to.
    """

    sight: Sight
    regions: tuple[Region, ...]
    places: BlindPlaces
    stretches: BlindStretches
    owner: Int64[np.ndarray, " index"]

    def outline(self, index: int) -> shapely.Geometry:
        """Return the shape of a place, or the region of a stretch.

        Args:
            index: As the shield numbers them.
        """
        places = self.places
        if index >= places.valid.shape[1]:
            return self.regions[self.owner[index]].area
        ends = np.stack([places.start[0, index], places.end[0, index]])
        return shapely.buffer(shapely.LineString(ends), float(places.radius[0, index]))


def find_blind(
    sight: Sight,
    line: Float64[np.ndarray, "vertex 2"],
    state: Float64[np.ndarray, " 6"],
    road: Road,
    *,
    vehicle: Vehicle,
    assumptions: Assumptions,
    rules: SightRules | None = None,
) -> Blind:
    """Return where the unseen are to be expected who may meet a car before it stands.

    Of the lane that the car is on only what lies ahead counts: who comes from behind sees it.

    Args:
        sight: What it sees.
        line: Where it goes, from its rear axle on [m].
        state: Of the car, columns `StateIndex`.
        road: The road as the shield has it; without lanes no vehicle is expected.
        vehicle: The car.
        assumptions: How fast the unseen are.
        rules: How closely what is not seen is covered.
    """
    rules = rules or SightRules()
    way = _measure_way(line, state, road, vehicle, assumptions)
    walker = assumptions.of_kind(Kind.PEDESTRIAN)
    walked = most_way(
        np.array([assumptions.phantom_speed]),
        np.array([walker.acceleration]),
        np.array([walker.speed]),
        np.array([way.time]),
    )
    reach = float(walked[0, 0]) + _BODY + vehicle.length
    zone = shapely.buffer(way.line, 1.01 * reach, quad_segs=8)
    heading = float(state[StateIndex.HEADING])
    parts = _split(shapely.intersection(sight.hidden, zone))
    places, of_place = _cover(parts, sight.eye, heading, rules.cover)
    found = find_stretches(
        sight.hidden, way, state, road, vehicle=vehicle, assumptions=assumptions, cell=rules.cover
    )
    regions = [Region(is_lane=False, area=part) for part in parts]
    regions += [Region(is_lane=True, area=area) for area in found.areas]
    owner = np.concatenate([of_place, len(parts) + found.owner])
    return Blind(sight, tuple(regions), places, _number(found, len(of_place)), owner)


def _measure_way(
    line: np.ndarray, state: np.ndarray, road: Road, vehicle: Vehicle, assumptions: Assumptions
) -> Way:
    """Return where the car may come on its own way and on that of the shield, before it stands."""
    speed = max(float(state[StateIndex.SPEED]), 0.0)
    hardest = -vehicle.acceleration[0]
    braking = min(one.braking for one in DEFAULT_CANDIDATES) * hardest
    hold = max(one.hold for one in DEFAULT_CANDIDATES)
    # One control step of anything, then the brake comes on.
    hold += assumptions.control_step + (vehicle.acceleration[1] + hardest) / vehicle.jerk
    speed += vehicle.acceleration[1] * assumptions.control_step
    far = speed * hold + speed**2 / (2.0 * braking)
    lines = [_cut_line(line, 0.0, far)]
    route = int(choose_route(state[None], road, aligned=assumptions.aligned)[0])
    if route >= 0:
        points = _join_lanes(road, route)
        here = float(project(state[:2], points).s)
        lines.append(_cut_line(points, here, here + far))
    return Way(shapely.union_all(lines), hold + speed / braking)


def _cut_line(line: np.ndarray, start: float, end: float) -> shapely.Geometry:
    """Return what lies between two stations, at most; where there is no more, a point."""
    s = arc_length(line)
    start, end = np.clip([start, end], 0.0, s[-1])
    inside = s[(s > start) & (s < end)]
    points = interpolate(line, np.concatenate([[start], inside, [end]]))
    return shapely.LineString(points) if end > start else shapely.Point(points[0])


def _join_lanes(road: Road, route: int) -> np.ndarray:
    points = np.concatenate([road.lanes[i].centre for i in road.routes[route].lanes])
    moved = np.hypot(*np.diff(points, axis=0).T) > 1e-6
    return points[np.concatenate([[True], moved])]


def _split(area: shapely.Geometry) -> np.ndarray:
    parts = shapely.get_parts(shapely.make_valid(area))
    parts = parts[shapely.get_dimensions(parts) == 2]
    parts = shapely.get_parts(parts)
    return np.asarray(parts[shapely.area(parts) > _SPECK], object)


def _cover(
    parts: np.ndarray, eye: np.ndarray, heading: float, height: float
) -> tuple[BlindPlaces, np.ndarray]:
    """Return thick segments along a heading that cover polygons, and the polygon of each.

    Each polygon is cut into strips. What a strip has of it, a connected piece, lies in its
    bounding box, and that in the thick segment through its middle: nothing in there is farther
    than the height of a strip from the piece.
    """
    turn = np.array(
        [[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]]
    )  # Columns: along and across, in the world.
    turned = shapely.transform(parts, lambda points: (points - eye) @ turn)
    low, high = shapely.bounds(turned)[:, 1::2].T if len(parts) else np.zeros((2, 0))
    first = np.floor(low / height).astype(np.int64)
    count = np.ceil(high / height).astype(np.int64) - first
    part = np.repeat(np.arange(len(parts)), count)
    row = np.arange(len(part)) - np.repeat(np.cumsum(count) - count, count) + first[part]
    edge = np.full(len(row), 1e4)
    strips = shapely.box(-edge, height * row, edge, height * (row + 1))  # pyright: ignore[reportArgumentType, reportCallIssue]
    pieces, index = shapely.get_parts(shapely.intersection(turned[part], strips), return_index=True)
    flat = shapely.get_dimensions(pieces) == 2
    bounds = shapely.bounds(pieces[flat])
    part = part[index[flat]]
    middle = (bounds[:, 1] + bounds[:, 3]) / 2.0
    start, end = (np.column_stack([bounds[:, k], middle]) @ turn.T + eye for k in (0, 2))
    radius = (bounds[:, 3] - bounds[:, 1]) / 2.0 + 1e-6
    return BlindPlaces(start[None], end[None], radius[None], np.ones((1, len(part)), bool)), part


def _number(found: Stretches, first: int) -> BlindStretches:
    """Return stretches as one episode, the first ones that do not exist in place of others."""
    route, start, end = (
        np.concatenate([np.zeros(first, values.dtype), values])[None]
        for values in (found.route, found.start, found.end)
    )
    return BlindStretches(route, start, end, np.arange(route.shape[1])[None] >= first)
