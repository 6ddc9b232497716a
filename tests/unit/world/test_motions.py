"""A track tells how it moves by what fills what is left out of it."""

import numpy as np
import pytest

from kerbstone.world import gaps
from kerbstone.world.gaps import fill
from kerbstone.world.motions import FORCES, Motion, tell_motion
from random_walks import walk


def find_forces(motion, cells=10):
    """Order and level of the force that counts most in a gap of each track."""
    count = len(motion.error)
    weight = motion.weigh_forces(np.arange(count), np.full(count, cells), np.full(count, 40))
    return FORCES[weight.argmax(axis=1)].T


def test_what_trembles_is_told_from_what_is_driven():
    rough = walk(2, 0.05, 200, 110, 1)
    valid = np.ones((200, 110), bool)
    trembling = tell_motion(rough + np.random.default_rng(0).normal(0, 0.3, rough.shape), valid)
    weight = trembling.weigh_forces(np.arange(200), np.full(200, 10), np.full(200, 40))
    deviation = (weight * trembling.deviation).sum(axis=1)
    assert np.median(deviation) == pytest.approx(0.3, rel=0.1)
    level, of_rough = find_forces(trembling)[1], find_forces(tell_motion(rough, valid))[1]
    assert np.median(level) < np.median(of_rough)


@pytest.mark.parametrize("cells", [10, 40])
@pytest.mark.parametrize(
    ("order", "force", "noise"),
    [(2, 0.05, 0.0), (2, 0.05, 0.03), (2, 0.5, 0.05), (3, 1.0, 0.0), (3, 1.0, 0.03)],
)
def test_a_gap_is_filled_about_as_well_as_by_the_force_that_drives_it(
    monkeypatch, order, force, noise, cells
):
    truth = walk(order, force, 200, 110, order)
    seen = truth + np.random.default_rng(0).normal(0, noise, truth.shape)
    own, every = miss_gap(monkeypatch, truth, seen, cells)
    assert own < 1.15 * min(every)
    assert own < 0.8 * max(every)


def test_a_gap_is_filled_no_worse_than_by_the_one_force_that_is_best_for_all(monkeypatch):
    # Half of them accelerate at random; the others tremble a lot beside a steady drive.
    truth = np.concatenate([walk(2, 0.5, 60, 110, 1), walk(3, 0.001, 60, 110, 2)])
    seen = truth + np.random.default_rng(0).normal(0, 0.05, truth.shape)
    own, every = miss_gap(monkeypatch, truth, seen, 10)
    assert own < 0.95 * min(every)


def miss_gap(monkeypatch, truth, seen, cells):
    """Mean distance within a gap by how each track moves, and by each force alone."""
    valid = np.ones(truth.shape[:2], bool)
    valid[:, 50 : 50 + cells] = False

    def miss():
        place, _, _ = fill(seen, valid)
        return np.linalg.norm((place - truth)[:, 50 : 50 + cells], axis=-1).mean()

    own, every = miss(), []
    for force in FORCES:
        error = np.tile(np.where((force == FORCES).all(axis=1), 1.0, 9.0), (len(truth), 1))
        one = Motion(error, np.full(len(truth), 1e6), np.ones_like(error))
        monkeypatch.setattr(gaps, "tell_motion", lambda *_, one=one: one)
        every.append(miss())
    return own, every


def test_a_track_of_which_little_is_seen_moves_as_the_others_do():
    seen = walk(3, 1.0, 40, 110, 2)
    valid = np.ones((40, 110), bool)
    # Cells on either side of a gap, too few to leave any out.
    valid[0, 8:-8] = False
    found = tell_motion(seen, valid)
    order, level = find_forces(found)
    assert order[0] == 3
    alone = find_forces(tell_motion(seen[:1], valid[:1]))[1]
    assert np.median(level[1:]) >= level[0] > alone[0]
    assert found.places[0] < found.places[1:].min()


def test_tracks_too_short_to_tell_have_a_usual_motion():
    valid = np.zeros((3, 40), bool)
    valid[0, [0, 39]] = True
    valid[1, [0, 4, 8]] = True
    found = tell_motion(np.random.default_rng(0).normal(size=(3, 40, 2)), valid)
    assert not found.places.any()
    # Over longer gaps a weaker force is the usual one.
    levels = [find_forces(found, cells)[1] for cells in (10, 25, 40)]
    assert levels[0][0] > levels[1][0] >= levels[2][0]
    assert (found.deviation > 0).all()
    # Windows of no step, and of nobody.
    for shape in ((2, 0), (0, 40), (1, 2)):
        found = tell_motion(np.zeros((*shape, 2)), np.ones(shape, bool))
        assert found.error.shape == (shape[0], len(FORCES))


def test_forces_that_hardly_count_do_not_count():
    error = np.full((1, len(FORCES)), 1.5)
    error[0, 3], error[0, 4] = 1.0, 1.02
    motion = Motion(error, np.array([1e9]), np.ones_like(error))
    weight = motion.weigh_forces(np.array([0]), np.array([20]), np.array([40]))
    assert np.flatnonzero(weight[0]).tolist() == [3, 4]
    assert weight.sum() == pytest.approx(1.0)
    assert weight[0, 3] > weight[0, 4]
