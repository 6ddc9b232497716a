"""Scaling laws: known ones are found again, and noise is not taken for one."""

import json

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.world.power_laws import fit_laws
from kerbstone.world.scaling import describe_scaling, fit_scaling

SIZES, HOURS = np.array([2e4, 7e4, 3e5, 1e6]), np.array([0.5, 2.0, 8.0, 30.0])
N, D = (axis.ravel() for axis in np.meshgrid(SIZES, HOURS))


def law(n=N, d=D, *, floor=0.3, a=0.35, b=0.5, most=8.0, other=0.25):
    return floor + most * n**-a + other * d**-b


def noisy(loss, sigma, seed=0):
    return loss + sigma * np.random.default_rng(seed).normal(size=len(loss))


def words(fit):
    return " ".join(describe_scaling(fit))


def test_a_law_without_noise_is_found_again():
    fit = fit_scaling(N, D, law())
    assert fit.floor.value == pytest.approx(0.3, abs=1e-3)
    assert fit.axis("parameters").exponent.value == pytest.approx(0.35, abs=2e-3)
    assert fit.axis("data").exponent.value == pytest.approx(0.5, abs=2e-3)
    assert fit.axis("data").factor == pytest.approx(0.25, rel=1e-2)
    np.testing.assert_allclose(fit.predict(N * 3, D * 5), law(N * 3, D * 5), rtol=2e-3)
    assert fit.noise < 1e-4


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    held = []
    gain = 0.25 * 30**-0.5 * (1 - 2**-0.5)
    loss = law()[-1]
    for seed in range(25):
        fit = fit_scaling(N, D, noisy(law(), 0.004, seed), draws=100)
        axis = fit.axis("data")
        held.append(
            [
                axis.exponent.low <= 0.5 <= axis.exponent.high,
                fit.axis("parameters").exponent.low <= 0.35 <= fit.axis("parameters").exponent.high,
                axis.gain.low * fit.loss <= gain <= axis.gain.high * fit.loss,
                fit.floor.low <= 0.3 <= fit.floor.high,
            ]
        )
        assert fit.loss == pytest.approx(loss, abs=0.03)
    assert (np.mean(held, axis=0) > 0.85).all()


def test_where_both_pay_it_says_so_and_which_pays_more():
    fit = fit_scaling(N, D, noisy(law(most=40.0), 0.001))
    assert {axis.verdict for axis in fit.axes} == {"pays"}
    assert fit.more == "parameters"
    assert "More data would pay: twice as much takes" in words(fit)
    assert "more parameters would take more off" in words(fit)
    assert "the loss would end at 0." in words(fit)


def test_where_data_saturate_it_says_where():
    fit = fit_scaling(N, D, noisy(0.5 + 0.3 / D, 0.0003))
    axis = fit.axis("data")
    # 0.3 / D * (1 - 1/2) is 1 % of the loss at the end, 0.51, at D = 29.4.
    assert axis.ends.value == pytest.approx(0.15 / 0.0051, rel=0.05)
    assert axis.ends.low < axis.ends.value < axis.ends.high
    assert fit.axis("parameters").verdict == "saturated"
    assert "More parameters would not pay" in words(fit)


def test_noise_alone_is_no_law():
    for seed in range(5):
        fit = fit_scaling(N, D, noisy(np.ones(len(N)), 0.2, seed))
        assert {axis.verdict for axis in fit.axes} == {"unknown"}
        assert words(fit).count("the ladder cannot say") == 3


def test_a_short_ladder_cannot_say():
    n, d = (axis.ravel() for axis in np.meshgrid(SIZES[:2], HOURS[:2]))
    fit = fit_scaling(n, d, law(n, d))
    assert {axis.verdict for axis in fit.axes} == {"unknown"}
    assert "it takes 3 values of data at least, and there are 2" in words(fit)
    assert np.isnan(fit.floor.value)
    three = fit_scaling(np.full(3, 1e5), HOURS[:3], law(1e5, HOURS[:3]))
    assert "no more runs than the law has numbers" in words(three)
    assert "nothing" in words(fit_scaling(N[:1], D[:1], law()[:1]))


def test_one_axis_alone_has_a_law_too():
    hours = np.geomspace(0.5, 30, 6)
    fit = fit_scaling(np.full(6, 1e5), hours, 0.4 + 0.2 * hours**-0.7)
    (axis,) = fit.axes
    assert axis.name == "data"
    assert axis.exponent.value == pytest.approx(0.7, abs=2e-3)
    assert fit.floor.value == pytest.approx(0.4, abs=1e-3)


def test_one_run_that_went_wrong_does_not_bend_the_law():
    loss = noisy(law(), 0.001)
    loss[5] += 0.5
    fit = fit_scaling(N, D, loss)
    assert fit.axis("data").exponent.value == pytest.approx(0.5, abs=0.15)
    assert np.median(np.abs(fit.predict(N, D) - law())) < 0.02


def test_losses_below_zero_have_a_law():
    fit = fit_scaling(N, D, noisy(law() - 2.0, 0.001))
    assert fit.floor.value == pytest.approx(-1.7, abs=0.05)
    assert np.isfinite(fit.axis("data").gain.value)


def test_a_fit_is_the_same_each_time_and_goes_into_json():
    one, same = (fit_scaling(N, D, noisy(law(), 0.01)) for _ in range(2))
    assert one == same
    told = json.loads(json.dumps(one.to_dict(), allow_nan=False))
    assert told["words"] == describe_scaling(one)


@pytest.mark.parametrize(
    ("n", "d", "loss"),
    [
        (N[:0], D[:0], D[:0]),
        (N, D, np.where(D > 10, np.nan, law())),
        (0 * N, D, law()),
    ],
)
def test_wrong_runs_are_told(n, d, loss):
    with pytest.raises(InputError):
        fit_scaling(n, d, loss)


def test_factors_are_never_negative_and_many_laws_are_fitted_at_once():
    shares = np.stack([N / N.max(), D / D.max()])
    values = np.stack([law(), -law(), law() - 0.4 * N / N.max()])
    found = fit_laws(shares, values, np.ones(len(N)))
    assert (found.factor >= 0).all()
    np.testing.assert_array_equal(found.factor[1], 0)
    alone = fit_laws(shares, values[:1], np.ones(len(N)))
    np.testing.assert_allclose(found.predict(shares)[0], alone.predict(shares)[0], rtol=1e-3)
    np.testing.assert_allclose(found.floor[1], -law().mean())
