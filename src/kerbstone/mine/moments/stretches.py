"""Stretches of scenes that were found: of those that overlap, the best one counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

Span = tuple[float, float]


def pick_apart(
    scene: Sequence[str] | np.ndarray,
    start: Sequence[float] | np.ndarray,
    end: Sequence[float] | np.ndarray,
    *,
    top: int,
    gap: float = 0.0,
    taken: Mapping[str, Sequence[Span]] | None = None,
) -> list[int]:
    """Return the first of some stretches that do not overlap in their scene, best first.

    Args:
        scene: Scene of each stretch; the best one first.
        start: When each begins [s].
        end: When each ends [s].
        top: How many at most.
        gap: They must lie further apart than this [s].
        taken: Stretches that none may overlap, by scene.

    Returns:
        Their places in the order given.

    Example:
        >>> pick_apart(["a", "a", "b"], [0.0, 1.0, 1.0], [3.0, 4.0, 4.0], top=5)
        [0, 2]
    """
    kept = {name: list(spans) for name, spans in (taken or {}).items()}
    chosen: list[int] = []
    for place, (name, first, last) in enumerate(zip(scene, start, end, strict=True)):
        if len(chosen) == top:
            break
        spans = kept.setdefault(str(name), [])
        if not any(first < stop + gap and last > begin - gap for begin, stop in spans):
            spans.append((float(first), float(last)))
            chosen.append(place)
    return chosen


def merge_spans(spans: Iterable[Span], *, gap: float = 0.0) -> list[Span]:
    """Return what some spans of time cover together, in order.

    Args:
        spans: Beginnings and ends [s].
        gap: Spans that lie no further apart than this are one [s].

    Example:
        >>> merge_spans([(4.0, 5.0), (0.0, 2.0), (1.0, 3.0)])
        [(0.0, 3.0), (4.0, 5.0)]
    """
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged
