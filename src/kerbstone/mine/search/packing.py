"""How what is derived from a scene is written as rows of numbers, and read back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from kerbstone.lang import Facts, known_signals
from kerbstone.lang.bindings import closest
from kerbstone.lang.ranges import PairRange
from kerbstone.lang.signals.changes import changes_of
from kerbstone.lang.signals.places import is_in_intersection

Row = dict[str, Any]
"""The columns `shape`, `floats` and `integers`; without a shape there is nothing to keep."""


class Packing(NamedTuple):
    """How one fact about a scene is kept.

    Args:
        key: The key under which `Facts` keep it.
        derive: Derives it from facts.
        pack: Returns it as a row; also takes the facts that it is one of.
        unpack: Returns it from a row and the facts of the same scene.
    """

    key: Any
    derive: Callable[[Facts], Any]
    pack: Callable[[Any, Facts], Row]
    unpack: Callable[[Row, Facts], Any]


def signal_packing(name: str) -> Packing:
    """Return how the values of a signal of one road user are kept."""
    return Packing(
        (name, ()), partial(_measure, name), partial(pack_cells, fill=np.nan), unpack_cells
    )


def inside_packing() -> Packing:
    """Return how it is kept who is in an intersection."""
    return Packing(
        "in intersection",
        is_in_intersection,
        lambda inside, facts: pack_cells(inside.astype(float), facts, fill=0.0),
        lambda row, facts: unpack_cells(row, facts, fill=0.0) > 0,
    )


def changes_packing() -> Packing:
    """Return how it is kept who changes lanes."""
    return Packing(
        "lane changes",
        changes_of,
        lambda changes, facts: pack_cells(changes.astype(float), facts, fill=0.0),
        lambda row, facts: unpack_cells(row, facts, fill=0.0).astype(np.int8),
    )


def pack_cells(values: Float64[np.ndarray, "agent time"], facts: Facts, *, fill: float) -> Row:
    """Return values that are `fill` wherever nobody is."""
    valid = facts.agents.valid
    if not np.array_equal(values[~valid], np.full(np.sum(~valid), fill), equal_nan=True):
        return row_of((), [], [])
    return row_of(valid.shape, [values[valid]], [])


def unpack_cells(
    row: Row, facts: Facts, *, fill: float = np.nan
) -> Float64[np.ndarray, "agent time"]:
    """Return what `pack_cells` took."""
    valid = facts.agents.valid
    values = np.full(valid.shape, fill)
    values[valid] = row["floats"]
    return values


def pack_range(known: PairRange) -> Row:
    """Return the range of a signal for the pairs of which it says something.

    Half of the digits, rounded outwards, are bounds as well, and take half of the space.
    """
    says_something = (known.low > -np.inf) | (known.high < np.inf) | known.is_known
    pairs = np.flatnonzero(says_something)
    low, high = known.low.ravel()[pairs], known.high.ravel()[pairs]
    floats = [_round(low, -np.inf), _round(high, np.inf)]
    integers = [np.diff(pairs, prepend=0), known.is_known.ravel()[pairs].astype(np.int64)]
    return row_of(known.low.shape, floats, integers)


def unpack_range(row: Row, facts: Facts) -> PairRange:
    """Return what `pack_range` took, a little wider."""
    shape = (len(facts.agents), len(facts.agents))
    step, known = row["integers"].reshape(2, -1)
    pairs = np.cumsum(step)
    low, high = np.full(shape, -np.inf), np.full(shape, np.inf)
    is_known = np.zeros(shape, bool)
    low.ravel()[pairs], high.ravel()[pairs] = row["floats"].reshape(2, -1)
    is_known.ravel()[pairs] = known > 0
    return PairRange(low, high, is_known)


def pack_closest(facts: Facts) -> Row:
    """Return how near every two road users ever come: each pair once."""
    everyone = np.arange(len(facts.agents))
    apart = closest(facts, everyone, everyone)
    return row_of(apart.shape, [apart[np.triu_indices(len(apart))]], [])


def unpack_closest(row: Row, facts: Facts) -> dict[int, Float64[np.ndarray, " agent"]]:
    """Return what `pack_closest` took, by the row of each road user."""
    count = len(facts.agents)
    apart = np.zeros((count, count))
    apart[np.triu_indices(count)] = row["floats"]
    return dict(enumerate(np.maximum(apart, apart.T)))


def _measure(name: str, facts: Facts) -> Float64[np.ndarray, "agent time"]:
    return known_signals()[name].measure(facts)


def _round(values: Float64[np.ndarray, " pair"], outwards: float) -> Float64[np.ndarray, " pair"]:
    """Return values of single precision that are not farther in."""
    with np.errstate(over="ignore"):
        near = values.astype(np.float32)
    wrong = near.astype(np.float64) > values if outwards < 0 else near.astype(np.float64) < values
    return np.where(wrong, np.nextafter(near, np.float32(outwards)), near).astype(np.float64)


def row_of(shape: tuple[int, ...], floats: list[np.ndarray], integers: list[np.ndarray]) -> Row:
    """Return numbers as a row, those of each kind one after the other."""
    return {
        "shape": np.array(shape, np.int32),
        "floats": np.concatenate([np.zeros(0), *floats]),
        "integers": np.concatenate([np.zeros(0, np.int64), *integers]),
    }
