"""What a problem must be before anything is planned for it."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
from jaxtyping import Float

from kerbstone.errors import InputError
from kerbstone.plan.problem import Ellipses, Horizon, Problem
from kerbstone.plan.vehicle import StateIndex, Vehicle


def admit(problem: Problem, vehicle: Vehicle, horizon: Horizon) -> Problem:
    """Return a problem as the solver wants it: a batch, in NumPy, one weight for each row.

    Args:
        problem: With one batch axis, or none.
        vehicle: The car.
        horizon: How far ahead.

    Raises:
        InputError: A number is not finite, predictions have another number of steps than the
            horizon, probabilities do not add up to one, or the start is beyond what the car can
            do.
    """
    if np.ndim(problem.start) == 1:
        problem = jax.tree.map(lambda value: np.asarray(value)[None], problem)
    batch = np.shape(problem.start)[0]
    if batch == 0:
        raise InputError("empty", "there is no problem in the batch")
    problem = jax.tree.map(np.asarray, problem)
    weights = jax.tree.map(
        lambda value: np.broadcast_to(np.asarray(value, float), (batch,)), problem.weights
    )
    _check_numbers(problem, horizon)
    _check_start(np.asarray(problem.start), vehicle)
    return replace(problem, ellipses=_fill(problem.ellipses), weights=weights)


def _check_numbers(problem: Problem, horizon: Horizon) -> None:
    steps = problem.ellipses.heading.shape[-1]
    if steps != horizon.steps:
        raise InputError(
            "shape",
            "the others are predicted for another number of steps than the plan has",
            why=f"{steps} steps, but the horizon has {horizon.steps}",
        )
    ellipses, there = problem.ellipses, problem.ellipses.present
    for name, values in (
        ("the start of a problem", problem.start),
        (
            "the corridor of a problem",
            np.concatenate([np.ravel(v) for v in jax.tree.leaves(problem.corridor)]),
        ),
        ("a probability of a mode", problem.probability),
        (
            "a weight of the cost",
            np.concatenate([np.ravel(v) for v in jax.tree.leaves(problem.weights)]),
        ),
        ("the centre of a prediction", ellipses.centre[there]),
        ("a semi-axis of a prediction", ellipses.semi_axes[there]),
        ("the heading of a prediction", ellipses.heading[there]),
    ):
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise InputError("value", f"{name} is not finite", why=f"{np.ravel(values)[bad[0]]}")
    if (ellipses.semi_axes[there] <= 0).any():
        raise InputError("value", "a semi-axis of a prediction is not above zero")
    total = problem.probability.sum(-1)
    if (np.abs(total - 1.0) > 1e-3).any() or (problem.probability < 0).any():
        raise InputError(
            "value",
            "probabilities of the modes do not add up to one",
            why=f"they add up to {total[np.argmax(np.abs(total - 1.0))]:.4g}",
        )


def _check_start(start: Float[np.ndarray, "batch 6"], vehicle: Vehicle) -> None:
    for column, low, high in (
        (StateIndex.SPEED, *vehicle.speed),
        (StateIndex.ACCELERATION, *vehicle.acceleration),
        (StateIndex.STEERING, -vehicle.steering, vehicle.steering),
    ):
        bad = np.flatnonzero((start[:, column] < low) | (start[:, column] > high))
        if len(bad):
            raise InputError(
                "value",
                f"a start is beyond what the car can do: {column.name.lower()}",
                where=f"problem {bad[0]}",
                why=f"{start[bad[0], column]:.3g}, and it can do {low:.3g} to {high:.3g}",
                remedy="clip it, or plan for another vehicle",
            )


def _fill(ellipses: Ellipses) -> Ellipses:
    """Return ellipses with a harmless shape where there is no one."""
    hidden = ~ellipses.present
    return Ellipses(
        np.where(hidden[..., None], 0.0, ellipses.centre),
        np.where(hidden[..., None], 1.0, ellipses.semi_axes),
        np.where(hidden, 0.0, ellipses.heading),
        ellipses.present,
    )
