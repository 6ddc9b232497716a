"""How long an hour of simulated road takes: traffic, events, scenes and detections.

python benchmarks/bench_simulate.py [--logs 12] [--duration 300] [--agents 100] [--workers 2]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from kerbstone.errors import KerbstoneError
from kerbstone.formats.sumo import TOWNS, SimulationConfig, Sumo, read_events, simulate
from kerbstone.formats.sumo.batch import vary_config
from kerbstone.store import parallel_map
from timing import print_rows, write_results


def run_log(work: tuple[SimulationConfig, Path]) -> dict[str, float]:
    """Simulate one log, read its scenes and what the car sees of them."""
    config, folder = work
    started, used = time.perf_counter(), _cpu_seconds()
    log = simulate(config, folder)
    simulated = time.perf_counter()
    reader = Sumo()
    names = frozenset(path.name for path in folder.iterdir())
    (found,) = reader.claim(folder, names)
    scenes, read_s, seen_s = [], 0.0, 0.0
    rows = cells = 0
    last = time.perf_counter()
    for scene in reader.read(found):
        scenes.append(scene.id)
        cells += int(scene.agents.valid.sum())
        read_s += time.perf_counter() - last
        last = time.perf_counter()
        rows += reader.tables(found, scene)["detections"].num_rows
        seen_s += time.perf_counter() - last
        last = time.perf_counter()
    return {
        "simulate_s": simulated - started,
        "read_s": read_s,
        "detect_s": seen_s,
        "scenes": len(scenes),
        "agent_frames": cells,
        "detections": rows,
        "events": len(read_events(log.folder)),
        "cpu_s": _cpu_seconds() - used,
    }


def _cpu_seconds() -> float:
    """CPU time of this process and of its children so far [s]."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--logs", type=int, default=12)
    parser.add_argument("--duration", type=float, default=300.0)
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--everywhere", action="store_true", help="record the whole town")
    given = parser.parse_args()
    base = SimulationConfig(duration=given.duration, agents=given.agents)
    if given.everywhere:
        base = replace(base, radius=0.0)
    configs = vary_config(base, towns=list(TOWNS), sides=("right", "left"), logs=given.logs)
    with tempfile.TemporaryDirectory() as folder:
        works = [(config, Path(folder) / f"{i:02d}") for i, config in enumerate(configs)]
        started = time.perf_counter()
        rows = []
        for (config, _), result in parallel_map(run_log, works, workers=given.workers):
            if isinstance(result, KerbstoneError):
                raise result
            rows.append({"case": config.town_name, **result})
        wall = time.perf_counter() - started
    hours = given.logs * given.duration / 3600
    total = {name: sum(row[name] for row in rows) for name in rows[0] if name != "case"}
    rows.append({"case": "all", **total})
    blank = dict.fromkeys(total, "")
    rows.append({"case": "wall, s per hour of road", **blank, "simulate_s": wall / hours})
    print_rows("An hour of simulated road", rows)
    write_results("simulate", rows)


if __name__ == "__main__":
    main()
