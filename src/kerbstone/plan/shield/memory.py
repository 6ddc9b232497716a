"""What has to be remembered to know who follows ego by right, and whom ego has put behind itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Integer

from kerbstone.plan.shield.path import Path


@dataclass(frozen=True, eq=False)
class Standing:
    """How each road user stands to ego across each route and, last, in the plane.

    Args:
        counts: Which routes it may take; last, whether no lane bounds it.
        may_overlap: Whether it may be in ego's way, given the errors of what is seen.
        overlaps: Whether it surely is.
        is_fair: Whether it is behind ego, and in its way either from as far back as RSS wants or
            without ego's doing. Until it surely is there, ego must not move aside.
    """

    counts: Bool[np.ndarray, "batch agent way"]
    may_overlap: Bool[np.ndarray, "batch agent way"]
    overlaps: Bool[np.ndarray, "batch agent way"]
    is_fair: Bool[np.ndarray, "batch agent way"]

    def take(self, rows: Integer[np.ndarray, " row"]) -> Standing:
        """Return some of the episodes, in the order given."""
        return Standing(**{name: values[rows] for name, values in vars(self).items()})

    def recall(
        self, way: int
    ) -> tuple[
        Bool[np.ndarray, "batch agent"],
        Bool[np.ndarray, "batch agent"],
        Bool[np.ndarray, "batch agent"],
    ]:
        """Return what was on one way: who may have overlapped ego, who did, who was fair.

        Whoever has come from other ways brings what it was on all of them.
        """
        counts, was_here = self.counts, self.counts[..., way]
        was_there = counts.any(axis=-1)
        return (
            np.where(was_here, self.may_overlap[..., way], (self.may_overlap & counts).any(-1)),
            np.where(
                was_here, self.overlaps[..., way], was_there & (self.overlaps | ~counts).all(-1)
            ),
            np.where(
                was_here, self.is_fair[..., way], was_there & (self.is_fair | ~counts).all(-1)
            ),
        )


@dataclass(frozen=True, eq=False)
class Memory:
    """What has to be remembered to know who follows ego.

    Ego must not make anyone its follower by moving into its lane close ahead of it. One that is
    nearer behind than RSS wants is a follower only if it was one before, or if it comes into line
    while ego keeps its course.

    Args:
        standing: How the others stood to ego one step ago.
        track: Middles of ego's box during the response time before the last step, and since [m].
        swaying: How far ego may be off a straight course that does not count as moving aside [m].
    """

    standing: Standing
    track: Float64[np.ndarray, "batch past 2"]
    swaying: float

    def note(self, standing: Standing) -> None:
        """Remember how the others stand to ego now."""
        for name, values in vars(self.standing).items():
            values[...] = getattr(standing, name)

    def trace(
        self, path: Path, asked: Bool[np.ndarray, " batch"]
    ) -> Float64[np.ndarray, "batch past"]:
        """Return where ego has been across a path [m]; NaN where not known or not asked."""
        across = np.full(self.track.shape[:2], np.nan)
        rows = np.flatnonzero(asked)
        track = self.track[rows]
        direction = np.zeros_like(track)
        direction[..., 0] = 1.0
        extent = path.bound_boxes(track, direction, np.zeros_like(track))
        known = (extent.near & extent.sure).all(axis=1, keepdims=True)
        across[rows] = np.where(known, extent.offset[..., 0], np.nan)
        return across

    def is_straight(self, heading: Float64[np.ndarray, " batch"]) -> Bool[np.ndarray, " batch"]:
        """Tell where ego has not moved across its heading now."""
        x, y = self.track[..., 0], self.track[..., 1]
        aside = y * np.cos(heading)[:, None] - x * np.sin(heading)[:, None]
        return np.asarray(np.ptp(aside, axis=1) <= self.swaying)


def forget(shape: tuple[int, int, int]) -> Standing:
    """Return how nobody stands to ego: all false.

    Args:
        shape: Episodes, road users, routes and one.
    """
    return Standing(*(np.zeros(shape, dtype=bool) for _ in range(4)))


def came_fairly(
    steady: Bool[np.ndarray, "batch 1"], memory: Memory | None, way: int
) -> Bool[np.ndarray, "batch #agent"]:
    """Tell who, near behind, is in ego's way without its doing; only if it may be there at all.

    Args:
        steady: Where ego has not moved aside.
        memory: What was so one step ago. None: nothing is known.
        way: Index of the route, or of the plane.
    """
    if memory is None:
        return steady
    may_overlap, overlaps, is_fair = memory.standing.recall(way)
    return np.asarray((steady & ~may_overlap) | (is_fair & (steady | overlaps)))
