"""IDF1: how much of the truth is covered when each true track may have one predicted track.

References:
    Ristani, Solera, Zou, Cucchiara and Tomasi, "Performance Measures and a Data Set for
    Multi-Target, Multi-Camera Tracking", ECCV workshops 2016.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerbstone.label.metrics.comparison import Comparison
from kerbstone.label.metrics.matching import match_pairs


@dataclass(frozen=True)
class Identity:
    """Counts of boxes under the best pairing of tracks; the sum is that of both sequences.

    Args:
        tp: True boxes covered by the predicted track that their track is paired with.
        fn: True boxes that are not.
        fp: Predicted boxes that cover none.
    """

    tp: int
    fn: int
    fp: int

    def __add__(self, other: Identity) -> Identity:
        return Identity(self.tp + other.tp, self.fn + other.fn, self.fp + other.fp)

    @property
    def idf1(self) -> float:
        """The harmonic mean of `idp` and `idr`; NaN where there is no box."""
        return _ratio(self.tp, self.tp + (self.fn + self.fp) / 2)

    @property
    def idp(self) -> float:
        """Share of the predicted boxes that are rightly named; NaN where there are none."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def idr(self) -> float:
        """Share of the true boxes that are rightly named; NaN where there are none."""
        return _ratio(self.tp, self.tp + self.fn)

    def summarise(self) -> dict[str, float]:
        """Return the figures by TrackEval's names."""
        return {
            "IDF1": self.idf1,
            "IDP": self.idp,
            "IDR": self.idr,
            "IDTP": self.tp,
            "IDFN": self.fn,
            "IDFP": self.fp,
        }


def score_identity(comparison: Comparison, *, min_similarity: float = 0.5) -> Identity:
    """Score one sequence; neutral boxes must have been settled before.

    Args:
        comparison: Truth and prediction.
        min_similarity: From where on a pair of boxes counts for a pair of tracks.
    """
    near = comparison.similarity >= min_similarity
    pairs, boxes = np.unique(
        np.column_stack(
            [
                comparison.truth_track[comparison.pair_truth[near]],
                comparison.predicted_track[comparison.pair_predicted[near]],
            ]
        ),
        axis=0,
        return_counts=True,
    )
    chosen = match_pairs(pairs[:, 0], pairs[:, 1], boxes.astype(np.float64))
    tp = int(boxes[chosen].sum())
    return Identity(tp, len(comparison.truth_frame) - tp, len(comparison.score) - tp)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
