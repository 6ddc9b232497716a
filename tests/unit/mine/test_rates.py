"""Rates and their intervals: published numbers, limits, and how often they hold the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kerbstone.mine.rates import CLUSTERED, POISSON, estimate_rate, poisson_interval

# Garwood's table as in Ulm, American Journal of Epidemiology 131, 1990, and in E. S. Pearson and
# H. O. Hartley, "Biometrika Tables for Statisticians", table 40.
PUBLISHED = {0: (0.0, 3.689), 1: (0.0253, 5.572), 5: (1.623, 11.668), 10: (4.795, 18.390), 50: (37.111, 65.919)}  # fmt: skip


@pytest.mark.parametrize(("count", "interval"), PUBLISHED.items())
def test_intervals_are_those_of_the_published_table(count, interval):
    assert poisson_interval(count) == pytest.approx(interval, abs=1e-3)


@given(st.integers(0, 200))
def test_both_tails_are_as_likely_as_promised(count):
    low, high = poisson_interval(count)
    assert stats.poisson.cdf(count, high) == pytest.approx(0.025, abs=1e-9)
    if count:
        assert stats.poisson.sf(count - 1, low) == pytest.approx(0.025, abs=1e-9)


def test_a_rate_is_the_count_by_the_exposure():
    found = estimate_rate(np.array([3.0, 2.0]), np.array([2.0, 0.5]))
    assert (found.count, found.exposure, found.rate, found.logs) == (5, 2.5, 2.0, 2)
    assert (found.method, found.effect) == (POISSON, 1.0)
    assert (found.low, found.high) == pytest.approx([1.623 / 2.5, 11.668 / 2.5], abs=1e-3)


@pytest.mark.parametrize("logs", [1, 20])
def test_what_never_happened_has_an_upper_bound(logs):
    found = estimate_rate(np.zeros(logs), np.full(logs, 0.5))
    assert (found.rate, found.low, found.method) == (0.0, 0.0, POISSON)
    assert found.high == pytest.approx(3.689 / (0.5 * logs), rel=1e-3)


def test_without_exposure_there_is_no_rate():
    for exposures in (np.zeros(3), np.zeros(0)):
        found = estimate_rate(np.zeros(len(exposures)), exposures)
        assert (found.rate, found.high, found.logs) == (None, None, 0)


def test_logs_without_exposure_do_not_count():
    found = estimate_rate(np.array([1.0, 0.0]), np.array([1.0, 0.0]))
    assert (found.logs, found.rate) == (1, 1.0)


def test_seven_logs_say_nothing_of_clusters_and_eight_do():
    counts = np.array([10.0, 0, 0, 0, 0, 0, 0, 0])
    seven = estimate_rate(counts[:7], np.ones(7))
    eight = estimate_rate(counts, np.ones(8))
    assert (seven.method, eight.method) == (POISSON, CLUSTERED)
    assert eight.effect > 10
    assert eight.low < seven.low * 7 / 8
    assert eight.high > seven.high * 7 / 8


def test_counts_that_vary_less_than_poissons_do_not_narrow_the_interval():
    found = estimate_rate(np.full(20, 5.0), np.ones(20))
    assert (found.effect, found.method) == (1.0, CLUSTERED)
    assert (found.low, found.high) == pytest.approx(np.divide(poisson_interval(100), 20))


def test_logs_of_different_lengths_with_one_rate_are_no_clusters():
    exposures = np.array([1.0, 2, 4, 8, 16, 32, 64, 128])
    assert estimate_rate(2 * exposures, exposures).effect == 1.0


def share_that_hold(draw, exposures, rate, *, rounds=1500):
    rng = np.random.default_rng(7)
    hits = naive = 0
    for _ in range(rounds):
        counts = draw(rng, rate * exposures).astype(float)
        found = estimate_rate(counts, exposures)
        hits += found.low <= rate <= found.high
        low, high = np.divide(poisson_interval(counts.sum()), exposures.sum())
        naive += low <= rate <= high
    return hits / rounds, naive / rounds


@pytest.mark.parametrize(("logs", "rate"), [(8, 3.0), (30, 0.5), (100, 2.0)])
def test_intervals_hold_the_true_rate_where_occurrences_come_independently(logs, rate):
    exposures = np.linspace(0.5, 2.0, logs)
    hold, _ = share_that_hold(lambda rng, mean: rng.poisson(mean), exposures, rate)
    assert hold >= 0.94


@pytest.mark.parametrize(("logs", "rate"), [(10, 3.0), (30, 1.0), (100, 1.0)])
def test_intervals_hold_the_true_rate_where_occurrences_come_in_clusters(logs, rate):
    exposures = np.linspace(0.5, 2.0, logs)

    def draw(rng, mean):
        # Each log has a rate of its own: gamma distributed, its variance twice its mean's square.
        return rng.poisson(rng.gamma(0.5, mean / 0.5))

    hold, naive = share_that_hold(draw, exposures, rate)
    assert hold >= 0.90
    assert naive < 0.80
