"""A track tells how it moves by what fills best what is left out of it."""

import numpy as np
import pytest

from kerbstone.world import gaps
from kerbstone.world.gaps import fill
from kerbstone.world.motions import Motion, tell_motion
from random_walks import walk


def test_what_trembles_is_told_from_what_is_driven():
    rough = walk(2, 0.05, 200, 110, 1)
    valid = np.ones((200, 110), bool)
    trembling = tell_motion(rough + np.random.default_rng(0).normal(0, 0.3, rough.shape), valid)
    assert np.median(trembling.deviation) == pytest.approx(0.3, rel=0.1)
    assert np.median(trembling.level) < np.median(tell_motion(rough, valid).level)


@pytest.mark.parametrize(
    ("order", "force", "noise", "share"),
    [(2, 0.05, 0.0, 0.9), (2, 0.05, 0.03, 0.8), (3, 1.0, 0.0, 0.9), (3, 1.0, 0.03, 0.9)],
)
def test_what_drives_a_track_is_told(order, force, noise, share):
    truth = walk(order, force, 200, 110, order)
    seen = truth + np.random.default_rng(0).normal(0, noise, truth.shape)
    found = tell_motion(seen, np.ones((200, 110), bool))
    assert np.mean(found.order == order) > share


def test_a_gap_is_filled_no_worse_than_by_the_one_force_that_is_best_for_all(monkeypatch):
    # Half of them accelerate at random; the others tremble a lot beside a steady drive.
    truth = np.concatenate([walk(2, 0.5, 60, 110, 1), walk(3, 0.001, 60, 110, 2)])
    seen = truth + np.random.default_rng(0).normal(0, 0.05, truth.shape)
    valid = np.ones((120, 110), bool)
    valid[:, 50:60] = False

    def miss():
        place, _, _ = fill(seen, valid)
        return np.linalg.norm((place - truth)[:, 50:60], axis=-1).mean()

    own = miss()
    every = []
    for order in (2, 3):
        for level in range(17):
            one = Motion(np.full(120, order), np.full(120, level), np.ones(120))
            monkeypatch.setattr(gaps, "tell_motion", lambda *_, one=one: one)
            every.append(miss())
    assert own < 0.95 * min(every)


def test_a_track_of_which_little_is_seen_moves_as_the_others_do():
    seen = walk(3, 1.0, 40, 110, 2)
    valid = np.ones((40, 110), bool)
    # Cells on either side of a gap, too few to leave any out.
    valid[0, 8:-8] = False
    found = tell_motion(seen, valid)
    one, others = found.level[0], found.level[1:]
    assert found.order[0] == 3
    assert abs(one - np.median(others)) <= 2


def test_tracks_too_short_to_tell_have_a_usual_motion():
    valid = np.zeros((3, 40), bool)
    valid[0, [0, 39]] = True
    valid[1, [0, 4, 8]] = True
    found = tell_motion(np.random.default_rng(0).normal(size=(3, 40, 2)), valid)
    assert set(found.order.tolist()) == {2}
    assert set(found.level.tolist()) == {8}
    assert (found.deviation > 0).all()
    # Windows of no step, and of nobody.
    for shape in ((2, 0), (0, 40), (1, 2)):
        found = tell_motion(np.zeros((*shape, 2)), np.ones(shape, bool))
        assert len(found.order) == shape[0]
