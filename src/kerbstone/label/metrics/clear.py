"""CLEAR-MOT: misses, false alarms and switches of identity, counted frame by frame.

References:
    Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance: The CLEAR MOT
    Metrics", EURASIP JIVP 2008; Li, Huang and Nevatia, "Learning to Associate: HybridBoosted
    Multi-Target Tracker for Crowded Scene", CVPR 2009 (mostly tracked, mostly lost).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from kerbstone.label.metrics.comparison import EPS, Comparison
from kerbstone.label.metrics.matching import match_group, split_pairs

_CONTINUES = 1000.0  # outweighs any similarity: to go on with a track comes first


@dataclass(frozen=True)
class Clear:
    """CLEAR-MOT's counts; the sum of two is that of both sequences.

    The figures are TrackEval's. What has no box to be about is NaN.

    Args:
        tp: Pairs found.
        fn: True boxes missed.
        fp: Predicted boxes that meet none.
        switches: How often a true track goes on under another predicted track.
        fragments: How often a true track is found again after it was lost.
        mostly_tracked: True tracks found in more than 80 % of their frames.
        partly_tracked: True tracks found in 20 % to 80 % of their frames.
        mostly_lost: True tracks found in less than 20 % of their frames.
        similarity: Sum of the similarities of the found pairs.
    """

    tp: int
    fn: int
    fp: int
    switches: int
    fragments: int
    mostly_tracked: int
    partly_tracked: int
    mostly_lost: int
    similarity: float

    def __add__(self, other: Clear) -> Clear:
        return Clear(
            *(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__)
        )

    @property
    def mota(self) -> float:
        """1 less misses, false alarms and switches per true box; below 0 where they are more."""
        return _ratio(self.tp - self.fp - self.switches, self.tp + self.fn)

    @property
    def motp(self) -> float:
        """Mean similarity of the found pairs."""
        return _ratio(self.similarity, self.tp)

    @property
    def recall(self) -> float:
        """Share of the true boxes that were found."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def precision(self) -> float:
        """Share of the predicted boxes that meet a true one."""
        return _ratio(self.tp, self.tp + self.fp)

    def summarise(self) -> dict[str, float]:
        """Return the figures by TrackEval's names."""
        return {
            "MOTA": self.mota,
            "MOTP": self.motp,
            "CLR_Re": self.recall,
            "CLR_Pr": self.precision,
            "CLR_TP": self.tp,
            "CLR_FN": self.fn,
            "CLR_FP": self.fp,
            "IDSW": self.switches,
            "Frag": self.fragments,
            "MT": self.mostly_tracked,
            "PT": self.partly_tracked,
            "ML": self.mostly_lost,
        }


def score_clear(comparison: Comparison, *, min_similarity: float = 0.5) -> Clear:
    """Score one sequence; neutral boxes must have been settled before.

    A frame is matched so that as many pairs as possible go on from the frame before, and then for
    the greatest similarity. The frame before is the last one with both true and predicted boxes.

    Args:
        comparison: Truth and prediction.
        min_similarity: From where on a pair may be found.
    """
    rank = _rank_frames(comparison)
    before = _find_previous(comparison.truth_track, rank)
    match, similarity = _match_frames(comparison, before, min_similarity)
    found = match >= 0
    tp = int(found.sum())

    tracks = comparison.truth_tracks
    frames = np.bincount(comparison.truth_track, minlength=tracks)
    frames_found = np.bincount(comparison.truth_track[found], minlength=tracks)
    ratio = frames_found / np.maximum(1, frames)
    mostly = int((ratio > 0.8).sum())
    partly = int((ratio >= 0.2).sum()) - mostly

    starts = found & ~((before >= 0) & found[before])
    start_count = np.bincount(comparison.truth_track[starts], minlength=tracks)
    return Clear(
        tp=tp,
        fn=len(found) - tp,
        fp=len(comparison.score) - tp,
        switches=_count_switches(comparison, match),
        fragments=int(np.maximum(start_count - 1, 0).sum()),
        mostly_tracked=mostly,
        partly_tracked=partly,
        mostly_lost=tracks - mostly - partly,
        similarity=similarity,
    )


def _rank_frames(comparison: Comparison) -> Int64[np.ndarray, " truth"]:
    """Number the frames that have both sides; true boxes of other frames get -1."""
    frames = np.intersect1d(comparison.truth_frame, comparison.predicted_frame)
    place = np.searchsorted(frames, comparison.truth_frame)
    return np.where(np.isin(comparison.truth_frame, frames), place, -1)


def _find_previous(
    track: Int64[np.ndarray, " truth"], rank: Int64[np.ndarray, " truth"]
) -> Int64[np.ndarray, " truth"]:
    """Return the row of the same true track one frame before, or -1."""
    order = np.lexsort((rank, track))
    follows = (
        (track[order[1:]] == track[order[:-1]])
        & (rank[order[1:]] == rank[order[:-1]] + 1)
        & (rank[order[:-1]] >= 0)
    )
    before = np.full(len(track), -1, np.int64)
    before[order[1:][follows]] = order[:-1][follows]
    return before


def _match_frames(
    comparison: Comparison, before: Int64[np.ndarray, " truth"], min_similarity: float
) -> tuple[Int64[np.ndarray, " truth"], float]:
    """Return the predicted row of each true box, or -1, and the sum of similarities."""
    near: Bool[np.ndarray, " pair"] = (comparison.similarity >= min_similarity - EPS) & (
        comparison.similarity > EPS
    )
    truth, predicted = comparison.pair_truth[near], comparison.pair_predicted[near]
    similarity = comparison.similarity[near]
    alone, groups = split_pairs(truth, predicted)
    match = np.full(len(comparison.truth_frame), -1, np.int64)
    match[truth[alone]] = predicted[alone]
    total = similarity[alone].sum()
    track = comparison.predicted_track
    for group in groups:  # in the order of frames: each needs the frame before
        rows, others, weight = truth[group], predicted[group], similarity[group]
        last = np.where(before[rows] >= 0, match[before[rows]], -1)
        goes_on = (last >= 0) & (track[last] == track[others])
        chosen = match_group(rows, others, _CONTINUES * goes_on + weight)
        match[rows[chosen]] = others[chosen]
        total += weight[chosen].sum()
    return match, float(total)


def _count_switches(comparison: Comparison, match: Int64[np.ndarray, " truth"]) -> int:
    found = np.flatnonzero(match >= 0)
    order = found[np.lexsort((comparison.truth_frame[found], comparison.truth_track[found]))]
    predicted = comparison.predicted_track[match[order]]
    same = np.diff(comparison.truth_track[order]) == 0
    return int((same & (np.diff(predicted) != 0)).sum())


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
