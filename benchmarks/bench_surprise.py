"""Does surprise tell who misbehaves in a planted event, and in which kinds of event?

    python benchmarks/bench_surprise.py --store road --model model [--scenes 40]

`road` and `model` are those of `bench_world.py`. Scenes are simulated ones of towns that the model
was not trained on, one log after the other. An item is a road user in 3 s that begin on a whole
second, as in the generality matrix (`judge.generality.anomalies`): it is sought where it is the one
who misbehaves. Figures are areas under the ROC curve (AUROC), of surprise and of the rules
criticality, nearness of the nearest other and error of constant velocity, for all events together
and for each kind by itself, where those of other kinds count as usual. `low` and `high` are the
ends of an interval of 95 % of the difference to criticality: a bootstrap over logs.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from kerbstone.judge.generality.anomalies import AnomalyTask
from kerbstone.judge.generality.outcomes import GENERALIST, Outcome
from kerbstone.judge.generality.sampling import Listed, draw_sample
from kerbstone.judge.generality.subjects import Bench
from kerbstone.store import Store
from kerbstone.world import read_model
from kerbstone.world.metrics import auroc, interval_of
from kerbstone.world.training.splits import split_store
from timing import print_rows, write_results

RULES = ("criticality", "nearness", "constant_velocity")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    store = Store.open(options.store)
    model, header = read_model(options.model)
    split = split_store(store, None, tuple(header["data"]["held_out"]))
    sides = [
        [Listed(s.id, s.log, s.duration) for s in side if s.dataset == "sumo"]
        for side in (split.train, split.held_out)
    ]
    training, sample = (
        draw_sample(store, side, 5 * options.scenes, seed=options.seed) for side in sides
    )
    bench = Bench.of(model, {}, training)
    events = {listed.id: sample.events.get(listed.id, ()) for listed in sample.scenes}
    kinds = sorted({event.kind for found in events.values() for event in found})
    rows = []
    for kind in ("all", *kinds):
        told = {
            scene: tuple(event for event in found if kind in ("all", event.kind))
            for scene, found in events.items()
        }
        count = sum(map(len, told.values()))
        outcome = AnomalyTask().ask(replace(sample, events=told), bench)
        rows.append(compare(kind, count, outcome, options.seed))
    print_rows(f"{len(sample.scenes)} simulated scenes of towns never seen: AUROC", rows)
    write_results("surprise", rows)


def compare(kind: str, events: int, outcome: Outcome, seed: int) -> dict:
    """Return a row: the areas of all, and the difference of surprise to criticality."""
    sought = outcome.truth > 0.5
    answers = {"surprise": outcome.answers[GENERALIST]}
    answers |= {rule: outcome.answers[rule] for rule in RULES}

    def apart(rows: np.ndarray) -> float:
        mine, theirs = (answers[n][rows] for n in ("surprise", "criticality"))
        return auroc(mine, sought[rows]) - auroc(theirs, sought[rows])

    found = interval_of(apart, outcome.log, seed=seed)
    areas = {name: auroc(values, sought) for name, values in answers.items()}
    counts = {"events": events, "sought": int(sought.sum()), "items": len(sought)}
    return {"kind": kind, **counts, **areas, "low": found.low, "high": found.high}


if __name__ == "__main__":
    main()
