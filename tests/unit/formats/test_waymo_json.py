import json

import numpy as np
import pytest
from scipy.spatial import KDTree

from kerbstone.formats.waymo_json import WaymoJson
from kerbstone.scene import (
    Kind,
    LaneKind,
    Marking,
    PieceKind,
    Scene,
    SignalState,
    angle_difference,
)
from kerbstone.scene.polylines import headings
from laws.format_laws import FormatLaws, read_all, refused, walk
from small.waymo import HEADING, NAME, SPEED, STEPS, make_light, make_scenario, write_scenario

READER = WaymoJson()


class TestLaws(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_scenario(folder / "womd")


class TestLawsOnOldFiles(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_scenario(folder / "womd", unit="degrees", is_old=True)


@pytest.mark.data
class TestLawsOnRealLogs(FormatLaws):
    reader = READER
    data = "womd/tfrecord-00000-of-00150_2a173b334be3d32c.json.xz"


@pytest.mark.data
class TestLawsOnRealOldLogs(FormatLaws):
    reader = READER
    data = "womd/tfrecord-00003-of-01000_109.json.xz"


def read(tmp_path, **how) -> Scene:
    return read_all(write_scenario(tmp_path, **how), READER)[0]


def test_objects_become_agents_without_those_never_seen(tmp_path):
    scene = read(tmp_path)
    agents = scene.agents
    assert agents.ids == ("900", "901", "902", "903", "905")
    assert [Kind(k) for k in agents.kind] == [
        Kind.CAR,
        Kind.CAR,
        Kind.PEDESTRIAN,
        Kind.CYCLIST,
        Kind.CAR,
    ]
    assert agents.label[0] == "vehicle"
    assert agents.valid[1].tolist() == [False] * 4 + [True] * (STEPS - 4)
    np.testing.assert_array_equal(agents.size[0], [4.5, 1.9, 1.6])
    np.testing.assert_allclose(agents.centre[0, 10], [8 * np.cos(1.1), 8 * np.sin(1.1), 1.5])
    np.testing.assert_allclose(agents.speed[0], SPEED)
    assert (scene.clock.hz, scene.clock.steps) == (10.0, STEPS)


def test_the_recording_car_and_the_tracks_of_interest_are_known_by_name(tmp_path):
    scene = read(tmp_path)
    assert scene.agents.ids[scene.ego] == "905"  # although an object before it was never seen
    assert scene.source.extra["objects_of_interest"] == ["900"]
    assert scene.source.extra["tracks_to_predict"] == [{"agent": "903", "difficulty": 1}]


@pytest.mark.parametrize("unit", ["radians", "degrees"])
def test_the_unit_of_headings_is_found_from_motion(tmp_path, unit):
    scene = read(tmp_path, unit=unit)
    assert scene.source.extra["heading_unit"] == unit
    assert scene.source.extra["heading_unit_by"] == "motion"
    np.testing.assert_allclose(scene.agents.heading[0], HEADING)
    np.testing.assert_allclose(scene.agents.heading[1, 4:], -2.0)


def stand(scenario) -> None:
    for thing in scenario["objects"]:
        for velocity in thing["velocity"]:
            velocity.update(x=0.0, y=0.0)


@pytest.mark.parametrize("unit", ["radians", "degrees"])
def test_where_nothing_moves_the_range_tells_the_unit(tmp_path, unit):
    scene = read(tmp_path, unit=unit, change=stand)
    assert scene.source.extra["heading_unit"] == unit
    assert scene.source.extra["heading_unit_by"] == "range"
    np.testing.assert_allclose(scene.agents.heading[0], HEADING)


def test_headings_that_fit_neither_unit_are_refused(tmp_path):
    def turn(scenario):
        for thing in scenario["objects"]:
            thing["heading"] = [value + 2.0 for value in thing["heading"]]

    error = refused("heading-unit", write_scenario(tmp_path, change=turn), READER)
    assert "degrees" in error.why
    assert "radians" in error.why


def test_old_files_have_numbers_for_names_and_no_recording_car(tmp_path):
    scene = read(tmp_path, is_old=True)
    assert scene.agents.ids == ("0", "1", "2", "3", "5")
    assert scene.ego is None
    assert scene.signals is None
    assert np.isnan(scene.agents.centre[..., 2]).all()
    assert np.isnan(scene.agents.size[:, 2]).all()
    assert scene.source.log == NAME
    lanes = scene.map.lanes
    assert set(lanes.kind) == {LaneKind.UNKNOWN}
    assert lanes.ids == ("0", "1", "2")
    assert Marking(scene.map.marking[scene.map.pieces_of(PieceKind.LANE_BOUNDARY)[0]]) == 0


def test_roads_become_pieces(tmp_path):
    road = read(tmp_path).map
    found = {PieceKind(k): road.piece(i) for i, k in enumerate(road.kind)}
    assert set(found) == {
        PieceKind.LANE_CENTRE,
        PieceKind.LANE_BOUNDARY,
        PieceKind.ROAD_EDGE,
        PieceKind.CROSSWALK,
        PieceKind.STOP_SIGN,
        PieceKind.SPEED_BUMP,
        PieceKind.DRIVEWAY,
    }
    np.testing.assert_array_equal(found[PieceKind.STOP_SIGN], [[27, -3, 0.5]] * 2)
    assert len(found[PieceKind.CROSSWALK]) == 5
    for outline in (PieceKind.CROSSWALK, PieceKind.SPEED_BUMP, PieceKind.DRIVEWAY):
        np.testing.assert_array_equal(found[outline][0], found[outline][-1])
    line = road.pieces_of(PieceKind.LANE_BOUNDARY)[0]
    assert road.marking[line] == Marking.DOUBLE_SOLID_YELLOW


def test_the_lane_graph_is_inferred_and_said_to_be(tmp_path):
    scene = read(tmp_path)
    lanes = scene.map.lanes
    assert "lane-graph" in scene.source.derived
    assert lanes.ids == ("10", "11", "12")  # the lane of one point is left out
    assert scene.source.extra["lanes_of_one_point"] == 1
    assert lanes.successors(0).tolist() == [1]
    assert lanes.left.tolist() == [2, -1, -1]
    assert lanes.right.tolist() == [-1, -1, 0]
    assert [LaneKind(k) for k in lanes.kind] == [
        LaneKind.VEHICLE,
        LaneKind.VEHICLE,
        LaneKind.BICYCLE,
    ]


def test_lights_show_their_states_on_their_lanes(tmp_path):
    scene = read(tmp_path)
    signals = scene.signals
    assert scene.map.lanes.ids[signals.lane[0]] == "11"
    np.testing.assert_array_equal(signals.stop_point[0], [30.0, 0.5, 0.4])
    states = [SignalState(s).name for s in signals.state[0]]
    assert states == ["RED"] * 5 + ["GREEN"] * 3 + ["YELLOW"] + ["UNKNOWN"] * (STEPS - 9)


def test_a_light_of_a_lane_that_is_not_in_the_map_controls_none(tmp_path):
    def rename(scenario):
        scenario["tl_states"]["77"] = scenario["tl_states"].pop("11")

    assert read(tmp_path, change=rename).signals.lane.tolist() == [-1]


def test_plain_files_are_found_by_what_they_hold(tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(make_scenario()))
    (tmp_path / "other.json").write_text(json.dumps({"name": "x", "values": [1, 2]}))
    (log,) = walk(tmp_path, READER)
    assert log.name == "waymo-json/mine"


def test_a_scenario_without_roads_has_no_map(tmp_path):
    def clear(scenario):
        scenario["roads"] = []

    scene = read(tmp_path, change=clear)
    assert scene.map is None
    assert scene.signals.lane.tolist() == [-1]


def test_attribution_travels_with_the_scene(tmp_path):
    assert "This was made using the Waymo Open Dataset" in read(tmp_path).source.licence


def first_object(scenario):
    return scenario["objects"][0]


@pytest.mark.parametrize(
    ("code", "change", "place"),
    [
        ("empty", lambda s: s["objects"].clear(), ""),
        ("column", lambda s: s.pop("roads"), ""),
        ("column", lambda s: first_object(s).pop("heading"), ""),
        ("truncated", lambda s: first_object(s)["heading"].pop(), "object 0"),
        ("value", lambda s: first_object(s)["position"][3].pop("x"), "step 3"),
        ("value", lambda s: first_object(s)["position"][3].update(x=float("nan")), "step 3"),
        ("value", lambda s: first_object(s)["position"][3].update(x=-1e4, y=-1e4), "step 3"),
        ("value", lambda s: first_object(s)["position"][3].update(x="here"), ""),
        ("value", lambda s: first_object(s)["heading"].__setitem__(2, float("nan")), "step 2"),
        ("label", lambda s: first_object(s).update(type="boat"), ""),
        ("label", lambda s: s["roads"][0].update(type="river"), "road 0"),
        ("label", lambda s: s["tl_states"].update({"11": make_light(["blue"], [0])}), "lane 11"),
        ("truncated", lambda s: s["tl_states"].update({"11": make_light(["go"], [99])}), "lane 11"),
        ("geometry", lambda s: s["roads"][0].update(geometry=[]), "road 0"),
        ("geometry", lambda s: s["roads"][0]["geometry"][0].update(x=float("nan")), "road 0"),
        ("duplicate", lambda s: first_object(s).update(id=901), ""),
        ("duplicate", lambda s: s["roads"][0].update(id=11), ""),
        ("reference", lambda s: s["metadata"].update(sdc_track_index=99), ""),
        ("reference", lambda s: s["metadata"].update(sdc_track_index=4), ""),
    ],
)
def test_malformed_scenarios_are_refused_with_their_place(tmp_path, code, change, place):
    path = write_scenario(tmp_path, change=change)
    error = refused(code, path, READER)
    assert str(path) in error.where
    assert place in error.where


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = write_scenario(tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    assert str(path) in refused("truncated", path, READER).where


def test_a_file_that_is_no_scenario_is_refused(tmp_path):
    path = tmp_path / "tfrecord-1.json"
    path.write_text("[1, 2]")
    refused("column", path, READER)
    path.write_text('{"name": 1,,}')
    refused("syntax", path, READER)


@pytest.mark.data
def test_real_units_are_told_apart(data_root):
    paths = sorted((data_root / "womd").glob("*.json.xz"))[:6]
    scenes = [read_all(path, READER)[0] for path in paths]
    found = [scene.source.extra["heading_unit"] for scene in scenes]
    assert found == ["degrees", "radians", "degrees", "degrees", "radians", "radians"]
    assert all(scene.source.extra["heading_unit_by"] == "motion" for scene in scenes)
    followed = [np.diff(scene.map.lanes.next_offsets) > 0 for scene in scenes]
    # The rest end at the border of the map.
    assert np.concatenate(followed).mean() > 0.8
    assert all((scene.signals.lane >= 0).all() for scene in scenes if scene.signals is not None)


@pytest.mark.data
def test_real_vehicles_go_the_way_of_the_lanes(data_root):
    path = data_root / "womd" / "tfrecord-00005-of-00150_792d65eb579314db.json.xz"
    (scene,) = read_all(path, READER)
    agents, lanes = scene.agents, scene.map.lanes
    centre = [scene.map.centre_line(lane) for lane in range(len(lanes))]
    course = np.concatenate([headings(line) for line in centre])
    moving = agents.valid & (agents.speed > 5) & agents.is_kind(Kind.CAR)[:, None]
    tree = KDTree(np.concatenate(centre)[:, :2])
    far, near = tree.query(agents.centre[moving][:, :2], k=3)
    off = np.abs(angle_difference(course[near], agents.heading[moving][:, None])).min(axis=1)
    assert np.mean(off[far[:, 0] < 2] < np.pi / 6) > 0.95
