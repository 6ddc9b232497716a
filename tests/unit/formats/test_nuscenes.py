import json
import lzma

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats import nuscenes_map, nuscenes_tables
from kerbstone.formats.nuscenes import EGO_CENTRE, EGO_SIZE, KINDS, NuScenes
from kerbstone.formats.nuscenes_map import find_map, read_map, trace_arcs
from kerbstone.scene import DrivingSide, Kind, Marking, PieceKind, Scene, Tristate
from laws.format_laws import FormatLaws, read_all, refused, walk
from small.av2 import cut
from small.nuscenes import (
    EGO_YAW,
    JITTER_US,
    SAMPLES,
    SIZES,
    SPEED,
    ego_at,
    expansion,
    sample_times_us,
    write_release,
)

READER = NuScenes()


class TestLaws(FormatLaws):
    reader = READER
    noise = 0.15  # two steps a second are few where times jitter

    def write_log(self, folder):
        return write_release(folder / "nuscenes")


class TestLawsOfTheDataRoot(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_release(folder / "nuscenes").parent


@pytest.fixture(autouse=True)
def forget():
    nuscenes_tables._load.cache_clear()
    nuscenes_map._read.cache_clear()


def small(tmp_path, **changes) -> Scene:
    return read_all(write_release(tmp_path / "root", **changes), READER)[0]


def test_every_scene_is_a_log_of_its_own(tmp_path):
    folder = write_release(tmp_path / "root")
    logs = walk(tmp_path, READER)
    assert [log.name for log in logs] == [
        "nuscenes/v1.0-mini/scene-0061",
        "nuscenes/v1.0-mini/scene-0103",
    ]
    assert {log.path for log in logs} == {folder}
    assert [scene.id for log in logs for scene in READER.read(log)] == [log.name for log in logs]


def test_data_folders_beside_the_tables_are_not_searched(tmp_path):
    root = write_release(tmp_path / "root").parent
    (root / "samples").mkdir()
    claimed = {
        name
        for log in READER.claim(root, frozenset({"samples", "maps", "v1.0-mini"}))
        for name in log.claimed
    }
    assert claimed == {"samples", "maps", "v1.0-mini"}


def test_boxes_are_taken_in_the_global_frame(tmp_path):
    scene = small(tmp_path)
    agents = scene.agents
    assert agents.label == (
        "vehicle.ego",
        "vehicle.car",
        "vehicle.bicycle",
        "vehicle.bicycle",
        "movable_object.trafficcone",
    )
    t = (sample_times_us() - sample_times_us()[0]) / 1e6
    np.testing.assert_allclose(agents.centre[1, :, 0], 400.0 + 10.0 * t)
    np.testing.assert_allclose(agents.heading[2], -np.pi / 2)
    np.testing.assert_allclose(agents.size[1], [SIZES["car"][i] for i in (1, 0, 2)])
    assert agents.valid.sum(axis=1).tolist() == [SAMPLES, SAMPLES, SAMPLES, SAMPLES, 3]


def test_velocities_count_the_true_time_between_key_frames(tmp_path):
    agents = small(tmp_path).agents
    assert np.ptp(JITTER_US) > 0
    np.testing.assert_allclose(agents.speed[1], 10.0, rtol=1e-6)
    np.testing.assert_allclose(agents.speed[0], SPEED, rtol=1e-6)
    np.testing.assert_allclose(agents.speed[3], 0.0, atol=1e-6)


def test_a_bicycle_is_a_cyclist_if_it_has_a_rider(tmp_path):
    assert small(tmp_path).agents.kind.tolist() == [
        Kind.CAR,
        Kind.CAR,
        Kind.CYCLIST,
        Kind.BICYCLE,
        Kind.OBJECT,
    ]


def test_ego_is_an_agent_whose_box_is_ahead_of_the_rear_axle(tmp_path):
    scene = small(tmp_path)
    agents = scene.agents
    axle = np.array([ego_at(int(time)) for time in sample_times_us()])
    ahead = EGO_CENTRE[0] * np.array([np.cos(EGO_YAW), np.sin(EGO_YAW)])
    np.testing.assert_allclose(agents.centre[scene.ego, :, :2], axle + ahead)
    np.testing.assert_allclose(agents.centre[scene.ego, :, 2], EGO_SIZE[2] / 2)
    np.testing.assert_allclose(agents.size[scene.ego], EGO_SIZE)
    assert len(scene.ego_poses.times_ns) == 4 * SAMPLES  # lidar and camera, sweeps too


def test_a_scene_keeps_its_clock_place_and_rules(tmp_path):
    scene = small(tmp_path)
    assert scene.clock.hz == pytest.approx(2.0)
    np.testing.assert_array_equal(scene.clock.measured_ns, sample_times_us() * 1000)
    assert scene.source.town == "singapore-onenorth"
    assert scene.source.driving_side == DrivingSide.LEFT
    assert scene.source.split == "mini"
    assert scene.source.extra["vehicle"] == "n015"


def test_sensors_are_referred_to_below_the_data_root(tmp_path):
    scene = small(tmp_path)
    (camera,), (lidar,) = scene.cameras, scene.lidars
    assert (camera.name, lidar.name) == ("CAM_FRONT", "LIDAR_TOP")
    assert len(camera.paths) == len(lidar.paths) == 2 * SAMPLES
    assert camera.paths[0].startswith("samples/CAM_FRONT/")
    assert camera.paths[1].startswith("sweeps/CAM_FRONT/")
    assert (np.diff(camera.times_ns) > 0).all()
    assert (camera.width_px, camera.height_px) == (1600, 900)
    np.testing.assert_allclose(camera.intrinsics[0], [1266.0, 0.0, 816.0])
    np.testing.assert_allclose(camera.ego_from_camera[:3, 2], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(lidar.ego_from_lidar[:3, 3], [1.7, 0.0, 1.5])


def test_tables_are_read_once_for_all_scenes_and_again_when_they_change(tmp_path, monkeypatch):
    folder = write_release(tmp_path / "root")
    calls = []
    original = nuscenes_tables.NuScenesTables
    monkeypatch.setattr(
        nuscenes_tables, "NuScenesTables", lambda at: calls.append(at) or original(at)
    )
    assert len(read_all(folder, READER)) == 2
    assert len(calls) == 1
    path = folder / "log.json"
    path.write_text(path.read_text().replace("n015", "n008"))
    import os

    os.utime(path, ns=(1, 1))
    assert read_all(folder, READER)[0].source.extra["vehicle"] == "n008"
    assert len(calls) == 2


def test_packed_tables_are_read_as_they_are(tmp_path):
    folder = write_release(tmp_path / "root")
    path = folder / "sample_annotation.json"
    (folder / "sample_annotation.json.xz").write_bytes(lzma.compress(path.read_bytes()))
    path.unlink()
    assert len(read_all(folder, READER)) == 2


def test_every_published_category_has_a_kind():
    assert len(KINDS) == 23 + 1
    assert Kind.UNKNOWN not in KINDS.values()


def test_malformed_tables_are_told(tmp_path):
    def first(table, **changes):
        return lambda tables: tables[table][0].update(changes)

    def repeat(tables):
        tables["sample"][1]["timestamp"] = tables["sample"][0]["timestamp"]

    gone = {"sample_token": "gone"}, {"ego_pose_token": "gone"}, {"log_token": "gone"}

    cases = [
        ("column", "sample_annotation", lambda t: t["sample_annotation"][3].pop("size")),
        ("column", "ego_pose", first("ego_pose", translation=[1.0, 2.0])),
        ("column", "sample", first("sample", timestamp="noon")),
        ("value", "sample_annotation", first("sample_annotation", translation=[np.nan, 0, 0])),
        ("value", "ego_pose", first("ego_pose", rotation=[np.nan, 0, 0, 0])),
        ("reference", "sample_annotation", first("sample_annotation", **gone[0])),
        ("reference", "sample_data", first("sample_data", **gone[1])),
        ("reference", "scene", first("scene", **gone[2])),
        ("duplicate", "instance", lambda t: t["instance"].append(t["instance"][0])),
        (
            "duplicate",
            "scene-0061",
            lambda t: t["sample_annotation"].append(
                {**t["sample_annotation"][0], "token": "another"}
            ),
        ),
        ("label", "scene-0061", first("category", name="vehicle.spaceship")),
        ("clock", "scene-0061", repeat),
        ("syntax", "category", lambda t: t.update(category={"token": "x", "name": "y"})),
        ("empty", "scene-0061", lambda t: t.update(sample_data=[])),
    ]
    for number, (code, place, change) in enumerate(cases):
        folder = write_release(tmp_path / str(number), change=change, has_map=False)
        assert place in refused(code, folder, READER).where


def test_a_scene_without_samples_is_told(tmp_path):
    def empty(tables):
        for name in ("sample", "sample_annotation", "sample_data"):
            tables[name].clear()

    refused("empty", write_release(tmp_path / "root", change=empty), READER)


def test_tables_that_are_cut_off_or_missing_are_told(tmp_path):
    for number, name in enumerate(("scene", "sample_annotation", "ego_pose")):
        folder = write_release(tmp_path / str(number))
        cut(folder / f"{name}.json")
        assert f"{name}.json" in refused("truncated", folder, READER).where
    folder = write_release(tmp_path / "missing")
    (folder / "instance.json").unlink()
    assert "instance.json" in refused("missing-file", folder, READER).where


def test_a_release_without_its_map_expansion_has_no_map(tmp_path):
    assert small(tmp_path, has_map=False).map is None


def test_the_map_has_the_pieces_of_the_expansion(tmp_path):
    road = small(tmp_path).map
    kinds = [PieceKind(kind).name for kind in road.kind]
    assert sorted(set(kinds)) == [
        "CROSSWALK",
        "DRIVABLE_AREA",
        "INTERSECTION",
        "LANE_AREA",
        "LANE_BOUNDARY",
        "LANE_CENTRE",
        "PARKING",
        "SIDEWALK",
        "STOP_LINE",
    ]
    assert road.id == "nuscenes/singapore-onenorth"
    assert kinds.count("INTERSECTION") == 1
    (stop,) = road.pieces_of(PieceKind.STOP_LINE)
    line = road.piece(int(stop))[:, :2]
    np.testing.assert_allclose(line[np.argsort(line[:, 1])], [[436.5, 1098], [436.5, 1102]])


def test_lanes_and_connectors_make_a_graph(tmp_path):
    road = small(tmp_path).map
    lanes = road.lanes
    assert lanes.ids == ("lane-1", "turn-1")
    assert lanes.successors(0).tolist() == [1]
    assert lanes.in_intersection.tolist() == [Tristate.NO, Tristate.YES]
    assert road.marking[lanes.left_boundary[0]] == Marking.DOUBLE_DASHED
    assert road.marking[lanes.right_boundary[0]] == Marking.SOLID
    assert (lanes.area >= 0).tolist() == [True, False]
    end = road.centre_line(0)[-1, :2]
    np.testing.assert_allclose(end, [440.0, 1100.0])
    np.testing.assert_allclose(road.centre_line(1)[0, :2], end)


def test_arcs_turn_left_go_straight_and_turn_right():
    quarter = 10.0 * np.pi / 2
    path = {
        "start_pose": [0.0, 0.0, 0.0],
        "shape": "LSR",
        "radius": 10.0,
        "segment_length": [quarter, 5.0, quarter],
    }
    line = trace_arcs([path])
    np.testing.assert_allclose(line[-1], [20.0, 25.0], atol=1e-9)
    assert np.hypot(*np.diff(line, axis=0).T).max() <= 1.0
    # All points of the first turn lie on its circle, whose centre is on the left.
    turn = line[line[:, 1] <= 10.0]
    np.testing.assert_allclose(np.hypot(turn[:, 0], turn[:, 1] - 10.0), 10.0)
    mirrored = trace_arcs([{**path, "shape": "RSL"}])
    np.testing.assert_allclose(mirrored, line * [1, -1], atol=1e-9)


def test_a_map_that_is_no_expansion_is_told(tmp_path):
    folder = write_release(tmp_path / "root")
    path = find_map(folder.parent, "singapore-onenorth")
    for change, code in (
        (lambda m: m.pop("arcline_path_3"), "syntax"),
        (lambda m: m["node"][0].update(x=float("nan")), "geometry"),
        (lambda m: m["lane"].append(m["lane"][0]), "duplicate"),
        (lambda m: m["walkway"][0].update({"polygon_token": "gone"}), "syntax"),
    ):
        content = expansion()
        change(content)
        path.write_text(json.dumps(content))
        nuscenes_map._read.cache_clear()
        with pytest.raises(InputError) as caught:
            read_map(path)
        assert caught.value.code == code
        assert str(path) in caught.value.where
    cut(path)
    nuscenes_map._read.cache_clear()
    refused("truncated", folder, READER)
