"""What the others may do, by name."""

import dataclasses

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.plan.modes import MODES, join_modes, predict_modes, trust_followers
from kerbstone.plan.predictions import predict_straight, tell_future
from kerbstone.plan.problem import Horizon
from kerbstone.plan.vehicle import Vehicle
from roads import EAST, WEST, Track, crossing_road, drive, stage, stand, straight_road, way_through

HORIZON = Horizon()
TIME = 0.15 * np.arange(1, 41)


def street(*others):
    return stage(straight_road(), [Track("ego", drive(EAST, start=100.0, speed=8.0)), *others])


LEAD = Track("lead", drive(EAST, start=125.0, speed=6.0))


def test_who_brakes_follows_the_parabola_of_braking_and_then_stands():
    predicted = predict_modes(street(LEAD), 20, HORIZON, {"brake": 1.0})
    way = predicted.mean[0, 1, :, 0] - (-200 + 125 + 12)
    moving = np.minimum(TIME, 2.0)
    # Between steps of the forecast that it is taken from, the way is a chord: it is straight here.
    assert way == pytest.approx(6.0 * moving - 1.5 * moving**2, abs=1e-6)


def test_who_brakes_keeps_to_its_lane_through_a_curve():
    line = way_through("west", "left")
    scene = stage(crossing_road(), [Track("turns", drive(line, start=80.0, speed=5.0))], ego=None)
    lanes, brakes = (predict_modes(scene, 0, HORIZON, {name: 1.0}) for name in ("lanes", "brake"))
    apart = np.hypot(*(brakes.mean[0, 0, :, None] - lanes.mean[0, 0, None]).T).min(axis=0)
    assert apart.max() < 0.4
    assert np.abs(np.diff(np.unwrap(brakes.heading[0, 0]))).max() < 0.2


def test_modes_come_in_the_order_given_with_probabilities_that_add_up():
    predicted = predict_modes(street(LEAD), 20, HORIZON, {"brake": 1.0, "straight": 3.0})
    assert predicted.probability.tolist() == [0.25, 0.75]
    assert predicted.mean[1, 1, -1, 0] > predicted.mean[0, 1, -1, 0] + 20


def test_every_mode_can_be_predicted_with_a_map_and_without():
    scene = street(LEAD)
    for road in (scene.map, None):
        shown = dataclasses.replace(scene, map=road)
        predicted = predict_modes(shown, 20, HORIZON, dict.fromkeys(MODES, 1.0))
        assert predicted.mean.shape == (len(MODES), 2, 40, 2)
        assert np.isfinite(predicted.mean[predicted.valid]).all()


def test_who_stands_becomes_no_less_certain():
    scene = street(LEAD, Track("parked", stand(0.0, -5.0)))
    predicted = predict_modes(scene, 20, HORIZON, {"lanes": 1.0})
    spread = np.linalg.eigvalsh(predicted.covariance[0])[..., -1]
    assert spread[2, -1] == pytest.approx(spread[2, 0])
    assert spread[1, -1] > 10 * spread[1, 0]


def test_the_record_stays_what_it_is():
    scene = street(LEAD)
    told = tell_future(scene.agents, scene.clock, 20, HORIZON)
    predicted = predict_modes(scene, 20, HORIZON, {"record": 1.0})
    assert np.array_equal(predicted.mean, told.mean)


def trusted(*others):
    scene = street(*others)
    predicted = predict_straight(scene.agents, 20, HORIZON)
    state = np.array([-200 + 116.0, -1.75, 0.0, 8.0, 0.0, 0.0])
    left = trust_followers(predicted, scene.agents, 20, EAST, state, Vehicle())
    return left.valid[0, 1:]


def test_who_is_behind_in_the_lane_is_trusted_and_nobody_else():
    behind = Track("behind", drive(EAST, start=80.0, speed=12.0))
    beside = Track("beside", drive(EAST, start=80.0, speed=12.0, offset=-3.5))
    oncoming = Track("oncoming", drive(WEST, start=300.0, speed=9.0))
    valid = trusted(behind, beside, oncoming, LEAD)
    assert not valid[0].any()
    assert valid[1:].all()


def test_who_comes_into_the_lane_from_behind_is_trusted_from_then_on():
    line = np.array([[-130.0, -21.75], [-110.0, -1.75], [200.0, -1.75]])
    joins = Track("joins", drive(line, start=0.0, speed=10.0), heading=0.3)
    valid = trusted(joins)[0]
    # Predicted straight on, it crosses the lane behind the car: first not in it, then in it.
    assert valid[0]
    assert not valid[-1]
    assert (np.diff(valid.astype(int)) <= 0).all()


@pytest.mark.parametrize(
    ("modes", "code"),
    [
        ({}, "empty"),
        ({"lane": 1.0}, "name"),
        ({"lanes": 0.0}, "value"),
        ({"lanes": np.nan}, "value"),
    ],
)
def test_modes_that_are_none_are_refused(modes, code):
    with pytest.raises(InputError) as caught:
        predict_modes(street(LEAD), 20, HORIZON, modes)
    assert caught.value.code == code


def test_joined_modes_keep_their_numbers():
    scene = street(LEAD)
    first = predict_straight(scene.agents, 20, HORIZON)
    joined = join_modes([first, first], [1.0, 1.0])
    assert np.array_equal(joined.mean[0], joined.mean[1])
    assert joined.size.shape == (2, 2)
