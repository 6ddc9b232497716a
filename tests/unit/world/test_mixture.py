"""Mixtures over trajectories."""

import numpy as np
import pytest

from kerbstone.world.mixture import Mixture, condense


def mixture(weight, position, scale=0.1):
    position = np.asarray(position, float)
    return Mixture(
        np.asarray(weight, float),
        position,
        np.full(position.shape, scale),
        np.zeros((position.shape[0], position.shape[2])),
    )


def test_a_mode_with_more_than_half_of_the_weight_is_the_answer():
    said = mixture([[0.6, 0.3, 0.1]], [[[[1.0, 2.0]], [[9.0, 2.0]], [[1.0, -7.0]]]])
    np.testing.assert_allclose(condense(said).position[0, 0, 0], [1.0, 2.0], atol=0.02)


def test_between_equal_modes_the_answer_is_between():
    rng = np.random.default_rng(0)
    place = rng.normal(size=(20, 5, 4, 2)) * 5
    weight = rng.dirichlet(np.ones(5), 20)
    one = condense(mixture(weight, place))
    assert one.position.shape == (20, 1, 4, 2)
    np.testing.assert_array_equal(one.weight, 1.0)

    def mean_distance(at):
        apart = np.linalg.norm(place - at[:, None], axis=-1)
        return (weight[:, :, None] * apart).sum(axis=1)

    found = mean_distance(one.position[:, 0])
    for _ in range(50):
        other = one.position[:, 0] + rng.normal(size=(20, 4, 2)) * 0.3
        assert (found <= mean_distance(other) + 1e-2).all()
    best = np.min([mean_distance(place[:, mode]) for mode in range(5)], axis=0)
    assert (found <= best + 1e-2).all()


def test_its_scale_is_the_mean_error_of_all_modes_at_most():
    said = mixture([[0.5, 0.5]], [[[[0.0, 0.0]], [[4.0, 0.0]]]], scale=0.1)
    one = condense(said)
    along, across = one.scale[0, 0, 0]
    assert along == pytest.approx(2.1, abs=1e-6)
    assert across == pytest.approx(0.1, abs=1e-6)


def test_what_is_not_asked_for_stays_unknown():
    said = mixture([[0.5, 0.5], [np.nan, np.nan]], np.full((2, 2, 3, 2), 1.0))
    said.position[0, :, 1] = np.nan
    one = condense(said)
    assert np.isfinite(one.position[0, 0]).all(axis=-1).tolist() == [True, False, True]
    assert np.isnan(one.weight[1]).all()
    assert np.isnan(one.position[1]).all()
