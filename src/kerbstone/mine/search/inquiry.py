"""Find: what a query matches in a store, ranked, with the near misses and with why."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from kerbstone.lang import Compiled
from kerbstone.lang.library import prepare, read_scenarios
from kerbstone.mine.search.finding import Finding
from kerbstone.mine.search.ranking import rank_matches, trace_matches
from kerbstone.mine.search.readings import Readings, find_readings
from kerbstone.mine.search.records import keep_finding, known_finding
from kerbstone.mine.search.search import Search, question_key, search_store
from kerbstone.store import Store


def find(
    query: str | Compiled,
    store: Store | str | Path,
    *,
    where: str | None = None,
    top: int = 50,
    near_misses: int = 10,
    workers: int | str | None = 1,
    scenarios: Iterable[str | Path] = (),
    given: str = "",
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[int], object] = lambda _: None,
) -> Finding:
    """Return what a query matches in a store, the strongest first.

    The finding is written into the store, and a run with it. Asked again about the same scenes,
    the store gives the same finding back; after more logs were ingested, only their scenes are
    searched. A scene that cannot be read is listed in the finding, and the rest goes on.

    Args:
        query: A text of the language, the name of a scenario, or a compiled query.
        store: The store, or its folder or URI. In a store as it was nothing is written.
        where: An SQL condition on the scenes, such as `town = 'Miami'`.
        top: How many matches to return at most; the finding counts all.
        near_misses: How many of what most nearly matched to return after them.
        workers: Number of processes, or "ray"; as many as pay if None.
        scenarios: Files of scenarios of one's own that the query may name.
        given: What the user asked for, where `query` was made from it.
        on_start: Called with the number of scenes that must be searched.
        on_result: Called with the number of scenes that were searched since.

    Raises:
        InputError: The query or the condition is wrong, or there is no such store.
        MissingError: The query asks a model, and there is no model.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = find("vehicle v: speed(v) > 30 km/h", Store.create(folder))
        >>> found.query, found.total
        ('vehicle v: speed(v) > 30 km/h', 0)
    """
    started = time.monotonic()
    road = store if isinstance(store, Store) else Store.open(str(store))
    files = [str(path) for path in scenarios]
    if not isinstance(query, Compiled):
        given = given or query
        query = prepare(query, scenarios=read_scenarios(files), source="query")
    readings = find_readings([query], road)
    question = _Question(query, given or query.text, where or "", top, near_misses, readings)
    parts = road.scenes(["part"], where).column("part").to_numpy()
    known = known_finding(road, question.name(parts)) if question.key else None
    if known is not None:
        return known

    def ask() -> Search:
        return search_store(
            query,
            road,
            where=where,
            most=top,
            near_misses=near_misses,
            readings=readings,
            workers=workers,
            on_start=on_start,
            on_result=on_result,
        )

    if road.pinned is not None:
        return _conclude(question, road, ask(), run="")
    config = {"where": where, "top": top, "near_misses": near_misses, "workers": workers}
    config |= {"query": query.text, "given": question.given}
    with road.run(command="find", config=config, inputs={"scenarios": files}) as run:
        found = ask()
        finding = _conclude(question, road, found, run=run.id)
        keep_finding(finding, road)
        run.metrics |= {
            "finding": finding.id,
            "scenes": finding.scenes,
            "known": found.known,
            "failed": len(finding.failed),
            "matches": finding.total,
            "seconds": round(time.monotonic() - started, 3),
        }
        if finding.failed:
            run.outcome = "partial"
    return finding


@dataclass(frozen=True, eq=False)
class _Question:
    """What is asked for: two that are alike in all of this have the same answer."""

    query: Compiled
    given: str
    where: str
    top: int
    near_misses: int
    readings: Readings

    @cached_property
    def key(self) -> str:
        """Digest of the query and of the code that answers, empty where it may answer otherwise."""
        return question_key(self.query, near_misses=self.near_misses, readings=self.readings)

    def name(self, parts: Int64[np.ndarray, " scene"], *, failed: Sequence[str] = ()) -> str:
        """Return the id of a finding: a digest of the question and of the scenes that answered."""
        key = self.key or str(time.time_ns())
        numbers = f"{self.top}, {self.near_misses}"
        asked = [key, self.query.text, self.given, self.where, numbers, *failed]
        digest = hashlib.blake2b("\0".join(asked).encode(), digest_size=8)
        digest.update(np.sort(parts).tobytes())
        # Once a model has seen these, the answer may be another.
        digest.update(np.array(self.readings.lacking(parts.tolist()), np.int64).tobytes())
        return digest.hexdigest()


def _conclude(question: _Question, store: Store, found: Search, *, run: str) -> Finding:
    """Return the finding that a search comes to."""
    rows = rank_matches(found, top=question.top, near_misses=question.near_misses)
    matches, lost = trace_matches(question.query, store, found, rows)
    failed = (*found.failed, *lost)
    return Finding(
        id=question.name(found.answers.part, failed=[scene for scene, _ in failed]),
        query=question.query.text,
        given=question.given,
        where=question.where,
        top=question.top,
        near_misses=question.near_misses,
        scenes=len(found.scenes),
        seconds=float(found.seconds.sum()),
        total=int(found.answers.total.sum()),
        matches=tuple(matches),
        failed=failed,
        run=run,
    )
