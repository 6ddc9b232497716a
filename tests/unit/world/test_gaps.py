"""Gaps are filled as the track itself moves."""

import numpy as np
import pytest

from kerbstone.world import gaps
from kerbstone.world.gaps import fill
from kerbstone.world.motions import FORCES, Motion
from kerbstone.world.windows import STEP
from random_walks import walk


def with_gap(valid, first, last):
    valid = valid.copy()
    valid[:, first:last] = False
    return valid


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


def test_where_forces_differ_it_may_be_further_off(monkeypatch):
    position = walk(3, 1.0, 1, 80, 5)
    valid = with_gap(np.ones((1, 80), bool), 30, 50)

    def fill_by(*forces):
        error = np.where(np.isin(np.arange(len(FORCES)), forces), 1.0, 9.0)[None]
        # Each alone is sure of its path.
        motion = Motion(error, np.array([1e9]), np.full(error.shape, 1e-9))
        monkeypatch.setattr(gaps, "tell_motion", lambda *_: motion)
        place, _, spread = fill(position, valid)
        return place[0, 30:50], spread[0, 30:50]

    (one, sure), (other, _), (both, spread) = fill_by(2), fill_by(15), fill_by(2, 15)
    np.testing.assert_allclose(both, (one + other) / 2, atol=1e-6)
    np.testing.assert_allclose(spread, np.sqrt(((one - other) ** 2).mean(axis=1)) / 2, atol=1e-5)
    assert (sure < 1e-4).all()
    assert spread.max() > 0.01
