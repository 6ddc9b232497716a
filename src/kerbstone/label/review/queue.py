"""What a person should look at first: the stretches whose labels an answer may change most.

The worth of an answer is the number of cells that it is expected to change, each counted by what
depends on it:

    gain = Σ over the cells of a stretch: doubt × weight

- **Doubt** of a cell is the chance that its label is wrong, 1 less its confidence: what was kept
  stands, whatever its confidence, until a person says otherwise. A leap of its track raises it to
  0.3 at least, a size that is far from that of its kind to 0.2. What a person drew or confirmed,
  or what was given, has none.
- **Weight** is 1 / (1 + (d / 25 m)²) at the distance d from the recording car, twice that of
  people and riders; 1 and 2 where nobody knows where the car was.

A stretch is a run of cells of one track whose doubt is 0.1 at least, with holes of half a second
at most. One answer settles all of it, so its cells add up: a track that is a little doubtful for
long comes before one that is very doubtful for a moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.errors import InputError, UsageError, suggest_name
from kerbstone.label.labels import Labels, Provenance
from kerbstone.scene.kinds import VULNERABLE

NEAR_CUT = "confidence near the cut"
LONG_GAP = "long gap"
ODD_SIZE = "size or kind disputed"
LEAP = "jump"

_LEAST_DOUBT = 0.1
_HOLE = 0.5
"""Doubtful cells this near in time are one stretch [s]."""
_REACH = 25.0
"""Distance from the recording car at which a cell weighs half [m]."""
_LONG = 1.0
"""Unseen for longer than this is a long gap [s]."""
_LEAP_DOUBT, _SIZE_DOUBT = 0.3, 0.2
_LEAP_FACTOR, _LEAP_SLACK = 4.0, 0.3
"""A leap is off by more than so many standard deviations, and by some more [m]."""
_ODD = 0.5
"""A length or width is odd that is off its kind's median by this factor, as a logarithm."""
_LEAST_PEERS = 5
"""Of fewer tracks of a kind no size is odd."""


@dataclass(frozen=True)
class ReviewItem:
    """A stretch of a track that a person should look at.

    Args:
        agent: Name of the track.
        first: First step of the stretch.
        last: Last step of it.
        step: Where to look: the step of most doubt, counted by weight.
        place: Where the track is then, in the world [m].
        reason: What makes it doubtful, in words.
        gain: How many cells an answer is expected to change, counted by weight.
    """

    agent: str
    first: int
    last: int
    step: int
    place: tuple[float, float, float]
    reason: str
    gain: float


def review_queue(
    labels: Labels,
    *,
    top: int | None = None,
    importance: Mapping[str, float] | Float64[np.ndarray, " cell"] | None = None,
) -> list[ReviewItem]:
    """Return what a person should look at, the most worthwhile first.

    Args:
        labels: The labels.
        top: At most so many; all if not given.
        importance: What depends on the labels. By agent: factors on the default weights, such as
            of road users that a finding refers to; those that are missing keep theirs. By cell:
            weights in place of the default ones.

    Raises:
        UsageError: `top` is negative.
        InputError: A weight is negative or no number, there is not one for each cell, or an agent
            is not there.
    """
    if top is not None and top < 0:
        raise UsageError("usage", "a queue cannot have fewer than no items", why=f"top={top}")
    weight = _weigh(labels, importance)
    leaps = _find_leaps(labels)
    odd = _find_odd_sizes(labels)[labels.agent]
    doubt = _doubt(labels, leaps, odd)
    gain = doubt * weight
    cells = np.flatnonzero((doubt >= _LEAST_DOUBT) & (weight > 0))
    if not len(cells):
        return []
    hole = max(1, round(_HOLE / labels.scene.clock.dt))
    parted = np.diff(labels.agent[cells]) != 0
    parted |= np.diff(labels.step[cells]) > hole
    start = np.concatenate([[0], np.flatnonzero(parted) + 1, [len(cells)]])
    gaps = _find_long_gaps(labels)
    items = [
        _item(labels, cells[low:high], gain, leaps=leaps, gaps=gaps, odd=odd)
        for low, high in zip(start[:-1].tolist(), start[1:].tolist(), strict=True)
    ]
    order = sorted(range(len(items)), key=lambda i: (-items[i].gain, i))
    return [items[i] for i in order[:top]]


def default_importance(labels: Labels) -> Float64[np.ndarray, " cell"]:
    """Return what depends on each cell, as far as it is known without asking: see the module."""
    scene = labels.scene
    vulnerable = np.isin(labels.kind, np.array([*VULNERABLE], np.uint8))[labels.agent]
    weight = np.where(vulnerable, 2.0, 1.0)
    if scene.ego is None:
        return weight
    away = labels.place[:, :2] - scene.agents.centre[scene.ego, labels.step, :2]
    # Where the car is not known for a moment, nothing speaks for less than the full weight.
    distance = np.nan_to_num(np.hypot(away[:, 0], away[:, 1]))
    return weight / (1 + (distance / _REACH) ** 2)


def _weigh(
    labels: Labels, importance: Mapping[str, float] | Float64[np.ndarray, " cell"] | None
) -> Float64[np.ndarray, " cell"]:
    if importance is None:
        return default_importance(labels)
    if isinstance(importance, Mapping):
        for agent in importance.keys() - set(labels.ids):
            raise InputError(
                "name",
                f"there is no track {agent!r} to weigh",
                where=f"scene {labels.scene.id}",
                remedy=suggest_name(agent, labels.ids),
            )
        factor = np.array([importance.get(id_, 1.0) for id_ in labels.ids], np.float64)
        weight = default_importance(labels) * factor[labels.agent]
    else:
        weight = importance
    if len(weight) != len(labels):
        raise InputError(
            "shape",
            "weights do not fit the labels",
            where=f"scene {labels.scene.id}",
            why=f"{len(weight)}, expected {len(labels)}",
        )
    if not (np.isfinite(weight) & (weight >= 0)).all():
        cell = int(np.argmin(np.isfinite(weight) & (weight >= 0)))
        raise InputError("value", "a weight is negative or no number", why=f"{weight[cell]}")
    return weight


def _doubt(
    labels: Labels, leaps: Bool[np.ndarray, " cell"], odd: Bool[np.ndarray, " cell"]
) -> Float64[np.ndarray, " cell"]:
    doubt = 1 - labels.confidence
    doubt = np.maximum(doubt, np.where(leaps, _LEAP_DOUBT, 0.0))
    doubt = np.maximum(doubt, np.where(odd, _SIZE_DOUBT, 0.0))
    return np.where(_is_settled(labels), 0.0, doubt)


def _is_settled(labels: Labels) -> Bool[np.ndarray, " cell"]:
    return np.isin(labels.provenance, (Provenance.REVIEWED, Provenance.GIVEN))


def _find_leaps(labels: Labels) -> Bool[np.ndarray, " cell"]:
    """Tell which cells lie at a step that their speed does not explain."""
    leaps = np.zeros(len(labels), bool)
    if len(labels) < 2:
        return leaps
    joined = (np.diff(labels.agent) == 0) & (np.diff(labels.step) == 1)
    # The mean speed of both ends: a steady braking is no leap.
    speed = (labels.velocity[1:] + labels.velocity[:-1]) / 2
    off = np.diff(labels.place[:, :2], axis=0) - speed * labels.scene.clock.dt
    spread = np.hypot(labels.std[1:, :2].max(axis=1), labels.std[:-1, :2].max(axis=1))
    far = np.hypot(off[:, 0], off[:, 1]) > _LEAP_FACTOR * spread + _LEAP_SLACK
    there = np.flatnonzero(joined & far)
    leaps[there] = leaps[there + 1] = True
    return leaps


def _find_odd_sizes(labels: Labels) -> Bool[np.ndarray, " agent"]:
    """Tell which tracks have a length or width far from that of their kind in this log."""
    odd = np.zeros(len(labels.ids), bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.log(labels.size[:, :2])
    for kind in np.unique(labels.kind):
        rows = np.flatnonzero((labels.kind == kind) & np.isfinite(size).all(axis=1))
        if len(rows) >= _LEAST_PEERS:
            off = np.abs(size[rows] - np.median(size[rows], axis=0))
            odd[rows] = (off > _ODD).any(axis=1)
    return odd


def _find_long_gaps(labels: Labels) -> Bool[np.ndarray, " cell"]:
    """Tell which cells lie in a stretch that was not seen for long."""
    made = (Provenance.INTERPOLATED, Provenance.INFILLED, Provenance.EXTRAPOLATED)
    unseen = np.isin(labels.provenance, made)
    parted = (np.diff(labels.agent) != 0) | (np.diff(labels.step) != 1) | ~unseen[1:] | ~unseen[:-1]
    run = np.concatenate([[0], np.cumsum(parted)])
    length = np.bincount(run, unseen)[run] * labels.scene.clock.dt
    return unseen & (length > _LONG)


def _item(
    labels: Labels,
    cells: Int64[np.ndarray, " part"],
    gain: Float64[np.ndarray, " cell"],
    *,
    leaps: Bool[np.ndarray, " cell"],
    gaps: Bool[np.ndarray, " cell"],
    odd: Bool[np.ndarray, " cell"],
) -> ReviewItem:
    if leaps[cells].any():
        reason = LEAP
    elif gain[cells][gaps[cells]].sum() > gain[cells].sum() / 2:
        reason = LONG_GAP
    elif odd[cells].any():
        reason = ODD_SIZE
    else:
        reason = NEAR_CUT
    worst = int(cells[np.argmax(gain[cells])])
    x, y, z = labels.place[worst].tolist()
    return ReviewItem(
        agent=labels.ids[labels.agent[worst]],
        first=int(labels.step[cells[0]]),
        last=int(labels.step[cells[-1]]),
        step=int(labels.step[worst]),
        place=(x, y, z),
        reason=reason,
        gain=float(gain[cells].sum()),
    )
