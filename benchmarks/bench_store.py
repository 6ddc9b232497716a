"""A store of 1,000 scenes against one Parquet file per scene.

    python benchmarks/bench_store.py [SCENES]

The scenes are made up, not driven: 30 road users on smooth random curves for 20 s at 10 Hz, one
cell in ten missing, coordinates of full precision, 20 maps of 100 lanes shared among them. A window
is 3 s at a random place of a random scene. Parquet gets the same cells in one file per scene, with
zstd, sorted by time, and reads only the columns and rows of the window; both give the same arrays.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kerbstone.scene import Agents
from kerbstone.store import Store
from timing import print_rows, write_results

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from scenes import random_map, random_scene

AGENTS, STEPS, TOWNS, ACCESSES = 30, 200, 20, 500
WINDOW, LENGTH = 3.0, 20.0
RAW_BYTES = 6 * 8
COLUMNS = ("x", "y", "z", "heading", "vx", "vy")


def make_scene(seed, roads):
    return random_scene(
        seed,
        agents=AGENTS,
        steps=STEPS,
        road=roads[seed % TOWNS],
        has_sensors=False,
        has_poses=False,
        has_jitter=False,
        gaps=0.1,
    )


def name_of(seed):
    return f"random/{seed:06d}"


def write_parquet(folder, scene):
    """Write the valid cells of a scene, in the order of time, and its agents in the metadata."""
    agents = scene.agents
    step, agent = np.nonzero(agents.valid.T)
    columns = [
        *np.moveaxis(agents.centre, -1, 0),
        agents.heading,
        *np.moveaxis(agents.velocity, -1, 0),
    ]
    table = pa.table(
        {"agent": agent.astype(np.int32), "step": step.astype(np.int32)}
        | {name: values[agent, step] for name, values in zip(COLUMNS, columns, strict=True)}
    )
    head = {
        "ids": agents.ids,
        "label": agents.label,
        "kind": agents.kind.tolist(),
        "size": agents.size.tolist(),
    }
    table = table.replace_schema_metadata({"head": json.dumps(head)})
    pq.write_table(
        table,
        folder / f"{scene.id.replace('/', '-')}.parquet",
        compression="zstd",
        use_dictionary=False,
        use_byte_stream_split=list(COLUMNS),
    )


def read_parquet(folder, scene_id, first, steps):
    file = folder / f"{scene_id.replace('/', '-')}.parquet"
    inside = [("step", ">=", first), ("step", "<", first + steps)]
    table = pq.read_table(file, columns=["agent", "step", *COLUMNS], filters=inside)
    head = json.loads(table.schema.metadata[b"head"])
    agent = table.column("agent").to_numpy()
    step = table.column("step").to_numpy() - first
    shape = (len(head["ids"]), steps)
    valid = np.zeros(shape, bool)
    valid[agent, step] = True
    cells = np.full((6, *shape), np.nan)
    for values, name in zip(cells, COLUMNS, strict=True):
        values[agent, step] = table.column(name).to_numpy()
    return Agents(
        ids=tuple(head["ids"]),
        kind=np.array(head["kind"], np.uint8),
        label=tuple(head["label"]),
        size=np.array(head["size"]),
        centre=np.moveaxis(cells[:3], 0, -1),
        heading=cells[3],
        velocity=np.moveaxis(cells[4:], 0, -1),
        valid=valid,
    )


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def size_of(folder):
    return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())


def build(store, files, count):
    """Write scene after scene to both, as an ingest does, and return the rates."""
    roads = [random_map(np.random.default_rng(i), f"town-{i}", lanes=100) for i in range(TOWNS)]
    ours, parquet, frames = 0.0, 0.0, 0
    for seed in range(count):
        scene = make_scene(seed, roads)
        frames += int(scene.agents.valid.sum())
        ours += seconds(lambda: store.add([scene], log=str(seed), fingerprint="1"))  # noqa: B023
        parquet += seconds(write_parquet, files, scene)
    return frames, {"ours": frames / ours, "parquet": frames / parquet}


def access(case, count, ours, parquet, *, is_warm=True):
    """Time both at the same random places in turn, and return a row."""
    rng = np.random.default_rng(1)
    seeds = rng.permutation(count)[:ACCESSES]
    places = [(int(seed), int(rng.integers(171))) for seed in seeds]
    for place in places[: None if is_warm else 1]:
        ours(*place), parquet(*place)
    times = np.array([(seconds(ours, *p), seconds(parquet, *p)) for p in places]) * 1e3
    middle, late = np.percentile(times, [50, 95], axis=0)
    low, ratio, high = np.percentile(times[:, 1] / times[:, 0], [25, 50, 75])
    return {
        "case": case,
        "ours_ms": middle[0],
        "ours_p95": late[0],
        "parquet_ms": middle[1],
        "parquet_p95": late[1],
        "ratio": ratio,
        "ratio_spread": high - low,
    }


def check_same(store, files, count):
    for seed in range(0, count, max(count // 10, 1)):
        ours = store.window(name_of(seed), 1.0, WINDOW).agents
        parquet = read_parquet(files, name_of(seed), 10, 30)
        for name in ("centre", "heading", "velocity", "valid", "size", "kind"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(parquet, name))


def main(count):
    folder = Path(tempfile.mkdtemp(prefix="bench-store-"))
    files = folder / "parquet"
    files.mkdir()
    try:
        store = Store.create(str(folder / "road"))
        frames, rates = build(store, files, count)
        written = size_of(folder / "road")
        first = seconds(lambda: Store.open(store.uri).window(name_of(count // 2), 5.0, WINDOW))
        store = Store.open(store.uri)
        check_same(store, files, count)

        def window(seed, step):
            return store.window(name_of(seed), step / 10, WINDOW)

        def parquet(seed, step):
            return read_parquet(files, name_of(seed), step, 30)

        def whole(seed, _):
            return store.scene(name_of(seed))

        def parquet_whole(seed, _):
            return read_parquet(files, name_of(seed), 0, STEPS)

        rows = [
            access("3 s window, scene never read", count, window, parquet, is_warm=False),
            access("3 s window", count, window, parquet),
            access("3 s window and its map", count, lambda *p: window(*p).map, parquet),
            access("whole scene", count, whole, parquet_whole),
        ]
        vacuum = seconds(lambda: store.vacuum(keep=timedelta(0)))
        store = Store.open(store.uri)
        case = "never read, after a vacuum"
        rows.append(access(case, count, window, parquet, is_warm=False))
        check_same(store, files, count)
        raw = frames * RAW_BYTES
        facts = [
            {"what": "scenes", "value": count},
            {"what": "agent-frames", "value": frames},
            {"what": "add, agent-frames/s", "value": round(rates["ours"])},
            {"what": "Parquet files, agent-frames/s", "value": round(rates["parquet"])},
            {"what": "open and read a first window, ms", "value": first * 1e3},
            {"what": "vacuum, s", "value": vacuum},
            {"what": "size as written / raw float64", "value": written / raw},
            {"what": "size after a vacuum / raw float64", "value": size_of(store.uri) / raw},
            {"what": "Parquet size / raw float64", "value": size_of(files) / raw},
        ]
    finally:
        shutil.rmtree(folder)
    print_rows(f"{count} made-up scenes of {AGENTS} agents and {LENGTH:.0f} s", facts)
    print_rows("random access (ratio above 1: ours is faster)", rows)
    if count == 1000:
        print(f"\nwritten to {write_results('store', [*facts, *rows])}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
