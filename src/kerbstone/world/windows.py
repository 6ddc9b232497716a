"""Windows: stretches of scenes at 10 Hz, as the model of the road reads them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from kerbstone.errors import InputError
from kerbstone.scene import Agents, Map, Scene, angle_difference, derive_heading, wrap_angle

STEP = 0.1
"""Time from step to step [s]."""
STEPS_PER_PATCH = 5
PATCH = STEP * STEPS_PER_PATCH
"""Length of a patch [s]: the stretch of a track that is one token."""
PATCHES = 22
"""Patches of the longest window, 11 s."""

_FARTHEST_SAMPLE = 0.6
"""Samples that lie further apart are a gap; nothing is interpolated between them [s]."""
_SAME_HEADING = 1e-6
_NEARLY_ALL = 0.9


@dataclass(frozen=True, eq=False)
class Window:
    """A stretch of a scene, sampled every 0.1 s, a whole number of patches long.

    Cells that are not valid are NaN. A valid cell has a position; its heading may be NaN.

    Args:
        scene: Id of the scene.
        start: When it begins, since the scene's start [s].
        ids: Id of each road user.
        kind: `Kind` of each.
        size: Length, width and height of each [m]; NaN where not known.
        position: Centre from above, world frame [m].
        heading: Direction of the box [rad].
        valid: Which cells are there.
        is_heading_derived: Whose heading was derived from their motion, so that the heading of a
            cell tells of its neighbours in time.
        map: The road, or None.
        light_place: Where each traffic light wants vehicles to stop, world frame [m].
        light_heading: Direction of the lane that it controls [rad]; NaN where not known.
        light_state: `SignalState` of each.
        ego: Row of the recording car, or None.
        is_recorded: Which steps lie within the record, so that who is not there was away; None
            for all.
        sources: First and last step that the samples behind each step lie at, where the scene was
            interpolated: a step tells of both; None where it was not.
    """

    scene: str
    start: float
    ids: tuple[str, ...]
    kind: UInt8[np.ndarray, " agent"]
    size: Float64[np.ndarray, "agent 3"]
    position: Float64[np.ndarray, "agent step 2"]
    heading: Float64[np.ndarray, "agent step"]
    valid: Bool[np.ndarray, "agent step"]
    is_heading_derived: Bool[np.ndarray, " agent"]
    map: Map | None
    light_place: Float64[np.ndarray, "light 2"]
    light_heading: Float64[np.ndarray, " light"]
    light_state: UInt8[np.ndarray, "light step"]
    ego: int | None
    is_recorded: Bool[np.ndarray, " step"] | None = None
    sources: Int64[np.ndarray, "2 step"] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def steps(self) -> int:
        """Number of steps."""
        return self.valid.shape[1]

    @property
    def patches(self) -> int:
        """Number of patches."""
        return self.steps // STEPS_PER_PATCH

    @property
    def valid_patch(self) -> Bool[np.ndarray, "agent patch"]:
        """In which patches each road user has at least one valid cell."""
        cells = self.valid.reshape(len(self), self.patches, STEPS_PER_PATCH)
        return np.asarray(cells.any(axis=-1))

    def select(self, rows: Sequence[int] | np.ndarray) -> Window:
        """Return some of its road users, in the order given (indices)."""
        rows = np.asarray(rows, np.int64)
        ego = None
        if self.ego is not None and self.ego in rows:
            ego = int(np.flatnonzero(rows == self.ego)[0])
        return replace(
            self,
            ids=tuple(self.ids[row] for row in rows),
            kind=self.kind[rows],
            size=self.size[rows],
            position=self.position[rows],
            heading=self.heading[rows],
            valid=self.valid[rows],
            is_heading_derived=self.is_heading_derived[rows],
            ego=ego,
        )


def cut_window(scene: Scene, start: float, patches: int = PATCHES) -> Window:
    """Return a stretch of a scene at 10 Hz, with the road users that are there in it.

    Scenes of another rate are interpolated between samples at most 0.6 s apart.

    Args:
        scene: The scene, or a stretch of it; times count from its start.
        start: When the window begins [s].
        patches: Its length in patches of 0.5 s; what lies beyond the scene is not valid.

    Raises:
        InputError: The window lies outside the scene, or has no length.
    """
    steps = patches * STEPS_PER_PATCH
    if patches < 1 or not -1e-9 <= start < scene.clock.duration:
        raise InputError(
            "value",
            "a window lies outside its scene",
            where=f"scene {scene.id}",
            why=f"{patches} patches from {start:g} s, the scene is {scene.clock.duration:g} s long",
        )
    dt = scene.clock.dt
    first = max(math.floor(start / dt + 1e-6), 0)
    last = min(math.ceil((start + (steps - 1) * STEP) / dt - 1e-6), scene.clock.steps - 1)
    span = scene.agents.window(first, last - first + 1)
    there = np.flatnonzero(span.valid.any(axis=1))
    span = span.select(there)
    sample = _Samples.at(start + STEP * np.arange(steps) - first * dt, dt, last - first + 1)
    valid = sample.both(span.valid)
    lights = scene.signals
    state = np.zeros((0, steps), np.uint8)
    if lights is not None:
        state = np.where(sample.inside, lights.window(first, span.steps).state[:, sample.near], 0)
    ego = np.flatnonzero(there == scene.ego) if scene.ego is not None else there[:0]
    return Window(
        scene=scene.id,
        start=float(start),
        ids=span.ids,
        kind=span.kind,
        size=span.size,
        position=np.where(valid[..., None], sample.mix(span.centre[..., :2]), np.nan),
        heading=np.where(valid, sample.mix_angle(span.heading), np.nan),
        valid=valid,
        is_heading_derived=_find_derived(span),
        map=scene.map,
        light_place=np.zeros((0, 2)) if lights is None else lights.stop_point[:, :2],
        light_heading=_head_lights(scene),
        light_state=state.astype(np.uint8),
        ego=int(ego[0]) if len(ego) else None,
        is_recorded=sample.inside,
        sources=sample.sources(start - first * dt),
    )


@dataclass(frozen=True, eq=False)
class _Samples:
    """Between which samples of a scene each step lies."""

    before: np.ndarray
    after: np.ndarray
    share: np.ndarray
    inside: np.ndarray
    dt: float

    @classmethod
    def at(cls, times: np.ndarray, dt: float, count: int) -> _Samples:
        place = times / dt
        # A time that is a sample's, but for rounding, is that sample's.
        whole = np.round(place)
        place = np.where(np.abs(place - whole) < 1e-6, whole, place)
        inside = (place >= 0) & (place <= count - 1)
        place = np.clip(place, 0, count - 1)
        before = np.floor(place).astype(np.int64)
        share = place - before
        after = np.where(share > 0, np.minimum(before + 1, count - 1), before)
        apart = (after > before) & (dt > _FARTHEST_SAMPLE)
        return cls(before, after, share, inside & ~apart, dt)

    def sources(self, start: float) -> np.ndarray | None:
        """Return at which steps of the window the samples behind each step lie; see `Window`."""
        if not (self.after > self.before).any():
            return None
        places = (np.stack([self.before, self.after]) * self.dt - start) / STEP
        steps = np.stack([np.floor(places[0] + 1e-6), np.ceil(places[1] - 1e-6)])
        return np.clip(steps, 0, len(self.before) - 1).astype(np.int64)

    @property
    def near(self) -> np.ndarray:
        return np.where(self.share < 0.5, self.before, self.after)

    def both(self, valid: np.ndarray) -> np.ndarray:
        return valid[:, self.before] & valid[:, self.after] & self.inside

    def mix(self, values: np.ndarray) -> np.ndarray:
        share = self.share[:, None] if values.ndim == 3 else self.share
        return values[:, self.before] * (1 - share) + values[:, self.after] * share

    def mix_angle(self, angle: np.ndarray) -> np.ndarray:
        turn = angle_difference(angle[:, self.after], angle[:, self.before])
        return wrap_angle(angle[:, self.before] + self.share * turn)


def _find_derived(agents: Agents) -> np.ndarray:
    """Return whose heading is no more than the direction of their motion.

    A format derives those of a kind or measures them. One who drives straight on has the direction
    of motion anyway; so it is derived where it is that of nearly all of a kind.
    """
    derived = derive_heading(agents.centre, agents.valid)
    known = agents.valid & np.isfinite(agents.heading)
    same = np.abs(angle_difference(derived, agents.heading)) < _SAME_HEADING
    # The ends of a stretch see less of the motion than the whole log did.
    own = (known & same).sum(axis=1) > known.sum(axis=1) // 2
    derives = np.zeros(len(agents), bool)
    for kind in np.unique(agents.kind):
        like = (agents.kind == kind) & known.any(axis=1)
        derives[agents.kind == kind] = own[like].sum() > _NEARLY_ALL * like.sum()
    return derives


def _head_lights(scene: Scene) -> np.ndarray:
    """Return the direction in which the lane of each light leaves its stopping place."""
    if scene.signals is None:
        return np.zeros(0)
    heading = np.full(len(scene.signals), np.nan)
    if scene.map is None:
        return heading
    for row, lane in enumerate(scene.signals.lane):
        if lane >= 0 and scene.map.lanes.centre[lane] >= 0:
            line = scene.map.centre_line(int(lane))[:, :2]
            near = np.abs(line - scene.signals.stop_point[row, :2]).sum(axis=1).argmin()
            near = min(int(near), len(line) - 2)
            step = line[near + 1] - line[near] if len(line) > 1 else np.zeros(2)
            if step.any():
                heading[row] = np.arctan2(step[1], step[0])
    return heading
