"""What a search found, in rows that people read and in files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kerbstone.app.terminal import (
    count_of,
    format_count,
    format_duration,
    print_table,
    print_text,
    writing_file,
)
from kerbstone.lang import Compiled, formula
from kerbstone.lang.atoms import atoms_of, unit_of
from kerbstone.lang.expansion import print_part
from kerbstone.mine import Finding, FoundMatch

_LONG_ID = 14
"""A name of a road user that is longer is cut in its middle, where there is little room."""


def print_finding(finding: Finding) -> None:
    """Print a finding as tables, of the matches and of the near misses."""
    listed = [match for match in finding.matches if match.is_match]
    missed = [match for match in finding.matches if not match.is_match]
    found = f"{format_count(finding.total)} match{'' if finding.total == 1 else 'es'}"
    shown = f"; the strongest {len(listed)}:" if 0 < len(listed) < finding.total else ""
    print_text(
        f"{found} in {count_of(finding.scenes, 'scene')} "
        f"({format_duration(finding.seconds)} of road){shown}"
    )
    columns = {
        "rank": "#", "scene": "scene", "from": "from s", "to": "to s", "who": "who",
        "robustness": "robustness",
    }  # fmt: skip
    right = ("rank", "from", "to", "robustness")
    # A file or another program gets the whole names.
    is_short = sys.stdout.isatty()
    if listed:
        print_table(match_rows(listed, is_short=is_short), columns, right=right)
    if missed:
        print_table(
            match_rows(missed, is_short=is_short),
            {**columns, "missed_by": "missed by"},
            title="Near misses",
            right=right,
        )
    print_text(f"finding {finding.id}")


def match_rows(matches: Iterable[FoundMatch], *, is_short: bool = False) -> list[dict[str, Any]]:
    """Return one row for each match, as the terminal shows it.

    Args:
        matches: The matches.
        is_short: Whether long names of road users are cut.
    """
    return [
        {
            "rank": match.rank,
            "scene": match.scene,
            "from": f"{match.start:.1f}",
            "to": f"{match.end:.1f}",
            "who": name_witnesses(match, is_short=is_short),
            "robustness": format_robustness(match.robustness),
            "missed_by": "; ".join(match.missed_by),
        }
        for match in matches
    ]


def name_witnesses(match: FoundMatch, *, is_short: bool = False) -> str:
    """Return who takes part in a match, in one line.

    Example: `v: 17 (car), p: 4 (pedestrian)`.

    Args:
        match: The match.
        is_short: Whether long names are cut in their middle, as in `c37f2a…d522`.
    """
    return ", ".join(
        f"{who.variable}: {shorten_id(who.agent) if is_short else who.agent} ({who.kind})"
        for who in match.witnesses
    )


def shorten_id(name: str) -> str:
    """Return a name that fits into a narrow column: both of its ends tell it from others.

    Example:
        >>> shorten_id("v017"), shorten_id("c37f2aba-a536-423f-9a12-fa5d5cd1b522")
        ('v017', 'c37f2a…b522')
    """
    return name if len(name) <= _LONG_ID else f"{name[:6]}…{name[-4:]}"


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
