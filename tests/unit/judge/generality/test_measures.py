"""Measures and skill: what is trivial is 0, what is perfect is 1."""

import numpy as np
import pytest

from kerbstone.judge.generality.measures import (
    AUROC,
    BALANCED_ACCURACY,
    MEAN_ERROR,
    RECALL,
    balanced_accuracy,
)


@pytest.mark.parametrize("measure", [MEAN_ERROR, AUROC, BALANCED_ACCURACY, RECALL])
def test_skill_is_0_for_the_trivial_and_1_for_the_perfect_figure(measure):
    assert measure.skill(0.4, 0.4) == 0.0
    assert measure.skill(measure.perfect, 0.4) == 1.0
    worse = 0.5 if measure.is_error else 0.3
    assert measure.skill(worse, 0.4) < 0
    assert measure.gain(worse, 0.4) < 0 < measure.gain(0.4, worse)


def test_skill_of_an_error_is_the_share_of_the_trivial_error_that_is_gone():
    assert MEAN_ERROR.skill(0.5, 2.0) == 1 - 0.5 / 2.0


def test_there_is_no_skill_where_a_trivial_rule_is_perfect():
    assert np.isnan(MEAN_ERROR.skill(0.3, 0.0))
    assert np.isnan(AUROC.skill(0.9, 1.0))


def test_balanced_accuracy_is_the_mean_of_the_classes_recalls():
    rng = np.random.default_rng(0)
    truth, told = rng.integers(0, 3, (2, 200)).astype(float)
    recalls = [np.mean([told[i] == k for i in range(200) if truth[i] == k]) for k in range(3)]
    assert balanced_accuracy(told, truth) == pytest.approx(np.mean(recalls))


def test_who_always_names_the_majority_is_right_in_one_class_of_two():
    truth = np.array([0.0] * 95 + [1.0] * 5)
    assert balanced_accuracy(np.zeros(100), truth) == 0.5


def test_a_figure_of_nothing_is_not_defined():
    assert np.isnan(MEAN_ERROR.of(np.zeros(0), np.zeros(0)))
    assert np.isnan(BALANCED_ACCURACY.of(np.zeros(0), np.zeros(0)))
    assert np.isnan(AUROC.of(np.ones(3), np.zeros(3)))
