"""Gaps of labels filled by the smoother and by a scene model, against the exact truth.

    python benchmarks/bench_label_gaps.py --model MODEL [--folder FOLDER] [--duration S] [--seed S]

All traffic and all detections are simulated; towns, logs and profile are those of
bench_label_simulated.py. MODEL is what `kerbstone pretrain` made, in other towns than these. Every
gap of the labels in held-out towns counts whose two ends are of one road user, by who moves and by
length. Reported, over the cells that the model was chosen to fill:

- `smoother`, `model`: root of the mean squared distance from the truth, and the median distance;
- `z smoother`, `z model`: root of the mean squared error in standard deviations, as the labels
  have them; 1 where they are right. The median counts as well: one gap that was closed wrongly
  counts for many in a mean of squares.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from held_out_towns import add_arguments, held_out, learn, true_agents
from kerbstone.formats.detections import read_detections, stored_detections
from kerbstone.label import Provenance, label_detections
from kerbstone.label.gaps import BINS, GROUPS, find_gaps
from kerbstone.label.infilling import infill
from kerbstone.world import predict_all, read_model
from timing import print_rows, write_results

_NORMAL = 1.1774
"""Median distance of a normal error in the plane, in standard deviations of an axis."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="of `kerbstone pretrain`")
    add_arguments(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run(arguments.folder or Path(scratch), arguments)


def run(folder: Path, arguments: argparse.Namespace) -> None:
    other, profile = held_out(folder, arguments), learn(folder, arguments)
    predictor = partial(predict_all, read_model(arguments.model)[0])
    parts: list[dict[str, np.ndarray]] = []
    count = np.zeros((len(GROUPS), len(BINS), 3), np.int64)
    for source in stored_detections(other):
        log, truth = read_detections(source), other.scene(source.log)
        labels, found = label_detections(log.detections, log.scene, profile)
        filled, _ = infill(labels, log.detections, found.track, profile, predictor)
        gaps, real = find_gaps(labels), true_agents(other, log, truth)
        ends = real[labels.row[gaps.before]], real[labels.row[gaps.after]]
        joined = (ends[0] == ends[1]) & (ends[0] >= 0)
        for gap in np.flatnonzero(gaps.bin < len(BINS)):
            cells = np.arange(gaps.before[gap] + 1, gaps.after[gap])
            chosen = bool((filled.provenance[cells] == Provenance.INFILLED).any())
            count[gaps.group[gap], gaps.bin[gap]] += 1, joined[gap], chosen and joined[gap]
            if not (chosen and joined[gap]):
                continue
            who, step = ends[0][gap], labels.step[cells]
            there = truth.agents.valid[who, step]
            cells, true = cells[there], truth.agents.centre[who, step[there], :2]
            part = {"group": np.full(len(cells), gaps.group[gap])}
            part["bin"] = np.full(len(cells), gaps.bin[gap])
            for name, which in (("smoother", labels), ("model", filled)):
                off = which.place[cells, :2] - true
                part[name] = np.hypot(*off.T)
                part[f"z {name}"] = np.hypot(*(off / which.std[cells, :2]).T)
            parts.append(part)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    rows: list[dict[str, Any]] = []
    for group, each in np.ndindex(len(GROUPS), len(BINS)):
        cells = (whole["group"] == group) & (whole["bin"] == each)
        gaps_, joined_, filled_ = count[group, each].tolist()
        row: dict[str, Any] = {
            "who": GROUPS[group],
            "up to s": BINS[each],
            "gaps": gaps_,
            "of one": joined_,
            "filled": filled_,
            "cells": int(cells.sum()),
        }
        for name in ("smoother", "model") if cells.any() else ():
            off, scaled = whole[name][cells], whole[f"z {name}"][cells]
            row[name] = float(np.sqrt((off**2).mean()))
            row[f"median {name}"] = float(np.median(off))
            row[f"z {name}"] = float(np.sqrt((scaled**2).mean() / 2))
            row[f"median z {name}"] = float(np.median(scaled) / _NORMAL)
        rows.append(row)
    print_rows("gaps of labels of held-out towns, simulated [m]", rows)
    write_results("label_gaps", rows)


if __name__ == "__main__":
    main()
