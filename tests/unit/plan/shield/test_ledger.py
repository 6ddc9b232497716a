from dataclasses import replace

import numpy as np
import pytest
import shapely

from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.ledger import Assumption, Ledger
from kerbstone.plan.shield.motion import advance
from kerbstone.plan.shield.shield import Shield
from kerbstone.plan.shield.surroundings import BlindPlaces, BlindStretches
from shielded import SHARP, VEHICLE, leader, seen, states, straight_road


def watch(view, *, assumptions=SHARP, road=None, speed=20.0, steps=15, nudge=None, wish=(0.0, 0.0)):
    """Drive one episode and return its ledger; `view(time)` is what is seen, `nudge` moves ego."""
    shield = Shield(road or straight_road(2), assumptions=assumptions)
    state = states([speed])
    shield.start(state, view(0.0))
    ledger = Ledger(shield, state, view(0.0))
    for k in range(steps):
        now = view(k * 0.1)
        decision = shield.step(state, np.array([wish]), now)
        ledger.record(state, now, decision)
        state = advance(state, decision.control, 0.1, VEHICLE)
        if nudge is not None:
            state = nudge(state, k)
        after = view((k + 1) * 0.1)
        ledger.observe(state, after)
    return ledger


def braking_lead(pull, begin=0.3):
    def view(time):
        after = max(time - begin, 0.0)
        after = min(after, 20.0 / pull)
        x = 40.0 + 20.0 * min(time, begin) + 20.0 * after - pull * after**2 / 2
        return seen([[[x, 0.0]]], 0.0, max(20.0 - pull * max(time - begin, 0.0), 0.0))

    return view


def test_nothing_is_broken_while_all_keep_to_the_rules(unchecked):
    for assumptions in (SHARP, Assumptions()):
        ledger = watch(braking_lead(7.9), assumptions=assumptions)
        assert not ledger.broken.any()
        assert ledger.attribute()[0] == Assumption.NONE


def test_no_failsafe_at_the_start_is_a1():
    ledger = watch(lambda _: leader(np.array([3.0]), np.zeros(1)), steps=1)
    assert ledger.attribute()[0] == Assumption.START


@pytest.mark.parametrize("pull", [9.0, 14.0])
def test_braking_harder_than_assumed_is_a2(unchecked, pull):
    ledger = watch(braking_lead(pull))
    assert ledger.attribute()[0] == Assumption.OTHERS
    assert 0.3 <= ledger.since[0, Assumption.OTHERS] <= 0.6


def test_swerving_into_ego_from_beside_is_a2(unchecked):
    def view(time):
        y = 3.5 - max(time - 0.5, 0.0) * 1.5
        return seen([[[3.0 + 20.0 * time, y]]], -0.075 * (time > 0.5), 20.0)

    assert watch(view, steps=20, wish=(-20.0, 0.0)).broken[0, Assumption.OTHERS]


def test_cutting_in_far_ahead_is_allowed(unchecked):
    def view(time):
        phase = np.pi * np.clip((time - 0.2) / 4.0, 0.0, 1.0)
        y, drift = 1.75 + 1.75 * np.cos(phase), -1.75 * np.pi / 4.0 * np.sin(phase)
        return seen([[[130.0 + 20.0 * time, y]]], drift / 20.0, 20.0)

    assert not watch(view, steps=45).broken.any()


def test_one_that_appears_from_nowhere_is_a3_and_from_a_blind_place_is_not(unchecked):
    place = BlindPlaces(
        np.array([[[60.0, 6.0]]]), np.array([[[60.0, 6.0]]]), np.array([[1.0]]), np.array([[True]])
    )
    for where, broken in (((60.0, 6.0), False), ((90.0, 6.0), True)):

        def view(time, where=where):
            return seen(
                [[where]], 0.0, 0.0, kind=9, size=(0.5, 0.5), valid=time > 0.45, places=place
            )

        ledger = watch(view, speed=8.0)
        assert ledger.broken[0, Assumption.PERCEPTION] == broken


@pytest.mark.parametrize(
    ("where", "broken"),
    [((60.0, 3.5), False), ((60.0, 4.2), False), ((60.0, 5.1), True), ((90.0, 3.5), True)],
)
def test_who_comes_out_of_a_blind_stretch_was_within_its_lane(unchecked, where, broken):
    stretch = BlindStretches(
        np.array([[1]]), np.array([[2050.0]]), np.array([[2070.0]]), np.array([[True]])
    )

    def view(time):
        return seen([[where]], 0.0, 0.0, valid=time > 0.45, stretches=stretch)

    ledger = watch(view, speed=8.0)
    assert ledger.broken[0, Assumption.PERCEPTION] == broken


def test_a_truth_beyond_the_stated_errors_is_a3():
    shield = Shield(straight_road(), assumptions=SHARP)
    view = leader(np.array([50.0]), np.array([20.0]))
    shield.start(states([20.0]), view)
    ledger = Ledger(shield, states([20.0]), view)
    decision = shield.step(states([20.0]), np.zeros((1, 2)), view)
    ledger.record(states([20.0]), view, decision)
    later = replace(view, position=view.position + np.array([2.0, 0.0]))
    ledger.observe(decision.expected, later, truth=later)
    assert not ledger.broken[0, Assumption.PERCEPTION]
    truth = replace(later, position=later.position - [0.3, 0.0])
    ledger.observe(decision.expected, later, truth=truth)
    assert ledger.broken[0, Assumption.PERCEPTION]


@pytest.mark.parametrize(("column", "by"), [(0, 0.2), (1, 0.2), (2, 0.02)])
def test_leaving_the_tube_is_a4(unchecked, column, by):
    def nudge(state, step):
        if step == 4:
            state = state.copy()
            state[:, column] += by
        return state

    empty = lambda _: seen(np.zeros((1, 0, 2)), 0.0, 0.0)
    ledger = watch(empty, assumptions=Assumptions(), nudge=nudge)
    assert ledger.attribute()[0] == Assumption.TRACKING
    assert not watch(empty, assumptions=Assumptions()).broken.any()


def test_leaving_out_what_is_between_the_grid_points_is_a5(unchecked):
    ledger = watch(braking_lead(5.0), assumptions=replace(SHARP, covers_intervals=False))
    assert ledger.attribute()[0] == Assumption.ARITHMETIC


def test_standing_where_ego_must_not_is_a6(unchecked):
    road = straight_road(no_stopping=shapely.box(0, -2, 9, 2))
    empty = lambda _: seen(np.zeros((1, 0, 2)), 0.0, 0.0)
    ledger = watch(empty, road=road, speed=0.0, steps=1)
    assert ledger.broken[0, Assumption.REST]
    assert ledger.broken[0, Assumption.START]


def test_a_touch_by_one_that_follows_is_a2(unchecked):
    shield = Shield(straight_road(), assumptions=SHARP)
    view = seen([[[-8.0, 0.0], [40.0, 0.0]]], 0.0, 20.0)
    shield.start(states([20.0]), view)
    ledger = Ledger(shield, states([20.0]), view)
    ledger.note_contacts(np.array([[False, True]]))
    assert not ledger.broken.any()
    ledger.note_contacts(np.array([[True, False]]))
    assert ledger.attribute()[0] == Assumption.OTHERS


def test_one_that_is_there_but_not_seen_is_a3(unchecked):
    shield = Shield(straight_road(), assumptions=SHARP)
    view = seen([[[60.0, 0.0]]], 0.0, 20.0, valid=False)
    shield.start(states([20.0]), view)
    ledger = Ledger(shield, states([20.0]), view)
    truth = replace(view, valid=np.array([[True]]))
    ledger.observe(states([20.0], x=2.0), view, truth=truth)
    assert ledger.broken[0, Assumption.PERCEPTION]
