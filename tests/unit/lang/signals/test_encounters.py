"""Cells of pairs at which both road users are known, and what is read of them."""

import numpy as np

from kerbstone.lang import Facts, compile_query, evaluate, parse_query
from kerbstone.lang.signals.encounters import Encounters, measure_once
from meetings import facts_of
from queries import moving_scene


def three() -> Facts:
    points = np.zeros((3, 4, 2))
    points[:, :, 0] = [[0.0], [10.0], [30.0]]
    points[1, 2] = np.nan
    velocity = np.zeros((3, 4, 2))
    velocity[0, :, 0], velocity[1, :, 1] = 2.0, 0.2
    return Facts(moving_scene(points, velocity=velocity, heading=np.zeros((3, 4))))


def test_they_are_the_cells_in_which_both_are_there():
    meetings = Encounters(three(), np.array([0, 2, 1]), np.array([1, 0, 2]))
    assert meetings.cell.tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9, 11]
    spread = meetings.spread(np.arange(10.0))
    assert np.isnan(spread[[0, 2], 2]).all()
    assert spread[2, 3] == 9


def test_offset_and_drift_are_those_of_a_less_those_of_b():
    meetings = Encounters(three(), np.array([0]), np.array([1]))
    np.testing.assert_allclose(meetings.offset(), -10)
    np.testing.assert_allclose(meetings.drift(), 2 - 0.2j)
    np.testing.assert_allclose(meetings.reach(), 2 * np.sqrt(5))


def test_what_stands_travels_where_it_heads():
    states = Encounters(three(), np.array([0, 1]), np.array([2, 2])).first()
    np.testing.assert_allclose(states.travel, 1.0)
    turned = Encounters(facts_of((0, 0, 90, 5), (9, 9, 0, 0)), np.array([0]), np.array([1]))
    np.testing.assert_allclose(turned.first().travel, 1j, atol=1e-12)


def test_a_measure_that_is_the_same_from_either_side_is_taken_once():
    asked = []

    def measure(facts, a, b):
        asked.append((a.tolist(), b.tolist()))
        return np.repeat((a * 10.0 + b)[:, None], facts.steps, axis=1)

    found = measure_once(three(), np.array([2, 0, 1, 0]), np.array([0, 2, 0, 1]), measure)
    assert asked == [([0, 0], [1, 2])]
    assert found[:, 0].tolist() == [2, 2, 1, 1]


def test_a_query_finds_who_is_about_to_collide():
    facts = facts_of((34, 0, 0, 5), (0, 0, 0, 15), (0, 40, 0, 15))
    query = "car a, car b: time_to_collision(a, b) < 3.5 s and required_deceleration(a, b) > 1 m/s2"
    answer = evaluate(compile_query(parse_query(query)), facts)
    assert answer.rows[answer.holds[:, 1]].tolist() == [[0, 1]]
    query = (
        "car a, car b: rss_unsafe(a, b) and time_to_react(a, b) < 3 s and time_headway(a, b) < 3 s"
    )
    answer = evaluate(compile_query(parse_query(query)), facts)
    assert answer.rows[answer.holds[:, 1]].tolist() == [[0, 1]]
