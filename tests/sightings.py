"""Detections made of where things are at each step, and who each of them is."""

import numpy as np

from kerbstone.label.candidates import Expected, Sightings
from kerbstone.scene import Clock, Detections, Kind

SIZES = {Kind.CAR: (4.5, 1.8, 1.5), Kind.TRUCK: (8.0, 2.5, 3.2), Kind.PEDESTRIAN: (0.6, 0.6, 1.7)}


def detect(rows, *, steps=None, dt=0.1, order=None):
    """Return detections and their owners, of (step, owner, x, y, heading, kind[, score])."""
    rows = sorted(rows, key=lambda row: row[0])
    if order is not None:
        order.shuffle(rows)
        rows = sorted(rows, key=lambda row: row[0])
    box = [(row[2], row[3], 0.8, row[4], *SIZES[row[5]]) for row in rows]
    step = np.array([row[0] for row in rows], np.int64)
    found = Detections(
        clock=Clock(0, round(dt * 1e9), steps or int(step.max(initial=0)) + 1),
        step=step,
        box=np.array(box, np.float64).reshape(-1, 7),
        kind=np.array([row[5] for row in rows], np.uint8),
        score=np.array([row[6] if len(row) > 6 else 0.9 for row in rows], np.float64),
    )
    return found, np.array([row[1] for row in rows], np.int64)


def drive(
    owner, steps, start=(0.0, 0.0), *, velocity=(10.0, 0.0), kind=Kind.CAR, dt=0.1, score=0.9
):
    """Return the rows of one road user that keeps its velocity."""
    heading = float(np.arctan2(velocity[1], velocity[0]))
    return [
        (
            step,
            owner,
            start[0] + velocity[0] * dt * step,
            start[1] + velocity[1] * dt * step,
            heading,
            kind,
            score,
        )
        for step in steps
    ]


def shake(rows, seed, noise=0.08):
    """Return the rows with errors of measurement."""
    draw = np.random.default_rng(seed)
    return [
        (
            step,
            owner,
            x + draw.normal(0, noise),
            y + draw.normal(0, noise),
            turn + draw.normal(0, 0.03),
            *rest,
        )
        for step, owner, x, y, turn, *rest in rows
    ]


def tracks_by_owner(track, owner):
    """Return the tracks that each owner's detections went to, in order of appearance."""
    return {int(who): list(dict.fromkeys(track[owner == who].tolist())) for who in np.unique(owner)}


def situation(seed, tracks=30, rows=40, extent=20.0):
    """Return tracks and detections of one step at random."""
    draw = np.random.default_rng(seed)
    root = draw.normal(0, 0.4, (tracks, 5, 5))
    kinds = np.array([Kind.CAR, Kind.TRUCK, Kind.PEDESTRIAN], np.uint8)
    expected = Expected(
        state=np.column_stack(
            [draw.uniform(0, extent, (tracks, 2)), draw.normal(size=(tracks, 3))]
        ),
        covariance=root @ root.transpose(0, 2, 1) + 0.01 * np.eye(5),
        kind=draw.choice(kinds, tracks),
        hits=draw.integers(1, 9, tracks),
        unseen=draw.uniform(0.1, 1, tracks),
        look=draw.normal(size=(tracks, 5)),
    )
    sightings = Sightings(
        place=np.column_stack([draw.uniform(0, extent, (rows, 2)), draw.normal(size=rows)]),
        variance=draw.uniform(0.01, 0.2, (rows, 3)),
        kind=draw.choice(kinds, rows),
        look=draw.normal(size=(rows, 5)),
    )
    return expected, sightings
