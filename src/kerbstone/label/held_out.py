"""Stretches of a log whose detections are hidden: who fills them better, the smoother or a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.label.fill_scores import Scores
from kerbstone.label.fillings import Filling
from kerbstone.label.gap_windows import Predictor, fill_gaps
from kerbstone.label.gaps import BINS, GROUPS, Gaps, find_gaps, find_moving, gaps_between
from kerbstone.label.labels import Labels, Provenance

_MOST = 300
"""So many stretches are hidden for each group and bin at most."""
_ROUNDS = 8
"""So often is the log smoothed again with other stretches hidden, while there are too few."""
_TRIES = 1500
"""Places that are tried for each group and bin in a round."""
_SHARE = 0.25
"""Share of those who are there that may be hidden at once: most are seen around a real gap, too."""
_DETECTED = 0.7
"""Share of the cells of a stretch that have a detection, at least."""
_APART = 2.0
"""Stretches of one track lie so far apart [s]."""
_ODD = 0.01
"""Chance that a detection is of something else, anywhere within some metres: without it a single
one would outweigh all others."""
_ODD_DENSITY = np.log(1 / (np.pi * 10.0**2))


class Seen(NamedTuple):
    """What was detected, as far as filling is judged by it.

    Args:
        place: Where, row by row [m].
        noise: Standard deviation of x and of y [m].
        track: Track of each detection, -1 for none.
    """

    place: Float64[np.ndarray, "row 2"]
    noise: Float64[np.ndarray, " row"]
    track: Int64[np.ndarray, " row"]


Relabel = Callable[[Int64[np.ndarray, " row"]], Labels]
"""Makes labels anew, given the track of each detection; agents are numbered as the tracks are, and
nothing is left out."""


def score_fillings(
    labels: Labels, gaps: Gaps, seen: Seen, relabel: Relabel, predictor: Predictor, *, seed: int
) -> Scores:
    """Hide stretches with detections, as long as the gaps are, and have both fill them.

    Args:
        labels: The labels.
        gaps: Those of their gaps that may be filled.
        seen: The detections.
        relabel: Smooths the log without some of them.
        predictor: The model.
        seed: Of the choice of stretches.
    """
    rng = np.random.default_rng(seed)
    room = np.zeros((len(GROUPS), len(BINS)), np.int64)
    room[gaps.group, gaps.bin] = _MOST
    parts: list[tuple[np.ndarray, ...]] = []
    count = 0
    for _ in range(_ROUNDS):
        drawn = _draw(labels, gaps, room, rng)
        if not len(drawn):
            break
        np.subtract.at(room, (drawn.group, drawn.bin), 1)
        for part in _score(labels, drawn, seen, relabel, predictor):
            parts.append((np.full(len(part[0]), count), *part))
            count += 1
    if not parts:
        return Scores(*[np.zeros(0, np.int64)] * 4, *[np.zeros(0)] * 5)
    stretch, group, length, track, *rest = map(np.concatenate, zip(*parts, strict=True))
    return Scores(group, length, track, stretch, *rest)


def _draw(
    labels: Labels, gaps: Gaps, room: Int64[np.ndarray, "group bin"], rng: np.random.Generator
) -> Gaps:
    """Return stretches between two detections that may be hidden at the same time."""
    there = find_moving(labels)[labels.agent]
    present = np.bincount(labels.step[there], minlength=labels.scene.clock.steps)
    most = np.maximum(_SHARE * present, 1)
    load = np.zeros(len(present), np.int64)
    busy = np.zeros(len(labels), bool)
    guard = round(_APART / labels.scene.clock.dt)
    # The longest first: where short ones lie, they no longer find a place.
    places = {
        (group, each): _fitting(labels, gaps, group, each, rng)
        for group, each in reversed(list(np.ndindex(*room.shape)))
        if room[group, each]
    }
    left = {key: int(room[key]) for key in places}
    chosen: list[tuple[int, int]] = []
    while places:
        for key in list(places):
            for before, after in places[key]:
                steps = slice(labels.step[before] + 1, labels.step[after])
                if busy[before : after + 1].any() or (load[steps] + 1 > most[steps]).any():
                    continue
                load[steps] += 1
                busy[max(before - guard, 0) : after + guard + 1] = True
                chosen.append((before, after))
                left[key] -= 1
                break
            else:
                left[key] = 0
            if not left[key]:
                del places[key]
    cells = np.array(sorted(chosen), np.int64).reshape(-1, 2)
    return gaps_between(labels, cells[:, 0], cells[:, 1])


def _fitting(
    labels: Labels, gaps: Gaps, group: int, each: int, rng: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """Give stretches of a group, as long as gaps of a bin are, from detection to detection."""
    detected = labels.provenance == Provenance.DETECTED
    long = (gaps.last - gaps.first)[(gaps.group == group) & (gaps.bin == each)]
    cells = np.flatnonzero(detected & find_moving(labels)[labels.agent])
    cells = cells[gaps_between(labels, cells, cells).group == group]
    if not (len(long) and len(cells)):
        return iter(())
    before, reach = rng.choice(cells, _TRIES), rng.choice(long, _TRIES)
    after = np.minimum(before + reach, len(labels) - 1)
    fits = detected[after] & (labels.agent[before] == labels.agent[after])
    fits &= labels.step[after] - labels.step[before] == reach
    number = np.concatenate([[0], np.cumsum(detected)])
    fits &= number[after] - number[before + 1] >= _DETECTED * (reach - 1)
    return zip(before[fits].tolist(), after[fits].tolist(), strict=True)


def _score(
    labels: Labels, drawn: Gaps, seen: Seen, relabel: Relabel, predictor: Predictor
) -> list[tuple[np.ndarray, ...]]:
    """Return group, bin, track and how either does on what each stretch hides, as in `Scores`."""
    hidden = [
        labels.row[first + 1 : last] for first, last in zip(drawn.before, drawn.after, strict=True)
    ]
    hidden = [rows[rows >= 0] for rows in hidden]
    track = seen.track.copy()
    track[np.concatenate(hidden)] = -1
    again = relabel(track)
    own = seen.track[labels.row[drawn.before]]
    gaps = find_gaps(again)
    steps = labels.scene.clock.steps
    key = gaps.agent * steps + gaps.first
    cell_key = again.agent * steps + again.step
    # A track that is taken for one that stands, without what is hidden, has no gaps any more.
    _, wanted, drawn_as = np.intersect1d(key, own * steps + drawn.first, return_indices=True)
    fillings = fill_gaps(again, gaps, wanted, predictor)
    scored: list[tuple[np.ndarray, ...]] = []
    for place, filling in zip(drawn_as, fillings, strict=True):
        if filling is None:
            continue
        rows = hidden[place]
        step = labels.step[drawn.before[place] + 1 : drawn.after[place]]
        step = step[labels.row[drawn.before[place] + 1 : drawn.after[place]] >= 0]
        cell = np.searchsorted(cell_key, own[place] * steps + step)
        of = tuple(
            np.full(len(rows), value)
            for value in (drawn.group[place], drawn.bin[place], own[place])
        )
        scored.append(
            (*of, *_compare(again, cell, filling, step - drawn.first[place] - 1, seen, rows))
        )
    return scored


def _compare(
    labels: Labels,
    cell: Int64[np.ndarray, " row"],
    filling: Filling,
    step: Int64[np.ndarray, " row"],
    seen: Seen,
    rows: Int64[np.ndarray, " row"],
) -> tuple[Float64[np.ndarray, " row"], ...]:
    """Return log densities of hidden detections by both; error, belief and noise of the model."""
    noise = seen.noise[rows]
    variance = labels.std[cell, :2] ** 2 + noise[:, None] ** 2
    error = (seen.place[rows] - labels.place[cell, :2]) ** 2 / variance
    normal = -(np.log(2 * np.pi * variance) + error).sum(axis=1) / 2
    laplace = filling.log_density(step, seen.place[rows], noise)
    off = ((seen.place[rows] - filling.place[filling.likeliest, step]) ** 2).sum(axis=1)
    believed = filling.model_variance()[step].sum(axis=1)
    other = 2 * (noise**2 + filling.variance[step])
    return _allow_odd(normal), _allow_odd(laplace), off, believed, other


def _allow_odd(density: Float64[np.ndarray, " row"]) -> Float64[np.ndarray, " row"]:
    return np.logaddexp(np.log(1 - _ODD) + density, np.log(_ODD) + _ODD_DENSITY)
