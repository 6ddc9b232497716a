import numpy as np
import pytest

from kerbstone.errors import InputError, UsageError
from kerbstone.label.metrics import TrackedBoxes, compare_boxes, similarity
from kerbstone.scene import bev_boxes, bev_iou, iou_3d


def random_boxes(draw, count, *, frames=5):
    boxes = np.column_stack(
        [
            draw.uniform(-8, 8, (count, 2)),
            draw.uniform(-0.5, 0.5, count),
            draw.uniform(-4, 4, count),
            draw.uniform(0.5, 6, (count, 3)),
        ]
    )
    return TrackedBoxes(draw.integers(0, frames, count), np.arange(count), boxes)


def dense(truth, predicted, measure):
    """Return the similarity of all pairs, 0 for those of different frames, rows as compared."""
    truth_order = np.argsort(truth.frame, kind="stable")
    order = np.argsort(predicted.frame, kind="stable")
    value = measure(truth.boxes[truth_order][:, None], predicted.boxes[order][None])
    same = truth.frame[truth_order][:, None] == predicted.frame[order][None]
    return np.where(same, value, 0.0)


MEASURES = {
    "iou_3d": iou_3d,
    "bev_iou": lambda a, b: bev_iou(bev_boxes(a), bev_boxes(b)),
    "centre_distance": lambda a, b: np.maximum(
        0, 1 - np.linalg.norm(a[..., :2] - b[..., :2], axis=-1) / 2
    ),
}


@pytest.mark.parametrize("chunk", [1, 50, 1_000_000])
@pytest.mark.parametrize("name", MEASURES)
def test_sparse_pairs_are_those_of_all_against_all(name, chunk, monkeypatch):
    monkeypatch.setattr(similarity, "_CHUNK", chunk)
    draw = np.random.default_rng(3)
    truth, predicted = random_boxes(draw, 60), random_boxes(draw, 80)
    compared = compare_boxes(truth, predicted, similarity=name)
    found = np.zeros((60, 80))
    found[compared.pair_truth, compared.pair_predicted] = compared.similarity
    np.testing.assert_allclose(found, dense(truth, predicted, MEASURES[name]), atol=1e-12)
    assert (compared.similarity > 0).all()


def test_image_boxes_that_share_a_third_have_an_iou_of_a_third():
    def image(left):
        box = np.array([[left, 0.0, left + 20.0, 10.0]])
        return TrackedBoxes(np.zeros(1, np.int64), np.zeros(1, np.int64), box)

    assert compare_boxes(image(0.0), image(10.0), similarity="iou_2d").similarity == [1 / 3]
    assert compare_boxes(image(0.0), image(20.0), similarity="iou_2d").similarity.size == 0


def test_empty_image_boxes_are_alike_to_none():
    box = TrackedBoxes(np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([[5.0, 5, 5, 9]]))
    assert compare_boxes(box, box, similarity="iou_2d").similarity.size == 0


def test_boxes_without_volume_are_alike_to_none():
    box = TrackedBoxes(np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros((1, 7)))
    for name in ("iou_3d", "bev_iou"):
        assert compare_boxes(box, box, similarity=name).similarity.size == 0


@pytest.mark.usefixtures("unchecked")
def test_an_unknown_similarity_is_told_with_the_nearest_name():
    draw = np.random.default_rng(0)
    boxes = random_boxes(draw, 3)
    with pytest.raises(UsageError) as caught:
        compare_boxes(boxes, boxes, similarity="iou3d")
    assert "'iou_3d'" in caught.value.remedy


def test_boxes_of_the_wrong_columns_are_refused():
    boxes = random_boxes(np.random.default_rng(0), 3)
    with pytest.raises(InputError, match="4 columns"):
        compare_boxes(boxes, boxes, similarity="iou_2d")


@pytest.mark.parametrize("distance", [0.0, -1.0, float("nan")])
def test_a_distance_without_extent_is_refused(distance):
    boxes = random_boxes(np.random.default_rng(0), 3)
    with pytest.raises(UsageError, match="zero_distance"):
        compare_boxes(boxes, boxes, similarity="centre_distance", zero_distance=distance)


def test_ten_thousand_false_alarms_in_a_frame_are_compared_in_bounded_pieces():
    draw = np.random.default_rng(5)
    truth, predicted = random_boxes(draw, 100, frames=1), random_boxes(draw, 10_000, frames=1)
    compared = compare_boxes(truth, predicted, similarity="centre_distance", zero_distance=0.5)
    near = compared.pair_truth == 0
    apart = np.linalg.norm(predicted.boxes[:, :2] - truth.boxes[0, :2], axis=1)
    assert near.sum() == (apart < 0.5).sum()
