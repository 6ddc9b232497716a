import os
from itertools import pairwise

import numpy as np
import pytest

from kerbstone.formats.nuscenes import EGO_CENTRE
from kerbstone.formats.pickles import read_pickle
from kerbstone.formats.scenarionet import ScenarioNet
from kerbstone.scene import DrivingSide, Kind, Marking, PieceKind, Scene, SignalState, Tristate
from laws.format_laws import FormatLaws, read_all, refused, share_along_lanes, share_on_road, walk
from small.scenarionet import (
    EGO_YAW,
    SPEED,
    STEPS,
    nuscenes_scenario,
    waymo_scenario,
    write_scenario,
)

READER = ScenarioNet()
DATA = "nuscenes_mini"


class TestLaws(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_scenario(folder / "sd_nuscenes_v1.0-mini_scene-0061.pkl")


class TestLawsOfWaymo(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_scenario(folder / "sd_waymo_v1.2_abc.pkl.xz", waymo_scenario())


@pytest.mark.data
class TestLawsOnRealScenarios(FormatLaws):
    reader = READER
    data = f"{DATA}/scene-0061.pkl.xz"


def small(tmp_path, scenario=None) -> Scene:
    return read_all(write_scenario(tmp_path / "one.pkl", scenario), READER)[0]


def test_only_valid_steps_are_kept(tmp_path):
    agents = small(tmp_path).agents
    truck = agents.index("a1")
    assert np.flatnonzero(agents.valid[truck]).tolist() == list(range(5, 30))
    assert agents.label[truck] == "vehicle.truck"
    assert agents.kind[truck] == Kind.TRUCK
    np.testing.assert_allclose(agents.size[truck], [9.0, 2.8, 3.5])
    assert agents.kind[agents.index("b2")] == Kind.CYCLIST
    assert agents.kind[agents.index("c3")] == Kind.OBJECT


def test_velocities_that_the_converter_ended_with_zeros_are_derived(tmp_path):
    scenario = nuscenes_scenario()
    assert scenario["tracks"]["a1"]["state"]["velocity"][30].tolist() == [0.0, 0.0]
    assert scenario["tracks"]["ego"]["state"]["velocity"][-1].tolist() == [0.0, 0.0]
    scene = small(tmp_path, scenario)
    np.testing.assert_allclose(scene.agents.speed[scene.ego], SPEED)
    np.testing.assert_allclose(np.nan_to_num(scene.agents.speed[1], nan=6.0), 6.0)
    assert scene.source.derived == ("interpolated", "velocity", "ego_box", "lane_graph")


def test_the_ego_box_of_nuscenes_is_put_where_the_car_is(tmp_path):
    scene = small(tmp_path)
    agents, ego = scene.agents, scene.ego
    np.testing.assert_allclose(agents.size[ego], [4.08, 1.73, 1.56])
    ahead = EGO_CENTRE[0] * np.array([np.cos(EGO_YAW), np.sin(EGO_YAW)])
    np.testing.assert_allclose(agents.centre[ego, 0], [*ahead, EGO_CENTRE[2]])


def test_places_have_their_driving_sides(tmp_path):
    scenario = nuscenes_scenario()
    for location, side in (
        ("singapore-hollandvillage", DrivingSide.LEFT),
        ("boston-seaport", DrivingSide.RIGHT),
        ("atlantis", DrivingSide.UNKNOWN),
    ):
        scenario["metadata"]["map"] = location
        scene = small(tmp_path, scenario)
        assert scene.source.driving_side == side
        assert scene.source.town == location
    assert small(tmp_path, waymo_scenario()).source.driving_side == DrivingSide.RIGHT


def test_the_third_column_of_nuscenes_lanes_is_no_height(tmp_path):
    road = small(tmp_path).map
    assert np.isnan(road.points[:, 2]).all()
    assert small(tmp_path, waymo_scenario()).map.points[0, 2] == 7.0


def test_the_lane_graph_is_inferred_where_the_file_has_none(tmp_path):
    road = small(tmp_path).map
    lanes = road.lanes
    assert lanes.ids == ("first", "beside", "second")
    assert lanes.successors(0).tolist() == [2]
    assert (lanes.left[0], lanes.right[1]) == (1, 0)
    assert lanes.in_intersection.tolist() == [Tristate.NO, Tristate.NO, Tristate.YES]
    assert (lanes.area >= 0).tolist() == [True, True, False]
    assert np.isnan(lanes.speed_limit).all()  # a constant of the converter


def test_outlines_of_the_road_are_edges_and_no_paint(tmp_path):
    road = small(tmp_path).map
    assert [road.ids[i] for i in road.pieces_of(PieceKind.ROAD_EDGE)] == ["boundary_0"]
    (divider,) = road.pieces_of(PieceKind.LANE_BOUNDARY)
    assert road.marking[divider] == Marking.DASHED


def test_a_waymo_scenario_keeps_its_graph_limits_and_boundaries(tmp_path):
    scene = small(tmp_path, waymo_scenario())
    road, lanes = scene.map, scene.map.lanes
    assert lanes.ids == ("1", "2", "3")  # lane 4 is a single point
    assert lanes.successors(0).tolist() == [1]
    assert lanes.left.tolist() == [2, -1, -1]  # the one beside the longer part
    assert lanes.right.tolist() == [-1, -1, 0]
    np.testing.assert_allclose(lanes.speed_limit, 20.0)
    np.testing.assert_allclose(lanes.width, 3.5)
    assert road.ids[lanes.left_boundary[0]] == "10"
    assert lanes.right_boundary[0] == -1  # several, of which none is all of it
    assert scene.source.derived == ()
    assert scene.source.extra == {
        "version": "v1.2",
        "tracks_to_predict": ["78"],
        "objects_of_interest": ["78"],
        "current_step": 10,
    }


def test_traffic_lights_are_read(tmp_path):
    signals = small(tmp_path, waymo_scenario()).signals
    assert signals.lane.tolist() == [0]
    np.testing.assert_allclose(signals.stop_point, [[58.0, 0.0, 7.0]])
    assert signals.state[0, [0, 20, 21]].tolist() == [
        SignalState.RED,
        SignalState.UNKNOWN,
        SignalState.GREEN,
    ]


def test_times_in_single_precision_make_a_uniform_clock(tmp_path):
    clock = small(tmp_path, waymo_scenario()).clock
    assert (clock.dt, clock.steps, clock.start_ns) == (0.1, STEPS, 0)


def test_a_scenario_without_recording_car_or_map_is_read(tmp_path):
    scenario = waymo_scenario()
    del scenario["metadata"]["sdc_id"]
    scenario["map_features"] = {}
    scene = small(tmp_path, scenario)
    assert scene.ego is None
    assert scene.map is None
    assert scene.signals.lane.tolist() == [-1]


def test_summaries_beside_the_scenarios_are_left_alone(tmp_path):
    write_scenario(tmp_path / "dataset_summary.pkl")
    assert walk(tmp_path, READER) == []


class Evil:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def test_a_file_that_asks_to_run_something_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scenario = nuscenes_scenario()
    scenario["tracks"]["a1"]["metadata"]["extra"] = Evil()
    error = refused("unsafe", write_scenario(tmp_path / "one.pkl", scenario), READER)
    assert "system" in error.why
    assert not (tmp_path / "pwned").exists()


def test_malformed_scenarios_are_told(tmp_path):
    def state(name, change):
        def edit(scenario):
            values = scenario["tracks"]["a1"]["state"]
            values[name] = change(values[name])

        return edit

    def put_nan(values):
        values = np.array(values)
        values[10] = np.nan
        return values

    cases = [
        ("column", lambda s: s.pop("tracks")),
        ("column", lambda s: s["metadata"].pop("ts")),
        ("column", lambda s: s["tracks"]["a1"]["state"].pop("position")),
        ("value", state("position", put_nan)),
        ("value", state("heading", put_nan)),
        ("value", lambda s: s["metadata"].update(ts=put_nan(s["metadata"]["ts"]))),
        ("shape", state("heading", lambda values: values[:-1])),
        ("clock", lambda s: s["metadata"].update(ts=s["metadata"]["ts"][::-1])),
        ("label", lambda s: s["tracks"]["a1"].update(type="TREE", metadata={})),
        ("label", lambda s: s["map_features"]["divider"].update(type="ROAD_LINE_PINK")),
        ("duplicate", lambda s: s["tracks"].update({1: s["tracks"]["a1"], "1": s["tracks"]["a1"]})),
        ("empty", lambda s: s["tracks"].clear()),
        ("reference", lambda s: s["metadata"].update(sdc_id="nobody")),
        ("geometry", lambda s: s["map_features"]["divider"].update(polyline=[[np.nan, 0.0]])),
        ("syntax", lambda s: s["map_features"]["divider"].update(polyline=7)),
        ("syntax", lambda s: s["tracks"].update(a1=[1, 2])),
    ]
    for number, (code, change) in enumerate(cases):
        scenario = nuscenes_scenario()
        change(scenario)
        path = write_scenario(tmp_path / f"{number}.pkl", scenario)
        assert str(path) in refused(code, path, READER).where


def test_malformed_traffic_lights_are_told(tmp_path):
    for code, shown in (("shape", ["LANE_STATE_GO"]), ("label", ["BLUE"] * STEPS)):
        scenario = waymo_scenario()
        scenario["dynamic_map_states"]["1"]["state"]["object_state"] = shown
        error = refused(code, write_scenario(tmp_path / f"{code}.pkl", scenario), READER)
        assert "traffic light '1'" in error.where


def test_a_scenario_that_is_cut_off_or_no_scenario_is_told(tmp_path):
    path = write_scenario(tmp_path / "one.pkl")
    path.write_bytes(path.read_bytes()[:-100])
    refused("truncated", path, READER)
    packed = write_scenario(tmp_path / "two.pkl.xz")
    packed.write_bytes(packed.read_bytes()[:-100])
    refused("truncated", packed, READER)
    other = write_scenario(tmp_path / "three.pkl", ["version", "length", "tracks", "metadata"])
    refused("syntax", other, READER)


@pytest.fixture(scope="module")
def real(data_root) -> list[Scene]:
    return read_all(data_root / DATA, READER)


@pytest.mark.data
def test_real_counts_are_those_of_the_files(data_root, real):
    assert len(real) == 6
    for scene in real:
        content = read_pickle(data_root / DATA / f"{scene.source.log}.pkl.xz")
        valid = sum(int(np.sum(t["state"]["valid"])) for t in content["tracks"].values())
        assert scene.agents.valid.sum() == valid
        assert len(scene.agents) == len(content["tracks"])
        assert scene.clock.steps == content["length"]
        assert scene.clock.dt == 0.1


@pytest.mark.data
def test_real_scenes_know_on_which_side_they_drive(real):
    sides = {scene.source.town: scene.source.driving_side for scene in real}
    assert sides == {
        "singapore-onenorth": DrivingSide.LEFT,
        "singapore-queenstown": DrivingSide.LEFT,
        "singapore-hollandvillage": DrivingSide.LEFT,
        "boston-seaport": DrivingSide.RIGHT,
    }


@pytest.mark.data
def test_real_vehicles_are_on_the_road_and_follow_their_lanes(real):
    # There are no drivable areas in these maps, so parking and yards are off the road.
    on_road = [share_on_road(scene) for scene in real]
    assert np.mean(on_road) > 0.95
    assert min(on_road) > 0.8
    assert all(share_along_lanes(scene) > 0.95 for scene in real)


@pytest.mark.data
def test_the_real_third_column_of_lanes_is_a_heading(data_root):
    content = read_pickle(data_root / DATA / "scene-0061.pkl.xz")
    for feature in content["map_features"].values():
        if "LANE" in feature["type"]:
            line = np.asarray(feature["polyline"])
            course = [np.arctan2(b[1] - a[1], b[0] - a[0]) for a, b in pairwise(line)]
            off = np.angle(np.exp(1j * (np.array(course) - line[:-1, 2])))
            assert np.median(np.abs(off)) < 0.1


@pytest.mark.data
def test_real_lanes_hang_together(real):
    for scene in real:
        lanes = scene.map.lanes
        has_next = np.diff(lanes.next_offsets) > 0
        assert has_next.mean() > 0.85


@pytest.mark.data
def test_the_real_ego_car_was_recorded_at_its_rear_axle(real):
    """In a turn the axle goes where it heads; the box's centre drifts outwards."""
    scene = next(scene for scene in real if scene.source.log == "scene-0061")
    agents, ego = scene.agents, scene.ego
    heading = np.unwrap(agents.heading[ego])
    forward = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    axle = agents.centre[ego, :, :2] - EGO_CENTRE[0] * forward
    step = axle[2:] - axle[:-2]
    turn = heading[2:] - heading[:-2]
    aside = forward[1:-1, 0] * step[:, 1] - forward[1:-1, 1] * step[:, 0]
    turning = (np.hypot(*step.T) > 0.4) & (np.abs(turn) > 0.01)
    assert turning.sum() > 50
    ahead_of_axle = np.linalg.lstsq(turn[turning, None], aside[turning])[0][0]
    assert abs(ahead_of_axle) < 0.3
