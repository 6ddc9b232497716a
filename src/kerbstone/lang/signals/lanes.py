"""On which lane a road user is, and how the lanes of two road users lie to one another.

`f(a, b)` says something about `a` relative to `b`. Lanes are those for something on wheels; those
for pedestrians count as sidewalks. Without a map, or on one without lanes, all is undefined, but
for `gap` and `following`, which then go by the strip straight ahead.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError, suggest_name
from kerbstone.lang.facts import Facts
from kerbstone.lang.kinds import DRIVERS
from kerbstone.lang.leaders import half_lengths, leaders_of
from kerbstone.lang.registry import signal
from kerbstone.lang.signals.kinematics import forward_speed
from kerbstone.scene import Kind, LaneKind, angle_difference

Rows = Int64[np.ndarray, " pair"]
Values = Float64[np.ndarray, "agent time"]
PairValues = Float64[np.ndarray, "pair time"]

_SAME = 100.0
"""How far apart along it two are in the same lane [m]."""
_MERGE = 60.0
"""How far ahead lanes come together [m]."""
_WALK = 0.5
_FOLLOWED = 4.0, 5.0
"""Whom one follows is at most so many seconds, and so many metres, ahead."""
_AGAINST = np.deg2rad(120.0)


@signal(margin=1.0)
def on_lane(facts: Facts) -> Values:
    """Its centre is on a lane."""
    if facts.places is None:
        return np.full(facts.agents.valid.shape, np.nan)
    return _claim(facts, facts.places.lane >= 0)


@signal(margin=1.0, texts=1)
def lane_kind(facts: Facts, kind: str) -> Values:
    """On a lane of a kind, as in `lane_kind(a, "bus")`."""
    names = {member.name.lower(): member for member in LaneKind}
    if kind not in names:
        raise InputError(
            "query-name", f"there is no kind {kind!r} of lanes", remedy=suggest_name(kind, names)
        )
    valid = facts.agents.valid
    if facts.road is None:
        return np.full(valid.shape, np.nan)
    if names[kind] == LaneKind.PEDESTRIAN:
        cells = np.zeros(valid.shape, bool)
        cells[valid] = facts.road.footways.holds(facts.point[valid])
        return _claim(facts, cells)
    if facts.stays is None:
        return np.full(valid.shape, np.nan)
    found = facts.stays.candidates
    cells = np.zeros(valid.size, bool)
    cells[found.point[facts.road.lanes.kind[found.lane] == names[kind]]] = True
    return _claim(facts, cells.reshape(valid.shape))


@signal(unit="m", margin=0.5)
def lane_offset(facts: Facts) -> Values:
    """How far its centre is to the left of the lane's centre line."""
    return _unknown(facts) if facts.places is None else facts.places.d


@signal(unit="rad", margin=0.2)
def lane_angle(facts: Facts) -> Values:
    """Its heading minus the direction of its lane, in [-pi, pi]."""
    if facts.places is None:
        return _unknown(facts)
    return angle_difference(facts.agents.heading, facts.places.heading)


@signal(unit="m/s", margin=2.0)
def speed_limit(facts: Facts) -> Values:
    """Speed limit of its lane, undefined where the map tells none."""
    if facts.places is None or facts.road is None:
        return _unknown(facts)
    lane = facts.places.lane
    return np.where(lane >= 0, facts.road.lanes.speed_limit[lane], np.nan)


@signal(margin=1.0)
def wrong_way(facts: Facts) -> Values:
    """Drives, faster than 1 m/s, against every lane there: by over 120°, outside intersections."""
    if facts.stays is None or facts.road is None:
        return _unknown(facts)
    agents, found = facts.agents, facts.stays.candidates
    agent = found.point // max(facts.steps, 1)
    # A cycle track may run both ways, which does not concern a car on it.
    counts = (facts.road.lanes.kind[found.lane] != LaneKind.BICYCLE) | agents.is_kind(
        Kind.CYCLIST, Kind.RIDER
    )[agent]
    counts &= agents.is_kind(*sorted(DRIVERS))[agent]
    turn = np.abs(angle_difference(agents.heading.reshape(-1)[found.point], found.heading))
    turn = np.where(facts.road.is_inside[found.lane], 0.0, turn)
    least = np.full(agents.valid.size, np.inf)
    np.minimum.at(least, found.point[counts], turn[counts])
    least = least.reshape(agents.valid.shape)
    forward = (agents.velocity * facts.ahead).sum(axis=-1)
    margin = np.minimum((least - _AGAINST) / np.deg2rad(30.0), forward - 1.0)
    return np.where(np.isinf(least) & agents.valid, -1.0, margin)


@signal(agents=2, margin=1.0, reach=_SAME)
def same_lane(facts: Facts, a: Rows, b: Rows) -> PairValues:
    """In one lane, or in lanes of which one leads into the other, within 100 m along them.

    Where lanes fork, the one behind counts as on the way that it takes in the record.
    """
    out = _false(facts, a, b)
    if facts.routes is None:
        return np.full(out.shape, np.nan)
    pair, step, along = _along(facts, a, b)
    near = np.abs(along) <= _SAME
    out[pair[near], step[near]] = 1.0
    return out


@signal(agents=2, margin=1.0, reach=_SAME)
def adjacent_lane(facts: Facts, a: Rows, b: Rows) -> PairValues:
    """In the lane left or right of b's, in the same direction, within 100 m."""
    return np.maximum(left_lane(facts, a, b), right_lane(facts, a, b))


@signal(agents=2, margin=1.0, reach=_SAME)
def left_lane(facts: Facts, a: Rows, b: Rows) -> PairValues:
    """In the lane on the left of b's, in the same direction, within 100 m."""
    return _table(facts, "left", a, b)


@signal(agents=2, margin=1.0, reach=_SAME)
def right_lane(facts: Facts, a: Rows, b: Rows) -> PairValues:
    """In the lane on the right of b's, in the same direction, within 100 m."""
    return _table(facts, "right", a, b)


@signal(agents=2, margin=1.0, reach=_SAME)
def opposite_lane(facts: Facts, a: Rows, b: Rows) -> PairValues:
    """In a lane of the carriageway beside b's that runs the other way, within 100 m."""
    return _table(facts, "opposite", a, b)


@signal(agents=2, margin=1.0, reach=2 * _MERGE)
def merging_lanes(facts: Facts, a: Rows, b: Rows) -> PairValues:
    """In different lanes that lead into one, which begins at most 60 m ahead of both."""
    routes, places = facts.routes, facts.places
    if routes is None or places is None:
        return np.full((len(a), facts.steps), np.nan)
    own, other = routes.meetings(a, b)
    near = (own - places.s[b] <= _MERGE) & (other - places.s[a] <= _MERGE)
    return np.where(near, 1.0, _false(facts, a, b))


@signal(agents=2, unit="m", margin=2.0)
def gap(facts: Facts, a: Rows, b: Rows) -> PairValues:
    """Distance along the lane between the nearer ends; negative where they overlap along it.

    It is the arc length between the centres along the lanes' centre lines, less half of both
    lengths; undefined where they are not in one lane sequence, as for `same_lane`. Without lanes
    it is straight along b's heading, while a is in the strip that b's box sweeps.
    """
    if facts.routes is None:
        ahead, aside = facts.offsets(a, b)
        width = facts.agents.size[:, 1]
        with np.errstate(invalid="ignore"):
            inside = np.abs(aside) < (width[a] + width[b])[:, None] / 2
        along = np.where(inside, np.abs(ahead), np.nan)
        return along - (half_lengths(facts)[a] + half_lengths(facts)[b])[:, None]
    out = np.full((len(a), facts.steps), np.nan)
    pair, step, along = _along(facts, a, b)
    half = half_lengths(facts)
    out[pair, step] = np.abs(along) - (half[a] + half[b])[pair]
    return out


@signal(agents=2, margin=1.0)
def following(facts: Facts, a: Rows, b: Rows) -> PairValues:
    """Drives behind b, the next ahead in its lane, within 5 m and 4 s; both move, and forwards."""
    out = _false(facts, a, b)
    leaders = leaders_of(facts)
    pair, step = np.nonzero(leaders.row[a] == b[:, None])
    speed = facts.keep(("forward_speed", ()), lambda: forward_speed(facts))
    half = half_lengths(facts)
    own, other = speed[a[pair], step], speed[b[pair], step]
    space = leaders.along[a[pair], step] - half[a[pair]] - half[b[pair]]
    seconds, metres = _FOLLOWED
    margin = np.minimum((own - _WALK) / _WALK, (other - _WALK) / _WALK)
    out[pair, step] = np.minimum(margin, (seconds * own + metres - space) / metres)
    return out


def _along(
    facts: Facts, a: Rows, b: Rows
) -> tuple[np.ndarray, np.ndarray, Float64[np.ndarray, " cell"]]:
    """Return where a and b are in one lane sequence, and how far a is ahead along it [m]."""
    routes, places = facts.routes, facts.places

    def measure() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if routes is None or places is None:
            raise TypeError("there are no lanes")
        base = routes.look_up(routes.along, a, b)
        pair, step = np.nonzero(~np.isnan(base))
        shift = places.s[a[pair], step] - places.s[b[pair], step]
        return pair, step, base[pair, step] + shift

    return facts.keep_recent(("along", a.tobytes(), b.tobytes()), measure)


def _table(facts: Facts, name: str, a: Rows, b: Rows) -> PairValues:
    """Return what a table of routes claims of two that are near each other."""
    if facts.routes is None:
        return np.full((len(a), facts.steps), np.nan)
    out = facts.routes.look_up(getattr(facts.routes, name), a, b)
    pair, step = np.nonzero(out > 0)
    way = facts.point[a[pair], step] - facts.point[b[pair], step]
    far = np.hypot(*way.T) > _SAME
    out[pair[far], step[far]] = -1.0
    return out


def _false(facts: Facts, a: Rows, b: Rows) -> PairValues:
    """Return -1 where both are there."""
    valid = facts.agents.valid
    return np.where(valid[a] & valid[b], -1.0, np.nan)


def _claim(facts: Facts, holds: np.ndarray) -> Values:
    return np.where(facts.agents.valid, np.where(holds, 1.0, -1.0), np.nan)


def _unknown(facts: Facts) -> Values:
    return np.full(facts.agents.valid.shape, np.nan)
