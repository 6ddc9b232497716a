"""The order of examples: which window of which scene is example number so-and-so.

It follows from a seed and the list of scenes alone. So training goes on exactly where it was
stopped, and does not depend on how many threads prepare the examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from kerbstone.errors import InputError
from kerbstone.world.training.splits import Listed
from kerbstone.world.windows import PATCH, PATCHES, STEP

WINDOW = PATCH * PATCHES
"""Length of the window that an example is cut from [s]."""

_PER_WINDOW = 2
"""Examples of a round for each window's length of the scenes: more spare reading them so often."""
_LEAST_ROUND = 256
_MOST_CELLS = 2_000_000
"""Cells (agents times steps) of the scenes of a group, about 150 MB; a larger scene is alone."""
_NEAR = 8
"""So often another window of the same group is tried; then one from anywhere in the round."""
_ROUND, _EXAMPLE = 0, 1


@dataclass(frozen=True)
class Draw:
    """A window to make an example of.

    Args:
        scene: Number of the scene in the list.
        start: When the window begins, since the scene's start [s].
        group: Numbers of the scenes that are used at about the same time, which are loaded
            together.
    """

    scene: int
    start: float
    group: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Round:
    """A shuffled pass over all scenes: the scene, start and group of each of its examples."""

    scene: np.ndarray
    start: np.ndarray
    group: np.ndarray
    groups: tuple[tuple[int, ...], ...]


class Order:
    """The endless sequence of examples of some scenes.

    It runs in rounds, in each of which a scene has windows in proportion to its duration. A round
    is cut into groups of scenes of many logs, whose windows are mixed: few scenes need to be held.

    Args:
        scenes: The scenes, in an order that is always the same.
        seed: Of all chance.
        group: Number of scenes of a group.

    Raises:
        InputError: There are no scenes, or none has a length.
    """

    def __init__(self, scenes: Sequence[Listed], *, seed: int, group: int = 32) -> None:
        self.scenes = tuple(scenes)
        self.seed = seed
        self._group = group
        self._duration = np.array([scene.duration for scene in self.scenes], np.float64)
        if not (self._duration > 0).any():
            raise InputError("empty", "there are no scenes to make examples of")
        # In a small store a round goes over all of it several times, so that its windows mix.
        windows = self._duration.sum() / WINDOW
        self.round = max(round(_PER_WINDOW * windows), _LEAST_ROUND)
        self._plan = lru_cache(maxsize=2)(self._make_plan)

    def rng(self, number: int, attempt: int = 0) -> np.random.Generator:
        """Return the source of all chance within an example."""
        key = (_EXAMPLE, number, attempt)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def draw(self, number: int, attempt: int = 0) -> Draw:
        """Return what example `number` is made of.

        Args:
            number: Number of the example, from 0.
            attempt: How many windows were of no use for it before. They are replaced by others of
                the same group, and later by others of the round.
        """
        turn, place = divmod(number, self.round)
        plan = self._plan(turn)
        if attempt:
            choices = np.arange(self.round)
            if attempt <= _NEAR:
                choices = np.flatnonzero(plan.group == plan.group[place])
            # A generator apart from the example's own, which starts with what it is given.
            rng = np.random.default_rng([self.seed, number, attempt])
            place = int(rng.choice(choices))
        group = plan.groups[plan.group[place]]
        return Draw(int(plan.scene[place]), float(plan.start[place]), group)

    def _make_plan(self, turn: int) -> _Round:
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(_ROUND, turn)))
        ends = np.cumsum(self._duration)
        # Systematic sampling: every scene gets its share of the round, rounded up or down.
        marks = (np.arange(self.round) + rng.random()) * (ends[-1] / self.round)
        drawn = np.minimum(np.searchsorted(ends, marks, side="right"), len(ends) - 1)
        free = np.floor((self._duration[drawn] - WINDOW) / STEP + 1e-6).clip(min=0)
        start = STEP * rng.integers(0, free.astype(np.int64) + 1)
        groups = self._make_groups(np.unique(drawn), rng)
        group_of = np.zeros(len(self.scenes), np.int64)
        for number, members in enumerate(groups):
            group_of[list(members)] = number
        group = group_of[drawn]
        order = np.lexsort((rng.random(self.round), group))
        return _Round(drawn[order], start[order], group[order], groups)

    def _make_groups(
        self, members: np.ndarray, rng: np.random.Generator
    ) -> tuple[tuple[int, ...], ...]:
        """Return scenes in groups, such that those of a log are spread evenly over all groups."""
        logs: dict[str, list[int]] = {}
        for scene in rng.permutation(members).tolist():
            logs.setdefault(self.scenes[scene].log, []).append(scene)
        scenes = [scene for of_log in logs.values() for scene in of_log]
        rank = np.concatenate([np.arange(len(of_log)) for of_log in logs.values()])
        count = np.concatenate([np.full(len(of_log), len(of_log)) for of_log in logs.values()])
        ordered = np.argsort((rank + rng.random(len(rank))) / count, kind="stable")
        groups: list[list[int]] = []
        cells = 0
        for place in ordered.tolist():
            scene = scenes[place]
            size = self.scenes[scene].cells
            if not groups or len(groups[-1]) >= self._group or cells + size > _MOST_CELLS:
                groups.append([])
                cells = 0
            groups[-1].append(scene)
            cells += size
        return tuple(map(tuple, groups))
