"""From logs on disk to scenes in a store: resumable, in parallel, without duplicates."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from kerbstone.errors import InputError, KerbstoneError
from kerbstone.formats.files import file_states
from kerbstone.formats.registry import Log, TablesFormat, find_logs, get_format, read_log
from kerbstone.scene import Scene
from kerbstone.store import Store, parallel_map


@dataclass(frozen=True)
class LogResult:
    """What became of one log.

    Args:
        log: The log.
        scenes: Scenes written; 0 where it was there already or failed.
        agents: Agents in them.
        agent_frames: Valid cells in them: one agent at one time step.
        seconds: Time spent on it [s].
        is_known: Whether the store held the unchanged log already.
        error: Why it could not be read.
    """

    log: Log
    scenes: int = 0
    agents: int = 0
    agent_frames: int = 0
    seconds: float = 0.0
    is_known: bool = False
    error: KerbstoneError | None = None


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did.

    Args:
        results: One result per log that was found.
        seconds: Wall time [s].
        run: Id of the run in the store's `runs` table.
    """

    results: tuple[LogResult, ...]
    seconds: float
    run: str = ""
    failed: tuple[LogResult, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "failed", tuple(r for r in self.results if r.error is not None))

    @property
    def metrics(self) -> dict[str, float]:
        """The counts, as they are kept with the run and printed by `--json`."""
        frames = sum(result.agent_frames for result in self.results)
        return {
            "logs": len(self.results),
            "known": sum(result.is_known for result in self.results),
            "failed": len(self.failed),
            "scenes": sum(result.scenes for result in self.results),
            "agents": sum(result.agents for result in self.results),
            "agent_frames": frames,
            "seconds": round(self.seconds, 3),
            "agent_frames_per_s": round(frames / self.seconds, 1) if self.seconds else 0.0,
        }


def ingest(
    paths: Sequence[Path | str],
    store: str | Path,
    *,
    format: str | None = None,  # noqa: A002 - named as the flag
    workers: int | str = 1,
    skip_bad: bool = False,
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[LogResult], object] = lambda _: None,
) -> IngestReport:
    """Read logs into a store, which is made if it is not there.

    Every log is committed on its own, so a run that was stopped goes on where it was when it is
    started again: a log that the store holds unchanged is passed over, and one whose files have
    changed or moved replaces what was read from it before. Two logs that are called alike never
    replace one another: the second one fails.

    Args:
        paths: Files, log folders, or folders of logs at any depth.
        store: The store's folder or URI.
        format: Read everything as this format instead of recognising it.
        workers: Processes that read logs at the same time, or "ray".
        skip_bad: Go on after a log that cannot be read; it is listed in the report.
        on_start: Called with the number of logs found.
        on_result: Called with the result of each log as it is done.

    Returns:
        What was read, what was known, and what failed.

    Raises:
        InputError: Nothing to read, or a log is malformed, or called like another one, and
            `skip_bad` is not set. What was read before stays in the store.
    """
    started = time.monotonic()
    logs = find_logs(paths, format=format)
    on_start(len(logs))
    target = Store.create(str(store))
    config = {
        "paths": [str(path) for path in paths],
        "format": format,
        "workers": workers,
        "skip_bad": skip_bad,
    }
    results: list[LogResult] = []

    def keep(log: Log, outcome: LogResult | KerbstoneError) -> None:
        failed = isinstance(outcome, KerbstoneError)
        result = LogResult(log, error=outcome) if failed else outcome
        results.append(result)
        on_result(result)
        if failed and not skip_bad:
            raise _stopped_at(outcome, log)

    def report() -> IngestReport:
        return IngestReport(tuple(results), time.monotonic() - started, run.id)

    with target.run(command="ingest", config=config) as run:
        try:
            fresh: list[_Work] = []
            for log, outcome in _plan(logs, target, run.id):
                if isinstance(outcome, _Work):
                    fresh.append(outcome)
                else:
                    keep(log, outcome)
            for work, outcome in parallel_map(_ingest_log, fresh, workers=workers):
                keep(work.log, outcome)
        finally:
            run.metrics.update(report().metrics)
        if report().failed:
            run.outcome = "partial"
    return report()


def fingerprint(log: Log) -> str:
    """Return a mark that changes when a file of the log does (its path, size or time of change)."""
    digest = hashlib.blake2b(digest_size=16)
    for state in file_states(log.files):
        digest.update(state)
    return digest.hexdigest()


@dataclass(frozen=True)
class _Work:
    log: Log
    mark: str
    store: str
    run: str
    known_path: str


def _plan(
    logs: Sequence[Log], store: Store, run: str
) -> Iterator[tuple[Log, _Work | LogResult | KerbstoneError]]:
    """Give for each log the work that it needs, or what is known of it without reading it."""
    finished = store.fingerprints()
    paths = store.scenes(columns=["log_key", "path"])
    known_paths = dict(zip(*(column.to_pylist() for column in paths.columns), strict=True))
    first: dict[str, Log] = {}
    for log in logs:
        twin = first.setdefault(log.name, log)
        if twin is not log:
            yield log, _called_alike(log, str(twin.path))
            continue
        try:
            mark = fingerprint(log)
        except KerbstoneError as error:
            yield log, error
            continue
        if finished.get(log.name) == mark:
            yield log, LogResult(log, is_known=True)
        else:
            yield log, _Work(log, mark, store.uri, run, known_paths.get(log.name, ""))


def _ingest_log(work: _Work) -> LogResult:
    """Read one log and commit it; runs in a worker process."""
    started = time.monotonic()
    store = Store.open(work.store)
    reader = get_format(work.log.format)
    counts = {"scenes": 0, "agents": 0, "agent_frames": 0}

    tables: dict[str, list[pa.Table]] = defaultdict(list)

    def counted() -> Iterator[Scene]:
        for scene in read_log(work.log):
            # A log that was moved is the same log; one whose former place is still there is not.
            if work.known_path not in ("", scene.source.path) and Path(work.known_path).exists():
                raise _called_alike(work.log, work.known_path)
            counts["scenes"] += 1
            counts["agents"] += len(scene.agents)
            counts["agent_frames"] += int(scene.agents.valid.sum())
            if isinstance(reader, TablesFormat):
                for name, rows in reader.tables(work.log, scene).items():
                    tables[name].append(rows)
            yield scene
        if not counts["scenes"]:
            raise InputError("empty", "the log holds no scene", where=str(work.log.path))
        # Before the store commits the scenes, so that both appear together.
        for name, parts in tables.items():
            store.put_rows(name, pa.concat_tables(parts), log=work.log.name, run=work.run)

    written = store.add(counted(), log=work.log.name, fingerprint=work.mark, run=work.run)
    if not written:
        # Another process that ingests the same log was faster.
        return LogResult(work.log, is_known=True, seconds=time.monotonic() - started)
    return LogResult(
        work.log,
        scenes=counts["scenes"],
        agents=counts["agents"],
        agent_frames=counts["agent_frames"],
        seconds=time.monotonic() - started,
    )


def _called_alike(log: Log, other: str) -> InputError:
    return InputError(
        "duplicate",
        f"two logs are called {log.name!r}",
        where=str(log.path),
        why=f"the other one is {other}",
        remedy="rename a folder or file that the name comes from, or use a store for each",
    )


def _stopped_at(error: KerbstoneError, log: Log) -> KerbstoneError:
    """Return the error with what to do about the other logs."""
    where = error.where if str(log.path) in error.where else f"{log.path}: {error.where}"
    ways = "--skip-bad goes on with the other logs; what was read so far is kept"
    remedy = f"{error.remedy}; {ways}" if error.remedy else ways
    return type(error)(error.code, error.what, where=where, why=error.why, remedy=remedy)
