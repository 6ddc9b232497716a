from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerbstone.errors import InputError
from kerbstone.formats.sumo.network import read_network
from kerbstone.formats.sumo.road_map import build_map, offset_line, read_signals
from kerbstone.scene import LaneKind, Marking, PieceKind, SignalState, Tristate
from small.sumo import SIGNALS, draw_network


@pytest.fixture
def network(tmp_path):
    (tmp_path / "town.net.xml").write_text(draw_network())
    return read_network(tmp_path / "town.net.xml")


def lane_of(road, name):
    return road.lanes.ids.index(name)


def neighbours(road, name):
    lane = lane_of(road, name)
    return tuple(
        road.lanes.ids[i] if i >= 0 else None
        for i in (road.lanes.left[lane], road.lanes.right[lane])
    )


def test_lanes_for_pedestrians_are_sidewalks_and_no_lanes(network):
    road = build_map(network)
    assert set(road.lanes.ids) == {"ab_1", "ab_2", "ba_0", "bc_0", "bc_1", ":b_0_0", ":b_0_1"}
    sidewalks = {road.ids[i] for i in road.pieces_of(PieceKind.SIDEWALK)}
    assert sidewalks == {"ab_0", ":b_w0_0"}
    (crossing,) = road.pieces_of(PieceKind.CROSSWALK)
    ring = road.piece(int(crossing))
    np.testing.assert_allclose([ring[:, 0].min(), ring[:, 0].max()], [101.0, 105.0])


def test_lanes_have_kinds_limits_and_widths(network):
    road = build_map(network)
    kinds = {
        name: LaneKind(kind) for name, kind in zip(road.lanes.ids, road.lanes.kind, strict=True)
    }
    assert kinds["ab_1"] == LaneKind.VEHICLE
    assert kinds["bc_0"] == LaneKind.BICYCLE
    assert kinds["bc_1"] == LaneKind.RAMP
    assert road.lanes.speed_limit[lane_of(road, "ba_0")] == 8.33
    assert road.lanes.width[lane_of(road, "bc_0")] == 1.5


def test_only_lanes_through_a_junction_that_is_crossed_are_in_an_intersection(network):
    road = build_map(network)
    inside = {
        name
        for name, value in zip(road.lanes.ids, road.lanes.in_intersection, strict=True)
        if value == Tristate.YES
    }
    assert inside == {":b_0_0", ":b_0_1"}


def test_neighbours_reach_across_the_middle_of_the_road(network):
    road = build_map(network)
    assert neighbours(road, "ab_1") == ("ab_2", None)
    assert neighbours(road, "ab_2") == ("ba_0", "ab_1")
    assert neighbours(road, "ba_0") == ("ab_2", None)


def test_in_left_hand_traffic_left_and_right_change_places(tmp_path):
    (tmp_path / "town.net.xml").write_text(draw_network(left_hand=True))
    road = build_map(read_network(tmp_path / "town.net.xml"))
    assert neighbours(road, "ab_1") == (None, "ab_2")
    assert neighbours(road, "ab_2") == ("ab_1", "ba_0")
    lane = lane_of(road, "ab_1")
    left, right = (
        road.piece(int(road.lanes.left_boundary[lane])),
        road.piece(int(road.lanes.right_boundary[lane])),
    )
    np.testing.assert_allclose(left[:, 1], 5.0)
    np.testing.assert_allclose(right[:, 1], 1.8)


def test_boundaries_lie_half_a_width_off_and_are_shared(network):
    road = build_map(network)
    first, second, back = (lane_of(road, name) for name in ("ab_1", "ab_2", "ba_0"))
    assert road.lanes.left_boundary[first] == road.lanes.right_boundary[second]
    assert road.lanes.left_boundary[second] == road.lanes.left_boundary[back]
    np.testing.assert_allclose(road.piece(int(road.lanes.right_boundary[first]))[:, 1], -5.0)
    np.testing.assert_allclose(road.piece(int(road.lanes.left_boundary[first]))[:, 1], -1.8)
    markings = [Marking(road.marking[road.lanes.right_boundary[i]]) for i in (first, second)]
    assert markings == [Marking.CURB, Marking.DASHED]


def test_ways_lead_through_the_junction(network):
    road = build_map(network)
    follow = {
        name: [road.lanes.ids[i] for i in road.lanes.successors(lane)]
        for lane, name in enumerate(road.lanes.ids)
    }
    assert follow["ab_1"] == [":b_0_0"]
    assert follow[":b_0_0"] == ["bc_0"]
    assert follow["bc_1"] == []


def test_one_stops_where_there_is_a_light_or_a_stop_sign(network):
    road = build_map(network)
    lines = {road.ids[i]: road.piece(int(i)) for i in road.pieces_of(PieceKind.STOP_LINE)}
    assert set(lines) == {"ab_1", "ab_2", "ba_0"}
    np.testing.assert_allclose(lines["ab_1"][:, 0], 100.0)
    np.testing.assert_allclose(sorted(lines["ab_1"][:, 1]), [-5.0, -1.8])
    (sign,) = road.pieces_of(PieceKind.STOP_SIGN)
    assert road.ids[sign] == "ba_0"


def test_the_same_network_has_the_same_map_id_and_another_has_not(network, tmp_path):
    again = build_map(read_network(tmp_path / "town.net.xml"))
    assert build_map(network).id == again.id
    (tmp_path / "town.net.xml").write_text(draw_network().replace("210.00", "211.00"))
    assert build_map(read_network(tmp_path / "town.net.xml")).id != again.id


def test_signals_show_each_movement_at_each_time(network, tmp_path):
    (tmp_path / "signals.xml").write_text(SIGNALS)
    road = build_map(network)
    times_ns = np.array([0, 900, 1000, 1999, 2500]) * 1_000_000
    signals = read_signals(tmp_path / "signals.xml", network, road, times_ns)
    assert [road.lanes.ids[lane] for lane in signals.lane] == [":b_0_0", ":b_0_1"]
    red, both, green = SignalState.RED, SignalState.RED_YELLOW, SignalState.GREEN
    yellow, weak = SignalState.YELLOW, SignalState.GREEN_YIELD
    assert signals.state.tolist() == [
        [red, red, both, both, green],
        [green, green, yellow, yellow, weak],
    ]
    np.testing.assert_allclose(signals.stop_point[0], [100.0, -3.4, 0.0])


def test_before_the_first_record_a_light_is_unknown(network, tmp_path):
    (tmp_path / "signals.xml").write_text(SIGNALS.replace('time="0.00"', 'time="0.50"'))
    signals = read_signals(tmp_path / "signals.xml", network, build_map(network), np.array([0]))
    assert (signals.state == SignalState.UNKNOWN).all()


def test_a_broken_record_of_lights_is_refused(network, tmp_path):
    (tmp_path / "signals.xml").write_text(SIGNALS.replace('time="1.00"', 'time="soon"'))
    with pytest.raises(InputError) as caught:
        read_signals(tmp_path / "signals.xml", network, build_map(network), np.array([0]))
    assert caught.value.code == "value"


@given(
    st.lists(st.tuples(st.floats(1, 20), st.floats(-0.7, 0.7)), min_size=1, max_size=8),
    st.floats(-3, 3),
)
def test_a_shifted_line_keeps_its_distance(steps, distance):
    # Turns of up to 40 degrees, steps longer than the shift can bend round.
    heading = np.cumsum([turn for _, turn in steps])
    length = np.array([abs(distance) + step for step, _ in steps])
    moves = np.stack([length * np.cos(heading), length * np.sin(heading), np.zeros(len(steps))], 1)
    line = np.concatenate([np.zeros((1, 3)), np.cumsum(moves, axis=0)])
    shifted = offset_line(line, distance)
    normal = np.stack([-np.sin(heading), np.cos(heading)], axis=1)
    for k, (one, other) in enumerate(pairwise(shifted)):
        for point in (one, other):
            assert np.dot(point[:2] - line[k, :2], normal[k]) == pytest.approx(distance, abs=1e-6)


def test_a_repeated_point_does_not_bend_a_shifted_line():
    line = np.array([[0.0, 0, 0], [0.0, 0, 0], [5.0, 0, 0], [5.0, 0, 0]])
    np.testing.assert_allclose(offset_line(line, 1.0)[:, 1], 1.0)
