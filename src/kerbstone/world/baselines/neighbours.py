"""Forecasts by memory: what those did next who had moved most alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64
from scipy.spatial import KDTree

from kerbstone.errors import InputError
from kerbstone.world.baselines.forecasts import tell_paths, time_since
from kerbstone.world.baselines.motion import Motion, estimate_motion
from kerbstone.world.baselines.tracks import Example, Group, Paths, Tracks
from kerbstone.world.windows import STEP

_PAST = np.array([-20, -15, -10, -5])
"""Steps of the past that are compared."""
_NEAR = 0.1
"""Neighbours nearer than this weigh about the same [m]."""
_SMALL_GAP = 5
"""A future with this many steps missing in a row is not remembered."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The rule that everybody does what those of its group did who had moved most alike.

    Pasts are compared in the frame of each road user at its last visible step: where it was 0.5,
    1, 1.5 and 2 s before [m], and its speed [m/s], by Euclidean distance. A past that is not
    visible is taken to be straight, as fast as later. The nearest are the modes; their weight
    falls with the distance d, as 1 / (d + 0.1 m).

    Args:
        modes: How many neighbours tell.
        past: What is compared of each that is remembered.
        future: Where it was at each later step, in its own frame, x + iy [m].
        group: `Group` of each.
    """

    modes: int
    past: Float64[np.ndarray, "memory feature"]
    future: np.ndarray
    group: Int64[np.ndarray, " memory"]

    @cached_property
    def trees(self) -> dict[Group, tuple[KDTree, Int64[np.ndarray, " row"]]]:
        """For each group, a tree of the pasts that it looks at, and their rows."""
        trees = {}
        for group in Group:
            rows = np.flatnonzero(self.group == group)
            # A group with too few to choose from looks at all.
            rows = rows if len(rows) >= self.modes else np.arange(len(self.group))
            trees[group] = KDTree(self.past[rows]), rows
        return trees

    def __call__(self, tracks: Tracks) -> Paths:
        """Return the paths of the road users; later than is remembered, they go straight on."""
        motion = estimate_motion(tracks)
        time = time_since(tracks, motion)
        past = describe_past(tracks, motion)
        nearest = np.zeros((len(tracks), self.modes), np.int64)
        distance = np.zeros((len(tracks), self.modes))
        for group, (tree, rows) in self.trees.items():
            mine = np.flatnonzero((tracks.group == group) & (motion.step >= 0))
            if len(mine):
                far, found = tree.query(past[mine], k=self.modes)
                # Of one neighbour, SciPy leaves the axis out.
                shape = (len(mine), self.modes)
                nearest[mine] = rows[np.reshape(found, shape)]
                distance[mine] = np.reshape(far, shape)
        weight = 1 / (distance + _NEAR)
        lag = np.rint(np.nan_to_num(time) / STEP).astype(np.int64)
        places = [
            motion.place[:, None]
            + np.exp(1j * motion.axis)[:, None] * self._recall(nearest[:, mode], lag)
            + 0 * time
            for mode in range(self.modes)
        ]
        weight = weight / weight.sum(axis=1, keepdims=True)
        return tell_paths(tracks, motion, places, time, weight=weight)

    def _recall(
        self, memory: Int64[np.ndarray, " agent"], lag: Int64[np.ndarray, "agent step"]
    ) -> np.ndarray:
        """Return where those that are remembered were some steps later."""
        longest = self.future.shape[1]
        end = self.future[memory, -1]
        velocity = (end - self.future[memory, max(longest - 1 - _SMALL_GAP, 0)]) / min(
            _SMALL_GAP, max(longest - 1, 1)
        )
        known = self.future[memory[:, None], np.clip(lag - 1, 0, longest - 1)]
        return known + velocity[:, None] * np.maximum(lag - longest, 0)


def remember(
    examples: Sequence[Example], *, modes: int = 6, limit: int = 20_000, seed: int = 0
) -> Neighbours:
    """Remember pasts and futures of road users.

    Those are remembered that are visible at the last step before what is asked, and whose future
    is there as far as the longest that is asked for, but for holes of less than 0.5 s, which are
    filled.

    Args:
        examples: Forecasts, with the truth.
        modes: How many neighbours tell.
        limit: How many are remembered at most; of more, as many are drawn.
        seed: Of the draw.

    Raises:
        InputError: Fewer are there than modes.
    """
    parts = [_collect(example) for example in examples]
    longest = max((part[1].shape[1] for part in parts), default=0)
    whole = [(past, future, group) for past, future, group in parts if future.shape[1] == longest]
    if sum(len(group) for *_, group in whole) < modes:
        raise InputError(
            "empty",
            "there are not enough futures to remember",
            why=f"fewer than {modes} road users are seen over all {longest} steps that are asked",
        )
    past, future, group = (np.concatenate(part) for part in zip(*whole, strict=True))
    if len(group) > limit:
        drawn = np.random.default_rng(seed).choice(len(group), max(limit, modes), replace=False)
        past, future, group = past[drawn], future[drawn], group[drawn]
    return Neighbours(modes, past, future, group)


def describe_past(tracks: Tracks, motion: Motion) -> Float64[np.ndarray, "agent feature"]:
    """Return what is compared of each past; 0 where nothing is visible."""
    past = np.zeros((len(tracks), len(_PAST)), complex)
    for row in np.flatnonzero(motion.step >= 0):
        seen = np.flatnonzero(tracks.valid[row, : motion.step[row] + 1])
        wanted = motion.step[row] + _PAST
        past[row] = _interpolate(wanted, seen, tracks.position[row, seen])
        before = np.minimum(wanted - seen[0], 0)
        past[row] += before * STEP * motion.velocity[row] - motion.place[row]
    past = past * np.exp(-1j * np.nan_to_num(motion.axis))[:, None]
    speed = np.abs(np.nan_to_num(motion.velocity))
    return np.column_stack([np.real(past), np.imag(past), speed])


def _collect(example: Example) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pasts, whole futures and groups of an example."""
    tracks = example.tracks
    motion = estimate_motion(tracks)
    steps = tracks.valid.shape[1]
    last = steps - 1 - tracks.asked[:, ::-1].argmax(axis=1)
    # Who was lost before the present has a future of another length.
    is_present = tracks.asked[np.arange(len(tracks)), np.minimum(motion.step + 1, steps - 1)]
    lag = np.where(is_present & (motion.step >= 0), last - motion.step, 0)
    longest = int(lag.max(initial=0))
    rows, futures = [], []
    for row in np.flatnonzero((lag == longest) & (longest > 0)):
        start = motion.step[row]
        there = np.flatnonzero(example.valid[row, start : start + longest + 1])
        if there[-1] == longest and np.diff(there).max() <= _SMALL_GAP:
            rows.append(row)
            places = example.position[row, start + there]
            futures.append(_interpolate(np.arange(1, longest + 1), there, places))
    rows = np.array(rows, np.int64)
    future = np.array(futures, complex).reshape(len(rows), longest) - motion.place[rows, None]
    return (
        describe_past(tracks, motion)[rows],
        future * np.exp(-1j * motion.axis[rows])[:, None],
        tracks.group[rows],
    )


def _interpolate(
    wanted: np.ndarray, step: np.ndarray, position: Float64[np.ndarray, "step 2"]
) -> np.ndarray:
    """Return the places at some steps, x + iy; beyond the first and last, those."""
    x, y = (np.interp(wanted, step, column) for column in position.T)
    return x + 1j * y
