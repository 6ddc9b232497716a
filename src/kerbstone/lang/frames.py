"""The parts of a formula for some bindings: each computed once, on no more bindings than differ in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from kerbstone.lang import formula as f
from kerbstone.lang import robust
from kerbstone.lang.bindings import Bindings, bounds_of, candidates_of, too_large
from kerbstone.lang.facts import Facts
from kerbstone.lang.narrowing import Narrowing, has_further
from kerbstone.lang.ranges import limits_of
from kerbstone.lang.robust import Robustness, Values, take

BLOCK = 1_000_000
"""Cells, binding times time, that are evaluated at once: what a processor's cache holds well."""
_TINY = np.nextafter(0.0, 1.0)
_MOST_CELLS = 2_000_000_000
"""Cells of all parts together that a query may cost."""
_FAR = -1.0
"""Further road users that never come nearer than this robustness allows count as not there."""

Rows = Int64[np.ndarray, " binding"]


class Work:
    """What all blocks of an evaluation share: the facts, and the account of its cost."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._cells = 0

    def charge(self, cells: int) -> None:
        """Count cells that are measured.

        Raises:
            InputError: They are too many by now.
        """
        self._cells += cells
        if self._cells > _MOST_CELLS:
            raise too_large("its parts together would be over 2 billion values")


class Frame:
    """Evaluates parts for some bindings.

    Args:
        work: The evaluation that it belongs to.
        bound: The agent of each road user, by binding.
        count: How many bindings there are.
    """

    def __init__(self, work: Work, bound: Mapping[f.Slot, Rows], count: int) -> None:
        self._work = work
        self.facts = work.facts
        self._bound = bound
        self.count = count
        self._known: dict[Any, Any] = {}
        self._whole: tuple[Frame, Bool[np.ndarray, " whole"]] | None = None
        self._fewer: dict[tuple[f.Slot, ...], tuple[Frame, Rows]] = {}

    def present(self, slots: Iterable[f.Slot]) -> Bool[np.ndarray, "binding time"]:
        """Return when all of these road users are there."""
        key = frozenset(slots)
        if not self._knows(key):
            valid = self.facts.agents.valid
            here = np.ones((self.count, self.facts.steps), bool)
            for slot in key:
                rows = self.rows(slot)
                here &= valid[rows] & (rows >= 0)[:, None] if len(valid) else False
            self._known[key] = here
        return self._known[key]

    def select(self, chosen: Bool[np.ndarray, " binding"]) -> Frame:
        """Return the frame of some of the bindings, with what is known of them."""
        bound = {slot: rows[chosen] for slot, rows in self._bound.items()}
        frame = Frame(self._work, bound, int(chosen.sum()))
        frame._whole = self, chosen
        frame._fewer = {slots: (few, place[chosen]) for slots, (few, place) in self._fewer.items()}
        return frame

    def formula(self, part: f.Formula) -> Robustness:
        """Return the robustness of a formula."""
        return self._remember(part, Frame.formula, self._formula)

    def term(self, part: f.Term) -> Values:
        """Return the values of a term, NaN where they are undefined."""
        return self._remember(part, Frame.term, self._term)

    def rough(self, part: f.Formula) -> Robustness | None:
        """Return between what a comparison lies, None where that is not known sooner than what it is.

        Nor is it where the frame binds more road users than it is about: then it is measured once
        for all bindings of these.
        """
        match part:
            case f.Comparison(
                _, ">" | ">=" | "<" | "<=" as operator, f.Measure() as left, f.Constant() as right
            ) if left.signal.between is not None and self._bound.keys() <= set(left.slots):
                rows = [self.rows(slot) for slot in left.slots]
                if min(row.min(initial=0) for row in rows) < 0:
                    return None
                key = ("rough", id(part))
                if not self._knows(key):
                    self._work.charge(self.count * self.facts.steps)
                    near, far = (
                        _compare(operator, side, self.term(right), part.margin)
                        for side in left.signal.between(self.facts, *rows)
                    )
                    worst, best = (near, far) if operator in (">", ">=") else (far, near)
                    self._known[key] = Robustness(worst.low, best.high)
                return self._known[key]
        return None

    def comparison(
        self, part: f.Comparison, where: Bool[np.ndarray, "binding time"], joint: Robustness
    ) -> Robustness:
        """Return the robustness of a comparison that is known roughly, where it says more.

        Args:
            part: The comparison.
            where: The cells that are asked for; in others it may be anything.
            joint: What must hold besides. Where the comparison holds more strongly, it is inf.
        """
        rough, measure = self.rough(part), part.left
        is_open = np.isfinite(joint.high).any() and not self._knows(id(part))
        if rough is None or not is_open or not isinstance(measure, f.Measure):
            return self.formula(part)
        where = where & ~(rough.low >= joint.high)
        rows = (self.rows(slot) for slot in measure.slots)
        values = measure.signal.measure(self.facts, *rows, where=where)
        found = _compare(part.operator, values, self.term(part.right), part.margin)
        return Robustness(*(np.where(where, bound, np.inf) for bound in found))

    def _remember(self, part: Any, measure: Any, make: Any) -> Any:
        if not self._knows(id(part)):
            slots = tuple(slot for slot in self._bound if slot in f.slots_of(part))
            if 0 < len(slots) < len(self._bound):
                self._known[id(part)] = self._repeat(part, slots, measure)
            else:
                self._work.charge(self.count * self.facts.steps)
                self._known[id(part)] = make(part)
        return self._known[id(part)]

    def _knows(self, key: Any) -> bool:
        """Whether something is known, by itself or of more bindings."""
        if key in self._known:
            return True
        if self._whole is None or not self._whole[0]._knows(key):  # noqa: SLF001 - of its own kind
            return False
        frame, chosen = self._whole
        self._known[key] = _take(frame._known[key], chosen, frame.count)  # noqa: SLF001
        return True

    def _repeat(self, part: f.Part, slots: tuple[f.Slot, ...], measure: Any) -> Any:
        """Return a part about some of the road users, measured once for all bindings of these."""
        if slots not in self._fewer:
            rows = np.stack([self._bound[slot] for slot in slots])
            code = np.ravel_multi_index(tuple(rows), (len(self.facts.agents),) * len(slots))
            _, first, place = np.unique(code, return_index=True, return_inverse=True)
            bound = {slot: row[first] for slot, row in zip(slots, rows, strict=True)}
            self._fewer[slots] = Frame(self._work, bound, len(first)), place
        frame, place = self._fewer[slots]
        return _take(measure(frame, part), place, frame.count)

    def _formula(self, part: f.Formula) -> Robustness:  # noqa: PLR0911 - one case per part
        match part:
            case f.Fixed(_, value):
                full = np.full((1, self.facts.steps), np.inf if value else -np.inf)
                return Robustness(full, full)
            case f.Claim(_, signal, slots, texts):
                margins = self._signal(signal, slots, texts)
                return Robustness.of(np.where(margins == 0, -_TINY, margins))
            case f.Comparison(_, operator, left, right, margin):
                return _compare(operator, self.term(left), self.term(right), margin)
            case f.Negation(_, body):
                return ~self.formula(body)
            case f.Junction(_, operator, left, right):
                one = self.formula(left)
                return self.both(one, right) if operator == "and" else one | self.formula(right)
            case f.Window():
                return self._window(part)
            case f.Until():
                return self._until(part)
            case f.Lasting(_, least, body):
                # What is longer than the scene is as good as any that is.
                size = min(max(self._steps(least), 1), self.facts.steps + 1)
                return robust.lasting(self._full(self.formula(body)), size)
            case f.Quantified(_, operator, slots, body):
                sign = 1.0 if operator == "exists" else -1.0
                low, high = self._further(slots, body, sign=sign)
                return Robustness(low, high) if sign > 0 else Robustness(-high, -low)
        raise TypeError(type(part))

    def _term(self, part: f.Term) -> Values:
        match part:
            case f.Constant(value=value):
                return np.full((1, self.facts.steps), value)
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
        facts = self.facts
        if not signal.agents:
            return facts.keep((signal.name, texts), lambda: signal.measure(facts, *texts))[None]
        rows = [self.rows(slot) for slot in slots]
        known = np.all([row >= 0 for row in rows], axis=0)
        out = np.full((self.count, facts.steps), np.nan)
        if not known.any():
            return out
        if signal.agents == 1:
            full = facts.keep((signal.name, texts), lambda: signal.measure(facts, *texts))
            values = full[rows[0][known]]
        else:
            values = signal.measure(facts, rows[0][known], rows[1][known], *texts)
        if known.all():
            return values
        out[known] = values
        return out

    def rows(self, slot: f.Slot) -> Rows:
        """Return the agent of a road user by binding, -1 where there is no recording car."""
        if slot is f.EGO:
            ego = self.facts.scene.ego
            return np.full(self.count, -1 if ego is None else ego, np.int64)
        return self._bound[slot]

    def _steps(self, seconds: float) -> int:
        return round(seconds / self.facts.dt)

    def _full(self, found: Robustness) -> Robustness:
        """Return it with a row for each binding, as the operators on time need it."""
        shape = (max(len(found.low), 1), self.facts.steps)
        return Robustness(*(np.broadcast_to(bound, shape) for bound in found))

    def _window(self, part: f.Window) -> Robustness:
        body = self._full(self.formula(part.body))
        is_always = part.operator == "always"
        body = body if is_always else ~body
        if part.high is None:
            # Without a limit it is about the time that its road users are there.
            present = self.present(f.slots_of(part.body))
            body = body.where(present, np.inf)
            found = robust.always_before(body) if part.is_past else robust.always_ahead(body)
            # Where they are there no more, or not yet, there is nothing that it could be about.
            found = found.known_where(_reached(present, is_past=part.is_past))
        else:
            low, high = self._steps(part.low), self._steps(part.high)
            found = robust.always(body, *((-high, -low) if part.is_past else (low, high)))
        return found if is_always else ~found

    def _until(self, part: f.Until) -> Robustness:
        shape = (self.count, self.facts.steps)
        left, right = (
            Robustness(*(np.broadcast_to(bound, shape) for bound in self.formula(side)))
            for side in (part.left, part.right)
        )
        if part.high is not None:
            low, high = self._steps(part.low), self._steps(part.high)
            # It goes through the steps of the window, one after the other.
            self._work.charge(self.count * self.facts.steps * min(high, self.facts.steps))
            return robust.until(left, right, low, high)
        present = self.present(f.slots_of(part))
        found = robust.until_ever(left.where(present, np.inf), right.where(present, -np.inf))
        return found.known_where(_reached(present, is_past=False))

    def _tally(self, slots: tuple[f.Slot, ...], body: f.Formula) -> Values:
        sure = np.zeros((self.count, self.facts.steps))
        possible = np.zeros_like(sure)
        for owner, found, present in self._join(slots, body):
            np.add.at(sure, owner, (found.low > 0) & present)
            np.add.at(possible, owner, ~(found.high < 0) & present)
        return np.where(sure == possible, sure, np.nan)

    def both(self, one: Robustness, part: f.Formula) -> Robustness:
        """Return whether one thing and another part hold."""
        match part:
            case f.Negation(_, f.Quantified(_, "exists", slots, body) as further) if (
                not self._knows(id(further))
            ):
                # Only those matter who may be more in the way than the one thing is by itself.
                shape = (self.count, self.facts.steps)
                floor = Robustness(*(np.broadcast_to(bound, shape) for bound in ~one))
                low, high = self._further(slots, body, floor=floor)
                return one & Robustness(-high, -low)
        return one & self.formula(part)

    def _further(
        self,
        slots: tuple[f.Slot, ...],
        body: f.Formula,
        *,
        sign: float = 1.0,
        floor: Robustness | None = None,
    ) -> tuple[Values, Values]:
        """Return the largest robustness (of the negation, with -1) over further road users.

        Where it is not above the floor it may be anything that is not, either.
        """
        low = np.full((self.count, self.facts.steps), -np.inf)
        high = low.copy()
        for owner, found, present in self._join(slots, body, floor, is_for_all=sign < 0):
            part = (found if sign > 0 else ~found).where(present, -np.inf)
            starts = np.flatnonzero(np.diff(owner, prepend=-1))
            for bound, best in ((low, part.low), (high, part.high)):
                top = np.maximum.reduceat(best, starts, axis=0)
                bound[owner[starts]] = np.maximum(bound[owner[starts]], top)
        return low, high

    def _join(
        self,
        slots: tuple[f.Slot, ...],
        body: f.Formula,
        floor: Robustness | None = None,
        *,
        is_for_all: bool = False,
    ) -> Iterator[tuple[Rows, Robustness, Bool[np.ndarray, "binding time"]]]:
        """Give blocks of bindings with further road users: whose they are, and what holds."""
        facts = self.facts
        named = set(self._bound) | ({f.EGO} if _names_ego(body) else set())
        inner = sorted(f.slots_of(body) & named, key=lambda slot: slot.name)
        needed = f.necessary(body)
        # Who is far away fails what asks for nearness: that matters to nothing but "for all".
        bounds, limits = {} if is_for_all else bounds_of(needed, _FAR), {}
        if floor is not None and self.count:
            here = self.present(slot for slot in inner if slot is not f.EGO)
            least = float(np.min(floor.low, where=here, initial=np.inf))
            limits = limits_of(needed, facts, least, is_sure=False)
        size = max(BLOCK // max(facts.steps * max(len(facts.agents), 1), 1), 1)
        for first in range(0, self.count, size):
            part = slice(first, min(first + size, self.count))
            taken = [self.rows(slot)[part] for slot in inner]
            count = part.stop - part.start
            others = np.stack(taken, axis=1) if taken else np.zeros((count, 0), np.int64)
            bindings = Bindings(facts, tuple(inner), others, bounds, limits)
            for slot in slots:
                bindings.extend(slot, candidates_of(slot, facts))
            owner, rows = bindings.owner + part.start, bindings.rows[:, len(inner) :]
            step = max(BLOCK // max(facts.steps, 1), 1)
            for start in range(0, len(owner), step):
                whose = owner[start : start + step]
                bound = {slot: self._bound[slot][whose] for slot in self._bound}
                bound |= {slot: rows[start : start + step, k] for k, slot in enumerate(slots)}
                frame = Frame(self._work, bound, len(whose))
                if floor is not None:
                    least = Robustness(floor.low[whose], floor.high[whose])
                    narrowed = Narrowing(frame, slots, least)
                    parts = list(f.conjuncts(body))
                    narrowed.require(parts)
                    frame, whose, joint = narrowed.frame, whose[narrowed.chosen], narrowed.joint
                    for further in filter(has_further, parts):
                        joint = frame.both(joint, further)
                else:
                    joint = frame.formula(body)
                shape = (frame.count, facts.steps)
                found = (np.broadcast_to(bound, shape) for bound in joint)
                yield whose, Robustness(*found), frame.present(slots)


def _reached(
    present: Bool[np.ndarray, "binding time"], *, is_past: bool
) -> Bool[np.ndarray, "binding time"]:
    """Return where somebody is present at some time from now on, or up to now."""
    if is_past:
        return np.logical_or.accumulate(present, axis=1)
    return np.logical_or.accumulate(present[:, ::-1], axis=1)[:, ::-1]


def _take(known: Any, rows: np.ndarray, count: int) -> Any:
    """Return what is known of some of `count` bindings."""
    return known.take(rows, count) if isinstance(known, Robustness) else take(known, rows, count)


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
