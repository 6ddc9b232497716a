"""Forecasts that follow the lanes."""

import numpy as np
import pytest

from kerbstone.plan.predictions import predict_straight
from kerbstone.plan.problem import Horizon
from kerbstone.plan.roads import Road, predict_along_lanes
from kerbstone.scene import Kind
from roads import Track, curved_road, drive, stage, stand, straight_road, walk

HORIZON = Horizon(20, 0.1)
ARC = 30.0 * np.stack([np.cos(t := np.linspace(0, np.pi, 200)), np.sin(t)], axis=-1)


def test_a_car_in_a_curve_stays_on_it():
    road = Road(curved_road())
    scene = stage(None, [Track("v", drive(ARC, start=10, speed=8.0, offset=0.5))], ego=None)
    found = predict_along_lanes(road, scene.agents, 5, HORIZON)
    truth = scene.agents.centre[0, 6:26, :2]
    # Half a metre inside of the curve the way is a sixtieth shorter than along the lane.
    assert found.mean[0, 0] == pytest.approx(truth, abs=0.3)
    heading = np.arctan2(truth[:, 1], truth[:, 0]) + np.pi / 2
    assert found.heading[0, 0] == pytest.approx(heading, abs=0.05)
    straight = predict_straight(scene.agents, 5, HORIZON)
    assert np.hypot(*(straight.mean[0, 0, -1] - truth[-1])) > 3.0


def test_the_uncertainty_turns_with_the_lane():
    road = Road(curved_road())
    scene = stage(None, [Track("v", drive(ARC, start=10, speed=8.0))], ego=None)
    found = predict_along_lanes(road, scene.agents, 5, HORIZON)
    way = np.stack([np.cos(found.heading[0, 0]), np.sin(found.heading[0, 0])], axis=-1)
    along = np.einsum("si,sij,sj->s", way, found.covariance[0, 0], way)
    assert along == pytest.approx((0.1 + 0.4 * 0.1 * np.arange(1, 21)) ** 2)


def test_those_without_a_lane_go_straight_on():
    tracks = [
        Track("walker", walk([0, -8], [0, 8]), Kind.PEDESTRIAN),
        Track("parked", stand(10, -5)),
        Track("lost", drive(np.array([[0.0, 60.0], [90, 60]]), start=0, speed=9)),
        Track("gone", np.full((100, 2), np.nan)),
    ]
    scene = stage(straight_road(), tracks, ego=None)
    found = predict_along_lanes(Road(straight_road()), scene.agents, 5, HORIZON)
    straight = predict_straight(scene.agents, 5, HORIZON)
    assert np.array_equal(found.mean, straight.mean)
    assert np.array_equal(found.valid, straight.valid)
    assert found.valid[0, :, 0].tolist() == [True, True, True, False]


def test_only_those_around_a_place_follow_lanes():
    road = Road(curved_road())
    scene = stage(None, [Track("v", drive(ARC, start=10, speed=8.0))], ego=None)
    far = predict_along_lanes(road, scene.agents, 5, HORIZON, near=np.array([500.0, 0.0]))
    assert np.array_equal(far.mean, predict_straight(scene.agents, 5, HORIZON).mean)
