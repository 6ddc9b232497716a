import warnings

import numpy as np
import pytest

from kerbstone.plan.shield.rss import (
    lateral_distance,
    longitudinal_distance,
    opposite_distance,
    response_way,
)


@pytest.fixture(scope="module")
def peer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("ad_rss", reason="ad-rss is not installed")


def user(peer, along, across, values):
    physics, rules = peer.physics, peer.rss
    made = rules.core.RelativeObjectState()
    made.object_type = rules.world.ObjectType.OtherVehicle
    structured = made.structured_object_state
    velocity = structured.velocity
    velocity.speed_lon_min = velocity.speed_lon_max = physics.Speed(along)
    velocity.speed_lat_min = velocity.speed_lat_max = physics.Speed(across)
    structured.is_in_correct_lane = True
    structured.distance_to_enter_intersection = physics.Distance(1000.0)
    structured.distance_to_leave_intersection = physics.Distance(1000.0)
    rss = made.dynamics
    rss.alpha_lon.accel_max = physics.Acceleration(values["acceleration"])
    rss.alpha_lon.brake_min = physics.Acceleration(-values["mild"])
    rss.alpha_lon.brake_min_correct = physics.Acceleration(-values["correct"])
    rss.alpha_lon.brake_max = physics.Acceleration(-values["hard"])
    rss.alpha_lat.accel_max = physics.Acceleration(values["aside"])
    rss.alpha_lat.brake_min = physics.Acceleration(-values["aside_braking"])
    rss.response_time = physics.Duration(values["response"])
    rss.lateral_fluctuation_margin = physics.Distance(0.0)
    # ad-rss wants to see these, though the distances do not depend on them.
    rest = rss.unstructured_settings
    rest.pedestrian_turning_radius = physics.Distance(2.0)
    rest.drive_away_max_angle = physics.Angle(2.4)
    rest.vehicle_yaw_rate_change = physics.AngularAcceleration(0.3)
    rest.vehicle_min_radius = physics.Distance(3.5)
    rest.vehicle_trajectory_calculation_step = physics.Duration(0.2)
    place = made.unstructured_object_state
    place.yaw, place.steering_angle = physics.Angle(0.0), physics.Angle(0.0)
    place.yaw_rate = physics.AngularVelocity(0.0)
    place.dimension.length = place.dimension.width = physics.Distance(2.0)
    place.center_point.x = place.center_point.y = physics.Distance(0.0)
    place.speed_range.minimum = place.speed_range.maximum = physics.Speed(along)
    return made


def ask(peer, name, first, second):
    distance = peer.physics.Distance(0.0)
    assert getattr(peer.rss.structured, name)(first, second, distance)
    return float(distance.mDistance)


def constellations(count):
    rng = np.random.default_rng(0)
    for _ in range(count):
        hard = rng.uniform(6, 10)
        yield (
            rng,
            {
                "response": rng.uniform(0.3, 2.0),
                "acceleration": rng.uniform(0.5, 4),
                "mild": rng.uniform(3, hard),
                "correct": rng.uniform(2, 3),
                "hard": hard,
                "aside": rng.uniform(0.1, 1),
                "aside_braking": rng.uniform(0.5, 2),
            },
        )


def test_the_longitudinal_distance_is_that_of_ad_rss(peer):
    for rng, values in constellations(200):
        rear, front = rng.uniform(0, 35, 2)
        theirs = ask(
            peer,
            "calculateSafeLongitudinalDistanceSameDirection",
            user(peer, front, 0.0, values),
            user(peer, rear, 0.0, values),
        )
        ours = longitudinal_distance(
            np.array([rear]),
            np.array([front]),
            response=values["response"],
            acceleration=values["acceleration"],
            mild_braking=values["mild"],
            braking=values["hard"],
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_the_distance_to_oncoming_traffic_is_that_of_ad_rss(peer):
    for rng, values in constellations(200):
        first, second = rng.uniform(0, 35, 2)
        theirs = ask(
            peer,
            "calculateSafeLongitudinalDistanceOppositeDirection",
            user(peer, first, 0.0, values),
            user(peer, second, 0.0, values),
        )
        ours = opposite_distance(
            np.array([first]),
            np.array([second]),
            response=values["response"],
            acceleration=values["acceleration"],
            mild_braking=values["correct"],
            wrong_side_braking=values["mild"],
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_the_lateral_distance_is_that_of_ad_rss(peer):
    for rng, values in constellations(300):
        left, right = rng.uniform(-2, 2, 2)
        theirs = ask(
            peer,
            "calculateSafeLateralDistance",
            user(peer, 10.0, left, values),
            user(peer, 10.0, -right, values),
        )
        ours = lateral_distance(
            np.array([left]),
            np.array([right]),
            response=values["response"],
            acceleration=values["aside"],
            braking=values["aside_braking"],
            swaying=0.0,
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_what_goes_away_has_a_way_below_zero():
    way = response_way(np.array([-3.0]), response=1.0, acceleration=0.2, braking=0.8)
    assert way < 0.0


def test_what_never_brakes_has_a_long_way_and_no_warning():
    assert response_way(np.array([3.0]), response=1.0, acceleration=0.2, braking=0.0) > 1e6
