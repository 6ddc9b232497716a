"""Moments of a scene: short windows at every second, each seen from one road user, its anchor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.mine.moments.features import FAR
from kerbstone.scene import VEHICLES, VULNERABLE, DrivingSide, Kind, Scene, wrap_angle

LENGTH = 3.0
"""Length of a moment [s]."""
STRIDE = 1.0
"""Time from one moment to the next [s]."""
PERIOD = 0.5
"""Time from sample to sample [s]."""

_SAMPLES = round(LENGTH / PERIOD) + 1
_MIDDLE = _SAMPLES // 2
_BLOCK = 250_000
"""Cells, moment by sample by road user, that are held at once."""
_STANDING = 0.5
_FASTEST = 200.0
_HARDEST = 20.0
_QUICKEST = 2.5
_FARTHEST = 1e8
_REACH = 20.0
_USUAL_RADIUS = 1.0

_VULNERABLE = (VULNERABLE | {Kind.BICYCLE}) - VEHICLES


@dataclass(frozen=True, eq=False)
class Track:
    """Road users at every half second of a scene.

    Args:
        present: Whether each is there.
        point: Centre from above [m].
        heading: Direction [rad]: the box's, that of motion where the box has none, else NaN.
        velocity: In the world frame [m/s].
        acceleration: Of the speed along the heading, over one second [m/s²].
        yaw_rate: Of the heading, over one second [rad/s].
        radius: Of a disc about as large as the box [m].
        kind: `Kind` of each.
    """

    present: Bool[np.ndarray, "agent sample"]
    point: Float64[np.ndarray, "agent sample 2"]
    heading: Float64[np.ndarray, "agent sample"]
    velocity: Float64[np.ndarray, "agent sample 2"]
    acceleration: Float64[np.ndarray, "agent sample"]
    yaw_rate: Float64[np.ndarray, "agent sample"]
    radius: Float64[np.ndarray, " agent"]
    kind: np.ndarray

    @property
    def speed(self) -> Float64[np.ndarray, "agent sample"]:
        """Speed over ground [m/s]."""
        return np.hypot(self.velocity[..., 0], self.velocity[..., 1])

    @property
    def is_vehicle(self) -> Bool[np.ndarray, " agent"]:
        """Which are vehicles."""
        return np.isin(self.kind, sorted(VEHICLES))

    @property
    def is_vulnerable(self) -> Bool[np.ndarray, " agent"]:
        """Which are on foot or ride without a motor."""
        return np.isin(self.kind, sorted(_VULNERABLE))


@dataclass(frozen=True, eq=False)
class Moments:
    """Some moments of a scene, with the road users in reach of their anchors.

    Args:
        scene: The scene.
        track: The road users that come near any of the anchors.
        sample: The samples of each moment, as columns of the track; those beyond the scene's end
            repeat the last one, and `within` is False there.
        within: Whether a sample lies in the scene.
        anchor: The road user that each moment is seen from, -1 where nobody is there.
        is_ego: Whether that is the recording car.
        far_side: 1 where the far side is on the left, -1 where it is on the right.
    """

    scene: Scene
    track: Track
    sample: Int64[np.ndarray, "moment sample"]
    within: Bool[np.ndarray, "moment sample"]
    anchor: Int64[np.ndarray, " moment"]
    is_ego: Bool[np.ndarray, " moment"]
    far_side: float

    def __len__(self) -> int:
        return len(self.anchor)

    def own(self, values: np.ndarray) -> np.ndarray:
        """Return the anchors' values as [moment, sample, …], NaN where they are not there."""
        if not len(values):
            return np.full((*self.sample.shape, *values.shape[2:]), np.nan)
        taken = values[self.anchor[:, None], self.sample].astype(np.float64)
        return np.where(_wide(self.has_anchor, taken), taken, np.nan)

    def others(self, values: np.ndarray) -> np.ndarray:
        """Return everybody's values as [moment, sample, agent, …]."""
        return np.moveaxis(values[:, self.sample], 0, 2)

    @property
    def has_anchor(self) -> Bool[np.ndarray, "moment sample"]:
        """Whether the anchor is there."""
        if not len(self.track.kind):
            return np.zeros(self.sample.shape, bool)
        found = self.track.present[self.anchor[:, None], self.sample]
        return found & self.within & (self.anchor >= 0)[:, None]

    @property
    def middle(self) -> Int64[np.ndarray, " moment"]:
        """The sample in the middle of the time that the anchor is there."""
        here, place = self.has_anchor, np.arange(self.sample.shape[1])
        centre = (here * place).sum(axis=1) / np.maximum(here.sum(axis=1), 1)
        off = np.where(here, np.abs(place - centre[:, None]), np.inf)
        return off.argmin(axis=1)

    @property
    def is_other(self) -> Bool[np.ndarray, "moment sample agent"]:
        """Who is there besides the anchor, while the anchor is."""
        present = self.others(self.track.present) & self.has_anchor[..., None]
        return present & (np.arange(len(self.track.kind)) != self.anchor[:, None, None])


def moment_starts(scene: Scene) -> Float64[np.ndarray, " moment"]:
    """Return when the moments of a scene begin [s]: every second, all within the scene.

    A scene shorter than a moment has one, at its start.
    """
    count = max(int(np.floor((scene.clock.duration - LENGTH) / STRIDE + 1e-6)) + 1, 1)
    return STRIDE * np.arange(count)


def cut_moments(scene: Scene) -> Iterator[Moments]:
    """Go through the moments of a scene, in blocks.

    A moment is seen from the recording car; where that is not there, from the road user with most
    others close by, those that move counting five times as much as those that stand.

    Args:
        scene: The scene. One without road users has moments without an anchor.
    """
    track = sample_track(scene)
    samples = track.present.shape[1]
    starts = np.rint(moment_starts(scene) / PERIOD).astype(np.int64)
    wanted = starts[:, None] + np.arange(_SAMPLES)
    within = wanted < samples
    wanted = np.minimum(wanted, samples - 1)
    anchor = np.array([_choose_anchor(track, scene.ego, row) for row in wanted], np.int64)
    far_side = -1.0 if scene.source.driving_side == DrivingSide.LEFT else 1.0
    size = max(_BLOCK // (_SAMPLES * max(len(track.kind), 1)), 1)
    for first in range(0, len(starts), size):
        part = slice(first, first + size)
        near = _reach(track, anchor[part], wanted[part])
        place = np.full(len(track.kind) + 1, -1)
        place[near] = np.arange(len(near))
        yield Moments(
            scene=scene,
            track=_select(track, near),
            sample=wanted[part],
            within=within[part],
            anchor=place[anchor[part]],
            is_ego=anchor[part] == (-2 if scene.ego is None else scene.ego),
            far_side=far_side,
        )


def sample_track(scene: Scene) -> Track:
    """Return the road users of a scene at every half second."""
    agents, clock = scene.agents, scene.clock
    count = max(int(np.floor(clock.duration / PERIOD + 1e-6)) + 1, 1)
    step = np.rint(PERIOD * np.arange(count) / clock.dt).astype(np.int64)
    # The end of the last step is the next one's start, which is not there: the last one serves.
    step = np.minimum(step[step <= clock.steps], clock.steps - 1)
    point = agents.centre[:, step, :2]
    with np.errstate(invalid="ignore"):
        present = agents.valid[:, step] & (np.abs(point) < _FARTHEST).all(axis=-1)
        # What is faster than anything on a road was measured wrongly.
        is_speed = (np.abs(agents.velocity[:, step]) < _FASTEST).all(axis=-1)
    velocity = np.where((present & is_speed)[..., None], agents.velocity[:, step], np.nan)
    point = np.where(present[..., None], point, np.nan)
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    heading = agents.heading[:, step]
    moves = np.isnan(heading) & (speed > _STANDING)
    heading = np.where(moves, np.arctan2(velocity[..., 1], velocity[..., 0]), heading)
    forward = velocity[..., 0] * np.cos(heading) + velocity[..., 1] * np.sin(heading)
    yaw_rate = _rate(heading, lambda later, earlier: wrap_angle(later - earlier))
    # A box that was turned round from one sample to the next did not turn.
    turns = np.isfinite(_possible(yaw_rate * speed)) & (np.abs(yaw_rate) < _QUICKEST)
    size = agents.size[:, 0] * agents.size[:, 1]
    return Track(
        present=present,
        point=point,
        heading=heading,
        velocity=velocity,
        acceleration=_possible(_rate(forward, np.subtract)),
        yaw_rate=np.where(turns, yaw_rate, np.nan),
        radius=np.where(np.isfinite(size), np.sqrt(np.abs(size)) / 2, _USUAL_RADIUS),
        kind=agents.kind,
    )


def _rate(values: np.ndarray, difference: Callable[..., np.ndarray]) -> np.ndarray:
    """Return the rate of change over the samples before and after, or over one of them."""
    back = np.full_like(values, np.nan)
    back[:, 1:] = difference(values[:, 1:], values[:, :-1]) / PERIOD
    forth = np.full_like(values, np.nan)
    forth[:, :-1] = back[:, 1:]
    both = (back + forth) / 2
    return np.where(np.isfinite(both), both, np.where(np.isfinite(back), back, forth))


def _possible(acceleration: np.ndarray) -> np.ndarray:
    """Return accelerations without those that tyres cannot give: they were measured wrongly."""
    return np.where(np.abs(acceleration) < _HARDEST, acceleration, np.nan)


def _choose_anchor(track: Track, ego: int | None, samples: np.ndarray) -> int:
    if ego is not None and track.present[ego, samples].any():
        return ego
    middle = samples[_MIDDLE]
    here = np.flatnonzero(track.present[:, middle] & (track.kind != Kind.OBJECT))
    if not here.size:
        return -1
    moves = np.where(track.speed[here, middle] > _STANDING, 1.0, 0.2)
    point = track.point[here, middle]
    apart = np.hypot(*np.moveaxis(point[:, None] - point[None], -1, 0))
    crowd = moves * (np.exp(-apart / _REACH) @ moves - moves)
    # Ties are settled by what an agent is and does, not by its place in the list.
    order = np.lexsort(
        (
            -np.round(track.radius[here], 6),
            track.kind[here],
            -np.round(np.nan_to_num(track.speed[here, middle]), 6),
            -np.round(crowd, 6),
        )
    )
    return int(here[order[0]])


def _reach(track: Track, anchor: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return the anchors, and the rows of who comes within `FAR` of one of them."""
    near = np.zeros(len(track.kind), bool)
    for row, columns in zip(anchor, samples, strict=True):
        if row >= 0:
            apart = track.point[:, columns] - track.point[row, columns]
            with np.errstate(invalid="ignore"):
                close = np.hypot(apart[..., 0], apart[..., 1]) <= FAR
            near |= (close & track.present[:, columns]).any(axis=1)
            near[row] = True
    return np.flatnonzero(near)


def _select(track: Track, rows: np.ndarray) -> Track:
    return Track(**{name: values[rows] for name, values in vars(track).items()})


def _wide(mask: np.ndarray, values: np.ndarray) -> np.ndarray:
    return mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim))
