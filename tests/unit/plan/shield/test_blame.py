import numpy as np
import pytest
import shapely

from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.blame import Contact, is_caused_by_ego
from kerbstone.scene import Kind
from shielded import VEHICLE, straight_road

STEP, COUNT = 0.1, 31
TIME = (np.arange(COUNT) - COUNT + 1) * STEP
"""Up to the contact at 0 s."""


def meet(ego, other, road=None):
    """Whether ego causes the collision of two tracks: each x(t), y(t), speed, heading."""
    track = np.zeros((1, COUNT, 6))
    x, y, speed, heading = (np.broadcast_to(value, COUNT) for value in ego)
    track[0, :, 0], track[0, :, 1], track[0, :, 2], track[0, :, 3] = x - 1.45, y, heading, speed
    x, y, speed, heading = (np.broadcast_to(value, COUNT) for value in other)
    contact = Contact(
        track,
        np.array([Kind.CAR], dtype=np.int64),
        np.stack([x, y], axis=1)[None],
        np.array(heading, dtype=float)[None],
        np.array(speed, dtype=float)[None],
        np.array([[4.5, 1.9]]),
        STEP,
    )
    road = road or straight_road(2, 1)
    return bool(is_caused_by_ego(contact, road, vehicle=VEHICLE, assumptions=Assumptions())[0])


def ego(speed=10.0, y=0.0):
    return speed * TIME, y, speed, 0.0


NEAR = 4.6
"""From middle to middle, bumper to bumper nearly."""


def test_running_into_one_ahead_is_egos_doing():
    assert meet(ego(15.0), (NEAR + 5.0 * TIME, 0.0, 5.0, 0.0))


def test_standing_is_not_but_where_ego_must_not_stand_it_is():
    still = (0.0, 0.0, 0.0, 0.0)
    crossing = (0.0, 3.0 + 8.0 * TIME, 8.0, np.pi / 2)
    assert not meet(still, crossing)
    box = straight_road(2, 1, no_stopping=shapely.box(2, -2, 6, 2))
    assert meet(still, crossing, box)


def test_being_hit_from_behind_is_not():
    assert not meet(ego(5.0), (-NEAR + 15.0 * TIME, 0.0, 15.0, 0.0))


def test_cutting_in_short_before_one_behind_is():
    y = np.interp(TIME, [-1.0, 0.0], [3.5, 0.5])
    assert meet(ego(5.0, y), (-NEAR + 15.0 * TIME, 0.0, 15.0, 0.0))


def test_giving_way_to_one_behind_that_weaves_from_one_side_to_the_other_is_not():
    """It was a little to the right at first, and comes in from the left, where ego made room."""
    ego_y = np.interp(TIME, [-1.3, -0.3], [0.4, -0.37])
    other_y = np.interp(TIME, [-1.0, -0.3, 0.0], [0.0, 1.9, 1.3])
    assert not meet(ego(5.0, ego_y), (-NEAR + 15.0 * TIME, other_y, 15.0, 0.0))
    # Had ego gone the other way, it would have been in its way.
    assert meet(ego(5.0, -ego_y), (-NEAR + 15.0 * TIME, other_y + 1.0, 15.0, 0.0))


def test_having_cut_in_far_before_one_behind_is_not():
    # A second and a half ago it was near, ten seconds ago far: here it slowly came up.
    y = np.interp(TIME, [-3.0, -2.0], [3.5, 0.0])
    slow = (-NEAR + 5.0 * TIME - 30.0 * (TIME < -1.5), 0.0, 5.0, 0.0)
    assert not meet(ego(5.0, y), slow)


def test_being_hit_from_the_side_is_not_unless_ego_moved_towards_it():
    other_y = np.interp(TIME, [-1.0, 0.0], [3.5, 1.8])
    assert not meet(ego(), (10.0 * TIME, other_y, 10.0, 0.0))
    ego_y = np.interp(TIME, [-1.0, 0.0], [0.0, 0.5])
    assert meet(ego(10.0, ego_y), (10.0 * TIME, other_y, 10.0, 0.0))


def test_moving_aside_within_what_sways_does_not_count():
    ego_y = np.interp(TIME, [-1.0, 0.0], [0.0, 0.08])
    other_y = np.interp(TIME, [-1.0, 0.0], [3.5, 1.9])
    assert not meet(ego(10.0, ego_y), (10.0 * TIME, other_y, 10.0, 0.0))


@pytest.mark.parametrize(("lead", "caused"), [(60.0, False), (110.0, True)])
def test_a_cut_in_is_the_others_doing_only_where_it_left_too_short_a_gap(lead, caused):
    began = -1.0
    other_y = np.where(began > TIME, 3.5, 0.0)
    gap = np.interp(TIME, [began, 0.0], [lead, NEAR])
    speed = np.where(began > TIME, 8.0, 1.0)
    assert meet(ego(20.0), (20.0 * TIME + gap, other_y, speed, 0.0)) == caused


def test_oncoming_traffic_that_swerves_into_ego_is_not():
    other_y = np.where(TIME < -0.5, 7.0, 0.0)
    assert not meet(ego(10.0), (NEAR - 15.0 * TIME, other_y, 15.0, np.pi))


def test_crossing_traffic_that_ego_drives_into_is():
    assert meet(ego(10.0), (3.0, 1.0 + 8.0 * TIME, 8.0, np.pi / 2))


def test_overlap_from_the_start_abreast_is_judged_as_egos():
    assert meet(ego(10.0), (10.0 * TIME + 1.0, 0.0, 10.0, 0.0))
