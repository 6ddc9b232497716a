import dataclasses
import pickle
import time

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats import kitti, kitti_sequence
from kerbstone.formats.detections import find_detections, read_detections
from kerbstone.formats.kitti_tracking import KittiTracking
from kerbstone.scene import SE3, BoxIndex, Kind
from laws.format_laws import read_all
from small import kitti as small
from small.detections import kitti_rows, write_kitti
from small.kitti import write_lines


def read_one(*paths, **options):
    (source,) = find_detections(paths, **options)
    return read_detections(source)


def edit(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def refused(code, *paths, **options):
    with pytest.raises(InputError) as caught:
        read_one(*paths, **options)
    assert caught.value.code == code
    return caught.value


def test_detections_stand_where_labels_of_the_same_boxes_stand(tmp_path):
    log = read_one(write_kitti(tmp_path))
    truth = read_all(tmp_path, KittiTracking())[0]
    found = log.detections
    for name, kind in (("0", Kind.CAR), ("3", Kind.CAR), ("7", Kind.PEDESTRIAN)):
        agent = truth.agents.index(name)
        near = np.linalg.norm(
            found.box[:, :3] - truth.agents.centre[agent, found.step], axis=1
        ) < 1e-6  # fmt: skip
        assert near.sum() == small.STEPS
        assert set(found.kind[near]) == {kind}
        np.testing.assert_allclose(
            found.box[near, BoxIndex.HEADING], truth.agents.heading[agent], atol=1e-9
        )
        np.testing.assert_allclose(found.box[near, BoxIndex.LENGTH :][0], truth.agents.size[agent])


def test_class_folders_of_a_sequence_become_one_log(tmp_path):
    log = read_one(write_kitti(tmp_path))
    assert log.name == log.scene.id == "kitti-tracking/0000"
    assert len(log.detections) == 3 * small.STEPS
    assert set(log.labels) == {"Car", "Pedestrian"}
    one_by_one = read_one(tmp_path / "detector_Car", tmp_path / "detector_Pedestrian" / "0000.txt")
    np.testing.assert_array_equal(one_by_one.detections.box, log.detections.box)


def test_the_context_knows_the_car_and_nobody_else(tmp_path):
    scene = read_one(write_kitti(tmp_path)).scene.check()
    truth = read_all(tmp_path, KittiTracking())[0]
    assert (scene.ego, len(scene.agents)) == (0, 1)
    np.testing.assert_array_equal(scene.agents.centre[0], truth.agents.centre[0])
    np.testing.assert_array_equal(scene.ego_poses.translation, truth.ego_poses.translation)
    assert scene.source == truth.source


def test_the_clock_has_a_step_per_pose_even_without_a_detection_at_the_end(tmp_path):
    write_kitti(tmp_path)
    for path in tmp_path.glob("detector_*/0000.txt"):
        write_lines(path, path.read_text().splitlines()[:3])
    assert read_one(tmp_path).scene.clock.steps == small.STEPS


def test_without_poses_the_world_is_the_moving_ego_frame(tmp_path):
    log = read_one(write_kitti(tmp_path, poses=""))
    assert "ego-frame" in log.scene.source.derived
    assert log.scene.clock.steps == small.STEPS
    np.testing.assert_array_equal(
        log.scene.agents.centre[0, :, :2], [kitti.EGO_BOX_CENTRE[:2]] * 40
    )


def test_an_endless_frame_number_without_poses_is_refused(tmp_path):
    write_kitti(tmp_path, poses="")
    path = tmp_path / "detector_Car" / "0000.txt"
    path.write_text("9" * 12 + path.read_text()[1:])
    refused("clock", tmp_path)


def test_result_files_are_read_with_their_score_and_without(tmp_path):
    write_kitti(tmp_path)
    lines = [line for line in small.label_lines() if "DontCare" not in line]
    plain = write_lines(tmp_path / "plain" / "0000.txt", lines)
    scored = write_lines(tmp_path / "scored" / "0000.txt", [f"{line} 0.25" for line in lines])
    one, other = read_one(plain), read_one(scored)
    assert set(one.detections.score) == {1.0}
    assert set(other.detections.score) == {0.25}
    assert set(one.labels) == {"Van", "Car", "Pedestrian"}
    np.testing.assert_array_equal(one.detections.box, other.detections.box)


def test_labels_count_as_detections_only_where_they_are_named(tmp_path):
    write_kitti(tmp_path)
    assert len(read_one(tmp_path).detections) == 3 * small.STEPS
    assert len(read_one(tmp_path / "label_02").detections) == 3 * small.STEPS
    assert set(read_one(tmp_path / "label_02").detections.score) == {1.0}


def test_logs_may_lie_elsewhere(tmp_path):
    write_kitti(tmp_path / "data")
    (tmp_path / "data" / "detector_Car").rename(tmp_path / "elsewhere")
    log = read_one(tmp_path / "elsewhere", logs=tmp_path / "data")
    assert len(log.detections) == 2 * small.STEPS
    error = refused("missing-file", tmp_path / "elsewhere")
    assert "logs" in error.remedy


def test_a_sequence_without_detections_of_a_class_has_an_empty_file(tmp_path):
    write_kitti(tmp_path)
    (tmp_path / "detector_Car" / "0000.txt").write_text("")
    (tmp_path / "detector_Pedestrian" / "0000.txt").write_text("\n")
    log = read_one(tmp_path / "detector_Car", tmp_path / "detector_Pedestrian", format="kitti")
    assert len(log.detections) == 0
    assert log.scene.clock.steps == small.STEPS


def test_shuffled_rows_give_the_same_detections(tmp_path):
    write_kitti(tmp_path)
    expected = read_one(tmp_path)
    path = tmp_path / "detector_Car" / "0000.txt"
    lines = path.read_text().splitlines()
    np.random.default_rng(0).shuffle(lines)
    write_lines(path, lines)
    log = read_one(tmp_path)
    np.testing.assert_array_equal(log.detections.box, expected.detections.box)
    np.testing.assert_array_equal(log.detections.image_box, expected.detections.image_box)


def test_rows_that_are_no_boxes_repeat_or_lie_outside_are_counted(tmp_path):
    write_kitti(tmp_path)
    path = tmp_path / "detector_Car" / "0000.txt"
    lines = path.read_text().splitlines()
    cells = [line.split(",") for line in lines]
    cells[0][11], cells[1][8], cells[2][6] = "nan", "-1", "inf"
    cells[3][0], cells[4][0] = "40", "-1"
    write_lines(path, [",".join(row) for row in [*cells, cells[5]]])
    log = read_one(tmp_path)
    assert dataclasses.astuple(log.rejects) == (3, 1, 2)
    assert len(log.detections) == 3 * small.STEPS - 5
    assert len(log.labels) == len(log.detections)


@pytest.mark.parametrize(
    ("code", "before", "after", "place"),
    [
        ("column", ",0.1\n", "\n", "0000.txt, line 1"),
        ("column", ",0.1\n", ",0.1,7\n", "0000.txt, line 1"),
        ("value", ",20,", ",twenty,", "0000.txt"),
        ("label", "0,2,", "0,4,", "0000.txt, line 1"),
        ("value", "0,2,", "0.5,2,", "0000.txt, line 1"),
        ("value", "0,2,", "nan,2,", "0000.txt, line 1"),
    ],
)
def test_malformed_rows_are_refused_with_their_place(tmp_path, code, before, after, place):
    write_kitti(tmp_path)
    edit(tmp_path / "detector_Car" / "0000.txt", before, after)
    assert place in refused(code, tmp_path, format="kitti").where


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = write_kitti(tmp_path) / "detector_Car" / "0000.txt"
    path.write_text(path.read_text()[:-20])
    assert "line 80" in refused("column", tmp_path).where


def test_an_unknown_class_in_results_is_refused(tmp_path):
    write_kitti(tmp_path)
    lines = [line.replace("Van", "Lorry") for line in small.label_lines()]
    path = write_lines(tmp_path / "results" / "0000.txt", lines)
    assert "line 2" in refused("label", path, format="kitti").where


def test_two_detectors_at_once_are_refused(tmp_path):
    write_kitti(tmp_path)
    write_lines(tmp_path / "another_Car" / "0000.txt", kitti_rows()["Car"])
    error = refused("duplicate", tmp_path)
    assert "'Car'" in error.what


def test_two_roots_with_a_sequence_of_one_name_are_refused(tmp_path):
    write_kitti(tmp_path / "one")
    write_kitti(tmp_path / "other")
    with pytest.raises(InputError, match="twice") as caught:
        find_detections([tmp_path])
    assert caught.value.code == "duplicate"


@pytest.mark.parametrize(
    ("focal", "right", "bottom", "size"),
    [
        (721.5377, 3.0, 4.0, (1242, 375)),
        (707.0493, 3.0, 4.0, (1224, 370)),
        (700.0, 1223.0, 369.0, (1224, 370)),
        (700.0, 1223.5, 369.0, (1238, 374)),
        (700.0, 1240.0, 375.0, (1241, 376)),
        (700.0, 1241.0, 300.0, (1242, 375)),
        (700.0, 2000.5, 999.0, (2002, 1000)),
    ],
)
def test_without_images_the_size_follows_from_the_calibration_or_the_2d_boxes(
    tmp_path, focal, right, bottom, size
):
    write_kitti(tmp_path)
    calib = tmp_path / "calib" / "0000.txt"
    calib.write_text(calib.read_text().replace("7.000000000000e+02", f"{focal:.12e}"))
    path = tmp_path / "detector_Pedestrian" / "0000.txt"
    edit(path, ",10,20,30,40,", f",10,20,{right},{bottom},")
    cameras = {camera.name: camera for camera in read_one(tmp_path).scene.cameras}
    assert set(cameras) == {"image_00", "image_02"}
    assert (cameras["image_02"].width_px, cameras["image_02"].height_px) == size
    assert cameras["image_02"].intrinsics[0, 0] == pytest.approx(focal)


def test_images_tell_their_size(tmp_path):
    write_kitti(tmp_path)
    small.write_png(tmp_path / "image_02" / "0000" / "000000.png", 12, 5)
    sizes = {c.name: (c.width_px, c.height_px) for c in read_one(tmp_path).scene.cameras}
    assert sizes == {"image_00": (12, 5), "image_02": (12, 5)}


def test_boxes_go_to_the_camera_and_back_unchanged():
    rng = np.random.default_rng(1)
    count = 200
    pose = SE3.from_euler(
        roll=rng.normal(0, 0.05, count),
        pitch=rng.normal(0, 0.05, count),
        yaw=rng.uniform(-3, 3, count),
        translation=rng.normal(0, 100, (count, 3)),
    )
    world_from_camera = pose @ kitti.NOMINAL_EGO_FROM_CAMERA
    bottom, turn = rng.normal(0, 30, (count, 3)), rng.uniform(-np.pi, np.pi, count)
    size = rng.uniform(0.5, 5, (count, 3))
    boxes = kitti_sequence.boxes_in_world(bottom, turn, size, world_from_camera)
    again_bottom, again_turn = kitti_sequence.boxes_in_camera(boxes, world_from_camera)
    np.testing.assert_allclose(again_bottom, bottom, atol=1e-9)
    np.testing.assert_allclose(np.cos(again_turn - turn), 1.0, atol=1e-12)


def test_sources_can_be_sent_to_another_process(tmp_path):
    (source,) = find_detections([write_kitti(tmp_path)])
    assert pickle.loads(pickle.dumps(source)) == source
    assert {path.name for path in source.files} == {"0000.txt"}
    assert len(source.files) == 4  # two classes, calibration, poses


@pytest.mark.data
def test_all_real_sequences_are_found_and_read_in_a_few_seconds(data_root):
    start = time.perf_counter()
    sources = find_detections([data_root / "kitti_tracking"])
    logs = [read_detections(source) for source in sources]
    # Well under a second without the run-time type checks of the tests, on a machine at rest.
    assert time.perf_counter() - start < 10
    assert len(logs) == 14
    assert sum(len(log.detections) for log in logs) == 47790
    assert all(log.rejects.total == 0 for log in logs)
    assert all(len(log.scene.agents) == 1 for log in logs)
