"""HOTA: how well objects are found, and how well what is found is kept together over time.

References:
    Luiten, Ošep, Dendorfer, Torr, Geiger, Leal-Taixé and Leibe, "HOTA: A Higher Order Metric for
    Evaluating Multi-Object Tracking", IJCV 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.label.metrics.comparison import EPS, Comparison
from kerbstone.label.metrics.matching import match_pairs

ALPHAS = np.arange(0.05, 0.99, 0.05)
"""The 19 similarities above which a pair counts as found."""


@dataclass(frozen=True, eq=False)
class Hota:
    """HOTA's counts at each alpha; the sum of two is that of both sequences.

    The figures are TrackEval's, at each alpha: take their mean for the usual single number. Where
    nothing is matched at an alpha, there is nothing to associate: `ass_a` is 0 and `loc_a` 1 there
    by convention. What has no box to be about at all is NaN.

    Args:
        tp: Pairs found.
        fn: True boxes missed.
        fp: Predicted boxes that meet none.
        association: Sum over the found pairs of how much their two tracks have in common.
        association_recall: The same, as a share of the true track.
        association_precision: The same, as a share of the predicted track.
        similarity: Sum of the similarities of the found pairs.
    """

    tp: Int64[np.ndarray, " alpha"]
    fn: Int64[np.ndarray, " alpha"]
    fp: Int64[np.ndarray, " alpha"]
    association: Float64[np.ndarray, " alpha"]
    association_recall: Float64[np.ndarray, " alpha"]
    association_precision: Float64[np.ndarray, " alpha"]
    similarity: Float64[np.ndarray, " alpha"]

    def __add__(self, other: Hota) -> Hota:
        return Hota(
            *(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__)
        )

    @property
    def hota(self) -> Float64[np.ndarray, " alpha"]:
        """The geometric mean of `det_a` and `ass_a`."""
        return np.sqrt(self.det_a * self.ass_a)

    @property
    def det_a(self) -> Float64[np.ndarray, " alpha"]:
        """Found pairs as a share of all boxes, each pair counted once."""
        return _share(self.tp, self.tp + self.fn + self.fp)

    @property
    def det_re(self) -> Float64[np.ndarray, " alpha"]:
        """Share of the true boxes that were found."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def det_pr(self) -> Float64[np.ndarray, " alpha"]:
        """Share of the predicted boxes that meet a true one."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def ass_a(self) -> Float64[np.ndarray, " alpha"]:
        """Mean over found pairs of the overlap of their two tracks in time."""
        return self.association / np.maximum(1, self.tp)

    @property
    def ass_re(self) -> Float64[np.ndarray, " alpha"]:
        """Mean over found pairs of the share of the true track that is kept together."""
        return self.association_recall / np.maximum(1, self.tp)

    @property
    def ass_pr(self) -> Float64[np.ndarray, " alpha"]:
        """Mean over found pairs of the share of the predicted track that is one object."""
        return self.association_precision / np.maximum(1, self.tp)

    @property
    def loc_a(self) -> Float64[np.ndarray, " alpha"]:
        """Mean similarity of the found pairs."""
        empty = np.nan if not self.tp.any() else 1.0
        return np.where(self.tp > 0, self.similarity / np.maximum(1, self.tp), empty)

    def summarise(self) -> dict[str, float]:
        """Return the means over all alphas, by TrackEval's names."""
        return {
            "HOTA": float(self.hota.mean()),
            "DetA": float(self.det_a.mean()),
            "AssA": float(self.ass_a.mean()),
            "DetRe": float(self.det_re.mean()),
            "DetPr": float(self.det_pr.mean()),
            "AssRe": float(self.ass_re.mean()),
            "AssPr": float(self.ass_pr.mean()),
            "LocA": float(self.loc_a.mean()),
        }


def score_hota(comparison: Comparison) -> Hota:
    """Score one sequence; neutral boxes must have been settled before.

    Each frame is matched once for all alphas, for the greatest sum of similarity times how well
    the two tracks fit over the whole sequence.
    """
    truth_length = np.bincount(comparison.truth_track)
    predicted_length = np.bincount(comparison.predicted_track)
    truth, predicted = comparison.pair_truth, comparison.pair_predicted
    similarity = comparison.similarity
    tracks, link = np.unique(
        comparison.truth_track[truth] * max(1, comparison.predicted_tracks)
        + comparison.predicted_track[predicted],
        return_inverse=True,
    )
    first, second = np.divmod(tracks, max(1, comparison.predicted_tracks))
    boxes = truth_length[first] + predicted_length[second]

    by_truth = np.bincount(truth, similarity, minlength=len(comparison.truth_frame))
    by_predicted = np.bincount(predicted, similarity, minlength=len(comparison.score))
    shared = similarity / (by_truth[truth] + by_predicted[predicted] - similarity)
    common = np.bincount(link, shared, minlength=len(tracks))
    fit = common / (boxes - common)
    matched = np.flatnonzero(match_pairs(truth, predicted, fit[link] * similarity))

    is_found = similarity[matched, None] >= ALPHAS - EPS
    tp = is_found.sum(axis=0)
    kept = np.zeros((len(tracks), len(ALPHAS)), np.int64)
    np.add.at(kept, link[matched], is_found)
    return Hota(
        tp=tp,
        fn=len(comparison.truth_frame) - tp,
        fp=len(comparison.score) - tp,
        association=(kept**2 / np.maximum(1, boxes[:, None] - kept)).sum(axis=0),
        association_recall=(kept**2 / truth_length[first, None]).sum(axis=0),
        association_precision=(kept**2 / predicted_length[second, None]).sum(axis=0),
        similarity=(similarity[matched, None] * is_found).sum(axis=0),
    )


def _share(part: np.ndarray, whole: np.ndarray) -> Float64[np.ndarray, " alpha"]:
    return np.where(whole > 0, part / np.maximum(1, whole), np.nan)
