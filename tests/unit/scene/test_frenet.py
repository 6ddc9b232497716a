import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kerbstone.errors import InputError
from kerbstone.scene.frenet import from_frenet, project, project_packed, to_frenet
from kerbstone.scene.polylines import Segments, arc_length, interpolate
from kerbstone.scene.transforms import SE2

CORNER = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]])
# Turns left by 150 degrees at (10, 0).
SHARP = np.array([[0.0, 0.0], [10.0, 0.0], [10 - 10 * np.cos(np.pi / 6), 5.0]])


@st.composite
def lines(draw):
    seed, number = draw(st.integers(0, 2**32 - 1)), draw(st.integers(2, 12))
    return np.cumsum(np.random.default_rng(seed).normal(size=(number, 2)), axis=0) * 5


def clouds(number=20):
    return arrays(float, (number, 2), elements=st.floats(-50, 50))


def smooth_line():
    x = np.linspace(0, 100, 201)
    return np.column_stack([x, 8 * np.sin(x / 15)])


# Projection


def test_projection_gives_arc_length_offset_segment_and_foot():
    found = project(np.array([[4.0, 2.0], [4.0, -2.0], [13.0, 6.0], [9.0, 6.0]]), CORNER)
    assert found.s.tolist() == [4, 4, 16, 16]
    assert found.d.tolist() == [2, -2, -3, 1]
    assert found.segment.tolist() == [0, 0, 1, 1]
    assert found.foot.tolist() == [[4, 0], [4, 0], [10, 6], [10, 6]]


def test_a_vertex_belongs_to_the_segment_that_it_starts():
    found = project(np.array([[10.0, 0.0], [12.0, -2.0], [0.0, 0.0], [10.0, 10.0]]), CORNER)
    assert found.s.tolist() == [10, 10, 0, 20]
    assert found.segment.tolist() == [1, 1, 0, 1]
    assert found.d.tolist() == pytest.approx([0, -np.sqrt(8), 0, 0])


def test_beyond_the_ends_the_end_is_nearest_and_d_is_the_whole_distance():
    found = project(np.array([[-3.0, 4.0], [-3.0, -4.0], [-2.0, 0.0], [14.0, 13.0]]), CORNER)
    assert found.s.tolist() == [0, 0, 0, 20]
    assert found.d.tolist() == [5, -5, 2, -5]


def test_outside_a_sharp_turn_the_side_is_that_of_the_bisector():
    # All of these are right of the turn, though some lie left of one segment's line.
    around = np.array([[10.0, -1.0], [12.0, 1.0], [12.0, -1.0], [11.0, 1.5], [10.6, 1.0]])
    found = project(around, SHARP)
    assert found.s.tolist() == pytest.approx([10] * 5)
    assert np.all(found.d < 0)
    np.testing.assert_allclose(-found.d, np.hypot(*(around - [10, 0]).T))
    mirrored = project(around * [1, -1], SHARP * [1, -1])
    np.testing.assert_allclose(mirrored.d, -found.d)


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.5, -1.2])
def test_far_from_the_line_points_next_to_a_vertex_keep_their_exact_arc_length(angle):
    # The distances to both segments round to the same, or to the wrong order.
    pose = SE2(np.array([5.0, -3.0]), np.array(angle))
    line = pose @ np.column_stack([np.linspace(0, 30, 11), np.zeros(11)])
    rng = np.random.default_rng(0)
    s = 3.0 * rng.integers(1, 10, 1000) + rng.uniform(-1e-7, 1e-7, 1000)
    d = rng.uniform(-60, 60, 1000)
    found = project(pose @ np.column_stack([s, d]), line)
    np.testing.assert_allclose(found.s, s, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.d, d, rtol=0, atol=1e-12)


@given(lines(), clouds())
def test_projection_is_the_nearest_of_a_dense_sampling(line, points):
    found = project(points, line)
    length = arc_length(line)[-1]
    dense = interpolate(line, np.linspace(0, length, 500))
    nearest = np.linalg.norm(points[:, None] - dense, axis=-1).min(axis=1)
    assert np.all(np.abs(found.d) <= nearest + 1e-9)
    assert np.all(np.abs(found.d) >= nearest - length / 499)


@given(lines(), clouds())
def test_projection_agrees_with_itself(line, points):
    found = project(points, line)
    np.testing.assert_allclose(np.hypot(*(points - found.foot).T), np.abs(found.d), atol=1e-9)
    np.testing.assert_allclose(interpolate(line, found.s), found.foot, atol=1e-9)
    np.testing.assert_allclose(project(found.foot, line).d, 0, atol=1e-9)
    start = arc_length(line)[found.segment]
    assert np.all((start <= found.s + 1e-9) & (found.s <= arc_length(line)[-1] + 1e-9))


@given(lines(), clouds(), st.floats(-7, 7))
def test_rigid_motion_changes_neither_s_nor_d(line, points, angle):
    pose = SE2(np.array([300.0, -20.0]), np.array(angle))
    before, after = project(points, line), project(pose @ points, pose @ line)
    np.testing.assert_allclose(np.abs(after.d), np.abs(before.d), atol=1e-9)
    # Where two parts of the line are equally near, either is right.
    clear = np.abs(after.s - before.s) < 1
    np.testing.assert_allclose(after.s[clear], before.s[clear], atol=1e-6)
    assert clear.mean() > 0.9


def test_repeated_vertices_change_nothing_but_the_numbering():
    repeated = CORNER[[0, 0, 1, 1, 1, 2, 2]]
    points = np.random.default_rng(2).uniform(-5, 15, (50, 2))
    plain, found = project(points, CORNER), project(points, repeated)
    for field in ("s", "d", "foot"):
        np.testing.assert_array_equal(getattr(found, field), getattr(plain, field))
    np.testing.assert_array_equal(found.segment, np.array([1, 4])[plain.segment])


def test_points_may_have_any_leading_axes():
    points = np.random.default_rng(3).uniform(-5, 15, (3, 4, 2))
    found = project(points, CORNER)
    assert found.s.shape == found.d.shape == found.segment.shape == (3, 4)
    assert found.foot.shape == (3, 4, 2)
    one = project(points[1, 2], CORNER)
    assert one.s.shape == ()
    assert one.s == found.s[1, 2]
    assert project(points[:0], CORNER).s.shape == (0, 4)


def test_unknown_points_have_unknown_projections():
    points = np.array([[np.nan, 1.0], [4.0, 2.0]])
    found = project(points, CORNER)
    assert np.isnan(found.s).tolist() == np.isnan(found.d).tolist() == [True, False]
    assert found.segment.tolist() == [-1, 0]
    s, d = to_frenet(points, CORNER)
    assert np.isnan(s[0])
    assert np.isnan(d[0])


def test_more_points_than_fit_a_block_are_all_projected():
    line = smooth_line()
    points = np.random.default_rng(4).uniform(0, 100, (700, 2))
    together = project(points, line)
    np.testing.assert_array_equal(
        together.s, np.concatenate([project(part, line).s for part in np.split(points, 70)])
    )


def test_heights_do_not_count():
    line = np.column_stack([CORNER, [0.0, 99.0, np.nan]])
    points = np.array([[4.0, 2.0], [13.0, 6.0]])
    np.testing.assert_array_equal(project(points, line).s, [4, 16])
    np.testing.assert_array_equal(to_frenet(points, line)[1], [2, -3])
    np.testing.assert_array_equal(from_frenet(np.array([4.0]), np.array([2.0]), line), points[:1])


# Packed polylines


def packed(rng, number):
    counts = rng.integers(2, 30, number)
    parts = [np.cumsum(rng.normal(size=(count, 2)), axis=0) * 5 for count in counts]
    return parts, Segments.from_packed(np.concatenate(parts), np.append(0, np.cumsum(counts)))


@given(st.integers(0, 2**32 - 1))
def test_packed_projection_is_the_projection_onto_each_line(seed):
    rng = np.random.default_rng(seed)
    parts, segments = packed(rng, 6)
    points, of = rng.uniform(-30, 30, (60, 2)), rng.integers(0, 6, 60)
    found = project_packed(points, segments, of)
    for number, part in enumerate(parts):
        one = project(points[of == number], part)
        for field in ("s", "d", "segment", "foot"):
            np.testing.assert_allclose(
                getattr(found, field)[of == number], getattr(one, field), atol=1e-11
            )


def test_packed_projection_of_many_blocks_is_that_of_its_parts():
    rng = np.random.default_rng(8)
    _, segments = packed(rng, 50)
    points, of = rng.uniform(-30, 30, (9000, 2)), rng.integers(0, 50, 9000)
    together = project_packed(points, segments, of)
    parts = [
        project_packed(points[part], segments, of[part]).s for part in np.split(np.arange(9000), 30)
    ]
    np.testing.assert_array_equal(together.s, np.concatenate(parts))


def test_packed_projection_of_nothing_and_of_nan():
    _, segments = packed(np.random.default_rng(1), 3)
    assert project_packed(np.zeros((0, 2)), segments, np.zeros(0, int)).s.shape == (0,)
    found = project_packed(np.array([[np.nan, 0.0], [0.0, 0.0]]), segments, np.array([2, 2]))
    assert found.segment[0] == -1
    assert np.isnan(found.s).tolist() == [True, False]


def test_projecting_onto_a_polyline_without_direction_is_an_error_only_for_that_one():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0], [5.0, 5.0]])
    segments = Segments.from_packed(points, np.array([0, 2, 4]))
    assert project_packed(points[:1], segments, np.array([0])).s.tolist() == [0]
    with pytest.raises(InputError, match="two distinct vertices") as caught:
        project_packed(points[:2], segments, np.array([0, 1]))
    assert (caught.value.code, caught.value.where) == ("geometry", "polyline 1")


@pytest.mark.parametrize("polyline", [-1, 3])
def test_projecting_onto_a_polyline_that_is_not_there_is_an_error(polyline):
    _, segments = packed(np.random.default_rng(1), 3)
    with pytest.raises(InputError, match="no such polyline") as caught:
        project_packed(np.zeros((1, 2)), segments, np.array([polyline]))
    assert caught.value.code == "index"


# Frenet coordinates


def test_frenet_coordinates_run_on_straight_beyond_the_ends():
    points = np.array([[-3.0, 4.0], [14.0, 13.0], [9.0, 17.0], [4.0, -1.0]])
    s, d = to_frenet(points, CORNER)
    assert s.tolist() == [-3, 23, 27, 4]
    assert d.tolist() == [4, -4, 1, -1]
    assert from_frenet(s, d, CORNER).tolist() == points.tolist()


@given(
    arrays(float, 20, elements=st.floats(-20, 120)), arrays(float, 20, elements=st.floats(-5, 5))
)
def test_frenet_round_trip_on_a_smooth_line(s, d):
    line = smooth_line()
    points = from_frenet(s, d, line)
    again = from_frenet(*to_frenet(points, line), line)
    # The line turns by less than 0.02 rad at a vertex, and |d| is at most 5 m.
    assert np.all(np.hypot(*(again - points).T) <= np.abs(d) * 0.02 + 1e-9)
    np.testing.assert_allclose(to_frenet(points, line)[0], s, atol=0.11)


@given(lines(), clouds())
def test_frenet_round_trip_is_exact_off_the_vertices(line, points):
    s, d = to_frenet(points, line)
    length = arc_length(line)
    inside = np.abs(s[:, None] - length).min(axis=1) > 1e-6
    again = from_frenet(s, d, line)
    np.testing.assert_allclose(again[inside], points[inside], atol=1e-7)


def test_in_the_wedge_at_a_vertex_the_round_trip_turns_onto_the_next_segments_normal():
    point = np.array([12.0, -2.0])
    s, d = to_frenet(point, CORNER)
    assert (s, d) == (10, pytest.approx(-np.sqrt(8)))
    again = from_frenet(s, d, CORNER)
    np.testing.assert_allclose(again, [10 + np.sqrt(8), 0])
    assert np.hypot(*(again - point)) <= np.sqrt(8) * np.pi / 2


@given(lines(), clouds())
def test_frenet_and_projection_agree_between_the_ends(line, points):
    found = project(points, line)
    s, d = to_frenet(points, line)
    between = (s > 0) & (s < arc_length(line)[-1])
    np.testing.assert_array_equal(found.s[between], s[between])
    np.testing.assert_array_equal(found.d[between], d[between])


def test_frenet_coordinates_broadcast():
    s, d = np.array([1.0, 12.0]), np.array([[0.0], [1.0], [np.nan]])
    points = from_frenet(s, d, CORNER)
    assert points.shape == (3, 2, 2)
    assert points[1].tolist() == [[1, 1], [9, 2]]
    assert np.isnan(points[2]).all()
    assert from_frenet(2.0, 1.0, CORNER).tolist() == [2, 1]


@pytest.mark.parametrize("line", [np.zeros((0, 2)), np.ones((1, 2)), np.ones((3, 2))])
def test_a_line_without_direction_is_an_error(line):
    for call in (lambda: project(np.zeros((1, 2)), line), lambda: from_frenet(0.0, 0.0, line)):
        with pytest.raises(InputError, match="two distinct vertices") as caught:
            call()
        assert caught.value.code == "geometry"
