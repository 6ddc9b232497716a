import numpy as np
import pytest

from kerbstone.label.headings import tell_front
from kerbstone.scene import wrap_angle
from watched import drive


def fronts(course, heading, *, track=None, weight=None, trust=3.0):
    track = np.zeros(len(course), np.int64) if track is None else track
    return tell_front(
        track,
        np.asarray(wrap_angle(heading)),
        course[:, :2],
        np.ones(len(course)) if weight is None else weight,
        trust=np.full(int(track.max(initial=-1)) + 1, trust),
    )


def off(found, course):
    return np.abs(np.asarray(wrap_angle(found - course[:, 2])))


def noisy(course, seed=0, noise=0.05):
    return course[:, 2] + np.random.default_rng(seed).normal(0, noise, len(course))


def test_headings_follow_one_another_beyond_a_full_turn():
    course = drive(8.0, 0.8, steps=120)
    found = fronts(course, course[:, 2])
    np.testing.assert_allclose(np.diff(found), np.diff(course[:, 2]), atol=1e-9)


@pytest.mark.parametrize("speed", [0.0, 8.0])
def test_a_fifth_of_headings_turned_round_is_told(speed):
    course = drive(speed, 0.1, steps=80)
    heading = noisy(course)
    turned = np.random.default_rng(1).random(80) < 0.2
    assert off(fronts(course, heading + np.pi * turned), course).max() < 0.3


def test_the_way_that_it_moves_outvotes_a_detector_that_takes_the_front_for_the_rear():
    course = drive(8.0, steps=80)
    assert off(fronts(course, noisy(course) + np.pi), course).max() < 0.3


def test_without_trust_in_the_way_the_detector_decides():
    course = drive(8.0, steps=80)
    assert off(fronts(course, noisy(course) + np.pi, trust=0.0), course).min() > 2.8


def test_a_car_that_reverses_out_of_a_drive_keeps_its_front():
    # Four metres back in four seconds, then off.
    speed = np.r_[np.full(40, -1.0), np.linspace(0, 8, 40)]
    turn = np.r_[np.full(40, 0.3), np.zeros(40)]
    course = drive(speed, turn)
    assert off(fronts(course, noisy(course)), course).max() < 0.3
    assert off(fronts(course[:40], noisy(course)[:40]), course[:40]).max() < 0.3


def test_a_heading_across_the_road_does_not_turn_round_those_after_it():
    course = drive(8.0, 0.05, steps=60)
    for wrong in (1.45, np.pi / 2, 1.7, -np.pi / 2):
        heading = noisy(course)
        heading[20] += wrong
        heading[40] += wrong
        found = fronts(course, heading)
        assert np.delete(off(found, course), [20, 40]).max() < 0.3
        assert np.abs(np.delete(found, [20, 40]) - np.delete(course[:, 2], [20, 40])).max() < 0.3


@pytest.mark.parametrize("dt", [0.05, 0.1, 0.5])
def test_very_uncertain_headings_of_somebody_who_stands_keep_together(dt):
    course = drive(0.0, steps=200, dt=dt, start=(0.0, 0.0, 2.0))
    found = fronts(course, noisy(course, noise=0.4))
    assert (np.abs(found - 2.0) < np.pi / 2).mean() > 0.98


def test_after_a_turn_in_a_gap_each_side_tells_its_own_front():
    # Two radians of turn while nobody looked: the nearer way of the axis is the wrong one.
    course = drive(10.0, 0.5, steps=100)[np.r_[:30, 70:100]]
    found = fronts(course, noisy(course))
    assert off(found, course).max() < 0.3
    assert np.abs(np.diff(found)).max() < np.pi


def test_a_surer_detection_counts_more():
    course = drive(0.0, steps=10)
    heading = course[:, 2] + np.pi * (np.arange(10) < 6)
    assert off(fronts(course, heading), course).min() > 3.0
    weight = np.where(np.arange(10) < 6, 0.1, 0.9)
    assert off(fronts(course, heading, weight=weight), course).max() < 0.1


def test_tracks_do_not_see_one_another():
    one, other = drive(5.0, 0.2, steps=30), drive(0.0, steps=2, start=(0.0, 0.0, 3.0))
    both = np.vstack([one, other])
    track = np.repeat([0, 1], [30, 2])
    found = fronts(both, both[:, 2], track=track)
    np.testing.assert_allclose(wrap_angle(found), wrap_angle(both[:, 2]), atol=1e-9)


def test_headings_come_back_up_to_half_turns():
    course = drive(0.0, steps=50)
    heading = np.random.default_rng(3).uniform(-np.pi, np.pi, 50)
    turns = (fronts(course, heading) - heading) / np.pi
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-9)


def test_one_row_and_none_are_no_trouble():
    course = drive(0.0, steps=1, start=(0.0, 0.0, 1.0))
    assert fronts(course, course[:, 2]).tolist() == [1.0]
    assert fronts(course[:0], np.zeros(0)).shape == (0,)


def test_a_row_of_no_weight_has_its_heading_too():
    course = drive(0.0, steps=3, start=(0.0, 0.0, 1.0))
    found = fronts(course, course[:, 2], weight=np.zeros(3))
    np.testing.assert_allclose(found, 1.0)
