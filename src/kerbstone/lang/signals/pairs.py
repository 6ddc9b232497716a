"""Where two road users are, and how they move, relative to each other.

`f(a, b)` says something about `a` as seen from `b`, in b's frame: x along its heading, y to its
left. Where the size of a box is not known, sides and gaps that need it are undefined, and what
only asks for a direction takes the box for a point.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.lang.facts import Facts
from kerbstone.lang.registry import signal
from kerbstone.scene import BevIndex, angle_difference, box_distance

Rows = Int64[np.ndarray, " pair"]
Values = Float64[np.ndarray, "pair time"]

_ALIKE = np.deg2rad(45.0)
_ACROSS = np.deg2rad(30.0)
_TOWARDS = np.deg2rad(22.5)
_AROUND = 50.0
_WALK = 0.5
"""What moves slower is not going anywhere [m/s]."""
_STILL = 1e-3
"""What moves slower stands, but for rounding [m/s]."""
_ROUNDING = 1e-6
"""By how much distances of equal value may differ [m]."""


def _between_circles(facts: Facts, a: Rows, b: Rows) -> tuple[Values, Values]:
    """Return how far apart circles around boxes are, and circles in them [m]."""
    way = centre_distance(facts, a, b)
    size = facts.agents.size[:, :2]
    outer, inner = np.hypot(*size.T) / 2, size.min(axis=1) / 2
    low = way - (outer[a] + outer[b])[:, None] - _ROUNDING
    high = way - (inner[a] + inner[b])[:, None] + _ROUNDING
    return np.maximum(low, 0.0), np.maximum(high, 0.0)


@signal(agents=2, unit="m", margin=2.0, apart=True, between=_between_circles)
def distance(
    facts: Facts, a: Rows, b: Rows, *, where: Bool[np.ndarray, "pair time"] | None = None
) -> Values:
    """Shortest way between the boxes, seen from above; 0 where they touch."""
    # It is the same from either side, and of pairs that are not there together nothing is known.
    valid, boxes = facts.agents.valid, facts.boxes
    count = max(len(valid), 1)
    code = np.minimum(a, b) * count + np.maximum(a, b)
    code, place = np.unique(code, return_inverse=True)
    one, other = np.divmod(code, count)
    wanted = valid[one] & valid[other]
    if where is not None and len(code):
        order = np.argsort(place, kind="stable")
        starts = np.searchsorted(place[order], np.arange(len(code)))
        wanted &= np.logical_or.reduceat(where[order], starts, axis=0)
    pair, step = np.nonzero(wanted)
    out = np.full((len(code), facts.steps), np.nan)
    out[pair, step] = box_distance(boxes[one[pair], step], boxes[other[pair], step])
    return np.maximum(out, 0.0)[place]


@signal(agents=2, unit="m", margin=2.0, apart=True)
def centre_distance(facts: Facts, a: Rows, b: Rows) -> Values:
    """Distance of the centres, seen from above."""
    return np.hypot(*facts.offsets(a, b))


@signal(agents=2, margin=1.0, reach=2 * _AROUND)
def nearby(facts: Facts, a: Rows, b: Rows) -> Values:
    """Within 50 m, from box to box: the more strongly the nearer, and at most 1."""
    return (_AROUND - distance(facts, a, b)) / _AROUND


@signal(agents=2, unit="m", margin=2.0)
def longitudinal_offset(facts: Facts, a: Rows, b: Rows) -> Values:
    """How far the centre of a is ahead of that of b, along b's heading."""
    return facts.offsets(a, b)[0]


@signal(agents=2, unit="m", margin=1.0)
def lateral_offset(facts: Facts, a: Rows, b: Rows) -> Values:
    """How far the centre of a is to the left of that of b, across b's heading."""
    return facts.offsets(a, b)[1]


@signal(agents=2, unit="m", margin=0.5)
def lateral_gap(facts: Facts, a: Rows, b: Rows) -> Values:
    """Clearance between the sides, across b's heading; negative where they overlap so."""
    _, across = extents(facts, a, b)
    width = facts.boxes[b][..., BevIndex.WIDTH]
    return np.abs(facts.offsets(a, b)[1]) - across - width / 2


@signal(agents=2, unit="rad", margin=0.2)
def bearing(facts: Facts, a: Rows, b: Rows) -> Values:
    """Direction in which b sees the centre of a: 0 straight ahead, positive to the left."""
    x, y = facts.offsets(a, b)
    return np.arctan2(y, x)


@signal(agents=2, unit="rad", margin=0.2)
def relative_heading(facts: Facts, a: Rows, b: Rows) -> Values:
    """Heading of a less that of b, between minus and plus half a turn."""
    return turn_between(facts, a, b)


@signal(agents=2, unit="m/s", margin=2.0)
def relative_speed(facts: Facts, a: Rows, b: Rows) -> Values:
    """Speed of a less that of b."""
    speed = facts.agents.speed
    return speed[a] - speed[b]


@signal(agents=2, unit="m/s", margin=2.0)
def closing_speed(facts: Facts, a: Rows, b: Rows) -> Values:
    """How fast the centres come nearer to each other; negative where they part."""
    velocity = facts.agents.velocity
    return _towards(facts, velocity[a] - velocity[b], a, b)


@signal(agents=2, unit="m/s", margin=2.0)
def speed_toward(facts: Facts, a: Rows, b: Rows) -> Values:
    """The part of a's own velocity that points at the centre of b."""
    return _towards(facts, facts.agents.velocity[a], a, b)


@signal(agents=2, margin=1.0)
def ahead(facts: Facts, a: Rows, b: Rows) -> Values:
    """In front of b: its centre is beyond b's front, however far to a side."""
    return _beyond(facts, a, b, along=True, sign=1.0)


@signal(agents=2, margin=1.0)
def behind(facts: Facts, a: Rows, b: Rows) -> Values:
    """At the back of b: its centre is beyond b's rear, however far to a side."""
    return _beyond(facts, a, b, along=True, sign=-1.0)


@signal(agents=2, margin=1.0)
def left_of(facts: Facts, a: Rows, b: Rows) -> Values:
    """To the left of b: its centre is beyond b's left side, however far ahead or behind."""
    return _beyond(facts, a, b, along=False, sign=1.0)


@signal(agents=2, margin=1.0)
def right_of(facts: Facts, a: Rows, b: Rows) -> Values:
    """To the right of b: its centre is beyond b's right side, however far ahead or behind."""
    return _beyond(facts, a, b, along=False, sign=-1.0)


@signal(agents=2, margin=1.0)
def same_direction(facts: Facts, a: Rows, b: Rows) -> Values:
    """Heading the same way, within 45 degrees."""
    return (_ALIKE - np.abs(turn_between(facts, a, b))) / _ALIKE


@signal(agents=2, margin=1.0)
def opposite_direction(facts: Facts, a: Rows, b: Rows) -> Values:
    """Heading the other way, within 45 degrees."""
    return (np.abs(turn_between(facts, a, b)) - (np.pi - _ALIKE)) / _ALIKE


@signal(agents=2, margin=1.0)
def perpendicular(facts: Facts, a: Rows, b: Rows) -> Values:
    """Heading across, within 30 degrees of a right angle."""
    return (_ACROSS - np.abs(np.abs(turn_between(facts, a, b)) - np.pi / 2)) / _ACROSS


@signal(agents=2, margin=1.0)
def facing(facts: Facts, a: Rows, b: Rows) -> Values:
    """The front of a points at the centre of b, within 22.5 degrees."""
    return (_TOWARDS - np.abs(bearing(facts, b, a))) / _TOWARDS


@signal(agents=2, margin=1.0)
def heading_toward(facts: Facts, a: Rows, b: Rows) -> Values:
    """Moving at 0.5 m/s or more, in a direction within 22.5 degrees of the centre of b."""
    velocity, speed = facts.agents.velocity[a], facts.agents.speed[a]
    step = facts.point[b] - facts.point[a]
    across = velocity[..., 0] * step[..., 1] - velocity[..., 1] * step[..., 0]
    along = velocity[..., 0] * step[..., 0] + velocity[..., 1] * step[..., 1]
    # What stands has no direction, and misses by its speed alone.
    angle = np.where(speed > _STILL, np.arctan2(across, along), 0.0 * along)
    aim = (_TOWARDS - np.abs(angle)) / _TOWARDS
    return np.minimum(aim, (speed - _WALK) / _WALK)


@signal(agents=2, margin=1.0)
def approaching(facts: Facts, a: Rows, b: Rows) -> Values:
    """Coming nearer: the centres close by more than 0.5 m/s."""
    return (closing_speed(facts, a, b) - _WALK) / _WALK


@signal(agents=2, margin=1.0, reach=1.0)
def touching(facts: Facts, a: Rows, b: Rows) -> Values:
    """The boxes touch or overlap, seen from above."""
    apart = distance(facts, a, b)
    return np.where(apart == 0, 1.0, -apart)


def turn_between(facts: Facts, a: Rows, b: Rows) -> Values:
    """Return the heading of a less that of b, in [-pi, pi] [rad]."""
    heading = facts.agents.heading
    return angle_difference(heading[a], heading[b])


def extents(facts: Facts, a: Rows, b: Rows) -> tuple[Values, Values]:
    """Return how far the box of a reaches from its centre along and across b's heading [m]."""
    turn = turn_between(facts, a, b)
    cos, sin = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    length, width = facts.agents.size[a, 0, None] / 2, facts.agents.size[a, 1, None] / 2
    return length * cos + width * sin, length * sin + width * cos


def _towards(
    facts: Facts, velocity: Float64[np.ndarray, "pair time 2"], a: Rows, b: Rows
) -> Values:
    step = facts.point[b] - facts.point[a]
    length = np.hypot(step[..., 0], step[..., 1])
    along = velocity[..., 0] * step[..., 0] + velocity[..., 1] * step[..., 1]
    # At one point there is no direction between them, and no way to go.
    return along / np.where(length > 0, length, 1.0)


def _beyond(facts: Facts, a: Rows, b: Rows, *, along: bool, sign: float) -> Values:
    half = np.nan_to_num(facts.agents.size[b, 0 if along else 1, None]) / 2
    return sign * facts.offsets(a, b)[0 if along else 1] - half
