"""The signed distance to the road's border as a smooth function, from a grid made once."""

from __future__ import annotations

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped
from scipy.ndimage import distance_transform_edt, spline_filter

from kerbstone.errors import InputError
from kerbstone.plan.roads.drivable_area import DrivableArea

_MOST_NODES = 20_000_000


class DistanceField(eqx.Module):
    """Signed distance to the border of the drivable area, positive within, as a cubic B-spline.

    Distances beyond `reach` are cut to it. The field is twice differentiable everywhere.

    Args:
        coefficients: Of the spline, rows along y, columns along x [m].
        origin: World coordinates of the node in row 0 and column 0 [m].
        spacing: Distance of the nodes [m].
        reach: The greatest distance it tells, either way [m].
    """

    coefficients: Shaped[Array | np.ndarray, "row column"]
    origin: Shaped[Array | np.ndarray, " 2"]
    spacing: float = eqx.field(static=True)
    reach: float = eqx.field(static=True)


@dataclass(frozen=True)
class FieldError:
    """How far a field is from the exact distance, at random points [m].

    Args:
        mean: Mean absolute error of those within half the reach.
        p99: 99 % of them err by no more.
        worst: The largest error.
        worst_near: The largest error within 0.5 m of the border.
    """

    mean: float
    p99: float
    worst: float
    worst_near: float


def build_field(area: DrivableArea, *, spacing: float = 0.5, reach: float = 6.0) -> DistanceField:
    """Return the distance field of an area.

    Nodes within reach of the border get their exact distance from the polygon; a transform of the
    grid says which these are.

    Args:
        area: The area.
        spacing: Distance of the nodes [m].
        reach: The greatest distance it tells; also how far it extends beyond the area [m].

    Raises:
        InputError: The spacing or the reach is not above zero, or the grid would be too large.
    """
    if not (spacing > 0 and reach > 2 * spacing):
        raise InputError(
            "value",
            "a distance field needs a spacing above zero and a greater reach",
            why=f"spacing {spacing}, reach {reach}",
        )
    low, high = area.bounds[:2] - reach, area.bounds[2:] + reach
    columns, rows = (np.ceil((high - low) / spacing).astype(int) + 1).tolist()
    if rows * columns > _MOST_NODES:
        raise InputError(
            "value",
            "a distance field would be too large",
            why=f"{rows} × {columns} nodes of {spacing:g} m",
            remedy="build it for a part of the map, or with a wider spacing",
        )
    x = low[0] + spacing * np.arange(columns)
    y = low[1] + spacing * np.arange(rows)
    nodes = np.stack(np.broadcast_arrays(x, y[:, None]), axis=-1)
    inside = area.is_inside(nodes)
    value = np.where(inside, reach, -reach)
    near = _near_border(area, low, value.shape, spacing=spacing, reach=reach)
    value[near] = np.clip(area.distance(nodes[near]), -reach, reach)
    return DistanceField(
        coefficients=spline_filter(value, order=3, mode="nearest"),
        origin=np.asarray(low, np.float64),
        spacing=float(spacing),
        reach=float(reach),
    )


def sample_field(field: DistanceField, points: Float[Array, "*batch 2"]) -> Float[Array, "*batch"]:
    """Return the signed distance at points [m], differentiable twice.

    Beyond the grid the value of its border holds.
    """
    coefficients = jnp.asarray(field.coefficients)
    rows, columns = coefficients.shape
    grid = (points - jnp.asarray(field.origin)) / field.spacing
    # Between the second node and the last but one all sixteen coefficients are there.
    top = jnp.array([columns - 2, rows - 2], grid.dtype)
    grid = jnp.clip(grid, 1.0, top - 1e-3)
    first = jnp.floor(jax.lax.stop_gradient(grid)).astype(jnp.int32)
    weight = _weights(grid - first)
    taps = jnp.arange(-1, 3)
    x = first[..., 0, None] + taps
    y = first[..., 1, None] + taps
    near = coefficients[y[..., :, None], x[..., None, :]]
    return jnp.einsum("...yx,...y,...x->...", near, weight[..., 1, :], weight[..., 0, :])


def measure_error(
    field: DistanceField, area: DrivableArea, *, points: int = 20_000, seed: int = 0
) -> FieldError:
    """Return how far a field is from the exact distance, at random points over its grid."""
    random = np.random.default_rng(seed)
    size = np.array(field.coefficients.shape[::-1]) - 1
    where = np.asarray(field.origin) + field.spacing * random.random((points, 2)) * size
    exact = area.distance(where)
    told = np.asarray(jax.jit(sample_field)(field, jnp.asarray(where)), np.float64)
    error = np.abs(told - np.clip(exact, -field.reach, field.reach))
    counted = error[np.abs(exact) < field.reach / 2]
    near = error[np.abs(exact) < 0.5]
    return FieldError(
        mean=float(counted.mean()) if counted.size else float("nan"),
        p99=float(np.quantile(counted, 0.99)) if counted.size else float("nan"),
        worst=float(error.max()),
        worst_near=float(near.max()) if near.size else float("nan"),
    )


def _near_border(
    area: DrivableArea, low: np.ndarray, shape: tuple[int, ...], *, spacing: float, reach: float
) -> np.ndarray:
    """Return which nodes may lie within reach of the border."""
    import shapely

    # The border itself is drawn, so that no slit is lost that is narrower than the spacing.
    drawn = shapely.get_coordinates(shapely.segmentize(area.border, spacing))
    column, row = np.rint((drawn - low) / spacing).astype(np.int64).T
    is_free = np.ones(shape, bool)
    is_free[row, column] = False
    far = np.asarray(distance_transform_edt(is_free, sampling=spacing))
    # A point of the border lies within 1.3 spacings of a node drawn for it.
    return far <= reach + 1.5 * spacing


def _weights(t: Float[Array, "*batch 2"]) -> Float[Array, "*batch 2 4"]:
    """Return the weights of four coefficients of a uniform cubic B-spline, `t` from 0 to 1."""
    return (
        jnp.stack(
            [
                (1 - t) ** 3,
                3 * t**3 - 6 * t**2 + 4,
                -3 * t**3 + 3 * t**2 + 3 * t + 1,
                t**3,
            ],
            axis=-1,
        )
        / 6.0
    )
