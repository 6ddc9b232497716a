"""Finding and choosing what matters: scenarios, examples, rarity, selections and coverage."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerbstone.mine.coverage import measure_coverage
    from kerbstone.mine.examples import Neighbour, like
    from kerbstone.mine.moments.criticality import assess
    from kerbstone.mine.moments.describing import describe
    from kerbstone.mine.moments.embeddings import nearest, put_vectors, read_vectors
    from kerbstone.mine.moments.learned import EmbedReport, embed
    from kerbstone.mine.query.endpoint import Settings, read_settings
    from kerbstone.mine.query.queries import Understood, understand_query
    from kerbstone.mine.rarity import rare
    from kerbstone.mine.search.finding import AtomTrace, Finding, FoundMatch, Trace, Witness
    from kerbstone.mine.search.index import IndexReport, index_store
    from kerbstone.mine.search.inquiry import find
    from kerbstone.mine.search.readings import unread_scenes
    from kerbstone.mine.search.records import find_finding, list_findings
    from kerbstone.mine.search.referrals import refer, refer_store
    from kerbstone.mine.search.search import Search, search_store
    from kerbstone.mine.selection import Selection, SelectionConfig, select

# Where each public name comes from. Its module is loaded when it is first asked for: to understand
# a query, nobody needs to load what searches a store.
_HOMES = {
    "coverage": ("measure_coverage",),
    "moments.criticality": ("assess",),
    "moments.describing": ("describe",),
    "moments.learned": ("EmbedReport", "embed"),
    "moments.embeddings": ("nearest", "put_vectors", "read_vectors"),
    "query.endpoint": ("Settings", "read_settings"),
    "examples": ("Neighbour", "like"),
    "search.finding": ("AtomTrace", "Finding", "FoundMatch", "Trace", "Witness"),
    "search.index": ("IndexReport", "index_store"),
    "search.inquiry": ("find",),
    "query.queries": ("Understood", "understand_query"),
    "rarity": ("rare",),
    "search.readings": ("unread_scenes",),
    "search.records": ("find_finding", "list_findings"),
    "search.referrals": ("refer", "refer_store"),
    "search.search": ("Search", "search_store"),
    "selection": ("Selection", "SelectionConfig", "select"),
}

__all__ = [
    "AtomTrace",
    "EmbedReport",
    "Finding",
    "FoundMatch",
    "IndexReport",
    "Neighbour",
    "Search",
    "Selection",
    "SelectionConfig",
    "Settings",
    "Trace",
    "Understood",
    "Witness",
    "assess",
    "describe",
    "embed",
    "find",
    "find_finding",
    "index_store",
    "like",
    "list_findings",
    "measure_coverage",
    "nearest",
    "put_vectors",
    "rare",
    "read_settings",
    "read_vectors",
    "refer",
    "refer_store",
    "search_store",
    "select",
    "understand_query",
    "unread_scenes",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
