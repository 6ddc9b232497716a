"""Evaluates a compiled query on a scene: all bindings and all times at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.lang import formula as f
from kerbstone.lang import frames
from kerbstone.lang.bindings import Bindings, bounds_of, candidates_of, too_large
from kerbstone.lang.facts import Facts
from kerbstone.lang.frames import Frame, Work
from kerbstone.lang.narrowing import Narrowing, has_further
from kerbstone.lang.ranges import limits_of
from kerbstone.lang.robust import Robustness

_MOST_VALUES = 40_000_000


@dataclass(frozen=True, eq=False)
class Answer:
    """How strongly a query holds in a scene.

    Args:
        query: The query.
        rows: The agents of each binding, in the order of the query's road users.
        robustness: At each time; NaN where it is undefined.
    """

    query: f.Compiled
    rows: Int64[np.ndarray, "binding slot"]
    robustness: Float64[np.ndarray, "binding time"]

    @property
    def holds(self) -> Bool[np.ndarray, "binding time"]:
        """Where the query holds."""
        return self.robustness > 0


def evaluate(
    query: f.Compiled, facts: Facts, *, floor: float = -np.inf, is_sure: bool = False
) -> Answer:
    """Return the robustness of a query for every binding at every time.

    Road users of a query are different ones, each pair of them comes within `REACH` at some time,
    and the recording car is one of them unless the query names `ego` itself. A binding is
    undefined while one of its road users is not there.

    Args:
        query: The compiled query.
        facts: The scene.
        floor: Bindings that never get above this robustness need not be in the answer, which is
            found sooner: 0 leaves the matches, -1 also those that miss by up to a margin of 1.
        is_sure: With a floor below 0, leave out those too of which something that the query needs
            is never known to be above the floor; else what is not known may be a near miss.

    Raises:
        InputError: It would take more time or memory than a query may.
        MissingError: A signal of a model is asked for, and there is no model.
    """
    work, limit = Work(facts), _Floor(floor, is_sure or floor >= 0)
    rows = _bind(query, work, limit)
    if rows.size and len(rows) * facts.steps > _MOST_VALUES:
        raise too_large(f"{len(rows):,} bindings of {facts.steps:,} steps")
    size = max(frames.BLOCK // max(facts.steps, 1), 1)
    kept, blocks = [rows[:0]], [np.zeros((0, facts.steps))]
    for first in range(0, len(rows), size):
        part = rows[first : first + size]
        if floor == -np.inf:
            frame, chosen = _frame_of(query.slots, work, part), np.arange(len(part))
            found = frame.formula(query.body)
        else:
            narrowed = _narrow(query, work, query.slots, part, limit)
            frame, chosen, found = narrowed.frame, narrowed.chosen, narrowed.joint
            if not len(chosen):
                continue
            for further in filter(has_further, f.conjuncts(query.body)):
                found = frame.both(found, further)
        present = frame.present(query.slots)
        values = np.broadcast_to(found.where(present, -np.inf).values, present.shape)
        kept.append(rows[first + chosen])
        blocks.append(np.where(present, values, np.nan))
    return Answer(query, np.concatenate(kept), np.concatenate(blocks))


def evaluate_parts(
    query: f.Compiled,
    facts: Facts,
    rows: Int64[np.ndarray, "binding slot"],
    parts: Sequence[f.Formula | f.Term],
) -> list[Float64[np.ndarray, "binding time"]]:
    """Return what parts of a query are for some of its bindings, before they are put together.

    Args:
        query: The compiled query.
        facts: The scene.
        rows: The agents of each binding, as in `Answer`.
        parts: Parts of the query that are about its own road users only.

    Returns:
        For each part, the robustness of a formula and the value of a term; NaN where undefined.
    """
    frame = _frame_of(query.slots, Work(facts), rows)
    shape = (len(rows), facts.steps)
    values = (
        frame.formula(part).values if isinstance(part, f.Formula) else frame.term(part)
        for part in parts
    )
    return [np.broadcast_to(found, shape) for found in values]


class _Floor(NamedTuple):
    """The robustness below which nothing counts, and whether what counts must be known."""

    least: float
    is_sure: bool


def _bind(query: f.Compiled, work: Work, floor: _Floor) -> Int64[np.ndarray, "binding slot"]:
    facts = work.facts
    ego = facts.scene.ego
    taken = query.names_ego and ego is not None
    start = np.array([[ego]], np.int64) if taken else None
    needed = f.necessary(query.body) if floor.least > -np.inf else ()
    bindings = Bindings(
        facts,
        (f.EGO,) if taken else (),
        start,
        bounds_of(needed, floor.least),
        limits_of(needed, facts, floor.least, is_sure=floor.is_sure),
    )
    for k, slot in enumerate(query.slots):
        candidates = candidates_of(slot, facts)
        if floor.least > -np.inf:
            narrowed = _narrow(query, work, (slot,), candidates[:, None], floor)
            candidates = candidates[narrowed.chosen]
        bindings.extend(slot, candidates)
        if floor.least > -np.inf and 0 < k < len(query.slots) - 1:
            # What two of three cannot have together, no third one changes.
            rows = bindings.rows[:, 1:] if taken else bindings.rows
            bindings.select(_narrow(query, work, query.slots[: k + 1], rows, floor).chosen)
    return bindings.rows[:, 1:] if taken else bindings.rows


def _narrow(
    query: f.Compiled, work: Work, slots: tuple[f.Slot, ...], rows: np.ndarray, floor: _Floor
) -> Narrowing:
    """Leave out bindings of some road users by what the query says about these alone."""
    least = np.full((1, 1), floor.least)
    narrowed = Narrowing(
        _frame_of(slots, work, rows),
        slots,
        Robustness(least, least),
        is_whole=True,
        is_sure=floor.is_sure,
    )
    parts, needed = (
        [part for part in some if f.slots_of(part) - {f.EGO} <= set(slots)]
        for some in (f.conjuncts(query.body), f.necessary(query.body))
    )
    narrowed.require(parts, needed)
    return narrowed


def _frame_of(slots: tuple[f.Slot, ...], work: Work, rows: np.ndarray) -> Frame:
    return Frame(work, {slot: rows[:, k] for k, slot in enumerate(slots)}, len(rows))
