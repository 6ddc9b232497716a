"""Surprise: what p-values promise, where they are coarser, and where they end."""

import numpy as np
import pytest
from scipy import stats

from kerbstone.errors import InputError
from kerbstone.scene import Kind
from kerbstone.world.conformal import Calibration, fit_calibration

CAR, WALKER = int(Kind.CAR), int(Kind.PEDESTRIAN)


def drawn(rng, count, kind=CAR, speed=10.0, shift=0.0):
    """Return heavy-tailed excesses, kinds and speeds."""
    return rng.standard_t(3, count) + shift, np.full(count, kind), np.full(count, speed)


def fitted(*parts, **options):
    excess, kind, speed = (np.concatenate(part) for part in zip(*parts, strict=True))
    return fit_calibration(excess, kind, speed, model="m", **options)


def test_p_values_of_exchangeable_data_are_uniform():
    rng = np.random.default_rng(0)
    calibration = fitted(drawn(rng, 4000))
    p = calibration.p_value(*drawn(rng, 2000))
    assert stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize("seed", range(3))
def test_no_more_than_a_share_of_p_has_a_p_value_below_it(seed):
    # Over calibrations too: each has few scores, and every promise holds on average.
    rng = np.random.default_rng(seed)
    p = np.concatenate([fitted(drawn(rng, 30)).p_value(*drawn(rng, 10)) for _ in range(1000)])
    for level in (0.05, 0.1, 0.5):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level / len(p) * 10)


def test_the_p_value_counts_who_surprised_at_least_as_much():
    calibration = fitted((np.array([1.0, 2.0, 2.0, 3.0]), np.full(4, CAR), np.full(4, 10.0)))
    excess = np.array([0.0, 1.0, 2.0, 2.5, 3.0, 9.0])
    p = calibration.p_value(excess, np.full(6, CAR), np.full(6, 10.0))
    np.testing.assert_allclose(p, np.array([5, 5, 4, 2, 2, 1]) / 5)


def test_what_is_usual_for_one_kind_is_rare_for_another():
    rng = np.random.default_rng(1)
    calibration = fitted(drawn(rng, 500), drawn(rng, 500, WALKER, 1.0, shift=20.0))
    high = np.array([20.0, 20.0])
    car, walker = calibration.p_value(high, np.array([CAR, WALKER]), np.array([10.0, 1.0]))
    assert walker == pytest.approx(0.5, abs=0.1)
    assert car < 0.01


def test_what_is_usual_at_one_speed_is_rare_at_another():
    rng = np.random.default_rng(2)
    calibration = fitted(drawn(rng, 500, speed=20.0, shift=20.0), drawn(rng, 500, speed=0.0))
    high, kind = np.full(3, 20.0), np.full(3, CAR)
    fast, slow, unknown = calibration.p_value(high, kind, np.array([20.0, 0.0, np.nan]))
    assert (fast > 0.4, slow < 0.01) == (True, True)
    # Where the speed is not known, those of the kind at any speed are asked.
    assert unknown == pytest.approx((fast + slow) / 2, abs=0.02)


def test_a_bin_with_few_scores_gives_way_to_a_coarser_one():
    rng = np.random.default_rng(3)
    plenty = fitted(drawn(rng, 500), drawn(rng, 199, speed=0.0, shift=50.0))
    one = (np.array([25.0]), np.array([CAR]), np.array([0.0]))
    assert plenty.p_value(*one)[0] == pytest.approx(200 / 700, abs=1e-3)
    # Nobody of the kind was ever seen: all count.
    stranger = (np.array([25.0]), np.array([int(Kind.ANIMAL)]), np.array([0.0]))
    np.testing.assert_allclose(plenty.p_value(*stranger), plenty.p_value(*one))


def test_surprise_is_the_logarithm_of_p_and_goes_on_rising_beyond_all_that_was_seen():
    rng = np.random.default_rng(4)
    calibration = fitted(drawn(rng, 1000))
    top = calibration.scores["all"][-1]
    excess = np.concatenate([np.linspace(-5, top, 50), top + np.array([0.1, 1.0, 10.0, 1e6])])
    rest = (np.full(54, CAR), np.full(54, 10.0))
    surprise, p = calibration.surprise(excess, *rest), calibration.p_value(excess, *rest)
    np.testing.assert_allclose(surprise[:50], -np.log10(p[:50]))
    assert (p[50:] == p[-1]).all()
    assert (np.diff(surprise[49:]) > 0).all()
    # As slowly as a tail that is as heavy as can be.
    assert surprise[-1] < 3 + 7


def test_equal_scores_leave_a_tail_without_width_and_still_rank():
    calibration = fitted((np.zeros(300), np.full(300, CAR), np.full(300, 10.0)))
    two = calibration.surprise(np.array([1.0, 2.0]), np.full(2, CAR), np.full(2, 10.0))
    assert np.isfinite(two).all()
    assert two[0] < two[1]


def test_what_is_not_known_has_no_p_value_and_counts_for_none():
    some = (np.array([1.0, np.nan, 2.0]), np.full(3, CAR), np.full(3, 10.0))
    calibration = fitted(some)
    assert len(calibration.scores["all"]) == 2
    np.testing.assert_array_equal(np.isnan(calibration.p_value(*some)), [False, True, False])
    np.testing.assert_array_equal(np.isnan(calibration.surprise(*some)), [False, True, False])
    shape = (0, 4)
    none = calibration.p_value(np.zeros(shape), np.zeros(shape, int), np.zeros(shape))
    assert none.shape == shape


def test_nothing_known_is_no_calibration():
    with pytest.raises(InputError) as caught:
        fitted((np.array([np.nan]), np.array([CAR]), np.array([1.0])))
    assert caught.value.code == "empty"


def test_a_large_bin_is_thinned_by_a_draw_that_the_seed_repeats():
    rng = np.random.default_rng(5)
    part = drawn(rng, 5000)
    one, again, other = (fitted(part, most=100, seed=seed) for seed in (0, 0, 1))
    assert {len(scores) for scores in one.scores.values()} == {100}
    assert one.version == again.version != other.version


def test_another_model_or_other_scores_are_another_version():
    rng = np.random.default_rng(7)
    one = fitted(drawn(rng, 300))
    scores = {name: values + 1 for name, values in one.scores.items()}
    assert (
        len({one.version, Calibration("n", one.scores).version, Calibration("m", scores).version})
        == 3
    )
