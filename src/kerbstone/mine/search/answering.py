"""Asks a query of scenes of a store, one after the other or in several processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kerbstone.errors import InputError, KerbstoneError
from kerbstone.lang import Compiled, evaluate
from kerbstone.mine.search.answers import Answers, read_answer
from kerbstone.mine.search.columns import Columns, wanted_by
from kerbstone.mine.search.readings import Reader, Readings
from kerbstone.mine.search.workplace import AT_ONCE, Place, cut, open_at
from kerbstone.scene import Scene
from kerbstone.store import Store, parallel_map

FLOOR = -1.0
"""What misses by more than a margin of 1 is no near miss, and neither is what is not known."""


@dataclass(frozen=True)
class Limits:
    """How much of a scene's answer is listed.

    Args:
        most: Matches at most, the strongest.
        near_misses: Near misses at most, the nearest; with none, the search is quicker.
    """

    most: int
    near_misses: int


@dataclass(frozen=True, eq=False)
class Batch:
    """What came of some scenes.

    Args:
        answers: What was found in those that could be searched.
        failed: The others by their ids, with the reason.
        scenes: How many they are together.
    """

    answers: Answers
    failed: tuple[tuple[str, KerbstoneError], ...]
    scenes: int


def answer_scenes(
    query: Compiled,
    store: Store,
    scenes: Sequence[tuple[str, int]],
    *,
    limits: Limits,
    readings: Readings | None = None,
    workers: int | str = 1,
) -> Iterator[Batch]:
    """Give what a query finds in scenes, some of them at a time, as they are done.

    Args:
        query: The query.
        store: The store.
        scenes: Id of each scene, and which version of it is there.
        limits: How much is listed.
        readings: What models wrote into the store for the query's signals.
        workers: Number of processes, or "ray".

    Raises:
        InputError: The query asks for what cannot be answered in any scene.
        MissingError: A signal of a model is asked for, and there is no model.
    """
    place = store if workers == 1 else Place.of(store)
    readings = readings or Readings()
    works = (
        _Work(place, query, some, limits, readings.about(part for _, part in some))
        for some in cut(scenes, AT_ONCE)
    )
    for work, outcome in parallel_map(_answer, works, workers=workers):
        if not isinstance(outcome, KerbstoneError):
            yield outcome
        elif outcome.code == "worker":
            failed = tuple((scene, outcome) for scene, _ in work.scenes)
            yield Batch(Answers.empty(len(query.slots)), failed, len(failed))
        else:
            raise outcome


@dataclass(frozen=True, eq=False)
class _Work:
    store: Store | Place
    query: Compiled
    scenes: tuple[tuple[str, int], ...]
    limits: Limits
    readings: Readings


def _answer(work: _Work) -> Batch:
    """Search some scenes; runs in a worker process."""
    store = open_at(work.store, work.scenes)
    parts = dict(work.scenes)
    reader = Reader(store, work.readings, parts)
    columns = Columns(store, parts.values(), wanted_by(work.query), reader=reader)
    found: list[Answers] = []
    failed: list[tuple[str, KerbstoneError]] = []
    for name, scene in store.read(parts):
        try:
            found.append(_answer_scene(work, scene, parts[name], columns))
        except KerbstoneError as error:
            if _is_about_query(error):
                raise
            failed.append((name, error))
    columns.write()
    return Batch(Answers.join(len(work.query.slots), found), tuple(failed), len(parts))


def _answer_scene(work: _Work, scene: Scene | InputError, part: int, columns: Columns) -> Answers:
    if isinstance(scene, InputError):
        raise scene
    facts, limits = columns.facts(scene, part), work.limits
    answer = evaluate(work.query, facts, floor=FLOOR if limits.near_misses else 0.0, is_sure=True)
    columns.take(facts, part)
    return read_answer(answer, facts, part=part, most=limits.most, near_misses=limits.near_misses)


def _is_about_query(error: KerbstoneError) -> bool:
    """Whether every other scene would fail in the same way."""
    of_query = error.code.startswith("query-") and error.code != "query-limit"
    return of_query or error.code == "model-missing"
