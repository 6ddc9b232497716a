"""Traffic lights as the page draws them: where each head stands, and what it shows."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from kerbstone.app.playback.codec import CM, TENTH_DEG, pack, quantise
from kerbstone.scene import DEFAULT_LANE_WIDTH, Map, Signals, angle_difference
from kerbstone.scene.frenet import project_packed
from kerbstone.scene.polylines import Segments

_SAME_PLACE = 0.5


def pack_signals(
    road: Map | None, signals: Signals | None, origin: Float64[np.ndarray, " 2"]
) -> dict[str, str] | None:
    """Return the lights as JSON values, or None where there are none.

    Several lights at one place, one for each way on, stand side by side from left to right; those
    that always show the same are one.

    Args:
        road: The map, whose lanes tell in which direction a light is passed.
        signals: The lights.
        origin: What all coordinates are relative to [m].
    """
    if signals is None or not len(signals):
        return None
    heading, turn, width = _approaches(road, signals)
    place = np.rint(signals.stop_point[:, :2] / _SAME_PLACE).astype(np.int64)
    leftmost_first = np.lexsort((-turn, place[:, 1], place[:, 0]))
    heads: dict[bytes, dict[bytes, int]] = {}
    for row in map(int, leftmost_first):
        heads.setdefault(place[row].tobytes(), {}).setdefault(signals.state[row].tobytes(), row)
    rows = [row for there in heads.values() for row in there.values()]
    number = np.array([len(there) for there in heads.values() for _ in there])
    slot = np.array([i for there in heads.values() for i in range(len(there))])
    centimetres = quantise(signals.stop_point[rows, :2] - origin, CM)
    return {
        "x": pack(centimetres[:, 0]),
        "y": pack(centimetres[:, 1]),
        "heading": pack(quantise(heading[rows], TENTH_DEG)),
        "width": pack(quantise(width[rows], CM)),
        "slot": pack(slot),
        "slots": pack(number),
        "state": pack(signals.state[rows].astype(np.int64).ravel()),
    }


def _approaches(
    road: Map | None, signals: Signals
) -> tuple[
    Float64[np.ndarray, " signal"], Float64[np.ndarray, " signal"], Float64[np.ndarray, " signal"]
]:
    """Return the direction in which each light is passed, how its lane turns, and its width."""
    heading = np.full(len(signals), np.nan)
    turn = np.zeros(len(signals))
    width = np.full(len(signals), DEFAULT_LANE_WIDTH)
    known = np.flatnonzero(signals.lane >= 0)
    if road is None or not len(known):
        return heading, turn, width
    lane = signals.lane[known]
    piece = road.lanes.centre[lane]
    segments = Segments.from_packed(road.points[:, :2], road.offsets)
    drawn = segments.offsets[piece + 1] > segments.offsets[piece]
    known, lane, piece = known[drawn], lane[drawn], piece[drawn]
    foot = project_packed(signals.stop_point[known, :2], segments, piece).segment
    start = road.offsets[piece] + foot
    ahead = road.points[start + 1, :2] - road.points[start, :2]
    exit_ = segments.direction[segments.offsets[piece + 1] - 1]
    heading[known] = np.arctan2(ahead[:, 1], ahead[:, 0])
    turn[known] = angle_difference(np.arctan2(exit_[:, 1], exit_[:, 0]), heading[known])
    wide = road.lanes.width[lane]
    width[known] = np.where(np.isfinite(wide), wide, DEFAULT_LANE_WIDTH)
    return heading, turn, width
