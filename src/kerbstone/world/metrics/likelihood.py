"""Likelihood and calibration of mixtures: how well they know what they do not know."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64
from scipy.special import logsumexp

from kerbstone.world.metrics.errors import find_counted, turn_errors
from kerbstone.world.mixture import Mixture


def joint_nll(
    mixture: Mixture,
    position: Float64[np.ndarray, "agent step 2"],
    valid: Bool[np.ndarray, "agent step"],
) -> Float64[np.ndarray, " agent"]:
    """Return minus the log-likelihood of each whole trajectory, for each step [nats].

    It is -log Σ_k w_k Π_t p_k(t), divided by the number of cells that count; p_k(t) is the density
    of the position in mode k [1/m²]. One mode has to explain all steps. NaN where no cell counts,
    or the mixture leaves one out.

    Args:
        mixture: What was said.
        position: Where the road users were, world frame [m].
        valid: Which cells count: those that are asked for and were there.

    Raises:
        InputError: A cell that counts has no true position.
    """
    counted = find_counted(mixture, position, valid)
    density = np.where(counted[:, None], log_density(mixture, position), 0).sum(axis=2)
    return _average(_mix(density, mixture.weight), counted)


def marginal_nll(
    mixture: Mixture,
    position: Float64[np.ndarray, "agent step 2"],
    valid: Bool[np.ndarray, "agent step"],
) -> Float64[np.ndarray, " agent"]:
    """Return minus the mean log-likelihood of each position by itself [nats].

    It is the mean of -log Σ_k w_k p_k(t) over the cells that count, with the weights as they were
    said beforehand: which mode explains a step does not depend on the others. Otherwise as
    `joint_nll`; for one mode both are the same.
    """
    counted = find_counted(mixture, position, valid)
    density = _mix(np.where(counted[:, None], log_density(mixture, position), 0), mixture.weight)
    return _average(np.where(counted, density, 0).sum(axis=1), counted)


def log_density(
    mixture: Mixture, position: Float64[np.ndarray, "agent step 2"]
) -> Float64[np.ndarray, "agent mode step"]:
    """Return the log-density of positions in each mode [log 1/m²]."""
    error = np.abs(turn_errors(mixture.position, mixture.axis, position))
    return -(np.log(2 * mixture.scale) + error / mixture.scale).sum(axis=-1)


def transform_probability(
    mixture: Mixture,
    position: Float64[np.ndarray, "agent step 2"],
    valid: Bool[np.ndarray, "agent step"],
) -> Float64[np.ndarray, "agent step 2"]:
    """Return the probability of an error no larger than the true one, along and across the axis.

    It is the distribution function of the mixture at each step, in closed form: along either axis
    a mixture of Laplace variables. If the mixture is right, it is uniform on [0, 1] (the
    probability integral transform). NaN where a cell does not count.

    Args:
        mixture: What was said.
        position: Where the road users were, world frame [m].
        valid: Which cells count: those that are asked for and were there.

    Raises:
        InputError: A cell that counts has no true position.
    """
    counted = find_counted(mixture, position, valid)
    far = turn_errors(mixture.position, mixture.axis, position) / mixture.scale
    tail = np.exp(-np.abs(far)) / 2
    below = np.where(far < 0, tail, 1 - tail)
    return np.where(counted[..., None], np.einsum("ak,akts->ats", mixture.weight, below), np.nan)


def axis_level(
    probability: Float64[np.ndarray, "agent step 2"],
) -> Float64[np.ndarray, "agent step 2"]:
    """Return the level of the smallest central interval of either axis that holds the truth.

    The central interval at level q lies between the quantiles (1 - q) / 2 and (1 + q) / 2.

    Args:
        probability: What `transform_probability` returns.
    """
    return np.abs(2 * probability - 1)


def region_level(
    mixture: Mixture,
    position: Float64[np.ndarray, "agent step 2"],
    valid: Bool[np.ndarray, "agent step"],
    *,
    samples: int = 199,
    seed: int = 0,
) -> Float64[np.ndarray, "agent step"]:
    """Return the level of the smallest highest-density region that holds the truth.

    The region at level q is where the mixture is densest, in the plane and at each step by itself,
    and holds the probability q. The level is the rank of the truth's density among those of the
    truth and of positions drawn from the mixture. If the mixture is right, all ranks are equally
    probable, so that the coverage at a level that is a multiple of 1 / (`samples` + 1) has no error
    from the draw. NaN where a cell does not count.

    Args:
        mixture: What was said.
        position: Where the road users were, world frame [m].
        valid: Which cells count: those that are asked for and were there.
        samples: Positions that are drawn for each cell.
        seed: Of the draw.

    Raises:
        InputError: A cell that counts has no true position.
    """
    counted = find_counted(mixture, position, valid)
    rng = np.random.default_rng(seed)
    agent, step = np.nonzero(counted)
    level = np.full(counted.shape, np.nan)
    if not len(agent):
        return level
    weight = mixture.weight[agent]
    cos, sin = np.cos(mixture.axis[agent, step]), np.sin(mixture.axis[agent, step])
    median, scale = mixture.position[agent, :, step], mixture.scale[agent, :, step]
    turned = np.stack(
        [
            median[..., 0] * cos[:, None] + median[..., 1] * sin[:, None],
            median[..., 1] * cos[:, None] - median[..., 0] * sin[:, None],
        ],
        axis=-1,
    )
    x, y = position[agent, step].T
    truth = _density(np.stack([x * cos + y * sin, y * cos - x * sin], -1), turned, scale, weight)
    last = np.cumsum(weight, axis=1)
    row = np.arange(len(agent))
    higher = np.ones(len(agent))
    for _ in range(samples):
        drawn = rng.random(len(agent)) * last[:, -1]
        mode = np.minimum((last < drawn[:, None]).sum(axis=1), weight.shape[1] - 1)
        place = turned[row, mode] + scale[row, mode] * rng.laplace(size=(len(agent), 2))
        higher += _density(place, turned, scale, weight) > truth
    level[agent, step] = higher / (samples + 1)
    return level


def coverage(level: Float64[np.ndarray, "..."], at: float) -> float:
    """Return the share of truths inside regions of a level; NaN where no level is known.

    Args:
        level: What `axis_level` or `region_level` returns; NaN does not count.
        at: The level, such as 0.8.
    """
    known = level[np.isfinite(level)]
    return float((known <= at + 1e-9).mean()) if len(known) else float("nan")


def _density(
    place: Float64[np.ndarray, "cell 2"],
    median: Float64[np.ndarray, "cell mode 2"],
    scale: Float64[np.ndarray, "cell mode 2"],
    weight: Float64[np.ndarray, "cell mode"],
) -> Float64[np.ndarray, " cell"]:
    far = np.abs(place[:, None] - median) / scale
    return (weight * np.exp(-far.sum(axis=2)) / (4 * scale.prod(axis=2))).sum(axis=1)


def _mix(density: np.ndarray, weight: Float64[np.ndarray, "agent mode"]) -> np.ndarray:
    """Return the log of the weighted sum of densities over the modes, given their logs."""
    weight = weight.reshape(*weight.shape, *(1,) * (density.ndim - 2))
    return np.asarray(logsumexp(density, axis=1, b=np.broadcast_to(weight, density.shape)))


def _average(
    likelihood: Float64[np.ndarray, " agent"], counted: Bool[np.ndarray, "agent step"]
) -> Float64[np.ndarray, " agent"]:
    number = counted.sum(axis=1)
    return np.where(number > 0, -likelihood / np.maximum(number, 1), np.nan)
