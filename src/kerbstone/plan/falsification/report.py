"""What falsification found: counts, and the collisions that tell against the shield."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerbstone.errors import InputError
from kerbstone.plan.falsification.campaign import Played, is_moving
from kerbstone.plan.shield.ledger import Assumption
from kerbstone.plan.vehicle import StateIndex
from kerbstone.scene import Kind

_MOST_CASES = 200
BROKEN: dict[int, str] = {
    int(Assumption.NONE): "defect",
    int(Assumption.START): "A1",
    int(Assumption.OTHERS): "A2",
    int(Assumption.PERCEPTION): "A3",
    int(Assumption.TRACKING): "A4",
    int(Assumption.ARITHMETIC): "A5",
    int(Assumption.REST): "A6",
}
"""What a collision is laid to."""


@dataclass(frozen=True)
class Row:
    """Counts of one kind of episodes.

    Args:
        family: What is played.
        adversary: How the others play.
        planner: Who asks for commands.
        episodes: Played from a verified start.
        contacts: In how many ego and someone touched.
        moving: In how many of these ego was moving.
        caused: In how many of these ego was the cause.
        interventions: Steps in which the shield intervened.
        way: How far ego drove [m].
        gap: Least gap to anyone in those episodes in which nobody touched ego [m]; None where there
            was none.
    """

    family: str
    adversary: str
    planner: str
    episodes: int = 0
    contacts: int = 0
    moving: int = 0
    caused: int = 0
    interventions: int = 0
    way: float = 0.0
    gap: float | None = None


@dataclass(frozen=True)
class Case:
    """One collision that ego caused; `replay` plays it again from chunk and row.

    Args:
        chunk: Number of the chunk.
        row: Place of the episode in it.
        family: What was played.
        adversary: How the others played.
        planner: Who asked for commands.
        kind: Of whom ego touched.
        time: When [s].
        speed: Of ego then [m/s].
        broken: "A1" to "A6", or "defect" where the ledger saw none of these broken.
    """

    chunk: int
    row: int
    family: str
    adversary: str
    planner: str
    kind: str
    time: float
    speed: float
    broken: str


@dataclass(frozen=True)
class FalsificationReport:
    """All that was played so far.

    Args:
        seed: Of the campaign.
        chunks: Numbers of the chunks that are counted, in order.
        drawn: Starts that were drawn.
        rows: Counts by family, adversary and planner, in their order.
        cases: Collisions that ego caused; no more than 200 are kept, though all are counted.
        broken: How many of these are laid to what.
        slip: Greatest distance between where the shield and the simulation say that a control
            leads to [m].
        seconds: Time that playing took, of all workers together [s].
    """

    seed: int
    chunks: tuple[int, ...] = ()
    drawn: int = 0
    rows: tuple[Row, ...] = ()
    cases: tuple[Case, ...] = ()
    broken: tuple[tuple[str, int], ...] = ()
    slip: float = 0.0
    seconds: float = 0.0

    @property
    def episodes(self) -> int:
        """Episodes that were played from a verified start."""
        return sum(row.episodes for row in self.rows)

    @property
    def contacts(self) -> int:
        """Episodes in which ego and someone touched, whoever caused it."""
        return sum(row.contacts for row in self.rows)

    @property
    def moving(self) -> int:
        """Episodes in which they touched while ego was moving."""
        return sum(row.moving for row in self.rows)

    @property
    def caused(self) -> int:
        """Episodes in which ego caused a collision."""
        return sum(row.caused for row in self.rows)

    @property
    def defects(self) -> int:
        """Collisions that ego caused while the ledger saw no assumption broken."""
        return dict(self.broken).get("defect", 0)

    @property
    def no_start(self) -> float:
        """Share of the starts that had no verified fail-safe; NaN before anything was drawn."""
        return 1.0 - self.episodes / self.drawn if self.drawn else float("nan")

    @property
    def rate(self) -> float:
        """Episodes that one worker plays in a second; NaN before anything was played."""
        return self.episodes / self.seconds if self.seconds else float("nan")

    def count_by(self, name: str) -> dict[str, Row]:
        """Return the counts added up by "family", "adversary" or "planner"."""
        totals: dict[str, Row] = {}
        for row in self.rows:
            key = getattr(row, name)
            empty = Row(**{"family": "", "adversary": "", "planner": "", name: key})
            totals[key] = _add(totals.get(key, empty), row)
        return totals

    def merge(self, other: FalsificationReport) -> FalsificationReport:
        """Return both together, in the same order whichever was first.

        Of two runs of one campaign, no chunk may be in both.
        """
        rows = {(r.family, r.adversary, r.planner): r for r in self.rows}
        for row in other.rows:
            key = (row.family, row.adversary, row.planner)
            rows[key] = _add(rows.get(key, Row(*key)), row)
        broken = dict(self.broken)
        for name, count in other.broken:
            broken[name] = broken.get(name, 0) + count
        cases = sorted((*self.cases, *other.cases), key=lambda case: (case.chunk, case.row))
        return FalsificationReport(
            self.seed,
            tuple(sorted((*self.chunks, *other.chunks))),
            self.drawn + other.drawn,
            tuple(rows[key] for key in sorted(rows)),
            tuple(cases[:_MOST_CASES]),
            tuple(sorted(broken.items())),
            max(self.slip, other.slip),
            self.seconds + other.seconds,
        )

    def as_mapping(self) -> dict[str, Any]:
        """Return it as JSON values."""
        groups = {
            f"by_{name}": {
                key: {
                    part: value
                    for part, value in vars(row).items()
                    if part not in {"family", "adversary", "planner"}
                }
                for key, row in self.count_by(name).items()
            }
            for name in ("family", "adversary", "planner")
        }
        return {
            "seed": self.seed,
            "chunks": len(self.chunks),
            "drawn": self.drawn,
            "episodes": self.episodes,
            "no_start": None if not self.drawn else self.no_start,
            "contacts": self.contacts,
            "moving": self.moving,
            "caused": self.caused,
            "defects": self.defects,
            "broken": dict(self.broken),
            **groups,
            "cases": [dict(vars(case)) for case in self.cases],
            "slip": self.slip,
            "episodes_per_second": None if not self.seconds else self.rate,
        }


def keep(report: FalsificationReport) -> dict[str, Any]:
    """Return all of a report as JSON values, from which `recall` makes it again."""
    return {
        **vars(report),
        "rows": [dict(vars(row)) for row in report.rows],
        "cases": [dict(vars(case)) for case in report.cases],
    }


def recall(record: Any, *, where: str = "") -> FalsificationReport:
    """Return the report that `keep` wrote.

    Raises:
        InputError: It is none.
    """
    try:
        return FalsificationReport(
            int(record["seed"]),
            tuple(int(chunk) for chunk in record["chunks"]),
            int(record["drawn"]),
            tuple(Row(**row) for row in record["rows"]),
            tuple(Case(**case) for case in record["cases"]),
            tuple((str(name), int(count)) for name, count in record["broken"]),
            float(record["slip"]),
            float(record["seconds"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "syntax",
            "this is no report of a falsification",
            where=where,
            why=f"{type(error).__name__}: {error}",
            remedy="name another file, or remove it to begin anew",
        ) from error


def count_chunk(seed: int, played: Played, seconds: float) -> FalsificationReport:
    """Return the report of one chunk."""
    outcome = played.outcome
    caused = np.flatnonzero(outcome.caused)
    names = [BROKEN[int(outcome.broken[row])] for row in caused]
    return FalsificationReport(
        seed,
        (played.chunk,),
        played.drawn,
        tuple(_count_rows(played)),
        tuple(
            Case(
                played.chunk,
                int(row),
                played.family,
                str(played.adversary[row]),
                str(played.planner[row]),
                Kind(int(played.kind[row])).name.lower(),
                float(outcome.time[row]),
                float(outcome.ego[row, StateIndex.SPEED]),
                name,
            )
            for row, name in zip(caused[:_MOST_CASES], names, strict=False)
        ),
        tuple(sorted((name, names.count(name)) for name in set(names))),
        outcome.slip,
        seconds,
    )


def _count_rows(played: Played) -> Iterator[Row]:
    outcome = played.outcome
    touched, moving = np.isfinite(outcome.time), is_moving(outcome)
    pairs = sorted(set(zip(played.adversary.tolist(), played.planner.tolist(), strict=True)))
    for adversary, planner in pairs:
        chosen = (played.adversary == adversary) & (played.planner == planner)
        yield Row(
            played.family,
            adversary,
            planner,
            int(chosen.sum()),
            int(touched[chosen].sum()),
            int(moving[chosen].sum()),
            int(outcome.caused[chosen].sum()),
            int(outcome.interventions[chosen].sum()),
            float(outcome.way[chosen].sum()),
            _least(outcome.gap[chosen & ~touched & np.isfinite(outcome.gap)].tolist()),
        )


def _add(one: Row, other: Row) -> Row:
    return Row(
        one.family,
        one.adversary,
        one.planner,
        one.episodes + other.episodes,
        one.contacts + other.contacts,
        one.moving + other.moving,
        one.caused + other.caused,
        one.interventions + other.interventions,
        one.way + other.way,
        _least([gap for gap in (one.gap, other.gap) if gap is not None]),
    )


def _least(gaps: list[float]) -> float | None:
    return min(gaps, default=None)
