"""What a detector saw over a log: boxes without identity, in the world frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped, UInt8

from kerbstone.errors import InputError
from kerbstone.scene.boxes import BoxIndex
from kerbstone.scene.clock import Clock
from kerbstone.scene.kinds import Kind

_ALL_ROWS = ("step", "box", "kind", "score", "std", "probability", "image_box")


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes that a detector gave over a log, one row each, by time.

    Whatever order and whatever values a file holds, readers hand over rows by time without NaN in
    a box; `detections_from_rows` is how. Boxes are in the world frame, so ego's motion is out of
    them already.

    Args:
        clock: The time steps of the log.
        step: Time step of each row, never falling.
        box: Box in the world frame (`BoxIndex`) [m, rad].
        kind: `Kind` of each row, the likeliest where the detector gives probabilities.
        score: How sure the detector is, on its own scale; higher is surer.
        std: Standard deviation of each column of the box, above 0, or None where the detector says
            nothing.
        probability: Chance of each `Kind` (by its number), or None.
        image_box: Left, top, right, bottom in the image of the camera that saw it [px], or None.

    Raises:
        InputError: The shapes do not fit together, rows are not by time, lie outside the clock, or
            hold values that are no boxes.
    """

    clock: Clock
    step: Int64[np.ndarray, " row"]
    box: Float64[np.ndarray, "row 7"]
    kind: UInt8[np.ndarray, " row"]
    score: Float64[np.ndarray, " row"]
    std: Float64[np.ndarray, "row 7"] | None = None
    probability: Float64[np.ndarray, "row kind"] | None = None
    image_box: Float64[np.ndarray, "row 4"] | None = None

    def __post_init__(self) -> None:
        rows = len(self.step)
        shapes = {
            "box": (rows, len(BoxIndex)),
            "kind": (rows,),
            "score": (rows,),
            "std": (rows, len(BoxIndex)),
            "probability": (rows, len(Kind)),
            "image_box": (rows, 4),
        }
        for name, expected in shapes.items():
            value = getattr(self, name)
            if value is not None and value.shape != expected:
                raise InputError(
                    "shape",
                    f"detections.{name} does not fit",
                    why=f"{value.shape}, expected {expected}",
                )
        if rows == 0:
            return
        if (np.diff(self.step) < 0).any():
            row = int(np.argmax(np.diff(self.step) < 0)) + 1
            raise InputError("clock", "detections are not by time", where=f"row {row}")
        if self.step[0] < 0 or self.step[-1] >= self.clock.steps:
            raise InputError(
                "clock",
                "a detection lies outside the log's time",
                why=f"steps {self.step[0]} to {self.step[-1]}, the log has {self.clock.steps}",
            )
        if self.kind.max() >= len(Kind):
            raise InputError("value", "a detection is of no kind", why=f"kind {self.kind.max()}")
        wrong = _find_broken(self.box, self.score, self.std, self.probability)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(
                "value",
                "a detection is no box",
                where=f"row {row}",
                why=f"box {self.box[row].tolist()}, score {self.score[row]}",
                remedy="leave the row out: `detections_from_rows` does, and counts it",
            )

    def __len__(self) -> int:
        return len(self.step)

    def select(self, rows: Shaped[np.ndarray, " any"]) -> Detections:
        """Return some rows, by rising indices or a mask."""
        kept = {
            name: None if (value := getattr(self, name)) is None else value[rows]
            for name in _ALL_ROWS
        }
        return replace(self, **kept)

    def starts(self) -> Int64[np.ndarray, " bound"]:
        """Return the first row of each step, and the number of rows at the end."""
        return np.searchsorted(self.step, np.arange(self.clock.steps + 1)).astype(np.int64)


@dataclass(frozen=True)
class Rejects:
    """What of a detector's rows could not be used.

    Args:
        broken: Rows that are no boxes: NaN or infinity, a size or a standard deviation that is not
            positive, a negative chance.
        duplicates: Rows that repeat another one of the same step, kind and box.
        outside: Rows outside the log's time.
    """

    broken: int = 0
    duplicates: int = 0
    outside: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.broken + self.duplicates + self.outside


def detections_from_rows(
    *,
    clock: Clock,
    step: Int64[np.ndarray, " row"],
    box: Float64[np.ndarray, "row 7"],
    kind: UInt8[np.ndarray, " row"],
    score: Float64[np.ndarray, " row"],
    std: Float64[np.ndarray, "row 7"] | None = None,
    probability: Float64[np.ndarray, "row kind"] | None = None,
    image_box: Float64[np.ndarray, "row 4"] | None = None,
) -> tuple[Detections, Rejects, Int64[np.ndarray, " kept"]]:
    """Return detections of rows in any order, without those that are no boxes.

    Rows that hold NaN, have no size, lie outside the clock or repeat another one are left out and
    counted; of those that repeat one another the surest stays. Arguments are as in `Detections`; headings may be any angle.

    Returns:
        The detections by step and then by falling score, what was left out, and which row each
        was.
    """
    step = np.asarray(step, np.int64)
    broken = _find_broken(box, score, std, probability)
    outside = ~broken & ((step < 0) | (step >= clock.steps))
    rows = np.flatnonzero(~broken & ~outside)
    order = np.lexsort((-score[rows], *box[rows].T, kind[rows], step[rows]))
    rows = rows[order]
    twice = np.zeros(len(rows), bool)
    same = (np.diff(step[rows]) == 0) & (np.diff(kind[rows].astype(np.int64)) == 0)
    twice[1:] = same & (box[rows][1:] == box[rows][:-1]).all(axis=1)
    rejects = Rejects(
        broken=int(broken.sum()), duplicates=int(twice.sum()), outside=int(outside.sum())
    )
    rows = rows[~twice]
    # Stable on rows sorted by box: the order of a file changes nothing, not even among equals.
    rows = rows[np.lexsort((-score[rows], step[rows]))]
    turned = box[rows].astype(np.float64)
    heading = turned[:, BoxIndex.HEADING]
    turned[:, BoxIndex.HEADING] = np.remainder(heading + np.pi, 2 * np.pi) - np.pi
    kept = Detections(
        clock=clock,
        step=step[rows],
        box=turned,
        kind=kind[rows].astype(np.uint8),
        score=score[rows].astype(np.float64),
        std=None if std is None else std[rows].astype(np.float64),
        probability=None if probability is None else probability[rows].astype(np.float64),
        image_box=None if image_box is None else image_box[rows].astype(np.float64),
    )
    return kept, rejects, rows


def _find_broken(
    box: Float64[np.ndarray, "row 7"],
    score: Float64[np.ndarray, " row"],
    std: Float64[np.ndarray, "row 7"] | None,
    probability: Float64[np.ndarray, "row kind"] | None,
) -> Bool[np.ndarray, " row"]:
    """Tell which rows are no detections."""
    good = np.isfinite(box).all(axis=1) & np.isfinite(score)
    good &= (box[:, BoxIndex.LENGTH :] > 0).all(axis=1)
    if std is not None:
        good &= (np.isfinite(std) & (std > 0)).all(axis=1)
    if probability is not None:
        good &= (np.isfinite(probability) & (probability >= 0)).all(axis=1)
    return ~good
