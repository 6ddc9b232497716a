"""Simulated towns that labels are judged in, and those that their profile is learned from."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from kerbstone.formats.detections import DetectedLog, read_detections, stored_detections
from kerbstone.formats.sumo import SimulationConfig, simulate_roads, vary_config
from kerbstone.label import Example, Profile, fit_profile, read_profile, write_profile
from kerbstone.scene import Scene
from kerbstone.store import Store

LEARNED = ("grid", "spider", "motorway")
HELD_OUT = ("roundabouts", "berlin", "braunschweig")
_ABOUT = """Learned from simulated roads: grid, spider and motorway towns, traffic on both sides,
by benchmarks/bench_label_simulated.py."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says which logs are made."""
    parser.add_argument("--folder", type=Path, help="kept and used again, if given")
    parser.add_argument("--duration", type=float, default=180.0)
    parser.add_argument("--seed", type=int, default=501)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--profile", type=Path, help="write the learned profile here")
    parser.add_argument("--use", help="a profile to judge, instead of learning one")


def held_out(folder: Path, arguments: argparse.Namespace) -> Store:
    """Return the store of the towns to judge in."""
    return simulate(
        folder / "held", HELD_OUT, arguments.duration, arguments.seed + 1, arguments.workers
    )


def simulate(
    folder: Path, towns: tuple[str, ...], duration: float, seed: int, workers: int
) -> Store:
    """Return a store of simulated logs of some towns, one for each side."""
    base = SimulationConfig(seed=seed, duration=duration, agents=100)
    configs = vary_config(base, towns=towns, sides=("right", "left"), logs=2 * len(towns))
    simulate_roads(configs, folder / "road", folder=folder / "logs", workers=workers)
    return Store.open(str(folder / "road"))


def true_agents(store: Store, log: DetectedLog, truth: Scene) -> np.ndarray:
    """Return the true agent of each detection, as a row of the truth, or -1 for a ghost."""
    rows = store.rows("detections", filter=f"scene_id = '{log.name}'")
    told = store.rows("detection_truth", filter=f"scene_id = '{log.name}'")
    agent_of = dict(zip(told["detection"].to_pylist(), told["agent"].to_pylist(), strict=True))
    rank = {agent: row for row, agent in enumerate(truth.agents.ids)}
    key = np.column_stack([rows[name].to_numpy() for name in ("time_ns", "x", "y")])
    place = {
        tuple(each): n for each, n in zip(key.tolist(), rows["detection"].to_pylist(), strict=True)
    }
    seen = log.detections
    times = seen.clock.times_ns[seen.step]
    found = np.full(len(seen), -1)
    for row in range(len(seen)):
        number = place[float(times[row]), float(seen.box[row, 0]), float(seen.box[row, 1])]
        found[row] = rank.get(agent_of[number], -1) if agent_of[number] is not None else -1
    return found


def learn(folder: Path, arguments: argparse.Namespace) -> Profile:
    """Return the profile that the towns to learn from tell, or the one that is to be used."""
    if arguments.use:
        return read_profile(arguments.use)
    known = simulate(
        folder / "learned", LEARNED, arguments.duration, arguments.seed, arguments.workers
    )
    began = time.perf_counter()
    examples = []
    for source in stored_detections(known):
        log = read_detections(source)
        examples.append(Example(log.detections, log.scene, known.scene(source.log)))
    profile = fit_profile(examples)
    print(f"learned from {len(examples)} scenes in {time.perf_counter() - began:.0f} s")
    if arguments.profile:
        write_profile(profile, arguments.profile, about=_ABOUT)
    return profile
