"""The others: what they are, where they are, and how they move when they do what they want.

Two ways to move. Those that follow lanes have a way along a rail, a distance to its left, a speed
and a heading beside it; they cannot slide sideways. Those that do not are points with a velocity,
whose boxes point where they go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.plan.falsification.motion import coast_points
from kerbstone.plan.falsification.rails import Rails

_TURNS = 0.05
"""A point that is slower keeps pointing where it did [m/s]."""


@dataclass(frozen=True, eq=False)
class Crowd:
    """The others in each episode, at one moment.

    Args:
        kind: Values of `Kind`.
        length: Of the boxes [m].
        width: Of the boxes [m].
        valid: Which exist.
        on_rail: Which follow their rail; the others move freely.
        rail: What they follow, or nothing.
        cap: Speed that they never go beyond [m/s].
        along: Way along the rail [m].
        left: Distance to the left of the rail [m].
        place: Middles of the boxes, world frame [m].
        heading: Of the boxes [rad].
        speed: Along the heading [m/s].
    """

    kind: Int64[np.ndarray, "episode agent"]
    length: Float64[np.ndarray, "episode agent"]
    width: Float64[np.ndarray, "episode agent"]
    valid: Bool[np.ndarray, "episode agent"]
    on_rail: Bool[np.ndarray, "episode agent"]
    rail: Rails
    cap: Float64[np.ndarray, "episode agent"]
    along: Float64[np.ndarray, "episode agent"]
    left: Float64[np.ndarray, "episode agent"]
    place: Float64[np.ndarray, "episode agent 2"]
    heading: Float64[np.ndarray, "episode agent"]
    speed: Float64[np.ndarray, "episode agent"]

    def __len__(self) -> int:
        return len(self.valid)

    @property
    def velocity(self) -> Float64[np.ndarray, "episode agent 2"]:
        """World-frame velocities [m/s]."""
        return self.speed[..., None] * np.stack(
            [np.cos(self.heading), np.sin(self.heading)], axis=-1
        )

    @property
    def half(self) -> Float64[np.ndarray, "episode agent 2"]:
        """Half of lengths and widths [m]."""
        return 0.5 * np.stack([self.length, self.width], axis=-1)

    @property
    def skew(self) -> Float64[np.ndarray, "episode agent"]:
        """Heading beside the rail, to the left [rad]."""
        turn = self.heading - self.rail.pose[..., 2] - self.rail.curvature * self.along
        return (turn + np.pi) % (2.0 * np.pi) - np.pi

    def take(self, rows: Int64[np.ndarray, " row"] | Bool[np.ndarray, " episode"]) -> Crowd:
        """Return some of the episodes."""
        values = {name: value[rows] for name, value in vars(self).items() if name != "rail"}
        return Crowd(rail=self.rail.part(rows), **values)


@dataclass(frozen=True, eq=False)
class Wish:
    """What the others do during a step; each reads the part that is meant for its way of moving.

    Args:
        push: Acceleration along the heading of those on rails [m/s²].
        veer: Rate of their heading beside the rail [rad/s].
        pull: Acceleration of those that move freely, world frame [m/s²].
    """

    push: Float64[np.ndarray, "episode agent"]
    veer: Float64[np.ndarray, "episode agent"]
    pull: Float64[np.ndarray, "episode agent 2"]


@dataclass(frozen=True, eq=False)
class Wake:
    """Where the others were at the samples of a step, and what they are after it."""

    place: Float64[np.ndarray, "episode agent sample 2"]
    heading: Float64[np.ndarray, "episode agent sample"]
    speed: Float64[np.ndarray, "episode agent sample"]
    after: Crowd


def move_crowd(crowd: Crowd, wish: Wish, duration: float, samples: int) -> Wake:
    """Return where the others go when accelerations and rates are held over a step.

    Speeds on rails stop at zero. Ways along and beside a rail are summed over the samples with the
    speed and heading of their middles; free ones follow exact parabolas.
    """
    place, heading, along, left, speed = _follow_rails(crowd, wish, duration, samples)
    on_rail = crowd.on_rail
    free = ~on_rail
    if free.any():
        place[free], velocity = coast_points(
            crowd.place[free], crowd.velocity[free], wish.pull[free], duration, samples
        )
        speed[free] = np.sqrt((velocity**2).sum(axis=-1))
        toward = np.arctan2(velocity[..., 1], velocity[..., 0])
        heading[free] = np.where(speed[free] > _TURNS, toward, crowd.heading[free][:, None])
    after = replace(
        crowd,
        along=np.where(on_rail, along, crowd.along),
        left=np.where(on_rail, left, crowd.left),
        place=place[..., -1, :],
        heading=heading[..., -1],
        speed=speed[..., -1],
    )
    return Wake(place, heading, speed, after)


def _follow_rails(
    crowd: Crowd, wish: Wish, duration: float, samples: int
) -> tuple[
    Float64[np.ndarray, "episode agent sample 2"],
    Float64[np.ndarray, "episode agent sample"],
    Float64[np.ndarray, "episode agent"],
    Float64[np.ndarray, "episode agent"],
    Float64[np.ndarray, "episode agent sample"],
]:
    """Return places and headings at the samples, way and distance at the end, and speeds."""
    h = duration / samples
    middle = (np.arange(samples) + 0.5) * h
    speed = np.maximum(crowd.speed[..., None] + wish.push[..., None] * middle, 0.0)
    skew = crowd.skew[..., None] + wish.veer[..., None] * middle
    left = np.empty((*crowd.left.shape, samples + 1))
    left[..., 0] = crowd.left
    np.cumsum(h * speed * np.sin(skew), axis=-1, out=left[..., 1:])
    left[..., 1:] += left[..., :1]
    room = 1.0 - crowd.rail.curvature[..., None] * 0.5 * (left[..., 1:] + left[..., :-1])
    along = np.empty_like(left)
    along[..., 0] = crowd.along
    np.cumsum(h * speed * np.cos(skew) / room, axis=-1, out=along[..., 1:])
    along[..., 1:] += along[..., :1]
    rails = Rails(crowd.rail.pose[..., None, :], crowd.rail.curvature[..., None])
    place, heading = rails.place(along, left)
    time = np.linspace(0.0, duration, samples + 1)
    heading = heading + crowd.skew[..., None] + wish.veer[..., None] * time
    speeds = np.maximum(crowd.speed[..., None] + wish.push[..., None] * time, 0.0)
    return place, heading, along[..., -1], left[..., -1], speeds
