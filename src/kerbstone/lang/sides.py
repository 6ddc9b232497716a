"""Which lanes lie beside each other, and which way they run."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.scene import LaneIndex, Map, Segments, angle_difference

_PROBES = np.array([0.2, 0.5, 0.8])
"""At which shares of a lane's length its neighbours are looked for."""
_BESIDE = 1.0
"""How far beyond a lane's border its neighbour is looked for [m]."""
_PARALLEL = np.deg2rad(30.0)

Lanes = Int64[np.ndarray, " lane"]


class Sides(NamedTuple):
    """Which lanes lie beside which, as sparse Boolean matrices [lane, lane].

    Args:
        left: The column is next to the row on its left and runs the same way.
        right: It is next to it on its right and runs the same way.
        opposite: It is next to it and runs the other way.
    """

    left: Any
    right: Any
    opposite: Any


def find_sides(
    town: Map,
    index: LaneIndex,
    *,
    which: Bool[np.ndarray, " lane"],
    is_inside: Bool[np.ndarray, " lane"],
    half_width: Float64[np.ndarray, " lane"],
) -> Sides:
    """Return which lanes lie beside which: as the map says, and elsewhere as they lie.

    Lanes through intersections overlap without lying beside each other: there only what the map
    says counts.

    Args:
        town: The map.
        index: Finds its lanes.
        which: The lanes that count.
        is_inside: Which lanes lead through an intersection.
        half_width: Half the width of each lane [m].
    """
    from scipy.sparse import csr_array

    lanes, count = town.lanes, len(town.lanes)
    ends = np.zeros((count, 2))
    for lane in np.flatnonzero(lanes.centre >= 0):
        line = town.centre_line(int(lane))
        ends[lane] = line[-1, :2] - line[0, :2]
    pairs: dict[str, list[np.ndarray]] = {"left": [], "right": [], "opposite": []}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        told = lanes.left if side == "left" else lanes.right
        row = np.flatnonzero((told >= 0) & which)
        row = row[which[told[row]]]
        is_same = (ends[row] * ends[told[row]]).sum(axis=1) > 0
        pairs[side].append(np.stack([row, told[row]])[:, is_same])
        pairs["opposite"].append(np.stack([row, told[row]])[:, ~is_same])

        rest = np.flatnonzero((told < 0) & which & ~is_inside)
        row, other, turn = _probe(town, index, rest, sign * (half_width + _BESIDE))
        pair, fits = np.stack([row, other]), which[other] & ~is_inside[other]
        pairs[side].append(pair[:, fits & (np.abs(turn) < _PARALLEL)])
        pairs["opposite"].append(pair[:, fits & (np.abs(turn) > np.pi - _PARALLEL)])

    def matrix(found: list[np.ndarray]) -> Any:
        row, column = np.concatenate(found, axis=1)
        return csr_array((np.ones(len(row), bool), (row, column)), shape=(count, count))

    return Sides(*(matrix(pairs[name]) for name in Sides._fields))


def _probe(
    town: Map, index: LaneIndex, lanes: Lanes, offset: Float64[np.ndarray, " every_lane"]
) -> tuple[np.ndarray, np.ndarray, Float64[np.ndarray, " pair"]]:
    """Return which other lanes lie so far to the left of some lanes.

    Returns:
        For each pair the lane, the one beside it, and the turn from its direction [rad].
    """
    segments = Segments.from_packed(town.points[:, :2], town.offsets)
    piece = town.lanes.centre[lanes]
    total = np.concatenate([[0.0], np.cumsum(segments.length)])
    first, behind = segments.offsets[piece], segments.offsets[piece + 1]
    s = _PROBES * (total[behind] - total[first])[:, None]

    def place(s: Float64[np.ndarray, "lane probe"]) -> Float64[np.ndarray, "lane probe 2"]:
        """Return the points at arc lengths; beyond the ends, the ends."""
        along = np.clip(total[first, None] + s, total[first, None], total[behind, None])
        row = np.searchsorted(total, along, side="right") - 1
        row = np.clip(row, first[:, None], behind[:, None] - 1)
        return segments.start[row] + segments.direction[row] * (along - total[row])[..., None]

    ahead = place(s + 0.1) - place(s - 0.1)
    heading = np.arctan2(ahead[..., 1], ahead[..., 0])
    aside = np.stack([-np.sin(heading), np.cos(heading)], axis=-1)
    points = place(s) + offset[lanes, None, None] * aside
    found = index.candidates(points.reshape(-1, 2))
    row = np.repeat(lanes, len(_PROBES))[found.point]
    turn = angle_difference(found.heading, heading.ravel()[found.point])
    kept = found.lane != row
    return row[kept], found.lane[kept], turn[kept]
