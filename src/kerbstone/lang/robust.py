"""The operators of quantitative signal temporal logic, on arrays over binding and time.

A formula has a robustness at every time: positive where it holds, negative where it does not. What
is not known is a range of robustness, from `low` to `high`: the formula holds where `low` is
positive, it fails where `high` is negative, and between them it is undefined. All operators are
monotone, so each bound is computed by itself.

References:
    Donzé and Maler, "Robust satisfaction of temporal logic over real-valued signals", FORMATS
    2010. The ranges: Deshmukh et al., "Robust online monitoring of signal temporal logic", Formal
    Methods in System Design 51, 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Shaped

Values = Float64[np.ndarray, "#binding time"]
_UNKNOWN = (-np.inf, np.inf)
"""The bounds of what is not known."""


class Robustness(NamedTuple):
    """Bounds of the robustness of each binding at each time; equal where it is defined.

    Args:
        low: It holds where this is positive.
        high: It fails where this is negative.
    """

    low: Values
    high: Values

    @classmethod
    def of(cls, values: Values) -> Robustness:
        """Return the robustness with these values; NaN is undefined."""
        unknown = np.isnan(values)
        if not unknown.any():
            return cls(values, values)
        return cls(np.where(unknown, -np.inf, values), np.where(unknown, np.inf, values))

    @property
    def values(self) -> Values:
        """The robustness, NaN where it is undefined."""
        return np.where(self.low > 0, self.low, np.where(self.high < 0, self.high, np.nan))

    def __invert__(self) -> Robustness:
        return Robustness(-self.high, -self.low)

    def __and__(self, other: Robustness) -> Robustness:
        return self._with(np.minimum, other)

    def __or__(self, other: Robustness) -> Robustness:
        return self._with(np.maximum, other)

    def _with(self, function: Callable[..., Values], other: Robustness) -> Robustness:
        low = function(self.low, other.low)
        if self.low is self.high and other.low is other.high:
            return Robustness(low, low)
        return Robustness(low, function(self.high, other.high))

    def take(self, rows: np.ndarray, count: int) -> Robustness:
        """Return it for some of `count` bindings."""
        low = take(self.low, rows, count)
        return Robustness(low, low if self.high is self.low else take(self.high, rows, count))

    def where(self, present: Bool[np.ndarray, "#binding time"], otherwise: float) -> Robustness:
        """Return it where somebody is present, and a fixed value elsewhere."""
        return Robustness(
            np.where(present, self.low, otherwise), np.where(present, self.high, otherwise)
        )

    def known_where(self, present: Bool[np.ndarray, "#binding time"]) -> Robustness:
        """Return it where somebody is present, and as undefined elsewhere."""
        return Robustness(
            np.where(present, self.low, -np.inf), np.where(present, self.high, np.inf)
        )


def take(
    values: Shaped[np.ndarray, "#binding time"], rows: np.ndarray, count: int
) -> Shaped[np.ndarray, "#chosen time"]:
    """Return the values of some of `count` bindings: the same where all share them."""
    return values[rows] if len(values) == count else values


def always(body: Robustness, first: int, last: int) -> Robustness:
    """Return whether it holds at all steps from `first` to `last` from now on.

    Negative steps lie in the past. Steps outside the scene are undefined.
    """
    return _slide(np.minimum, body, first, last)


def eventually(body: Robustness, first: int, last: int) -> Robustness:
    """Return whether it holds at any step from `first` to `last` from now on."""
    return _slide(np.maximum, body, first, last)


def always_ahead(body: Robustness) -> Robustness:
    """Return whether it holds from now to the end of the scene."""
    return Robustness(*(_accumulate(np.minimum, bound[:, ::-1])[:, ::-1] for bound in body))


def always_before(body: Robustness) -> Robustness:
    """Return whether it holds from the start of the scene until now."""
    return Robustness(*(_accumulate(np.minimum, bound) for bound in body))


def until(left: Robustness, right: Robustness, first: int, last: int) -> Robustness:
    """Return whether `right` holds at some step of a window, and `left` at all before it."""
    return Robustness(
        _until(left.low, right.low, first, last, -np.inf),
        _until(left.high, right.high, first, last, np.inf),
    )


def until_ever(left: Robustness, right: Robustness) -> Robustness:
    """Return whether `right` holds at some time to come, and `left` at all before it."""
    bounds = []
    for held, wanted in zip(left, right, strict=True):
        out = wanted.copy()
        for t in range(out.shape[1] - 2, -1, -1):
            out[:, t] = np.maximum(wanted[:, t], np.minimum(held[:, t], out[:, t + 1]))
        bounds.append(out)
    return Robustness(*bounds)


def lasting(body: Robustness, steps: int) -> Robustness:
    """Return whether now is part of at least `steps` steps after one another at which it holds."""
    # A stretch may have begun before the scene; even so it holds nothing that fails in the scene.
    low, high = (
        _widen(bound, steps - 1, 0, outside) for bound, outside in zip(body, _UNKNOWN, strict=True)
    )
    found = eventually(always(Robustness(low, high), 0, steps - 1), 1 - steps, 0)
    return Robustness(*(bound[:, steps - 1 :] for bound in found))


def _slide(function: np.ufunc, body: Robustness, first: int, last: int) -> Robustness:
    """Return the least or largest bound over the steps of a window around each step."""
    steps = body.low.shape[1]
    # Windows that lie beyond the scene altogether need not be longer than it.
    first, last = max(min(first, steps), -steps), max(min(last, steps), -steps)
    bounds = []
    for values, outside in zip(body, _UNKNOWN, strict=True):
        before = max(-first, 0)
        widened = _widen(values, before, max(last, 0), outside)
        slid = widened[:, before + first : before + last + steps]
        # Of windows of one length follow those of twice that, and any is covered by two of them.
        size, length = last - first + 1, 1
        while 2 * length <= size:
            slid = function(slid[:, :-length], slid[:, length:])
            length *= 2
        rest = size - length
        bounds.append(function(slid[:, :steps], slid[:, rest:]) if rest else slid)
    return Robustness(*bounds)


def _widen(
    values: Values, before: int, after: int, outside: float
) -> Float64[np.ndarray, "#binding wider"]:
    """Return values with more steps before and after them."""
    steps = values.shape[1]
    widened = np.full((len(values), before + steps + after), outside)
    widened[:, before : before + steps] = values
    return widened


def _accumulate(function: np.ufunc, values: Values) -> Values:
    return function.accumulate(values, axis=1)


def _until(left: Values, right: Values, first: int, last: int, outside: float) -> Values:
    steps = left.shape[1]
    last = min(last, steps)
    held_at, wanted_at = (_widen(side, 0, last, outside) for side in (left, right))
    out = np.full((len(left), steps), -np.inf)
    held = np.full((len(left), steps), np.inf)
    for k in range(last + 1):
        if k >= first:
            np.maximum(out, np.minimum(held, wanted_at[:, k : k + steps]), out=out)
        np.minimum(held, held_at[:, k : k + steps], out=held)
    return out
