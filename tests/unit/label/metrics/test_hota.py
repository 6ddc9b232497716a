import numpy as np
import pytest

from kerbstone.label.metrics import ALPHAS, join_comparisons, score_hota
from tracked import compared, drive, shuffled_tracks


def test_a_perfect_prediction_scores_one_everywhere():
    rows = drive(0, range(5)) + drive(1, range(2, 9), 20.0)
    score = score_hota(compared(rows, rows))
    for name, value in score.summarise().items():
        assert value == pytest.approx(1.0), name
    assert score.tp.tolist() == [12] * len(ALPHAS)


def test_a_track_cut_in_two_halves_its_association():
    # Each of 4 boxes: 2 in common, of 4 + 2 - 2 in either track.
    score = score_hota(compared(drive(0, range(4)), drive(0, range(2)) + drive(1, range(2, 4))))
    np.testing.assert_allclose(score.det_a, 1.0)
    np.testing.assert_allclose(score.ass_a, 0.5)
    np.testing.assert_allclose(score.ass_re, 0.5)
    np.testing.assert_allclose(score.ass_pr, 1.0)
    np.testing.assert_allclose(score.hota, np.sqrt(0.5))


def test_two_objects_under_one_name_halve_the_precision_of_association():
    score = score_hota(compared(drive(0, range(2)) + drive(1, range(2, 4)), drive(0, range(4))))
    np.testing.assert_allclose(score.ass_re, 1.0)
    np.testing.assert_allclose(score.ass_pr, 0.5)


def test_a_box_counts_as_found_up_to_its_own_similarity():
    # 0.8 m apart of 2 m: a similarity of 0.6, which reaches the alphas to 0.6.
    score = score_hota(compared([(0, 0, 0.0)], [(0, 0, 0.8)]))
    assert score.tp.sum() == 12
    assert ALPHAS[score.tp > 0].max() == pytest.approx(0.6)
    np.testing.assert_allclose(score.loc_a[score.tp > 0], 0.6)
    np.testing.assert_allclose(score.loc_a[score.tp == 0], 1.0)


def test_a_frame_is_matched_by_the_track_that_fits_over_the_whole_sequence():
    # In frame 4 a stranger is nearer, but track 0 has been there all along.
    predicted = [*drive(0, range(4)), (4, 0, 0.4), (4, 1, 0.1)]
    score = score_hota(compared(drive(0, range(5)), predicted))
    assert score.ass_a[0] == pytest.approx(1.0)


def test_misses_and_false_alarms_are_told_apart():
    score = score_hota(compared(drive(0, range(4)), drive(0, range(2)) + drive(1, range(6), 50.0)))
    np.testing.assert_allclose(score.det_re, 0.5)
    np.testing.assert_allclose(score.det_pr, 0.25)
    np.testing.assert_allclose(score.det_a, 0.2)


def test_without_predictions_precision_is_undefined_and_hota_zero():
    score = score_hota(compared(drive(0, range(4)), []))
    assert (score.hota == 0).all()
    assert (score.det_re == 0).all()
    assert np.isnan(score.det_pr).all()
    assert np.isnan(score.loc_a).all()


def test_without_truth_recall_is_undefined():
    score = score_hota(compared([], drive(0, range(4))))
    assert np.isnan(score.det_re).all()
    assert (score.det_pr == 0).all()


def test_without_anything_hota_is_undefined():
    assert np.isnan(score_hota(compared([], [])).hota).all()


def test_sequences_add_up_to_their_joint_score():
    parts = [compared(*shuffled_tracks(seed)) for seed in range(4)]
    scores = [score_hota(part) for part in parts]
    total = scores[0] + scores[1] + scores[2] + scores[3]
    joint = score_hota(join_comparisons(parts)).summarise()
    assert total.summarise() == pytest.approx(joint, abs=1e-12)
