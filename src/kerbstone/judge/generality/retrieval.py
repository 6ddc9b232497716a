"""The task of retrieval: does an example of an event find others of its kind?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerbstone.judge.generality.events import Event
from kerbstone.judge.generality.measures import RECALL, Measure
from kerbstone.judge.generality.outcomes import GENERALIST, Outcome
from kerbstone.judge.generality.sampling import Sample
from kerbstone.judge.generality.subjects import Bench
from kerbstone.mine.moments.descriptor import measure_moments
from kerbstone.mine.moments.scaling import Scales
from kerbstone.scene import Scene
from kerbstone.world.embedding import LENGTH, embed_scene
from kerbstone.world.metrics import recall_at

_FIRST = 10
_FITTED = 20
"""Training scenes that the descriptor is scaled by."""

Embed = Callable[[Scene], np.ndarray]


@dataclass(frozen=True)
class RetrievalTask:
    """How many of the ten moments most like one of an event are of an event of its kind.

    Moments are of 3 s, begin every second, and are seen from the recording car; an event that it
    takes part in is told by the moment that lies best in its middle. Moments of the own log are
    not looked at. Recall is told relative to the most that is possible: the number found over the
    number there are, or over ten if there are more. It has no specialist. The rules are the
    hand-made descriptor, and chance.
    """

    name: str = "retrieval"
    family: str | None = None
    is_simulated_only: bool = True
    measure: Measure = RECALL

    def ask(self, sample: Sample, bench: Bench) -> Outcome:
        """Return what everybody answers about the scenes of a domain."""
        if not sample.scenes:
            return Outcome.nothing("there are no scenes")
        gallery = [_label(sample, place) for place in range(len(sample.scenes))]
        kinds = np.concatenate([kind for kind, _ in gallery])
        counts = [len(kind) for kind, _ in gallery]
        log = np.repeat(np.array([each.log for each in sample.scenes], object), counts)
        ends = np.cumsum([0, *counts])
        queries = [
            (int(end) + moment, kind)
            for end, (_, found) in zip(ends[:-1], gallery, strict=True)
            for moment, kind in found
        ]
        queries = [
            (place, kind)
            for place, kind in queries
            if any(kind in some for some in kinds[log != log[place]])
        ]
        if not queries:
            return Outcome.nothing("no two logs have an event of one kind with the recording car")
        model = bench.generalist
        embed = {
            GENERALIST: lambda scene: embed_scene(model.model, scene).vectors,
            "descriptor": _descriptor(bench.training),
        }
        answers = {}
        for name, each in embed.items():
            vectors = _embed_all(sample, name, each, counts)
            answers[name] = np.array([_recall(vectors, kinds, log, *query) for query in queries])
        answers["chance"] = np.array([_chance(kinds, log, *query) for query in queries])
        return Outcome(np.zeros(len(queries)), log[[place for place, _ in queries]], answers)


def _label(sample: Sample, place: int) -> tuple[np.ndarray, list[tuple[int, str]]]:
    """Return the kinds of events of each moment of a scene, and the moment of each event."""
    listed = sample.scenes[place]
    scene = sample.open(listed.id)
    ego = None if scene.ego is None else scene.agents.ids[scene.ego]
    events = [e for e in sample.events.get(listed.id, ()) if ego is not None and ego in e.agents]
    count = max(int(np.floor(scene.clock.duration - LENGTH + 1e-6)) + 1, 1)
    kinds = np.empty(count, object)
    for moment in range(count):
        kinds[moment] = frozenset(e.kind for e in events if e.shares(moment, moment + LENGTH))
    found = []
    for event in events:
        best = _middle(event, count)
        if event.kind in kinds[best]:
            found.append((best, event.kind))
    return kinds, found


def _middle(event: Event, count: int) -> int:
    return int(np.clip(round((event.start + event.end - LENGTH) / 2), 0, count - 1))


def _embed_all(sample: Sample, name: str, embed: Embed, counts: list[int]) -> np.ndarray:
    def make() -> np.ndarray:
        found = [embed(sample.open(each.id)) for each in sample.scenes]
        return np.concatenate([v[:n] for v, n in zip(found, counts, strict=True)])

    return sample.keep(("moments", name), make)


def _descriptor(training: Sample) -> Embed:
    def fit() -> Scales:
        scenes = [training.open(each.id) for each in training.scenes[:_FITTED]]
        return Scales.fit(np.concatenate([measure_moments(scene) for scene in scenes]))

    scales: Scales = training.keep("descriptor", fit)
    return lambda scene: scales.to_vectors(measure_moments(scene))


def _recall(
    vectors: np.ndarray,
    kinds: np.ndarray,
    log: np.ndarray,
    place: int,
    kind: str,
) -> float:
    """Return the share of what could be found among the ten moments of other logs most alike."""
    others = np.flatnonzero(log != log[place])
    away = np.linalg.norm(vectors[others].astype(np.float64) - vectors[place], axis=1)
    sought = np.array([kind in some for some in kinds[others]], bool)
    return recall_at(-away, sought, first=_FIRST) * sought.sum() / min(sought.sum(), _FIRST)


def _chance(kinds: np.ndarray, log: np.ndarray, place: int, kind: str) -> float:
    others = kinds[log != log[place]]
    sought = sum(kind in some for some in others)
    return min(_FIRST / len(others), 1.0) * sought / min(sought, _FIRST)
