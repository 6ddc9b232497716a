"""Assignment of detections to tracks, relaxed so that it can be differentiated.

Each track and each detection hands out a mass of 1, among each other or to a dustbin of its own
side, so that the plan of least cost and greatest entropy is a soft assignment. The dustbins take
whatever comes: they are prices, not marginals, which makes the dual problem strictly concave, its
solution unique, and the system of its optimality conditions regular.

Gradients are those of the solution itself, by the implicit function theorem: one linear system of
the size of the smaller side, whatever it took to get there.

References:
    Cuturi, "Sinkhorn Distances", NeurIPS 2013; Sarlin et al., "SuperGlue: Learning Feature Matching
    with Graph Neural Networks", CVPR 2020 (dustbins); Luise et al., "Differential Properties of
    Sinkhorn Approximation for Learning with Wasserstein Distance", NeurIPS 2018 (implicit
    gradients).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import logsumexp
from jaxtyping import Bool, Float

_EASY = 10.0
"""Costs of being alone, by temperature, from which the prices are found at once."""
_COARSE = 0.01
"""Error of the mass with which a stage above the temperature ends."""
_MOST_ROUNDS = 200


class Plan(NamedTuple):
    """Logs of what goes where. In each row of tracks and each column of detections masses sum to 1.

    Args:
        pair: From each track to each detection; -inf where they may not be paired.
        track: From each track to the dustbin: it goes without a detection.
        row: From each detection to the dustbin: it goes without a track.
    """

    pair: Float[Array, "*batch track row"]
    track: Float[Array, "*batch track"]
    row: Float[Array, "*batch row"]


def relax_assignment(
    cost: Float[Array, "*batch track row"],
    track_cost: Float[Array, "*batch track"],
    row_cost: Float[Array, "*batch row"],
    allowed: Bool[Array, "*batch track row"],
    *,
    temperature: float | Float[Array, ""] = 1.0,
) -> Plan:
    """Return the plan that minimises cost less `temperature` times entropy.

    At a temperature near 0 it is the assignment of least cost. It can be differentiated once, in
    reverse, by the costs and the temperature. Tracks and detections that pad a batch are allowed
    nothing; all their mass goes to the dustbin, and they change nothing.

    Args:
        cost: Cost of each pair; whatever stands where a pair is not allowed is not looked at.
        track_cost: Cost of a track without a detection.
        row_cost: Cost of a detection without a track.
        allowed: Which pairs there may be.
        temperature: How soft the assignment is, in the unit of the costs.
    """
    cost = jnp.where(allowed, cost, 0.0)
    pair, track, row = _solve(
        cost / temperature, track_cost / temperature, row_cost / temperature, allowed
    )
    return Plan(pair, track, row)


@jax.custom_vjp
def _solve(
    cost: Float[Array, "*batch track row"],
    track_cost: Float[Array, "*batch track"],
    row_cost: Float[Array, "*batch row"],
    allowed: Bool[Array, "*batch track row"],
) -> tuple[Array, Array, Array]:
    """Return logs of the plan at temperature 1."""
    kernel = jnp.where(allowed, -cost, -jnp.inf)
    price, row_price = _find_prices(kernel, track_cost, row_cost)
    pair = kernel + price[..., :, None] + row_price[..., None, :]
    return pair, price - track_cost, row_price - row_cost


@jax.jit
def _find_prices(kernel: Array, track_cost: Array, row_cost: Array) -> tuple[Array, Array]:
    """Return the dual prices of tracks and detections.

    Costs that are large against the temperature are approached from a higher one, halved from
    stage to stage, each of which starts where the last one ended.
    """
    largest = jnp.maximum(jnp.abs(track_cost).max(initial=1.0), jnp.abs(row_cost).max(initial=1.0))
    # Prices are as large as the costs of being alone, and no sum of them is more exact.
    finest = 8 * jnp.finfo(kernel.dtype).eps * largest

    def go_on(now: tuple[Array, Array]) -> tuple[Array, Array]:
        scale, price = now
        tolerance = jnp.where(scale < 1, _COARSE, finest)
        start = price * scale
        price = _climb(kernel * scale, track_cost * scale, row_cost * scale, start, tolerance)
        price = price / scale
        # Above 1 stands for done.
        return jnp.where(scale < 1, jnp.minimum(1.0, 2 * scale), 2.0).astype(scale.dtype), price

    start = jnp.minimum(1.0, _EASY / largest).astype(kernel.dtype)
    _, price = jax.lax.while_loop(lambda now: now[0] <= 1, go_on, (start, track_cost))
    return price, _follow(kernel, track_cost, row_cost, price)[0]


def _climb(
    kernel: Array, track_cost: Array, row_cost: Array, price: Array, tolerance: Array
) -> Array:
    """Return the tracks' prices that solve the dual problem, from a first guess.

    The prices of detections follow from those of tracks, so only the latter are sought. Each round
    tries a Newton step and a step of Sinkhorn's, and keeps what raises the dual more: the first
    ends fast, the second always gets ahead.
    """

    def follow(price: Array) -> tuple[Array, Array, Array]:
        return _follow(kernel, track_cost, row_cost, price)

    def improve(now: tuple[Array, ...]) -> tuple[Array, ...]:
        price, row_price, mass, _, rounds = now
        plain = price - mass
        pair = jnp.exp(kernel + price[..., :, None] + row_price[..., None, :])
        handed = jnp.exp(mass)
        newton = price + _solve_tracks(pair, handed, 1.0 - handed)
        newton = jnp.where(jnp.isfinite(newton), jnp.minimum(newton, track_cost), plain)
        options = (plain, *follow(plain)), (newton, *follow(newton))
        better = options[1][3] >= options[0][3]
        chosen = [
            jnp.where(better if a.ndim == better.ndim else better[..., None], b, a)
            for a, b in zip(*options, strict=True)
        ]
        return (*chosen, rounds + 1)

    def is_off(now: tuple[Array, ...]) -> Array:
        return (jnp.abs(now[2]).max(initial=0.0) > tolerance) & (now[4] < _MOST_ROUNDS)

    start = (price, *follow(price), jnp.asarray(0))
    return jax.lax.while_loop(is_off, improve, start)[0]


def _follow(
    kernel: Array, track_cost: Array, row_cost: Array, price: Array
) -> tuple[Array, Array, Array]:
    """Return the detections' best prices, the log of what tracks hand out, and the dual."""
    inner = logsumexp(kernel + price[..., :, None], axis=-2)
    row_price = -jnp.logaddexp(inner, -row_cost)
    pair = logsumexp(kernel + row_price[..., None, :], axis=-1)
    mass = price + jnp.logaddexp(pair, -track_cost)
    # Detections hand out exactly 1 each, whatever the prices, so that part does not vary.
    dual = price.sum(-1) + row_price.sum(-1) - jnp.exp(price - track_cost).sum(-1)
    return row_price, mass, dual


def _solve_tracks(pair: Array, handed: Array, wanted: Array) -> Array:
    """Return (diag(handed) - pair pairᵀ)⁻¹ wanted, where detections hand out 1 each.

    It is the Schur complement of the second derivative of the dual, with detections eliminated.
    """
    matrix = -jnp.einsum("...ij,...kj->...ik", pair, pair)
    # What the dustbin gets keeps the matrix regular; where that is less than rounding, this does.
    ridge = 4 * jnp.finfo(pair.dtype).eps
    matrix += jnp.eye(pair.shape[-2], dtype=pair.dtype) * (handed + ridge)[..., None, :]
    return jnp.linalg.solve(matrix, wanted[..., None])[..., 0]


def _forward(
    cost: Array, track_cost: Array, row_cost: Array, allowed: Array
) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
    plan = _solve(cost, track_cost, row_cost, allowed)
    return plan, plan


def _backward(
    plan: tuple[Array, Array, Array], cotangent: tuple[Array, Array, Array]
) -> tuple[Array, Array, Array, None]:
    """Return the gradients by the costs.

    With log P = f + g - C and the sums of rows and columns held at 1, a change of C moves the
    prices by A⁻¹ (sums of P dC), where A has ones on the diagonal and P beside it. A is symmetric,
    so the gradient solves the same system for the sums of the cotangents.
    """
    pair, track, row = (jnp.exp(part) for part in plan)
    # What is not allowed is -inf whatever the costs are.
    by_pair = jnp.where(jnp.isneginf(plan[0]), 0.0, cotangent[0])
    by_track, by_row = cotangent[1:]
    wanted_track = by_pair.sum(-1) + by_track
    wanted_row = by_pair.sum(-2) + by_row
    if pair.shape[-2] <= pair.shape[-1]:
        price, row_price = _solve_both(pair, wanted_track, wanted_row)
    else:
        row_price, price = _solve_both(pair.mT, wanted_row, wanted_track)
    return (
        pair * (price[..., :, None] + row_price[..., None, :]) - by_pair,
        track * price - by_track,
        row * row_price - by_row,
        None,
    )


def _solve_both(pair: Array, wanted: Array, wanted_other: Array) -> tuple[Array, Array]:
    left = wanted - jnp.einsum("...ij,...j->...i", pair, wanted_other)
    price = _solve_tracks(pair, jnp.ones_like(wanted), left)
    return price, wanted_other - jnp.einsum("...ij,...i->...j", pair, price)


_solve.defvjp(_forward, _backward)
