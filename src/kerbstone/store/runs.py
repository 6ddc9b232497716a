"""Run records: who wrote what to a store, from which versions to which."""

from __future__ import annotations

import json
import os
import platform
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from kerbstone import __version__
from kerbstone.errors import KerbstoneError
from kerbstone.store.columns import to_table
from kerbstone.store.index import NoIndex
from kerbstone.store.layout import RUNS
from kerbstone.store.table import Table


@dataclass
class Run:
    """One command that writes to a store, while it runs.

    Args:
        id: Its name, which begins with its time.
        metrics: What it measured; filled while it runs.
        outcome: What is recorded if it ends without an error.
    """

    id: str
    metrics: dict[str, Any] = field(default_factory=dict)
    outcome: str = "done"


@contextmanager
def record(
    table: Table[NoIndex],
    versions: Callable[[], Mapping[str, int]],
    *,
    command: str,
    config: Mapping[str, Any],
    seed: int | None,
    inputs: Any,
    device: str,
) -> Iterator[Run]:
    """Keep a row of `runs` for what happens inside.

    The row is there from the start, with the outcome "running": a run that was killed stays so.
    At the end it becomes the run's own outcome, or "interrupted" or "failed".

    Args:
        table: The table of runs.
        versions: Gives the version of each table.
        command: What was called.
        config: Its resolved configuration.
        seed: Its seed, if it has one.
        inputs: What it reads besides the store, as JSON values.
        device: What it runs on.
    """
    started = datetime.now(UTC)
    run = Run(f"{started:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}")
    row = dict.fromkeys(RUNS.names) | {
        "id": run.id,
        "command": command,
        "outcome": "running",
        "started": started,
        "config": _to_json(config),
        "inputs": _to_json(inputs),
        "seed": seed,
        "code": code_version(),
        "device": device or _device(),
        "versions_before": list(versions().items()),
    }
    table.append(to_table(RUNS, [row], where=f"run {run.id}"))
    try:
        yield run
    except BaseException as error:
        run.outcome = "interrupted" if _is_interruption(error) else "failed"
        known = isinstance(error, KerbstoneError)
        row["error"] = str(error) if known else f"{type(error).__name__}: {error}"
        raise
    finally:
        row |= {
            "outcome": run.outcome,
            "ended": datetime.now(UTC),
            "versions_after": list(versions().items()),
            "metrics": _to_json(run.metrics),
        }
        table.merge(to_table(RUNS, [row]), key="id", update="true")


@cache
def code_version() -> str:
    """Return the version of this package, with the commit where its metadata or folder tells it."""
    try:
        origin = json.loads(distribution("kerbstone").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        origin = {}
    commit = origin.get("vcs_info", {}).get("commit_id", "")
    if not commit and origin.get("dir_info", {}).get("editable"):
        commit = _checked_out(Path(unquote(urlparse(origin["url"]).path)) / ".git")
    return f"{__version__}+{commit[:12]}" if commit else __version__


def _checked_out(git: Path) -> str:
    """Return the commit that a Git folder's HEAD stands at, "" if it does not say."""
    try:
        head = (git / "HEAD").read_text().strip()
        name = head.removeprefix("ref: ")
        if name == head:
            return head
        if (git / name).is_file():
            return (git / name).read_text().strip()
        packed = (git / "packed-refs").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), "")


def _device() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"


def _is_interruption(error: BaseException) -> bool:
    return isinstance(error, (KeyboardInterrupt, GeneratorExit)) or (
        isinstance(error, KerbstoneError) and error.code == "interrupted"
    )


def _to_json(value: Any) -> str:
    # A configuration may hold paths and the like; their text is what a reader wants.
    return json.dumps(value, default=str)
