"""Corridors: a route as a smooth line with the room beside it and the speed wanted on it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64
from scipy.interpolate import CubicSpline

from kerbstone.errors import InputError
from kerbstone.plan.corridor import Corridor, fit_corridor
from kerbstone.plan.problem import Horizon
from kerbstone.plan.roads.lines import bend, normals, prolong, smooth_line
from kerbstone.plan.roads.road import Road
from kerbstone.plan.roads.rooms import Room, Sides, lane_of, measure_room, settle
from kerbstone.plan.roads.routes import Route
from kerbstone.plan.roads.speeds import wish_speed
from kerbstone.plan.vehicle import StateIndex, Vehicle
from kerbstone.scene import angle_difference, project

KNOTS = (64, 96, 128, 192)
"""Corridors have one of these numbers of knots, so that few shapes are compiled."""

_SHARE_OF_LOCK = 0.9
_SHARE_OF_RADIUS = 0.9
"""Room on the inside of a curve is less than its radius, beyond which places become ambiguous."""
_CLEAR = 0.1
"""Room that is left beside a car where a corridor is widened for it [m]."""
_STRETCH = 4.0
"""A corridor is widened from this far before the car's discs to this far behind them [m]."""
_REACTION = 0.3
"""A car needs this long to turn its wheels the other way [s]."""
_STEERING_BACK = 1.0
"""And this long to come back to the line's direction [s]."""
_COUNTER = 2.5
"""Lateral acceleration with which it does so [m/s²]."""
_FARTHEST_DRIFT = 2.0
"""No more room is added for that [m]."""
_BESIDE = 6.0
"""A car this far from a route's line or further is not on the route [m]."""


@dataclass(frozen=True)
class CorridorRules:
    """How a corridor is laid.

    Args:
        room: How far a plan may leave its lane.
        reach: No room is said to be greater [m].
        half_width: Room on either side where there is no map [m].
        speed: Speed wanted where the map gives no limit [m/s].
        lateral: Greatest comfortable lateral acceleration [m/s²].
        acceleration: Greatest comfortable acceleration [m/s²].
        braking: Hardest comfortable braking, a positive number [m/s²].
        spacing: Length of a piece of the corridor [m].
        behind: How far it begins before the car's rear axle [m].
        margin: How much longer it is than the way that can be driven within the horizon [m].

    Raises:
        InputError: A number is not above zero.
    """

    room: Room = Room.DIRECTION
    reach: float = 8.0
    half_width: float = 2.5
    speed: float = 50.0 / 3.6
    lateral: float = 2.5
    acceleration: float = 1.5
    braking: float = 1.5
    spacing: float = 2.0
    behind: float = 10.0
    margin: float = 10.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name != "room" and not 0.0 < value < np.inf:
                raise InputError(
                    "value", f"corridor rule {name} is not above zero", why=f"{name} = {value}"
                )


@dataclass(frozen=True, eq=False)
class LaidCorridor:
    """A corridor, and what had to be done to lay it.

    Args:
        corridor: The corridor.
        rear: Arc length of the car's rear axle on it [m].
        known: How far ahead of the rear axle the known way reaches; beyond it the corridor goes
            straight on, as wide as before [m].
        widened: By how much room was added at most so that it holds the car where it is [m].
    """

    corridor: Corridor
    rear: float
    known: float
    widened: float


def count_knots(speed: float, vehicle: Vehicle, horizon: Horizon, rules: CorridorRules) -> int:
    """Return how many knots a corridor needs for a car of this speed [m/s].

    It reaches as far as the front of the car can come within the horizon at its greatest
    acceleration, and a margin.

    Raises:
        InputError: It needs more knots than the largest corridor has.
    """
    time = horizon.steps * horizon.dt
    way = speed * time + vehicle.acceleration[1] * time**2 / 2
    way = max(min(way, vehicle.speed[1] * time), 0.0) + vehicle.length + rules.margin
    needed = int(np.ceil((rules.behind + way) / rules.spacing)) + 3
    for knots in KNOTS:
        if needed <= knots:
            return knots
    raise InputError(
        "value",
        "a corridor for this horizon is too long",
        why=f"{way:.0f} m in pieces of {rules.spacing:g} m make {needed} knots, above {KNOTS[-1]}",
        remedy="plan less far ahead, or in longer pieces",
    )


def length_ahead(knots: int, rules: CorridorRules) -> float:
    """Return how far ahead of the rear axle a corridor of so many knots reaches [m]."""
    return (knots - 3) * rules.spacing - rules.behind


def lay_corridor(
    route: Route,
    state: Float64[np.ndarray, " 6"],
    *,
    road: Road | None,
    vehicle: Vehicle,
    knots: int,
    rules: CorridorRules | None = None,
) -> LaidCorridor:
    """Return the corridor along a route, around a car on it.

    Args:
        route: The route.
        state: Of the car, columns `StateIndex`.
        road: The road that the room is measured on; None for a route without lanes.
        vehicle: The car.
        knots: How many knots the corridor has; see `count_knots`.
        rules: How it is laid.

    Raises:
        InputError: The car is not on the route.
    """
    rules = rules or CorridorRules()
    rear, heading = state[:2], float(state[StateIndex.HEADING])
    ahead = length_ahead(knots, rules)
    shift = rules.behind + vehicle.length
    # Smoothing a line may shorten it a little.
    before = max(shift - route.start, 0.0) + 10.0
    line = prolong(
        route.line,
        before=before,
        after=max(ahead + shift - (route.length - route.start), 0.0) + 10.0,
    )
    sharpest = _SHARE_OF_LOCK * np.tan(vehicle.steering) / vehicle.wheelbase
    curve = smooth_line(line, curvature=float(sharpest))
    begin = _foot(curve, rear, heading, near=before + route.start) - rules.behind
    s = begin + rules.spacing * np.arange(knots - 2)
    points, left_of = curve(s), normals(curve, s)
    place = s - before
    known = int(np.searchsorted(place, route.length, side="right"))
    if road is None or not len(route.lanes):
        sides = Sides(np.full(len(s), rules.half_width), np.full(len(s), rules.half_width))
        limit = np.full(len(s), rules.speed)
    else:
        sides = measure_room(
            road, route, place, points, left_of, room=rules.room, reach=rules.reach
        )
        limit = road.map.lanes.speed_limit[lane_of(route, place)]
        limit = np.where(limit > 0, limit, rules.speed)
    curvature = bend(curve, s)
    sides = Sides(
        settle(np.minimum(sides.left, _before_centre(curvature)), known=known),
        settle(np.minimum(sides.right, _before_centre(-curvature)), known=known),
    )
    sides, widened = _hold_car(sides, curve, s, state, vehicle)
    speed = wish_speed(
        np.minimum(limit, vehicle.speed[1]),
        curvature,
        spacing=rules.spacing,
        lateral=rules.lateral,
        acceleration=rules.acceleration,
        braking=rules.braking,
    )
    # The line must pass through its samples. Room and speed must not pass their bounds, as they
    # would between samples if they were interpolated: they are the coefficients themselves.
    corridor = replace(
        fit_corridor(points, sides.left, sides.right, speed),
        left=np.pad(sides.left, 1, mode="edge"),
        right=np.pad(sides.right, 1, mode="edge"),
        speed=np.pad(speed, 1, mode="edge"),
    )
    return LaidCorridor(
        corridor=corridor,
        rear=rules.behind,
        known=float(np.clip(route.length - place[0] - rules.behind, 0.0, ahead)),
        widened=widened,
    )


def pad_corridor(corridor: Corridor, knots: int) -> Corridor:
    """Return a corridor that goes on straight until it has so many knots.

    Raises:
        InputError: It has more already.
    """
    missing = knots - len(corridor.left)
    if missing < 0:
        raise InputError(
            "shape",
            "a corridor has more knots than it is to be padded to",
            why=f"{len(corridor.left)} against {knots}",
        )
    if missing == 0:
        return corridor
    line = np.asarray(corridor.line)
    onward = np.arange(1, missing + 1)[:, None] * (line[-1] - line[-2])
    hold = {
        name: np.concatenate(
            [getattr(corridor, name), np.full(missing, getattr(corridor, name)[-1])]
        )
        for name in ("left", "right", "speed")
    }
    return replace(corridor, line=np.concatenate([line, line[-1] + onward]), **hold)


def _before_centre(curvature: np.ndarray) -> np.ndarray:
    """Return how far to the left of a line every point has one nearest place on it [m]."""
    return _SHARE_OF_RADIUS / np.maximum(curvature, 1e-6)


def _foot(curve: CubicSpline, rear: np.ndarray, heading: float, *, near: float) -> float:
    """Return the arc length of the rear axle on a curve, looked for around a place [m]."""
    s = np.linspace(max(near - 15.0, 0.0), min(near + 10.0, float(curve.x[-1])), 60)
    found = project(rear, curve(s))
    along = float(s[0] + found.s)
    way = curve(along, 1)
    turn = angle_difference(np.float64(heading), np.arctan2(way[1], way[0]))
    if np.abs(found.d) > _BESIDE or np.abs(turn) > np.pi / 2:
        raise InputError(
            "value",
            "the car is not on its route",
            where=f"x, y = {rear[0]:.1f}, {rear[1]:.1f}",
            why=f"it is {np.abs(found.d):.1f} m beside it and {np.rad2deg(np.abs(turn)):.0f}° off",
            remedy="give a route that begins where the car is",
        )
    return along


def _hold_car(
    sides: Sides,
    curve: CubicSpline,
    s: np.ndarray,
    state: np.ndarray,
    vehicle: Vehicle,
) -> tuple[Sides, float]:
    """Return the room widened where the car is and must go on to, and by how much at most [m].

    A car that drifts away from the line goes on doing so until it has steered against that, and
    needs the room. Ahead, what was added is given back over the next metres, without a step.
    """
    speed, steering = state[StateIndex.SPEED], state[StateIndex.STEERING]
    heading = state[StateIndex.HEADING]
    way = np.array([np.cos(heading), np.sin(heading)])
    discs = state[:2] + np.outer(vehicle.disc_offsets, way)
    found = project(discs, curve(s))
    # The chords of the samples are a little shorter than the curve.
    at = s[0] + found.s
    along = curve(at[1], 1)
    turned = angle_difference(heading, np.arctan2(along[1], along[0]))
    bent = np.tan(steering) / vehicle.wheelbase - bend(curve, at[1:2])[0]
    drift = float(speed * np.sin(turned) + speed**2 * bent * _REACTION)
    beside = (s >= at.min() - _STRETCH) & (s <= at.max() + _STRETCH + speed * _STEERING_BACK)
    added = 0.0
    held = []
    for room, d, leaving in ((sides.left, found.d, drift), (sides.right, -found.d, -drift)):
        outward = max(leaving, 0.0)
        needs = d.max() + vehicle.disc_radius + _CLEAR
        needs += min(outward * _REACTION + outward**2 / (2.0 * _COUNTER), _FARTHEST_DRIFT)
        lacks = float(needs - room[beside].min())
        if lacks > 0:
            fades = 15.0 + 5.0 * lacks
            far = np.maximum(s - s[beside][-1], s[beside][0] - s).clip(0.0) / fades
            share = np.clip(1.0 - far, 0.0, 1.0)
            added = max(added, lacks)
            held.append(room + lacks * share**2 * (3.0 - 2.0 * share))
        else:
            held.append(room)
    return Sides(*held), added
