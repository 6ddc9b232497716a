"""When something happens in scenes: matches that belong together, counted once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kerbstone.errors import KerbstoneError
from kerbstone.lang import Compiled
from kerbstone.mine.moments.stretches import Span, merge_spans
from kerbstone.mine.search.search import search_store
from kerbstone.store import Store

GAP = 1.0
"""Matches of one road user that lie no further apart are one occurrence [s]."""

_MOST = 100_000


@dataclass(frozen=True)
class Occurrences:
    """When a query's scenario happens, scene by scene.

    Args:
        spans: Beginning and end of each occurrence in each scene that was searched [s].
        failed: Scenes that could not be searched, with the reason.
    """

    spans: dict[str, tuple[Span, ...]]
    failed: tuple[tuple[str, KerbstoneError], ...] = ()


def find_occurrences(
    query: Compiled,
    store: Store,
    *,
    where: str | None = None,
    workers: int | str | None = 1,
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[int], object] = lambda _: None,
) -> Occurrences:
    """Return when a query's scenario happens, however many road users take part.

    Matches belong together where their main witness, the first road user that the query names, is
    the same and they lie no more than a second apart: a vehicle that cuts in before two others
    cuts in once, and one that drops out of sight for a moment is not a second one.

    Args:
        query: The query.
        store: The store. What was searched before is not searched again.
        where: SQL condition on the scenes.
        workers: Processes, "ray", or as many as pay if None.
        on_start: Called with the number of scenes to search.
        on_result: Called with the number of scenes that were searched since.

    Raises:
        InputError: The query cannot be answered in any scene, or the condition is wrong.
        MissingError: The query asks a model, and there is no model.
    """
    found = search_store(
        query,
        store,
        where=where,
        most=_MOST,
        near_misses=0,
        workers=workers,
        on_start=on_start,
        on_result=on_result,
    )
    answers = found.answers
    start = answers.first * found.dt[answers.scene]
    end = (answers.last + 1) * found.dt[answers.scene]
    main = answers.agent[:, 0] if answers.agent.shape[1] else np.full(len(start), "", object)
    edges = np.searchsorted(answers.scene, np.arange(len(found.scenes) + 1))
    spans = {}
    for scene, (first, last) in zip(found.scenes, pairwise(edges), strict=True):
        part = slice(first, last)
        rows = zip(main[part], start[part].tolist(), end[part].tolist(), strict=True)
        spans[scene] = tuple(merge_by_witness(rows))
    return Occurrences(spans, found.failed)


def merge_by_witness(matches: Iterable[tuple[str, float, float]]) -> list[Span]:
    """Return the occurrences that matches in one scene belong to, in order.

    Args:
        matches: Main witness, beginning and end [s] of each.

    Example:
        >>> merge_by_witness([("a", 0.0, 2.0), ("b", 1.0, 2.0), ("a", 2.5, 4.0), ("a", 9.0, 9.5)])
        [(0.0, 4.0), (1.0, 2.0), (9.0, 9.5)]
    """
    spans: dict[str, list[Span]] = {}
    for witness, start, end in matches:
        spans.setdefault(witness, []).append((start, end))
    return sorted(span for own in spans.values() for span in merge_spans(own, gap=GAP))
