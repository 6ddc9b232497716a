import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kerbstone.errors import InputError, UsageError
from kerbstone.scene.polylines import (
    Segments,
    arc_length,
    curvature,
    headings,
    interpolate,
    resample,
    resample_packed,
    segments_of,
)

CORNER = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])


@st.composite
def lines(draw, axes=2):
    number = draw(st.integers(2, 12))
    rounded = arrays(float, (number, axes), elements=st.integers(-20, 20).map(float))
    line = draw(rounded)
    line[0, 0] = 21.0  # at least two places
    return line


def circle(radius, turn, number):
    angle = np.linspace(0, turn, number)
    return radius * np.column_stack([np.cos(angle), np.sin(angle)])


# Arc length and points on the line


def test_arc_length_adds_up_the_segments_in_the_ground_plane():
    assert arc_length(CORNER).tolist() == [0, 3, 7]
    steep = np.column_stack([CORNER, [0.0, 50.0, np.nan]])
    assert arc_length(steep).tolist() == [0, 3, 7]
    assert arc_length(np.stack([CORNER, 2 * CORNER])).tolist() == [[0, 3, 7], [0, 6, 14]]
    assert arc_length(CORNER[:1]).tolist() == [0]
    assert arc_length(CORNER[:0]).tolist() == []


def test_interpolation_hits_the_vertices_and_stays_at_the_ends():
    found = interpolate(CORNER, np.array([-1.0, 0, 1.5, 3, 5, 7, 9]))
    expected = [[0, 0], [0, 0], [1.5, 0], [3, 0], [3, 2], [3, 4], [3, 4]]
    assert found.tolist() == expected
    assert interpolate(CORNER, 5.0).tolist() == [3, 2]
    assert interpolate(CORNER, np.zeros((2, 3))).shape == (2, 3, 2)
    assert np.isnan(interpolate(CORNER, np.array([np.nan]))).all()


def test_interpolation_carries_z_and_keeps_unknown_z_unknown():
    line = np.column_stack([CORNER, [10.0, 13.0, np.nan]])
    found = interpolate(line, np.array([1.0, 3.0, 4.0]))
    assert found[:2].tolist() == [[1, 0, 11], [3, 0, 13]]
    assert found[2, :2].tolist() == [3, 1]
    assert np.isnan(found[2, 2])


@given(lines(), st.lists(st.floats(-1, 2), min_size=1, max_size=5))
def test_interpolation_is_never_further_along_than_asked(line, share):
    s = np.sort(np.array(share)) * arc_length(line)[-1]
    found = interpolate(line, s)
    steps = np.hypot(*np.diff(found, axis=0).T)
    assert np.all(steps <= np.diff(s) + 1e-9)


# Resampling


@given(lines(3), st.integers(2, 50))
def test_resampling_keeps_both_ends_and_never_lengthens(line, number):
    found = resample(line, number=number)
    assert found.shape == (number, 3)
    np.testing.assert_array_equal(found[[0, -1]], line[[0, -1]])
    length = arc_length(line)[-1]
    assert arc_length(found)[-1] <= length + 1e-9
    # Each vertex can cut at most one step short.
    lost = length - arc_length(found)[-1]
    assert lost <= (len(line) - 2) * length / (number - 1) + 1e-9


@given(lines(), st.floats(0.1, 100))
def test_resampling_by_spacing_steps_evenly_and_no_further_than_asked(line, spacing):
    found = resample(line, spacing=spacing)
    length = arc_length(line)[-1]
    step = length / (len(found) - 1)
    assert step <= spacing * (1 + 1e-9)
    assert len(found) == 2 or length / (len(found) - 2) > spacing
    np.testing.assert_allclose(found, interpolate(line, step * np.arange(len(found))), atol=1e-9)


def test_resampling_a_straight_line_spaces_it_evenly_with_its_heights():
    line = np.array([[0.0, 0, 5], [1.0, 0, 6], [1.0, 0, 6], [10.0, 0, 15]])
    found = resample(line, spacing=2.5)
    assert found[:, 0].tolist() == [0, 2.5, 5, 7.5, 10]
    assert found[:, 2].tolist() == [5, 7.5, 10, 12.5, 15]


def test_a_length_that_is_a_multiple_of_the_spacing_but_for_rounding_gets_no_extra_step():
    line = np.array([[0.0, 0.0], [0.1, 0.0], [0.3, 0.0], [0.9, 0.0]])
    assert len(resample(line, spacing=0.3)) == 4


def test_resampling_takes_either_a_spacing_or_a_number():
    for arguments in ({}, {"spacing": 1.0, "number": 3}):
        with pytest.raises(UsageError, match="either a spacing or a number"):
            resample(CORNER, **arguments)


@pytest.mark.parametrize("arguments", [{"spacing": 0.0}, {"spacing": np.nan}, {"number": 1}])
def test_resampling_refuses_steps_that_cannot_be(arguments):
    with pytest.raises(InputError) as caught:
        resample(CORNER, **arguments)
    assert caught.value.code == "value"


@given(st.lists(lines(3), min_size=1, max_size=5), st.integers(2, 20))
def test_resampling_many_lines_at_once_is_resampling_each(parts, number):
    offsets = np.cumsum([0, *map(len, parts)])
    found = resample_packed(np.concatenate(parts), offsets, number=number)
    each = np.stack([resample(part, number=number) for part in parts])
    np.testing.assert_allclose(found, each, atol=1e-9)
    np.testing.assert_array_equal(found[:, [0, -1]], each[:, [0, -1]])


def test_resampling_no_lines_gives_none():
    assert resample_packed(np.zeros((0, 3)), np.array([0]), number=4).shape == (0, 4, 3)


def test_resampling_many_lines_names_the_one_without_direction():
    points = np.concatenate([CORNER, CORNER[[0, 0]], CORNER])
    with pytest.raises(InputError, match="two distinct vertices") as caught:
        resample_packed(points, np.array([0, 3, 5, 8]), number=4)
    assert caught.value.where == "polyline 1"
    with pytest.raises(InputError, match="at least 2 points"):
        resample_packed(points, np.array([0, 3, 5, 8]), number=1)


# Shape


def test_headings_are_those_of_segments_at_the_ends_and_of_bisectors_between():
    np.testing.assert_allclose(headings(CORNER), [0, np.pi / 4, np.pi / 2])


def test_headings_bisect_across_the_seam_at_pi():
    line = np.array([[0.0, 0.0], [-1.0, 0.1], [-2.0, 0.0]])
    assert abs(headings(line)[1]) == pytest.approx(np.pi)


def test_repeated_vertices_share_their_heading():
    line = np.array([[0.0, 0], [0, 0], [1, 0], [1, 0], [1, 1], [1, 1]])
    np.testing.assert_allclose(headings(line), np.pi / 4 * np.array([0, 0, 1, 1, 2, 2]), atol=1e-12)


def test_where_a_line_turns_right_back_its_heading_is_that_of_the_way_back():
    line = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 0.0]])
    assert np.abs(headings(line)).tolist() == pytest.approx([0, np.pi, np.pi])


@pytest.mark.parametrize("turn", [2.0, -2.0])
def test_curvature_of_a_circle_is_one_over_its_radius_even_unevenly_sampled(turn):
    line = circle(50.0, turn, 40)[[0, 1, 3, 4, 8, 9, 20, 39]]
    np.testing.assert_allclose(curvature(line), np.sign(turn) / 50.0)


def test_curvature_of_a_straight_line_is_zero():
    line = np.array([[0.0, 0], [1, 1], [1, 1], [5, 5], [7, 7]])
    np.testing.assert_allclose(curvature(line), 0, atol=1e-15)
    assert curvature(line[:2]).tolist() == [0, 0]


def test_curvature_is_finite_where_a_line_turns_right_back():
    line = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 0.0]])
    assert curvature(line).tolist() == [0.5, 0.5, 0.5]


@given(lines())
def test_reversing_a_line_turns_headings_and_curvature_around(line):
    turned = headings(line) - headings(line[::-1])[::-1]
    sharp = np.abs(np.cos(turned / 2)) > 1e-9
    ahead = segments_of(line).direction
    if np.all((ahead[1:] * ahead[:-1]).sum(axis=1) > -1 + 1e-9):  # it never turns right back
        assert not sharp.any()
        np.testing.assert_allclose(curvature(line[::-1]), -curvature(line)[::-1], atol=1e-9)


# Segments


def test_packed_segments_stay_within_their_polylines():
    points = np.concatenate([CORNER, CORNER + 50, [[9.0, 9.0]], CORNER[[0, 0, 1, 1]]])
    segments = Segments.from_packed(points, np.array([0, 3, 6, 7, 11]))
    assert segments.offsets.tolist() == [0, 2, 4, 4, 5]
    assert segments.length.tolist() == [3, 4, 3, 4, 3]
    assert segments.arc_length.tolist() == [0, 3, 0, 3, 0]
    assert segments.vertex.tolist() == [0, 1, 0, 1, 1]
    np.testing.assert_allclose(np.hypot(*segments.direction.T), 1)


def test_no_polylines_have_no_segments():
    segments = Segments.from_packed(np.zeros((0, 2)), np.array([0]))
    assert len(segments) == 0
    assert segments.offsets.tolist() == [0]


@pytest.mark.parametrize("offsets", [[1, 3], [0, 2], [0, 3, 2, 3]])
def test_offsets_that_do_not_fit_the_points_are_an_error(offsets):
    with pytest.raises(InputError, match="offsets") as caught:
        Segments.from_packed(CORNER, np.array(offsets))
    assert caught.value.code == "shape"


@pytest.mark.parametrize("measure", [headings, curvature, lambda line: resample(line, number=5)])
@pytest.mark.parametrize("number", [0, 1, 4])
def test_a_line_of_fewer_than_two_distinct_vertices_is_an_error(measure, number):
    with pytest.raises(InputError, match="two distinct vertices") as caught:
        measure(np.ones((number, 2)))
    assert caught.value.code == "geometry"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_vertex_that_is_not_finite_is_an_error_that_names_it(bad):
    line = CORNER.copy()
    line[1, 1] = bad
    with pytest.raises(InputError, match="NaN or infinite") as caught:
        headings(line)
    assert (caught.value.code, caught.value.where) == ("geometry", "vertex 1")
