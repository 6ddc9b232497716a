"""Search by example, rarity, selection and intervals: how long they take, and how good they are.

    python benchmarks/bench_choice.py [VECTORS]

The vectors are made up: 112 values in 300 clusters of random size, as many as asked for (100,000 if
not said). Lance's search is held against NumPy's, which compares all; the selection of 100 and the
rarity of all are timed whole, with the memory that the process came to use. The intervals of rates
are drawn from clustered counts, and it is counted how often they hold the truth.

    python benchmarks/bench_choice.py --events STORE

prints, for a simulated store with planted events, how often the ten nearest moments of other logs
show an event of the same kind, beside how often any moment of other logs does.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import time
from collections import defaultdict

import numpy as np

from kerbstone.mine.greedy import Facility, choose_centres, choose_facilities, near_distance
from kerbstone.mine.moments.describing import describe
from kerbstone.mine.moments.embeddings import nearest, put_vectors, read_vectors
from kerbstone.mine.rarity import measure_rarity
from kerbstone.mine.rates import estimate_rate, poisson_interval
from kerbstone.store import Store
from kerbstone.store.vectors import EXACT_BELOW
from timing import measure, print_rows, write_results

SIZE, CLUSTERS, CHOSEN, QUERIES, TOP = 112, 300, 100, 20, 20
PER_LOG = 1000


def draw(count):
    rng = np.random.default_rng(0)
    centres = 0.1 * rng.normal(size=(CLUSTERS, SIZE))
    cluster = rng.choice(CLUSTERS, size=count, p=rng.dirichlet(np.ones(CLUSTERS)))
    return (centres[cluster] + 0.05 * rng.normal(size=(count, SIZE))).astype(np.float32)


def fill(store, vectors):
    from kerbstone.scene import Agents, Clock, Scene, Source

    for first in range(0, len(vectors), PER_LOG):
        log = f"log-{first:09d}"
        part = vectors[first : first + PER_LOG]
        clock = Clock(0, 100_000_000, 10)
        store.add(
            [Scene(log, clock, Agents.empty(10), None, Source("made", log))],
            log=log,
            fingerprint="1",
        )
        put_vectors(
            store,
            "made",
            log=log,
            version="1",
            scenes=[log] * len(part),
            start=np.arange(len(part), dtype=float),
            duration=np.ones(len(part)),
            vectors=part,
        )


def bench_search(count):
    folder = tempfile.mkdtemp()
    try:
        store = Store.create(folder)
        vectors = draw(count)
        fill(store, vectors)
        queries = vectors[:: max(count // QUERIES, 1)][:QUERIES] + np.float32(0.01)
        order = [np.argsort(((vectors - q) ** 2).sum(axis=1), kind="stable")[:TOP] for q in queries]
        start = time.perf_counter()
        is_indexed = store.index_vectors("embeddings_made")
        indexed = time.perf_counter() - start
        found = nearest(store, queries, embedding="made", top=TOP).to_pylist()
        hits = sum(
            int(row["scene"][4:]) + int(row["start"]) in order[row["query"]] for row in found
        )
        one = measure(lambda: nearest(store, queries[:1], embedding="made", top=TOP))
        return [
            {"what": f"vectors ({'indexed' if is_indexed else 'all compared'})", "value": count},
            {"what": "build the index, s", "value": indexed if is_indexed else 0.0},
            {"what": f"nearest {TOP}, ms", "value": one.median_s * 1e3},
            {"what": f"of the true nearest {TOP}, share found", "value": hits / (QUERIES * TOP)},
        ]
    finally:
        shutil.rmtree(folder)


def timed(function):
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return result, {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_mb": peak,
    }


def bench_choice(count):
    vectors = draw(count)
    weight = np.random.default_rng(1).random(count)
    rows = []
    everything, nothing = np.arange(count), np.zeros(0, np.int64)

    def locate():
        facility = Facility(
            vectors, weight=weight, bonus=0.5 * weight / CHOSEN, radius=near_distance(vectors)
        )
        return choose_facilities(facility, CHOSEN, everything, given=nothing)

    def centre():
        return choose_centres(vectors, CHOSEN, everything, weight=weight, given=nothing)

    for case, function in (
        (f"facility location, {CHOSEN} of {count}", locate),
        (f"k-centre, {CHOSEN} of {count}", centre),
        (f"rarity of {count}", lambda: measure_rarity(vectors, everything // PER_LOG)),
    ):
        _, cost = timed(function)
        rows.append({"case": case, **cost})
    return rows


def bench_intervals(rounds=4000):
    rng = np.random.default_rng(0)
    rows = []
    for logs in (8, 20, 100):
        for shape, name in ((np.inf, "independent"), (0.5, "clustered")):
            exposures, rate = np.linspace(0.5, 2.0, logs), 2.0
            ours = poisson = 0
            for _ in range(rounds):
                mean = rate * exposures
                mean = mean if np.isinf(shape) else rng.gamma(shape, mean / shape)
                counts = rng.poisson(mean).astype(float)
                found = estimate_rate(counts, exposures)
                ours += found.low <= rate <= found.high
                low, high = np.divide(poisson_interval(counts.sum()), exposures.sum())
                poisson += low <= rate <= high
            rows.append(
                {
                    "counts": name,
                    "logs": logs,
                    "ours_hold": ours / rounds,
                    "poisson_hold": poisson / rounds,
                }
            )
    return rows


def measure_events(uri, top=10):
    """Print the precision of the nearest moments, kind by kind."""
    store = Store.open(uri)
    describe(store)
    rows = read_vectors(store)
    begin = {row["id"]: row["start_ns"] for row in store.scenes(["id", "start_ns"]).to_pylist()}
    events = [
        (row["kind"], row["scene_id"], *((row[t] - begin[row["scene_id"]]) / 1e9 for t in times))
        for times in [("start_ns", "end_ns")]
        for row in store.rows("events").to_pylist()
    ]
    ends = rows.start + rows.duration
    shows = {kind: np.zeros(len(rows), bool) for kind, *_ in events}
    for kind, scene, start, end in events:
        shows[kind] |= (rows.scene == scene) & (rows.start < end) & (ends > start)
    found = defaultdict(list)
    for kind, scene, start, end in events:
        own = np.flatnonzero(rows.scene == scene)
        query = own[np.abs(rows.start[own] + rows.duration[own] / 2 - (start + end) / 2).argmin()]
        apart = ((rows.values - rows.values[query]) ** 2).sum(axis=1)
        elsewhere = rows.log != rows.log[query]
        order = np.argsort(np.where(elsewhere, apart, np.inf), kind="stable")[:top]
        found[kind].append((shows[kind][order].mean(), shows[kind][elsewhere].mean()))
    found["all"] = [pair for kind in shows for pair in found[kind]]
    table = []
    for kind, pairs in found.items():
        precision, base = np.mean(pairs, axis=0)
        lift = precision / base if base else 0.0
        table.append(
            {
                "kind": kind,
                "events": len(pairs),
                "precision": precision,
                "base": base,
                "ratio": lift,
            }
        )
    print_rows(f"of the {top} nearest moments of other logs, those that show the same kind", table)


def main(count):
    search = [*bench_search(min(count, EXACT_BELOW // 2)), *bench_search(count)]
    choice, intervals = bench_choice(count), bench_intervals()
    print_rows("search", search)
    print_rows("choice", choice)
    print_rows("how often 95 % intervals hold the true rate", intervals)
    if count == 100_000:
        print(f"\nwritten to {write_results('choice', [*search, *choice, *intervals])}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--events"]:
        measure_events(sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
