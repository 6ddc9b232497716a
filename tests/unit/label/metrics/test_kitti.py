import json

import numpy as np
import pytest

from kerbstone.errors import InputError, UsageError
from kerbstone.label.metrics import evaluate_kitti
from noisy_tracks import write_sequences

CAR = "1.5 1.7 4.2 {x} 1.7 {z} 0.3"


def row(frame, track, name, *, x=0.0, z=20.0, state="0 0", image=None, score=None):
    """Return a row of a file; its image box is 60 px high and moves with x."""
    left, top, right, bottom = image or (600 + 30 * x, 200.0, 700 + 30 * x, 260.0)
    end = "" if score is None else f" {score}"
    box = CAR.format(x=x, z=z)
    return f"{frame} {track} {name} {state} 0.0 {left} {top} {right} {bottom} {box}{end}"


def region(frame, image):
    left, top, right, bottom = image
    box = f"{left} {top} {right} {bottom} -1000 -1000 -1000 -10 -1 -1 -1"
    return f"{frame} -1 DontCare -1 -1 -10 {box}"


@pytest.fixture
def score(tmp_path):
    """Write one sequence and score it."""

    def score(labels, results, kind="Car", **settings):
        for name, lines in (("truth", labels), ("result", results)):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "0000.txt").write_text("\n".join(lines))
        return evaluate_kitti(tmp_path / "truth", tmp_path / "result", kind, **settings)

    return score


def counts(scores):
    """Return found, missed and false, in the image and by AB3DMOT's rules."""
    clear, best = scores.image.clear, scores.amota[0.25].best
    return (clear.tp, clear.fn, clear.fp), (best.tp, best.fn, best.fp)


SEEN = [row(0, 0, "Car", x=-9.0)]  # something that always counts


def test_the_labels_themselves_score_one(tmp_path):
    truth, _ = write_sequences(tmp_path, "Car", seed=1)
    scores = evaluate_kitti(truth, truth, "Car")
    assert scores.sequences == ("0000", "0001", "0002")
    for way in (scores.image, scores.space):
        assert way.hota.hota == pytest.approx(np.ones(19))
        assert (way.clear.mota, way.identity.idf1) == (1.0, 1.0)
    for overlap in (0.25, 0.5, 0.7):
        assert scores.amota[overlap].best.mota == pytest.approx(1.0)


@pytest.mark.parametrize(
    "hidden",
    [
        row(0, 1, "Van"),
        row(0, 1, "Car", state="0 3"),
        row(0, 1, "Car", state="1 0"),
    ],
    ids=["van", "occluded", "truncated"],
)
def test_a_neutral_car_is_neither_missed_nor_false(score, hidden):
    assert counts(score([*SEEN, hidden], SEEN)) == ((1, 0, 0), (1, 0, 0))
    # AB3DMOT's evaluator counts the pair among those found; MOTA is about the others.
    found = score([*SEEN, hidden], [*SEEN, row(0, 1, "Car")])
    assert counts(found) == ((1, 0, 0), (2, 0, 0))
    assert found.amota[0.25].best.mota == 1.0


def test_a_car_occluded_to_level_2_counts(score):
    assert counts(score([*SEEN, row(0, 1, "Car", state="0 2")], SEEN)) == ((1, 1, 0), (1, 1, 0))


def test_a_sitting_person_is_neutral_in_the_image_only(score):
    seen, person = row(0, 0, "Pedestrian", x=-9.0), row(0, 1, "Person")
    found = score([seen, person], [seen, row(0, 1, "Pedestrian")], "Pedestrian")
    assert counts(found) == ((1, 0, 0), (1, 0, 1))


def test_a_sitting_person_by_the_long_name_is_neutral_in_both(score):
    seen, person = row(0, 0, "Pedestrian", x=-9.0), row(0, 1, "Person_sitting")
    found = score([seen, person], [seen, row(0, 1, "Pedestrian")], "Pedestrian")
    assert counts(found) == ((1, 0, 0), (2, 0, 0))


def test_false_alarms_up_to_25_pixels_high_do_not_count(score):
    def ghost(height):
        return row(0, 5, "Car", x=8.0, image=(0.0, 100.0, 50.0, 100.0 + height))

    assert counts(score(SEEN, [*SEEN, ghost(25.0)])) == ((1, 0, 0), (1, 0, 0))
    assert counts(score(SEEN, [*SEEN, ghost(25.1)])) == ((1, 0, 1), (1, 0, 1))


def test_false_alarms_by_more_than_half_in_an_ignored_region_do_not_count(score):
    ghost = row(0, 5, "Car", x=8.0, image=(0.0, 100.0, 100.0, 200.0))

    def ignored(right, frame=0):
        other = region(frame, (500.0, 0.0, 510.0, 10.0))
        return [*SEEN, other, region(frame, (0.0, 0.0, right, 300.0))]

    assert counts(score(ignored(51.0), [*SEEN, ghost])) == ((1, 0, 0), (1, 0, 0))
    assert counts(score(ignored(50.0), [*SEEN, ghost])) == ((1, 0, 1), (1, 0, 1))
    assert counts(score(ignored(51.0, frame=1), [*SEEN, ghost])) == ((1, 0, 1), (1, 0, 1))


def test_a_found_car_counts_even_in_an_ignored_region(score):
    labels = [*SEEN, region(0, (0.0, 0.0, 2000.0, 400.0))]
    assert counts(score(labels, SEEN)) == ((1, 0, 0), (1, 0, 0))


def test_results_of_other_classes_are_not_looked_at(score):
    results = [*SEEN, row(0, 0, "Pedestrian", x=3.0), row(0, 4, "Van", x=5.0)]
    assert counts(score(SEEN, results)) == ((1, 0, 0), (1, 0, 0))


def test_a_box_in_the_right_pixels_at_the_wrong_distance_is_found_only_in_the_image(score):
    far = row(0, 0, "Car", x=-9.0, z=40.0)
    assert counts(score(SEEN, [far])) == ((1, 0, 0), (0, 1, 1))


def test_a_least_score_leaves_weak_tracks_out_of_the_working_point_only(score):
    results = [row(0, 0, "Car", x=-9.0, score=0.9), row(0, 1, "Car", x=9.0, score=0.1)]
    scores = score(SEEN, results, min_score=0.5)
    assert (scores.image.clear.fp, scores.space.clear.fp) == (0, 0)
    assert score(SEEN, results).image.clear.fp == 1
    assert scores.amota[0.25] == score(SEEN, results).amota[0.25]


def test_empty_results_miss_everything(score):
    assert counts(score(SEEN, [])) == ((0, 1, 0), (0, 1, 0))


def test_empty_labels_make_everything_false(score):
    scores = score([], SEEN)
    assert counts(scores) == ((0, 0, 1), (0, 0, 1))
    assert np.isnan([scores.image.clear.mota, scores.amota[0.5].samota]).all()


def test_only_the_named_sequences_are_scored(tmp_path):
    truth, result = write_sequences(tmp_path, "Car", seed=4)
    one, both = (
        evaluate_kitti(truth, result, "Car", sequences=names)
        for names in (["0001"], ["0001", "0002"])
    )
    assert one.sequences == ("0001",)
    assert one.image.clear.tp < both.image.clear.tp


def test_a_summary_is_plain_numbers_by_the_usual_names(score):
    summary = score(SEEN, SEEN, overlaps=(0.25, 0.7)).summarise()
    assert list(summary) == ["image", "space", "space 0.25", "space 0.7"]
    assert summary["image"]["HOTA"] == pytest.approx(1.0)
    assert {"MOTA", "IDSW", "IDF1"} <= set(summary["image"])
    assert {"sAMOTA", "AMOTA", "AMOTP", "MOTA", "IDS"} <= set(summary["space 0.7"])
    json.dumps(summary)


def test_a_missing_result_is_told_by_its_file(tmp_path):
    truth, result = write_sequences(tmp_path, "Car", seed=4)
    (result / "0001.txt").unlink()
    with pytest.raises(InputError) as caught:
        evaluate_kitti(truth, result, "Car")
    assert caught.value.code == "missing-file"
    assert caught.value.where == str(result / "0001.txt")


@pytest.mark.parametrize("side", ["truth", "result"])
def test_a_track_twice_in_a_frame_is_told_with_its_file(score, side, tmp_path):
    twice = [row(4, 2, "Car"), row(4, 2, "Car", x=9.0)]
    with pytest.raises(InputError) as caught:
        score(*((twice, SEEN) if side == "truth" else (SEEN, twice)))
    assert caught.value.code == "duplicate"
    assert caught.value.where == f"{tmp_path / side / '0000.txt'}, frame 4, track 2"


def test_a_folder_without_labels_is_refused(tmp_path):
    with pytest.raises(InputError, match="no sequence"):
        evaluate_kitti(tmp_path, tmp_path, "Car")


def test_an_unknown_class_is_told_with_the_known_ones(tmp_path):
    with pytest.raises(UsageError) as caught:
        evaluate_kitti(tmp_path, tmp_path, "car")
    assert "'Car'" in caught.value.remedy


def test_no_overlap_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no overlap"):
        evaluate_kitti(tmp_path, tmp_path, "Car", overlaps=())
