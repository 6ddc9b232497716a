"""How well does the model of the road say what was hidden, on roads that it never saw?

    kerbstone simulate --store road --logs 96 --side both --duration 90 --agents 80 --seed 21 \
        --town grid --town spider --town roundabouts --town motorway --town berlin \
        --town braunschweig
    kerbstone ingest $KERBSTONE_DATA/{av2,womd,interaction,nuscenes_mini,kitti_tracking} \
        $KERBSTONE_DATA/argoverse1_forecasting --store road
    python benchmarks/bench_world.py --store road --model model --train 3000 [--windows 60]

`--train` trains a `tiny` model first, or goes on with it. It holds out two kinds of network
(roundabouts, Brunswick), two towns of each other generated kind, two places of INTERACTION, Boston,
a quarter of the logs of Waymo and KITTI, and all of Argoverse.

Domains are the simulated networks and the data sets; of each, only towns or logs that the model
was not trained on are looked at, and a domain none of whose scenes it was trained on is called
new. Rules (constant velocity, constant turn rate, nearest neighbour; linear, cubic, RTS smoother)
are fitted on what the model was trained on of the same data set, or on all of it where that is
nothing. With 6 modes they have modes of their own, learned there.

All road users count that are seen at the present and at the horizon, standing ones too. Forecasts
are of one trajectory and of the best of 6 (Argoverse 2's definitions): the model's one is the
geometric median of its modes (`world.condense`), a rule's one is of the rule fitted with one mode. Intervals are of a
bootstrap over logs; a row is won where that of the difference to the best rule in the row lies
below 0. `nll` is of the whole trajectory, per step. Coverage is of regions at 50, 80 and 95 %, as
claimed and as recalibrated (`world.regions`), of each domain and of all simulated towns together; the
logs that they were recalibrated on are left out there. All held-out scenes chose the checkpoint.

`--test` looks at another store instead, all of whose simulated towns that were not trained on are
new to all choices:

    kerbstone simulate --store fresh --logs 60 --side both --duration 90 --agents 80 --seed 1021 \
        --town grid --town spider --town roundabouts --town motorway --town braunschweig
    python benchmarks/bench_world.py --store road --model model --test fresh --windows 80
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import jax
import numpy as np

from kerbstone.store import Store
from kerbstone.world import (
    PretrainConfig,
    SceneModel,
    condense,
    hide,
    predict_all,
    pretrain,
    read_model,
)
from kerbstone.world.baselines import Example, fit_baseline
from kerbstone.world.covering import describe_cells
from kerbstone.world.embedding import encode_batch
from kerbstone.world.masks import Forecast, Infill, Mask, MaskFamily
from kerbstone.world.metrics import (
    coverage,
    interval_of_difference,
    interval_of_mean,
    joint_nll,
    region_level,
    score_forecast,
    score_infill,
)
from kerbstone.world.mixture import Mixture
from kerbstone.world.observed import Observed
from kerbstone.world.predicting import fit_limits, run_model
from kerbstone.world.regions import Cells, Regions, read_regions
from kerbstone.world.tokens import stack, tokenise
from kerbstone.world.training.splits import name_town, split_store
from kerbstone.world.windows import STEP, Window, cut_window
from timing import measure, print_rows, write_results

FORECASTS = ("constant_velocity", "constant_turn_rate", "nearest_neighbour")
INFILLS = ("linear", "cubic", "rts")
NEW_NETWORKS = ("roundabouts", "braunschweig")
NEW_PLACES = (
    *("DR_USA_Roundabout_EP", "DR_USA_Intersection_EP1", "boston-seaport"),
    *("Pittsburgh", "Miami", "Austin"),
)
BY_LOG = ("waymo-open-motion", "kitti-tracking")
FIGURES = ("min_ade_1", "min_fde_1", "min_ade_6", "min_fde_6", "missed_6", "brier_6", "nll")


@dataclass(frozen=True)
class Case:
    """A window of a log."""

    log: str
    window: Window


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--windows", type=int, default=150)
    parser.add_argument("--train", type=int, help="train so many steps first")
    parser.add_argument("--test", help="a store of other simulated towns, to look at instead")
    parser.add_argument("--domain", action="append", help="only domains with this in their name")
    parser.add_argument("--lessons", type=int, default=300, help="windows that rules learn from")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    store = Store.open(options.store)
    if options.train:
        train_model(store, options.model, options.train)
    model, header = read_model(options.model)
    split = split_store(store, None, tuple(header["data"]["held_out"]))
    regions = read_regions(options.model)
    told_by = {scene.log for scene in split.held_out if scene.id in regions.scenes}
    held_out = {scene.id for scene in split.held_out}
    learned = {scene.id for scene in split.train}
    scenes = store.scenes(["id", "dataset", "town", "log_key", "duration"]).to_pylist()
    for scene in scenes:
        scene["is_held_out"] = scene["id"] in held_out
        scene["is_learned"] = scene["id"] in learned
        scene["is_free"] = scene["log_key"] not in told_by
    tested = store
    if options.test:
        tested, scenes = open_test(options.test, scenes)
    rows = [measure_speed(model)]
    print_rows("speed", rows)
    for name, members in sorted(split_domains(scenes).items()):
        test = [scene for scene in members if scene["is_held_out"]]
        own = [s for s in scenes if s["is_learned"] and s["dataset"] == members[0]["dataset"]]
        train = own or [s for s in scenes if s["is_learned"]]
        if not test or not any(part in name for part in options.domain or [""]):
            continue
        is_new = not any(scene["is_learned"] for scene in members)
        label = f"{name} ({'new' if is_new else 'own'})"
        rng = np.random.default_rng(options.seed)
        cases = list(draw_windows(tested, test, options.windows, rng))
        lessons = list(draw_windows(store, train, options.lessons, rng))
        found = [
            *forecast_rows(model, cases, lessons, rng),
            *infill_rows(model, cases, lessons, rng),
        ]
        if free := [scene for scene in test if scene["is_free"]]:
            cases = list(draw_windows(tested, free, options.windows, rng))
            found += coverage_rows(model, cases, regions, members[0]["dataset"], rng)
        found = [{"domain": label, **row} for row in found]
        for kind in ("forecast", "infill", "coverage"):
            if part := [row for row in found if row["task"].startswith(kind)]:
                print_rows(f"{label}: {kind}", part)
        rows += found
    rows += pool_coverage(rows)
    won = [row["won"] for row in rows if row.get("won")]
    print(f"won {won.count('yes')}, lost {won.count('no')}, neither {won.count('-')}")
    write_results("world", rows)


def open_test(name: str, scenes: list[dict]) -> tuple[Store, list[dict]]:
    """Open a store of simulated towns, and add its scenes of those that were not trained on."""
    store = Store.open(name)
    learned = {name_town(scene["town"] or "") for scene in scenes if scene["is_learned"]}
    scenes = [scene | {"is_held_out": False} for scene in scenes]
    for scene in store.scenes(["id", "dataset", "town", "log_key", "duration"]).to_pylist():
        is_other = scene["dataset"] == "sumo" and name_town(scene["town"]) not in learned
        scenes.append(scene | {"is_held_out": is_other, "is_learned": False, "is_free": True})
    return store, scenes


def train_model(store: Store, out: str, steps: int) -> None:
    """Train a model on all but what is held out, or go on with it."""
    scenes = store.scenes(["dataset", "town", "log_key"]).to_pylist()
    generated: dict[str, list[str]] = {}
    held_out = set()
    for scene in scenes:
        dataset, town, log = scene["dataset"], scene["town"], scene["log_key"]
        network = town.split("-")[0]
        if dataset == "sumo" and network in NEW_NETWORKS:
            held_out.add(town)
        elif dataset == "sumo" and network != "berlin":
            generated.setdefault(network, []).append(town)
        elif town in NEW_PLACES:
            held_out.add(town)
        elif dataset in BY_LOG and int(hashlib.md5(log.encode()).hexdigest(), 16) % 4 == 0:  # noqa: S324
            held_out.add(log)
    for towns in generated.values():
        held_out |= {min(towns), max(towns)}
    pretrain(
        store,
        out,
        size="tiny",
        steps=steps,
        held_out=sorted(held_out),
        config=PretrainConfig(patience=0),
        on_progress=lambda line: print(line) if line.step % 100 == 0 else None,
    )


def split_domains(scenes: Sequence[dict]) -> dict[str, list[dict]]:
    """Simulated networks and data sets, by name."""
    domains: dict[str, list[dict]] = {}
    for scene in scenes:
        name = scene["dataset"]
        if name == "sumo":
            name = f"simulated {scene['town'].split('-')[0]}"
        domains.setdefault(name, []).append(scene)
    return domains


def draw_windows(
    store: Store, scenes: Sequence[dict], count: int, rng: np.random.Generator
) -> Iterator[Case]:
    """Windows of up to 11 s, of scenes in proportion to their duration."""
    share = np.array([scene["duration"] for scene in scenes])
    drawn = rng.choice(len(scenes), count, p=share / share.sum())
    for place in np.sort(drawn):
        row = scenes[place]
        scene = store.scene(row["id"])
        patches = min(22, int(scene.clock.duration / 0.5 + 1e-6))
        last = scene.clock.duration - patches * 0.5
        start = round(float(rng.uniform(0, max(last, 0.0))), 1)
        window = cut_window(scene, min(start, max(last, 0.0)), patches)
        if len(window) and patches >= 8:
            yield Case(row["log_key"], window)


def examples_of(
    cases: Sequence[Case], family: MaskFamily, rng: np.random.Generator
) -> tuple[list[Observed], list[Example]]:
    observed = [hide(case.window, family(case.window, rng)) for case in cases]
    examples = [
        Example.of(case.window, left, log=case.log)
        for case, left in zip(cases, observed, strict=True)
    ]
    return observed, examples


def forecast_rows(
    model: SceneModel, cases: Sequence[Case], lessons: Sequence[Case], rng: np.random.Generator
) -> Iterator[dict]:
    is_short = min(case.window.steps for case in cases) * STEP < 10.0
    past, horizons = (2.0, (1, 3)) if is_short else (5.0, (1, 3, 5))
    observed, examples = examples_of(cases, Forecast(past), rng)
    _, taught = examples_of(lessons, Forecast(past), rng)
    said = [prediction.mixture for prediction in predict_all(model, observed)]
    mixtures: dict[str, dict[int, list[Mixture]]] = {
        "model": {1: [condense(each) for each in said], 6: said}
    }
    for name in FORECASTS:
        mixtures[name] = {}
        for modes in (1, 6):
            rule = fit_baseline(name, taught, modes=modes)
            mixtures[name][modes] = [rule.predict(example.tracks) for example in examples]
    for horizon in horizons:
        figures = {
            name: score_cases(examples, by_modes, past, horizon)
            for name, by_modes in mixtures.items()
        }
        log = figures["model"].pop("log")
        for other in FORECASTS:
            figures[other].pop("log")
        for figure in FIGURES:
            yield compare(f"forecast {horizon} s", figure, figures, log)


def score_cases(
    examples: Sequence[Example], by_modes: dict[int, list[Mixture]], past: float, horizon: int
) -> dict[str, np.ndarray]:
    parts: dict[str, list[np.ndarray]] = {name: [] for name in (*FIGURES, "log")}
    present, end = round(past / STEP) - 1, round((past + horizon) / STEP)
    for place, example in enumerate(examples):
        if example.counted.shape[1] < end:
            continue
        counted = example.counted.copy()
        counted[:, end:] = False
        counted &= (example.counted[:, end - 1] & example.tracks.valid[:, present])[:, None]
        kept = counted.any(axis=1)
        one, six = by_modes[1][place], by_modes[6][place]
        first = score_forecast(one, example.position, counted, modes=1)
        best = score_forecast(six, example.position, counted, modes=6)
        values = (
            *(first.min_ade, first.min_fde, best.min_ade, best.min_fde),
            *(best.missed, best.brier_min_fde, joint_nll(six, example.position, counted)),
        )
        for name, value in zip(FIGURES, values, strict=True):
            parts[name].append(value[kept])
        parts["log"].append(np.full(kept.sum(), example.log, object))
    return {name: np.concatenate(values) for name, values in parts.items()}


def infill_rows(
    model: SceneModel, cases: Sequence[Case], lessons: Sequence[Case], rng: np.random.Generator
) -> Iterator[dict]:
    for gap in (1.0, 2.0, 4.0):
        observed, examples = examples_of(cases, Infill(gap, share=1.0), rng)
        _, taught = examples_of(lessons, Infill(gap, share=1.0), rng)
        mixtures = {"model": [p.mixture for p in predict_all(model, observed)]}
        for name in INFILLS:
            rule = fit_baseline(name, taught)
            mixtures[name] = [rule.predict(example.tracks) for example in examples]
        figures: dict[str, dict[str, np.ndarray]] = {}
        log = np.concatenate(
            [np.full(e.counted.any(axis=1).sum(), e.log, object) for e in examples]
        )
        for name, said in mixtures.items():
            scores, nll = [], []
            for example, mixture in zip(examples, said, strict=True):
                kept = example.counted.any(axis=1)
                scores.append(score_infill(mixture, example.position, example.counted).mean[kept])
                nll.append(joint_nll(mixture, example.position, example.counted)[kept])
            figures[name] = {"mean": np.concatenate(scores), "nll": np.concatenate(nll)}
        for figure in ("mean", "nll"):
            yield compare(f"infill {gap:g} s", figure, figures, log)


def compare(
    task: str, figure: str, figures: dict[str, dict[str, np.ndarray]], log: np.ndarray
) -> dict:
    """Return a row: the model's figure, the best rule's, and whether their difference is sure."""
    means = {name: float(np.nanmean(values[figure])) for name, values in figures.items()}
    rules = {name: value for name, value in means.items() if name != "model"}
    best = min(rules, key=lambda name: rules[name])
    ours = interval_of_mean(figures["model"][figure], log)
    apart = interval_of_difference(figures["model"][figure], figures[best][figure], log)
    is_sure = np.isfinite(apart.low)
    return {
        "task": task,
        "figure": figure,
        "model": means["model"],
        "low": ours.low,
        "high": ours.high,
        "best_rule": best,
        "rule": rules[best],
        "road_users": int(np.isfinite(figures["model"][figure]).sum()),
        "logs": ours.logs,
        "won": "yes" if is_sure and apart.high < 0 else "no" if is_sure and apart.low > 0 else "-",
        **{name: rules[name] for name in rules},
    }


def coverage_rows(
    model: SceneModel,
    cases: Sequence[Case],
    regions: Regions,
    dataset: str,
    rng: np.random.Generator,
) -> Iterator[dict]:
    """How many truths lie within regions, as claimed and as recalibrated."""
    steps = min(case.window.steps for case in cases)
    for name, family in (("forecast", Forecast(0.4 * steps * STEP)), ("infill", Infill(share=1.0))):
        level, cells = [], []
        seen = [(case, hide(case.window, family(case.window, rng))) for case in cases]
        said = predict_all(model, (left for _, left in seen))
        for (case, left), prediction in zip(seen, said, strict=True):
            counted = prediction.asked & case.window.valid
            counted &= np.arange(case.window.steps) % 5 == 4
            found = region_level(prediction.mixture, case.window.position, counted)
            level.append(found[counted])
            cells.append(describe_cells(left, prediction.mixture).select(counted))
        levels = np.concatenate(level)
        told = Cells(*(np.concatenate(part) for part in zip(*cells, strict=True)))
        row: dict = {"task": f"coverage {name}", "figure": "share"}
        for share in (0.5, 0.8, 0.95):
            row[f"claimed_{share:g}"] = coverage(levels, share)
            row[f"recalibrated_{share:g}"] = float(
                (levels <= regions.level(share, told, dataset)).mean()
            )
        yield row | {"cells": len(levels)}


def pool_coverage(rows: Sequence[dict]) -> list[dict]:
    """Coverage over all simulated held-out towns together, which the recalibration is about."""
    pooled = []
    for task in ("coverage forecast", "coverage infill"):
        part = [r for r in rows if r["task"] == task and r["domain"].startswith("simulated")]
        if not part:
            continue
        cells = np.array([row["cells"] for row in part])
        shares = [name for name in part[0] if name.startswith(("claimed", "recalibrated"))]
        means = {n: float(np.average([r[n] for r in part], weights=cells)) for n in shares}
        named = {"domain": "all simulated", "task": task, "figure": "share"}
        pooled.append(named | means | {"cells": int(cells.sum())})
    if pooled:
        print_rows("all simulated held-out towns: coverage", pooled)
    return pooled


def measure_speed(model: SceneModel) -> dict:
    """Forward passes for embedding of made-up scenes of 64 road users and 11 s."""
    window = make_crowd()
    left = hide(window, Mask.nothing(window))
    tokens, _ = tokenise(left, fit_limits(left))
    batch = stack([tokens] * 8)
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:

        def embed_all() -> None:
            work = [pool.submit(encode_batch, model, batch, np.asarray(8)) for _ in range(cores)]
            for each in work:
                jax.block_until_ready(each.result())

        timing = measure(embed_all)
    whole = measure(lambda: run_model(encode_batch, model, [left] * 8 * cores))
    return {
        "task": "embedding",
        "figure": "scenes per s",
        "model": 8 * cores / timing.median_s,
        "spread": 8 * cores / timing.median_s * timing.spread_s / timing.median_s,
        "with_tokens": 8 * cores / whole.median_s,
    }


def make_crowd() -> Window:
    """Return 64 road users that drive about for 11 s."""
    rng = np.random.default_rng(0)
    count, steps = 64, 110
    time = STEP * np.arange(steps)
    heading = rng.uniform(-np.pi, np.pi, count)[:, None] + rng.normal(0, 0.05, (count, 1)) * time
    speed = rng.uniform(0, 12, (count, 1))
    velocity = speed[..., None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    return Window(
        scene="crowd",
        start=0.0,
        ids=tuple(map(str, range(count))),
        kind=np.ones(count, np.uint8),
        size=np.tile([4.5, 1.9, 1.5], (count, 1)),
        position=rng.uniform(-80, 80, (count, 1, 2)) + np.cumsum(velocity, axis=1) * STEP,
        heading=np.remainder(heading + np.pi, 2 * np.pi) - np.pi,
        valid=np.ones((count, steps), bool),
        is_heading_derived=np.zeros(count, bool),
        map=None,
        light_place=np.zeros((0, 2)),
        light_heading=np.zeros(0),
        light_state=np.zeros((0, steps), np.uint8),
        ego=0,
    )


if __name__ == "__main__":
    main()
