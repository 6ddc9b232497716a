"""What holds for every signal of the scenario language.

A room that adds signals inherits `SignalLaws`, says which they are, and gets every law as a test
of its own for each of them:

    class TestLaws(SignalLaws):
        signals = ("speed", "distance")

Signals that take texts need some here: `TEXTS` has those of the built-in ones.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pytest

from crossing import crossing_scene
from kerbstone.lang import Facts, known_signals
from kerbstone.scene import SE2, Agents, Camera, Kind, Scene, SignalState, wrap_angle
from roads import (
    EAST,
    EAST_OUTER,
    WEST,
    Track,
    crossing_road,
    drive,
    moved,
    ramp,
    stage,
    stand,
    straight_road,
    switch,
    walk,
    way_through,
)

TEXTS = {
    "in_camera": "front",
    "is_a": "car",
    "labelled": "CAR",
    "lane_kind": "vehicle",
    "light": "red",
}


def wander(phase: float) -> np.ndarray:
    """Return offsets from a lane's centre line, so that nothing is exactly parallel or square."""
    return 0.2 * np.sin(0.1 * np.arange(100) + phase)


def busy_crossing() -> Scene:
    """Return a crossing with lights, on which road users of many kinds come, go, and are missing."""

    def on(arm: str, way: str, start: float, speed: float) -> np.ndarray:
        return drive(way_through(arm, way), start=start, speed=speed, offset=wander(start))

    gone = on("north", "left", 33.3, 6.1)
    gone[40:55] = np.nan
    late = walk((-11.2, -9.3), (-10.7, 8.1), first=20, last=99)
    late[:20] = np.nan
    tracks = [
        Track("ego", on("west", "through", 41.7, 7.3)),
        Track("v1", on("west", "left", 52.9, 6.4)),
        Track("v2", on("east", "through", 25.1, 8.7)),
        Track("v3", gone),
        Track("truck", on("south", "right", 60.3, 3.2), Kind.TRUCK),
        Track("bike", on("south", "through", 70.2, 3.9), Kind.CYCLIST),
        Track("p1", late, Kind.PEDESTRIAN),
        Track("p2", walk((9.7, 6.6), (11.3, -7.1)), Kind.PEDESTRIAN),
        Track("queue", stand(-1.7, 18.6), heading=-1.55),
        Track("parked", stand(-40.3, -4.6), heading=0.1),
    ]
    red = switch((SignalState.RED, 0), (SignalState.GREEN, 70))
    green = switch((SignalState.GREEN, 0), (SignalState.YELLOW, 55), (SignalState.RED, 80))
    return stage(
        crossing_road(stop_signs=True),
        tracks,
        lights={"west": red, "east": red, "south": green, "north": green},
    )


def busy_street() -> Scene:
    """Return a street with four lanes, with a lane change, followers, and someone against them."""
    weave = drive(EAST_OUTER, start=31.7, speed=9.3, offset=ramp(0.13, 3.42, first=33, last=61))
    return stage(
        straight_road(lanes=4, crosswalk=17.3),
        [
            Track("ego", drive(EAST, start=22.9, speed=8.8, offset=wander(0))),
            Track("v1", drive(EAST, start=44.1, speed=7.9, offset=wander(1))),
            Track("v2", weave),
            Track("v3", drive(WEST, start=41.3, speed=9.1, offset=wander(2))),
            Track("wrong", drive(WEST[::-1], start=141.3, speed=6.1, offset=wander(3))),
            Track("p", walk((-60.7, -10.13), (-58.9, 9.82)), Kind.PEDESTRIAN),
        ],
    )


def seen_crossing() -> Scene:
    """Return the made-up crossing of odd road users, with a camera.

    All are moved a little: what lies on a border may fall to either side when it is turned,
    and so may what is exactly square to something.
    """
    camera = Camera(
        name="front",
        paths=("front.mp4",),
        times_ns=np.zeros(1, np.int64),
        width_px=1600,
        height_px=1200,
        intrinsics=np.array([[900.0, 0, 800], [0, 900, 600], [0, 0, 1]]),
        distortion=np.zeros(0),
        model="pinhole",
        ego_from_camera=np.array([[0.0, 0, 1, 1], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]]),
    )
    scene = crossing_scene()
    shift = np.random.default_rng(0).normal(scale=0.1, size=(len(scene.agents), 1, 4))
    agents = dataclasses.replace(
        scene.agents,
        centre=scene.agents.centre + shift[..., :3],
        heading=wrap_angle(scene.agents.heading + shift[..., 3]),
    )
    return dataclasses.replace(scene, agents=agents, cameras=(camera,))


SCENES = (busy_crossing, busy_street, seen_crossing)


class SignalLaws:
    """The laws. A subclass may name its signals; if it does not, they hold for all built-in ones."""

    signals: ClassVar[tuple[str, ...]] = ()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        names = self.signals or built_in()
        if "name" in metafunc.fixturenames:
            metafunc.parametrize("name", names)
        if "rough" in metafunc.fixturenames:
            rough = [name for name in names if known_signals()[name].between is not None]
            metafunc.parametrize("rough", rough)

    def test_it_says_what_it_is(self, name):
        found = known_signals()[name]
        assert found.name == name
        assert found.doc.endswith(".")
        assert found.margin > 0

    def test_it_is_a_float_for_each_road_user_or_pair_and_time(self, name):
        for scene in scenes():
            values = measure_all(scene, name)
            assert values.dtype == np.float64
            assert values.shape == present(scene, name).shape

    def test_it_is_undefined_where_a_road_user_is_not_there(self, name):
        for scene in scenes():
            assert np.isnan(measure_all(scene, name)[~present(scene, name)]).all()

    def test_it_is_known_of_somebody_at_some_time(self, name):
        assert any(np.isfinite(measure_all(scene, name)).any() for scene in scenes())

    def test_it_does_not_change_when_the_whole_scene_is_turned_and_shifted(self, name):
        for scene, other in zip(scenes(), moved_scenes(), strict=True):
            before, after = measure_all(scene, name), measure_all(other, name)
            if known_signals()[name].unit == "rad":
                # Right behind is both -180° and 180°.
                before, after = before - before, wrap_angle(after - before)
            np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-6)

    def test_it_does_not_depend_on_the_order_of_road_users(self, name):
        for scene, (order, other) in zip(scenes(), shuffled_scenes(), strict=True):
            place = np.argsort(order)
            a, b = all_pairs(scene)
            rows = {0: (), 1: (place,), 2: (place[a], place[b])}[known_signals()[name].agents]
            before, after = measure_all(scene, name), measure(other, name, *rows)
            np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-9)

    def test_it_does_not_depend_on_ids(self, name):
        for scene, other in zip(scenes(), renamed_scenes(), strict=True):
            np.testing.assert_array_equal(measure_all(other, name), measure_all(scene, name))

    def test_it_writes_to_nothing_that_it_is_given(self, name):
        for make in SCENES:
            scene = make()
            lock(scene)
            before = measure_all(scene, name, facts=Facts(scene))
            np.testing.assert_array_equal(measure_all(scene, name), before)

    def test_it_says_the_same_when_it_is_asked_again(self, name):
        for scene in scenes():
            facts = Facts(scene)
            first = measure_all(scene, name, facts=facts).copy()
            np.testing.assert_array_equal(measure_all(scene, name, facts=facts), first)

    def test_it_lies_between_what_is_told_sooner(self, rough):
        between = known_signals()[rough].between
        assert between is not None
        for scene in (*scenes(), *odd_scenes()):
            values, (low, high) = (
                measure_all(scene, rough),
                between(Facts(scene), *all_pairs(scene)),
            )
            known = ~np.isnan(values)
            assert (low[known] <= values[known]).all()
            assert (values[known] <= high[known]).all()

    def test_it_is_the_same_where_it_is_asked_for(self, rough):
        rng = np.random.default_rng(0)
        for scene in scenes():
            values = measure_all(scene, rough)
            where = rng.random(values.shape) < 0.3
            some = known_signals()[rough].measure(Facts(scene), *all_pairs(scene), where=where)
            np.testing.assert_array_equal(some[where], values[where])

    def test_it_stands_odd_scenes(self, name):
        for scene in odd_scenes():
            assert measure_all(scene, name).shape == present(scene, name).shape


def built_in() -> list[str]:
    """Return the signals that are built in, but those of models."""
    return [
        name
        for name, signal in known_signals().items()
        if signal.measure.__module__.startswith("kerbstone.lang.")
        and not signal.measure.__module__.endswith(".models")
    ]


@cache
def scenes() -> tuple[Scene, ...]:
    return tuple(make() for make in SCENES)


@cache
def moved_scenes() -> tuple[Scene, ...]:
    motion = SE2(np.array([431.7, -211.3]), np.array(2.3))
    return tuple(moved(scene, motion) for scene in scenes())


@cache
def shuffled_scenes() -> tuple[tuple[np.ndarray, Scene], ...]:
    orders = [np.random.default_rng(1).permutation(len(scene.agents)) for scene in scenes()]
    return tuple(
        (order, moved(scene, SE2.identity(), order=order.tolist()))
        for order, scene in zip(orders, scenes(), strict=True)
    )


@cache
def renamed_scenes() -> tuple[Scene, ...]:
    return tuple(
        dataclasses.replace(
            scene, agents=dataclasses.replace(scene.agents, ids=scene.agents.ids[::-1])
        )
        for scene in scenes()
    )


@cache
def odd_scenes() -> tuple[Scene, ...]:
    """Return scenes that lack something: road users, time, the map, lights, or the ego."""
    found = []
    for scene in scenes():
        nobody = Agents.empty(scene.clock.steps)
        found += [
            dataclasses.replace(scene, agents=nobody, ego=None, ego_poses=None),
            scene.window_steps(7, 1),
            dataclasses.replace(scene, map=None, signals=None),
            dataclasses.replace(scene, signals=None, ego=None),
        ]
    return tuple(found)


@cache
def facts_of(scene: Scene) -> Facts:
    return Facts(scene)


def measure(scene: Scene, name: str, *rows: np.ndarray, facts: Facts | None = None) -> np.ndarray:
    """Return a signal for some road users, or pairs of them."""
    found = known_signals()[name]
    texts = (TEXTS[name],) if found.texts else ()
    facts = facts or facts_of(scene)
    if found.agents == 2:
        return found.measure(facts, *rows, *texts)
    values = found.measure(facts, *texts)
    return values[rows[0]] if rows else values


def measure_all(scene: Scene, name: str, *, facts: Facts | None = None) -> np.ndarray:
    """Return a signal for all road users, or all pairs."""
    rows = all_pairs(scene) if known_signals()[name].agents == 2 else ()
    return measure(scene, name, *rows, facts=facts)


def all_pairs(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.nonzero(~np.eye(len(scene.agents), dtype=bool))
    return a, b


def present(scene: Scene, name: str) -> np.ndarray:
    """Return where all of a signal's road users are there."""
    valid, agents = scene.agents.valid, known_signals()[name].agents
    a, b = all_pairs(scene)
    return {0: np.ones(scene.clock.steps, bool), 1: valid, 2: valid[a] & valid[b]}[agents]


def lock(part: Any) -> None:
    """Make every array of a scene read-only."""
    if isinstance(part, np.ndarray):
        part.flags.writeable = False
    elif dataclasses.is_dataclass(part):
        for field in dataclasses.fields(part):
            lock(getattr(part, field.name))
