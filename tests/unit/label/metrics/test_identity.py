import itertools

import numpy as np
import pytest

from kerbstone.label.metrics import score_identity
from tracked import compared, drive, shuffled_tracks


def test_a_perfect_prediction_has_an_idf1_of_one():
    rows = drive(0, range(5)) + drive(1, range(2, 9), 20.0)
    score = score_identity(compared(rows, rows))
    assert (score.idf1, score.idp, score.idr) == (1, 1, 1)


def test_only_the_longest_piece_of_a_cut_track_counts():
    score = score_identity(
        compared(drive(0, range(10)), drive(0, range(7)) + drive(1, range(7, 10)))
    )
    assert (score.tp, score.fn, score.fp) == (7, 3, 3)
    assert score.idf1 == pytest.approx(0.7)


def test_precision_and_recall_tell_false_alarms_from_misses():
    score = score_identity(
        compared(drive(0, range(4)), drive(0, range(2)) + drive(1, range(6), 50.0))
    )
    assert (score.idr, score.idp) == (0.5, 0.25)


@pytest.mark.parametrize("seed", range(5))
def test_the_pairing_is_the_best_of_all_that_are_possible(seed):
    both = compared(*shuffled_tracks(seed, frames=12, objects=4))
    table = np.zeros((both.truth_tracks, both.predicted_tracks))
    for truth, predicted, similarity in zip(
        both.pair_truth, both.pair_predicted, both.similarity, strict=True
    ):
        table[both.truth_track[truth], both.predicted_track[predicted]] += similarity >= 0.5
    small = table if table.shape[0] <= table.shape[1] else table.T
    best = max(
        sum(small[row, column] for row, column in enumerate(columns))
        for columns in itertools.permutations(range(small.shape[1]), small.shape[0])
    )
    assert score_identity(both).tp == best


def test_figures_that_have_nothing_to_be_about_are_undefined():
    assert np.isnan(score_identity(compared([], [])).idf1)
    no_truth = score_identity(compared([], drive(0, range(3))))
    assert np.isnan(no_truth.idr)
    assert (no_truth.idf1, no_truth.idp, no_truth.fp) == (0, 0, 3)
    no_prediction = score_identity(compared(drive(0, range(3)), []))
    assert np.isnan(no_prediction.idp)
    assert (no_prediction.idf1, no_prediction.fn) == (0, 3)


def test_sequences_add_up():
    one, other = (score_identity(compared(*shuffled_tracks(seed))) for seed in (1, 2))
    total = one + other
    assert (total.tp, total.fn, total.fp) == (
        one.tp + other.tp,
        one.fn + other.fn,
        one.fp + other.fp,
    )
