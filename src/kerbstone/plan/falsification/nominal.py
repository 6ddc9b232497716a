"""What the shield costs where nobody is hostile: interventions, and progress against none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kerbstone.plan.falsification.adversaries import write_nothing
from kerbstone.plan.falsification.episodes import Outcome, Parts, play
from kerbstone.plan.falsification.families import Stage, set_stage
from kerbstone.plan.falsification.imperfections import draw_imperfections, see
from kerbstone.plan.falsification.motion import body_centre
from kerbstone.plan.falsification.planners import HOSTILE
from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.shield import Shield
from kerbstone.plan.vehicle import Vehicle

FAMILIES = ("following", "cut-in", "oncoming", "curve")
"""Families in which others can go on as they are."""


@dataclass(frozen=True)
class NominalReport:
    """What the shield costs on nominal traffic, and what it is for on hostile planners.

    Args:
        episodes: How many were played.
        way: How far ego drove under the shield [m].
        progress: Way under the shield as a share of the way without it.
        bouts_per_km: How often the shield began to intervene [1/km].
        interventions: Share of the steps in which it did.
        contacts: Episodes with a contact under the shield.
        bare: Episodes with a contact without it.
        hostile_caused: Collisions caused by hostile planners under the shield.
        hostile_bare: Collisions that the same planners cause without it.
    """

    episodes: int
    way: float
    progress: float
    bouts_per_km: float
    interventions: float
    contacts: int
    bare: int
    hostile_caused: int
    hostile_bare: int

    def as_mapping(self) -> dict[str, Any]:
        """Return it as JSON values; what is not defined is None."""
        return {name: None if value != value else value for name, value in vars(self).items()}  # noqa: PLR0124


def measure_nominal(
    episodes: int = 400,
    *,
    seed: int = 0,
    duration: float = 10.0,
    families: tuple[str, ...] = FAMILIES,
    assumptions: Assumptions | None = None,
    vehicle: Vehicle | None = None,
) -> NominalReport:
    """Play the same well-behaved traffic with and without the shield, and then hostile planners.

    Starts from which a sensible driver would collide even without the shield are not nominal and
    left out, and so are those without a verified fail-safe.

    Args:
        episodes: Starts to draw, over all families.
        seed: Of everything that is drawn.
        duration: Of an episode [s].
        families: What is played.
        assumptions: What the shield assumes.
        vehicle: Ego.
    """
    assumptions, vehicle = assumptions or Assumptions(), vehicle or Vehicle()
    runs = []
    for number, family in enumerate(families):
        rng = np.random.default_rng([seed, number])
        stage = set_stage(
            family,
            max(1, episodes // len(families)),
            rng=rng,
            assumptions=assumptions,
            vehicle=vehicle,
            is_nominal=True,
        )
        runs.append(_compare(stage, rng, duration, assumptions, vehicle))
    return _sum_up(runs, round(duration / assumptions.control_step))


@dataclass(frozen=True, eq=False)
class _Compared:
    shielded: Outcome
    bare: Outcome
    hostile: Outcome
    hostile_bare: Outcome


def _compare(
    stage: Stage,
    rng: np.random.Generator,
    duration: float,
    assumptions: Assumptions,
    vehicle: Vehicle,
) -> _Compared:
    imperfections = draw_imperfections(rng, stage.crowd)
    shown = see(
        stage.crowd,
        stage.blind,
        body_centre(stage.ego, vehicle),
        imperfections,
        assumptions,
        rng,
    )
    shield = Shield(stage.streets.road, vehicle=vehicle, assumptions=assumptions)
    rows = np.flatnonzero(shield.start(stage.ego, shown))
    stage, shown = stage.take(rows), shown.take(rows)
    calm = Parts(
        np.full(len(rows), "sensible"),
        np.zeros(len(rows), bool),
        write_nothing(rng, stage.crowd),
        imperfections.take(rows),
        is_polite=True,
    )
    hostile = replace(calm, planner=rng.choice(np.array(HOSTILE), len(rows)))

    def run(parts: Parts, *, shielded: bool) -> Outcome:
        if shielded:
            shield.start(stage.ego, shown)
        return play(
            stage,
            parts,
            shield if shielded else None,
            truth=assumptions,
            vehicle=vehicle,
            duration=duration,
            rng=np.random.default_rng(len(rows)),
        )

    return _Compared(
        run(calm, shielded=True),
        run(calm, shielded=False),
        run(hostile, shielded=True),
        run(hostile, shielded=False),
    )


def _sum_up(runs: list[_Compared], steps: int) -> NominalReport:
    def join(part: str, name: str) -> np.ndarray:
        return np.concatenate([getattr(getattr(run, part), name) for run in runs])

    nominal = np.isinf(join("bare", "time"))
    way = join("shielded", "way")[nominal]
    bare = join("bare", "way")[nominal].sum()
    bouts = join("shielded", "bouts")[nominal].sum()
    return NominalReport(
        episodes=int(nominal.sum()),
        way=float(way.sum()),
        progress=float(way.sum() / bare) if bare else float("nan"),
        bouts_per_km=float(1000.0 * bouts / way.sum()) if way.sum() else float("nan"),
        interventions=float(join("shielded", "interventions")[nominal].mean() / steps)
        if nominal.any()
        else float("nan"),
        contacts=int(np.isfinite(join("shielded", "time"))[nominal].sum()),
        bare=int((~nominal).sum()),
        hostile_caused=int(join("hostile", "caused").sum()),
        hostile_bare=int(join("hostile_bare", "caused").sum()),
    )
