"""What a trained model wrote into a store, as the values of a query's signals over time.

`surprise` and `similar` are read from the tables that `kerbstone embed` fills; no model runs. A
scene takes part where its rows are of the version that was written last, and of the scene as it is
now. In any other scene these signals are undefined.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from kerbstone.errors import InputError
from kerbstone.lang import Compiled, Facts, formula
from kerbstone.lang.signals.models import is_provided
from kerbstone.mine.examples import moments_of, parse_example
from kerbstone.mine.moments.embeddings import WORLD, current_version, read_vectors, table_of
from kerbstone.mine.moments.rows import has_table, quote
from kerbstone.mine.moments.surprises import SURPRISE, read_surprises, surprise_version
from kerbstone.store import Store

_SIMILAR = "similar"
_STORED = (SURPRISE, _SIMILAR)
_AT_ONCE = 32
"""Scenes whose rows are read together."""


@dataclass(frozen=True, eq=False)
class Readings:
    """Which rows of a store are the values of the model signals of a query.

    Args:
        asked: The model signals that are read from a store, if it has them.
        surprise: Version of the surprises that count; "" where they are not asked for, or none
            are there.
        embedding: The same of the vectors.
        examples: The direction of each example that `similar` names, of length 1.
        known: Versions of scenes that have all rows, as the store's `scenes` table says.
    """

    asked: frozenset[str] = frozenset()
    surprise: str = ""
    embedding: str = ""
    examples: Mapping[str, np.ndarray] = field(default_factory=dict)
    known: frozenset[int] = frozenset()

    @property
    def versions(self) -> dict[str, str]:
        """The versions of the signals that are there, by name: with another, values are others."""
        found = {}
        if self.surprise:
            found[SURPRISE] = self.surprise
        if self.embedding:
            digest = hashlib.blake2b(self.embedding.encode(), digest_size=16)
            for text, direction in sorted(self.examples.items()):
                digest.update(f"\0{text}\0".encode() + direction.tobytes())
            found[_SIMILAR] = digest.hexdigest()
        return found

    def lacking(self, parts: Iterable[int]) -> list[int]:
        """Return which versions of scenes have no values, because rows are missing."""
        return sorted(set(parts) - self.known) if self.asked else []

    def about(self, parts: Iterable[int]) -> Readings:
        """Return the readings for some versions of scenes only."""
        return replace(self, known=self.known & frozenset(parts))


def find_readings(queries: Iterable[Compiled], store: Store) -> Readings:
    """Return what a store has for the model signals of queries.

    Args:
        queries: The queries.
        store: The store.

    Raises:
        InputError: An example of `similar` is no scene, or has no vectors.
        UsageError: The times of an example are none.
    """
    texts = _model_signals(queries)
    surprise = embedding = ""
    examples: dict[str, np.ndarray] = {}
    known: list[frozenset[int]] = []
    if SURPRISE in texts and has_table(store, SURPRISE):
        surprise = surprise_version(store)
        known.append(_parts_with_rows(store, SURPRISE, surprise))
    if _SIMILAR in texts and has_table(store, table_of(WORLD)):
        embedding = current_version(store, WORLD)
        known.append(_parts_with_rows(store, table_of(WORLD), embedding))
        examples = {
            text: _find_direction(text, store, embedding, known[-1]) for text in texts[_SIMILAR]
        }
    both = known[0].intersection(*known[1:]) if known else frozenset()
    return Readings(frozenset(texts), surprise, embedding, examples, both)


def unread_scenes(query: Compiled, store: Store, *, where: str | None = None) -> list[str]:
    """Return the scenes in which a query's model signals are undefined: no model has seen them.

    Args:
        query: The query.
        store: The store.
        where: An SQL condition on the scenes.

    Returns:
        Their ids; none where the query asks no model.

    Raises:
        InputError: As for `find_readings`, or the condition is wrong.
    """
    readings = find_readings([query], store)
    rows = store.scenes(["id", "part"], where)
    names = dict(zip(*(rows.column(name).to_pylist() for name in ("part", "id")), strict=True))
    return [names[part] for part in readings.lacking(names)]


class Reader:
    """Reads the values of model signals, of some scenes at a time as they are asked for.

    Args:
        store: The store.
        readings: Which rows count.
        scenes: Ids of the scenes with their versions, in the order in which they will be asked.
    """

    def __init__(self, store: Store, readings: Readings, scenes: Mapping[str, int]) -> None:
        self._store = store
        self._readings = readings
        self._names = [name for name, part in scenes.items() if part in readings.known]
        self._place = {name: place for place, name in enumerate(self._names)}
        self._surprises: dict[str, list[Any]] = {}
        self._vectors: dict[str, list[Any]] = {}

    def facts(self, scene: Any, part: int) -> Facts:
        """Return the facts of a scene, which take from the store what models wrote."""
        return Facts(scene, stored=partial(self.find, part))

    def find(self, part: int, facts: Facts, key: Any) -> np.ndarray | None:
        """Return a signal over time, None where it is another, or the store has none.

        Args:
            part: Version of the scene.
            facts: The scene.
            key: Name and texts of the signal, as facts keep it.
        """
        readings = self._readings
        if key == (SURPRISE, ()) and readings.surprise:
            return self._surprise(facts, is_known=part in readings.known)
        if isinstance(key, tuple) and key[0] == _SIMILAR and readings.embedding:
            ((text,),) = key[1:]
            example = readings.examples[text]
            return self._similar(facts, example, is_known=part in readings.known)
        return None

    def _surprise(self, facts: Facts, *, is_known: bool) -> Float64[np.ndarray, "agent time"]:
        values = np.full(facts.agents.valid.shape, np.nan)
        if is_known:
            row_of = {agent: row for row, agent in enumerate(facts.agents.ids)}
            for agent, duration, start, surprise in self._read(
                self._surprises, facts.scene.id, self._read_surprises
            ):
                found = (np.array(start), np.full(len(start), duration), np.array(surprise))
                values[row_of[agent]] = spread(*found, dt=facts.dt, steps=facts.steps)
        return np.where(facts.agents.valid, values, np.nan)

    def _similar(
        self, facts: Facts, example: np.ndarray, *, is_known: bool
    ) -> Float64[np.ndarray, " time"]:
        if not is_known:
            return np.full(facts.steps, np.nan)
        rows = self._read(self._vectors, facts.scene.id, self._read_vectors)
        start, duration, vectors = (np.array(column) for column in zip(*rows, strict=True))
        size = np.linalg.norm(vectors.astype(np.float64), axis=1)
        known = size > 0
        cosine = vectors[known] @ example / size[known]
        return spread(start[known], duration[known], cosine, dt=facts.dt, steps=facts.steps)

    def _read(
        self,
        kept: dict[str, list[Any]],
        scene: str,
        read: Callable[[list[str]], Iterable[tuple[str, Any]]],
    ) -> list[Any]:
        if scene not in kept:
            first = self._place[scene]
            names = self._names[first : first + _AT_ONCE]
            kept.clear()
            kept.update({name: [] for name in names})
            for name, row in read(names):
                kept[name].append(row)
        return kept[scene]

    def _read_surprises(self, names: list[str]) -> Iterable[tuple[str, Any]]:
        rows = read_surprises(self._store, names, version=self._readings.surprise)
        columns = ("scene", "agent", "duration", "start", "surprise")
        for scene, *row in zip(*(rows.column(name).to_pylist() for name in columns), strict=True):
            yield scene, row

    def _read_vectors(self, names: list[str]) -> Iterable[tuple[str, Any]]:
        version = self._readings.embedding
        found = read_vectors(self._store, WORLD, scenes=names, version=version)
        rows = zip(found.start, found.duration, found.values, strict=True)
        return zip(found.scene, rows, strict=True)


def spread(
    start: Float[np.ndarray, " window"],
    duration: Float[np.ndarray, " window"],
    values: Float[np.ndarray, " window"],
    *,
    dt: float,
    steps: int,
) -> Float64[np.ndarray, " time"]:
    """Return the values of windows of time at each step: that of the window around it.

    It is the one whose middle is nearest, so that a value is about as much before as after.

    Args:
        start: When each window begins, in ascending order [s].
        duration: How long each is [s]; about the same for all.
        values: The values.
        dt: Time from step to step [s].
        steps: Number of steps.

    Returns:
        NaN where no window covers the step.
    """
    if not len(start):
        return np.full(steps, np.nan)
    time, middle = dt * np.arange(steps), start + duration / 2
    later = np.minimum(np.searchsorted(middle, time), len(middle) - 1)
    before = np.maximum(later - 1, 0)
    near = np.where(time - middle[before] <= middle[later] - time, before, later)
    covered = (time >= start[near] - 1e-6) & (time <= start[near] + duration[near] + 1e-6)
    return np.where(covered, values[near], np.nan)


def _model_signals(queries: Iterable[Compiled]) -> dict[str, set[str]]:
    """Return the texts that queries give to each signal that is read from a store."""
    texts: dict[str, set[str]] = defaultdict(set)
    for query in queries:
        for part in formula.walk(query.body):
            if isinstance(part, formula.Measure) and part.signal.name in _STORED:
                texts[part.signal.name].update(part.texts)
    # Who brings a model along wants its answers.
    return {name: some for name, some in texts.items() if not is_provided(name)}


def _parts_with_rows(store: Store, table: str, version: str) -> frozenset[int]:
    """Return the versions of scenes that a table has rows of, of the version that counts."""
    condition = f"is_scene = true AND version = {quote(version)}"
    marks = ("scene", "fingerprint")
    rows = store.rows(table, condition, marks)
    done = set(zip(*(rows.column(name).to_pylist() for name in marks), strict=True))
    scenes = store.scenes(["id", "fingerprint", "part"])
    listed = zip(*(column.to_pylist() for column in scenes.columns), strict=True)
    return frozenset(part for name, mark, part in listed if (name, mark) in done)


def _find_direction(
    text: str, store: Store, version: str, known: frozenset[int]
) -> Float64[np.ndarray, " value"]:
    """Return the direction of an example's vector: of the scene, or the mean of its moments."""
    example = parse_example(text, store)
    (part,) = store.parts([example.scene])
    vector = np.zeros(0)
    if part in known:
        is_scene = example.start is None
        own = read_vectors(store, WORLD, is_scene=is_scene, scenes=[example.scene], version=version)
        rows = np.arange(1) if is_scene else moments_of(own, example)
        vector = own.values[rows].mean(axis=0, dtype=np.float64)
    size = float(np.linalg.norm(vector))
    if not size:
        raise InputError(
            "name",
            "the example has no vector to compare with",
            where=f"scene {example.scene}",
            why="the current model has not seen its scene as it is now"
            if part not in known
            else "",
            remedy=f"kerbstone embed --store {store.uri} --model DIR",
        )
    return vector / size
