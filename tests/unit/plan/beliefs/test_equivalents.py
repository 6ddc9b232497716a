"""Uncertainty taken out of a problem."""

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.plan.beliefs import drop_unlikely, expect, keep_likeliest, never_branch
from kerbstone.plan.predictions import Predictions
from planned import HORIZON, small_problem


def two_ways(share=0.25):
    mean = np.zeros((2, 1, 3, 2))
    mean[0, 0, :, 0], mean[1, 0, :, 1] = [1, 2, 3], [4, 4, 4]
    heading = np.zeros((2, 1, 3))
    heading[1] = np.pi / 2
    return Predictions(
        mean=mean,
        covariance=np.broadcast_to(np.eye(2) * 0.1, (2, 1, 3, 2, 2)).copy(),
        heading=heading,
        probability=np.array([1 - share, share]),
        size=np.ones((1, 2)),
        valid=np.ones((2, 1, 3), bool),
    )


def test_the_expected_prediction_is_the_mean_of_the_modes():
    one = expect(two_ways())
    assert one.mean[0, 0] == pytest.approx(np.array([[0.75, 1], [1.5, 1], [2.25, 1]]))
    assert one.covariance[0, 0, 0] == pytest.approx(0.1 * np.eye(2))
    assert one.heading[0, 0, 0] == pytest.approx(np.arctan2(0.25, 0.75))
    assert one.probability.tolist() == [1.0]


def test_who_is_in_one_mode_only_is_expected_as_there():
    predictions = two_ways()
    predictions.valid[1, 0, 1:] = False
    predictions.mean[1, 0, 1:] = np.nan
    one = expect(predictions)
    assert one.mean[0, 0, 1] == pytest.approx([2.0, 0.0])
    assert one.valid.all()
    predictions.valid[:, 0, 2] = False
    assert not expect(predictions).valid[0, 0, 2]


def test_an_expectation_needs_probabilities():
    predictions = two_ways()
    predictions.probability[:] = 0.3
    with pytest.raises(InputError):
        expect(predictions)


def test_the_likeliest_mode_is_in_all_modes_then():
    problem = small_problem(batch=2, modes=3, branch_step=4)
    problem.probability[:] = [[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]]
    sure = keep_likeliest(problem)
    for row, mode in ((0, 1), (1, 0)):
        for k in range(3):
            assert (sure.ellipses.centre[row, k] == problem.ellipses.centre[row, mode]).all()
    assert sure.probability.sum(axis=1) == pytest.approx(np.ones(2))
    assert sure.branch_step.tolist() == [24, 24]


def test_the_worst_case_never_branches():
    assert never_branch(small_problem(batch=2, modes=3), HORIZON).branch_step.tolist() == [24, 24]


def test_unlikely_modes_are_dropped_and_the_likeliest_never_is():
    problem = small_problem(batch=2, modes=3)
    problem.probability[:] = [[0.9, 0.095, 0.005], [0.4, 0.3, 0.3]]
    kept = drop_unlikely(problem, 0.01)
    assert kept.probability == pytest.approx(
        np.array([[0.9 / 0.995, 0.095 / 0.995, 0.0], [0.4, 0.3, 0.3]])
    )
    assert kept.ellipses.present.any(axis=(2, 3)).tolist() == [[True, True, False], [True] * 3]
    assert problem.ellipses.present.all()
    sure = drop_unlikely(problem, 0.99)
    assert sure.probability.tolist() == [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
