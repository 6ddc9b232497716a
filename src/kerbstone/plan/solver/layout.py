"""From problems to the arrays of the solver, batch last."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from kerbstone.plan.corridor import cut_pieces
from kerbstone.plan.problem import Ellipses, Problem
from kerbstone.plan.solver.places import Line, place_discs, project
from kerbstone.plan.solver.terms import Data, Others
from kerbstone.plan.vehicle import Vehicle


def lay_out(problem: Problem, vehicle: Vehicle, steps: int) -> Data:
    """Return a batch of problems as the solver reads it; differentiable in all of them.

    Args:
        problem: With one batch axis.
        vehicle: The car.
        steps: Of the horizon.
    """
    pieces = cut_pieces(problem.corridor)
    line = Line(jnp.transpose(pieces.coefficients, (2, 1, 0)), pieces.spacing)
    modes = problem.probability.shape[-1]
    start = jnp.broadcast_to(
        jnp.asarray(problem.start).T[:, None], (6, modes, problem.start.shape[0])
    )
    return Data(
        start,
        line,
        _others(problem.ellipses),
        jnp.asarray(problem.probability).T,
        jnp.arange(steps)[:, None] < jnp.asarray(problem.branch_step)[None],
        jax.tree.map(lambda weight: jnp.asarray(weight, start.dtype), problem.weights),
        _find(start, line, vehicle),
    )


def move_to_car(problem: Problem) -> tuple[Problem, Float[Array, "batch 2"]]:
    """Return problems around the car's place, where float32 is fine enough, and that place.

    The place counts as a constant: derivatives by the start are those of the car in its world.
    """
    start = jnp.asarray(problem.start)
    place = jax.lax.stop_gradient(start[:, :2])
    corridor, ellipses = problem.corridor, problem.ellipses
    moved = replace(
        problem,
        start=start.at[:, :2].add(-place),
        corridor=replace(corridor, line=corridor.line - place[:, None]),
        ellipses=replace(ellipses, centre=ellipses.centre - place[:, None, None, None]),
    )
    return moved, place


def to_precision(tree: Any, precision: Any) -> Any:
    """Return a tree of arrays with its numbers that are not integers in another precision."""
    return jax.tree.map(
        lambda value: (
            value.astype(precision) if jnp.issubdtype(value.dtype, jnp.floating) else value
        ),
        tree,
    )


def _others(ellipses: Ellipses) -> Others:
    """Return ellipses as quadratic forms, `[obstacle, step, mode, batch]`."""
    centre, axes = jnp.asarray(ellipses.centre), jnp.asarray(ellipses.semi_axes)
    cos, sin = jnp.cos(ellipses.heading), jnp.sin(ellipses.heading)
    along, across = 1.0 / axes[..., 0] ** 2, 1.0 / axes[..., 1] ** 2
    values = (
        centre[..., 0],
        centre[..., 1],
        along * cos**2 + across * sin**2,
        (along - across) * cos * sin,
        along * sin**2 + across * cos**2,
        axes.min(-1),
        jnp.asarray(ellipses.present),
    )
    return Others(*(jnp.transpose(value, (2, 3, 1, 0)) for value in values))


def _find(
    start: Float[Array, "6 mode lane"], line: Line, vehicle: Vehicle
) -> Float[Array, "3 mode lane"]:
    """Return the parameters of the discs at the start, searched for over the whole line."""
    one = jnp.ones((), start.dtype)
    discs = place_discs(start[None], vehicle, one)
    away_x = discs.x[:, 0, 0, None] - line.coefficients[0]
    away_y = discs.y[:, 0, 0, None] - line.coefficients[4]
    nearest = jnp.argmin(away_x**2 + away_y**2, axis=1).astype(start.dtype)
    guess = jnp.broadcast_to(nearest[:, None, None], discs.x.shape)
    for _ in range(3):
        reading = project(discs, line, jax.lax.stop_gradient(guess), one)
        guess = reading.piece + reading.along
    return guess[:, 0]
