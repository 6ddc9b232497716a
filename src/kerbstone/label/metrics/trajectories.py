"""True tracks read along their own boxes, as AB3DMOT's evaluator reads them.

A track is the run of its labelled boxes: frames without a label are no gap in it. Neutral boxes
break what goes on, and tracks that are neutral throughout do not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from kerbstone.label.metrics.comparison import Comparison


@dataclass(frozen=True)
class Story:
    """What became of the true tracks.

    Args:
        switches: How often a track goes on under another predicted track.
        fragments: How often a track is found by another than in the box before, or again.
        mostly_tracked: Share of the tracks found in more than 80 % of their boxes.
        mostly_lost: Share of the tracks found in less than 20 % of their boxes.
    """

    switches: int
    fragments: int
    mostly_tracked: float
    mostly_lost: float


class Trajectories:
    """True tracks, each read along the frames in which it is there."""

    def __init__(self, comparison: Comparison) -> None:
        self._order = np.lexsort((comparison.truth_frame, comparison.truth_track))
        track = comparison.truth_track[self._order]
        self._track = track
        self._neutral = comparison.truth_neutral[self._order]
        self._is_first = np.concatenate([[True], np.diff(track) != 0])[: len(track)]
        self._is_last = np.concatenate([np.diff(track) != 0, [True]])[: len(track)]
        counted = np.bincount(track, ~self._neutral)
        self._length = counted[counted > 0]  # tracks that are neutral throughout do not count
        self._counts = counted > 0

    def read(self, match: Int64[np.ndarray, " truth"]) -> Story:
        """Count switches and fragments, and the tracks that are mostly there or mostly not."""
        found = match[self._order]
        is_first, is_last, neutral = self._is_first, self._is_last, self._neutral
        is_found = found >= 0
        before = np.concatenate([[-1], found[:-1]])[: len(found)]
        # A track's first box is taken as it is, even where it is neutral.
        blocks = neutral & ~is_first
        blocked_before = np.concatenate([[False], blocks[:-1]])[: len(found)]
        counts = ~is_first & ~neutral & self._counts[self._track]

        switch = counts & is_found & (before >= 0) & (before != found) & ~blocked_before
        is_found_next = np.concatenate([is_found[1:], [False]])[: len(found)]
        inner = is_found_next & self._was_found(is_found, blocks)
        fragment = counts & is_found & (before != found) & np.where(is_last, True, inner)

        tracked = np.bincount(
            self._track, is_found & (is_first | ~neutral), minlength=len(self._counts)
        )[self._counts]
        ratio = tracked / self._length
        tracks = max(1, len(ratio))
        return Story(
            switches=int(switch.sum()),
            fragments=int(fragment.sum()),
            mostly_tracked=int((ratio > 0.8).sum()) / tracks,
            mostly_lost=int((ratio < 0.2).sum()) / tracks,
        )

    def _was_found(
        self, is_found: Bool[np.ndarray, " truth"], blocks: Bool[np.ndarray, " truth"]
    ) -> Bool[np.ndarray, " truth"]:
        """Tell where a track was found before, since it began or was last neutral."""
        row = np.arange(len(is_found))
        last_found = np.maximum.accumulate(np.where(is_found & ~blocks, row, -1))
        last_start = np.maximum.accumulate(np.where(self._is_first | blocks, row, -1))
        return np.concatenate([[-1], last_found[:-1]])[: len(row)] >= last_start
