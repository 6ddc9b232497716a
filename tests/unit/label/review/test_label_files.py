from dataclasses import replace

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.detections import write_tracks
from kerbstone.label.review import export_review, import_review
from kerbstone.scene import Kind
from small.review_tools import Av2Tool, KittiTool, NuScenesTool


@pytest.fixture
def open_as(labels, tmp_path):
    def opened(tool, given=labels):
        export_review(given, tmp_path, format=tool.name)
        return tool(tmp_path)

    return opened


def refuses(code, tool, labels, profile):
    with pytest.raises(InputError) as caught:
        import_review(labels, tool.save(), profile=profile)
    assert caught.value.code == code, str(caught.value)
    return caught.value


def test_the_files_are_those_that_evaluators_read(labels, tmp_path):
    """What is exported for a review is what is written for an evaluator, byte by byte."""
    scene, part = labels.to_scene()
    score = np.concatenate([np.full((1, 60), np.nan), part.grid(part.confidence, np.nan)])
    for name in ("kitti", "nuscenes", "av2"):
        (mine, _) = export_review(labels, tmp_path / name, format=name)
        (other,) = write_tracks(scene, score, tmp_path / "other", format=name)
        assert mine.read_bytes() == other.read_bytes()


def test_names_that_are_no_numbers_come_back_through_kitti_s_numbers(open_as, labels, profile):
    named = replace(labels, ids=("4", "b c", "x/1", "ü"))
    tool = open_as(KittiTool, named)
    tool.move("1", 20, 0.5)
    # A number that is not told is a new track, though another one is called so.
    row = list(tool.find("1", 30))
    row[1], row[13] = "9", str(float(row[13]) + 8.0)
    tool.rows.append(row)
    back, report = import_review(named, tool.save(), profile=profile)
    assert back.ids == ("4", "b c", "x/1", "ü", "9")
    assert report.tracks_changed == 2


def test_a_number_that_names_another_track_is_still_a_new_one(open_as, labels, profile):
    named = replace(labels, ids=("9", "b", "c", "d"))
    tool = open_as(KittiTool, named)
    row = list(tool.find("1", 30))
    row[1], row[13] = "9", str(float(row[13]) + 8.0)
    tool.rows.append(row)
    back, _ = import_review(named, tool.save(), profile=profile)
    assert back.ids == ("9", "b", "c", "d", "1")
    assert np.bincount(back.agent)[4] == 1


def test_what_the_camera_does_not_see_stays(open_as, labels, profile):
    tool = open_as(KittiTool)
    told = {(int(row[0]), row[1]) for row in tool.rows}
    assert len(told) < len(labels)
    tool.move("1", 20, 0.5)
    _, report = import_review(labels, tool.save(), profile=profile)
    assert report.deleted == 0


@pytest.mark.parametrize("kind", [Kind.OBJECT, Kind.ANIMAL])
def test_classes_that_nuscenes_does_not_track_stay(open_as, labels, profile, kind):
    other = labels.kind.copy()
    other[3] = kind
    changed = replace(labels, kind=other, name=(*labels.name[:3], kind.name.lower()))
    tool = open_as(NuScenesTool, changed)
    assert not any(box["tracking_id"] == "4" for box in tool.boxes(20))
    back, _ = import_review(changed, tool.save(), profile=profile)
    assert back is changed


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda tool: tool.content["results"].update({"other": []}), "reference"),
        (lambda tool: tool.content["results"].pop("sample-7"), "truncated"),
        (lambda tool: tool.content["results"].update({"sample-7": None}), "syntax"),
        (lambda tool: tool.content.pop("results"), "column"),
        (lambda tool: tool.find("1", 7).update(rotation=[0.0] * 4), "value"),
        (lambda tool: tool.find("1", 7).update(rotation=[1.0, 0.0, 0.0]), "value"),
        (lambda tool: tool.find("1", 7).update(tracking_id=1), "column"),
        (lambda tool: tool.find("1", 7).update(tracking_name="tank"), "label"),
        (lambda tool: tool.find("1", 7).update(tracking_score="high"), "value"),
        (lambda tool: tool.find("1", 7).pop("size"), "column"),
        (lambda tool: tool.boxes(7).append(7), "syntax"),
    ],
)
def test_results_that_are_damaged_change_nothing(open_as, labels, profile, spoil, code):
    tool = open_as(NuScenesTool)
    spoil(tool)
    refuses(code, tool, labels, profile)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda row: row.update(log_id="other"), "reference"),
        (lambda row: row.update(timestamp_ns=10**15), "clock"),
        (lambda row: row.update(timestamp_ns=-(10**15)), "clock"),
        (lambda row: row.update(category="TANK"), "label"),
        (lambda row: row.update(track_uuid=None), "value"),
        (lambda row: row.update(score=float("nan")), "value"),
        (lambda row: row.update(tx_m=1e12), "value"),
        (lambda row: row.update(dict.fromkeys(("qw", "qx", "qy", "qz"), 0.0)), "value"),
    ],
)
def test_tables_that_are_damaged_change_nothing(open_as, labels, profile, spoil, code):
    tool = open_as(Av2Tool)
    spoil(tool.find("1", 7))
    refuses(code, tool, labels, profile)


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        (0, "60", "clock"),
        (0, "-1", "clock"),
        (0, "1.5", "value"),
        (2, "Tank", "label"),
        (13, "nan", "value"),
        (17, "inf", "value"),
        (11, "-1", "value"),
        (14, "x", "value"),
        (14, "1 2", "column"),
        (14, "", "column"),
    ],
)
def test_rows_that_are_damaged_change_nothing(open_as, labels, profile, column, value, code):
    tool = open_as(KittiTool)
    tool.find("1", 7)[column] = value
    error = refuses(code, tool, labels, profile)
    assert "line " in error.where


def test_a_table_without_a_column_changes_nothing(open_as, labels, profile):
    from pyarrow import feather

    tool = open_as(Av2Tool)
    feather.write_feather(tool.table.drop_columns(["tz_m"]), tool.path)
    with pytest.raises(InputError) as caught:
        import_review(labels, tool.path, profile=profile)
    assert caught.value.code == "column"


def test_without_poses_the_car_s_frame_is_not_known(labels, tmp_path):
    lost = replace(labels, scene=replace(labels.scene, ego_poses=None))
    for name in ("kitti", "av2"):
        with pytest.raises(InputError, match="poses are not known"):
            export_review(lost, tmp_path, format=name)
