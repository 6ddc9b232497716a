import lzma

import numpy as np
import pytest

from kerbstone.formats.interaction import Interaction
from kerbstone.scene import DrivingSide, Kind, Scene
from kerbstone.scene.lanes import LaneIndex
from laws.format_laws import (
    FormatLaws,
    read_all,
    refused,
    share_along_lanes,
    share_on_road,
    walk,
)
from small.interaction import PLACE, STEPS, pedestrian_lines, vehicle_lines, write_recording

READER = Interaction()


class TestLaws(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_recording(folder, has_pedestrians=True)


@pytest.mark.data
class TestLawsOnRealLogs(FormatLaws):
    reader = READER
    data = "interaction/recorded_trackfiles/DR_CHN_Roundabout_LN"


def read(tmp_path, **changes) -> Scene:
    (scene,) = read_all(write_recording(tmp_path, **changes), READER)
    return scene


def test_rows_become_agents_at_ten_hertz(tmp_path):
    scene = read(tmp_path)
    assert (scene.clock.start_ns, scene.clock.hz) == (100_000_000, 10.0)
    assert scene.clock.steps == STEPS
    agents = scene.agents
    assert agents.ids == ("1", "2")
    assert agents.valid[0].all()
    assert not agents.valid[1, :5].any()
    np.testing.assert_allclose(agents.centre[0, :, 0], 1005 + 0.9 * np.arange(STEPS), atol=1e-3)
    np.testing.assert_array_equal(agents.velocity[1, 7], [-6.0, 0.0])
    assert agents.heading[1, 7] == pytest.approx(-np.pi, abs=1e-3)
    np.testing.assert_array_equal(agents.size[0], [4.5, 1.8, np.nan])
    assert scene.ego is None
    assert scene.source.derived == ()


def test_pedestrians_of_the_recording_are_in_its_scene(tmp_path):
    scene = read(tmp_path, has_pedestrians=True)
    agents = scene.agents
    assert agents.ids == ("1", "2", "P1", "P2")
    assert scene.clock.steps == STEPS + 4
    assert [Kind(k) for k in agents.kind[2:]] == [Kind.PEDESTRIAN, Kind.CYCLIST]
    assert agents.label[3] == "pedestrian/bicycle"
    np.testing.assert_allclose(agents.heading[2:], np.pi / 2)
    assert np.isnan(agents.size[2]).all()
    assert set(scene.source.derived) == {"heading", "kind"}
    np.testing.assert_array_equal(agents.heading[0, :STEPS], 0.0)  # given ones stay


def test_pedestrians_alone_are_a_recording_too(tmp_path):
    folder = write_recording(tmp_path, has_pedestrians=True)
    (folder / "vehicle_tracks_000.csv.xz").unlink()
    (scene,) = read_all(folder, READER)
    assert scene.agents.ids == ("P1", "P2")


def test_the_place_has_its_map_and_says_on_which_side_one_drives(tmp_path):
    scene = read(tmp_path)
    assert scene.id == f"interaction/{PLACE}/000"
    assert scene.source.town == PLACE
    assert scene.source.driving_side == DrivingSide.RIGHT
    assert scene.map is not None
    # The second car is at home on lane 104, which runs against x.
    lane = LaneIndex(scene.map).locate(scene.agents.centre[:, 10, :2])
    assert [scene.map.lanes.ids[row] for row in lane.lane] == ["101", "104"]
    np.testing.assert_allclose(np.cos(lane.heading), np.cos(scene.agents.heading[:, 10]))


def test_a_map_may_lie_beside_the_place(tmp_path):
    folder = write_recording(tmp_path)
    (tmp_path / "maps").rename(folder.parent / "maps")
    (scene,) = read_all(folder, READER)
    assert scene.map is not None


def test_a_recording_without_a_map_is_a_scene_without_a_map(tmp_path):
    assert read(tmp_path, has_map=False).map is None


def test_a_map_is_part_of_what_a_log_depends_on(tmp_path):
    (log,) = walk(write_recording(tmp_path), READER)
    assert log.files[-1].name == f"{PLACE}.osm"


def test_one_recording_can_be_named_by_its_file(tmp_path):
    folder = write_recording(tmp_path)
    (folder / "vehicle_tracks_001.csv").write_text("\n".join(vehicle_lines()))
    assert len(walk(tmp_path, READER)) == 2
    (log,) = walk(folder / "vehicle_tracks_001.csv", READER)
    assert log.name == f"interaction/{PLACE}/001"


@pytest.mark.parametrize(
    ("code", "change", "place"),
    [
        ("column", lambda lines: [lines[0].replace("vx", "v_x"), *lines[1:]], "vehicle_tracks"),
        ("clock", lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], "row 3, track 1"),
        ("clock", lambda lines: [*lines[:3], lines[3].replace(",300,", ",330,")], "row 2"),
        ("value", lambda lines: [*lines[:3], lines[3].replace("1001.5", "nan")], "row 2"),
        ("value", lambda lines: [*lines[:3], lines[3].replace("9.0", "nan")], "row 2"),
        ("value", lambda lines: [*lines[:3], lines[3].replace(",4.5,", ",,")], "row 2"),
        ("syntax", lambda lines: [*lines[:3], lines[3].replace("1001.5", "here")], "vehicle"),
        ("label", lambda lines: [lines[0], lines[1].replace("car", "tank")], "vehicle_tracks"),
        ("duplicate", lambda lines: [*lines[:3], lines[2]], "step 1"),
        ("empty", lambda lines: lines[:1], "vehicle_tracks"),
        ("empty", lambda _: [], "vehicle_tracks"),
        ("syntax", lambda lines: [*lines[:9], lines[9][:20]], "vehicle_tracks"),
    ],
)
def test_malformed_tracks_are_refused_with_their_place(tmp_path, code, change, place):
    folder = write_recording(tmp_path)
    with lzma.open(folder / "vehicle_tracks_000.csv.xz", "wt") as file:
        file.write("\n".join([*change(vehicle_lines()), ""]))
    assert place in refused(code, folder, READER).where


def test_a_packed_file_that_is_cut_off_is_refused(tmp_path):
    folder = write_recording(tmp_path)
    path = folder / "vehicle_tracks_000.csv.xz"
    path.write_bytes(path.read_bytes()[:-30])
    assert str(path) in refused("truncated", folder, READER).where


def test_one_name_in_both_files_is_refused(tmp_path):
    folder = write_recording(tmp_path)
    text = "\n".join(pedestrian_lines()).replace("P1", "1")
    (folder / "pedestrian_tracks_000.csv").write_text(text)
    refused("duplicate", folder, READER)


@pytest.mark.data
@pytest.mark.parametrize(
    "place",
    [
        "DR_CHN_Roundabout_LN",
        "DR_USA_Intersection_EP0",
        "DR_USA_Intersection_EP1",
        "DR_USA_Intersection_GL",
        "DR_USA_Roundabout_EP",
        "DR_USA_Roundabout_FT",
    ],
)
def test_real_vehicles_are_on_lanes_and_go_their_way(data_root, place):
    folder = data_root / "interaction" / "recorded_trackfiles" / place
    (scene,) = read_all(folder / "vehicle_tracks_000.csv.xz", READER)
    assert share_on_road(scene, min_speed=-1.0) > 0.97
    # In a roundabout lanes lie across one another, and the index may take the other one.
    assert share_along_lanes(scene) > 0.8
