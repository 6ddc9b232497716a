"""From those who may be hidden to modes of a prediction."""

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.plan.beliefs import Exits, Habits, predict_phantoms, when_phantoms_show
from kerbstone.plan.predictions import check_predictions, inflate
from kerbstone.plan.problem import Horizon
from kerbstone.plan.vehicle import Vehicle

HORIZON = Horizon(20, 0.25)
HABITS = Habits(emergence=0.3, speed=2.0)


def exits(regions=1):
    place = np.stack([30.0 + 5.0 * np.arange(regions), np.full(regions, -3.0)], axis=-1)
    return Exits(place, np.full(regions, np.pi / 2), np.full(regions, 3.0))


def test_the_mode_of_stepping_out_has_the_probability_of_doing_so():
    predicted = predict_phantoms(np.array([0.4]), exits(), HORIZON, habits=HABITS)
    out = 0.4 * -np.expm1(-0.3 * 5.0)
    assert predicted.probability == pytest.approx([1 - out, out])
    check_predictions(predicted)


def test_delays_share_the_time_of_the_plan_between_them():
    predicted = predict_phantoms(
        np.array([0.4]), exits(), HORIZON, delays=(0.0, 1.0, 3.0), habits=HABITS
    )
    stays = np.exp(-0.3 * np.array([0.0, 1.0, 3.0, 5.0]))
    assert predicted.probability[1:] == pytest.approx(0.4 * -np.diff(stays))
    assert predicted.valid[:, 0].sum(axis=-1).tolist() == [0, 20, 17, 9]


def test_one_walks_out_and_then_stands_in_the_way():
    predicted = predict_phantoms(np.array([0.4]), exits(), HORIZON, habits=HABITS)
    y = predicted.mean[1, 0, :, 1]
    assert y[:3] == pytest.approx([-2.5, -2.0, -1.5])
    assert y[6:] == pytest.approx(np.zeros(14))
    assert predicted.mean[1, 0, :, 0] == pytest.approx(np.full(20, 30.0))
    assert not predicted.valid[0].any()


def test_who_comes_later_is_never_further_out():
    predicted = predict_phantoms(
        np.array([0.4]), exits(), HORIZON, delays=(0.0, 0.6, 1.4), habits=HABITS
    )
    y = np.where(predicted.valid[1:, 0], predicted.mean[1:, 0, :, 1], -np.inf)
    assert (np.maximum.accumulate(y, axis=0) == y[0]).all()


def test_the_chance_that_any_of_two_regions_sends_somebody_is_kept():
    predicted = predict_phantoms(np.array([0.4, 0.2]), exits(2), HORIZON, habits=HABITS)
    out = np.array([0.4, 0.2]) * -np.expm1(-0.3 * 5.0)
    assert predicted.probability[0] == pytest.approx((1 - out).prod())
    assert predicted.probability.sum() == pytest.approx(1.0)
    assert predicted.probability[1] == pytest.approx(2 * predicted.probability[2])
    assert predicted.valid.any(axis=-1).tolist() == [[False, False], [True, False], [False, True]]


def test_what_is_negligible_is_not_planned_for():
    predicted = predict_phantoms(np.array([1e-4]), exits(), HORIZON, habits=HABITS)
    assert predicted.probability.tolist() == [1.0, 0.0]
    assert not predicted.valid.any()
    strict = predict_phantoms(np.array([1e-4]), exits(), HORIZON, habits=HABITS, negligible=0.0)
    assert strict.valid[1].all()
    nobody = predict_phantoms(np.array([0.0]), exits(), HORIZON, habits=HABITS, negligible=0.0)
    assert not nobody.valid.any()


def test_a_batch_is_each_alone_and_makes_ellipses():
    existence = np.array([[0.4], [0.0], [0.9]])
    batch = Exits(*(np.stack([value] * 3) for value in exits()))
    together = predict_phantoms(existence, batch, HORIZON, habits=HABITS)
    for i in range(3):
        alone = predict_phantoms(existence[i], exits(), HORIZON, habits=HABITS)
        for name in ("mean", "covariance", "probability", "valid", "size", "heading"):
            assert getattr(alone, name) == pytest.approx(getattr(together, name)[i])
    ellipses = inflate(together, Vehicle())
    assert ellipses.centre.shape == (3, 2, 1, 20, 2)
    assert np.isfinite(ellipses.semi_axes).all()


@pytest.mark.parametrize(
    ("delays", "notice", "step"), [((0.0,), 0.25, 1), ((0.0,), 0.3, 2), ((0.0, 1.0), 0.5, 6)]
)
def test_a_plan_may_depend_on_who_was_out_long_enough_to_be_noticed(delays, notice, step):
    assert when_phantoms_show(HORIZON, delays=delays, notice=notice) == step


def test_a_plan_never_branches_after_its_end():
    assert when_phantoms_show(HORIZON, delays=(4.9,), notice=0.5) == 20


@pytest.mark.parametrize("delays", [(), (-0.5,), (1.0, 1.0), (1.0, 0.5), (0.0, 1.0, 2.0, 3.0)])
def test_what_cannot_be_is_an_error(delays):
    with pytest.raises(InputError):
        predict_phantoms(np.array([0.4]), exits(), HORIZON, delays=delays)
