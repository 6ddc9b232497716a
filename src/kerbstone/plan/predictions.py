"""What the others may do: predictions, and the ellipses that a plan keeps out of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float64, Int64, Shaped

from kerbstone.errors import InputError
from kerbstone.plan.problem import Ellipses, Horizon
from kerbstone.plan.vehicle import Vehicle
from kerbstone.scene import Agents, Clock, Kind, angle_difference

_USUAL_SIZE = {
    Kind.CAR: (4.6, 1.9),
    Kind.TRUCK: (9.0, 2.6),
    Kind.BUS: (12.0, 2.7),
    Kind.TRAILER: (8.0, 2.6),
    Kind.TRAIN: (30.0, 2.8),
    Kind.MOTORCYCLE: (2.1, 0.8),
    Kind.CYCLIST: (1.8, 0.7),
    Kind.BICYCLE: (1.8, 0.7),
    Kind.PEDESTRIAN: (0.7, 0.7),
    Kind.RIDER: (1.0, 0.7),
    Kind.ANIMAL: (1.0, 0.5),
}
_OTHER_SIZE = (1.0, 1.0)
_SHOWS_DIRECTION = 0.5
"""From this speed on, someone whose heading is not known heads where they go [m/s]."""
ACROSS = 4.0
"""Usual weight of the room across a box against that along it, when an ellipse is fitted."""
_LEAST_VARIANCE = 1e-6
"""Keeps derivatives finite where nothing is uncertain [m²]."""


class Predictions(eqx.Module):
    """Where the others may be. Index `step` is the time at the *end* of that step of a plan.

    Cells that are not valid may hold anything.

    Args:
        mean: Middle of each box, world frame [m].
        covariance: Of the middle, world frame [m²].
        heading: Of the box [rad].
        probability: Of each mode; they add up to one.
        size: Length and width of each box [m].
        valid: Whether somebody is said to be there.
    """

    mean: Shaped[Array | np.ndarray, "*batch mode agent step 2"]
    covariance: Shaped[Array | np.ndarray, "*batch mode agent step 2 2"]
    heading: Shaped[Array | np.ndarray, "*batch mode agent step"]
    probability: Shaped[Array | np.ndarray, "*batch mode"]
    size: Shaped[Array | np.ndarray, "*batch agent 2"]
    valid: Bool[Array | np.ndarray, "*batch mode agent step"]


@dataclass(frozen=True)
class Spread:
    """How uncertain a forecast is: standard deviations that grow with time.

    The defaults suit a plan that looks again after a fraction of a second. They are narrower than
    the errors of such forecasts on recorded traffic, whose median is about 2 m along the heading
    after 3 s and 6 m after 6 s; what could happen at worst is not for a forecast to say.

    Args:
        start: At once, in every direction [m].
        along: Growth along the heading [m/s].
        across: Growth across it [m/s].
    """

    start: float = 0.1
    along: float = 0.4
    across: float = 0.1


def predict_straight(
    agents: Agents, step: int, horizon: Horizon, *, spread: Spread | None = None
) -> Predictions:
    """Return the forecast that everybody goes on as fast and straight as now.

    Args:
        agents: The road users.
        step: The step of the scene that is now.
        horizon: Of the plan.
        spread: How uncertain it is.

    Raises:
        InputError: There is no such step.
    """
    _check_step(agents, step)
    valid = agents.valid[:, step]
    time = horizon.times
    velocity = np.nan_to_num(agents.velocity[:, step])
    heading = _headings(agents.heading[:, step], velocity)
    mean = np.nan_to_num(agents.centre[:, step, None, :2]) + velocity[:, None] * time[:, None]
    spread = spread or Spread()
    along = np.broadcast_to((spread.start + spread.along * time) ** 2, mean.shape[:2])
    across = np.broadcast_to((spread.start + spread.across * time) ** 2, mean.shape[:2])
    turned = np.broadcast_to(heading[:, None], mean.shape[:2])
    return Predictions(
        mean=mean[None],
        covariance=turn_covariance(along, across, turned)[None],
        heading=turned[None].copy(),
        probability=np.ones(1),
        size=fill_sizes(agents),
        valid=np.broadcast_to(valid[:, None], mean.shape[:2])[None].copy(),
    )


def tell_future(
    agents: Agents, clock: Clock, step: int, horizon: Horizon, *, spread: Spread | None = None
) -> Predictions:
    """Return what a record says the others do next: an oracle, for tests and as an upper bound.

    Between steps of the record positions are interpolated; where a road user is not in the record
    at both, it is not there.

    Args:
        agents: The road users.
        clock: Of the record.
        step: The step of the scene that is now.
        horizon: Of the plan.
        spread: How uncertain it is; not at all if None.

    Raises:
        InputError: There is no such step.
    """
    _check_step(agents, step)
    time = horizon.times
    place = step + time / clock.dt
    # A step of the plan that falls on one of the record should not need the one after it.
    low = np.floor(place + 1e-6).astype(np.int64)
    share = np.maximum(place - low, 0.0)
    share[share < 1e-6] = 0.0
    high = np.where(share > 0, low + 1, low)
    there = high < agents.steps
    low, high = np.minimum(low, agents.steps - 1), np.minimum(high, agents.steps - 1)
    valid = agents.valid[:, low] & agents.valid[:, high] & there
    before, after = agents.centre[:, low, :2], agents.centre[:, high, :2]
    mean = np.where(valid[..., None], before + share[:, None] * (after - before), 0.0)
    heading = _headings(agents.heading, np.nan_to_num(agents.velocity))
    turn = angle_difference(heading[:, high], heading[:, low])
    turned = heading[:, low] + share * turn
    covariance = np.zeros((*mean.shape, 2))
    if spread is not None:
        along = np.broadcast_to((spread.start + spread.along * time) ** 2, valid.shape)
        across = np.broadcast_to((spread.start + spread.across * time) ** 2, valid.shape)
        covariance = turn_covariance(along, across, turned)
    return Predictions(
        mean=mean[None],
        covariance=covariance[None],
        heading=turned[None],
        probability=np.ones(1),
        size=fill_sizes(agents),
        valid=valid[None],
    )


def check_predictions(predictions: Predictions, *, ids: tuple[str, ...] = ()) -> Predictions:
    """Return predictions after checking that a plan can be made from them.

    Args:
        predictions: The predictions, without a batch.
        ids: Names of the road users, for the error.

    Raises:
        InputError: A valid cell is NaN, a covariance is not one, a size is not above zero, or the
            probabilities do not add up to one.
    """
    valid = np.asarray(predictions.valid)
    mean = np.asarray(predictions.mean)
    covariance = np.asarray(predictions.covariance)
    numbers = np.concatenate(
        [
            mean,
            np.asarray(predictions.heading)[..., None],
            covariance.reshape(*mean.shape[:-1], 4),
        ],
        axis=-1,
    )
    fault = _first(valid & ~np.isfinite(numbers).all(axis=-1), ids)
    if fault:
        raise InputError(
            "value",
            "a prediction is NaN or infinite",
            where=fault,
            why="its mean, heading or covariance is not a number",
            remedy="mark the cell as not valid where nothing is predicted",
        )
    variance = covariance[..., 0, 0], covariance[..., 1, 1]
    mixed = covariance[..., 0, 1] * covariance[..., 1, 0]
    with np.errstate(invalid="ignore", over="ignore"):
        is_none = (variance[0] < 0) | (variance[1] < 0)
        is_none |= mixed > variance[0] * variance[1] * (1 + 1e-6) + 1e-9
        is_none |= np.abs(covariance[..., 0, 1] - covariance[..., 1, 0]) > 1e-6
    fault = _first(np.asarray(valid & is_none), ids)
    if fault:
        raise InputError("value", "a covariance of a prediction is not one", where=fault)
    size = np.asarray(predictions.size)
    used = valid.any(axis=(0, 2))
    is_size = np.asarray(((size > 0) & np.isfinite(size)).all(axis=-1))
    fault = _first(np.asarray(used & ~is_size), ids)
    if fault:
        raise InputError("value", "a size of a prediction is not above zero", where=fault)
    probability = np.asarray(predictions.probability)
    if not (probability >= 0).all() or not np.isclose(probability.sum(), 1.0, atol=1e-6):
        raise InputError(
            "value",
            "probabilities of modes do not add up to one",
            why=f"they are {probability.tolist()}",
        )
    return predictions


def select_nearest(
    predictions: Predictions, own: Float64[np.ndarray, "path step 2"], slots: int
) -> tuple[Predictions, Int64[np.ndarray, " slot"]]:
    """Return the predictions of those who come nearest to a car, in a fixed number of slots.

    Args:
        predictions: Of everybody, without a batch.
        own: Where the car may be at the end of each step, along one path or several [m].
        slots: How many road users are kept.

    Returns:
        Their predictions, nearest first, and the row of each; empty slots have row -1, are not
        valid anywhere, and come last.
    """
    valid = np.asarray(predictions.valid)
    mean = np.where(valid[..., None], np.asarray(predictions.mean), np.inf)
    gap = np.full(valid.shape[1], np.inf)
    for path in own:
        with np.errstate(invalid="ignore"):
            far = np.hypot(*np.moveaxis(mean - path, -1, 0))
        gap = np.minimum(gap, far.min(axis=(0, 2), initial=np.inf))
    # A long road user is nearer than its middle.
    gap = gap - np.nan_to_num(np.asarray(predictions.size)).max(axis=-1, initial=0.0) / 2
    order = np.argsort(gap, kind="stable")
    order = order[np.isfinite(gap[order])][:slots]
    row = np.full(slots, -1, np.int64)
    row[: len(order)] = order
    at = np.maximum(row, 0)
    if not valid.shape[1]:
        return _nobody(predictions, slots), row
    return (
        replace(
            predictions,
            mean=np.asarray(predictions.mean)[:, at],
            covariance=np.asarray(predictions.covariance)[:, at],
            heading=np.asarray(predictions.heading)[:, at],
            size=np.asarray(predictions.size)[at],
            valid=valid[:, at] & (row >= 0)[:, None],
        ),
        row,
    )


def inflate(
    predictions: Predictions,
    vehicle: Vehicle,
    *,
    confidence: float = 0.9,
    across: Float[Array | np.ndarray, "*batch agent"] | float = ACROSS,
) -> Ellipses:
    """Return the ellipses that the centres of a car's discs must stay out of.

    Each holds the sum of the box, of the disc, and of the ellipse in which the middle of the box
    lies with the given probability: while a disc's centre is outside, the disc does not touch the
    box wherever in that ellipse its middle is. Differentiable in means, covariances, headings and
    sizes. An error of the heading is not part of it.

    With half sizes a and b, radius r, covariance S in the frame of the box and quantile q, a disc
    may touch in direction n up to `a |n1| + b |n2| + r + q sqrt(n' S n)`. By the inequality of
    Cauchy and Schwarz the square of that is at most `n' Q n` with
    `Q = diag(a², 0) / w1 + diag(0, b²) / w2 + r² I / w3 + q² S / w4` for any weights that add up
    to one. Those are taken that make `Q11 + across * Q22` least. An ellipse around a long box reaches
    beyond it, and this says where: with a greater `across` more before and behind it, less beside.

    Args:
        predictions: The predictions; leading axes are a batch.
        vehicle: The car.
        confidence: Probability that the middle lies in its ellipse, from 0 to below 1.
        across: How much more room across a box counts than room along it, above 0; of each road
            user, or of all.

    Raises:
        InputError: The confidence is not in that range.

    References:
        Kurzhanski and Vályi, Ellipsoidal Calculus for Estimation and Control, 1997: sums of
        ellipsoids in larger ones.
    """
    if not 0.0 <= confidence < 1.0:
        raise InputError(
            "value",
            "the confidence of predictions is not from 0 to below 1",
            why=f"{confidence}",
        )
    # Of two degrees of freedom, the quantile of chi-square has a closed form.
    quantile = -2.0 * float(np.log1p(-confidence))
    # NumPy in, NumPy out: without a call of JAX for each operation, and in double precision.
    xp = np if all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(predictions)) else jnp
    valid = xp.asarray(predictions.valid)
    heading = xp.where(valid, predictions.heading, 0.0)
    covariance = xp.where(valid[..., None, None], predictions.covariance, 0.0)
    half = xp.asarray(predictions.size)[..., None, :, None, :] / 2.0
    used = xp.asarray(valid.any(axis=(-3, -1)))[..., None, :, None, None]
    half = xp.where(used & xp.isfinite(half), half, 1.0)
    way = xp.stack([xp.cos(heading), xp.sin(heading)], axis=-1)
    side = xp.stack([-way[..., 1], way[..., 0]], axis=-1)
    s11 = xp.einsum("...i,...ij,...j->...", way, covariance, way)
    s22 = xp.einsum("...i,...ij,...j->...", side, covariance, side)
    s12 = xp.einsum("...i,...ij,...j->...", way, covariance, side)
    weight = xp.asarray(across, s11.dtype)
    weight = weight[..., None, :, None] if weight.ndim else weight
    w1 = half[..., 0]
    w2 = xp.sqrt(weight) * half[..., 1]
    w3 = vehicle.disc_radius * xp.sqrt(1.0 + weight)
    w4 = xp.sqrt(quantile * (s11 + weight * s22) + _LEAST_VARIANCE)
    total = w1 + w2 + w3 + w4
    disc = vehicle.disc_radius**2 / w3
    q11 = total * (half[..., 0] ** 2 / w1 + disc + quantile * s11 / w4)
    q22 = total * (half[..., 1] ** 2 / w2 + disc + quantile * s22 / w4)
    q12 = total * quantile * s12 / w4
    # The axes of Q. `apart` is zero only where Q is a multiple of the unit matrix.
    apart = xp.sqrt(((q11 - q22) / 2) ** 2 + q12**2 + _LEAST_VARIANCE**2)
    middle = (q11 + q22) / 2
    is_round = (xp.abs(q12) < 1e-12) & (xp.abs(q11 - q22) < 1e-12)
    turn = xp.where(
        is_round,
        0.0,
        xp.arctan2(xp.where(is_round, 0.0, 2 * q12), xp.where(is_round, 1.0, q11 - q22)) / 2,
    )
    axes = xp.stack([middle + apart, xp.maximum(middle - apart, 1e-6)], axis=-1)
    centre = xp.where(valid[..., None], predictions.mean, 0.0)
    return Ellipses(centre=centre, semi_axes=xp.sqrt(axes), heading=heading + turn, present=valid)


def turn_covariance(
    along: Float64[np.ndarray, "*cell"],
    across: Float64[np.ndarray, "*cell"],
    heading: Float64[np.ndarray, "*cell"],
) -> Float64[np.ndarray, "*cell 2 2"]:
    """Return covariances in the world frame from variances along and across a heading [m²]."""
    way = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    side = np.stack([-way[..., 1], way[..., 0]], axis=-1)
    return (
        along[..., None, None] * way[..., :, None] * way[..., None, :]
        + across[..., None, None] * side[..., :, None] * side[..., None, :]
    )


def fill_sizes(agents: Agents) -> Float64[np.ndarray, "agent 2"]:
    """Return length and width of each road user, usual ones where they are not known [m]."""
    usual = np.array([_USUAL_SIZE.get(Kind(kind), _OTHER_SIZE) for kind in agents.kind])
    known = agents.size[:, :2]
    return np.where(np.isfinite(known), known, usual.reshape(-1, 2))


def _headings(
    heading: Float64[np.ndarray, "*cell"], velocity: Float[np.ndarray, "*cell 2"]
) -> Float64[np.ndarray, "*cell"]:
    moves = np.hypot(velocity[..., 0], velocity[..., 1]) > _SHOWS_DIRECTION
    motion = np.where(moves, np.arctan2(velocity[..., 1], velocity[..., 0]), 0.0)
    return np.where(np.isfinite(heading), heading, motion)


def _check_step(agents: Agents, step: int) -> None:
    if not 0 <= step < agents.steps:
        raise InputError(
            "index", "there is no such step in the scene", why=f"step {step} of {agents.steps}"
        )


def _nobody(predictions: Predictions, slots: int) -> Predictions:
    modes, _, steps = np.asarray(predictions.valid).shape
    return Predictions(
        mean=np.zeros((modes, slots, steps, 2)),
        covariance=np.zeros((modes, slots, steps, 2, 2)),
        heading=np.zeros((modes, slots, steps)),
        probability=predictions.probability,
        size=np.ones((slots, 2)),
        valid=np.zeros((modes, slots, steps), bool),
    )


def _first(fault: Bool[np.ndarray, "..."], ids: tuple[str, ...]) -> str:
    """Return where the first fault is, or nothing."""
    if not fault.any():
        return ""
    cell = [int(axis[0]) for axis in np.nonzero(fault)]
    agent = cell[1] if len(cell) > 1 else cell[0]
    name = repr(ids[agent]) if agent < len(ids) else str(agent)
    return f"agent {name}" + (f", mode {cell[0]}, step {cell[2]}" if len(cell) > 1 else "")
