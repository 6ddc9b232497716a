import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from kerbstone.errors import InputError
from kerbstone.scene.transforms import SE2, SE3, angle_difference, wrap_angle

PI = np.pi
angles = st.floats(-1e4, 1e4)
metres = st.floats(-1e4, 1e4)
close = {"rtol": 1e-9, "atol": 1e-7}


@st.composite
def poses_2d(draw, batch=(3,)):
    return SE2(
        draw(arrays(float, (*batch, 2), elements=metres)),
        draw(arrays(float, batch, elements=angles)),
    )


@st.composite
def poses_3d(draw, batch=(3,)):
    seed = draw(st.integers(0, 2**32 - 1))
    quaternion = np.random.default_rng(seed).normal(size=(*batch, 4))
    return SE3.from_quaternion(quaternion, draw(arrays(float, (*batch, 3), elements=metres)))


def points(dimensions, shape=(3, 4)):
    return arrays(float, (*shape, dimensions), elements=metres)


def assert_same_pose(left, right):
    np.testing.assert_allclose(left.matrix(), right.matrix(), **close)


# Angles


def test_wrap_angle_takes_pi_to_minus_pi_and_keeps_minus_pi():
    assert wrap_angle(np.array([PI, -PI, 3 * PI, 0.0])).tolist() == [-PI, -PI, -PI, 0.0]


def test_wrap_angle_keeps_the_largest_angle_below_pi():
    below = np.nextafter(PI, 0.0)
    assert wrap_angle(below) == below
    assert wrap_angle(np.nextafter(-PI, -4.0)) == np.nextafter(PI, 0.0)


@given(arrays(float, array_shapes(), elements=st.floats(-1e12, 1e12)))
def test_wrap_angle_stays_in_range_and_is_idempotent_bit_for_bit(angle):
    wrapped = wrap_angle(angle)
    assert np.all((wrapped >= -PI) & (wrapped < PI))
    np.testing.assert_array_equal(wrap_angle(wrapped), wrapped)


@given(angles, st.integers(-100, 100))
def test_wrap_angle_forgets_whole_turns(angle, turns):
    difference = wrap_angle(angle + turns * 2 * PI) - wrap_angle(angle)
    assert abs(np.sin(difference / 2)) < 1e-10


def test_wrap_angle_leaves_nan_and_float32():
    wrapped = wrap_angle(np.array([np.nan, 4.0], np.float32))
    assert wrapped.dtype == np.float32
    assert np.isnan(wrapped[0])
    assert wrapped[1] == pytest.approx(4.0 - 2 * PI)


def test_angle_difference_goes_the_short_way_across_the_seam():
    assert angle_difference(np.array(-3.0), np.array(3.0)) == pytest.approx(2 * PI - 6)
    assert angle_difference(3.0, -3.0) == pytest.approx(6 - 2 * PI)


@given(angles, angles)
def test_angle_difference_leads_from_start_to_the_goal(to, start):
    assert abs(np.sin((start + angle_difference(to, start) - to) / 2)) < 1e-9


# Laws of both groups


@given(poses_2d(), points(2))
def test_inverse_of_se2_brings_points_back(pose, some):
    np.testing.assert_allclose(pose.inverse() @ (pose @ some), some, **close)
    assert_same_pose(pose @ pose.inverse(), SE2.identity(3))


@given(poses_3d(), points(3))
def test_inverse_of_se3_brings_points_back(pose, some):
    np.testing.assert_allclose(pose.inverse() @ (pose @ some), some, **close)
    assert_same_pose(pose @ pose.inverse(), SE3.identity(3))


@given(poses_2d(), poses_2d(), poses_2d(), points(2))
def test_composition_of_se2_is_associative(a, b, c, some):
    assert_same_pose((a @ b) @ c, a @ (b @ c))
    np.testing.assert_allclose((a @ b) @ some, a @ (b @ some), **close)


@given(poses_3d(), poses_3d(), poses_3d(), points(3))
def test_composition_of_se3_is_associative(a, b, c, some):
    assert_same_pose((a @ b) @ c, a @ (b @ c))
    np.testing.assert_allclose((a @ b) @ some, a @ (b @ some), **close)


@given(poses_2d(), poses_2d())
def test_composition_of_se2_multiplies_matrices(a, b):
    np.testing.assert_allclose((a @ b).matrix(), a.matrix() @ b.matrix(), **close)
    assert_same_pose(SE2.from_matrix(a.matrix()), a)


@given(poses_3d(), poses_3d())
def test_composition_of_se3_multiplies_matrices(a, b):
    np.testing.assert_allclose((a @ b).matrix(), a.matrix() @ b.matrix(), **close)
    assert_same_pose(SE3.from_matrix(a.matrix()), a)


@given(poses_3d(), points(3))
def test_transforms_keep_distances(pose, some):
    moved = pose @ some
    before = np.linalg.norm(some[:, :1] - some, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(moved[:, :1] - moved, axis=-1), before, **close)


@given(poses_3d(), points(3))
def test_rotate_turns_vectors_without_shifting_them(pose, some):
    expected = (pose @ some) - pose.translation[:, None]
    np.testing.assert_allclose(pose.rotate(some), expected, atol=1e-7)


@given(poses_2d(), poses_2d())
def test_angles_that_se2_computes_are_wrapped(a, b):
    for angle in (a.inverse().angle, (a @ b).angle):
        np.testing.assert_array_equal(wrap_angle(angle), angle)


# Batch axes


def test_batch_axes_line_up_from_the_first_axis():
    rng = np.random.default_rng(0)
    track = SE3.from_quaternion(rng.normal(size=(5, 4)), rng.normal(size=(5, 3)))
    cloud = rng.normal(size=(5, 7, 3))
    per_pose = np.stack([track[i] @ cloud[i] for i in range(5)])
    np.testing.assert_allclose(track @ cloud, per_pose, atol=1e-12)
    np.testing.assert_allclose(track @ cloud[:, 0], per_pose[:, 0], atol=1e-12)
    same = np.stack([track[i] @ cloud[0] for i in range(5)])
    np.testing.assert_allclose(track @ cloud[:1], same, atol=1e-12)
    np.testing.assert_allclose(track @ cloud[0, 0], same[:, 0], atol=1e-12)
    np.testing.assert_allclose(track[0] @ cloud, track[0] @ cloud.reshape(-1, 3).reshape(5, 7, 3))


@pytest.mark.parametrize("group", [SE2, SE3])
def test_composition_lines_batch_axes_up_as_points_do(group):
    track, fixed, many = group.identity(4), group.identity(), group.identity(4, 6)
    assert (track @ fixed).shape == (4,)
    assert (fixed @ track).shape == (4,)
    assert (track @ many).shape == (4, 6)
    assert (many @ track).shape == (4, 6)


def test_points_that_do_not_fit_the_poses_are_an_error():
    with pytest.raises(InputError, match="do not fit together") as caught:
        SE2.identity(4) @ np.zeros((3, 5, 2))
    assert caught.value.code == "shape"
    with pytest.raises(InputError, match="do not fit together"):
        SE3.identity(4) @ SE3.identity(5)


def test_points_of_the_wrong_dimension_are_an_error(unchecked):
    with pytest.raises(InputError, match="3 coordinates"):
        SE3.identity() @ np.zeros((5, 2))


def test_transforms_of_parts_that_do_not_fit_are_an_error(unchecked):
    with pytest.raises(InputError, match="rotation and translation"):
        SE3(rotation=np.zeros((2, 4)), translation=np.zeros((3, 3)))
    with pytest.raises(InputError, match="rotation and translation"):
        SE2(np.zeros((2, 2)), np.zeros(3))


def test_points_on_the_left_of_a_transform_are_a_type_error():
    with pytest.raises(TypeError):
        np.zeros((2, 2)) @ SE2.identity()
    with pytest.raises(TypeError):
        SE2.identity() @ SE3.identity()
    with pytest.raises(TypeError):
        SE3.identity() @ SE2.identity()


def test_indexing_picks_poses_and_never_coordinates():
    poses = SE2(np.arange(24.0).reshape(4, 3, 2), np.arange(12.0).reshape(4, 3))
    assert len(poses) == 4
    assert poses[1:3].shape == (2, 3)
    assert poses[..., 1].angle.tolist() == [1.0, 4.0, 7.0, 10.0]
    assert poses[2, 1].translation.tolist() == [14.0, 15.0]
    assert poses[2, 1].shape == ()
    assert poses[np.array([True, False, False, True])].shape == (2, 3)
    assert poses[:, None].shape == (4, 1, 3)
    with pytest.raises(IndexError):
        SE3.identity()[0]
    with pytest.raises(TypeError, match="no length"):
        len(SE3.identity())


def test_nan_poses_give_nan_and_leave_the_others():
    translation = np.array([[np.nan] * 3, [1.0, 2.0, 3.0]])
    rotation = np.array([[np.nan] * 4, [1.0, 0.0, 0.0, 0.0]])
    moved = SE3(rotation, translation) @ np.zeros((2, 5, 3))
    assert np.isnan(moved[0]).all()
    assert moved[1].tolist() == [[1.0, 2.0, 3.0]] * 5


# Conversions


@pytest.mark.parametrize(
    ("turn", "forward", "left"),
    [
        ({"yaw": PI / 2}, [0, 1, 0], [-1, 0, 0]),
        ({"pitch": PI / 2}, [0, 0, -1], [0, 1, 0]),
        ({"roll": PI / 2}, [1, 0, 0], [0, 0, 1]),
    ],
)
def test_euler_angles_turn_right_handed_about_each_axis(turn, forward, left):
    zero = {"roll": 0.0, "pitch": 0.0, "yaw": 0.0}
    pose = SE3.from_euler(**{**zero, **turn}, translation=np.zeros(3))
    np.testing.assert_allclose(pose @ np.eye(3)[:2], [forward, left], atol=1e-12)


@given(angles, st.floats(-1.5, 1.5), angles)
def test_euler_angles_apply_yaw_then_pitch_then_roll(roll, pitch, yaw):
    from scipy.spatial.transform import Rotation

    pose = SE3.from_euler(roll=roll, pitch=pitch, yaw=yaw, translation=np.zeros(3))
    expected = Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix()
    np.testing.assert_allclose(pose.matrix()[:3, :3], expected, atol=1e-9)
    assert abs(np.sin((pose.yaw - yaw) / 2)) < 1e-9


def test_se2_from_se3_keeps_x_y_and_yaw():
    pose = SE3.from_yaw(np.array([0.5, -2.0]), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    flat = SE2.from_se3(pose)
    np.testing.assert_allclose(flat.angle, [0.5, -2.0])
    assert flat.translation.tolist() == [[1.0, 2.0], [4.0, 5.0]]


def test_from_quaternion_scales_to_unit_length():
    pose = SE3.from_quaternion(np.array([2.0, 0.0, 0.0, 2.0]), np.zeros(3))
    np.testing.assert_allclose(pose @ np.array([1.0, 0, 0]), [0.0, 1.0, 0.0], atol=1e-12)
    with pytest.raises(InputError, match="zero") as caught:
        SE3.from_quaternion(np.zeros((2, 4)), np.zeros((2, 3)))
    assert caught.value.code == "geometry"


def test_from_matrix_takes_a_rounded_rotation_for_the_nearest_true_one():
    exact = SE3.from_euler(roll=0.1, pitch=-0.2, yaw=2.0, translation=np.array([1.0, 2.0, 3.0]))
    rounded = SE3.from_matrix(exact.matrix().round(5))
    np.testing.assert_allclose(rounded.matrix(), exact.matrix(), atol=2e-5)
    np.testing.assert_allclose(np.linalg.norm(rounded.rotation), 1.0, atol=1e-14)


@pytest.mark.parametrize("group", [SE2, SE3])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: m * 2,
        lambda m: np.flip(m, axis=-2),
        lambda m: m @ np.diag([-1.0] + [1.0] * (len(m) - 1)),
        lambda m: np.where(m == 0, np.nan, m),
        lambda m: m + np.eye(len(m))[::-1] * np.nan,
        lambda m: m + 0.01,
    ],
    ids=["scaled", "flipped", "mirrored", "nan", "nan-shift", "sheared"],
)
def test_from_matrix_refuses_what_is_no_rigid_transform(group, spoil):
    good = group.identity().matrix()
    with pytest.raises(InputError, match="not a rigid transform") as caught:
        group.from_matrix(np.stack([good, spoil(good)]))
    assert caught.value.code == "geometry"
    assert caught.value.where == "matrix (1,)"


def test_from_matrix_reads_no_matrices_as_no_poses():
    assert SE3.from_matrix(np.zeros((0, 4, 4))).shape == (0,)
    assert SE2.from_matrix(np.zeros((0, 3, 3))).shape == (0,)


# Interpolation

TIMES = np.array([0, 100, 300], np.int64) + 1_700_000_000_000_000_000


def track():
    yaw = np.array([0.0, 0.4, 3.1])
    return SE3.from_yaw(yaw, np.array([[0.0, 0, 0], [1.0, 2.0, 3.0], [2.0, 2.0, 3.0]]))


def test_interpolation_gives_the_track_itself_at_its_own_times():
    found = track().interpolate(TIMES, TIMES)
    np.testing.assert_array_equal(found.rotation, track().rotation)
    np.testing.assert_array_equal(found.translation, track().translation)


def test_interpolation_turns_and_moves_evenly():
    found = track().interpolate(TIMES, TIMES[0] + np.array([25, 50, 200]))
    np.testing.assert_allclose(found.yaw, [0.1, 0.2, 1.75], atol=1e-12)
    np.testing.assert_allclose(found.translation[2], [1.5, 2.0, 3.0])


def test_interpolation_does_not_mind_the_sign_of_quaternions():
    flipped = SE3(track().rotation * np.array([[1.0], [-1.0], [1.0]]), track().translation)
    at = TIMES[0] + np.array([30, 170])
    expected = track().interpolate(TIMES, at).matrix()
    np.testing.assert_allclose(flipped.interpolate(TIMES, at).matrix(), expected, atol=1e-12)


@given(poses_3d((4,)), st.lists(st.integers(0, 1000), min_size=1, max_size=9))
def test_interpolation_agrees_with_scipy_slerp(poses, query):
    from scipy.spatial.transform import Rotation, Slerp

    times = np.array([0, 10, 400, 1000])
    xyzw = poses.rotation[:, [1, 2, 3, 0]]
    expected = Slerp(times, Rotation.from_quat(xyzw))(query).as_matrix()
    found = poses.interpolate(times, np.array(query))
    np.testing.assert_allclose(found.matrix()[:, :3, :3], expected, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(found.rotation, axis=-1), 1.0, atol=1e-12)


def test_interpolation_follows_the_shape_of_the_query():
    several = SE3.identity(3, 2)
    assert several.interpolate(TIMES, np.full((5, 4), TIMES[1] + 7)).shape == (5, 4, 2)
    assert track().interpolate(TIMES, int(TIMES[0]) + 50).shape == ()


def test_interpolation_next_to_an_unknown_pose_is_nan_but_known_poses_stay():
    poses = track()
    translation = poses.translation.copy()
    translation[2] = np.nan
    found = SE3(poses.rotation, translation).interpolate(TIMES, TIMES[1] + np.array([0, 1]))
    np.testing.assert_array_equal(found.translation[0], [1.0, 2.0, 3.0])
    assert np.isnan(found.translation[1]).all()


@pytest.mark.parametrize("late", [-1, 301])
def test_interpolation_outside_the_track_is_an_error(late):
    with pytest.raises(InputError, match="outside its track") as caught:
        track().interpolate(TIMES, TIMES[:1] + late)
    assert caught.value.code == "clock"
    assert str(TIMES[0] + late) in caught.value.why


def test_interpolation_needs_times_that_rise_and_fit():
    with pytest.raises(InputError, match="do not rise") as caught:
        track().interpolate(TIMES[[0, 2, 2]], TIMES[:1])
    assert caught.value.where == "pose 2"
    with pytest.raises(InputError, match="do not fit"):
        track().interpolate(TIMES[:2], TIMES[:1])
    with pytest.raises(InputError, match="empty track"):
        SE3.identity(0).interpolate(TIMES[:0], TIMES[:1])
