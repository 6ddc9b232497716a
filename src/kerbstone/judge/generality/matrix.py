"""The generality matrix: tasks by domains, a frozen model against rules and specialists."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerbstone.errors import InputError
from kerbstone.judge.generality.domains import Domain, Trained, find_domains, find_trained, name_own
from kerbstone.judge.generality.outcomes import Outcome, Row, make_row
from kerbstone.judge.generality.sampling import Sample, draw_sample
from kerbstone.judge.generality.specialists import read_specialists
from kerbstone.judge.generality.subjects import Bench
from kerbstone.judge.generality.tasks import TASKS, GeneralityTask, choose_tasks
from kerbstone.judge.generality.verdict import Verdict, give_verdict
from kerbstone.store import Store
from kerbstone.world.model_version import version_of
from kerbstone.world.network import SceneModel
from kerbstone.world.training import read_model

CELLS = "cells.jsonl"
_METHOD = 1
"""Another number where the same cell would come out otherwise."""


@dataclass(frozen=True)
class Matrix:
    """What a model can do, and where.

    Args:
        model: Its folder.
        rows: All cells.
        domains: The domains, their scenes not written out.
        verdict: What it comes to.
        notes: What a reader should know.
        windows: Windows of a cell.
        seed: Of all chance.
    """

    model: str
    rows: tuple[Row, ...]
    domains: tuple[Domain, ...]
    verdict: Verdict
    notes: tuple[str, ...]
    windows: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "model": self.model,
            "verdict": self.verdict.to_dict(),
            "windows": self.windows,
            "seed": self.seed,
            "domains": [
                {"name": each.name, "where": each.where, "is_own": each.is_own}
                | {"scenes": len(each.scenes), "logs": each.logs}
                for each in self.domains
            ],
            "cells": [row.to_dict() for row in self.rows],
            "notes": list(self.notes),
        }


def measure_generality(
    model: Path | str,
    store: Store | str,
    *,
    real: Store | str | None = None,
    specialists: Path | str | None = None,
    tasks: Sequence[str] = (),
    domains: Mapping[str, str] | None = None,
    windows: int = 200,
    seed: int = 0,
    out: Path | str | None = None,
    on_start: Callable[[int], object] = lambda _: None,
    on_row: Callable[[Row], object] = lambda _: None,
) -> Matrix:
    """Measure what a frozen model can do, task by task and domain by domain.

    Cells that are finished are kept in `out`, so that a second start goes on with the rest.

    Args:
        model: Folder of the model.
        store: The store that it was trained on; it is measured on what was held out.
        real: Another store, none of whose logs it was trained on. A domain that both have scenes
            of is measured there.
        specialists: Folder with a specialist for each family of tasks, where there is one.
        tasks: Names of tasks; all if none.
        domains: More domains: SQL conditions on the scenes of both stores, by their names.
        windows: Windows of a cell at most; for tasks about whole scenes a fifth as many of those.
        seed: Of all chance.
        out: Folder of finished cells; nothing is kept if not given.
        on_start: Called with the number of cells.
        on_row: Called with each cell.

    Raises:
        InputError: The model, a store or a specialist cannot be used, or nothing was held out.
        UsageError: A task has no such name.
    """
    chosen = choose_tasks(tasks)
    network, header = read_model(model)
    opened = Store.open(store) if isinstance(store, str) else store
    other = Store.open(real) if isinstance(real, str) else real
    trained = find_trained(opened, header)
    places = _find_places(opened, other, trained, domains)
    families = {task.name: task.family for task in chosen}
    needed = dict.fromkeys(family for family in families.values() if family is not None)
    notes: tuple[str, ...] = ()
    special: dict[str, SceneModel] = {}
    if specialists is not None:
        special, notes = read_specialists(specialists, needed, header)
    if not trained.is_same:
        notes = ("the store has changed since the model was trained", *notes)
    shared = _tell_shared(Path(model), opened, other, windows, seed)
    keys = {
        task.name: _digest(
            shared, Path(specialists or "") / task.family if task.family in special else None
        )
        for task in chosen
    }
    kept = _Kept.open(out, keys)
    on_start(len(chosen) * len(places))
    bench = _LazyBench(network, special, opened, trained, windows, seed)
    rows = []
    for domain, source in places:
        rows += _measure(domain, source, chosen, kept, bench, on_row)
    return Matrix(
        str(model),
        tuple(rows),
        tuple(domain for domain, _ in places),
        give_verdict(rows, families=families, registry=list(TASKS)),
        notes,
        windows,
        seed,
    )


def _find_places(
    store: Store, other: Store | None, trained: Trained, more: Mapping[str, str] | None
) -> list[tuple[Domain, Store]]:
    found = {d.name: (d, store) for d in find_domains(store, trained, is_training=True, more=more)}
    if other is not None:
        own = name_own(store, trained) | {d.name for d, _ in found.values() if d.is_own}
        for domain in find_domains(other, trained, is_training=False, more=more, own=own):
            # Held-out scenes chose the checkpoint; those of the other store had no part in anything.
            if domain.scenes or domain.name not in found:
                found[domain.name] = domain, other
    if not found:
        raise InputError(
            "empty", "there are no scenes that the model was not trained on", where=store.uri
        )
    return sorted(found.values(), key=lambda each: not each[0].is_own)


@dataclass(eq=False)
class _LazyBench:
    """A bench that is made when the first cell needs it."""

    network: SceneModel
    specialists: Mapping[str, SceneModel]
    store: Store
    trained: Trained
    windows: int
    seed: int
    _made: Bench | None = None

    def get(self) -> Bench:
        if self._made is None:
            training = draw_sample(
                self.store, self.trained.scenes, self.windows, seed=self.seed, name="training"
            )
            self._made = Bench.of(self.network, self.specialists, training)
        return self._made


def _measure(
    domain: Domain,
    store: Store,
    tasks: Sequence[GeneralityTask],
    kept: _Kept,
    bench: _LazyBench,
    on_row: Callable[[Row], object],
) -> list[Row]:
    """Return the cells of a domain; its windows are drawn only where one is not finished."""
    sample: Sample | None = None
    rows = []
    for task in tasks:
        row = kept.find(task, domain)
        if row is None:
            if sample is None:
                sample = draw_sample(
                    store,
                    domain.scenes,
                    bench.windows,
                    seed=bench.seed,
                    name=domain.name,
                    is_own=domain.is_own,
                )
            row = _measure_cell(task, domain, sample, bench)
            kept.add(row, domain)
        rows.append(row)
        on_row(row)
    return rows


def _measure_cell(task: GeneralityTask, domain: Domain, sample: Sample, bench: _LazyBench) -> Row:
    if task.is_simulated_only and not domain.is_simulated:
        outcome = Outcome.nothing("events are planted in simulated scenes only")
    else:
        try:
            outcome = task.ask(sample, bench.get())
        except InputError as error:  # the other cells are measured all the same
            outcome = Outcome.nothing(f"{error.what}{': ' if error.why else ''}{error.why}")
    return make_row(
        outcome,
        task.measure,
        task=task.name,
        domain=domain.name,
        is_own=domain.is_own,
        seed=bench.seed,
    )


@dataclass(eq=False)
class _Kept:
    """Cells that are finished, as lines of a file."""

    path: Path | None
    keys: Mapping[str, str]
    rows: dict[tuple[str, str, str], Row]

    @classmethod
    def open(cls, out: Path | str | None, keys: Mapping[str, str]) -> _Kept:
        """Read what is there; a line that a kill cut short is left out."""
        if out is None:
            return cls(None, keys, {})
        folder = Path(out)
        path = folder / CELLS
        found: dict[tuple[str, str, str], Row] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        except OSError as error:
            raise InputError(
                "output",
                "finished cells cannot be kept",
                where=str(path),
                why=error.strerror or str(error),
                remedy="name another folder with --out",
            ) from error
        for line in lines:
            try:
                told = json.loads(line)
                row = Row.from_dict(told["row"])
            except (ValueError, KeyError, TypeError):
                continue
            if told.get("key") == keys.get(row.task, ""):
                found[row.task, row.domain, str(told.get("where"))] = row
        return cls(path, keys, found)

    def find(self, task: GeneralityTask, domain: Domain) -> Row | None:
        return self.rows.get((task.name, domain.name, _mark(domain)))

    def add(self, row: Row, domain: Domain) -> None:
        if self.path is not None:
            line = {"key": self.keys[row.task], "where": _mark(domain), "row": row.to_dict()}
            with self.path.open("a", encoding="utf-8") as file:
                # A line that a kill cut short must not swallow this one.
                file.write("\n" * _is_cut(self.path) + json.dumps(line, ensure_ascii=False) + "\n")


def _is_cut(path: Path) -> bool:
    text = path.read_bytes()
    return bool(text) and not text.endswith(b"\n")


def _mark(domain: Domain) -> str:
    """Return what changes when a domain has other scenes."""
    text = repr((domain.where, domain.is_own, domain.scenes))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _tell_shared(model: Path, store: Store, real: Store | None, windows: int, seed: int) -> str:
    """Return what changes when any cell would come out otherwise."""
    logs = [sorted(each.fingerprints().items()) for each in (store, real) if each is not None]
    return repr((_METHOD, version_of(model), logs, windows, seed))


def _digest(shared: str, specialist: Path | None) -> str:
    """Return what changes when the cells of a task would come out otherwise."""
    version = "" if specialist is None else version_of(specialist)
    return hashlib.blake2b((shared + version).encode(), digest_size=12).hexdigest()
