"""A finding: the ranked matches of a query in a store, the near misses, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import KerbstoneError

Values = Float64[np.ndarray, " time"]


@dataclass(frozen=True)
class Witness:
    """A road user in a role of the query.

    Args:
        variable: The query's name for the role.
        agent: Id of the road user in its scene.
        kind: What it is, as `Kind` calls it, in small letters.
    """

    variable: str
    agent: str
    kind: str


@dataclass(frozen=True, eq=False)
class AtomTrace:
    """A claim or comparison of the query around a match.

    Args:
        text: What it says.
        robustness: How strongly it holds at each time; NaN where it is undefined.
        operator: How a comparison compares; empty for a claim.
        unit: Unit of `left` and `right`, the one in which the query speaks.
        left: What is compared; None for a claim.
        right: What it is compared with; None for a claim.
    """

    text: str
    robustness: Values
    operator: str = ""
    unit: str = ""
    left: Values | None = None
    right: Values | None = None


@dataclass(frozen=True, eq=False)
class Trace:
    """How a query and its atoms went over time, from a little before a match to a little after.

    Args:
        first: The scene's step at which it begins.
        robustness: Of the whole query; NaN where it is undefined.
        atoms: In the order of the query.
    """

    first: int
    robustness: Values
    atoms: tuple[AtomTrace, ...]


@dataclass(frozen=True, eq=False)
class FoundMatch:
    """Road users for whom the query held over a stretch of a scene, or most nearly did.

    Args:
        rank: Its place in the finding, from 1 on; near misses go on after the matches.
        is_match: Whether it held; else it is a near miss.
        scene: Id of the scene.
        scene_part: Which version of the scene, as the store's `scenes` table says.
        witnesses: Who, in the order of the query's variables.
        first: The first step.
        last: The last step.
        best: The step at which it is strongest.
        dt: The scene's time step [s].
        robustness: How strong it is there; negative for a near miss.
        missed_by: What kept a near miss from holding, one sentence for each atom.
        trace: How it went.
    """

    rank: int
    is_match: bool
    scene: str
    scene_part: int
    witnesses: tuple[Witness, ...]
    first: int
    last: int
    best: int
    dt: float
    robustness: float
    missed_by: tuple[str, ...]
    trace: Trace

    @property
    def start(self) -> float:
        """When it begins, from the start of the scene [s]."""
        return self.first * self.dt

    @property
    def end(self) -> float:
        """When its last step is over [s]."""
        return (self.last + 1) * self.dt

    def to_dict(self, *, traces: bool = False) -> dict[str, Any]:
        """Return the match as JSON values.

        Args:
            traces: With all values over time; else with those at the best step.
        """
        trace = self.trace
        plain = {
            "rank": self.rank,
            "is_match": self.is_match,
            "scene": self.scene,
            "witnesses": {
                witness.variable: {"agent": witness.agent, "kind": witness.kind}
                for witness in self.witnesses
            },
            "start": round(self.start, 6),
            "end": round(self.end, 6),
            "best": round(self.best * self.dt, 6),
            "robustness": _number(self.robustness),
            "missed_by": list(self.missed_by),
            "atoms": [_atom_dict(atom, self.best - trace.first) for atom in trace.atoms],
        }
        if traces:
            plain["trace"] = {
                "start": round(trace.first * self.dt, 6),
                "dt": self.dt,
                "robustness": _plain(trace.robustness),
                "atoms": [
                    {
                        "text": atom.text,
                        "robustness": _plain(atom.robustness),
                        "left": None if atom.left is None else _plain(atom.left),
                        "right": None if atom.right is None else _plain(atom.right),
                    }
                    for atom in trace.atoms
                ],
            }
        return plain


@dataclass(frozen=True, eq=False)
class Finding:
    """What a search found.

    Args:
        id: Its name in the store: the same for the same question about the same scenes.
        query: What was looked for, in canonical text.
        given: As the user said it.
        where: The condition on the scenes; empty for all.
        top: How many matches were asked for at most.
        near_misses: How many near misses were asked for at most.
        scenes: How many scenes were searched.
        seconds: How long they are together [s].
        total: How many matches there are in them, those that are not listed included.
        matches: The strongest matches, the strongest first, and after them the near misses.
        failed: Scenes that could not be searched, with the reason.
        run: Id of the run that found it; empty where it was not written down.
    """

    id: str
    query: str
    given: str
    where: str
    top: int
    near_misses: int
    scenes: int
    seconds: float
    total: int
    matches: tuple[FoundMatch, ...]
    failed: tuple[tuple[str, KerbstoneError], ...] = ()
    run: str = ""

    def to_dict(self, *, traces: bool = False) -> dict[str, Any]:
        """Return the finding as JSON values.

        Args:
            traces: With all values over time.
        """
        return {
            "finding": self.id,
            "run": self.run,
            "query": self.query,
            "given": self.given,
            "where": self.where,
            "scenes": self.scenes,
            "seconds": round(self.seconds, 3),
            "total": self.total,
            "matches": [m.to_dict(traces=traces) for m in self.matches if m.is_match],
            "near_misses": [m.to_dict(traces=traces) for m in self.matches if not m.is_match],
            "failed": [{"scene": scene, **error.to_dict()} for scene, error in self.failed],
        }


def _atom_dict(atom: AtomTrace, step: int) -> dict[str, Any]:
    plain: dict[str, Any] = {"text": atom.text, "robustness": _number(atom.robustness[step])}
    if atom.left is not None and atom.right is not None:
        plain |= {
            "left": _number(atom.left[step]),
            "operator": atom.operator,
            "right": _number(atom.right[step]),
            "unit": atom.unit,
        }
    return plain


def _plain(values: Values) -> list[float | str | None]:
    return [_number(value) for value in values]


def _number(value: float) -> float | str | None:
    """Return a number as JSON has it: nothing for what is undefined, a word for the infinite."""
    if np.isnan(value):
        return None
    return float(value) if np.isfinite(value) else ("inf" if value > 0 else "-inf")
