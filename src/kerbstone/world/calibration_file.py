"""The file that holds a calibration, beside its model: plain JSON, checked when it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.world.conformal import ALL, Calibration, known_bins

FILE = "calibration.json"
"""Its name in the folder of a model."""

_LAYOUT = 1
_LARGEST = 64 << 20


def write_calibration(calibration: Calibration, path: Path | str) -> None:
    """Write a calibration, in place of what was there.

    Args:
        calibration: The calibration.
        path: The file, or the folder of its model.

    Raises:
        InputError: It cannot be written.
    """
    file = _file_of(path)
    scores = {name: values.tolist() for name, values in sorted(calibration.scores.items())}
    plain = {"calibration": _LAYOUT, "model": calibration.model, "scores": scores}
    try:
        text = json.dumps(plain | {"centre": calibration.centre.tolist()})
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            "output",
            "the calibration cannot be written",
            where=str(file),
            why=error.strerror or str(error),
        ) from error


def read_calibration(path: Path | str) -> Calibration:
    """Read what `write_calibration` wrote.

    Args:
        path: The file, or the folder of its model.

    Raises:
        InputError: There is no such file, or it is no calibration.
    """
    file = _file_of(path)
    try:
        if file.stat().st_size > _LARGEST:
            raise InputError("unsafe", "a calibration is too large", where=str(file))
        read = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            "missing-file",
            "a model is not calibrated",
            where=str(file),
            why="there is no such file",
            remedy="take the folder that `kerbstone pretrain` made",
        ) from error
    except OSError as error:
        raise InputError(
            "unreadable",
            "a calibration cannot be read",
            where=str(file),
            why=error.strerror or str(error),
        ) from error
    # A text that nests too deep is a RecursionError.
    except (ValueError, RecursionError) as error:
        raise InputError(
            "syntax", "a calibration is not JSON", where=str(file), why=str(error)
        ) from error
    return _check(read, file)


def _file_of(path: Path | str) -> Path:
    path = Path(path)
    return path / FILE if path.is_dir() else path


def _check(read: Any, file: Path) -> Calibration:
    """Return the calibration that a JSON value is."""
    if not isinstance(read, dict) or read.get("calibration") != _LAYOUT:
        raise _wrong(file, f"it is none of layout {_LAYOUT}")
    model, scores = read.get("model"), read.get("scores")
    if not isinstance(model, str) or not isinstance(scores, dict) or ALL not in scores:
        raise _wrong(file, "it has no model, or no scores of all road users")
    strange = sorted(scores.keys() - known_bins())
    if strange:
        raise _wrong(file, f"there is no bin {strange[0]!r}")
    found = {name: _read_numbers(values, name, file) for name, values in scores.items()}
    for name, values in found.items():
        if not len(values) or (np.diff(values) < 0).any():
            raise _wrong(file, f"{name!r} has no scores, or they do not ascend")
    return Calibration(model, found, _read_numbers(read.get("centre"), "centre", file))


def _read_numbers(values: Any, name: str, file: Path) -> Float64[np.ndarray, " value"]:
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise _wrong(file, f"what {name!r} holds are not numbers")
    try:
        array = np.array(values, np.float64)
    except OverflowError:
        array = np.array([np.inf])
    if not np.isfinite(array).all():
        raise _wrong(file, f"the numbers of {name!r} are not finite")
    return array


def _wrong(file: Path, why: str) -> InputError:
    return InputError("value", "a file is no calibration of a model", where=str(file), why=why)
