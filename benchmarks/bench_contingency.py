"""What is it worth to plan for what is not known? Contingency plans against others, and POMCP.

    python benchmarks/bench_contingency.py [--quick] [--episodes 256] [--searched 24]

Two problems in closed loop (`contingency_problems`): a car that yields or does not, and somebody
on foot who may be hidden behind a van. All plan anew every 0.25 s from the same beliefs, 6 s ahead
and straight on, and each episode has the same chances for all. Ours: the contingency plan for the
mean and for the conditional value at risk of the worst fifth, the plan for the likeliest mode
alone, for the expected prediction alone (not with the hidden: a person cannot be there on
average), and the plan that must do for all modes for ever. Theirs: POUCT, the search of POMCP,
from pomdp-py (`pomcp_peer`), with so many searches for each decision that there are fewer episodes
of it: with a tenth of the penalty of a collision, and with the true one, at which it is timid.
How it explores, what it thinks of actions at first and how its roll-outs drive was chosen on
episodes before `FIRST`, where the problems were made too; those from there on are only for the
result.

`cost` is the mean of an episode with the 1000 that a collision costs; `more` is by how much that
is above the contingency plan's for the mean in the same episodes, `safe_more` the same over those
in which neither collided. Their 95 % intervals are bootstrapped over episodes, in pairs.
Collisions have Wilson's interval. `no_plan` is the share of decisions at which no plan was
feasible and ego braked. `ms` is the median for one decision by itself, beliefs not counted;
`batch_ms` the same where 64 episodes are planned together.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
from typing import Any

import numpy as np

from contingency_planners import PLANNERS, Outcome, Planner, decide_by, play
from contingency_problems import COLLISION, Merge, Occlusion
from timing import print_rows, write_results

FIRST = 2000  # episode
PART = 64  # episodes planned together
ALONE = 2  # episodes that single decisions are timed on
RESAMPLES = 10_000
PENALTIES = ((100.0, 1), (COLLISION, 3))  # in the tree of POUCT, and how much rarer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=256, help="of each of ours")
    parser.add_argument("--searched", type=int, default=24, help="of POUCT; 0 leaves it out")
    parser.add_argument("--searches", type=int, default=1000, help="of POUCT for each decision")
    parser.add_argument("--quick", action="store_true", help="few episodes, nothing written")
    options = parser.parse_args()
    if options.quick:
        options.episodes, options.searched, options.searches = 32, 2, 100
    rows: list[dict[str, Any]] = []
    for problem in (Merge(), Occlusion()):
        found = compare(problem, options)
        print_rows(problem.name, [in_words(row) for row in found])
        rows += found
    if not options.quick:
        print(f"\nwritten to {write_results('contingency', rows)}")


def compare(problem: Merge | Occlusion, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of a problem, the first for what the others are compared with."""
    whole = isinstance(problem, Merge)
    runs = [
        (planner.name, functools.partial(run_ours, planner), options.episodes // planner.rarer)
        for planner in PLANNERS
        if whole or planner.predict is None
    ]
    for penalty, rarer in PENALTIES if options.searched else ():
        search = functools.partial(run_search, options.searches, penalty)
        runs.append((f"POUCT, penalty {penalty:g}", search, -(-options.searched // rarer)))
    rows: list[dict[str, Any]] = []
    first: Outcome | None = None
    for name, run, count in runs:
        outcome, times = run(problem, FIRST + np.arange(count))
        first = first or outcome
        rows.append(
            {"planner": name, "problem": problem.name, **summarise(outcome, first), **times}
        )
        print(f"{problem.name}, {name}: {count} episodes done", flush=True)
    return rows


def run_ours(
    planner: Planner, problem: Merge | Occlusion, episodes: np.ndarray
) -> tuple[Outcome, dict[str, float | None]]:
    """Return what becomes of episodes with one of ours, and its times."""
    parts = np.split(episodes, np.arange(PART, len(episodes), PART))
    for shape in (parts[0], parts[-1], episodes[:1]):
        play(problem, decide_by(planner, problem), shape, steps=1)  # compiles
    alone = [play(problem, decide_by(planner, problem), one) for one in episodes[:ALONE, None]]
    outcome = join([play(problem, decide_by(planner, problem), part) for part in parts])
    return outcome, {"ms": median_ms(join(alone)), "batch_ms": median_ms(outcome)}


def run_search(
    searches: int, penalty: float, problem: Merge | Occlusion, episodes: np.ndarray
) -> tuple[Outcome, dict[str, float | None]]:
    """Return what becomes of episodes with POUCT, one on each core, and its times."""
    search = functools.partial(search_one, searches, penalty, problem)
    with multiprocessing.get_context("spawn").Pool() as pool:
        outcome = join(pool.map(search, episodes, chunksize=1))
    return outcome, {"ms": median_ms(outcome), "batch_ms": None}


def search_one(searches: int, penalty: float, problem: Merge | Occlusion, episode: int) -> Outcome:
    """Return what becomes of one episode with POUCT."""
    from pomcp_peer import decide_by_search

    decide = decide_by_search(problem, searches=searches, penalty=penalty, seed=int(episode))
    return play(problem, decide, np.array([episode]))


def median_ms(outcome: Outcome) -> float:
    """Return the median time for a decision [ms]."""
    return 1e3 * float(np.median(outcome.seconds))


def join(parts: list[Outcome]) -> Outcome:
    """Return outcomes of several runs as one."""
    return Outcome(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def summarise(outcome: Outcome, first: Outcome) -> dict[str, Any]:
    """Return what is said of episodes, and beside another planner's."""
    count, hits = len(outcome.cost), int(outcome.collided.sum())
    more = outcome.cost - first.cost[:count]
    both = ~(outcome.collided | first.collided[:count])
    return {
        "episodes": count,
        **spread("cost", outcome.cost),
        **spread("more", more),
        **spread("safe_more", more[both]),
        "collisions": hits,
        **dict(zip(("collisions_from", "collisions_to"), wilson(hits, count), strict=True)),
        "no_plan": float(outcome.stuck.mean()),
    }


def spread(name: str, values: np.ndarray) -> dict[str, float]:
    """Return the mean of values and its interval, bootstrapped."""
    picked = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[picked].mean(axis=1), [0.025, 0.975])
    return {name: float(values.mean()), f"{name}_from": float(low), f"{name}_to": float(high)}


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share."""
    z = 1.96
    middle = (hits + z * z / 2) / (count + z * z)
    half = z / (count + z * z) * np.sqrt(hits * (count - hits) / count + z * z / 4)
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)


def in_words(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as it is printed: intervals beside what they are of."""
    words = {"planner": row["planner"], "episodes": row["episodes"]}
    for name in ("cost", "more", "safe_more"):
        words[name] = f"{row[name]:.2f} ({row[f'{name}_from']:.2f} to {row[f'{name}_to']:.2f})"
    share = f"({row['collisions_from']:.1%} to {row['collisions_to']:.1%})"
    words["collisions"] = f"{row['collisions']} {share}"
    return (
        words
        | {name: row[name] for name in ("no_plan", "ms")}
        | {"batch_ms": row["batch_ms"] or "-"}
    )


if __name__ == "__main__":
    main()
