import numpy as np
import pytest

from kerbstone.label.chains import Chains
from kerbstone.label.confidence import FEATURES
from kerbstone.label.evidence import _spread_evidence, _time_from_detections, gather_evidence
from kerbstone.label.profile import KindProfile, Profile
from kerbstone.label.refinement import refine
from kerbstone.scene import Kind, detections_from_rows
from watched import CAR, User, drive, make_clock, watch

# Scores are chances as they stand: a score of 0.5 is even, 0.5 ± 0.1 has log odds of ±1.
PROFILE = Profile(kinds={Kind.CAR: KindProfile(even_score=0.5, score_slope=10.0)})


def gathered(steps, score, *, course=None, reach=(0, 0), dt=0.1, sensor=None, length=60):
    """Return the evidence of one car seen at some steps, by name of the feature."""
    course = drive(8.0, steps=length, dt=dt) if course is None else course
    steps = np.asarray(steps)
    rows = len(steps)
    box = np.column_stack(
        [course[steps, :2], np.full(rows, 0.7), course[steps, 2:], np.tile(CAR, (rows, 1))]
    )
    detections, _, _ = detections_from_rows(
        clock=make_clock(length, dt),
        step=steps,
        box=box,
        kind=np.full(rows, Kind.CAR, np.uint8),
        score=np.broadcast_to(np.asarray(score, np.float64), rows).copy(),
    )
    tracks = refine(detections, np.zeros(rows, np.int64), PROFILE, reach=reach)
    evidence = gather_evidence(tracks, detections, PROFILE, sensor=sensor)
    assert evidence.shape == (tracks.chains.cells, len(FEATURES))
    assert np.isfinite(evidence).all()
    return dict(zip(FEATURES, evidence.T, strict=True))


def test_a_cell_knows_the_odds_of_its_own_detection():
    found = gathered([0, 1, 3], [0.6, 0.3, 0.5])
    np.testing.assert_allclose(found["detected"], [1.0, -2.0, 0.0, 0.0], atol=1e-6)
    assert found["seen"].tolist() == [1, 1, 0, 1]


def test_odds_beyond_any_doubt_say_no_more():
    found = gathered([0, 1], [50.0, -50.0])
    assert found["detected"].tolist() == [6.0, -6.0]


def test_a_track_knows_its_mean_its_best_and_its_number():
    score = np.r_[np.full(17, 0.5), 0.6, 0.7, 0.9]
    found = gathered(np.arange(20), score)
    np.testing.assert_allclose(found["track"], (1.0 + 2.0 + 4.0) / 20, atol=1e-6)
    # Two of twenty are surer.
    np.testing.assert_allclose(found["best"], 1.0, atol=1e-6)
    np.testing.assert_allclose(found["hits"], np.log(20))


def test_gaps_and_ends_are_told_apart_in_seconds():
    found = gathered([10, 11, 16], 0.6, reach=(4, 4))
    gap = [0.0] * 4 + [0.0, 0.0, 0.1, 0.2, 0.2, 0.1, 0.0] + [0.0] * 4
    beyond = [0.4, 0.3, 0.2, 0.1] + [0.0] * 7 + [0.1, 0.2, 0.3, 0.4]
    np.testing.assert_allclose(found["gap"], gap, atol=1e-9)
    np.testing.assert_allclose(found["beyond"], beyond, atol=1e-9)


def test_long_gaps_say_no_more():
    found = gathered([0, 99], 0.6, length=100)
    assert found["gap"].max() == 3.0


def test_what_is_around_counts_more_than_what_is_nearby():
    found = gathered(np.r_[0:20, 40:60], 0.9)
    middle = 29
    assert found["around"][10] > 0.9 * (1 / (1 + np.exp(-4)))
    assert found["around"][middle] < 0.05
    assert found["around"][middle] < found["nearby"][middle] < found["nearby"][10]


@pytest.mark.parametrize("dt", [0.05, 0.1])
def test_what_is_around_hardly_depends_on_the_rate(dt):
    steps = np.arange(round(2.0 / dt))
    found = gathered(steps, 0.9, dt=dt, length=len(steps))
    np.testing.assert_allclose(found["around"][len(steps) // 2], 0.95, atol=0.01)
    np.testing.assert_allclose(found["around"][0], 0.55, atol=0.06)


def test_spread_evidence_is_the_mean_with_exponential_weights():
    chains = Chains(np.zeros(2, np.int64), np.array([7, 4]))
    value = np.random.default_rng(0).random(11)
    found = _spread_evidence(chains, value, 3.0)
    for start, length in ((0, 7), (7, 4)):
        for cell in range(length):
            weight = np.exp(-np.abs(np.arange(length) - cell) / 3.0)
            all_weight = (1 + np.exp(-1 / 3)) / (1 - np.exp(-1 / 3))
            expected = (weight * value[start : start + length]).sum() / all_weight
            # What neighbouring tracks leave behind has died away to a two-thousandth.
            np.testing.assert_allclose(found[start + cell], expected, atol=1e-3)


def test_time_from_detections_stays_within_each_track():
    chains = Chains(np.zeros(3, np.int64), np.array([4, 3, 5]))
    gap, beyond = _time_from_detections(chains, np.array([3, 5, 8, 11]), 1.0)
    np.testing.assert_allclose(gap, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0])
    np.testing.assert_allclose(beyond, [3, 2, 1, 0, 1, 0, 1, 1, 0, 0, 0, 0])


def test_distance_is_from_the_recording_car_where_it_is_known():
    course = drive(0.0, steps=10, start=(30.0, 40.0, 0.0))
    sensor = np.zeros((10, 2))
    sensor[5] = np.nan
    found = gathered(np.arange(10), 0.9, course=course, sensor=sensor, length=10)
    np.testing.assert_allclose(np.delete(found["distance"], 5), 1.0, atol=0.01)
    assert found["distance"][5] == 0.0
    assert (gathered([0, 1], 0.9)["distance"] == 0.0).all()


def test_doubt_about_the_place_grows_away_from_detections():
    found = gathered([10, 11, 12, 13, 25], 0.9, reach=(8, 8))
    assert found["spread"][11] < found["spread"][20]
    assert found["spread"][-1] > found["spread"][23]


def test_a_log_without_tracks_has_no_evidence():
    detections, _ = watch([User(drive(0.0, steps=3))], make_clock(3))
    nobody = refine(detections, np.full(3, -1), PROFILE)
    assert gather_evidence(nobody, detections, PROFILE).shape == (0, len(FEATURES))
