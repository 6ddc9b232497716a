"""How one road user moves."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from kerbstone.lang.facts import Facts
from kerbstone.lang.registry import signal
from kerbstone.scene import wrap_angle

Values = Float64[np.ndarray, "agent time"]

_SLOWEST = 1.0
"""Below this speed a path has no curvature that one could measure [m/s]."""
_STILL = 0.3
_PARKED = 2.0


@signal(unit="m/s", margin=2.0)
def speed(facts: Facts) -> Values:
    """Speed over ground."""
    return facts.agents.speed


@signal(unit="m/s", margin=2.0)
def forward_speed(facts: Facts) -> Values:
    """Speed along the heading: negative in reverse."""
    return (facts.agents.velocity * facts.ahead).sum(axis=-1)


@signal(unit="m/s", margin=1.0)
def lateral_speed(facts: Facts) -> Values:
    """Speed across the heading, to the left positive."""
    (x, y), (cos, sin) = np.moveaxis(facts.agents.velocity, -1, 0), np.moveaxis(facts.ahead, -1, 0)
    return cos * y - sin * x


@signal(unit="m/s2", margin=1.0)
def acceleration(facts: Facts) -> Values:
    """Rate of change of the forward speed."""
    return facts.derive(facts.keep("forward speed", lambda: forward_speed(facts)))


@signal(unit="m/s2", margin=1.0)
def deceleration(facts: Facts) -> Values:
    """Rate at which the forward speed falls: the acceleration, negative."""
    return -acceleration(facts)


@signal(unit="m/s3", margin=2.0)
def jerk(facts: Facts) -> Values:
    """Rate of change of the acceleration."""
    return facts.derive(acceleration(facts))


@signal(unit="rad/s", margin=0.1)
def yaw_rate(facts: Facts) -> Values:
    """Rate of change of the heading, counter-clockwise positive."""
    heading = facts.agents.heading
    turned = np.full_like(heading, np.nan)
    turned[:, 1:] = wrap_angle(np.diff(heading, axis=1)) / facts.dt
    following = np.full_like(heading, np.nan)
    following[:, :-1] = turned[:, 1:]
    both = (turned + following) / 2
    one = np.where(np.isnan(turned), following, turned)
    return np.where(np.isnan(both), one, both)


@signal(unit="m/s2", margin=1.0)
def lateral_acceleration(facts: Facts) -> Values:
    """Acceleration across the heading on a curve: speed times yaw rate, to the left positive."""
    return forward_speed(facts) * yaw_rate(facts)


@signal(unit="1/m", margin=0.02)
def curvature(facts: Facts) -> Values:
    """Yaw rate by speed, to the left positive; undefined below 1 m/s."""
    moving = facts.agents.speed >= _SLOWEST
    speeds = np.where(moving, forward_speed(facts), np.nan)
    return yaw_rate(facts) / speeds


@signal(margin=1.0)
def stopped(facts: Facts) -> Values:
    """Slower than 0.3 m/s."""
    return (_STILL - facts.agents.speed) / _STILL


@signal(margin=1.0)
def moving(facts: Facts) -> Values:
    """At least 0.5 m/s fast."""
    return (facts.agents.speed - 0.5) / 0.5


@signal(margin=1.0)
def reversing(facts: Facts) -> Values:
    """Driving backwards, faster than 0.5 m/s."""
    return -forward_speed(facts) - 0.5


@signal(unit="s", margin=1.0)
def time_stopped(facts: Facts) -> Values:
    """For how long it has stood below 0.3 m/s without a break, as far as the record reaches."""
    speeds = facts.agents.speed
    still = speeds < _STILL
    step = np.arange(facts.steps)
    since = np.maximum.accumulate(np.where(still, 0, step + 1), axis=1)
    return np.where(np.isnan(speeds), np.nan, np.maximum(step - since, 0) * facts.dt)


@signal(unit="m", margin=2.0)
def displacement(facts: Facts) -> Values:
    """The farthest that it ever is, in the whole scene, from where it was first seen."""
    points = facts.point
    first = np.argmax(facts.agents.valid, axis=1) if facts.steps else np.zeros(len(points), int)
    start = points[np.arange(len(points)), first] if facts.steps else np.zeros((len(points), 2))
    away = np.hypot(points[..., 0] - start[:, None, 0], points[..., 1] - start[:, None, 1])
    farthest = np.fmax.reduce(away, axis=1, initial=0.0)
    return np.where(facts.agents.valid, farthest[:, None], np.nan)


@signal(margin=1.0)
def stationary(facts: Facts) -> Values:
    """Parked, as it were: in the whole scene it never gets 2 m away from where it was first seen."""
    return (_PARKED - displacement(facts)) / _PARKED
