"""Traffic lights at the hand-made crossing."""

import dataclasses

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.scene import Kind, SignalState
from measures import holds, measure
from roads import (
    STOP,
    Track,
    crossing_road,
    drive,
    stage,
    stand,
    straight_road,
    switch,
    way_through,
)

RED, YELLOW, GREEN = SignalState.RED, SignalState.YELLOW, SignalState.GREEN
LINE = 100.0 - STOP
"""Arc length of the stop line on every way."""


def approach(speed=8.0, start=40.0, way="through", arm="west", **options):
    return Track("a", drive(way_through(arm, way), start=start, speed=speed), **options)


def at_lights(*tracks, **lights):
    shown = dict.fromkeys(("west", "south", "east", "north"), GREEN) | lights
    return stage(crossing_road(), list(tracks), lights=shown)


def test_the_light_is_seen_from_60_metres_and_until_the_junction_is_left():
    track = approach()
    scene = at_lights(track, west=RED)
    s = 40 + 0.8 * np.arange(100)
    near = (s >= LINE - 60) & (s <= LINE + 2 * STOP)
    assert (holds("light", scene, "a", texts=("red",)) == near).all()
    assert not holds("light", scene, "a", texts=("green",)).any()


def test_a_light_changes_with_time():
    scene = at_lights(approach(speed=1.0, start=60), west=switch((RED, 0), (GREEN, 40)))
    assert (holds("light", scene, "a", texts=("red",)) == (np.arange(100) < 40)).all()
    assert (holds("light", scene, "a", texts=("green",)) == (np.arange(100) >= 40)).all()


def test_the_light_of_the_way_that_is_taken_counts():
    for way in ("through", "left", "right"):
        scene = at_lights(approach(way=way))
        signals = scene.signals
        lane = scene.map.lanes.ids.index(f"west {way}")
        state = np.where((signals.lane == lane)[:, None], RED, signals.state).astype(np.uint8)
        scene = dataclasses.replace(scene, signals=dataclasses.replace(signals, state=state))
        assert holds("light", scene, "a", texts=("red",))[20:50].all()


def test_a_light_is_undefined_where_the_way_is_not_known_and_they_differ():
    scene = at_lights(approach(speed=0.0, start=80))
    signals = scene.signals
    lane = scene.map.lanes.ids.index("west left")
    state = np.where((signals.lane == lane)[:, None], RED, signals.state).astype(np.uint8)
    scene = dataclasses.replace(scene, signals=dataclasses.replace(signals, state=state))
    assert np.isnan(measure("light", scene, "a", texts=("red",))).all()
    assert not holds("light", scene, "a", texts=("yellow",)).any()


def test_an_unknown_state_is_undefined():
    scene = at_lights(approach(speed=0.0, start=80), west=SignalState.UNKNOWN)
    assert np.isnan(measure("light", scene, "a", texts=("red",))).all()


def test_a_colour_that_no_light_shows_is_refused():
    scene = at_lights(approach())
    with pytest.raises(InputError, match="yellow"):
        measure("light", scene, "a", texts=("yelow",))


def test_running_red_holds_from_a_second_before_the_line_until_the_junction_is_left():
    scene = at_lights(approach(), west=RED)
    front = 40 + 0.8 * np.arange(100) + 2.25
    line = int(np.argmax(front >= LINE))
    inside = holds("in_intersection", scene, "a")
    found = np.flatnonzero(holds("running_red", scene, "a"))
    assert found[0] == line - 10
    assert found[-1] == np.flatnonzero(inside)[-1]
    assert len(found) == found[-1] - found[0] + 1


@pytest.mark.parametrize(
    "state",
    [
        GREEN,
        YELLOW,
        SignalState.OFF,
        SignalState.FLASHING_RED,
        switch((GREEN, 0), (RED, 59)),  # its front is beyond the line at step 55
        switch((YELLOW, 0), (RED, 56)),
    ],
)
def test_who_passes_before_the_light_is_red_does_not_run_it(state):
    assert not holds("running_red", at_lights(approach(), west=state), "a").any()


def test_who_stops_at_red_with_the_nose_over_the_line_does_not_run_it():
    speed = np.where(np.arange(100) < 30, 3.0, 0.0)
    speed[60:] = 5.0
    light = switch((RED, 0), (GREEN, 58))
    scene = at_lights(approach(speed=speed, start=LINE - 10), west=light)
    assert not holds("running_red", scene, "a").any()


def test_who_stops_just_behind_the_line_does_not_run_the_light():
    speed = np.clip(8 - 0.45 * np.arange(100), 0, 8)
    scene = at_lights(approach(speed=speed, start=LINE - 4), west=RED)
    assert scene.agents.centre[0, -1, 0] > -STOP + 2
    assert not holds("running_red", scene, "a").any()


def test_a_pedestrian_at_red_runs_no_light():
    scene = at_lights(approach(speed=2.0, start=75, kind=Kind.PEDESTRIAN), west=RED)
    assert not holds("running_red", scene, "a").any()
    assert not holds("light", scene, "a", texts=("red",)).any()


def test_waiting_is_standing_at_red_first_or_behind_others():
    line = way_through("west", "through")
    scene = at_lights(
        Track("first", drive(line, start=LINE - 4, speed=0)),
        Track("second", drive(line, start=LINE - 11, speed=0)),
        Track("third", drive(line, start=LINE - 18, speed=0)),
        Track("far", drive(line, start=LINE - 70, speed=0)),
        Track("other", drive(way_through("south", "through"), start=LINE - 4, speed=0)),
        west=RED,
    )
    for name in ("first", "second", "third"):
        assert holds("waiting_at_signal", scene, name).all()
    assert not holds("waiting_at_signal", scene, "far").any()
    assert not holds("waiting_at_signal", scene, "other").any()


def test_who_stands_behind_one_that_drives_on_is_not_waiting():
    line = way_through("west", "through")
    speed = np.full(100, 5.0)
    scene = at_lights(
        Track("first", drive(line, start=40, speed=speed)),
        Track("second", drive(line, start=30, speed=0)),
        west=RED,
    )
    before = (40 + 0.5 * np.arange(100)) < LINE - 1
    assert not holds("waiting_at_signal", scene, "second")[before].any()


def test_waiting_goes_on_until_the_queue_starts():
    speed = np.where(np.arange(100) < 70, 0.0, 4.0)
    scene = at_lights(approach(speed=speed, start=LINE - 4), west=switch((RED, 0), (GREEN, 40)))
    found = holds("waiting_at_signal", scene, "a")
    assert found[:69].all()
    assert not found[72:].any()


def test_standing_at_green_is_no_waiting():
    assert not holds("waiting_at_signal", at_lights(approach(speed=0.0, start=80)), "a").any()


def test_without_recorded_lights_nothing_is_known_at_intersections_alone():
    scene = stage(
        crossing_road(),
        [approach(speed=0.0, start=80), Track("far", stand(-90, -1.75)), Track("moves", approach().points)],
    )  # fmt: skip
    assert np.isnan(measure("waiting_at_signal", scene, "a")).all()
    assert np.isnan(measure("light", scene, "a", texts=("red",))).all()
    assert not holds("waiting_at_signal", scene, "far").any()
    assert not holds("waiting_at_signal", scene, "moves").any()
    assert np.isnan(measure("running_red", scene, "moves")).any()
    assert not holds("running_red", scene, "far").any()


def test_without_a_map_no_light_is_known():
    scene = stage(None, [approach()])
    for name, texts in (("light", ("red",)), ("running_red", ()), ("waiting_at_signal", ())):
        assert np.isnan(measure(name, scene, "a", texts=texts)).all()


def test_a_scene_with_lights_elsewhere_knows_of_none_here():
    scene = stage(straight_road(), [Track("a", stand(0, 0))], lights={})
    assert not holds("waiting_at_signal", scene, "a").any()
    assert not holds("light", scene, "a", texts=("red",)).any()
