import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.label.metrics import evaluate_kitti, score_amota
from noisy_tracks import write_sequences
from tracked import compared, drive, shuffled_tracks

# What AB3DMOT's own evaluator (scripts/KITTI/evaluate.py, commit 6a7fff5) gave for the made-up
# sequences of these seeds: sAMOTA, AMOTA, AMOTP over recall, then the figures at the threshold of
# the best MOTA, which is its -10000 for all tracks.
AB3DMOT = {
    ("Car", 7, "Van"): {
        0.25: (
            0.576045403383,
            0.244793459552,
            0.714969500255,
            0.454388984509,
            0.803629608857,
            0.884057971014,
            0.694444444444,
            0.0,
            0.368333333333,
            (671, 193, 88, 36, 80, 36),
        ),
        0.5: (
            0.571466391921,
            0.244750430293,
            0.716772605791,
            0.466437177281,
            0.804436191532,
            0.893700787402,
            0.722222222222,
            0.0,
            0.346321428571,
            (681, 194, 81, 35, 80, 36),
        ),
        0.7: (
            0.40772260164,
            0.165017211704,
            0.691461973808,
            0.335628227194,
            0.81898154117,
            0.838971583221,
            0.5,
            0.027777777778,
            0.346321428571,
            (620, 240, 119, 27, 77, 34),
        ),
    },
    ("Pedestrian", 11, "Person_sitting"): {
        0.25: (
            0.703048916907,
            0.304565217391,
            0.611333013282,
            0.519565217391,
            0.661684014995,
            0.791596638655,
            0.71875,
            0.1875,
            2.149235714286,
            (471, 87, 124, 10, 31, 37),
        ),
        0.5: (
            0.42656991246,
            0.163152173913,
            0.590369773775,
            0.332608695652,
            0.690256954685,
            0.714532871972,
            0.46875,
            0.1875,
            2.149235714286,
            (413, 136, 165, 6, 32, 34),
        ),
        0.7: (
            0.0,
            -0.161358695652,
            0.397674257501,
            -0.786956521739,
            0.795818156742,
            0.476785714286,
            0.28125,
            0.40625,
            -10000,
            (267, 524, 293, 5, 18, 20),
        ),
    },
    ("Pedestrian", 12, "Person"): {
        0.25: (
            0.368267321777,
            0.098430962343,
            0.65547534058,
            0.21129707113,
            0.726442178907,
            0.258,
            0.258064516129,
            0.709677419355,
            4.425618181818,
            (129, 3, 371, 3, 13, 36),
        ),
        0.5: (
            0.280554831423,
            0.039278242678,
            0.622043183869,
            0.192468619247,
            0.753624555239,
            0.229208924949,
            0.225806451613,
            0.741935483871,
            4.533933333333,
            (113, 5, 380, 1, 11, 33),
        ),
        0.7: (
            0.072454672245,
            -0.147855648536,
            0.478028092494,
            0.048117154812,
            0.835923911328,
            0.139293139293,
            0.096774193548,
            0.806451612903,
            4.546022222222,
            (67, 40, 414, 1, 7, 23),
        ),
    },
    ("Cyclist", 3, "Misc"): {
        0.25: (
            0.551576962167,
            0.218790584416,
            0.616372515271,
            0.400974025974,
            0.698433506323,
            0.868531468531,
            0.769230769231,
            0.0,
            0.5288,
            (621, 249, 94, 26, 67, 35),
        ),
        0.5: (
            0.475103932672,
            0.170332792208,
            0.59404965243,
            0.321428571429,
            0.720874068003,
            0.645494830133,
            0.435897435897,
            0.205128205128,
            2.246311111111,
            (437, 165, 240, 13, 58, 33),
        ),
        0.7: (
            0.0,
            -0.079707792208,
            0.419093096617,
            -0.337662337662,
            0.790118552269,
            0.507352941176,
            0.307692307692,
            0.282051282051,
            -10000,
            (345, 483, 335, 6, 37, 21),
        ),
    },
}


@pytest.mark.parametrize("case", AB3DMOT, ids=lambda case: f"{case[0]}-{case[1]}")
def test_figures_are_those_of_ab3dmots_evaluator(case, tmp_path):
    kind, seed, neighbour = case
    truth, result = write_sequences(tmp_path, kind, seed=seed, neighbour=neighbour)
    scores = evaluate_kitti(truth, result, kind)
    for overlap, (*figures, threshold, counts) in AB3DMOT[case].items():
        ours = scores.amota[overlap]
        best = ours.best
        means = (ours.samota, ours.amota, ours.amotp)
        shares = (best.mota, best.motp, best.recall, best.mostly_tracked, best.mostly_lost)
        assert (*means, *shares) == pytest.approx(tuple(figures), abs=1e-9)
        assert max(best.threshold, -10_000) == pytest.approx(threshold, abs=1e-9)
        tallies = (best.tp, best.fp, best.fn, best.switches, best.fragments, len(ours.curve))
        assert tallies == counts


def test_a_perfect_prediction_of_one_confidence_scores_one():
    rows = [row for track in range(5) for row in drive(track, range(40), 20.0 * track)]
    score = score_amota([compared(rows, rows, score=np.full(200, 0.5))])
    assert (score.samota, score.amotp, score.best.mota) == pytest.approx((1, 1, 1))
    assert len(score.curve) == 40


def test_recalls_that_are_never_reached_count_as_zero():
    rows = [row for track in range(4) for row in drive(track, range(40), 20.0 * track)]
    score = score_amota([compared(rows, rows[:80], score=np.full(80, 0.5))])
    assert score.amotp == pytest.approx(0.5)
    assert score.best.mota == pytest.approx(0.5)
    assert score.samota < 0.6


def test_false_tracks_of_low_confidence_do_not_spoil_the_best_mota():
    rows = [row for track in range(4) for row in drive(track, range(40), 20.0 * track)]
    ghosts = [row for track in range(9, 30) for row in drive(track, range(40), 200.0 * track)]
    both = compared(rows, rows + ghosts, score=np.r_[np.full(160, 0.8), np.full(len(ghosts), 0.1)])
    score = score_amota([both])
    assert score.best.mota == pytest.approx(1.0)
    assert score.best.threshold == pytest.approx(0.8)


def test_doubling_all_confidences_changes_only_the_thresholds():
    truth, predicted = shuffled_tracks(3)
    confidence = np.random.default_rng(3).random(len(predicted))
    one, two = (score_amota([compared(truth, predicted, score=k * confidence)]) for k in (1, 2))
    assert (one.samota, one.amota, one.amotp) == (two.samota, two.amota, two.amotp)
    assert two.best.threshold == 2 * one.best.threshold


def test_neutral_truth_is_found_without_merit_and_missed_without_blame():
    truth = drive(0, range(10)) + drive(1, range(10), 20.0) + drive(2, range(10), 40.0)
    neutral = [False] * 10 + [True] * 20
    both = compared(truth, drive(0, range(10)) + drive(1, range(10), 20.0), truth_neutral=neutral)
    best = score_amota([both]).best
    assert (best.tp, best.fp, best.fn, best.mota, best.mostly_tracked) == (20, 0, 0, 1.0, 1.0)


def test_a_neutral_prediction_is_no_false_alarm():
    truth, ghost = drive(0, range(10)), drive(1, range(10), 50.0)
    both = compared(truth, truth + ghost, predicted_neutral=[False] * 10 + [True] * 10)
    assert score_amota([both]).best.fp == 0


def test_a_switch_into_or_out_of_a_neutral_stretch_is_none():
    truth = drive(0, range(10))
    predicted = drive(0, range(5)) + drive(1, range(5, 10))
    plain = score_amota([compared(truth, predicted)])
    assert (plain.best.switches, plain.best.fragments) == (1, 1)
    neutral = [step == 4 for step in range(10)]
    hidden = score_amota([compared(truth, predicted, truth_neutral=neutral)])
    assert (hidden.best.switches, hidden.best.fragments) == (0, 0)


def test_without_predictions_every_figure_is_zero():
    score = score_amota([compared(drive(0, range(5)), [])])
    assert (score.samota, score.amota, score.amotp, score.best.mota) == (0, 0, 0, 0)
    assert score.best.fn == 5
    assert np.isnan(score.best.motp)


def test_without_truth_every_figure_is_undefined():
    for predicted in ([], drive(0, range(5))):
        score = score_amota([compared([], predicted)])
        assert np.isnan([score.samota, score.amota, score.amotp, score.best.mota]).all()
        assert score.best.fp == len(predicted)


def test_no_sequence_is_refused():
    with pytest.raises(InputError, match="no sequence"):
        score_amota([])
