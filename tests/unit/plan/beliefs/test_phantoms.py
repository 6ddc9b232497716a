"""The belief over those who are hidden."""

import dataclasses

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.plan.beliefs import Habits, existence_of, is_in_view, look, suspect

STILL = Habits(arrival=0.0, departure=0.0, emergence=0.0, detection=1.0)
HIDDEN = np.ones((1, 10), bool)


def first_cells_seen(count):
    return (np.arange(10) < count)[None]


def test_seeing_half_of_the_region_empty_is_bayes_rule():
    mass = look(suspect(np.array([0.4]), HIDDEN), first_cells_seen(5), 0.1, STILL)
    assert existence_of(mass) == pytest.approx([0.2 / 0.8])
    assert mass[0, :5] == pytest.approx(np.zeros(5))


def test_seeing_all_of_it_empty_leaves_nobody():
    mass = look(suspect(np.array([0.4]), HIDDEN), ~HIDDEN | True, 0.1, STILL)
    assert existence_of(mass) == pytest.approx([0.0])
    sure = look(suspect(np.array([1.0]), HIDDEN), ~HIDDEN | True, 0.1, STILL)
    assert existence_of(sure) == pytest.approx([0.0])


def test_looking_twice_with_poor_eyes_tells_more_than_once():
    poor = dataclasses.replace(STILL, detection=0.5)
    once = look(suspect(np.array([0.5]), HIDDEN), HIDDEN, 0.1, poor)
    twice = look(once, HIDDEN, 0.1, poor)
    assert existence_of(once) == pytest.approx([0.5 * 0.5 / 0.75])
    assert existence_of(twice) == pytest.approx([0.125 / 0.625])


def test_that_nobody_steps_out_speaks_against_somebody():
    eager = dataclasses.replace(STILL, emergence=0.3)
    mass = suspect(np.array([0.5]), HIDDEN)
    for _ in range(20):
        mass = look(mass, ~HIDDEN, 0.25, eager)
    stays = 0.5 * np.exp(-0.3 * 5.0)
    assert existence_of(mass) == pytest.approx([stays / (stays + 0.5)])


def test_time_out_of_sight_brings_the_doubt_back():
    habits = dataclasses.replace(STILL, arrival=0.05, departure=0.2)
    mass = suspect(np.array([0.0]), HIDDEN)
    for _ in range(4000):
        mass = look(mass, ~HIDDEN, 0.05, habits)
    assert existence_of(mass) == pytest.approx([0.05 / 0.25], rel=0.01)


def test_nobody_comes_unseen_into_what_is_in_view():
    habits = dataclasses.replace(STILL, arrival=0.5)
    mass = look(suspect(np.array([0.0]), HIDDEN), first_cells_seen(4), 1.0, habits)
    assert mass[0, :4] == pytest.approx(np.zeros(4))
    assert existence_of(mass) == pytest.approx([-np.expm1(-0.5 * 0.6)])


def test_belief_is_the_share_among_those_of_whom_nothing_was_seen():
    # An independent simulation of single people, kept where nobody was noticed.
    habits = Habits(arrival=0.1, departure=0.05, emergence=0.3, detection=0.8)
    rng = np.random.default_rng(0)
    people, dt = 200_000, 0.25
    cell = np.where(rng.random(people) < 0.35, rng.integers(0, 10, people), -1)
    kept = np.ones(people, bool)
    mass = suspect(np.array([0.35]), HIDDEN)
    for count in (0, 0, 2, 4, 7):
        view = first_cells_seen(count)
        there = cell >= 0
        leaves = there & (rng.random(people) < -np.expm1(-habits.departure * dt))
        share = 1.0 - count / 10
        comes = ~there & (rng.random(people) < -np.expm1(-habits.arrival * dt * share))
        cell = np.where(leaves, -1, np.where(comes, rng.integers(count, 10, people), cell))
        there = cell >= 0
        is_seen = there & (cell < count) & (rng.random(people) < habits.detection)
        out = there & (cell >= count) & (rng.random(people) < -np.expm1(-habits.emergence * dt))
        kept &= ~is_seen & ~out
        mass = look(mass, view, dt, habits)
        wanted = [(kept & (cell == c)).sum() / kept.sum() for c in range(10)]
        assert mass[0] == pytest.approx(wanted, abs=0.004)


def test_regions_and_batches_are_each_alone():
    rng = np.random.default_rng(1)
    mass = rng.dirichlet(np.ones(11), size=(3, 2))[..., :10]
    view = rng.random((3, 2, 10)) < 0.3
    together = look(mass, view, 0.2)
    for i in range(3):
        for j in range(2):
            alone = look(mass[i, j][None], view[i, j][None], 0.2)
            assert alone[0] == pytest.approx(together[i, j])


def test_a_region_without_hidden_cells_holds_nobody():
    assert existence_of(suspect(np.array([0.9]), ~HIDDEN)) == pytest.approx([0.0])


def test_a_parked_van_hides_what_lies_behind_it_and_less_from_near():
    van = np.array([[30.0, -3.0, 0.0, 6.0, 2.0]])
    places = np.stack([np.full(8, 34.0), np.linspace(-4.0, -0.5, 8)], axis=-1)[None]
    far = is_in_view(np.array([0.0, 0.0]), places, van)[0]
    near = is_in_view(np.array([31.0, 0.0]), places, van)[0]
    past = is_in_view(np.array([36.0, 0.0]), places, van)[0]
    # From far the line past the corner (33, -2) meets x = 34 at y = -2.06.
    assert far.tolist() == (places[0, :, 1] > -2.06).tolist()
    # From near it meets it at y = -3, where it touches the corner: that is cut.
    assert near.tolist() == (places[0, :, 1] > -2.999).tolist()
    assert past.all()
    assert is_in_view(np.array([0.0, 0.0]), places, np.zeros((0, 5))).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: suspect(np.array([1.2]), HIDDEN),
        lambda: suspect(np.array([np.nan]), HIDDEN),
        lambda: look(np.full((1, 10), 0.2), HIDDEN, 0.1),
        lambda: look(np.full((1, 10), np.nan), HIDDEN, 0.1),
        lambda: look(np.full((1, 10), 0.01), HIDDEN, -0.1),
        lambda: Habits(arrival=-1.0),
        lambda: Habits(detection=1.5),
        lambda: Habits(speed=0.0),
    ],
)
def test_what_cannot_be_is_an_error(call):
    with pytest.raises(InputError):
        call()
