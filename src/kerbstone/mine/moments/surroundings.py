"""What is around the anchor of a moment and what it does itself: all blocks but the road."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.mine.moments.features import FAR, NEAR, SECTORS
from kerbstone.mine.moments.moments import Moments
from kerbstone.scene import Kind, wrap_angle

Block = Float64[np.ndarray, "moment feature"]

_GROUPS = (
    {Kind.CAR},
    {Kind.TRUCK, Kind.BUS, Kind.TRAILER, Kind.TRAIN},
    {Kind.MOTORCYCLE},
    {Kind.CYCLIST, Kind.BICYCLE},
    {Kind.PEDESTRIAN, Kind.RIDER},
    {Kind.UNKNOWN, Kind.ANIMAL},
    {Kind.OBJECT},
)
_STANDING = 0.5
_CLOSE = 15.0
"""Gap over which closeness falls to 37 % [m]."""
_LONGEST_GAP = 10.0
_MOST_DECELERATION = 10.0
_SHORTEST = 0.25
"""Times to collision below this are told no further apart [s]."""
_STRIP = 1.6
"""Half the width of the strip ahead of the anchor [m]."""


class Surroundings:
    """What several blocks need of the road users around an anchor.

    Args:
        moments: The moments.
    """

    def __init__(self, moments: Moments) -> None:
        track = moments.track
        self.moments = moments
        self.is_other = moments.is_other
        own_point, own_velocity = moments.own(track.point), moments.own(track.velocity)
        self.heading = moments.own(track.heading)
        shift = moments.others(track.point) - own_point[:, :, None]
        self.distance = np.hypot(shift[..., 0], shift[..., 1])
        self.velocity = moments.others(track.velocity) - own_velocity[:, :, None]
        cos, sin = np.cos(self.heading)[..., None], np.sin(self.heading)[..., None]
        self.ahead = cos * shift[..., 0] + sin * shift[..., 1]
        self.aside = moments.far_side * (cos * shift[..., 1] - sin * shift[..., 0])
        own_radius = moments.own(np.broadcast_to(track.radius[:, None], track.present.shape))
        radius = track.radius + own_radius[..., None]
        self.gap = np.maximum(self.distance - radius, 0.0)
        toward = -(shift * self.velocity).sum(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            self.closing = toward / self.distance
        self.is_user = self.is_other & (track.kind != Kind.OBJECT)
        self.urgency = _urgency(shift, self.velocity, radius)

    def around(self, who: Bool[np.ndarray, " agent"]) -> Bool[np.ndarray, "moment sample agent"]:
        """Return which of some road users are in reach."""
        return self.is_other & who & (self.distance <= FAR)


def measure_crowd(around: Surroundings) -> Block:
    """Return how many road users of each group are around, on average over the moment."""
    track = around.moments.track
    groups = [np.isin(track.kind, sorted(group)) for group in _GROUPS]
    vehicles = around.around(track.is_vehicle)
    speed = around.moments.others(track.speed)
    counts = [
        (around.is_other & group & (around.distance <= reach)).sum(axis=2)
        for reach in (NEAR, FAR)
        for group in groups
    ]
    counts += [(vehicles & (speed > _STANDING)).sum(axis=2)]
    counts += [(vehicles & (speed <= _STANDING)).sum(axis=2)]
    known = around.moments.has_anchor
    means = [_mean(np.where(known, count, np.nan), 1) for count in counts]
    # Where nobody is there to look from, there is no crowd.
    return np.nan_to_num(np.stack(means, axis=1))


def measure_traffic(around: Surroundings) -> Block:
    """Return how the road users around move."""
    moments, track = around.moments, around.moments.track
    vehicle, vulnerable = around.around(track.is_vehicle), around.around(track.is_vulnerable)

    def of(who: np.ndarray, values: np.ndarray) -> np.ndarray:
        full = np.where(who, moments.others(values), np.nan)
        return full.reshape(len(full), -1)

    speeds = of(vehicle, track.speed)
    turning = of(vehicle & (moments.others(track.speed) > _STANDING), track.yaw_rate)
    same = np.cos(moments.others(track.heading) - around.heading[..., None])
    facing = np.where(vehicle, same, np.nan).reshape(len(moments), -1)
    unknown = np.isnan(facing)
    return np.stack(
        [
            _mean(speeds, 1),
            np.sqrt(np.maximum(_mean(speeds**2, 1) - _mean(speeds, 1) ** 2, 0.0)),
            _most(speeds, 1),
            _most(-of(vehicle, track.acceleration), 1),
            _most(of(vehicle, track.acceleration), 1),
            _most(np.abs(turning), 1),
            _most(np.abs(turning) * speeds, 1),
            _most(of(vulnerable, track.speed), 1),
            _mean(np.where(unknown, np.nan, facing > 0.7), 1),
            _mean(np.where(unknown, np.nan, facing < -0.7), 1),
            _mean(np.where(unknown, np.nan, np.abs(facing) < 0.5), 1),
        ],
        axis=1,
    )


def measure_own(around: Surroundings) -> Block:
    """Return what the anchor does."""
    moments, track = around.moments, around.moments.track
    speed = moments.own(track.speed)
    heading, point = around.heading, moments.own(track.point)
    acceleration, yaw_rate = moments.own(track.acceleration), moments.own(track.yaw_rate)
    # Standing still has no direction that one could measure.
    yaw_rate = np.where(speed > _STANDING, yaw_rate, np.where(np.isnan(speed), np.nan, 0.0))
    step = np.diff(point, axis=1)
    moved = _last(point) - _first(point)
    start = _first(heading)
    shift = np.cos(start) * moved[:, 1] - np.sin(start) * moved[:, 0]
    turned = np.nansum(wrap_angle(np.diff(heading, axis=1)), axis=1)
    standing = np.where(np.isnan(speed), np.nan, speed < _STANDING)
    known = moments.anchor >= 0
    kinds = track.is_vulnerable[moments.anchor] if len(track.kind) else known
    return np.stack(
        [
            _first(speed),
            _at(speed, moments.middle),
            _last(speed),
            -_most(-speed, 1),
            _most(speed, 1),
            _most(-acceleration, 1),
            _most(acceleration, 1),
            np.where(known, moments.far_side * turned, np.nan),
            _most(np.abs(yaw_rate), 1),
            _most(np.abs(yaw_rate) * speed, 1),
            moments.far_side * shift,
            np.where(known, np.nansum(np.hypot(step[..., 0], step[..., 1]), axis=1), np.nan),
            _mean(standing, 1),
            moments.is_ego.astype(np.float64),
            np.where(known, kinds, np.nan),
        ],
        axis=1,
    )


def measure_around(around: Surroundings) -> Block:
    """Return what is close in each eighth of the circle, and how it moves.

    A road user between two eighths counts for both, by its angle, so that nothing jumps where one
    drives from the one into the other.
    """
    moments, track = around.moments, around.moments.track
    angle = np.arctan2(around.aside, around.ahead)
    eighth = 2 * np.pi / len(SECTORS)
    centre = eighth * np.arange(len(SECTORS))
    share = 1.0 - np.abs(wrap_angle(angle[..., None] - centre)) / eighth
    share = np.where(around.is_user[..., None], np.maximum(share, 0.0), 0.0)
    share = np.nan_to_num(share)
    closeness = share * np.nan_to_num(np.exp(-around.gap / _CLOSE))[..., None]
    across = np.sqrt(np.maximum((around.velocity**2).sum(axis=-1) - around.closing**2, 0.0))
    middle = moments.middle
    weight = _at(closeness, middle)
    total = weight.sum(axis=1) + 1e-3
    known = np.isfinite(around.heading)[..., None]
    peak = np.where(known, closeness.max(axis=2, initial=0.0), np.nan)
    weak = np.where(track.is_vulnerable[:, None], closeness, 0.0)
    weak = np.where(known, weak.max(axis=2, initial=0.0), np.nan)
    moving = [
        (weight * np.nan_to_num(_at(values, middle))[..., None]).sum(axis=1) / total
        for values in (around.closing, across)
    ]
    moving = [np.where(_at(known, middle), values, np.nan) for values in moving]
    parts = [_first(peak), _at(peak, middle), _last(peak), *moving, _most(weak, 1)]
    return np.concatenate(parts, axis=1).reshape(len(moments), -1)


def measure_danger(around: Surroundings) -> Block:
    """Return how near a collision is, by discs at constant velocity.

    The measures of the scenario language use the boxes; these here are quick, and only compare.
    """
    moments, track = around.moments, around.moments.track
    users = around.is_user & (around.distance <= FAR)
    weak = users & track.is_vulnerable
    has_anchor = moments.has_anchor.any(axis=1)
    speed = moments.own(track.speed)[..., None]

    def largest(who: np.ndarray, values: np.ndarray, least: float) -> np.ndarray:
        full = np.where(who & np.isfinite(values), values, least)
        full = full.reshape(len(full), -1).max(axis=1, initial=least)
        return np.where(has_anchor, full, np.nan)

    leads = users & (around.ahead > 0) & (np.abs(around.aside) < _STRIP)
    closing = np.maximum(around.closing, 0.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        needed = np.minimum(closing**2 / (2 * around.gap), _MOST_DECELERATION)
        needed = np.where(closing > 0, needed, 0.0)
        headway = np.minimum(around.gap / speed, _LONGEST_GAP)
    relative = np.hypot(around.velocity[..., 0], around.velocity[..., 1])
    return np.stack(
        [
            -largest(users, -around.gap, -FAR),
            -largest(weak, -around.gap, -FAR),
            largest(users, around.urgency, 0.0),
            largest(weak, around.urgency, 0.0),
            np.where(has_anchor, _urgency_of_others(around), np.nan),
            largest(leads, needed, 0.0),
            -largest(leads & (speed > _STANDING), -headway, -_LONGEST_GAP),
            largest(users & (around.distance <= NEAR), relative, 0.0),
        ],
        axis=1,
    )


def _urgency_of_others(around: Surroundings) -> np.ndarray:
    """Return the largest inverse time to collision of two others near the anchor."""
    moments, track = around.moments, around.moments.track
    near = around.is_user & (around.distance <= FAR)
    columns = np.unique(moments.sample)
    urgency = np.zeros(track.present.shape)
    for column in columns:
        here = np.flatnonzero(track.present[:, column] & (track.kind != Kind.OBJECT))
        if len(here) < 2:
            continue
        shift = track.point[here, None, column] - track.point[None, here, column]
        velocity = track.velocity[here, None, column] - track.velocity[None, here, column]
        radius = track.radius[here, None] + track.radius[None, here]
        found = np.nan_to_num(_urgency(shift, velocity, radius))
        np.fill_diagonal(found, 0.0)
        urgency[here, column] = found.max(axis=1)
    full = np.where(near, moments.others(urgency), 0.0)
    return full.reshape(len(full), -1).max(axis=1, initial=0.0)


def _urgency(shift: np.ndarray, velocity: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return the inverse of the time until two discs touch [1/s], 0 where they never do.

    It fades out below a closing speed of 1 m/s, so that what is parked or hitched together, and
    overlaps as it does so, is in no danger.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        a = (velocity**2).sum(axis=-1)
        b = (shift * velocity).sum(axis=-1)
        apart = (shift**2).sum(axis=-1)
        c = apart - radius**2
        root = b**2 - a * c
        time = np.where((root >= 0) & (b < 0), c / (-b + np.sqrt(np.maximum(root, 0.0))), np.inf)
        closing = np.clip(-b / np.sqrt(apart), 0.0, 1.0)
        return closing / np.maximum(time, _SHORTEST)


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=axis)
    count = known.sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _most(values: np.ndarray, axis: int) -> np.ndarray:
    most = np.where(np.isnan(values), -np.inf, values).max(axis=axis, initial=-np.inf)
    return np.where(np.isfinite(most), most, np.nan)


def _at(values: np.ndarray, sample: np.ndarray) -> np.ndarray:
    return values[np.arange(len(values)), sample]


def _first(values: np.ndarray) -> np.ndarray:
    """Return the first known value of each moment, along the samples."""
    known = np.isfinite(values.reshape(*values.shape[:2], -1)).all(axis=2)
    return values[np.arange(len(values)), known.argmax(axis=1)]


def _last(values: np.ndarray) -> np.ndarray:
    return _first(values[:, ::-1])
