"""How wrong the seeing and the driving are: within the assumptions, at random and at their worst."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.plan.falsification.blind import Blind
from kerbstone.plan.falsification.crowds import Crowd
from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.surroundings import Surroundings
from kerbstone.plan.vehicle import StateIndex

_INSIDE = 1.0 - 1e-9
_LEAST_SIZE = 0.05


@dataclass(frozen=True, eq=False)
class Imperfections:
    """How each episode is seen and driven.

    Args:
        seen: How large errors of seeing are, as a share of what is assumed: 0 is exact.
        seen_worst: Whether they always hide danger: everyone farther from ego, smaller and faster
            or slower than it is. Else they are drawn at every step.
        driven: How large errors of driving are, as a share of the tube.
        driven_worst: Whether ego is always at the front corner of the tube. Else it is anywhere.
        is_faster: Whether the worst error of seeing takes others for faster than they are.
        side: To which side ego errs, and headings are seen wrong: -1 or 1.
    """

    seen: Float64[np.ndarray, " episode"]
    seen_worst: Bool[np.ndarray, " episode"]
    driven: Float64[np.ndarray, " episode"]
    driven_worst: Bool[np.ndarray, " episode"]
    is_faster: Bool[np.ndarray, "episode agent"]
    side: Float64[np.ndarray, " episode"]

    def take(self, rows: np.ndarray) -> Imperfections:
        """Return some of the episodes."""
        return replace(self, **{name: value[rows] for name, value in vars(self).items()})


def draw_imperfections(rng: np.random.Generator, crowd: Crowd) -> Imperfections:
    """Return a mixture of exact, random and worst errors."""
    count = len(crowd)
    shape = crowd.valid.shape
    return Imperfections(
        1.0 * (rng.random(count) > 0.2),
        rng.random(count) < 0.5,
        1.0 * (rng.random(count) > 0.2),
        rng.random(count) < 0.5,
        rng.random(shape) < 0.6,
        rng.choice([-1.0, 1.0], count),
    )


def see(
    crowd: Crowd,
    blind: Blind,
    ego_centre: Float64[np.ndarray, "episode 2"],
    imperfections: Imperfections,
    assumptions: Assumptions,
    rng: np.random.Generator,
) -> Surroundings:
    """Return what ego is shown of the others.

    Args:
        crowd: Where they are.
        blind: Who is hidden.
        ego_centre: Middle of ego's box.
        imperfections: How wrong it is.
        assumptions: How wrong it may be (A3).
        rng: For errors that are drawn.
    """
    limits, shape = assumptions.perception, crowd.valid.shape
    worst = imperfections.seen_worst[:, None]
    scale = imperfections.seen[:, None] * _INSIDE
    away = crowd.place - ego_centre[:, None]
    away = away / np.maximum(np.sqrt((away**2).sum(axis=-1, keepdims=True)), 1e-9)
    angle = rng.uniform(-np.pi, np.pi, shape)
    size = np.sqrt(rng.random(shape))
    drawn = size[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    moved = np.where(worst[..., None], away, drawn)
    faster = np.where(imperfections.is_faster, 1.0, -1.0)
    side = imperfections.side[:, None]
    turned, sped, long, wide = rng.uniform(-1.0, 1.0, (4, *shape))
    return Surroundings(
        kind=crowd.kind,
        position=crowd.place + scale[..., None] * limits.position * moved,
        heading=crowd.heading + scale * limits.heading * np.where(worst, side, turned),
        speed=np.maximum(crowd.speed + scale * limits.speed * np.where(worst, faster, sped), 0.0),
        length=_shrink(crowd.length, scale * limits.size * np.where(worst, -1.0, long)),
        width=_shrink(crowd.width, scale * limits.size * np.where(worst, -1.0, wide)),
        valid=crowd.valid & ~blind.hides(crowd),
        places=blind.places,
        stretches=blind.stretches,
    )


def see_exactly(crowd: Crowd) -> Surroundings:
    """Return the truth, in the form in which ego is shown it."""
    return Surroundings(
        kind=crowd.kind,
        position=crowd.place,
        heading=crowd.heading,
        speed=np.maximum(crowd.speed, 0.0),
        length=crowd.length,
        width=crowd.width,
        valid=crowd.valid,
    )


def draw_drift(
    imperfections: Imperfections, assumptions: Assumptions, rng: np.random.Generator
) -> Float64[np.ndarray, "episode 3"]:
    """Return how far ego is from where it means to be: ahead, to the left [m], and turned [rad]."""
    tube = np.array(
        [assumptions.tube.longitudinal, assumptions.tube.lateral, assumptions.tube.heading]
    )
    count = len(imperfections.side)
    side = imperfections.side
    worst = np.stack([np.ones(count), side, side], axis=-1)
    drawn = rng.uniform(-1.0, 1.0, (count, 3))
    share = np.where(imperfections.driven_worst[:, None], worst, drawn)
    return imperfections.driven[:, None] * _INSIDE * tube * share


def displace(
    state: Float64[np.ndarray, "*batch 6"], drift: Float64[np.ndarray, "*#batch 3"]
) -> Float64[np.ndarray, "*batch 6"]:
    """Return states moved ahead, to the left and turned, in their own frames, at the rear axle."""
    heading = state[..., StateIndex.HEADING]
    c, s = np.cos(heading), np.sin(heading)
    moved = state.copy()
    moved[..., StateIndex.X] += c * drift[..., 0] - s * drift[..., 1]
    moved[..., StateIndex.Y] += s * drift[..., 0] + c * drift[..., 1]
    moved[..., StateIndex.HEADING] += drift[..., 2]
    return moved


def _shrink(
    size: Float64[np.ndarray, "episode agent"], change: Float64[np.ndarray, "episode agent"]
) -> Float64[np.ndarray, "episode agent"]:
    return np.maximum(size + change, np.minimum(size, _LEAST_SIZE))
