"""What finished tracks do: the named scenarios that hold for them, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kerbstone.errors import InputError, suggest_name

BEHAVIOURS = "behaviours"
"""The table of a store."""

if TYPE_CHECKING:
    import pyarrow as pa

    from kerbstone.lang.matches import Match
    from kerbstone.scene import Scene


def label_behaviours(scene: Scene, names: Sequence[str]) -> list[tuple[str, Match]]:
    """Return where named scenarios hold in a labelled scene.

    Args:
        scene: Finished tracks; without a map, what is said of lanes is never known.
        names: Built-in scenarios, or "all".

    Returns:
        The scenario and the match, by scenario and then the strongest first.

    Raises:
        InputError: There is no such scenario, or it takes more than a query may.
    """
    from kerbstone.lang import Facts, evaluate
    from kerbstone.lang.library import prepare
    from kerbstone.lang.matches import list_matches

    facts = Facts(scene)
    found = []
    for name in check_behaviours(names):
        answer = evaluate(prepare(name), facts, floor=0.0)
        found += [(name, match) for match in list_matches(answer, facts)]
    return found


def check_behaviours(names: Sequence[str]) -> list[str]:
    """Return the scenarios that are meant, each once.

    Raises:
        InputError: There is no such scenario.
    """
    from kerbstone.lang.library import built_in_scenarios

    known = built_in_scenarios()
    for name in names:
        if name != "all" and name not in known:
            raise InputError(
                "name", f"there is no scenario {name!r}", remedy=suggest_name(name, known)
            )
    return sorted(known) if "all" in names else list(dict.fromkeys(names))


def behaviour_rows(scene: Scene, found: Sequence[tuple[str, Match]]) -> list[dict[str, Any]]:
    """Return matches as rows of the table `behaviours` of a store."""
    return [
        {
            "scene_id": scene.id,
            "behaviour": name,
            "roles": list(match.witnesses),
            "agents": list(match.witnesses.values()),
            "start_ns": scene.clock.start_ns + match.first * scene.clock.dt_ns,
            "end_ns": scene.clock.start_ns + (match.last + 1) * scene.clock.dt_ns,
            "robustness": match.robustness,
        }
        for name, match in found
    ]


def behaviour_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Return rows of `behaviour_rows` as a table, which has its columns without rows too."""
    import pyarrow as pa

    names = pa.list_(pa.string())
    schema = pa.schema(
        [
            ("scene_id", pa.string()),
            ("behaviour", pa.string()),
            ("roles", names),
            ("agents", names),
            ("start_ns", pa.int64()),
            ("end_ns", pa.int64()),
            ("robustness", pa.float64()),
        ]
    )
    return pa.Table.from_pylist(list(rows), schema=schema)
