import json

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.sumo import Event, EventKind, Sumo, read_events
from kerbstone.formats.sumo.events import Attempt
from kerbstone.formats.sumo.network import read_network
from kerbstone.formats.sumo.road_map import build_map
from kerbstone.formats.sumo.truth import _confirm, _Motion, event_rows, write_events
from kerbstone.scene import Agents, Clock, Kind, LaneIndex, SignalState
from laws.format_laws import read_all
from small.sumo import draw_network

STEPS = 120
TIME = 0.1 * np.arange(STEPS)
CAR, WALKER = (4.0, 1.8, 1.5), (0.5, 0.6, 1.7)


def drive(x, y=-3.4, *, heading=0.0, size=CAR):
    """Return a track of box centres; speed follows from it."""
    return (*np.broadcast_arrays(x, y, heading, TIME)[:3], size)


def cruise(start, speed, **more):
    return drive(start + speed * TIME, **more)


@pytest.fixture
def network(tmp_path):
    (tmp_path / "town.net.xml").write_text(draw_network())
    return read_network(tmp_path / "town.net.xml")


def confirm(kind, network, *tracks, lanes=None, ego_lanes=None, red=None, start=3.0, end=9.0):
    """Stage an event with made-up motion and return what is found to have happened."""
    count = len(tracks)
    place = np.array([[track[0], track[1]] for track in tracks]).transpose(0, 2, 1)
    velocity = np.gradient(place, 0.1, axis=1)
    size = np.array([track[3] for track in tracks])
    height = np.broadcast_to(size[:, None, 2:] / 2, (count, STEPS, 1))
    agents = Agents(
        ids=tuple(f"a{i}" for i in range(count)),
        kind=np.full(count, Kind.CAR, np.uint8),
        label=("",) * count,
        size=size,
        centre=np.concatenate([place, height], axis=2),
        heading=np.array([track[2] for track in tracks]),
        velocity=velocity,
        valid=np.ones((count, STEPS), bool),
    )
    names = np.full((count, STEPS), "ab_1", object)
    if lanes is not None:
        names[0] = lanes
    if ego_lanes is not None:
        names[1] = ego_lanes
    motion = _Motion(
        clock=Clock(0, 100_000_000, STEPS),
        agents=agents,
        lanes=names,
        red=red or {},
        network=network,
        index=LaneIndex(build_map(network)),
    )
    return _confirm(Attempt(kind, agents.ids, start, end), motion)


def interval(event):
    return event.start_ns / 1e9, event.end_ns / 1e9


def test_hard_braking_ahead_of_ego_is_an_event(network):
    speed = np.clip(12.0 - 7.0 * (TIME - 5.0), 0.0, 12.0)
    leader = drive(20.0 + np.cumsum(speed) * 0.1)
    event = confirm(EventKind.EMERGENCY_BRAKING, network, leader, cruise(0.0, 8.0))
    start, end = interval(event)
    assert 4.5 < start < 5.5
    assert 6.0 < end < 7.0
    assert event.facts["acceleration"] == pytest.approx(-7.0, abs=0.2)


def test_gentle_braking_is_no_event(network):
    speed = np.clip(12.0 - 3.0 * (TIME - 5.0), 0.0, 12.0)
    leader = drive(20.0 + np.cumsum(speed) * 0.1)
    assert confirm(EventKind.EMERGENCY_BRAKING, network, leader, cruise(0.0, 8.0)) is None


def test_hard_braking_far_from_ego_is_no_event(network):
    speed = np.clip(12.0 - 7.0 * (TIME - 5.0), 0.0, 12.0)
    leader = drive(200.0 + np.cumsum(speed) * 0.1)
    assert confirm(EventKind.EMERGENCY_BRAKING, network, leader, cruise(0.0, 8.0)) is None


def come_over(gap=6.0, depth=3.2, *, back=False):
    """Return a car that comes over from the lane beside, and the lane that it is on."""
    aside = -0.2 - depth * np.clip((TIME - 5.0) / 2.0, 0.0, 1.0)
    if back:
        aside += depth * np.clip((TIME - 6.4) / 1.0, 0.0, 1.0)
    return cruise(gap + CAR[0], 10.0, y=aside), np.where(aside < -1.8, "ab_1", "ab_2")


def test_a_change_into_ego_s_lane_close_ahead_is_a_cut_in(network):
    other, lanes = come_over()
    event = confirm(EventKind.CLOSE_CUT_IN, network, other, cruise(0.0, 10.0), lanes=lanes)
    start, end = interval(event)
    # Its side is 0.3 m beyond the marking 2.2 m from the lane's middle; the inner half begins at 0.8 m.
    assert start == pytest.approx(5.65, abs=0.15)
    assert end == pytest.approx(6.5, abs=0.15)
    assert event.facts["gap"] == pytest.approx(6.0)


@pytest.mark.parametrize("change", [{"gap": 26.0}, {"depth": 1.0}, {"back": True}])
def test_a_change_far_ahead_or_not_into_the_lane_or_not_for_long_is_no_cut_in(network, change):
    other, lanes = come_over(**change)
    ego = cruise(0.0, 10.0)
    assert confirm(EventKind.CLOSE_CUT_IN, network, other, ego, lanes=lanes) is None


def test_a_vehicle_that_keeps_its_lane_does_not_cut_in_though_ego_comes_before_it(network):
    aside = -3.4 + 3.2 * np.clip((TIME - 5.0) / 2.0, 0.0, 1.0)
    ego, ego_lanes = cruise(0.0, 10.0, y=aside), np.where(aside < -1.8, "ab_1", "ab_2")
    other, lanes = cruise(10.0, 10.0, y=-0.2), "ab_2"
    kind = EventKind.CLOSE_CUT_IN
    assert confirm(kind, network, other, ego, lanes=lanes, ego_lanes=ego_lanes) is None


def test_a_vehicle_does_not_cut_in_where_ego_changes_lanes_meanwhile(network):
    other, lanes = come_over()
    ego, kind = cruise(0.0, 10.0), EventKind.CLOSE_CUT_IN
    change = np.where(TIME < 6.1, "ab_2", "ab_1")
    assert confirm(kind, network, other, ego, lanes=lanes, ego_lanes=change) is None


def test_ego_may_still_be_on_the_road_before_when_a_vehicle_cuts_in(network):
    other, lanes = come_over()
    ego, kind = cruise(0.0, 10.0), EventKind.CLOSE_CUT_IN
    soon, late = (np.where(TIME < until, "za_1", "ab_1") for until in (7.0, 11.9))
    assert confirm(kind, network, other, ego, lanes=lanes, ego_lanes=soon) is not None
    assert confirm(kind, network, other, ego, lanes=lanes, ego_lanes=late) is None


def test_crossing_the_stop_line_at_red_is_an_event(network):
    lanes = np.where(TIME < 5.0, "ab_1", np.where(TIME < 7.0, ":b_0_0", "bc_0"))
    red = {":b_0_0": np.full(STEPS, fill_value=True)}
    actor, ego = cruise(50.0, 10.0), cruise(0.0, 10.0)
    event = confirm(EventKind.RED_LIGHT_RUNNING, network, actor, ego, lanes=lanes, red=red)
    assert interval(event) == pytest.approx((4.9, 6.9), abs=0.11)


def test_crossing_at_green_or_just_after_it_is_no_event(network):
    lanes = np.where(TIME < 5.0, "ab_1", np.where(TIME < 7.0, ":b_0_0", "bc_0"))
    actor, ego = cruise(50.0, 10.0), cruise(0.0, 10.0)
    kind = EventKind.RED_LIGHT_RUNNING
    for red in (TIME > 6.0, TIME > 4.95):
        found = confirm(kind, network, actor, ego, lanes=lanes, red={":b_0_0": red})
        assert found is None


def step_out(cover_y):
    """Return a walker that steps out, ego that passes, and a standing cover between them."""
    y = cover_y + np.clip(2.0 * (TIME - 4.0), 0.0, 7.0) * -np.sign(cover_y + 3.4)
    walker = drive(50.0, y, heading=np.pi / 2, size=WALKER)
    ego = drive(np.minimum(10.0 * TIME, 44.0))
    cover = drive(47.0, cover_y)
    return walker, ego, cover


def test_stepping_out_unseen_into_ego_s_way_is_an_event(network):
    event = confirm(EventKind.HIDDEN_PEDESTRIAN, network, *step_out(-0.2))
    assert event is not None
    assert event.facts["distance"] > 0


def test_stepping_out_in_plain_view_is_no_event(network):
    walker, ego, cover = step_out(-0.2)
    aside = drive(60.0, 3.0)
    assert confirm(EventKind.HIDDEN_PEDESTRIAN, network, walker, ego, aside) is None
    stays = drive(50.0, -0.2, size=WALKER)
    assert confirm(EventKind.HIDDEN_PEDESTRIAN, network, stays, ego, cover) is None


def test_standing_long_enough_is_an_event_and_a_short_stop_is_none(network):
    ego = cruise(0.0, 1.0)
    stop = drive(60.0 + 5.0 * np.minimum(TIME, 3.0))
    event = confirm(EventKind.STOPPED_VEHICLE, network, stop, ego, end=11.0)
    assert interval(event) == pytest.approx((3.1, 11.9), abs=0.2)
    short = drive(60.0 + 5.0 * (np.minimum(TIME, 3.0) + np.maximum(TIME - 6.0, 0)))
    assert confirm(EventKind.STOPPED_VEHICLE, network, short, ego, end=11.0) is None


def test_going_far_below_the_limit_is_an_event(network):
    ego = cruise(0.0, 3.0)
    event = confirm(EventKind.SLOW_VEHICLE, network, cruise(40.0, 3.0), ego)
    assert event.facts["share_of_limit"] == pytest.approx(3.0 / 13.89, abs=0.01)
    assert confirm(EventKind.SLOW_VEHICLE, network, cruise(40.0, 9.0), ego) is None


def test_what_comes_after_an_attempt_is_not_its_truth(network):
    slow = drive(40.0 + np.cumsum(np.where(TIME < 4.0, 9.0, 3.0)) * 0.1)
    ego = cruise(0.0, 3.0)
    assert confirm(EventKind.SLOW_VEHICLE, network, slow, ego, end=11.0) is not None
    assert confirm(EventKind.SLOW_VEHICLE, network, slow, ego, end=5.0) is None


def test_driving_in_a_lane_of_the_other_direction_is_an_event(network):
    aside = 3.0 - 3.2 * np.where((TIME > 4.0) & (TIME < 7.0), 1.0, 0.0)
    oncoming = cruise(95.0, -6.0, y=aside, heading=np.pi)
    event = confirm(EventKind.WRONG_WAY, network, oncoming, cruise(0.0, 2.0, y=-0.2))
    assert interval(event) == pytest.approx((4.1, 6.9), abs=0.11)
    straight = cruise(95.0, -6.0, y=3.0, heading=np.pi)
    assert confirm(EventKind.WRONG_WAY, network, straight, cruise(0.0, 2.0, y=-0.2)) is None


def test_following_too_close_is_an_event(network):
    ego = cruise(20.0, 10.0)
    event = confirm(EventKind.TAILGATING, network, cruise(12.0, 10.0), ego)
    assert event.facts["gap"] == pytest.approx(4.0)
    assert event.facts["time_gap"] == pytest.approx(0.4)
    assert confirm(EventKind.TAILGATING, network, cruise(5.0, 10.0), ego) is None
    beside = cruise(12.0, 10.0, y=-0.2)
    assert confirm(EventKind.TAILGATING, network, beside, ego) is None


def test_following_too_close_in_the_lane_beside_is_no_event(network):
    follower, ego = cruise(12.0, 10.0, y=-2.2), cruise(20.0, 10.0)
    assert confirm(EventKind.TAILGATING, network, follower, ego) is not None
    assert confirm(EventKind.TAILGATING, network, follower, ego, lanes="ab_2") is None


# What a simulation writes


def test_events_of_a_simulation_lie_in_its_scenes(town):
    events = read_events(town)
    assert events
    scenes = read_all(town, Sumo())
    first, last = scenes[0].clock.start_ns, scenes[-1].clock.times_ns[-1]
    for event in events:
        assert first <= event.start_ns < event.end_ns <= last
        inside = [s for s in scenes if s.clock.start_ns <= event.start_ns <= s.clock.times_ns[-1]]
        assert event.agents[0] in inside[0].agents.ids
        assert "ego" in event.agents


def test_braking_that_was_found_shows_in_the_scenes(town):
    found = [e for e in read_events(town) if e.kind == EventKind.EMERGENCY_BRAKING]
    for event in found:
        for scene in read_all(town, Sumo()):
            steps = np.flatnonzero(
                (scene.clock.times_ns >= event.start_ns) & (scene.clock.times_ns <= event.end_ns)
            )
            if steps.size > 5 and event.agents[0] in scene.agents.ids:
                row = scene.agents.ids.index(event.agents[0])
                speed = scene.agents.speed[row, steps]
                assert (speed[0] - speed[-1]) / (0.1 * (steps.size - 1)) > 4.0


def test_events_that_are_written_are_read_again(town, tmp_path):
    events = read_events(town)
    write_events(events, tmp_path / "events.json")
    assert (tmp_path / "events.json").read_text() == (town / "events.json").read_text()


def test_an_event_is_a_row_of_each_scene_that_it_falls_into(town):
    one, two, three = read_all(town, Sumo())
    border = two.clock.start_ns
    event = Event(EventKind.TAILGATING, ("v", "ego"), border - 10**9, border + 10**9, {"gap": 2.0})
    assert [event_rows([event], scene).num_rows for scene in (one, two, three)] == [1, 1, 0]
    (row,) = event_rows([event], one).to_pylist()
    assert row["facts"] == [{"name": "gap", "value": 2.0}]
    assert row["scene_id"] == one.id


@pytest.mark.parametrize(
    "rows", [[{"kind": "unheard-of"}], [3], {"kind": "tailgating"}, [{"kind": "tailgating"}]]
)
def test_a_broken_list_of_events_is_refused(town, tmp_path, rows):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(town, folder)
    (folder / "events.json").write_text(json.dumps(rows))
    with pytest.raises(InputError) as caught:
        read_events(folder)
    assert caught.value.code == "syntax"


def test_red_lights_that_were_run_show_red_in_the_scenes(sumo, tmp_path):
    from kerbstone.formats.sumo import SimulationConfig, simulate

    config = SimulationConfig(
        town="spider", seed=0, duration=15.0, agents=70, warm_up=15.0, event_pause=0.5,
        events=("red-light-running",), radius=0.0,
    )  # fmt: skip
    log = simulate(config, tmp_path / "log")
    (scene,) = read_all(log.folder, Sumo())
    events = read_events(log.folder)
    assert events
    for event in events:
        step = int((event.start_ns - scene.clock.start_ns) / scene.clock.dt_ns)
        row = scene.agents.ids.index(event.agents[0])
        forward = np.array(
            [np.cos(scene.agents.heading[row, step]), np.sin(scene.agents.heading[row, step])]
        )
        front = scene.agents.centre[row, step, :2] + scene.agents.size[row, 0] / 2 * forward
        gap = np.hypot(*(scene.signals.stop_point[:, :2] - front).T)
        near = gap < 3.5
        assert near.any()
        assert SignalState.RED in scene.signals.state[near, step]
