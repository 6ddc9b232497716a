import shutil

import numpy as np
import pytest

from kerbstone.formats.sumo import SimulatedLog, Sumo, read_events
from kerbstone.formats.sumo.log import MANIFEST
from kerbstone.scene import DrivingSide, Kind
from laws.format_laws import FormatLaws, read_all, refused, share_along_lanes, share_on_road, walk
from small.sumo import TYPES, draw_drive, draw_network, write_run

READER = Sumo()


class TestLawsOnOnesOwnRun(FormatLaws):
    reader = READER
    lane_gap = 3.3  # one turns round at the end of the road

    def write_log(self, folder):
        write_run(folder / "run")
        return folder / "run"


class TestLawsOnSimulatedRoads(FormatLaws):
    reader = READER

    @pytest.fixture
    def log_path(self, town):
        return town


class TestLawsOnTheLeft(FormatLaws):
    reader = READER

    @pytest.fixture
    def log_path(self, left_town):
        return left_town


# One's own run


def test_a_run_beside_its_network_is_a_scene(tmp_path):
    (scene,) = read_all(write_run(tmp_path / "run").parent, READER)
    assert scene.id == "sumo/run/000"
    assert scene.ego is None
    assert scene.source.simulated
    assert scene.source.town == "town"
    assert scene.source.driving_side == DrivingSide.RIGHT
    assert scene.agents.ids == ("v", "p")
    assert scene.clock.dt == 0.1
    np.testing.assert_allclose(scene.agents.centre[0, 0], [8.0, -3.4, 0.75])


def test_a_left_hand_network_makes_a_left_hand_scene(tmp_path):
    (scene,) = read_all(write_run(tmp_path / "run", left_hand=True).parent, READER)
    assert scene.source.driving_side == DrivingSide.LEFT


def test_a_run_is_found_whatever_its_recording_is_called(tmp_path):
    path = write_run(tmp_path / "run")
    path.rename(path.with_name("output.xml"))
    assert len(read_all(tmp_path, READER)) == 1


def test_several_recordings_beside_one_network_are_several_logs(tmp_path):
    path = write_run(tmp_path / "run")
    shutil.copy(path, path.with_name("second.fcd.xml"))
    assert [log.name for log in walk(tmp_path, READER)] == ["sumo/run/fcd", "sumo/run/second"]
    assert [len(s.agents) for s in read_all(tmp_path, READER)] == [2, 2]


def test_a_recording_of_persons_belongs_to_the_one_of_vehicles(tmp_path):
    path = write_run(tmp_path / "run")
    text = draw_drive()
    path.write_text(text.replace("person ", "skipped "))
    path.with_name("fcd.persons.xml").write_text(text.replace("vehicle ", "skipped "))
    (scene,) = read_all(tmp_path, READER)
    assert set(scene.agents.ids) == {"v", "p"}


def test_each_recording_takes_the_network_of_its_name(tmp_path):
    folder = write_run(tmp_path / "run").parent
    (folder / "fcd.xml").rename(folder / "west.fcd.xml")
    (folder / "town.net.xml").rename(folder / "west.net.xml")
    (folder / "east.net.xml").write_text(draw_network().replace("ab_", "xy_"))
    (scene,) = read_all(folder, READER)
    assert scene.source.town == "west"


def test_a_recording_without_a_network_is_refused(tmp_path):
    path = write_run(tmp_path / "run")
    path.with_name("town.net.xml").unlink()
    error = refused("missing-file", path.parent, READER)
    assert "road network" in error.what


def test_a_recording_beside_two_networks_is_refused(tmp_path):
    path = write_run(tmp_path / "run")
    shutil.copy(path.with_name("town.net.xml"), path.with_name("other.net.xml"))
    error = refused("reference", path.parent, READER)
    assert "other.net.xml" in error.why


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('lane="ab_1"', 'lane="elsewhere_0"', "'elsewhere_0'"),
        ('y="-3.4"', 'y="480.0"', "off the lanes"),
    ],
)
def test_a_recording_beside_another_runs_network_is_refused(tmp_path, old, new, why):
    path = write_run(tmp_path / "run")
    path.write_text(draw_drive().replace(old, new))
    assert why in refused("reference", path.parent, READER).why


def test_a_recording_without_lanes_must_lie_in_the_network(tmp_path):
    path = write_run(tmp_path / "run")
    text = draw_drive().replace(' lane="ab_1"', "")
    path.write_text(text)
    assert len(read_all(path.parent, READER)) == 1
    path.write_text(text.replace('y="-', 'y="7000'))
    assert "outside" in refused("reference", path.parent, READER).why


def test_a_recording_whose_types_nobody_declares_is_refused(tmp_path):
    path = write_run(tmp_path / "run")
    path.with_name("types.rou.xml").unlink()
    error = refused("label", path.parent, READER)
    assert ".rou.xml" in error.remedy


def test_a_recording_that_is_cut_off_is_refused(tmp_path):
    path = write_run(tmp_path / "run")
    path.write_text(draw_drive()[:3000])
    refused("truncated", path.parent, READER)


def test_an_agent_that_appears_twice_is_refused(tmp_path):
    path = write_run(tmp_path / "run")
    path.write_text(draw_drive().replace('id="p"', 'id="v"'))
    refused("duplicate", path.parent, READER)


def test_a_scenario_that_was_not_run_says_how_to_run_it(tmp_path):
    (tmp_path / "run.sumocfg").write_text("<configuration/>")
    error = refused("missing-file", tmp_path / "run.sumocfg", READER)
    assert "kerbstone simulate --sumo run.sumocfg" in error.remedy


def test_a_folder_of_scenarios_that_were_not_run_holds_no_log(tmp_path):
    (tmp_path / "run.sumocfg").write_text("<configuration/>")
    (tmp_path / "town.net.xml").write_text(draw_network())
    (tmp_path / "types.rou.xml").write_text(TYPES)
    assert walk(tmp_path, READER) == []


# Simulated logs


def test_ego_is_there_all_the_time_and_sees_as_far_as_the_radius(town):
    scenes = read_all(town, READER)
    assert [scene.clock.duration for scene in scenes] == pytest.approx([15.0, 15.0, 15.0])
    for scene in scenes:
        agents = scene.agents
        assert agents.ids[scene.ego] == "ego"
        assert agents.valid[scene.ego].all()
        gap = np.hypot(*np.moveaxis(agents.centre - agents.centre[scene.ego], -1, 0)[:2])
        assert np.nanmax(gap) <= 150.0
        assert agents.valid.any(axis=1).all()


def test_consecutive_scenes_leave_no_step_out(town):
    times = np.concatenate([scene.clock.times_ns for scene in read_all(town, READER)])
    np.testing.assert_array_equal(np.diff(times), 100_000_000)


@pytest.mark.parametrize("name", ["town", "left_town"])
def test_vehicles_drive_on_the_road_and_along_their_lanes(name, request):
    for scene in read_all(request.getfixturevalue(name), READER):
        assert share_on_road(scene) > 0.99
        assert share_along_lanes(scene) > 0.97


def test_oncoming_traffic_is_on_the_side_that_one_does_not_drive_on(left_town):
    (scene,) = read_all(left_town, READER)
    assert scene.source.driving_side == DrivingSide.LEFT
    lanes, road = scene.map.lanes, scene.map
    pairs = [(i, int(j)) for i, j in enumerate(lanes.right) if j >= 0 and lanes.right[j] == i]
    assert pairs  # lanes across the middle have each other on their right
    for lane, other in pairs[:10]:
        line, across = road.centre_line(lane), road.centre_line(other)
        ahead = (line[-1] - line[0])[:2]
        aside = (across.mean(axis=0) - line.mean(axis=0))[:2]
        assert ahead[0] * aside[1] - ahead[1] * aside[0] < 0


def test_pedestrians_walk_on_sidewalks_and_crossings(left_town):
    import shapely

    from kerbstone.scene import PieceKind

    (scene,) = read_all(left_town, READER)
    pieces = scene.map.pieces_of(PieceKind.SIDEWALK, PieceKind.CROSSWALK)
    area = shapely.union_all(
        shapely.make_valid([shapely.Polygon(scene.map.piece(int(i))[:, :2]) for i in pieces])
    ).buffer(0.3)
    walkers = scene.agents.is_kind(Kind.PEDESTRIAN)
    assert walkers.sum() >= 3
    points = scene.agents.centre[walkers][scene.agents.valid[walkers]]
    assert shapely.contains_xy(area, points[:, 0], points[:, 1]).mean() > 0.98


def test_a_log_tells_events_detections_and_the_truth_apart(town):
    (log,) = walk(town, READER)
    happened = read_events(town)
    counted = 0
    for scene in READER.read(log):
        tables = READER.tables(log, scene)
        assert set(tables) == {"events", "detections", "detection_truth", "visibility"}
        assert "agent" not in tables["detections"].column_names
        counted += tables["events"].num_rows
        for event in tables["events"].to_pylist():
            assert event["start_ns"] <= scene.clock.times_ns[-1]
            assert event["end_ns"] >= scene.clock.start_ns
    assert counted >= len(happened)


def test_ones_own_run_has_no_tables(tmp_path):
    (log,) = walk(write_run(tmp_path / "run").parent, READER)
    (scene,) = READER.read(log)
    assert READER.tables(log, scene) == {}


def test_a_scene_without_its_ego_is_left_out(town, tmp_path):
    import dataclasses

    folder = tmp_path / "copy"
    shutil.copytree(town, folder)
    dataclasses.replace(SimulatedLog.read(folder), ego="nobody").write()
    assert read_all(folder, READER) == []


def test_without_ego_all_road_users_are_recorded(town, tmp_path):
    import dataclasses

    folder = tmp_path / "copy"
    shutil.copytree(town, folder)
    log = SimulatedLog.read(folder)
    dataclasses.replace(log, ego="").write()
    near = read_all(town, READER)[0]
    everywhere = read_all(folder, READER)[0]
    assert everywhere.ego is None
    assert len(everywhere.agents) > len(near.agents)
    dataclasses.replace(log, ego="auto").write()
    scene = read_all(folder, READER)[0]
    assert scene.agents.kind[scene.ego] == Kind.CAR
    assert scene.agents.valid[scene.ego].all()


def test_a_log_that_lacks_a_file_is_refused(town, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(town, folder)
    (folder / "fcd.parquet").unlink()
    refused("missing-file", folder, READER)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"kerbstone_simulation": 99}', "syntax"),
        ('{"kerbstone_simulation": 1, "town": "x"}', "syntax"),
        ("[]", "syntax"),
        ('{"kerbstone_simulation": 1,', "truncated"),
    ],
)
def test_a_broken_manifest_is_refused(tmp_path, text, code):
    (tmp_path / MANIFEST).write_text(text)
    refused(code, tmp_path, READER)
