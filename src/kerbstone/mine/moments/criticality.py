"""How close each moment of a scene is to a collision, by the signals of the scenario language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.lang import Compiled, Facts, evaluate
from kerbstone.lang.formula import Comparison
from kerbstone.lang.library import prepare
from kerbstone.lang.version import language_version
from kerbstone.mine.moments.filling import FillReport, fill_table
from kerbstone.mine.moments.moments import LENGTH, moment_starts
from kerbstone.mine.moments.rows import keep_rows, scenes_where
from kerbstone.scene import Scene
from kerbstone.store import Store

TABLE = "criticality"
LONGEST_TIME = 4.0
"""A time to collision that is no longer critical [s]."""
HARD_BRAKING = 4.0
"""A required deceleration that is half as critical as can be [m/s²]."""
_UNSAFE = 0.25
_METHOD = 2
_STEPS = 300

_ABOUT_EGO = {
    "time": ("any a: time_to_collision(a, ego) < 4 s",),
    "braking": (
        "any a: required_deceleration(a, ego) > 0 m/s2",
        "any a: required_deceleration(ego, a) > 0 m/s2",
    ),
    "unsafe": ("any a: rss_unsafe(a, ego)",),
}
_NEARING_EGO = "any a: approaching(a, ego)"
_ABOUT_ANY = {
    "time": ("any a, any b: time_to_collision(a, b) < 4 s",),
    "braking": ("any a, any b: required_deceleration(a, b) > 0 m/s2",),
    "unsafe": ("any a, any b: rss_unsafe(a, b)",),
}
_NEARING_ANY = "any a, any b: approaching(a, b)"


@dataclass(frozen=True, eq=False)
class Criticality:
    """How critical moments are, ordered by scene and start.

    Args:
        scene: Id of each one's scene.
        start: When it begins [s].
        duration: [s].
        score: From 0 to 1; NaN where it is not known.
        time: The shortest time to collision [s]; inf where none is to come.
        braking: The largest deceleration that is required of somebody [m/s²].
        unsafe: The share of the time at which a safe distance of RSS is violated.
        agents: Who is in it: the pair that the score is about, the recording car included.
    """

    scene: np.ndarray
    start: Float64[np.ndarray, " row"]
    duration: Float64[np.ndarray, " row"]
    score: Float64[np.ndarray, " row"]
    time: Float64[np.ndarray, " row"]
    braking: Float64[np.ndarray, " row"]
    unsafe: Float64[np.ndarray, " row"]
    agents: np.ndarray

    def say(self, row: int) -> tuple[str, ...]:
        """Return why a moment is critical, in words."""
        time, braking, unsafe = self.time[row], self.braking[row], self.unsafe[row]
        parts = []
        if time < LONGEST_TIME:
            parts.append("they touch" if time <= 0 else f"time to collision {time:.2g} s")
        if 0 < braking < np.inf:
            digits = ".0f" if braking >= 10 else ".2g"
            parts.append(f"required deceleration {braking:{digits}} m/s2")
        if unsafe > 0:
            parts.append(f"closer than RSS allows for {unsafe:.0%} of the time")
        return tuple(parts)


def assess(
    store: Store,
    *,
    workers: int | str = 1,
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[str], object] = lambda _: None,
) -> FillReport:
    """Write how critical each moment is, for all scenes that lack it.

    A moment counts from its closest pair of road users: those with the recording car, or all pairs
    where a scene has none. Its criticality is the largest of

    - 1 − TTC / 4 s, of the shortest time to collision, and at least 0,
    - DRAC / (DRAC + 4 m/s²), of the largest deceleration that is required of either of them,
    - a quarter of the share of the time at which the safe distances of RSS are violated: everyday
      traffic does so often.

    So it is 1 where two collide. The first two count while the pair comes closer by more than
    0.5 m/s, so that parked boxes that touch do not; and pairs that touch whenever both are there
    (a trailer and its truck) do not count at all. Where nothing can be measured, because no road
    user has a size, a moment's criticality is not known.

    Args:
        store: The store.
        workers: Processes, or "ray".
        on_start: Called with the number of logs to do.
        on_result: Called with each log as it is done.

    Raises:
        InputError: There is no scene, or some logs could not be assessed; the others are.
    """
    if not store.scenes(["id"]).num_rows:
        raise InputError("empty", "the store holds no scenes", where=store.uri)
    return fill_table(
        store,
        TABLE,
        assess_scene,
        {TABLE: f"{_METHOD}-{language_version()}"},
        workers=workers,
        on_start=on_start,
        on_result=on_result,
    )


def read_criticality(store: Store, *, where: str | None = None) -> Criticality:
    """Return how critical all moments are that were assessed.

    Args:
        store: The store.
        where: SQL condition on the scenes.

    Raises:
        InputError: Nothing was assessed yet, or the condition is wrong.
    """
    rows = store.rows(TABLE)
    if where is not None:
        rows = keep_rows(rows, "scene", scenes_where(store, where))
    rows = rows.sort_by([("scene", "ascending"), ("start", "ascending")])
    agents = np.empty(len(rows), object)
    agents[:] = rows.column("agents").to_pylist()
    numbers = ("start", "duration", "score", "time", "braking", "unsafe")
    return Criticality(
        scene=rows.column("scene").to_numpy(),
        agents=agents,
        **{name: rows.column(name).to_numpy() for name in numbers},
    )


def assess_scene(scene: Scene, names: tuple[str, ...] = (TABLE,)) -> pa.Table:
    """Return a row for each moment of a scene; see `assess`."""
    (name,) = names
    queries = _ABOUT_ANY if scene.ego is None else _ABOUT_EGO
    # Every measure is about one time alone, so a long scene may be taken in parts.
    parts = [
        _measure(scene.window_steps(step, min(_STEPS, scene.clock.steps - step)), queries)
        for step in range(0, scene.clock.steps, _STEPS)
    ]
    tracks = {measure: _join([part[measure] for part in parts]) for measure in queries}
    start = moment_starts(scene)
    first = np.rint(start / scene.clock.dt).astype(int)
    count = max(round(LENGTH / scene.clock.dt), 1)
    rows = [_assess_moment(tracks, slice(step, step + count)) for step in first]
    scores = np.array([row[:4] for row in rows])
    return pa.table(
        {
            "scene": pa.repeat(pa.scalar(scene.id), len(rows)),
            "name": pa.repeat(pa.scalar(name), len(rows)),
            "start": start,
            "duration": np.minimum(LENGTH, scene.clock.duration - start),
            "score": scores[:, 0],
            "time": scores[:, 1],
            "braking": scores[:, 2],
            "unsafe": scores[:, 3],
            "agents": pa.array(
                [[scene.agents.ids[agent] for agent in row[4]] for row in rows],
                pa.list_(pa.string()),
            ),
        }
    )


@dataclass(frozen=True, eq=False)
class _Track:
    """The worst value of a measure at each time, and the pair that has it.

    Args:
        value: By how much the worst pair is beyond the query's threshold; minus infinity where
            nobody is in danger.
        pair: That pair.
        is_seen: Whether the measure is defined for some pair.
        is_missed: Whether pairs are there, and it is defined for none.
    """

    value: Float64[np.ndarray, " time"]
    pair: np.ndarray
    is_seen: np.ndarray
    is_missed: np.ndarray


def _join(parts: list[_Track]) -> _Track:
    names = [field.name for field in fields(_Track)]
    return _Track(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})


def _measure(scene: Scene, queries: Mapping[str, tuple[str, ...]]) -> dict[str, _Track]:
    facts = Facts(scene)
    nearing, is_nearing = _evaluate(_NEARING_EGO if queries is _ABOUT_EGO else _NEARING_ANY, facts)
    hitched: set[tuple[int, int]] = set()
    tracks = {}
    for measure, texts in queries.items():
        pairs, values = (
            np.concatenate(part) for part in zip(*_evaluate_all(texts, facts), strict=True)
        )
        if measure == "time":
            hitched |= _find_hitched(pairs, values)
        if measure != "unsafe":
            # Queries about the same road users have the same bindings.
            comes = np.tile(is_nearing > 0, (len(pairs) // max(len(nearing), 1), 1))
            values = np.where(comes | np.isnan(values), values, -np.inf)
        free = np.array([tuple(sorted(pair)) not in hitched for pair in pairs.tolist()], bool)
        tracks[measure] = _find_worst(facts, pairs[free], values[free])
    return tracks


def _evaluate_all(texts: tuple[str, ...], facts: Facts) -> list[tuple[np.ndarray, np.ndarray]]:
    return [_evaluate(text, facts) for text in texts]


def _evaluate(text: str, facts: Facts) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs, and by how much each is beyond the query's threshold at each time.

    In the unit of what is compared; minus infinity is out of danger, NaN is undefined.
    """
    query = _prepared(text)
    answer = evaluate(query, facts)
    rows, values = answer.rows, answer.robustness
    if isinstance(query.body, Comparison):
        values = values * query.body.margin
    if rows.shape[1] == 1:
        ego = -1 if facts.scene.ego is None else facts.scene.ego
        rows = np.column_stack([rows, np.full(len(rows), ego)])
    return rows, values


def _find_hitched(pairs: np.ndarray, values: np.ndarray) -> set[tuple[int, int]]:
    """Return who touches whenever both are there: a trailer and its truck do not collide."""
    defined = ~np.isnan(values)
    always = ((values >= LONGEST_TIME) | ~defined).all(axis=1) & defined.any(axis=1)
    return {(min(pair), max(pair)) for pair in pairs[always].tolist()}


def _find_worst(facts: Facts, pairs: np.ndarray, values: np.ndarray) -> _Track:
    if not len(pairs):
        nothing = np.zeros(facts.steps, bool)
        nobody = np.full((facts.steps, 2), -1)
        return _Track(np.full(facts.steps, -np.inf), nobody, nothing, nothing)
    is_seen = np.asarray((~np.isnan(values)).any(axis=0))
    valid = facts.agents.valid
    is_there = np.asarray((valid[pairs[:, 0]] & valid[pairs[:, 1]]).any(axis=0))
    values = np.where(np.isnan(values), -np.inf, values)
    top = values.argmax(axis=0)
    worst = values[top, np.arange(values.shape[1])]
    return _Track(worst, pairs[top], is_seen, is_there & ~is_seen)


def _assess_moment(
    tracks: dict[str, _Track], part: slice
) -> tuple[float, float, float, float, list[int]]:
    """Return a moment's score, time to collision, deceleration, unsafe share and pair."""
    if tracks["time"].is_missed[part].any() and not tracks["time"].is_seen[part].any():
        return np.nan, np.nan, np.nan, np.nan, []
    time = LONGEST_TIME - tracks["time"].value[part]
    braking = np.maximum(tracks["braking"].value[part], 0.0)
    unsafe = float((tracks["unsafe"].value[part] > 0).mean())
    scores = {
        "time": float(np.clip(1 - time.min() / LONGEST_TIME, 0.0, 1.0)),
        "braking": float(1 - HARD_BRAKING / (HARD_BRAKING + braking.max())),
        "unsafe": _UNSAFE * unsafe,
    }
    decisive = max(scores, key=lambda measure: scores[measure])
    pair: list[int] = []
    if scores[decisive] > 0:
        track = tracks[decisive]
        pair = track.pair[part][track.value[part].argmax()].tolist()
    return scores[decisive], float(time.min()), float(braking.max()), unsafe, pair


@cache
def _prepared(text: str) -> Compiled:
    return prepare(text)
