import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.label.metrics import TrackedBoxes, join_comparisons, score_clear, score_hota
from tracked import compared, drive, shuffled_tracks, tracked


def test_the_order_of_rows_does_not_matter():
    truth, predicted = shuffled_tracks(1)
    turned = compared(truth[::-1], predicted[::-1])
    np.testing.assert_allclose(
        score_hota(turned).hota, score_hota(compared(truth, predicted)).hota, atol=1e-12
    )


def test_tracks_are_numbered_without_gaps():
    both = compared([(0, 70, 0.0), (0, -4, 9.0)], [(0, 9_000_000_000, 0.0)])
    assert both.truth_track.tolist() == [1, 0]
    assert (both.truth_tracks, both.predicted_tracks) == (2, 1)


def test_a_track_twice_in_a_frame_is_refused_where_it_is():
    with pytest.raises(InputError, match="appears twice") as caught:
        tracked([(3, 1, 0.0), (4, 1, 0.0), (4, 2, 0.0), (4, 1, 5.0)])
    assert caught.value.code == "duplicate"
    assert caught.value.where == "frame 4, track 1"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_box_that_is_not_finite_is_refused(bad):
    with pytest.raises(InputError, match="not finite") as caught:
        tracked([(0, 5, 1.0), (2, 6, bad)])
    assert "frame 2, track 6" in caught.value.where


def test_a_score_that_is_not_finite_is_refused():
    with pytest.raises(InputError, match="score"):
        tracked([(0, 5, 1.0)], score=[np.nan])


@pytest.mark.usefixtures("unchecked")
def test_columns_of_different_lengths_are_refused():
    with pytest.raises(InputError, match="`track` does not fit"):
        TrackedBoxes(np.zeros(2, np.int64), np.zeros(3, np.int64), np.zeros((2, 7)))


def test_empty_sides_compare_to_nothing():
    for truth, predicted in (([], []), ([(0, 0, 0.0)], []), ([], [(0, 0, 0.0)])):
        both = compared(truth, predicted)
        assert both.similarity.shape == (0,)
        assert both.truth_tracks == len(truth)
        assert both.settle_neutral().predicted_tracks == len(predicted)
        assert len(both.drop_weak_tracks(0.5).score) == len(predicted)


def test_what_met_a_neutral_box_goes_with_it():
    both = compared(
        [(0, 0, 0.0), (0, 1, 10.0)],
        [(0, 0, 0.1), (0, 1, 10.1), (0, 2, 30.0)],
        truth_neutral=[False, True],
    ).settle_neutral()
    assert len(both.truth_frame) == 1
    clear = score_clear(both)
    assert (clear.tp, clear.fn, clear.fp) == (1, 0, 1)


def test_a_neutral_prediction_stays_only_where_it_met_the_truth():
    both = compared(
        [(0, 0, 0.0)], [(0, 0, 0.1), (0, 1, 10.1)], predicted_neutral=[True, True]
    ).settle_neutral()
    clear = score_clear(both)
    assert (clear.tp, clear.fn, clear.fp) == (1, 0, 0)


def test_a_track_that_is_neutral_throughout_is_no_longer_there():
    both = compared(
        drive(0, range(3)) + drive(1, range(3), 20.0), [], truth_neutral=[False] * 3 + [True] * 3
    )
    assert both.settle_neutral().truth_tracks == 1


def test_weak_tracks_go_by_their_mean_confidence():
    both = compared([], drive(0, range(2)) + drive(1, range(2), 9.0), score=[0.1, 0.9, 0.4, 0.5])
    kept = both.drop_weak_tracks(0.46)
    assert kept.score.tolist() == [0.1, 0.9]
    assert len(both.drop_weak_tracks(0.5).score) == 2
    assert len(both.drop_weak_tracks(0.51).score) == 0


def test_joined_sequences_keep_their_frames_and_tracks_apart():
    one = compared(drive(0, range(4)), drive(0, range(4)))
    both = join_comparisons([one, one, compared([], []), one])
    assert (both.truth_tracks, both.predicted_tracks, len(both.similarity)) == (3, 3, 12)
    assert len(np.unique(both.truth_frame)) == 12
    np.testing.assert_array_equal(both.truth_frame, both.predicted_frame)
    np.testing.assert_allclose(score_hota(both).hota, 1.0)
