"""A small road with its truth, and what a detector saw of it: misses, ghosts, noise and a long gap."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from kerbstone.scene import wrap_angle

STEPS = 120
CARS = 4
HIDDEN = (40, 62)
"""Between these steps the first car is not seen."""


def true_rows(seed: int) -> dict[str, np.ndarray]:
    """Return cars that drive straight on beside one another, and a pedestrian who waits."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(CARS + 1), STEPS)
    step = np.tile(np.arange(STEPS), CARS + 1)
    speed = np.append(rng.uniform(5, 12, CARS), 0.0)[who]
    heading = np.append(rng.uniform(-0.05, 0.05, CARS), 1.0)[who]
    start = np.append(np.arange(CARS) * 8.0, 50.0)[who]
    away = speed * step * 0.1
    size = np.array([[4.4, 1.8, 1.5]] * CARS + [[0.6, 0.6, 1.8]])[who]
    return {
        "who": who,
        "step": step,
        "x": away * np.cos(heading),
        "y": start + away * np.sin(heading),
        "heading": heading,
        "speed": speed,
        "size": size,
    }


def write_truth(path: Path, seed: int) -> Path:
    """Write the true road users as a table that `ingest` reads."""
    rows = true_rows(seed)
    is_car = rows["who"] < CARS
    table = pa.table(
        {
            "time_s": rows["step"] * 0.1,
            "agent": [f"t{who}" for who in rows["who"]],
            "kind": np.where(is_car, "car", "pedestrian"),
            "x": rows["x"],
            "y": rows["y"],
            "z": rows["size"][:, 2] / 2,
            "heading": rows["heading"],
            "length": rows["size"][:, 0],
            "width": rows["size"][:, 1],
            "height": rows["size"][:, 2],
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.csv.write_csv(table, path)
    return path


def detected_table(log: str, seed: int) -> pa.Table:
    """Return what a detector saw of a road."""
    rng = np.random.default_rng(seed + 1000)
    rows = true_rows(seed)
    seen = rng.random(len(rows["who"])) < 0.9
    seen &= ~((rows["who"] == 0) & (rows["step"] >= HIDDEN[0]) & (rows["step"] < HIDDEN[1]))
    count = int(seen.sum())
    flipped = rng.random(count) < 0.05
    heading = rows["heading"][seen] + rng.normal(0, 0.03, count) + np.where(flipped, np.pi, 0)
    ghosts = 60
    ghost = {
        "step": rng.integers(0, STEPS, ghosts),
        "x": rng.uniform(0, 100, ghosts),
        "y": rng.uniform(-20, 60, ghosts),
    }
    size = np.concatenate(
        [
            rows["size"][seen] * np.exp(rng.normal(0, 0.03, (count, 3))),
            np.tile([4.4, 1.8, 1.5], (ghosts, 1)),
        ]
    )
    kind = np.concatenate(
        [np.where(rows["who"][seen] < CARS, "car", "pedestrian"), np.full(ghosts, "car")]
    )
    return pa.table(
        {
            "log": [log] * (count + ghosts),
            "time_ns": np.concatenate([rows["step"][seen], ghost["step"]]) * 100_000_000,
            "x": np.concatenate([rows["x"][seen] + rng.normal(0, 0.1, count), ghost["x"]]),
            "y": np.concatenate([rows["y"][seen] + rng.normal(0, 0.1, count), ghost["y"]]),
            "z": size[:, 2] / 2,
            "heading": np.asarray(
                wrap_angle(np.concatenate([heading, rng.uniform(-3, 3, ghosts)]))
            ),
            "length": size[:, 0],
            "width": size[:, 1],
            "height": size[:, 2],
            "kind": kind,
            "score": np.concatenate([rng.beta(8, 2, count), rng.beta(2, 5, ghosts)]),
        }
    )


def write_detections(path: Path, *roads: tuple[str, int]) -> Path:
    """Write what was seen of some roads (log and seed) as one Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.concat_tables([detected_table(log, seed) for log, seed in roads]), path)
    return path
