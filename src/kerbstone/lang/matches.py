"""What an answer found: who, from when to when, and how strongly."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.lang.evaluation import Answer
from kerbstone.lang.facts import Facts


@dataclass(frozen=True)
class Match:
    """Road users for whom a query holds over a stretch of time, or most nearly did.

    Args:
        scene: Id of the scene.
        witnesses: Agent id by the query's name for it.
        first: The first step of the stretch.
        last: The last step of it.
        start: When the first step is, since the scene's start [s].
        end: When the last step is over [s].
        robustness: The largest in the stretch; negative for a near miss.
        best: When it is that large [s].
    """

    scene: str
    witnesses: dict[str, str]
    first: int
    last: int
    start: float
    end: float
    robustness: float
    best: float

    def to_dict(self) -> dict[str, Any]:
        """Return the match as a plain mapping."""
        return asdict(self)


def list_matches(
    answer: Answer, facts: Facts, *, near_misses: int = 0, most: int | None = None
) -> list[Match]:
    """Return the matches, strongest first, and after them the bindings that came nearest.

    Args:
        answer: What `evaluate` returned.
        facts: The scene that it was evaluated on.
        near_misses: How many near misses to add at most: one a binding, at its best time.
        most: How many matches to return at most; all if not given.
    """
    binding, first, end = stretches(answer)
    top = _strongest(answer, binding, first, end)
    order = np.lexsort((binding, first, -top))[:most]
    found = [_match(answer, facts, int(binding[i]), int(first[i]), int(end[i]) - 1) for i in order]
    found.sort(key=lambda match: (-match.robustness, match.start, *match.witnesses.values()))
    if near_misses:
        found += _list_near_misses(answer, facts, near_misses)
    return found


def stretches(
    answer: Answer,
) -> tuple[
    Int64[np.ndarray, " stretch"], Int64[np.ndarray, " stretch"], Int64[np.ndarray, " stretch"]
]:
    """Return the binding of each stretch for which a query holds, its first step and its end.

    The end is the step after the last one.
    """
    edges = np.diff(np.pad(answer.holds, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    binding, first = np.nonzero(edges == 1)
    _, end = np.nonzero(edges == -1)
    return binding, first, end


def _strongest(
    answer: Answer, binding: np.ndarray, first: np.ndarray, end: np.ndarray
) -> Float64[np.ndarray, " stretch"]:
    """Return the largest robustness of each stretch."""
    if not len(binding):
        return np.zeros(0)
    start = binding * answer.robustness.shape[1]
    cuts = np.stack([start + first, start + end], axis=1).ravel()
    # The last stretch may end where the array does.
    flat = np.append(answer.robustness.ravel(), 0.0)
    return np.maximum.reduceat(flat, cuts)[::2]


def _list_near_misses(answer: Answer, facts: Facts, most: int) -> list[Match]:
    defined = ~np.isnan(answer.robustness)
    missed = np.flatnonzero(~answer.holds.any(axis=1) & defined.any(axis=1))
    if not missed.size:
        return []
    robustness = np.where(defined[missed], answer.robustness[missed], -np.inf)
    step = robustness.argmax(axis=1)
    top = robustness[np.arange(len(missed)), step]
    order = [i for i in np.argsort(-top, kind="stable")[:most] if np.isfinite(top[i])]
    return [_match(answer, facts, int(missed[i]), int(step[i]), int(step[i])) for i in order]


def _match(answer: Answer, facts: Facts, binding: int, first: int, last: int) -> Match:
    part = answer.robustness[binding, first : last + 1]
    best = int(part.argmax())
    return Match(
        scene=facts.scene.id,
        witnesses={
            slot.name: facts.agents.ids[row]
            for slot, row in zip(answer.query.slots, answer.rows[binding], strict=True)
        },
        first=first,
        last=last,
        start=first * facts.dt,
        end=(last + 1) * facts.dt,
        robustness=float(part[best]),
        best=(first + best) * facts.dt,
    )
