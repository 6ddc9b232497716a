"""Referred tracks as `kerbstone find --format av2` writes them, in the real evaluator.

    python benchmarks/bench_av2_mining.py [FOLDER OF THE LOG] [--evaluator PYTHON]

The evaluator needs torch, so it may live in an environment of its own, whose Python is named:

    python -m venv av2 && av2/bin/pip install av2==0.3.6 trackeval==1.3.0

What we write is given to it as the prediction and as the truth, where all scores must be 1; then
with truths that differ in a known way, where they must be what one computes by hand:

- moved: everything 0.95 m aside. A box at distance d counts up to the threshold 1 - d / 2 m, so at
  10 of HOTA's 19 thresholds: 10 / 19.
- cut: each road user referred to for the first half of its time only. As a whole track nothing is
  missing, so HOTA-Track stays 1, and HOTA-Temporal does not.
- nobody: nobody is referred to. The one log is taken for a match and is none: half the balanced
  accuracy.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kerbstone.formats import find_logs, get_format
from kerbstone.formats.av2_mining import Referral, Role, write_referrals
from kerbstone.lang import Facts, evaluate
from kerbstone.mine.query.queries import understand_query
from kerbstone.mine.search.referrals import refer, refer_nobody
from timing import print_rows, write_results

LOG = Path(__file__).parents[2] / "shared/data/av2/3b3570b4-7b0b-3268-a571-b0889dbf40b6"
PROMPTS = (
    "vehicle with a bicycle to its right",
    "stopped car",
    "pedestrian near a vehicle",
    "vehicle v: speed(v) > 3 m/s",
    "speed(ego) > 1 m/s",
)
MOVED = np.array([0.95, 0.0, 0.0])
RANGE = 500
"""All boxes: those at the rim would be moved out of the challenge's own 50 [m]."""
METRICS = {
    "HOTA-Temporal": ("spatiotemporal_metrics", "hota_temporal_by_class"),
    "HOTA-Track": ("spatiotemporal_metrics", "hota_track_by_class"),
    "timestamp BA": ("temporal_metrics", "timestamp_balanced_accuracy_by_class"),
    "log BA": ("temporal_metrics", "scenario_balanced_accuracy_by_class"),
}


def refer_all(scene) -> list[Referral]:
    facts = Facts(scene)
    return [
        refer(evaluate(understand_query(prompt).query, facts, floor=0.0), scene, prompt)
        for prompt in PROMPTS
    ]


def move(referral: Referral) -> Referral:
    """Return the same of a scene whose boxes stand somewhere else."""
    scene = referral.scene
    agents = dataclasses.replace(scene.agents, centre=scene.agents.centre + MOVED)
    poses = dataclasses.replace(scene.ego_poses, translation=scene.ego_poses.translation + MOVED)
    moved = dataclasses.replace(scene, agents=agents, ego_poses=poses)
    return dataclasses.replace(referral, scene=moved)


def cut(referral: Referral) -> Referral:
    """Return it with the second half of the time that each road user is referred to taken away."""
    is_referred = referral.role == Role.REFERRED
    late = np.cumsum(is_referred, axis=1) > np.ceil(is_referred.sum(axis=1) / 2)[:, None]
    role = np.where(is_referred & late, np.uint8(Role.OTHER), referral.role)
    return dataclasses.replace(referral, role=role)


def score(python: str, folder: Path, prediction, truth, *, every=1, dataset="") -> list[dict]:
    """Return what the evaluator says for each prompt."""
    files = {name: folder / f"{name}.pkl" for name in ("predictions", "ground_truth")}
    write_referrals(files["predictions"], prediction, every=every)
    write_referrals(files["ground_truth"], truth, every=every)
    command = [python, "-m", "av2.evaluation.scenario_mining.eval"]
    command += [f"--{name}={file}" for name, file in files.items()]
    command += [f"--max_range_m={RANGE}", f"--out={folder / 'out'}"]
    command += [f"--dataset_dir={dataset}"] if dataset else []
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        sys.exit(f"the evaluator failed:\n{done.stderr[-2000:]}")
    found = {
        name: json.loads((folder / "out" / f"{file}.json").read_text("utf-8"))[key]
        for name, (file, key) in METRICS.items()
    }
    return [
        {"prompt": one.prompt, **{name: values[one.prompt] for name, values in found.items()}}
        for one in truth
    ]


def check(rows: list[dict], case: str, expected: dict[str, tuple[float, float]]) -> list[dict]:
    """Return the rows of a case, after holding each score between its bounds."""
    for row in rows:
        for name, (low, high) in expected.items():
            if not low - 1e-6 <= row[name] <= high + 1e-6:
                sys.exit(f"{case}, {row['prompt']}: {name} is {row[name]}, not {low} to {high}")
    return [{"truth": case, **row} for row in rows]


def is_installed(python: str) -> bool:
    command = [python, "-W", "ignore", "-c", "import av2.evaluation.scenario_mining.eval"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("log", nargs="?", type=Path, default=LOG)
    parser.add_argument("--evaluator", default=sys.executable)
    given = parser.parse_args()
    if not given.log.exists():
        print(f"no log at {given.log}: give its folder")
        return
    if not is_installed(given.evaluator):
        print(
            f"skipped: av2 and trackeval cannot be imported by {given.evaluator}; "
            "name another Python with --evaluator"
        )
        return
    (log,) = find_logs([str(given.log)])
    (scene,) = get_format(log.format).read(log)
    scene.map  # noqa: B018 - read now
    start = time.process_time()
    found = refer_all(scene)
    seconds = time.process_time() - start
    full, less, zero = (1.0, 1.0), (0.05, 0.99), (0.0, 0.0)
    part = (10 / 19, 10 / 19)
    same = dict.fromkeys(METRICS, full)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def case(title, truth, expected, prediction=found, **options):
            rows = score(given.evaluator, folder, prediction, truth, **options)
            return check(rows, title, expected)

        rows = [
            *case("the same", found, same),
            *case("the same, every fifth frame", found, same, every=5),
            *case("the same, near the road", found, same, dataset=str(given.log.parent)),
            *case("the same, of one prompt", found[:1], same),
            *case(
                "moved",
                list(map(move, found)),
                same | {"HOTA-Temporal": part, "HOTA-Track": part},
            ),
            *case(
                "cut",
                list(map(cut, found)),
                same | {"HOTA-Temporal": less, "timestamp BA": (0.5, 1.0)},
            ),
            *case(
                "nobody",
                [refer_nobody(scene, one.prompt) for one in found],
                {"HOTA-Temporal": zero, "HOTA-Track": zero, "log BA": (0.5, 0.5)},
            ),
        ]
    print_rows(f"{len(PROMPTS)} prompts found in {seconds:.2f} s of the processor", rows)
    print("wrote", write_results("av2_mining", rows))


if __name__ == "__main__":
    main()
