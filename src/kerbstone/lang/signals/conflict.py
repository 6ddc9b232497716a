"""How close two road users are to a collision, and what it takes to prevent it.

`f(a, b)` is about a as b meets it: b is the one that must act. All but the turning one
extrapolate both at their present velocities.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.lang.facts import Facts
from kerbstone.lang.registry import signal
from kerbstone.lang.signals.collision import (
    HORIZON,
    contact_time,
    discs_apart,
    discs_meet,
    slabs_between,
    turning_contact_time,
)
from kerbstone.lang.signals.encounters import Encounters, Numbers, measure_once
from kerbstone.lang.signals.evasion import (
    course_of,
    latest_start,
    least_acceleration,
)
from kerbstone.lang.signals.kinematics import forward_speed, yaw_rate
from kerbstone.lang.signals.lanes import gap

Rows = Int64[np.ndarray, " pair"]
Values = Float64[np.ndarray, "pair time"]

HARDEST_BRAKING = 8.0
"""What b can brake at [m/s²]: a dry road, as in RSS."""
HARDEST_STEERING = 8.0
"""What b can accelerate sideways at [m/s²]."""
_SLOWEST = 1.0
"""Below this speed the heading turns by noise more than by a path [m/s]."""
_TIGHTEST = 0.2
"""Curvature beyond which a path is no road user's, but noise [1/m]."""


@signal(agents=2, unit="s", margin=1.0)
def time_to_collision(facts: Facts, a: Rows, b: Rows) -> Values:
    """Time until the boxes touch if both keep their velocities; 0 where they do, inf if never.

    References:
        Hayward, "Near-miss determination through use of a scale of danger", Highway Research
        Record 384, 1972.
    """
    return measure_once(facts, a, b, _time_to_collision)


@signal(agents=2, unit="s", margin=1.0)
def time_to_collision_turning(facts: Facts, a: Rows, b: Rows) -> Values:
    """Time until the boxes touch if both keep speed and turn rate; inf if not within 8 s.

    What is slower than 1 m/s goes straight, and no path is taken for tighter than 5 m.
    """
    return measure_once(facts, a, b, _time_to_collision_turning)


@signal(agents=2, unit="s", margin=1.0)
def time_headway(facts: Facts, a: Rows, b: Rows) -> Values:
    """Time until b's front is where a's rear is now, along the lane, at b's speed.

    Inf where b stands or reverses, and where a is not ahead of b, or partly beside it; undefined
    where `gap` is.
    """
    time = gap(facts, a, b)
    pair, step = np.nonzero(~np.isnan(time))
    between = time[pair, step]
    one, other = (a[pair], step), (b[pair], step)
    ahead = ((facts.point[one] - facts.point[other]) * facts.ahead[other]).sum(axis=-1) > 0
    speed = facts.keep(("forward_speed", ()), lambda: forward_speed(facts))[other]
    reached = ahead & (between >= 0) & ~(speed <= 0)  # unknown where the speed is
    time[pair, step] = np.where(reached, between / np.where(reached, speed, 1.0), np.inf)
    return time


@signal(agents=2, unit="m/s2", margin=1.0)
def required_deceleration(facts: Facts, a: Rows, b: Rows) -> Values:
    """Deceleration with which b just does not hit a, which keeps its velocity; 0 where none.

    None is asked of b where it stands, or where it is a that runs into b from behind; inf where
    they touch.

    References:
        Almqvist, Hydén and Risser, "Use of speed limiters in cars for increased safety and a
        better environment", Transportation Research Record 1318, 1991.
        Jansson, "Collision Avoidance Theory", Linköping 2005, section 5.3.5.
    """
    course = course_of(facts, a, b)
    edge = course.edge(-1.0)
    needed = np.where(edge.from_behind, 0.0, least_acceleration(edge))
    return course.spread(np.where(course.contact > 0, needed, np.inf), otherwise=0.0)


@signal(agents=2, unit="m/s2", margin=1.0)
def required_lateral_acceleration(facts: Facts, a: Rows, b: Rows) -> Values:
    """Least acceleration to either side with which b just does not hit a; 0 where none.

    None is asked of b where it stands; inf where they touch.

    References:
        Jansson, "Collision Avoidance Theory", Linköping 2005, section 5.3.8.
    """
    course = course_of(facts, a, b)
    left, right = (least_acceleration(course.edge(side)) for side in (1j, -1j))
    needed = np.where(course.contact > 0, np.minimum(left, right), np.inf)
    return course.spread(needed, otherwise=0.0)


@signal(agents=2, unit="s", margin=0.5)
def time_to_react(facts: Facts, a: Rows, b: Rows) -> Values:
    """For how long b can wait and still prevent the collision by braking or steering at 8 m/s2.

    Inf where no collision is to come, and where b stands; minus inf where it is too late.

    References:
        Hillenbrand, Spieker and Kroschel, "A multilevel collision mitigation approach", IEEE
        Transactions on Intelligent Transportation Systems 7(4), 2006.
        Tamke, Dang and Breuel, "A flexible method for criticality assessment in driver
        assistance systems", IEEE Intelligent Vehicles Symposium 2011.
    """
    course = course_of(facts, a, b)
    times = [latest_start(course.edge(side), HARDEST_STEERING) for side in (1j, -1j)]
    times.append(latest_start(course.edge(-1.0), HARDEST_BRAKING, course.second.speed))
    latest = np.max(times, axis=0)
    in_time = (latest >= 0) & (course.contact > 0)
    return course.spread(np.where(in_time, latest, -np.inf), otherwise=np.inf)


def _time_to_collision(facts: Facts, a: Rows, b: Rows) -> Values:
    meetings = Encounters(facts, a, b)
    near = np.flatnonzero(discs_meet(meetings))
    result = np.full(len(meetings), np.inf)
    result[near] = contact_time(slabs_between(meetings.first(near), meetings.second(near)))
    return meetings.spread(result)


def _time_to_collision_turning(facts: Facts, a: Rows, b: Rows) -> Values:
    meetings = Encounters(facts, a, b)
    turn, bend = facts.keep("steady turns", lambda: _steady_turns(facts))
    index, other = meetings.index, meetings.other_index
    start = discs_apart(meetings, bend)
    result = np.full(len(meetings), np.inf)
    near = np.flatnonzero(start <= HORIZON)
    first, second = meetings.first(near), meetings.second(near)
    turns = turn[index[near]], turn[other[near]]
    result[near] = turning_contact_time(first, second, *turns, start[near])
    return meetings.spread(result)


def _steady_turns(facts: Facts) -> tuple[Numbers, Numbers]:
    """Return each road user's turn rate, as far as its path shows one, and what bends that path.

    In rad/s and, for the centripetal acceleration, m/s².
    """
    rate = np.nan_to_num(facts.keep(("yaw_rate", ()), lambda: yaw_rate(facts)))
    speed = np.nan_to_num(facts.agents.speed)
    most = np.where(speed >= _SLOWEST, _TIGHTEST * speed, 0.0)
    turn = np.clip(rate, -most, most)
    return turn.ravel(), (np.abs(turn) * speed).ravel()
