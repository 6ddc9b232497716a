"""Which road users are put together for a query: the bindings of its variables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.errors import InputError
from kerbstone.lang import formula as f
from kerbstone.lang.facts import Facts

REACH = 100.0
"""Road users that never come this close to each other are not put together [m]."""
CLOSEST = "closest"
"""The key under which facts keep how near each agent that was asked for comes to all others."""
MOST_BINDINGS = 40_000_000

Limits = dict[tuple[f.Slot, f.Slot], Bool[np.ndarray, "agent agent"]]
"""Of two road users of a query, which agents may stand for them together."""


class Bindings:
    """Bindings that grow by one road user after the other.

    Args:
        facts: The scene.
        slots: Whom the bindings have so far.
        rows: Their agents.
        bounds: How near two road users must come at some time, box to box [m].
        limits: Which pairs may be bound at all.
    """

    def __init__(
        self,
        facts: Facts,
        slots: tuple[f.Slot, ...] = (),
        rows: Int64[np.ndarray, "binding slot"] | None = None,
        bounds: Mapping[frozenset[f.Slot], float] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._facts = facts
        self._slots = slots
        self._bounds = bounds or {}
        self._limits = limits or {}
        self.rows = np.zeros((1, 0), np.int64) if rows is None else rows
        self.owner = np.arange(len(self.rows))

    def extend(self, slot: f.Slot, candidates: Int64[np.ndarray, " candidate"]) -> None:
        """Put every fitting road user beside each binding: another one, that comes near enough.

        Raises:
            InputError: These are too many.
        """
        facts = self._facts
        fits = np.ones((len(self.rows), len(candidates)), bool)
        for other, column in zip(self._slots, self.rows.T, strict=True):
            # A road user of -1 is one that the scene does not have, and near to all.
            taken, place = np.unique(column, return_inverse=True)
            known = taken[taken >= 0]
            apart = closest(facts, known, candidates)
            near = apart <= REACH
            bound = self._bounds.get(frozenset((slot, other)))
            if bound is not None:
                near &= apart - _radii(facts, known)[:, None] - _radii(facts, candidates) <= bound
            near &= known[:, None] != candidates
            if (other, slot) in self._limits:
                near &= self._limits[other, slot][np.ix_(known, candidates)]
            if (slot, other) in self._limits:
                near &= self._limits[slot, other][np.ix_(candidates, known)].T
            missing = np.ones((len(taken) - len(known), len(candidates)), bool)
            fits &= np.concatenate([missing, near])[place]
        if fits.sum() > MOST_BINDINGS:
            raise too_large(f"{int(fits.sum()):,} bindings")
        binding, candidate = np.nonzero(fits)
        chosen = candidates[candidate][:, None]
        self._slots = (*self._slots, slot)
        self.rows = np.concatenate([self.rows[binding], chosen], axis=1)
        self.owner = self.owner[binding]

    def select(self, chosen: Int64[np.ndarray, " chosen"]) -> None:
        """Keep some of the bindings."""
        self.rows, self.owner = self.rows[chosen], self.owner[chosen]


def candidates_of(slot: f.Slot, facts: Facts) -> Int64[np.ndarray, " candidate"]:
    """Return the agents of a slot's kinds that are there at some time."""
    kinds = sorted(slot.kinds or frozenset())
    return np.flatnonzero(facts.agents.is_kind(*kinds) & facts.agents.valid.any(axis=1))


def closest(
    facts: Facts, some: Int64[np.ndarray, " some"], others: Int64[np.ndarray, " other"]
) -> Float64[np.ndarray, "some other"]:
    """Return how near the centres of two road users ever come, of every pair [m].

    Infinite for two that are never there together. The same as the other way round, so rows of
    the smaller side are searched, each once.

    Args:
        facts: The scene.
        some: Rows of agents.
        others: Rows of agents.
    """
    if len(others) < len(some):
        return closest(facts, others, some).T
    searched: dict[int, np.ndarray] = facts.keep(CLOSEST, dict)
    x, y = (facts.keep(("plane", axis), lambda a=axis: _plane(facts, a)) for axis in (0, 1))
    for row in some:
        if row not in searched:
            # Of two that are not there together this is NaN, which `fmin` passes over.
            gap = (x - x[row]) ** 2 + (y - y[row]) ** 2
            least = np.fmin.reduce(gap, axis=1, initial=np.inf)
            searched[row] = np.sqrt(least)
    rows = [searched[row][others] for row in some]
    return np.stack(rows) if rows else np.zeros((0, len(others)))


def _plane(facts: Facts, axis: int) -> Float64[np.ndarray, "agent time"]:
    return np.ascontiguousarray(facts.point[..., axis])


def _radii(facts: Facts, rows: Int64[np.ndarray, " row"]) -> Float64[np.ndarray, " row"]:
    """Return how far a box reaches from its centre at most; 0 where its size is not known [m]."""
    size = np.nan_to_num(facts.agents.size[rows, :2])
    return np.hypot(size[:, 0], size[:, 1]) / 2


def bounds_of(needed: tuple[f.Formula, ...], floor: float) -> dict[frozenset[f.Slot], float]:
    """Return how near two road users must come for all of these to be above a floor [m].

    Args:
        needed: What a query needs to hold.
        floor: The robustness below which nothing counts.
    """
    bounds: dict[frozenset[f.Slot], float] = {}
    for part in needed:
        match part:
            case f.Comparison(
                _, "<" | "<=", f.Measure(signal=signal, slots=slots), f.Constant() as most, margin
            ):
                if signal.apart:
                    reach = most.value + max(-floor, 0.0) * margin
                    bounds[frozenset(slots)] = min(bounds.get(frozenset(slots), np.inf), reach)
            case f.Claim(_, signal, slots, _):
                if signal.reach is not None and floor >= -1:
                    key = frozenset(slots)
                    bounds[key] = min(bounds.get(key, np.inf), signal.reach)
    return bounds


def too_large(why: str) -> InputError:
    """Return the error of a query that asks for too much."""
    return InputError(
        "query-limit",
        "the query is too large for this scene",
        why=why,
        remedy="name fewer road users, of narrower kinds, or take a shorter window of the scene",
    )
