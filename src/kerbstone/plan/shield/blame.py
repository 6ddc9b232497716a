"""Whether ego caused a collision.

The theorem speaks of collisions that ego *causes*, so this has to be exact, and as narrow as RSS
has it. A collision is ego's unless one of these holds at or before the contact:

1. *Standing*: ego stands, and no part of it is where it must not stop.
2. *Hit from behind*: the other was behind ego, the same way, when the two began to overlap across
   the lane; and either the gap was then one that RSS asks of the other, or ego had not moved aside.
3. *Hit from the side*: the two were abreast when they began to overlap across the lane, they point
   along the same line, and ego had not moved aside.
4. *Cut in*: the other was ahead, at a gap below the one that RSS asks of it, when they began to
   overlap across the lane, they point along the same line, and ego had not moved aside.

"Moved aside" is: by more than `Assumptions.swaying` and the tube towards the other, across ego's
route, within the response time before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64, Integer

from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.failsafe import choose_route
from kerbstone.plan.shield.manoeuvre import place_body
from kerbstone.plan.shield.path import Extent
from kerbstone.plan.shield.road import Road
from kerbstone.plan.shield.rss import longitudinal_distance, opposite_distance
from kerbstone.plan.vehicle import StateIndex, Vehicle

_STILL = 1e-3
"""What is slower stands [m/s]."""


@dataclass(frozen=True, eq=False)
class Contact:
    """Two tracks that end at a contact, or at the first sample after it.

    Args:
        ego: States of ego; columns as in `StateIndex`.
        kind: Of the other: values of `Kind`.
        position: Middle of the other's box in the world frame [m].
        heading: Of the other [rad].
        speed: Of the other [m/s].
        size: Length and width of the other [m].
        step: Time between two samples [s]. The window should reach two seconds back at least.
    """

    ego: Float64[np.ndarray, "contact time 6"]
    kind: Integer[np.ndarray, " contact"]
    position: Float64[np.ndarray, "contact time 2"]
    heading: Float64[np.ndarray, "contact time"]
    speed: Float64[np.ndarray, "contact time"]
    size: Float64[np.ndarray, "contact 2"]
    step: float


def is_caused_by_ego(
    contact: Contact, road: Road, *, vehicle: Vehicle, assumptions: Assumptions
) -> Bool[np.ndarray, " contact"]:
    """Return which collisions ego caused.

    Args:
        contact: The tracks until the contact.
        road: Its routes give what is along and across; beside all routes ego's heading at the
            contact does.
        vehicle: Ego's size.
        assumptions: The RSS parameters.
    """
    count = len(contact.ego)
    row = np.arange(count)
    ego, other = _extents(contact, road, vehicle, assumptions)
    begin = _begin(ego, other)
    ahead = (other.station[..., 0] - ego.station[..., 1])[row, begin]
    behind = (ego.station[..., 0] - other.station[..., 1])[row, begin]
    turn = np.abs(_wrap(other.turn - ego.turn)[row, begin])
    same, opposite = turn < assumptions.aligned, turn > np.pi - assumptions.aligned
    still = ~_moved_aside(contact, ego, other, begin, vehicle, assumptions)

    own = np.maximum(contact.ego[row, begin, StateIndex.SPEED], 0.0)
    their = contact.speed[row, begin]
    excused = _stands(contact, road, vehicle)
    asked = longitudinal_distance(
        their,
        own,
        response=assumptions.look_up("response", contact.kind),
        acceleration=assumptions.look_up("acceleration", contact.kind),
        mild_braking=assumptions.look_up("mild_braking", contact.kind),
        braking=assumptions.ego.hardest,
    )
    excused |= same & (behind >= 0.0) & ((behind >= asked) | still)
    abreast = (behind < 0.0) & (ahead < 0.0)
    excused |= abreast & (same | opposite) & still & (begin > 0)
    me = assumptions.ego
    room = longitudinal_distance(
        own,
        their,
        response=me.response,
        acceleration=me.acceleration,
        mild_braking=me.braking,
        braking=assumptions.look_up("braking", contact.kind),
    )
    head_on = opposite_distance(
        own,
        their,
        response=me.response,
        acceleration=me.acceleration,
        mild_braking=me.braking,
        wrong_side_braking=assumptions.default.mild_braking,
    )
    short = ahead < np.where(opposite, head_on, room)
    excused |= (ahead >= 0.0) & (same | opposite) & short & still & (begin > 0)
    return ~excused


def _begin(ego: Extent, other: Extent) -> Int64[np.ndarray, " contact"]:
    """Return since which sample the two have overlapped across the lane, until the contact."""
    apart = (ego.offset[..., 0] > other.offset[..., 1]) | (
        other.offset[..., 0] > ego.offset[..., 1]
    )
    apart[:, -1] = False
    last = apart.shape[1] - 1 - apart[:, ::-1].argmax(axis=1)
    return np.where(apart.any(axis=1), last + 1, 0)


def _moved_aside(
    contact: Contact,
    ego: Extent,
    other: Extent,
    begin: Int64[np.ndarray, " contact"],
    vehicle: Vehicle,
    assumptions: Assumptions,
) -> Bool[np.ndarray, " contact"]:
    """Tell where ego moved towards the other before they began to overlap."""
    row = np.arange(len(begin))
    middle = ego.offset.mean(axis=-1)
    back = round(assumptions.ego.response / contact.step)
    before = np.maximum(begin - back, 0)
    # Where the other is as it comes into line; before, it may have been on the other side.
    side = np.sign(other.offset.mean(axis=-1) - middle)[row, begin]
    # What is within the tube is no intent either.
    tube = assumptions.tube
    sway = assumptions.swaying + 2.0 * (tube.lateral + vehicle.length * tube.heading)
    # The farthest that it came towards the other, from the farthest that it was away.
    index = np.arange(middle.shape[1])
    within = (index >= before[:, None]) & (index <= begin[:, None])
    towards = np.where(within, middle * side[:, None], np.nan)
    highest = np.fmax.accumulate(towards[:, ::-1], axis=1)[:, ::-1]
    return np.nanmax(highest - towards, axis=1) > sway


def _stands(contact: Contact, road: Road, vehicle: Vehicle) -> Bool[np.ndarray, " contact"]:
    slow = np.abs(contact.ego[:, -1, StateIndex.SPEED]) <= _STILL
    return slow & ~road.find_no_stopping(*place_body(contact.ego[:, -1], vehicle))


def _extents(
    contact: Contact, road: Road, vehicle: Vehicle, assumptions: Assumptions
) -> tuple[Extent, Extent]:
    """Return where both are along and across ego's route, or ego's heading where it has none."""
    mine = place_body(contact.ego, vehicle)
    direction = np.stack([np.cos(contact.heading), np.sin(contact.heading)], axis=-1)
    half = np.broadcast_to(contact.size[:, None] / 2.0, contact.position.shape)
    theirs = contact.position, direction, half
    extents = _straight(mine, mine), _straight(mine, theirs)
    chosen = choose_route(contact.ego[:, -1], road, aligned=assumptions.aligned)
    for k in np.unique(chosen[chosen >= 0]):
        rows = np.flatnonzero(chosen == k)
        found = tuple(
            road.routes[k].path.bound_boxes(*(part[rows] for part in boxes))
            for boxes in (mine, theirs)
        )
        known = np.logical_and.reduce([(one.near & one.sure).all(axis=1) for one in found])
        for whole, part in zip(extents, found, strict=True):
            for name in ("station", "offset", "cosine", "sine", "slope"):
                getattr(whole, name)[rows[known]] = getattr(part, name)[known]
    return extents


def _straight(
    mine: tuple[np.ndarray, np.ndarray, np.ndarray],
    boxes: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> Extent:
    """Return where boxes lie in the frame of ego at the contact."""
    origin, axis = mine[0][:, -1:], mine[1][:, -1:]
    centre, direction, half = boxes
    away = centre - origin
    along = away[..., 0] * axis[..., 0] + away[..., 1] * axis[..., 1]
    aside = away[..., 1] * axis[..., 0] - away[..., 0] * axis[..., 1]
    cosine = direction[..., 0] * axis[..., 0] + direction[..., 1] * axis[..., 1]
    sine = direction[..., 1] * axis[..., 0] - direction[..., 0] * axis[..., 1]
    reach = np.abs(cosine) * half[..., 0] + np.abs(sine) * half[..., 1]
    spread = np.abs(sine) * half[..., 0] + np.abs(cosine) * half[..., 1]
    fine = np.ones(along.shape, dtype=bool)
    return Extent(
        np.stack([along - reach, along + reach], axis=-1),
        np.stack([aside - spread, aside + spread], axis=-1),
        cosine,
        sine,
        np.zeros_like(sine),
        fine,
        fine,
    )


def _wrap(angle: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    return (angle + np.pi) % (2.0 * np.pi) - np.pi
