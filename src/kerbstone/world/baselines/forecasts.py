"""Forecasts without alternatives: to stand still, to go straight on, to go on turning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerbstone.world.baselines.motion import REACH, Motion, choose_axis, estimate_motion, travel
from kerbstone.world.baselines.tracks import Example, Paths, Tracks, make_paths
from kerbstone.world.windows import STEP

_REACHES = (2, 3, 5, 10)


def stand(tracks: Tracks) -> Paths:
    """Say that everybody stays where it was last seen before what is asked."""
    motion = estimate_motion(tracks)
    time = time_since(tracks, motion)
    return tell_paths(tracks, motion, [motion.place[:, None] + 0 * time], time)


@dataclass(frozen=True)
class Steady:
    """The rule that everybody goes on as before: as fast, and straight or turning.

    Args:
        is_turning: Whether it goes on turning as fast (CTRV), or straight (CV).
        reach: Steps that its motion is estimated from; see `estimate_motion`.

    References:
        Schubert, Richter and Wanielik, "Comparison and Evaluation of Advanced Motion Models for
        Vehicle Tracking", FUSION 2008.
    """

    is_turning: bool
    reach: int = REACH

    def __call__(self, tracks: Tracks) -> Paths:
        """Return the paths of the road users."""
        motion = estimate_motion(tracks, reach=self.reach)
        time = time_since(tracks, motion)
        velocity, turn_rate = begin(motion, is_turning=self.is_turning)
        way = velocity[:, None] * travel(time, turn_rate[:, None])
        return tell_paths(
            tracks,
            motion,
            [motion.place[:, None] + way],
            time,
            axis=choose_axis(velocity, motion.axis),
            turn_rate=turn_rate,
        )


def fit_steady(examples: Sequence[Example], *, is_turning: bool) -> Steady:
    """Learn from how many steps motion is best estimated: fewer where tracks are less noisy.

    Of 2, 3, 5 and 10 steps, those are taken whose forecasts are nearest to the truth in the mean
    over all cells that count.

    Args:
        examples: Forecasts, with the truth.
        is_turning: Which rule to learn it for.
    """
    rules = [Steady(is_turning, reach) for reach in _REACHES]
    error = np.zeros(len(rules))
    for example in examples:
        for number, rule in enumerate(rules):
            far = rule(example.tracks).position[:, 0] - example.position
            error[number] += np.nansum(np.linalg.norm(far, axis=-1)[example.counted])
    return rules[int(error.argmin())]


def begin(motion: Motion, *, is_turning: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return velocity (x + iy) [m/s] and turn rate [rad/s] of who goes on turning, or straight."""
    if is_turning:
        return motion.turning_velocity, motion.turn_rate
    return motion.velocity, 0 * motion.turn_rate


def time_since(tracks: Tracks, motion: Motion) -> np.ndarray:
    """Return the time since each was last seen, [agent, step] [s]; NaN before and without."""
    lag = np.arange(tracks.valid.shape[1]) - motion.step[:, None]
    return np.where((motion.step[:, None] >= 0) & (lag > 0), STEP * lag, np.nan)


def tell_paths(
    tracks: Tracks,
    motion: Motion,
    modes: list[np.ndarray],
    time: np.ndarray,
    *,
    axis: np.ndarray | None = None,
    turn_rate: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> Paths:
    """Return the paths of a forecast.

    Args:
        tracks: What was asked.
        motion: How they moved.
        modes: Places of each mode, x + iy [m], [agent, step].
        time: `time_since`.
        axis: Direction of each at first [rad]; by default that of straight motion.
        turn_rate: How fast it turns [rad/s].
        weight: Probability of each mode, [agent, mode].
    """
    start = motion.axis if axis is None else axis
    turned = 0 * time if turn_rate is None else turn_rate[:, None] * time
    return make_paths(
        tracks,
        modes,
        axis=start[:, None] + turned,
        speed=np.abs(motion.velocity)[:, None] + 0 * time,
        lag=np.rint(np.nan_to_num(time) / STEP).astype(np.int64),
        weight=weight,
    )
