import numpy as np
import pytest

from kerbstone.formats import kitti
from kerbstone.formats.kitti_tracking import KittiTracking
from kerbstone.scene import SE3, DrivingSide, Kind, Scene
from laws.format_laws import FormatLaws, read_all, refused, walk
from small import kitti as small
from small.kitti import write_lines, write_tracking

READER = KittiTracking()


class TestLaws(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_tracking(folder / "training", sensors=True)


class TestLawsWithoutPoses(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_tracking(folder / "training", poses="")

    def test_fast_vehicles_head_where_they_go(self, scenes):
        # Seen from a moving car what stands moves backwards; the scene says that it is so.
        assert all("ego-frame" in scene.source.derived for scene in scenes)


@pytest.mark.data
class TestLawsOnRealLogs(FormatLaws):
    reader = READER
    data = "kitti_tracking/label_02/0001.txt"


def read(tmp_path, **changes) -> Scene:
    return read_all(write_tracking(tmp_path, **changes), READER)[0]


def test_with_poses_the_world_is_the_first_ego_frame(tmp_path):
    scene = read(tmp_path)
    assert scene.source.extra == {"poses": "poses", "world": "first ego frame"}
    truth = small.drive()
    assert scene.ego_poses is not None
    np.testing.assert_allclose(scene.ego_poses.translation, truth.translation, atol=1e-6)
    np.testing.assert_allclose(scene.agents.heading[0], truth.yaw, atol=1e-6)
    np.testing.assert_allclose(scene.agents.speed[0].mean(), small.SPEED, rtol=0.02)


def test_a_parked_van_stays_where_it_is_in_the_world(tmp_path):
    agents = read(tmp_path).agents
    van = agents.index("0")
    half_height = np.array([0.0, 0.0, small.VAN_SIZE[2] / 2])
    # The camera leans, and with it the box's upright axis, by a centimetre.
    np.testing.assert_allclose(
        agents.centre[van], np.tile(small.VAN + half_height, (40, 1)), atol=0.05
    )
    np.testing.assert_allclose(np.ptp(agents.centre[van], axis=0), 0.0, atol=0.02)
    np.testing.assert_allclose(agents.heading[van], small.VAN_HEADING, atol=1e-3)
    np.testing.assert_allclose(agents.size[van], small.VAN_SIZE)
    assert np.nanmax(agents.speed[van]) < 0.05


def test_a_moving_car_has_its_velocity_and_heading(tmp_path):
    agents = read(tmp_path).agents
    car = agents.index("3")
    np.testing.assert_allclose(agents.velocity[car].mean(axis=0), [7.0, 1.0], atol=0.01)
    np.testing.assert_allclose(agents.heading[car], np.arctan2(1.0, 7.0), atol=2e-3)


def test_with_oxts_the_world_is_east_north_up_from_the_first_frame(tmp_path):
    scene = read(tmp_path, poses="oxts")
    assert scene.source.extra["world"] == "east-north-up"
    truth = small.drive(yaw=small.START_YAW)
    np.testing.assert_allclose(scene.ego_poses.translation, truth.translation, atol=1e-3)
    np.testing.assert_allclose(scene.agents.heading[0], truth.yaw, atol=1e-9)
    east_from_first = SE3.from_yaw(small.START_YAW, np.zeros(3))
    van = scene.agents.centre[scene.agents.index("0"), :, :2]
    expected = (east_from_first @ small.VAN)[:2]
    np.testing.assert_allclose(van, np.tile(expected, (40, 1)), atol=0.05)


def test_oxts_count_before_other_poses(tmp_path):
    write_tracking(tmp_path, poses="poses_slam")
    write_lines(tmp_path / "oxts" / "0000.txt", small.oxts_lines())
    assert read_all(tmp_path, READER)[0].source.extra["poses"] == "oxts"


def test_without_poses_the_world_is_the_moving_ego_frame_and_says_so(tmp_path):
    scene = read(tmp_path, poses="")
    assert scene.source.extra == {"poses": "", "world": "moving ego frame"}
    assert "ego-frame" in scene.source.derived
    np.testing.assert_array_equal(
        scene.agents.centre[0], np.tile(kitti.EGO_BOX_CENTRE, (small.STEPS, 1))
    )
    van = scene.agents.index("0")
    place = small.drive().inverse() @ np.tile(small.VAN, (small.STEPS, 1))
    np.testing.assert_allclose(scene.agents.centre[van, :, :2], place[:, :2], atol=0.05)


def test_a_length_without_poses_reaches_to_the_last_image(tmp_path):
    write_tracking(tmp_path, poses="")
    small.write_png(tmp_path / "image_02" / "0000" / "000044.png", 4, 4)
    assert read_all(tmp_path, READER)[0].clock.steps == 45


def test_ego_is_the_recording_car(tmp_path):
    scene = read(tmp_path)
    assert scene.ego == 0
    assert scene.agents.valid[0].all()
    np.testing.assert_array_equal(scene.agents.size[0], kitti.EGO_SIZE)
    # Its wheels stand on the road that carries the van.
    bottom = scene.agents.centre[0, 0, 2] - kitti.EGO_SIZE[2] / 2
    assert bottom == pytest.approx(-0.93)


def test_kinds_keep_their_labels_and_dont_care_is_left_out(tmp_path):
    write_tracking(tmp_path)
    path = tmp_path / "label_02" / "0000.txt"
    misc = small.label_lines()[-1].replace("7 Pedestrian", "9 Misc")
    path.write_text(path.read_text() + misc + "\n")
    agents = read_all(tmp_path, READER)[0].agents
    assert dict(zip(agents.label, map(Kind, agents.kind), strict=True)) == {
        "ego": Kind.CAR,
        "Van": Kind.CAR,
        "Car": Kind.CAR,
        "Pedestrian": Kind.PEDESTRIAN,
        "Misc": Kind.UNKNOWN,
    }


def test_both_spellings_of_the_calibration_give_the_same(tmp_path):
    one = read(tmp_path / "a").agents
    other = read(tmp_path / "b", colons=False).agents
    np.testing.assert_array_equal(one.centre, other.centre)


def test_a_camera_sees_what_the_projection_matrix_says(tmp_path):
    scene = read(tmp_path, sensors=True)
    (camera,) = scene.cameras
    assert (camera.name, camera.width_px, camera.height_px) == ("image_02", 12, 5)
    assert camera.paths[1] == "image_02/0000/000001.png"
    assert camera.times_ns.tolist() == [0, 100_000_000, 200_000_000]
    point_ego = np.array([12.0, 1.0, -0.5])
    point_camera0 = small.CAMERA_FROM_EGO @ point_ego
    offset = -small.INTRINSICS @ small.BASELINE
    expected = small.INTRINSICS @ point_camera0 + offset
    seen = camera.intrinsics @ (SE3.from_matrix(camera.ego_from_camera).inverse() @ point_ego)
    np.testing.assert_allclose(seen / seen[2], expected / expected[2], atol=1e-4)
    (lidar,) = scene.lidars
    np.testing.assert_allclose(
        lidar.ego_from_lidar, small.VELODYNE_FROM_EGO.inverse().matrix(), atol=1e-9
    )


def test_source_says_where_it_was(tmp_path):
    source = read(tmp_path).source
    assert (source.town, source.driving_side) == ("Karlsruhe", DrivingSide.RIGHT)
    assert source.licence == "CC BY-NC-SA 3.0"
    assert source.path == str(tmp_path)


def test_one_sequence_can_be_named_by_its_label_file(tmp_path):
    write_tracking(tmp_path)
    write_lines(tmp_path / "label_02" / "0001.txt", small.label_lines())
    assert len(walk(tmp_path, READER)) == 2
    (log,) = walk(tmp_path / "label_02" / "0001.txt", READER)
    assert log.name == "kitti-tracking/0001"


def edit(path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


LABELS, CALIB, POSES = "label_02/0000.txt", "calib/0000.txt", "poses/0000.txt"


@pytest.mark.parametrize(
    ("code", "file", "before", "after", "place"),
    [
        ("column", LABELS, "39 7 Pedestrian 0 0 0.1 10 20", "39 7 Pedestrian 0", "line 160"),
        ("value", LABELS, "5.100000000", "five", LABELS),
        ("value", LABELS, "5.100000000", "nan", "line 2"),
        ("value", LABELS, "5.100000000", "-5.1", "line 2"),
        ("value", LABELS, "0 0 Van", "-3 0 Van", "line 2"),
        ("label", LABELS, "0 0 Van", "0 0 Lorry", LABELS),
        ("duplicate", LABELS, "0 3 Car", "0 0 Car", LABELS),
        ("clock", LABELS, "5 0 Van", "3 0 Van", "line 22"),
        ("reference", LABELS, "39 7 Ped", "99 7 Ped", "line 160"),
        ("column", CALIB, "Tr_imu_to_velo", "Tr_other", CALIB),
        ("value", CALIB, "R0_rect: ", "R0_rect: 1 ", "line 5"),
        ("value", CALIB, "R0_rect: ", "R0_rect: x", "line 5"),
    ],
)
def test_malformed_files_are_refused_with_their_place(tmp_path, code, file, before, after, place):
    write_tracking(tmp_path)
    edit(tmp_path / file, before, after)
    error = refused(code, tmp_path, READER)
    assert place in error.where


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("syntax", lambda lines: [*lines[:5], " ".join(lines[5].split()[:7])]),
        ("syntax", lambda lines: [*lines[:5], lines[5] + "x"]),
        ("column", lambda lines: [line + " 0" for line in lines]),
        ("value", lambda lines: [*lines[:5], " ".join(["nan"] * 12), *lines[6:]]),
        ("geometry", lambda lines: [*lines[:5], " ".join(["2"] * 12), *lines[6:]]),
        ("empty", lambda _: []),
    ],
)
def test_malformed_poses_are_refused(tmp_path, code, change):
    write_tracking(tmp_path)
    path = tmp_path / POSES
    write_lines(path, change(path.read_text().splitlines()))
    assert str(path) in refused(code, tmp_path, READER).where


def test_a_sequence_with_nothing_in_it_is_refused(tmp_path):
    write_tracking(tmp_path, poses="")
    write_lines(tmp_path / LABELS, [])
    refused("empty", tmp_path, READER)


def test_a_missing_calibration_is_refused(tmp_path):
    write_tracking(tmp_path)
    (tmp_path / CALIB).unlink()
    assert str(tmp_path / CALIB) in refused("missing-file", tmp_path, READER).where


def test_images_must_be_images_named_by_their_frame(tmp_path):
    write_tracking(tmp_path, sensors=True)
    image = tmp_path / "image_02" / "0000" / "000000.png"
    image.write_bytes(b"no image")
    refused("syntax", tmp_path, READER)
    image.rename(image.with_name("first.png"))
    refused("name", tmp_path, READER)


@pytest.mark.data
def test_all_real_sequences_are_read(data_root):
    logs = walk(data_root / "kitti_tracking", READER)
    assert len(logs) == 14
    assert all(len(log.files) == 3 for log in logs)  # labels, calibration, poses
    assert all(next(READER.read(log)).check() for log in logs[::5])


@pytest.mark.data
def test_real_parked_cars_stay_within_half_a_metre(data_root):
    path = data_root / "kitti_tracking" / "label_02" / "0001.txt"
    agents = read_all(path, READER)[0].agents
    long = agents.valid.sum(axis=1) >= 15
    long[0] = False
    place = agents.centre[long, :, :2]
    off = np.linalg.norm(place - np.nanmedian(place, axis=1, keepdims=True), axis=-1)
    assert long.sum() == 83
    assert np.sum(np.sqrt(np.nanmean(off**2, axis=1)) < 0.5) >= 63


@pytest.mark.data
def test_real_cars_head_where_they_go(data_root):
    agents = read_all(data_root / "kitti_tracking" / "label_02" / "0020.txt", READER)[0].agents
    moving = agents.valid & (agents.speed > 5) & agents.is_kind(Kind.CAR)[:, None]
    course = np.arctan2(agents.velocity[..., 1], agents.velocity[..., 0])
    off = np.abs(np.angle(np.exp(1j * (course - agents.heading))))[moving]
    assert np.median(off) < 0.03
