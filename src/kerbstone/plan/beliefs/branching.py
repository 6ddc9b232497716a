"""From when on a plan may know the mode: the first step at which a belief can tell modes apart."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int64

from kerbstone.errors import InputError
from kerbstone.plan.beliefs.modes import Outlook


def when_to_branch(
    outlook: Outlook,
    belief: Float[np.ndarray, "*batch mode"],
    *,
    mistake: float = 0.05,
    delay: int = 0,
    negligible: float = 0.0,
) -> Int64[np.ndarray, "*batch"]:
    """Return the first step of a plan whose control may depend on the mode.

    It is the first one before which something is observed by which the wrong mode would be taken
    for the true one with at most the given probability. It is at least one, also with nothing left
    to tell apart: the first control is the one to be carried out now, whatever the mode. Where the
    modes cannot be told apart it is the number of steps.

    Args:
        outlook: What is expected to be observed in each mode.
        belief: Probability of each mode now.
        mistake: Probability of taking the wrong mode that is put up with, above 0.
        delay: Steps from an observation to the control that knows of it.
        negligible: Modes up to this probability need not be told from others.

    Raises:
        InputError: The probability of a mistake is not above 0, or the delay is below 0.
    """
    if not mistake > 0.0 or delay < 0:
        raise InputError(
            "value",
            "a plan cannot branch with no mistake at all or before an observation",
            why=f"mistake = {mistake:g}, delay = {delay}",
        )
    steps = outlook.valid.shape[-1]
    kept = np.where(np.asarray(belief) > negligible, belief, 0.0)
    is_known = bound_mistakes(outlook, kept) <= mistake
    first = np.where(is_known.any(axis=-1), is_known.argmax(axis=-1) + 1 + delay, steps)
    alone = (kept > 0).sum(axis=-1) <= 1
    return np.where(alone, 1, np.minimum(first, steps)).astype(np.int64)


def bound_mistakes(
    outlook: Outlook, belief: Float[np.ndarray, "*batch mode"]
) -> Float64[np.ndarray, "*batch step"]:
    """Return a bound on the probability of taking the wrong mode, after each step.

    For two modes of probability p and q whose observations have Bhattacharyya distance D, the best
    decision errs with a probability of at most `sqrt(p q) exp(-D)`; for more the bounds of all
    pairs are added. Of the steps so far the one that tells most counts, and not their sum: what a
    mode leaves open is much the same from step to step. Road users are independent.

    Args:
        outlook: What is expected to be observed in each mode. Those count of whom both modes of a
            pair say something.
        belief: Probability of each mode.

    References:
        Kailath, "The divergence and Bhattacharyya distance measures in signal selection", IEEE
        Transactions on Communication Technology, 1967.
    """
    modes, steps = outlook.valid.shape[-3], outlook.valid.shape[-1]
    total = np.zeros((*outlook.valid.shape[:-3], steps))
    for i in range(modes):
        for j in range(i + 1, modes):
            counts = outlook.valid[..., i, :, :] & outlook.valid[..., j, :, :]
            apart = measure_distance(
                np.where(counts[..., None], outlook.mean[..., i, :, :, :], 0.0),
                np.where(counts[..., None], outlook.mean[..., j, :, :, :], 0.0),
                _or_unit(outlook.covariance[..., i, :, :, :, :], counts),
                _or_unit(outlook.covariance[..., j, :, :, :, :], counts),
            )
            told = np.maximum.accumulate(apart.sum(axis=-2), axis=-1)
            weight = np.sqrt(belief[..., i] * belief[..., j])
            total += weight[..., None] * np.exp(-told)
    return total


def measure_distance(
    first: Float[np.ndarray, "*cell value"],
    second: Float[np.ndarray, "*cell value"],
    first_covariance: Float[np.ndarray, "*cell value value"],
    second_covariance: Float[np.ndarray, "*cell value value"],
) -> Float64[np.ndarray, "*cell"]:
    """Return the Bhattacharyya distance of normal distributions, 0 where they are the same.

    Args:
        first: Means.
        second: Means of the others.
        first_covariance: Their covariances, positive.
        second_covariance: Those of the others.
    """
    middle = (first_covariance + second_covariance) / 2.0
    apart = first - second
    square = (apart * np.linalg.solve(middle, apart[..., None])[..., 0]).sum(axis=-1)
    sizes = [
        np.linalg.slogdet(covariance)[1]
        for covariance in (middle, first_covariance, second_covariance)
    ]
    return np.asarray(square / 8.0 + (sizes[0] - (sizes[1] + sizes[2]) / 2.0) / 2.0)


def _or_unit(covariance: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.where(counts[..., None, None], covariance, np.eye(covariance.shape[-1]))
