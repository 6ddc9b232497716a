"""Matches of an answer: which, in which order, and how many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerbstone.lang import Answer, Facts
from kerbstone.lang.library import prepare
from kerbstone.lang.matches import list_matches, stretches
from queries import moving_scene

QUERY = prepare("car v: true")


def answered(robustness: list[list[float]]) -> tuple[Answer, Facts]:
    values = np.array(robustness, float)
    facts = Facts(moving_scene(np.zeros((*values.shape, 2))))
    return Answer(QUERY, np.arange(len(values))[:, None], values), facts


def test_each_stretch_is_a_match_at_its_strongest():
    found = list_matches(*answered([[-1.0, 2.0, 3.0, -1.0, 1.0]]))
    assert [(m.first, m.last, m.robustness) for m in found] == [(1, 2, 3.0), (4, 4, 1.0)]
    assert (found[0].start, found[0].end, found[0].best) == pytest.approx((0.1, 0.3, 0.2))


def test_the_strongest_comes_first_and_only_so_many_are_listed():
    answer, facts = answered([[1.0, -1.0, 5.0], [3.0, 3.0, 3.0], [np.nan, -1.0, 4.0]])
    whole = list_matches(answer, facts)
    assert [m.robustness for m in whole] == [5.0, 4.0, 3.0, 1.0]
    assert list_matches(answer, facts, most=2) == whole[:2]


def test_near_misses_come_after_the_matches_one_for_each_binding():
    answer, facts = answered([[1.0, -1.0], [-0.5, -0.2], [np.nan, -0.1], [np.nan, np.nan]])
    found = list_matches(answer, facts, near_misses=5)
    assert [m.robustness for m in found] == [1.0, -0.1, -0.2]
    assert found[2].witnesses == {"v": "a1"}
    assert len(list_matches(answer, facts, near_misses=1)) == 2


CELLS = st.sampled_from([np.nan, -1.0, 0.5, 1.0, 2.0])


@given(
    st.integers(1, 4).flatmap(
        lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), max_size=5)
    )
)
def test_stretches_are_where_it_holds_and_no_longer(rows):
    answer, facts = answered(rows or [[np.nan]])
    held = np.zeros(answer.robustness.shape, bool)
    for binding, first, end in zip(*stretches(answer), strict=True):
        assert not held[binding, first:end].any()
        held[binding, first:end] = True
        assert first == 0 or not answer.holds[binding, first - 1]
        assert end == held.shape[1] or not answer.holds[binding, end]
    np.testing.assert_array_equal(held, answer.holds)
    for match in list_matches(answer, facts):
        part = answer.robustness[int(match.witnesses["v"][1:]), match.first : match.last + 1]
        assert match.robustness == part.max()
