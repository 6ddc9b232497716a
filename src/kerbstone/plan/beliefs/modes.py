"""Which mode the others are in: a Bayes filter over the modes of a prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64

from kerbstone.errors import InputError
from kerbstone.plan.predictions import Predictions


@dataclass(frozen=True)
class Noise:
    """How well others are observed: standard deviations.

    Args:
        position: In either direction [m].
        speed: [m/s].
    """

    position: float = 0.2
    speed: float = 0.3


@dataclass(frozen=True)
class Memory:
    """How a belief learns, and how it forgets.

    Args:
        forgetting: Share of the belief that goes back to the prior at each update: modes change,
            and a belief that has been wrong must be able to recover.
        floor: Least probability of a mode that the prior allows at all.
        reach: The greatest distance of an observation from a mode, in standard deviations, that
            counts. Beyond it every mode is wrong, and how wrong each is says nothing.
    """

    forgetting: float = 0.02
    floor: float = 1e-3
    reach: float = 5.0

    def __post_init__(self) -> None:
        for name, low, high in (("forgetting", 0.0, 1.0), ("floor", 0.0, 0.25)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(
                    "value",
                    f"memory.{name} is not from {low:g} to {high:g}",
                    why=f"{name} = {value:g}",
                )
        if not self.reach > 0.0:
            raise InputError("value", "memory.reach is not above zero", why=f"{self.reach:g}")


class Outlook(NamedTuple):
    """What would be observed of the others in each mode: normal distributions.

    The columns are x and y [m], or x, y and speed [m/s]. Index `step` is the time at the *end* of
    that step of a plan.

    Args:
        mean: Of an observation.
        covariance: Of an observation: what the mode leaves open and the noise together.
        valid: Whether the mode says anything.
    """

    mean: Float[np.ndarray, "*batch mode agent step value"]
    covariance: Float[np.ndarray, "*batch mode agent step value value"]
    valid: Bool[np.ndarray, "*batch mode agent step"]


def foresee(
    predictions: Predictions, *, noise: Noise | None = None, dt: float | None = None
) -> Outlook:
    """Return what predictions say will be observed.

    Args:
        predictions: Leading axes are a batch.
        noise: Of the observation.
        dt: Length of a step, for speeds to be observed too, which are taken from the means [s].

    Raises:
        InputError: Speeds are wanted, and there are fewer than two steps.
    """
    noise = noise or Noise()
    mean = np.asarray(predictions.mean, np.float64)
    covariance = np.asarray(predictions.covariance) + noise.position**2 * np.eye(2)
    valid = np.asarray(predictions.valid)
    if dt is None:
        return Outlook(mean, covariance, valid)
    if mean.shape[-2] < 2:
        raise InputError("shape", "a speed cannot be told from a prediction of one step")
    velocity = np.gradient(mean, dt, axis=-2)
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    whole = np.zeros((*covariance.shape[:-2], 3, 3))
    whole[..., :2, :2] = covariance
    whole[..., 2, 2] = noise.speed**2
    return Outlook(np.concatenate([mean, speed[..., None]], axis=-1), whole, valid)


def score_modes(
    outlook: Outlook,
    observed: Float[np.ndarray, "*batch agent value"],
    *,
    step: int = 0,
    seen: Bool[np.ndarray, "*batch agent"] | None = None,
    memory: Memory | None = None,
) -> Float64[np.ndarray, "*batch mode"]:
    """Return the log-likelihood of what was observed under each mode.

    Those count who were seen and of whom every mode says something. Modes are of all road users
    together, so that their likelihoods multiply. The covariance should be of what is *new* since
    the belief was last updated: an error that stays from one update to the next is otherwise
    counted as evidence again and again.

    Args:
        outlook: What each mode led to expect.
        observed: Columns as in the outlook. NaN counts as not seen.
        step: The step of the outlook that it was observed at the end of.
        seen: Who was seen; everybody if None.
        memory: Says how far off an observation may be.

    Raises:
        InputError: Shapes do not fit, there is no such step, or a covariance is not one.
    """
    memory = memory or Memory()
    if not 0 <= step < outlook.valid.shape[-1]:
        raise InputError(
            "index",
            "there is no such step in the outlook",
            why=f"step {step} of {outlook.valid.shape[-1]}",
        )
    mean, valid = outlook.mean[..., step, :], outlook.valid[..., step]
    if np.shape(observed) != (*mean.shape[:-3], *mean.shape[-2:]):
        raise InputError(
            "shape",
            "an observation does not fit the outlook",
            why=f"{np.shape(observed)}, expected {(*mean.shape[:-3], *mean.shape[-2:])}",
        )
    counts = np.asarray(valid.all(axis=-2) & np.isfinite(observed).all(axis=-1))
    if seen is not None:
        counts = counts & seen
    cell = counts[..., None, :, None]
    unit = np.eye(mean.shape[-1])
    covariance = np.where(cell[..., None], outlook.covariance[..., step, :, :], unit)
    apart = np.where(cell, observed[..., None, :, :] - mean, 0.0)
    root = _factor(covariance)
    square = (_solve_lower(root, apart) ** 2).sum(axis=-1)
    size = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
    constant = 0.5 * mean.shape[-1] * np.log(2.0 * np.pi)
    score = -0.5 * np.minimum(square, memory.reach**2) - size - constant
    return np.where(cell[..., 0], score, 0.0).sum(axis=-1)


def update_belief(
    belief: Float[np.ndarray, "*batch mode"],
    score: Float[np.ndarray, "*#batch mode"],
    *,
    prior: Float[np.ndarray, "*#batch mode"] | None = None,
    memory: Memory | None = None,
) -> Float64[np.ndarray, "*batch mode"]:
    """Return the belief after an observation.

    The belief first goes back to the prior a little, then is weighed by the likelihood, then
    raised to the floor. A mode whose prior is zero is padding and stays at zero.

    Args:
        belief: Before it.
        score: Log-likelihood of the observation under each mode; see `score_modes`.
        prior: What is believed of somebody unknown; if None, the modes that the belief has are
            equally likely.
        memory: How fast it forgets, and the floor.

    Raises:
        InputError: A belief does not add up to one, or a score is NaN or inf.

    References:
        Blom and Bar-Shalom, "The interacting multiple model algorithm for systems with Markovian
        switching coefficients", IEEE Transactions on Automatic Control, 1988 (the mixing step).
    """
    memory = memory or Memory()
    belief = _check(belief)
    even = (belief > 0) / (belief > 0).sum(axis=-1, keepdims=True)
    base = even if prior is None else _check(prior)
    if np.isnan(score).any() or np.isposinf(score).any():
        raise InputError("value", "the score of a mode is NaN or infinite")
    mixed = (1.0 - memory.forgetting) * belief + memory.forgetting * base
    allowed = np.broadcast_to(base > 0, belief.shape)
    with np.errstate(divide="ignore"):
        log = np.where(allowed, np.log(mixed) + score, -np.inf)
    top = log.max(axis=-1, keepdims=True)
    # Where no mode that is believed in could have been observed, nothing was learnt.
    weight = np.where(np.isfinite(top), np.exp(log - np.where(np.isfinite(top), top, 0.0)), mixed)
    weight = np.where(allowed, weight, 0.0)
    weight = weight / weight.sum(axis=-1, keepdims=True)
    # Shares of the floor, and the rest as it was: the sum stays one.
    modes = allowed.sum(axis=-1, keepdims=True)
    return np.where(allowed, memory.floor + (1.0 - memory.floor * modes) * weight, 0.0)


def _factor(covariance: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        raise InputError(
            "value",
            "a covariance of what is observed is not positive",
            why=str(error),
            remedy="give the noise of the observation, which keeps it above zero",
        ) from error


def _solve_lower(root: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Return `root⁻¹ vector` for lower triangles of small size."""
    solved: list[np.ndarray] = []
    for i in range(vector.shape[-1]):
        rest = vector[..., i]
        for j in range(i):
            rest = rest - root[..., i, j] * solved[j]
        solved.append(rest / root[..., i, i])
    return np.stack(solved, axis=-1)


def _check(belief: Float[np.ndarray, "*batch mode"]) -> Float64[np.ndarray, "*batch mode"]:
    belief = np.asarray(belief, np.float64)
    total = belief.sum(axis=-1)
    if not ((belief >= 0).all() and np.isclose(total, 1.0, atol=1e-6).all()):
        raise InputError(
            "value",
            "a belief over modes does not add up to one",
            why=f"it adds up to {np.ravel(total)[:3].tolist()}",
        )
    return belief / total[..., None]
