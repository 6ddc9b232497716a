"""What a signal of two road users is at least and at most: a bound that spares its evaluation.

A query needs each of its conditions to hold at some time. Where the ranges of signals are known of
a scene, most pairs of road users are seen not to fulfil one before anything is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.lang import formula as f
from kerbstone.lang.bindings import REACH, Limits, closest
from kerbstone.lang.facts import Facts
from kerbstone.lang.registry import Signal

_BLOCK = 1_000_000
"""Cells, pairs times time, that are measured at once."""

Matrix = Float64[np.ndarray, "agent agent"]


@dataclass(frozen=True, eq=False)
class PairRange:
    """The range of a signal over the times at which two road users are there together.

    Args:
        low: At least this; inf where it is never defined.
        high: At most this; -inf where it is never defined.
        is_known: Whether it is defined at all of these times.
    """

    low: Matrix
    high: Matrix
    is_known: Bool[np.ndarray, "agent agent"]


class Bound(NamedTuple):
    """Between what a formula's robustness, or a term, lies.

    Args:
        pair: The two road users that it is about; none for a constant.
        low: At least this, by the first and the second of them.
        high: At most this.
        is_known: Whether it is defined at all times.
    """

    pair: tuple[f.Slot, ...]
    low: np.ndarray
    high: np.ndarray
    is_known: np.ndarray

    def along(self, pair: tuple[f.Slot, ...]) -> Bound | None:
        """Return it by another order of its road users; None if it is about others."""
        if self.pair == pair or not self.pair:
            return self
        if self.pair != pair[::-1]:
            return None
        return Bound(pair, self.low.T, self.high.T, self.is_known.T)


def key_of(signal: Signal) -> tuple[str, str]:
    """Return the key under which facts keep the range of a signal, if it is known."""
    return ("range", signal.name)


def measure_range(signal: Signal, facts: Facts) -> PairRange:
    """Return the range of a signal of two road users, for every two that a query may name.

    Args:
        signal: The signal, of two road users and without texts.
        facts: The scene.
    """
    count = len(facts.agents)
    everyone = np.arange(count)
    near = (closest(facts, everyone, everyone) <= REACH) & ~np.eye(count, dtype=bool)
    first, second = np.nonzero(near)
    low, high = np.full((count, count), -np.inf), np.full((count, count), np.inf)
    is_known = np.zeros((count, count), bool)
    size = max(_BLOCK // max(facts.steps, 1), 1)
    for start in range(0, len(first), size):
        a, b = first[start : start + size], second[start : start + size]
        together = facts.agents.valid[a] & facts.agents.valid[b]
        values = signal.measure(facts, a, b)
        is_known[a, b] = ~(np.isnan(values) & together).any(axis=1)
        values = np.where(together, values, np.nan)
        low[a, b] = np.fmin.reduce(values, axis=1, initial=np.inf)
        high[a, b] = np.fmax.reduce(values, axis=1, initial=-np.inf)
    return PairRange(low, high, is_known)


def limits_of(needed: Sequence[f.Formula], facts: Facts, floor: float, *, is_sure: bool) -> Limits:
    """Return which pairs of road users may be above a floor in all that a query needs.

    Args:
        needed: What the query needs to hold.
        facts: The scene, with the ranges that are known of it.
        floor: The robustness below which nothing counts.
        is_sure: Whether it must be known to be above the floor.
    """
    limits: Limits = {}
    for part in needed:
        bound = bound_formula(part, facts)
        if bound is None or len(bound.pair) != 2:
            continue
        # At the border of holding, an atom is told apart by less than any number.
        may = bound.high >= floor if floor == 0 else bound.high > floor
        if not is_sure:
            may |= ~bound.is_known
        pair = (bound.pair[0], bound.pair[1])
        limits[pair] = limits[pair] & may if pair in limits else may
    return limits


def bound_formula(  # noqa: PLR0911 - one case per part
    part: f.Formula, facts: Facts
) -> Bound | None:
    """Return between what the robustness of a formula lies, None where nothing is known of it."""
    match part:
        case f.Claim(_, signal, slots, texts):
            return _bound_signal(signal, slots, texts, facts)
        case f.Comparison(_, operator, left, right, margin):
            sides = _align(_bound_term(left, facts), _bound_term(right, facts))
            return None if sides is None else _compare(operator, *sides, margin)
        case f.Negation(_, body):
            bound = bound_formula(body, facts)
            return None if bound is None else bound._replace(low=-bound.high, high=-bound.low)
        case f.Junction(_, operator, left, right):
            sides = _align(bound_formula(left, facts), bound_formula(right, facts))
            join = np.minimum if operator == "and" else np.maximum
            return None if sides is None else _join(join, *sides)
        case f.Window(high=float(), body=body) | f.Lasting(body=body):
            return _somewhen(bound_formula(body, facts))
        case f.Until(high=float(), right=right):
            return _somewhen(bound_formula(right, facts))
    return None


def _somewhen(bound: Bound | None) -> Bound | None:
    """Return the bound of what is never more than what it is about, and may be undefined."""
    if bound is None:
        return None
    low, known = np.full(bound.low.shape, -np.inf), np.zeros(bound.low.shape, bool)
    return bound._replace(low=low, is_known=known)


def _bound_term(part: f.Term, facts: Facts) -> Bound | None:
    match part:
        case f.Constant(value=value):
            return Bound((), np.array(value), np.array(value), np.array(True))
        case f.Measure(signal=signal, slots=slots, texts=texts):
            return _bound_signal(signal, slots, texts, facts)
        case f.Operation(operator="min" | "max" as name, left=left, right=right):
            sides = _align(_bound_term(left, facts), _bound_term(right, facts))
            join = np.minimum if name == "min" else np.maximum
            return None if sides is None else _join(join, *sides)
        case f.Operation(operator="-", left=left, right=right):
            sides = _align(_bound_term(left, facts), _bound_term(right, facts))
            return None if sides is None else _subtract(*sides)
    return None


def _bound_signal(
    signal: Signal, slots: tuple[f.Slot, ...], texts: tuple[str, ...], facts: Facts
) -> Bound | None:
    if signal.agents != 2 or texts:
        return None
    known: PairRange | None = facts.keep(key_of(signal), lambda: None)
    return None if known is None else Bound(slots, known.low, known.high, known.is_known)


def _align(one: Bound | None, other: Bound | None) -> tuple[Bound, Bound] | None:
    """Return two bounds by the same two road users, None if that cannot be."""
    if one is None or other is None:
        return None
    turned = other.along(one.pair) if one.pair else other
    return None if turned is None else (one, turned)


def _join(join: np.ufunc, one: Bound, other: Bound) -> Bound:
    return Bound(
        one.pair or other.pair,
        join(one.low, other.low),
        join(one.high, other.high),
        one.is_known & other.is_known,
    )


def _subtract(one: Bound, other: Bound) -> Bound:
    with np.errstate(invalid="ignore"):
        low, high = one.low - other.high, one.high - other.low
    # The infinite less the infinite may be anything.
    low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    # It is also undefined, where both are infinite at the same time.
    is_known = one.is_known & other.is_known & np.isfinite(low) & np.isfinite(high)
    return Bound(one.pair or other.pair, low, high, is_known)


def _compare(operator: str, left: Bound, right: Bound, margin: float) -> Bound | None:
    found = _subtract(left, right)
    low, high, is_known = found.low / margin, found.high / margin, left.is_known & right.is_known
    if operator in (">", ">="):
        return Bound(found.pair, low, high, is_known)
    if operator in ("<", "<="):
        return Bound(found.pair, -high, -low, is_known)
    return None
