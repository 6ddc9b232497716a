"""The table of surprises: who surprised the scene model, when, and how much."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from kerbstone.mine.moments.rows import quote, quote_all
from kerbstone.store import Store

SURPRISE = "surprise"
"""The table, and the name of its rows."""

_LISTS = pa.list_(pa.float64())
SCHEMA = pa.schema(
    [
        ("scene", pa.string()),
        ("name", pa.string()),
        ("is_scene", pa.bool_()),
        ("agent", pa.string()),
        ("duration", pa.float64()),
        *((name, _LISTS) for name in ("start", "excess", "p", "surprise")),
    ]
)
"""Its columns, without the marks of who wrote them; see `learned.embed`."""


def surprise_version(store: Store) -> str:
    """Return the version of the surprises that were written last: the one that counts."""
    rows = store.rows(SURPRISE, "is_scene = true", ["version", "written"])
    last = rows.group_by("version").aggregate([("written", "max")]).to_pylist()
    return max(last, key=lambda row: row["written_max"])["version"] if last else ""


def read_surprises(store: Store, scenes: Iterable[str], *, version: str) -> pa.Table:
    """Return when the road users of scenes surprised the model, and how much.

    Args:
        store: The store.
        scenes: Ids of the scenes.
        version: The version that counts.

    Returns:
        Columns `scene`, `agent`, `duration` [s], and the lists `start` [s] and `surprise`.
    """
    condition = f"is_scene = false AND version = {quote(version)} AND scene IN {quote_all(scenes)}"
    return store.rows(SURPRISE, condition, ["scene", "agent", "duration", "start", "surprise"])
