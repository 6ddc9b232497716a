"""Logs whose truth is known, and which detections and boxes are of which true road user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from kerbstone.label.labelling import sensor_path
from kerbstone.label.metrics import TrackedBoxes, compare_boxes
from kerbstone.scene import BoxIndex, Detections, Scene, pack_boxes, wrap_angle

Judged = Callable[
    [Int64[np.ndarray, " cell"], Float64[np.ndarray, "cell 7"]], Bool[np.ndarray, " cell"]
]
OVERLAP = 0.25
"""So much of the truth must a box overlap to be of it."""


@dataclass(frozen=True, eq=False)
class Example:
    """A log whose truth is known.

    Args:
        detections: What the detector saw.
        scene: What is known of the log without looking: clock, recording car.
        truth: All road users that were there.
        judged: Given steps and boxes, tells where the truth is known: a log of which only what the
            camera sees was annotated says nothing of the rest. Everywhere if None.
    """

    detections: Detections
    scene: Scene
    truth: Scene
    judged: Judged | None = None


@dataclass(frozen=True, eq=False)
class Matched:
    """Detections of a log beside the truth: `error` is NaN where there is none."""

    error: Float64[np.ndarray, "row 9"]
    range: Float64[np.ndarray, " row"]
    agent: Int64[np.ndarray, " row"]
    known: Bool[np.ndarray, " row"]


def match_detections(example: Example) -> Matched:
    """Return for each detection: x and y ahead and left of the truth, and the rest of the errors.

    Columns: ahead, left, up, heading, log ratios of length, width and height, the error of the
    length, and the share of it that lies along the line of sight.
    """
    seen = example.detections
    rows = len(seen)
    agent, boxes, step, kind = true_boxes(example.truth)
    compared = compare_boxes(
        TrackedBoxes(step, agent, boxes), TrackedBoxes(seen.step, np.arange(rows), seen.box)
    )
    order = np.argsort(step, kind="stable")
    truth, row = order[compared.pair_truth], compared.pair_predicted
    fits = (kind[truth] == seen.kind[row]) & (compared.similarity > OVERLAP)
    truth, row, overlap = truth[fits], row[fits], compared.similarity[fits]
    # The surest pairs are the best overlaps; each detection and each truth belongs to one pair.
    best = np.argsort(-overlap, kind="stable")
    best = best[np.sort(np.unique(row[best], return_index=True)[1])]
    best = best[np.sort(np.unique(truth[best], return_index=True)[1])]
    truth, row = truth[best], row[best]
    sensor = sensor_path(example.scene)
    error = np.full((rows, 9), np.nan)
    away = np.zeros((rows, 2))
    if sensor is not None:
        away = np.nan_to_num(seen.box[:, :2] - sensor[seen.step])
    true, found = boxes[truth], seen.box[row]
    off = found[:, :3] - true[:, :3]
    cos, sin = np.cos(true[:, BoxIndex.HEADING]), np.sin(true[:, BoxIndex.HEADING])
    along = away[row, 0] * cos + away[row, 1] * sin
    error[row] = np.column_stack(
        [
            off[:, 0] * cos + off[:, 1] * sin,
            off[:, 1] * cos - off[:, 0] * sin,
            off[:, 2],
            np.asarray(wrap_angle(2 * (found[:, 3] - true[:, 3]))) / 2,
            np.log(found[:, 4:] / true[:, 4:]),
            found[:, BoxIndex.LENGTH] - true[:, BoxIndex.LENGTH],
            np.clip(along / 20.0, -1, 1),
        ]
    )
    whose = np.full(rows, -1, np.int64)
    whose[row] = agent[truth]
    known = np.ones(rows, bool)
    if example.judged is not None:
        known = example.judged(seen.step, seen.box)
    return Matched(error, np.hypot(away[:, 0], away[:, 1]), whose, known)


def true_boxes(
    truth: Scene,
) -> tuple[
    Int64[np.ndarray, " box"],
    Float64[np.ndarray, "box 7"],
    Int64[np.ndarray, " box"],
    UInt8[np.ndarray, " box"],
]:
    """Return agent, box, step and kind of every true cell but the recording car's."""
    agents = truth.agents
    agent, step = np.nonzero(agents.valid)
    kept = agent != (-1 if truth.ego is None else truth.ego)
    agent, step = agent[kept], step[kept]
    boxes = pack_boxes(agents.centre[agent, step], agents.heading[agent, step], agents.size[agent])
    whole = np.isfinite(boxes).all(axis=1)
    agent, step = agent[whole], step[whole]
    return agent, boxes[whole], step, agents.kind[agent]


def reachable_boxes(
    example: Example,
) -> tuple[
    Int64[np.ndarray, " box"],
    Float64[np.ndarray, "box 7"],
    Int64[np.ndarray, " box"],
    UInt8[np.ndarray, " box"],
]:
    """Return the true boxes, as `true_boxes` has them, that labels could be of.

    They are those from a road user's first to its last detection: what was not seen yet, or never,
    cannot be labelled, and would make all thresholds look alike.
    """
    agent, boxes, step, kind = true_boxes(example.truth)
    met = match_detections(example).agent
    seen = met >= 0
    first = np.full(len(example.truth.agents), example.truth.clock.steps)
    last = np.full(len(example.truth.agents), -1)
    np.minimum.at(first, met[seen], example.detections.step[seen])
    np.maximum.at(last, met[seen], example.detections.step[seen])
    kept = (step >= first[agent]) & (step <= last[agent])
    if example.judged is not None:
        kept &= example.judged(step, boxes)
    return agent[kept], boxes[kept], step[kept], kind[kept]
