"""AMOTA: CLEAR-MOT's figures over all confidence thresholds, so that none has to be chosen.

A track's confidence is the mean of its boxes'. Thresholds are taken where recall reaches 1/40,
2/40 and so on; below each, MOTA is computed anew, and the mean over the 40 recalls is AMOTA. A
recall that is never reached counts as 0. sAMOTA scales MOTA at each recall by what a perfect
tracker could reach there.

The rules are those of AB3DMOT's evaluator, which differ from TrackEval's: neutral boxes take part
in the matching, a pair with a neutral true box still counts as found in recall and MOTP, and a
predicted box that met a true one at an earlier threshold is never forgiven later.

References:
    Weng, Wang, Held and Kitani, "3D Multi-Object Tracking: A Baseline and New Evaluation
    Metrics", IROS 2020; thresholds and counts as in its `scripts/KITTI/evaluate.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.label.metrics.comparison import Comparison, join_comparisons
from kerbstone.label.metrics.matching import match_pairs
from kerbstone.label.metrics.trajectories import Trajectories

RECALLS = 40
_FOUND = 1000.0  # outweighs any similarity: as many pairs as possible come first


@dataclass(frozen=True)
class ThresholdScore:
    """CLEAR-MOT's figures of the tracks at or above one confidence threshold.

    NaN where there is no true box to score, or no pair for MOTP.

    Args:
        threshold: Least mean confidence of a track.
        recall: Share of the true boxes found, neutral ones that were found included.
        mota: 1 less misses, false alarms and switches per true box that is not neutral.
        smota: MOTA scaled by what is possible at the recall aimed at, in [0, 1].
        motp: Mean similarity of the found pairs.
        tp: Pairs found, those with neutral true boxes included.
        fp: Predicted boxes that meet none.
        fn: True boxes missed, without the neutral ones.
        switches: How often a true track goes on under another predicted track.
        fragments: How often a true track is found by another than before, or again.
        mostly_tracked: Share of the true tracks found in more than 80 % of their frames.
        mostly_lost: Share of the true tracks found in less than 20 % of their frames.
    """

    threshold: float
    recall: float
    mota: float
    smota: float
    motp: float
    tp: int
    fp: int
    fn: int
    switches: int
    fragments: int
    mostly_tracked: float
    mostly_lost: float


@dataclass(frozen=True)
class Amota:
    """Means over recall, and the figures at the threshold of the best MOTA.

    NaN where there is no true box to score.

    Args:
        samota: Mean of sMOTA over 40 recalls.
        amota: Mean of MOTA over 40 recalls.
        amotp: Mean of MOTP over 40 recalls.
        best: Figures at the threshold of the best MOTA; of all tracks where none is above 0.
        curve: Figures at each threshold, from the highest.
    """

    samota: float
    amota: float
    amotp: float
    best: ThresholdScore
    curve: tuple[ThresholdScore, ...]

    def summarise(self) -> dict[str, float]:
        """Return the figures by AB3DMOT's names."""
        return {
            "sAMOTA": self.samota,
            "AMOTA": self.amota,
            "AMOTP": self.amotp,
            "MOTA": self.best.mota,
            "MOTP": self.best.motp,
            "IDS": self.best.switches,
            "FRAG": self.best.fragments,
            "TP": self.best.tp,
            "FP": self.best.fp,
            "FN": self.best.fn,
            "threshold": self.best.threshold,
        }


def score_amota(sequences: Sequence[Comparison], *, min_similarity: float = 0.25) -> Amota:
    """Score all sequences together; neutral boxes must not have been settled.

    Args:
        sequences: Truth and prediction of each.
        min_similarity: From where on a pair may be found.

    Raises:
        InputError: There is no sequence.
    """
    if not sequences:
        raise InputError("empty", "there is no sequence to score")
    sweep = _Sweep(join_comparisons(sequences), min_similarity)
    everything = sweep.score(-np.inf)
    thresholds, recalls = _choose_thresholds(
        sweep.found_scores, everything.tp + everything.fn, RECALLS
    )
    curve = [
        sweep.score(float(threshold), float(recall))
        for threshold, recall in zip(thresholds, recalls, strict=True)
    ]
    best = max(curve, key=lambda point: point.mota, default=everything)
    return Amota(
        samota=_mean([point.smota for point in curve], everything),
        amota=_mean([point.mota for point in curve], everything),
        amotp=_mean([point.motp for point in curve], everything),
        best=sweep.score(best.threshold if best.mota > 0 else -np.inf),
        curve=tuple(curve),
    )


def _mean(values: list[float], everything: ThresholdScore) -> float:
    return float("nan") if np.isnan(everything.mota) else float(np.nansum(values)) / RECALLS


def _choose_thresholds(
    scores: Float64[np.ndarray, " found"], truths: int, recalls: int
) -> tuple[list[float], list[float]]:
    """Return the confidences at which recall comes nearest to each multiple of 1/`recalls`."""
    ordered = np.sort(scores)[::-1]
    thresholds: list[float] = []
    reached: list[float] = []
    aim = 0.0
    for i, score in enumerate(ordered):
        below = (i + 1) / truths
        is_last = i == len(ordered) - 1
        above = below if is_last else (i + 2) / truths
        if above - aim < aim - below and not is_last:
            continue
        thresholds.append(float(score))
        reached.append(aim)
        aim += 1 / recalls
    return thresholds[1:], reached[1:]  # the first stands for a recall of 0


class _Sweep:
    """Scores one comparison at one threshold after another.

    It remembers two things between them, as AB3DMOT's evaluator does: which predicted boxes ever
    met a true one, and the mean confidences, whose last digits change when means are averaged
    again. The second decides whether a track that sits on its own threshold is kept.
    """

    def __init__(self, comparison: Comparison, min_similarity: float) -> None:
        near = comparison.similarity >= min_similarity
        self._truth = comparison.pair_truth[near]
        self._predicted = comparison.pair_predicted[near]
        self._similarity = comparison.similarity[near]
        self._comparison = comparison
        self._score = comparison.score
        self._ever_found = np.zeros(len(comparison.score), bool)
        self._trajectories = Trajectories(comparison)
        self.found_scores = np.zeros(0)

    def score(self, threshold: float, recall: float = 1.0) -> ThresholdScore:
        """Score the tracks whose mean confidence reaches the threshold."""
        comparison = self._comparison
        track = comparison.predicted_track
        # A plain running sum, box by box: pairwise summation would round otherwise.
        mean = np.bincount(track, self._score) / np.bincount(track)
        self._score = mean[track]
        is_kept = self._score >= threshold

        pairs = np.flatnonzero(is_kept[self._predicted])
        truth, predicted = self._truth[pairs], self._predicted[pairs]
        similarity = self._similarity[pairs]
        found = match_pairs(truth, predicted, _FOUND + similarity)
        truth, predicted, similarity = truth[found], predicted[found], similarity[found]
        self._ever_found[predicted] = True
        self.found_scores = self._score[predicted]
        match = np.full(len(comparison.truth_frame), -1, np.int64)
        match[truth] = track[predicted]

        is_missed = (match < 0) & ~comparison.truth_neutral
        is_forgiven = is_kept & comparison.predicted_neutral & ~self._ever_found
        tp, fn = len(truth), int(is_missed.sum())
        fp = int(is_kept.sum()) - tp - int(is_forgiven.sum())
        truths = int((~comparison.truth_neutral).sum())
        story = self._trajectories.read(match)
        wrong = fn + fp + story.switches
        nan = float("nan")
        scaled = 1 - (wrong - (1 - recall) * truths) / (recall * truths) if truths else nan
        return ThresholdScore(
            threshold=threshold,
            recall=tp / (tp + fn) if tp + fn else nan,
            mota=1 - wrong / truths if truths else nan,
            smota=min(1.0, max(0.0, scaled)) if truths else nan,
            motp=float(similarity.sum()) / tp if tp else nan,
            tp=tp,
            fp=fp,
            fn=fn,
            switches=story.switches,
            fragments=story.fragments,
            mostly_tracked=story.mostly_tracked,
            mostly_lost=story.mostly_lost,
        )
