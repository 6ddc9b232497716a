"""What is it worth to plan for what is not known? Contingency plans against others, and POMCP.

    python benchmarks/bench_contingency.py [--quick] [--episodes 256] [--searched 8]

Two problems in closed loop (`contingency_problems`): a car that yields or does not, and somebody
on foot who may be hidden behind a van. All plan anew every 0.25 s from the same beliefs, and each
episode has the same chances for all. Ours: the contingency plan for the mean and for the
conditional value at risk of the worst fifth, the plan for the likeliest mode alone, for the
expected prediction alone (not with the hidden: a person cannot be there on average), and the plan
that must do for all modes for ever. Theirs: POUCT, the search of POMCP, from pomdp-py
(`pomcp_peer`), with so much time for each decision that there are fewer episodes of it. It is run
with the true penalty of a collision, at which it is timid, and with a tenth of it.

`cost` is the mean of an episode, `driving` the same without the 1000 that a collision costs, both
with the half width of a 95 % interval; collisions have Wilson's interval. `no_plan` is the share
of decisions at which no plan was feasible and ego braked. `alone_ms` is for one decision by
itself, beliefs not counted, `batch_ms` the same where 64 episodes are planned together.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from contingency_planners import PLANNERS, Outcome, Planner, decide_by, play
from contingency_problems import COLLISION, Merge, Occlusion
from timing import print_rows, write_results

PART = 64  # episodes planned together
PENALTIES = (COLLISION, 100.0)  # of a collision in the tree of POUCT
ALONE = (1000, 1001)  # episodes that single decisions are timed on; the first one compiles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=256, help="of each of ours")
    parser.add_argument("--searched", type=int, default=8, help="of POUCT; 0 leaves it out")
    parser.add_argument("--searches", type=int, default=2000, help="of POUCT for each decision")
    parser.add_argument("--quick", action="store_true", help="few episodes, nothing written")
    options = parser.parse_args()
    if options.quick:
        options.episodes, options.searched, options.searches = 32, 1, 100
    rows = []
    for problem in (Merge(), Occlusion()):
        found = [
            rate_planner(problem, planner, options.episodes) for planner in planners_of(problem)
        ]
        found += [
            rate_search(problem, options.searched, options.searches, penalty)
            for penalty in (PENALTIES if options.searched else ())
        ]
        print_rows(problem.name, found)
        rows += found
    if not options.quick:
        print(f"\nwritten to {write_results('contingency', rows)}")


def planners_of(problem: Merge | Occlusion) -> list[Planner]:
    """Return those of ours that make sense in a problem."""
    whole = isinstance(problem, Merge)
    return [planner for planner in PLANNERS if whole or planner.predict is None]


def rate_planner(problem: Merge | Occlusion, planner: Planner, episodes: int) -> dict[str, Any]:
    """Return the row of one of ours."""
    outcome = play_parts(problem, lambda: decide_by(planner, problem), episodes)
    times = [play(problem, decide_by(planner, problem), np.array([i])).seconds for i in ALONE]
    return summarise(problem, planner.name, outcome, alone=times[1])


def rate_search(
    problem: Merge | Occlusion, episodes: int, searches: int, penalty: float
) -> dict[str, Any]:
    """Return the row of POUCT."""
    from pomcp_peer import decide_by_search

    decide = decide_by_search(problem, searches=searches, penalty=penalty)
    outcome = play(problem, decide, np.arange(episodes))
    name = f"POUCT, {searches} searches, penalty {penalty:g}"
    return summarise(problem, name, outcome, alone=outcome.seconds)


def play_parts(
    problem: Merge | Occlusion, start: Callable[[], Callable[..., Any]], episodes: int
) -> Outcome:
    """Drive episodes, some at a time, after the first few of each part's shape."""
    play(problem, start(), np.arange(min(PART, episodes)), steps=1)  # compiles
    parts = [
        play(problem, start(), np.arange(first, min(first + PART, episodes)))
        for first in range(0, episodes, PART)
    ]
    return join(parts)


def join(parts: list[Outcome]) -> Outcome:
    """Return outcomes of several runs as one; shares and times are means over the runs."""
    weight = np.array([len(part.cost) for part in parts], float)
    return Outcome(
        np.concatenate([part.cost for part in parts]),
        np.concatenate([part.collided for part in parts]),
        float(np.average([part.stuck for part in parts], weights=weight)),
        float(np.average([part.seconds for part in parts], weights=weight)),
    )


def summarise(
    problem: Merge | Occlusion, name: str, outcome: Outcome, *, alone: float
) -> dict[str, Any]:
    """Return a row of the table."""
    driving = outcome.cost - COLLISION * outcome.collided
    low, high = wilson(int(outcome.collided.sum()), len(driving))
    return {
        "planner": name,
        "problem": problem.name,
        "episodes": len(driving),
        "cost": float(outcome.cost.mean()),
        "cost_ci": half_width(outcome.cost),
        "driving": float(driving.mean()),
        "driving_ci": half_width(driving),
        "collisions": float(outcome.collided.mean()),
        "from": low,
        "to": high,
        "no_plan": float(outcome.stuck),
        "alone_ms": alone * 1e3,
        "batch_ms": outcome.seconds * 1e3,
    }


def half_width(values: np.ndarray) -> float:
    """Return half the width of a 95 % interval of a mean."""
    return float(1.96 * values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.inf


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share."""
    z = 1.96
    middle = (hits + z * z / 2) / (count + z * z)
    half = z / (count + z * z) * np.sqrt(hits * (count - hits) / count + z * z / 4)
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)


if __name__ == "__main__":
    main()
