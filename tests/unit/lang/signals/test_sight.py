import dataclasses

import numpy as np
import pytest

from kerbstone.lang import Facts, known_signals
from kerbstone.scene import Camera, EgoPoses, Kind
from queries import moving_scene


def facts_of(*places, ego=0):
    points = np.repeat(np.array(places, float)[:, None], 2, axis=1)
    kinds = (Kind.CAR,) * (len(places) - 1) + (Kind.PEDESTRIAN,)
    return Facts(moving_scene(points, heading=np.zeros(points.shape[:2]), kinds=kinds, ego=ego))


def hidden(facts, a, b):
    return known_signals()["hidden_by"].measure(facts, np.array([a]), np.array([b]))[0, 0]


def test_a_car_in_the_line_of_sight_hides_what_is_behind_it():
    facts = facts_of((0, 0), (10, 0), (20, 0))
    assert hidden(facts, 2, 1) == pytest.approx(4.0)  # the line runs through its whole length
    assert hidden(facts, 1, 2) < 0
    assert known_signals()["visible_share"].measure(facts)[2, 0] == 0.0
    assert known_signals()["occluded"].measure(facts)[2, 0] > 0
    assert known_signals()["occluded"].measure(facts)[1, 0] < 0


def test_a_car_beside_the_line_of_sight_hides_nothing():
    facts = facts_of((0, 0), (10, 6), (20, 0))
    assert hidden(facts, 2, 1) < 0
    assert known_signals()["visible_share"].measure(facts)[2, 0] == 1.0


def test_without_a_recording_car_nothing_is_known_of_sight():
    facts = facts_of((0, 0), (10, 0), (20, 0), ego=None)
    for name in ("visible_share", "occluded"):
        assert np.isnan(known_signals()[name].measure(facts)).all()
    assert np.isnan(hidden(facts, 2, 1))


def test_the_recording_car_hides_nothing_from_itself():
    facts = facts_of((0, 0), (10, 0), (20, 0))
    assert np.isnan(hidden(facts, 2, 0))
    assert np.isnan(hidden(facts, 0, 1))


def test_a_camera_sees_what_projects_into_its_image():
    # Forward camera of 90 degrees: z ahead, x to the right, y down.
    pose = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]], float)
    camera = Camera(
        name="front",
        paths=("a.png",),
        times_ns=np.zeros(1, np.int64),
        width_px=200,
        height_px=100,
        intrinsics=np.array([[100, 0, 100], [0, 100, 50], [0, 0, 1]], float),
        distortion=np.zeros(0),
        model="pinhole",
        ego_from_camera=pose,
    )
    facts = facts_of((0, 0), (10, 9), (10, -11), (-10, 0), (10, 0))
    poses = EgoPoses(
        facts.scene.clock.times_ns,
        np.zeros((2, 3)),
        np.tile([1.0, 0.0, 0.0, 0.0], (2, 1)),
    )
    facts = Facts(dataclasses.replace(facts.scene, cameras=(camera,), ego_poses=poses))
    in_camera = known_signals()["in_camera"].measure
    for name in ("front", "any"):
        assert (in_camera(facts, name)[:, 0] > 0).tolist() == [False, True, False, False, True]
    assert in_camera(facts, "front")[4, 0] == pytest.approx(0.7)  # 35 of 50 px off the upper edge
    assert np.isnan(in_camera(facts, "rear")).all()
