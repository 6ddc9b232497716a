"""Linear probes."""

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.world.probes import fit_class_probe, fit_probe

LOGS = np.array([f"log-{n % 8}" for n in range(400)], object)


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(400, 5)) * [1, 10, 0.1, 1, 0] + 3


def test_a_weighted_sum_is_read_off(features):
    target = features @ [1.0, -0.2, 5.0, 0.0, 0.0] + 7
    probe = fit_probe(features[:300], target[:300], LOGS[:300])
    np.testing.assert_allclose(probe(features[300:]), target[300:], atol=0.05)


def test_what_is_no_sum_is_told_no_better_than_by_the_mean(features):
    target = np.random.default_rng(1).normal(size=400)
    probe = fit_probe(features[:300], target[:300], LOGS[:300])
    off = (probe(features[300:]) - target[300:]) ** 2
    assert off.mean() > 0.9 * target[300:].var()


def test_a_rare_class_weighs_as_much_as_a_frequent_one(features):
    target = (features[:, 0] > 4.5).astype(float)
    assert target.mean() < 0.1
    told = fit_probe(features, target, LOGS, is_class=True)(features) > 0.5
    assert told[target > 0.5].mean() > 0.95
    assert told[target < 0.5].mean() < 0.3


def test_classes_are_told_apart_and_one_that_was_never_seen_is_not_named(features):
    target = np.where(features[:, 1] > 3, 2, 0)
    probe = fit_class_probe(features[:300], target[:300], LOGS[:300], classes=4)
    told = probe(features[300:])
    assert set(told.tolist()) == {0, 2}
    assert (told == target[300:]).mean() > 0.95


def test_too_little_to_learn_from_is_told(features):
    with pytest.raises(InputError, match="nothing to tell apart"):
        fit_class_probe(features, np.zeros(400, int), LOGS, classes=3)
    with pytest.raises(InputError, match="nothing to tell apart"):
        fit_probe(features, np.ones(400), LOGS, is_class=True)
    with pytest.raises(InputError, match="too few"):
        fit_probe(features[:1], np.ones(1), LOGS[:1])
