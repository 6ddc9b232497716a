"""Probes: linear, weighed, and chosen by whole logs."""

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.world.metrics import auroc
from kerbstone.world.probes import fit_probe

RNG = np.random.default_rng(0)
LOG = np.repeat([f"l{i}" for i in range(10)], 40).astype(object)


def test_a_linear_rule_is_found_whatever_the_units():
    features = RNG.normal(size=(400, 5)) * [1.0, 100.0, 0.01, 1.0, 1.0] + [0, 500, 0, 1, -1]
    target = 2.0 + features @ [0.5, 0.01, 30.0, 0.0, 0.0]
    probe = fit_probe(features, target, LOG)
    assert np.abs(probe(features) - target).max() < 0.05


def test_the_penalty_grows_where_there_is_nothing_to_learn():
    features, target = RNG.normal(size=(400, 200)), RNG.normal(size=400)
    probe = fit_probe(features, target, LOG)
    assert np.abs(probe.weight).max() < 0.1


def test_classes_weigh_the_same_however_rare_one_is():
    target = (np.arange(400) % 20 == 0).astype(float)
    features = RNG.normal(size=(400, 3)) + 3.0 * target[:, None]
    probe = fit_probe(features, target, LOG, is_class=True)
    told = probe(features)
    assert auroc(told, target > 0.5) > 0.99
    assert (told[target > 0.5].mean() + told[target < 0.5].mean()) / 2 == pytest.approx(
        0.5, abs=0.05
    )


def test_a_feature_that_never_changes_does_no_harm():
    features = np.column_stack([np.full(400, 7.0), np.arange(400.0)])
    probe = fit_probe(features, np.arange(400.0), LOG)
    assert np.isfinite(probe(features)).all()


@pytest.mark.parametrize("target", [np.zeros(400), np.ones(400)])
def test_one_class_alone_cannot_be_learned(target):
    with pytest.raises(InputError, match="nothing to tell apart"):
        fit_probe(np.ones((400, 2)), target, LOG, is_class=True)


def test_nothing_cannot_be_learned():
    with pytest.raises(InputError, match="too few"):
        fit_probe(np.zeros((0, 2)), np.zeros(0), np.zeros(0, object))
