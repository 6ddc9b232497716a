import subprocess
import sys

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.detections import (
    DetectedLog,
    DetectionFormat,
    detection_formats,
    find_detections,
    hide_agents,
    read_detections,
)
from kerbstone.scene import Clock, Detections, Rejects
from scenes import random_scene
from small.detections import write_kitti


def nothing(clock):
    return Detections(
        clock=clock,
        step=np.zeros(0, np.int64),
        box=np.zeros((0, 7)),
        kind=np.zeros(0, np.uint8),
        score=np.zeros(0),
    )


def test_formats_say_what_they_are_called_and_read():
    formats = detection_formats()
    assert list(formats) == ["kitti", "nuscenes", "av2", "table", "store"]
    for name, reader in formats.items():
        assert isinstance(reader, DetectionFormat)
        assert (reader.name, bool(reader.reads)) == (name, True)


@pytest.mark.parametrize(
    ("path", "options", "code"),
    [
        ("nowhere", {}, "missing-file"),
        ("", {}, "missing-file"),
        (".", {"logs": "nowhere"}, "missing-file"),
        (".", {"format": "ktti"}, "name"),
        (".", {}, "format-unknown"),
        (".", {"format": "kitti"}, "missing-file"),
        (".", {"format": "nuscenes"}, "missing-file"),
        (".", {"format": "av2"}, "missing-file"),
        (".", {"format": "table"}, "missing-file"),
    ],
)
def test_paths_without_detections_are_refused(tmp_path, monkeypatch, path, options, code):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        find_detections([path], **options)
    assert caught.value.code == code


def test_files_of_other_things_are_left_alone(tmp_path):
    (tmp_path / "0001.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
    (tmp_path / "notes.json").write_text('{"a": 1}')
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    (tmp_path / "broken.feather").write_bytes(b"ARROW1\0\0")
    (tmp_path / "notes.txt").write_text("hello\n")
    with pytest.raises(InputError) as caught:
        find_detections([tmp_path])
    assert caught.value.code == "format-unknown"


def test_no_paths_give_no_sources():
    assert find_detections([]) == []


def test_a_path_that_is_named_twice_counts_once(tmp_path):
    write_kitti(tmp_path)
    (source,) = find_detections([tmp_path, tmp_path / "detector_Car", tmp_path])
    assert len(source.detections) == 2
    assert len(read_detections(source).detections) == 120


def test_a_detected_log_holds_no_road_users():
    scene = random_scene(1)
    with pytest.raises(InputError, match="beside the recording car"):
        DetectedLog("x", scene, nothing(scene.clock), np.zeros(0, object), Rejects())
    hidden = hide_agents(scene)
    assert DetectedLog("x", hidden, nothing(scene.clock), np.zeros(0, object), Rejects())


def test_a_detected_log_fits_together():
    scene = hide_agents(random_scene(1))
    with pytest.raises(InputError, match="labels do not fit"):
        DetectedLog("x", scene, nothing(scene.clock), np.zeros(1, object), Rejects())
    with pytest.raises(InputError, match="clock"):
        DetectedLog("x", scene, nothing(Clock(0, 1, 3)), np.zeros(0, object), Rejects())


def test_without_an_ego_nobody_is_left():
    hidden = hide_agents(random_scene(1, has_ego=False))
    assert len(hidden.agents) == 0
    assert hidden.ego is None
    hidden.check()


def test_readers_of_formats_are_not_loaded_before_they_are_needed():
    code = (
        "import sys, kerbstone.formats.detections as d; "
        "print([m for m in sys.modules if m.startswith('kerbstone.formats.') and "
        "m.endswith(('detections.kitti', 'detections.nuscenes', 'detections.av2', 'av2_sensor'))])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert found.stdout.strip() == "[]"
