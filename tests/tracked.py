"""Boxes on a line, for metrics of tracking that can be worked out by hand."""

import numpy as np

from kerbstone.label.metrics import TrackedBoxes, compare_boxes


def tracked(rows, *, score=None, neutral=None):
    """Return boxes of 4 m by 2 m from (frame, track, x)."""
    table = np.array(rows, np.float64).reshape(-1, 3)
    boxes = np.zeros((len(table), 7))
    boxes[:, 0] = table[:, 2]
    boxes[:, 4:] = 4.0, 2.0, 1.5
    return TrackedBoxes(
        table[:, 0].astype(np.int64),
        table[:, 1].astype(np.int64),
        boxes,
        None if score is None else np.array(score, np.float64),
        None if neutral is None else np.array(neutral, bool),
    )


def compared(truth, predicted, *, score=None, truth_neutral=None, predicted_neutral=None):
    """Compare boxes on a line by the distance of their centres, 0 from 2 m on."""
    return compare_boxes(
        tracked(truth, neutral=truth_neutral),
        tracked(predicted, score=score, neutral=predicted_neutral),
        similarity="centre_distance",
    )


def drive(track, frames, x=0.0):
    """Return the rows of one track that stands at x."""
    return [(frame, track, x) for frame in frames]


def shuffled_tracks(seed, *, frames=25, objects=6, noise=1.2):
    """Return rows of truth and prediction with misses, switches and false alarms."""
    draw = np.random.default_rng(seed)
    truth, predicted, said = [], [], list(range(objects))
    for frame in range(frames):
        if draw.random() < 0.4:
            one, other = draw.integers(objects, size=2)
            said[one], said[other] = said[other], said[one]
        for track in range(objects):
            x = 1.5 * track + 0.2 * frame * (track - 2)
            if draw.random() < 0.85:
                truth.append((frame, track, x))
            if draw.random() < 0.8:
                predicted.append((frame, said[track], x + draw.normal(0, noise)))
        if draw.random() < 0.4:
            predicted.append((frame, 100 + int(draw.integers(3)), 12 * draw.random()))
    return truth, predicted
