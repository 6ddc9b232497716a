"""A query whose names are looked up and whose units fit: what is evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from kerbstone.lang.registry import Signal
from kerbstone.lang.units import Dimension
from kerbstone.scene import Kind


@dataclass(frozen=True, eq=False)
class Slot:
    """A place for a road user.

    Args:
        name: As the query calls it.
        kinds: What may stand there; None for the recording car.
    """

    name: str
    kinds: frozenset[Kind] | None

    def __reduce__(self) -> str | tuple[Any, ...]:
        # There is one `EGO`, in other processes too.
        return "EGO" if self is EGO else (Slot, (self.name, self.kinds))


EGO = Slot("ego", None)


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a formula. A `let` makes one part stand in several places.

    Args:
        text: What the query says here.
    """

    text: str

    def parts(self) -> Iterator[Part]:
        """Go through the parts directly below it."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Part):
                yield value


@dataclass(frozen=True, eq=False)
class Term(Part):
    """A number for each binding and time, in SI.

    Args:
        dimension: What it measures.
        margin: The difference that counts as 1.
    """

    dimension: Dimension
    margin: float


@dataclass(frozen=True, eq=False)
class Constant(Term):
    """The same number everywhere."""

    value: float


@dataclass(frozen=True, eq=False)
class Measure(Term):
    """A signal."""

    signal: Signal
    slots: tuple[Slot, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Operation(Term):
    """`+ - * /`, `min` or `max` of two terms."""

    operator: str
    left: Term
    right: Term


@dataclass(frozen=True, eq=False)
class Formula(Part):
    """A claim: it has a robustness for each binding and time."""


@dataclass(frozen=True, eq=False)
class Tally(Term):
    """How many further road users a formula holds for."""

    slots: tuple[Slot, ...]
    body: Formula


@dataclass(frozen=True, eq=False)
class Fixed(Formula):
    """Holds always, or never."""

    value: bool


@dataclass(frozen=True, eq=False)
class Claim(Formula):
    """A signal whose values are margins."""

    signal: Signal
    slots: tuple[Slot, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Comparison(Formula):
    """Two terms of one dimension against each other."""

    operator: str
    left: Term
    right: Term
    margin: float


@dataclass(frozen=True, eq=False)
class Negation(Formula):
    """`not`."""

    body: Formula


@dataclass(frozen=True, eq=False)
class Junction(Formula):
    """`and` or `or`."""

    operator: str
    left: Formula
    right: Formula


@dataclass(frozen=True, eq=False)
class Window(Formula):
    """`always` or `eventually`, from `low` to `high` from now on [s]; None without limit.

    Args:
        is_past: Whether time goes backwards: `historically`, `once`.
    """

    operator: str
    low: float
    high: float | None
    is_past: bool
    body: Formula


@dataclass(frozen=True, eq=False)
class Until(Formula):
    """`left` until, within [low, high] seconds or ever, `right`."""

    low: float
    high: float | None
    left: Formula
    right: Formula


@dataclass(frozen=True, eq=False)
class Lasting(Formula):
    """Holds now as part of a stretch of at least this long [s]."""

    least: float
    body: Formula


@dataclass(frozen=True, eq=False)
class Quantified(Formula):
    """Holds for some further road user, or for all."""

    operator: str
    slots: tuple[Slot, ...]
    body: Formula


@dataclass(frozen=True, eq=False)
class Compiled:
    """A checked query.

    Args:
        text: Its canonical text.
        slots: Its road users, in their order.
        body: What it claims.
        names_ego: Whether the recording car has a role of its own in it.
    """

    text: str
    slots: tuple[Slot, ...]
    body: Formula
    names_ego: bool


def walk(part: Part) -> Iterator[Part]:
    """Go through a part and all below it, each once."""
    seen: set[int] = set()
    waiting = [part]
    while waiting:
        here = waiting.pop()
        if id(here) not in seen:
            seen.add(id(here))
            yield here
            waiting.extend(here.parts())


@lru_cache(maxsize=1000)
def slots_of(part: Part) -> frozenset[Slot]:
    """Return the road users that a part is about, without those that it quantifies over."""
    if isinstance(part, Measure | Claim):
        return frozenset(part.slots)
    found = frozenset[Slot]().union(*(slots_of(below) for below in part.parts()))
    return found - set(part.slots) if isinstance(part, Quantified | Tally) else found


def horizon(part: Part) -> tuple[float, float]:
    """Return how far a part looks back and ahead from each time [s], windows without limit aside."""
    back, ahead = map(
        max, zip((0.0, 0.0), *(horizon(below) for below in part.parts()), strict=True)
    )
    match part:
        case Window(high=high, is_past=is_past):
            reach = high or 0.0
            return (back + reach, ahead) if is_past else (back, ahead + reach)
        case Until(high=high):
            return back, ahead + (high or 0.0)
        case Lasting(least=least):
            return back + least, ahead + least
    return back, ahead


def conjuncts(formula: Formula) -> Iterator[Formula]:
    """Go through the parts that must all hold at a time for a formula to hold then."""
    if isinstance(formula, Junction) and formula.operator == "and":
        yield from conjuncts(formula.left)
        yield from conjuncts(formula.right)
    else:
        yield formula


@lru_cache(maxsize=1000)
def necessary(formula: Formula) -> tuple[Formula, ...]:
    """Return parts that must each hold at some time for a formula to hold at any time.

    They are claims about the road users that the query itself names, and never stronger than it:
    at its best, each is at least as strong as the formula at its own best.
    """
    match formula:
        case Junction(_, "and", left, right):
            return necessary(left) + necessary(right)
        case Window(body=body) | Lasting(body=body) | Until(right=body):
            return necessary(body)
        case _:
            further = any(isinstance(part, Quantified | Tally) for part in walk(formula))
            return () if further or isinstance(formula, Fixed) else (formula,)
