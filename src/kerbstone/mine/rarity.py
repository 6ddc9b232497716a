"""Search by outlyingness: the moments that are unlike all others, or closest to a collision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from kerbstone.errors import InputError, UsageError, suggest_name
from kerbstone.mine.greedy import even_rows
from kerbstone.mine.moments.criticality import assess, read_criticality
from kerbstone.mine.moments.describing import describe
from kerbstone.mine.moments.embeddings import DESCRIPTOR, Vectors, read_vectors
from kerbstone.mine.moments.features import BLOCKS, FEATURES
from kerbstone.mine.moments.rows import is_among, scenes_where
from kerbstone.mine.moments.scaling import known_scales
from kerbstone.mine.moments.stretches import pick_apart
from kerbstone.store import Store

NEIGHBOURS = 10
"""Neighbours whose mean distance is the rarity."""

_COMPARED = 20_000
"""Vectors that each one is compared with, at most."""
_BLOCK = 20_000_000
_APART = 2.0
"""Moments of a scene that lie no further apart than this are about the same [s]."""
_REASONS = 3
_UNUSUAL = 2.0
_INVERSE = "inverse of the "


@dataclass(frozen=True)
class Rarity:
    """A moment that stands out, and why.

    Args:
        scene: Id of its scene.
        start: When it begins [s].
        end: When it ends [s].
        score: How much it stands out: the mean distance to its nearest neighbours, or its
            criticality from 0 to 1.
        reasons: What is unusual about it, in words, the most unusual first.
        agents: Who is in it, as far as that is known.
    """

    scene: str
    start: float
    end: float
    score: float
    reasons: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as a plain mapping."""
        return asdict(self)


def rare(
    store: Store,
    *,
    by: str = "rarity",
    top: int = 20,
    where: str | None = None,
    embedding: str = DESCRIPTOR,
    workers: int | str = 1,
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[str], object] = lambda _: None,
) -> list[Rarity]:
    """Return the moments that stand out most, at most one of every few seconds of a scene.

    By `rarity`: the mean distance of a moment's vector to the 10 nearest of other logs (of other
    scenes, where all are of one log). It says how far the moment lies from anything else that was
    recorded, wherever the density of the recordings. Stores of over 20,000 moments are compared
    with an even sample of that size. The reasons are the features of the descriptor that lie
    farthest from the store's median, counted in scales.

    By `criticality`: see `criticality.assess`.

    What is needed of it is first written for scenes that lack it.

    Args:
        store: The store.
        by: `rarity` or `criticality`.
        top: How many to return, at most.
        where: SQL condition on the scenes to rank; rarity is among all scenes even so.
        embedding: Name of the embedding that rarity is measured in.
        workers: Processes, or "ray".
        on_start: Called with the number of logs to work on.
        on_result: Called with each log as it is done.

    Raises:
        UsageError: `by` is none of the two, or `top` is not positive.
        InputError: There is no such embedding, nothing to compare with, or the condition is wrong.

    References:
        Ramaswamy, Rastogi and Shim, "Efficient algorithms for mining outliers from large data
        sets", SIGMOD 2000; Angiulli and Pizzuti, "Fast outlier detection in high dimensional
        spaces", PKDD 2002 (the mean over the neighbours).
    """
    if by not in ("rarity", "criticality"):
        raise UsageError(
            "usage",
            f"moments cannot be ranked by {by!r}",
            remedy=suggest_name(by, ("rarity", "criticality")),
        )
    if top < 1:
        raise UsageError("usage", "--top is at least 1", why=f"found {top}")
    if by == "criticality":
        assess(store, workers=workers, on_start=on_start, on_result=on_result)
        return _most_critical(store, top, where)
    if embedding == DESCRIPTOR:
        describe(store, workers=workers, on_start=on_start, on_result=on_result)
    return _rarest(store, embedding, top, where)


def measure_rarity(
    values: Float32[np.ndarray, "row value"],
    group: Int64[np.ndarray, " row"],
    *,
    neighbours: int = NEIGHBOURS,
    rows: Int64[np.ndarray, " chosen"] | None = None,
) -> Float64[np.ndarray, " chosen"]:
    """Return the mean distance of vectors to their nearest neighbours of other groups.

    Args:
        values: The vectors.
        group: The log, say, of each: its own vectors are no neighbours.
        neighbours: How many neighbours; fewer where there are no more.
        rows: For which vectors; all if not given.

    Raises:
        InputError: A vector has no neighbours: there is one group only.
    """
    if len(np.unique(group)) < 2:
        raise InputError(
            "empty",
            "there is nothing to compare with",
            why="rarity needs moments of two logs, or of two scenes, at least",
            remedy="ingest more logs",
        )
    rows = np.arange(len(values)) if rows is None else rows
    other = even_rows(len(values), _COMPARED)
    against, against_group = values[other], group[other]
    against_squared = (against**2).sum(axis=1)
    found = np.empty(len(rows))
    size = max(_BLOCK // len(other), 1)
    for first in range(0, len(rows), size):
        part = rows[first : first + size]
        squared = (values[part] ** 2).sum(axis=1)[:, None] + against_squared
        squared -= 2 * values[part] @ against.T
        squared[group[part][:, None] == against_group] = np.inf
        count = min(neighbours, len(other))
        nearest = np.partition(squared, count - 1, axis=1)[:, :count].astype(np.float64)
        distance = np.sqrt(np.maximum(nearest, 0.0))
        known = np.isfinite(distance)
        total = np.where(known, distance, 0.0).sum(axis=1)
        found[first : first + size] = total / np.maximum(known.sum(axis=1), 1)
    return found


def explain(store: Store, vectors: Vectors) -> list[tuple[str, ...]]:
    """Return what is unusual about moments, in words: for each its farthest features.

    Empty for other embeddings than the descriptor, whose numbers have no names.
    """
    scales = known_scales(store) if vectors.embedding == DESCRIPTOR else None
    if scales is None or scales.version != vectors.version:
        return [()] * len(vectors)
    deviations = scales.deviations(vectors.values)
    values = scales.to_values(vectors.values)
    blocks = np.repeat(np.arange(len(BLOCKS)), [len(block) for block in BLOCKS.values()])
    reasons = []
    for row, deviation in enumerate(np.abs(deviations)):
        said: dict[int, int] = {}
        for column in np.argsort(-deviation, kind="stable"):
            if deviation[column] < _UNUSUAL or len(said) == _REASONS:
                break
            # One for each block: its features tell much the same.
            said.setdefault(int(blocks[column]), int(column))
        reasons.append(
            tuple(
                _say(column, float(values[row, column]), float(scales.median[column]))
                for column in said.values()
            )
        )
    return reasons


def _rarest(store: Store, embedding: str, top: int, where: str | None) -> list[Rarity]:
    vectors = read_vectors(store, embedding)
    _, group = np.unique(vectors.log.astype(str), return_inverse=True)
    if len(group) and group.max() == 0:
        _, group = np.unique(vectors.scene.astype(str), return_inverse=True)
    rows = np.arange(len(vectors))
    if where is not None:
        rows = np.flatnonzero(is_among(vectors.scene, scenes_where(store, where)))
    score = measure_rarity(vectors.values, group.astype(np.int64), rows=rows)
    # Equal moments come in the order of their scenes.
    order = rows[np.argsort(-score, kind="stable")]
    scores = dict(zip(rows.tolist(), score.tolist(), strict=True))
    ranked = vectors.select(order)
    places = pick_apart(
        ranked.scene, ranked.start, ranked.start + ranked.duration, top=top, gap=_APART
    )
    best = ranked.select(np.array(places, np.int64))
    return [
        Rarity(
            scene=str(best.scene[i]),
            start=float(best.start[i]),
            end=float(best.start[i] + best.duration[i]),
            score=scores[int(order[place])],
            reasons=reasons,
        )
        for i, (place, reasons) in enumerate(zip(places, explain(store, best), strict=True))
    ]


def _most_critical(store: Store, top: int, where: str | None) -> list[Rarity]:
    rows = read_criticality(store, where=where)
    # What is not known comes last of all, and is not listed.
    order = np.argsort(-rows.score, kind="stable")
    order = order[~np.isnan(rows.score[order])]
    end = rows.start + rows.duration
    places = pick_apart(rows.scene[order], rows.start[order], end[order], top=top, gap=_APART)
    return [
        Rarity(
            scene=str(rows.scene[row]),
            start=float(rows.start[row]),
            end=float(end[row]),
            score=float(rows.score[row]),
            reasons=rows.say(int(row)),
            agents=tuple(rows.agents[row]),
        )
        for row in order[places]
    ]


def _say(column: int, value: float, usual: float) -> str:
    feature = FEATURES[column]
    # What is next to nothing is nothing, and without a sign.
    said, usually = (0.0 if abs(v) < feature.floor / 1000 else v for v in (value, usual))
    if feature.name.startswith(_INVERSE):
        # A time is easier to read than its inverse.
        times = [f"{1 / v:.2g} s" if v > 0 else "none" for v in (said, usually)]
        return f"{feature.name.removeprefix(_INVERSE)} {times[0]} (usually {times[1]})"
    unit = f" {feature.unit}" if feature.unit else ""
    return f"{feature.name} {said:.3g}{unit} (usually {usually:.3g})"
