"""Finding and choosing what matters: scenarios, examples, rarity, selections and coverage."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerbstone.mine.finding import AtomTrace, Finding, FoundMatch, Trace, Witness
    from kerbstone.mine.index import IndexReport, index_store
    from kerbstone.mine.inquiry import find
    from kerbstone.mine.queries import Understood, understand_query
    from kerbstone.mine.records import find_finding, list_findings
    from kerbstone.mine.search import Search, search_store

# Where each public name comes from. Its module is loaded when it is first asked for: to understand
# a query, nobody needs to load what searches a store.
_HOMES = {
    "finding": ("AtomTrace", "Finding", "FoundMatch", "Trace", "Witness"),
    "index": ("IndexReport", "index_store"),
    "inquiry": ("find",),
    "queries": ("Understood", "understand_query"),
    "records": ("find_finding", "list_findings"),
    "search": ("Search", "search_store"),
}

__all__ = [
    "AtomTrace",
    "Finding",
    "FoundMatch",
    "IndexReport",
    "Search",
    "Trace",
    "Understood",
    "Witness",
    "find",
    "find_finding",
    "index_store",
    "list_findings",
    "search_store",
    "understand_query",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
