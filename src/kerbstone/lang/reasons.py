"""Why a query does not hold at a time: which of its atoms fall short, when, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.lang import formula as f
from kerbstone.lang.atoms import sides_of, unit_of
from kerbstone.lang.evaluation import evaluate_parts
from kerbstone.lang.expansion import print_part
from kerbstone.lang.facts import Facts
from kerbstone.lang.units import UNITS

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}

Values = Float64[np.ndarray, " time"]


@dataclass(frozen=True)
class Shortfall:
    """An atom that keeps a query from holding.

    Args:
        atom: What it says.
        step: The time step at which it falls short.
        robustness: By how much, in margins: negative; NaN where the atom is undefined.
        is_wanted: Whether the query needs it to hold; else it needs it to fail.
        found: What a comparison compares there, in `unit`; NaN where it is undefined.
        operator: How it should compare with `needed`; empty for a claim.
        needed: What it is compared with.
        unit: Their unit.
    """

    atom: str
    step: int
    robustness: float
    is_wanted: bool = True
    found: float = np.nan
    operator: str = ""
    needed: float = np.nan
    unit: str = ""

    def __str__(self) -> str:
        if not self.operator:
            if np.isnan(self.robustness):
                return f"{self.atom} is not known"
            return f"{self.atom} {'does not hold' if self.is_wanted else 'holds'}"
        if np.isnan(self.found) or np.isnan(self.needed):
            return f"{self.atom} is not known"
        found, needed = _tell_apart(self.found, self.needed)
        found, needed = f"{found} {self.unit}".rstrip(), f"{needed} {self.unit}".rstrip()
        return f"{self.atom} {found}, needs {self.operator} {needed}"


def explain_miss(
    query: f.Compiled, facts: Facts, rows: Int64[np.ndarray, " slot"], step: int
) -> list[Shortfall]:
    """Return the atoms that keep a query from holding for a binding at a step.

    Of what is joined by `and`, each part that fails is to blame; of what is joined by `or`, the
    one that comes nearest. What must hold throughout a window is looked at where it is worst, and
    what must hold once in it where it is best, so that an atom may fall short at another step.

    Args:
        query: The compiled query.
        facts: The scene.
        rows: The agents of the binding, in the order of the query's road users.
        step: The time step at which the query does not hold.

    Returns:
        The atoms in the query's order; none where it holds.
    """
    return _Inquiry(query, facts, rows).explain(step)


class _Inquiry:
    """Goes down from a formula that fails to the atoms that make it fail."""

    def __init__(self, query: f.Compiled, facts: Facts, rows: np.ndarray) -> None:
        self._query = query
        self._facts = facts
        parts = list(_open_parts(query.body))
        values = evaluate_parts(query, facts, np.asarray(rows, np.int64)[None], parts)
        self._values = {id(part): found[0] for part, found in zip(parts, values, strict=True)}

    def explain(self, step: int) -> list[Shortfall]:
        found = {str(one): one for one in self._blame(self._query.body, step, wanted=True)}
        return list(found.values())

    def _blame(self, part: f.Formula, step: int, *, wanted: bool) -> Iterator[Shortfall]:
        if self._robustness(part, wanted=wanted)[step] > 0:
            return
        found = list(self._descend(part, step, wanted=wanted))
        # A window that reaches beyond the scene is undefined though nothing in the scene fails.
        yield from found or [self._shortfall(part, step, wanted=wanted)]

    def _descend(self, part: f.Formula, step: int, *, wanted: bool) -> Iterator[Shortfall]:
        match part:
            case f.Negation(_, body):
                yield from self._blame(body, step, wanted=not wanted)
            case f.Junction(_, operator, left, right):
                sides = left, right
                if (operator == "and") != wanted:
                    sides = (self._nearest(sides, step, wanted=wanted),)
                for side in sides:
                    yield from self._blame(side, step, wanted=wanted)
            case f.Window(_, operator, low, high, is_past, body):
                steps = self._window(step, low, high, is_past=is_past)
                is_throughout = (operator == "always") == wanted
                yield from self._blame_among(body, steps, wanted=wanted, worst=is_throughout)
            case f.Lasting(_, least, body):
                size = max(round(least / self._facts.dt), 1)
                steps = self._stretch(part, step, size) if wanted else np.array([step])
                yield from self._blame_among(body, steps, wanted=wanted, worst=True)
            case f.Until(_, low, high, left, right) if wanted:
                side, at = self._turn(left, right, self._window(step, low, high), step)
                yield from self._blame(side, at, wanted=True)

    def _blame_among(
        self, body: f.Formula, steps: np.ndarray, *, wanted: bool, worst: bool
    ) -> Iterator[Shortfall]:
        values = self._robustness(body, wanted=wanted)[steps]
        # What is not known counts last: it is to blame only where nothing is known to fail.
        ranked = np.where(np.isnan(values), np.inf if worst else -np.inf, values)
        if len(ranked):
            at = int(steps[ranked.argmin() if worst else ranked.argmax()])
            yield from self._blame(body, at, wanted=wanted)

    def _window(
        self, step: int, low: float, high: float | None, *, is_past: bool = False
    ) -> Int64[np.ndarray, " step"]:
        """Return the steps of a window that lie in the scene; this one, where none does."""
        dt, last = self._facts.dt, self._facts.steps - 1
        near = round(low / dt)
        far = last if high is None else round(high / dt)
        first, final = (step - far, step - near) if is_past else (step + near, step + far)
        steps = np.arange(max(first, 0), min(final, last) + 1)
        return steps if steps.size else np.array([step])

    def _stretch(self, part: f.Lasting, step: int, size: int) -> Int64[np.ndarray, " step"]:
        """Return the stretch around a step in which a formula comes nearest to holding.

        Where it is known to fail, that is so although what is not known may hold, before the scene
        and after it too: the robustness is then that of the nearest stretch of this kind.
        """
        is_known = not np.isnan(self._robustness(part, wanted=True)[step])
        unknown = np.inf if is_known else -np.inf
        values = np.nan_to_num(self._robustness(part.body, wanted=True), nan=unknown)
        first, last = step - size + 1, step
        if not is_known:
            first, last = max(first, 0), min(step, max(len(values) - size, 0))
        starts = np.arange(min(first, last), last + 1)
        stretches = [np.arange(max(s, 0), min(s + size, len(values))) for s in starts]
        return max(stretches, key=lambda steps: values[steps].min())

    def _turn(
        self, left: f.Formula, right: f.Formula, window: np.ndarray, step: int
    ) -> tuple[f.Formula, int]:
        """Return which side of an `until` fails it, and where, at the turn that comes nearest."""
        held, turned = (
            np.nan_to_num(self._robustness(side, wanted=True), nan=-np.inf)
            for side in (left, right)
        )
        before = np.concatenate([[np.inf], np.minimum.accumulate(held[step:])])
        reached = np.minimum(turned[window], before[window - step])
        at = int(window[int(reached.argmax())])
        if turned[at] <= before[at - step]:
            return right, at
        return left, step + int(held[step:at].argmin())

    def _nearest(self, sides: tuple[f.Formula, ...], step: int, *, wanted: bool) -> f.Formula:
        return max(
            sides,
            key=lambda side: np.nan_to_num(
                self._robustness(side, wanted=wanted)[step], nan=-np.inf, neginf=-1e300
            ),
        )

    def _robustness(self, part: f.Formula, *, wanted: bool) -> Values:
        return self._values[id(part)] if wanted else -self._values[id(part)]

    def _shortfall(self, part: f.Formula, step: int, *, wanted: bool) -> Shortfall:
        robustness = float(self._robustness(part, wanted=wanted)[step])
        if not isinstance(part, f.Comparison):
            return Shortfall(print_part(part), step, robustness, wanted)
        unit = unit_of(part)
        found, needed = (
            float(self._values[id(side)][step] / UNITS[unit].factor) for side in sides_of(part)
        )
        atom, operator = print_part(part.left), part.operator
        if isinstance(part.left, f.Constant):  # as in 3 m < gap(v, w)
            atom, found, needed = print_part(part.right), needed, found
            operator = _MIRRORED.get(operator, operator)
        operator = operator if wanted else _OPPOSITE[operator]
        return Shortfall(atom, step, robustness, wanted, found, operator, needed, unit)


def _open_parts(formula: f.Formula) -> Iterator[f.Formula | f.Term]:
    """Give the formulas that are about the query's own road users, and the sides of comparisons."""
    seen: set[int] = set()
    waiting: list[f.Part] = [formula]
    while waiting:
        part = waiting.pop()
        if id(part) not in seen and isinstance(part, f.Formula | f.Term):
            seen.add(id(part))
            yield part
            if isinstance(part, f.Formula) and not isinstance(part, f.Quantified):
                waiting.extend(part.parts())


def _tell_apart(one: float, other: float) -> tuple[str, str]:
    """Return two numbers with four digits, or with as many more as it takes to tell them apart."""
    for digits in range(4, 10):
        texts = f"{one:.{digits}g}", f"{other:.{digits}g}"
        if texts[0] != texts[1]:
            return texts
    return f"{one:.4g}", f"{other:.4g}"
