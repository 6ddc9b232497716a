"""How long a named scenario takes to be found in a store of 1,000 simulated scenes.

python benchmarks/bench_find_store.py [--folder DIR] [--logs 67] [--workers 2] [--only NAME]…

The store is simulated once and kept in the folder; the answers to earlier queries are forgotten
before each cold one. What the store knows of its scenes (`kerbstone index`) is timed by itself.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from kerbstone.formats.sumo import TOWNS, SimulationConfig, simulate_roads, vary_config
from kerbstone.lang.library import built_in_scenarios
from kerbstone.mine import find, index_store
from kerbstone.store import Store
from timing import print_rows, write_results

GOALS = {"cold_s": 5.0, "repeated_s": 0.5}


def open_road(folder: Path, *, logs: int, workers: int) -> Store:
    """Return the store, after simulating it if it is not there."""
    road = folder / "road"
    if not road.exists():
        config = SimulationConfig(duration=300.0, scene_duration=20.0, agents=90)
        configs = vary_config(config, towns=list(TOWNS), sides=("right", "left"), logs=logs)
        simulate_roads(configs, road, workers=workers)
    return Store.open(str(road))


def time_scenario(store: Store, name: str, *, workers: int) -> dict[str, object]:
    """Time a scenario that was never asked for, and the same again."""
    store.forget("answers", "true")
    given = f"{name}, {time.time_ns()}"  # a question of its own, which no finding answers yet
    started = time.perf_counter()
    found = find(name, store, workers=workers, given=given)
    cold = time.perf_counter() - started
    # A new process would open the store anew.
    store = Store.open(store.uri)
    started = time.perf_counter()
    again = find(name, store, workers=workers, given=given)
    repeated = time.perf_counter() - started
    assert again.id == found.id
    assert not found.failed
    return {"scenario": name, "matches": found.total, "cold_s": cold, "repeated_s": repeated}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, help="where the store is kept")
    parser.add_argument("--logs", type=int, default=67, help="logs of 15 scenes each")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", action="append", help="a scenario to time; all if not given")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.gettempdir()) / "kerbstone-bench-find"
    folder.mkdir(parents=True, exist_ok=True)
    store = open_road(folder, logs=given.logs, workers=given.workers)
    agents = store.scenes(["agents"]).column("agents").to_numpy()
    report = index_store(store, workers=given.workers)
    facts = [
        {"what": "scenes of 20 s", "value": len(agents)},
        {"what": "road users in a scene, median", "value": float(np.median(agents))},
        {"what": "scenes indexed now", "value": report.scenes - report.known},
        {"what": "index, s", "value": report.seconds},
        {"what": "workers", "value": given.workers},
        {"what": "load of the machine before", "value": os.getloadavg()[0]},
    ]
    names = given.only or sorted(built_in_scenarios())
    rows = []
    for name in names:
        rows.append(time_scenario(store, name, workers=given.workers))
        print(f"{rows[-1]['cold_s']:7.2f} s  {rows[-1]['repeated_s']:6.3f} s  {name}", flush=True)
    for column, goal in GOALS.items():
        values = [float(row[column]) for row in rows]
        facts += [
            {"what": f"{column}, median", "value": float(np.median(values))},
            {"what": f"{column}, largest", "value": max(values)},
            {"what": f"{column}, scenarios above {goal:g} s", "value": sum(v > goal for v in values)},
        ]  # fmt: skip
    print_rows("named scenarios", sorted(rows, key=lambda row: -float(row["cold_s"])))
    print_rows("1,000 simulated scenes", facts)
    if not given.only:
        print(f"\nwritten to {write_results('find_store', [*facts, *rows])}")


if __name__ == "__main__":
    main()
