"""Choosing what to label: few scenes or moments that are both critical and diverse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64

from kerbstone.errors import InputError, UsageError, suggest_name
from kerbstone.mine.examples import parse_example
from kerbstone.mine.greedy import (
    Choice,
    Facility,
    choose_centres,
    choose_facilities,
    near_distance,
)
from kerbstone.mine.moments.criticality import assess, read_criticality
from kerbstone.mine.moments.describing import describe
from kerbstone.mine.moments.embeddings import DESCRIPTOR, Vectors, read_vectors
from kerbstone.mine.moments.rows import has_table, is_among, quote, scenes_where
from kerbstone.store import Store

TABLE = "selections"
METHODS = ("facility", "centre")
UNITS = ("scene", "moment")


@dataclass(frozen=True)
class SelectionConfig:
    """How to choose.

    Args:
        method: `facility` (what is chosen represents everything well) or `centre` (nothing is far
            from what is chosen).
        unit: What is chosen: a `scene` or a `moment` of one.
        criticality: What criticality counts against diversity, from 0 (not at all) to 1.
        embedding: What diversity is measured in.
        radius: How far what is chosen represents; as far as a quarter of all pairs lie apart, if
            not given.
        name: Name of the selection. Those of other names count as chosen already; one of the same
            name is replaced.
        where: SQL condition on the scenes to choose from.
        known: Scenes or moments, as `SCENE` or `SCENE@T0-T1`, that are labelled already.

    Raises:
        UsageError: A value is none of those possible.
    """

    method: str = "facility"
    unit: str = "scene"
    criticality: float = 0.5
    embedding: str = DESCRIPTOR
    radius: float | None = None
    name: str = "selection"
    where: str | None = None
    known: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for flag, value, choices in (("method", self.method, METHODS), ("unit", self.unit, UNITS)):
            if value not in choices:
                raise UsageError(
                    "usage", f"there is no {flag} {value!r}", remedy=suggest_name(value, choices)
                )
        if not 0 <= self.criticality <= 1:
            raise UsageError(
                "usage", "criticality lies between 0 and 1", why=f"it is {self.criticality}"
            )
        if self.radius is not None and not 0 < self.radius < np.inf:
            raise UsageError("usage", "a radius is a positive length", why=f"it is {self.radius}")


@dataclass(frozen=True)
class Selected:
    """A scene or moment that was chosen.

    Args:
        rank: 1 for the one chosen first.
        scene: Id of its scene.
        start: When it begins [s].
        end: When it ends [s].
        criticality: How critical it is, from 0 to 1; None where that is not known or not asked.
        gain: What it added to the value of the selection; with `centre`, how far it was from
            what was chosen before, times its weight.
    """

    rank: int
    scene: str
    start: float
    end: float
    criticality: float | None
    gain: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as a plain mapping."""
        return asdict(self)


@dataclass(frozen=True)
class Selection:
    """What was chosen to label.

    Args:
        items: In the order in which they were chosen: the first k of them are a choice of k.
        value: Of all, as `Choice.value` says.
        candidates: From how many.
        known: How many were chosen or labelled already.
        run: Id of the run that recorded it.
    """

    items: tuple[Selected, ...]
    value: float
    candidates: int
    known: int
    run: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as a plain mapping."""
        return asdict(self)


def select(
    store: Store,
    budget: int,
    config: SelectionConfig | None = None,
    *,
    workers: int | str = 1,
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[str], object] = lambda _: None,
) -> Selection:
    """Choose scenes or moments to label that are both critical and diverse, and record them.

    With `facility` the value of a choice is how well it represents all candidates in the
    embedding, the critical ones weighing more, plus how critical the chosen ones are themselves:
    `Facility` with weights `1 − c + c·C_i / mean(C)` and bonuses `c·C_j / budget`, for
    criticalities C and the config's c. It is monotone and submodular, so that the greedy choice
    has at least 1 − 1/e of the best value. With `centre` the farthest is chosen next, its
    distance counting `1 − c + c·C_i` times.

    Both are deterministic. What is labelled or was selected before represents too, and is not
    chosen again. The selection is written to the table `selections`.

    Args:
        store: The store.
        budget: How many to choose.
        config: How to choose.
        workers: Processes that describe and assess scenes, or "ray".
        on_start: Called with the number of logs to work on, at each of the two stages.
        on_result: Called with each log as it is done.

    Raises:
        UsageError: The budget is not positive.
        InputError: There is nothing to choose from, or a name or condition is wrong.
    """
    config = config or SelectionConfig()
    if budget < 1:
        raise UsageError("usage", "the budget is at least 1", why=f"it is {budget}")
    if config.embedding == DESCRIPTOR:
        describe(store, workers=workers, on_start=on_start, on_result=on_result)
    vectors = read_vectors(store, config.embedding, is_scene=config.unit == "scene")
    critical = np.full(len(vectors), np.nan)
    if config.criticality > 0:
        assess(store, workers=workers, on_start=on_start, on_result=on_result)
        critical = _criticality_of(store, vectors)
    known = _known(store, vectors, config)
    candidates = np.flatnonzero(~known & _chosen_by(store, vectors, config.where))
    if not candidates.size:
        raise InputError(
            "empty",
            "there is nothing to choose from",
            where=store.uri,
            why=f"{len(vectors)} {config.unit}s, {int(known.sum())} of them chosen already",
        )
    given = np.flatnonzero(known)
    choice = _choose(vectors, _fill_mean(critical), candidates, given, budget, config)
    settings = {"budget": budget, **asdict(config), "version": vectors.version}
    with store.run(command="select", config=settings) as run:
        items = _items(vectors, critical, choice)
        _record(store, items, config.name, run.id)
        run.metrics |= {"chosen": len(items), "value": choice.value, "known": len(given)}
    return Selection(items, choice.value, len(candidates), len(given), run.id)


def _choose(
    vectors: Vectors,
    critical: Float64[np.ndarray, " row"],
    candidates: Int64[np.ndarray, " candidate"],
    given: Int64[np.ndarray, " given"],
    budget: int,
    config: SelectionConfig,
) -> Choice:
    part = config.criticality
    if config.method == "centre":
        weight = 1 - part + part * critical
        return choose_centres(vectors.values, budget, candidates, weight=weight, given=given)
    # Only what may be chosen needs to be represented, and what is given represents it too.
    rows = np.concatenate([candidates, given])
    mean = float(critical[candidates].mean())
    weight = np.full(len(vectors), 1.0)
    if mean > 0:
        weight = 1 - part + part * critical / mean
    weight[given] = 0.0
    if not weight[candidates].sum():
        weight[candidates] = 1.0
    facility = Facility(
        vectors.values[rows],
        weight=weight[rows],
        bonus=part * critical[rows] / budget,
        radius=config.radius or near_distance(vectors.values[candidates]),
    )
    place = np.arange(len(rows))
    choice = choose_facilities(
        facility, budget, place[: len(candidates)], given=place[len(candidates) :]
    )
    return Choice(tuple(int(rows[i]) for i in choice.rows), choice.gain, choice.value)


def _criticality_of(store: Store, vectors: Vectors) -> Float64[np.ndarray, " row"]:
    """Return the largest criticality of the moments in each row's time; NaN where not known."""
    rows = read_criticality(store)
    middle = rows.start + rows.duration / 2
    places: dict[str, list[int]] = defaultdict(list)
    for place, scene in enumerate(rows.scene):
        places[str(scene)].append(place)
    found = np.full(len(vectors), np.nan)
    end = vectors.start + vectors.duration
    for row, scene in enumerate(vectors.scene):
        own = np.array(places.get(str(scene), ()), np.int64)
        inside = own[(middle[own] >= vectors.start[row]) & (middle[own] <= end[row])]
        scores = rows.score[inside]
        if np.isfinite(scores).any():
            found[row] = np.nanmax(scores)
    return found


def _fill_mean(values: Float64[np.ndarray, " row"]) -> Float64[np.ndarray, " row"]:
    """Return values with the mean in place of what is not known: neither sought nor shunned."""
    known = np.isfinite(values)
    return np.where(known, values, values[known].mean() if known.any() else 0.0)


def _known(store: Store, vectors: Vectors, config: SelectionConfig) -> Bool[np.ndarray, " row"]:
    """Return which rows are labelled, or chosen by a selection of another name."""
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for text in config.known:
        example = parse_example(text, store)
        end = np.inf if example.end is None else example.end
        spans[example.scene].append((example.start or 0.0, end))
    if has_table(store, TABLE):
        for row in store.rows(TABLE, f"name != {quote(config.name)}").to_pylist():
            spans[row["scene"]].append((row["start"], row["end"]))
    known = np.zeros(len(vectors), bool)
    end = vectors.start + vectors.duration
    for row, scene in enumerate(vectors.scene):
        for first, last in spans.get(str(scene), ()):
            known[row] |= vectors.start[row] < last and end[row] > first
    return known


def _chosen_by(store: Store, vectors: Vectors, where: str | None) -> Bool[np.ndarray, " row"]:
    if where is None:
        return np.ones(len(vectors), bool)
    return is_among(vectors.scene, scenes_where(store, where))


def _items(vectors: Vectors, critical: np.ndarray, choice: Choice) -> tuple[Selected, ...]:
    return tuple(
        Selected(
            rank=rank,
            scene=str(vectors.scene[row]),
            start=float(vectors.start[row]),
            end=float(vectors.start[row] + vectors.duration[row]),
            criticality=float(critical[row]) if np.isfinite(critical[row]) else None,
            gain=gain,
        )
        for rank, (row, gain) in enumerate(zip(choice.rows, choice.gain, strict=True), 1)
    )


def _record(store: Store, items: Sequence[Selected], name: str, run: str) -> None:
    """Write a selection, log by log, in place of an earlier one of the same name."""
    logs = store.scenes(["id", "log_key"])
    log_of = dict(zip(*(column.to_pylist() for column in logs.columns), strict=True))
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    changed = {log_of[item.scene] for item in items}
    if has_table(store, TABLE):
        for row in store.rows(TABLE).to_pylist():
            if row["name"] == name:
                changed.add(row["log_key"])
            else:
                rows[row["log_key"]].append({key: row[key] for key in _SCHEMA.names})
    for item in items:
        rows[log_of[item.scene]].append({"name": name, **item.to_dict()})
    for log in sorted(changed):
        store.put_rows(TABLE, pa.Table.from_pylist(rows[log], _SCHEMA), log=log, run=run)


_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("rank", pa.int64()),
        ("scene", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("criticality", pa.float64()),
        ("gain", pa.float64()),
    ]
)
