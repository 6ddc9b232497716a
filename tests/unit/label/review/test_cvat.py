import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.label.labels import Provenance
from kerbstone.label.review import Action, export_review, import_review
from kerbstone.label.review.cvat import CvatReview
from kerbstone.scene import SE3, Kind, Lidar, points_in_boxes
from small.review_tools import CvatTool


@pytest.fixture
def tool(labels, tmp_path):
    export_review(labels, tmp_path)
    return CvatTool(tmp_path)


def read(path, labels, profile):
    return import_review(labels, path, format="cvat", profile=profile)


def refuses(code, tool, labels, profile):
    with pytest.raises(InputError) as caught:
        read(tool.save(), labels, profile)
    assert caught.value.code == code, str(caught.value)
    return caught.value


def cuboid(label, position, **attributes):
    return {
        "id": 99,
        "type": "cuboid_3d",
        "attributes": {"agent": "", "reviewed": False, "occluded": False, **attributes},
        "group": 0,
        "label_id": label,
        "position": position,
        "rotation": [0.0, 0.0, 0.1],
        "scale": [8.0, 2.5, 3.0],
    }


def test_cuboids_stand_in_the_ego_frame_of_their_step(labels, tmp_path):
    export_review(labels, tmp_path)
    with zipfile.ZipFile(tmp_path / "annotations.zip") as archive:
        content = json.loads(archive.read("annotations/default.json"))
    item = content["items"][30]
    assert item["id"] == "000030"
    assert item["attr"] == {"frame": 30}
    poses = labels.scene.ego_poses
    pose = SE3(poses.rotation[30], poses.translation[30])
    for each in item["annotations"]:
        agent = labels.ids.index(each["attributes"]["agent"])
        cell = np.flatnonzero((labels.agent == agent) & (labels.step == 30))[0]
        position = np.array(each["position"])
        np.testing.assert_allclose(pose @ position, labels.place[cell], atol=1e-9)
        turn = SE3.from_yaw(np.array(each["rotation"][2]), position)
        ahead = pose.rotate(turn.rotate(np.array([1.0, 0.0, 0.0])))
        heading = labels.heading[cell]
        np.testing.assert_allclose(ahead[:2], [np.cos(heading), np.sin(heading)], atol=2e-3)
        assert each["scale"] == labels.size[agent].tolist()
        names = [label["name"] for label in content["categories"]["label"]["labels"]]
        assert names[each["label_id"]] == Kind(int(labels.kind[agent])).name.lower()


def test_the_task_s_labels_declare_what_the_round_trip_needs(labels, tmp_path):
    export_review(labels, tmp_path)
    listed = json.loads((tmp_path / "labels.json").read_text())
    assert [each["name"] for each in listed] == [kind.name.lower() for kind in Kind]
    for each in listed:
        declared = {a["name"]: a["default_value"] for a in each["attributes"]}
        assert set(declared) == {"agent", "review", "reviewed"}
        assert declared["review"].endswith(" made-up/0007")


def test_a_task_without_these_labels_is_refused_with_what_to_do(tool, labels, profile):
    for item in tool.content["items"]:
        for each in item["annotations"]:
            del each["attributes"]["review"]
    error = refuses("reference", tool, labels, profile)
    assert "labels.json" in error.remedy


def test_a_track_drawn_new_gets_a_name_and_is_filled(tool, labels, profile):
    identity = tool.find("1", 10)["attributes"]["review"]
    for step in range(10, 31):
        given = {"review": identity, "track_id": 4, "keyframe": step in (10, 20, 30)}
        place = [20.0 + 0.01 * step, 9.0 if given["keyframe"] else -99.0, 1.0]
        tool.items(step)["annotations"].append(cuboid(int(Kind.TRUCK), place, **given))
    back, report = read(tool.save(), labels, profile)
    assert back.ids == (*labels.ids, "5")
    assert back.kind[-1] == Kind.TRUCK
    mine = back.agent == 4
    assert back.step[mine].tolist() == list(range(10, 31))
    reviewed = back.provenance[mine] == Provenance.REVIEWED
    assert np.flatnonzero(reviewed).tolist() == [0, 10, 20]
    # It goes along with the car; what the tool had between its keys counts for nothing.
    ahead = back.place[mine] - labels.scene.agents.centre[0, 10:31]
    np.testing.assert_allclose(ahead[:, 1], 9.0, atol=0.5)
    assert (report.tracks_new, report.placed, report.filled) == (1, 3, 18)


def test_single_shapes_are_tracks_of_their_own(tool, labels, profile):
    identity = tool.find("1", 10)["attributes"]["review"]
    # Without a track CVAT tells the attribute's default, and no key.
    for y in (9.0, 14.0):
        place = [20.0, y, 1.0]
        tool.items(10)["annotations"].append(cuboid(9, place, review=identity, track_id=0.0))
    back, report = read(tool.save(), labels, profile)
    assert report.tracks_new == 2
    assert np.bincount(back.agent)[4:].tolist() == [1, 1]


def test_a_key_that_was_given_up_to_the_tool_stays_as_it_was(tool, labels, profile):
    tool.find("1", 20)["attributes"]["keyframe"] = False
    tool.find("1", 20)["position"][1] += 3.0
    back, report = read(tool.save(), labels, profile)
    assert back is labels
    assert report.edits == ()


def test_only_what_was_changed_of_a_box_changes(tool, labels, profile):
    tool.find("3", 20)["rotation"][2] += 0.2
    back, _ = read(tool.save(), labels, profile)
    cell = np.flatnonzero((labels.agent == 2) & (labels.step == 20))[0]
    np.testing.assert_array_equal(back.place[cell], labels.place[cell])
    np.testing.assert_array_equal(back.size, labels.size)
    turn = np.angle(np.exp(1j * (back.heading[cell] - labels.heading[cell])))
    assert turn == pytest.approx(0.2, abs=0.006)


@pytest.mark.parametrize("name", ["000060", "-1", "frame", "", "9" * 30, "../000001"])
def test_a_frame_that_is_no_step_of_the_log_is_refused(tool, labels, profile, name):
    tool.content["items"][7]["id"] = name
    if name == "../000001":
        refuses("duplicate", tool, labels, profile)
    else:
        refuses("reference", tool, labels, profile)


def test_a_label_that_is_not_listed_is_refused(tool, labels, profile):
    tool.find("1", 20)["label_id"] = 57
    refuses("reference", tool, labels, profile)


def test_a_class_that_is_no_kind_is_refused_with_its_nearest(tool, labels, profile):
    tool.content["categories"]["label"]["labels"].append({"name": "truk", "parent": ""})
    tool.find("1", 20)["label_id"] = len(Kind)
    error = refuses("label", tool, labels, profile)
    assert "did you mean 'truck'" in error.remedy


def test_a_track_of_two_new_classes_is_refused(tool, labels, profile):
    tool.find("1", 20)["label_id"] = int(Kind.TRUCK)
    tool.find("1", 21)["label_id"] = int(Kind.BUS)
    refuses("value", tool, labels, profile)


def test_a_file_without_cuboids_says_of_nobody(tool, labels, profile):
    for item in tool.content["items"]:
        item["annotations"] = []
    refuses("empty", tool, labels, profile)


def test_a_newer_version_is_refused(tool, labels, profile):
    told = tool.find("1", 20)["attributes"]
    told["review"] = told["review"].replace("/1 ", "/2 ")
    assert "newer version" in refuses("reference", tool, labels, profile).what
    told["review"] = "something else"
    refuses("reference", tool, labels, profile)


@pytest.mark.parametrize(
    "content",
    ["[]", "{}", '{"items": []}', '{"categories": {"label": {"labels": {}}}, "items": 1}', "7"],
)
def test_other_json_is_refused(labels, tmp_path, profile, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read(path, labels, profile)
    assert caught.value.code in ("column", "syntax")


def test_without_poses_cuboids_stand_in_the_world(labels, tmp_path, profile):
    still = replace(labels, scene=replace(labels.scene, ego_poses=None))
    export_review(still, tmp_path)
    tool = CvatTool(tmp_path)
    at = tool.find("1", 20)["position"]
    cell = np.flatnonzero((labels.agent == 0) & (labels.step == 20))[0]
    np.testing.assert_allclose(at, labels.place[cell], atol=0.006)
    tool.move("1", 20, 1.0)
    back, _ = read(tool.save(), still, profile)
    assert back.place[cell, 0] - labels.place[cell, 0] == pytest.approx(1.0, abs=0.011)


def test_sweeps_go_with_the_task_and_lie_in_their_cuboids(labels, tmp_path):
    """Points inside a labelled box, measured by a lidar that is askew, at another time."""
    scene = labels.scene
    cell = np.flatnonzero((labels.agent == 1) & (labels.step == 3))[0]
    ego_from_lidar = SE3.from_euler(
        roll=0.01, pitch=0.02, yaw=0.5, translation=np.array([1.0, 0.2, 1.5])
    )
    time = int(scene.clock.times_ns[3]) + 20_000_000
    world_from_lidar = scene.ego_poses.at(np.array([time]))[0] @ ego_from_lidar
    offset = np.random.default_rng(1).uniform(-0.3, 0.3, (50, 3))
    points = world_from_lidar.inverse() @ (labels.place[cell] + offset)
    sweep = np.column_stack([points, np.zeros(50)]).astype("<f4")
    (tmp_path / "0003.bin").write_bytes(sweep.tobytes())
    lidar = Lidar("top", ("0003.bin",), np.array([time]), ego_from_lidar.matrix())
    source = replace(scene.source, path=str(tmp_path))
    with_sweeps = replace(labels, scene=replace(scene, lidars=(lidar,), source=source))
    paths = export_review(with_sweeps, tmp_path / "out")
    assert [path.name for path in paths][2] == "points.zip"
    with zipfile.ZipFile(tmp_path / "out" / "points.zip") as archive:
        assert archive.namelist() == ["pointcloud/000003.pcd"]
        head, _, data = archive.read("pointcloud/000003.pcd").partition(b"DATA binary\n")
    assert b"POINTS 50\n" in head
    found = np.frombuffer(data, "<f4").reshape(-1, 3).astype(np.float64)
    box = labels.boxes()[[cell]]
    in_ego = CvatReview().to_world(labels, np.zeros((1, 7)), np.array([3]))
    assert in_ego.shape == (1, 7)
    pose = scene.ego_poses.at(scene.clock.times_ns)[3]
    assert points_in_boxes(pose @ found, box).all()


def test_the_report_counts_a_track_that_is_deleted_whole(tool, labels, profile):
    for step in labels.step[labels.agent == 3].tolist():
        tool.remove("4", step)
    _, report = read(tool.save(), labels, profile)
    assert report.tracks_gone == 1
    assert {edit.action for edit in report.edits} == {Action.DELETE}
