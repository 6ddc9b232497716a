"""What a labelling did: one result per log, and their sums."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kerbstone.errors import KerbstoneError
from kerbstone.label.infilled import Infilling, add_infillings
from kerbstone.label.labels import Provenance

BINS = 10
"""Bins of the histogram of confidences, from 0 to 1."""


@dataclass(frozen=True)
class LogLabels:
    """What became of one log.

    Args:
        name: Name of the log.
        steps: Its time steps.
        detections: Detections that were used.
        rejected: Rows that were none: NaN, no size, repeated or out of time.
        tracks: Finished tracks.
        online: Tracks that the online pass had made of their detections.
        joined: How many more tracks of the online pass than finished ones these are made of.
        split: How many more finished tracks than online ones those have become.
        extended: Tracks that go on beyond their first or last detection.
        cells: Labels by where they come from.
        histogram: Labels by confidence, in `BINS` equal bins.
        behaviours: Named scenarios that hold, and how often.
        infilling: What a scene model did to its gaps; None without one.
        seconds: Time spent on it [s].
        is_known: Whether the store held these very labels already.
        error: Why it could not be labelled.
    """

    name: str
    steps: int = 0
    detections: int = 0
    rejected: int = 0
    tracks: int = 0
    online: int = 0
    joined: int = 0
    split: int = 0
    extended: int = 0
    cells: dict[str, int] = field(default_factory=dict)
    histogram: tuple[int, ...] = (0,) * BINS
    behaviours: dict[str, int] = field(default_factory=dict)
    infilling: Infilling | None = None
    seconds: float = 0.0
    is_known: bool = False
    error: KerbstoneError | None = None


@dataclass(frozen=True)
class LabelReport:
    """What a labelling did.

    Args:
        logs: One result per log.
        profile: Name of the profile by which each was labelled.
        seconds: Wall time [s].
        run: Id of the run in the store's `runs` table.
        files: Result files that were written.
    """

    logs: tuple[LogLabels, ...]
    profile: str
    seconds: float
    run: str = ""
    files: tuple[Path, ...] = ()

    @property
    def failed(self) -> tuple[LogLabels, ...]:
        """Logs that could not be labelled."""
        return tuple(log for log in self.logs if log.error is not None)

    @property
    def metrics(self) -> dict[str, float]:
        """The counts, as they are kept with the run and printed by `--json`."""
        names = (
            "steps",
            "detections",
            "rejected",
            "tracks",
            "online",
            "joined",
            "split",
            "extended",
        )
        counts: dict[str, float] = {
            name: sum(getattr(log, name) for log in self.logs) for name in names
        }
        counts |= {
            f"cells_{each.name.lower()}": sum(
                log.cells.get(each.name.lower(), 0) for log in self.logs
            )
            for each in (
                Provenance.DETECTED,
                Provenance.INTERPOLATED,
                Provenance.EXTRAPOLATED,
                Provenance.INFILLED,
            )
        }
        work = sum(log.seconds for log in self.logs)
        return {
            "logs": len(self.logs),
            "known": sum(log.is_known for log in self.logs),
            "failed": len(self.failed),
            **counts,
            "seconds": round(self.seconds, 3),
            "frames_per_s": round(counts["steps"] / work, 1) if work else 0.0,
        }

    def histogram(self) -> list[int]:
        """Return the number of labels by confidence, in `BINS` equal bins."""
        return np.sum([log.histogram for log in self.logs] or [(0,) * BINS], axis=0).tolist()

    def infilling(self) -> Infilling | None:
        """Return what a scene model did to the gaps of the logs; None without one."""
        parts = [log.infilling for log in self.logs if log.infilling is not None]
        return add_infillings(parts) if parts else None
