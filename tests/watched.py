"""Road users that drive made-up courses, and what a detector sees of them, for the room `label`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kerbstone.scene import (
    NS_PER_S,
    Agents,
    BoxIndex,
    Clock,
    Detections,
    Kind,
    Scene,
    Source,
    detections_from_rows,
    wrap_angle,
)

CAR = (4.4, 1.8, 1.5)
WALKER = (0.7, 0.7, 1.75)


@dataclass(frozen=True, eq=False)
class User:
    """A road user: `course` holds x, y and heading of each step from `first` on."""

    course: np.ndarray
    kind: Kind = Kind.CAR
    size: tuple[float, float, float] = CAR
    first: int = 0
    hidden: Sequence[int] = field(default_factory=tuple)
    """Steps at which nobody sees it."""

    @property
    def steps(self) -> np.ndarray:
        return self.first + np.arange(len(self.course))


def drive(speed, turn=0.0, *, dt=0.1, start=(0.0, 0.0, 0.0), steps=None):
    """Return x, y, heading at each step of exact arcs; speed and yaw rate hold from step to step."""
    steps = max(np.size(speed), np.size(turn)) if steps is None else steps
    speed, turn = np.broadcast_to(speed, steps), np.broadcast_to(turn, steps)
    course = np.empty((steps, 3))
    x, y, heading = start
    for k in range(steps):
        course[k] = x, y, heading
        angle = turn[k] * dt
        # sinc(t / pi) = sin(t) / t: the chord of the arc.
        chord = speed[k] * dt * np.sinc(angle / 2 / np.pi)
        x += chord * np.cos(heading + angle / 2)
        y += chord * np.sin(heading + angle / 2)
        heading += angle
    return course


def walk(velocity, *, steps, dt=0.1, start=(0.0, 0.0)):
    """Return x, y, heading of somebody who walks straight on."""
    way = np.arange(steps)[:, None] * dt * np.asarray(velocity, np.float64)
    heading = np.full(steps, np.arctan2(velocity[1], velocity[0]))
    return np.column_stack([np.asarray(start) + way, heading])


def make_clock(steps, dt=0.1):
    return Clock(start_ns=0, dt_ns=round(dt * NS_PER_S), steps=steps)


def true_boxes(users):
    """Return agent, step, box and kind of every cell."""
    agent = np.concatenate([np.full(len(user.course), n) for n, user in enumerate(users)])
    step = np.concatenate([user.steps for user in users])
    box = np.concatenate(
        [
            np.column_stack(
                [
                    user.course[:, :2],
                    np.full(len(user.course), user.size[2] / 2),
                    wrap_angle(user.course[:, 2]),
                    np.broadcast_to(user.size, (len(user.course), 3)),
                ]
            )
            for user in users
        ]
    )
    kind = np.array([user.kind for user in users], np.uint8)[agent]
    return agent, step, box, kind


def watch(
    users: Sequence[User],
    clock: Clock,
    *,
    seed: int = 0,
    noise: float = 0.1,
    heading_noise: float = 0.03,
    size_noise: float = 0.03,
    recall: float = 1.0,
    flips: float = 0.0,
    ghosts: float = 0.0,
    area: float = 60.0,
) -> tuple[Detections, np.ndarray]:
    """Return what a detector sees, and whom each row shows (-1: nobody).

    Real things score about 0.8, ghosts about 0.3; there are `ghosts` of them at each step on average,
    within `area` metres of the origin.
    """
    draw = np.random.default_rng(seed)
    agent, step, box, kind = true_boxes(users)
    seen = draw.random(len(step)) < recall
    for number, user in enumerate(users):
        seen &= ~((agent == number) & np.isin(step, user.hidden))
    agent, step, box, kind = agent[seen], step[seen], box[seen].copy(), kind[seen]
    box[:, :3] += noise * draw.normal(size=(len(box), 3))
    box[:, BoxIndex.HEADING] += heading_noise * draw.normal(size=len(box))
    box[:, BoxIndex.HEADING] += np.pi * (draw.random(len(box)) < flips)
    box[:, BoxIndex.LENGTH :] *= np.exp(size_noise * draw.normal(size=(len(box), 3)))
    score = np.clip(draw.normal(0.8, 0.1, len(box)), 0.02, 0.98)
    extra = draw.poisson(ghosts * clock.steps)
    ghost = np.column_stack(
        [
            draw.uniform(-area, area, (extra, 2)),
            np.full(extra, 0.8),
            draw.uniform(-np.pi, np.pi, extra),
            np.tile(CAR, (extra, 1)) * np.exp(0.1 * draw.normal(size=(extra, 3))),
        ]
    )
    detections, _, kept = detections_from_rows(
        clock=clock,
        step=np.concatenate([step, draw.integers(0, clock.steps, extra)]),
        box=np.concatenate([box, ghost]),
        kind=np.concatenate([kind, np.full(extra, Kind.CAR, np.uint8)]),
        score=np.concatenate([score, np.clip(draw.normal(0.3, 0.1, extra), 0.02, 0.98)]),
    )
    return detections, np.concatenate([agent, np.full(extra, -1)])[kept]


def make_scene(clock: Clock, users: Sequence[User] = (), *, ego: np.ndarray | None = None) -> Scene:
    """Return the scene of road users; the recording car first, where its course is given."""
    everyone = ([] if ego is None else [User(ego)]) + list(users)
    shape = (len(everyone), clock.steps)
    centre, heading = np.full((*shape, 3), np.nan), np.full(shape, np.nan)
    valid = np.zeros(shape, bool)
    if everyone:
        agent, step, box, _ = true_boxes(everyone)
        centre[agent, step], heading[agent, step] = box[:, :3], box[:, BoxIndex.HEADING]
        valid[agent, step] = True
    return Scene(
        id="made-up/road",
        clock=clock,
        agents=Agents(
            ids=tuple("ego" if ego is not None and n == 0 else f"u{n}" for n in range(shape[0])),
            kind=np.array([user.kind for user in everyone], np.uint8),
            label=tuple(user.kind.name.lower() for user in everyone),
            size=np.array([user.size for user in everyone]).reshape(-1, 3),
            centre=centre,
            heading=heading,
            velocity=np.full((*shape, 2), np.nan),
            valid=valid,
        ),
        ego=None if ego is None else 0,
        source=Source(dataset="made-up", log="road"),
    )


def purity(track: np.ndarray, who: np.ndarray) -> tuple[int, int]:
    """Return the number of tracks that show more than one user, and of users with more than one track."""
    real = (who >= 0) & (track >= 0)
    pairs = np.unique(np.column_stack([track[real], who[real]]), axis=0)
    mixed = (np.unique(pairs[:, 0], return_counts=True)[1] > 1).sum()
    split = (np.unique(pairs[:, 1], return_counts=True)[1] > 1).sum()
    return int(mixed), int(split)
