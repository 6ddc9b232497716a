"""Rows of boxes in KITTI's text files, in either of the two spellings that detectors use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from kerbstone.errors import InputError
from kerbstone.formats.files import open_bytes, read_text
from kerbstone.formats.kitti_tracking import KINDS

CLASSES = tuple(sorted(name for name in KINDS if name != "ego"))
"""The classes that a row may be of."""

TYPES = {"1": "Pedestrian", "2": "Car", "3": "Cyclist"}
"""What AB3DMOT's numbers of types stand for."""

_COMMA_COLUMNS = 15
_SPACE_COLUMNS = (17, 18)
_LEAST_COMMAS = 8
_IGNORED = "DontCare"
# Of the columns of numbers: frame, 2D box, score, 3D box. In results the score is the last.
_COMMA_NUMBERS = [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
_SPACE_NUMBERS = [0, 6, 7, 8, 9, 17, 10, 11, 12, 13, 14, 15, 16]
_SURE = "1"


@dataclass(frozen=True, eq=False)
class KittiRows:
    """Boxes as they stand in a file. Numbers other than the frame may be NaN.

    Args:
        where: The file.
        frame: Frame of each row.
        label: Class, one of `CLASSES`.
        score: As the detector gave it.
        image_box: Left, top, right, bottom [px].
        size: Length, width, height [m].
        bottom_camera: Middle of the floor in the frame of camera 0 [m].
        turn: About the camera's y axis [rad].
    """

    where: str
    frame: Int64[np.ndarray, " row"]
    label: Shaped[np.ndarray, " row"]
    score: Float64[np.ndarray, " row"]
    image_box: Float64[np.ndarray, "row 4"]
    size: Float64[np.ndarray, "row 3"]
    bottom_camera: Float64[np.ndarray, "row 3"]
    turn: Float64[np.ndarray, " row"]


def looks_like_rows(path: Path) -> bool:
    """Tell whether a file begins as such rows do, broken ones too: reading says what is wrong."""
    try:
        with open_bytes(path) as file:
            line = file.readline(1000).decode("utf-8", errors="replace")
    except InputError:
        return False
    words = line.split()
    return line.count(",") >= _LEAST_COMMAS or (len(words) > 2 and words[2][:1].isalpha())


def read_rows(path: Path) -> KittiRows:
    """Read a file; one without rows has no detections.

    Raises:
        InputError: The file is missing, a row has too few or too many columns, something is no
            number or no frame, or a class is not known.
    """
    lines = read_text(path).splitlines()
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    has_commas = bool(numbered) and "," in numbered[0][1]
    rows = [line.split("," if has_commas else None) for _, line in numbered]
    numbers = [number for number, _ in numbered]
    _check_columns(rows, numbers, path, (_COMMA_COLUMNS,) if has_commas else _SPACE_COLUMNS)
    if has_commas:
        label = [TYPES.get(row[1].strip(), row[1].strip()) for row in rows]
        columns = _COMMA_NUMBERS
    else:
        label = [row[2] for row in rows]
        rows = [row if len(row) == _SPACE_COLUMNS[1] else [*row, _SURE] for row in rows]
        columns = _SPACE_NUMBERS
    unknown = next(
        (row for row, name in enumerate(label) if name not in (*CLASSES, _IGNORED)), None
    )
    if unknown is not None:
        known = ", ".join(f"{number} {name}" for number, name in TYPES.items())
        raise InputError(
            "label",
            f"unknown class {label[unknown]!r}",
            where=f"{path}, line {numbers[unknown]}",
            why="known classes: " + (known if has_commas else ", ".join(CLASSES)),
        )
    kept = [row for row, name in enumerate(label) if name != _IGNORED]
    values = _read_numbers([[rows[row][i] for i in columns] for row in kept], path)
    frame = values[:, 0]
    strange = ~(np.isfinite(frame) & (frame == np.rint(frame)) & (np.abs(frame) < 2**53))
    if strange.any():
        row = int(np.argmax(strange))
        raise InputError(
            "value",
            "a frame is no whole number",
            where=f"{path}, line {numbers[kept[row]]}",
            why=f"{frame[row]}",
        )
    return KittiRows(
        where=str(path),
        frame=frame.astype(np.int64),
        label=np.array([label[row] for row in kept], object),
        image_box=values[:, 1:5],
        score=values[:, 5],
        size=values[:, [8, 7, 6]],
        bottom_camera=values[:, 9:12],
        turn=values[:, 12],
    )


def join_rows(parts: Sequence[KittiRows]) -> KittiRows:
    """Return the rows of several files of one sequence, each of which has classes of its own.

    Raises:
        InputError: Two files have rows of one class: they are of two detectors, or of one twice.
    """
    owner: dict[str, str] = {}
    for part in parts:
        for name in sorted(set(part.label)):
            if name in owner:
                raise InputError(
                    "duplicate",
                    f"two files have detections of the class {name!r} in one sequence",
                    where=part.where,
                    why=f"it is in {owner[name]} too",
                    remedy="name the folders of one detector only",
                )
            owner[name] = part.where
    columns = [field.name for field in fields(KittiRows) if field.name != "where"]
    return KittiRows(
        where=", ".join(part.where for part in parts),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns},
    )


def _check_columns(
    rows: list[list[str]], numbers: list[int], path: Path, expected: tuple[int, ...]
) -> None:
    wrong = next((i for i, row in enumerate(rows) if len(row) not in expected), None)
    if wrong is not None:
        raise InputError(
            "column",
            "a row needs " + " or ".join(map(str, expected)) + " columns",
            where=f"{path}, line {numbers[wrong]}",
            why=f"it has {len(rows[wrong])}",
            remedy="the file may be cut off: fetch it again",
        )


def _read_numbers(rows: list[list[str]], path: Path) -> Float64[np.ndarray, "row 13"]:
    """Return numbers; infinities become NaN, which is no box either."""
    try:
        values = np.array(rows, np.float64).reshape(-1, len(_COMMA_NUMBERS))
    except ValueError as error:
        raise InputError(
            "value", "a row holds something else than a number", where=str(path), why=str(error)
        ) from None
    return np.where(np.isfinite(values), values, np.nan)
