"""Evaluates a compiled query on a scene: all bindings and all times at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.lang import formula as f
from kerbstone.lang import robust
from kerbstone.lang.bindings import Bindings, bounds_of, candidates_of, too_large
from kerbstone.lang.facts import Facts
from kerbstone.lang.ranges import limits_of
from kerbstone.lang.robust import Robustness, Values

_TINY = np.nextafter(0.0, 1.0)
_BLOCK = 1_000_000
"""Cells, binding times time, that are evaluated at once: what a processor's cache holds well."""
_MOST_CELLS = 2_000_000_000
"""Cells of all parts together that a query may cost."""
_FAR = -1.0
"""Further road users that never come nearer than this robustness allows count as not there."""
_MOST_VALUES = 40_000_000

Rows = Int64[np.ndarray, " binding"]


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
    work = _Work(facts, is_sure=is_sure or floor >= 0)
    needed = f.necessary(query.body) if floor > -np.inf else ()
    rows = _bind(query, work, needed, floor)
    if rows.size and len(rows) * facts.steps > _MOST_VALUES:
        raise too_large(f"{len(rows):,} bindings of {facts.steps:,} steps")
    size = max(_BLOCK // max(facts.steps, 1), 1)
    kept, blocks = [rows[:0]], [np.zeros((0, facts.steps))]
    for first in range(0, len(rows), size):
        frame = _frame_of(query, work, rows[first : first + size])
        chosen = np.arange(first, min(first + size, len(rows)))
        for part in needed:
            if len(chosen):
                above = frame.exceeds(part, floor, query.slots)
                frame, chosen = frame.select(above), chosen[above]
        if not len(chosen):
            continue
        present = frame.present(query.slots)
        found = frame.formula(query.body).where(present, -np.inf)
        values = np.broadcast_to(found.values, present.shape)
        kept.append(rows[chosen])
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
    frame = _frame_of(query, _Work(facts), rows)
    shape = (len(rows), facts.steps)
    values = (
        frame.formula(part).values if isinstance(part, f.Formula) else frame.term(part)
        for part in parts
    )
    return [np.broadcast_to(found, shape) for found in values]


class _Work:
    """What all blocks of an evaluation share: the facts, and the account of its cost."""

    def __init__(self, facts: Facts, *, is_sure: bool = True) -> None:
        self.facts = facts
        self.is_sure = is_sure
        self._cells = 0

    def charge(self, cells: int) -> None:
        self._cells += cells
        if self._cells > _MOST_CELLS:
            raise too_large("its parts together would be over 2 billion values")


class _Frame:
    """Evaluates parts for some bindings."""

    def __init__(self, work: _Work, bound: Mapping[f.Slot, Rows], count: int) -> None:
        self._work = work
        self._facts = work.facts
        self._bound = bound
        self._count = count
        self._known: dict[int, Any] = {}

    def present(self, slots: Any) -> Bool[np.ndarray, "binding time"]:
        """Return when all of these road users are there."""
        valid = self._facts.agents.valid
        here = np.ones((self._count, self._facts.steps), bool)
        for slot in slots:
            rows = self._rows(slot)
            here &= valid[rows] & (rows >= 0)[:, None] if len(valid) else False
        return here

    def exceeds(
        self, part: f.Formula, floor: float, slots: tuple[f.Slot, ...]
    ) -> Bool[np.ndarray, " binding"]:
        """Return for which bindings a part is above the floor at some time that they are there."""
        found = self.formula(part)
        # What is not known to fail may be a near miss; a match must be known to hold.
        bound = found.low if self._work.is_sure else found.high
        return np.any((bound > floor) & self.present(slots), axis=1)

    def select(self, chosen: Bool[np.ndarray, " binding"]) -> _Frame:
        """Return the frame of some of the bindings, with what is known of them."""
        if chosen.all():
            return self
        bound = {slot: rows[chosen] for slot, rows in self._bound.items()}
        frame = _Frame(self._work, bound, int(chosen.sum()))

        def part_of(values: np.ndarray) -> np.ndarray:
            return values[chosen] if len(values) == self._count else values

        for key, known in self._known.items():
            if isinstance(known, Robustness):
                low = part_of(known.low)
                frame._known[key] = Robustness(
                    low, low if known.high is known.low else part_of(known.high)
                )
            else:
                frame._known[key] = part_of(known)
        return frame

    def formula(self, part: f.Formula) -> Robustness:
        return self._remember(part, self._formula)

    def term(self, part: f.Term) -> Values:
        return self._remember(part, self._term)

    def _remember(self, part: f.Part, make: Any) -> Any:
        if id(part) not in self._known:
            self._work.charge(self._count * self._facts.steps)
            self._known[id(part)] = make(part)
        return self._known[id(part)]

    def _formula(self, part: f.Formula) -> Robustness:  # noqa: PLR0911 - one case per part
        match part:
            case f.Fixed(_, value):
                full = np.full((1, self._facts.steps), np.inf if value else -np.inf)
                return Robustness(full, full)
            case f.Claim(_, signal, slots, texts):
                margins = self._signal(signal, slots, texts)
                return Robustness.of(np.where(margins == 0, -_TINY, margins))
            case f.Comparison(_, operator, left, right, margin):
                return _compare(operator, self.term(left), self.term(right), margin)
            case f.Negation(_, body):
                return ~self.formula(body)
            case f.Junction(_, operator, left, right):
                sides = self.formula(left), self.formula(right)
                return sides[0] & sides[1] if operator == "and" else sides[0] | sides[1]
            case f.Window():
                return self._window(part)
            case f.Until():
                return self._until(part)
            case f.Lasting(_, least, body):
                return robust.lasting(self._full(self.formula(body)), max(self._steps(least), 1))
            case f.Quantified(_, operator, slots, body):
                sign = 1.0 if operator == "exists" else -1.0
                low, high = self._further(slots, body, sign)
                return Robustness(low, high) if sign > 0 else Robustness(-high, -low)
        raise TypeError(type(part))

    def _term(self, part: f.Term) -> Values:
        match part:
            case f.Constant(value=value):
                return np.full((1, self._facts.steps), value)
            case f.Measure(signal=signal, slots=slots, texts=texts):
                return self._signal(signal, slots, texts)
            case f.Operation(operator=operator, left=left, right=right):
                a, b = self.term(left), self.term(right)
                if operator in ("min", "max"):
                    return (np.minimum if operator == "min" else np.maximum)(a, b)
                # What divides by zero, or takes the infinite from the infinite, is undefined.
                with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                    if operator == "/":
                        return np.where(b == 0, np.nan, a / b)
                    return a + b if operator == "+" else a - b if operator == "-" else a * b
            case f.Tally(slots=slots, body=body):
                return self._tally(slots, body)
        raise TypeError(type(part))

    def _signal(self, signal: Any, slots: tuple[f.Slot, ...], texts: tuple[str, ...]) -> Values:
        facts = self._facts
        if not signal.agents:
            return facts.keep((signal.name, texts), lambda: signal.measure(facts, *texts))[None]
        rows = [self._rows(slot) for slot in slots]
        known = np.all([row >= 0 for row in rows], axis=0)
        out = np.full((self._count, facts.steps), np.nan)
        if not known.any():
            return out
        if signal.agents == 1:
            full = facts.keep((signal.name, texts), lambda: signal.measure(facts, *texts))
            values = full[rows[0][known]]
        else:
            values = self._pairs(signal, rows[0][known], rows[1][known], texts)
        if known.all():
            return values
        out[known] = values
        return out

    def _pairs(self, signal: Any, a: Rows, b: Rows, texts: tuple[str, ...]) -> Values:
        # With further road users bound, or the same pair in many bindings, each pair counts once.
        code, place = np.unique(a * len(self._facts.agents) + b, return_inverse=True)
        if len(code) == len(a):
            return signal.measure(self._facts, a, b, *texts)
        first, second = np.divmod(code, len(self._facts.agents))
        return signal.measure(self._facts, first, second, *texts)[place]

    def _rows(self, slot: f.Slot) -> Rows:
        if slot is f.EGO:
            ego = self._facts.scene.ego
            return np.full(self._count, -1 if ego is None else ego, np.int64)
        return self._bound[slot]

    def _steps(self, seconds: float) -> int:
        return round(seconds / self._facts.dt)

    def _full(self, found: Robustness) -> Robustness:
        """Return it with a row for each binding, as the operators on time need it."""
        shape = (max(len(found.low), 1), self._facts.steps)
        return Robustness(*(np.broadcast_to(bound, shape) for bound in found))

    def _window(self, part: f.Window) -> Robustness:
        body = self._full(self.formula(part.body))
        is_always = part.operator == "always"
        body = body if is_always else ~body
        if part.high is None:
            # Without a limit it is about the time that its road users are there.
            body = body.where(self.present(f.slots_of(part.body)), np.inf)
            found = robust.always_before(body) if part.is_past else robust.always_ahead(body)
        else:
            low, high = self._steps(part.low), self._steps(part.high)
            found = robust.always(body, *((-high, -low) if part.is_past else (low, high)))
        return found if is_always else ~found

    def _until(self, part: f.Until) -> Robustness:
        shape = (self._count, self._facts.steps)
        left, right = (
            Robustness(*(np.broadcast_to(bound, shape) for bound in self.formula(side)))
            for side in (part.left, part.right)
        )
        if part.high is not None:
            return robust.until(left, right, self._steps(part.low), self._steps(part.high))
        present = self.present(f.slots_of(part))
        return robust.until_ever(left.where(present, np.inf), right.where(present, -np.inf))

    def _tally(self, slots: tuple[f.Slot, ...], body: f.Formula) -> Values:
        sure = np.zeros((self._count, self._facts.steps))
        possible = np.zeros_like(sure)
        for owner, found, present in self._join(slots, body):
            np.add.at(sure, owner, (found.low > 0) & present)
            np.add.at(possible, owner, ~(found.high < 0) & present)
        return np.where(sure == possible, sure, np.nan)

    def _further(
        self, slots: tuple[f.Slot, ...], body: f.Formula, sign: float
    ) -> tuple[Values, Values]:
        """Return the largest robustness (of the negation, with -1) over further road users."""
        low = np.full((self._count, self._facts.steps), -np.inf)
        high = low.copy()
        for owner, found, present in self._join(slots, body):
            part = (found if sign > 0 else ~found).where(present, -np.inf)
            starts = np.flatnonzero(np.diff(owner, prepend=-1))
            for bound, best in ((low, part.low), (high, part.high)):
                top = np.maximum.reduceat(best, starts, axis=0)
                bound[owner[starts]] = np.maximum(bound[owner[starts]], top)
        return low, high

    def _join(self, slots: tuple[f.Slot, ...], body: f.Formula) -> Any:
        """Give blocks of bindings with further road users: whose they are, and what holds."""
        facts = self._facts
        named = set(self._bound) | ({f.EGO} if _names_ego(body) else set())
        inner = sorted(f.slots_of(body) & named, key=lambda slot: slot.name)
        bounds = bounds_of(f.necessary(body), _FAR)
        size = max(_BLOCK // max(facts.steps * max(len(facts.agents), 1), 1), 1)
        for first in range(0, self._count, size):
            part = slice(first, min(first + size, self._count))
            taken = [self._rows(slot)[part] for slot in inner]
            count = part.stop - part.start
            others = np.stack(taken, axis=1) if taken else np.zeros((count, 0), np.int64)
            bindings = Bindings(facts, tuple(inner), others, bounds)
            for slot in slots:
                bindings.extend(slot, candidates_of(slot, facts))
            owner, rows = bindings.owner + part.start, bindings.rows[:, len(inner) :]
            step = max(_BLOCK // max(facts.steps, 1), 1)
            for start in range(0, len(owner), step):
                chunk = slice(start, start + step)
                bound = {slot: self._bound[slot][owner[chunk]] for slot in self._bound}
                bound |= {slot: rows[chunk, k] for k, slot in enumerate(slots)}
                frame = _Frame(self._work, bound, len(owner[chunk]))
                shape = (frame._count, facts.steps)
                found = (np.broadcast_to(bound, shape) for bound in frame.formula(body))
                yield owner[chunk], Robustness(*found), frame.present(slots)


def _frame_of(query: f.Compiled, work: _Work, rows: np.ndarray) -> _Frame:
    bound = {slot: rows[:, k] for k, slot in enumerate(query.slots)}
    return _Frame(work, bound, len(rows))


def _bind(
    query: f.Compiled, work: _Work, needed: tuple[f.Formula, ...], floor: float
) -> Int64[np.ndarray, "binding slot"]:
    facts = work.facts
    ego = facts.scene.ego
    taken = query.names_ego and ego is not None
    start = np.array([[ego]], np.int64) if taken else None
    bindings = Bindings(
        facts,
        (f.EGO,) if taken else (),
        start,
        bounds_of(needed, floor),
        limits_of(needed, facts, floor, is_sure=work.is_sure),
    )
    for k, slot in enumerate(query.slots):
        candidates = candidates_of(slot, facts)
        for part in needed:
            if f.slots_of(part) == {slot} and candidates.size:
                frame = _Frame(work, {slot: candidates}, len(candidates))
                candidates = candidates[frame.exceeds(part, floor, (slot,))]
        bindings.extend(slot, candidates)
        bound = query.slots[: k + 1]
        if 0 < k < len(query.slots) - 1:
            # What two of three cannot have together, no third one changes.
            for part in needed:
                users = f.slots_of(part) - {f.EGO}
                if slot in users and len(users) > 1 and users <= set(bound) and len(bindings.rows):
                    rows = bindings.rows[:, 1:] if taken else bindings.rows
                    frame = _Frame(work, {s: rows[:, i] for i, s in enumerate(bound)}, len(rows))
                    bindings.select(frame.exceeds(part, floor, bound))
    return bindings.rows[:, 1:] if taken else bindings.rows


def _names_ego(part: f.Part) -> bool:
    return any(isinstance(p, f.Measure | f.Claim) and f.EGO in p.slots for p in f.walk(part))


def _compare(operator: str, left: Values, right: Values, margin: float) -> Robustness:
    with np.errstate(invalid="ignore"):
        gap = (left - right if operator not in ("<", "<=") else right - left) / margin
    unknown = np.isnan(gap)
    if unknown.any():
        # Infinite on both sides is equal.
        gap[unknown & (left == right)] = 0.0
    if operator in ("==", "!="):
        equal = Robustness.of(np.where(gap == 0, _TINY, -np.abs(gap)))
        return equal if operator == "==" else ~equal
    # On the border the one holds that says so.
    gap[gap == 0] = _TINY if operator in (">=", "<=") else -_TINY
    return Robustness.of(gap)
