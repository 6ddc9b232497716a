"""KITTI's tracking benchmark: what counts there, in the image and in space.

Two evaluators are in use, and their rules differ:

- TrackEval's, in the image. A true box is neutral where it is of a neighbouring class, occluded
  beyond level 2 or truncated. Neutral boxes and what they were matched to are taken away first.
- AB3DMOT's, in space. The same true boxes are neutral but take part in the matching (see
  `amota`); sitting people are known to it only under the name that the labels do not use.

In both, a predicted box that meets no truth does not count where it is at most 25 px high or lies
by more than half in a region marked `DontCare`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.errors import InputError, UsageError, suggest_name
from kerbstone.label.metrics.amota import Amota, score_amota
from kerbstone.label.metrics.clear import Clear, score_clear
from kerbstone.label.metrics.comparison import Comparison, TrackedBoxes, compare_boxes
from kerbstone.label.metrics.hota import Hota, score_hota
from kerbstone.label.metrics.identity import Identity, score_identity
from kerbstone.label.metrics.kitti_rows import KittiRows, read_kitti_rows

KINDS: dict[str, frozenset[str]] = {
    "Car": frozenset({"van"}),
    "Pedestrian": frozenset({"person", "person_sitting"}),
    "Cyclist": frozenset(),
}
"""Classes that are scored, and the neighbouring classes that are neutral to each."""

_UNKNOWN_IN_SPACE = frozenset({"person"})
_MAX_OCCLUSION = 2
_MAX_TRUNCATION = 0
_MIN_HEIGHT = 25.0  # [px]
_IGNORED_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class TrackScores:
    """HOTA, CLEAR-MOT and IDF1 of one way to compare, over all sequences."""

    hota: Hota
    clear: Clear
    identity: Identity

    def summarise(self) -> dict[str, float]:
        """Return all figures by TrackEval's names."""
        return {
            **self.hota.summarise(),
            **self.clear.summarise(),
            **self.identity.summarise(),
        }


@dataclass(frozen=True, eq=False)
class KittiScores:
    """All figures of one class.

    Args:
        kind: The class.
        sequences: Names of the sequences scored together.
        image: By the overlap of image boxes, as TrackEval has it.
        space: The same metrics by the overlap of boxes in space. No benchmark defines it: neutral
            boxes are settled as in the image, but from the least of the overlaps on, which also is
            where CLEAR-MOT and IDF1 start.
        amota: AB3DMOT's figures for each least overlap of boxes in space.
    """

    kind: str
    sequences: tuple[str, ...]
    image: TrackScores
    space: TrackScores
    amota: dict[float, Amota]

    def summarise(self) -> dict[str, dict[str, float]]:
        """Return all figures as plain numbers, by how boxes were compared."""
        return {
            "image": self.image.summarise(),
            "space": self.space.summarise(),
            **{f"space {least:g}": score.summarise() for least, score in self.amota.items()},
        }


def evaluate_kitti(
    truth_folder: Path,
    result_folder: Path,
    kind: str,
    *,
    sequences: Sequence[str] | None = None,
    overlaps: Sequence[float] = (0.25, 0.5, 0.7),
    min_score: float = -np.inf,
) -> KittiScores:
    """Score result files against KITTI's labels.

    Args:
        truth_folder: Labels, a file `NNNN.txt` per sequence.
        result_folder: Results, files of the same names.
        kind: The class to score, a key of `KINDS`; rows of other classes may be there.
        sequences: Names of the sequences; None takes all labels.
        overlaps: Least overlaps of boxes in space for AB3DMOT's figures.
        min_score: Tracks of a lower mean confidence are left out of HOTA, CLEAR-MOT and IDF1,
            which score at one working point. AB3DMOT's figures go over all of them.

    Raises:
        UsageError: There is no such class, or no overlap.
        InputError: There is no sequence, a file is missing or malformed, or a track appears twice
            in a frame.
    """
    if kind not in KINDS:
        raise UsageError("usage", f"no class {kind!r}", remedy=suggest_name(kind, KINDS))
    if not overlaps:
        raise UsageError("usage", "no overlap to score at")
    names = tuple(sequences or sorted(path.stem for path in truth_folder.glob("*.txt")))
    if not names:
        raise InputError("empty", "there is no sequence to score", where=str(truth_folder))
    image, space = [], []
    for name in names:
        truth, ignored = _read_truth(truth_folder / f"{name}.txt", kind)
        result = read_kitti_rows(result_folder / f"{name}.txt", {kind.lower()})
        image.append(compare_kitti(truth, ignored, result, kind, in_space=False))
        space.append(compare_kitti(truth, ignored, result, kind, in_space=True))
    return KittiScores(
        kind=kind,
        sequences=names,
        image=_score_all(image, min_score, 0.5),
        space=_score_all(space, min_score, min(overlaps)),
        amota={least: score_amota(space, min_similarity=least) for least in overlaps},
    )


def compare_kitti(
    truth: KittiRows, ignored: KittiRows, result: KittiRows, kind: str, *, in_space: bool
) -> Comparison:
    """Compare the results of a sequence with its labels, with what is neutral marked.

    Args:
        truth: Labels of the class and of its neighbours.
        ignored: The regions marked `DontCare`.
        result: Results of the class.
        kind: The class.
        in_space: By the overlap of boxes in space, not in the image.
    """
    unknown = _UNKNOWN_IN_SPACE if in_space else frozenset[str]()
    truth = truth.select((truth.track >= 0) & ~truth.is_type(unknown))
    result = result.select(result.track >= 0)
    return compare_boxes(
        TrackedBoxes(
            truth.frame,
            truth.track,
            truth.boxes if in_space else truth.image_boxes,
            neutral=truth.is_type(KINDS[kind])
            | (truth.occluded > _MAX_OCCLUSION)
            | (truth.truncated > _MAX_TRUNCATION),
            where=truth.where,
        ),
        TrackedBoxes(
            result.frame,
            result.track,
            result.boxes if in_space else result.image_boxes,
            score=result.score,
            neutral=_is_small(result.image_boxes) | _is_ignored(result, ignored),
            where=result.where,
        ),
        similarity="iou_3d" if in_space else "iou_2d",
    )


def _read_truth(path: Path, kind: str) -> tuple[KittiRows, KittiRows]:
    rows = read_kitti_rows(path, {kind.lower(), *KINDS[kind], "dontcare"})
    is_region = rows.is_type({"dontcare"})
    return rows.select(~is_region), rows.select(is_region)


def _is_small(boxes: Float64[np.ndarray, "row 4"]) -> Bool[np.ndarray, " row"]:
    return np.asarray(boxes[:, 3] - boxes[:, 1] <= _MIN_HEIGHT)


def _is_ignored(result: KittiRows, ignored: KittiRows) -> Bool[np.ndarray, " row"]:
    """Tell which boxes lie by more than half in one region of their frame."""
    inside = np.zeros(len(result.frame), bool)
    order = np.argsort(ignored.frame, kind="stable")
    frames, regions = ignored.frame[order], ignored.image_boxes[order]
    start = np.searchsorted(frames, result.frame, side="left")
    count = np.searchsorted(frames, result.frame, side="right") - start
    size = result.image_boxes[:, 2:] - result.image_boxes[:, :2]
    area = np.maximum(size, 0.0).prod(axis=1)
    for nth in range(int(count.max(initial=0))):  # a frame has a handful of regions
        rows = np.flatnonzero(count > nth)
        boxes, region = result.image_boxes[rows], regions[start[rows] + nth]
        low, high = np.maximum(boxes[:, :2], region[:, :2]), np.minimum(boxes[:, 2:], region[:, 2:])
        shared = np.maximum(high - low, 0.0).prod(axis=1)
        inside[rows] |= shared > _IGNORED_SHARE * area[rows]
    return inside


def _score_all(
    sequences: Sequence[Comparison], min_score: float, min_similarity: float
) -> TrackScores:
    settled = [
        sequence.drop_weak_tracks(min_score).settle_neutral(min_similarity)
        for sequence in sequences
    ]
    return TrackScores(
        hota=reduce(add, [score_hota(part) for part in settled]),
        clear=reduce(add, [score_clear(part, min_similarity=min_similarity) for part in settled]),
        identity=reduce(
            add, [score_identity(part, min_similarity=min_similarity) for part in settled]
        ),
    )
