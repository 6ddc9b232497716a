"""Search by example: the stretches, or the scenes, that are most like a given one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kerbstone.errors import InputError, UsageError
from kerbstone.mine.moments.describing import describe
from kerbstone.mine.moments.embeddings import (
    DESCRIPTOR,
    Vectors,
    check_embedding,
    nearest,
    read_vectors,
)
from kerbstone.mine.moments.rows import quote, quote_all, scenes_where
from kerbstone.mine.moments.stretches import pick_apart
from kerbstone.store import Store

_STRETCH = re.compile(r"(?P<scene>.+)@(?P<start>[^@-]*)(?:-(?P<end>[^@]*))?")
_SEEDS = 8
"""Moments of an example that are looked for one by one; the rest is compared around them."""
_FIRST_LOOK = 8
_LONGEST = 120.0


@dataclass(frozen=True)
class Example:
    """A scene, or a stretch of it.

    Args:
        scene: Id of the scene.
        start: When the stretch begins [s]; None for the whole scene.
        end: When it ends [s].
    """

    scene: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Neighbour:
    """A stretch of a scene, or a whole one, that is like an example.

    Args:
        scene: Id of the scene.
        start: When it begins [s].
        end: When it ends [s].
        distance: How unlike it is; of the descriptor's vectors the root of the mean squared
            difference, in scales.
    """

    scene: str
    start: float
    end: float
    distance: float

    def to_dict(self) -> dict[str, Any]:
        """Return the neighbour as a plain mapping."""
        return asdict(self)


def like(
    scene_ref: str,
    store: Store,
    *,
    top: int = 20,
    embedding: str = DESCRIPTOR,
    where: str | None = None,
    workers: int | str = 1,
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[str], object] = lambda _: None,
) -> list[Neighbour]:
    """Return the stretches that are most like an example, the nearest first.

    An example with times is compared moment by moment with stretches as long as itself: their
    distance is the root of the mean of the squared distances of their moments. Of stretches of
    one scene that overlap, the nearest counts, and none that overlaps the example itself. An
    example without times is a whole scene, and so are its neighbours.

    The descriptor is first written for scenes that lack it.

    Args:
        scene_ref: `SCENE`, `SCENE@12` or `SCENE@12-15`: the id of a scene, or a part of it that
            is unique, and a time or stretch in seconds since its start.
        store: The store.
        top: How many to return, at most.
        embedding: Name of the embedding to compare.
        where: SQL condition on the scenes to look in, such as `town = 'Miami'`.
        workers: Processes that describe scenes, or "ray".
        on_start: Called with the number of logs to describe.
        on_result: Called with each log as it is described.

    Raises:
        InputError: There is no such scene, stretch or embedding, or the condition is wrong.
        UsageError: The example's times are none.
    """
    if top < 1:
        raise UsageError("usage", "--top is at least 1", why=f"found {top}")
    example = parse_example(scene_ref, store)
    if embedding == DESCRIPTOR:
        describe(store, workers=workers, on_start=on_start, on_result=on_result)
    check_embedding(store, embedding)
    condition = ""
    if where is not None:
        condition = f"scene IN {quote_all(sorted(scenes_where(store, where)))}"
    if example.start is None:
        return _like_scene(example, store, embedding, top, condition)
    return _like_stretch(example, store, embedding, top, condition)


def parse_example(text: str, store: Store) -> Example:
    """Return the example that a text names.

    Args:
        text: `SCENE`, `SCENE@T` or `SCENE@T0-T1`, with times in seconds since the scene's start.
        store: The store that holds the scene.

    Raises:
        InputError: There is no such scene, or the times lie outside it.
        UsageError: The times are not numbers, or the end does not come after the start.
    """
    found = _STRETCH.fullmatch(text)
    # An id may itself have an @ in it.
    if found is None or text in store.scenes(["id"]).column("id").to_pylist():
        return Example(store.find(text))
    try:
        start = float(found["start"])
        end = start if found["end"] is None else float(found["end"])
    except ValueError:
        raise UsageError(
            "usage",
            "the times of the example are not numbers",
            where=text,
            why=f"found {text[len(found['scene']) + 1 :]!r} after the @",
            remedy="give seconds since the scene's start: SCENE@12 or SCENE@12-15.5",
        ) from None
    if not (np.isfinite([start, end]).all() and (found["end"] is None or start < end)):
        raise UsageError(
            "usage", "the example ends before it begins", where=text, why=f"{start:g} to {end:g} s"
        )
    scene = store.find(found["scene"])
    duration = store.scenes(["duration"], f"id = {quote(scene)}").column("duration")[0].as_py()
    if start >= duration or end > duration + 1e-6:
        raise InputError(
            "index",
            "the example reaches beyond its scene",
            where=f"scene {scene}",
            why=f"it goes to {end:g} s, the scene to {duration:g} s",
        )
    if end - start > _LONGEST:
        raise UsageError(
            "usage",
            f"a stretch is at most {_LONGEST:g} s long",
            where=text,
            remedy="leave the times out to look for whole scenes",
        )
    return Example(scene, start, end)


def _like_scene(
    example: Example, store: Store, embedding: str, top: int, condition: str
) -> list[Neighbour]:
    own = read_vectors(store, embedding, is_scene=True, scenes=[example.scene])
    _check_described(own, example, embedding)
    parts = [f"scene != {quote(example.scene)}", *([condition] if condition else [])]
    rows = nearest(
        store,
        own.values[:1],
        embedding=embedding,
        top=top,
        is_scene=True,
        condition=" AND ".join(parts),
    )
    found = [
        Neighbour(row["scene"], row["start"], row["start"] + row["duration"], row["distance"])
        for row in rows.to_pylist()
    ]
    return sorted(found, key=_order)


def _like_stretch(
    example: Example, store: Store, embedding: str, top: int, condition: str
) -> list[Neighbour]:
    own = read_vectors(store, embedding, scenes=[example.scene])
    _check_described(own, example, embedding)
    wanted = own.select(moments_of(own, example))
    seeds = np.unique(np.linspace(0, len(wanted) - 1, _SEEDS).astype(int))
    spread, fetched = _FIRST_LOOK * top, -1
    while True:
        rows = nearest(
            store, wanted.values[seeds], embedding=embedding, top=spread, condition=condition
        )
        # A stretch is known by the scene and the time at which its first moment would begin.
        offset = (wanted.start[seeds] - wanted.start[0])[rows.column("query").to_numpy()]
        begins = rows.column("start").to_numpy() - offset
        candidates = set(zip(rows.column("scene").to_pylist(), begins.round(3), strict=True))
        found = _merge(_compare(store, wanted, candidates), wanted, example, top)
        # Fewer rows than asked for, or no more than before, are all that there are.
        if len(found) >= top or len(rows) < spread * len(seeds) or len(rows) == fetched:
            return found
        spread, fetched = 4 * spread, len(rows)


def moments_of(own: Vectors, example: Example) -> np.ndarray:
    """Return the moments whose middle lies in the example, or the one that is nearest to it."""
    middle = own.start + own.duration / 2
    start, end = example.start or 0.0, example.end or 0.0
    inside = np.flatnonzero((middle >= start) & (middle <= end))
    return inside if inside.size else np.array([np.abs(middle - (start + end) / 2).argmin()])


def _compare(
    store: Store, wanted: Vectors, candidates: Iterable[tuple[str, float]]
) -> list[Neighbour]:
    """Return candidate stretches with their distances; those that leave their scene are none."""
    begins: dict[str, list[float]] = {}
    for scene, begin in sorted(candidates):
        begins.setdefault(scene, []).append(begin)
    rows = read_vectors(store, wanted.embedding, scenes=list(begins))
    after = np.round(wanted.start - wanted.start[0], 3)
    found = []
    edges = (
        np.searchsorted(rows.scene, list(begins)),
        np.searchsorted(rows.scene, list(begins), "right"),
    )
    for scene, low, high in zip(begins, *edges, strict=True):
        part = rows.select(np.arange(low, high))
        for begin in begins[scene]:
            place = np.searchsorted(part.start, begin + after - 1e-2)
            if place.max() >= len(part) or np.abs(part.start[place] - begin - after).max() > 1e-2:
                continue
            apart = part.values[place] - wanted.values
            distance = float(np.sqrt((apart.astype(np.float64) ** 2).sum(axis=1).mean()))
            end = float(part.start[place[-1]] + part.duration[place[-1]])
            found.append(Neighbour(scene, float(part.start[place[0]]), end, distance))
    return found


def _merge(found: list[Neighbour], wanted: Vectors, example: Example, top: int) -> list[Neighbour]:
    """Return the nearest of stretches that overlap, without those that overlap the example."""
    first = min(wanted.start[0], example.start or 0.0)
    last = max(wanted.start[-1] + wanted.duration[-1], example.end or 0.0)
    ordered = sorted(found, key=_order)
    chosen = pick_apart(
        [neighbour.scene for neighbour in ordered],
        [neighbour.start for neighbour in ordered],
        [neighbour.end for neighbour in ordered],
        top=top,
        taken={example.scene: [(first, last)]},
    )
    return [ordered[place] for place in chosen]


def _order(neighbour: Neighbour) -> tuple[float, str, float]:
    return neighbour.distance, neighbour.scene, neighbour.start


def _check_described(own: Vectors, example: Example, embedding: str) -> None:
    if not len(own):
        raise InputError(
            "name",
            f"the scene has no vectors of the embedding {embedding!r}",
            where=f"scene {example.scene}",
            remedy="choose another embedding, or compute this one for the scene's log",
        )
