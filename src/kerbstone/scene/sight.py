"""How much of each road user the recording car can see, by casting rays between boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.scene.boxes import box_corners_bev
from kerbstone.scene.transforms import wrap_angle

if TYPE_CHECKING:
    from kerbstone.scene.scene import Scene

_ACROSS = np.linspace(0.08, 0.92, 5)
"""Where rays meet a road user, as shares of its apparent width."""
_UP = np.array([0.3, 0.8])
"""And as shares of its height."""
_PAIRS_AT_ONCE = 200_000


def see_agents(
    scene: Scene, *, reach: float, field_of_view: float, height: float
) -> tuple[Float64[np.ndarray, "agent time"], Float64[np.ndarray, "agent time"]]:
    """Return how far each road user is from the recording car, and how much of it is to be seen.

    Rays run from the sensor to ten points spread over the side that a road user shows: five
    across, two up. A ray that another road user's box cuts sees nothing.

    Args:
        scene: A scene with a recording car.
        reach: How far the sensor sees [m].
        field_of_view: Horizontal angle around straight ahead [rad].
        height: Height of the sensor above the road, over the middle of the car [m].

    Returns:
        Distance of the centres [m], and the visible share from 0 to 1; both NaN where a road user
        is not there, beyond the range, outside the field of view, or is the recording car.
    """
    agents = scene.agents
    ego = scene.ego
    floor = agents.centre[ego, :, 2] - agents.size[ego, 2] / 2
    sensor = np.concatenate(
        [agents.centre[ego, :, :2], (np.nan_to_num(floor) + height)[:, None]], axis=1
    )
    line = agents.centre[..., :2] - sensor[None, :, :2]
    distance = np.hypot(line[..., 0], line[..., 1])
    bearing = wrap_angle(np.arctan2(line[..., 1], line[..., 0]) - agents.heading[ego][None, :])
    with np.errstate(invalid="ignore"):
        seen = agents.valid & (distance <= reach) & (np.abs(bearing) <= field_of_view / 2)
        there = agents.valid & (distance <= reach)
    seen[ego] = False
    there[ego] = False
    view = _View(scene, sensor, distance, there)
    visible = np.full(distance.shape, np.nan)
    visible[seen] = 1.0
    target, hider, step = view.candidates(seen)
    hidden = np.zeros((*distance.shape, len(_ACROSS) * len(_UP)), bool)
    for first in range(0, len(target), _PAIRS_AT_ONCE):
        part = slice(first, first + _PAIRS_AT_ONCE)
        t, s = target[part], step[part]
        # Pairs come ordered by target and step: those of one cell follow one another.
        starts = np.flatnonzero(np.diff(t, prepend=-1) | np.diff(s, prepend=-1))
        cut = np.logical_or.reduceat(view.cut(t, hider[part], s), starts, axis=0)
        hidden[t[starts], s[starts]] |= cut
    visible[seen] -= hidden[seen].mean(axis=-1)
    return np.where(seen, distance, np.nan), visible


class _View:
    """What the sensor's rays run through, with bearings relative to each road user's own."""

    def __init__(
        self,
        scene: Scene,
        sensor: Float64[np.ndarray, "time 3"],
        distance: Float64[np.ndarray, "agent time"],
        there: Bool[np.ndarray, "agent time"],
    ) -> None:
        agents = scene.agents
        self.sensor, self.distance, self.there = sensor, distance, there
        self.centre, self.heading = agents.centre, agents.heading
        # What a format does not tell is taken as a box that hides little.
        self.size = np.where(np.isfinite(agents.size), agents.size, 0.5)
        steps = distance.shape[1]
        boxes = np.concatenate(
            [
                agents.centre[..., :2],
                agents.heading[..., None],
                np.broadcast_to(self.size[:, None, :2], (len(agents), steps, 2)),
            ],
            axis=-1,
        )
        corner = box_corners_bev(boxes) - sensor[None, :, None, :2]
        line = agents.centre[..., :2] - sensor[None, :, :2]
        self.bearing = np.arctan2(line[..., 1], line[..., 0])
        turn = wrap_angle(np.arctan2(corner[..., 1], corner[..., 0]) - self.bearing[..., None])
        self.left, self.right = turn.max(axis=-1), turn.min(axis=-1)
        self.nearest = np.hypot(corner[..., 0], corner[..., 1]).min(axis=-1)

    def candidates(
        self, seen: Bool[np.ndarray, "agent time"]
    ) -> tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]:
        """Return who may hide whom, and when: those in front at overlapping bearings.

        Pairs are ordered by target, then step.
        """
        targets, hiders, steps = [], [], []
        for target in np.flatnonzero(seen.any(axis=1)):
            at = np.flatnonzero(seen[target])
            apart = wrap_angle(self.bearing[:, at] - self.bearing[target, at])
            with np.errstate(invalid="ignore"):
                may = (
                    self.there[:, at]
                    & (self.nearest[:, at] < self.distance[target, at])
                    & (apart + self.left[:, at] > self.right[target, at])
                    & (apart + self.right[:, at] < self.left[target, at])
                )
            may[target] = False
            when, hider = np.nonzero(may.T)
            targets.append(np.full(hider.size, target))
            hiders.append(hider)
            steps.append(at[when])
        if not targets:
            nothing = np.zeros(0, np.int64)
            return nothing, nothing, nothing
        return np.concatenate(targets), np.concatenate(hiders), np.concatenate(steps)

    def cut(
        self,
        target: Int64[np.ndarray, " pair"],
        hider: Int64[np.ndarray, " pair"],
        step: Int64[np.ndarray, " pair"],
    ) -> Bool[np.ndarray, "pair ray"]:
        """Return which rays to a target are cut by the box of another."""
        left, right = self.left[target, step], self.right[target, step]
        bearing = (
            self.bearing[target, step, None] + right[:, None] + np.outer(left - right, _ACROSS)
        )
        reach = self.distance[target, step, None]
        ray = np.stack([reach * np.cos(bearing), reach * np.sin(bearing)], axis=-1)
        tall = self.size[target, 2]
        bottom = np.nan_to_num(self.centre[target, step, 2]) - tall / 2
        climb = bottom[:, None] + np.outer(tall, _UP) - self.sensor[step, 2, None]
        # Into the frame of the hiding box, in which its sides are at plus and minus half its size.
        start = self.sensor[step] - np.nan_to_num(self.centre[hider, step])
        cos, sin = np.cos(self.heading[hider, step]), np.sin(self.heading[hider, step])
        half = self.size[hider] / 2
        origin_x = cos * start[:, 0] + sin * start[:, 1]
        origin_y = cos * start[:, 1] - sin * start[:, 0]
        ray_x = cos[:, None] * ray[..., 0] + sin[:, None] * ray[..., 1]
        ray_y = cos[:, None] * ray[..., 1] - sin[:, None] * ray[..., 0]
        enter_x, leave_x = _slab(origin_x, ray_x, half[:, 0])
        enter_y, leave_y = _slab(origin_y, ray_y, half[:, 1])
        enter_z, leave_z = _slab(start[:, 2], climb, half[:, 2])
        enter = np.maximum(enter_x, enter_y)[:, :, None]
        leave = np.minimum(leave_x, leave_y)[:, :, None]
        enter = np.maximum(enter, enter_z[:, None, :])
        leave = np.minimum(leave, leave_z[:, None, :])
        is_cut = (enter <= leave) & (leave > 0.0) & (enter < 1.0)
        return is_cut.reshape(len(target), -1)


def _slab(
    origin: Float64[np.ndarray, " pair"],
    ray: Float64[np.ndarray, "pair ray"],
    half: Float64[np.ndarray, " pair"],
) -> tuple[Float64[np.ndarray, "pair ray"], Float64[np.ndarray, "pair ray"]]:
    """Return where along rays (0 at the sensor, 1 at the target) they are between two sides."""
    # A ray parallel to the sides is between them everywhere or nowhere: infinities say that.
    safe = np.where(np.abs(ray) < 1e-12, 1e-12, ray)
    near = (-half - origin)[:, None] / safe
    far = (half - origin)[:, None] / safe
    return np.minimum(near, far), np.maximum(near, far)
