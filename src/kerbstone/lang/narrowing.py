"""Leaves out bindings that cannot answer a query, by one of its parts after the other.

What must hold at once is put together as it is measured, the cheapest first, so that ever fewer
bindings are left for the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int64

from kerbstone.lang import formula as f
from kerbstone.lang.ranges import bound_formula
from kerbstone.lang.robust import Robustness

if TYPE_CHECKING:
    from kerbstone.lang.frames import Frame

Kept = Bool[np.ndarray, " binding"]


class Narrowing:
    """Bindings, and what is known to hold for them together.

    Args:
        frame: The bindings.
        slots: Road users that must be there when something holds.
        floor: A binding is left out if neither bound of what must hold is ever above the same
            bound of the floor.
        joint: What is known to hold for them already.
        is_whole: Whether that is the floor of a query, and robustness that is not known to be
            above it or below 0 may be anything.
        is_sure: Whether what is needed must be known to be above it.
    """

    def __init__(
        self,
        frame: Frame,
        slots: tuple[f.Slot, ...],
        floor: Robustness,
        *,
        joint: Robustness | None = None,
        is_whole: bool = False,
        is_sure: bool = False,
    ) -> None:
        self.frame = frame
        self.chosen: Int64[np.ndarray, " chosen"] = np.arange(frame.count)
        top = np.full((1, 1), np.inf)
        self.joint = Robustness(top, top) if joint is None else joint
        self._slots = slots
        self._floor = floor
        self._is_whole = is_whole
        self._is_sure = is_sure

    def require(self, parts: Iterable[f.Formula], needed: Sequence[f.Formula] = ()) -> None:
        """Leave out bindings for which parts do not hold at once.

        Args:
            parts: The parts. What is about further road users is not looked at.
            needed: What must hold too, each at some time.
        """
        parts = [part for part in parts if not has_further(part)]
        for part in parts:
            if not _is_about_two(part):
                self._join(part, self._all(), is_needed=part in needed)
        for part in needed:
            if part not in parts and self.frame.count:
                # It may be about another time than the one at which all are there.
                self._keep(self._exceeds(self.frame.formula(part), f.slots_of(part)))
        pairs = [part for part in parts if _is_about_two(part)]
        idle = (
            self._idle(pairs) if self._is_whole else np.zeros((len(pairs), len(self._all())), bool)
        )
        before, later = self.chosen, []
        for part, spared in zip(pairs, idle, strict=True):
            # What is known roughly leaves out most of whom it can, and is measured last: then
            # it is seldom what says how strongly all hold.
            rough = self.frame.rough(part) if self.frame.count and not spared.any() else None
            if rough is None:
                wanted = ~spared[np.searchsorted(before, self.chosen)]
                self._join(part, wanted, is_needed=part in needed)
            else:
                most = self.joint & Robustness(rough.high, rough.high)
                self._keep(np.any(self._above(most), axis=1))
                later.append(part)
        for part in later:
            self._join(part, self._all(), is_needed=part in needed)

    def _join(self, part: f.Formula, wanted: Kept, *, is_needed: bool) -> None:
        """Put a part together with the rest; it is measured for those only that want it."""
        if not self.frame.count:
            return
        if isinstance(part, f.Comparison) and wanted.all():
            # The robustness of a query is what it is below the floor, too.
            where = self.frame.present(self._slots)
            if not self._is_whole:
                where = self._above(self.joint)
            found = self.frame.comparison(part, where, self.joint)
        else:
            found = _measure_some(self.frame, part, wanted)
        self.joint = self.joint & found
        kept = np.any(self._above(self.joint), axis=1)
        if is_needed and found.low is not found.high:
            kept &= self._exceeds(found, self._slots)
        self._keep(kept)

    def _above(self, joint: Robustness) -> Bool[np.ndarray, "binding time"]:
        """Return where what holds together is above the floor, while all are there."""
        above = joint.high > self._floor.high
        if self._floor.low is not self._floor.high:
            above = above | (joint.low > self._floor.low)
        return above & self.frame.present(self._slots)

    def _keep(self, kept: Kept) -> None:
        if not kept.all():
            self.joint = self.joint.take(kept, len(kept))
            self._floor = self._floor.take(kept, len(kept))
            self.frame, self.chosen = self.frame.select(kept), self.chosen[kept]

    def _exceeds(self, found: Robustness, slots: Iterable[f.Slot]) -> Kept:
        """Return which bindings are above the floor at some time.

        What is not known counts while these road users are there. What is known may be so while
        some are not: one of two claims may be enough.
        """
        above = found.low > self._floor.high
        if not self._is_sure:
            # What is not known to fail may be a near miss; a match must be known to hold.
            above = above | ((found.high > self._floor.high) & self.frame.present(slots))
        return np.any(above, axis=1)

    def _idle(self, parts: Sequence[f.Formula]) -> Bool[np.ndarray, "part binding"]:
        """Tell which parts change nothing, as ranges show.

        They hold at all times, and more strongly than another part is ever known to. Then it is
        the other one that says how strongly the query holds, or that it does not.
        """
        frame = self.frame
        least = np.full((len(parts), frame.count), -np.inf)
        most = np.full((len(parts), frame.count), np.inf)
        for part, low, high in zip(parts, least, most, strict=True):
            bound = bound_formula(part, frame.facts)
            if bound is not None and len(bound.pair) == 2:
                pair = frame.rows(bound.pair[0]), frame.rows(bound.pair[1])
                if min(rows.min(initial=0) for rows in pair) >= 0:
                    low[:] = np.where(bound.is_known[pair], bound.low[pair], -np.inf)
                    high[:] = bound.high[pair]
        here = frame.present(self._slots)
        joint = np.where(here, self.joint.low, -np.inf).max(axis=1, initial=-np.inf)
        floor = max(float(self._floor.high.max(initial=-np.inf)), 0.0)
        idle = np.zeros(least.shape, bool)
        for number, low in enumerate(least):
            others = np.where(idle, np.inf, most)
            others[number] = joint
            idle[number] = (low >= others.min(axis=0)) & (low > floor)
        return idle

    def _all(self) -> Kept:
        return np.ones(self.frame.count, bool)


@lru_cache(maxsize=1000)
def has_further(part: f.Formula) -> bool:
    """Tell whether a part is about further road users than the query's own."""
    return any(isinstance(p, f.Quantified | f.Tally) for p in f.walk(part))


@lru_cache(maxsize=1000)
def _is_about_two(part: f.Formula) -> bool:
    return len(f.slots_of(part) - {f.EGO}) > 1


def _measure_some(frame: Frame, part: f.Formula, wanted: Kept) -> Robustness:
    """Return the robustness of a formula for some bindings, and inf for the others."""
    if wanted.all():
        return frame.formula(part)
    low, high = np.full((2, frame.count, frame.facts.steps), np.inf)
    if wanted.any():
        low[wanted], high[wanted] = frame.select(wanted).formula(part)
    return Robustness(low, high)
