"""Problems with the uncertainty taken out of them, in the ways it is usually done."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np

from kerbstone.errors import InputError
from kerbstone.plan.predictions import Predictions
from kerbstone.plan.problem import Horizon, Problem


def drop_unlikely(problem: Problem, least: float) -> Problem:
    """Return a problem in which modes less probable than `least` are not planned for.

    Nobody is in such a mode and its probability is zero; the others' add up to one. This is where
    a plan accepts a risk knowingly. The likeliest mode always stays.

    Args:
        problem: With any batch axes.
        least: Probability from which on a mode is planned for.
    """
    belief = np.asarray(problem.probability, np.float64)
    kept = (belief >= least) | (belief == belief.max(axis=-1, keepdims=True))
    ellipses = jax.tree.map(np.asarray, problem.ellipses)
    share = np.where(kept, belief, 0.0)
    return replace(
        problem,
        ellipses=replace(ellipses, present=ellipses.present & kept[..., None, None]),
        probability=share / share.sum(axis=-1, keepdims=True),
    )


def keep_likeliest(problem: Problem) -> Problem:
    """Return a problem in which the likeliest mode is sure: certainty equivalence.

    It has the modes that it had, with all others' road users out of the way, so that it is solved
    by what is compiled already.

    Args:
        problem: With any batch axes.
    """
    best = np.argmax(np.asarray(problem.probability), axis=-1)[..., None]
    ellipses = jax.tree.map(np.asarray, problem.ellipses)

    def pick(values: np.ndarray) -> np.ndarray:
        at = best.reshape(best.shape + (1,) * (values.ndim - best.ndim))
        chosen = np.take_along_axis(values, at, axis=best.ndim - 1)
        return np.broadcast_to(chosen, values.shape).copy()

    modes = np.shape(problem.probability)[-1]
    return replace(
        problem,
        ellipses=jax.tree.map(pick, ellipses),
        probability=np.full(np.shape(problem.probability), 1.0 / modes),
        branch_step=np.full_like(problem.branch_step, ellipses.present.shape[-1]),
    )


def never_branch(problem: Problem, horizon: Horizon) -> Problem:
    """Return a problem whose plan must do for all modes for ever: the worst case.

    Args:
        problem: With any batch axes.
        horizon: Of the plan.
    """
    return replace(problem, branch_step=np.full_like(problem.branch_step, horizon.steps))


def expect(predictions: Predictions) -> Predictions:
    """Return the expected prediction: one mode, where the others are on average.

    Its covariance is the mean of the modes' own and leaves out how far the modes are apart; it is
    what a planner sees that was given one trajectory for each road user.

    Args:
        predictions: Leading axes are a batch. Only modes count in which somebody is there.

    Raises:
        InputError: The probabilities do not add up to one.
    """
    probability = np.asarray(predictions.probability, np.float64)
    if not np.isclose(probability.sum(axis=-1), 1.0, atol=1e-6).all():
        raise InputError("value", "probabilities of modes do not add up to one")
    valid = np.asarray(predictions.valid)
    weight = np.where(valid, probability[..., :, None, None], 0.0)
    total = weight.sum(axis=-3, keepdims=True)
    there = total[..., 0, :, :] > 0
    weight = weight / np.where(total > 0, total, 1.0)
    turn = np.asarray(predictions.heading)

    def average(values: np.ndarray) -> np.ndarray:
        scale = weight.reshape(weight.shape + (1,) * (values.ndim - weight.ndim))
        return np.where(scale > 0, scale * values, 0.0).sum(axis=valid.ndim - 3, keepdims=True)

    return replace(
        predictions,
        mean=average(np.asarray(predictions.mean)),
        covariance=average(np.asarray(predictions.covariance)),
        heading=np.arctan2(average(np.sin(turn)), average(np.cos(turn))),
        probability=np.ones((*probability.shape[:-1], 1)),
        valid=there[..., None, :, :],
    )
