"""Gaps are filled as the track itself moves."""

import numpy as np
import pytest

from kerbstone.world.baselines.smoothing import smooth
from kerbstone.world.bridges import fill, tell_motion, weigh
from kerbstone.world.windows import STEP


def walk(order, force, agents, steps, seed):
    """Tracks whose acceleration or jerk is random: x + iy."""
    rng = np.random.default_rng(seed)
    fine = 10
    noise = rng.normal(0, np.sqrt(force / (STEP / fine)), (2, agents, steps * fine))
    moved = noise
    for _ in range(order):
        moved = np.cumsum(moved, axis=-1) * STEP / fine
    start = rng.normal(0, 5, (2, agents, 1)) * STEP / fine * np.arange(steps * fine)
    return np.moveaxis((moved + start)[..., ::fine], 0, -1)


def with_gap(valid, first, last):
    valid = valid.copy()
    valid[:, first:last] = False
    return valid


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("level", [2, 8, 12])
def test_a_bridge_is_what_the_smoother_says(order, level):
    rng = np.random.default_rng(level)
    position = walk(order, 1.0, 3, 45, 0) + rng.normal(0, 0.05, (3, 45, 2))
    valid = with_gap(np.ones((3, 45), bool), 18, 31)
    bridge = weigh(order, level, 13, 18, 14)
    seen = position[:, valid[0]]
    place, velocity = smooth(position @ [1, 1j], valid, order=order, ratio=10.0 ** (level / 2))
    origin = seen[:, :1]
    mine = origin + bridge.place @ (seen - origin)
    np.testing.assert_allclose(mine @ [1, 1j], place[:, 18:31], atol=1e-4)
    speed = bridge.velocity @ (seen - origin)
    np.testing.assert_allclose(speed @ [1, 1j], velocity[:, 18:31], atol=1e-4)


def test_a_gap_in_a_steady_turn_of_speed_is_filled():
    time = STEP * np.arange(60)
    position = np.stack([10 * time, 0.6 * time**2], axis=-1)[None]
    place, velocity, spread = fill(position, with_gap(np.ones((1, 60), bool), 25, 45))
    np.testing.assert_allclose(place[0, 25:45], position[0, 25:45], atol=1e-3)
    np.testing.assert_allclose(velocity[0, 25:45, 1], 1.2 * time[25:45], atol=1e-2)
    assert np.isnan(place[0, :25]).all()
    assert np.isnan(spread[0, 45:]).all()


def test_what_is_not_between_seen_cells_is_no_gap():
    valid = np.zeros((4, 30), bool)
    valid[0, 5:10] = True
    valid[1, [3, 20]] = True
    valid[2, :] = True
    place, _, _ = fill(np.ones((4, 30, 2)), valid)
    assert np.flatnonzero(np.isfinite(place).all(axis=2).any(axis=1)).tolist() == [1]
    assert np.flatnonzero(np.isfinite(place[1, :, 0])).tolist() == list(range(4, 20))
    # Two places alone are joined by a straight line.
    position = np.zeros((1, 30, 2))
    position[0, 20] = [17.0, 3.4]
    place, velocity, _ = fill(position, valid[1:2])
    np.testing.assert_allclose(place[0, 4:20, 0], np.arange(1, 17), atol=0.05)
    np.testing.assert_allclose(velocity[0, 4:20, 0], 10.0, atol=0.2)


@pytest.mark.parametrize(("order", "force"), [(2, 0.05), (3, 1.0)])
def test_how_far_off_it_may_be_is_told(order, force):
    truth = walk(order, force, 300, 90, 3)
    noisy = truth + np.random.default_rng(4).normal(0, 0.01, truth.shape)
    valid = with_gap(np.ones((300, 90), bool), 35, 55)
    place, _, spread = fill(noisy, valid)
    off = (place - truth)[:, 35:55]
    share = off / spread[:, 35:55, None]
    assert 0.5 < np.sqrt(np.mean(share**2)) < 2.0
    # In the middle it is told to be further off than at the ends.
    assert (spread[:, 45] > 1.5 * spread[:, 35]).all()


def test_a_track_tells_what_drives_it():
    rough, even = walk(2, 0.05, 200, 110, 1), walk(3, 1.0, 200, 110, 2)
    valid = np.ones((200, 110), bool)
    assert np.mean(tell_motion(even, valid).order == 3) > 0.9
    noise = np.random.default_rng(0).normal(0, 0.3, rough.shape)
    assert np.mean(tell_motion(rough + 0.1 * noise, valid).order == 2) > 0.9
    trembling = tell_motion(rough + noise, valid)
    assert np.median(trembling.deviation) == pytest.approx(0.3, rel=0.1)
    assert np.median(trembling.level) < np.median(tell_motion(rough, valid).level)


def test_a_track_too_short_to_tell_has_a_usual_motion():
    valid = np.zeros((3, 40), bool)
    valid[0, [0, 39]] = True
    # Three with holes between: a lag of four alone can be measured.
    valid[1, [0, 4, 8]] = True
    found = tell_motion(np.random.default_rng(0).normal(size=(3, 40, 2)), valid)
    assert set(found.order.tolist()) == {2}
    assert ((found.level >= 0) & (found.level <= 16)).all()
