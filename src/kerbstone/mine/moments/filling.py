"""Tables of what is derived from scenes: filled log by log, and only where something is missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from kerbstone.errors import InputError, KerbstoneError
from kerbstone.mine.moments.rows import has_table, keep_rows, quote
from kerbstone.scene import Scene
from kerbstone.store import Store, parallel_map

Make = Callable[[Scene, tuple[str, ...]], pa.Table]
"""Takes a scene and the names of what is missing of it, and returns its rows.

The rows have the columns `scene` and `name`, at least one for each name, and any others. Where
there is more than one worker it must be picklable.
"""

_MARKS = ("version", "fingerprint")
_STORED = ("log_key", "run", "part", "written")


@dataclass(frozen=True)
class FillReport:
    """What filling a table did.

    Args:
        logs: Logs that were worked on.
        known: Logs that had everything.
        failed: Why some logs could not be done, by their name.
        run: Id of the run; "" where there was nothing to do.
    """

    logs: int
    known: int
    failed: dict[str, KerbstoneError] = field(default_factory=dict)
    run: str = ""


def fill_table(
    store: Store,
    table: str,
    make: Make,
    versions: Mapping[str, str],
    *,
    logs: Collection[str] | None = None,
    inputs: Any = None,
    workers: int | str = 1,
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[str], object] = lambda _: None,
) -> FillReport:
    """Derive what is missing from scenes, and write it, one log after the other.

    Each log is committed on its own, so work that was stopped goes on where it was. A log is done
    again where it was replaced in the store since, or where what is asked for has another version.

    Args:
        store: The store.
        table: Name of the table, which is made if needed.
        make: Derives the rows of a scene.
        versions: What is wanted, by name, and the version of each.
        logs: Only these logs.
        inputs: What is read besides the store, as JSON values; recorded with the run.
        workers: Processes, or "ray".
        on_start: Called with the number of logs to do.
        on_result: Called with each log as it is done.

    Raises:
        InputError: Some logs could not be done; the others are.
    """
    lacking, known = _plan(store, table, versions, logs)
    on_start(len(lacking))
    if not lacking:
        return FillReport(0, known)
    failed: dict[str, KerbstoneError] = {}
    config = {"table": table, "versions": dict(versions), "workers": workers}
    with store.run(command=f"fill-{table}", config=config, inputs=inputs) as run:
        works = [_Work(store.uri, table, lack, make, run.id) for lack in lacking]
        for work, outcome in parallel_map(_fill_log, works, workers=workers):
            if isinstance(outcome, KerbstoneError):
                failed[work.lack.log] = outcome
            on_result(work.lack.log)
        run.metrics |= {"logs": len(works), "known": known, "failed": len(failed)}
        if failed:
            run.outcome = "partial"
    if failed:
        raise _partial(failed, len(works))
    return FillReport(len(works), known, failed, run.id)


def missing_logs(
    store: Store, table: str, versions: Mapping[str, str], *, logs: Collection[str] | None = None
) -> list[str]:
    """Return the logs that `fill_table` would work on.

    Args:
        store: The store.
        table: Name of the table.
        versions: What is wanted, by name, and the version of each.
        logs: Only these logs.
    """
    return [lack.log for lack in _plan(store, table, versions, logs)[0]]


@dataclass(frozen=True)
class _Lack:
    """One log and what it lacks."""

    log: str
    fingerprint: str
    scenes: tuple[str, ...]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class _Work:
    """What a log lacks, and who makes it where."""

    store: str
    table: str
    lack: _Lack
    make: Make
    run: str


def _plan(
    store: Store,
    table: str,
    versions: Mapping[str, str],
    logs: Collection[str] | None,
) -> tuple[list[_Lack], int]:
    """Return what is to be done, and how many logs lack nothing."""
    done: set[tuple[str, ...]] = set()
    if has_table(store, table):
        keys = ["log_key", "fingerprint", "name", "version"]
        rows = store.rows(table, columns=keys).group_by(keys).aggregate([])
        done = {tuple(row[key] for key in keys) for row in rows.to_pylist()}
    scenes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in store.scenes(["id", "log_key", "fingerprint"]).to_pylist():
        if logs is None or row["log_key"] in logs:
            scenes[row["log_key"], row["fingerprint"]].append(row["id"])
    lacking, known = [], 0
    for (log, mark), names in scenes.items():
        lacks = {n: v for n, v in versions.items() if (log, mark, n, v) not in done}
        if lacks:
            lacking.append(_Lack(log, mark, tuple(names), lacks))
        else:
            known += 1
    return lacking, known


def _fill_log(work: _Work) -> None:
    """Derive and write what one log lacks; runs in a worker process."""
    store, lack = Store.open(work.store), work.lack
    wanted = tuple(lack.versions)
    parts = [work.make(store.scene(name), wanted) for name in lack.scenes]
    rows = pa.concat_tables(parts)
    version = pa.array([lack.versions[name] for name in rows.column("name").to_pylist()])
    mark = pa.repeat(pa.scalar(lack.fingerprint), len(rows))
    for name, column in zip(_MARKS, (version, mark), strict=True):
        rows = rows.append_column(name, column)
    if has_table(store, work.table):
        # Rows are replaced by the log, so those of other names are written again beside the new.
        kept = store.rows(work.table, f"log_key = {quote(lack.log)}").drop_columns(list(_STORED))
        kept = keep_rows(kept, "name", set(kept.column("name").to_pylist()) - set(wanted))
        kept = keep_rows(kept, "fingerprint", [lack.fingerprint])
        rows = pa.concat_tables([kept.select(rows.column_names).cast(rows.schema), rows])
    store.put_rows(work.table, rows, log=lack.log, run=work.run)


def _partial(failed: Mapping[str, KerbstoneError], count: int) -> InputError:
    log, first = next(iter(failed.items()))
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return InputError(
        "partial",
        f"{len(failed)} of {count} logs could not be worked on",
        where=f"log {log}{more}",
        why=f"{first.code}: {first.what}" + (f", {first.where}" if first.where else ""),
        remedy=first.remedy or "the other logs are done; the same command again tries these",
    )
