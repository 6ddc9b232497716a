import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kerbstone.label.rows import sum_by, weighted_median_by


def slow_median(value, weight):
    """Return the value at half of the weight, by a line through the middles of their weights."""
    order = np.argsort(value, kind="stable")
    value, weight = value[order], weight[order]
    middle = (np.cumsum(weight) - weight / 2) / weight.sum()
    return float(np.interp(0.5, middle, value))


rows = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.floats(-1e3, 1e3).map(lambda v: round(v, 3)),
        st.floats(0.01, 10).map(lambda v: round(v, 3)),
    ),
    min_size=1,
    max_size=40,
)


@given(rows)
def test_medians_are_those_of_each_group_alone(table):
    group, value, weight = (np.array(column) for column in zip(*table, strict=True))
    found = weighted_median_by(group, value, weight, 6)
    for each in range(6):
        own = group == each
        if not own.any():
            assert np.isnan(found[each])
        else:
            expected = slow_median(value[own], weight[own])
            np.testing.assert_allclose(found[each], expected, atol=1e-5 * (1 + np.abs(value).max()))


def test_with_equal_weights_it_is_the_plain_median():
    draw = np.random.default_rng(0)
    for count in (1, 2, 5, 8):
        value = draw.normal(size=count)
        found = weighted_median_by(np.zeros(count, np.int64), value, np.ones(count), 1)
        np.testing.assert_allclose(found[0], np.median(value), atol=1e-9)


def test_a_value_of_most_of_the_weight_is_nearly_the_median():
    group = np.zeros(3, np.int64)
    found = weighted_median_by(group, np.array([1.0, 5.0, 9.0]), np.array([0.1, 0.1, 9.8]), 1)
    assert 8.9 < found[0] <= 9.0


def test_the_order_of_rows_changes_nothing():
    draw = np.random.default_rng(1)
    group, value, weight = draw.integers(0, 9, 200), draw.normal(size=200), draw.random(200)
    shuffled = draw.permutation(200)
    np.testing.assert_array_equal(
        weighted_median_by(group, value, weight, 9),
        weighted_median_by(group[shuffled], value[shuffled], weight[shuffled], 9),
    )


def test_a_hundred_thousand_groups_keep_their_own_medians():
    count = 100_000
    group = np.repeat(np.arange(count), 3)
    value = np.tile([3.0, 1.0, 2.0], count) + group
    found = weighted_median_by(group, value, np.ones(len(group)), count)
    np.testing.assert_allclose(found, 2.0 + np.arange(count), rtol=1e-9)


def test_no_rows_or_no_weight_give_nan():
    nothing = np.zeros(0)
    assert weighted_median_by(np.zeros(0, np.int64), nothing, nothing, 0).shape == (0,)
    assert np.isnan(weighted_median_by(np.zeros(0, np.int64), nothing, nothing, 2)).all()
    assert np.isnan(weighted_median_by(np.zeros(2, np.int64), np.ones(2), np.zeros(2), 1)).all()


def test_sums_are_numbers_even_of_nothing():
    assert sum_by(np.array([2, 0, 2]), np.array([1.0, 2.0, 3.0]), 4).tolist() == [
        2.0,
        0.0,
        4.0,
        0.0,
    ]
    assert sum_by(np.zeros(0, np.int64), np.zeros(0), 3).dtype == np.float64
