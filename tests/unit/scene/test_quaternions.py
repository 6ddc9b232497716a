import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kerbstone.scene import quaternions

seeds = st.integers(0, 2**32 - 1)


def some(seed, *shape):
    drawn = np.random.default_rng(seed).normal(size=(*shape, 4))
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


@given(seeds)
def test_products_of_quaternions_are_products_of_matrices(seed):
    left, right = some(seed, 2, 3)
    product = quaternions.to_matrix(quaternions.multiply(left, right))
    expected = quaternions.to_matrix(left) @ quaternions.to_matrix(right)
    np.testing.assert_allclose(product, expected, atol=1e-12)


@given(seeds)
def test_conjugates_turn_back(seed):
    rotation = some(seed, 5)
    back = quaternions.multiply(rotation, quaternions.conjugate(rotation))
    np.testing.assert_allclose(back, np.tile([1.0, 0, 0, 0], (5, 1)), atol=1e-12)


@given(seeds)
def test_matrices_round_trip_with_w_not_negative(seed):
    rotation = some(seed, 2, 3)
    found = quaternions.from_matrix(quaternions.to_matrix(rotation))
    sign = np.where(rotation[..., :1] < 0, -1, 1)
    np.testing.assert_allclose(found, sign * rotation, atol=1e-9)


@given(seeds, st.floats(0, 1))
def test_slerp_turns_by_its_share_of_the_angle(seed, share):
    start = some(seed)
    step = quaternions.turn_about(1, 0.8)
    found = quaternions.slerp(start, quaternions.multiply(start, step), np.array([share]))
    turned = quaternions.multiply(start, quaternions.turn_about(1, 0.8 * share))
    np.testing.assert_allclose(found, turned, atol=1e-12)


def test_slerp_between_equal_rotations_stays_there():
    rotation = some(3)
    np.testing.assert_allclose(
        quaternions.slerp(rotation, rotation, np.array([0.3])), rotation, atol=1e-15
    )


def test_yaw_of_a_turn_about_z_is_its_angle():
    angles = np.array([-3.0, 0.0, 1.0, 3.1])
    np.testing.assert_allclose(quaternions.yaw_of(quaternions.turn_about(2, angles)), angles)
