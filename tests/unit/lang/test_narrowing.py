"""Bindings that cannot answer are left out early, and what is left is what it was."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerbstone.lang import Facts, evaluate, known_signals
from kerbstone.lang.library import prepare
from kerbstone.lang.ranges import key_of, measure_range
from queries import moving_scene
from scenes import random_scene

BESIDE = [
    "stopped(v)",
    "speed(v) < 4 m/s",
    'not is_a(v, "pedestrian")',
    "once[0.5 s](moving(v))",
    "(speed(v) > 1 m/s or closing_speed(v, ego) > 0 m/s)",
    "true",
]
FURTHER = [
    "distance(w, v) < 15 m and longitudinal_offset(w, v) > 0 m",
    "approaching(w, v)",
    "approaching(w, v) and speed(w) < 3 m/s and distance(v, w) < 30 m",
    "speed(w) > 2 m/s",
    "distance(w, v) < 9 m or approaching(v, w)",
    "eventually[0.5 s](distance(w, v) < 9 m) and moving(w)",
    "distance(w, ego) < 12 m and approaching(w, v)",
]
WHOLE = ["{}", "({}) for at least 0.3 s", "eventually[0.5 s]({})", "not ({})"]


def with_ranges(scene) -> Facts:
    plain = Facts(scene)
    signals = [known_signals()[name] for name in ("approaching", "closing_speed", "distance")]
    known = {key_of(one): measure_range(one, plain) for one in signals}
    return Facts(scene, stored=lambda _, key: known.get(key))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 500),
    st.sampled_from(BESIDE),
    st.sampled_from(FURTHER),
    st.sampled_from(WHOLE),
    st.sampled_from([-np.inf, -1.0, 0.0]),
)
def test_who_else_there_is_matters_where_it_says_most_and_nowhere_else(
    seed, beside, further, whole, floor
):
    scene = random_scene(seed, agents=6, steps=25, has_sensors=False, gaps=0.3)
    lacks = f"not exists(any w: {further})"
    # What comes first is found out in full.
    full = evaluate(prepare(f"any v: {whole.format(f'{lacks} and {beside}')}"), Facts(scene))
    row_of = {rows: k for k, rows in enumerate(full.rows[:, 0].tolist())}
    for facts in (Facts(scene), with_ranges(scene)):
        query = prepare(f"any v: {whole.format(f'{beside} and {lacks}')}")
        found = evaluate(query, facts, floor=floor)
        rows = [row_of[row] for row in found.rows[:, 0].tolist()]
        np.testing.assert_array_equal(found.robustness, full.robustness[rows])
        assert not full.holds[np.setdiff1d(np.arange(len(full.rows)), rows)].any()


def test_a_binding_whose_parts_hold_at_different_times_is_left_out():
    velocity = np.zeros((2, 6, 2))
    velocity[0, :3, 0] = velocity[1, 3:, 0] = 20.0
    facts = Facts(moving_scene(np.zeros((2, 6, 2)), velocity=velocity))
    query = prepare("car v, car w: speed(v) > 10 m/s and speed(w) > 10 m/s")
    assert len(evaluate(query, facts).rows) == 2
    assert len(evaluate(query, facts, floor=-1.0).rows) == 0
    later = prepare("car v, car w: speed(v) > 10 m/s and eventually(speed(w) > 10 m/s)")
    assert evaluate(later, facts, floor=-1.0).rows.tolist() == [[0, 1]]


@pytest.mark.parametrize(("text", "most"), [
    ("any u, any v, any w: distance(u, v) < 60 m and distance(v, w) < 60 m", 20),
    ("any v: speed(v) < 4 m/s and not exists(any w: distance(v, w) < 60 m and speed(w) > 90 km/h)", 0),
    ("any v, any w: speed(v) > 1 km/h and distance(v, w) < 60 m and speed(w) > 90 km/h", 0),
])  # fmt: skip
def test_two_road_users_are_measured_once_and_only_where_they_may_count(text, most, monkeypatch):
    known, asked = known_signals()["distance"], []

    def measure(facts, a, b, **where):
        asked.extend(zip(a.tolist(), b.tolist(), strict=True))
        return known.measure(facts, a, b, **where)

    monkeypatch.setitem(known_signals(), "distance", dataclasses.replace(known, measure=measure))
    points = np.zeros((5, 6, 2))
    points[..., 0] = np.arange(5)[:, None] * 5.0
    facts = Facts(moving_scene(points, velocity=np.full((5, 6, 2), [3.0, 0.0])))
    evaluate(prepare(text), facts, floor=-1.0)
    assert len(set(asked)) <= most
