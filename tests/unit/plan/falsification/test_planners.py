import numpy as np
import pytest

from kerbstone.plan.falsification.families import set_stage
from kerbstone.plan.falsification.motion import drive_car
from kerbstone.plan.falsification.planners import PLANNERS, View
from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.vehicle import StateIndex, Vehicle

CAR = Vehicle()


def _drive(name, family, seconds=3.0):
    rng = np.random.default_rng(0)
    stage = set_stage(family, 60, rng=rng, assumptions=Assumptions(), vehicle=CAR, is_nominal=True)
    ego, memory = stage.ego, {}
    for number in range(round(seconds / 0.1)):
        view = View(number, ego, stage.path, stage.wanted, stage.crowd, CAR, 0.1, rng, memory)
        control = PLANNERS[name](view)
        assert np.isfinite(control).all()
        assert (np.abs(control) <= [CAR.jerk, CAR.steering_rate]).all()
        ego = drive_car(ego, control, CAR, 0.1, 10)[:, -1]
    return stage, ego


@pytest.mark.parametrize("name", list(PLANNERS))
def test_planners_ask_for_what_a_car_can_do(name):
    _, ego = _drive(name, "curve")
    assert np.isfinite(ego).all()


def test_sensible_planner_keeps_its_lane_in_a_bend():
    stage, ego = _drive("sensible", "curve")
    _, left, _ = stage.path.project(ego[:, :2])
    assert np.abs(left).max() < 0.7


def test_full_throttle_is_faster_than_sensible_and_swerving_leaves_the_lane():
    _, calm = _drive("sensible", "oncoming")
    _, fast = _drive("full throttle", "oncoming")
    assert fast[:, StateIndex.SPEED].mean() > calm[:, StateIndex.SPEED].mean() + 3
    stage, wild = _drive("swerves", "oncoming")
    assert np.abs(stage.path.project(wild[:, :2])[1]).max() > 2.0
