"""Every named scenario on a hand-made scene where it holds, and on a near variant where it does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from kerbstone.lang import Facts, evaluate
from kerbstone.lang.library import built_in_scenarios, prepare
from kerbstone.lang.matches import list_matches
from kerbstone.scene import Agents, DrivingSide, Kind, Scene, SignalState
from roads import (
    EAST,
    EAST_OUTER,
    STEPS,
    STOP,
    WEST,
    WIDTH,
    Track,
    crossing_road,
    drive,
    merging_road,
    ramp,
    stage,
    stand,
    straight_road,
    switch,
    walk,
    way_through,
)

WALKER, BIKE, BUS, TRUCK = Kind.PEDESTRIAN, Kind.CYCLIST, Kind.BUS, Kind.TRUCK
RED, YELLOW, GREEN = SignalState.RED, SignalState.YELLOW, SignalState.GREEN
TIME = 0.1 * np.arange(STEPS)
LINE = 100.0 - STOP
"""Arc length of the stop line on every way through the crossing."""


class Case(NamedTuple):
    """A scenario with a scene.

    Args:
        who: Its road users, in order.
        when: Within which time all matches lie, and at least one [s].
        make: Makes the scene.
        holds: What makes it so that the scenario holds.
        misses: What makes it so that it does not.
    """

    who: tuple[str, ...]
    when: tuple[float, float]
    make: Callable[..., Scene]
    holds: dict[str, Any]
    misses: dict[str, Any]


CASES: dict[str, Case] = {}


def case(
    *who: str, when: tuple[float, float] = (0, 10), holds: dict[str, Any], misses: dict[str, Any]
) -> Callable[[Callable[..., Scene]], Callable[..., Scene]]:
    def register(make: Callable[..., Scene]) -> Callable[..., Scene]:
        CASES[make.__name__] = Case(who, when, make, holds, misses)
        return make

    return register


def matches(name: str, scene: Scene) -> list[tuple[tuple[str, ...], float, float]]:
    facts = Facts(scene)
    found = list_matches(evaluate(prepare(name), facts, floor=0.0), facts)
    return [(tuple(match.witnesses.values()), match.start, match.end) for match in found]


def street(*tracks: Track, lanes: int = 4, **options: Any) -> Scene:
    road = {k: options.pop(k) for k in ("crosswalk", "speed_limit", "left_hand") if k in options}
    return stage(straight_road(lanes=lanes, **road), list(tracks), **options)


def crossing(*tracks: Track, lights: Any = None, **road: Any) -> Scene:
    return stage(crossing_road(**road), list(tracks), lights=lights)


def braking(speed: float, by: float, *, first: float = 4.0, least: float = 0.0) -> np.ndarray:
    """Return speeds that fall by so many m/s² from a time on."""
    return np.clip(speed - by * np.maximum(TIME - first, 0.0), least, None)


def on(line: np.ndarray, start: float, speed: Any = 10.0, **options: Any) -> np.ndarray:
    return drive(line, start=start, speed=speed, **options)


def through(arm: str, way: str, start: float, speed: Any = 8.0, **options: Any) -> np.ndarray:
    return drive(way_through(arm, way), start=start, speed=speed, **options)


# Braking, speeding up, and holding others up.


@case("v", when=(3.5, 7.5), holds={"by": 5.0}, misses={"by": 3.0})
def hard_braking(by):
    return street(Track("v", on(EAST, 20, braking(15, by))))


@case("v", when=(0, 4), holds={"by": 4.0}, misses={"by": 2.0})
def hard_acceleration(by):
    return street(Track("v", on(EAST, 20, np.clip(by * TIME, 0, 12))))


@case("v", "w", when=(3.5, 7), holds={"aside": 0.0}, misses={"aside": -3.5})
def emergency_stop_of_leader(aside):
    return street(
        Track("v", on(EAST, 60, braking(15, 7), offset=aside)),
        Track("w", on(EAST, 35, braking(15, 4, first=5.0))),
    )


@case("v", "p", when=(2, 7), holds={"end": 6.0}, misses={"end": -7.0})
def braking_for_a_pedestrian(end):
    return street(
        Track("v", on(EAST, 150, braking(10, 3.5, first=3.0))),
        Track("p", walk((8, -7), (8, end), first=30, last=99), WALKER),
        lanes=2,
    )


@case("v", when=(2, 8), holds={"again": 0.0}, misses={"again": 3.0})
def stop_and_go(again):
    speed = np.where(TIME < 2.5, 0.0, np.where(TIME < 7, 3.0, again))
    return street(Track("v", on(EAST, 50, speed)))


# Driving one behind the other.


@case("v", "w", holds={"gap": 5.0}, misses={"gap": 10.0})
def tailgating(gap):
    return street(Track("w", on(EAST, 60)), Track("v", on(EAST, 60 - 4.5 - gap)))


@case("v", "w", holds={"speed": 4.0}, misses={"speed": 7.0})
def slow_leader(speed):
    return street(Track("v", on(EAST, 80, speed)), Track("w", on(EAST, 40, 6.0)))


@case("v", "w", holds={"speed": 18.0}, misses={"speed": 14.0})
def closing_in_on_a_leader(speed):
    return street(Track("w", on(EAST, 120)), Track("v", on(EAST, 30, speed)))


@case("u", "v", "w", holds={"gap": 12.0}, misses={"gap": 30.0})
def platoon(gap):
    starts = {"u": 100, "v": 100 - 4.5 - 12, "w": 100 - 9 - 12 - gap}
    return street(*(Track(name, on(EAST, start)) for name, start in starts.items()))


@case("u", "v", "w", holds={"line": EAST}, misses={"line": EAST_OUTER})
def queue(line):
    return street(
        Track("u", on(EAST, 100, 0)), Track("v", on(EAST, 93, 0)), Track("w", on(line, 86, 0))
    )


# Changes of lane, merging and overtaking.


def changes(start: float, *, first: int = 30, before: float = 0.0, after: float = WIDTH, **more):
    return on(EAST_OUTER, start, offset=ramp(before, after, first=first, last=first + 30), **more)


@case("v", "w", when=(1.5, 6.5), holds={"gap": 6.0}, misses={"gap": 14.0})
def cut_in(gap):
    return street(Track("w", on(EAST, 40)), Track("v", changes(44.5 + gap)))


@case("v", "w", when=(3, 6.5), holds={"gap": 12.0}, misses={"gap": 45.0})
def cut_out(gap):
    return street(
        Track("w", on(EAST, 40)), Track("v", changes(44.5 + gap, before=WIDTH, after=0.0))
    )


@case("v", "w", "x", when=(3, 6.5), holds={"speed": 0.0}, misses={"speed": 8.0})
def cut_out_before_an_obstacle(speed):
    return street(
        Track("w", on(EAST, 40)),
        Track("v", changes(60, before=WIDTH, after=0.0)),
        Track("x", on(EAST, 125, speed)),
    )


@case("v", "w", when=(3, 6.5), holds={"behind": 8.0}, misses={"behind": 20.0})
def close_lane_change(behind):
    return street(Track("v", changes(60)), Track("w", on(EAST, 60 - behind)))


@case("v", when=(0, 10), holds={"after": 2 * WIDTH}, misses={"after": WIDTH})
def double_lane_change(after):
    line = EAST_OUTER - np.array([0, WIDTH])
    offset = ramp(0, WIDTH, first=5, last=30) + ramp(0, after - WIDTH, first=55, last=80)
    return street(Track("v", on(line, 20, offset=offset)), lanes=6)


@case("v", when=(0, 6), holds={"after": 0.0}, misses={"after": WIDTH})
def weaving(after):
    offset = ramp(0, WIDTH, first=10, last=35) + ramp(0, after - WIDTH, first=55, last=80)
    return street(Track("v", on(EAST_OUTER, 20, offset=offset)))


@case("v", "u", "w", when=(0, 7), holds={"start": 105.0}, misses={"start": 85.0})
def zipper_merge(start):
    main = np.array([[-150.0, 0], [150, 0]])
    slip = np.array([[-150.0, -20], [-60, -8], [-20, -1.5], [0, 0], [150, 0]])
    return stage(
        merging_road(),
        [
            Track("u", on(main, 115, 8)),
            Track("w", on(main, 90, 8)),
            Track("v", on(slip, start, 8)),
        ],
    )


@case("v", "c", when=(2, 8), holds={"aside": 0.85}, misses={"aside": 2.2})
def overtaking_a_cyclist_closely(aside):
    return street(
        Track("c", on(EAST, 60, 5.0, offset=-1.2), BIKE),
        Track("v", on(EAST, 30, offset=aside + 0.05)),
    )


@case("v", "w", when=(2, 9), holds={"aside": WIDTH}, misses={"aside": -WIDTH})
def overtaking_on_the_other_side(aside):
    return street(Track("w", on(EAST, 70, 5.0)), Track("v", on(EAST, 40, offset=aside)))


@case("m", "v", when=(2, 9), holds={"aside": 1.9}, misses={"aside": 2.6})
def lane_splitting(aside):
    return street(
        Track("v", on(EAST_OUTER, 70, 3.0)),
        Track("m", on(EAST_OUTER, 40, 9.0, offset=aside), Kind.MOTORCYCLE),
    )


# Who goes on foot, and how drivers deal with it.


@case("p", "v", holds={"start": 175.0}, misses={"start": 215.0})
def crossing_pedestrian(start):
    return street(
        Track("v", on(EAST, start, 5.0)),
        Track("p", walk((5, -7), (5, 4), last=50), WALKER),
        lanes=2,
    )


@case("p", holds={"x": 0.0}, misses={"x": 50.0})
def jaywalking(x):
    return street(Track("p", walk((x, -8), (x, 8)), WALKER), lanes=2, crosswalk=50.0)


@case("p", "w", when=(1, 6), holds={"x": 21.0}, misses={"x": 34.0})
def stepping_out_from_occlusion(x):
    return street(
        Track("ego", on(EAST, 180, 7.0)),
        Track("w", stand(x, -4.9), TRUCK, heading=0.0),
        Track("p", walk((27.5, -6), (27.5, 3), first=25, last=70), WALKER),
        lanes=2,
    )


@case("p", holds={"last": 40}, misses={"last": 99})
def running_pedestrian(last):
    return street(Track("p", walk((0, -8), (0, 8), last=last), WALKER), lanes=2)


@case("p", holds={"y": -3.0}, misses={"y": -7.5})
def pedestrian_walking_along_the_road(y):
    return street(Track("p", walk((0, y), (14, y)), WALKER), lanes=2)


@case("p", holds={"x": 0.0}, misses={"x": 8.0})
def waiting_to_cross(x):
    return street(Track("p", stand(x, -6.6), WALKER), lanes=2, crosswalk=0.0)


@case("p", holds={"last": 2.0}, misses={"last": 6.0})
def group_of_pedestrians(last):
    places = {"p": 0.0, "q": 1.0, "r": -1.0, "s": last}
    return street(*(Track(name, stand(x, -8), WALKER) for name, x in places.items()))


@case("v", "p", when=(2, 10), holds={"least": 0.0}, misses={"least": 3.0})
def yielding_to_a_pedestrian(least):
    return street(
        Track("v", on(EAST, 163, braking(8, 2.5, first=1.0, least=least))),
        Track("p", walk((1, -7), (1, 7), first=30, last=90), WALKER),
        lanes=2,
    )


@case("v", "p", when=(2, 6), holds={"first": 0}, misses={"first": 60})
def failing_to_yield_to_a_pedestrian(first):
    return street(
        Track("v", on(EAST, 170, 8.0)),
        Track("p", walk((0, 7), (0, -7), first=first, last=first + 100), WALKER),
        lanes=2,
        crosswalk=0.0,
    )


@case("v", "p", holds={"arm": "north"}, misses={"arm": "east"})
def turning_across_a_pedestrian(arm):
    ends = {"north": ((4, 11), (-4, 11)), "east": ((11, 4), (11, -4))}[arm]
    return crossing(
        Track("v", through("west", "left", 75, 5.0)),
        Track("p", walk(*ends, first=20, last=99), WALKER),
    )


# Cyclists, riders, animals, and things on the road.


@case("c", "v", holds={"x": 10.0}, misses={"x": -60.0})
def crossing_cyclist(x):
    return street(
        Track("v", on(EAST, 175, 5.0)), Track("c", walk((x, -9), (x, 9), last=50), BIKE), lanes=2
    )


@case("v", "c", when=(1, 8), holds={"way": "right"}, misses={"way": "through"})
def right_hook(way):
    return crossing(
        Track("v", through("west", way, 74, 6.0)),
        Track("c", through("west", "through", 67, 4.0, offset=-1.4), BIKE),
    )


@case("c", "v", when=(3, 9), holds={"aside": 1.9}, misses={"aside": 2.9})
def passing_in_the_door_zone(aside):
    return street(
        Track("v", stand(0, -4.7)),
        Track("c", on(EAST, 180, 4.0, offset=aside - 2.95), BIKE),
        lanes=2,
    )


@case("c", "v", holds={"gap": 6.0}, misses={"gap": 14.0})
def cyclist_among_vehicles(gap):
    return street(
        Track("c", on(EAST, 80, 5.0), BIKE), Track("v", on(EAST, 80 - 0.9 - 2.25 - gap, 5.0))
    )


@case("r", holds={"y": -2.0}, misses={"y": -8.0})
def rider_on_the_road(y):
    return street(Track("r", walk((0, y), (30, y)), Kind.RIDER), lanes=2)


@case("a", holds={"y": -2.0}, misses={"y": -8.0})
def animal_on_the_road(y):
    return street(Track("a", walk((0, y), (10, y)), Kind.ANIMAL), lanes=2)


@case("o", holds={"y": -2.0}, misses={"y": -4.5})
def debris_on_the_road(y):
    return street(Track("o", stand(0, y), Kind.OBJECT), lanes=2)


# Intersections.


@case("v", when=(2, 10), holds={"light": RED}, misses={"light": switch((GREEN, 0), (RED, 58))})
def red_light_running(light):
    return crossing(Track("v", through("west", "through", 40)), lights={"west": light})


@case("v", when=(2, 10), holds={"way": "right"}, misses={"way": "through"})
def turning_at_red(way):
    return crossing(Track("v", through("west", way, 50, 6.0)), lights={"west": RED})


@case("v", when=(4, 8), holds={"first": 50}, misses={"first": 75})
def entering_at_yellow(first):
    light = switch((GREEN, 0), (YELLOW, first))
    return crossing(Track("v", through("west", "through", 40)), lights={"west": light})


@case("v", holds={"light": RED}, misses={"light": switch((RED, 0), (GREEN, 12))})
def waiting_at_red(light):
    speed = np.where(TIME < 1.5, 0.0, 4.0) if np.ndim(light) else 0.0
    return crossing(Track("v", through("west", "through", LINE - 4, speed)), lights={"west": light})


@case("v", when=(2, 9), holds={"least": 4.0}, misses={"least": 0.0})
def running_a_stop_sign(least):
    halt = braking(6, 2.5, first=3.0, least=least)
    speed = np.where(TIME < 6.0, halt, 4.0)
    return crossing(Track("v", through("west", "through", 57, speed)), stop_signs=True)


@case("v", "w", holds={"way": "left"}, misses={"way": "right"})
def unprotected_left_turn(way):
    return crossing(
        Track("v", through("west", way, 65, 6.0)), Track("w", through("east", "through", 20, 6.0))
    )


@case("v", "w", holds={"start": 52.0}, misses={"start": 30.0})
def left_turn_across_path(start):
    return crossing(
        Track("v", through("west", "left", 75, 7.0)),
        Track("w", through("east", "through", start, 9.0)),
    )


@case("v", "w", holds={"start": 58.0}, misses={"start": 30.0})
def crossing_paths(start):
    return crossing(
        Track("v", through("west", "through", 70, 8.0)),
        Track("w", through("south", "through", start, 8.0)),
    )


@case("v", holds={"start": 100.0}, misses={"start": 80.0})
def blocked_intersection(start):
    return crossing(Track("v", through("west", "through", start, 0.0)))


def turn_round(degrees: float) -> np.ndarray:
    angle = np.linspace(-90.0, -90.0 + degrees, 40)
    bend = 6 * np.column_stack([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
    ahead = np.deg2rad(angle[-1] + 90)
    end = bend[-1] + 80 * np.array([np.cos(ahead), np.sin(ahead)])
    return np.concatenate([[[-80.0, -6]], bend, [end]])


@case("v", when=(3, 10), holds={"degrees": 180.0}, misses={"degrees": 120.0})
def making_a_u_turn(degrees):
    return stage(None, [Track("v", on(turn_round(degrees), 65, 4.0))])


@case("v", "w", when=(3, 10), holds={"start": 55.0}, misses={"start": 140.0})
def u_turn_before_oncoming_traffic(start):
    oncoming = np.array([[100.0, 4], [-100, 4]])
    return stage(
        None, [Track("v", on(turn_round(180.0), 65, 4.0)), Track("w", on(oncoming, start, 4.0))]
    )


# How near it was to a crash.


@case("a", "b", when=(2, 6), holds={"aside": 0.5}, misses={"aside": 2.5})
def near_miss(aside):
    return street(
        Track("a", on(EAST, 150, braking(12, 8, first=3.0))),
        Track("b", on(EAST, 202, 0, offset=aside)),
    )


@case("a", "b", when=(3, 4.1), holds={"start": 175.0}, misses={"start": 173.5})
def collision(start):
    return street(
        Track("a", on(EAST, start, braking(6, 6, first=3.0))), Track("b", on(EAST, 200, 0))
    )


@case("a", "b", holds={"start": 58.0}, misses={"start": 44.0})
def close_encroachment(start):
    return crossing(
        Track("a", through("west", "through", 70, 8.0)),
        Track("b", through("south", "through", start, 8.0)),
    )


@case("v", "w", holds={"gap": 5.0}, misses={"gap": 60.0})
def unsafe_distance(gap):
    return street(Track("w", on(EAST, 100, 12.0)), Track("v", on(EAST, 95.5 - gap, 12.0)))


@case("v", "b", when=(1, 6), holds={"first": 3.0}, misses={"first": 1.0})
def braking_needed(first):
    by = {3.0: 7.0, 1.0: 3.0}[first]
    return street(
        Track("v", on(EAST, 140, braking(14, by, first=first))), Track("b", on(EAST, 202, 0))
    )


@case("v", "b", when=(1, 6), holds={"first": 3.3}, misses={"first": 2.0})
def last_moment(first):
    return street(
        Track("v", on(EAST, 140, braking(14, 8.0, first=first))), Track("b", on(EAST, 202, 0))
    )


@case("v", "w", holds={"line": EAST[::-1]}, misses={"line": WEST})
def oncoming_in_my_lane(line):
    return street(Track("w", on(EAST, 120, 4.0)), Track("v", on(line, 140, 4.0)), lanes=2)


@case("v", "b", when=(2, 8), holds={"x": 40.0}, misses={"x": 140.0})
def emergency_swerve(x):
    offset = ramp(0, 2.8, first=25, last=42)
    return street(Track("v", on(EAST_OUTER, 200, 12.0, offset=offset)), Track("b", stand(x, -5.25)))


# Standing where one should not, parking, and driving off.


@case("v", holds={"y": -1.75}, misses={"y": -4.75})
def stopped_in_lane(y):
    return street(Track("v", stand(0, y)), lanes=2)


@case("v", "w", when=(2, 9), holds={"y": -2.0}, misses={"y": -4.75})
def double_parked(y):
    return street(Track("v", stand(0, y)), Track("w", on(EAST, 180, 5.0, offset=2.5)), lanes=2)


@case("v", when=(2, 9), holds={"waits": 3.0}, misses={"waits": 0.0})
def pulling_out(waits):
    speed = np.where(TIME < waits, 0.0, 3.0)
    offset = ramp(-2.95, 0, first=45, last=80)
    return street(Track("v", on(EAST, 180, speed, offset=offset)), lanes=2)


@case("v", "w", when=(2, 9), holds={"start": 150.0}, misses={"start": 20.0})
def pulling_out_before_another(start):
    speed = np.where(TIME < 3, 0.0, 3.0)
    offset = ramp(-2.95, 0, first=35, last=65)
    return street(
        Track("v", on(EAST, 180, speed, offset=offset)), Track("w", on(EAST, start, 6.0)), lanes=2
    )


@case("v", when=(0, 9), holds={"aside": -2.95}, misses={"aside": 0.0})
def pulling_over(aside):
    offset = ramp(0, aside, first=20, last=60)
    return street(Track("v", on(EAST, 180, braking(4, 1.0), offset=offset)), lanes=2)


@case("v", holds={"heading": 0.0}, misses={"heading": np.pi})
def reversing_on_the_road(heading):
    return street(Track("v", on(EAST[::-1], 180, 2.0), heading=heading), lanes=2)


@case("b", holds={"speed": 0.0}, misses={"speed": 3.0})
def bus_at_a_stop(speed):
    return street(Track("b", on(EAST, 180, np.where(TIME < 7, speed, 3.0)), BUS), lanes=2)


@case("v", "b", when=(3, 9), holds={"speed": 0.0}, misses={"speed": 2.0})
def passing_a_bus_at_a_stop(speed):
    return street(
        Track("b", on(EAST_OUTER, 180, speed), BUS), Track("v", on(EAST, 155, 6.0)), lanes=4
    )


# How one vehicle moves.


@case("v", holds={"line": WEST[::-1]}, misses={"line": EAST})
def driving_wrong_way(line):
    return street(Track("v", on(line, 50)), lanes=2)


@case("v", holds={"speed": 18.0}, misses={"speed": 15.0})
def speeding(speed):
    return street(Track("v", on(EAST, 20, speed)))


CIRCLE = 25.0 * np.column_stack([np.sin(np.arange(0, 7, 0.05)), 1 - np.cos(np.arange(0, 7, 0.05))])


@case("v", holds={"speed": 9.5}, misses={"speed": 7.5})
def high_lateral_acceleration(speed):
    return stage(None, [Track("v", on(CIRCLE, 5, speed))])


@case("v", when=(2, 7), holds={"back": 0.0}, misses={"back": 1.8})
def swerving(back):
    offset = ramp(0, 1.8, first=30, last=44) + ramp(0, back - 1.8, first=44, last=58)
    gentle = ramp(0, 1.8, first=20, last=80)
    return street(Track("v", on(EAST, 30, offset=gentle if back else offset)))


@case("v", when=(3, 6), holds={"rise": 12.0}, misses={"rise": 4.0})
def harsh_driving(rise):
    fall = np.clip(rise * np.maximum(TIME - 4, 0), 0, 6)
    return street(Track("v", on(EAST, 20, np.clip(15 - np.cumsum(fall) * 0.1, 0, None))))


@case("v", holds={"aside": 1.4}, misses={"aside": 0.8})
def straddling_lanes(aside):
    return street(Track("v", on(EAST_OUTER, 20, offset=aside)))


@case("v", holds={"y": -10.5}, misses={"y": -4.5})
def driving_off_the_road(y):
    return street(Track("v", walk((0, y), (50, y))), lanes=2)


@case("v", holds={"y": -7.5}, misses={"y": -4.5})
def driving_on_the_sidewalk(y):
    return street(Track("v", walk((0, y), (50, y))), lanes=2)


@pytest.mark.parametrize("name", list(built_in_scenarios()))
def test_a_scenario_has_a_scene_where_it_holds_and_one_where_it_does_not(name):
    assert name in CASES
    parameters = built_in_scenarios()[name].parameters
    assert len(CASES[name].who) == sum(bool(p.kind) and p.default is None for p in parameters)


@pytest.mark.parametrize("name", list(CASES))
def test_it_holds_for_the_right_road_users_at_the_right_time(name):
    found = matches(name, CASES[name].make(**CASES[name].holds))
    assert {who for who, _, _ in found} >= {CASES[name].who}
    first, last = CASES[name].when
    for who, start, end in found:
        if who == CASES[name].who:
            assert first <= start < end <= last + 0.1


@pytest.mark.parametrize("name", list(CASES))
def test_it_does_not_hold_in_a_near_variant(name):
    found = matches(name, CASES[name].make(**CASES[name].misses))
    assert CASES[name].who not in {who for who, _, _ in found}


@pytest.mark.parametrize("name", list(CASES))
def test_the_near_variant_is_of_the_same_road_users(name):
    one, other = (CASES[name].make(**given) for given in (CASES[name].holds, CASES[name].misses))
    assert set(CASES[name].who) <= set(one.agents.ids) & set(other.agents.ids)


def test_every_scenario_says_in_a_sentence_what_it_means():
    for scenario in built_in_scenarios().values():
        assert scenario.doc.endswith(".")
        assert len(scenario.doc) < 100


def test_turns_across_the_oncoming_traffic_are_found_where_one_drives_on_the_left():
    scene = crossing(
        Track("v", through("west", "left", 65, 6.0)),
        Track("w", through("east", "through", 20, 6.0)),
    )
    assert ("v", "w") in {who for who, _, _ in matches("unprotected_left_turn", mirrored(scene))}


def test_who_keeps_its_lane_does_not_cut_in_on_one_that_changes_lanes_behind_it():
    scene = street(Track("w", changes(44.5)), Track("v", on(EAST, 55)))
    assert matches("cut_in", scene) == []


def test_who_changes_lanes_beside_another_does_not_cut_in():
    scene = street(Track("w", on(EAST, 40)), Track("v", changes(42)))
    assert matches("cut_in", scene) == []


@pytest.mark.parametrize(
    ("ahead", "offset", "is_found"),
    [
        (7, 0.0, False),
        (7, -2.2, False),  # its middle is in the lane beside, and it is in the way
        (7, -4.5, True),
        (30, 0.0, False),  # across a junction
        (60, 0.0, True),
    ],
)
def test_who_stands_behind_others_has_not_stopped_on_its_own(ahead, offset, is_found):
    v = Track("v", on(EAST, 60, 0, offset=-1.2))
    w = Track("w", on(EAST, 60 + ahead, 0, offset=offset))
    assert (("v",) in {who for who, _, _ in matches("stopped_in_lane", street(v, w))}) == is_found


def test_who_follows_closely_goes_on_to_where_the_other_turns_off():
    # As the lanes fork nobody follows any more, but the gap stays what it was.
    scene = crossing(
        Track("w", through("west", "through", 62, 8.0)),
        Track("v", through("west", "left", 53, 8.0)),
    )
    found = {who for who, _, _ in matches("tailgating", scene)}
    assert ("v", "w") in found


def mirrored(scene: Scene) -> Scene:
    """Return a scene in a mirror: left-hand traffic."""

    def flip(points: np.ndarray) -> np.ndarray:
        points = points.copy()
        points[..., 1] *= -1
        return points

    agents, road = scene.agents, scene.map
    assert road is not None
    lanes = dataclasses.replace(
        road.lanes,
        left=road.lanes.right,
        right=road.lanes.left,
        left_boundary=road.lanes.right_boundary,
        right_boundary=road.lanes.left_boundary,
    )
    return dataclasses.replace(
        scene,
        agents=dataclasses.replace(
            agents,
            centre=flip(agents.centre),
            heading=-agents.heading,
            velocity=flip(agents.velocity),
        ),
        map=dataclasses.replace(road, points=flip(road.points), lanes=lanes),
        source=dataclasses.replace(scene.source, driving_side=DrivingSide.LEFT),
    )


@pytest.mark.parametrize("name", list(built_in_scenarios()))
def test_it_stands_scenes_without_road_users_time_or_a_map(name):
    scene = CASES[name].make(**CASES[name].holds)
    nobody = Agents.empty(scene.clock.steps)
    for odd in (
        dataclasses.replace(scene, agents=nobody, ego=None),
        dataclasses.replace(scene, map=None, signals=None),
        scene.window_steps(50, 1),
    ):
        for floor in (0.0, -np.inf):
            answer = evaluate(prepare(name), Facts(odd), floor=floor)
            assert answer.robustness.shape == (len(answer.rows), odd.clock.steps)
