import contextlib
import io
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from kerbstone.errors import InputError, UsageError
from kerbstone.formats.detections import (
    find_detections,
    image_boxes,
    read_detections,
    write_tracks,
)
from kerbstone.formats.detections.kitti_rows import read_rows
from kerbstone.formats.kitti_tracking import KittiTracking
from kerbstone.scene import Kind
from laws.format_laws import read_all
from small import kitti as small
from small.detections import assert_same_boxes, label_scene, write_kitti


@pytest.fixture
def log(tmp_path):
    (source,) = find_detections([write_kitti(tmp_path / "data")])
    return read_detections(source)


def with_kinds(scene, *, labels=None, kind=None):
    agents = scene.agents
    changes = {
        "label": labels if labels is not None else agents.label,
        "kind": agents.kind if kind is None else np.full(len(agents), kind, np.uint8),
    }
    return replace(scene, agents=replace(agents, **changes))


def test_tracks_that_are_read_back_are_where_the_detections_were(tmp_path, log):
    (path,) = write_tracks(*label_scene(log), tmp_path / "out", format="kitti")
    assert path == tmp_path / "out" / "0000.txt"
    (source,) = find_detections([path], logs=tmp_path / "data")
    back = read_detections(source)
    places = (np.column_stack([1e3 * d.step, d.box]) for d in (back.detections, log.detections))
    near = cKDTree(next(places)).query(next(places))[0] < 1e-4
    assert_same_boxes(back.detections, log.detections.select(near))
    # What has passed the camera is not in its image, and so not in the file.
    lost = log.detections.select(~near)
    lens = next(c for c in log.scene.cameras if c.name == "image_02")
    pose = log.scene.ego_poses.world_from_ego[lost.step]
    assert 0 < len(lost) < len(log.detections) / 2
    assert np.isnan(image_boxes(lost.box, pose, lens)).all()


def test_boxes_behind_the_camera_are_not_written(tmp_path, log):
    scene, score = label_scene(log)
    scene.agents.centre[0, log.detections.step[0]] -= [100.0, 0.0, 0.0]
    (path,) = write_tracks(scene, score, tmp_path, format="kitti")
    tracks = [line.split()[1] for line in path.read_text().splitlines()]
    assert "1" not in tracks
    assert "2" in tracks


def test_rows_are_by_frame_and_tell_the_label_file_again(tmp_path):
    write_kitti(tmp_path)
    scene = read_all(tmp_path, KittiTracking())[0]
    (source,) = find_detections([tmp_path])
    scene = replace(scene, cameras=read_detections(source).scene.cameras)
    score = np.ones(scene.agents.valid.shape)
    (path,) = write_tracks(scene, score, tmp_path / "out", format="kitti")
    truth = {tuple(row[:3]): row for row in map(str.split, small.label_lines())}
    frames = []
    for line in path.read_text().splitlines():
        row = line.split()
        assert len(row) == 18
        frames.append(int(row[0]))
        expected = np.array(truth[tuple(row[:3])][10:], float)
        np.testing.assert_allclose(np.array(row[10:17], float), expected, atol=1e-5)
        alpha, (x, _, z), turn = float(row[5]), expected[3:6], expected[6]
        assert np.cos(alpha - (turn - np.arctan2(x, z))) == pytest.approx(1.0)
        assert -np.pi <= alpha <= np.pi
    assert frames == sorted(frames)


def test_2d_boxes_are_in_the_image_and_around_the_projected_corners(tmp_path, log):
    (path,) = write_tracks(*label_scene(log), tmp_path, format="kitti")
    rows = read_rows(path)
    lens = next(c for c in log.scene.cameras if c.name == "image_02")
    edge = np.array([lens.width_px, lens.height_px] * 2) - 1
    assert ((rows.image_box >= 0) & (rows.image_box <= edge)).all()
    offset = small.INTRINSICS @ -small.BASELINE
    for row in range(0, len(rows.frame), 7):
        length, width, height = rows.size[row]
        cos, sin = np.cos(rows.turn[row]), np.sin(rows.turn[row])
        corners = np.array(
            [
                [cos * a + sin * b, -c, cos * b - sin * a]
                for a in (-length / 2, length / 2)
                for b in (-width / 2, width / 2)
                for c in (0, height)
            ]
        )
        seen = (corners + rows.bottom_camera[row]) @ small.INTRINSICS.T + offset
        if (seen[:, 2] < 1).any():
            continue
        pixels = seen[:, :2] / seen[:, 2:]
        box = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
        if not ((box >= 0) & (box <= edge)).all():
            continue
        if rows.label[row] == "Pedestrian":
            # A person fills the ellipse in the floor of the box, not its corners.
            left, _, right, _ = rows.image_box[row]
            assert box[0] - 1 < left < right < box[2] + 1
            assert right - left > 0.6 * (box[2] - box[0])
        else:
            np.testing.assert_allclose(rows.image_box[row], box, atol=1e-3)


def test_classes_are_named_by_the_label_or_else_after_the_kind(tmp_path, log):
    scene, score = label_scene(log)
    labels = ("Van",) * (len(scene.agents) - 1) + ("ego",)
    (path,) = write_tracks(with_kinds(scene, labels=labels), score, tmp_path, format="kitti")
    assert set(read_rows(path).label) == {"Van"}
    labels = ("something",) * len(scene.agents)
    for kind, name in ((Kind.BUS, "Truck"), (Kind.CYCLIST, "Cyclist"), (Kind.ANIMAL, "Misc")):
        changed = with_kinds(scene, labels=labels, kind=kind)
        (path,) = write_tracks(changed, score, tmp_path, format="kitti")
        assert set(read_rows(path).label) == {name}


def test_a_folder_per_class_has_the_same_rows(tmp_path, log):
    scene, score = label_scene(log)
    (whole,) = write_tracks(scene, score, tmp_path, format="kitti")
    parts = write_tracks(scene, score, tmp_path, format="kitti", classes=True)
    assert [p.parent.name for p in parts] == ["Car", "Pedestrian", "Cyclist"]
    assert parts[2].read_text() == ""
    joined = sorted(line for part in parts for line in part.read_text().splitlines())
    assert joined == sorted(whole.read_text().splitlines())


def test_ids_that_are_no_numbers_become_numbers(tmp_path, log):
    scene, score = label_scene(log)
    ids = tuple(f"track {name}" for name in scene.agents.ids)
    scene = replace(scene, agents=replace(scene.agents, ids=ids))
    (path,) = write_tracks(scene, score, tmp_path, format="kitti")
    tracks = [line.split()[1] for line in path.read_text().splitlines()]
    assert all(track.isdecimal() for track in tracks)
    assert len(set(tracks)) == len(tracks)


def test_a_sequence_without_tracks_has_an_empty_file(tmp_path, log):
    score = np.full((1, small.STEPS), np.nan)
    (path,) = write_tracks(log.scene, score, tmp_path, format="kitti")
    assert path.read_text() == ""


def test_scenes_that_are_not_kittis_are_refused(tmp_path, log):
    scene, score = label_scene(log)
    with pytest.raises(InputError, match="image_00"):
        write_tracks(replace(scene, cameras=()), score, tmp_path, format="kitti")
    with pytest.raises(InputError, match="poses"):
        write_tracks(replace(scene, ego_poses=None), score, tmp_path, format="kitti")
    assert not list(tmp_path.glob("*.txt"))


def test_what_is_not_known_is_refused_with_its_place(tmp_path, log):
    scene, score = label_scene(log)
    score[4, log.detections.step[4]] = np.nan
    with pytest.raises(InputError, match="score") as caught:
        write_tracks(scene, score, tmp_path, format="kitti")
    assert "agent '5'" in caught.value.where
    with pytest.raises(InputError, match="scores do not fit"):
        write_tracks(scene, score[:-1], tmp_path, format="kitti")


def test_unknown_formats_and_layouts_are_refused(tmp_path, log):
    with pytest.raises(UsageError, match="ktti") as caught:
        write_tracks(*label_scene(log), tmp_path, format="ktti")
    assert "'kitti'" in caught.value.remedy
    with pytest.raises(UsageError, match="per class"):
        write_tracks(*label_scene(log), tmp_path, format="av2", classes=True)


def test_a_folder_that_cannot_be_written_is_told(tmp_path, log):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        write_tracks(*label_scene(log), tmp_path / "file" / "out", format="kitti")
    assert caught.value.code == "output"


@pytest.mark.data
@pytest.mark.parametrize("sequence", ["0001", "0018"])
def test_real_detections_come_back_from_the_file(data_root, tmp_path, sequence):
    root = data_root / "kitti_tracking"
    (source,) = find_detections(sorted(root.glob(f"pointrcnn_*/{sequence}.txt")))
    log = read_detections(source)
    (path,) = write_tracks(*label_scene(log), tmp_path, format="kitti")
    (source,) = find_detections([path], logs=root)
    back = read_detections(source)
    assert_same_boxes(back.detections, log.detections)
    off = np.abs(back.detections.image_box - log.detections.image_box).max(axis=1)
    # The detector projects the same way but for what is cut off at the edges of the image, and
    # for people, who are shown as round.
    assert np.quantile(off[log.detections.kind != Kind.PEDESTRIAN], 0.9) < 0.1


@pytest.mark.data
def test_trackeval_finds_written_truth_all_but_perfect(data_root, tmp_path):
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        trackeval = pytest.importorskip("trackeval", reason="TrackEval is not installed")
    root, sequence = data_root / "kitti_tracking", "0012"
    (source,) = find_detections([root / "label_02" / f"{sequence}.txt"])
    scene = read_all(root / "label_02" / f"{sequence}.txt", KittiTracking())[0]
    scene = replace(scene, cameras=read_detections(source).scene.cameras)
    truth = tmp_path / "truth"
    (truth / "label_02").mkdir(parents=True)
    (truth / "label_02" / f"{sequence}.txt").write_text(
        (root / "label_02" / f"{sequence}.txt").read_text()
    )
    (truth / "evaluate_tracking.seqmap.training").write_text(
        f"{sequence} empty 000000 {scene.clock.steps:06}\n"
    )
    score = np.ones(scene.agents.valid.shape)
    write_tracks(scene, score, tmp_path / "tracks" / "ours" / "data", format="kitti")
    dataset = trackeval.datasets.Kitti2DBox(
        {
            "GT_FOLDER": str(truth),
            "TRACKERS_FOLDER": str(tmp_path / "tracks"),
            "CLASSES_TO_EVAL": ["car"],
            "PRINT_CONFIG": False,
        }
    )
    raw = dataset.get_raw_seq_data("ours", sequence)
    found = dataset.get_preprocessed_seq_data(raw, "car")
    hota = trackeval.metrics.HOTA().eval_sequence(found)
    assert hota["AssA"].mean() > 0.95
    assert hota["DetRe"].mean() > 0.95
