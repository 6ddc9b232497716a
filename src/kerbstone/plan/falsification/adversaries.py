"""How the others try to be hit: at random, in surges, aimed, by search, down a slope, or not at all.

An adversary says what it wishes; `permits.cut_wish` and `discipline` cut that to what the
assumptions permit, so that none of them can leave these by mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.plan.falsification.crowds import Crowd, Wish
from kerbstone.plan.falsification.motion import body_centre
from kerbstone.plan.vehicle import StateIndex, Vehicle

KNOTS = 8
"""A script has so many equal parts."""
GENES = 3
"""Of each part: push along, pull across of those that move freely, and veer of those on rails."""
SCALES = (10.0, 10.0, 1.0)
"""What a gene of one stands for [m/s², m/s², rad/s]; `permits` cut it."""


@dataclass(frozen=True, eq=False)
class Scripts:
    """What each of the others does over an episode, before it is cut: shares of its permits.

    Args:
        gene: In each part: acceleration along the way, and to the left of it; and which way those
            on rails turn.
    """

    gene: Float64[np.ndarray, "episode agent knot 3"]

    def read(self, crowd: Crowd, share: float) -> Wish:
        """Return the wishes at a share of the episode."""
        part = self.gene[:, :, find_knot(share)]
        ahead = np.stack([np.cos(crowd.heading), np.sin(crowd.heading)], axis=-1)
        left = np.stack([-ahead[..., 1], ahead[..., 0]], axis=-1)
        return Wish(
            SCALES[0] * part[..., 0],
            SCALES[2] * part[..., 2],
            SCALES[0] * (part[..., :1] * ahead + part[..., 1:2] * left),
        )


def find_knot(share: float) -> int:
    """Return the part of a script that is played at a share of the episode."""
    return min(int(share * KNOTS), KNOTS - 1)


def write_random(rng: np.random.Generator, crowd: Crowd) -> Scripts:
    """Return scripts in which every part is drawn by itself."""
    shape = (*crowd.valid.shape, KNOTS, GENES)
    gene = rng.uniform(-1.0, 1.0, shape)
    # Half of all parts are at an end of what is permitted: that is where things go wrong.
    return Scripts(np.where(rng.random(shape) < 0.5, np.sign(gene), gene))


def write_surges(rng: np.random.Generator, crowd: Crowd) -> Scripts:
    """Return scripts that do one extreme thing until some time, and its opposite afterwards."""
    shape = crowd.valid.shape
    turn = rng.uniform(0.0, KNOTS, (*shape, 1))
    before = np.arange(KNOTS) < turn
    push = np.where(before, 1.0, -1.0) * rng.choice([1.0, 1.0, -1.0], (*shape, 1))
    across = np.where(before, 1.0, -1.0) * rng.choice([-1.0, 0.0, 0.0, 1.0], (*shape, 1))
    veer = np.where(before, 1.0, -1.0) * rng.choice([-1.0, 0.0, 1.0], (*shape, 1))
    return Scripts(np.stack([push, across, veer], axis=-1))


def write_nothing(rng: np.random.Generator, crowd: Crowd) -> Scripts:
    """Return scripts of those that go on as they are."""
    del rng
    return Scripts(np.zeros((*crowd.valid.shape, KNOTS, GENES)))


def aim(ego: Float64[np.ndarray, "episode 6"], crowd: Crowd, vehicle: Vehicle) -> Wish:
    """Return the wish to be where ego will be when it gets there, as fast as can be.

    Each looks for the time at which it could meet ego, and accelerates towards the place where ego
    is then. In front of ego, in its direction, it brakes.
    """
    centre = body_centre(ego, vehicle)
    heading = ego[:, StateIndex.HEADING]
    ahead = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    velocity = ego[:, [StateIndex.SPEED]] * ahead
    away = crowd.place - centre[:, None]
    distance = np.sqrt((away**2).sum(axis=-1))
    closing = ego[:, [StateIndex.SPEED]] + crowd.speed
    time = np.minimum(distance / np.maximum(closing, 1.0), 4.0)
    target = centre[:, None] + velocity[:, None] * time[..., None]
    miss = target - (crowd.place + crowd.velocity * time[..., None])
    pull = 2.0 * miss / np.maximum(time, 0.2)[..., None] ** 2
    own = np.stack([np.cos(crowd.heading), np.sin(crowd.heading)], axis=-1)
    push = (pull * own).sum(axis=-1)
    front = (away * ahead[:, None]).sum(axis=-1)
    same_way = (own * ahead[:, None]).sum(axis=-1) > 0.5
    push = np.where(same_way & (front > 0.0), -100.0, push)
    bearing = np.arctan2(target[..., 1] - crowd.place[..., 1], target[..., 0] - crowd.place[..., 0])
    turn = (bearing - crowd.heading + np.pi) % (2.0 * np.pi) - np.pi
    return Wish(push, 5.0 * turn, pull)


def follow_politely(ego: Float64[np.ndarray, "episode 6"], crowd: Crowd, vehicle: Vehicle) -> Wish:
    """Return the wish to follow whoever is ahead on the same rail, at a comfortable distance."""
    centre = body_centre(ego, vehicle)
    shape = (*crowd.rail.curvature.shape, 2)
    own, left, _ = crowd.rail.project(np.broadcast_to(centre[:, None], shape))
    gap = own - crowd.along - 0.5 * (crowd.length + vehicle.length)
    near = np.abs(left - crowd.left) < 0.5 * (crowd.width + vehicle.width) + 0.3
    pushes = [_keep_distance(crowd.speed, gap, ego[:, [StateIndex.SPEED]], near & (gap > -1.0))]
    for other in range(crowd.valid.shape[1]):
        same = crowd.rail.pose == crowd.rail.pose[:, [other]]
        gap = crowd.along[:, [other]] - crowd.along
        near = same.all(axis=-1) & crowd.valid[:, [other]] & (gap > 0.0)
        gap = gap - 0.5 * (crowd.length + crowd.length[:, [other]])
        pushes.append(_keep_distance(crowd.speed, gap, crowd.speed[:, [other]], near))
    push = np.minimum.reduce(pushes)
    return Wish(push, -1.0 * crowd.skew, np.zeros(shape))


def _keep_distance(
    speed: Float64[np.ndarray, "episode agent"],
    gap: Float64[np.ndarray, "episode agent"],
    ahead: Float64[np.ndarray, "episode #agent"],
    applies: Bool[np.ndarray, "episode agent"],
) -> Float64[np.ndarray, "episode agent"]:
    """Return the acceleration of the intelligent driver model that wants to keep its speed."""
    desired = 2.0 + np.maximum(1.2 * speed + speed * (speed - ahead) / 3.5, 0.0)
    brake = -1.5 * (desired / np.maximum(gap, 0.1)) ** 2
    return np.where(applies & (desired > gap), np.maximum(brake, -7.0), 0.0)


def refine_scripts(
    rng: np.random.Generator,
    scripts: Scripts,
    danger: Float64[np.ndarray, " episode"],
    *,
    tries: int,
    elite: float = 0.15,
    least: float = 0.1,
) -> Scripts:
    """Return new scripts near those that came nearest to ego: one round of cross-entropy search.

    Args:
        rng: For drawing.
        scripts: Of `tries` episodes in a row for each scene.
        danger: Least gap that each reached; smaller is better [m].
        tries: Episodes of each scene.
        elite: Share of the tries that the next ones are drawn around.
        least: Least standard deviation of a gene.

    References:
        Rubinstein and Kroese, The Cross-Entropy Method, 2004.
    """
    gene = scripts.gene.reshape(-1, tries, *scripts.gene.shape[1:])
    order = np.argsort(danger.reshape(-1, tries), axis=1, kind="stable")
    best = order[:, : max(2, round(elite * tries))]
    chosen = np.take_along_axis(gene, best[..., None, None, None], axis=1)
    mean = chosen.mean(axis=1, keepdims=True)
    spread = np.maximum(chosen.std(axis=1, keepdims=True), least)
    new = np.clip(mean + spread * rng.standard_normal(gene.shape), -1.0, 1.0)
    new[:, 0] = chosen[:, 0]  # the best goes on as it is
    return Scripts(new.reshape(scripts.gene.shape))


WRITERS: dict[str, Callable[[np.random.Generator, Crowd], Scripts]] = {
    "calm": write_nothing,
    "random": write_random,
    "surge": write_surges,
    "aimed": write_nothing,
    "search": write_random,
    "gradient": write_random,
}
"""How the scripts of each adversary begin."""
HOSTILE = ("random", "surge", "aimed", "search", "gradient")
"""The adversaries that try to be hit."""
