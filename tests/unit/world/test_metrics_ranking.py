import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.world.metrics import (
    auroc,
    average_precision,
    interval_of,
    interval_of_difference,
    interval_of_mean,
    recall_at,
)

RNG = np.random.default_rng(5)


@pytest.fixture(params=["distinct", "tied"])
def ranking(request):
    score = RNG.normal(size=60)
    sought = RNG.random(60) < 0.3
    score[sought] += 0.7
    return (np.round(score, 0) if request.param == "tied" else score), sought


def test_auroc_is_the_share_of_pairs_in_the_right_order(ranking):
    score, sought = ranking
    pairs = [
        1.0 if high > low else 0.5 if high == low else 0.0
        for high in score[sought]
        for low in score[~sought]
    ]
    assert auroc(score, sought) == pytest.approx(np.mean(pairs))


def test_average_precision_sums_precision_over_gains_of_recall(ranking):
    score, sought = ranking
    total, before = 0.0, 0.0
    for threshold in sorted(set(score), reverse=True):
        taken = score >= threshold
        recall = (taken & sought).sum() / sought.sum()
        total += (recall - before) * (taken & sought).sum() / taken.sum()
        before = recall
    assert average_precision(score, sought) == pytest.approx(total)


def test_recall_is_the_mean_over_all_orders_of_equal_scores(ranking):
    score, sought = ranking
    recalls = []
    for _ in range(4000):
        mixed = RNG.permutation(60)
        order = mixed[np.argsort(-score[mixed], kind="stable")]
        recalls.append(sought[order[:10]].sum() / sought.sum())
    assert recall_at(score, sought, first=10) == pytest.approx(np.mean(recalls), abs=0.005)


def test_perfect_and_reversed_rankings():
    sought = np.arange(20) < 5
    score = -np.arange(20.0)
    assert auroc(score, sought) == average_precision(score, sought) == 1
    assert recall_at(score, sought, first=5) == 1
    assert recall_at(score, sought, first=2) == pytest.approx(0.4)
    assert auroc(-score, sought) == 0
    assert recall_at(-score, sought, first=10) == 0
    assert recall_at(score, sought, first=50) == 1


def test_rankings_are_undefined_where_nothing_is_sought_and_not_0():
    score, nothing = np.arange(4.0), np.zeros(4, bool)
    assert np.isnan(auroc(score, nothing))
    assert np.isnan(auroc(score, ~nothing))
    assert np.isnan(average_precision(score, nothing))
    assert np.isnan(recall_at(score, nothing))
    with pytest.raises(InputError, match="no item"):
        recall_at(score, nothing, first=0)


def test_items_without_a_score_are_left_out_or_last():
    score = np.array([3.0, np.nan, 1.0, 2.0])
    sought = np.array([True, True, False, False])
    assert auroc(score, sought) == 1
    assert average_precision(score, sought) == 1
    assert recall_at(score, sought, first=3) == 0.5


def test_an_interval_over_logs_is_wider_than_one_over_rows_that_are_alike_in_a_log():
    log = np.repeat(np.arange(20), 50).astype(str)
    value = np.repeat(RNG.normal(size=20), 50) + 0.01 * RNG.normal(size=1000)
    by_log = interval_of_mean(value, log)
    by_row = interval_of_mean(value, np.arange(1000).astype(str))
    assert by_log.value == pytest.approx(value.mean()) == by_row.value
    assert by_log.high - by_log.low > 4 * (by_row.high - by_row.low)
    assert by_log.low < by_log.value < by_log.high
    assert by_log.logs == 20


def test_95_percent_intervals_hold_the_mean_about_as_often():
    rng = np.random.default_rng(1)
    log = np.repeat(np.arange(40), 5).astype(str)
    held = []
    for seed in range(200):
        value = np.repeat(rng.normal(size=40), 5) + rng.normal(size=200)
        interval = interval_of_mean(value, log, draws=400, seed=seed)
        held.append(interval.low <= 0 <= interval.high)
    assert 0.88 <= np.mean(held) <= 0.98


def test_a_paired_difference_is_surer_than_the_values():
    log = np.repeat(np.arange(30), 4).astype(str)
    hard = np.repeat(5 * RNG.random(30), 4)
    value, other = hard + 0.1 + 0.05 * RNG.random(120), hard
    alone = interval_of_mean(value, log)
    paired = interval_of_difference(value, other, log)
    assert paired.low > 0
    assert paired.high - paired.low < 0.1 * (alone.high - alone.low)


def test_rows_and_logs_without_a_value_do_not_count():
    value = np.array([1.0, np.nan, 3.0, np.nan])
    log = np.array(["a", "a", "b", "c"])
    interval = interval_of_mean(value, log)
    assert interval.value == 2
    assert interval.logs == 2
    assert interval_of_difference(value, np.ones(4), log).value == 1
    nothing = interval_of_mean(np.full(4, np.nan), log)
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()


def test_one_log_tells_nothing_of_others():
    interval = interval_of_mean(np.arange(5.0), ["a"] * 5)
    assert interval.value == 2
    assert np.isnan([interval.low, interval.high]).all()


def test_the_interval_of_any_figure_agrees_with_that_of_the_mean():
    value, log = RNG.normal(size=300), np.repeat(np.arange(30), 10).astype(str)
    mean = interval_of_mean(value, log)
    other = interval_of(lambda rows: float(value[rows].mean()), log, draws=2000)
    assert other.value == pytest.approx(mean.value)
    assert other.low == pytest.approx(mean.low, abs=0.02)
    assert other.high == pytest.approx(mean.high, abs=0.02)
    sought = RNG.random(300) < 0.2
    figure = interval_of(lambda rows: auroc(value[rows], sought[rows]), log, draws=50)
    assert figure.low <= figure.value <= figure.high


def test_the_same_seed_gives_the_same_interval_and_wrong_logs_are_refused():
    value, log = RNG.normal(size=30), np.repeat(np.arange(10), 3).astype(str)
    assert interval_of_mean(value, log, seed=4) == interval_of_mean(value, log, seed=4)
    assert interval_of_mean(value, log, seed=4) != interval_of_mean(value, log, seed=5)
    with pytest.raises(InputError, match="do not fit"):
        interval_of_mean(value, log[:-1])
    with pytest.raises(InputError, match="out of range"):
        interval_of_mean(value, log, level=95.0)


def test_values_of_different_numbers_are_refused(unchecked):
    with pytest.raises(InputError, match="do not fit"):
        interval_of_difference(np.zeros(4), np.zeros(3), ["a"] * 4)
