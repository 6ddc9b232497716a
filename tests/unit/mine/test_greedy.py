"""Greedy choices: against the best of all, and against a greedy that spares nothing."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerbstone.mine import greedy as module
from kerbstone.mine.greedy import (
    Facility,
    choose_centres,
    choose_facilities,
    even_rows,
    near_distance,
)

NONE = np.zeros(0, np.int64)


def draw(seed, count, size=3):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, size)).astype(np.float32)
    return vectors, rng.random(count), 0.1 * rng.random(count)


def make(seed, count, *, radius=1.5):
    vectors, weight, bonus = draw(seed, count)
    return Facility(vectors, weight=weight, bonus=bonus, radius=radius)


def value_by_hand(seed, count, rows, *, radius=1.5):
    vectors, weight, bonus = draw(seed, count)
    if not len(rows):
        return 0.0
    apart = np.linalg.norm(vectors[:, None].astype(float) - vectors[rows], axis=2)
    similarity = np.maximum(1 - (apart / radius) ** 2, 0)
    return float(weight @ similarity.max(axis=1) / weight.sum() + bonus[list(rows)].sum())


@given(st.integers(0, 30), st.lists(st.integers(0, 11), unique=True, max_size=6))
def test_the_value_is_the_weighted_mean_of_the_nearest_similarities(seed, rows):
    found = make(seed, 12).value(np.array(rows, np.int64))
    assert found == pytest.approx(value_by_hand(seed, 12, rows), abs=1e-5)


@given(st.integers(0, 30), st.permutations(range(10)), st.integers(0, 8), st.integers(0, 8))
def test_it_is_monotone_and_has_diminishing_returns(seed, order, small, more):
    facility = make(seed, 10)
    large = min(small + more, 9)
    few, many = np.array(order[:small], np.int64), np.array(order[:large], np.int64)
    extra = order[9]

    def gain(rows):
        return facility.value(np.append(rows, extra)) - facility.value(rows)

    assert gain(many) >= -1e-6
    assert gain(few) >= gain(many) - 1e-6
    assert facility.value(few) <= facility.value(many) + 1e-6


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_the_choice_has_at_least_the_promised_part_of_the_best_value(seed, count):
    facility = make(seed, 11)
    found = choose_facilities(facility, count, np.arange(11), given=NONE)
    best = max(facility.value(np.array(rows)) for rows in itertools.combinations(range(11), count))
    assert found.value >= (1 - 1 / math.e) * best - 1e-6
    assert found.value == pytest.approx(sum(found.gain), abs=1e-5)


def naive(facility, count, candidates, given):
    rows = list(given)
    chosen = []
    for _ in range(count):
        left = [c for c in candidates if c not in chosen]
        values = [facility.value(np.array([*rows, c])) for c in left]
        best = left[int(np.argmax(np.round(values, 6)))]
        chosen.append(best)
        rows.append(best)
    return chosen


@pytest.mark.parametrize("seed", range(5))
def test_sparing_computation_changes_nothing(seed, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 3)
    monkeypatch.setattr(module, "_BLOCK", 7)
    facility = make(seed, 40)
    given = np.array([5, 6])
    candidates = np.setdiff1d(np.arange(40), given)
    found = choose_facilities(facility, 8, candidates, given=given)
    assert list(found.rows) == naive(facility, 8, candidates, given)
    assert list(found.gain) == sorted(found.gain, reverse=True)


def test_what_is_given_is_not_gained_again():
    vectors = np.array([[0, 0], [0.1, 0], [5, 5]], np.float32)
    facility = Facility(vectors, weight=np.ones(3), bonus=np.zeros(3), radius=1.0)
    found = choose_facilities(facility, 1, np.array([1, 2]), given=np.array([0]))
    assert found.rows == (2,)
    assert choose_facilities(facility, 1, np.array([1, 2]), given=NONE).rows == (1,)


def test_of_equals_the_first_is_taken_and_there_are_no_more_than_there_are():
    facility = Facility(
        np.zeros((4, 2), np.float32), weight=np.ones(4), bonus=np.zeros(4), radius=1.0
    )
    found = choose_facilities(facility, 9, np.array([2, 0, 1, 3]), given=NONE)
    assert found.rows[0] == 2
    assert sorted(found.rows) == [0, 1, 2, 3]
    assert choose_facilities(facility, 9, NONE, given=NONE).rows == ()


def test_of_many_vectors_a_sample_along_the_weights_tells_the_value(monkeypatch):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(20_000, 2)).astype(np.float32)
    weight = rng.random(20_000) ** 4
    rows = rng.integers(20_000, size=5)
    options = {"weight": weight, "bonus": np.zeros(20_000), "radius": 1.5}
    whole = Facility(vectors, **options).value(rows)
    monkeypatch.setattr(module, "_REPRESENTED", 2_000)
    assert Facility(vectors, **options).value(rows) == pytest.approx(whole, abs=0.02)


def largest_distance(vectors, rows, weight):
    apart = np.linalg.norm(vectors[:, None].astype(float) - vectors[list(rows)], axis=2)
    return float((weight * apart.min(axis=1)).max())


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_centres_leave_nothing_farther_than_twice_the_least_possible(seed, count):
    vectors, _, _ = draw(seed, 11)
    ones = np.ones(11)
    found = choose_centres(vectors, count, np.arange(11), weight=ones, given=NONE)
    best = min(
        largest_distance(vectors, rows, ones) for rows in itertools.combinations(range(11), count)
    )
    assert largest_distance(vectors, found.rows, ones) <= 2 * best + 1e-9
    assert found.value == pytest.approx(largest_distance(vectors, found.rows, ones), abs=1e-9)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_with_weights_it_is_three_times_at_most(seed, count):
    vectors, weight, _ = draw(seed, 10)
    found = choose_centres(vectors, count, np.arange(10), weight=weight, given=NONE)
    best = min(
        largest_distance(vectors, rows, weight) for rows in itertools.combinations(range(10), count)
    )
    assert largest_distance(vectors, found.rows, weight) <= 3 * best + 1e-9


def test_the_first_centre_is_the_heaviest_and_given_ones_are_centres_already():
    vectors = np.array([[0.0], [1.0], [10.0]], np.float32)
    weight = np.array([1.0, 2.0, 1.0])
    assert choose_centres(vectors, 1, np.arange(3), weight=weight, given=NONE).rows == (1,)
    found = choose_centres(vectors, 1, np.arange(2), weight=weight, given=np.array([2]))
    assert found.rows == (1,)
    assert found.gain == (18.0,)


def test_the_near_distance_is_the_median_and_never_zero():
    vectors = np.array([[0.0], [1.0], [3.0]], np.float32)
    assert near_distance(vectors) == pytest.approx(1.5)
    assert near_distance(np.zeros((5, 2), np.float32)) == 1.0
    assert near_distance(np.zeros((0, 2), np.float32)) == 1.0


@pytest.mark.parametrize(("count", "most"), [(0, 5), (5, 5), (100, 7)])
def test_even_rows_are_spread_from_the_first_to_the_last(count, most):
    rows = even_rows(count, most)
    assert len(rows) == min(count, most)
    assert len(set(rows.tolist())) == len(rows)
    if count:
        assert (rows[0], rows[-1]) == (0, count - 1)
