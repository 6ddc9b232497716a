"""How large the errors of a rule are: Laplace scales by group, speed and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.world.baselines.manoeuvres import SPEEDS, class_speed
from kerbstone.world.baselines.tracks import Example, Group, Paths, Rule
from kerbstone.world.metrics.errors import turn_errors

_CLASSES = len(SPEEDS) + 1
_PRIOR = 50
"""As many cells of all road users count along with those of a group."""
_SMALLEST = 0.01
"""No scale is smaller: nobody is located better [m]."""


@dataclass(frozen=True, eq=False)
class Scales:
    """Laplace scales of the errors along and across the motion.

    Args:
        table: By group, class of speed, and steps from what is visible [m].
    """

    table: Float64[np.ndarray, "group speed lag 2"]

    def look_up(
        self, group: Int64[np.ndarray, " agent"], paths: Paths
    ) -> Float64[np.ndarray, "agent mode step 2"]:
        """Return the scale of each cell of paths; later than was learned, that of the latest."""
        lag = np.minimum(paths.lag, self.table.shape[2] - 1)
        scale = self.table[group[:, None], class_speed(paths.speed), lag][:, None]
        return np.where(np.isfinite(paths.position), scale, np.nan)


def fit_scales(
    examples: Sequence[Example], rule: Rule, *, limit: int = 8000, rounds: int = 10, seed: int = 0
) -> Scales:
    """Learn the scales under which what happened is most likely, as trajectories.

    With one mode a scale is the mean error. With several, which mode came true is not known:
    expectation and maximisation take turns. Means are drawn towards those of all groups, and those
    to the means of all road users, by as much as 50 cells of them would.

    Args:
        examples: What is visible, with the truth.
        rule: Whose errors count.
        limit: How many tracks are looked at; of more, as many are drawn.
        rounds: Turns, with several modes.
        seed: Of the draw.

    Raises:
        InputError: No cell has both an answer of the rule and a truth.
    """
    rng = np.random.default_rng(seed)
    share = min(1.0, limit / max(sum(len(example.tracks) for example in examples), 1))
    parts = [
        _measure(example, rule(example.tracks), rng.random(len(example.tracks)) < share)
        for example in examples
    ]
    parts = [part for part in parts if len(part[0])]
    if not parts:
        raise InputError("empty", "there is nothing to learn the errors of a rule from")
    error, cell, track = (np.concatenate(part) for part in list(zip(*parts, strict=True))[:3])
    weight = np.concatenate([part[3] for part in parts])
    firsts = np.cumsum([0, *(len(part[3]) for part in parts[:-1])])
    track = track + np.repeat(firsts, [len(part[0]) for part in parts])
    lags = int(cell[:, 2].max()) + 1
    shape = (len(Group), _CLASSES, lags)
    key = (cell[:, 0] * shape[1] + cell[:, 1]) * lags + cell[:, 2]
    chance = weight
    for _ in range(rounds if weight.shape[1] > 1 else 1):
        table = _average(error, chance[track], key, shape)
        scale = table.reshape(-1, 2)[key][:, None]
        told = -(np.log(2 * scale) + error / scale).sum(axis=2)
        logs = np.log(weight) + np.stack(
            [np.bincount(track, column, minlength=len(weight)) for column in told.T], axis=1
        )
        chance = np.exp(logs - logs.max(axis=1, keepdims=True))
        chance = chance / chance.sum(axis=1, keepdims=True)
    return Scales(_average(error, chance[track], key, shape))


def _measure(
    example: Example, paths: Paths, drawn: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return errors, place in the table, and track of each cell, and the weights of tracks."""
    counted = example.counted & (paths.lag > 0) & drawn[:, None]
    agent, step = np.nonzero(counted)
    error = np.abs(turn_errors(paths.position, paths.axis, example.position))
    cell = np.column_stack(
        [
            example.tracks.group[agent],
            class_speed(paths.speed[agent, step]),
            paths.lag[agent, step],
        ]
    )
    return error[agent, :, step], cell, agent, paths.weight


def _average(
    error: Float64[np.ndarray, "cell mode 2"],
    chance: Float64[np.ndarray, "cell mode"],
    key: Int64[np.ndarray, " cell"],
    shape: tuple[int, int, int],
) -> Float64[np.ndarray, "group speed lag 2"]:
    mean = (error * chance[..., None]).sum(axis=1)
    size = int(np.prod(shape))
    total = np.stack([np.bincount(key, column, size).reshape(shape) for column in mean.T], -1)
    number = np.bincount(key, minlength=size).reshape(shape)[..., None].astype(np.float64)
    seen = np.flatnonzero(number.sum(axis=(0, 1, 3)))
    overall = total.sum(axis=(0, 1))[seen] / number.sum(axis=(0, 1))[seen]
    lag = np.arange(shape[2])
    overall = np.stack([np.interp(lag, seen, column) for column in overall.T], axis=-1)
    by_speed = (total.sum(axis=0) + _PRIOR * overall) / (number.sum(axis=0) + _PRIOR)
    return np.maximum((total + _PRIOR * by_speed) / (number + _PRIOR), _SMALLEST)
