"""From a scene at a time to a problem of planning."""

import dataclasses

import jax
import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.plan.checking import check_plans, place_discs, project_points
from kerbstone.plan.predictions import inflate, predict_straight, tell_future
from kerbstone.plan.problem import Horizon, Weights
from kerbstone.plan.roads import CorridorRules, Room
from kerbstone.plan.situations import SituationRules, situation_at, stack_problems
from kerbstone.plan.vehicle import StateIndex, Vehicle
from kerbstone.scene import Kind, MapBuilder, PieceKind, angle_difference
from roads import (
    EAST,
    WEST,
    Track,
    crossing_road,
    drive,
    stage,
    stand,
    straight_road,
    walk,
    way_through,
)

STREET = straight_road(speed_limit=13.9)


def street(*others, speed=8.0, start=100.0, **how):
    tracks = [Track("ego", drive(EAST, start=start, speed=speed)), *others]
    return stage(STREET, tracks, **how)


LEAD = Track("lead", drive(EAST, start=125.0, speed=6.0))
ONCOMING = Track("oncoming", drive(WEST, start=150.0, speed=9.0))


def leaves(problem):
    return jax.tree.leaves(problem)


def test_a_problem_is_made_of_numpy_arrays_in_double_precision():
    problem = situation_at(street(LEAD, ONCOMING), 2.0).problem
    for leaf in leaves(problem):
        assert isinstance(leaf, np.ndarray | np.generic)
        assert leaf.dtype in (np.float64, np.bool_, np.int32)
        assert np.isfinite(leaf).all()


def test_the_problem_knows_the_car_the_lane_and_the_others():
    found = situation_at(street(LEAD, ONCOMING), 2.0, rules=SituationRules(slots=3))
    assert found.others == ("lead", "oncoming", "")
    assert found.step == 20
    assert found.time == pytest.approx(2.0)
    assert found.agent == "ego"
    assert found.problem.start[StateIndex.SPEED] == pytest.approx(8.0)
    assert found.problem.ellipses.present[0].any(axis=-1).tolist() == [True, True, False]
    lanes = [STREET.lanes.ids[lane] for lane in found.route.lanes]
    assert lanes == ["east 1 1", "east 1 2"]
    assert found.clipped == ()
    lead = found.problem.ellipses.centre[0, 0]
    time = 0.15 * np.arange(1, 41)
    assert lead[:, 0] == pytest.approx(-200 + 125.0 + 6.0 * (2.0 + time))


@pytest.mark.parametrize("room", list(Room))
def test_the_car_is_within_its_corridor_and_holds_its_limits_at_first(room):
    rules = SituationRules(corridor=CorridorRules(room=room))
    found = situation_at(street(speed=np.linspace(4, 12, 100)), 3.0, rules=rules)
    batch = stack_problems([found.problem])
    stay = np.zeros((1, 1, 3, 2))
    short = dataclasses.replace(
        batch,
        ellipses=jax.tree.map(lambda leaf: leaf[:, :, :, :3], batch.ellipses),
    )
    check = check_plans(short, stay, vehicle=Vehicle(), horizon=Horizon(3, 0.15))
    assert check.feasible.all(), check.excess


def test_the_recorded_way_through_a_crossing_is_the_route():
    town = crossing_road()
    for way in ("left", "right", "through"):
        line = way_through("west", way)
        scene = stage(town, [Track("ego", drive(line, start=60.0, speed=7.0))])
        found = situation_at(scene, 1.0)
        assert f"west {way}" in [town.lanes.ids[lane] for lane in found.route.lanes]
        future = scene.agents.centre[0, 10:60, :2]
        beside = project_points(stack_problems([found.problem]).corridor, future[None])
        assert np.abs(beside.distance).max() < 0.5


def test_without_the_record_one_goes_straight_on():
    scene = stage(
        crossing_road(), [Track("ego", drive(way_through("west", "left"), start=60.0, speed=7.0))]
    )
    found = situation_at(scene, 1.0, rules=SituationRules(use_record=False))
    assert scene.map is not None
    assert "west through" in [scene.map.lanes.ids[lane] for lane in found.route.lanes]
    goal = situation_at(scene, 1.0, rules=SituationRules(goal="south out"))
    assert "west right" in [scene.map.lanes.ids[lane] for lane in goal.route.lanes]


def test_a_scene_without_a_map_is_planned_along_its_record():
    scene = dataclasses.replace(street(LEAD), map=None)
    found = situation_at(scene, 2.0)
    assert found.route.origin == "record"
    assert found.problem.start[1] == pytest.approx(-1.75)


def test_at_the_end_of_a_record_without_a_map_one_goes_straight_on():
    scene = dataclasses.replace(street(LEAD), map=None)
    found = situation_at(scene, 9.9)
    assert found.route.origin == "straight"
    assert found.laid.known < 5.0


def test_another_road_user_can_be_planned_for():
    found = situation_at(street(LEAD, ONCOMING, ego=None), 2.0, agent="oncoming")
    assert found.agent == "oncoming"
    assert set(found.others) == {"ego", "lead", ""}
    assert np.abs(angle_difference(found.problem.start[2], np.pi)) < 1e-6


def test_a_given_state_is_started_from():
    state = np.array([-60.0, -1.5, 0.05, 9.0, 0.5, 0.0])
    found = situation_at(street(LEAD), 2.0, start=state)
    assert found.problem.start.tolist() == state.tolist()
    assert found.laid.corridor.line[:, 0].min() < -60.0


def test_predictions_can_be_given():
    scene = street(LEAD, ONCOMING)
    horizon = Horizon(20, 0.15)
    oracle = tell_future(scene.agents, scene.clock, 20, horizon)
    found = situation_at(scene, 2.0, horizon=horizon, predictions=oracle)
    assert found.problem.ellipses.centre.shape == (1, 8, 20, 2)
    truth = np.interp(
        2.0 + 0.15 * np.arange(1, 21), scene.clock.dt * np.arange(100), scene.agents.centre[1, :, 0]
    )
    assert found.problem.ellipses.centre[0, 0, :, 0] == pytest.approx(truth)


def test_ego_is_no_obstacle_to_itself():
    found = situation_at(street(), 2.0)
    assert set(found.others) == {""}
    assert not found.problem.ellipses.present.any()


def test_weights_can_be_given():
    rules = SituationRules(weights=Weights(progress=np.asarray(0.7)))
    assert float(situation_at(street(), 2.0, rules=rules).problem.weights.progress) == 0.7


@pytest.mark.parametrize("time", [-1.0, 10.0, np.nan])
def test_a_time_outside_the_scene_is_an_error(time):
    with pytest.raises(InputError, match="outside the scene") as caught:
        situation_at(street(), time)
    assert caught.value.code == "index"


def test_a_scene_without_a_recording_car_needs_a_name():
    with pytest.raises(InputError, match="no recording car") as caught:
        situation_at(street(ego=None), 1.0)
    assert caught.value.remedy
    with pytest.raises(InputError, match="no agent 'x'"):
        situation_at(street(ego=None), 1.0, agent="x")


def test_a_prediction_that_is_nan_is_an_error_that_names_whom():
    scene = street(LEAD, ONCOMING)
    predictions = predict_straight(scene.agents, 20, Horizon())
    mean = np.array(predictions.mean)
    mean[0, 1, 7] = np.nan
    with pytest.raises(InputError, match="NaN") as caught:
        situation_at(scene, 2.0, predictions=dataclasses.replace(predictions, mean=mean))
    assert "'lead'" in caught.value.where
    assert "step 7" in caught.value.where


def test_predictions_of_another_horizon_are_an_error():
    scene = street(LEAD)
    predictions = predict_straight(scene.agents, 20, Horizon(10, 0.15))
    with pytest.raises(InputError, match="do not fit") as caught:
        situation_at(scene, 2.0, predictions=predictions)
    assert caught.value.code == "shape"


def test_an_empty_road_is_an_error():
    town = MapBuilder()
    town.add_piece(PieceKind.SIDEWALK, [[0, 0], [9, 0], [9, 9], [0, 0]])
    scene = dataclasses.replace(street(), map=town.build("park"))
    with pytest.raises(InputError, match="the road is empty") as caught:
        situation_at(scene, 2.0)
    assert caught.value.code == "empty"
    assert all((caught.value.where, caught.value.why, caught.value.remedy))


def test_a_car_off_the_road_is_an_error_unless_it_may_leave_the_lanes():
    lot = np.array([[-100.0, 40.0], [100.0, 40.0]])
    scene = stage(STREET, [Track("ego", drive(lot, start=20, speed=5.0))])
    with pytest.raises(InputError, match="on no lane") as caught:
        situation_at(scene, 2.0)
    assert "away" in caught.value.why
    found = situation_at(scene, 2.0, rules=SituationRules(leave_lanes=True))
    assert found.route.origin == "record"


def test_an_impossible_state_is_an_error_even_where_lanes_may_be_left():
    state = np.array([-60.0, -1.5, 0.05, 50.0, 0.0, 0.0])
    with pytest.raises(InputError, match="its speed is beyond"):
        situation_at(street(), 2.0, start=state, rules=SituationRules(leave_lanes=True))


@pytest.mark.parametrize(
    "other",
    [
        Track("behind", drive(EAST, start=100.0 - 5.6, speed=8.0)),
        Track("ahead", drive(EAST, start=100.0 + 5.6, speed=8.0)),
        Track("beside", drive(EAST, start=100.0, speed=8.0, offset=3.0)),
    ],
    ids=lambda track: track.name,
)
def test_who_is_close_gets_an_ellipse_that_the_car_is_outside_of(other):
    found = situation_at(street(other), 2.0)
    batch = stack_problems([found.problem])
    now = dataclasses.replace(
        batch, ellipses=jax.tree.map(lambda leaf: leaf[:, :, :, :1], batch.ellipses)
    )
    check = check_plans(now, np.zeros((1, 1, 1, 2)), vehicle=Vehicle(), horizon=Horizon(1, 0.15))
    assert found.problem.ellipses.present.any()
    assert check.excess["ellipse"][0] < 0.0
    usual = inflate(found.predictions, Vehicle())
    # At the end of the first step, 1.2 m further on.
    discs = place_discs(found.problem.start[None], Vehicle())[0] + [1.2, 0.0]
    apart = (discs - usual.centre[0, 0, 0]) / usual.semi_axes[0, 0, 0]
    assert (np.hypot(*apart.T) < 1.05).any()


def test_pedestrians_and_parked_cars_are_kept_out_of_too():
    scene = street(
        Track("walker", walk([-60, -8], [-60, 8]), Kind.PEDESTRIAN),
        Track("parked", stand(-50, -4.4)),
        Track("gone", np.full((100, 2), np.nan)),
    )
    assert set(situation_at(scene, 2.0).others) == {"walker", "parked", ""}


def test_problems_of_different_size_make_one_batch():
    slow = situation_at(street(LEAD, speed=1.0), 2.0, rules=SituationRules(slots=2)).problem
    fast = situation_at(street(LEAD, ONCOMING, speed=20.0, start=10.0), 2.0).problem
    assert len(slow.corridor.left) < len(fast.corridor.left)
    batch = stack_problems([slow, fast])
    assert batch.start.shape == (2, 6)
    assert batch.corridor.line.shape == (2, len(fast.corridor.left), 2)
    assert batch.ellipses.present.shape == (2, 1, 8, 40)
    assert not batch.ellipses.present[0, :, 2:].any()
    assert batch.probability.tolist() == [[1.0], [1.0]]
    assert batch.branch_step.shape == (2,)
    with pytest.raises(InputError, match="no problems"):
        stack_problems([])
    short = situation_at(street(LEAD), 2.0, horizon=Horizon(10, 0.15)).problem
    with pytest.raises(InputError, match="different horizons"):
        stack_problems([slow, short])
