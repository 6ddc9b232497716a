"""Where the car's discs are along the corridor."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from kerbstone.plan.vehicle import Vehicle

_POWERS = 4
_REFINEMENTS = 2

# Of each disc at each step (three, but for the starts, which follow the middle one), and of a step.
OfDiscs = Float[Array, "disc step mode lane"]
OfSteps = Float[Array, "step mode lane"]


class Line(NamedTuple):
    """Corridors as polynomials, a row for each piece.

    Args:
        coefficients: Of x, y, room left, room right and wanted speed, lowest power first.
        spacing: Length of a piece [m].
    """

    coefficients: Float[Array, "20 piece lane"]
    spacing: Float[Array, " lane"]


class Discs(NamedTuple):
    """Centres of the car's discs [m], and how they move as the car turns [m/rad]."""

    x: OfDiscs
    y: OfDiscs
    turn_x: OfDiscs
    turn_y: OfDiscs


class Reading(NamedTuple):
    """The polynomials under each disc, and how far along its piece each is."""

    fields: Float[Array, "5 4 disc step mode lane"]
    piece: OfDiscs
    along: OfDiscs


class Foot(NamedTuple):
    """The line at the point nearest to each disc.

    Args:
        away_x: From the line to the disc [m].
        away_y: The same.
        slope_x: Derivative of the line by its parameter [m].
        slope_y: The same.
        curve: What the derivative of the parameter by a step along the slope is divided by [m²].
    """

    away_x: OfDiscs
    away_y: OfDiscs
    slope_x: OfDiscs
    slope_y: OfDiscs
    curve: OfDiscs


def place_discs(
    states: Float[Array, "step 6 mode lane"], vehicle: Vehicle, one: jax.Array
) -> Discs:
    """Return where the discs are."""
    cos, sin = jnp.cos(states[:, 2]) / one, jnp.sin(states[:, 2]) / one
    arm = jnp.asarray(vehicle.disc_offsets, states.dtype)[:, None, None, None]
    ahead_x, ahead_y = arm * cos, arm * sin
    return Discs(states[:, 0] + ahead_x, states[:, 1] + ahead_y, -ahead_y, ahead_x)


def read(line: Line, parameter: OfDiscs, one: jax.Array) -> Reading:
    """Return the polynomials at each parameter."""
    _, pieces, lanes = line.coefficients.shape
    parameter = parameter / one
    piece = jnp.clip(jnp.floor(parameter), 0, pieces - 1)
    index = piece.astype(jnp.int32) * lanes + jnp.arange(lanes, dtype=jnp.int32)
    table = line.coefficients.reshape(-1, pieces * lanes)
    fields = table.at[:, index].get(mode="promise_in_bounds") / one
    return Reading(fields.reshape(5, _POWERS, *piece.shape), piece, parameter - piece)


def find_foot(discs: Discs, reading: Reading) -> Foot:
    """Return the line at a reading."""
    (ax, bx, cx, dx), (ay, by, cy, dy) = reading.fields[0], reading.fields[1]
    t = reading.along
    away_x = discs.x - (ax + t * (bx + t * (cx + t * dx)))
    away_y = discs.y - (ay + t * (by + t * (cy + t * dy)))
    slope_x = bx + t * (2 * cx + 3 * t * dx)
    slope_y = by + t * (2 * cy + 3 * t * dy)
    square = slope_x * slope_x + slope_y * slope_y
    bent = away_x * (2 * cx + 6 * t * dx) + away_y * (2 * cy + 6 * t * dy)
    # Beyond the centre of curvature there is no nearest point; half the square keeps the steps
    # finite there.
    return Foot(away_x, away_y, slope_x, slope_y, jnp.maximum(square - bent, 0.5 * square))


def project(discs: Discs, line: Line, guess: OfDiscs, one: jax.Array) -> Reading:
    """Return the reading at the point of the line nearest to each disc.

    Derivatives through it are exact to the second order where `guess` is the projection itself,
    because each Newton step started at the solution gains one.

    Args:
        discs: Centres.
        line: The corridors.
        guess: About where the projections are.
        one: The number one, not known to the compiler; see `riccati.sweep`.
    """
    reading = read(line, guess, one)
    for _ in range(_REFINEMENTS):
        foot = find_foot(discs, reading)
        step = (foot.away_x * foot.slope_x + foot.away_y * foot.slope_y) / foot.curve
        reading = reading._replace(along=reading.along + step)
    return reading._replace(along=reading.along / one)


def value_of(field: Float[Array, "4 *at"], along: Float[Array, "*at"]) -> Float[Array, "*at"]:
    """Return a field where a reading is."""
    return field[0] + along * (field[1] + along * (field[2] + along * field[3]))


def slope_of(field: Float[Array, "4 *at"], along: Float[Array, "*at"]) -> Float[Array, "*at"]:
    """Return a field's derivative by the parameter where a reading is."""
    return field[1] + along * (2 * field[2] + 3 * along * field[3])
