"""Boxes and polylines against GEOS, through Shapely, on random input."""

import numpy as np
import pytest
import shapely

from kerbstone.scene.boxes import (
    bev_intersection_area,
    bev_iou,
    box_corners_bev,
    box_distance,
    boxes_overlap,
    points_in_boxes,
)
from kerbstone.scene.frenet import project, project_packed
from kerbstone.scene.polylines import Segments, arc_length, interpolate, resample

NUMBER = 5_000


def random_boxes(seed, *, thin=False):
    rng = np.random.default_rng(seed)
    low, high = ([0.01, 0.01], [0.5, 10]) if thin else ([0.3, 0.3], [12, 3])
    return np.column_stack(
        [
            rng.uniform(-6, 6, (NUMBER, 2)),
            rng.uniform(-2 * np.pi, 2 * np.pi, NUMBER),
            rng.uniform(low, high, (NUMBER, 2)),
        ]
    )


def grid_boxes(seed):
    """Boxes that share edges, corners and places: whole numbers, headings along the axes."""
    rng = np.random.default_rng(seed)
    centre, size = rng.integers(-4, 5, (NUMBER, 2)), 2 * rng.integers(1, 4, (NUMBER, 2))
    return np.column_stack([centre, np.zeros(NUMBER), size]).astype(float)


def polygons(boxes):
    return shapely.polygons(box_corners_bev(boxes))


@pytest.fixture(
    params=[
        (random_boxes(1), random_boxes(2)),
        (random_boxes(3, thin=True), random_boxes(4)),
        (grid_boxes(5), grid_boxes(6)),
    ],
    ids=["random", "thin", "grid"],
)
def pair(request):
    return request.param


def test_overlap_is_intersects(pair):
    expected = shapely.intersects(*map(polygons, pair))
    assert 0.05 < expected.mean() < 0.95
    np.testing.assert_array_equal(boxes_overlap(*pair), expected)


def test_distance_is_that_of_polygons(pair):
    expected = shapely.distance(*map(polygons, pair))
    np.testing.assert_allclose(np.maximum(box_distance(*pair), 0), expected, rtol=0, atol=1e-12)


def test_penetration_depth_is_the_distance_to_the_boundary_of_the_minkowski_difference(pair):
    first, second = pair[0][:500], pair[1][:500]
    points = box_corners_bev(first)[:, :, None] - box_corners_bev(second)[:, None]
    difference = shapely.convex_hull(shapely.multipoints(points.reshape(-1, 16, 2)))
    origin = shapely.Point(0, 0)
    depth = shapely.distance(shapely.boundary(difference), origin)
    expected = np.where(shapely.intersects(difference, origin), -depth, depth)
    np.testing.assert_allclose(box_distance(first, second), expected, rtol=0, atol=1e-12)


def test_intersection_area_and_iou_are_those_of_polygons(pair):
    first, second = map(polygons, pair)
    shared = shapely.area(shapely.intersection(first, second))
    union = shapely.area(shapely.union(first, second))
    np.testing.assert_allclose(bev_intersection_area(*pair), shared, rtol=0, atol=1e-9)
    np.testing.assert_allclose(bev_iou(*pair), shared / union, rtol=0, atol=1e-9)


def test_points_in_boxes_are_those_that_polygons_cover(pair):
    boxes = pair[0]
    points = boxes[:, :2] + np.random.default_rng(7).uniform(-2, 2, (NUMBER, 2))
    expected = shapely.covers(polygons(boxes), shapely.points(points))
    assert 0.02 < expected.mean() < 0.95
    np.testing.assert_array_equal(points_in_boxes(points, boxes), expected)


def random_line(seed, vertices):
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.normal([2, 0], 1.5, (vertices, 2)), axis=0) + 1000.0


@pytest.mark.parametrize("vertices", [2, 3, 17, 200])
def test_projection_is_locate_point(vertices):
    line = random_line(vertices, vertices)
    low, high = line.min(axis=0) - 20, line.max(axis=0) + 20
    points = np.random.default_rng(0).uniform(low, high, (NUMBER, 2))
    reference, queries = shapely.linestrings(line), shapely.points(points)
    found = project(points, line)
    np.testing.assert_allclose(
        np.abs(found.d), shapely.distance(reference, queries), rtol=0, atol=1e-11
    )
    # GEOS compares rounded distances, so beside a vertex it may stay on it, off by up to
    # sqrt(2 d · rounding) along the line; everywhere else both agree to rounding.
    expected = shapely.line_locate_point(reference, queries)
    difference = np.abs(found.s - expected)
    assert np.quantile(difference, 0.999) < 1e-9
    assert difference.max() < 1e-5


def test_packed_projection_is_locate_point_of_each_line():
    lines = [random_line(seed, 5 + seed % 30) for seed in range(100)]
    segments = Segments.from_packed(
        np.concatenate(lines), np.cumsum([0] + [len(line) for line in lines])
    )
    rng = np.random.default_rng(0)
    of = rng.integers(0, 100, NUMBER)
    points = np.array([lines[i].mean(axis=0) for i in of]) + rng.uniform(-30, 30, (NUMBER, 2))
    references = np.array([shapely.linestrings(line) for line in lines])[of]
    found = project_packed(points, segments, of)
    queries = shapely.points(points)
    np.testing.assert_allclose(
        np.abs(found.d), shapely.distance(references, queries), rtol=0, atol=1e-11
    )
    difference = np.abs(found.s - shapely.line_locate_point(references, queries))
    assert np.quantile(difference, 0.999) < 1e-9
    assert difference.max() < 1e-5


def test_the_left_side_is_that_of_a_single_sided_buffer():
    line = np.column_stack([np.linspace(0, 60, 61), 5 * np.sin(np.linspace(0, 6, 61))])
    left = shapely.buffer(shapely.linestrings(line), 3.0, single_sided=True)
    points = np.random.default_rng(0).uniform([0, -9], [60, 9], (NUMBER, 2))
    found = project(points, line)
    inner = (found.s > 0) & (found.s < arc_length(line)[-1]) & (np.abs(np.abs(found.d) - 3) > 0.05)
    expected = shapely.contains(left, shapely.points(points))
    np.testing.assert_array_equal(((found.d > 0) & (found.d < 3))[inner], expected[inner])


@pytest.mark.parametrize("vertices", [2, 3, 17, 200])
def test_arc_length_and_interpolation_are_those_of_line_strings(vertices):
    line = random_line(vertices, vertices)
    reference = shapely.linestrings(line)
    assert arc_length(line)[-1] == pytest.approx(reference.length, abs=1e-9)
    s = np.random.default_rng(1).uniform(0, reference.length, NUMBER)
    expected = shapely.get_coordinates(shapely.line_interpolate_point(reference, s))
    np.testing.assert_allclose(interpolate(line, s), expected, rtol=0, atol=1e-9)
    share = np.linspace(0, 1, 77)
    expected = shapely.line_interpolate_point(reference, share, normalized=True)
    np.testing.assert_allclose(
        resample(line, number=77), shapely.get_coordinates(expected), rtol=0, atol=1e-9
    )
