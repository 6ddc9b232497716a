"""Metrics of tracking: HOTA, CLEAR-MOT, IDF1 and AMOTA, and KITTI's rules of what counts."""

from kerbstone.label.metrics.amota import Amota, ThresholdScore, score_amota
from kerbstone.label.metrics.clear import Clear, score_clear
from kerbstone.label.metrics.comparison import (
    Comparison,
    TrackedBoxes,
    compare_boxes,
    join_comparisons,
)
from kerbstone.label.metrics.hota import ALPHAS, Hota, score_hota
from kerbstone.label.metrics.identity import Identity, score_identity
from kerbstone.label.metrics.kitti import KittiScores, TrackScores, compare_kitti, evaluate_kitti
from kerbstone.label.metrics.kitti_rows import KittiRows, read_kitti_rows
from kerbstone.label.metrics.similarity import Similarity

__all__ = [
    "ALPHAS",
    "Amota",
    "Clear",
    "Comparison",
    "Hota",
    "Identity",
    "KittiRows",
    "KittiScores",
    "Similarity",
    "ThresholdScore",
    "TrackScores",
    "TrackedBoxes",
    "compare_boxes",
    "compare_kitti",
    "evaluate_kitti",
    "join_comparisons",
    "read_kitti_rows",
    "score_amota",
    "score_clear",
    "score_hota",
    "score_identity",
]
