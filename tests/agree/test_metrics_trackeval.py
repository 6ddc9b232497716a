"""HOTA, CLEAR-MOT, IDF1 and KITTI's rules against TrackEval, the benchmark's own evaluator."""

import contextlib
import io
import warnings

import numpy as np
import pytest

from kerbstone.label.metrics import evaluate_kitti, score_clear, score_hota, score_identity
from noisy_tracks import write_sequences
from tracked import compared, drive, shuffled_tracks

with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
    # It tells on import which of its other benchmarks cannot be loaded.
    warnings.simplefilter("ignore")
    trackeval = pytest.importorskip(
        "trackeval", reason="TrackEval is not installed: pip install --no-deps trackeval"
    )

QUIET = {"PRINT_CONFIG": False}
EDGES = {
    "nothing predicted": (drive(0, range(5)), []),
    "nothing there": ([], drive(0, range(5))),
    "never in the same frame": (drive(0, range(5)), drive(0, range(5, 9))),
    "never near": (drive(0, range(5)), drive(0, range(5), 50.0)),
    "lost in between": (drive(0, range(9)), drive(0, [0, 1, 4, 5, 8])),
    "lost beside another": (
        drive(0, range(9)) + drive(1, range(9), 20.0),
        drive(0, [0, 1, 4, 5, 8]) + drive(1, range(9), 20.0),
    ),
    "truth with a hole": (drive(0, [0, 1, 2, 6, 7]), drive(0, range(3)) + drive(1, range(3, 8))),
}


def by_trackeval(both, threshold=0.5):
    """Return TrackEval's figures of one comparison, before any are averaged."""
    frames = range(1 + max(both.truth_frame.max(initial=0), both.predicted_frame.max(initial=0)))
    table = np.zeros((len(both.truth_frame), len(both.score)))
    table[both.pair_truth, both.pair_predicted] = both.similarity
    truth = [np.flatnonzero(both.truth_frame == frame) for frame in frames]
    predicted = [np.flatnonzero(both.predicted_frame == frame) for frame in frames]
    data = {
        "num_timesteps": len(frames),
        "num_gt_dets": len(both.truth_frame),
        "num_tracker_dets": len(both.score),
        "num_gt_ids": both.truth_tracks,
        "num_tracker_ids": both.predicted_tracks,
        "gt_ids": [both.truth_track[rows] for rows in truth],
        "tracker_ids": [both.predicted_track[rows] for rows in predicted],
        "similarity_scores": [
            table[np.ix_(*sides)] for sides in zip(truth, predicted, strict=True)
        ],
    }
    return [metric.eval_sequence(data) for metric in metrics(threshold)]


def metrics(threshold=0.5):
    chosen = {**QUIET, "THRESHOLD": threshold}
    return (
        trackeval.metrics.HOTA(),
        trackeval.metrics.CLEAR(chosen),
        trackeval.metrics.Identity(chosen),
    )


def assert_same(ours, theirs):
    """Hold our figures against TrackEval's, which gives 0 or 1 where there is nothing to score."""
    for name, value in ours.summarise().items():
        if np.isnan(value):
            assert np.mean(theirs[name]) in {0.0, 1.0}, name
        else:
            assert value == pytest.approx(np.mean(theirs[name]), abs=1e-12), name


@pytest.mark.parametrize("threshold", [0.25, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(6))
def test_figures_of_confused_tracks_are_trackevals(seed, threshold):
    both = compared(*shuffled_tracks(seed, frames=40, objects=4 + seed, noise=0.3 + 0.2 * seed))
    hota, clear, identity = by_trackeval(both, threshold)
    assert clear["IDSW"] > 0
    assert_same(score_hota(both), hota)
    assert_same(score_clear(both, min_similarity=threshold), clear)
    assert_same(score_identity(both, min_similarity=threshold), identity)


@pytest.mark.parametrize("case", EDGES)
def test_figures_at_the_edges_are_trackevals(case):
    both = compared(*EDGES[case])
    hota, clear, identity = by_trackeval(both)
    ours = score_hota(both)
    np.testing.assert_array_equal(ours.tp, hota["HOTA_TP"])
    np.testing.assert_array_equal(ours.fp, hota["HOTA_FP"])
    np.testing.assert_array_equal(ours.fn, hota["HOTA_FN"])
    np.testing.assert_allclose(ours.hota, hota["HOTA"], atol=1e-12)
    if len(both.truth_frame):  # without truth its MOTA is minus the number of false alarms
        assert_same(score_clear(both), clear)
    assert_same(score_identity(both), identity)


def test_each_alpha_is_trackevals():
    both = compared(*shuffled_tracks(9))
    theirs = by_trackeval(both)[0]
    ours = score_hota(both)
    for name, field in (
        ("hota", "HOTA"),
        ("det_a", "DetA"),
        ("ass_a", "AssA"),
        ("det_re", "DetRe"),
        ("det_pr", "DetPr"),
        ("ass_re", "AssRe"),
        ("ass_pr", "AssPr"),
        ("loc_a", "LocA"),
    ):
        np.testing.assert_allclose(getattr(ours, name), theirs[field], atol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", ["Car", "Pedestrian"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kitti_files_score_as_in_trackeval(kind, seed, tmp_path):
    _, result = write_sequences(tmp_path, kind, seed=seed)
    names = ["0000", "0001", "0002"]
    seqmap = "".join(f"{name} empty 000000 000040\n" for name in names)
    (tmp_path / "evaluate_tracking.seqmap.training").write_text(seqmap)
    trackers = tmp_path / "trackers" / "ours"
    trackers.mkdir(parents=True)
    result.rename(trackers / "data")
    dataset = trackeval.datasets.Kitti2DBox(
        {
            **QUIET,
            "GT_FOLDER": str(tmp_path),
            "TRACKERS_FOLDER": str(trackers.parent),
            "CLASSES_TO_EVAL": [kind.lower()],
        }
    )
    scores = evaluate_kitti(tmp_path / "label_02", trackers / "data", kind)
    for metric, ours in zip(
        metrics(), (scores.image.hota, scores.image.clear, scores.image.identity), strict=True
    ):
        parts = {
            name: metric.eval_sequence(
                dataset.get_preprocessed_seq_data(
                    dataset.get_raw_seq_data("ours", name), kind.lower()
                )
            )
            for name in names
        }
        assert_same(ours, metric.combine_sequences(parts))
