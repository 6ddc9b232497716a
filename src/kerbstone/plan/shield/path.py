"""Where boxes lie along a polyline and beside it: bounds that hold for every point of the box.

A point's *station* is where its nearest point of the path lies along it, its *offset* the distance
from there, to the left above zero. Both are bounded in the frame of one segment: within a window
around it the path is a parabola up to a residual, and turns by no more than an angle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.spatial import KDTree

from kerbstone.errors import InputError

REACH = 25.0
"""Boxes whose centre is farther from the path are not located [m]."""

_WINDOWS = (5.0, 9.0, 16.0)
"""Half lengths of the windows, from the middle of a segment [m]."""

_LONGEST = 2.0
"""Segments of a bent path are split to this length [m]."""

RUN_OUT = 40.0
"""A path goes on straight at both ends so far [m]."""

_MOST_CELLS = 2e6
_STEEPEST = np.pi / 3


@dataclass(frozen=True, eq=False)
class Extent:
    """Where boxes lie along a path and beside it.

    Args:
        station: Least and greatest [m].
        offset: Least and greatest, to the left above zero [m].
        cosine: Of the angle from the nearby segment to the box.
        sine: Of that angle.
        slope: Of the path beside the box, from the nearby segment.
        near: Whether the box is near the path. Where not, its offsets are beyond
            `REACH` less half its diagonal, and nothing else is told.
        sure: Whether the bounds hold. Where not, the box may lie anywhere along the path.
    """

    station: Float64[np.ndarray, "*shape 2"]
    offset: Float64[np.ndarray, "*shape 2"]
    cosine: Float64[np.ndarray, "*shape"]
    sine: Float64[np.ndarray, "*shape"]
    slope: Float64[np.ndarray, "*shape"]
    near: Bool[np.ndarray, "*shape"]
    sure: Bool[np.ndarray, "*shape"]

    @property
    def turn(self) -> Float64[np.ndarray, "*shape"]:
        """Heading of the box less the direction of the path [rad]."""
        return np.arctan2(self.sine, self.cosine) - self.slope


class Path:
    """A polyline, with what bounds the boxes near it.

    Args:
        points: In the world frame, in driving direction [m].

    Raises:
        InputError: There are fewer than two points, or a NaN, or the path has no length.
    """

    def __init__(self, points: Float64[np.ndarray, "point 2"]) -> None:
        points = np.asarray(points, dtype=np.float64)
        if not np.isfinite(points).all():
            raise InputError("geometry", "a path has a NaN")
        points = _without_straight(points)
        step = np.diff(points, axis=0)
        length = np.hypot(step[:, 0], step[:, 1])
        self.length = float(length.sum())
        """From the first point to the last [m]."""
        first, last = step[0] / length[0], step[-1] / length[-1]
        points = np.concatenate(
            [points[:1] - RUN_OUT * first, points[1:-1], points[-1:] + RUN_OUT * last]
        )
        self.is_straight = len(points) == 2
        if not self.is_straight:
            points = _split(points)
        step = np.diff(points, axis=0)
        size = np.hypot(step[:, 0], step[:, 1])
        end = np.cumsum(size) - RUN_OUT
        self._end = end
        self._tangent = step / size[:, None]
        self._middle = (points[:-1] + points[1:]) / 2.0
        self._station = end - size / 2.0
        self._fit(points, size)
        self.sharpest = float((self._bend[0] / np.minimum(self._window[0], _WINDOWS[0])).max())
        """About the greatest curvature: turn over way within the shortest window [1/m]."""
        self._lay_grid(points, size)

    def _fit(
        self, points: Float64[np.ndarray, "point 2"], size: Float64[np.ndarray, " segment"]
    ) -> None:
        """Bound how the path deviates from each segment's parabola within each window."""
        count, levels = len(size), len(_WINDOWS)
        shape = (levels, count)
        self._curvature, self._residual = np.zeros(shape), np.zeros(shape)
        self._angle, self._bend, self._slack = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._window = np.full(shape, np.inf)
        if self.is_straight:
            return
        heading = np.unwrap(np.arctan2(self._tangent[:, 1], self._tangent[:, 0]))
        vertex = np.concatenate([self._station - size / 2.0, self._station[-1:] + size[-1:] / 2.0])
        for level, window in enumerate(_WINDOWS):
            first = np.searchsorted(vertex, self._station - window, side="right") - 1
            last = np.searchsorted(vertex, self._station + window, side="left")
            first, last = np.maximum(first, 0), np.minimum(last, count)
            for i in range(count):
                a, b = int(first[i]), int(last[i])
                tangent, normal = self._tangent[i], self._tangent[i] @ [[0.0, 1.0], [-1.0, 0.0]]
                relative = points[a : b + 1] - self._middle[i]
                x, y = relative @ tangent, relative @ normal
                turn = heading[a:b] - heading[i]
                middle = self._station[a:b] - self._station[i]
                weight = (middle**2).sum()
                bend = float((turn * middle).sum() / weight) if weight > 0.0 else 0.0
                self._curvature[level, i] = bend
                # Between two vertices path and parabola part by no more than a chord's sagitta.
                sagitta = abs(bend) * float(np.diff(x).max()) ** 2 / 8.0
                self._residual[level, i] = np.abs(y - bend * x**2 / 2.0).max() + sagitta
                ends = np.maximum(np.abs(turn - bend * x[:-1]), np.abs(turn - bend * x[1:]))
                self._angle[level, i] = ends.max()
                self._bend[level, i] = np.abs(turn).max()
                self._slack[level, i] = np.abs(x - (vertex[a : b + 1] - self._station[i])).max()
                whole = a == 0, b == count
                self._window[level, i] = min(
                    np.inf if whole[0] else -x[0], np.inf if whole[1] else x[-1]
                )

    def _lay_grid(
        self, points: Float64[np.ndarray, "point 2"], size: Float64[np.ndarray, " segment"]
    ) -> None:
        """Note for each cell of a grid which segment is near it."""
        self.fold = np.inf
        """Beyond this distance from the path, another part of it may be as near [m]."""
        if self.is_straight:
            return
        counts = np.maximum(np.ceil(size / 0.5).astype(int), 1)
        segment = np.repeat(np.arange(len(size)), counts)
        share = (np.arange(len(segment)) - np.repeat(np.cumsum(counts) - counts, counts) + 0.5) / (
            np.repeat(counts, counts)
        )
        sample = points[segment] + share[:, None] * (points[segment + 1] - points[segment])
        station = self._station[segment] + (share - 0.5) * size[segment]
        self._find_fold(sample[::4], station[::4])
        low, high = sample.min(axis=0) - REACH - 1.0, sample.max(axis=0) + REACH + 1.0
        self._cell = max(1.0, float(np.sqrt(np.prod(high - low) / _MOST_CELLS)))
        self._origin = low
        across = np.ceil((high - low) / self._cell).astype(int)
        centre = np.stack(
            np.meshgrid(*(np.arange(n) + 0.5 for n in across), indexing="ij"), axis=-1
        )
        farthest = REACH + self._cell + 1.0
        _, nearest = KDTree(sample).query(low + centre * self._cell, distance_upper_bound=farthest)
        found = nearest < len(sample)
        self._grid = np.where(found, segment[np.minimum(nearest, len(sample) - 1)], -1)

    def _find_fold(
        self, sample: Float64[np.ndarray, "sample 2"], station: Float64[np.ndarray, " sample"]
    ) -> None:
        pairs = KDTree(sample).query_pairs(2.0 * REACH, output_type="ndarray")
        if not len(pairs):
            return
        chord = np.hypot(*(sample[pairs[:, 0]] - sample[pairs[:, 1]]).T)
        apart = np.abs(station[pairs[:, 0]] - station[pairs[:, 1]])
        # A half circle is 1.57 times as long as its chord: what is longer comes back.
        folded = apart > 1.6 * chord + 10.0
        if folded.any():
            self.fold = float(chord[folded].min()) / 2.0 - 2.0

    def bound_boxes(
        self,
        centre: Float64[np.ndarray, "*shape 2"],
        direction: Float64[np.ndarray, "*shape 2"],
        half: Float64[np.ndarray, "*shape 2"],
    ) -> Extent:
        """Return where boxes lie along the path and beside it.

        Args:
            centre: Middle of each box in the world frame [m].
            direction: Unit vector along it.
            half: Half its length and half its width [m].
        """
        segment, near = self._locate(centre)
        if self.is_straight:
            tangent_x, tangent_y = self._tangent[0]
            middle_x, middle_y = self._middle[0]
        else:
            tangent_x, tangent_y = self._tangent[segment, 0], self._tangent[segment, 1]
            middle_x, middle_y = self._middle[segment, 0], self._middle[segment, 1]
        x, y = centre[..., 0] - middle_x, centre[..., 1] - middle_y
        along, aside = x * tangent_x + y * tangent_y, y * tangent_x - x * tangent_y
        x, y = direction[..., 0], direction[..., 1]
        cosine, sine = x * tangent_x + y * tangent_y, y * tangent_x - x * tangent_y
        size, breadth = half[..., 0], half[..., 1]
        x, y = np.abs(cosine), np.abs(sine)
        reach = x * size + y * breadth
        if self.is_straight:
            spread = y * size + x * breadth
            along += self._station[0]
            return Extent(
                np.stack([along - reach, along + reach], axis=-1),
                np.stack([aside - spread, aside + spread], axis=-1),
                cosine,
                sine,
                np.zeros_like(sine),
                near,
                np.ones_like(near),
            )
        return self._bound_bent(segment, near, along, aside, cosine, sine, reach, half)

    def _bound_bent(
        self,
        segment: Int64[np.ndarray, "*shape"],
        near: Bool[np.ndarray, "*shape"],
        along: Float64[np.ndarray, "*shape"],
        aside: Float64[np.ndarray, "*shape"],
        cosine: Float64[np.ndarray, "*shape"],
        sine: Float64[np.ndarray, "*shape"],
        reach: Float64[np.ndarray, "*shape"],
        half: Float64[np.ndarray, "*shape 2"],
    ) -> Extent:
        need = np.abs(along) + reach + 0.5
        level = (need > _WINDOWS[0]).astype(np.int64) + (need > _WINDOWS[1])
        bend, residual = self._curvature[level, segment], self._residual[level, segment]
        # In the frame of the parabola's tangent beside the box' middle, the body's height over the
        # parabola is linear but for the bend's square term, which has one sign.
        slope = bend * along
        spread = np.abs(sine - slope * cosine) * half[..., 0]
        spread += np.abs(cosine + slope * sine) * half[..., 1]
        height = aside - slope * along / 2.0
        bulge = bend * reach**2 / 2.0
        low = height - spread - np.maximum(bulge, 0.0) - residual
        high = height + spread - np.minimum(bulge, 0.0) + residual
        farthest = np.maximum(np.abs(low), np.abs(high))
        most = self._bend[level, segment]
        shift = farthest * np.sin(np.minimum(most, np.pi / 2))
        angle = np.minimum(most, np.abs(bend) * (need + shift) + self._angle[level, segment])
        sure = (need - 0.5 + shift <= self._window[level, segment]) & (most <= _STEEPEST)
        sure &= np.isfinite(low + high)
        # Measured upright; the nearest point is nearer by the path's slope.
        nearer = np.cos(np.minimum(angle, _STEEPEST))
        low, high = (
            np.where(low > 0.0, low * nearer, low),
            np.where(high < 0.0, high * nearer, high),
        )
        reach = reach + farthest * np.sin(angle) + self._slack[level, segment]
        station = self._station[segment] + along
        return Extent(
            np.stack([station - reach, station + reach], axis=-1),
            np.stack([low, high], axis=-1),
            cosine,
            sine,
            slope,
            near,
            sure,
        )

    def _locate(
        self, centre: Float64[np.ndarray, "*shape 2"]
    ) -> tuple[Int64[np.ndarray, "*shape"], Bool[np.ndarray, "*shape"]]:
        if self.is_straight:
            shape = centre.shape[:-1]
            return np.zeros(shape, dtype=np.int64), np.ones(shape, dtype=bool)
        size = np.array(self._grid.shape)
        with np.errstate(invalid="ignore"):
            cell = np.floor((centre - self._origin) / self._cell)
            inside = ((cell >= 0.0) & (cell < size)).all(axis=-1)
            column = np.where(inside[..., None], cell, 0.0).astype(np.int64)
        segment = self._grid[column[..., 0], column[..., 1]]
        near = inside & (segment >= 0)
        return np.where(near, segment, 0), near

    def at(self, station: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape 2"]:
        """Return the points of the path at stations [m], on its straight ends where they are beyond."""
        segment = np.minimum(np.searchsorted(self._end, station), len(self._end) - 1)
        along = (station - self._station[segment])[..., None]
        return self._middle[segment] + along * self._tangent[segment]

    def follow(
        self, point: Float64[np.ndarray, "batch 2"]
    ) -> tuple[
        Float64[np.ndarray, " batch"], Float64[np.ndarray, " batch"], Float64[np.ndarray, " batch"]
    ]:
        """Return offset, direction and curvature of the path beside points, about.

        This guides steering, so it need not be a bound.
        """
        x, y = point[:, 0], point[:, 1]
        if self.is_straight:
            (tangent_x, tangent_y), (middle_x, middle_y) = self._tangent[0], self._middle[0]
            aside = (y - middle_y) * tangent_x - (x - middle_x) * tangent_y
            direction = np.full(len(x), np.arctan2(tangent_y, tangent_x))
            return aside, direction, np.zeros(len(x))
        segment, near = self._locate(point)
        tangent, relative = self._tangent[segment], point - self._middle[segment]
        along = relative[:, 0] * tangent[:, 0] + relative[:, 1] * tangent[:, 1]
        aside = relative[:, 1] * tangent[:, 0] - relative[:, 0] * tangent[:, 1]
        bend = self._curvature[0, segment]
        offset = np.where(near, aside - bend * along**2 / 2.0, np.nan)
        direction = np.arctan2(tangent[:, 1], tangent[:, 0]) + bend * along
        return offset, direction, bend


def _without_straight(points: Float64[np.ndarray, "point 2"]) -> Float64[np.ndarray, "kept 2"]:
    """Leave out repeated points and those on a straight line between their neighbours."""
    if len(points):
        moved = np.concatenate([[True], np.hypot(*np.diff(points, axis=0).T) > 1e-6])
        points = points[moved]
    if len(points) < 2:
        raise InputError(
            "geometry", "a path has no length", why="it needs two points that are apart"
        )
    kept = [0]
    for i in range(1, len(points) - 1):
        before, after = points[i] - points[kept[-1]], points[i + 1] - points[i]
        cross = before[0] * after[1] - before[1] * after[0]
        straight = abs(cross) <= 1e-12 * np.hypot(*before) * np.hypot(*after)
        if not (straight and before @ after > 0.0):
            kept.append(i)
    return points[[*kept, len(points) - 1]]


def _split(points: Float64[np.ndarray, "point 2"]) -> Float64[np.ndarray, "more 2"]:
    """Split segments so that none is long; the line stays the same."""
    step = np.diff(points, axis=0)
    parts = np.maximum(np.ceil(np.hypot(step[:, 0], step[:, 1]) / _LONGEST).astype(int), 1)
    row = np.repeat(np.arange(len(step)), parts)
    share = (np.arange(len(row)) - np.repeat(np.cumsum(parts) - parts, parts)) / parts[row]
    return np.concatenate([points[row] + share[:, None] * step[row], points[-1:]])
