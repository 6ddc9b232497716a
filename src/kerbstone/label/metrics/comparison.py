"""Truth and prediction of one sequence side by side: which boxes overlap, and by how much.

All metrics of tracking read a `Comparison`. It is sparse: only pairs of boxes in the same frame
whose similarity is above 0 are listed, so a long road costs what its overlaps cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.errors import InputError
from kerbstone.label.metrics.matching import match_pairs
from kerbstone.label.metrics.similarity import Similarity, find_overlaps

EPS = float(np.finfo(float).eps)
"""A similarity this little below a threshold still reaches it, as in TrackEval."""


@dataclass(frozen=True, eq=False)
class TrackedBoxes:
    """Boxes of one sequence that belong to tracks, a row each, in any order.

    Args:
        frame: Number of the frame.
        track: Number of the track, any integer.
        boxes: `[..., 7]` (`BoxIndex`), or image boxes `[..., 4]`: left, top, right, bottom [px].
        score: Confidence of each box, the higher the surer; None is 1 for all.
        neutral: Truth: neither to be found nor to be missed. Prediction: does not count as false
            where it meets no truth. None is False for all.
        where: What errors name, such as a file.

    Raises:
        InputError: The lengths differ, a box or score is not finite, or a track appears twice in
            a frame.
    """

    frame: Int64[np.ndarray, " box"]
    track: Int64[np.ndarray, " box"]
    boxes: Float64[np.ndarray, "box column"]
    score: Float64[np.ndarray, " box"] | None = None
    neutral: Bool[np.ndarray, " box"] | None = None
    where: str = ""

    def __post_init__(self) -> None:
        for name, values in (
            ("frame", self.frame),
            ("track", self.track),
            ("score", self.score),
            ("neutral", self.neutral),
        ):
            if values is not None and values.shape != (len(self.boxes),):
                raise InputError(
                    "shape",
                    f"`{name}` does not fit the boxes",
                    where=self.where,
                    why=f"{values.shape} for {len(self.boxes)} boxes",
                )
        lost = np.asarray(~np.isfinite(self.boxes).all(axis=1))
        self._refuse(lost, "value", "a box is not finite")
        if self.score is not None:
            self._refuse(~np.isfinite(self.score), "value", "a score is not finite")
        order = np.lexsort((self.track, self.frame))
        twice = np.zeros(len(order), bool)
        same = (np.diff(self.frame[order]) == 0) & (np.diff(self.track[order]) == 0)
        twice[order[1:]] = same
        self._refuse(twice, "duplicate", "a track appears twice in a frame")

    def _refuse(self, wrong: Bool[np.ndarray, " box"], code: str, what: str) -> None:
        if wrong.any():
            row = int(np.argmax(wrong))
            place = f"frame {self.frame[row]}, track {self.track[row]}"
            raise InputError(code, what, where=f"{self.where}, {place}" if self.where else place)

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is true and what was predicted in one sequence, and the pairs that overlap.

    Rows of both sides are in order of their frames. Tracks are numbered from 0 without gaps.

    Args:
        truth_frame: Frame of each true box.
        truth_track: Its track.
        predicted_frame: Frame of each predicted box.
        predicted_track: Its track.
        score: Confidence of each predicted box.
        pair_truth: Row of the true box of each pair.
        pair_predicted: Row of its predicted box.
        similarity: How alike they are, in (0, 1].
        truth_neutral: True boxes that count neither when found nor when missed.
        predicted_neutral: Predicted boxes that do not count as false where they meet no truth.
    """

    truth_frame: Int64[np.ndarray, " truth"]
    truth_track: Int64[np.ndarray, " truth"]
    predicted_frame: Int64[np.ndarray, " predicted"]
    predicted_track: Int64[np.ndarray, " predicted"]
    score: Float64[np.ndarray, " predicted"]
    pair_truth: Int64[np.ndarray, " pair"]
    pair_predicted: Int64[np.ndarray, " pair"]
    similarity: Float64[np.ndarray, " pair"]
    truth_neutral: Bool[np.ndarray, " truth"]
    predicted_neutral: Bool[np.ndarray, " predicted"]

    @property
    def truth_tracks(self) -> int:
        """Number of true tracks."""
        return int(self.truth_track.max(initial=-1)) + 1

    @property
    def predicted_tracks(self) -> int:
        """Number of predicted tracks."""
        return int(self.predicted_track.max(initial=-1)) + 1

    @property
    def track_score(self) -> Float64[np.ndarray, " track"]:
        """Mean confidence of each predicted track."""
        total = np.bincount(self.predicted_track, self.score, minlength=self.predicted_tracks)
        return total / np.bincount(self.predicted_track, minlength=self.predicted_tracks)

    def select(
        self, truth: Bool[np.ndarray, " truth"], predicted: Bool[np.ndarray, " predicted"]
    ) -> Comparison:
        """Return the comparison of some of the boxes, with their tracks numbered anew."""
        pair = truth[self.pair_truth] & predicted[self.pair_predicted]
        new_truth, new_predicted = np.cumsum(truth) - 1, np.cumsum(predicted) - 1
        return Comparison(
            truth_frame=self.truth_frame[truth],
            truth_track=_number(self.truth_track[truth]),
            predicted_frame=self.predicted_frame[predicted],
            predicted_track=_number(self.predicted_track[predicted]),
            score=self.score[predicted],
            pair_truth=new_truth[self.pair_truth[pair]],
            pair_predicted=new_predicted[self.pair_predicted[pair]],
            similarity=self.similarity[pair],
            truth_neutral=self.truth_neutral[truth],
            predicted_neutral=self.predicted_neutral[predicted],
        )

    def drop_weak_tracks(self, min_score: float) -> Comparison:
        """Return the comparison without the predicted tracks of a lower mean confidence."""
        if self.predicted_tracks == 0:
            return self
        keep = (self.track_score >= min_score)[self.predicted_track]
        return self.select(np.ones(len(self.truth_frame), bool), keep)

    def settle_neutral(self, min_similarity: float = 0.5) -> Comparison:
        """Return the comparison without what is neutral.

        Boxes are first matched, frame by frame, for the greatest sum of similarities. Then go the
        neutral true boxes with the predictions that they were matched to, and the neutral
        predictions that were matched to nothing.

        References:
            Luiten et al., "TrackEval": the preprocessing of KITTI's 2D boxes.
        """
        near = np.flatnonzero(self.similarity >= min_similarity - EPS)
        truth, predicted = self.pair_truth[near], self.pair_predicted[near]
        matched = match_pairs(truth, predicted, self.similarity[near])
        is_matched = np.zeros(len(self.score), bool)
        is_matched[predicted[matched]] = True
        drop = self.predicted_neutral & ~is_matched
        drop[predicted[matched & self.truth_neutral[truth]]] = True
        kept = self.select(~self.truth_neutral, ~drop)
        return replace(kept, predicted_neutral=np.zeros(len(kept.score), bool))


def compare_boxes(
    truth: TrackedBoxes,
    predicted: TrackedBoxes,
    *,
    similarity: Similarity = "iou_3d",
    zero_distance: float = 2.0,
) -> Comparison:
    """Compare predicted boxes with true ones.

    Args:
        truth: What was there.
        predicted: What was said to be there.
        similarity: `iou_3d` and `bev_iou` for boxes in space, `iou_2d` for image boxes;
            `centre_distance` falls from 1 at equal centres, seen from above, to 0.
        zero_distance: Where `centre_distance` has fallen to 0 [m].

    Raises:
        UsageError: There is no such similarity, or `zero_distance` is not above 0.
        InputError: The boxes have not the columns that it needs.

    Example:
        >>> box = np.array([[0.0, 0.0, 0.0, 0.0, 4.0, 2.0, 1.5]])
        >>> one = TrackedBoxes(np.zeros(1, np.int64), np.zeros(1, np.int64), box)
        >>> compare_boxes(one, one).similarity
        array([1.])
    """
    truth, predicted = _sort(truth), _sort(predicted)
    pair_truth, pair_predicted, value = find_overlaps(
        (truth.frame, truth.boxes),
        (predicted.frame, predicted.boxes),
        similarity=similarity,
        zero_distance=zero_distance,
    )
    return Comparison(
        truth_frame=truth.frame,
        truth_track=_number(truth.track),
        predicted_frame=predicted.frame,
        predicted_track=_number(predicted.track),
        score=np.ones(len(predicted)) if predicted.score is None else predicted.score,
        pair_truth=pair_truth,
        pair_predicted=pair_predicted,
        similarity=value,
        truth_neutral=_flags(truth),
        predicted_neutral=_flags(predicted),
    )


def join_comparisons(parts: Sequence[Comparison]) -> Comparison:
    """Return several sequences as one, each with its own frames and tracks."""
    fields: dict[str, list[np.ndarray]] = {name: [] for name in Comparison.__dataclass_fields__}
    offset = dict.fromkeys(fields, 0)
    for part in parts:
        for name, values in fields.items():
            own = getattr(part, name)
            values.append(own + offset[name] if own.dtype == np.int64 else own)
        frames = 1 + max(part.truth_frame.max(initial=-1), part.predicted_frame.max(initial=-1))
        for name, step in {
            "truth_frame": frames,
            "predicted_frame": frames,
            "truth_track": part.truth_tracks,
            "predicted_track": part.predicted_tracks,
            "pair_truth": len(part.truth_frame),
            "pair_predicted": len(part.predicted_frame),
        }.items():
            offset[name] += int(step)
    return Comparison(**{name: np.concatenate(values) for name, values in fields.items()})


def _sort(boxes: TrackedBoxes) -> TrackedBoxes:
    order = np.argsort(boxes.frame, kind="stable")
    return replace(
        boxes,
        frame=boxes.frame[order],
        track=boxes.track[order],
        boxes=boxes.boxes[order],
        score=None if boxes.score is None else boxes.score[order],
        neutral=None if boxes.neutral is None else boxes.neutral[order],
    )


def _number(track: Int64[np.ndarray, " box"]) -> Int64[np.ndarray, " box"]:
    return np.unique(track, return_inverse=True)[1].astype(np.int64).reshape(-1)


def _flags(boxes: TrackedBoxes) -> Bool[np.ndarray, " box"]:
    return np.zeros(len(boxes), bool) if boxes.neutral is None else boxes.neutral
