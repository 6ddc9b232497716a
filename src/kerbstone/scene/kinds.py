"""The closed enums that every outside format maps into.

The values are stored in tables, so a member's number never changes; new members go at the end.
"""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """What a road user or object is. The format's own label is kept beside it."""

    UNKNOWN = 0
    CAR = 1
    TRUCK = 2
    BUS = 3
    TRAILER = 4
    TRAIN = 5
    MOTORCYCLE = 6
    """A motorcycle or moped, ridden or parked."""
    CYCLIST = 7
    """A bicycle with its rider."""
    BICYCLE = 8
    """A bicycle without a rider."""
    PEDESTRIAN = 9
    """A person on foot, in a wheelchair or with a stroller."""
    RIDER = 10
    """A person on a small wheeled device: kick scooter, skateboard."""
    ANIMAL = 11
    OBJECT = 12
    """A thing that does not move by itself: cone, barrier, sign, debris."""


VEHICLES = frozenset({Kind.CAR, Kind.TRUCK, Kind.BUS, Kind.TRAILER, Kind.TRAIN, Kind.MOTORCYCLE})
VULNERABLE = frozenset({Kind.MOTORCYCLE, Kind.CYCLIST, Kind.PEDESTRIAN, Kind.RIDER})


class PieceKind(IntEnum):
    """What a polyline of the map stands for. Rings repeat their first point at the end."""

    LANE_CENTRE = 1
    """In driving direction."""
    LANE_BOUNDARY = 2
    ROAD_EDGE = 3
    CROSSWALK = 4
    """Ring."""
    STOP_LINE = 5
    SIDEWALK = 6
    """Ring."""
    DRIVABLE_AREA = 7
    """Ring."""
    SPEED_BUMP = 8
    DRIVEWAY = 9
    INTERSECTION = 10
    """Ring."""
    STOP_SIGN = 11
    """One point, repeated."""
    PARKING = 12
    """Ring."""
    LANE_AREA = 13
    """Ring: the surface of a lane whose two boundaries are not given."""


RINGS = frozenset(
    {
        PieceKind.CROSSWALK,
        PieceKind.SIDEWALK,
        PieceKind.DRIVABLE_AREA,
        PieceKind.INTERSECTION,
        PieceKind.PARKING,
        PieceKind.LANE_AREA,
    }
)


class Marking(IntEnum):
    """How a lane boundary is painted. White and yellow are told apart by `*_YELLOW`."""

    UNKNOWN = 0
    NONE = 1
    SOLID = 2
    DASHED = 3
    DOUBLE_SOLID = 4
    DOUBLE_DASHED = 5
    SOLID_DASHED = 6
    """Solid on the left of the line's direction, dashed on its right."""
    DASHED_SOLID = 7
    SOLID_YELLOW = 8
    DASHED_YELLOW = 9
    DOUBLE_SOLID_YELLOW = 10
    DOUBLE_DASHED_YELLOW = 11
    SOLID_DASHED_YELLOW = 12
    DASHED_SOLID_YELLOW = 13
    CURB = 14
    VIRTUAL = 15
    """Not painted: the border of a lane through an intersection."""


class LaneKind(IntEnum):
    """Whom a lane is for."""

    UNKNOWN = 0
    VEHICLE = 1
    BUS = 2
    BICYCLE = 3
    PEDESTRIAN = 4
    RAIL = 5
    SHOULDER = 6
    RAMP = 7
    """A motorway's on- or off-ramp, with its acceleration lane."""


class SignalState(IntEnum):
    """What a traffic light shows."""

    UNKNOWN = 0
    RED = 1
    RED_YELLOW = 2
    YELLOW = 3
    GREEN = 4
    """Go, with priority."""
    GREEN_YIELD = 5
    """Go, but give way to others who also have green."""
    FLASHING_YELLOW = 6
    FLASHING_RED = 7
    OFF = 8


class DrivingSide(IntEnum):
    """On which side of the road vehicles drive."""

    UNKNOWN = 0
    RIGHT = 1
    LEFT = 2


class Tristate(IntEnum):
    """A claim that a format may leave open."""

    UNKNOWN = -1
    NO = 0
    YES = 1
