"""Does a learned affinity track better than the hand-made one, in towns that it never saw?

    python benchmarks/bench_affinity.py [--logs FOLDER] [--duration 120] [--kitti FOLDER]

Towns are simulated with SUMO: some to tune and to learn in, others, of further seeds and two real
networks among them, to compare in. Five trackers differ in nothing but what a pair costs and in
their parameters:

- hand-made: the built-in cost and profile;
- hand-made, tuned: slack of the measurement noise, gate, acceleration, trial, lifetime and
  confusion of classes chosen by a search along one after the other, twice, for IDF1 + AssA in the
  training towns;
- hand-made, tuned, priced: the same cost, with a price for going alone, chosen likewise, in place
  of matching as many as fit: what a learned price could do without a learned cost;
- learned: an affinity learned in the training towns, on the built-in profile;
- learned, tuned: the same on the profile that was tuned for the hand-made cost.

Each detection is known to be of a road user or of nothing, so figures are of association alone:
no box is matched by where it is. Intervals are those of a bootstrap over the held-out logs, in
pairs. `--kitti` adds how fast the online pass is on PointRCNN's cars (the folder that holds
`pointrcnn_Car`). FOLDER keeps the simulated logs for the next time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from kerbstone.errors import KerbstoneError
from kerbstone.formats.detections import find_detections, read_detections
from kerbstone.formats.sumo import (
    SensorConfig,
    SimulationConfig,
    Sumo,
    simulate,
    simulate_detections,
)
from kerbstone.label.affinity import (
    Affinity,
    LabelledDetections,
    LearningConfig,
    initial_affinity,
    learn_affinity,
)
from kerbstone.label.metrics import Comparison, score_clear, score_hota, score_identity
from kerbstone.label.online import track_online
from kerbstone.label.profile import Profile
from kerbstone.scene import Clock, Detections, Kind
from timing import print_rows, write_results

TRAINING = ("grid", "spider", "roundabouts", "motorway")
HELD_OUT = (*TRAINING, "berlin", "braunschweig")
FULL = {"roundabouts": 110, "berlin": 200, "grid": 200}
"""Road users in the towns that cannot take as many as the others."""
POOR = SensorConfig(recall=0.9, noise=2.0, ghosts=5.0)
SETTINGS = {
    # crowded, sensor, every how many steps
    "2 Hz": (False, None, 5),
    "2 Hz, crowded, poor detector": (True, POOR, 5),
    "10 Hz": (False, None, 1),
    "10 Hz, crowded, poor detector": (True, POOR, 1),
}
GRID = {
    "slack": (1.0, 1.5, 2.0, 2.5, 3.5, 5.0),
    "gate": (9.0, 16.0, 25.0, 36.0),
    "acceleration": (0.25, 0.5, 1.0, 2.0),
    "trial": (0.3, 0.6, 1.0, 2.0, 4.0),
    "lifetime": (1.0, 1.5, 2.0, 3.0, 5.0, 8.0),
    "confusion": (0.02, 0.05, 0.15, 0.4, 1.0),
}
BUILT_IN = {name: getattr(Profile(), name, 1.0) for name in GRID}
PRICES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
Scores = list[tuple]


def configs_of(split: str, *, crowded: bool, duration: float) -> list[SimulationConfig]:
    """Return what to simulate; no two logs share a generated town."""
    first, towns = (0, TRAINING) if split == "training" else (100, HELD_OUT)
    places = [(side, town) for side in ("right", "left") for town in towns]
    return [
        SimulationConfig(
            town=town,
            side=side,
            seed=first + place,
            duration=duration,
            scene_duration=duration,
            agents=FULL.get(town, 240) if crowded else 100,
        )
        for place, (side, town) in enumerate(places)
    ]


def read_log(folder: Path, sensor: SensorConfig | None) -> LabelledDetections:
    """Return what the recording car detects in a simulated log, and who it is."""
    reader = Sumo()
    (found,) = reader.claim(folder, frozenset(path.name for path in folder.iterdir()))
    (scene,) = reader.read(found)
    seen = simulate_detections(scene, sensor)
    column = {
        name: seen.detections.column(name).to_numpy() for name in seen.detections.column_names
    }
    box = [column[name] for name in ("x", "y", "z", "heading", "length", "width", "height")]
    number = {name: agent for agent, name in enumerate(scene.agents.ids)} | {None: -1}
    agents = [number[name] for name in seen.truth.column("agent").to_pylist()]
    return LabelledDetections(
        Detections(
            clock=scene.clock,
            step=np.searchsorted(scene.clock.times_ns, column["time_ns"]).astype(np.int64),
            box=np.column_stack(box),
            kind=column["kind"].astype(np.uint8),
            score=column["score"],
        ),
        np.array(agents, np.int64),
        scene.source.town,
        scene.agents.centre[scene.ego, :, :2],
    )


def thin(log: LabelledDetections, every: int) -> LabelledDetections:
    """Return a log with only some of its steps."""
    found, clock = log.detections, log.detections.clock
    kept = found.step % every == 0
    slower = Clock(clock.start_ns, clock.dt_ns * every, -(-clock.steps // every))
    rest = found.select(kept)
    return LabelledDetections(
        replace(rest, clock=slower, step=rest.step // every),
        log.agent[kept],
        log.town,
        log.sensor[::every],
    )


def profile_of(changes: dict[str, float]) -> Profile:
    """Return the built-in profile for matching with some of it changed; acceleration by a factor."""
    changes = dict(changes)
    factor, plain = changes.pop("acceleration"), Profile()
    kinds = {
        kind: replace(
            plain.of(kind),
            acceleration=plain.of(kind).acceleration * factor,
            turning=plain.of(kind).turning * factor,
        )
        for kind in Kind
    }
    return replace(plain, kinds=kinds, **changes).matching


def score_logs(
    logs: Sequence[LabelledDetections], profile: Profile, affinity: Affinity | None = None
) -> Scores:
    """Track logs, and score how what was detected of each road user is kept together."""
    scores = []
    for log in logs:
        found = log.detections
        track = track_online(found, profile, sensor=log.sensor, affinity=affinity)
        real = np.flatnonzero(log.agent >= 0)
        _, agent = np.unique(log.agent[real], return_inverse=True)
        compared = Comparison(
            truth_frame=found.step[real],
            truth_track=agent,
            predicted_frame=found.step,
            predicted_track=track,
            score=found.score,
            pair_truth=np.arange(len(real)),
            pair_predicted=real,
            similarity=np.ones(len(real)),
            truth_neutral=np.zeros(len(real), bool),
            predicted_neutral=np.zeros(len(found), bool),
        )
        scores.append((score_hota(compared), score_clear(compared), score_identity(compared)))
    return scores


def summarise(scores: Scores) -> dict[str, float]:
    """Return the figures of several logs as one."""
    hota, clear, identity = (sum(part[1:], part[0]) for part in zip(*scores, strict=True))
    return {
        "IDSW": clear.switches,
        "IDF1": 100 * identity.idf1,
        "AssA": 100 * float(hota.ass_a.mean()),
    }


def tune(logs: Sequence[LabelledDetections]) -> tuple[dict[str, float], float]:
    """Search the hand-made cost's parameters along each in turn, twice; then a price of being alone."""

    def judge(changes: dict[str, float], affinity: Affinity | None = None) -> float:
        figures = summarise(score_logs(logs, profile_of(changes), affinity))
        return figures["IDF1"] + figures["AssA"]

    best, value = dict(BUILT_IN), judge(BUILT_IN)
    for _ in range(2):
        for name, choices in GRID.items():
            for choice in choices:
                tried = best | {name: choice}
                if choice != best[name] and (found := judge(tried)) > value:
                    best, value = tried, found
    return best, max(PRICES, key=lambda price: judge(best, initial_affinity(hidden=1, alone=price)))


def spread_of(scores: Scores, others: Scores, draws: int = 2000) -> dict[str, str]:
    """Return the differences of figures with their 95 % intervals over logs."""
    rng = np.random.default_rng(0)
    there = [
        {name: summarise([scores[i] for i in pick])[name] - value for name, value in base.items()}
        for pick in rng.integers(0, len(scores), (draws, len(scores)))
        for base in [summarise([others[i] for i in pick])]
    ]
    middle = {name: summarise(scores)[name] - value for name, value in summarise(others).items()}
    return {
        name: "{:+.2f} [{:+.2f}, {:+.2f}]".format(
            value, *np.quantile([draw[name] for draw in there], [0.025, 0.975])
        )
        for name, value in middle.items()
    }


def compare_setting(
    name: str, training: list[LabelledDetections], held: list[LabelledDetections]
) -> list[dict]:
    """Return a row for each tracker and for each comparison, in towns that were held out."""
    tuned, price = tune(training)
    chosen = ", ".join(f"{key} {value:g}" for key, value in tuned.items())
    chosen += f", price {price:g}"
    print(f"\n{name}: tuned to {chosen}", flush=True)
    profiles = {"": profile_of(BUILT_IN), ", tuned": profile_of(tuned)}
    found: dict[str, Scores] = {}
    rows = []
    for label, profile in profiles.items():
        found[f"hand-made{label}"] = score_logs(held, profile)
    priced = initial_affinity(hidden=1, alone=price)
    found["hand-made, tuned, priced"] = score_logs(held, profiles[", tuned"], priced)
    for label, profile in profiles.items():
        started = time.perf_counter()
        affinity = learn_affinity(training, profile, LearningConfig())
        taken = time.perf_counter() - started
        found[f"learned{label}"] = score_logs(held, profile, affinity)
        print(f"learned{label} in {taken:.0f} s", flush=True)
    detections = sum(int((log.agent >= 0).sum()) for log in held)
    for tracker, scores in found.items():
        row = {"setting": name, "tracker": tracker, "detections": detections, **summarise(scores)}
        rows.append(row)
    for ours, theirs in (
        ("learned, tuned", "hand-made, tuned"),
        ("learned", "hand-made"),
        ("learned, tuned", "hand-made, tuned, priced"),
    ):
        spread = spread_of(found[ours], found[theirs])
        rows.append(
            {"setting": name, "tracker": f"{ours} − {theirs}", "detections": chosen, **spread}
        )
    return rows


def time_online(folder: Path, affinity: Affinity) -> list[dict]:
    """Return how many frames of KITTI's cars the online pass does in a second."""
    found = find_detections([folder / "pointrcnn_Car"], logs=folder)
    logs = [read_detections(source).detections for source in found]
    frames = sum(log.clock.steps for log in logs)
    profile = Profile(confusion=0.0).matching
    rows = []
    for tracker, kind in (("hand-made", None), ("learned", affinity)):
        rates = []
        for _ in range(6):
            started = time.process_time()
            for log in logs:
                track_online(log, profile, affinity=kind)
            rates.append(frames / (time.process_time() - started))
        low, median, high = np.quantile(rates[1:], [0.25, 0.5, 0.75])
        row = {"tracker": tracker, "frames": frames, "frames_per_cpu_s": float(median)}
        rows.append(row | {"spread": float(high - low)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--logs", type=Path, help="folder to keep the simulated logs in")
    parser.add_argument("--duration", type=float, default=120.0)
    parser.add_argument("--kitti", type=Path, help="folder of KITTI tracking data")
    parser.add_argument("--setting", choices=list(SETTINGS), action="append")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = given.logs or Path(temporary)
        rows: list[dict] = []
        for name in given.setting or SETTINGS:
            crowded, sensor, every = SETTINGS[name]
            load = partial(load_logs, root, crowded=crowded, duration=given.duration)
            training, held = (
                [thin(read_log(folder, sensor), every) for folder in load(split)]
                for split in ("training", "held-out")
            )
            assert not {log.town for log in training} & {log.town for log in held}
            rows += compare_setting(name, training, held)
            print_rows(name, [row for row in rows if row["setting"] == name])
    if given.kitti:
        affinity = learn_affinity(training, Profile().matching, LearningConfig(rounds=1, epochs=1))
        speed = time_online(given.kitti, affinity)
        print_rows("Online pass, KITTI cars", speed)
        rows += speed
    print(f"\nwritten to {write_results('affinity', rows)}")


def load_logs(
    root: Path, split: str, *, crowded: bool, duration: float, make: Callable = simulate
) -> list[Path]:
    """Simulate the logs that are not there yet, and return the folders of all."""
    folders = []
    for config in configs_of(split, crowded=crowded, duration=duration):
        place = f"{split}-{config.town_name}-{config.agents}-{duration:g}"
        folder = root / place
        if not folder.exists():
            try:
                make(config, folder)
            except KerbstoneError as error:
                raise SystemExit(f"{place}: {error}") from error
        folders.append(folder)
    return folders


if __name__ == "__main__":
    main()
