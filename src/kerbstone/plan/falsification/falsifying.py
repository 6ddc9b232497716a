"""Trying to break the shield, in as many episodes as wanted, and what each assumption is worth."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from kerbstone.errors import KerbstoneError, UsageError
from kerbstone.plan.falsification.breaking import BREAKS
from kerbstone.plan.falsification.campaign import Campaign, play_chunk
from kerbstone.plan.falsification.report import FalsificationReport, count_chunk


def falsify(
    episodes: int,
    *,
    campaign: Campaign | None = None,
    since: FalsificationReport | None = None,
    workers: int | str = 1,
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[FalsificationReport], object] = lambda _: None,
) -> FalsificationReport:
    """Play at least so many episodes from verified starts and return what was found.

    The same campaign finds the same, chunk by chunk, however many workers play it and however often
    it is stopped: what `on_result` was given last is all that is needed to go on.

    Args:
        episodes: How many are wanted altogether, with those of `since`.
        campaign: What is played. None: everything, inside the assumptions.
        since: What an earlier run of the same campaign found, to go on from there.
        workers: Processes, or "ray".
        on_start: Called with the number of episodes wanted.
        on_result: Called with the report so far after every chunk.

    Raises:
        UsageError: `since` is of another seed, there are episodes wanted below zero, or no start had
            a verified fail-safe for so long that there is no hope.

    Example:
        >>> report = falsify(20, campaign=Campaign(size=25, duration=2.0))
        >>> report.episodes >= 20
        True
    """
    campaign = campaign or Campaign()
    report = since or FalsificationReport(campaign.seed)
    if report.seed != campaign.seed or episodes < 0:
        raise UsageError(
            "usage",
            "this run cannot go on from that one",
            why=f"seed {report.seed} then, {campaign.seed} now; {episodes} episodes wanted",
        )
    from kerbstone.store.parallel import parallel_map

    on_start(episodes)
    count = 1 if isinstance(workers, str) else workers
    while report.episodes < episodes:
        wave = _next_chunks(report, episodes, least=count)
        items = [_Item(campaign, chunk) for chunk in wave]
        for _, result in parallel_map(_play_item, items, workers=workers):
            if isinstance(result, KerbstoneError):
                raise result
            report = report.merge(result)
            on_result(report)
    return report


@dataclass(frozen=True)
class BreakRow:
    """What came of one broken assumption.

    Args:
        broken: "A1" to "A6".
        episodes: How many were played.
        contacts: In how many ego and someone touched.
        caused: In how many ego was the cause.
        noticed: In how many of these the ledger named this assumption first.
    """

    broken: str
    episodes: int
    contacts: int
    caused: int
    noticed: int

    def as_mapping(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return dict(vars(self))


def break_assumptions(
    episodes: int,
    *,
    campaign: Campaign | None = None,
    names: tuple[str, ...] = tuple(BREAKS),
    workers: int | str = 1,
    on_result: Callable[[BreakRow], object] = lambda _: None,
) -> tuple[BreakRow, ...]:
    """Break each assumption by itself and return how many collisions follow.

    Args:
        episodes: How many to play for each.
        campaign: What is played otherwise.
        names: Which assumptions, keys of `BREAKS`.
        workers: Processes, or "ray".
        on_result: Called with each row as it is done.
    """
    rows = []
    for name in names:
        broken = replace(campaign or Campaign(), breaks=name)
        report = falsify(episodes, campaign=broken, workers=workers)
        noticed = dict(report.broken).get(name, 0)
        rows.append(BreakRow(name, report.episodes, report.contacts, report.caused, noticed))
        on_result(rows[-1])
    return tuple(rows)


@dataclass(frozen=True)
class _Item:
    campaign: Campaign
    chunk: int


def _play_item(item: _Item) -> FalsificationReport:
    start = time.perf_counter()
    played = play_chunk(item.campaign, item.chunk)
    return count_chunk(item.campaign.seed, played, time.perf_counter() - start)


_HOPELESS = 50
"""Chunks without any verified start after which there is no hope."""


def _next_chunks(report: FalsificationReport, episodes: int, *, least: int) -> list[int]:
    """Return the numbers of the next chunks: about as many as are still needed."""
    if len(report.chunks) >= _HOPELESS and not report.episodes:
        raise UsageError(
            "usage",
            "no start has a verified fail-safe",
            why=f"none of {report.drawn}",
            remedy="check the assumptions: nothing may be safe under them",
        )
    missing = episodes - report.episodes
    # What a chunk brings is known when some have been played; rather too few than too many.
    each = max(report.episodes / len(report.chunks), 1.0) if report.chunks else missing
    count = max(least, min(int(missing / each), 4 * max(len(report.chunks), least)))
    done = set(report.chunks)
    first = max(done, default=-1) + 1
    missed = [chunk for chunk in range(first) if chunk not in done]
    return [*missed, *range(first, first + count)][:count]
