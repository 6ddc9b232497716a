"""What a store holds, in rows that people read."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pyarrow as pa

from kerbstone.errors import InputError, suggest_name

_S_PER_H = 3600.0
_M_PER_KM = 1000.0


def scene_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return one row per scene, ordered by id, from `Store.scenes()`."""
    rows = [
        {
            "id": scene["id"],
            "dataset": scene["dataset"],
            "town": scene["town"] or None,
            "duration": round(scene["duration"], 3),
            "hz": round(1e9 / scene["dt_ns"], 3),
            "agents": scene["agents"],
            "kinds": {name: count for name, count in scene["kinds"].items() if count},
            "has_ego": scene["ego_distance"] is not None,
            "has_map": scene["map"] is not None,
            "simulated": scene["simulated"],
            "path": scene["path"],
        }
        for scene in table.to_pylist()
    ]
    return sorted(rows, key=lambda row: row["id"])


def summarise(table: pa.Table) -> list[dict[str, Any]]:
    """Return one row per data set: counts, hours of road, kilometres, towns."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for scene in table.to_pylist():
        groups[scene["dataset"]].append(scene)

    def total(scenes: list[dict[str, Any]], name: str) -> float:
        return sum(scene[name] or 0.0 for scene in scenes)

    return [
        {
            "dataset": name + (" (simulated)" if scenes[0]["simulated"] else ""),
            "scenes": len(scenes),
            "agents": int(total(scenes, "agents")),
            "hours": round(total(scenes, "duration") / _S_PER_H, 3),
            "ego_km": round(total(scenes, "ego_distance") / _M_PER_KM, 2),
            "agent_km": round(total(scenes, "agent_distance") / _M_PER_KM, 2),
            "towns": len({scene["town"] for scene in scenes if scene["town"]}),
        }
        for name, scenes in sorted(groups.items())
    ]


def run_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return one row per run, the newest first, from `Store.runs()`."""
    rows = []
    for run in table.sort_by([("started", "descending")]).to_pylist():
        before, after = dict(run["versions_before"] or ()), dict(run["versions_after"] or ())
        wrote = [
            f"{name}: {before.get(name, 0)} → {version}"
            for name, version in sorted(after.items())
            if before.get(name, 0) != version
        ]
        seconds = (run["ended"] - run["started"]).total_seconds() if run["ended"] else None
        rows.append(
            {
                "id": run["id"],
                "command": run["command"],
                "started": f"{run['started']:%Y-%m-%d %H:%M:%S}",
                "seconds": seconds,
                "outcome": run["outcome"],
                "code": run["code"],
                "wrote": ", ".join(wrote) or "nothing",
            }
        )
    return rows


def find_run(table: pa.Table, name: str) -> dict[str, Any]:
    """Return all that is known of one run.

    Raises:
        InputError: No run, or more than one, has an id that starts with `name`.
    """
    ids = table.column("id").to_pylist()
    matches = [i for i, run in enumerate(ids) if run.startswith(name)]
    if len(matches) != 1:
        raise InputError(
            "name",
            f"{'no run' if not matches else 'more than one run'} is called {name!r}",
            remedy=suggest_name(name, ids),
        )
    return table.slice(matches[0], 1).to_pylist()[0]
