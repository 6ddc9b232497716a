"""When two moving rectangles touch, in continuous time.

Independent of the shield's geometry. Discs leave most pairs out; the rest are told apart by
separating axes at every sample, and where two samples cannot rule out a touch between them, the
part between them is looked at finer, until what could still be missed is below a millimetre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

MISSED = 1e-3
"""A touch less deep than this may be missed between two samples [m]."""
_PARTS = 8
"""A part that is not clear is cut into so many."""


@dataclass(frozen=True)
class Contacts:
    """Where pairs of a window came nearest.

    Args:
        gap: Least gap between ego's box and each other's, from separating axes: never above the
            true distance, and not above zero exactly where they touch [m].
        time: When they first touched, from the start of the window [s]; inf where never.
    """

    gap: Float64[np.ndarray, "episode agent"]
    time: Float64[np.ndarray, "episode agent"]


def find_contacts(
    ego_centre: Float64[np.ndarray, "episode sample 2"],
    ego_heading: Float64[np.ndarray, "episode sample"],
    ego_half: Float64[np.ndarray, " 2"],
    centre: Float64[np.ndarray, "episode agent sample 2"],
    heading: Float64[np.ndarray, "episode agent sample"],
    half: Float64[np.ndarray, "episode agent 2"],
    *,
    duration: float,
    margin: float = 0.5,
) -> Contacts:
    """Return the least gap and first touch of ego with each other over a window.

    Args:
        ego_centre: Middle of ego's box at each sample, evenly spaced over the window [m].
        ego_heading: Its heading [rad].
        ego_half: Half of its length and width [m].
        centre: Middles of the others' boxes; NaN where there is none.
        heading: Their headings.
        half: Half of their length and width.
        duration: Of the window [s].
        margin: Pairs whose discs stay further apart than this are not looked at closer, and get
            the gap of their discs.
    """
    away = ego_centre[:, None] - centre
    distance = np.sqrt((away**2).sum(axis=-1))
    reach = np.hypot(*ego_half) + np.hypot(half[..., 0], half[..., 1])
    step = np.sqrt((np.diff(away, axis=2) ** 2).sum(axis=-1)).max(axis=-1, initial=0.0)
    gap = np.where(np.isnan(distance[..., 0]), np.inf, distance.min(axis=-1) - reach - step)
    time = np.full(gap.shape, np.inf)
    episode, agent = np.nonzero(gap < margin)
    if len(episode):
        pairs = (
            ego_centre[episode],
            ego_heading[episode],
            centre[episode, agent],
            heading[episode, agent],
        )
        least, first = _follow_pairs(pairs, ego_half, half[episode, agent])
        gap[episode, agent] = least
        time[episode, agent] = first * (duration / (ego_heading.shape[1] - 1))
    return Contacts(gap, time)


def box_gap(
    centre: Float64[np.ndarray, "*batch 2"],
    heading: Float64[np.ndarray, "*batch"],
    half: Float64[np.ndarray, "*#batch 2"],
    other_centre: Float64[np.ndarray, "*batch 2"],
    other_heading: Float64[np.ndarray, "*batch"],
    other_half: Float64[np.ndarray, "*#batch 2"],
) -> Float64[np.ndarray, "*batch"]:
    """Return the widest gap along the axes of two boxes: above zero exactly where they are apart.

    References:
        Gottschalk, Lin and Manocha, "OBBTree", SIGGRAPH 1996 (separating axes).
    """
    away = other_centre - centre
    turn = other_heading - heading
    c, s = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    gap = np.full(turn.shape, -np.inf)
    for yaw, own, foreign in ((heading, half, other_half), (other_heading, other_half, half)):
        cy, sy = np.cos(yaw), np.sin(yaw)
        along = np.abs(away[..., 0] * cy + away[..., 1] * sy)
        across = np.abs(away[..., 1] * cy - away[..., 0] * sy)
        long, wide = foreign[..., 0], foreign[..., 1]
        np.maximum(gap, along - own[..., 0] - long * c - wide * s, out=gap)
        np.maximum(gap, across - own[..., 1] - long * s - wide * c, out=gap)
    return gap


_Pairs = tuple[
    Float64[np.ndarray, "pair sample 2"],
    Float64[np.ndarray, "pair sample"],
    Float64[np.ndarray, "pair sample 2"],
    Float64[np.ndarray, "pair sample"],
]


def _follow_pairs(
    pairs: _Pairs, ego_half: Float64[np.ndarray, " 2"], half: Float64[np.ndarray, "pair 2"]
) -> tuple[Float64[np.ndarray, " pair"], Float64[np.ndarray, " pair"]]:
    """Return each pair's least gap, and the sample, with its fraction, of the first touch."""
    gap = box_gap(pairs[0], pairs[1], ego_half, pairs[2], pairs[3], half[:, None])
    touches = gap <= 0.0
    first = np.where(touches.any(axis=1), touches.argmax(axis=1).astype(float), np.inf)
    least = gap.min(axis=1)
    reach = np.hypot(*ego_half) + np.hypot(half[:, 0], half[:, 1])
    row, part = np.nonzero(_is_open(gap, _swing(pairs, reach)) & _is_before(gap.shape, first))
    if len(row):
        ends = tuple(np.stack([track[row, part], track[row, part + 1]], axis=1) for track in pairs)
        inner, when = _split_parts(ends, ego_half, half[row])  # type: ignore[arg-type]
        np.minimum.at(least, row, inner)
        np.minimum.at(first, row, part + when)
    return least, first


def _split_parts(
    ends: _Pairs, ego_half: Float64[np.ndarray, " 2"], half: Float64[np.ndarray, "pair 2"]
) -> tuple[Float64[np.ndarray, " pair"], Float64[np.ndarray, " pair"]]:
    """Return least gap and the fraction at the first touch in parts that may hide one."""
    share = np.linspace(0.0, 1.0, _PARTS + 1)
    finer = tuple(
        track[:, :1]
        + (share[:, None] if track.ndim == 3 else share) * (track[:, 1:] - track[:, :1])
        for track in ends
    )
    least, first = _follow_pairs(finer, ego_half, half)  # type: ignore[arg-type]
    return least, first / _PARTS


def _swing(pairs: _Pairs, reach: Float64[np.ndarray, " pair"]) -> Float64[np.ndarray, "pair part"]:
    """Return how much a gap along any axis of the boxes can change within each part [m].

    An axis turns with its box, and the other box then swings about it by the distance of the two.
    """
    away = pairs[0] - pairs[2]
    distance = np.sqrt((away**2).sum(axis=-1))
    moved = np.sqrt((np.diff(away, axis=1) ** 2).sum(axis=-1))
    turned = np.abs(np.diff(pairs[1], axis=1)) + np.abs(np.diff(pairs[3], axis=1))
    return moved + turned * (np.maximum(distance[:, 1:], distance[:, :-1]) + reach[:, None])


def _is_open(
    gap: Float64[np.ndarray, "pair sample"], swing: Float64[np.ndarray, "pair part"]
) -> Bool[np.ndarray, "pair part"]:
    """Tell in which parts two boxes that are apart at the start may first touch."""
    before, after = gap[:, :-1], gap[:, 1:]
    return (before > 0.0) & (before + np.maximum(after, 0.0) <= swing) & (swing > MISSED)


def _is_before(
    shape: tuple[int, ...], first: Float64[np.ndarray, " pair"]
) -> Bool[np.ndarray, "pair part"]:
    """Tell which parts begin before the first touch; what is after it changes nothing."""
    return np.arange(shape[1] - 1) < first[:, None]
