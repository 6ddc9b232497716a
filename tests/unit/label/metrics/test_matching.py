import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from kerbstone.label.metrics.matching import match_pairs, split_pairs


@pytest.mark.parametrize("density", [0.05, 0.2, 0.6, 1.0])
def test_matching_weighs_as_much_as_the_dense_assignment(density):
    draw = np.random.default_rng(int(100 * density))
    for _ in range(30):
        weight = draw.random((12, 9)) + 1e-3
        is_pair = draw.random(weight.shape) < density
        first, second = (index.astype(np.int64) for index in np.nonzero(is_pair))
        matched = match_pairs(first, second, weight[is_pair])
        best = linear_sum_assignment(np.where(is_pair, weight, 0.0), maximize=True)
        assert weight[is_pair][matched].sum() == pytest.approx(
            np.where(is_pair, weight, 0)[best].sum()
        )


def test_matching_is_one_to_one():
    draw = np.random.default_rng(1)
    first, second = draw.integers(0, 20, 60), draw.integers(0, 20, 60)
    pairs = np.unique(np.column_stack([first, second]), axis=0)
    matched = match_pairs(pairs[:, 0], pairs[:, 1], draw.random(len(pairs)))
    for side in pairs[matched].T:
        assert len(np.unique(side)) == len(side)


def test_no_pairs_match_nothing():
    nothing = np.zeros(0, np.int64)
    assert match_pairs(nothing, nothing, np.zeros(0)).shape == (0,)
    assert split_pairs(nothing, nothing)[1] == []


def test_groups_come_in_the_order_of_their_least_first_index():
    first = np.array([7, 7, 2, 3, 5, 9, 9])
    second = np.array([0, 1, 8, 8, 4, 2, 3])
    alone, groups = split_pairs(first, second)
    assert alone.tolist() == [False, False, False, False, True, False, False]
    assert [sorted(group.tolist()) for group in groups] == [[2, 3], [0, 1], [5, 6]]
