import numpy as np
import pytest

from kerbstone.label.confidence import FEATURES, PRIOR, Confidence
from kerbstone.label.profile import KindProfile, Profile
from kerbstone.scene import Kind, detections_from_rows
from watched import CAR, make_clock


def detections(kinds=(Kind.CAR, Kind.PEDESTRIAN), std=None):
    count = len(kinds)
    box = np.zeros((count, 7))
    box[:, 0], box[:, 4:] = 10.0 * (1 + np.arange(count)), CAR
    seen, _, _ = detections_from_rows(
        clock=make_clock(5),
        step=np.arange(count),
        box=box,
        kind=np.array(kinds, np.uint8),
        score=np.full(count, 0.5),
        std=std,
    )
    return seen


def certain(chance):
    """Return a model that always says the same."""
    ends = np.array([0.0, 1.0])
    return Confidence(PRIOR.weights * 0, PRIOR.shift, PRIOR.scale, ends, np.full(2, chance))


def test_a_kind_of_which_nothing_was_learned_has_its_default():
    profile = Profile(kinds={Kind.CAR: KindProfile(noise=9.0)})
    assert profile.of(Kind.CAR).noise == 9.0
    assert profile.of(Kind.PEDESTRIAN).speed < profile.of(Kind.TRUCK).speed
    assert profile.table["noise"][Kind.CAR] == 9.0
    assert profile.table["size_scale"].shape == (len(Kind), 3)


def test_noise_grows_with_the_distance_from_the_recording_car():
    row = KindProfile(noise=0.1, noise_growth=0.01)
    profile = Profile(kinds={Kind.CAR: row, Kind.PEDESTRIAN: row})
    sensor = np.zeros((5, 2))
    np.testing.assert_allclose(profile.place_noise(detections(), sensor), [0.2, 0.3])
    np.testing.assert_allclose(profile.place_noise(detections(), None), [0.1, 0.1])
    sensor[1] = np.nan
    np.testing.assert_allclose(profile.place_noise(detections(), sensor), [0.2, 0.1])


def test_what_the_detector_says_of_its_own_error_goes_before():
    std = np.full((2, 7), 9.0)
    std[:, :2] = [[0.3, 0.4], [0.1, 0.1]]
    found = Profile(std_scale=2.0).place_noise(detections(std=std), np.zeros((5, 2)))
    np.testing.assert_allclose(found, [2 * np.sqrt(0.125), 0.2])


def test_matching_allows_for_more_noise_of_either_source():
    profile = Profile(slack=3.0)
    seen, said = detections(), detections(std=np.full((2, 7), 0.2))
    for each in (seen, said):
        own, loose = (p.place_noise(each, np.zeros((5, 2))) for p in (profile, profile.matching))
        np.testing.assert_allclose(loose, 3 * own)
    assert profile.matching.matching.slack == 1.0


def test_a_score_is_a_chance_by_the_curve_of_its_kind():
    profile = Profile(kinds={Kind.CAR: KindProfile(even_score=2.0, score_slope=3.0)})
    kind = np.full(3, Kind.CAR, np.uint8)
    found = profile.reality(kind, np.array([2.0, 3.0, -1e9]))
    np.testing.assert_allclose(found, [0.5, 1 / (1 + np.exp(-3)), 0.0], atol=1e-12)


def test_only_kinds_that_look_alike_are_taken_for_one_another():
    strange = Profile(confusion=0.05).strangeness
    assert strange[Kind.CAR, Kind.CAR] == 0.0
    assert strange[Kind.CAR, Kind.TRUCK] == pytest.approx(-np.log(0.05))
    assert np.isinf(strange[Kind.CAR, Kind.PEDESTRIAN])
    np.testing.assert_array_equal(strange, strange.T)
    apart = Profile(confusion=0.0).strangeness
    assert np.isfinite(apart).sum() == len(Kind)


def test_a_kind_without_a_model_goes_by_the_nearest():
    profile = Profile(confidence={Kind.PEDESTRIAN: certain(0.25), Kind.CAR: certain(0.75)})
    kinds = np.array([Kind.CAR, Kind.TRUCK, Kind.CYCLIST, Kind.OBJECT], np.uint8)
    found = profile.confidence_of(kinds, np.zeros((4, len(FEATURES))))
    assert found.tolist() == [0.75, 0.75, 0.25, 0.25]


def test_without_any_model_the_prior_speaks():
    evidence = np.random.default_rng(0).normal(size=(3, len(FEATURES)))
    found = Profile().confidence_of(np.full(3, Kind.CAR, np.uint8), evidence)
    np.testing.assert_array_equal(found, PRIOR.predict(evidence))
    assert Profile().confidence_of(np.zeros(0, np.uint8), evidence[:0]).shape == (0,)
