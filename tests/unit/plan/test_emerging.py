"""The mode in which one who is not seen steps out."""

import numpy as np
import pytest

from kerbstone.plan.beliefs.phantoms import Habits, is_in_view
from kerbstone.plan.blind import find_blind
from kerbstone.plan.emerging import STEPS_OUT, add_emergence, add_unseen, find_emergence
from kerbstone.plan.modes import predict_modes
from kerbstone.plan.problem import Horizon
from kerbstone.plan.shield import Assumptions, Road
from kerbstone.plan.sight import SightRules, gather_hiding, look_out
from kerbstone.plan.vehicle import Vehicle
from roads import EAST, Track, drive, stage, stand, straight_road

HORIZON, VEHICLE = Horizon(), Vehicle()
SPEED, WAIT = 8.0, 1.5
X = -184.0
"""Where ego's middle is at step 20."""


def scene_of(*others, speed=SPEED):
    return stage(straight_road(), [Track("ego", drive(EAST, start=0.0, speed=speed)), *others])


VAN = Track("van", stand(X + 30.0, -4.9), size=(5.5, 2.0, 2.2))


def emerge(scene, *, speed=SPEED, wait=WAIT):
    x, y = scene.agents.centre[0, 20, :2]
    state = np.array([x - VEHICLE.centre_offset, y, 0.0, speed, 0.0, 0.0])
    line = state[:2] + np.arange(0.0, 80.0, 2.0)[:, None] * [1.0, 0.0]
    blind = find_blind(
        look_out(scene, 20, 0), line, state, Road(), vehicle=VEHICLE, assumptions=Assumptions()
    )
    return find_emergence(blind, line, state, vehicle=VEHICLE, wait=wait)


def test_one_steps_out_from_behind_the_van_at_its_foremost_hidden_place():
    scene = scene_of(VAN)
    found = emerge(scene)
    place = np.array(found.place)
    # Beyond the van's far end, beside the lane, and towards it.
    assert X + 32.7 < place[0] < X + 40.0
    assert -5.0 < place[1] < -3.6
    assert found.heading == pytest.approx(np.pi / 2, abs=0.01)
    assert found.reach == pytest.approx(-1.75 - place[1], abs=0.01)
    # Out of view by a step at most.
    boxes = gather_hiding(scene, 20, 0, scene.agents.centre[0, 20, :2], SightRules())
    way = place + np.array([0.0, 1.0]) * np.linspace(-0.3, 1.0, 14)[:, None]
    seen = is_in_view(scene.agents.centre[0, 20, :2], way[None], boxes)[0]
    assert not seen[0]
    assert seen[-1]


def test_who_is_too_near_to_stop_for_is_left_to_the_shield():
    # Along the van's shadow there is a place for each.
    for wait in (1.5, 3.5):
        stop = SPEED * wait + SPEED**2 / 8.0
        assert stop < emerge(scene_of(VAN), wait=wait).ahead < stop + 6.0 or wait < 2.0
    assert emerge(scene_of(VAN), wait=6.0) is None


def test_who_cannot_come_in_time_does_not_matter():
    wall = Track("wall", stand(X + 30.0, -16.0), size=(5.5, 2.0, 2.2))
    assert emerge(scene_of(wall)) is None
    assert emerge(scene_of()) is None


def test_who_stands_before_the_car_ahead_does_not_step_out():
    lead = Track("lead", stand(X + 22.0, -1.75))
    beyond = Track("van", stand(X + 45.0, -4.9), size=(5.5, 2.0, 2.2))
    assert emerge(scene_of(lead, beyond)) is None


def predicted(scene):
    return predict_modes(scene, 20, HORIZON, {"lanes": 0.8, "brake": 0.2})


def test_the_mode_takes_its_probability_off_the_others_alike():
    scene = scene_of(VAN)
    found = emerge(scene)
    made = add_emergence(predicted(scene), found, HORIZON, chance=0.05)
    assert made.probability == pytest.approx([0.76, 0.19, 0.05])
    assert made.mean.shape == (3, 3, 40, 2)
    assert made.valid[:, 2].any(axis=1).tolist() == [False, False, True]
    assert np.array_equal(made.mean[2, :2], made.mean[0, :2])
    # They come to the middle of the car's way, and stay there.
    assert made.mean[2, 2, -1, 1] == pytest.approx(-1.75, abs=0.02)
    steps = np.hypot(*np.diff(made.mean[2, 2], axis=0).T) / HORIZON.dt
    assert steps.max() == pytest.approx(Habits().speed)
    assert steps[-1] == 0.0


def test_where_nobody_can_the_mode_is_empty_and_as_large():
    scene = scene_of()
    made = add_emergence(predicted(scene), None, HORIZON, chance=0.1)
    assert made.probability.sum() == pytest.approx(1.0)
    assert made.mean.shape == (3, 2, 40, 2)
    assert not made.valid[:, -1].any()


def test_the_one_more_road_user_is_never_there_and_has_a_name_of_its_own():
    scene = scene_of(VAN, Track(STEPS_OUT, stand(0.0, 0.0)))
    more = add_unseen(scene.agents)
    assert len(set(more.ids)) == len(scene.agents) + 1
    assert not more.valid[-1].any()
    assert np.array_equal(more.valid[:-1], scene.agents.valid)
