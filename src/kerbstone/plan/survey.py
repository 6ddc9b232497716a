"""A recorded scene as the shield sees it: the road around a car, and who is on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.plan.predictions import fill_sizes
from kerbstone.plan.roads import Road as PlannerRoad
from kerbstone.plan.roads import join_surfaces
from kerbstone.plan.roads.road import draw_areas
from kerbstone.plan.shield import Lane, Road, Surroundings
from kerbstone.scene import DEFAULT_LANE_WIDTH, Map, PieceKind, Scene, arc_length, interpolate

_MOVES = 0.5
"""From this speed on, where someone goes tells more than where they face [m/s]."""
_PIECE = 10.0
"""Lanes are cut to about this [m]."""
_SHRINK = 0.7
_NEAREST = 25.0
"""A road that is cut smaller than this is no use [m]."""


@dataclass(frozen=True)
class SurveyRules:
    """How much of a scene the shield is shown.

    Args:
        reach: Lanes are told this far around a car that stands; nearer, where they branch so often
            that there would be too many ways [m].
        reach_time: And this much further at each metre per second [s].
        spare: And this much further, so that one road serves while the car goes on [m].
        sight: Road users are seen this far around [m].
        shoulder: The car's box may leave what is mapped as drivable by as much [m].
        no_stopping: Pieces of the map on which the car must not come to rest.
        speed_limit: Where the map has none [m/s].
    """

    reach: float = 50.0
    reach_time: float = 2.5
    spare: float = 15.0
    sight: float = 120.0
    shoulder: float = 0.3
    no_stopping: tuple[PieceKind, ...] = (PieceKind.CROSSWALK,)
    speed_limit: float = 50.0 / 3.6

    def reach_at(self, speed: float) -> float:
        """Return how far lanes are told around a car of this speed [m]."""
        return self.reach + self.reach_time * max(speed, 0.0)


def survey_road(
    road: PlannerRoad | None,
    centre: Float64[np.ndarray, " 2"],
    *,
    reach: float,
    rules: SurveyRules | None = None,
) -> Road:
    """Return the road around a place as the shield has it.

    Without a map it is an open plane: nobody is bound to a lane, and there is no edge.

    Args:
        road: The road as the planner has it, or None where there is no map.
        centre: The place [m].
        reach: How far around it [m].
        rules: How much of it.
    """
    rules = rules or SurveyRules()
    if road is None:
        return Road()
    box = np.array([*(centre - reach), *(centre + reach)])
    drivable = shapely.buffer(join_surfaces(road, within=box), rules.shoulder)
    # What lies beyond the cut is not known to be an edge.
    beyond = shapely.difference(
        shapely.box(*(box + reach * np.array([-1, -1, 1, 1]))), shapely.box(*box)
    )
    areas = {
        "drivable": shapely.make_valid(shapely.union(drivable, beyond)),
        "no_stopping": _find_pieces(road.map, rules.no_stopping, box),
    }
    while reach >= _NEAREST:
        try:
            return Road(_cut_lanes(road, centre, reach, rules), **areas)
        except InputError as error:
            if error.code != "value":
                raise
        reach *= _SHRINK
    return Road(**areas)


def look_around(
    scene: Scene, step: int, agent: int, *, reach: float = SurveyRules.sight
) -> Surroundings:
    """Return who is around a road user at a step, as one episode.

    Sizes that are not known are usual ones. That somebody may be hidden is for `blind` to say.

    Args:
        scene: The scene.
        step: The step that is now.
        agent: Row of the road user that looks; it is not in what is returned, all others are, in
            the order of the scene's rows, those who are not there as not valid.
        reach: Those further away are left out [m].
    """
    agents = scene.agents
    others = np.delete(np.arange(len(agents)), agent)
    place = agents.centre[others, step, :2]
    velocity = np.nan_to_num(agents.velocity[others, step])
    away = np.hypot(*(place - agents.centre[agent, step, :2]).T)
    valid = agents.valid[others, step] & (np.nan_to_num(away, nan=np.inf) < reach)
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    motion = np.arctan2(velocity[:, 1], velocity[:, 0])
    heading = np.where(
        np.isfinite(agents.heading[others, step]), agents.heading[others, step], motion
    )
    along = velocity[:, 0] * np.cos(heading) + velocity[:, 1] * np.sin(heading)
    # One that goes where it faces keeps its box; one that reverses, or walks aside, is turned.
    turned = (speed > _MOVES) & (along < np.cos(np.pi / 6) * speed)
    heading = np.where(turned, motion, heading)
    speed = np.where(turned, speed, np.maximum(along, 0.0))
    size = fill_sizes(agents)[others]
    return Surroundings(
        kind=agents.kind[others].astype(np.int64)[None],
        position=np.where(valid[:, None], place, np.nan)[None],
        heading=heading[None],
        speed=speed[None],
        length=size[None, :, 0],
        width=size[None, :, 1],
        valid=valid[None],
    )


def _cut_lanes(
    road: PlannerRoad, centre: np.ndarray, reach: float, rules: SurveyRules
) -> tuple[Lane, ...]:
    """Return the parts of the lanes around a place, and how they go on."""
    graph = road.map.lanes
    lines: dict[int, np.ndarray] = {}
    ends: set[int] = set()
    for lane in map(int, road.rows):
        points = _refine(road.map.centre_line(lane)[:, :2])
        inside = np.flatnonzero(_is_near(points, centre, reach))
        if not len(inside):
            continue
        part = points[inside[0] : inside[-1] + 2]
        if road.lengths[lane] > 0 and len(part) > 1 and np.ptp(part, axis=0).max() > 0:
            lines[lane] = part
            if inside[-1] + 2 < len(points):
                ends.add(lane)
    number = {lane: place for place, lane in enumerate(lines)}
    width = np.where(np.isfinite(graph.width), graph.width, DEFAULT_LANE_WIDTH)
    limit = np.where(graph.speed_limit > 0, graph.speed_limit, rules.speed_limit)
    return tuple(
        Lane(
            line,
            half_width=float(width[lane]) / 2.0,
            speed_limit=float(limit[lane]),
            successors=()
            if lane in ends
            else tuple(
                number[int(next_)] for next_ in graph.successors(lane) if int(next_) in number
            ),
        )
        for lane, line in lines.items()
    )


def _refine(points: np.ndarray) -> np.ndarray:
    """Return the same line with vertices so near one another that it can be cut at one."""
    along = arc_length(points)
    more = np.arange(_PIECE, along[-1], _PIECE)
    return points if not len(more) else interpolate(points, np.union1d(along, more))


def _is_near(points: np.ndarray, centre: np.ndarray, reach: float) -> np.ndarray:
    """Tell which points begin a segment that comes near a place."""
    first, way = points[:-1], np.diff(points, axis=0)
    square = np.maximum((way**2).sum(axis=1), 1e-12)
    share = np.clip(((centre - first) * way).sum(axis=1) / square, 0.0, 1.0)
    return np.hypot(*(first + share[:, None] * way - centre).T) < reach


def _find_pieces(
    road: Map, kinds: tuple[PieceKind, ...], box: np.ndarray
) -> shapely.Geometry | None:
    areas = draw_areas(road, *kinds)
    near = areas[shapely.intersects(areas, shapely.box(*box))]
    return shapely.union_all(near) if len(near) else None
