"""Forecasts of several modes: what road users of their group and speed did instead.

A manoeuvre is a pair of numbers, how the speed and the turn rate change. Which ones there are,
and how often, is learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.world.baselines.forecasts import Steady, begin, fit_steady, tell_paths, time_since
from kerbstone.world.baselines.motion import STANDING, choose_axis, estimate_motion
from kerbstone.world.baselines.tracks import Example, Group, Paths, Tracks
from kerbstone.world.windows import STEP

SPEEDS = (STANDING, 5.0)
"""Where one class of speeds ends and the next begins [m/s]."""
_CLASSES = len(SPEEDS) + 1
_LEAST_LAG = 10
"""A manoeuvre is learned from what comes at least this many steps later."""
_LEAST_WAY = 1.0
"""Who came less far shows no turn [m]."""
_BRAKING, _GAINING = -8.0, 4.0
_TURN = 0.6
_ROUNDS = 50


@dataclass(frozen=True, eq=False)
class Manoeuvres:
    """The rule that everybody does one of the manoeuvres of its group and class of speed.

    Its acceleration is constant until it stands; its path is a circle.

    Args:
        steady: What is changed: going straight on, or turning on.
        acceleration: Of each manoeuvre, [m/s²].
        turn: Change of the turn rate, at the speed before [rad/s].
        weight: How often it is done.
    """

    steady: Steady
    acceleration: Float64[np.ndarray, "group speed mode"]
    turn: Float64[np.ndarray, "group speed mode"]
    weight: Float64[np.ndarray, "group speed mode"]

    def __call__(self, tracks: Tracks) -> Paths:
        """Return the paths of the road users."""
        motion = estimate_motion(tracks, reach=self.steady.reach)
        time = time_since(tracks, motion)
        cell = tracks.group, class_speed(np.abs(motion.velocity))
        start, turn_rate = begin(motion, is_turning=self.steady.is_turning)
        axis = choose_axis(start, motion.axis)
        places = []
        for mode in range(self.weight.shape[2]):
            way = _go(np.abs(start)[:, None], self.acceleration[cell][:, mode, None], time)
            bend = (turn_rate + self.turn[cell][:, mode]) / np.maximum(np.abs(start), 1.0)
            angle = bend[:, None] * way / 2
            chord = way * np.sinc(angle / np.pi) * np.exp(1j * angle)
            places.append(motion.place[:, None] + chord * np.exp(1j * axis)[:, None])
        return tell_paths(
            tracks,
            motion,
            places,
            time,
            axis=axis,
            turn_rate=turn_rate,
            weight=self.weight[cell],
        )


def fit_manoeuvres(
    examples: Sequence[Example], *, is_turning: bool, modes: int = 6, seed: int = 0
) -> Manoeuvres:
    """Learn which manoeuvres there are: means of clusters, and how many fall into each.

    What a road user did is told from where it was at the last cell that counts, if that is at
    least 1 s later: the circle that leads there, and the acceleration at which it got so far. The
    pairs are divided by their spread and clustered (k-means), for each group and class of speed;
    where there are fewer than 20 for each mode, with those of all groups.

    Args:
        examples: Forecasts, with the truth.
        is_turning: Whether changes are to a constant turn rate, or to going straight.
        modes: How many manoeuvres.
        seed: Of the first centres.

    Raises:
        InputError: No road user is seen both before what is asked and at least 1 s later.
    """
    steady = fit_steady(examples, is_turning=is_turning)
    rows = [_measure(example, steady) for example in examples]
    table = np.concatenate(rows) if rows else np.zeros((0, 4))
    if not len(table):
        raise InputError("empty", "there is no future to learn manoeuvres from")
    rng = np.random.default_rng(seed)
    shape = (len(Group), _CLASSES, modes)
    centre, weight = np.zeros((*shape, 2)), np.zeros(shape)
    for group in Group:
        for speed in range(_CLASSES):
            choices = (
                (table[:, 0] == group) & (table[:, 1] == speed),
                table[:, 1] == speed,
                np.ones(len(table), bool),
            )
            some = next((keep for keep in choices if keep.sum() >= 20 * modes), choices[-1])
            centre[group, speed], weight[group, speed] = cluster(table[some, 2:], modes, rng)
    return Manoeuvres(steady, centre[..., 0], centre[..., 1], weight)


def class_speed(speed: np.ndarray) -> np.ndarray:
    """Return the class of speeds, from 0; a speed that is not known is in the first."""
    return np.digitize(np.nan_to_num(speed), SPEEDS)


def cluster(
    points: Float64[np.ndarray, "point dim"], count: int, rng: np.random.Generator
) -> tuple[Float64[np.ndarray, "count dim"], Float64[np.ndarray, " count"]]:
    """Return centres of clusters (k-means), and the share of the points in each.

    The first centre is the median; the others are drawn far from those before (k-means++).
    Where points are fewer than centres, some centres are the same, and have a small share.
    """
    spread = np.maximum(points.std(axis=0), 1e-9)
    scaled = points / spread
    centres = [np.median(scaled, axis=0)]
    while len(centres) < count:
        far = np.square(scaled[:, None] - np.array(centres)).sum(axis=2).min(axis=1)
        chance = far / far.sum() if far.sum() > 0 else None
        centres.append(scaled[rng.choice(len(scaled), p=chance)])
    centre = np.array(centres)
    nearest = np.zeros(len(scaled), np.int64)
    for _ in range(_ROUNDS):
        now = np.square(scaled[:, None] - centre).sum(axis=2).argmin(axis=1)
        size = np.bincount(now, minlength=count)
        total = np.stack([np.bincount(now, x, minlength=count) for x in scaled.T], axis=1)
        moved = np.where(size[:, None] > 0, total / np.maximum(size, 1)[:, None], centre)
        if (now == nearest).all() and np.array_equal(moved, centre):
            break
        nearest, centre = now, moved
    # Nothing is impossible: a mode that never happened counts for half a time.
    share = np.maximum(np.bincount(nearest, minlength=count), 0.5)
    return centre * spread, share / share.sum()


def _go(speed: np.ndarray, acceleration: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return the way after some time [m]; who brakes stops, and stays."""
    brakes = acceleration < 0
    stop = np.divide(speed, -acceleration, out=np.full_like(acceleration, np.inf), where=brakes)
    time = np.minimum(time, stop)
    return speed * time + acceleration * time**2 / 2


def _measure(example: Example, steady: Steady) -> Float64[np.ndarray, "row 4"]:
    """Return group, class of speed, acceleration and turn of all whose manoeuvre is seen."""
    tracks = example.tracks
    motion = estimate_motion(tracks, reach=steady.reach)
    steps = tracks.valid.shape[1]
    end = steps - 1 - example.counted[:, ::-1].argmax(axis=1)
    lag = end - motion.step
    row = np.flatnonzero(example.counted.any(axis=1) & (motion.step >= 0) & (lag >= _LEAST_LAG))
    time = STEP * lag[row]
    start, turn_rate = (part[row] for part in begin(motion, is_turning=steady.is_turning))
    axis = choose_axis(start, motion.axis[row])
    speed = np.abs(start)
    moved = example.place[row, end[row]] - motion.place[row]
    angle = np.clip(np.angle(moved * np.exp(-1j * axis)), -1.4, 1.4)
    way = np.abs(moved) / np.sinc(angle / np.pi)
    acceleration = np.where(
        way >= speed * time / 2,
        2 * (way - speed * time) / time**2,
        # It stood before the end.
        -(speed**2) / (2 * np.maximum(way, 1e-3)),
    )
    turn = 2 * angle / np.maximum(way, _LEAST_WAY) * np.maximum(speed, 1.0) - turn_rate
    turn = np.where(np.abs(moved) >= _LEAST_WAY, turn, 0.0)
    return np.column_stack(
        [
            tracks.group[row],
            class_speed(np.abs(motion.velocity[row])),
            np.clip(acceleration, _BRAKING, _GAINING),
            np.clip(turn, -_TURN, _TURN),
        ]
    )
