"""The file of a calibration: read as it was written, and refused where it is none."""

import json

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.scene import Kind
from kerbstone.world.calibration_file import read_calibration, write_calibration
from kerbstone.world.conformal import fit_calibration


def test_a_calibration_is_read_as_it_was_written(tmp_path):
    rng = np.random.default_rng(6)
    kind = np.repeat([int(Kind.CAR), int(Kind.PEDESTRIAN)], 300)
    speed = np.repeat([10.0, np.nan], 300)
    centre = rng.normal(size=5)
    written = fit_calibration(rng.normal(size=600), kind, speed, model="m", centre=centre)
    write_calibration(written, tmp_path)
    read = read_calibration(tmp_path)
    assert (read.model, read.version) == ("m", written.version)
    assert read.scores.keys() == written.scores.keys()
    np.testing.assert_array_equal(read.centre, written.centre)
    one = rng.normal(size=600), kind, speed
    np.testing.assert_array_equal(read.surprise(*one), written.surprise(*one))


GOOD = {"calibration": 1, "model": "m", "scores": {"all": [1.0, 2.0]}, "centre": [0.5]}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("{", "syntax"),
        ("[" * 100_000, "syntax"),
        (b"\xff\xfe", "syntax"),
        ([], "value"),
        (GOOD | {"calibration": 2}, "value"),
        (GOOD | {"model": 3}, "value"),
        (GOOD | {"scores": []}, "value"),
        (GOOD | {"scores": {"vehicle": [1.0]}}, "value"),
        (GOOD | {"scores": {"all": [], "vehicle": [1.0]}}, "value"),
        (GOOD | {"scores": {"all": [2.0, 1.0]}}, "value"),
        (GOOD | {"scores": {"all": ["1"]}}, "value"),
        (GOOD | {"scores": {"all": [True]}}, "value"),
        (GOOD | {"scores": {"all": [float("nan")]}}, "value"),
        (GOOD | {"scores": {"all": [float("inf")]}}, "value"),
        (GOOD | {"scores": {"all": [10**400]}}, "value"),
        (GOOD | {"scores": {"all": [1.0], "lorry 2": [1.0]}}, "value"),
        (GOOD | {"centre": None}, "value"),
        (GOOD | {"centre": [float("nan")]}, "value"),
    ],
)
def test_a_file_that_is_no_calibration_is_refused(tmp_path, content, code):
    file = tmp_path / "calibration.json"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InputError) as caught:
        read_calibration(file)
    assert caught.value.code == code


def test_a_model_without_a_calibration_is_told_what_to_do(tmp_path):
    with pytest.raises(InputError, match="is not calibrated") as caught:
        read_calibration(tmp_path)
    assert (caught.value.code, "pretrain" in caught.value.remedy) == ("missing-file", True)


def test_what_cannot_be_written_is_told(tmp_path):
    calibration = fit_calibration(np.ones(1), np.ones(1, int), np.ones(1), model="m")
    with pytest.raises(InputError, match="cannot be written"):
        write_calibration(calibration, tmp_path / "nowhere" / "calibration.json")
