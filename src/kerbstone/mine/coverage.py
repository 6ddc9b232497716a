"""How often each named scenario is recorded, per hour and per 1000 km, and how surely."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kerbstone.errors import InputError, KerbstoneError, UsageError, suggest_name
from kerbstone.lang import Compiled, tree
from kerbstone.lang.library import built_in_scenarios, check_scenario
from kerbstone.mine.occurrences import Occurrences, find_occurrences
from kerbstone.mine.rates import Rate, estimate_rate
from kerbstone.store import Store

GROUPS = ("town", "dataset", "none")
ALL = "all"
"""The group of everything."""

_S_PER_H = 3600.0
_M_PER_1000_KM = 1e6
_COLUMNS = ("id", "log_key", "town", "dataset", "duration", "ego_distance", "agent_distance")


@dataclass(frozen=True)
class CoverageRow:
    """How often a scenario was recorded in one group of scenes.

    Args:
        scenario: Name of the scenario.
        group: The town or data set; "all" for everything.
        scenes: In how many scenes it was looked for.
        count: Number of occurrences.
        per_hour: Of road time.
        per_1000_km: Of the way that the coverage's `distance` says.
    """

    scenario: str
    group: str
    scenes: int
    count: int
    per_hour: Rate
    per_1000_km: Rate


@dataclass(frozen=True)
class Coverage:
    """How often scenarios were recorded.

    Args:
        by: What the groups are: `town`, `dataset` or `none`.
        distance: Whose way kilometres are: `ego` where every scene has a recording car, else
            `agents`, all road users together.
        rows: By scenario in the order asked for; "all" before the groups.
        failed: Scenarios and scenes that could not be searched, and do not count, with the reason.
    """

    by: str
    distance: str
    rows: tuple[CoverageRow, ...]
    failed: tuple[tuple[str, str, KerbstoneError], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        failed = [
            {"scenario": scenario, "scene": scene, **error.to_dict()}
            for scenario, scene, error in self.failed
        ]
        return {
            "by": self.by,
            "distance": self.distance,
            "rows": [asdict(row) for row in self.rows],
            "failed": failed,
        }


def measure_coverage(
    store: Store,
    scenario: Sequence[str] = (),
    *,
    by: str = "town",
    where: str | None = None,
    scenarios: Mapping[str, tree.Scenario] | None = None,
    workers: int | str | None = 1,
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[str], object] = lambda _: None,
) -> Coverage:
    """Return how often named scenarios were recorded, altogether and by group.

    Occurrences are counted once for each main witness (`occurrences.find_occurrences`), over the
    time and way of the scenes in which they can be seen at all: a scenario about the recording
    car is only looked for where there is one. A scene whose map lacks what a scenario needs counts
    even so; `where` leaves such scenes out. The rates have 95 % intervals, which allow for
    clusters within logs where there are 8 logs or more (`rates.estimate_rate`); of what was never
    recorded, the upper end is a bound.

    Args:
        store: The store.
        scenario: Names of scenarios; all that are known if none is given.
        by: `town`, `dataset`, or `none` for everything together.
        where: SQL condition on the scenes.
        scenarios: The scenarios by name; the built-in ones if not given.
        workers: Processes, "ray", or as many as pay if None.
        on_start: Called with the number of scenarios.
        on_result: Called with each scenario as it is done.

    Raises:
        UsageError: There is no such group.
        InputError: There is no such scenario or no scene, or the condition is wrong.
    """
    if by not in GROUPS:
        raise UsageError(
            "usage", f"scenes are not grouped by {by!r}", remedy=suggest_name(by, GROUPS)
        )
    known = built_in_scenarios() if scenarios is None else scenarios
    queries = {name: _prepare(name, known) for name in scenario or sorted(known)}
    scenes = {row["id"]: row for row in store.scenes(_COLUMNS, where).to_pylist()}
    if not scenes:
        raise InputError("empty", "there is no scene to look through", where=where or store.uri)
    has_ego = all(row["ego_distance"] is not None for row in scenes.values())
    distance = "ego" if has_ego else "agents"
    groups = {ALL: set(scenes)} | _group(scenes, by)
    on_start(len(queries))
    rows: list[CoverageRow] = []
    failed: list[tuple[str, str, KerbstoneError]] = []
    for name, query in queries.items():
        found = find_occurrences(query, store, where=where, workers=workers)
        failed += [(name, scene, error) for scene, error in found.failed]
        seen = {
            s for s in found.spans if not query.names_ego or scenes[s]["ego_distance"] is not None
        }
        for group, members in groups.items():
            chosen = [scenes[scene] for scene in sorted(members & seen)]
            rows.append(_cover(name, group, chosen, found, distance))
        on_result(name)
    return Coverage(by, distance, tuple(rows), tuple(failed))


def _prepare(name: str, known: Mapping[str, tree.Scenario]) -> Compiled:
    if name not in known:
        raise InputError(
            "query-name",
            f"there is no scenario {name!r}",
            remedy=suggest_name(name, known, listed_by="`kerbstone scenarios` lists them"),
        )
    return check_scenario(known[name], known)


def _group(scenes: Mapping[str, Mapping[str, Any]], by: str) -> dict[str, set[str]]:
    if by == "none":
        return {}
    groups: dict[str, set[str]] = defaultdict(set)
    for scene, row in scenes.items():
        groups[row[by] or "unknown"].add(scene)
    return {name: groups[name] for name in sorted(groups)}


def _cover(
    scenario: str,
    group: str,
    scenes: Sequence[Mapping[str, Any]],
    found: Occurrences,
    distance: str,
) -> CoverageRow:
    logs: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for row in scenes:
        log = logs[row["log_key"]]
        log[0] += len(found.spans[row["id"]])
        log[1] += row["duration"] / _S_PER_H
        log[2] += row["ego_distance" if distance == "ego" else "agent_distance"] / _M_PER_1000_KM
    count, hours, way = np.array(list(logs.values())).reshape(-1, 3).T
    return CoverageRow(
        scenario=scenario,
        group=group,
        scenes=len(scenes),
        count=round(float(count.sum())),
        per_hour=estimate_rate(count, hours),
        per_1000_km=estimate_rate(count, way),
    )
