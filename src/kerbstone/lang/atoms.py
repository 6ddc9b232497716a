"""The atoms of a query, its claims and comparisons, over time: why it holds, or does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.lang import formula as f
from kerbstone.lang.evaluation import evaluate_parts
from kerbstone.lang.expansion import print_part
from kerbstone.lang.facts import Facts
from kerbstone.lang.units import UNITS

Values = Float64[np.ndarray, "binding time"]


@dataclass(frozen=True, eq=False)
class Atom:
    """A claim or comparison of a query for some bindings.

    Args:
        text: What it says, about the query's own road users.
        robustness: How strongly it holds at each time; NaN where it is undefined.
        operator: How a comparison compares; empty for a claim.
        unit: The unit of `left` and `right`: the one in which the query gives its number.
        left: What is compared; None for a claim.
        right: What it is compared with; None for a claim.
    """

    text: str
    robustness: Values
    operator: str = ""
    unit: str = ""
    left: Values | None = None
    right: Values | None = None


def measure_atoms(
    query: f.Compiled, facts: Facts, rows: Int64[np.ndarray, "binding slot"]
) -> list[Atom]:
    """Return the atoms of a query for some of its bindings, each text once.

    What is quantified over further road users, or counts them, counts as one atom: below it there
    are others than the query's own.

    Args:
        query: The compiled query.
        facts: The scene.
        rows: The agents of each binding, as in `Answer`.

    Raises:
        InputError: It would take more time or memory than a query may.
    """
    found = atoms_of(query.body)
    sides = [side for atom in found for side in sides_of(atom)]
    values = evaluate_parts(query, facts, rows, [*found, *sides])
    by_part = {id(part): value for part, value in zip([*found, *sides], values, strict=True)}
    return [_atom(part, by_part) for part in found]


def atoms_of(formula: f.Formula) -> list[f.Formula]:
    """Return the parts of a formula that are its atoms, in their order, each text once."""
    found: dict[str, f.Formula] = {}

    def visit(part: f.Part) -> None:
        if isinstance(part, f.Claim | f.Comparison | f.Quantified):
            found.setdefault(print_part(part), part)
        else:
            for below in part.parts():
                visit(below)

    visit(formula)
    return list(found.values())


def sides_of(part: f.Formula) -> tuple[f.Term, ...]:
    """Return the two terms of a comparison, none of anything else."""
    return (part.left, part.right) if isinstance(part, f.Comparison) else ()


def unit_of(part: f.Comparison) -> str:
    """Return the unit in which a comparison gives a number, else its SI unit."""
    for side in (part.right, part.left):
        name = side.text.split()[-1] if isinstance(side, f.Constant) else ""
        if name in UNITS and UNITS[name].dimension == part.left.dimension:
            return name
    fitting = (name for name, unit in UNITS.items() if unit.factor == 1)
    return next((n for n in fitting if UNITS[n].dimension == part.left.dimension), "")


def _atom(part: f.Formula, values: dict[int, Values]) -> Atom:
    robustness = values[id(part)]
    if not isinstance(part, f.Comparison):
        return Atom(print_part(part), robustness)
    unit = unit_of(part)
    left, right = (values[id(side)] / UNITS[unit].factor for side in sides_of(part))
    return Atom(print_part(part), robustness, part.operator, unit, left, right)
