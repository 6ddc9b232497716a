"""Points against polylines: the nearest point, and coordinates along and beside a line.

`s` is the arc length from the first vertex, `d` the offset to the side, left positive; both are
measured in the ground plane. Lines may have z, which does not count here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from kerbstone.errors import InputError
from kerbstone.scene.polylines import Segments, segments_of, too_short

# Points as complex numbers, x + iy: turning them is one multiplication.
_Plane = NDArray[np.complex128]

# Distances are searched in blocks that stay in the processor's cache.
_BLOCK = 32_768


@dataclass(frozen=True, eq=False)
class Projection:
    """The nearest points of polylines. All is NaN, and `segment` -1, where the query is NaN.

    Args:
        s: Arc length of the nearest point, from 0 to the length of the line [m].
        d: Distance to it [m], positive on the left of the line. At a vertex, left is the left
            of the bisector of both directions; beyond an end, that of the end's segment.
        segment: The vertex behind which it lies: between `line[segment]` and the next. A vertex
            belongs to the segment that it starts.
        foot: The nearest point itself [m].
    """

    s: Float[np.ndarray, "*batch"]
    d: Float[np.ndarray, "*batch"]
    segment: Int[np.ndarray, "*batch"]
    foot: Float[np.ndarray, "*batch 2"]


def project(
    points: Float[np.ndarray, "*batch 2"], line: Float[np.ndarray, "vertex axis"]
) -> Projection:
    """Return the nearest point of one line for each point.

    Args:
        points: The points [m].
        line: Vertices of the line [m].

    Raises:
        InputError: The line has fewer than two distinct vertices, or one that is not finite.

    Example:
        >>> found = project(np.array([2.0, 1.0]), np.array([[0.0, 0.0], [10.0, 0.0]]))
        >>> float(found.s), float(found.d)
        (2.0, 1.0)
    """
    segments = segments_of(line)
    place = _place_on_line(points.reshape(-1, 2), segments)
    return _projection(place, segments, points.shape[:-1])


def project_packed(
    points: Float[np.ndarray, "query 2"],
    segments: Segments,
    polyline: Int[np.ndarray, " query"],
) -> Projection:
    """Return the nearest point of a polyline of its own for each point.

    The pairs come from a spatial index, say; a point may appear in several of them.

    Args:
        points: The points [m].
        segments: Polylines prepared by `Segments.from_packed`.
        polyline: Which of them each point is projected onto.

    Raises:
        InputError: One of these polylines has fewer than two distinct vertices or is not there.
    """
    known = len(segments.offsets) - 1
    wrong = (polyline < 0) | (polyline >= known)
    if np.any(wrong):
        why = f"polyline {polyline[np.argmax(wrong)]} of {known}"
        raise InputError("index", "there is no such polyline", why=why)
    first, behind = segments.offsets[polyline], segments.offsets[polyline + 1]
    if np.any(first == behind):
        raise too_short(where=f"polyline {polyline[np.argmax(first == behind)]}")
    plane = _plane(points)
    row = np.empty(len(points), np.int64)
    # The queries' segments, laid end to end, are cut into blocks between queries.
    block = np.cumsum(behind - first) // _BLOCK
    for part in np.split(np.arange(len(points)), np.flatnonzero(np.diff(block)) + 1):
        row[part] = _search_ranges(plane[part], segments, first[part], behind[part])
    place = _settle(plane, row, segments, first, behind - 1)
    return _projection(place, segments, polyline.shape)


def to_frenet(
    points: Float[np.ndarray, "*batch 2"], line: Float[np.ndarray, "vertex axis"]
) -> tuple[Float[np.ndarray, "*batch"], Float[np.ndarray, "*batch"]]:
    """Return `s` and `d` of points along a line that goes on straight beyond its ends [m].

    As `project`, but where the nearest point is an end, `s` runs on, below 0 or beyond the
    length, and `d` is the offset from the prolonged line.

    Args:
        points: The points [m].
        line: Vertices of the line [m].

    Raises:
        InputError: The line has fewer than two distinct vertices, or one that is not finite.
    """
    segments = segments_of(line)
    place = _place_on_line(points.reshape(-1, 2), segments)
    along, length = place.local.real, segments.length[place.row]
    beyond_start = (along < 0) & (place.row == 0)
    beyond_end = (along > length) & (place.row == len(segments) - 1)
    prolonged = beyond_start | beyond_end
    s = segments.arc_length[place.row] + np.where(prolonged, along, np.clip(along, 0.0, length))
    d = np.where(prolonged, place.local.imag, _signed_distance(place, length))
    return s.reshape(points.shape[:-1]), d.reshape(points.shape[:-1])


def from_frenet(
    s: Float[np.ndarray, "*#batch"] | float,
    d: Float[np.ndarray, "*#batch"] | float,
    line: Float[np.ndarray, "vertex axis"],
) -> Float[np.ndarray, "... 2"]:
    """Return the points at `s` along a line that goes on straight, `d` to its left [m].

    The inverse of `to_frenet` wherever the nearest point lies inside a segment or beyond an end.
    On the outer side of a vertex a whole wedge of points has the same `s`: they come back on the
    normal of the segment that starts there, off by at most |d| times the turn [rad].

    Args:
        s: Arc lengths [m].
        d: Offsets to the left [m].
        line: Vertices of the line [m].

    Raises:
        InputError: The line has fewer than two distinct vertices, or one that is not finite.
    """
    segments = segments_of(line)
    s, d = np.broadcast_arrays(s, d)
    row = np.maximum(np.searchsorted(segments.arc_length, s, side="right") - 1, 0)
    local = (s - segments.arc_length[row]) + 1j * d
    points = _plane(segments.start)[row] + local * _plane(segments.direction)[row]
    return _points(np.asarray(points))


class _Place(NamedTuple):
    """Where points lie in the frame of their nearest segment."""

    row: np.ndarray  # the segment
    local: _Plane  # along it, beyond its ends where a vertex is nearest, and to its left [m]
    side: np.ndarray  # not negative: on the left of the line


def _plane(points: np.ndarray) -> _Plane:
    return np.ascontiguousarray(points, np.float64).view(np.complex128)[..., 0]


def _points(plane: _Plane) -> np.ndarray:
    return np.stack([plane.real, plane.imag], axis=-1)


def _local(points: _Plane, row: np.ndarray, segments: Segments) -> _Plane:
    """Return points in the frames of segments."""
    offset = points - _plane(segments.start)[row]
    offset *= _plane(segments.direction)[row].conj()
    return offset


def _place_on_line(points: np.ndarray, segments: Segments) -> _Place:
    plane = _plane(points)
    row = _search_line(plane, segments)
    return _settle(plane, row, segments, np.zeros_like(row), np.full_like(row, len(segments) - 1))


def _search_line(points: _Plane, segments: Segments) -> np.ndarray:
    """Return the nearest segment of one line for each point."""
    row = np.empty(len(points), np.int64)
    everyone = np.arange(len(segments))
    step = max(_BLOCK // len(segments), 1)
    for begin in range(0, len(points), step):
        local = _local(points[begin : begin + step, None], everyone, segments)
        row[begin : begin + step] = _square_distance(local, segments.length).argmin(axis=1)
    return row


def _search_ranges(
    points: _Plane, segments: Segments, first: np.ndarray, behind: np.ndarray
) -> np.ndarray:
    """Return for each point the nearest of the segments from `first` to before `behind`."""
    count = behind - first
    begin = np.cumsum(count) - count
    owner = np.repeat(np.arange(len(points)), count)
    row = np.arange(len(owner)) + np.repeat(first - begin, count)
    square = _square_distance(_local(points[owner], row, segments), segments.length[row])
    smallest = np.minimum.reduceat(square, begin) if len(points) else square
    found = np.flatnonzero(square == np.repeat(smallest, count))[::-1]
    nearest = first.copy()
    nearest[owner[found]] = row[found]  # of equals, the first is set last
    return nearest


def _square_distance(local: _Plane, length: np.ndarray) -> np.ndarray:
    beyond = np.maximum(local.real - length, -local.real)
    np.maximum(beyond, 0.0, out=beyond)
    beyond *= beyond
    beyond += local.imag * local.imag
    return beyond


def _settle(
    points: _Plane, row: np.ndarray, segments: Segments, first: np.ndarray, last: np.ndarray
) -> _Place:
    """Place points on their nearest segments, and those at a vertex on the right one of the two.

    The search cannot tell: far from the line, the distances to two segments that meet differ by
    less than their rounding.
    """
    length, direction = segments.length, _plane(segments.direction)
    local = _local(points, row, segments)
    side = local.imag.copy()
    outside = np.flatnonzero((local.real < 0) | (local.real >= length[row]))
    points, first, last, near = points[outside], first[outside], last[outside], row[outside]

    near = near + ((local.real[outside] >= length[near]) & (near < last))
    before = np.maximum(near - 1, first)
    back = (_local(points, near, segments).real < 0) & (
        _local(points, before, segments).real < length[before]
    )
    near = np.where(back, before, near)

    row[outside] = near
    local[outside] = beside = _local(points, near, segments)
    # In the wedge outside a sharp turn a point may lie left of one segment and right of the other.
    bisector = 1.0 + direction[np.maximum(near - 1, first)] * direction[near].conj()
    at_vertex = (beside.real <= 0) & (near > first)
    side[outside] = np.where(at_vertex, (beside * bisector.conj()).imag, beside.imag)
    return _Place(row, local, side)


def _signed_distance(place: _Place, length: np.ndarray) -> np.ndarray:
    beyond = place.local.real - np.clip(place.local.real, 0.0, length)
    return np.where(place.side < 0, -1.0, 1.0) * np.hypot(place.local.imag, beyond)


def _projection(place: _Place, segments: Segments, shape: tuple[int, ...]) -> Projection:
    row, length = place.row, segments.length[place.row]
    along = np.clip(place.local.real, 0.0, length)
    foot = _plane(segments.start)[row] + along * _plane(segments.direction)[row]
    return Projection(
        s=(segments.arc_length[row] + along).reshape(shape),
        d=_signed_distance(place, length).reshape(shape),
        segment=np.where(np.isnan(along), -1, segments.vertex[row]).reshape(shape),
        foot=_points(foot).reshape(*shape, 2),
    )
