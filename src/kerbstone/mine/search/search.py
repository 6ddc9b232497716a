"""The search of a query through a store: in those scenes only that may answer and have not yet."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64

from kerbstone.errors import KerbstoneError
from kerbstone.lang import Compiled, formula
from kerbstone.lang.expansion import expand
from kerbstone.lang.signals.models import is_provided
from kerbstone.lang.version import answering_code, code_version
from kerbstone.mine.search.answering import FLOOR, Batch, Limits, answer_scenes
from kerbstone.mine.search.answers import Answers, keep_answers, known_answers
from kerbstone.mine.search.readings import Readings, find_readings
from kerbstone.scene import NS_PER_S
from kerbstone.store import Store

_MOST = 100
"""Matches that are listed of one scene, if no more are asked for."""
_NEAR = 20
"""The same for near misses."""
_WORTH_A_WORKER = 200
"""How many scenes make another process worth its start."""
_PATIENCE = 30.0
"""After how much work the answers so far are written down [s]."""


@dataclass(frozen=True, eq=False)
class Search:
    """What a search came to.

    Args:
        key: A digest of what was asked for; empty where the answers cannot be kept.
        scenes: Ids of the scenes that were searched, in the order of `answers`.
        dt: Their time steps [s].
        seconds: How long each is [s].
        answers: What was found in them.
        failed: Scenes that could not be searched, with the reason.
        known: How many had answered before.
        readings: What models wrote into the store for the query's signals.
    """

    key: str
    scenes: tuple[str, ...]
    dt: Float64[np.ndarray, " scene"]
    seconds: Float64[np.ndarray, " scene"]
    answers: Answers
    failed: tuple[tuple[str, KerbstoneError], ...]
    known: int
    readings: Readings = field(default_factory=Readings)


def search_store(
    query: Compiled,
    store: Store,
    *,
    where: str | None = None,
    most: int = _MOST,
    near_misses: int = _NEAR,
    readings: Readings | None = None,
    workers: int | str | None = 1,
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[int], object] = lambda _: None,
) -> Search:
    """Return what a query finds in each scene of a store.

    A scene that answered before is not searched again, and neither is one that has no road users
    of the kinds that the query is about. A scene that cannot be read is listed, and the rest goes
    on.

    Args:
        query: The query.
        store: The store; what is found is kept in it, unless it is a store as it was.
        where: An SQL condition on the scenes.
        most: How many matches of one scene to list at least, if it has so many.
        near_misses: The same for near misses; with none, the search is quicker.
        readings: What models wrote into the store for the query's signals; looked for if not
            given.
        workers: Number of processes, or "ray"; as many as pay if None. A query that asks a model
            of this process, and not the store, is answered in this one.
        on_start: Called with the number of scenes that must be searched.
        on_result: Called with the number of scenes that were searched since.

    Raises:
        InputError: The query asks for what cannot be answered in any scene, or the condition is
            wrong.
        MissingError: A signal of a model is asked for, and there is no model.
    """
    limits = _limits(most, near_misses)
    scenes = store.scenes(["id", "part", "kinds", "ego", "dt_ns", "steps"], where)
    parts = scenes.column("part").to_numpy()
    readings = find_readings([query], store) if readings is None else readings
    key = question_key(query, near_misses=near_misses, readings=readings)
    known = _known(query, store, key, most, parts)
    idle = parts[~_may_match(query, scenes) & ~np.isin(parts, known.part)]
    is_fresh = ~np.isin(parts, np.concatenate([known.part, idle]))
    names = scenes.column("id").to_pylist()
    fresh = [(names[row], int(parts[row])) for row in np.flatnonzero(is_fresh)]
    on_start(len(fresh))
    found = [known, Answers.empty(len(query.slots), idle)]
    failed: list[tuple[str, KerbstoneError]] = []
    keeper = _Keeper(store, key, limits, len(query.slots), readings)
    processes = 1 if not key or _asks_here(query) else _workers(workers, len(fresh))
    try:
        for batch in answer_scenes(
            query, store, fresh, limits=limits, readings=readings, workers=processes
        ):
            found.append(batch.answers)
            failed += batch.failed
            keeper.take(batch)
            on_result(batch.scenes)
    finally:
        keeper.write()
    answers = Answers.join(len(query.slots), found)
    row_of = dict(zip(parts.tolist(), range(len(parts)), strict=True))
    order = np.argsort([row_of[part] for part in answers.part.tolist()], kind="stable")
    answers = answers.select(order)
    rows = np.array([row_of[part] for part in answers.part.tolist()], np.int64)
    dt = scenes.column("dt_ns").to_numpy()[rows] / NS_PER_S
    return Search(
        key=key,
        scenes=tuple(names[row] for row in rows),
        dt=dt,
        seconds=dt * scenes.column("steps").to_numpy()[rows],
        answers=answers,
        failed=tuple(sorted(failed, key=lambda failure: failure[0])),
        known=len(known.part),
        readings=readings,
    )


def question_key(query: Compiled, *, near_misses: int, readings: Readings | None = None) -> str:
    """Return a digest of what is asked for and of the code that answers.

    Args:
        query: The query.
        near_misses: How many near misses of a scene are to be listed at least.
        readings: What models wrote into the store for the query's signals.

    Returns:
        The digest; empty where the answers cannot be kept, because a model is asked that does not
        say its version.
    """
    code = answering_code(query, (readings or Readings()).versions)
    if code is None:
        return ""
    limits = f"{FLOOR}\0{_limits(0, near_misses).near_misses}"
    text = f"{expand(query)}\0{code}\0{code_version(__package__)}\0{limits}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _limits(most: int, near_misses: int) -> Limits:
    return Limits(max(most, _MOST), max(near_misses, _NEAR) if near_misses else 0)


def _workers(asked: int | str | None, scenes: int) -> int | str:
    """Return how many processes search: another one takes a second to start."""
    if asked is not None:
        return asked
    return max(min(os.cpu_count() or 1, scenes // _WORTH_A_WORKER), 1)


class _Keeper:
    """Writes answers down now and then, so that a search that is stopped goes on from there."""

    def __init__(
        self, store: Store, key: str, limits: Limits, slots: int, readings: Readings
    ) -> None:
        self._store = store if key and store.pinned is None else None
        self._key = key
        self._limits = limits
        self._slots = slots
        self._readings = readings
        self._waiting: list[Answers] = []
        self._since = time.monotonic()

    def take(self, batch: Batch) -> None:
        answers = batch.answers
        # What was not known of a scene, because no model has seen it yet, may be known soon.
        lacking = self._readings.lacking(answers.part.tolist())
        self._waiting.append(answers.select(np.flatnonzero(~np.isin(answers.part, lacking))))
        if time.monotonic() - self._since > _PATIENCE:
            self.write()

    def write(self) -> None:
        answers = Answers.join(self._slots, self._waiting)
        self._waiting.clear()
        self._since = time.monotonic()
        if self._store is not None:
            keep_answers(self._store, answers, query=self._key, most=self._limits.most)


def _known(query: Compiled, store: Store, key: str, most: int, parts: np.ndarray) -> Answers:
    if not key:
        return Answers.empty(len(query.slots))
    known = known_answers(store, query=key, most=most, slots=len(query.slots))
    return known.select(np.flatnonzero(np.isin(known.part, parts)))


def _asks_here(query: Compiled) -> bool:
    """Return whether a query asks a model that only this process has."""
    parts = formula.walk(query.body)
    signals = {p.signal.name for p in parts if isinstance(p, formula.Measure | formula.Claim)}
    return any(map(is_provided, signals))


def _may_match(query: Compiled, scenes: pa.Table) -> Bool[np.ndarray, " scene"]:
    """Return which scenes have the road users that a query names."""
    kinds = scenes.column("kinds").combine_chunks()
    counts = {field.name: kinds.field(field.name).to_numpy() for field in kinds.type}
    may = np.ones(scenes.num_rows, bool)
    if query.names_ego:
        may &= scenes.column("ego").is_valid().to_numpy()
    for slot in query.slots:
        fitting = [counts[kind.name.lower()] for kind in slot.kinds or ()]
        # Two road users of the same kinds are different ones, and ego is none of them.
        alike = sum(other.kinds == slot.kinds for other in query.slots)
        may &= np.sum(fitting, axis=0, dtype=np.int64) >= alike
    return may
