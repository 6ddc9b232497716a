"""Why a query does not hold: the atoms to blame, when, and by how much."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerbstone.lang import Facts, evaluate
from kerbstone.lang.library import prepare
from kerbstone.lang.reasons import explain_miss
from queries import moving_scene

ROWS = np.array([0])


def facts_of(*speeds: float, dt: float = 1.0) -> Facts:
    """One car that goes at these speeds [m/s] at the steps, NaN where it is not there."""
    speed = np.array([speeds])
    points = np.where(np.isnan(speed), np.nan, 0.0)[..., None].repeat(2, axis=-1)
    velocity = np.stack([speed, np.where(np.isnan(speed), np.nan, 0.0)], axis=-1)
    return Facts(moving_scene(points, velocity=velocity, heading=np.zeros_like(speed), dt=dt))


def reasons(text: str, facts: Facts, step: int = 0) -> list[str]:
    return [str(found) for found in explain_miss(prepare(f"car v: {text}"), facts, ROWS, step)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("speed(v) > 13.9 m/s", ["speed(v) 12.3 m/s, needs > 13.9 m/s"]),
        ("speed(v) > 50 km/h", ["speed(v) 44.28 km/h, needs > 50 km/h"]),
        ("13.9 m/s < speed(v)", ["speed(v) 12.3 m/s, needs > 13.9 m/s"]),
        ("not speed(v) > 10 m/s", ["speed(v) 12.3 m/s, needs <= 10 m/s"]),
        ("stopped(v)", ["stopped(v) does not hold"]),
        ("not moving(v)", ["moving(v) holds"]),
        ("speed(v) < 20 m/s and stopped(v)", ["stopped(v) does not hold"]),
        (
            "speed(v) > 14 m/s and stopped(v)",
            ["speed(v) 12.3 m/s, needs > 14 m/s", "stopped(v) does not hold"],
        ),
        ("speed(v) > 99 m/s or speed(v) > 13 m/s", ["speed(v) 12.3 m/s, needs > 13 m/s"]),
        (
            "not (speed(v) > 9 m/s or speed(v) > 1 m/s)",
            ["speed(v) 12.3 m/s, needs <= 9 m/s", "speed(v) 12.3 m/s, needs <= 1 m/s"],
        ),
        ("not (speed(v) > 9 m/s and speed(v) > 1 m/s)", ["speed(v) 12.3 m/s, needs <= 9 m/s"]),
        ("speed(v) < 20 m/s", []),
        ("curvature(v) > 1 1/m and false", ["curvature(v) 0 1/m, needs > 1 1/m", "false does not hold"]),
    ],
)  # fmt: skip
def test_the_atoms_that_fail_are_named_with_their_numbers(text, expected):
    assert reasons(text, facts_of(12.3, 12.3)) == expected


@pytest.mark.parametrize(
    ("text", "step", "found"),
    [
        ("always[0 s, 2 s](speed(v) > 3 m/s)", 2, 1.0),
        ("eventually[0 s, 2 s](speed(v) > 9 m/s)", 1, 5.0),
        ("not always[0 s, 2 s](speed(v) > 0.5 m/s)", 2, 1.0),
        ("not eventually[0 s, 2 s](speed(v) > 4 m/s)", 1, 5.0),
        ("always(speed(v) > 3 m/s)", 2, 1.0),
        ("speed(v) > 3 m/s for at least 3 s", 2, 1.0),
        ("then(speed(v) > 1 m/s, speed(v) > 9 m/s, within 2 s)", 1, 5.0),
        ("speed(v) > 1 m/s until[0 s, 2 s] speed(v) > 7 m/s", 1, 5.0),
        ("speed(v) < 3 m/s until[1 s, 2 s] speed(v) > 1 m/s", 0, 4.0),
    ],
)
def test_what_spans_time_is_blamed_where_it_decides(text, step, found):
    (shortfall,) = explain_miss(prepare(f"car v: {text}"), facts_of(4.0, 5.0, 1.0), ROWS, 0)
    assert (shortfall.step, shortfall.found) == (step, found)


def test_a_time_in_the_past_is_looked_for_backwards():
    query = prepare("car v: once[0 s, 2 s](speed(v) > 9 m/s)")
    (shortfall,) = explain_miss(query, facts_of(4.0, 5.0, 1.0), ROWS, 2)
    assert (shortfall.step, shortfall.found) == (1, 5.0)


def test_what_is_not_known_is_said_so():
    facts = facts_of(12.0, np.nan, 12.0)
    assert reasons("speed(v) > 13 m/s", facts, 1) == ["speed(v) is not known"]
    assert reasons("stopped(v)", facts, 1) == ["stopped(v) is not known"]


def test_a_window_beyond_the_scene_does_not_break_it():
    assert reasons("eventually[5 s, 9 s](stopped(v))", facts_of(1.0, 1.0)) == [
        "stopped(v) does not hold"
    ]


TEXTS = st.recursive(
    st.sampled_from(
        ["speed(v) > 3 m/s", "stopped(v)", "speed(v) < 5 m/s", "acceleration(v) > 1 m/s2"]
    ),
    lambda part: st.one_of(
        part.map("not ({})".format),
        st.tuples(part, st.sampled_from(["and", "or"]), part).map(
            "({0[0]}) {0[1]} ({0[2]})".format
        ),
        part.map("always[0 s, 2 s]({})".format),
        part.map("once[0 s, 2 s]({})".format),
        part.map("eventually({})".format),
        part.map("(({}) for at least 2 s)".format),
        st.tuples(part, part).map("({0[0]}) until[0 s, 3 s] ({0[1]})".format),
    ),
    max_leaves=5,
)


@settings(max_examples=150)
@given(TEXTS, st.lists(st.sampled_from([0.0, 2.0, 4.0, 6.0, 9.0]), min_size=4, max_size=9))
def test_some_atom_is_to_blame_exactly_where_a_query_does_not_hold(text, speeds):
    facts = facts_of(*speeds)
    query = prepare(f"car v: {text}")
    holds = evaluate(query, facts).holds[0]
    for step in range(facts.steps):
        found = explain_miss(query, facts, ROWS, step)
        assert bool(found) == (not holds[step])
        assert not any(shortfall.robustness > 0 for shortfall in found)
