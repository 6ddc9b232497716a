"""On which part of the map a road user is, and how far it is from others.

A road user is where its centre is; only a crosswalk is occupied by whatever part of the box is on
it. Distances are from the box, to a centimetre: 0 where it touches, and infinite where the map has
nothing of the kind. Without a map all is undefined.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.lang.areas import Area
from kerbstone.lang.facts import Facts
from kerbstone.lang.registry import signal
from kerbstone.scene import VEHICLES, Kind, box_corners_bev, wrap_angle

Rows = Int64[np.ndarray, " pair"]
Values = Float64[np.ndarray, "agent time"]
Cells = Bool[np.ndarray, "agent time"]

_OFF = 0.5
"""Who is farther from all that is paved is off the road [m]."""
_SAME = 100.0
_WALK = 0.5
_ACROSS = np.deg2rad(45.0)
_FOLLOWS_LANES = (*sorted(VEHICLES), Kind.CYCLIST, Kind.UNKNOWN)


@signal(margin=1.0)
def on_road(facts: Facts) -> Values:
    """On a lane or in an intersection."""
    if facts.road is None:
        return _unknown(facts)
    return _claim(facts, _on_lane(facts) | _inside(facts, facts.road.crossroads))


@signal(margin=1.0)
def in_drivable_area(facts: Facts) -> Values:
    """In a drivable area; on a map without them, on a lane, in an intersection, or in parking."""
    if facts.road is None:
        return _unknown(facts)
    if facts.road.drivable:
        return _claim(facts, _inside(facts, facts.road.drivable))
    return _claim(facts, _on_lane(facts) | _inside(facts, facts.road.paved))


@signal(margin=1.0)
def off_road(facts: Facts) -> Values:
    """Over half a metre away from all that the map has to drive on.

    That is drivable areas, lanes, intersections, parking and driveways.
    """
    road = facts.road
    if road is None:
        return _unknown(facts)
    rest = facts.agents.valid & ~_on_lane(facts)
    points = facts.point[rest]
    is_off = np.zeros_like(rest)
    is_off[rest] = ~road.paved.is_near(points, within=_OFF) & ~road.is_near_lane(
        points, within=_OFF
    )
    return _claim(facts, is_off)


@signal(margin=1.0)
def on_sidewalk(facts: Facts) -> Values:
    """On a sidewalk or a lane for pedestrians, and not on a lane to drive on."""
    if facts.road is None:
        return _unknown(facts)
    return _claim(facts, _inside(facts, facts.road.sidewalks) & ~_on_lane(facts))


@signal(margin=1.0)
def on_crosswalk(facts: Facts) -> Values:
    """Some part of its box is on a crosswalk."""
    if facts.road is None:
        return _unknown(facts)
    key = ("distance_to_crosswalk", ())
    return _claim(facts, facts.keep(key, lambda: distance_to_crosswalk(facts)) == 0)


@signal(margin=1.0)
def in_intersection(facts: Facts) -> Values:
    """In an intersection: in one that the map draws, or on a lane that leads through one."""
    if facts.road is None:
        return _unknown(facts)
    return _claim(facts, is_in_intersection(facts))


@signal(margin=1.0)
def in_parking(facts: Facts) -> Values:
    """In a parking area."""
    if facts.road is None:
        return _unknown(facts)
    return _claim(facts, _inside(facts, facts.road.parking))


@signal(unit="m", margin=2.0)
def distance_to_crosswalk(facts: Facts) -> Values:
    """Distance from its box to the nearest crosswalk."""
    return _unknown(facts) if facts.road is None else _distance(facts, facts.road.crosswalks)


@signal(unit="m", margin=2.0)
def distance_to_intersection(facts: Facts) -> Values:
    """Distance from its box to the nearest intersection."""
    return _unknown(facts) if facts.road is None else _distance(facts, facts.road.intersections)


@signal(unit="m", margin=2.0)
def distance_to_stop_line(facts: Facts) -> Values:
    """Distance from its box to the nearest stop line."""
    return _unknown(facts) if facts.road is None else _distance(facts, facts.road.stop_lines)


@signal(unit="m", margin=2.0)
def distance_to_stop_sign(facts: Facts) -> Values:
    """Distance from its box to the nearest stop sign."""
    return _unknown(facts) if facts.road is None else _distance(facts, facts.road.stop_signs)


@signal(margin=1.0)
def crossing(facts: Facts) -> Values:
    """On the road, moving across its direction by over 45°, faster than 0.5 m/s.

    Who drives or cycles crosses only if it is across the lane that fits it best; for others any
    lane there counts, as where roads meet.
    """
    road, stays = facts.road, facts.stays
    if road is None or stays is None:
        return _unknown(facts)
    agents, found = facts.agents, stays.candidates
    course = np.arctan2(agents.velocity[..., 1], agents.velocity[..., 0])
    turn = wrap_angle(course.reshape(-1)[found.point] - found.heading)
    across = np.pi / 2 - np.abs(np.abs(turn) - np.pi / 2)
    widest = np.full(agents.valid.size, -np.inf)
    np.maximum.at(widest, found.point, across)
    widest = widest.reshape(agents.valid.shape)
    own = wrap_angle(course - stays.places.heading)
    own = np.pi / 2 - np.abs(np.abs(own) - np.pi / 2)
    follows = agents.is_kind(*_FOLLOWS_LANES)[:, None]
    angle = np.where(follows, own, widest)
    margin = np.minimum((angle - _ACROSS) / _ACROSS, (agents.speed - _WALK) / _WALK)
    on_road = stays.places.lane >= 0
    return np.where(agents.valid, np.where(on_road, margin, -1.0), np.nan)


@signal(agents=2, margin=1.0, reach=_SAME)
def same_road_side(facts: Facts, a: Rows, b: Rows) -> Float64[np.ndarray, "pair time"]:
    """On one carriageway: in lanes that run side by side in one direction, within 100 m."""
    if facts.routes is None:
        return np.full((len(a), facts.steps), np.nan)
    out = facts.routes.look_up(facts.routes.same_side, a, b)
    pair, step = np.nonzero(out > 0)
    far = np.hypot(*(facts.point[a[pair], step] - facts.point[b[pair], step]).T) > _SAME
    out[pair[far], step[far]] = -1.0
    return out


def is_in_intersection(facts: Facts) -> Cells:
    """Return which cells are in an intersection; none without a map."""

    def search() -> np.ndarray:
        road, stays = facts.road, facts.stays
        if road is None:
            return np.zeros_like(facts.agents.valid)
        inside = _inside(facts, road.crossroads)
        if stays is not None:
            found = stays.candidates
            inside.reshape(-1)[found.point[road.is_inside[found.lane]]] = True
        return inside

    return facts.keep("in intersection", search)


def _on_lane(facts: Facts) -> Cells:
    if facts.places is None:
        return np.zeros_like(facts.agents.valid)
    return facts.places.lane >= 0


def _inside(facts: Facts, area: Area) -> Cells:
    valid = facts.agents.valid
    inside = np.zeros_like(valid)
    if area:
        inside[valid] = area.holds(facts.point[valid])
    return inside


def _distance(facts: Facts, area: Area) -> Values:
    valid = facts.agents.valid
    if not area:
        return np.where(valid, np.inf, np.nan)
    out = np.where(valid, 0.0, np.nan)
    far = valid & ~_inside(facts, area)
    out[far] = area.distance(facts.keep("corners", lambda: _corners(facts))[far])
    return out


def _corners(facts: Facts) -> Float64[np.ndarray, "agent time 4 2"]:
    """Return the corners of the boxes: of points where a size is not known."""
    boxes = facts.boxes
    is_box = np.asarray(np.isfinite(boxes).all(axis=-1))
    return np.where(is_box[..., None, None], box_corners_bev(boxes), facts.point[:, :, None])


def _claim(facts: Facts, holds: Cells) -> Values:
    return np.where(facts.agents.valid, np.where(holds, 1.0, -1.0), np.nan)


def _unknown(facts: Facts) -> Values:
    return np.full(facts.agents.valid.shape, np.nan)
