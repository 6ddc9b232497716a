"""What a scene model says of a gap: modes of the path within it, joined to the track at both ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.special import log_ndtr, logsumexp

from kerbstone.label.gaps import Gaps
from kerbstone.label.labels import Labels
from kerbstone.scene import angle_difference
from kerbstone.world.windows import STEP

if TYPE_CHECKING:
    from kerbstone.world.predicting import Prediction

_CLOSE = 1e-6
_FEW = 3
"""Steps over which the turn at an end is taken."""


@dataclass(frozen=True, eq=False)
class Filling:
    """What a model says of a gap: modes of its path, at each step of the log within it.

    All modes begin and end where the track does.

    Args:
        weight: Probability of each mode.
        place: Median of each mode, world frame [m].
        heading: Its heading, without jumps from the track's before the gap on [rad].
        scale: Laplace scale along and across `axis` [m].
        axis: Direction of the first of them [rad].
        variance: What the track's own error at both ends adds to each axis [m²].
    """

    weight: Float64[np.ndarray, " mode"]
    place: Float64[np.ndarray, "mode step 2"]
    heading: Float64[np.ndarray, "mode step"]
    scale: Float64[np.ndarray, "mode step 2"]
    axis: Float64[np.ndarray, " step"]
    variance: Float64[np.ndarray, " step"]

    @property
    def likeliest(self) -> int:
        """The mode of the highest probability."""
        return int(np.argmax(self.weight))

    def log_density(
        self,
        step: Int64[np.ndarray, " row"],
        place: Float64[np.ndarray, "row 2"],
        noise: Float64[np.ndarray, " row"],
    ) -> Float64[np.ndarray, " row"]:
        """Return the log density of places that were measured with normal noise [log 1/m²].

        Args:
            step: Steps of the gap, counted from its first.
            place: What was measured at each [m].
            noise: Its standard deviation in x and in y [m].
        """
        cos, sin = np.cos(self.axis[step]), np.sin(self.axis[step])
        x, y = np.moveaxis(place - self.place[:, step], -1, 0)
        error = np.stack([x * cos + y * sin, y * cos - x * sin], axis=-1)
        std = np.sqrt(noise**2 + self.variance[step] + _CLOSE**2)[:, None]
        density = _laplace_and_normal(error, self.scale[:, step], std).sum(axis=-1)
        return np.asarray(logsumexp(density, axis=0, b=self.weight[:, None]))

    def std(self, spread: float = 1.0) -> Float64[np.ndarray, "step 2"]:
        """Return the standard deviation of x and y around the likeliest mode [m].

        Args:
            spread: How many times what the model says of its own error that is.
        """
        return np.sqrt(spread**2 * self.model_variance() + self.variance[:, None])

    def model_variance(self) -> Float64[np.ndarray, "step 2"]:
        """Return what the model says of x and y around its likeliest mode, without the ends [m²]."""
        cos, sin = np.cos(self.axis) ** 2, np.sin(self.axis) ** 2
        # The variance of a Laplace variable is twice its scale's square.
        along, across = np.moveaxis(2 * self.scale**2, -1, 0)
        turned = np.stack([along * cos + across * sin, along * sin + across * cos], axis=-1)
        off = (self.place - self.place[self.likeliest]) ** 2
        return np.einsum("m,msx->sx", self.weight, turned + off)


def within_gap(
    time: Float64[np.ndarray, " step"], begin: float, end: float
) -> Bool[np.ndarray, " step"]:
    """Tell which times lie between the detections before and after a gap [s]."""
    return (time > begin + _CLOSE) & (time < end - _CLOSE)


def read_filling(
    labels: Labels,
    gaps: Gaps,
    gap: int,
    time: Float64[np.ndarray, " step"],
    row: int,
    prediction: Prediction,
) -> Filling | None:
    """Return what was predicted of a gap, joined to the track and at the steps of the log.

    Args:
        labels: The labels.
        gaps: Their gaps.
        gap: Number of the gap.
        time: Times of the window's steps, since the log's start [s].
        row: The gap's agent in the window.
        prediction: What was said of the window.

    Returns:
        The filling, or None where not all of the gap was predicted.
    """
    dt = labels.scene.clock.dt
    cells = [int(gaps.before[gap]), int(gaps.after[gap])]
    begin, end = gaps.first[gap] * dt, gaps.last[gap] * dt
    within = within_gap(time, begin, end)
    time, mixture = time[within], prediction.mixture
    place, heading = mixture.position[row][:, within], prediction.heading[row][:, within]
    if not (len(time) and np.isfinite(place).all() and np.isfinite(heading).all()):
        return None
    steps = np.arange(gaps.first[gap] + 1, gaps.last[gap]) * dt
    knots = np.concatenate([[begin], time, [end]])
    near = np.clip(np.round((steps - time[0]) / STEP), 0, len(time) - 1).astype(np.int64)
    share = (steps - begin) / (end - begin)
    # The errors of both ends are alike in a short gap, and hardly count in a long one.
    error = np.sqrt((labels.std[cells, :2] ** 2).mean(axis=1))
    path = _join_places(place, knots, labels.place[cells, :2])
    way = _join_headings(heading, knots, labels.heading[cells])
    return Filling(
        weight=mixture.weight[row],
        place=_sample(steps, knots, path),
        heading=_sample(steps, knots, way[..., None])[..., 0],
        scale=_sample(steps, time, mixture.scale[row][:, within]),
        axis=mixture.axis[row][within][near],
        variance=((1 - share) * error[0] + share * error[1]) ** 2,
    )


def _join_places(
    place: Float64[np.ndarray, "mode step 2"],
    knots: Float64[np.ndarray, " knot"],
    ends: Float64[np.ndarray, "2 2"],
) -> Float64[np.ndarray, "mode knot 2"]:
    """Return paths with their ends, moved so that they lead from one to the other without a jump.

    Args:
        place: The paths between the ends [m].
        knots: Times of the first end, of the steps between, and of the last end [s].
        ends: Both ends [m].
    """
    # Where a path, gone on straight, would be at the ends.
    off = _continue(place, knots, 1) - ends
    share = _shares(knots)[:, None]
    place = place - (1 - share) * off[:, :1] - share * off[:, 1:]
    begin, end = (np.broadcast_to(each, (len(place), 1, 2)) for each in ends)
    return np.concatenate([begin, place, end], axis=1)


def _join_headings(
    heading: Float64[np.ndarray, "mode step"],
    knots: Float64[np.ndarray, " knot"],
    ends: Float64[np.ndarray, " 2"],
) -> Float64[np.ndarray, "mode knot"]:
    """Return headings with those of the ends, turned so that they meet both."""
    turned = np.unwrap(ends[0] + angle_difference(heading, ends[0]), axis=1)
    share = _shares(knots)
    leaving, arriving = np.split(_continue(turned[..., None], knots, _FEW)[..., 0], 2, axis=1)
    last = np.asarray(arriving + angle_difference(ends[1], arriving))
    turned = turned - (1 - share) * (leaving - ends[0]) - share * (arriving - last)
    return np.concatenate([np.full((len(turned), 1), ends[0]), turned, last], axis=1)


def _continue(
    values: Float64[np.ndarray, "mode step value"], knots: Float64[np.ndarray, " knot"], steps: int
) -> Float64[np.ndarray, "mode 2 value"]:
    """Return what values come to at both ends, as they change over so many steps beside them."""
    time, last = knots[1:-1], values.shape[1] - 1
    steps = min(steps, last)
    if not steps:
        return values[:, [0, 0]]
    outer, inner = [0, last], [steps, last - steps]
    far = (knots[[0, -1]] - time[outer]) / (time[outer] - time[inner])
    return values[:, outer] + (values[:, outer] - values[:, inner]) * far[:, None]


def _shares(knots: Float64[np.ndarray, " knot"]) -> Float64[np.ndarray, " step"]:
    """Return how far each step lies on the way from the first end to the last, from 0 to 1."""
    return (knots[1:-1] - knots[0]) / (knots[-1] - knots[0])


def _laplace_and_normal(
    error: Float64[np.ndarray, "mode row 2"],
    scale: Float64[np.ndarray, "mode row 2"],
    std: Float64[np.ndarray, "row 1"],
) -> Float64[np.ndarray, "mode row 2"]:
    """Return the log density of the sum of a Laplace and a normal variable.

    References:
        Reed, "The Normal-Laplace Distribution and Its Relatives", 2006.
    """
    far, share = error / std, std / scale
    sides = np.logaddexp(log_ndtr(far - share) - far * share, log_ndtr(-far - share) + far * share)
    return share**2 / 2 - np.log(2 * scale) + sides


def _sample(
    at: Float64[np.ndarray, " step"],
    time: Float64[np.ndarray, " knot"],
    values: Float64[np.ndarray, "mode knot value"],
) -> Float64[np.ndarray, "mode step value"]:
    """Return values at other times, by straight lines between those that are known."""
    after = np.clip(np.searchsorted(time, at), 1, len(time) - 1)
    share = (at - time[after - 1]) / (time[after] - time[after - 1])
    share = np.clip(share, 0.0, 1.0)[:, None]
    return values[:, after - 1] * (1 - share) + values[:, after] * share
