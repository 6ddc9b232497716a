"""Adversaries that play the same starts again and again, and learn from each round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from kerbstone.plan.falsification.adversaries import Scripts, refine_scripts
from kerbstone.plan.falsification.descent import begin_descent, descend
from kerbstone.plan.falsification.episodes import Instant, Outcome
from kerbstone.plan.falsification.families import Stage
from kerbstone.plan.falsification.trails import Trail
from kerbstone.plan.vehicle import Vehicle


@dataclass(frozen=True)
class Seeking:
    """How often an adversary plays its starts.

    Args:
        tries: Episodes of each start in a round.
        rounds: How many.
        turn: Which of `_TURNS` chunks it takes, in each family in turn, where others play too.
    """

    tries: int
    rounds: int
    turn: int


SEEKING = {"search": Seeking(25, 4, 3), "gradient": Seeking(10, 10, 1)}
"""The adversaries that seek; their chunks are theirs alone."""
AT_ONCE = Seeking(1, 1, 0)
"""How all others play."""
STARTS = 25
"""Those that seek draw one start where others draw so many."""
_TURNS = 4


def pick_adversaries(names: tuple[str, ...], turn: int) -> tuple[str, ...]:
    """Return who of a campaign's adversaries plays in a chunk: one that seeks, or all others."""
    mixed = tuple(name for name in names if name not in SEEKING)
    seekers = tuple(name for name in names if name in SEEKING)
    if not mixed:
        return (seekers[turn % len(seekers)],)
    return tuple(name for name in seekers if SEEKING[name].turn == turn % _TURNS) or mixed


def play_rounds(
    name: str,
    scripts: Scripts,
    stage: Stage,
    play: Callable[[Scripts, int, Callable[[Instant], object]], Outcome],
    *,
    rng: np.random.Generator,
    vehicle: Vehicle,
    duration: float,
) -> list[Outcome]:
    """Play all rounds and return how each went.

    Args:
        name: Who plays.
        scripts: Of the first round.
        stage: Where every round begins.
        play: Plays a round: of scripts, with its number, watched by a function.
        rng: For the scripts of later rounds.
        vehicle: Ego's size.
        duration: Of a step [s].
    """
    seeking = SEEKING.get(name, AT_ONCE)
    descent, outcomes = begin_descent(scripts), []
    for number in range(seeking.rounds):
        trail = Trail([stage.ego], [stage.crowd])
        outcomes.append(play(scripts, number, trail.add if name == "gradient" else _ignore))
        if number + 1 == seeking.rounds or not len(stage):
            continue
        if name == "gradient":
            descent, scripts = descend(
                rng, descent, scripts, trail, outcomes[-1], vehicle=vehicle, duration=duration
            )
        else:
            danger = _measure_danger(outcomes[-1])
            scripts = refine_scripts(rng, scripts, danger, tries=seeking.tries)
    return outcomes


def _ignore(instant: Instant) -> None:
    del instant


def _measure_danger(outcome: Outcome) -> Float64[np.ndarray, " episode"]:
    """Return how near episodes came to a collision that ego causes; below zero where one was."""
    return np.where(outcome.caused, -10.0, np.maximum(outcome.gap, 0.0))
