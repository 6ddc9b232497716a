"""Labels of KITTI tracking from PointRCNN's detections, beside AB3DMOT, and how time grows.

    python benchmarks/bench_label.py [--data FOLDER] [--held-out] [--fit PROFILE.toml] [--growth]

Reads `kitti_tracking` of the folder of real data. AB3DMOT is its refactoring on the package index
(`pip install pure-ab-3d-mot`), with the published parameters and thresholds, without its ego-motion
compensation, which that package has not; it is left out where it is not installed.

- By default the built-in profile, which was learned on these very sequences, is judged on them: the
  figures say how well it fits. Both of the trackers were tuned on sequences that are judged here.
- `--held-out` learns a profile on each half of the sequences and judges it on the other.
- `--fit` learns a profile on all of them and writes it.
- `--growth` times made-up logs of 1, 10 and 60 minutes at 10 Hz with 100 road users around.

2D figures are TrackEval's for KITTI, 3D ones AB3DMOT's. As in AB3DMOT, the curves of sAMOTA take all
tracks, and HOTA those above a threshold: here the confidence that the profile keeps.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kerbstone.formats.detections import (
    DetectedLog,
    find_detections,
    image_boxes,
    read_detections,
    write_tracks,
)
from kerbstone.formats.kitti_tracking import KittiTracking
from kerbstone.label import (
    Example,
    LabelConfig,
    Profile,
    fit_profile,
    label_detections,
    read_profile,
    write_profile,
)
from kerbstone.label.labelling import sensor_path
from kerbstone.label.metrics import evaluate_kitti
from kerbstone.label.online import track_online
from kerbstone.scene import Clock, Detections, Kind, Scene, detections_from_rows
from timing import print_rows, write_results

CLASSES = ("Car", "Pedestrian", "Cyclist")
VALIDATION = ("0001", "0006", "0012", "0018")
"""Those of the usual validation split that are here."""
_LEAST = 0.03
_ABOUT = """PointRCNN on KITTI, as AB3DMOT publishes its detections. Learned from the KITTI tracking sequences
{sequences}
with benchmarks/bench_label.py --fit. KITTI is CC BY-NC-SA 3.0: use the profile under its terms."""


class Kitti:
    """The sequences: detections, context and truth."""

    def __init__(self, root: Path) -> None:
        self.truth_folder = root / "label_02"
        self.logs = {source.log: read_detections(source) for source in find_detections([root])}
        self.truth = {sequence: self._truth(sequence) for sequence in self.logs}

    def _truth(self, sequence: str) -> Scene:
        names = frozenset([f"{sequence}.txt"])
        (log,) = KittiTracking().claim(self.truth_folder, names)
        return next(iter(KittiTracking().read(log)))

    def example(self, sequence: str) -> Example:
        """Return a sequence to learn from; only what the left colour camera sees is annotated."""
        log = self.logs[sequence]
        camera = next(each for each in log.scene.cameras if each.name == "image_02")
        poses = log.scene.ego_poses
        assert poses is not None
        world_from_ego = poses.world_from_ego

        def judged(step: np.ndarray, boxes: np.ndarray) -> np.ndarray:
            return np.isfinite(image_boxes(boxes, world_from_ego[step], camera)[:, 0])

        return Example(log.detections, log.scene, self.truth[sequence], judged)


def write_labels(log: DetectedLog, profile: Profile, config: LabelConfig, folder: Path) -> float:
    """Label a sequence and write it; return how long the labelling took [s]."""
    began = time.perf_counter()
    labels, _ = label_detections(log.detections, log.scene, profile, config, names=log.labels)
    took = time.perf_counter() - began
    scene, part = labels.to_scene()
    count = np.bincount(part.agent, minlength=len(part.ids))
    mean = np.bincount(part.agent, part.confidence, minlength=len(part.ids)) / np.maximum(count, 1)
    score = np.ones(scene.agents.valid.shape)
    score[len(scene.agents) - len(part.ids) :] = mean[:, None]
    write_tracks(scene, score, folder, format="kitti")
    return took


def judge(
    name: str,
    truth: Path,
    whole: Path,
    cut: Path,
    sequences: Sequence[str],
    least: dict[str, float],
) -> list[dict[str, Any]]:
    """Return a row for each class: 2D of the cut results, 3D of the whole ones."""
    rows = []
    for kind in CLASSES:
        flat = evaluate_kitti(
            truth,
            cut,
            kind,
            sequences=sequences,
            overlaps=(0.25,),
            min_score=least.get(kind, -np.inf),
        ).image.summarise()
        deep = evaluate_kitti(truth, whole, kind, sequences=sequences, overlaps=(0.25, 0.5)).amota
        row = {"what": f"{name} {kind}"}
        row |= {key: 100 * flat[key] for key in ("HOTA", "DetA", "AssA", "MOTA", "IDF1")}
        row |= {"IDS": int(flat["IDSW"])}
        for overlap, found in deep.items():
            row |= {
                f"sAMOTA {overlap}": 100 * found.samota,
                f"MOTA {overlap}": 100 * found.best.mota,
            }
        rows.append(row)
    return rows


def judge_profile(
    name: str, kitti: Kitti, profile: Profile, sequences: Sequence[str], folder: Path
) -> tuple[list[dict[str, Any]], float]:
    """Return the rows of labels by a profile, and its frames per second."""
    whole, cut = folder / "whole", folder / "cut"
    shutil.rmtree(folder, ignore_errors=True)
    took = 0.0
    for sequence in sequences:
        log = kitti.logs[sequence]
        took += write_labels(log, profile, LabelConfig(), cut)
        write_labels(log, profile, LabelConfig(keep=_LEAST), whole)
    steps = sum(kitti.logs[sequence].scene.clock.steps for sequence in sequences)
    return judge(name, kitti.truth_folder, whole, cut, sequences, {}), steps / took


PEER_PARAMETERS = {
    "Car": ("HUNGARIAN", "GIOU_3D", -0.2, 3, 2),
    "Pedestrian": ("GREEDY", "GIOU_3D", -0.4, 1, 4),
    "Cyclist": ("HUNGARIAN", "DIST_3D", -2.0, 3, 4),
}
PEER_LEAST = {"Car": 3.240738, "Pedestrian": 2.683133, "Cyclist": 3.645319}
PEER_NUMBER = {"Pedestrian": 1, "Car": 2, "Cyclist": 3}


def run_peer(root: Path, sequences: Sequence[str], folder: Path) -> dict[str, float] | None:
    """Write AB3DMOT's tracks; return its frames per second by class, or None without it."""
    try:
        from pure_ab_3d_mot.dist_metrics import MetricKind
        from pure_ab_3d_mot.matching import MatchingAlgorithm
        from pure_ab_3d_mot.tracker import Ab3DMot
    except ImportError:
        return None
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    speed = {}
    lines: dict[str, list[str]] = {sequence: [] for sequence in sequences}
    for number, (kind, (algorithm, metric, least, hits, age)) in enumerate(PEER_PARAMETERS.items()):
        took, frames = 0.0, 0
        for sequence in sequences:
            rows = np.loadtxt(
                root / f"pointrcnn_{kind}" / f"{sequence}.txt", delimiter=",", ndmin=2
            )
            rows = rows.reshape(-1, 15)
            tracker = Ab3DMot()
            tracker.algorithm, tracker.metric = MatchingAlgorithm[algorithm], MetricKind[metric]
            tracker.threshold, tracker.min_hits, tracker.max_age = least, hits, age
            steps = int(rows[:, 0].max()) + 1 if len(rows) else 0
            frames += steps
            for frame in range(steps):
                now = rows[rows[:, 0] == frame]
                info = np.concatenate([now[:, -1:], now[:, 1:7]], axis=1)
                began = time.perf_counter()
                found = tracker.track({"dets": now[:, 7:14], "info": info})[0]
                took += time.perf_counter() - began
                for h, w, length, x, y, z, turn, track, alpha, _, *seen, score in found:
                    lines[sequence].append(
                        f"{frame} {int(track) + 100_000 * number} {kind} 0 0 {alpha:.6f} "
                        + " ".join(f"{v:.6f}" for v in (*seen, h, w, length, x, y, z, turn, score))
                    )
        speed[kind] = frames / took
    for sequence, text in lines.items():
        (folder / f"{sequence}.txt").write_text("\n".join(text) + "\n")
    return speed


def time_passes(kitti: Kitti, profile: Profile) -> list[dict[str, Any]]:
    """Return frames per second of the online pass and of labels, of cars alone."""
    cars = {
        name: replace(
            log,
            detections=log.detections.select(log.detections.kind == Kind.CAR),
            labels=log.labels[log.detections.kind == Kind.CAR],
        )
        for name, log in kitti.logs.items()
    }
    steps = sum(log.scene.clock.steps for log in cars.values())

    def once(work: Callable[[DetectedLog], object]) -> float:
        began = time.perf_counter()
        for log in cars.values():
            work(log)
        return steps / (time.perf_counter() - began)

    passes: dict[str, Callable[[DetectedLog], object]] = {
        "online pass": lambda log: track_online(
            log.detections, profile.matching, sensor=sensor_path(log.scene)
        ),
        "labels": lambda log: label_detections(log.detections, log.scene, profile),
    }
    rows = []
    for name, work in passes.items():
        speeds = np.array([once(work) for _ in range(5)])
        low, high = np.quantile(speeds, [0.25, 0.75])
        rows.append(
            {
                "what": f"{name}, cars",
                "frames_per_s": float(np.median(speeds)),
                "spread": float(high - low),
            }
        )
    return rows


def made_up(minutes: float, *, around: int = 100, seed: int = 0) -> tuple[Detections, Scene]:
    """Return detections of road users that drive by, each for about 20 s, and their scene."""
    from kerbstone.scene import Agents, Source

    rng = np.random.default_rng(seed)
    steps = round(minutes * 600)
    life = 200
    count = around * max(steps // life, 1)
    first = rng.integers(-life // 2, steps, count)
    number = np.repeat(np.arange(count), life)
    step = first[number] + np.tile(np.arange(life), count)
    kept = (step >= 0) & (step < steps) & (rng.random(len(step)) < 0.9)
    number, step = number[kept], step[kept]
    heading = rng.uniform(-np.pi, np.pi, count)[number]
    speed = rng.uniform(0, 15, count)[number]
    start = rng.uniform(-100, 100, (count, 2))[number]
    way = (speed * (step - first[number]) * 0.1)[:, None]
    place = start + way * np.column_stack([np.cos(heading), np.sin(heading)])
    box = np.column_stack(
        [
            place + rng.normal(0, 0.1, place.shape),
            np.zeros(len(step)),
            heading + rng.normal(0, 0.05, len(step)),
            np.tile([4.5, 1.9, 1.6], (len(step), 1)) * np.exp(rng.normal(0, 0.03, (len(step), 3))),
        ]
    )
    clock = Clock(0, 100_000_000, steps)
    seen, _, _ = detections_from_rows(
        clock=clock,
        step=step,
        box=box,
        kind=np.full(len(step), Kind.CAR, np.uint8),
        score=np.clip(rng.normal(0.8, 0.1, len(step)), 0, 1),
    )
    scene = Scene("made-up/log", clock, Agents.empty(steps), None, Source("made-up", "log"))
    return seen, scene


def time_growth() -> list[dict[str, Any]]:
    """Return the time of made-up logs by their length."""
    import resource

    rows = []
    for minutes in (1, 10, 60):
        seen, scene = made_up(minutes)
        began = time.perf_counter()
        labels, _ = label_detections(seen, scene, read_profile("simulated"))
        took = time.perf_counter() - began
        print(f"{minutes} min: {took:.1f} s", flush=True)
        rows.append(
            {
                "what": f"{minutes} min",
                "detections": len(seen),
                "tracks": len(labels.ids),
                "seconds": took,
                "s_per_min": took / minutes,
                "peak_GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    usual = os.environ.get("KERBSTONE_DATA", Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(usual))
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--fit", type=Path, help="learn a profile on all sequences and write it")
    parser.add_argument("--growth", action="store_true")
    arguments = parser.parse_args()
    if arguments.growth:
        rows = time_growth()
        print_rows("made-up logs at 10 Hz with 100 road users around", rows)
        write_results("label_growth", rows)
        return
    root = arguments.data / "kitti_tracking"
    kitti = Kitti(root)
    sequences = sorted(kitti.logs)
    base = Profile(confusion=0.0, lifetime=1.0)
    if arguments.fit:
        learned = fit_profile([kitti.example(each) for each in sequences], base=base)
        write_profile(learned, arguments.fit, about=_ABOUT.format(sequences=" ".join(sequences)))
        print(f"wrote {arguments.fit}")
        return
    others = [each for each in sequences if each not in VALIDATION]
    sets = {"all 14": sequences, "val 4": list(VALIDATION), "other 10": others}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if arguments.held_out:
            rows = judge_held_out(kitti, base, sequences, folder)
            print_rows("held out: learned on one half, judged on the other", rows)
            write_results("label_held_out", rows)
            return
        profile = read_profile("kitti-pointrcnn")
        rows = []
        for name, chosen in sets.items():
            made, _ = judge_profile(f"labels, {name},", kitti, profile, chosen, folder / "ours")
            rows += made
        speed = run_peer(root, sequences, folder / "peer")
        if speed is not None:
            for name, chosen in sets.items():
                rows += judge(
                    f"AB3DMOT, {name},",
                    kitti.truth_folder,
                    folder / "peer",
                    folder / "peer",
                    chosen,
                    PEER_LEAST,
                )
        print_rows("KITTI tracking, PointRCNN", rows)
        times = time_passes(kitti, profile)
        times += [
            {"what": f"AB3DMOT, {kind}", "frames_per_s": value, "spread": 0.0}
            for kind, value in (speed or {}).items()
        ]
        print_rows("frames per second", times)
        write_results("label_kitti", [*rows, *times])


def judge_held_out(
    kitti: Kitti, base: Profile, sequences: Sequence[str], folder: Path
) -> list[dict[str, Any]]:
    """Return rows of the labels of each half by a profile of the other, judged together."""
    halves = (sequences[::2], sequences[1::2])
    whole, cut = folder / "whole", folder / "cut"
    for learned, judged in (halves, halves[::-1]):
        profile = fit_profile([kitti.example(each) for each in learned], base=base)
        for sequence in judged:
            write_labels(kitti.logs[sequence], profile, LabelConfig(), cut)
            write_labels(kitti.logs[sequence], profile, LabelConfig(keep=_LEAST), whole)
    others = [each for each in sequences if each not in VALIDATION]
    return [
        row
        for name, chosen in {"all 14": sequences, "val 4": VALIDATION, "other 10": others}.items()
        for row in judge(f"held out, {name},", kitti.truth_folder, whole, cut, chosen, {})
    ]


if __name__ == "__main__":
    main()
