"""What infilling did: gaps by length, who filled them, and how well either fills what was hidden."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class GapCount:
    """Gaps of one group of road users and of one length.

    Args:
        group: "wheeled" or "on foot".
        longest: The longest of them last up to so long [s].
        gaps: How many there are.
        infilled: How many of them the scene model filled; the smoother filled the others.
        held_out: Stretches with detections that were hidden and filled by both.
        cells: Detections that were hidden in them.
        smoother: Mean log likelihood of these detections by the smoother [nats]; NaN without any.
        model: The same by the scene model.
    """

    group: str
    longest: float
    gaps: int = 0
    infilled: int = 0
    held_out: int = 0
    cells: int = 0
    smoother: float = math.nan
    model: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; what is not known is None."""
        told = {"smoother": self.smoother, "model": self.model}
        known = {name: None if math.isnan(value) else value for name, value in told.items()}
        return asdict(self) | known


@dataclass(frozen=True)
class Infilling:
    """What infilling did.

    Args:
        counts: By group and length; those that have no gap are left out.
    """

    counts: tuple[GapCount, ...] = ()

    @property
    def gaps(self) -> int:
        """Number of gaps."""
        return sum(each.gaps for each in self.counts)

    @property
    def infilled(self) -> int:
        """Number of gaps that the scene model filled."""
        return sum(each.infilled for each in self.counts)


def add_infillings(parts: Iterable[Infilling]) -> Infilling:
    """Return what was done to several logs; likelihoods are means over all their detections."""
    found: dict[tuple[str, float], list[GapCount]] = {}
    for part in parts:
        for each in part.counts:
            found.setdefault((each.group, each.longest), []).append(each)
    return Infilling(tuple(_add(rows) for _, rows in sorted(found.items())))


def _add(rows: list[GapCount]) -> GapCount:
    cells = sum(row.cells for row in rows)

    def mean(name: str) -> float:
        total = sum(getattr(row, name) * row.cells for row in rows if row.cells)
        return total / cells if cells else math.nan

    return GapCount(
        group=rows[0].group,
        longest=rows[0].longest,
        gaps=sum(row.gaps for row in rows),
        infilled=sum(row.infilled for row in rows),
        held_out=sum(row.held_out for row in rows),
        cells=cells,
        smoother=mean("smoother"),
        model=mean("model"),
    )
