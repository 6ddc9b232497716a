"""Predictions, and the ellipses that a plan keeps out of."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shapely

from kerbstone.errors import InputError
from kerbstone.plan.predictions import (
    Predictions,
    Spread,
    check_predictions,
    fill_sizes,
    inflate,
    predict_straight,
    select_nearest,
    tell_future,
)
from kerbstone.plan.problem import Horizon
from kerbstone.plan.vehicle import Vehicle
from kerbstone.scene import Kind
from roads import EAST, WEST, Track, drive, stage, stand

CAR = Vehicle()
HORIZON = Horizon(20, 0.15)


def scene(*tracks, **how):
    return stage(None, list(tracks), ego=None, **how)


def some(mean, *, covariance=None, heading=0.0, size=(4.5, 1.8), modes=1):
    """Return predictions of one step."""
    mean = np.asarray(mean, float).reshape(modes, -1, 1, 2)
    cells = mean.shape[:-1]
    covariance = np.zeros((2, 2)) if covariance is None else covariance
    return Predictions(
        mean=mean,
        covariance=np.broadcast_to(np.asarray(covariance, float), (*cells, 2, 2)).copy(),
        heading=np.broadcast_to(float(heading), cells).copy(),
        probability=np.full(modes, 1 / modes),
        size=np.broadcast_to(np.asarray(size, float), (cells[1], 2)).copy(),
        valid=np.ones(cells, bool),
    )


def is_outside(ellipses, points):
    """Return which points lie outside the first ellipse."""
    centre, axes = ellipses.centre[0, 0, 0], ellipses.semi_axes[0, 0, 0]
    cos, sin = np.cos(ellipses.heading[0, 0, 0]), np.sin(ellipses.heading[0, 0, 0])
    local = (points - np.asarray(centre)) @ np.array([[cos, -sin], [sin, cos]])
    return ((local / np.asarray(axes)) ** 2).sum(-1) > 1.0


def box(centre, heading, size):
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * np.asarray(size) / 2
    cos, sin = np.cos(heading), np.sin(heading)
    return shapely.Polygon(corners @ np.array([[cos, sin], [-sin, cos]]) + centre)


# What is forecast.


def test_everybody_goes_straight_on():
    agents = scene(Track("v", drive(EAST, start=50, speed=8.0)), Track("p", stand(3, 4))).agents
    found = predict_straight(agents, 10, HORIZON)
    time = 0.15 * np.arange(1, 21)
    assert found.mean[0, 0, :, 0] == pytest.approx(agents.centre[0, 10, 0] + 8.0 * time)
    assert found.mean[0, 1] == pytest.approx(np.tile([3.0, 4.0], (20, 1)))
    assert found.valid.all()
    assert found.probability.tolist() == [1.0]


def test_uncertainty_grows_more_along_than_across():
    agents = scene(Track("v", drive(EAST, start=50, speed=8.0))).agents
    found = predict_straight(agents, 10, HORIZON, spread=Spread(0.1, 0.5, 0.2))
    sd = np.sqrt(np.diagonal(found.covariance[0, 0], axis1=-2, axis2=-1))
    time = 0.15 * np.arange(1, 21)
    assert sd[:, 0] == pytest.approx(0.1 + 0.5 * time)
    assert sd[:, 1] == pytest.approx(0.1 + 0.2 * time)


def test_who_is_not_there_is_not_predicted():
    track = drive(EAST, start=50, speed=8.0)
    track[:20] = np.nan
    agents = scene(Track("late", track), Track("v", drive(EAST, start=50, speed=8.0))).agents
    found = check_predictions(predict_straight(agents, 5, HORIZON))
    assert found.valid[0, :, 0].tolist() == [False, True]
    assert np.isfinite(found.mean).all()


def test_the_record_tells_the_future():
    profile = np.linspace(12.0, 2.0, 100)
    staged = scene(Track("v", drive(EAST, start=50, speed=profile)))
    found = tell_future(staged.agents, staged.clock, 10, HORIZON)
    place = 10 + 1.5 * np.arange(1, 21)
    truth = np.interp(place, np.arange(100), staged.agents.centre[0, :, 0])
    assert found.mean[0, 0, :, 0] == pytest.approx(truth)
    assert (found.covariance == 0).all()


def test_beyond_the_record_nobody_is_there():
    staged = scene(Track("v", drive(EAST, start=50, speed=5.0)))
    found = tell_future(staged.agents, staged.clock, 84, HORIZON, spread=Spread())
    # The last step is 99: ten steps of 0.15 s reach it exactly.
    assert found.valid[0, 0].tolist() == [True] * 10 + [False] * 10
    check_predictions(found)


def test_a_turn_through_the_back_is_interpolated_the_short_way():
    staged = scene(Track("v", drive(WEST, start=5, speed=5.0)), dt=0.2)
    agents = dataclasses.replace(
        staged.agents, heading=np.where(np.arange(100) % 2, 3.1, -3.1)[None].astype(float)
    )
    found = tell_future(agents, staged.clock, 10, Horizon(5, 0.1))
    assert (np.abs(np.remainder(found.heading, 2 * np.pi) - np.pi) < 0.05).all()


def test_a_step_that_is_not_there_is_an_error():
    staged = scene(Track("v", stand(0, 0)))
    for call in (
        lambda: predict_straight(staged.agents, 100, HORIZON),
        lambda: tell_future(staged.agents, staged.clock, -1, HORIZON),
    ):
        with pytest.raises(InputError, match="no such step") as caught:
            call()
        assert caught.value.code == "index"


def test_a_size_that_is_not_known_is_the_usual_one_of_the_kind():
    nan = (np.nan, np.nan, np.nan)
    agents = scene(
        Track("bus", stand(0, 0), Kind.BUS, size=nan),
        Track("odd", stand(9, 0), Kind.OBJECT, size=nan),
        Track("car", stand(20, 0), size=(4.0, 1.7, 1.5)),
    ).agents
    assert fill_sizes(agents).tolist() == [[12.0, 2.7], [1.0, 1.0], [4.0, 1.7]]


# What is checked.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": np.full((1, 2, 1, 2), np.nan)}, "NaN"),
        ({"heading": np.full((1, 2, 1), np.inf)}, "NaN"),
        ({"covariance": np.full((1, 2, 1, 2, 2), np.nan)}, "NaN"),
        ({"covariance": np.tile([[1.0, 2.0], [2.0, 1.0]], (1, 2, 1, 1, 1))}, "covariance"),
        ({"covariance": np.tile(-np.eye(2), (1, 2, 1, 1, 1))}, "covariance"),
        ({"size": np.array([[4.0, 0.0], [4.0, 2.0]])}, "size"),
        ({"size": np.array([[4.0, np.nan], [4.0, 2.0]])}, "size"),
        ({"probability": np.array([0.7])}, "add up"),
        ({"probability": np.array([np.nan])}, "add up"),
    ],
)
def test_predictions_that_cannot_be_planned_with_are_an_error(change, message):
    predictions = dataclasses.replace(some([[0, 0], [9, 0]]), **change)
    with pytest.raises(InputError, match=message) as caught:
        check_predictions(predictions, ids=("first", "second"))
    assert caught.value.code == "value"
    if "probability" not in change:
        assert "'first'" in caught.value.where


def test_cells_that_are_not_valid_may_hold_anything():
    predictions = some([[np.nan, 0], [9, 0]])
    valid = np.array([[[False], [True]]])
    predictions = dataclasses.replace(predictions, valid=valid)
    check_predictions(predictions)
    found = inflate(predictions, CAR)
    assert np.isfinite(found.centre).all()
    assert np.isfinite(found.semi_axes).all()
    assert found.present.tolist() == valid.tolist()


# Who is kept.


def test_the_nearest_come_first_and_empty_slots_last():
    predictions = some([[50, 0], [5, 0], [20, 0]])
    found, row = select_nearest(predictions, np.zeros((1, 1, 2)), 5)
    assert row.tolist() == [1, 2, 0, -1, -1]
    assert found.mean[0, :3, 0, 0].tolist() == [5.0, 20.0, 50.0]
    assert found.valid[0, :, 0].tolist() == [True, True, True, False, False]


def test_only_as_many_are_kept_as_there_are_slots():
    _, row = select_nearest(some([[50, 0], [5, 0], [20, 0]]), np.zeros((1, 1, 2)), 2)
    assert row.tolist() == [1, 2]


def test_who_is_nowhere_valid_is_not_kept():
    predictions = dataclasses.replace(some([[5, 0], [20, 0]]), valid=np.array([[[False], [True]]]))
    _, row = select_nearest(predictions, np.zeros((1, 1, 2)), 2)
    assert row.tolist() == [1, -1]


def test_any_of_the_paths_and_modes_may_bring_one_near():
    predictions = some([[[50, 0], [9, 0]], [[3, 0], [50, 9]]], modes=2)
    _, row = select_nearest(predictions, np.array([[[0.0, 0.0]], [[50.0, 10.0]]]), 2)
    assert row.tolist() == [1, 0]


def test_without_others_all_slots_are_empty():
    nobody = scene(Track("v", np.full((100, 2), np.nan))).agents.select([])
    found, row = select_nearest(predict_straight(nobody, 0, HORIZON), np.zeros((1, 20, 2)), 3)
    assert row.tolist() == [-1, -1, -1]
    assert not found.valid.any()
    ellipses = inflate(found, CAR)
    assert np.isfinite(ellipses.semi_axes).all()


# What is kept out of.


@pytest.mark.parametrize("size", [(4.5, 1.8), (0.5, 0.5), (16.0, 2.6), (0.1, 3.0)])
@pytest.mark.parametrize("across", [0.05, 4.0, 100.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_disc_whose_centre_is_outside_touches_no_box_that_is_likely(size, seed, across):
    random = np.random.default_rng(seed)
    root = random.normal(0, [[1.0], [0.4]], (2, 2)) * (seed > 0)
    covariance, heading, confidence = root @ root.T, random.uniform(-3, 3), 0.9
    predictions = some([[7.0, -3.0]], covariance=covariance, heading=heading, size=size)
    ellipses = inflate(predictions, CAR, confidence=confidence, across=np.array([across]))
    reach = float(np.max(ellipses.semi_axes)) + 4.0
    points = np.array([7.0, -3.0]) + random.uniform(-reach, reach, (4000, 2))
    outside = is_outside(ellipses, points)
    # Middles on the rim of the ellipse that holds them with the given probability.
    angle = np.linspace(0, 2 * np.pi, 60)
    rim = np.sqrt(-2 * np.log(1 - confidence)) * np.linalg.cholesky(covariance + 1e-12 * np.eye(2))
    middles = np.stack([np.cos(angle), np.sin(angle)], axis=-1) @ rim.T + [7.0, -3.0]
    likely = shapely.union_all([box(middle, heading, size) for middle in middles])
    gap = shapely.distance(likely.convex_hull, shapely.points(points))
    assert outside.any()
    assert gap[outside].min() >= CAR.disc_radius - 1e-9
    if across == 4.0:
        # And it is not needlessly large: of the points that are clear of it, most may be used.
        assert np.mean(outside[gap > CAR.disc_radius + 2.5]) > 0.9


def test_a_car_in_the_lane_beside_leaves_ones_own_lane_free():
    ellipses = inflate(some([[0.0, 3.5]], covariance=np.diag([1.0, 0.04])), CAR)
    assert is_outside(ellipses, np.stack([np.linspace(-20, 20, 50), np.zeros(50)], -1)).all()


def test_half_the_draws_fall_within_the_ellipse_of_a_half():
    random = np.random.default_rng(0)
    root = np.array([[1.0, 0.0], [0.6, 0.3]])
    draws = random.normal(size=(20000, 2)) @ root.T
    # Around a box and for a car of next to no size, the ellipse is that of the middle alone.
    point = Vehicle(length=1e-3, width=1e-3, wheelbase=1e-3, rear_overhang=0.0)
    told = some([[0.0, 0.0]], covariance=root @ root.T, size=(1e-3, 1e-3))
    held = ~is_outside(inflate(told, point, confidence=0.5), draws)
    assert held.mean() == pytest.approx(0.5, abs=0.01)


def test_more_confidence_takes_more_room():
    predictions = some([[0.0, 0.0]], covariance=np.diag([1.0, 0.2]))
    axes = [inflate(predictions, CAR, confidence=c).semi_axes for c in (0.0, 0.5, 0.9, 0.99)]
    assert (np.diff(np.stack(axes), axis=0) > 0).all()


@pytest.mark.parametrize("confidence", [-0.1, 1.0, np.nan])
def test_a_confidence_that_is_none_is_an_error(confidence):
    with pytest.raises(InputError, match="confidence"):
        inflate(some([[0.0, 0.0]]), CAR, confidence=confidence)


def test_numpy_and_jax_agree():
    predictions = some([[1.0, 2.0]], covariance=[[1.0, 0.3], [0.3, 0.4]], heading=0.7)
    ours = inflate(predictions, CAR)
    with jax.enable_x64(True):
        theirs = jax.jit(lambda p: inflate(p, CAR))(jax.tree.map(jnp.asarray, predictions))
    assert isinstance(ours.semi_axes, np.ndarray)
    assert ours.semi_axes.dtype == np.float64
    for name in ("centre", "semi_axes", "heading"):
        assert getattr(ours, name) == pytest.approx(np.asarray(getattr(theirs, name)), abs=1e-12)


POINTS = np.random.default_rng(0).uniform(-6, 6, (5, 2))


def judge(mean, covariance, heading, size):
    """Return how far some points are outside an ellipse, all together."""
    ones = jnp.ones(mean.shape[:-1], bool)
    found = inflate(Predictions(mean, covariance, heading, jnp.ones(1), size, ones), CAR)
    turn = found.heading[0, 0, 0]
    apart = POINTS - found.centre[0, 0, 0]
    along = apart @ jnp.stack([jnp.cos(turn), jnp.sin(turn)])
    across = apart @ jnp.stack([-jnp.sin(turn), jnp.cos(turn)])
    local = jnp.stack([along, across], axis=-1) / found.semi_axes[0, 0, 0]
    return (local**2).sum()


JUDGE, SLOPES = jax.jit(judge), jax.jit(jax.grad(judge, argnums=(0, 1, 2, 3)))


@pytest.mark.parametrize(
    ("covariance", "size"),
    [
        ([[1.0, 0.3], [0.3, 0.4]], (4.5, 1.8)),
        ([[0.25, 0.0], [0.0, 0.25]], (0.6, 0.6)),
        ([[0.3, -0.1], [-0.1, 1.5]], (4.5, 1.8)),
    ],
)
def test_gradients_are_those_of_central_differences(covariance, size):
    told = some([[1.0, 2.0]], covariance=covariance, heading=0.7, size=size)
    with jax.enable_x64(True):
        inputs = [told.mean, told.covariance, told.heading, told.size]
        gradients = SLOPES(*inputs)
        for number, gradient in enumerate(gradients):
            for cell in np.ndindex(gradient.shape):
                values = []
                for h in (1e-6, -1e-6):
                    moved = [np.array(value) for value in inputs]
                    moved[number][cell] += h
                    values.append(float(JUDGE(*moved)))
                numeric = (values[0] - values[1]) / 2e-6
                assert float(gradient[cell]) == pytest.approx(numeric, rel=1e-4, abs=1e-6)


def test_gradients_are_finite_where_nothing_is_uncertain_or_there():
    predictions = some([[1.0, 2.0], [5.0, 5.0]])
    predictions = dataclasses.replace(predictions, valid=np.array([[[True], [False]]]))

    def total(mean, covariance):
        changed = dataclasses.replace(predictions, mean=mean, covariance=covariance)
        found = inflate(jax.tree.map(jnp.asarray, changed), CAR)
        return found.semi_axes.sum() + found.centre.sum() + found.heading.sum()

    mean = jnp.asarray(predictions.mean).at[0, 1].set(jnp.nan)
    for gradient in jax.jit(jax.grad(total, argnums=(0, 1)))(
        mean, jnp.asarray(predictions.covariance)
    ):
        assert np.isfinite(gradient).all()
