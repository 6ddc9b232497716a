"""The descriptor: what it says of a moment, and what it does not depend on."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerbstone.mine.moments.descriptor import measure_moments
from kerbstone.mine.moments.features import BLOCKS, FEATURES, SIZE, block_slices, feature_weights
from kerbstone.mine.moments.moments import moment_starts
from kerbstone.scene import SE2, DrivingSide, Kind
from queries import moving_scene
from roads import (
    EAST,
    STEPS,
    WEST,
    Track,
    crossing_road,
    drive,
    moved,
    ramp,
    stage,
    stand,
    straight_road,
    walk,
    way_through,
)
from scenes import random_scene, scenes

COLUMN = {feature.name: i for i, feature in enumerate(FEATURES)}


def read(scene, name):
    return measure_moments(scene)[:, COLUMN[name]]


def turn(angle, shift):
    return SE2(translation=np.asarray(shift, float), angle=np.asarray(angle, float))


def busy_street(side=DrivingSide.RIGHT, **changes):
    ego = drive(EAST, start=60, speed=10, **changes)
    tracks = [
        Track("ego", ego),
        Track("lead", drive(EAST, start=85, speed=6)),
        Track("truck", drive(WEST, start=230, speed=12), Kind.TRUCK),
        Track("walker", walk([-80, -9], [-80, 9]), Kind.PEDESTRIAN),
        Track("cone", stand(-100, -3.4), Kind.OBJECT),
        Track("gone", np.where(np.arange(STEPS)[:, None] < 50, stand(-90, 6), np.nan)),
    ]
    return stage(straight_road(crosswalk=-60.0), tracks, side=side)


def mirror(scene):
    """Return a scene as seen in a mirror, with traffic on the other side."""
    agents, road = scene.agents, straight_road(crosswalk=-60.0, left_hand=True)
    agents = dataclasses.replace(
        agents,
        centre=agents.centre * [1, -1, 1],
        heading=-agents.heading,
        velocity=agents.velocity * [1, -1],
    )
    source = dataclasses.replace(scene.source, driving_side=DrivingSide.LEFT)
    return dataclasses.replace(scene, agents=agents, map=road, source=source)


def test_every_feature_has_a_name_of_its_own_and_a_floor():
    assert len({feature.name for feature in FEATURES}) == SIZE == 112
    assert all(feature.floor > 0 for feature in FEATURES)
    assert [s.stop - s.start for s in block_slices().values()] == [len(b) for b in BLOCKS.values()]


def test_every_block_counts_as_much_as_the_others():
    squares = feature_weights() ** 2
    shares = [squares[part].sum() for part in block_slices().values()]
    np.testing.assert_allclose(shares, 1 / len(BLOCKS), rtol=1e-6)


@pytest.mark.parametrize(
    ("duration", "count"), [(0.1, 1), (2.9, 1), (3.0, 1), (3.9, 1), (4.0, 2), (60.0, 58)]
)
def test_a_moment_begins_every_second_and_ends_within_its_scene(duration, count):
    scene = random_scene(0, steps=round(duration * 10))
    assert moment_starts(scene).tolist() == list(range(count))
    assert measure_moments(scene).shape == (count, SIZE)


@pytest.mark.parametrize("seed", range(4))
def test_turning_and_shifting_a_scene_and_shuffling_its_road_users_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    scene = busy_street()
    motion = turn(rng.uniform(-np.pi, np.pi), rng.uniform(-5000, 5000, 2))
    other = moved(scene, motion, order=rng.permutation(len(scene.agents)).tolist())
    found, expected = measure_moments(other), measure_moments(scene)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.isfinite(expected).mean() > 0.9


@pytest.mark.parametrize("seed", range(4))
def test_so_it_is_without_a_recording_car(seed):
    rng = np.random.default_rng(seed)
    scene = dataclasses.replace(busy_street(), ego=None)
    motion = turn(rng.uniform(-np.pi, np.pi), rng.uniform(-500, 500, 2))
    other = moved(scene, motion, order=rng.permutation(len(scene.agents)).tolist())
    np.testing.assert_allclose(measure_moments(other), measure_moments(scene), atol=1e-6)


def test_a_mirrored_street_with_traffic_on_the_other_side_is_the_same():
    scene = busy_street(offset=ramp(0.0, 1.0, first=20, last=70))
    np.testing.assert_allclose(measure_moments(mirror(scene)), measure_moments(scene), atol=1e-6)
    on_the_same_side = dataclasses.replace(
        mirror(scene), source=dataclasses.replace(scene.source, driving_side=DrivingSide.RIGHT)
    )
    assert not np.allclose(measure_moments(on_the_same_side), measure_moments(scene), atol=1e-3)


@settings(max_examples=40)
@given(scenes(max_steps=80))
def test_any_scene_has_a_descriptor_without_infinities(scene):
    found = measure_moments(scene)
    assert found.shape == (len(moment_starts(scene)), SIZE)
    assert not np.isinf(found).any()
    assert np.abs(np.nan_to_num(found)).max() < 1e6


def test_a_scene_without_road_users_says_that_nobody_is_there_and_else_nothing():
    scene = random_scene(1, agents=0, has_map=False)
    found = measure_moments(scene)
    crowd = block_slices()["crowd"]
    assert (found[:, crowd] == 0).all()
    rest = np.delete(found, np.r_[crowd], axis=1)
    assert np.isnan(
        rest[
            :,
            [
                c - crowd.stop
                for c in range(crowd.stop, SIZE)
                if "recording" not in FEATURES[c].name
            ],
        ]
    ).all()


def test_a_scene_without_a_map_says_nothing_about_the_road():
    scene = dataclasses.replace(busy_street(), map=None)
    assert np.isnan(measure_moments(scene)[:, block_slices()["road"]]).all()


def test_ones_own_motion_is_in_its_units():
    speed = np.concatenate([np.full(40, 10.0), np.maximum(10.0 - 0.5 * np.arange(60), 0.0)])
    scene = stage(None, [Track("ego", drive(EAST, start=0, speed=speed))])
    assert read(scene, "own speed at first")[0] == pytest.approx(10.0)
    assert read(scene, "own way")[0] == pytest.approx(30.0, abs=0.1)
    # From 10 m/s at 4 s it loses 5 m/s each second, so that it stands at 6 s.
    assert read(scene, "own hardest braking")[3] == pytest.approx(5.0, abs=0.3)
    assert read(scene, "share of the time that it stands")[6] == pytest.approx(1.0, abs=0.2)
    assert (read(scene, "whether it is the recording car") == 1).all()


def test_a_turn_to_the_far_side_is_positive_where_one_drives_on_the_right():
    line = way_through("west", "left")
    scene = stage(crossing_road(), [Track("ego", drive(line, start=80, speed=5.0))])
    turned = read(scene, "own turn towards the far side")
    assert turned.max() > 0.5
    assert turned.min() > -1e-6
    left_hand = dataclasses.replace(
        scene, source=dataclasses.replace(scene.source, driving_side=DrivingSide.LEFT)
    )
    assert read(left_hand, "own turn towards the far side").min() < -0.5


def test_who_is_around_is_counted_by_kind_and_distance():
    scene = busy_street()
    assert read(scene, "cars within 50 m")[1] == 2
    assert read(scene, "heavy vehicles within 20 m").max() > 0
    assert read(scene, "objects within 50 m")[0] == 1
    assert read(scene, "pedestrians within 20 m").max() > 0


def test_what_is_ahead_is_close_ahead_and_nowhere_else():
    scene = stage(
        None,
        [Track("ego", drive(EAST, start=0, speed=10)), Track("a", drive(EAST, start=10, speed=10))],
    )
    assert read(scene, "closeness in the middle, ahead")[0] > 0.5
    for sector in ("behind", "on the far side", "on the near side"):
        assert read(scene, f"closeness in the middle, {sector}")[0] == pytest.approx(0.0, abs=1e-9)
    assert read(scene, "closing speed, ahead")[0] == pytest.approx(0.0, abs=1e-6)


def test_a_car_on_the_left_is_on_the_far_side_where_one_drives_on_the_right():
    beside = drive(EAST, start=0, speed=10, offset=6.0)
    scene = stage(None, [Track("ego", drive(EAST, start=0, speed=10)), Track("a", beside)])
    assert read(scene, "closeness in the middle, on the far side")[0] > 0.5
    assert read(scene, "closeness in the middle, on the near side")[0] == pytest.approx(
        0.0, abs=1e-9
    )


def test_danger_grows_as_a_collision_comes_nearer():
    tracks = [Track("ego", drive(EAST, start=60, speed=2)), Track("a", stand(-100, -1.75))]
    scene = stage(None, tracks)
    urgency = read(scene, "inverse of the own time to collision")
    assert (np.diff(urgency) > 0).all()
    # Discs of 1.42 m each, 40 m apart at first, of which 34 m are left after a moment.
    assert urgency[0] == pytest.approx(2 / (34 - 2.85), rel=0.01)
    needed = read(scene, "deceleration needed for the one ahead")
    assert needed[0] == pytest.approx(4 / (2 * (34 - 2.85)), rel=0.01)
    assert (read(scene, "inverse of the time to collision with a pedestrian or cyclist") == 0).all()


def test_a_trailer_that_overlaps_its_truck_is_no_danger_to_come():
    pair = [
        Track("truck", drive(EAST, start=30, speed=10), Kind.TRUCK),
        Track("trailer", drive(EAST, start=26, speed=10), Kind.TRAILER),
    ]
    scene = stage(None, [Track("ego", drive(WEST, start=100, speed=10)), *pair])
    column = "inverse of the shortest time to collision of others around"
    assert (read(scene, column) == 0).all()


def test_where_on_the_road_it_is():
    scene = busy_street()
    assert (read(scene, "share of the time on a lane") == 1).all()
    assert (read(scene, "lanes the same way") == 1).all()
    assert (read(scene, "whether the lane beside goes the other way") == 1).all()
    assert read(scene, "speed limit")[0] == pytest.approx(13.9)
    assert read(scene, "distance to a crosswalk").min() < 10
    assert read(scene, "bend of the lane")[0] == pytest.approx(0.0, abs=1e-9)


def test_lanes_of_the_same_way_are_counted_and_their_changes_too():
    line = np.array([[-200.0, -5.25], [200, -5.25]])
    offset = ramp(0.0, 3.5, first=30, last=60)
    scene = stage(
        straight_road(lanes=4), [Track("ego", drive(line, start=20, speed=10, offset=offset))]
    )
    assert (read(scene, "lanes the same way") == 2).all()
    assert read(scene, "number of lane changes").max() == 1
    assert read(scene, "number of lane changes")[0] == 0


def test_the_light_ahead_is_seen_and_those_of_other_arms_are_not():
    line = way_through("west", "through")
    car = [Track("ego", drive(line, start=40, speed=2.0))]
    seen = stage(crossing_road(), car, lights={"west": 1, "north": 4, "east": 4, "south": 4})
    assert (read(seen, "share of the time that the light ahead is red") == 1).all()
    assert (read(seen, "share of the time that the light ahead is green") == 0).all()


def test_without_a_recording_car_one_looks_from_where_most_is_going_on():
    far = [Track("alone", drive(EAST, start=350, speed=10))]
    crowd = [Track(f"c{i}", drive(WEST, start=100 + 8 * i, speed=8)) for i in range(4)]
    scene = stage(None, [*far, *crowd], ego=None)
    assert read(scene, "cars within 50 m")[0] == 3
    assert (read(scene, "whether it is the recording car") == 0).all()


def test_two_alike_road_users_are_told_apart_by_what_they_are_and_not_by_their_order():
    points = np.stack([np.zeros((30, 2)), np.tile([5.0, 0.0], (30, 1))])
    kinds = (Kind.CAR, Kind.PEDESTRIAN)
    one = moving_scene(points, kinds=kinds)
    other = dataclasses.replace(one, agents=one.agents.select([1, 0]))
    np.testing.assert_allclose(measure_moments(one), measure_moments(other), atol=1e-9)


@given(st.integers(0, 50))
def test_random_scenes_do_not_change_by_a_turn(seed):
    scene = random_scene(seed, agents=6, steps=50, has_signals=False, has_poses=False)
    motion = turn(0.7 + seed, [300.0, -200.0])
    np.testing.assert_allclose(
        measure_moments(moved(scene, motion)), measure_moments(scene), atol=1e-5, rtol=1e-5
    )
