"""Margins of responsibility-sensitive safety against the arithmetic of the paper's formulas."""

import numpy as np
import pytest

from kerbstone.lang import Facts
from kerbstone.lang.signals.safe_distances import (
    RssParameters,
    safe_distance_aside,
    safe_distance_behind,
    safe_distance_head_on,
)
from kerbstone.scene import SE2
from meetings import facts_of, measure, measure_pairs
from queries import moving_scene
from roads import EAST, RADIUS, WEST, Track, curved_road, drive, moved, stage, straight_road

NAMES = ("rss_longitudinal_margin", "rss_lateral_margin", "rss_unsafe")

# One that drives 10 m/s responds for 1 s, and meanwhile gathers 3.5 m/s; then it brakes at 4 m/s2:
# (10 + 13.5) / 2 * 1 + 13.5**2 / 8 = 11.75 + 22.78125.
OWN_WAY = 34.53125
# One that drives 10 m/s stops within 10**2 / 16 at the hardest.
SHORTEST_WAY = 6.25
# Sideways at rest: 0.2 m/s gathered, 0.1 m on the way, and 0.2**2 / 1.6 = 0.025 m to stop. The
# other one responds for 2 s: 0.4 m/s, 0.4 m, and 0.4**2 / 1.6 = 0.1 m. And 0.1 m for swaying.
ASIDE = 0.125 + 0.5 + 0.1


def test_behind_one_that_goes_the_same_way_it_must_be_able_to_stop():
    facts = facts_of((50, 0, 0, 10), (0, 0, 0, 10))
    expected = 46 - (OWN_WAY - SHORTEST_WAY)
    assert measure("rss_longitudinal_margin", facts) == pytest.approx(expected)


def test_nothing_must_be_kept_from_a_much_faster_one_nor_from_one_behind():
    facts = facts_of((10, 0, 0, 40), (0, 0, 0, 5))
    assert measure("rss_longitudinal_margin", facts) == pytest.approx(6.0)
    facts = facts_of((-10, 0, 0, 10), (0, 0, 0, 10))
    assert measure("rss_longitudinal_margin", facts) == pytest.approx(6.0)


def test_one_that_comes_must_be_able_to_stop_too():
    facts = facts_of((100, 0, 180, 10), (0, 0, 0, 10))
    # b, on the right side, brakes at 3 m/s2 only: 11.75 + 13.5**2 / 6. The other one responds for
    # 2 s: (10 + 17) / 2 * 2 + 17**2 / 8.
    ways = 11.75 + 13.5**2 / 6, 27 + 17**2 / 8
    assert measure("rss_longitudinal_margin", facts) == pytest.approx(96 - sum(ways))


def test_on_the_wrong_side_it_must_brake_as_anyone():
    users = [
        Track("b", drive(EAST[::-1], start=50, speed=10.0)),  # westward on the eastbound lane
        Track("a", drive(EAST, start=200, speed=10.0)),
    ]
    facts = Facts(stage(straight_road(), users, ego=None))
    apart = 150 - 4.5
    ways = 11.75 + 13.5**2 / 8, 27 + 17**2 / 6
    found = measure_pairs("rss_longitudinal_margin", facts, [1], [0])[0, 0]
    assert found == pytest.approx(apart - sum(ways))


def test_side_by_side_what_counts_is_the_lateral_distance():
    facts = facts_of((1, 3.5, 0, 10), (0, 0, 0, 10))
    assert measure("rss_longitudinal_margin", facts) == pytest.approx(-3.0)
    assert measure("rss_lateral_margin", facts) == pytest.approx(1.5 - ASIDE)
    assert measure("rss_unsafe", facts) < 0
    near = facts_of((1, 2.5, 0, 10), (0, 0, 0, 10))
    assert measure("rss_lateral_margin", near) == pytest.approx(0.5 - ASIDE)
    assert measure("rss_unsafe", near) > 0


def test_lateral_speeds_towards_each_other_add_to_the_distance():
    points = np.repeat([[[0.0, 4.0]], [[0.0, 0.0]]], 3, axis=1)
    velocity = np.repeat([[[10.0, -0.6]], [[10.0, 0.2]]], 3, axis=1)
    facts = Facts(moving_scene(points, velocity=velocity, heading=np.zeros((2, 3))))
    # b: 0.2 grows to 0.4 m/s in 1 s, then 0.4**2 / 1.6; a: 0.6 to 1 m/s in 2 s, then 1 / 1.6.
    needed = 0.1 + (0.3 + 0.1) + (1.6 + 0.625)
    assert measure("rss_lateral_margin", facts) == pytest.approx(2 - needed)
    assert measure("rss_lateral_margin", facts, a=1, b=0) == pytest.approx(
        # Now a, at 0.2 m/s, responds for 2 s, and b, at 0.6 m/s, for 1 s.
        2 - (0.1 + (0.8 + 0.6**2 / 1.6) + (0.7 + 0.8**2 / 1.6))
    )


def test_one_that_moves_away_need_not_brake():
    # b leaves at 1 m/s: after the response still at 0.8 m/s, 0.9 m farther. What a may do then is
    # 0.5 m: nothing but the fluctuation is left to keep.
    found = safe_distance_aside(np.array([-1.0]), np.array([0.0]))
    assert found[0] == pytest.approx(0.1)
    # At 0.3 m/s it is 0.2 m farther, of a's 0.5 m.
    found = safe_distance_aside(np.array([-0.3]), np.array([0.0]))
    assert found[0] == pytest.approx(0.1 + 0.5 - 0.2)


def test_unsafe_is_too_near_along_the_lane_and_across_it():
    assert measure("rss_unsafe", facts_of((20, 0, 0, 10), (0, 0, 0, 10))) > 0
    assert measure("rss_unsafe", facts_of((20, 4, 0, 10), (0, 0, 0, 10))) < 0, "a lane aside"
    assert measure("rss_unsafe", facts_of((60, 0, 0, 10), (0, 0, 0, 10))) < 0, "far ahead"
    assert measure("rss_unsafe", facts_of((-9, 0, 0, 10), (0, 0, 0, 10))) < 0, "behind"


def test_unsafe_is_the_lesser_violation_by_5_and_half_a_metre():
    facts = facts_of((20, 0.2, 0, 10), (0, 0, 0, 10))
    along, across = (measure(name, facts) for name in NAMES[:2])
    assert measure("rss_unsafe", facts) == pytest.approx(min(-along / 5, -across / 0.5))


def test_on_lanes_the_distances_are_along_and_across_the_lane():
    # b drives 10 degrees aslant, in the lane; a is 40 m ahead in the middle of the lane beside.
    points = drive(EAST, start=100, speed=10.0)
    users = [
        Track("b", points, heading=np.deg2rad(10.0)),
        Track("a", points + np.array([40.0, 0.0])),
    ]
    facts = Facts(stage(straight_road(), users, ego=None))
    length = 4.5 * np.cos(np.deg2rad(10)) + 1.8 * np.sin(np.deg2rad(10))
    width = 4.5 * np.sin(np.deg2rad(10)) + 1.8 * np.cos(np.deg2rad(10))
    found = [measure_pairs(name, facts, [1], [0])[0, 5] for name in NAMES]
    assert found[0] == pytest.approx(40 - (length + 4.5) / 2 - (OWN_WAY - SHORTEST_WAY))
    assert found[1] == pytest.approx(0 - (width + 1.8) / 2 - ASIDE)
    assert found[2] < 0


def test_on_a_bend_one_ahead_in_the_lane_is_not_aside():
    line = RADIUS * np.stack(
        [np.cos(np.linspace(0, np.pi, 400)), np.sin(np.linspace(0, np.pi, 400))], axis=-1
    )
    users = [
        Track("b", drive(line, start=5, speed=5.0)),
        Track("a", drive(line, start=20, speed=5.0)),
    ]
    facts = Facts(stage(curved_road(), users, ego=None))
    straight = Facts(stage(None, users, ego=None))
    on_road, without = (measure_pairs(NAMES[1], f, [1], [0])[0, 20] for f in (facts, straight))
    # In the lane's frame they overlap by a whole width; straight ahead of b there would be
    # 15**2 / (2 * 30) = 3.75 m of lateral offset, and no danger.
    assert on_road == pytest.approx(-1.8 - ASIDE, abs=0.1)
    assert without > 0.5
    assert measure_pairs("rss_unsafe", facts, [1], [0])[0, 20] > 0


def test_the_opposite_lane_is_aside():
    users = [
        Track("b", drive(EAST, start=100, speed=10.0)),
        Track("a", drive(WEST, start=260, speed=10.0)),
    ]
    facts = Facts(stage(straight_road(), users, ego=None))
    assert measure_pairs(NAMES[1], facts, [1], [0])[0, 5] == pytest.approx(3.5 - 1.8 - ASIDE)
    assert (measure_pairs("rss_unsafe", facts, [1], [0]) < 0).all()


def paper(v_rear, v_front, p):
    """Definition 1 with Lemma 2, written down on its own."""
    gathered = v_rear + p.response_time * p.acceleration
    distance = (
        v_rear * p.response_time
        + p.acceleration * p.response_time**2 / 2
        + gathered**2 / (2 * p.least_braking)
        - v_front**2 / (2 * p.hardest_braking)
    )
    return max(distance, 0.0)


def test_distances_are_those_of_the_paper_for_any_parameters():
    rng = np.random.default_rng(0)
    for _ in range(100):
        p = RssParameters(*rng.uniform(0.1, 8, 9))
        v, w = rng.uniform(0, 50, 2)
        behind = safe_distance_behind(np.array([v]), np.array([w]), p)
        assert behind[0] == pytest.approx(paper(v, w, p))
        own, other = (
            v + p.response_time * p.acceleration,
            w + p.other_response_time * p.acceleration,
        )
        for right, brakings in (
            (True, (p.least_braking_right, p.least_braking)),
            (False, (p.least_braking, p.least_braking_right)),
        ):
            expected = (
                (v + own) / 2 * p.response_time
                + own**2 / (2 * brakings[0])
                + (w + other) / 2 * p.other_response_time
                + other**2 / (2 * brakings[1])
            )
            found = safe_distance_head_on(np.array([v]), np.array([w]), np.array([right]), p)
            assert found[0] == pytest.approx(expected)


def test_the_longer_distance_is_kept_by_the_faster_one():
    speeds = np.linspace(0, 40, 81)
    assert (np.diff(safe_distance_behind(speeds, np.full(81, 10.0))) >= 0).all()
    assert (np.diff(safe_distance_behind(np.full(81, 10.0), speeds)) <= 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_it_does_not_matter_where_the_world_begins(name):
    users = [
        Track("b", drive(EAST, start=100, speed=10.0)),
        Track("a", drive(EAST, start=120, speed=8.0, offset=0.4)),
        Track("c", drive(WEST, start=150, speed=9.0)),
    ]
    scene = stage(straight_road(), users, ego=None)
    a, b = np.nonzero(~np.eye(3, dtype=bool))
    here = measure_pairs(name, Facts(scene), a, b)
    there = measure_pairs(
        name, Facts(moved(scene, SE2(np.array([3e4, -9e4]), np.array(2.0)))), a, b
    )
    np.testing.assert_allclose(there, here, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_undefined_while_one_is_not_there(name):
    points = np.zeros((2, 4, 2))
    points[0, :, 0] = 20.0
    points[0, 3] = np.nan
    facts = Facts(moving_scene(points, velocity=np.ones((2, 4, 2)), heading=np.zeros((2, 4))))
    found = measure_pairs(name, facts, [0], [1])
    np.testing.assert_array_equal(np.isnan(found), [[False, False, False, True]])
