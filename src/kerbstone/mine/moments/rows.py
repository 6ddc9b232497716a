"""Rows of a store's tables, narrowed down: by the scenes that they belong to, and by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from kerbstone.store import Store


def has_table(store: Store, table: str) -> bool:
    """Return whether a store has a table of that name."""
    return table in store.versions()


def scenes_where(store: Store, where: str) -> set[str]:
    """Return the ids of the scenes that fulfil an SQL condition.

    Raises:
        InputError: The condition is wrong.
    """
    return set(store.scenes(["id"], where).column("id").to_pylist())


def keep_rows(rows: pa.Table, column: str, values: Collection[str]) -> pa.Table:
    """Return the rows whose text in a column is one of some values."""
    return rows.filter(pa.array(is_among(rows.column(column).to_pylist(), values), pa.bool_()))


def is_among(texts: Iterable[str], values: Collection[str]) -> Bool[np.ndarray, " text"]:
    """Return which texts are one of some values."""
    wanted = set(values)
    return np.array([text in wanted for text in texts], bool)


def quote(text: str) -> str:
    """Return a text as an SQL literal.

    Example:
        >>> quote("it's")
        "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def quote_all(texts: Iterable[str]) -> str:
    """Return texts as an SQL list; of none, one that holds nothing.

    Example:
        >>> quote_all(["a", "b"])
        "('a', 'b')"
    """
    return "(" + (", ".join(map(quote, texts)) or "NULL") + ")"
