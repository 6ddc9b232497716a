import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerbstone.lang import robust
from kerbstone.lang.robust import Robustness

WINDOWS = st.tuples(st.integers(-12, 12), st.integers(0, 12)).map(lambda w: (w[0], w[0] + w[1]))


def random_values(seed, *, unknown=0.2):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(3, 9))
    return np.where(rng.random(values.shape) < unknown, np.nan, values)


def truth(found: Robustness) -> list[list[bool | None]]:
    return [[None if np.isnan(v) else bool(v > 0) for v in row] for row in found.values]


def kleene_all(values: list[bool | None]) -> bool | None:
    """Strong three-valued logic: one that fails decides, one that is unknown leaves it open."""
    return False if False in values else None if None in values else True


def kleene_any(values: list[bool | None]) -> bool | None:
    return True if True in values else None if None in values else False


def at(row, t):
    return row[t] if 0 <= t < len(row) else None


@given(st.integers(0, 10**6), WINDOWS)
def test_windows_follow_three_valued_logic(seed, window):
    first, last = window
    body = Robustness.of(random_values(seed))
    rows = truth(body)
    reach = range(first, last + 1)
    expected = [[kleene_all([at(r, t + k) for k in reach]) for t in range(len(r))] for r in rows]
    assert truth(robust.always(body, first, last)) == expected
    expected = [[kleene_any([at(r, t + k) for k in reach]) for t in range(len(r))] for r in rows]
    assert truth(robust.eventually(body, first, last)) == expected


@given(st.integers(0, 10**6), st.integers(0, 4), st.integers(0, 12))
def test_until_follows_three_valued_logic(seed, first, more):
    left, right = (Robustness.of(random_values(seed + k)) for k in (0, 1))
    last = first + more
    expected = [
        [
            kleene_any(
                [
                    kleene_all([at(g, t + k), *(at(f, t + j) for j in range(k))])
                    for k in range(first, last + 1)
                ]
            )
            for t in range(len(f))
        ]
        for f, g in zip(truth(left), truth(right), strict=True)
    ]
    assert truth(robust.until(left, right, first, last)) == expected


@given(st.integers(0, 10**6))
def test_until_without_limit_is_until_over_the_whole_rest(seed):
    left, right = (Robustness.of(random_values(seed + k)) for k in (0, 1))
    ever = robust.until_ever(left, right)
    # Beyond the scene nothing comes any more.
    inside = robust._until(left.low, right.low, 0, 9, -np.inf)
    np.testing.assert_array_equal(ever.low, inside)


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_what_lasts_holds_over_a_stretch_that_long(seed, steps):
    values = random_values(seed, unknown=0.0)
    found = robust.lasting(Robustness.of(values), steps).values > 0
    for row, lasts in zip(values > 0, found, strict=True):
        runs = np.split(np.arange(len(row)), np.flatnonzero(np.diff(row)) + 1)
        expected = np.zeros(len(row), bool)
        for run in runs:
            expected[run] = row[run[0]] and len(run) >= steps
        np.testing.assert_array_equal(lasts, expected)


@given(st.integers(0, 10**6))
def test_and_or_not_follow_three_valued_logic(seed):
    a, b = (Robustness.of(random_values(seed + k, unknown=0.4)) for k in (0, 1))
    pairs = [list(zip(r, s, strict=True)) for r, s in zip(truth(a), truth(b), strict=True)]
    assert truth(a & b) == [[kleene_all(list(p)) for p in row] for row in pairs]
    assert truth(a | b) == [[kleene_any(list(p)) for p in row] for row in pairs]
    assert truth(~a) == [[None if v is None else not v for v in row] for row in truth(a)]


def test_the_size_of_robustness_is_the_least_and_the_largest_over_the_window():
    body = Robustness.of(np.array([[1.0, 3.0, -2.0, 4.0, 5.0]]))
    assert robust.always(body, 0, 1).values[0, :4] == pytest.approx([1, -2, -2, 4])
    assert robust.eventually(body, -2, 0).values[0, 2:] == pytest.approx([3, 4, 5])
    assert robust.always_ahead(body).values[0] == pytest.approx([-2, -2, -2, 4, 5])
    assert robust.always_before(body).values[0] == pytest.approx([1, 1, -2, -2, -2])
