import numpy as np
import pytest

from kerbstone.lang import Facts, known_signals
from queries import moving_scene

T = np.arange(0, 6, 0.1)


def straight(start, velocity):
    return np.array(start) + T[:, None] * np.array(velocity)


def holds(name, *tracks, heading=None, a=0, b=1):
    """Return when a claim holds of two cars of 4 m by 2 m on these tracks."""
    scene = moving_scene(np.stack(tracks), heading=heading)
    found = known_signals()[name].measure(Facts(scene), np.array([a]), np.array([b]))
    return found[0] > 0


EGO = straight((0, 0), (5, 0))


def test_one_crosses_in_front_from_entering_the_strip_to_leaving_it():
    walker = straight((40, -6), (0, 3))
    crosses = holds("crosses_in_front", walker, EGO)
    # Its box, 2 m across the strip of 2 m width, is in it while |y| < 1 + 2: from 1 s to 3 s.
    assert T[crosses].min() == pytest.approx(1.0, abs=0.15)
    assert T[crosses].max() == pytest.approx(3.0, abs=0.15)
    assert not holds("crosses_behind", walker, EGO).any()


def test_one_that_turns_back_half_way_does_not_cross():
    there = straight((40, -6), (0, 3))[:20]
    walker = np.concatenate([there, there[::-1], there[:20]])
    assert not holds("crosses_in_front", walker, EGO).any()


def test_one_crosses_behind():
    crosses = holds("crosses_behind", straight((-10, 6), (0, -3)), EGO)
    assert 10 < crosses.sum() < 30


def test_a_standing_one_is_not_crossing_a_road_user_that_turns():
    heading = np.stack([np.zeros(len(T)), np.linspace(0.6, -0.6, len(T))])
    still = straight((15, 0), (0, 0))
    assert not holds("crosses_in_front", still, straight((0, 0), (0, 0)), heading=heading).any()


def test_passing_lasts_while_beside_and_overtaking_asks_for_a_moving_one():
    fast, parked = straight((-10, 3), (8, 0)), straight((6, 0), (0, 0))
    heading = np.zeros((2, len(T)))
    passes = holds("passing", fast, parked, heading=heading)
    # Boxes of 4 m overlap along the road while the centres are within 4 m: 12 to 20 m from the start.
    assert T[passes].min() == pytest.approx(12 / 8, abs=0.15)
    assert T[passes].max() == pytest.approx(20 / 8, abs=0.15)
    assert not holds("overtaking", fast, parked, heading=heading).any()
    slow = straight((0, 0), (3, 0))
    assert holds("overtaking", fast, slow).any()
    assert not holds("overtaking", fast, slow, a=1, b=0).any()


def test_oncoming_and_far_ones_are_not_passed():
    assert not holds("passing", straight((-10, 3), (8, 0)), straight((25, 0), (-5, 0))).any()
    assert not holds("passing", straight((-10, 12), (8, 0)), straight((6, 0), (1, 0))).any()


def test_a_parked_car_that_faces_the_other_way_is_passed_too():
    heading = np.stack([np.zeros(len(T)), np.full(len(T), np.pi)])
    parked = straight((6, 0), (0, 0))
    assert holds("passing", straight((-10, 3), (8, 0)), parked, heading=heading).any()


def test_in_path_looks_three_seconds_ahead():
    for gap, inside in ((10, True), (15, True), (20, False), (-10, False)):
        other = EGO + np.array([gap, 0.0])
        assert holds("in_path", other, EGO)[10] == inside
    assert not holds("in_path", EGO + np.array([10, 4.0]), EGO)[10]


def test_in_path_follows_a_bend():
    radius, rate = 20.0, 0.4
    angle = rate * T
    bend = radius * np.stack([np.sin(angle), 1 - np.cos(angle)], axis=-1)
    ahead = radius * np.stack([np.sin(angle + 0.7), 1 - np.cos(angle + 0.7)], axis=-1)
    assert holds("in_path", ahead, bend)[5:40].all()
    straight_on = bend + 13 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    assert not holds("in_path", straight_on, bend)[5:40].any()


def test_who_reverses_sweeps_the_strip_behind_it():
    turned = np.full((2, len(T)), np.pi)
    for gap, inside in ((-10, False), (10, True), (20, False)):
        # It drives east with its front to the west.
        assert holds("in_path", EGO + np.array([gap, 0.0]), EGO, heading=turned)[10] == inside
    radius, rate = 20.0, 0.4
    angle = rate * T
    bend = radius * np.stack([np.sin(angle), 1 - np.cos(angle)], axis=-1)
    ahead = radius * np.stack([np.sin(angle + 0.7), 1 - np.cos(angle + 0.7)], axis=-1)
    backwards = np.stack([angle + 0.7, angle]) + np.pi
    assert holds("in_path", ahead, bend, heading=backwards)[5:40].all()
    straight_on = bend + 13 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    assert not holds("in_path", straight_on, bend, heading=backwards)[5:40].any()


def test_what_stands_sweeps_nothing():
    assert not holds("in_path", straight((8, 0), (0, 0)), straight((0, 0), (0, 0))).any()
