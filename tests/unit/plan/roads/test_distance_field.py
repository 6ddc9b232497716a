"""The distance to the road's border as a smooth function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shapely

from kerbstone.errors import InputError
from kerbstone.plan.roads import (
    DrivableArea,
    Road,
    build_field,
    join_surfaces,
    measure_error,
    sample_field,
)
from roads import crossing_road

SAMPLE = jax.jit(sample_field)
AREA = join_surfaces(Road(crossing_road(length=40.0)))


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize(("spacing", "near", "p99"), [(0.5, 0.12, 0.05), (0.25, 0.06, 0.02)])
def test_the_field_is_near_to_the_exact_distance(spacing, near, p99):
    field = build_field(AREA, spacing=spacing)
    error = measure_error(field, AREA)
    assert error.worst_near < near
    assert error.p99 < p99
    assert error.mean < 0.01
    assert error.worst < spacing


def test_beside_a_straight_border_the_field_is_exact():
    field = build_field(DrivableArea(shapely.box(0, 0, 40, 40)))
    points = np.stack([np.linspace(18, 22, 50), np.linspace(-3, 4, 50)], axis=-1)
    assert np.asarray(SAMPLE(field, jnp.asarray(points))) == pytest.approx(points[:, 1], abs=2e-3)


def test_gradients_are_those_of_central_differences():
    field = build_field(AREA)
    points = jnp.asarray(np.random.default_rng(1).uniform(-30, 30, (100, 2)))
    gradient = jax.jit(jax.grad(lambda at: sample_field(field, at).sum()))(points)
    h, sample = 1e-5, jax.jit(lambda at: sample_field(field, at))
    shift = h * jnp.eye(2)
    numeric = jnp.stack(
        [(sample(points + shift[i]) - sample(points - shift[i])) / (2 * h) for i in range(2)],
        axis=-1,
    )
    assert np.asarray(gradient) == pytest.approx(np.asarray(numeric), abs=1e-6)


def test_the_second_derivative_does_not_jump_from_cell_to_cell():
    field = build_field(AREA)
    second = jax.jit(jax.vmap(jax.jacfwd(jax.grad(lambda at: sample_field(field, at)))))
    # Nodes lie at whole and half metres from the origin of the grid.
    border = jnp.asarray(field.origin) + field.spacing * jnp.array([[40.0, 61.3], [72.0, 55.7]])
    step = jnp.array([1e-7, 0.0])
    assert np.asarray(second(border - step)) == pytest.approx(
        np.asarray(second(border + step)), abs=1e-5
    )


def test_a_slit_narrower_than_the_spacing_is_seen():
    slit = DrivableArea(shapely.box(0, 0, 40, 20).difference(shapely.box(19.1, -1, 19.2, 15)))
    field = build_field(slit, spacing=0.5)
    points = np.array([[18.1, 8.0], [20.2, 8.0]])
    assert np.asarray(SAMPLE(field, jnp.asarray(points))) == pytest.approx(1.0, abs=0.1)


def test_far_away_the_field_is_cut_to_its_reach():
    field = build_field(AREA, reach=5.0)
    far = jnp.array([[500.0, 500.0], [-38.0, 90.0]])
    assert np.asarray(SAMPLE(field, far)) == pytest.approx(-5.0, abs=0.05)


@pytest.mark.parametrize("wrong", [{"spacing": 0.0}, {"spacing": 1.0, "reach": 1.0}])
def test_a_field_without_spacing_or_reach_is_an_error(wrong):
    with pytest.raises(InputError, match="needs a spacing") as caught:
        build_field(AREA, **wrong)
    assert caught.value.code == "value"


def test_a_field_that_would_fill_the_memory_is_an_error():
    with pytest.raises(InputError, match="too large") as caught:
        build_field(DrivableArea(shapely.box(0, 0, 1e5, 1e5)))
    assert caught.value.remedy
