"""Tables as JSON lists of records that refer to one another by token.

Such tables may hold millions of records. Each is taken apart as it is parsed: numbers go into
packed columns, tokens become row numbers at once, and the record itself is forgotten.
"""

from __future__ import annotations

import operator
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerbstone.errors import InputError
from kerbstone.formats.files import find_packed, read_json

Field = int | Callable[[Any], int] | None
"""How a field is kept: as so many floats, as what a function makes of it, or (None) as it is."""

as_integer = operator.index


class JsonTable:
    """Some fields of a table: a JSON list of flat records.

    Args:
        folder: Where the tables lie.
        name: Name of the table: it is `<name>.json`, plain or packed.
        fields: Which fields to keep, and how.
        has_tokens: Whether other tables refer to this one by its records' `token`.

    Raises:
        InputError: The table is missing, cut off or malformed, lacks a field, holds something else
            in it, or repeats a token.
    """

    def __init__(
        self, folder: Path, name: str, fields: Mapping[str, Field], *, has_tokens: bool = True
    ) -> None:
        path = find_packed(folder, f"{name}.json")
        if path is None:
            raise InputError(
                "missing-file",
                f"the table {name!r} is missing",
                where=str(folder / f"{name}.json"),
                remedy="unpack the metadata of the release completely",
            )
        self.path = path
        self._fields = {"token": None, **fields} if has_tokens else dict(fields)
        self._columns = {field: _column_for(kind) for field, kind in self._fields.items()}
        self._rows = 0
        self._read()
        self._index: dict[str, int] = {}
        if has_tokens:
            tokens = self["token"]
            self._index = {token: row for row, token in enumerate(tokens)}
            if len(self._index) != len(tokens):
                token = next(t for row, t in enumerate(tokens) if self._index[t] != row)
                raise InputError(
                    "duplicate", f"token {token!r} appears twice in a table", where=str(path)
                )

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, field: str) -> Any:
        """Return a field: a list of what was kept as it is, else an array."""
        column, kind = self._columns[field], self._fields[field]
        if isinstance(column, list):
            return column
        values = np.frombuffer(column, np.dtype(column.typecode)) if column else np.zeros(0)
        return values.reshape(-1, kind) if isinstance(kind, int) else values.astype(np.int64)

    def row_of(self, token: str) -> int:
        """Return the row of a token; as a field of another table it becomes a reference.

        Raises:
            InputError: There is no such token.
        """
        try:
            return self._index[token]
        except KeyError:
            raise InputError(
                "reference",
                f"token {token!r} is not in the table {self.path.name}",
                remedy="take all tables from the same release",
            ) from None

    def _read(self) -> None:
        put = [(field, self._keeper(field)) for field in self._fields]

        def keep(record: dict[str, Any]) -> None:
            for field, take in put:
                take(record[field])
            self._rows += 1

        where = f"{self.path}, row "
        try:
            records = read_json(self.path, hook=keep)
        except InputError as error:
            error.where = error.where or f"{where}{self._rows}"
            raise
        except KeyError as error:
            raise InputError(
                "column",
                f"column {error} is missing",
                where=f"{where}{self._rows}",
                why="the reader needs: " + ", ".join(self._fields),
            ) from None
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(
                "column",
                "a column has the wrong type",
                where=f"{where}{self._rows}",
                why=str(error),
            ) from None
        if not isinstance(records, list) or len(records) != self._rows or any(records):
            raise InputError("syntax", "a table is no list of flat records", where=str(self.path))
        self._check_numbers()

    def _keeper(self, field: str) -> Callable[[Any], None]:
        column, kind = self._columns[field], self._fields[field]
        if isinstance(column, list):
            return column.append
        if isinstance(kind, int):

            def take(values: list[float]) -> None:
                if len(values) != kind:
                    raise ValueError(f"{field} {values!r:.80} is not {kind} numbers")
                column.extend(values)

            return take
        make = kind or operator.index
        return lambda value: column.append(make(value))

    def _check_numbers(self) -> None:
        for field, kind in self._fields.items():
            if isinstance(kind, int):
                values = self[field]
                lost = ~np.isfinite(values).all(axis=1)
                if lost.any():
                    row = int(np.argmax(lost))
                    raise InputError(
                        "value",
                        f"{field} is not a number",
                        where=f"{self.path}, row {row}",
                        why=f"{values[row].tolist()}",
                    )


def _column_for(kind: Field) -> list[Any] | array[Any]:
    if kind is None:
        return []
    return array("d") if isinstance(kind, int) else array("q")
