import numpy as np
import pytest

from kerbstone.label.metrics import join_comparisons, score_clear
from tracked import compared, drive, shuffled_tracks


def test_a_perfect_prediction_has_a_mota_of_one():
    rows = drive(0, range(5)) + drive(1, range(2, 9), 20.0)
    score = score_clear(compared(rows, rows))
    assert (score.mota, score.motp, score.recall, score.precision) == (1, 1, 1, 1)
    assert (score.switches, score.fragments, score.mostly_tracked) == (0, 0, 2)


def test_mota_counts_misses_false_alarms_and_switches():
    predicted = drive(0, range(3)) + drive(1, range(4, 8)) + drive(2, range(2), 50.0)
    score = score_clear(compared(drive(0, range(10)), predicted))
    assert (score.tp, score.fn, score.fp, score.switches) == (7, 3, 2, 1)
    assert score.mota == pytest.approx(1 - 6 / 10)


def test_a_switch_is_counted_across_a_gap():
    ghost = drive(9, range(10), 50.0)
    score = score_clear(compared(drive(0, range(10)), drive(0, [0, 1]) + drive(1, [8, 9]) + ghost))
    assert (score.switches, score.fragments) == (1, 1)


def test_a_lost_and_found_track_is_one_fragment_and_no_switch():
    ghost = drive(9, range(10), 50.0)
    score = score_clear(compared(drive(0, range(10)), drive(0, [0, 1, 2, 6, 7]) + ghost))
    assert (score.switches, score.fragments) == (0, 1)


def test_a_frame_without_any_prediction_breaks_no_track():
    # As in TrackEval, whose frame before is the last one with something on both sides.
    score = score_clear(compared(drive(0, range(5)), drive(0, [0, 1, 3, 4])))
    assert (score.fn, score.fragments) == (1, 0)


def test_a_track_goes_on_although_another_is_nearer():
    predicted = [(0, 0, 0.0), (1, 0, 0.9), (1, 1, 0.1), (2, 0, 0.0)]
    score = score_clear(compared(drive(0, range(3)), predicted))
    assert (score.tp, score.fp, score.switches) == (3, 1, 0)
    assert score.similarity == pytest.approx(1 + 0.55 + 1)


def test_a_pair_at_the_threshold_is_found_and_one_below_is_not():
    assert score_clear(compared([(0, 0, 0.0)], [(0, 0, 1.0)])).tp == 1
    assert score_clear(compared([(0, 0, 0.0)], [(0, 0, 1.001)])).tp == 0
    assert score_clear(compared([(0, 0, 0.0)], [(0, 0, 1.5)]), min_similarity=0.25).tp == 1


@pytest.mark.parametrize(
    ("found", "expected"), [(1, (0, 0, 1)), (2, (0, 1, 0)), (8, (0, 1, 0)), (9, (1, 0, 0))]
)
def test_tracks_are_mostly_tracked_above_80_and_mostly_lost_below_20_percent(found, expected):
    score = score_clear(compared(drive(0, range(10)), drive(0, range(found))))
    assert (score.mostly_tracked, score.partly_tracked, score.mostly_lost) == expected


def test_mota_falls_below_zero_where_false_alarms_are_many():
    score = score_clear(compared([(0, 0, 0.0)], [(0, track, 50.0 * track) for track in range(5)]))
    assert score.mota == pytest.approx(1 - 4)


def test_figures_that_have_nothing_to_be_about_are_undefined():
    no_truth = score_clear(compared([], drive(0, range(3))))
    assert np.isnan([no_truth.mota, no_truth.recall, no_truth.motp]).all()
    assert (no_truth.precision, no_truth.fp) == (0, 3)
    no_prediction = score_clear(compared(drive(0, range(3)), []))
    assert np.isnan([no_prediction.precision, no_prediction.motp]).all()
    assert (no_prediction.mota, no_prediction.fn, no_prediction.mostly_lost) == (0, 3, 1)
    assert np.isnan(score_clear(compared([], [])).mota)


def test_sequences_add_up_to_their_joint_score():
    parts = [compared(*shuffled_tracks(seed)) for seed in range(4)]
    scores = [score_clear(part) for part in parts]
    total = scores[0] + scores[1] + scores[2] + scores[3]
    joint = score_clear(join_comparisons(parts)).summarise()
    assert total.summarise() == pytest.approx(joint, abs=1e-12)
