"""Stretches that overlap: which one counts, and what they cover."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kerbstone.mine.moments.stretches import merge_spans, pick_apart

SPANS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 5)).map(lambda s: (float(s[0]), float(sum(s)))),
    max_size=12,
)


def test_the_first_of_those_that_overlap_counts():
    scene, start, end = ["a", "a", "a", "b"], [0.0, 2.0, 3.0, 2.0], [3.0, 5.0, 6.0, 5.0]
    assert pick_apart(scene, start, end, top=9) == [0, 2, 3]
    assert pick_apart(scene, start, end, top=1) == [0]
    assert pick_apart(scene, start, end, top=9, gap=1.0) == [0, 3]


def test_what_is_taken_is_left_out():
    taken = {"a": [(0.0, 4.0)]}
    assert pick_apart(["a", "a", "b"], [3.0, 4.0, 3.0], [6.0, 7.0, 6.0], top=9, taken=taken) == [
        1,
        2,
    ]


@given(SPANS)
def test_chosen_stretches_are_apart_and_every_other_one_overlaps_one_of_them(spans):
    chosen = pick_apart(["s"] * len(spans), *zip(*spans, strict=True), top=99) if spans else []
    kept = [spans[place] for place in chosen]
    assert all(a[1] <= b[0] or b[1] <= a[0] for i, a in enumerate(kept) for b in kept[:i])
    for place, span in enumerate(spans):
        assert place in chosen or any(span[0] < b and span[1] > a for a, b in kept)


@given(SPANS, st.sampled_from([0.0, 1.0]))
def test_merged_spans_cover_the_same_and_lie_further_apart_than_the_gap(spans, gap):
    merged = merge_spans(spans, gap=gap)
    assert all(b[0] - a[1] > gap for a, b in pairwise(merged))
    times = {t for first, last in spans for t in range(int(first), int(last))}
    covered = {t for first, last in merged for t in range(int(first), int(last))}
    assert times <= covered
    assert gap or times == covered
