import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerbstone.errors import InputError
from kerbstone.scene.boxes import (
    BevIndex,
    BoxIndex,
    bev_boxes,
    bev_intersection_area,
    bev_iou,
    box_corners_3d,
    box_corners_bev,
    box_distance,
    boxes_overlap,
    iou_3d,
    pack_boxes,
    points_in_boxes,
)
from kerbstone.scene.transforms import SE2

PI = np.pi
UNIT = [0.0, 0.0, 0.0, 2.0, 2.0]


def bev(*rows):
    return np.array(rows, float)


@st.composite
def pairs(draw, number=20):
    """Pairs that often touch, cross, contain and equal one another, from rounded numbers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    centre = rng.uniform(-3, 3, (2, number, 2))
    heading = rng.uniform(-2 * PI, 2 * PI, (2, number, 1))
    size = rng.uniform(0, 4, (2, number, 2))
    boxes = np.concatenate([centre, heading, size], axis=-1)
    if draw(st.booleans()):
        boxes = np.round(boxes)
        boxes[..., BevIndex.HEADING] *= PI / 4
    return boxes[0], boxes[1]


def in_space(boxes, rng):
    z, height = rng.uniform(-1, 1, len(boxes)), rng.uniform(0, 3, len(boxes))
    return np.column_stack([boxes[:, :2], z, boxes[:, 2:], height])


def moved(boxes, pose):
    centre, turn = pose @ boxes[:, :2], boxes[:, 2:3] + pose.angle
    return np.column_stack([centre, turn, boxes[:, 3:]])


# Laws


@given(pairs())
def test_measures_are_symmetric(pair):
    a, b = pair
    np.testing.assert_allclose(box_distance(a, b), box_distance(b, a), atol=1e-12)
    np.testing.assert_allclose(bev_intersection_area(a, b), bev_intersection_area(b, a), atol=1e-12)
    a, b = (in_space(boxes, np.random.default_rng(i)) for i, boxes in enumerate(pair))
    np.testing.assert_allclose(iou_3d(a, b), iou_3d(b, a), atol=1e-12)


@given(pairs(), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(-10, 10))
def test_rigid_motion_changes_no_measure(pair, x, y, angle):
    a, b = pair
    pose = SE2(np.array([x, y]), np.array(angle))
    c, d = moved(a, pose), moved(b, pose)
    np.testing.assert_allclose(box_distance(c, d), box_distance(a, b), atol=1e-9)
    np.testing.assert_allclose(bev_intersection_area(c, d), bev_intersection_area(a, b), atol=1e-9)
    large = bev_area(a) + bev_area(b) > 0.1
    np.testing.assert_allclose(bev_iou(c, d)[large], bev_iou(a, b)[large], atol=1e-7)


def bev_area(boxes):
    return boxes[:, BevIndex.LENGTH] * boxes[:, BevIndex.WIDTH]


@given(pairs())
def test_distance_is_at_most_zero_exactly_where_boxes_overlap(pair):
    np.testing.assert_array_equal(box_distance(*pair) <= 0, boxes_overlap(*pair))


@given(pairs())
def test_iou_lies_between_0_and_1_and_is_0_where_boxes_are_apart(pair):
    iou = bev_iou(*pair)
    known = ~np.isnan(iou)
    assert np.all((iou[known] >= 0) & (iou[known] <= 1))
    assert np.all(bev_intersection_area(*pair)[box_distance(*pair) > 1e-12] < 1e-12)
    volumes = [in_space(boxes, np.random.default_rng(i)) for i, boxes in enumerate(pair)]
    iou = iou_3d(*volumes)[known]
    assert np.all(np.isnan(iou) | ((iou >= 0) & (iou <= 1)))


@given(pairs())
def test_a_box_has_iou_1_with_itself_and_with_itself_turned_half(pair):
    boxes = pair[0][bev_area(pair[0]) > 1e-3]
    turned = boxes + np.array([0, 0, PI, 0, 0])
    np.testing.assert_allclose(bev_iou(boxes, boxes), 1.0, atol=1e-12)
    np.testing.assert_allclose(bev_iou(boxes, turned), 1.0, atol=1e-9)


@given(pairs())
def test_penetration_is_the_move_after_which_boxes_only_touch(pair):
    a, b = pair
    depth = -box_distance(a, b)
    inside = depth > 1e-6
    a, b, depth = a[inside], b[inside], depth[inside]
    # Move b along each of the 8 normals: some move of that depth parts them, none of less does.
    turns = np.concatenate(
        [a[:, 2] + np.arange(4)[:, None] * PI / 2, b[:, 2] + np.arange(4)[:, None] * PI / 2]
    )
    direction = np.stack([np.cos(turns), np.sin(turns)], axis=-1)

    def gap_after(share):
        shifted = np.broadcast_to(b, (8, *b.shape)).copy()
        shifted[..., :2] += direction * (share * depth)[:, None]
        return box_distance(a[None], shifted).max(axis=0, initial=-np.inf)

    if len(a):
        np.testing.assert_allclose(gap_after(1.0), 0.0, atol=1e-9)
        assert np.all(gap_after(0.99) < 0)


@given(pairs())
def test_no_point_of_one_box_is_nearer_to_the_other_than_their_distance(pair):
    a, b = pair
    share = np.random.default_rng(0).uniform(-0.5, 0.5, (200, 1, 2))

    def sample(boxes):
        pose = SE2(boxes[:, :2], boxes[:, 2])
        return np.moveaxis(pose @ np.moveaxis(share * boxes[:, 3:], 0, 1), 1, 0)

    gaps = np.linalg.norm(sample(a) - sample(b), axis=-1).min(axis=0)
    assert np.all(gaps >= box_distance(a, b) - 1e-9)


@given(pairs())
def test_corners_lie_on_the_boundary_of_their_boxes(pair):
    boxes = pair[0]
    corners = box_corners_bev(boxes)
    outwards = corners + 1e-6 * (corners - boxes[:, None, :2])
    inwards = corners - 1e-6 * (corners - boxes[:, None, :2])
    grown = boxes + np.array([0, 0, 0, 1e-9, 1e-9])
    thick = np.minimum(boxes[:, 3], boxes[:, 4]) > 0.01
    assert points_in_boxes(inwards, grown[:, None])[thick].all()
    assert not points_in_boxes(outwards, boxes[:, None])[thick].any()


# Known answers


def test_corners_run_counter_clockwise_from_the_front_left():
    boxes = bev([10, 20, PI / 2, 4, 2])
    expected = [[[9, 22], [9, 18], [11, 18], [11, 22]]]
    np.testing.assert_allclose(box_corners_bev(boxes), expected, atol=1e-12)


def test_corners_in_space_are_the_floor_then_the_roof():
    corners = box_corners_3d(bev([10, 20, 5, PI / 2, 4, 2, 3]))
    assert corners.shape == (1, 8, 3)
    np.testing.assert_allclose(corners[0, :4, 2], 3.5)
    np.testing.assert_allclose(corners[0, 4:, 2], 6.5)
    np.testing.assert_allclose(corners[0, 4:, :2], corners[0, :4, :2])
    np.testing.assert_allclose(corners[0, 0], [9, 22, 3.5], atol=1e-12)


@pytest.mark.parametrize(
    ("other", "distance", "area"),
    [
        (UNIT, -2.0, 4.0),
        ([0, 0, PI / 4, 2, 2], -1 - np.sqrt(2), 8 * (np.sqrt(2) - 1)),
        ([2, 0, 0, 2, 2], 0.0, 0.0),
        ([2, 2, 0, 2, 2], 0.0, 0.0),
        ([0.2, 0, 0, 0.4, 0.4], -1.0, 0.16),
        ([0, 0, 0, 0, 0], -1.0, 0.0),
        ([3, 0, 0, 0, 0], 2.0, 0.0),
        ([4, 5, 0, 0, 0], 5.0, 0.0),
        ([5, 6, 0, 2, 2], 5.0, 0.0),
        ([0, 3, PI / 4, 2, 2], 2 - np.sqrt(2), 0.0),
        ([1.5, 0, -PI, 2, 2], -0.5, 1.0),
        ([0, 0, PI, 8, 1], -1.5, 2.0),
        ([0, 0, 0, 8, 0], -1.0, 0.0),
    ],
    ids=[
        "identical", "turned", "edge touches", "corner touches", "contained", "point inside",
        "point beside", "point off a corner", "corner to corner", "corner to edge", "turned by -pi",
        "crossing", "segment through",
    ],
)  # fmt: skip
def test_known_pairs_have_their_known_distance_and_area(other, distance, area):
    a, b = bev(UNIT), bev(other)
    np.testing.assert_allclose(box_distance(a, b), distance, atol=1e-12)
    np.testing.assert_allclose(bev_intersection_area(a, b), area, atol=1e-12)
    assert boxes_overlap(a, b) == (distance <= 0)


def test_boxes_that_touch_overlap_and_those_a_hair_apart_do_not():
    a = bev(UNIT)
    assert boxes_overlap(a, bev([2, 1, 0, 2, 2]))
    assert not boxes_overlap(a, bev([2 + 1e-12, 1, 0, 2, 2]))
    assert box_distance(a, bev([2 + 1e-12, 1, 0, 2, 2])) > 0


@pytest.mark.parametrize("heading", [PI, -PI, np.nextafter(PI, 4), 1e-300, 1e-17, PI / 2])
def test_headings_at_the_seam_and_next_to_the_axes_change_nothing(heading):
    a, b = bev(UNIT), bev([0.5, 0, heading, 2, 2])
    np.testing.assert_allclose(bev_intersection_area(a, b), 3.0, atol=1e-12)
    np.testing.assert_allclose(box_distance(a, b), -1.5, atol=1e-12)


def test_far_from_the_origin_nothing_is_lost_but_the_rounding_of_coordinates():
    a, b = bev([0, 0, 0.3, 4, 2]), bev([3, 1, 1.0, 4, 2])
    far = np.array([4e6, 6e6, 0, 0, 0])
    np.testing.assert_allclose(bev_iou(a + far, b + far), bev_iou(a, b), atol=1e-8)
    np.testing.assert_allclose(box_distance(a + far, b + far), box_distance(a, b), atol=1e-8)


def test_iou_in_space_counts_the_height():
    a = bev([0, 0, 0, 0, 2, 2, 2])
    np.testing.assert_allclose(iou_3d(a, bev([0, 0, 1, 0, 2, 2, 2])), 1 / 3)
    np.testing.assert_allclose(iou_3d(a, bev([1, 0, 0, PI, 2, 2, 2])), 1 / 3)
    np.testing.assert_allclose(iou_3d(a, bev([0, 0, 0, 0, 2, 2, 1])), 1 / 2)
    assert iou_3d(a, bev([0, 0, 2, 0, 2, 2, 2])) == 0
    assert iou_3d(a, bev([0, 0, 9, 0, 2, 2, 2])) == 0


def test_iou_of_two_boxes_without_area_is_undefined():
    point, flat = bev([0, 0, 0, 0, 0]), bev([0, 0, 0, 0, 1, 1, 0])
    assert np.isnan(bev_iou(point, point))
    assert np.isnan(iou_3d(flat, flat))
    assert bev_iou(point, bev(UNIT)) == 0


def test_points_on_the_boundary_are_inside():
    box = bev([1, 1, 0, 2, 4])
    points = bev([0, 1], [1, 3], [2, -1], [2.01, 1], [1, 3.01], [1, 1])
    inside = points_in_boxes(points, box)
    assert inside.tolist() == [True, True, True, False, False, True]


def test_points_in_space_must_lie_between_floor_and_roof():
    box = bev([0, 0, 5, 0, 2, 2, 2])
    points = bev([0, 0, 4], [1, 1, 6], [0, 0, 6.1], [0, 0, 3.9], [2, 0, 5])
    assert points_in_boxes(points, box).tolist() == [True, True, False, False, False]


def test_points_and_boxes_of_different_dimensions_are_an_error():
    with pytest.raises(InputError, match="do not fit together") as caught:
        points_in_boxes(np.zeros((1, 2)), np.zeros((1, 7)))
    assert caught.value.code == "shape"


def test_all_pairs_come_by_broadcasting():
    rng = np.random.default_rng(5)
    a, b = rng.uniform(0.5, 4, (2, 7, 5))
    b = b[:4]
    for measure in (box_distance, boxes_overlap, bev_iou, bev_intersection_area):
        every = measure(a[:, None], b[None])
        assert every.shape == (7, 4)
        np.testing.assert_array_equal(every[2, 3], measure(a[2], b[3]))
        assert isinstance(measure(a[2], b[3]), np.ndarray)
    points = rng.uniform(0, 4, (9, 2))
    assert points_in_boxes(points[:, None], a[None]).shape == (9, 7)


def test_no_boxes_give_no_answers():
    none = np.zeros((0, 5))
    assert box_distance(none, none).shape == (0,)
    assert bev_iou(none, none).shape == (0,)
    assert box_corners_bev(none).shape == (0, 4, 2)


@pytest.mark.parametrize("column", list(BoxIndex))
def test_a_box_that_holds_nan_has_nan_measures_and_overlaps_nothing(column):
    good = bev([0, 0, 0, 0.3, 2, 2, 2])
    bad = good.copy()
    bad[..., column] = np.nan
    assert np.isnan(iou_3d(good, bad)).all()
    assert np.isnan(iou_3d(bad, good)).all()
    assert not points_in_boxes(np.zeros((1, 3)), bad).any()
    if column in (BoxIndex.Z, BoxIndex.HEIGHT):
        return
    good, bad = bev_boxes(good), bev_boxes(bad)
    for a, b in ((good, bad), (bad, good)):
        assert np.isnan(box_distance(a, b)).all()
        assert np.isnan(bev_iou(a, b)).all()
        assert not boxes_overlap(a, b).any()


def test_packing_broadcasts_sizes_over_time():
    centre = np.arange(24.0).reshape(2, 4, 3)
    heading = np.arange(8.0).reshape(2, 4)
    size = np.array([[4.0, 2.0, 1.5], [0.6, 0.5, 1.8]])
    boxes = pack_boxes(centre, heading, size[:, None])
    assert boxes.shape == (2, 4, 7)
    assert boxes[1, 2].tolist() == [18, 19, 20, 6, 0.6, 0.5, 1.8]
    assert bev_boxes(boxes)[1, 2].tolist() == [18, 19, 6, 0.6, 0.5]
