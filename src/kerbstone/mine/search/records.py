"""Findings in a store: written once, and read by those who go on from them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerbstone.errors import InputError, KerbstoneError, suggest_name
from kerbstone.mine.search.finding import AtomTrace, Finding, FoundMatch, Trace, Witness
from kerbstone.scene import Kind
from kerbstone.store import Store

_OWN = ("id", "run", "query", "given", "where", "top", "near_misses", "scenes", "seconds")


def keep_finding(finding: Finding, store: Store) -> None:
    """Write a finding into a store: its matches first, then the row that makes them count."""
    part = secrets.randbits(63)
    rows = [{"part": part, **_match_row(match)} for match in finding.matches]
    if rows:
        store.append("matches", rows)
    own = {name: getattr(finding, name) for name in _OWN}
    failed = json.dumps([[scene, error.to_dict()] for scene, error in finding.failed])
    store.append("findings", [{**own, "matches": finding.total, "failed": failed, "part": part}])


def find_finding(store: Store, name: str) -> Finding:
    """Return a finding by its id or a beginning of it that is unique.

    Args:
        store: The store.
        name: The id.

    Raises:
        InputError: There is none, or more than one.
    """
    rows = store.rows("findings").to_pylist()
    chosen = [row for row in rows if row["id"] == name]
    chosen = chosen or [row for row in rows if row["id"].startswith(name)]
    if len(chosen) != 1:
        raise InputError(
            "name",
            f"{'no finding' if not chosen else 'more than one finding'} is called {name!r}",
            where=store.uri,
            remedy=suggest_name(name, [row["id"] for row in rows])
            if rows
            else f"kerbstone find QUERY --store {store.uri}",
        )
    return _read_finding(store, chosen[0])


def known_finding(store: Store, name: str) -> Finding | None:
    """Return the finding of exactly this id, None where there is none."""
    rows = store.rows("findings", f"id = '{name}'").to_pylist()
    return _read_finding(store, rows[0]) if rows else None


def list_findings(store: Store) -> list[dict[str, Any]]:
    """Return what a store's findings looked for and how much they found, the newest first."""
    rows = store.rows("findings").to_pylist()
    rows.sort(key=lambda row: row["written"], reverse=True)
    return [
        {
            "finding": row["id"],
            "run": row["run"],
            "query": row["query"],
            "given": row["given"],
            "where": row["where"],
            "scenes": row["scenes"],
            "matches": row["matches"],
            "written": f"{row['written']:%Y-%m-%d %H:%M:%S}",
        }
        for row in rows
    ]


def _match_row(match: FoundMatch) -> dict[str, Any]:
    trace = match.trace
    unknown = np.full(len(trace.robustness), np.nan)

    def packed(values: Sequence[np.ndarray | None]) -> np.ndarray:
        return np.concatenate([unknown[:0], *(unknown if v is None else v for v in values)])

    plain = ("rank", "is_match", "scene", "scene_part", "first", "last", "best", "dt")
    return {
        **{name: getattr(match, name) for name in (*plain, "robustness")},
        "variable": [witness.variable for witness in match.witnesses],
        "agent": [witness.agent for witness in match.witnesses],
        "kind": np.array([Kind[witness.kind.upper()] for witness in match.witnesses], np.uint8),
        "missed_by": list(match.missed_by),
        "trace_first": trace.first,
        "trace_steps": len(trace.robustness),
        "trace": trace.robustness,
        "atom_text": [atom.text for atom in trace.atoms],
        "atom_operator": [atom.operator for atom in trace.atoms],
        "atom_unit": [atom.unit for atom in trace.atoms],
        "atom_robustness": packed([atom.robustness for atom in trace.atoms]),
        "atom_left": packed([atom.left for atom in trace.atoms]),
        "atom_right": packed([atom.right for atom in trace.atoms]),
    }


def _read_finding(store: Store, row: dict[str, Any]) -> Finding:
    matches = store.rows("matches", f"part = {row['part']}").to_pylist()
    matches.sort(key=lambda match: match["rank"])
    return Finding(
        **{name: row[name] for name in _OWN},
        total=row["matches"],
        matches=tuple(map(_read_match, matches)),
        failed=tuple((scene, _read_error(error)) for scene, error in json.loads(row["failed"])),
    )


def _read_match(row: dict[str, Any]) -> FoundMatch:
    steps = row["trace_steps"]
    shape = (len(row["atom_text"]), steps)
    robustness, left, right = (
        np.array(row[f"atom_{name}"], np.float64).reshape(shape)
        for name in ("robustness", "left", "right")
    )
    atoms = []
    for number, text in enumerate(row["atom_text"]):
        operator, unit = row["atom_operator"][number], row["atom_unit"][number]
        sides = (left[number], right[number]) if operator else (None, None)
        atoms.append(AtomTrace(text, robustness[number], operator, unit, *sides))
    witnesses = zip(row["variable"], row["agent"], row["kind"], strict=True)
    plain = ("rank", "is_match", "scene", "scene_part", "first", "last", "best", "dt")
    return FoundMatch(
        **{name: row[name] for name in (*plain, "robustness")},
        witnesses=tuple(
            Witness(variable, agent, Kind(kind).name.lower()) for variable, agent, kind in witnesses
        ),
        missed_by=tuple(row["missed_by"]),
        trace=Trace(row["trace_first"], np.array(row["trace"], np.float64), tuple(atoms)),
    )


def _read_error(error: dict[str, str]) -> KerbstoneError:
    return KerbstoneError(
        error["code"], error["what"], where=error["where"], why=error["why"], remedy=error["try"]
    )
