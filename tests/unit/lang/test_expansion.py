"""Texts that tell queries apart by what they ask for, and parts as one would write them."""

import pickle

import numpy as np
import pytest
from hypothesis import given

from kerbstone.errors import InputError
from kerbstone.lang import (
    Facts,
    compile_query,
    evaluate,
    formula,
    parse_library,
    parse_query,
    print_query,
)
from kerbstone.lang.expansion import expand, print_part
from kerbstone.lang.library import prepare
from queries import QUERIES, moving_scene

LIBRARY = {
    scenario.name: scenario
    for scenario in parse_library(
        'scenario quick(car a, least = 10 m/s): "It is quick." speed(a) > least\n'
        'scenario race(car a, car b): "Both are quick." quick(a) and quick(b, least = 8 m/s)\n'
    )
}


def expanded(text: str) -> str:
    return expand(compile_query(parse_query(text), scenarios=LIBRARY))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("car v: quick(v)", "car c: speed(c) > 36 km/h"),
        ("car v: quick(v, least = 5 m/s)", "car v: speed(v) > 5 m/s"),
        ("car v, car w: race(v, w)", "car a, car b: speed(a) > 10 m/s and speed(b) > 8 m/s"),
        ("car v: speed(v)>1 m/s # a remark", "car v: (speed(v) > 1 m/s)"),
    ],
)
def test_what_asks_for_the_same_expands_to_the_same(one, other):
    assert expanded(one) == expanded(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("car v: speed(v) > 1 m/s", "car v: speed(v) > 1.0000001 m/s"),
        ("car v: speed(v) > 1 m/s", "car v: speed(v) >= 1 m/s"),
        ("car v: speed(v) > 1 m/s", "vehicle v: speed(v) > 1 m/s"),
        ("car v, car w: speed(v) > speed(w)", "car v, car w: speed(w) > speed(v)"),
        ("car v, car w: stopped(v)", "car v, car w: stopped(w)"),
        ("car v, truck w: true", "truck w, car v: true"),
        ('car v: is_a(v, "truck")', 'car v: is_a(v, "bus")'),
        ("speed(ego) > 1 m/s", "car v: speed(v) > 1 m/s"),
        ("car v: once(stopped(v))", "car v: eventually(stopped(v))"),
        ("car v: always[1 s](stopped(v))", "car v: always[2 s](stopped(v))"),
        ("car v: stopped(v) or moving(v) and reversing(v)",
         "car v: (stopped(v) or moving(v)) and reversing(v)"),
        ("car v: exists(car w: stopped(w))", "car v: exists(car w: stopped(v))"),
    ],
)  # fmt: skip
def test_what_asks_for_something_else_expands_to_something_else(one, other):
    assert expanded(one) != expanded(other)


def test_a_scenario_of_another_body_under_the_same_name_expands_to_something_else():
    other = parse_library('scenario quick(car a): "It is quick." speed(a) > 11 m/s')
    query = compile_query(parse_query("car v: quick(v)"), scenarios={"quick": other[0]})
    assert query.text == "car v: quick(v)"
    assert expand(query) != expanded("car v: quick(v)")


@given(QUERIES)
def test_the_canonical_text_expands_as_the_query_itself(tree):
    try:
        query = compile_query(tree)
    except InputError:
        return
    assert expand(compile_query(parse_query(print_query(tree)))) == expand(query)


@pytest.mark.parametrize(
    "text",
    [
        "speed(v) > 50 km/h",
        'is_a(v, "truck")',
        "speed(v) - speed(w) < 3 m/s",
        "(speed(v) - speed(w)) / 2 < 3 m/s",
        "min(speed(v), speed(w)) >= 1 m/s",
    ],
)
def test_an_atom_reads_as_it_was_written(text):
    body = prepare(f"car v, car w: {text}").body
    assert print_part(body) == text


def test_an_atom_of_a_scenario_reads_with_the_querys_own_names():
    query = compile_query(parse_query("car v, car w: race(v, w)"), scenarios=LIBRARY)
    atoms = [part for part in formula.walk(query.body) if isinstance(part, formula.Comparison)]
    assert {print_part(atom) for atom in atoms} == {"speed(v) > 10 m/s", "speed(w) > 8 m/s"}


def test_a_query_goes_to_another_process_and_answers_the_same():
    velocity = np.zeros((3, 4, 2))
    velocity[..., 0] = np.array([[8.0], [12.0], [3.0]])
    facts = Facts(moving_scene(velocity * 0.1, velocity=velocity, ego=2))
    query = prepare("car v: speed(v) > speed(ego) and exists(car w: speed(w) > speed(v))")
    copy = pickle.loads(pickle.dumps(query))
    assert expand(copy) == expand(query)
    here, there = evaluate(query, facts), evaluate(copy, facts)
    np.testing.assert_array_equal(here.rows, there.rows)
    np.testing.assert_array_equal(here.robustness, there.robustness)
    assert here.holds.any()
