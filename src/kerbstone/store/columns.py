"""Arrow columns from arrays and back, bit for bit, and checksums of what they hold."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Shaped

from kerbstone.errors import InputError


def to_table(schema: pa.Schema, rows: Sequence[Mapping[str, Any]], *, where: str = "") -> pa.Table:
    """Return a table of rows whose lists are arrays (None is null).

    Args:
        schema: The columns; each row has a value for every one of them.
        rows: The rows.
        where: What the rows belong to, for errors.

    Raises:
        InputError: A value does not fit its column.
    """
    columns = []
    for field in schema:
        try:
            columns.append(_column(field.type, [row[field.name] for row in rows]))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise InputError(
                "value",
                f"{field.name!r} holds a value that cannot be stored",
                where=where,
                why=str(error),
            ) from error
    return pa.table(columns, schema=schema)


def arrays(table: pa.Table, name: str) -> list[np.ndarray | None]:
    """Return the rows of a list column of numbers; null is None. They share Arrow's memory."""
    column = _whole(table, name)
    values = column.values.to_numpy(zero_copy_only=False)
    offsets = column.offsets.to_numpy()
    nulls = column.is_null().to_numpy(zero_copy_only=False)
    return [
        None if nulls[row] else values[offsets[row] : offsets[row + 1]]
        for row in range(len(column))
    ]


def packed(
    table: pa.Table, name: str
) -> tuple[Shaped[np.ndarray, " value"], Shaped[np.ndarray, " row_plus_1"]]:
    """Return the values of all rows of a list column one after the other, and their offsets."""
    column = _whole(table, name)
    offsets = column.offsets.to_numpy().astype(np.int64)
    values = column.values.to_numpy(zero_copy_only=False)
    return values[offsets[0] : offsets[-1]], offsets - offsets[0]


def typed(schema: pa.Schema, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its arrays flat and of their columns' types, as they are read back."""
    return {
        name: np.ascontiguousarray(
            value, schema.field(name).type.value_type.to_pandas_dtype()
        ).ravel()
        if isinstance(value, np.ndarray)
        else value
        for name, value in row.items()
    }


def checksum(values: Iterable[Any]) -> int:
    """Return a checksum of flat arrays and JSON values, in their order.

    Lance files carry none: a flipped bit would go unseen as another coordinate.
    """
    crc = 0
    for value in values:
        data = value.data if isinstance(value, np.ndarray) else json.dumps(value).encode()
        crc = zlib.crc32(data, zlib.crc32(len(data).to_bytes(8, "little"), crc))
    return crc


def is_numbers(kind: pa.DataType) -> bool:
    """Whether a column holds lists of numbers, which are arrays here."""
    return pa.types.is_list(kind) and not pa.types.is_string(kind.value_type)


def seal_of(schema: pa.Schema, row: Mapping[str, Any]) -> int:
    """Return the checksum of a row of a cache: of all its columns but the marks of the store."""
    return checksum(row[name] for name in schema.names if name not in ("checksum", "written"))


def _column(kind: pa.DataType, values: list[Any]) -> pa.Array:
    if not is_numbers(kind):
        return pa.array(values, kind)
    present = [value for value in values if value is not None]
    lengths = [0 if value is None else len(value) for value in values]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise OverflowError(f"{offsets[-1]} values in one batch of rows")
    flat = np.concatenate(present) if present else np.zeros(0)
    missing = np.array([value is None for value in values], bool)
    return pa.ListArray.from_arrays(
        pa.array(offsets.astype(np.int32)),
        pa.array(flat).cast(kind.value_type),
        type=kind,
        mask=pa.array(missing) if missing.any() else None,
    )


def _whole(table: pa.Table, name: str) -> pa.ListArray:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
