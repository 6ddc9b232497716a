"""Atoms of a query over time: what they say, how strongly, and the numbers behind them."""

import numpy as np
import pytest

from kerbstone.lang import Facts, compile_query, measure_atoms, parse_library, parse_query
from kerbstone.lang.library import prepare
from queries import moving_scene

ROWS = np.array([[0]])


def facts_at(*speeds: float) -> Facts:
    """One car at each of these speeds [m/s], for three steps."""
    velocity = np.zeros((len(speeds), 3, 2))
    velocity[..., 0] = np.array(speeds)[:, None]
    points = np.zeros_like(velocity)
    points[..., 1] = 10.0 * np.arange(len(speeds))[:, None]
    return Facts(moving_scene(points, velocity=velocity))


def test_each_atom_of_a_match_can_be_read_over_time():
    query = prepare("car v: always[0.1 s](speed(v) > 2 m/s) and not stopped(v)")
    faster, still = measure_atoms(query, facts_at(6.0), ROWS)
    assert (faster.text, still.text) == ("speed(v) > 2 m/s", "stopped(v)")
    assert faster.robustness == pytest.approx(np.full((1, 3), 2.0))
    assert (still.robustness < 0).all()


def test_a_comparison_has_its_two_sides_in_the_unit_of_the_query():
    (atom,) = measure_atoms(prepare("car v: speed(v) > 18 km/h"), facts_at(10.0), ROWS)
    assert (atom.operator, atom.unit) == (">", "km/h")
    assert atom.left == pytest.approx(np.full((1, 3), 36.0))
    assert atom.right == pytest.approx(np.full((1, 3), 18.0))


def test_a_comparison_of_two_signals_is_in_si():
    (atom,) = measure_atoms(prepare("car v: speed(v) > forward_speed(v)"), facts_at(3.0), ROWS)
    assert atom.unit == "m/s"
    assert atom.right == pytest.approx(np.full((1, 3), 3.0))


def test_a_claim_has_no_sides():
    (atom,) = measure_atoms(prepare("car v: stopped(v)"), facts_at(3.0), ROWS)
    assert (atom.operator, atom.unit, atom.left, atom.right) == ("", "", None, None)


def test_atoms_of_several_bindings_are_measured_together():
    query = prepare("car v, car w: speed(v) > speed(w)")
    (atom,) = measure_atoms(query, facts_at(4.0, 2.0), np.array([[0, 1], [1, 0]]))
    assert np.sign(atom.robustness[:, 0]).tolist() == [1, -1]


def test_a_scenario_that_is_called_twice_has_atoms_of_its_own_road_users():
    library = parse_library('scenario quick(car a): "It is quick." speed(a) > 3 m/s')
    query = compile_query(
        parse_query("car v, car w: quick(v) and quick(w)"),
        scenarios={scenario.name: scenario for scenario in library},
    )
    atoms = measure_atoms(query, facts_at(4.0, 2.0), np.array([[0, 1]]))
    assert [atom.text for atom in atoms] == ["speed(v) > 3 m/s", "speed(w) > 3 m/s"]
    assert [atom.robustness[0, 0] > 0 for atom in atoms] == [True, False]


def test_what_is_quantified_is_one_atom_and_what_is_counted_a_number():
    query = prepare("car v: exists(car w: speed(w) < 3 m/s) and count(car w: true) == 1")
    some, number = measure_atoms(query, facts_at(4.0, 2.0), ROWS)
    assert some.text == "exists(car w: speed(w) < 3 m/s)"
    assert (some.robustness > 0).all()
    assert number.left == pytest.approx(np.full((1, 3), 2.0))


def test_where_a_road_user_is_not_there_its_atoms_are_undefined():
    points = np.zeros((1, 3, 2))
    points[0, 1] = np.nan
    (atom,) = measure_atoms(prepare("car v: speed(v) < 1 m/s"), Facts(moving_scene(points)), ROWS)
    assert np.isnan(atom.robustness[0, 1])
    assert np.isnan(atom.left[0, 1])
