import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.label.labels import Provenance
from kerbstone.label.review import export_review, import_review
from kerbstone.scene import Kind, bev_boxes, box_corners_bev
from small.review_tools import LabelStudioTool


@pytest.fixture
def tool(labels, tmp_path):
    export_review(labels, tmp_path, format="label-studio")
    return LabelStudioTool(tmp_path)


def refuses(code, tool, labels, profile):
    with pytest.raises(InputError) as caught:
        import_review(labels, tool.save(), profile=profile)
    assert caught.value.code == code, str(caught.value)
    return caught.value


def corners_of(key, middle):
    """Return the corners of a rectangle as a canvas draws it, brought to the world.

    The canvas turns it clockwise about its upper left corner; y points down.
    """
    turn = np.deg2rad(key["rotation"])
    right = np.array([np.cos(turn), np.sin(turn)]) * key["width"]
    down = np.array([-np.sin(turn), np.cos(turn)]) * key["height"]
    start = np.array([key["x"], key["y"]])
    drawn = np.array([start, start + right, start + right + down, start + down])
    return middle + (drawn - 50) * [1.2, -1.2]


def test_rectangles_are_drawn_where_the_boxes_are(tool, labels):
    corners = box_corners_bev(bev_boxes(labels.boxes()))
    for cell in range(0, len(labels), 7):
        step = int(labels.step[cell])
        middle = labels.scene.agents.centre[0, step, :2]
        if (np.abs(labels.place[cell, :2] - middle) > 60).any():
            continue
        drawn = corners_of(tool.find(labels.ids[labels.agent[cell]], step), middle)
        # Rear left, front left, front right, rear right against front left, rear left, …
        np.testing.assert_allclose(drawn[[1, 0, 3, 2]], corners[cell], atol=1e-9)


def test_boxes_outside_the_picture_are_not_told_and_stay(labels, tmp_path, profile):
    far = replace(labels, place=labels.place + np.where(labels.agent == 1, 200.0, 0.0)[:, None])
    export_review(far, tmp_path, format="label-studio")
    tool = LabelStudioTool(tmp_path)
    assert len(tool.regions) == 3
    tool.move("1", 20, 0.5)
    back, report = import_review(far, tool.save(), profile=profile)
    assert report.deleted == 0
    np.testing.assert_array_equal(back.place[back.agent == 1], far.place[far.agent == 1])


def test_a_height_is_never_changed(tool, labels, profile):
    tool.move("3", 20, 0.5)
    tool.find("3", 20)["rotation"] += 10
    tool.lengthen("3", 20, 0.3)
    back, _ = import_review(labels, tool.save(), profile=profile)
    np.testing.assert_allclose(back.place[:, 2], labels.place[:, 2], atol=1e-6)
    np.testing.assert_array_equal(back.size[:, 2], labels.size[:, 2])


def test_a_rotation_a_whole_turn_off_is_the_same(tool, labels, profile):
    for key in tool.region("1")["value"]["sequence"]:
        key["rotation"] += 360
    back, _ = import_review(labels, tool.save(), profile=profile)
    assert back is labels


def test_a_key_frame_removed_within_a_lifespan_stays_as_it_was(tool, labels, profile):
    sequence = tool.region("1")["value"]["sequence"]
    sequence[:] = [key for key in sequence if key["frame"] % 5 == 1 or key["frame"] == 60]
    back, report = import_review(labels, tool.save(), profile=profile)
    assert back is labels
    assert report.edits == ()


def test_a_lifespan_that_ends_earlier_deletes_what_comes_after(tool, labels, profile):
    sequence = tool.region("1")["value"]["sequence"]
    sequence[40]["enabled"] = False
    del sequence[41:]
    back, report = import_review(labels, tool.save(), profile=profile)
    assert report.deleted == 19
    assert back.step[back.agent == 0].max() == 40


def test_a_region_drawn_new_stands_on_the_ground_and_is_as_high_as_others(tool, labels, profile):
    key = {"x": 60.0, "y": 40.0, "width": 0.6, "height": 0.6, "rotation": 0, "enabled": True}
    region = {
        "id": "abc",
        "type": "videorectangle",
        "value": {
            "labels": ["pedestrian"],
            "sequence": [{**key, "frame": 11}, {**key, "frame": 21, "enabled": False}],
        },
    }
    tool.regions.append(region)
    back, report = import_review(labels, tool.save(), profile=profile)
    assert back.ids[-1] == "5"
    assert report.filled == 9
    mine = back.agent == 4
    assert back.size[-1, 2] == labels.size[3, 2]
    np.testing.assert_allclose(back.place[mine, 2] - back.size[-1, 2] / 2, 0.0, atol=0.1)


def test_what_is_confirmed_before_is_told_as_confirmed(tool, labels, profile, tmp_path):
    tool.confirm("1", 20)
    once, report = import_review(labels, tool.save(), profile=profile)
    assert report.confirmed == 60
    assert (once.provenance[once.agent == 0] == Provenance.REVIEWED).all()
    export_review(once, tmp_path / "again", format="label-studio")
    again = LabelStudioTool(tmp_path / "again")
    assert again.region("1")["value"]["labels"] == ["car", "reviewed"]
    back, _ = import_review(once, again.save(), profile=profile)
    assert back is once


def test_two_annotations_of_a_task_are_refused(tool, labels, profile):
    task = tool.content[0]
    task["annotations"].append(dict(task["annotations"][0]))
    refuses("duplicate", tool, labels, profile)
    task["annotations"][1]["was_cancelled"] = True
    back, _ = import_review(labels, tool.save(), profile=profile)
    assert back is labels


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda tool: tool.content.append(tool.content[0]), "syntax"),
        (lambda tool: tool.content.clear(), "syntax"),
        (lambda tool: tool.content[0]["data"].pop("review"), "column"),
        (lambda tool: tool.content[0].update(annotations=[]), "empty"),
        (lambda tool: tool.region("1")["value"].update(labels=["car", "bus"]), "value"),
        (lambda tool: tool.region("1")["value"].update(labels=[]), "value"),
        (lambda tool: tool.region("1")["value"].update(labels=["spaceship"]), "label"),
        (lambda tool: tool.region("1")["value"].update(sequence={}), "column"),
        (lambda tool: tool.region("1")["meta"].update(text=7), "value"),
        (lambda tool: tool.find("1", 20).update(frame=0), "clock"),
        (lambda tool: tool.find("1", 20).update(frame=61), "clock"),
        (lambda tool: tool.find("1", 20).update(frame=2.5), "column"),
        (lambda tool: tool.find("1", 20).update(width=float("nan")), "value"),
        (lambda tool: tool.find("1", 20).update(width=-1.0), "value"),
        (lambda tool: tool.find("1", 20).pop("x"), "value"),
    ],
)
def test_a_task_that_is_damaged_changes_nothing(tool, labels, profile, spoil, code):
    spoil(tool)
    refuses(code, tool, labels, profile)


def test_the_interface_has_all_kinds_and_the_log_s_rate(labels, tmp_path):
    export_review(labels, tmp_path, format="label-studio")
    view = ET.fromstring((tmp_path / "labeling.xml").read_text())
    names = [label.get("value") for label in view.iter("Label")]
    assert names == [*(kind.name.lower() for kind in Kind), "reviewed"]
    assert view.find("Video").get("frameRate") == "10"


def test_without_the_car_the_picture_holds_all_that_there_is(labels, tmp_path, profile):
    agents = labels.scene.agents
    scene = replace(labels.scene, ego=None, agents=agents.select([]))
    alone = replace(labels, scene=scene)
    export_review(alone, tmp_path, format="label-studio")
    (task,) = json.loads((tmp_path / "task.json").read_text())
    keys = [r["value"]["sequence"] for r in task["predictions"][0]["result"]]
    assert sum(map(len, keys)) == len(labels)
    assert all(0 < key["x"] < 100 and 0 < key["y"] < 100 for own in keys for key in own)
    back, _ = import_review(alone, tmp_path, profile=profile)
    assert back is alone
