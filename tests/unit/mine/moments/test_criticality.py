"""How critical a moment is: by hand, and what does not count."""

import dataclasses

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.mine import rare
from kerbstone.mine.moments import criticality as module
from kerbstone.mine.moments.criticality import assess, assess_scene, read_criticality
from kerbstone.scene import Kind
from kerbstone.store import Store
from roads import EAST, Track, drive, stage, stand
from streets import street


def rows_of(scene):
    return assess_scene(scene).to_pylist()


def behind_a_standing_car(**changes):
    """Ego goes 10 m/s towards the end of a car that stands, 50 m ahead of its front at first."""
    # Both are 4.5 m long.
    place = -200 + 20 + 4.5 + 50
    tracks = [
        Track("ego", drive(EAST, start=20, speed=10.0, steps=40)),
        Track("other", stand(place, -1.75, steps=40)),
    ]
    return stage(None, tracks, **changes)


def test_time_to_collision_and_deceleration_are_those_of_the_closest_time():
    first, second = rows_of(behind_a_standing_car())
    # After 2.9 s 21 m are left, at 10 m/s; after 3.9 s 11 m.
    assert first["time"] == pytest.approx(2.1, abs=0.01)
    assert first["braking"] == pytest.approx(100 / (2 * 21), rel=0.01)
    assert second["time"] == pytest.approx(1.1, abs=0.01)
    assert second["braking"] == pytest.approx(100 / (2 * 11), rel=0.01)
    braking = 100 / (2 * 11)
    assert second["score"] == pytest.approx(max(1 - 1.1 / 4, braking / (braking + 4)), abs=0.005)
    assert set(second["agents"]) == {"ego", "other"}


def test_without_a_recording_car_all_pairs_count():
    with_ego, without = rows_of(behind_a_standing_car()), rows_of(behind_a_standing_car(ego=None))
    for one, other in zip(with_ego, without, strict=True):
        assert one["time"] == pytest.approx(other["time"])
        assert one["braking"] == pytest.approx(other["braking"])


def test_with_a_recording_car_pairs_of_others_do_not_count():
    scene = behind_a_standing_car()
    far = Track("ego", stand(-100.0, 300.0, steps=40))
    agents = stage(
        None,
        [
            far,
            *[
                Track("a", drive(EAST, start=20, speed=10.0, steps=40)),
                Track("b", stand(-125, -1.75, steps=40)),
            ],
        ],
    )
    assert all(row["score"] == 0 and row["agents"] == [] for row in rows_of(agents))
    assert all(np.isinf(row["time"]) for row in rows_of(agents))
    assert rows_of(scene)[0]["score"] > 0


def test_nobody_is_in_danger_alone_or_where_nobody_is():
    alone = stage(None, [Track("ego", drive(EAST, start=0, speed=10.0))])
    for scene in (alone, dataclasses.replace(alone, agents=alone.agents.select([]), ego=None)):
        rows = rows_of(scene)
        assert len(rows) == 8
        assert all(row["score"] == 0 and row["braking"] == 0 for row in rows)


def test_a_trailer_that_touches_its_truck_does_not_count():
    pair = [
        Track("truck", drive(EAST, start=30, speed=10.0), Kind.TRUCK),
        Track("trailer", drive(EAST, start=24, speed=10.0), Kind.TRAILER),
    ]
    rows = rows_of(stage(None, pair, ego=None))
    assert all(np.isinf(row["time"]) and row["braking"] == 0 for row in rows)
    assert all(row["score"] == 0 for row in rows)


def test_parked_cars_that_touch_are_in_no_danger():
    # The second one's box flickers by a hand's breadth, so that they touch now and then.
    flicker = stand(4.52, 0)
    flicker[::7, 0] -= 0.03
    cars = [Track("a", stand(0, 0)), Track("b", flicker, heading=0.0)]
    rows = rows_of(stage(None, cars, ego=None))
    assert all(row["braking"] == 0 and row["score"] <= 0.25 for row in rows)


def test_where_no_road_user_has_a_size_it_is_not_known():
    scene = behind_a_standing_car()
    agents = dataclasses.replace(scene.agents, size=np.full((2, 3), np.nan))
    rows = rows_of(dataclasses.replace(scene, agents=agents))
    assert all(np.isnan(row["score"]) and np.isnan(row["time"]) for row in rows)


def test_a_collision_is_as_critical_as_can_be():
    tracks = [Track("ego", drive(EAST, start=20, speed=10.0)), Track("other", stand(-140, -1.75))]
    rows = rows_of(stage(None, tracks))
    assert max(row["score"] for row in rows) == 1.0
    assert min(row["time"] for row in rows) == 0.0


def test_a_long_scene_in_parts_is_the_same(monkeypatch):
    scene = street("s", walker=True, brake=True, lead=20.0)
    whole = assess_scene(scene)
    monkeypatch.setattr(module, "_STEPS", 17)
    assert assess_scene(scene).equals(whole)


def test_scenes_are_assessed_once_and_read_in_order(streets):
    assert assess(streets).logs == 5
    assert assess(streets).logs == 0
    found = read_criticality(streets)
    assert len(found.scene) == 48
    assert found.scene.tolist() == sorted(found.scene.tolist())
    assert set(read_criticality(streets, where="id = 'brake/0'").scene) == {"brake/0"}
    assert ((found.score >= 0) & (found.score <= 1)).all()
    brake = found.score[found.scene == "brake/0"].max()
    assert brake > found.score[found.scene == "plain/1"].max()


def test_it_is_said_in_words():
    one = module.Criticality(
        scene=np.array(["a"]),
        start=np.zeros(1),
        duration=np.ones(1),
        score=np.ones(1),
        time=np.array([1.25]),
        braking=np.array([np.inf]),
        unsafe=np.array([0.5]),
        agents=np.array([None], object),
    )
    assert one.say(0) == ("time to collision 1.2 s", "closer than RSS allows for 50% of the time")


def test_a_store_without_scenes_is_told(tmp_path):
    with pytest.raises(InputError, match="no scenes") as caught:
        rare(Store.create(str(tmp_path / "road")), by="criticality")
    assert caught.value.code == "empty"
