import numpy as np
import pytest
from scipy.special import expit

from kerbstone.errors import InputError
from kerbstone.label.confidence import (
    FEATURES,
    PRIOR,
    Confidence,
    expected_calibration_error,
    fit_confidence,
)
from kerbstone.scene import Kind


def cells(count, seed, kind=Kind.CAR, lift=0.0):
    """Return evidence, and what is right with a chance that is bent as no logistic curve is."""
    draw = np.random.default_rng(seed)
    evidence = draw.normal(size=(count, len(FEATURES)))
    odds = 1.5 * evidence[:, 0] + evidence[:, 1] * evidence[:, 2] + 0.5 * evidence[:, 7] + lift
    chance = 0.05 + 0.9 * expit(2 * odds) ** 1.5
    return evidence, draw.random(count) < chance, np.full(count, kind, np.uint8), chance


def test_on_other_cells_the_confidence_is_met():
    evidence, right, kind, _ = cells(20_000, 0)
    model = fit_confidence(evidence, right, kind)[Kind.CAR]
    other, there, _, chance = cells(20_000, 1)
    said = model.predict(other)
    assert expected_calibration_error(said, there) < 0.03
    assert np.corrcoef(said, chance)[0, 1] > 0.93


def test_confidence_is_a_chance_for_any_evidence():
    evidence, right, kind, _ = cells(8000, 2)
    model = fit_confidence(evidence, right, kind)[Kind.CAR]
    wild = np.random.default_rng(3).normal(size=(500, len(FEATURES))) * 1e6
    said = model.predict(wild)
    assert ((said >= 0) & (said <= 1)).all()


def test_each_kind_has_a_level_of_its_own():
    parts = [cells(6000, 4), cells(6000, 5, Kind.PEDESTRIAN, lift=-2.0)]
    models = fit_confidence(*(np.concatenate([p[i] for p in parts]) for i in range(3)))
    for seed, kind, lift in ((6, Kind.CAR, 0.0), (7, Kind.PEDESTRIAN, -2.0)):
        evidence, right, _, _ = cells(6000, seed, kind, lift)
        assert expected_calibration_error(models[kind].predict(evidence), right) < 0.05


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("rare", [Kind.UNKNOWN, Kind.BUS])
def test_a_few_cells_of_a_kind_do_not_make_it_certain(rare, right):
    evidence, truth, kind, _ = cells(5000, 8)
    few = np.zeros((4, len(FEATURES)))
    models = fit_confidence(
        np.vstack([evidence, few]),
        np.concatenate([truth, np.full(4, right)]),
        np.concatenate([kind, np.full(4, rare, np.uint8)]),
    )
    said = models[rare].predict(few)[0]
    assert (0.2 < said < 0.9) if right else (0.1 < said < 0.8)


def test_all_right_or_all_wrong_teaches_nothing():
    evidence, _, kind, _ = cells(50, 9)
    for right in (np.ones(50, bool), np.zeros(50, bool)):
        with pytest.raises(InputError) as caught:
            fit_confidence(evidence, right, kind)
        assert caught.value.code == "empty"
    with pytest.raises(InputError):
        fit_confidence(evidence[:0], np.zeros(0, bool), kind[:0])


def test_evidence_that_is_all_the_same_is_no_trouble():
    evidence, right, kind, _ = cells(500, 10)
    evidence[:, 3] = 7.0
    model = fit_confidence(evidence, right, kind)[Kind.CAR]
    assert np.isfinite(model.predict(evidence)).all()


def test_a_model_comes_back_from_plain_lists():
    evidence, right, kind, _ = cells(20_000, 11)
    model = fit_confidence(evidence, right, kind)[Kind.CAR]
    again = Confidence.from_dict(model.to_dict())
    np.testing.assert_allclose(again.predict(evidence), model.predict(evidence), atol=1e-3)


def spoiled(name, value):
    return PRIOR.to_dict() | {name: value}


@pytest.mark.parametrize(
    "values",
    [
        {},
        spoiled("weights", [1.0, 2.0]),
        spoiled("shift", None),
        spoiled("shift", "nine"),
        spoiled("scale", [float("nan")] * len(FEATURES)),
        spoiled("scale", [1.0] * (len(FEATURES) - 1) + [0.0]),
        spoiled("raw", []),
        spoiled("raw", [0.0, 0.5, 1.0]),
        spoiled("raw", [1.0, 0.0]),
        spoiled("raw", [[0.0, 1.0]]),
        spoiled("met", [0.9, 0.1]),
        spoiled("met", [0.0, 1.5]),
        spoiled("met", [-0.5, 1.0]),
    ],
)
def test_values_that_are_no_model_are_refused(values):
    with pytest.raises(InputError) as caught:
        Confidence.from_dict(values, where="here")
    assert (caught.value.code, caught.value.where) == ("config", "here")


def test_without_a_model_often_seen_things_are_surer():
    evidence = np.zeros((2, len(FEATURES)))
    evidence[1, FEATURES.index("around")] = 0.9
    evidence[1, FEATURES.index("hits")] = np.log(50)
    ghost, there = PRIOR.predict(evidence)
    assert ghost < 0.3
    assert there > 0.6


def test_calibration_error_is_the_mean_gap_over_bins():
    # Of ten that say 0.9, five are right; the others are met.
    said = np.r_[np.full(10, 0.9), np.full(30, 0.1)]
    right = np.r_[np.arange(10) < 5, np.arange(30) < 3]
    assert expected_calibration_error(said, right) == pytest.approx(0.4 * 10 / 40)
    assert expected_calibration_error(np.array([1.0]), np.array([True])) == 0.0


def test_calibration_of_nothing_is_not_a_number():
    assert np.isnan(expected_calibration_error(np.zeros(0), np.zeros(0, bool)))
