"""Labels of simulated roads against their exact truth, before and after the offline pass.

    python benchmarks/bench_label_simulated.py [--folder FOLDER] [--duration S] [--seed S]

All traffic is simulated with SUMO, and so are the detections. A profile is learned on some towns
(grid, spider, motorway) and labels are judged in others (roundabouts, berlin, braunschweig), with
traffic on both sides. Reported, each over all held-out logs:

- HOTA, MOTA, IDF1 and identity switches of the online pass alone, with the boxes as detected and
  the same detections that the labels keep, and of the labels; by 3D overlap (0.5 for MOTA);
- the error of place, heading and velocity of detections and of labels, over the same cells: those
  that were detected. The velocity of detections is that of differences of neighbouring ones;
- how far confidence and truth differ (ECE), and how often deviations hold.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from held_out_towns import add_arguments, held_out, learn, true_agents
from kerbstone.formats.detections import DetectedLog, read_detections, stored_detections
from kerbstone.label import LabelConfig, Labels, label_detections
from kerbstone.label.association import Association
from kerbstone.label.confidence import expected_calibration_error
from kerbstone.label.metrics import (
    Comparison,
    TrackedBoxes,
    compare_boxes,
    score_clear,
    score_hota,
    score_identity,
)
from kerbstone.scene import BoxIndex, Scene, derive_velocity, pack_boxes, wrap_angle
from kerbstone.store import Store
from timing import print_rows, write_results


@dataclass(frozen=True, eq=False)
class Judged:
    """One log: what was seen, what was said, and what was there."""

    log: DetectedLog
    labels: Labels
    found: Association
    truth: Scene
    agent: np.ndarray


def true_boxes(truth: Scene, reach: np.ndarray) -> TrackedBoxes:
    """Return true cells; those that the car could not see count neither way."""
    agents = truth.agents
    agent, step = np.nonzero(agents.valid)
    kept = agent != truth.ego
    agent, step = agent[kept], step[kept]
    boxes = pack_boxes(agents.centre[agent, step], agents.heading[agent, step], agents.size[agent])
    return TrackedBoxes(step, agent, boxes, neutral=~reach[agent, step])


def seen_cells(judged: Judged, store: Store) -> np.ndarray:
    """Return which true cells count: visible by a third and within 60 m."""
    rows = store.rows("visibility", filter=f"scene_id = '{judged.log.name}'")
    rank = {agent: row for row, agent in enumerate(judged.truth.agents.ids)}
    agent = np.array([rank[each] for each in rows["agent"].to_pylist()], np.int64)
    clock = judged.truth.clock
    step = (rows["time_ns"].to_numpy() - clock.start_ns) // clock.dt_ns
    good = (rows["visible"].to_numpy() > 0.33) & (rows["distance"].to_numpy() < 60.0)
    seen = np.zeros(judged.truth.agents.valid.shape, bool)
    seen[agent[good], step[good]] = True
    return seen


def score(compared: list[Comparison]) -> dict[str, float]:
    """Return HOTA, MOTA, IDF1 and identity switches of all logs together."""
    settled = [each.settle_neutral(0.3) for each in compared]
    hota = sum((score_hota(each) for each in settled[1:]), score_hota(settled[0])).summarise()
    clear = sum((score_clear(each) for each in settled[1:]), score_clear(settled[0])).summarise()
    identity = [score_identity(each) for each in settled]
    idf1 = sum(identity[1:], identity[0]).summarise()
    return {
        "HOTA": hota["HOTA"],
        "DetA": hota["DetA"],
        "AssA": hota["AssA"],
        "MOTA": clear["MOTA"],
        "IDF1": idf1["IDF1"],
        "switches": clear["IDSW"],
        "switches_per_100_true": 100 * clear["IDSW"] / (clear["CLR_TP"] + clear["CLR_FN"]),
    }


def errors(judged: Judged) -> dict[str, np.ndarray]:
    """Return errors of the cells that were detected, before and after."""
    labels, seen, agents = judged.labels, judged.log.detections, judged.truth.agents
    cell = np.flatnonzero(labels.row >= 0)
    row = labels.row[cell]
    who = judged.agent[row]
    real = who >= 0
    cell, row, who = cell[real], row[real], who[real]
    step = labels.step[cell]
    true = agents.centre[who, step]
    raw = np.full((len(labels.ids), seen.clock.steps, 3), np.nan)
    raw[labels.agent[cell], step] = seen.box[row, :3]
    speed = derive_velocity(raw, np.isfinite(raw[..., 0]), seen.clock.dt)[labels.agent[cell], step]

    def off(place: np.ndarray) -> np.ndarray:
        return np.hypot(*(place[:, :2] - true[:, :2]).T)

    def turned(heading: np.ndarray) -> np.ndarray:
        return np.abs(np.asarray(wrap_angle(heading - agents.heading[who, step])))

    def rushed(velocity: np.ndarray) -> np.ndarray:
        return np.hypot(*(velocity - agents.velocity[who, step]).T)

    return {
        "place_before": off(seen.box[row]),
        "place_after": off(labels.place[cell]),
        "heading_before": turned(seen.box[row, BoxIndex.HEADING]),
        "heading_after": turned(labels.heading[cell]),
        "velocity_before": rushed(speed),
        "velocity_after": rushed(labels.velocity[cell]),
        "claimed": np.hypot(labels.std[cell, 0], labels.std[cell, 1]) / np.sqrt(2),
        "stands": np.hypot(*agents.velocity[who, step].T) < 0.1,
    }


def confidence(judged: list[Judged], all_labels: list[Labels]) -> dict[str, float]:
    """Return how far confidence and truth differ, over all cells, kept or not."""
    said, met = [], []
    for each, labels in zip(judged, all_labels, strict=True):
        agents = each.truth.agents
        agent, step = np.nonzero(agents.valid)
        kept = agent != each.truth.ego
        agent, step = agent[kept], step[kept]
        boxes = pack_boxes(
            agents.centre[agent, step], agents.heading[agent, step], agents.size[agent]
        )
        compared = compare_boxes(
            TrackedBoxes(step, agent, boxes),
            TrackedBoxes(labels.step, labels.agent, labels.boxes()),
        )
        truth = np.argsort(step, kind="stable")[compared.pair_truth]
        cell = np.argsort(labels.step, kind="stable")[compared.pair_predicted]
        same = agents.kind[agent[truth]] == labels.kind[labels.agent[cell]]
        overlap = np.zeros(len(labels))
        np.maximum.at(overlap, cell[same], compared.similarity[same])
        said.append(labels.confidence)
        met.append(overlap > 0.5)
    chance, right = np.concatenate(said), np.concatenate(met)
    kept = chance > 0.05
    return {
        "ece_all": expected_calibration_error(chance, right),
        "ece_above_0.05": expected_calibration_error(chance[kept], right[kept]),
        "brier": float(((chance - right) ** 2).mean()),
        "cells": len(chance),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_arguments(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        run(folder, arguments)


def run(folder: Path, arguments: argparse.Namespace) -> None:
    other, profile = held_out(folder, arguments), learn(folder, arguments)
    judged, everything = [], []
    for source in stored_detections(other):
        log, truth = read_detections(source), other.scene(source.log)
        labels, found = label_detections(log.detections, log.scene, profile)
        whole, _ = label_detections(log.detections, log.scene, profile, LabelConfig(keep=0.0))
        judged.append(Judged(log, labels, found, truth, true_agents(other, log, truth)))
        everything.append(whole)
    online, offline = [], []
    for each in judged:
        there = true_boxes(each.truth, seen_cells(each, other))
        labels, seen = each.labels, each.log.detections
        kept = labels.row[labels.row >= 0]
        online.append(
            compare_boxes(
                there, TrackedBoxes(seen.step[kept], each.found.online[kept], seen.box[kept])
            )
        )
        offline.append(
            compare_boxes(there, TrackedBoxes(labels.step, labels.agent, labels.boxes()))
        )
    before, after = score(online), score(offline)
    parts = [errors(each) for each in judged]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    rows: list[dict[str, Any]] = [
        {"what": name, "before": before[name], "after": after[name]} for name in before
    ]
    for name in ("place", "heading", "velocity"):
        first, last = whole[f"{name}_before"], whole[f"{name}_after"]
        known_ = np.isfinite(first) & np.isfinite(last)
        for part, cells in (("", known_), (" moving", known_ & ~whole["stands"])):
            rows.append(
                {
                    "what": f"{name} RMSE{part}",
                    "before": float(np.sqrt((first[cells] ** 2).mean())),
                    "after": float(np.sqrt((last[cells] ** 2).mean())),
                }
            )
    for row in rows:
        row["ratio"] = row["after"] / row["before"] if row["before"] else float("nan")
    print_rows("labels of held-out towns (simulated)", rows)
    sure = confidence(judged, everything)
    sure["std_covers_68"] = float((whole["place_after"] < 1.51 * whole["claimed"]).mean())
    print({name: round(value, 4) for name, value in sure.items()})
    write_results("label_simulated", [*rows, {"what": "confidence", **sure}])


if __name__ == "__main__":
    main()
