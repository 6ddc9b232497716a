"""Gaps: stretches in which nothing saw a road user that moves, between two detections of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.label.labels import Labels, Provenance
from kerbstone.label.motion import has_wheels

BINS = (1.0, 2.0, 4.0, 8.0)
"""Gaps are told apart by their length: up to so much [s]. Longer ones are in none."""
GROUPS = ("wheeled", "on foot")
_LEAST = 0.5
"""What is missing for less is no gap [s]."""
_SEEN = (Provenance.DETECTED, Provenance.REVIEWED, Provenance.GIVEN)


@dataclass(frozen=True, eq=False)
class Gaps:
    """Gaps of labels, by agent and by time.

    Args:
        before: Cell of the last detection before each gap, as a row of the labels.
        after: Cell of the first detection after it.
        agent: Agent of each.
        first: Step of the last detection before it.
        last: Step of the first detection after it.
        group: Its agent's, as an index of `GROUPS`.
        length: Time for which it was not seen [s].
    """

    before: Int64[np.ndarray, " gap"]
    after: Int64[np.ndarray, " gap"]
    agent: Int64[np.ndarray, " gap"]
    first: Int64[np.ndarray, " gap"]
    last: Int64[np.ndarray, " gap"]
    group: Int64[np.ndarray, " gap"]
    length: Float64[np.ndarray, " gap"]

    def __len__(self) -> int:
        return len(self.before)

    @property
    def bin(self) -> Int64[np.ndarray, " gap"]:
        """Bin of each length, as an index of `BINS`; `len(BINS)` for what is longer."""
        return np.searchsorted(np.array(BINS) + 1e-6, self.length)


def find_gaps(labels: Labels) -> Gaps:
    """Return the gaps of at least half a second."""
    seen = np.flatnonzero(np.isin(labels.provenance, _SEEN))
    before, after = seen[:-1], seen[1:]
    missing = labels.step[after] - labels.step[before] - 1
    agent = labels.agent[before]
    is_gap = (agent == labels.agent[after]) & find_moving(labels)[agent]
    is_gap &= missing * labels.scene.clock.dt > _LEAST - 1e-6
    return gaps_between(labels, before[is_gap], after[is_gap])


def gaps_between(
    labels: Labels, before: Int64[np.ndarray, " gap"], after: Int64[np.ndarray, " gap"]
) -> Gaps:
    """Return the stretches between cells of labels, each pair of one agent, as gaps."""
    agent, first, last = labels.agent[before], labels.step[before], labels.step[after]
    return Gaps(
        before=before,
        after=after,
        agent=agent,
        first=first,
        last=last,
        group=np.where(has_wheels(labels.kind[agent]), 0, 1),
        length=(last - first - 1) * labels.scene.clock.dt,
    )


def find_moving(labels: Labels) -> Bool[np.ndarray, " agent"]:
    """Tell which agents move; those that stand have no velocity at all."""
    moves = (labels.velocity != 0).any(axis=1)
    return np.bincount(labels.agent[moves], minlength=len(labels.ids)) > 0
