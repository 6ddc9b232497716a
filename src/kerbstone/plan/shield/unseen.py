"""When the room that ego takes meets those who may come from where it cannot see (A3)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.plan.shield.assumptions import Assumptions, Behaviour
from kerbstone.plan.shield.duties import NARROW
from kerbstone.plan.shield.manoeuvre import SweptBoxes
from kerbstone.plan.shield.meetings import Meetings, first_meeting, interval
from kerbstone.plan.shield.occupancy import TIGHTEST, most_way
from kerbstone.plan.shield.path import REACH, Path
from kerbstone.plan.shield.place import locate, plane_room
from kerbstone.plan.shield.road import Road
from kerbstone.plan.shield.rss import longitudinal_distance
from kerbstone.plan.shield.surroundings import BlindPlaces, BlindStretches, Surroundings
from kerbstone.scene import Kind

_BODY = 0.5
"""Around the middle of one on foot [m]."""
_DISCS = 12
"""So many discs cover a stretch in the plane."""
_LONGEST = 20.0
"""Of a hidden vehicle, where its stretch is longer [m]."""


def meet_unseen(
    boxes: SweptBoxes,
    moves: Bool[np.ndarray, "batch step"],
    step: float,
    speed: Float64[np.ndarray, " batch"],
    brakes: Bool[np.ndarray, " batch"],
    road: Road,
    surroundings: Surroundings,
    assumptions: Assumptions,
) -> Iterator[Meetings]:
    """Yield where ego may meet someone whom it does not see.

    Args:
        boxes: What ego may touch.
        moves: In which steps ego moves.
        step: Length of a step [s].
        speed: Of ego now [m/s].
        brakes: Which manoeuvres brake as RSS wants of ego.
        road: The routes.
        surroundings: Where ego does not see.
        assumptions: How fast the unseen are.
    """
    time = interval(moves.shape[1], step, assumptions)
    if surroundings.places is not None:
        yield _from_places(boxes, moves, time[1], time[0], surroundings.places, assumptions)
    if surroundings.stretches is not None:
        yield from _from_stretches(
            boxes, moves, time[1], time[0], speed, brakes, surroundings.stretches, road, assumptions
        )


def _from_places(
    boxes: SweptBoxes,
    moves: Bool[np.ndarray, "batch step"],
    end: Float64[np.ndarray, " step"],
    start: Float64[np.ndarray, " step"],
    places: BlindPlaces,
    assumptions: Assumptions,
) -> Meetings:
    """Return the meetings with those who step out of a place and walk straight at ego.

    Along each axis on which the two are apart the gap is at most their distance, so the widest of
    these gaps is a bound.
    """
    row, agent = np.nonzero(places.valid)
    first, second = places.start[row, agent][:, None], places.end[row, agent][:, None]
    direction, half = boxes.direction[row], boxes.half[row]
    normal = np.stack([-direction[..., 1], direction[..., 0]], axis=-1)
    from_first, from_second = first - boxes.centre[row], second - boxes.centre[row]
    apart = np.full(direction.shape[:2], -np.inf)
    for axis, size in ((direction, half[..., 0]), (normal, half[..., 1])):
        one, other = (from_first * axis).sum(axis=-1), (from_second * axis).sum(axis=-1)
        gap = np.maximum(np.minimum(one, other) - size, -np.maximum(one, other) - size)
        apart = np.maximum(apart, gap)
    along = second - first
    length = np.hypot(along[..., 0], along[..., 1])
    thick = length > 0.0
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    across /= np.where(thick, length, 1.0)[..., None]
    size = half[..., 0] * np.abs((direction * across).sum(axis=-1))
    size += half[..., 1] * np.abs((normal * across).sum(axis=-1))
    gap = np.abs((from_first * across).sum(axis=-1)) - size
    apart = np.where(thick, np.maximum(apart, gap), apart)
    walker = assumptions.of_kind(Kind.PEDESTRIAN)
    way = most_way(
        np.array([assumptions.phantom_speed]),
        np.array([walker.acceleration]),
        np.array([walker.speed]),
        end,
    )
    reach = places.radius[row, agent][:, None] + _BODY + way
    room = np.where(moves[row], apart - reach, np.inf)
    return first_meeting(row, agent, room, start)


def _from_stretches(
    boxes: SweptBoxes,
    moves: Bool[np.ndarray, "batch step"],
    end: Float64[np.ndarray, " step"],
    start: Float64[np.ndarray, " step"],
    speed: Float64[np.ndarray, " batch"],
    brakes: Bool[np.ndarray, " batch"],
    stretches: BlindStretches,
    road: Road,
    assumptions: Assumptions,
) -> Iterator[Meetings]:
    """Yield the meetings with vehicles anywhere in a stretch, standing or at the greatest speed."""
    behaviour = assumptions.default
    for k, route in enumerate(road.routes):
        chosen = stretches.valid & (stretches.route == k)
        rows = np.flatnonzero(chosen.any(axis=1) & moves.any(axis=1))
        if not len(rows):
            continue
        place = locate(boxes, rows, road, k)
        local, agent = np.nonzero(chosen[rows])
        row = rows[local]
        cap = min(behaviour.speed, behaviour.speed_factor * route.speed_limit)
        least = np.repeat(stretches.start[row, agent][:, None], len(end), axis=1)
        most = stretches.end[row, agent][:, None] + cap * end
        first = route.path.bound_boxes(
            boxes.centre[row, 0], boxes.direction[row, 0], boxes.half[row, 0]
        )
        # Ahead of ego they may come into its way where it can brake for them, if it does.
        goes = first.near & (np.abs(first.turn) < assumptions.aligned)
        wide = _get_aside(
            place.whole(moves[rows])[local],
            goes & ~brakes[row],
            stretches.end[row, agent] - stretches.start[row, agent],
            route.half_width,
            cap * end,
            end,
            behaviour,
        )
        room = place.room(local, least, most, -wide, wide)
        # Past the end of the route nothing but the way from there bounds them.
        past = most - route.path.length
        end_of_path = route.path.at(np.full((len(row), 1), route.path.length))
        leaves = plane_room(boxes, row, end_of_path, wide + np.maximum(past, 0.0))
        room = np.where(past > 0.0, np.minimum(room, leaves), room)
        room[wide > min(route.path.fold, REACH - 6.0)] = -np.inf
        doubt = np.flatnonzero((room <= 0.0).any(axis=1))
        if len(doubt):
            stretch = stretches.start[row, agent][doubt], stretches.end[row, agent][doubt]
            reach = wide[doubt] + cap * end
            plane = _plane_room(boxes, row[doubt], route.path, *stretch, reach)
            room[doubt] = np.maximum(room[doubt], plane)
        # What is so far behind ego that it can brake for it has to.
        follows = (np.abs(first.turn) < NARROW * assumptions.aligned) & first.near & first.sure
        gap = longitudinal_distance(
            np.full(len(row), cap),
            speed[row],
            response=behaviour.response,
            acceleration=behaviour.acceleration,
            mild_braking=behaviour.mild_braking,
            braking=assumptions.ego.hardest,
        )
        follows &= first.station[:, 0] - stretches.end[row, agent] >= gap
        room[~moves[row] | follows[:, None]] = np.inf
        yield first_meeting(row, agent, room, start)


def _plane_room(
    boxes: SweptBoxes,
    row: Int64[np.ndarray, " pair"],
    path: Path,
    first: Float64[np.ndarray, " pair"],
    last: Float64[np.ndarray, " pair"],
    reach: Float64[np.ndarray, "pair step"],
) -> Float64[np.ndarray, "pair step"]:
    """Return how far ego is from all who were in a stretch, wherever they go.

    Discs around a stretch bound them where ego cannot be located on the route for certain, as in a
    tight bend, or at an intersection that it crosses.

    Args:
        boxes: What ego may touch.
        row: Episode of each pair.
        path: Of the route.
        first: Where the stretch begins [m].
        last: Where it ends [m].
        reach: How far the unseen get from the line of their stretch, at most [m].
    """
    share = (np.arange(_DISCS) + 0.5) / _DISCS
    length = (last - first)[:, None]
    centre = path.at(first[:, None] + length * share)
    radius = np.repeat(length / (2.0 * _DISCS), _DISCS, axis=0)
    apart = plane_room(boxes, np.repeat(row, _DISCS), centre.reshape(-1, 1, 2), radius)
    return apart.reshape(len(row), _DISCS, -1).min(axis=1) - reach


def _get_aside(
    bound: Float64[np.ndarray, "pair 4"],
    is_free: Bool[np.ndarray, " pair"],
    length: Float64[np.ndarray, " pair"],
    half_width: float,
    way: Float64[np.ndarray, " step"],
    end: Float64[np.ndarray, " step"],
    behaviour: Behaviour,
) -> Float64[np.ndarray, "pair step"]:
    """Return how far to either side hidden vehicles get: out of their lane if ego comes into it.

    Args:
        bound: Least and greatest station and offset of ego.
        is_free: Where they may leave their lane anyway.
        length: Of the stretch [m].
        half_width: Of its lane [m].
        way: That they go at most until the ends of the steps [m].
        end: Ends of the steps [s].
        behaviour: How fast they change lanes.
    """
    is_free = is_free | ((bound[:, 2] <= half_width) & (bound[:, 3] >= -half_width))
    shift = np.minimum(behaviour.lateral_speed * end, behaviour.lateral_slope * way)
    swing = np.minimum(length, _LONGEST)[:, None] / 2.0
    swing = swing * np.minimum(behaviour.lateral_slope, way / TIGHTEST)
    return half_width + np.where(is_free[:, None], shift + swing, 0.0)
