"""What a search found, in rows that people read and in files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kerbstone.app.terminal import writing_file
from kerbstone.lang import Compiled, formula
from kerbstone.lang.atoms import atoms_of, unit_of
from kerbstone.lang.expansion import print_part
from kerbstone.mine import Finding, FoundMatch


def match_rows(matches: Iterable[FoundMatch]) -> list[dict[str, Any]]:
    """Return one row for each match, as the terminal shows it."""
    return [
        {
            "rank": match.rank,
            "scene": match.scene,
            "from": f"{match.start:.1f}",
            "to": f"{match.end:.1f}",
            "who": name_witnesses(match),
            "robustness": format_robustness(match.robustness),
            "missed_by": "; ".join(match.missed_by),
        }
        for match in matches
    ]


def name_witnesses(match: FoundMatch) -> str:
    """Return who takes part in a match, in one line.

    Example: `v: 17 (car), p: 4 (pedestrian)`.
    """
    return ", ".join(f"{who.variable}: {who.agent} ({who.kind})" for who in match.witnesses)


def format_robustness(robustness: float) -> str:
    """Return how strongly something holds, with its sign and enough digits to see one.

    Example:
        >>> format_robustness(1.234), format_robustness(-0.00037)
        ('+1.23', '-0.0004')
    """
    if abs(robustness) >= 0.01 or abs(robustness) < 5e-5:
        return f"{robustness:+.2f}"
    return f"{robustness:+.4f}"


def describe_query(query: Compiled) -> dict[str, Any]:
    """Return a query as it is understood: its text, its road users and its atoms."""
    return {
        "query": query.text,
        "variables": [
            {
                "name": slot.name,
                "kinds": [kind.name.lower() for kind in sorted(slot.kinds or ())],
            }
            for slot in query.slots
        ],
        "names_ego": query.names_ego,
        "atoms": [_describe_atom(atom) for atom in atoms_of(query.body)],
    }


def write_finding(finding: Finding, path: Path) -> None:
    """Write all of a finding, with its values over time, as JSON.

    Raises:
        InputError: The file cannot be written.
    """
    text = json.dumps(finding.to_dict(traces=True), indent=1, ensure_ascii=False)
    with writing_file(path):
        path.write_text(text + "\n", encoding="utf-8")


def _describe_atom(atom: formula.Formula) -> dict[str, Any]:
    if not isinstance(atom, formula.Comparison):
        return {"text": print_part(atom), "compares": False, "unit": None}
    return {"text": print_part(atom), "compares": True, "unit": unit_of(atom) or "1"}
