"""Likelihood and calibration of mixtures: how well they know what they do not know."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float64
from scipy.special import gammaincinv, logsumexp
from scipy.stats import qmc

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
    samples: int = 256,
) -> Float64[np.ndarray, "agent step"]:
    """Return the level of the smallest highest-density region that holds the truth.

    The region at level q is where the mixture is densest, in the plane and at each step by itself,
    and holds the probability q. So the level is the probability of all places that are denser than
    the truth's. It is an integral over the mixture by quasi-random points, which lie closer around
    the modes: who stands still is off by so little that points drawn from the mixture would tell
    nobody's level from another's. If the mixture is right, levels are uniform on [0, 1]. NaN where
    a cell does not count.

    Args:
        mixture: What was said.
        position: Where the road users were, world frame [m].
        valid: Which cells count: those that are asked for and were there.
        samples: Points of the integral, a power of 2.

    Raises:
        InputError: A cell that counts has no true position.

    References:
        Hyndman, "Computing and Graphing Highest Density Regions", The American Statistician 50,
        1996; Owen, "Scrambling Sobol' and Niederreiter-Xing Points", Journal of Complexity 14, 1998.
    """
    counted = find_counted(mixture, position, valid)
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
    denser = np.zeros(len(agent))
    for share, which, far in zip(*_spread_points(samples), strict=True):
        drawn = which * last[:, -1]
        mode = np.minimum((last < drawn[:, None]).sum(axis=1), weight.shape[1] - 1)
        place = turned[row, mode] + scale[row, mode] * far
        denser += share * (_density(place, turned, scale, weight) > truth)
    level[agent, step] = denser
    return level


@lru_cache(maxsize=4)
def _spread_points(
    samples: int,
) -> tuple[
    Float64[np.ndarray, " sample"], Float64[np.ndarray, " sample"], Float64[np.ndarray, "sample 2"]
]:
    """Return points of the unit Laplace variable in the plane.

    Returns:
        The probability that each stands for, a number in [0, 1) that chooses a mode, and the point.
        Its distance |x| + |y| is a Gamma(2) variable; how that is shared, and the signs, are even.
    """
    # The seed is a constant, so that levels depend on what is measured alone.
    even, which, part, quadrant = qmc.Sobol(4, rng=0).random(samples).T
    far = gammaincinv(2.0, even**2)  # even**2: the first tenth of the probability has a third
    sign = 1.0 - 2.0 * np.stack([quadrant < 0.5, (2 * quadrant) % 1.0 < 0.5], axis=-1)
    point = sign * np.stack([far * part, far * (1.0 - part)], axis=-1)
    return even / even.sum(), which, point


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
