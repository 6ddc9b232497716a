r"""Criticality measures against CommonRoad-CriMe and ad-rss, and how long they take on a log.

    python benchmarks/bench_criticality.py [FOLDER OF THE LOG] [--peers PYTHON]

PYTHON is the interpreter of an environment that has both peers, which do not get along with ours:

    pip install --no-deps commonroad-crime==0.4.5 commonroad-io==2024.3 commonroad-clcs==2025.2.0 \
        commonroad-drivability-checker==2025.3.1 commonroad-route-planner==2025.1.0 \
        commonroad-vehicle-models==3.0.2 commonroad-reach==2025.2.1
    pip install protobuf==3.20.2 'osqp<0.7' polygon3 casadi omegaconf networkx lxml iso3166 rtree \
        matplotlib scipy 'shapely<3' tqdm imageio cython opencv-python-headless seaborn ad-rss

(Without `--no-deps`, pip finds no set of versions that satisfies all of them.) Without `--peers`
only the times are measured. Milliseconds are the processor's, for all pairs of vehicles of the
log at all times; the lanes that everyone is on are found before.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from kerbstone.formats import find_logs, get_format
from kerbstone.lang import Facts, known_signals
from kerbstone.lang.signals.conflict import HARDEST_BRAKING
from kerbstone.lang.signals.evasion import course_of, latest_start
from kerbstone.lang.signals.safe_distances import (
    PARAMETERS,
    safe_distance_aside,
    safe_distance_behind,
    safe_distance_head_on,
)
from kerbstone.scene import NS_PER_S, VEHICLES, Agents, Clock, Kind, Scene, Source
from timing import print_rows, write_results

LOG = Path(__file__).parents[2] / "shared/data/av2/3b3570b4-7b0b-3268-a571-b0889dbf40b6"
PEER = Path(__file__).with_name("crime_peer.py")
SIGNALS = (
    "time_to_collision",
    "time_to_collision_turning",
    "time_headway",
    "post_encroachment_time",
    "required_deceleration",
    "required_lateral_acceleration",
    "time_to_react",
    "rss_longitudinal_margin",
    "rss_lateral_margin",
    "rss_unsafe",
)
DT, STEPS = 0.1, 100
STEP_TIMES = "in whole steps of 0.1 s"


def user(x, y, degrees, speed):
    heading = math.radians(degrees)
    return {"x": x, "y": y, "heading": heading, "speed": speed, "length": 4.0, "width": 2.0}


def street():
    lanes = [
        {"id": 10 + k, "start": [-50, 4.0 * k], "end": [400, 4.0 * k], "width": 4.0, "next": []}
        for k in (0, 1)
    ]
    lanes[0]["left"] = 11
    return {"lanes": lanes, "incoming": []}


def crossing(width):
    """Two lanes that cross at the origin, each in three parts, of which the second is inside."""
    lanes = []
    for first, turned in ((10, False), (20, True)):
        for part, ends in enumerate(((-150, -30), (-30, 30), (30, 150))):
            start, end = ([0, s] if turned else [s, 0] for s in ends)
            after = [first + part + 1] if part < 2 else []
            lane = {"id": first + part, "start": start, "end": end, "width": width, "next": after}
            lanes.append(lane | {"inside": part == 1})
    return {"lanes": lanes, "incoming": [[10, 11], [20, 21]]}


# Where a lane is as wide as a car, the lanes share what the cars sweep, and CriMe's conflict area
# is ours. (CriMe fails on a place that is exactly on a centre line, so nothing is round there.)
WIDE, NARROW = crossing(8.0), crossing(2.0)
CASES = {
    "following": street() | {"a": user(34, 0, 0, 5), "b": user(0, 0, 0, 15)},
    "standing ahead": street() | {"a": user(34, 0, 0, 0), "b": user(0, 0, 0, 15)},
    "falling back": street() | {"a": user(34, 0, 0, 20), "b": user(0, 0, 0, 15)},
    "cut-in": street() | {"a": user(24, 2, -4, 10), "b": user(0, 0, 0, 15)},
    "oncoming": street() | {"a": user(80, 0, 180, 10), "b": user(0, 0, 0, 10)},
    "crossing, collision": WIDE | {"a": user(0, -26, 90, 10), "b": user(-30, 0, 0, 10)},
    "crossing": NARROW | {"a": user(0.01, -26.05, 90, 10), "b": user(-60.05, 0.01, 0, 10)},
    "crossing, slower": NARROW | {"a": user(0.01, -56.07, 90, 10), "b": user(-67.03, 0.01, 0, 8)},
}
CAR_FOLLOWING = ("following", "standing ahead", "falling back", "cut-in")
NOT_ALONG = "CriMe goes along the lane, whatever the lateral offset and heading"
LATE = "CriMe has the braked path a step late (its first state twice), so b lets a pass"
AGAINST = "CriMe takes the lane's direction for everyone's"
COMPARISONS = [
    # signal, CriMe's measure, its factor, cases, tolerance, what the tolerance is for
    ("time_to_collision", "TTC", 1, CAR_FOLLOWING, 0.01, "rounded to 0.01 s"),
    ("time_to_collision", "TTC", 1, ("oncoming",), 0.01, ""),
    ("time_to_collision", "TTC", 1, ("crossing, collision",), 0.01, ""),
    (
        "time_to_collision",
        "TTCStar",
        1,
        (*CAR_FOLLOWING, "oncoming", "crossing, collision"),
        0.1,
        STEP_TIMES,
    ),
    ("time_headway", "THW", 1, CAR_FOLLOWING, 0.1, STEP_TIMES),
    ("required_deceleration", "ALongReq", -1, (*CAR_FOLLOWING, "oncoming"), 0.005, "rounded"),
    ("required_lateral_acceleration", "ALatReq", 1, CAR_FOLLOWING, 0.005, "rounded"),
    (
        "time_to_react, braking",
        "TTB",
        1,
        (*CAR_FOLLOWING, "crossing, collision"),
        0.3,
        "CriMe: whole steps, jerk of 25 m/s3",
    ),
    (
        "time_to_react",
        "TTR",
        1,
        ("following", "falling back", "standing ahead", "crossing, collision"),
        0.3,
        "the same",
    ),
    (
        "post_encroachment_time",
        "PET",
        1,
        ("crossing", "crossing, slower"),
        0.2,
        "CriMe: from a step after leaving to a step before entering",
    ),
]
DELIBERATE = {
    ("time_to_collision", "TTC", "cut-in"): NOT_ALONG,
    ("time_to_collision", "TTC", "oncoming"): AGAINST,
    ("time_to_collision", "TTC", "crossing, collision"): "CriMe: only in one lane (see TTCStar)",
    ("time_headway", "THW", "cut-in"): "ours: a is not in b's strip yet, and there are no lanes",
    ("required_deceleration", "ALongReq", "falling back"): (
        "CriMe squares the speed at which a falls back or draws away alike"
    ),
    ("required_deceleration", "ALongReq", "cut-in"): NOT_ALONG,
    ("required_deceleration", "ALongReq", "oncoming"): AGAINST,
    ("required_lateral_acceleration", "ALatReq", "cut-in"): (
        "CriMe takes the offset of b from itself, so 0"
    ),
    ("time_to_react, braking", "TTB", "crossing, collision"): LATE,
    ("time_to_react", "TTR", "crossing, collision"): LATE,
    ("time_to_react", "TTR", "standing ahead"): (
        "CriMe steers 0.8 m aside in all, which clears no car; ours can steer"
    ),
}


def scene_of(case):
    """Return the case as one of our scenes: a, then b."""
    users = [case["a"], case["b"]]
    heading = np.array([[u["heading"]] * STEPS for u in users])
    speed = np.array([u["speed"] for u in users])[:, None, None]
    velocity = speed * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    centre = np.zeros((2, STEPS, 3))
    centre[..., :2] = velocity * DT * np.arange(STEPS)[None, :, None]
    centre[..., :2] += np.array([[u["x"], u["y"]] for u in users])[:, None]
    return Scene(
        id="made/case",
        clock=Clock(0, round(DT * NS_PER_S), STEPS),
        agents=Agents(
            ids=("a", "b"),
            kind=np.full(2, Kind.CAR, np.uint8),
            label=("car", "car"),
            size=np.array([[u["length"], u["width"], 1.5] for u in users]),
            centre=centre,
            heading=heading,
            velocity=velocity,
            valid=np.ones((2, STEPS), bool),
        ),
        ego=None,
        source=Source("made", "case"),
    )


def our_value(name, case):
    """Return a signal at the first step; PET as the least over time."""
    facts, a, b = Facts(scene_of(case)), np.array([0]), np.array([1])
    if name == "time_to_react, braking":
        course = course_of(facts, a, b)
        wait = latest_start(course.edge(-1.0), HARDEST_BRAKING, course.second.speed)
        values = course.spread(np.where(wait >= 0, wait, -np.inf), otherwise=np.inf)
    else:
        values = known_signals()[name].measure(facts, a, b)
    if name == "post_encroachment_time":
        return float(min(values.min(), known_signals()[name].measure(facts, b, a).min()))
    return float(values[0, 0])


def distances_of_rss(rng, count=200):
    """Give tasks for ad-rss at random, and what we make of them."""
    tasks, ours = {}, {}
    p = PARAMETERS
    parameters = asdict(p)
    for k in range(count):
        along, across = rng.uniform(0, 40, 2), rng.uniform(-1.5, 1.5, 2)
        arrays = [np.array([value]) for value in along]
        aside = [np.array([value]) for value in across]
        times = {"b": p.response_time, "a": p.other_response_time}
        users = {
            who: {"along": along[i], "across": across[i], "response_time": times[who]}
            for i, who in enumerate(("b", "a"))
        }
        for name, function, first, second, found in (
            (
                "behind",
                "calculateSafeLongitudinalDistanceSameDirection",
                users["a"],
                users["b"],
                safe_distance_behind(*arrays),
            ),
            (
                "head-on, b right",
                "calculateSafeLongitudinalDistanceOppositeDirection",
                users["b"],
                users["a"],
                safe_distance_head_on(*arrays, np.array([True])),
            ),
            (
                "head-on, a right",
                "calculateSafeLongitudinalDistanceOppositeDirection",
                users["a"],
                users["b"],
                safe_distance_head_on(*arrays, np.array([False])),
            ),
            (
                # In ad-rss positive is to the right; b is the right one, and a comes from its left.
                "aside",
                "calculateSafeLateralDistance",
                users["a"],
                users["b"],
                safe_distance_aside(-aside[0], aside[1]) - p.fluctuation,
            ),
        ):
            task = {"function": function, "first": first, "second": second}
            tasks[f"{name}/{k}"] = task | {"parameters": parameters}
            ours[f"{name}/{k}"] = float(found[0])
    return tasks, ours


def ask_peers(python, rss):
    """Run the peers' own script in their environment."""
    wanted = {name: set() for name in CASES}
    for _, measure, _, cases, *_ in COMPARISONS:
        for case in cases:
            wanted[case].add(measure)
    cases = {
        name: case | {"dt": DT, "steps": STEPS, "measures": sorted(wanted[name])}
        for name, case in CASES.items()
    }
    task = json.dumps({"crime": cases, "rss": rss})
    done = subprocess.run(
        [python, str(PEER)], input=task, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def compare_measures(found):
    """Return a row for each measure and case."""
    rows = []
    for name, measure, factor, cases, tolerance, why in COMPARISONS:
        for case in cases:
            ours, peer = our_value(name, CASES[case]), found[case][measure]
            theirs = math.nan if isinstance(peer, str) else factor * peer + 0.0
            apart = 0.0 if ours == theirs else ours - theirs
            same = abs(apart) <= tolerance + 1e-9
            named = DELIBERATE.get((name, measure, case), "")
            rows.append(
                {
                    "measure": name,
                    "case": case,
                    "ours": written(ours),
                    "crime": measure,
                    "theirs": peer if isinstance(peer, str) else written(theirs),
                    "difference": written(apart),
                    "tolerance": tolerance,
                    "agrees": "yes" if same else "no, on purpose" if named else "NO",
                    "note": why if same else named,
                }
            )
    return rows


def compare_rss(found, ours):
    """Return how far ad-rss is off at most, for each kind of distance."""
    rows = []
    for name in dict.fromkeys(key.split("/")[0] for key in ours):
        keys = [key for key in ours if key.startswith(f"{name}/")]
        apart = max(abs(ours[key] - found[key]) for key in keys)
        rows.append({"distance": name, "states": len(keys), "largest_difference_m": apart})
    return rows


def written(value):
    return round(value, 4) if math.isfinite(value) else str(value)


def time_signals(folder):
    """Return a row for each signal: all pairs of vehicles of a log at all times."""
    (log,) = find_logs([str(folder)])
    (scene,) = get_format(log.format).read(log)
    facts = Facts(scene)
    rows = np.flatnonzero(scene.agents.is_kind(*VEHICLES))
    a, b = (part.ravel() for part in np.meshgrid(rows, rows, indexing="ij"))
    a, b = a[a != b], b[a != b]
    print(f"{len(rows)} vehicles, {len(a)} pairs, {scene.clock.steps} steps")
    table = []
    for name in SIGNALS:
        times = []
        for _ in range(8):
            facts._recent.clear()  # noqa: SLF001 - what other signals left there must not help
            start = time.process_time()
            values = known_signals()[name].measure(facts, a, b)
            times.append(time.process_time() - start)
        low, median, high = statistics.quantiles(times[1:], n=4, method="inclusive")
        table.append(
            {
                "measure": name,
                "cpu_ms": median * 1e3,
                "cpu_ms_spread": (high - low) * 1e3,
                "cells": values.size,
            }
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=LOG)
    parser.add_argument("--peers", help="interpreter of the environment that has the peers")
    arguments = parser.parse_args()
    written_rows = []
    if arguments.peers:
        tasks, ours = distances_of_rss(np.random.default_rng(0))
        found = ask_peers(arguments.peers, tasks)
        measures = compare_measures(found["crime"])
        print_rows("CommonRoad-CriMe", measures)
        distances = compare_rss(found["rss"], ours)
        print_rows("ad-rss", distances)
        written_rows += measures + distances
    if arguments.folder.exists():
        times = time_signals(arguments.folder)
        print_rows("all pairs of vehicles", times)
        written_rows += times
    print(f"\nwritten to {write_results('criticality', written_rows)}")


if __name__ == "__main__":
    main()
