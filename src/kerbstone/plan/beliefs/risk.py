"""What a cost that depends on the mode is worth: its mean, or the mean of its worst part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from kerbstone.errors import InputError


@dataclass(frozen=True)
class Risk:
    """How costs in different modes are weighed up.

    Args:
        tail: The conditional value at risk is the mean of the worst part of this size: 1 is the
            mean over all modes, towards 0 only the worst mode counts.
        rounds: How often a plan is made and weighed again, at most; once where `tail` is 1.
        tolerance: The gain, as part of the value, below which no more rounds are made.
    """

    tail: float = 1.0
    rounds: int = 5
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        if not 0.0 < self.tail <= 1.0:
            raise InputError(
                "value", "risk.tail is not above 0 and at most 1", why=f"tail = {self.tail:g}"
            )
        if self.rounds < 1:
            raise InputError("value", "risk.rounds is not above zero", why=f"{self.rounds}")


def weigh_risk(
    cost: Float[np.ndarray, "*batch mode"],
    probability: Float[np.ndarray, "*batch mode"],
    tail: float,
) -> Float64[np.ndarray, "*batch mode"]:
    """Return the weights under which the mean cost is the conditional value at risk.

    Of all weights that add up to one and exceed no mode's `probability / tail` they are those
    under which the cost is greatest: the worst modes get as much as they may.

    Args:
        cost: Of each mode.
        probability: Of each mode; they add up to one.
        tail: Size of the worst part, above 0, at most 1.

    References:
        Rockafellar and Uryasev, "Optimization of conditional value-at-risk", Journal of Risk,
        2000; the dual form is in Artzner et al., "Coherent measures of risk", Mathematical
        Finance, 1999.

    Example:
        >>> weigh_risk(np.array([3.0, 9.0, 1.0]), np.array([0.5, 0.1, 0.4]), 0.4)
        array([0.75, 0.25, 0.  ])
    """
    order = np.argsort(-np.asarray(cost, np.float64), axis=-1, kind="stable")
    ceiling = np.take_along_axis(np.asarray(probability, np.float64), order, axis=-1) / tail
    before = np.cumsum(ceiling, axis=-1) - ceiling
    weight = np.clip(np.minimum(ceiling, 1.0 - before), 0.0, None)
    whole = np.empty_like(weight)
    np.put_along_axis(whole, order, weight, axis=-1)
    return whole / whole.sum(axis=-1, keepdims=True)


def value_at_risk(
    cost: Float[np.ndarray, "*batch mode"],
    probability: Float[np.ndarray, "*batch mode"],
    tail: float,
) -> Float64[np.ndarray, "*batch"]:
    """Return the conditional value at risk: the mean of the worst part of a cost.

    Args:
        cost: Of each mode. What a mode of no weight costs does not matter.
        probability: Of each mode; they add up to one.
        tail: Size of the worst part, above 0, at most 1.
    """
    weight = weigh_risk(cost, probability, tail)
    return np.asarray((weight * np.where(weight > 0, cost, 0.0)).sum(axis=-1))
