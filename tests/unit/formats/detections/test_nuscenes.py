import dataclasses
import json

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.detections import (
    find_detections,
    join_tracks,
    read_detections,
    write_tracks,
)
from kerbstone.formats.nuscenes import EGO_LABEL
from kerbstone.scene import BoxIndex, Kind
from small import nuscenes as small
from small.detections import assert_same_boxes, label_scene

META = {"use_camera": False, "use_lidar": True}


def box(scene, number, name, detection_name, **changes):
    time = small.sample_times_us()[number] - small.START_US
    x, y, z, yaw = small.position(name, time / 1e6)
    return {
        "sample_token": f"{scene}-sample-{number}",
        "translation": [x, y, z],
        "size": small.SIZES[name],
        "rotation": small.quaternion(yaw),
        "velocity": [1.0, 0.0],
        "detection_name": detection_name,
        "detection_score": 0.5 + 0.01 * number,
        "attribute_name": "",
        **changes,
    }


def results(scenes=("scene-0061", "scene-0103")):
    found = {}
    for scene in scenes:
        for number in range(small.SAMPLES):
            found[f"{scene}-sample-{number}"] = [
                box(scene, number, "car", "car"),
                box(scene, number, "ridden", "bicycle", attribute_name="cycle.with_rider"),
                box(scene, number, "parked", "bicycle", attribute_name="cycle.without_rider"),
            ]
    return {"meta": META, "results": found}


@pytest.fixture
def root(tmp_path):
    small.write_release(tmp_path / "release")
    (tmp_path / "results.json").write_text(json.dumps(results()))
    return tmp_path


def find(root, **options):
    return find_detections([root / "results.json"], logs=root / "release", **options)


def rewrite(root, change):
    content = results()
    change(content["results"])
    (root / "results.json").write_text(json.dumps(content))


def read_all_of(root, **options):
    return [read_detections(source) for source in find(root, **options)]


def refused(code, root, **options):
    with pytest.raises(InputError) as caught:
        read_all_of(root, **options)
    assert caught.value.code == code
    return caught.value


def test_a_file_is_split_into_its_scenes(root):
    sources = find(root)
    assert [s.name for s in sources] == [
        "nuscenes/v1.0-mini/scene-0061",
        "nuscenes/v1.0-mini/scene-0103",
    ]
    for source in sources:
        log = read_detections(source)
        assert (log.name, log.scene.id) == (source.name, source.name)
        assert len(log.detections) == 3 * small.SAMPLES
        np.testing.assert_array_equal(np.bincount(log.detections.step), [3] * small.SAMPLES)


def test_boxes_are_where_the_file_has_them(root):
    log = read_detections(find(root)[0])
    found = log.detections
    cars = found.box[found.kind == Kind.CAR]
    times = (small.sample_times_us() - small.START_US) / 1e6
    expected = np.array([small.position("car", t) for t in times])
    np.testing.assert_allclose(cars[:, :4], expected, atol=1e-9)
    width, length, height = small.SIZES["car"]
    np.testing.assert_allclose(cars[:, BoxIndex.LENGTH :], [[length, width, height]] * len(cars))
    np.testing.assert_allclose(found.score[found.kind == Kind.CAR], 0.5 + 0.01 * np.arange(9))


def test_a_bicycle_nobody_rides_is_no_cyclist(root):
    found = read_detections(find(root)[0])
    assert set(found.labels[found.detections.kind == Kind.BICYCLE]) == {"bicycle"}
    parked = found.detections.box[found.detections.kind == Kind.BICYCLE]
    np.testing.assert_allclose(parked[:, :2], [small.position("parked", 0.0)[:2]] * len(parked))
    assert (found.detections.kind == Kind.CYCLIST).sum() == small.SAMPLES


def test_annotated_road_users_are_left_out_of_the_scene(root):
    scene = read_detections(find(root)[0]).scene.check()
    assert (scene.ego, scene.agents.label) == (0, (EGO_LABEL,))
    assert scene.map is not None
    assert scene.ego_poses is not None
    assert {camera.name for camera in scene.cameras} == {"CAM_FRONT"}
    assert scene.source.extra["sample_tokens"][3] == "scene-0061-sample-3"


def test_tables_are_found_beside_the_file(root):
    (root / "results.json").rename(root / "release" / "results.json")
    assert len(find_detections([root / "release"])) == 2


def test_without_tables_it_is_refused(root):
    with pytest.raises(InputError, match="no nuScenes tables"):
        find_detections([root / "results.json"], logs=root / "release" / "maps")


def test_unknown_samples_and_classes_are_refused(root):
    rewrite(root, lambda found: found.update({"sample-of-elsewhere": []}))
    assert "sample-of-elsewhere" in refused("reference", root).what
    rewrite(root, lambda found: found["scene-0103-sample-2"][1].update(detection_name="tram"))
    assert "results.json, box" in refused("label", root).where


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("column", lambda one: one.pop("size")),
        ("column", lambda one: one.pop("detection_score")),
        ("value", lambda one: one.update(size=[1.0, 2.0])),
        ("value", lambda one: one.update(translation=["1", "2", "3"])),
        ("value", lambda one: one.update(detection_score=None)),
        ("value", lambda one: one.update(detection_name=3)),
    ],
)
def test_malformed_boxes_are_refused_with_their_place(root, code, change):
    rewrite(root, lambda found: change(found["scene-0061-sample-1"][0]))
    assert "results.json, box 3" in refused(code, root).where


def test_files_that_are_no_results_are_refused(root):
    path = root / "results.json"
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    refused("truncated", root)
    path.write_text('{"meta": {}, "results": [1]}')
    refused("syntax", root)
    path.write_text('{"meta": {}, "results": {"scene-0061-sample-1": {"a": 1}}}')
    refused("syntax", root)
    path.write_text("[]")
    assert refused("format-unknown", root).where == str(path)
    refused("syntax", root, format="nuscenes")


def test_what_is_no_box_is_counted(root):
    def spoil(found):
        boxes = found["scene-0061-sample-1"]
        boxes[0]["translation"] = [float("nan"), 0.0, 0.0]
        boxes[1]["rotation"] = [0.0, 0.0, 0.0, 0.0]
        boxes[2]["size"] = [0.0, 1.0, 1.0]
        found["scene-0061-sample-2"].append(dict(found["scene-0061-sample-2"][0]))

    rewrite(root, spoil)
    log = read_detections(find(root)[0])
    assert dataclasses.astuple(log.rejects) == (3, 1, 0)
    assert len(log.detections) == 3 * small.SAMPLES - 3


def test_two_files_of_one_scene_are_joined(root):
    content = results(("scene-0061",))
    for sample in content["results"].values():
        sample[:] = [one | {"detection_name": "truck"} for one in sample[:1]]
    (root / "more.json").write_text(json.dumps(content))
    sources = find_detections([root / "results.json", root / "more.json"], logs=root / "release")
    log = read_detections(sources[0])
    assert len(sources) == 2
    assert len(log.detections) == 4 * small.SAMPLES
    assert (log.detections.kind == Kind.TRUCK).sum() == small.SAMPLES


def test_tracks_come_back_as_they_were(root, tmp_path):
    files = []
    logs = [read_detections(source) for source in find(root)]
    for log in logs:
        files += write_tracks(*label_scene(log), tmp_path / "out", format="nuscenes")
    join_tracks(files, tmp_path / "tracks.json", format="nuscenes")
    back = find_detections([tmp_path / "tracks.json"], logs=root / "release")
    for source, log in zip(back, logs, strict=True):
        found = read_detections(source).detections
        # The challenge has one class for bicycles, ridden or not.
        kind = np.where(log.detections.kind == Kind.BICYCLE, Kind.CYCLIST, log.detections.kind)
        assert_same_boxes(
            found, dataclasses.replace(log.detections, kind=kind.astype(np.uint8)), atol=1e-6
        )


def test_a_result_file_is_what_the_challenge_reads(root, tmp_path):
    log = read_detections(find(root)[0])
    (path,) = write_tracks(*label_scene(log), tmp_path / "out", format="nuscenes")
    assert path.name == "scene-0061.json"
    content = json.loads(path.read_text())
    assert content["meta"]["use_lidar"] is True
    assert set(content["meta"].values()) == {True, False}
    assert set(content["results"]) == {f"scene-0061-sample-{i}" for i in range(small.SAMPLES)}
    one = content["results"]["scene-0061-sample-4"][0]
    assert set(one) == {
        "sample_token",
        "translation",
        "size",
        "rotation",
        "velocity",
        "tracking_id",
        "tracking_name",
        "tracking_score",
    }
    assert one["sample_token"].endswith("sample-4")
    assert one["velocity"] == [1.5, -0.5]
    assert np.linalg.norm(one["rotation"]) == pytest.approx(1.0)


def test_what_is_not_tracked_in_the_challenge_is_not_written(root, tmp_path):
    rewrite(
        root,
        lambda found: [
            one.update(detection_name=name, attribute_name="")
            for boxes in found.values()
            for one, name in zip(
                boxes, ("construction_vehicle", "traffic_cone", "bus"), strict=True
            )
        ],
    )
    log = read_detections(find(root)[0])
    (path,) = write_tracks(*label_scene(log), tmp_path / "out", format="nuscenes")
    written = json.loads(path.read_text())["results"].values()
    assert {one["tracking_name"] for boxes in written for one in boxes} == {"bus"}


def test_of_too_many_boxes_the_surest_are_written(root, tmp_path):
    def crowd(found):
        found["scene-0061-sample-0"] = [
            box("scene-0061", 0, "car", "car", translation=[float(i), 0.0, 0.0], detection_score=i)
            for i in range(600)
        ]

    rewrite(root, crowd)
    log = read_detections(find(root)[0])
    (path,) = write_tracks(*label_scene(log), tmp_path / "out", format="nuscenes")
    boxes = json.loads(path.read_text())["results"]["scene-0061-sample-0"]
    assert [one["tracking_score"] for one in boxes] == list(range(599, 99, -1))


def test_files_of_one_scene_are_not_joined(root, tmp_path):
    log = read_detections(find(root)[0])
    files = write_tracks(*label_scene(log), tmp_path / "out", format="nuscenes")
    with pytest.raises(InputError) as caught:
        join_tracks(files * 2, tmp_path / "tracks.json", format="nuscenes")
    assert caught.value.code == "duplicate"
    assert not (tmp_path / "tracks.json").exists()


def test_a_scene_that_does_not_know_its_samples_is_refused(root, tmp_path):
    scene, score = label_scene(read_detections(find(root)[0]))
    source = dataclasses.replace(scene.source, extra={})
    with pytest.raises(InputError, match="samples"):
        write_tracks(
            dataclasses.replace(scene, source=source), score, tmp_path, format="nuscenes"
        )  # fmt: skip
