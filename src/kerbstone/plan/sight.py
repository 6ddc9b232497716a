"""What a car does not see from where it is: what lies behind others, and beyond its sensor's range.

Nothing is remembered from the moment before, and nothing is as high as to be seen over. Walls,
hedges and houses are in no record: what they hide is taken to be seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.plan.predictions import fill_sizes
from kerbstone.scene import BevIndex, Kind, Scene, box_corners_bev

HIDING = frozenset(
    {Kind.UNKNOWN, Kind.CAR, Kind.TRUCK, Kind.BUS, Kind.TRAILER, Kind.TRAIN, Kind.OBJECT}
)
"""The kinds that others may be hidden by, where they are large enough."""

_ARC = 8
"""Points on the far side of a shadow."""
_BEYOND = 400.0
"""What is farther than this from the sensor matters to nobody [m]."""


@dataclass(frozen=True)
class SightRules:
    """What a car is taken to see.

    Args:
        reach: How far the sensor sees [m].
        ahead: How far it is before the middle of the car [m].
        growth: Others hide as if they were larger by as much on each side [m].
        body: Half the breadth of one on foot: the middle of nobody is nearer to their sides [m].
        least: Who is narrower hides nobody [m].
        cover: Blind places and stretches reach at most so far beyond what is not seen [m].
        chance: Probability of the mode in which one who is not seen steps out; 0 leaves it out.

    Raises:
        InputError: A length is not as it can be, or the chance is not from 0 to below 1.
    """

    reach: float = 60.0
    ahead: float = 0.0
    growth: float = 0.15
    body: float = 0.25
    least: float = 1.0
    cover: float = 0.5
    chance: float = 0.05

    def __post_init__(self) -> None:
        for name in ("reach", "cover", "least"):
            value = getattr(self, name)
            if not 0.0 < value < np.inf:
                raise InputError("value", f"sight.{name} is not above zero", why=f"{value:g}")
        if not (0.0 <= self.growth <= self.body < np.inf and np.isfinite(self.ahead)):
            raise InputError(
                "value",
                "sight.growth is not from zero to sight.body, or a length is not finite",
                why=f"growth = {self.growth:g}, body = {self.body:g}, ahead = {self.ahead:g}",
            )
        if not 0.0 <= self.chance < 1.0:
            raise InputError(
                "value", "sight.chance is not from 0 to below 1", why=f"{self.chance:g}"
            )


@dataclass(frozen=True, eq=False)
class Sight:
    """What is seen from one place.

    Args:
        eye: Where the sensor is, world frame [m].
        hidden: What is not surely seen and where somebody may be: a shapely geometry.
        bodies: Those who hide others, and what is close to them: nobody else is in there.
    """

    eye: Float64[np.ndarray, " 2"]
    hidden: shapely.Geometry
    bodies: shapely.Geometry


def look_out(scene: Scene, step: int, agent: int, *, rules: SightRules | None = None) -> Sight:
    """Return what a road user of a scene sees at a step.

    Args:
        scene: The scene.
        step: The step that is now.
        agent: Row of the road user that looks, which faces some way.
        rules: How well it sees.
    """
    rules = rules or SightRules()
    agents = scene.agents
    heading = float(np.nan_to_num(agents.heading[agent, step]))
    middle = agents.centre[agent, step, :2]
    eye = middle + rules.ahead * np.array([np.cos(heading), np.sin(heading)])
    return cast_sight(eye, gather_hiding(scene, step, agent, eye, rules), rules)


def gather_hiding(
    scene: Scene, step: int, agent: int, eye: Float64[np.ndarray, " 2"], rules: SightRules
) -> Float64[np.ndarray, "box 5"]:
    """Return the boxes of those who may hide somebody within range, columns `BevIndex`.

    Args:
        scene: The scene.
        step: The step that is now.
        agent: Row of the road user that looks; it hides nobody.
        eye: Where its sensor is [m].
        rules: Who is large enough.
    """
    agents = scene.agents
    size, place = fill_sizes(agents), agents.centre[:, step, :2]
    velocity = np.nan_to_num(agents.velocity[:, step])
    heading = agents.heading[:, step]
    heading = np.where(np.isfinite(heading), heading, np.arctan2(velocity[:, 1], velocity[:, 0]))
    near = np.hypot(*np.nan_to_num(place - eye, nan=np.inf).T) < rules.reach + size.max(axis=1)
    hides = agents.valid[:, step] & agents.is_kind(*HIDING) & (size.min(axis=1) >= rules.least)
    rows = np.flatnonzero(hides & near & (np.arange(len(agents)) != agent))
    boxes = np.empty((len(rows), len(BevIndex)))
    boxes[:, [BevIndex.X, BevIndex.Y]] = place[rows]
    boxes[:, BevIndex.HEADING] = heading[rows]
    boxes[:, [BevIndex.LENGTH, BevIndex.WIDTH]] = size[rows]
    return boxes


def cast_sight(
    eye: Float64[np.ndarray, " 2"], boxes: Float64[np.ndarray, "box 5"], rules: SightRules
) -> Sight:
    """Return what is not seen past boxes, exactly but for the range, which is drawn a little short.

    A place is hidden if the line of sight to it meets a box. The places that a box hides are
    convex: within the range they are the hull of the box and of an arc behind it.

    Args:
        eye: Where the sensor is, world frame [m].
        boxes: Who may hide somebody, columns `BevIndex`.
        rules: How far it sees.
    """
    seen = shapely.Point(eye).buffer(rules.reach, quad_segs=16)
    plane = shapely.box(*(eye - _BEYOND), *(eye + _BEYOND))
    grown = _grow(boxes, rules.growth)
    bodies = shapely.union_all(shapely.polygons(box_corners_bev(_grow(boxes, rules.body))))
    # A box that reaches to the sensor only because it is grown is not.
    close, within = (_hold(each, eye) for each in (grown, boxes))
    if within.any():
        return Sight(eye, shapely.difference(plane, bodies), bodies)
    shadows = _cast_shadows(eye, np.where(close[:, None], boxes, grown), rules.reach)
    hidden = shapely.union_all([*shadows, shapely.difference(plane, seen)])
    return Sight(eye, shapely.difference(hidden, bodies), bodies)


def _grow(boxes: np.ndarray, margin: float) -> np.ndarray:
    grown = boxes.copy()
    grown[:, [BevIndex.LENGTH, BevIndex.WIDTH]] += 2.0 * margin
    return grown


def _hold(boxes: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Tell which boxes, seen from above, hold a point."""
    return np.asarray(
        shapely.intersects(shapely.polygons(box_corners_bev(boxes)), shapely.Point(eye))
    )


def _cast_shadows(eye: np.ndarray, boxes: np.ndarray, reach: float) -> np.ndarray:
    """Return all that lies on or behind each box as seen from outside of it, within a reach."""
    corners = box_corners_bev(boxes)
    way = corners - eye
    middle = np.arctan2(boxes[:, BevIndex.Y] - eye[1], boxes[:, BevIndex.X] - eye[0])
    turn = np.arctan2(way[..., 1], way[..., 0]) - middle[:, None]
    turn = np.arctan2(np.sin(turn), np.cos(turn))
    low, high = turn.min(axis=1), turn.max(axis=1)
    angle = middle[:, None] + np.linspace(low, high, _ARC, axis=-1)
    # Far enough that the chords between the points of the arc do not come within the reach.
    far = reach / np.cos((high - low) / (2.0 * (_ARC - 1)))
    arc = eye + far[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    # A corner beyond the reach stays where it is: the hull is then a little larger.
    return np.asarray(
        shapely.convex_hull(shapely.multipoints(np.concatenate([corners, arc], axis=1)))
    )
