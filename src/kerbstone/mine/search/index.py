"""Index: derives what is slow to derive from the scenes of a store, before anybody asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kerbstone.errors import InputError, KerbstoneError
from kerbstone.mine.search.columns import Columns, columns_version, derive_columns, missing_columns
from kerbstone.mine.search.workplace import AT_ONCE, Place, Scenes, cut, open_at
from kerbstone.store import Store, parallel_map


@dataclass(frozen=True)
class IndexReport:
    """What an index run did.

    Args:
        scenes: Scenes that were chosen.
        known: How many of them were indexed already.
        failed: Scenes that could not be read, with the reason.
        seconds: Wall time [s].
        run: Id of the run; empty where there was nothing to do.
    """

    scenes: int
    known: int
    failed: tuple[tuple[str, KerbstoneError], ...]
    seconds: float
    run: str = ""


def index_store(
    store: Store | str | Path,
    *,
    where: str | None = None,
    workers: int | str = 1,
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[int], object] = lambda _: None,
) -> IndexReport:
    """Derive the columns of scenes that a store lacks, so that queries answer sooner.

    A search derives what it needs and keeps it, too. This does it at once and for all. It can be
    stopped at any time, and goes on where it was. What older versions of Kerbstone derived is
    deleted.

    Args:
        store: The store, or its folder or URI.
        where: An SQL condition on the scenes.
        workers: Number of processes, or "ray".
        on_start: Called with the number of scenes to work on.
        on_result: Called with the number of scenes that are done since.

    Raises:
        InputError: There is no such store, it cannot be written, or the condition is wrong.
    """
    started = time.monotonic()
    road = store if isinstance(store, Store) else Store.open(str(store))
    listed = road.scenes(["id", "part"], where)
    scenes = [(row["id"], row["part"]) for row in listed.to_pylist()]
    missing = missing_columns(road, [part for _, part in scenes])
    waiting = [(name, part) for name, part in scenes if part in missing]
    on_start(len(waiting))
    if not waiting:
        return IndexReport(len(scenes), len(scenes), (), time.monotonic() - started)
    place = road if workers == 1 else Place.of(road)
    works = (_Work(place, some) for some in cut(waiting, AT_ONCE))
    failed: list[tuple[str, KerbstoneError]] = []
    with road.run(command="index", config={"where": where, "workers": workers}) as run:
        for work, outcome in parallel_map(_index, works, workers=workers):
            if isinstance(outcome, KerbstoneError):
                if outcome.code not in ("worker", "scene-missing"):
                    raise outcome
                failed += [(name, outcome) for name, _ in work.scenes]
            else:
                failed += outcome
            on_result(len(work.scenes))
        road.forget("columns", f"version != '{columns_version()}'")
        road.index_column("columns", "scene_part")
        run.metrics |= {"scenes": len(waiting) - len(failed), "failed": len(failed)}
        if failed:
            run.outcome = "partial"
    seconds = time.monotonic() - started
    known = len(scenes) - len(waiting)
    return IndexReport(len(scenes), known, tuple(failed), seconds, run.id)


@dataclass(frozen=True, eq=False)
class _Work:
    store: Store | Place
    scenes: Scenes


def _index(work: _Work) -> list[tuple[str, KerbstoneError]]:
    """Derive the columns of some scenes; runs in a worker process."""
    store = open_at(work.store, work.scenes)
    parts = dict(work.scenes)
    columns = Columns(store, parts.values())
    failed: list[tuple[str, KerbstoneError]] = []
    for name, scene in store.read(parts):
        if isinstance(scene, InputError):
            failed.append((name, scene))
            continue
        try:
            facts = columns.facts(scene, parts[name])
            derive_columns(facts)
            columns.take_ranges(facts, parts[name])
        except KerbstoneError as error:
            failed.append((name, error))
        else:
            columns.take(facts, parts[name])
    columns.write()
    return failed
