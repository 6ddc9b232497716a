"""Where on the road the anchor of a moment is: the block that needs the map."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float64

from kerbstone.mine.moments.moments import PERIOD, Moments
from kerbstone.scene import (
    LaneGraph,
    LaneIndex,
    LaneKind,
    LanePositions,
    Map,
    PieceKind,
    SignalState,
    Tristate,
    angle_difference,
    curvature,
)

_FARTHEST = 50.0
_LIGHT_AHEAD = 60.0
_LIGHT_ASIDE = 6.0
_MOST_BESIDE = 8
_SHARPEST = 0.3
"""Bends are told apart up to this [1/m]: sharper ones are corners of the drawing."""
_RED = (SignalState.RED, SignalState.RED_YELLOW, SignalState.FLASHING_RED)
_GREEN = (SignalState.GREEN, SignalState.GREEN_YIELD)


def measure_road(moments: Moments) -> Float64[np.ndarray, "moment feature"]:
    """Return the lane, the crossings and the lights at the anchor; NaN where nothing is known."""
    parts = [*_measure_lanes(moments), *_measure_places(moments), *_measure_lights(moments)]
    return np.stack(parts, axis=1)


class _Road:
    """A map with what is looked up in it kept."""

    def __init__(self, road: Map) -> None:
        self.road = road
        self.index = LaneIndex(road) if len(road.lanes) else None
        crosswalks = [road.piece(int(i)) for i in road.pieces_of(PieceKind.CROSSWALK)]
        self.crosswalks = _Areas(crosswalks)
        intersections = [road.piece(int(i)) for i in road.pieces_of(PieceKind.INTERSECTION)]
        inside = np.flatnonzero(road.lanes.in_intersection == Tristate.YES)
        self.intersections = _Areas(intersections or [road.centre_line(int(i)) for i in inside])

    def bend(self, lane: int, s: float) -> float:
        """Return how much a lane bends at an arc length of its centre line [1/m]."""
        line = self.road.centre_line(lane)[:, :2]
        way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
        return float(min(abs(np.interp(s, way, curvature(line))), _SHARPEST))

    def beside(self, lane: int) -> tuple[int, bool]:
        """Return how many lanes go the same way, and whether one beside them goes the other."""
        lanes, count, is_opposed = self.road.lanes, 1, False
        for neighbours, back in ((lanes.left, lanes.right), (lanes.right, lanes.left)):
            here = lane
            for _ in range(_MOST_BESIDE):
                following = int(neighbours[here])
                if following < 0:
                    break
                # A neighbour whose neighbour on the same side is this one runs the other way.
                if neighbours[following] == here and back[following] != here:
                    is_opposed = True
                    break
                count, here = count + 1, following
        return count, is_opposed


class _Areas:
    """Areas and lines of a map, for the distance to the nearest."""

    def __init__(self, pieces: list[np.ndarray]) -> None:
        import shapely

        shapes = [_shape(piece[:, :2]) for piece in pieces]
        self.shapes = np.array(shapes, object)
        self.tree = shapely.STRtree(shapes) if shapes else None

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Return the distance of points to the nearest, at most `_FARTHEST` [m]."""
        import shapely

        out = np.full(len(points), _FARTHEST)
        known = np.flatnonzero(np.isfinite(points).all(axis=1))
        if self.tree is not None and known.size:
            (query, _), apart = self.tree.query_nearest(
                shapely.points(points[known]), return_distance=True, all_matches=False
            )
            out[known[query]] = np.minimum(apart, _FARTHEST)
        out[~np.isfinite(points).all(axis=1)] = np.nan
        return out


@lru_cache(maxsize=8)
def _road_of(road: Map) -> _Road:
    return _Road(road)


def _shape(points: np.ndarray) -> Any:
    import shapely

    if len(points) >= 4 and (points[0] == points[-1]).all():
        return shapely.make_valid(shapely.Polygon(points))
    return shapely.LineString(points) if len(points) > 1 else shapely.Point(points[0])


def _locate(moments: Moments) -> LanePositions | None:
    road = moments.scene.map
    index = None if road is None else _road_of(road).index
    if index is None:
        return None
    return index.locate(moments.own(moments.track.point), moments.own(moments.track.heading))


def _measure_lanes(moments: Moments) -> list[np.ndarray]:
    place, road = _locate(moments), moments.scene.map
    unknown = np.full(len(moments), np.nan)
    if place is None or road is None:
        return [unknown] * 10
    here, lanes, kept = moments.has_anchor, road.lanes, _road_of(road)
    on = place.lane >= 0
    inside = on & (lanes.in_intersection[place.lane] == Tristate.YES)
    turned = np.abs(angle_difference(moments.own(moments.track.heading), place.heading))
    lane = np.where(on, place.lane, -1)
    middle = _middle_lane(lane, moments.middle)
    known, numbers = middle[:, 0] >= 0, middle[:, 0].tolist()
    s = place.s[np.arange(len(lane)), middle[:, 1]]
    beside = [kept.beside(number) if number >= 0 else (0, False) for number in numbers]
    bend = [
        kept.bend(number, way) if number >= 0 else np.nan
        for number, way in zip(numbers, s.tolist(), strict=True)
    ]
    same_way, is_opposed = np.array(beside, np.float64).reshape(-1, 2).T
    limit, kind = lanes.speed_limit[middle[:, 0]], lanes.kind[middle[:, 0]]
    changes = (on[:, 1:] & on[:, :-1] & _is_beside(lanes, lane[:, :-1], lane[:, 1:])).sum(axis=1)
    return [
        _share(on, here),
        _share(inside, here),
        np.array(bend, np.float64),
        _average(np.abs(place.d)),
        _average(turned),
        np.where(known, same_way, np.nan),
        np.where(known, is_opposed, np.nan),
        np.where(known, limit, np.nan),
        np.where(known, kind != LaneKind.VEHICLE, np.nan),
        np.where(here.any(axis=1), changes, np.nan).astype(np.float64),
    ]


def _measure_places(moments: Moments) -> list[np.ndarray]:
    road = moments.scene.map
    if road is None:
        return [np.full(len(moments), np.nan)] * 2
    kept = _road_of(road)
    rows = np.arange(len(moments))
    points = moments.own(moments.track.point)[rows, moments.middle]
    return [kept.crosswalks.distance(points), kept.intersections.distance(points)]


def _measure_lights(moments: Moments) -> list[np.ndarray]:
    """Return for how long the light ahead is red and green; 0 for both where there is none."""
    signals, scene = moments.scene.signals, moments.scene
    here = moments.has_anchor
    if signals is None or not len(signals):
        none = np.where(here.any(axis=1) & (signals is not None), 0.0, np.nan)
        return [none, none]
    step = np.rint(moments.sample * PERIOD / scene.clock.dt).astype(np.int64)
    state = signals.state[:, np.minimum(step, scene.clock.steps - 1)]
    point, heading = moments.own(moments.track.point), moments.own(moments.track.heading)
    shift = signals.stop_point[:, None, None, :2] - point
    ahead = np.cos(heading) * shift[..., 0] + np.sin(heading) * shift[..., 1]
    aside = np.cos(heading) * shift[..., 1] - np.sin(heading) * shift[..., 0]
    with np.errstate(invalid="ignore"):
        fits = (ahead > 0) & (ahead < _LIGHT_AHEAD) & (np.abs(aside) < _LIGHT_ASIDE)
    # The nearest one counts: sideways as much as ahead.
    apart = np.where(fits, ahead + 4 * np.abs(aside), np.inf)
    nearest = apart.argmin(axis=0)
    shown = np.take_along_axis(state, nearest[None], axis=0)[0]
    seen = fits.any(axis=0)
    return [_share(seen & np.isin(shown, states), here) for states in (_RED, _GREEN)]


def _middle_lane(lane: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Return the lane nearest to the middle of each moment, -1 for none, and at which sample."""
    off = np.abs(np.arange(lane.shape[1]) - middle[:, None])
    sample = np.where(lane >= 0, off, lane.shape[1]).argmin(axis=1)
    return np.stack([lane[np.arange(len(lane)), sample], sample], axis=1)


def _is_beside(lanes: LaneGraph, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return (before != after) & ((lanes.left[before] == after) | (lanes.right[before] == after))


def _share(holds: np.ndarray, known: np.ndarray) -> np.ndarray:
    count = known.sum(axis=1)
    return np.where(count > 0, (holds & known).sum(axis=1) / np.maximum(count, 1), np.nan)


def _average(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)
