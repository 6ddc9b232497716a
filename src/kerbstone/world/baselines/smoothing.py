"""Infilling by a Kalman filter and the smoother of Rauch, Tung and Striebel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex128, Float64, Int64

from kerbstone.errors import InputError
from kerbstone.world.baselines.gaps import fill_gaps, find_ends
from kerbstone.world.baselines.tracks import Example, Group, Paths, Tracks
from kerbstone.world.windows import STEP

PRIOR = 1e6
"""Variance of the state at first, in variances of a position."""
_ORDERS = (2, 3)
_RATIOS = 10.0 ** np.arange(0, 9)
_LEAST_CELLS = 100


@dataclass(frozen=True, eq=False)
class Smoother:
    """The rule that everybody moves with white noise in its acceleration, or in its jerk.

    Args:
        order: Of each group: 2 where its acceleration is white noise, 3 where its jerk is.
        ratio: Spectral density of that noise, in variances of a position [1/s³ or 1/s⁵].
    """

    order: Int64[np.ndarray, " group"]
    ratio: Float64[np.ndarray, " group"]

    def __call__(self, tracks: Tracks) -> Paths:
        """Return the paths of the road users."""
        place = np.full(tracks.valid.shape, complex(np.nan, np.nan))
        velocity = place.copy()
        group = tracks.group
        for each in np.unique(group):
            rows = np.flatnonzero(group == each)
            place[rows], velocity[rows] = smooth(
                tracks.place[rows],
                tracks.valid[rows],
                order=int(self.order[each]),
                ratio=float(self.ratio[each]),
            )
        return fill_gaps(tracks, find_ends(tracks.valid), place, velocity)


def fit_smoother(examples: Sequence[Example], *, limit: int = 2000, seed: int = 0) -> Smoother:
    """Learn the noise of each group: that with which hidden cells are told best.

    Of a grid of orders and ratios, that with the smallest mean distance to the truth is taken, over
    the cells that count and have something visible on both sides. A group with less than 100 of
    them gets that of all.

    Args:
        examples: Infills, with the truth.
        limit: How many road users are looked at; of more, as many are drawn.
        seed: Of the draw.

    Raises:
        InputError: There is nothing hidden that has something visible on both sides.
    """
    place, truth, valid, counted, group = _gather(examples, limit, seed)
    tried = [(order, ratio) for order in _ORDERS for ratio in _RATIOS]
    error = np.zeros((len(tried), len(place)))
    for number, (order, ratio) in enumerate(tried):
        smoothed, _ = smooth(place, valid, order=order, ratio=ratio)
        error[number] = np.where(counted, np.abs(smoothed - truth), 0).sum(axis=1)
    order, ratio = np.zeros(len(Group), np.int64), np.zeros(len(Group))
    for each in Group:
        mine = group == each
        if counted[mine].sum() < _LEAST_CELLS:
            mine = np.ones(len(group), bool)
        order[each], ratio[each] = tried[int(error[:, mine].sum(axis=1).argmin())]
    return Smoother(order, ratio)


def smooth(
    place: Complex128[np.ndarray, "agent step"],
    valid: Bool[np.ndarray, "agent step"],
    *,
    order: int,
    ratio: float,
) -> tuple[Complex128[np.ndarray, "agent step"], Complex128[np.ndarray, "agent step"]]:
    """Return places and velocities of road users at all steps, given all that is visible.

    Both axes have the same noise, so that the result turns with the world. The unit of all
    variances is that of a visible position; the state at first is around where the road user is
    first visible, with the variance `PRIOR` in each part.

    Args:
        place: Where they are, x + iy [m].
        valid: Which cells are visible; a road user without any is NaN.
        order: 2 for white noise in the acceleration, 3 for white noise in the jerk.
        ratio: Spectral density of that noise, in variances of a position.

    References:
        Bar-Shalom, Li and Kirubarajan, "Estimation with Applications to Tracking and Navigation",
        2001, chapters 6.2 and 8.6.
    """
    count, steps = valid.shape
    advance, noise = make_model(order, ratio)
    row = np.arange(count)
    origin = np.where(valid.any(axis=1), place[row, valid.argmax(axis=1)], np.nan)
    seen = np.where(valid, place - origin[:, None], 0)
    mean = np.zeros((steps, count, order), complex)
    spread = np.zeros((steps, count, order, order))
    ahead, ahead_spread = np.zeros_like(mean), np.zeros_like(spread)
    now, now_spread = mean[0], np.broadcast_to(PRIOR * np.eye(order), (count, order, order))
    for step in range(steps):
        if step:
            now = now @ advance.T
            now_spread = advance @ now_spread @ advance.T + noise
        ahead[step], ahead_spread[step] = now, now_spread
        column = now_spread[:, :, 0]
        total = column[:, :1] + 1.0
        there = valid[:, step, None]
        now = now + np.where(there, column / total, 0) * (seen[:, step, None] - now[:, :1])
        gone = column[:, :, None] * column[:, None, :] / total[..., None]
        now_spread = now_spread - np.where(there[..., None], gone, 0)
        mean[step], spread[step] = now, now_spread
    for step in range(steps - 2, -1, -1):
        back = np.linalg.solve(ahead_spread[step + 1], advance @ spread[step])
        change = mean[step + 1] - ahead[step + 1]
        mean[step] += np.einsum("aji,aj->ai", back, change)
    return mean[..., 0].T + origin[:, None], mean[..., 1].T + 0 * origin[:, None]


def make_model(
    order: int, ratio: float
) -> tuple[Float64[np.ndarray, "order order"], Float64[np.ndarray, "order order"]]:
    """Return how a state goes on by a step, and the variance that it gains."""
    t = STEP
    advance = np.array([[1, t, t**2 / 2], [0, 1, t], [0, 0, 1]])[:order, :order]
    if order == 2:
        gained = np.array([[t**3 / 3, t**2 / 2], [t**2 / 2, t]])
    else:
        gained = np.array(
            [
                [t**5 / 20, t**4 / 8, t**3 / 6],
                [t**4 / 8, t**3 / 3, t**2 / 2],
                [t**3 / 6, t**2 / 2, t],
            ]
        )
    return advance, ratio * gained


def _gather(
    examples: Sequence[Example], limit: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return places, truth, what is visible, what counts, and group of road users in gaps."""
    longest = max((example.valid.shape[1] for example in examples), default=0)
    parts: tuple[list[np.ndarray], ...] = ([], [], [], [], [])
    for example in examples:
        tracks = example.tracks
        counted = example.counted & find_ends(tracks.valid).is_between
        rows = np.flatnonzero(counted.any(axis=1))
        more = ((0, 0), (0, longest - tracks.valid.shape[1]))
        for part, values in zip(
            parts, (tracks.place, example.place, tracks.valid, counted), strict=False
        ):
            part.append(np.pad(values[rows], more))
        parts[4].append(tracks.group[rows])
    if not sum(map(len, parts[4])):
        raise InputError("empty", "there is no gap to learn from")
    place, truth, valid, counted, group = (np.concatenate(part) for part in parts)
    if len(group) > limit:
        drawn = np.random.default_rng(seed).choice(len(group), limit, replace=False)
        place, truth, valid, counted, group = (
            part[drawn] for part in (place, truth, valid, counted, group)
        )
    return place, truth, valid, counted, group
