import dataclasses

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.sumo import SensorConfig, simulate_detections
from kerbstone.scene import Agents, Clock, Kind, Scene, Source

STEPS = 400
PERFECT = SensorConfig(recall=1.0, noise=0.0, ghosts=0.0, confusion=0.0)


def make_scene(count=12, kind=Kind.CAR, size=(4.5, 1.8, 1.5), distance=None):
    """Return ego and others around it on a spiral, so that nobody hides anybody."""
    distance = np.linspace(15, 95, count) if distance is None else np.full(count, distance)
    bearing = np.linspace(-3, 3, count)
    place = np.stack(
        [distance * np.cos(bearing), distance * np.sin(bearing), np.full(count, size[2] / 2)], 1
    )
    centre = np.concatenate([[[0.0, 0.0, 0.75]], place])
    return Scene(
        id="made/up",
        clock=Clock(0, 100_000_000, STEPS),
        agents=Agents(
            ids=("e", *(f"a{i}" for i in range(count))),
            kind=np.array([Kind.CAR, *[kind] * count], np.uint8),
            label=("",) * (count + 1),
            size=np.array([(4.5, 1.8, 1.5), *[size] * count]),
            centre=np.repeat(centre[:, None], STEPS, axis=1),
            heading=np.zeros((count + 1, STEPS)),
            velocity=np.zeros((count + 1, STEPS, 2)),
            valid=np.ones((count + 1, STEPS), bool),
        ),
        ego=0,
        source=Source("made", "up"),
    )


def recall(scene):
    truth = simulate_detections(scene).truth["agent"]
    return (len(truth) - truth.null_count) / ((len(scene.agents) - 1) * STEPS)


def test_a_perfect_car_measures_exactly_what_is_there():
    scene = make_scene(distance=20.0)
    seen = simulate_detections(scene, PERFECT)
    names = seen.truth["agent"].to_pylist()
    rows = np.array([scene.agents.ids.index(name) for name in names])
    assert (
        len(set(zip(seen.detections["time_ns"].to_pylist(), names, strict=True)))
        > 0.98 * 12 * STEPS
    )
    for axis, column in enumerate(("x", "y", "z")):
        np.testing.assert_array_equal(seen.detections[column], scene.agents.centre[rows, 0, axis])
    np.testing.assert_array_equal(seen.detections["heading"], scene.agents.heading[rows, 0])
    np.testing.assert_array_equal(seen.detections["length"], scene.agents.size[rows, 0])
    np.testing.assert_array_equal(seen.detections["kind"], scene.agents.kind[rows])


def test_the_same_seed_sees_the_same_and_another_does_not():
    scene = make_scene()
    first, again, other = (simulate_detections(scene, seed=seed) for seed in (1, 1, 2))
    assert first.detections.equals(again.detections)
    assert first.truth.equals(again.truth)
    assert not first.detections.equals(other.detections)


def test_another_scene_has_its_own_chance():
    scene = make_scene()
    other = dataclasses.replace(scene, id="made/other")
    one, two = (simulate_detections(s).detections.drop(["scene_id"]) for s in (scene, other))
    assert not one.equals(two)


def test_far_and_small_road_users_are_missed_more_often():
    near, far = (recall(make_scene(distance=d)) for d in (20.0, 95.0))
    assert near > 0.95
    assert far < near - 0.1
    walker = make_scene(kind=Kind.PEDESTRIAN, size=(0.5, 0.6, 1.7), distance=60.0)
    assert recall(walker) < recall(make_scene(distance=60.0)) - 0.2


def test_misses_last():
    scene = make_scene(distance=100.0)
    seen = simulate_detections(scene, SensorConfig(ghosts=0.0, range=120.0))
    hit = np.zeros((13, STEPS), bool)
    rows = [scene.agents.ids.index(name) for name in seen.truth["agent"].to_pylist()]
    hit[rows, seen.detections["time_ns"].to_numpy() // 100_000_000] = True
    hit = hit[1:]
    share = hit.mean()
    again = (hit[:, 1:] & hit[:, :-1]).mean() / share
    assert again > share + 0.1  # who was seen a moment ago is likelier to be seen now


def test_noise_grows_with_range():
    def error(distance):
        scene = make_scene(distance=distance)
        seen = simulate_detections(scene, SensorConfig(ghosts=0.0, range=120.0))
        rows = [scene.agents.ids.index(name) for name in seen.truth["agent"].to_pylist()]
        place = scene.agents.centre[rows, 0]
        return np.hypot(
            seen.detections["x"] - place[:, 0], seen.detections["y"] - place[:, 1]
        ).mean()

    assert 0.02 < error(10.0) < 0.15
    assert error(90.0) > 2 * error(10.0)


def test_ghosts_come_as_often_as_configured_and_have_no_agent():
    seen = simulate_detections(make_scene(1), SensorConfig(recall=0.0, ghosts=3.0))
    assert seen.truth["agent"].null_count == seen.detections.num_rows
    assert 2.0 < seen.detections.num_rows / STEPS < 4.0
    reach = np.hypot(seen.detections["x"].to_numpy(), seen.detections["y"].to_numpy())
    assert reach.max() < 102.0
    kinds = {Kind(kind) for kind in seen.detections["kind"].to_pylist()}
    assert {Kind.CAR, Kind.PEDESTRIAN} <= kinds


def test_a_ghost_stays_for_a_few_steps():
    seen = simulate_detections(make_scene(1), SensorConfig(recall=0.0, ghosts=0.3, noise=0.0))
    x = seen.detections["x"].to_numpy().round(3)
    assert len(x) > 1.5 * len(np.unique(x))


def test_scores_tell_how_likely_a_detection_is_real():
    seen = simulate_detections(make_scene(), SensorConfig(ghosts=6.0))
    score = seen.detections["score"].to_numpy()
    real = np.array([name is not None for name in seen.truth["agent"].to_pylist()])
    assert real[score > 0.8].mean() > 0.95
    assert real[score < 0.3].mean() < 0.3
    assert ((score > 0) & (score < 1)).all()


def test_classes_are_confused_with_similar_ones_only():
    lorries = make_scene(kind=Kind.TRUCK, size=(9.0, 2.5, 3.5))
    seen = simulate_detections(lorries, SensorConfig(ghosts=0.0, confusion=0.5))
    kinds = np.array(seen.detections["kind"].to_pylist())
    assert set(kinds) == {Kind.TRUCK, Kind.BUS, Kind.CAR}
    assert 0.2 < (kinds != Kind.TRUCK).mean() < 0.5


def test_detections_are_ordered_so_that_they_do_not_tell_the_truth():
    table = simulate_detections(make_scene(), SensorConfig(ghosts=3.0)).detections
    time, score = table["time_ns"].to_numpy(), table["score"].to_numpy()
    assert (np.diff(time) >= 0).all()
    assert (np.diff(score)[np.diff(time) == 0] <= 0).all()


def test_visibility_is_told_for_everybody_in_range_seen_or_not():
    scene = make_scene()
    seen = simulate_detections(scene, SensorConfig(range=50.0, ghosts=0.0))
    inside = np.linspace(15, 95, 12) <= 50.0
    assert seen.visibility.num_rows == inside.sum() * STEPS
    assert set(seen.visibility["agent"].to_pylist()) == {f"a{i}" for i in np.flatnonzero(inside)}
    assert set(seen.truth["agent"].to_pylist()) <= set(seen.visibility["agent"].to_pylist())


def test_a_field_of_view_leaves_out_what_is_behind():
    seen = simulate_detections(make_scene(), SensorConfig(field_of_view=np.pi / 2, ghosts=2.0))
    x, y = (seen.detections[axis].to_numpy() for axis in "xy")
    assert (np.abs(np.arctan2(y, x)) < np.pi / 4 + 0.1).mean() > 0.99


def test_a_scene_without_a_recording_car_is_refused():
    with pytest.raises(InputError) as caught:
        simulate_detections(dataclasses.replace(make_scene(), ego=None))
    assert caught.value.code == "value"


@pytest.mark.parametrize(("name", "value"), [("recall", 1.5), ("range", -1.0), ("noise", np.nan)])
def test_a_sensor_that_cannot_be_is_refused(name, value):
    with pytest.raises(InputError) as caught:
        SensorConfig(**{name: value})
    assert name in caught.value.what
