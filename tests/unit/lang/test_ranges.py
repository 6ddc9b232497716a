"""Ranges of signals rule out pairs that cannot match, and never one that can."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerbstone.lang import Facts, evaluate, formula, known_signals
from kerbstone.lang.library import prepare
from kerbstone.lang.ranges import key_of, limits_of, measure_range
from queries import moving_scene
from scenes import random_scene
from streets import street

SIGNALS = ("approaching", "closing_speed", "distance", "following", "gap", "time_to_collision")
CLAIMS = [
    "distance({0}, {1}) < 12 m",
    "distance({0}, {1}) < 300 m",
    "distance({1}, {0}) < 40 m",
    "closing_speed({0}, {1}) < 90 m/s",
    "closing_speed({0}, {1}) > 3 m/s",
    "2 s > time_to_collision({0}, {1})",
    "approaching({0}, {1})",
    "not approaching({0}, {1})",
    "following({0}, {1})",
    "gap({0}, {1}) < 20 m",
    "gap({0}, {1}) >= distance({0}, {1})",
    "(approaching({0}, {1}) or distance({0}, {1}) < 4 m)",
    "eventually[0 s, 1 s](distance({0}, {1}) < 6 m)",
    "speed({0}) > 4 m/s",
    "closing_speed({0}, {1}) == 3 m/s",
    "min(time_to_collision({0}, {1}), time_to_collision({1}, {0})) < 3 s",
    "max(distance({0}, {1}), gap({1}, {0})) < 15 m",
    "distance({0}, {1}) - gap({1}, {0}) > 2 m",
    "abs(closing_speed({0}, {1})) < 1 m/s",
    "(approaching({0}, {1}) or following({1}, {0}))",
    "-gap({0}, {1}) > -9 m",
    "(once[1 s](approaching({0}, {1})) or eventually[0.5 s, 1 s](distance({1}, {0}) < 5 m))",
    "not always[0 s, 1 s](approaching({0}, {1}))",
    "(approaching({0}, {1}) or distance({0}, {1}) < 9 m) for at least 0.3 s",
    "(always(approaching({0}, {1})) or following({0}, {1}))",
    "((distance({0}, {1}) < 9 m until[0 s, 1 s] approaching({0}, {1})) or following({0}, {1}))",
]
PAIRS = st.sampled_from([("v", "w"), ("w", "v"), ("v", "ego"), ("ego", "w")])
TEXTS = st.lists(st.tuples(st.sampled_from(CLAIMS), PAIRS), min_size=1, max_size=4).map(
    lambda some: " and ".join(claim.format(*pair) for claim, pair in some)
)


def with_ranges(scene) -> Facts:
    plain = Facts(scene)
    known = {
        key_of(known_signals()[name]): measure_range(known_signals()[name], plain)
        for name in SIGNALS
    }
    return Facts(scene, stored=lambda _, key: known.get(key))


@settings(max_examples=60)
@given(
    st.integers(0, 500),
    TEXTS,
    st.sampled_from(["any v, any w", "vehicle v, any w"]),
    st.sampled_from([-1.0, -0.2, 0.0, 0.3]),
    st.booleans(),
)
def test_a_query_answers_the_same_with_ranges_as_without(seed, text, users, floor, is_sure):
    scene = random_scene(seed, agents=6, steps=25, has_sensors=False, gaps=0.3)
    query = prepare(f"{users}: {text}")
    one = evaluate(query, Facts(scene), floor=floor, is_sure=is_sure)
    other = evaluate(query, with_ranges(scene), floor=floor, is_sure=is_sure)
    np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_array_equal(one.robustness, other.robustness)


@pytest.mark.parametrize("text", [
    "vehicle v, vehicle w: following(v, w) and time_to_collision(w, v) < 4 s",
    "vehicle u, vehicle v, vehicle w: distance(u, v) < 30 m and distance(v, w) < 40 m and approaching(w, u)",
    "vehicle v: then(not approaching(v, ego), approaching(v, ego) and distance(v, ego) < 20 m, within 2 s)",
])  # fmt: skip
@pytest.mark.parametrize("floor", [-1.0, 0.0])
def test_on_a_street_too(text, floor):
    scene = street("street", brake=True, walker=True, oncoming=3, lead=25.0)
    query = prepare(text)
    one, other = (
        evaluate(query, facts, floor=floor) for facts in (Facts(scene), with_ranges(scene))
    )
    np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_array_equal(one.robustness, other.robustness)


def test_a_range_holds_every_value_and_no_more():
    scene = random_scene(3, agents=6, steps=30, has_sensors=False)
    for name in SIGNALS:
        signal = known_signals()[name]
        facts = Facts(scene)
        known = measure_range(signal, facts)
        for a, b in zip(*np.nonzero(~np.eye(6, dtype=bool)), strict=True):
            values = signal.measure(facts, np.array([a]), np.array([b]))[0]
            together = scene.agents.valid[a] & scene.agents.valid[b]
            values = values[together & ~np.isnan(values)]
            if np.isneginf(known.low[a, b]) and np.isposinf(known.high[a, b]):
                continue  # they never come near each other
            assert known.low[a, b] == values.min(initial=np.inf), name
            assert known.high[a, b] == values.max(initial=-np.inf), name


def test_far_pairs_are_ruled_out_before_anything_is_measured(monkeypatch):
    points = np.zeros((4, 10, 2))
    points[:, :, 0] = np.array([0.0, 8.0, 60.0, 90.0])[:, None]
    facts = with_ranges(moving_scene(points))
    query = prepare("car v, car w: distance(v, w) < 6 m and approaching(v, w)")
    limits = limits_of(formula.necessary(query.body), facts, -1.0, is_sure=False)
    ((pair, may),) = limits.items()
    assert [slot.name for slot in pair] == ["v", "w"]
    assert not may[0, 2] | may[0, 3]
    asked = note_pairs(monkeypatch, "distance")
    evaluate(prepare("car v, car w: distance(v, w) < 6 m"), facts, floor=0.0)
    assert len(asked) <= 4


def test_what_holds_by_far_is_measured_of_no_pair_of_which_something_else_says_less(monkeypatch):
    points = np.zeros((3, 10, 2))
    points[:, :, 0] = np.array([0.0, 8.0, 60.0])[:, None] + np.arange(10) * [[1.0], [0.2], [0.0]]
    facts = with_ranges(moving_scene(points))
    asked = note_pairs(monkeypatch, "distance")
    text = "car v, car w: distance(v, w) < {} m and approaching(v, w)"
    found = evaluate(prepare(text.format(300)), facts, floor=-1.0)
    assert found.holds.any()
    assert asked == []
    evaluate(prepare(text.format(9)), facts, floor=-1.0)
    assert asked != []


def note_pairs(monkeypatch, name) -> list[tuple[int, int]]:
    """Return a list to which the pairs are added of which a signal is measured from now on."""
    asked, known = [], known_signals()[name]

    def measure(facts, a, b, **where):
        asked.extend(zip(a.tolist(), b.tolist(), strict=True))
        return known.measure(facts, a, b, **where)

    monkeypatch.setitem(known_signals(), name, dataclasses.replace(known, measure=measure))
    return asked


def test_what_is_not_known_of_a_pair_rules_nothing_out():
    facts = Facts(moving_scene(np.zeros((3, 5, 2))))
    query = prepare("car v, car w: distance(v, w) < 1 m")
    assert limits_of(formula.necessary(query.body), facts, 0.0, is_sure=True) == {}
