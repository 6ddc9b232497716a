"""Search of the nearest vectors in a column of a side table, exact while a table is small."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from kerbstone.errors import InputError, suggest_name
from kerbstone.store.listing import finished_logs
from kerbstone.store.table import Table, reading, sql, writing
from kerbstone.store.tables import Tables

EXACT_BELOW = 100_000
"""Below this many rows every vector is compared; from there on an index is used."""

_PROBES = 32
_REFINE = 16
_ROWS_PER_PARTITION = 4096
_MOST_PARTITIONS = 4096
_VALUES_PER_CODE = 4
_UNINDEXED = 0.1


def nearest_rows(
    tables: Tables,
    name: str,
    vectors: Float32[np.ndarray, "query value"],
    *,
    top: int,
    columns: Sequence[str],
    condition: str | None,
    column: str,
) -> pa.Table:
    """Return the rows whose vectors are nearest to each query; see `Store.nearest`."""
    tables.scenes.refresh()
    table = tables.side(name)
    table.refresh()
    size = vector_size(table, column)
    if vectors.shape[1] != size:
        raise InputError(
            "shape",
            "the vectors do not fit those of the table",
            where=table.uri,
            why=f"{vectors.shape[1]} values against {size}",
        )
    logs = set(finished_logs(tables))
    index = table.index
    live = {part for log, part in index.last.items() if log in logs}
    stale = sorted(index.parts - live)
    # Rows of a write that did not finish are few, if any: they are named, not those that count.
    conditions = [f"part NOT IN {sql(stale)}"] if stale else []
    conditions += [f"({condition})"] if condition else []
    with reading(table.uri):
        use_index = table.dataset.count_rows() >= EXACT_BELOW
    found = []
    for query, vector in enumerate(vectors):
        with reading(table.uri):
            rows = table.dataset.scanner(
                columns=[*columns, "_distance"],
                nearest={
                    "column": column,
                    "q": vector,
                    "k": top,
                    "nprobes": _PROBES,
                    "refine_factor": _REFINE,
                    "use_index": use_index,
                },
                filter=" AND ".join(conditions) or None,
                prefilter=True,
                disable_scoring_autoprojection=True,
            ).to_table()
        squared = np.maximum(rows.column("_distance").to_numpy(), 0.0)
        distance = pa.array(np.sqrt(squared, dtype=np.float64))
        rows = rows.drop_columns(["_distance"]).append_column("distance", distance)
        number = pa.repeat(pa.scalar(query, pa.int32()), len(rows))
        found.append(rows.append_column("query", number))
    return pa.concat_tables(found)


def index_vectors(tables: Tables, name: str, column: str) -> bool:
    """Index a column of vectors where its table is large; see `Store.index_vectors`."""
    table = tables.side(name)
    table.refresh()
    size, rows = vector_size(table, column), table.dataset.count_rows()
    if rows < EXACT_BELOW:
        return False
    if is_indexed(table, column):
        with reading(table.uri):
            facts = table.dataset.stats.index_stats(_index_name(column))
        if facts["num_unindexed_rows"] < _UNINDEXED * rows:
            return False
        with writing(table.uri):
            table.dataset.optimize.optimize_indices()
    else:
        codes = max(size // _VALUES_PER_CODE, 1)
        with writing(table.uri):
            table.dataset.create_index(
                column,
                "IVF_PQ",
                name=_index_name(column),
                metric="L2",
                num_partitions=min(max(rows // _ROWS_PER_PARTITION, 1), _MOST_PARTITIONS),
                # Codes must share out the values evenly.
                num_sub_vectors=next(n for n in range(codes, 0, -1) if size % n == 0),
            )
    table.refresh()
    return True


def is_indexed(table: Table, column: str) -> bool:
    """Return whether a column of vectors has an index."""
    with reading(table.uri):
        return any(found.name == _index_name(column) for found in table.dataset.describe_indices())


def vector_size(table: Table, column: str) -> int:
    """Return how many values the vectors of a column have.

    Raises:
        InputError: There is no such column, or it holds no vectors of one size.
    """
    if column not in table.names:
        raise InputError(
            "column",
            f"there is no column {column!r}",
            where=table.uri,
            remedy=suggest_name(column, table.names),
        )
    kind = table.dataset.schema.field(column).type
    if not pa.types.is_fixed_size_list(kind):
        raise InputError(
            "column", f"the column {column!r} holds no vectors", where=table.uri, why=str(kind)
        )
    return kind.list_size


def _index_name(column: str) -> str:
    return f"{column}_nearest"
