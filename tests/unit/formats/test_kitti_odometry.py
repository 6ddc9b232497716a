import numpy as np
import pytest

from kerbstone.formats import kitti
from kerbstone.formats.kitti_odometry import KittiOdometry
from kerbstone.scene import SE3, Scene
from laws.format_laws import FormatLaws, read_all, refused, walk
from small import kitti as small
from small.kitti import write_lines, write_odometry, write_videos

READER = KittiOdometry()


class TestLaws(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_odometry(folder)


class TestLawsWithVideos(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_videos(folder)


@pytest.mark.data
class TestLawsOnRealLogs(FormatLaws):
    reader = READER
    data = "kitti_odometry_03"


def read(tmp_path, **changes) -> Scene:
    return read_all(write_odometry(tmp_path, **changes), READER)[0]


def test_ego_drives_the_poses_alone(tmp_path):
    scene = read(tmp_path)
    assert scene.agents.ids == ("ego",)
    assert scene.ego == 0
    # The poses are of camera 0; how the unit lies against it is known from KITTI's drawing only.
    truth = small.drive()
    found, true = scene.ego_poses.translation[:, :2], truth.translation[:, :2]
    np.testing.assert_allclose(found, true, atol=0.3)
    np.testing.assert_allclose(scene.agents.heading[0], truth.yaw, atol=0.01)
    times_ns = 103_700_000 * np.arange(small.STEPS)
    np.testing.assert_array_equal(scene.clock.measured_ns, times_ns)


def test_speed_follows_from_the_recorded_times(tmp_path):
    scene = read(tmp_path)
    expected = small.SPEED * 0.1 / 0.1037  # the poses are of 0.1 s, the times say 0.1037 s
    np.testing.assert_allclose(scene.agents.speed[0], expected, rtol=0.03)


def test_sensors_are_referenced_with_their_poses(tmp_path):
    scene = read(tmp_path)
    (camera,), (lidar,) = scene.cameras, scene.lidars
    assert (camera.width_px, camera.height_px) == (14, 6)
    assert camera.paths == ("image_0/000000.png", "image_0/000001.png")
    assert camera.times_ns.tolist() == [0, 103_700_000]
    np.testing.assert_allclose(camera.intrinsics, small.INTRINSICS)
    camera_from_lidar = SE3.from_matrix(camera.ego_from_camera).inverse() @ SE3.from_matrix(
        lidar.ego_from_lidar
    )
    np.testing.assert_allclose(
        camera_from_lidar.matrix(), small.CAMERA_FROM_VELODYNE.matrix(), atol=1e-9
    )


def test_a_sequence_without_poses_has_cameras_and_no_road_user(tmp_path):
    scene = read(tmp_path, has_poses=False)
    assert len(scene.agents) == 0
    assert scene.ego is None
    assert scene.ego_poses is None
    assert scene.clock.steps == small.STEPS
    assert len(scene.cameras) == 1


def test_a_scene_ends_with_its_poses(tmp_path):
    write_odometry(tmp_path)
    path = tmp_path / "poses" / "03.txt"
    write_lines(path, path.read_text().splitlines()[:10])
    assert read_all(tmp_path, READER)[0].clock.steps == 10


def test_a_calibration_without_the_laser_scanner_takes_the_camera_as_level(tmp_path):
    write_odometry(tmp_path)
    path = tmp_path / "sequences" / "03" / "calib.txt"
    write_lines(path, path.read_text().splitlines()[:4])
    scene = read_all(tmp_path, READER)[0]
    assert scene.lidars == ()
    np.testing.assert_allclose(
        scene.cameras[0].ego_from_camera, kitti.NOMINAL_EGO_FROM_CAMERA.matrix()
    )


def test_a_video_is_one_camera_for_all_its_frames(tmp_path):
    (scene,) = read_all(write_videos(tmp_path), READER)
    (camera,) = scene.cameras
    assert camera.is_video
    assert camera.paths == ("image_0.mp4",)
    assert (camera.width_px, camera.height_px) == (620, 186)
    assert len(camera.times_ns) == small.STEPS + 5
    assert scene.clock.steps == small.STEPS
    assert np.isnan(camera.intrinsics).all()
    np.testing.assert_allclose(
        camera.ego_from_camera, kitti.NOMINAL_EGO_FROM_CAMERA.matrix(), atol=1e-12
    )


def test_intrinsics_come_from_a_readme_that_states_them_for_the_video(tmp_path):
    readme = "full size fx=fy=721.5, cx=609.6, cy=172.9, halved: fx=fy=360.75, cx=304.8, cy=86.4."
    (scene,) = read_all(write_videos(tmp_path, readme=readme), READER)
    np.testing.assert_allclose(
        scene.cameras[0].intrinsics, [[360.75, 0, 304.8], [0, 360.75, 86.4], [0, 0, 1]]
    )


def test_intrinsics_of_another_size_are_not_taken(tmp_path):
    (scene,) = read_all(write_videos(tmp_path, readme="fx=fy=721.5, cx=609.6, cy=172.9"), READER)
    assert np.isnan(scene.cameras[0].intrinsics).all()


def test_a_calibration_beside_videos_counts_before_a_readme(tmp_path):
    write_videos(tmp_path, readme="fx=fy=360.75, cx=304.8, cy=86.4")
    small.write_calibration(tmp_path / "calib.txt")
    (tmp_path / "image_2.mp4").write_bytes(small.mp4(620, 186, 3))
    scene = read_all(tmp_path, READER)[0]
    np.testing.assert_allclose(scene.cameras[0].intrinsics, small.INTRINSICS)
    shift = np.array(scene.cameras[1].ego_from_camera)[:3, 3]
    shift -= np.array(scene.cameras[0].ego_from_camera)[:3, 3]
    np.testing.assert_allclose(shift, kitti.CAMERA_AXES @ small.BASELINE, atol=1e-9)


def test_a_second_camera_without_calibration_is_somewhere_unknown(tmp_path):
    write_videos(tmp_path)
    (tmp_path / "image_1.mp4").write_bytes(small.mp4(620, 186, 3))
    scene = read_all(tmp_path, READER)[0]
    assert np.isnan(scene.cameras[1].ego_from_camera[:3, 3]).all()


def test_a_sequence_can_be_named_by_its_folder(tmp_path):
    write_odometry(tmp_path)
    (log,) = walk(tmp_path / "sequences" / "03", READER)
    assert log.name == "kitti-odometry/03"


CALIB, TIMES, POSES = "sequences/03/calib.txt", "sequences/03/times.txt", "poses/03.txt"


@pytest.mark.parametrize(
    ("code", "file", "change"),
    [
        ("clock", TIMES, lambda lines: [*lines[:5], lines[3], *lines[6:]]),
        ("clock", TIMES, lambda lines: [*lines[:5], "0.57", *lines[6:]]),
        ("value", TIMES, lambda lines: [*lines[:5], "nan", *lines[6:]]),
        ("syntax", TIMES, lambda lines: [*lines[:5], "soon", *lines[6:]]),
        ("empty", TIMES, lambda _: []),
        ("reference", POSES, lambda lines: [*lines, lines[-1]]),
        ("syntax", POSES, lambda lines: [*lines[:5], lines[5][:40]]),
        ("geometry", POSES, lambda lines: [*lines[:5], "1 " * 12, *lines[6:]]),
        ("column", CALIB, lambda lines: lines[1:]),
        ("value", CALIB, lambda lines: [lines[0][:40], *lines[1:]]),
    ],
)
def test_malformed_files_are_refused_with_their_place(tmp_path, code, file, change):
    write_odometry(tmp_path)
    path = tmp_path / file
    write_lines(path, change(path.read_text().splitlines()))
    assert str(path) in refused(code, tmp_path, READER).where


def test_an_image_without_a_time_is_refused(tmp_path):
    write_odometry(tmp_path)
    small.write_png(tmp_path / "sequences" / "03" / "image_0" / "000077.png", 4, 4)
    assert "image_0" in refused("reference", tmp_path, READER).where


@pytest.mark.data
def test_the_real_drive_is_as_long_as_published(data_root):
    scene = read_all(data_root / "kitti_odometry_03", READER)[0]
    steps = np.diff(scene.ego_poses.translation, axis=0)
    assert scene.clock.steps == 601
    assert np.linalg.norm(steps, axis=1).max() < 0.98  # 9.7 m/s at 10 Hz
    course = np.arctan2(*scene.agents.velocity[0].T[::-1])
    assert np.abs(np.angle(np.exp(1j * (course - scene.agents.heading[0])))).max() < 0.2
    np.testing.assert_allclose(
        scene.cameras[0].intrinsics, [[360.769, 0, 304.780], [0, 360.769, 86.427], [0, 0, 1]]
    )
