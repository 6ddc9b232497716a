"""The roads of the episodes: lanes along rails, as the shield sees them and as others follow them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float64, Int64

from kerbstone.plan.falsification.rails import Rails
from kerbstone.plan.shield.road import Lane, Road

BEFORE = 150.0
"""A straight lane begins so far before the origin of its rail [m]."""
_AFTER = 250.0
_TURN_BEFORE, _TURN_AFTER = 1.5, 4.0
"""A bent lane turns no more before and after it, so that it does not come back to itself [rad]."""
_SPACING = 0.5
"""Between the points of a bent lane: its polyline is then within a millimetre of its rail [m]."""
_SHOULDER = 1.0
"""The drivable area reaches so far beside the lanes [m]."""


@dataclass(frozen=True, eq=False)
class Streets:
    """One road with the rail of each lane; the first lane is ego's.

    Args:
        road: What the shield is given.
        rail: The lanes' centre lines; on a straight lane the shield's station is the way along plus
            `BEFORE`.
        half_width: Of each lane [m].
        limit: Speed limit of each lane [m/s].
    """

    road: Road
    rail: Rails
    half_width: Float64[np.ndarray, " lane"]
    limit: Float64[np.ndarray, " lane"]


@dataclass(frozen=True)
class Layout:
    """A lane, told from the main line, which runs along x from the origin before it is placed.

    Args:
        left: Of the main line [m].
        turn: Heading against the main line, about the origin [rad].
        reverse: Whether it is driven against the main line.
    """

    left: float = 0.0
    turn: float = 0.0
    reverse: bool = False


def lay_streets(
    layouts: tuple[Layout, ...],
    *,
    pose: Float64[np.ndarray, " 3"],
    curvature: float = 0.0,
    half_width: float = 1.75,
    limit: float = 13.9,
    is_bounded: bool = False,
    keeps_clear: bool = False,
) -> Streets:
    """Return a road of lanes around a main line.

    Args:
        layouts: The lanes, ego's first. Those that turn away are straight.
        pose: Where the main line starts and points in the world frame [m, rad].
        curvature: Of the main line [1/m].
        half_width: Of all lanes [m].
        limit: Speed limit of all lanes [m/s].
        is_bounded: Whether ego must stay on the lanes and a shoulder beside them.
        keeps_clear: Whether ego must not stop where lanes cross.
    """
    rails = [_place_rail(layout, pose, curvature) for layout in layouts]
    lanes = tuple(Lane(_draw_centre(rail), half_width, limit) for rail in rails)
    strips = [
        shapely.LineString(lane.centre).buffer(half_width, cap_style="flat") for lane in lanes
    ]
    drivable = no_stopping = None
    if is_bounded:
        wide = [
            shapely.LineString(lane.centre).buffer(half_width + _SHOULDER, cap_style="flat")
            for lane in lanes
        ]
        drivable = shapely.union_all(wide)
    if keeps_clear:
        across = [
            strips[0].intersection(strip)
            for strip, layout in zip(strips, layouts, strict=True)
            if layout.turn
        ]
        no_stopping = shapely.union_all(across)
    return Streets(
        Road(lanes, drivable=drivable, no_stopping=no_stopping),
        Rails(
            np.concatenate([rail.pose for rail in rails]),
            np.concatenate([rail.curvature for rail in rails]),
        ),
        np.full(len(lanes), half_width),
        np.full(len(lanes), limit),
    )


def pick_rails(streets: Streets, lane: Int64[np.ndarray, "*shape"]) -> Rails:
    """Return the rails of lanes, one for each index."""
    return streets.rail.part(lane)


def _place_rail(layout: Layout, pose: Float64[np.ndarray, " 3"], curvature: float) -> Rails:
    """Return the rail of a lane: concentric with the main line, or straight across it."""
    bend = np.array([0.0 if layout.turn else curvature])
    main = Rails(pose[None] + np.array([0.0, 0.0, layout.turn]), bend)
    start, heading = main.place(np.zeros(1), np.array([layout.left]))
    bend = bend / (1.0 - bend * layout.left)
    if layout.reverse:
        bend, heading = -bend, heading + np.pi
    return Rails(np.column_stack([start, heading]), bend)


def _draw_centre(rail: Rails) -> Float64[np.ndarray, "point 2"]:
    bend = max(abs(float(rail.curvature[0])), 1e-9)
    first, last = -min(BEFORE, _TURN_BEFORE / bend), min(_AFTER, _TURN_AFTER / bend)
    count = 2 if rail.curvature[0] == 0.0 else round((last - first) / _SPACING) + 1
    along = np.linspace(first, last, count)
    rails = Rails(np.repeat(rail.pose, count, axis=0), np.repeat(rail.curvature, count))
    return rails.place(along, np.zeros(count))[0]
