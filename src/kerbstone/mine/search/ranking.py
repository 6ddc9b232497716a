"""Ranks what was found in many scenes, and looks closer at what comes first."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.errors import KerbstoneError
from kerbstone.lang import Atom, Compiled, Facts, measure_atoms
from kerbstone.lang.evaluation import evaluate_parts
from kerbstone.lang.formula import horizon
from kerbstone.lang.reasons import explain_miss
from kerbstone.mine.search.columns import Columns
from kerbstone.mine.search.finding import AtomTrace, FoundMatch, Trace, Witness
from kerbstone.mine.search.readings import Reader
from kerbstone.mine.search.search import Search
from kerbstone.scene import Kind, Scene
from kerbstone.store import Store

MARGIN = 5.0
"""How long before a match a trace begins, and how long after it ends [s]."""
_FARTHEST = 20.0
"""How much more of it there is where a query looks back or ahead, at most [s]."""
_LONGEST = 600
"""A trace has no more steps than this on either side of the best one."""


def rank_matches(found: Search, *, top: int, near_misses: int) -> Int64[np.ndarray, " chosen"]:
    """Return the rows of the strongest matches, and after them those of the nearest near misses.

    Of what is equally strong the longer comes first, and else the order is that of scenes, times
    and road users.

    Args:
        found: What a search came to.
        top: How many matches at most.
        near_misses: How many near misses at most.
    """
    answers = found.answers
    names = np.array([found.scenes[scene] for scene in answers.scene], object)
    is_match = answers.robustness > 0

    def strongest(rows: np.ndarray, most: int) -> list[int]:
        if len(rows) > most:
            # Of the many, only those that may come first are put in order.
            least = np.partition(answers.robustness[rows], -most)[-most] if most else np.inf
            rows = rows[answers.robustness[rows] >= least]
        order = sorted(
            rows.tolist(),
            key=lambda row: (
                -answers.robustness[row],
                (answers.first[row] - answers.last[row]) * found.dt[answers.scene[row]],
                names[row],
                answers.first[row],
                *answers.agent[row],
            ),
        )  # fmt: skip
        return order[:most]

    matches = strongest(np.flatnonzero(is_match), top)
    missed = strongest(np.flatnonzero(~is_match), near_misses)
    return np.array(matches + missed, np.int64)


def trace_matches(
    query: Compiled, store: Store, found: Search, rows: Int64[np.ndarray, " chosen"]
) -> tuple[list[FoundMatch], list[tuple[str, KerbstoneError]]]:
    """Return chosen rows of a search as matches with all that is known of them.

    Args:
        query: The query.
        store: The store.
        found: What the search came to.
        rows: The rows, in their order.

    Returns:
        The matches, and the scenes that could not be read any more.
    """
    answers = found.answers
    by_scene: dict[str, list[int]] = defaultdict(list)
    parts: dict[str, int] = {}
    for row in rows.tolist():
        name = found.scenes[answers.scene[row]]
        by_scene[name].append(row)
        parts[name] = int(answers.part[answers.scene[row]])
    # Scenes of one log share a map, which is prepared once if they come one after the other.
    parts = dict(sorted(parts.items()))
    columns = Columns(store, parts.values(), reader=Reader(store, found.readings, parts))
    matches: dict[int, FoundMatch] = {}
    failed: list[tuple[str, KerbstoneError]] = []
    for name, scene in store.read(parts):
        if isinstance(scene, KerbstoneError):
            failed.append((name, scene))
        else:
            facts, some = columns.facts(scene, parts[name]), np.array(by_scene[name])
            matches.update(zip(some.tolist(), _look_closer(query, facts, found, some), strict=True))
    ordered = [matches[row] for row in rows.tolist() if row in matches]
    return [_renumber(match, rank) for rank, match in enumerate(ordered, 1)], failed


def _look_closer(
    query: Compiled, facts: Facts, found: Search, rows: Int64[np.ndarray, " chosen"]
) -> list[FoundMatch]:
    answers, scene = found.answers, facts.scene
    row_of = {agent: row for row, agent in enumerate(scene.agents.ids)}
    agents = np.array(
        [[row_of[agent] for agent in answers.agent[row]] for row in rows.tolist()], np.int64
    ).reshape(len(rows), len(query.slots))
    atoms = measure_atoms(query, facts, agents)
    (values,) = evaluate_parts(query, facts, agents, [query.body])
    whole = np.where(_present(scene, agents), values, np.nan)
    matches = []
    for number, row in enumerate(rows.tolist()):
        best, is_match = int(answers.best[row]), bool(answers.robustness[row] > 0)
        first, last = int(answers.first[row]), int(answers.last[row])
        missed = [] if is_match else explain_miss(query, facts, agents[number], best)
        matches.append(
            FoundMatch(
                rank=0,
                is_match=is_match,
                scene=scene.id,
                scene_part=int(answers.part[answers.scene[row]]),
                witnesses=_witnesses(query, answers.agent[row], answers.kind[row]),
                first=first,
                last=last,
                best=best,
                dt=facts.dt,
                robustness=float(answers.robustness[row]),
                missed_by=tuple(
                    str(miss) + (f" at {miss.step * facts.dt:.1f} s" if miss.step != best else "")
                    for miss in missed
                ),
                trace=_cut(atoms, whole, number, _stretch(query, facts, first, last, best)),
            )
        )
    return matches


def _present(
    scene: Scene, agents: Int64[np.ndarray, "match slot"]
) -> Bool[np.ndarray, "match time"]:
    return np.asarray(scene.agents.valid[agents].all(axis=1))


def _witnesses(query: Compiled, agents: Any, kinds: Any) -> tuple[Witness, ...]:
    return tuple(
        Witness(slot.name, str(agent), Kind(int(kind)).name.lower())
        for slot, agent, kind in zip(query.slots, agents, kinds, strict=True)
    )


def _stretch(query: Compiled, facts: Facts, first: int, last: int, best: int) -> slice:
    """Return the steps of a trace."""
    before, after = (
        round((MARGIN + min(reach, _FARTHEST)) / facts.dt) for reach in horizon(query.body)
    )
    start = max(first - before, best - _LONGEST, 0)
    return slice(start, min(last + after, best + _LONGEST, facts.steps - 1) + 1)


def _cut(
    atoms: list[Atom], whole: Float64[np.ndarray, "match time"], number: int, steps: slice
) -> Trace:
    def part(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[number, steps].copy()

    return Trace(
        first=steps.start,
        robustness=whole[number, steps].copy(),
        atoms=tuple(
            AtomTrace(
                text=atom.text,
                robustness=atom.robustness[number, steps].copy(),
                operator=atom.operator,
                unit=atom.unit,
                left=part(atom.left),
                right=part(atom.right),
            )
            for atom in atoms
        ),
    )


def _renumber(match: FoundMatch, rank: int) -> FoundMatch:
    return dataclasses.replace(match, rank=rank)
