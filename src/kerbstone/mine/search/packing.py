"""How what is derived from a scene is written as rows of numbers, and read back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.lang import Facts, known_signals
from kerbstone.lang.bindings import closest
from kerbstone.lang.leaders import Leaders, leaders_of
from kerbstone.lang.ranges import PairRange
from kerbstone.lang.signals.changes import changes_of
from kerbstone.lang.signals.places import is_in_intersection
from kerbstone.lang.stays import Stays, lay_out
from kerbstone.scene import LaneCandidates

Row = dict[str, Any]
"""The columns `shape`, `floats` and `integers`; without a shape there is nothing to keep."""
Valid = Bool[np.ndarray, "agent time"]


class Packing(NamedTuple):
    """How one fact about a scene is kept.

    Args:
        key: The key under which `Facts` keep it.
        derive: Derives it from facts.
        pack: Returns it as a row; also takes which cells of the scene are valid.
        unpack: Returns it from a row and these cells.
    """

    key: Any
    derive: Callable[[Facts], Any]
    pack: Callable[[Any, Valid], Row]
    unpack: Callable[[Row, Valid], Any]


def signal_packing(name: str) -> Packing:
    """Return how the values of a signal of one road user are kept."""
    return Packing(
        (name, ()), partial(_measure, name), partial(pack_cells, fill=np.nan), unpack_cells
    )


def stays_packing() -> Packing:
    """Return how it is kept who is on which lane."""
    return Packing("stays", lambda facts: facts.stays, pack_stays, unpack_stays)


def leaders_packing() -> Packing:
    """Return how it is kept who drives next ahead of whom."""
    return Packing("leaders", leaders_of, pack_leaders, unpack_leaders)


def inside_packing() -> Packing:
    """Return how it is kept who is in an intersection."""
    return Packing(
        "in intersection",
        is_in_intersection,
        lambda inside, valid: pack_cells(inside.astype(float), valid, fill=0.0),
        lambda row, valid: unpack_cells(row, valid, fill=0.0) > 0,
    )


def changes_packing() -> Packing:
    """Return how it is kept who changes lanes."""
    return Packing(
        "lane changes",
        changes_of,
        lambda changes, valid: pack_cells(changes.astype(float), valid, fill=0.0),
        lambda row, valid: unpack_cells(row, valid, fill=0.0).astype(np.int8),
    )


def pack_cells(values: Float64[np.ndarray, "agent time"], valid: Valid, *, fill: float) -> Row:
    """Return values that are `fill` wherever nobody is."""
    if not np.array_equal(values[~valid], np.full(np.sum(~valid), fill), equal_nan=True):
        return _row((), [], [])
    return _row(valid.shape, [values[valid]], [])


def unpack_cells(
    row: Row, valid: Valid, *, fill: float = np.nan
) -> Float64[np.ndarray, "agent time"]:
    """Return what `pack_cells` took."""
    values = np.full(valid.shape, fill)
    values[valid] = row["floats"]
    return values


def pack_stays(stays: Stays | None, valid: Valid) -> Row:
    """Return all lanes under road users, and which of them they are on."""
    if stays is None:
        return _row((), [], [])
    found = stays.candidates
    chosen = stays.places.lane.ravel()[found.point] == found.lane
    floats = [found.s, found.d, found.heading, found.half_width]
    # Differences are small, and small numbers take little space.
    step = np.diff(found.point, prepend=0)
    return _row(valid.shape, floats, [step, found.lane, chosen.astype(np.int64)])


def unpack_stays(row: Row, valid: Valid) -> Stays:
    """Return what `pack_stays` took."""
    shape = (valid.shape[0], valid.shape[1])
    floats: Float64[np.ndarray, "4 row"] = row["floats"].reshape(4, -1)
    step, lane, chosen = row["integers"].reshape(3, -1)
    found = LaneCandidates(
        points=valid.size,
        point=np.cumsum(step),
        lane=lane,
        s=floats[0],
        d=floats[1],
        heading=floats[2],
        half_width=floats[3],
    )
    return lay_out(found, np.flatnonzero(chosen), shape)


def pack_leaders(leaders: Leaders, valid: Valid) -> Row:
    """Return the leader of each valid cell, and how far it is ahead where there is one."""
    row = leaders.row[valid]
    return _row(valid.shape, [leaders.along[valid][row >= 0]], [row])


def unpack_leaders(row: Row, valid: Valid) -> Leaders:
    """Return what `pack_leaders` took."""
    found = Leaders(np.full(valid.shape, -1), np.full(valid.shape, np.inf))
    found.row[valid] = row["integers"]
    found.along[found.row >= 0] = row["floats"]
    return found


def pack_range(known: PairRange, valid: Valid) -> Row:
    """Return the range of a signal for the pairs of which it says something.

    Half of the digits, rounded outwards, are bounds as well, and take half of the space.
    """
    del valid
    says_something = (known.low > -np.inf) | (known.high < np.inf) | known.is_known
    pairs = np.flatnonzero(says_something)
    low, high = known.low.ravel()[pairs], known.high.ravel()[pairs]
    floats = [_round(low, -np.inf), _round(high, np.inf)]
    integers = [np.diff(pairs, prepend=0), known.is_known.ravel()[pairs].astype(np.int64)]
    return _row(known.low.shape, floats, integers)


def unpack_range(row: Row, valid: Valid) -> PairRange:
    """Return what `pack_range` took, a little wider."""
    shape = (len(valid), len(valid))
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
    return _row(apart.shape, [apart[np.triu_indices(len(apart))]], [])


def unpack_closest(row: Row, valid: Valid) -> dict[int, Float64[np.ndarray, " agent"]]:
    """Return what `pack_closest` took, by the row of each road user."""
    apart = np.zeros((len(valid), len(valid)))
    apart[np.triu_indices(len(valid))] = row["floats"]
    return dict(enumerate(np.maximum(apart, apart.T)))


def _measure(name: str, facts: Facts) -> Float64[np.ndarray, "agent time"]:
    return known_signals()[name].measure(facts)


def _round(values: Float64[np.ndarray, " pair"], outwards: float) -> Float64[np.ndarray, " pair"]:
    """Return values of single precision that are not farther in."""
    with np.errstate(over="ignore"):
        near = values.astype(np.float32)
    wrong = near.astype(np.float64) > values if outwards < 0 else near.astype(np.float64) < values
    return np.where(wrong, np.nextafter(near, np.float32(outwards)), near).astype(np.float64)


def _row(shape: tuple[int, ...], floats: list[np.ndarray], integers: list[np.ndarray]) -> Row:
    return {
        "shape": np.array(shape, np.int32),
        "floats": np.concatenate([np.zeros(0), *floats]),
        "integers": np.concatenate([np.zeros(0, np.int64), *integers]),
    }
