"""The gradient adversary: the others come nearer to ego round after round, down the slope of a threat.

A round is played with planner, shield and all imperfections. The threat that each of the others was
to ego is then differentiated by what that one did. Ego is held where it drove: what the shield
answers is found out by the next round, and a step that made nothing worse for ego is halved. What
they do is cut to the assumptions as everyone's is, and the next step begins from what was left.

References:
    Hanselmann, Renz, Chitta, Bhattacharyya and Geiger, "KING: generating safety-critical driving
    scenarios for robust imitation via kinematics gradients", ECCV 2022 (the gradient through the
    motion of the others, with ego held).
    Polyak, "Minimization of unsmooth functionals", USSR Computational Mathematics and Mathematical
    Physics 9, 1969 (the length of a step towards a least value that is known).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from kerbstone.plan.falsification.adversaries import SCALES, Scripts, write_random
from kerbstone.plan.falsification.episodes import Outcome
from kerbstone.plan.falsification.threats import SLOW, measure_threats
from kerbstone.plan.falsification.trails import Trail, read_genes, sum_knots, trace_back
from kerbstone.plan.vehicle import StateIndex, Vehicle

_BLUR = 1.0
"""Moments whose threats differ by less than this count about alike [m]."""
_SURPRISE = 1.0
"""What is done longer than this before its effect is changed less: ego would answer to it [s]."""
_LONGEST = 1.0
"""A gene changes by no more than this in a round."""
_LEAST_SHARE = 0.1
"""What has been halved below this share of a step is at the bottom, and starts anew."""
_NEARBY = 0.1
"""Standard deviation of the genes about those that made ego cause a collision."""


@dataclass(frozen=True, eq=False)
class Descent:
    """What the others did when they came nearest, and where they go from there.

    Args:
        gene: What they did then, as a `Scripts` has it.
        threat: How near they came then [m]; inf where nothing is known.
        step: By how much each gene changes to bring each of them to ego, if ego drives as it did.
        share: Of that step that is tried next.
    """

    gene: Float64[np.ndarray, "episode agent knot 3"]
    threat: Float64[np.ndarray, " episode"]
    step: Float64[np.ndarray, "episode agent knot 3"]
    share: Float64[np.ndarray, " episode"]


def begin_descent(scripts: Scripts) -> Descent:
    """Return the descent of episodes that were not played yet."""
    gene = scripts.gene
    return Descent(gene, np.full(len(gene), np.inf), np.zeros_like(gene), np.ones(len(gene)))


def descend(
    rng: np.random.Generator,
    descent: Descent,
    played: Scripts,
    trail: Trail,
    outcome: Outcome,
    *,
    vehicle: Vehicle,
    duration: float,
) -> tuple[Descent, Scripts]:
    """Return what is known after a round, and the scripts of the next one.

    Args:
        rng: For those that start anew, and those that go on about where ego caused a collision.
        descent: What was known before the round.
        played: Scripts of the round.
        trail: How it went.
        outcome: What came of it.
        vehicle: Ego's size.
        duration: Of a step [s].
    """
    threat, slope = _find_worst(trail, outcome, vehicle, duration)
    nearest, found = threat.min(axis=1, initial=np.inf), outcome.caused
    better = nearest < descent.threat
    share = np.where(better, np.minimum(2.0 * descent.share, 1.0), 0.5 * descent.share)
    base = np.where(_wide(better), read_genes(trail, duration), descent.gene)
    step = np.where(_wide(better), _find_step(trail, threat, slope, duration), descent.step)
    gene = base + _wide(share) * step
    near = played.gene + _NEARBY * rng.standard_normal(gene.shape)
    fresh = write_random(rng, trail.crowd[0]).gene
    stuck = share < _LEAST_SHARE
    gene = np.where(_wide(found), near, np.where(_wide(stuck), fresh, gene))
    known = np.where(better, nearest, descent.threat)
    after = Descent(
        base,
        np.where(found | stuck, np.inf, known),
        step,
        np.where(found | stuck, 1.0, share),
    )
    return after, Scripts(np.clip(gene, -1.0, 1.0))


def _find_worst(
    trail: Trail, outcome: Outcome, vehicle: Vehicle, duration: float
) -> tuple[Float64[np.ndarray, "episode agent"], Float64[np.ndarray, "episode agent time 2"]]:
    """Return how near each came until ego touched someone, and the slope of that by the places.

    The slope is spread over all moments that were about as near as the nearest.
    """
    threat, slope = measure_threats(
        np.stack(trail.ego, axis=1),
        trail.gather("place"),
        trail.gather("heading"),
        trail.crowd[0].half,
        vehicle,
    )
    time = duration * np.arange(threat.shape[2])
    until = outcome.time[:, None, None] + duration
    counts = trail.crowd[0].valid[..., None] & (time <= until)
    least = np.where(counts, threat, np.inf).min(axis=2)
    above = np.where(counts, threat - np.where(np.isfinite(least), least, 0.0)[..., None], np.inf)
    weight = np.exp(-above / _BLUR)
    weight /= np.maximum(weight.sum(axis=2, keepdims=True), 1e-12)
    # A touch of a moving ego that is not its fault leads no further: one less near is worth more.
    touched = np.isfinite(outcome.time) & (outcome.ego[:, StateIndex.SPEED] > SLOW)
    least = np.where((touched & ~outcome.caused)[:, None], np.maximum(least, _BLUR), least)
    return least, weight[..., None] * slope


def _find_step(
    trail: Trail,
    threat: Float64[np.ndarray, "episode agent"],
    slope: Float64[np.ndarray, "episode agent time 2"],
    duration: float,
) -> Float64[np.ndarray, "episode agent knot 3"]:
    """Return the change of genes that would bring each to ego if that drove as it did."""
    by_gene, late = (
        np.array(SCALES) * sum_knots(trace_back(trail, slope, duration, fades=fades))
        for fades in (np.inf, _SURPRISE)
    )
    fall = np.maximum((by_gene * late).sum(axis=(2, 3)), 1e-9)
    far = np.where(np.isfinite(threat), np.maximum(threat, 0.0), 0.0)
    step = -_wide(far / fall) * late
    most = np.abs(step).max(axis=(2, 3), keepdims=True)
    return step * np.minimum(1.0, _LONGEST / np.maximum(most, 1e-12))


def _wide(value: np.ndarray) -> np.ndarray:
    """Return values of episodes, or of agents, such that they act on all genes of each."""
    return value.reshape(*value.shape, *(1,) * (4 - value.ndim))
