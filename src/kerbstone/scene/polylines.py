"""Polylines and their shape: segments, arc length, resampling, headings, curvature.

Everything is measured in the ground plane. A polyline is `[vertex, 2]` or `[vertex, 3]`; z, which
may be NaN, only follows along where a line is interpolated. So arc length means the same for a
road with and without heights. Repeated vertices do no harm; a line needs two distinct ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from kerbstone.errors import InputError, UsageError

# Vertices closer than this are one place: between them rounding alone would set a direction.
_SAME_PLACE = 1e-9


@dataclass(frozen=True, eq=False)
class Segments:
    """The straight parts of packed polylines, without those between repeated vertices.

    Args:
        start: Where each segment starts [m].
        direction: Its unit direction.
        length: Its length [m].
        arc_length: Arc length of its start along its polyline [m].
        vertex: Row of its start among the vertices of its polyline.
        offsets: Where each polyline's segments start and end.
    """

    start: Float[np.ndarray, "segment 2"]
    direction: Float[np.ndarray, "segment 2"]
    length: Float[np.ndarray, " segment"]
    arc_length: Float[np.ndarray, " segment"]
    vertex: Int[np.ndarray, " segment"]
    offsets: Int[np.ndarray, " polyline_plus_1"]

    def __len__(self) -> int:
        return len(self.length)

    @classmethod
    def from_packed(
        cls,
        points: Float[np.ndarray, "vertex axis"],
        offsets: Int[np.ndarray, " polyline_plus_1"],
    ) -> Segments:
        """Prepare polylines that lie one after the other in `points`.

        A polyline with fewer than two distinct vertices has no segments; it is an error only
        when something is projected onto it.

        Args:
            points: Vertices; only x and y count [m].
            offsets: Where each polyline starts and ends in `points`.

        Raises:
            InputError: A vertex is NaN or infinite, or the offsets do not fit the points.
        """
        if offsets[0] != 0 or offsets[-1] != len(points) or np.any(offsets[1:] < offsets[:-1]):
            raise InputError(
                "shape",
                "the offsets of packed polylines do not fit their points",
                why=f"they run from {offsets[0]} to {offsets[-1]}, with {len(points)} points",
            )
        return _cut(points, offsets, np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)))


def arc_length(line: Float[np.ndarray, "*batch vertex axis"]) -> Float[np.ndarray, "*batch vertex"]:
    """Return the arc length of each vertex, 0 at the first [m]."""
    step = np.diff(line[..., :2], axis=-2)
    total = np.zeros(line.shape[:-1])
    np.cumsum(np.hypot(step[..., 0], step[..., 1]), axis=-1, out=total[..., 1:])
    return total


def interpolate(
    line: Float[np.ndarray, "vertex axis"], s: Float[np.ndarray, "*batch"] | float
) -> Float[np.ndarray, "*batch axis"]:
    """Return the points at arc length `s` [m], z included; beyond the ends, the ends.

    Raises:
        InputError: The line has fewer than two distinct vertices, or one that is not finite.
    """
    return _sample(line, segments_of(line), s)


def resample(
    line: Float[np.ndarray, "vertex axis"],
    *,
    spacing: float | None = None,
    number: int | None = None,
) -> Float[np.ndarray, "sample axis"]:
    """Return points evenly spaced along a line, both ends among them.

    Args:
        line: The line, in the plane or in space [m].
        spacing: The largest step between points; the line is cut into equal steps [m].
        number: How many points, at least 2. Give this or `spacing`.

    Raises:
        UsageError: Neither `spacing` nor `number` is given, or both are.
        InputError: One of them is too small, or the line has fewer than two distinct vertices.
    """
    if (spacing is None) == (number is None):
        raise UsageError("usage", "resample takes either a spacing or a number of points")
    segments = segments_of(line)
    length = segments.arc_length[-1] + segments.length[-1]
    if number is None:
        if spacing is None or not spacing > 0:
            raise InputError("value", "the spacing must be above 0", why=f"it is {spacing} m")
        # A length that is a multiple of the spacing but for rounding gets no extra step.
        number = max(int(np.ceil(length / spacing * (1 - 1e-12))), 1) + 1
    _check_number(number)
    return _sample(line, segments, np.linspace(0.0, length, number))


def resample_packed(
    points: Float[np.ndarray, "vertex axis"],
    offsets: Int[np.ndarray, " polyline_plus_1"],
    *,
    number: int,
) -> Float[np.ndarray, "polyline sample axis"]:
    """Return `number` points evenly spaced along each of many polylines, as `resample` does.

    Args:
        points: Vertices of all polylines, one after the other [m].
        offsets: Where each polyline starts and ends in `points`.
        number: How many points each polyline gets, at least 2.

    Raises:
        InputError: `number` is too small, the offsets do not fit the points, or a polyline has
            fewer than two distinct vertices.
    """
    _check_number(number)
    segments = Segments.from_packed(points, offsets)
    first, last = segments.offsets[:-1], segments.offsets[1:] - 1
    if np.any(first > last):
        raise too_short(where=f"polyline {np.argmax(first > last)}")
    if not len(first):
        return np.zeros((0, number, points.shape[1]))
    length = segments.arc_length[last] + segments.length[last]
    s = length[:, None] * np.linspace(0.0, 1.0, number)
    # One search serves all: the lines are laid end to end.
    begin = np.cumsum(length) - length
    place = np.repeat(begin, last - first + 1) + segments.arc_length
    row = np.searchsorted(place, begin[:, None] + s, side="right") - 1
    share = np.clip((s - segments.arc_length[row]) / segments.length[row], 0.0, 1.0)[..., None]
    vertex = segments.vertex[row] + offsets[:-1, None]
    found = points[vertex] * (1.0 - share) + points[vertex + 1] * share
    # Rounding may have put an end on the next line.
    found[:, -1] = points[offsets[1:] - 1]
    return found


def headings(line: Float[np.ndarray, "vertex axis"]) -> Float[np.ndarray, " vertex"]:
    """Return the direction of travel at each vertex, counter-clockwise from x [rad].

    Between two segments it is that of the bisector; where a line turns right back, that of the
    segment that starts there.

    Raises:
        InputError: The line has fewer than two distinct vertices, or one that is not finite.
    """
    segments = segments_of(line)
    before, after = _neighbours(segments, len(line))
    ahead = segments.direction[after]
    tangent = segments.direction[before] + ahead
    turns_back = np.hypot(tangent[:, 0], tangent[:, 1]) < 1e-9
    tangent = np.where(turns_back[:, None], ahead, tangent)
    return np.arctan2(tangent[:, 1], tangent[:, 0])


def curvature(line: Float[np.ndarray, "vertex axis"]) -> Float[np.ndarray, " vertex"]:
    """Return the signed curvature at each vertex, positive in left turns [1/m].

    It is that of the circle through the vertex and its two distinct neighbours; an end has that
    of the vertex beside it, and a single segment has none. A line that turns right back on
    itself has the curvature of the circle on its shorter segment.

    Raises:
        InputError: The line has fewer than two distinct vertices, or one that is not finite.
    """
    segments = segments_of(line)
    ahead, length = segments.direction, segments.length
    if len(length) == 1:
        return np.zeros(len(line))
    sine = ahead[:-1, 0] * ahead[1:, 1] - ahead[:-1, 1] * ahead[1:, 0]
    chord = ahead[:-1] * length[:-1, None] + ahead[1:] * length[1:, None]
    reach = np.hypot(chord[:, 0], chord[:, 1])
    closed = reach < 1e-9 * (length[:-1] + length[1:])
    circle = 2.0 * sine / np.where(closed, 1.0, reach)
    inner = np.where(closed, 2.0 / np.minimum(length[:-1], length[1:]), circle)
    before, _ = _neighbours(segments, len(line))
    return inner[np.minimum(before, len(inner) - 1)]


def segments_of(line: Float[np.ndarray, "vertex axis"]) -> Segments:
    """Return the segments of a single line.

    Raises:
        InputError: The line has fewer than two distinct vertices, or one that is not finite.
    """
    segments = _cut(line, np.array([0, len(line)]), np.zeros(len(line), np.int64))
    if not len(segments):
        raise too_short(why=f"it has {len(line)} vertices, all in one place")
    return segments


def too_short(*, where: str = "", why: str = "") -> InputError:
    """Return the error for a polyline that has no direction."""
    what = "a polyline needs at least two distinct vertices"
    return InputError("geometry", what, where=where, why=why)


def _check_number(number: int) -> None:
    if number < 2:
        raise InputError("value", "a line needs at least 2 points", why=f"{number} are asked for")


def _cut(points: np.ndarray, offsets: np.ndarray, polyline: np.ndarray) -> Segments:
    points = points[:, :2]
    finite = np.isfinite(points)
    if not finite.all():
        row = int(np.argmin(finite.all(axis=1)))
        raise InputError(
            "geometry",
            "a vertex of a polyline is NaN or infinite",
            where=f"vertex {row}",
            why=f"x, y = {points[row].tolist()}",
        )
    step = points[1:] - points[:-1]
    length = np.hypot(step[:, 0], step[:, 1])
    row = np.flatnonzero((length > _SAME_PLACE) & (polyline[1:] == polyline[:-1]))
    step, length, polyline = step[row], length[row], polyline[row]
    first = np.searchsorted(row, offsets)
    before = np.concatenate([[0.0], np.cumsum(length)])
    return Segments(
        start=points[row],
        direction=step / length[:, None],
        length=length,
        arc_length=before[:-1] - before[first[polyline]],
        vertex=row - offsets[polyline],
        offsets=first,
    )


def _sample(line: np.ndarray, segments: Segments, s: np.ndarray | float) -> np.ndarray:
    knots = np.append(segments.arc_length, segments.arc_length[-1] + segments.length[-1])
    # Of repeated vertices the last starts the next segment.
    vertices = line[np.append(segments.vertex, len(line) - 1)]
    return np.stack([np.interp(s, knots, column) for column in vertices.T], axis=-1)


def _neighbours(segments: Segments, vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the segments before and behind each vertex of a line; at an end, the one there is."""
    starts = np.searchsorted(segments.vertex, np.arange(vertices))
    return np.maximum(starts - 1, 0), np.minimum(starts, len(segments) - 1)
