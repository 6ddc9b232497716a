from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather

from kerbstone.formats.av2_sensor import EGO_CENTRE, EGO_SIZE, KINDS, Av2Sensor
from kerbstone.scene import DrivingSide, Kind, Scene
from laws.format_laws import FormatLaws, read_all, refused, share_along_lanes, share_on_road, walk
from small.av2 import (
    PARKED,
    SPEED,
    STEPS,
    TURN_RATE,
    WALKER_SPEED,
    cut,
    set_cell,
    set_column,
    write_sensor_log,
)

READER = Av2Sensor()
WITH_EGO = "3b3570b4-7b0b-3268-a571-b0889dbf40b6"
LOGS = [
    WITH_EGO,
    "adcf7d18-0510-35b0-a2fa-b4cea13a6d76",
    "7fab2350-7eaf-3b7e-a39d-6937a4c1bede",
]


class TestLaws(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_sensor_log(folder / "val" / "log-1")


class TestLawsWithEgo(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_sensor_log(folder / "log-1", has_ego=True)


@pytest.mark.data
class TestLawsOnRealLogs(FormatLaws):
    reader = READER
    data = "av2"


def small(tmp_path: Path, **changes) -> Scene:
    return read_all(write_sensor_log(tmp_path / "log-1", **changes), READER)[0]


@pytest.fixture(scope="module")
def real(data_root) -> dict[str, Scene]:
    return {name: read_all(data_root / "av2" / name, READER)[0] for name in LOGS}


def test_boxes_of_the_ego_frame_come_to_rest_in_the_city_frame(tmp_path):
    agents = small(tmp_path).agents
    parked = agents.index("parked")
    np.testing.assert_allclose(agents.centre[parked], np.tile(PARKED, (STEPS, 1)), atol=1e-9)
    np.testing.assert_allclose(agents.heading[parked], 0.7)
    np.testing.assert_allclose(agents.speed[parked], 0.0, atol=1e-6)
    np.testing.assert_allclose(agents.speed[agents.index("walker")], WALKER_SPEED)
    assert agents.kind.tolist() == [Kind.CAR, Kind.CAR, Kind.PEDESTRIAN, Kind.BUS]
    assert agents.label[3] == "BUS"
    np.testing.assert_allclose(agents.size[3], [12.0, 2.6, 3.2])


@pytest.mark.parametrize("has_ego", [False, True])
def test_ego_is_an_agent_whose_box_is_ahead_of_the_rear_axle(tmp_path, has_ego):
    scene = small(tmp_path, has_ego=has_ego)
    agents, ego = scene.agents, scene.ego
    assert agents.label[ego] == "EGO_VEHICLE"
    assert agents.ids[ego] == ("ego-track" if has_ego else "ego")
    assert agents.valid[ego].all()
    np.testing.assert_allclose(agents.size[ego], EGO_SIZE)
    axle = scene.ego_poses.at(scene.clock.measured_ns).translation
    ahead = agents.centre[ego] - axle
    np.testing.assert_allclose(np.hypot(ahead[:, 0], ahead[:, 1]), EGO_CENTRE[0])
    np.testing.assert_allclose(np.arctan2(ahead[:, 1], ahead[:, 0]), agents.heading[ego])
    # On a circle the box's centre is outside of the axle's, and faster by as much.
    outer = SPEED * np.hypot(1.0, EGO_CENTRE[0] * TURN_RATE / SPEED)
    np.testing.assert_allclose(agents.speed[ego, 1:-1], outer, rtol=1e-3)


def test_a_log_keeps_its_clock_poses_place_and_rules(tmp_path):
    scene = small(tmp_path, town="WDC")
    assert scene.clock.steps == STEPS
    assert scene.clock.dt == 0.1
    assert len(scene.ego_poses.times_ns) > 2 * STEPS
    assert scene.source.town == "Washington DC"
    assert scene.source.driving_side == DrivingSide.RIGHT
    assert scene.source.licence == "CC BY-NC-SA 4.0"
    assert "velocity" in scene.source.derived


def test_sensors_are_referred_to_with_their_calibration(tmp_path):
    scene = small(tmp_path)
    (camera,), (lidar,) = scene.cameras, scene.lidars
    assert camera.name == "ring_front_center"
    assert len(camera.paths) == len(lidar.paths) == 2
    assert (Path(scene.source.path) / camera.paths[0]).is_file()
    np.testing.assert_array_equal(camera.times_ns, scene.clock.times_ns[:2])
    np.testing.assert_allclose(camera.intrinsics, [[1776, 0, 777], [0, 1775, 1013], [0, 0, 1]])
    np.testing.assert_allclose(camera.distortion, [-0.24, -0.21, 0.33])
    # The camera looks ahead: its z axis is the car's x axis.
    np.testing.assert_allclose(camera.ego_from_camera[:3, 2], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(camera.ego_from_camera[:3, 3], [1.6, 0.0, 1.4])
    np.testing.assert_array_equal(lidar.ego_from_lidar, np.eye(4))
    assert small(tmp_path / "bare", has_sensors=False).cameras == ()


@pytest.mark.parametrize(("has_sensors", "steps"), [(True, 2), (False, 21)])
def test_a_test_log_without_annotations_gives_ego_alone(tmp_path, has_sensors, steps):
    folder = write_sensor_log(tmp_path / "log-1", has_sensors=has_sensors)
    (folder / "annotations.feather").unlink()
    (scene,) = read_all(folder, READER)
    assert len(scene.agents) == 1
    assert scene.ego == 0
    assert scene.clock.steps == steps
    assert scene.clock.dt == 0.1


@pytest.mark.parametrize("ending", [".xz", ".gz"])
def test_packed_annotations_are_read_as_they_are(tmp_path, ending):
    assert len(small(tmp_path, packed=ending).agents) == 4


def test_many_logs_below_a_folder_are_found(tmp_path):
    for name in ("a", "b"):
        write_sensor_log(tmp_path / "sensor" / "train" / name)
    logs = walk(tmp_path, READER)
    assert [log.name for log in logs] == ["av2-sensor/a", "av2-sensor/b"]
    (scene,) = READER.read(logs[0])
    assert scene.source.split == "train"


def test_every_published_category_has_a_kind():
    assert len(KINDS.keys() - {"EGO_VEHICLE", "MOBILE_PEDESTRIAN_SIGN"}) == 30
    assert KINDS["BICYCLIST"] == Kind.CYCLIST
    assert KINDS["BICYCLE"] == Kind.BICYCLE
    assert Kind.UNKNOWN not in KINDS.values()


def drop(name: str):
    return lambda table: table.drop_columns([name])


def test_malformed_annotations_are_told(tmp_path):
    cases = {
        "column": drop("qw"),
        "label": set_cell("category", 0, "SPACESHIP"),
        "value": set_cell("tx_m", 5, float("nan")),
        "duplicate": lambda table: pa.concat_tables([table, table.slice(7, 1)]),
        "empty": lambda table: table.slice(0, 0),
        "reference": set_column("timestamp_ns", lambda times: times + 1),
        "clock": set_column("timestamp_ns", _bend),
    }
    for code, edit in cases.items():
        error = refused(code, write_sensor_log(tmp_path / code, boxes=edit), READER)
        assert "annotations.feather" in error.where
    error = refused(
        "value",
        write_sensor_log(tmp_path / "null", boxes=set_cell("track_uuid", 3, None)),
        READER,
    )
    assert "row 3" in error.where


def _bend(times: np.ndarray) -> np.ndarray:
    """Move one frame half a step, to a time at which there is a pose."""
    times[times == times[10]] += 70_000_000
    return times


def test_malformed_poses_are_told(tmp_path):
    cases = {
        "column": drop("tz_m"),
        "value": set_cell("qw", 5, float("nan")),
        "clock": lambda table: table.take(list(range(len(table) - 1, -1, -1))),
        "empty": lambda table: table.slice(0, 0),
    }
    for code, edit in cases.items():
        error = refused(code, write_sensor_log(tmp_path / code, poses=edit), READER)
        assert "city_SE3_egovehicle.feather" in error.where


def test_files_that_are_cut_off_are_told(tmp_path):
    for number, name in enumerate(
        ("annotations.feather", "city_SE3_egovehicle.feather", "map/*.json")
    ):
        folder = write_sensor_log(tmp_path / str(number))
        path = next(folder.glob(name))
        cut(path)
        assert str(path) in refused("truncated", folder, READER).where


def test_a_camera_without_calibration_is_told(tmp_path):
    folder = write_sensor_log(tmp_path / "a")
    (folder / "sensors" / "cameras" / "ring_side_left").mkdir()
    refused("reference", folder, READER)
    (folder / "calibration" / "intrinsics.feather").unlink()
    refused("missing-file", folder, READER)


@pytest.mark.data
def test_real_counts_are_those_of_the_files(data_root, real):
    for name, scene in real.items():
        (path,) = (data_root / "av2" / name).glob("annotations*.feather")
        table = feather.read_table(path)
        is_ego = pa.compute.equal(table["category"], "EGO_VEHICLE")
        assert scene.agents.valid[1:].sum() == pa.compute.sum(pa.compute.invert(is_ego)).as_py()
        tracks = set(table.filter(pa.compute.invert(is_ego))["track_uuid"].to_pylist())
        assert set(scene.agents.ids[1:]) == tracks
        assert scene.agents.valid[0].sum() == len(set(table["timestamp_ns"].to_pylist()))


@pytest.mark.data
def test_real_parked_cars_stay_put(real):
    for scene in real.values():
        agents = scene.agents
        cars = np.flatnonzero(agents.is_kind(Kind.CAR) & (agents.valid.sum(axis=1) > 50))[1:]
        spread = np.nanmax(agents.centre[cars], axis=1) - np.nanmin(agents.centre[cars], axis=1)
        spread = np.hypot(spread[:, 0], spread[:, 1])
        # Cars stand or drive: while the ego car goes tens of metres, few go a few of them.
        assert np.ptp(agents.centre[0], axis=0).max() > 30.0
        assert np.mean(spread < 2.0) > 0.4
        assert np.mean((spread > 2.0) & (spread < 10.0)) < 0.1


@pytest.mark.data
def test_real_vehicles_are_on_the_road_and_follow_their_lanes(real):
    for scene in real.values():
        assert share_on_road(scene) > 0.95
        assert share_along_lanes(scene) > 0.95


@pytest.mark.data
def test_the_real_ego_frame_has_its_origin_at_the_rear_axle(real):
    found = []
    for scene in real.values():
        first, last = scene.ego_poses.times_ns[[0, -1]]
        pose = scene.ego_poses.at(np.arange(first, last, 50_000_000))
        step = pose.translation[2:] - pose.translation[:-2]
        yaw = np.unwrap(pose.yaw)
        turn = yaw[2:] - yaw[:-2]
        aside = np.cos(yaw[1:-1]) * step[:, 1] - np.sin(yaw[1:-1]) * step[:, 0]
        turning = (np.hypot(*step.T[:2]) > 0.2) & (np.abs(turn) > 0.005)
        if turning.sum() > 50:
            # A point ahead of the axle by d moves aside by d for each radian of turn.
            columns = np.stack([turn, np.hypot(*step.T[:2])], axis=-1)[turning]
            found.append(np.linalg.lstsq(columns, aside[turning])[0][0])
    assert len(found) == 2
    assert np.abs(found).max() < 0.25


@pytest.mark.data
def test_the_real_ego_box_is_as_large_as_the_release_says(data_root, real):
    table = feather.read_table(data_root / "av2" / WITH_EGO / "annotations_with_ego.feather")
    (row,) = {
        tuple(row[name] for name in ("length_m", "width_m", "height_m", "tx_m", "qw"))
        for row in table.to_pylist()
        if row["category"] == "EGO_VEHICLE"
    }
    np.testing.assert_allclose(row[:3], EGO_SIZE)
    assert row[3:] == (0.0, 1.0)  # at the origin, which is no place for the box
    scene = real[WITH_EGO]
    np.testing.assert_allclose(scene.agents.size[scene.ego], EGO_SIZE)


@pytest.mark.data
def test_real_towns_are_told_by_the_maps(real):
    assert [scene.source.town for scene in real.values()] == ["Miami", "Pittsburgh", "Pittsburgh"]


@pytest.mark.data
def test_real_sweeps_are_referred_to(real):
    assert [len(lidar.paths) for s in real.values() for lidar in s.lidars] == [1, 2]
