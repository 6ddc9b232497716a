"""The scenario language on one Argoverse 2 log: RefAV's functions, and all named scenarios.

    python benchmarks/bench_find.py [FOLDER OF THE LOG]

Seconds of the processor, as RefAV's were measured: one worker, the log read, nothing else kept
from an earlier query. RefAV itself asks for a model at import and takes minutes for each function,
so its seconds on this log are the ones of `PEER`, measured once on a machine of this kind.
"""

from __future__ import annotations

import re
import statistics
import sys
import time
from pathlib import Path

from kerbstone.formats import find_logs, get_format
from kerbstone.lang import Facts, evaluate
from kerbstone.lang.library import built_in_scenarios, prepare
from kerbstone.lang.matches import list_matches
from timing import print_rows, write_results

LOG = Path(__file__).parents[2] / "shared/data/av2/3b3570b4-7b0b-3268-a571-b0889dbf40b6"
TABLE = Path(__file__).parents[1] / "docs/how-to/from-refav.md"
PEER = {
    "stationary": 1.2,
    "has_velocity": 1.9,
    "accelerating": 2.7,
    "turning": 2.4,
    "in_drivable_area": 8.1,
    "at_pedestrian_crossing": 8.1,
    "facing_toward": 7.8,
    "heading_toward": 10.7,
    "get_objects_in_relative_direction": 23.0,
    "being_crossed_by": 46.0,
    "heading_in_relative_direction_to": 51.0,
    "on_road": 133.0,
    "changing_lanes": 135.0,
    "following": 156.0,
    "has_objects_in_relative_direction": 276.0,
    "near_objects": 392.0,
}
"""RefAV's seconds on this log with one worker, November 2026; the last was stopped at 392."""
REPEATS = 5
FLOOR = -1.0
"""As `kerbstone find` asks: matches, and what misses by up to a margin of 1."""


def queries() -> list[tuple[str, str]]:
    """Return RefAV's functions and our queries, from the table in the documentation."""
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", TABLE.read_text("utf-8"), re.MULTILINE)
    return [(name, query) for name, query in rows if "image(" not in query and ":" in query]


def answer(query, scene):
    """Evaluate a query on a scene of which nothing is known yet."""
    facts = Facts(scene)
    return list_matches(evaluate(query, facts, floor=FLOOR), facts, near_misses=10)


def seconds(query, scene) -> tuple[float, float]:
    """Return the median seconds of the processor and the distance of the quartiles."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.process_time()
        answer(query, scene)
        times.append(time.process_time() - start)
    low, median, high = statistics.quantiles(times[1:], n=4, method="inclusive")
    return median, high - low


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else LOG
    if not folder.exists():
        print(f"no log at {folder}: give its folder")
        return
    started = time.process_time()
    (log,) = find_logs([str(folder)])
    (scene,) = get_format(log.format).read(log)
    scene.map  # noqa: B018 - read now
    print(f"read {folder.name} in {time.process_time() - started:.2f} s of the processor")
    rows = []
    for name, text in queries():
        query = prepare(text)
        median, spread = seconds(query, scene)
        holds = evaluate(query, Facts(scene), floor=FLOOR)
        tracks = len({int(row) for row in holds.rows[holds.holds.any(axis=1)][:, :1].ravel()})
        rows.append(
            {
                "function": name,
                "ours_ms": median * 1e3,
                "spread_ms": spread * 1e3,
                "refav_s": PEER.get(name, float("nan")),
                "ratio": PEER.get(name, float("nan")) / median,
                "tracks": tracks,
                "timestamps": int(holds.holds.sum()),
            }
        )
    print_rows("RefAV's functions (ours measured now, RefAV's once)", rows)
    scenarios = []
    facts, began = Facts(scene), time.process_time()
    for name in built_in_scenarios():
        start = time.process_time()
        found = list_matches(evaluate(prepare(name), facts, floor=FLOOR), facts)
        scenarios.append(
            {
                "scenario": name,
                "ms": (time.process_time() - start) * 1e3,
                "matches": len(found),
            }
        )
    total = time.process_time() - began
    print_rows("named scenarios, one after the other", scenarios)
    print(f"\n{len(scenarios)} named scenarios in {total:.2f} s of the processor")
    rows.append({"function": "all named scenarios", "ours_ms": total * 1e3})
    print("wrote", write_results("find", [*rows, *scenarios]))


if __name__ == "__main__":
    main()
