"""KITTI's label and result files as columns: what its evaluators read, no more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.errors import InputError

_COLUMNS = (17, 18)  # without and with a score


@dataclass(frozen=True, eq=False)
class KittiRows:
    """Rows of one sequence, in the order of the file.

    Args:
        frame: Number of the frame.
        track: Number of the track; -1 has none.
        type: Class name, in lower case.
        truncated: 0 inside the image, 1 and 2 partly outside, -1 not told.
        occluded: 0 fully visible to 3 unknown, -1 not told.
        image_boxes: Left, top, right, bottom [px].
        boxes: Boxes in space (`BoxIndex`), with KITTI's camera frame turned upright: x to the
            right, y along the view, z up. KITTI's own origin is kept [m, rad].
        score: Confidence; 1 where the file has none.
        where: The file.
    """

    frame: Int64[np.ndarray, " row"]
    track: Int64[np.ndarray, " row"]
    type: tuple[str, ...]
    truncated: Int64[np.ndarray, " row"]
    occluded: Int64[np.ndarray, " row"]
    image_boxes: Float64[np.ndarray, "row 4"]
    boxes: Float64[np.ndarray, "row 7"]
    score: Float64[np.ndarray, " row"]
    where: str = ""

    def is_type(self, names: Collection[str]) -> Bool[np.ndarray, " row"]:
        """Tell which rows are of one of these classes, in lower case."""
        return np.array([name in names for name in self.type], bool)

    def select(self, keep: Bool[np.ndarray, " row"]) -> KittiRows:
        """Return some of the rows."""
        return KittiRows(
            self.frame[keep],
            self.track[keep],
            tuple(name for name, kept in zip(self.type, keep, strict=True) if kept),
            self.truncated[keep],
            self.occluded[keep],
            self.image_boxes[keep],
            self.boxes[keep],
            self.score[keep],
            self.where,
        )


def read_kitti_rows(path: Path, types: Collection[str]) -> KittiRows:
    """Read the rows of some classes from a label or result file of KITTI's tracking benchmark.

    Args:
        path: The file; an empty one has no rows.
        types: Class names to read, in lower case; rows of others are not looked at.

    Raises:
        InputError: The file is missing or not text, or a row has not 17 or 18 columns, or holds
            something else than finite numbers.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise InputError("missing-file", "a sequence has no file", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError("syntax", "the file is not text", where=str(path)) from error
    names: list[str] = []
    numbers: list[list[str]] = []
    at: list[int] = []
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) not in _COLUMNS:
            raise InputError(
                "column",
                "a row needs 17 columns, or 18 with a score",
                where=f"{path}, line {number}",
                why=f"it has {len(fields)}",
                remedy="the file may be cut off: write or fetch it again",
            )
        name = fields[2].lower()
        if name in types:
            names.append(name)
            at.append(number)
            numbers.append([*fields[:2], *fields[3:], *["1"] * (18 - len(fields))])
    values = _parse(numbers, at, path)
    return KittiRows(
        frame=values[:, 0].astype(np.int64),
        track=values[:, 1].astype(np.int64),
        type=tuple(names),
        truncated=values[:, 2].astype(np.int64),
        occluded=values[:, 3].astype(np.int64),
        image_boxes=values[:, 5:9],
        boxes=_stand_up(values[:, 9:16]),
        score=values[:, 16],
        where=str(path),
    )


def _parse(rows: list[list[str]], at: list[int], path: Path) -> Float64[np.ndarray, "row 17"]:
    try:
        values = np.array(rows, np.float64).reshape(-1, 17)
    except ValueError as error:
        raise InputError(
            "value", "a row holds something else than numbers", where=str(path), why=str(error)
        ) from error
    lost = ~np.isfinite(values).all(axis=1)
    if lost.any():
        row = int(np.argmax(lost))
        raise InputError(
            "value",
            "a row holds NaN or infinity",
            where=f"{path}, line {at[row]}",
            why=" ".join(rows[row]),
        )
    return values


def _stand_up(values: Float64[np.ndarray, "row 7"]) -> Float64[np.ndarray, "row 7"]:
    """Turn height, width, length, bottom centre and turn about the camera's y into boxes."""
    height, width, length, right, down, ahead, turn = values.T
    return np.column_stack([right, ahead, height / 2 - down, -turn, length, width, height])
