"""CommonRoad-CriMe and ad-rss on cases that come as JSON, for `bench_criticality.py`.

It runs in an environment of its own, which has `commonroad-crime` and `ad-rss`, and knows nothing
of Kerbstone: cases on standard input, values on standard output.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

EGO, OTHER = 1, 2
TILT = 1e-4
"""CriMe takes a lane's direction of exactly 0 for a missing one, so all is turned a little [rad]."""


def scenario_of(case):
    """Build the case's road, and on it both road users with constant velocities."""
    from commonroad.scenario.intersection import Intersection, IntersectionIncomingElement
    from commonroad.scenario.scenario import Scenario, ScenarioID, Tag

    scenario = Scenario(case["dt"], ScenarioID.from_benchmark_id("ZAM_Made-1_1_T-1", "2020a"))
    scenario.tags = set()
    scenario.add_objects([lanelet_of(lane, case["lanes"]) for lane in case["lanes"]])
    if case["incoming"]:
        scenario.tags = {Tag.INTERSECTION}
        incoming = [
            IntersectionIncomingElement(100 + lane, {lane}, set(), {inner}, set())
            for lane, inner in case["incoming"]
        ]
        scenario.add_objects(Intersection(99, incoming))
    for number, user in ((EGO, case["b"]), (OTHER, case["a"])):
        scenario.add_objects(obstacle_of(number, user, case))
    scenario.assign_obstacles_to_lanelets()
    return scenario


def turn(point):
    import numpy as np

    cos, sin = math.cos(TILT), math.sin(TILT)
    return np.array([[cos, -sin], [sin, cos]]) @ np.asarray(point, float)


def lanelet_of(lane, lanes):
    import numpy as np
    from commonroad.scenario.lanelet import Lanelet, LaneletType

    start, end = turn(lane["start"]), turn(lane["end"])
    centre = np.linspace(start, end, max(int(np.hypot(*(end - start)) // 2), 2))
    along = (end - start) / np.hypot(*(end - start))
    left = lane["width"] / 2 * np.array([-along[1], along[0]])
    number = lane["id"]
    beside = {other["id"]: other for other in lanes}.get(lane.get("left"))
    right_of = next((other["id"] for other in lanes if other.get("left") == number), None)
    return Lanelet(
        centre + left,
        centre,
        centre - left,
        number,
        predecessor=[other["id"] for other in lanes if number in other["next"]],
        successor=lane["next"],
        adjacent_left=None if beside is None else beside["id"],
        adjacent_left_same_direction=None if beside is None else True,
        adjacent_right=right_of,
        adjacent_right_same_direction=None if right_of is None else True,
        lanelet_type={LaneletType.INTERSECTION if lane.get("inside") else LaneletType.URBAN},
    )


def obstacle_of(number, user, case):
    import numpy as np
    from commonroad.geometry.shape import Rectangle
    from commonroad.prediction.prediction import TrajectoryPrediction
    from commonroad.scenario.obstacle import DynamicObstacle, ObstacleType
    from commonroad.scenario.state import InitialState, KSState
    from commonroad.scenario.trajectory import Trajectory

    heading = user["heading"] + TILT
    direction = np.array([math.cos(heading), math.sin(heading)])
    shape = Rectangle(length=user["length"], width=user["width"])

    def state(kind, step, **more):
        position = turn([user["x"], user["y"]]) + direction * user["speed"] * case["dt"] * step
        return kind(
            time_step=step, position=position, orientation=heading, velocity=user["speed"], **more
        )

    states = [state(KSState, step, steering_angle=0.0) for step in range(1, case["steps"])]
    return DynamicObstacle(
        number,
        ObstacleType.CAR,
        shape,
        state(InitialState, 0, acceleration=0.0, yaw_rate=0.0, slip_angle=0.0),
        TrajectoryPrediction(Trajectory(1, states), shape),
    )


def crime_values(case):
    """Return what each measure says at the first step, or why it says nothing."""
    from commonroad_crime import measure
    from commonroad_crime.data_structure.configuration import CriMeConfiguration

    values = {}
    for name in case["measures"]:
        config = CriMeConfiguration()
        config.update(ego_id=EGO, sce=scenario_of(case))
        try:
            found = getattr(measure, name)(config).compute(
                vehicle_id=OTHER, time_step=0, verbose=False
            )
            values[name] = None if found is None else float(found)
        except Exception as error:  # noqa: BLE001 - what a peer cannot measure is reported as such
            values[name] = f"{type(error).__name__}: {error}"
    return values


def rss_distance(case):
    """Return a safe distance as ad-rss computes it."""
    import ad_rss

    physics, rules = ad_rss.physics, ad_rss.rss

    def user(state):
        made = rules.core.RelativeObjectState()
        made.object_type = rules.world.ObjectType.OtherVehicle
        velocity = made.structured_object_state.velocity
        velocity.speed_lon_min = velocity.speed_lon_max = physics.Speed(state["along"])
        velocity.speed_lat_min = velocity.speed_lat_max = physics.Speed(state["across"])
        structured = made.structured_object_state
        structured.is_in_correct_lane = True
        structured.distance_to_enter_intersection = physics.Distance(1000.0)
        structured.distance_to_leave_intersection = physics.Distance(1000.0)
        p, rss = case["parameters"], made.dynamics
        rss.alpha_lon.accel_max = physics.Acceleration(p["acceleration"])
        rss.alpha_lon.brake_min = physics.Acceleration(-p["least_braking"])
        rss.alpha_lon.brake_min_correct = physics.Acceleration(-p["least_braking_right"])
        rss.alpha_lon.brake_max = physics.Acceleration(-p["hardest_braking"])
        rss.alpha_lat.accel_max = physics.Acceleration(p["acceleration_aside"])
        rss.alpha_lat.brake_min = physics.Acceleration(-p["least_braking_aside"])
        rss.response_time = physics.Duration(state["response_time"])
        rss.lateral_fluctuation_margin = physics.Distance(0.0)
        # These distances do not ask for the rest, but ad-rss checks that it is there.
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
        place.speed_range.minimum = place.speed_range.maximum = physics.Speed(state["along"])
        return made

    function = getattr(rules.structured, case["function"])
    distance = physics.Distance(0.0)
    if not function(user(case["first"]), user(case["second"]), distance):
        return None
    return float(distance.mDistance)


def main():
    task = json.load(sys.stdin)
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        result = {
            "crime": {name: crime_values(case) for name, case in task["crime"].items()},
            "rss": {name: rss_distance(case) for name, case in task["rss"].items()},
        }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
