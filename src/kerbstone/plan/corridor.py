"""The road a plan keeps to: a smooth reference line with the room on either side of it."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped
from scipy.linalg import solve_banded

from kerbstone.errors import InputError

# Rows turn four neighbouring coefficients of a uniform cubic B-spline into those of its
# polynomial on one piece, lowest power first.
_PIECE = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6.0


class Corridor(eqx.Module):
    """A reference line as a uniform cubic B-spline, and what holds along it.

    Every field lists spline coefficients, so that the line, the room beside it and the speed
    wanted are twice differentiable along it. Piece `i` runs from where coefficients `i` to `i + 3`
    meet; there are `knot - 3` pieces, each `spacing` metres long.

    Args:
        line: Coefficients of the reference line, world frame [m].
        left: How far the road reaches to the left of the line [m].
        right: How far it reaches to the right, a positive number too [m].
        speed: The speed wanted there [m/s].
        spacing: Length of one piece [m].
    """

    line: Shaped[Array | np.ndarray, "*batch knot 2"]
    left: Shaped[Array | np.ndarray, "*batch knot"]
    right: Shaped[Array | np.ndarray, "*batch knot"]
    speed: Shaped[Array | np.ndarray, "*batch knot"]
    spacing: Shaped[Array | np.ndarray, "*batch"]


class Pieces(NamedTuple):
    """Polynomials of a corridor: `[batch, piece, field * 4]`, fields x, y, left, right, speed."""

    coefficients: Float[Array, "batch piece 20"]
    spacing: Float[Array, " batch"]


def fit_corridor(
    line: Float[np.ndarray, "sample 2"],
    left: Float[np.ndarray, " sample"],
    right: Float[np.ndarray, " sample"],
    speed: Float[np.ndarray, " sample"],
) -> Corridor:
    """Return the corridor whose spline passes through equally spaced samples.

    Args:
        line: Points of the reference line at equal arc lengths, world frame [m].
        left: Room to the left at each point [m].
        right: Room to the right at each point [m].
        speed: Speed wanted at each point [m/s].

    Raises:
        InputError: There are fewer than four samples, they are not finite, or not equally spaced.

    References:
        De Boor, A Practical Guide to Splines, 1978.
    """
    values = np.column_stack([line, left, right, speed]).astype(float)
    if len(values) < 4:
        raise InputError("empty", "a corridor needs four samples or more", why=f"{len(values)}")
    if not np.isfinite(values).all():
        raise InputError("geometry", "a corridor has samples that are not finite")
    lengths = np.hypot(*np.diff(values[:, :2], axis=0).T)
    spacing = float(np.mean(lengths))
    if not spacing > 0 or np.abs(lengths - spacing).max() > 0.1 * spacing:
        raise InputError(
            "geometry",
            "samples of a corridor are not equally spaced",
            why=f"from {lengths.min():.3g} m to {lengths.max():.3g} m",
            remedy="resample the line, for example with scene.resample",
        )
    coefficients = _interpolate(values)
    return Corridor(
        coefficients[:, :2],
        coefficients[:, 2],
        coefficients[:, 3],
        coefficients[:, 4],
        np.array(spacing),
    )


def cut_pieces(corridor: Corridor) -> Pieces:
    """Return the polynomials of a batch of corridors."""
    fields = jnp.concatenate(
        [
            corridor.line,
            corridor.left[..., None],
            corridor.right[..., None],
            corridor.speed[..., None],
        ],
        axis=-1,
    )
    pieces = fields.shape[-2] - 3
    near = jnp.stack([fields[..., i : i + pieces, :] for i in range(4)], axis=-1)
    power = jnp.einsum("pc,...fc->...fp", jnp.asarray(_PIECE, near.dtype), near)
    return Pieces(power.reshape(*power.shape[:-2], 20), jnp.asarray(corridor.spacing))


def _interpolate(values: np.ndarray) -> np.ndarray:
    """Return the coefficients of the natural spline through the samples.

    A natural end has no curvature, which makes the coefficient at an end the sample itself.
    """
    bands = np.ones((3, len(values))) / 6.0
    bands[1] = 4.0 / 6.0
    bands[1, [0, -1]] = 1.0
    bands[0, 1] = bands[2, -2] = 0.0
    inner = solve_banded((1, 1), bands, values)
    return np.concatenate([[2 * inner[0] - inner[1]], inner, [2 * inner[-1] - inner[-2]]])
