"""Files as they lie: plain or packed with xz or gzip, read whole, with errors that say where.

Every reader goes through here, so a missing, cut-off, broken or hostile file is told the same way
whatever its format.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import json
import lzma
import os
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

import numpy as np

from kerbstone.errors import InputError

Columns = dict[str, np.ndarray]
"""A table as one array per column: float64, int64, bool, or objects that are `str`."""

_OPENERS = {".gz": gzip.open, ".xz": lzma.open}
_BROKEN = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)
_MAX_BYTES = 8 * 1024**3
_CHUNK = 4 * 1024**2


def bare_name(name: str) -> str:
    """Return a file name without the ending that tells how it is packed.

    Example:
        >>> bare_name("0001.csv.xz")
        '0001.csv'
    """
    return name[:-3] if name.lower().endswith(tuple(_OPENERS)) else name


def find_packed(folder: Path, name: str) -> Path | None:
    """Return the path of a file that may lie there plain or packed, or None."""
    candidates = (folder / (name + ending) for ending in ("", *_OPENERS))
    return next((path for path in candidates if path.is_file()), None)


def split_of(path: Path) -> str:
    """Return the data set's split that a log lies in, told by the folders above it, or "".

    Example:
        >>> split_of(Path("argoverse/val/data/1.csv"))
        'val'
    """
    splits = ("train", "val", "test")
    near = (folder.name.lower().split("_")[0] for folder in list(path.parents)[:3])
    return next((name for name in near if name in splits), "")


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacked on the way.

    Raises:
        InputError: It is not there, cannot be read, or is cut off; also while it is being read.
    """
    opener = _OPENERS.get(path.suffix.lower(), open)
    try:
        with opener(path, "rb") as file:
            yield file
    except FileNotFoundError:
        raise InputError("missing-file", "there is no such file", where=str(path)) from None
    except _BROKEN as error:
        raise cut_off(path, str(error)) from None
    except OSError as error:
        if error.filename is None:  # not of this file: it came from the caller's own work
            raise
        raise InputError(
            "missing-file", "a file cannot be opened", where=str(path), why=str(error)
        ) from error


def read_bytes(path: Path, *, limit: int = _MAX_BYTES) -> bytes:
    """Read a whole file, unpacked.

    Args:
        path: The file.
        limit: Most bytes that it may unpack to.

    Raises:
        InputError: It is not there, is cut off, or is larger than `limit`.
    """
    data = io.BytesIO()
    with open_bytes(path) as file:
        while chunk := file.read(_CHUNK):
            data.write(chunk)
            if data.tell() > limit:
                raise InputError(
                    "unsafe",
                    "a file unpacks to more than is safe to hold in memory",
                    where=str(path),
                    why=f"more than {limit / 1024**2:.0f} MiB",
                    remedy="split the file",
                )
    return data.getvalue()


def read_text(path: Path) -> str:
    """Read a whole text file in UTF-8.

    Raises:
        InputError: It is not there, is cut off, or is not text.
    """
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            "syntax", "a file is not text in UTF-8", where=f"{path}, line {line}", why=str(error)
        ) from None


def read_json(path: Path, *, hook: Callable[[dict[str, Any]], object] | None = None) -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        hook: Called with each object as it is read; what it returns takes the object's place, so
            that a large file need not be in memory as dicts.

    Raises:
        InputError: It is not there, is cut off, or is not JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text, object_hook=hook)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
            raise cut_off(path, f"the JSON does not end; {error.msg}") from None
        raise InputError(
            "syntax",
            "a file is not valid JSON",
            where=f"{path}, line {error.lineno}, column {error.colno}",
            why=error.msg,
        ) from None
    except RecursionError:
        raise InputError("syntax", "a JSON file is nested too deeply", where=str(path)) from None


def read_xml(path: Path) -> ET.Element:
    """Read an XML file and return its root.

    Files that declare entities are refused: with them a small file can fill the memory or ask
    for other files.

    Raises:
        InputError: It is not there, is cut off, is not XML, or declares entities.
    """
    data = read_bytes(path)
    try:
        _refuse_entities(data, path)
        return ET.fromstring(data)  # noqa: S314 - entities were refused before
    except (ET.ParseError, expat.ExpatError) as error:
        line = error.lineno if isinstance(error, expat.ExpatError) else error.position[0]
        code = expat.errors.messages[error.code]
        if code in (expat.errors.XML_ERROR_NO_ELEMENTS, expat.errors.XML_ERROR_UNCLOSED_TOKEN):
            raise cut_off(path, str(error)) from None
        raise InputError(
            "syntax", "a file is not valid XML", where=f"{path}, line {line}", why=str(error)
        ) from None


def file_states(files: Iterable[Path]) -> Iterator[bytes]:
    """Give for each file what changes when it does: its path, size and time of change.

    Raises:
        InputError: A file is gone.
    """
    for file in files:
        try:
            state = file.stat()
        except OSError as error:
            raise InputError(
                "missing-file", "a file of the log is gone", where=str(file), why=str(error)
            ) from error
        yield os.fsencode(file) + f"\0{state.st_size}\0{state.st_mtime_ns}\n".encode()


def read_feather(
    path: Path, columns: Mapping[str, type], *, optional: Mapping[str, type] | None = None
) -> Columns:
    """Read columns of a Feather (Arrow IPC) file.

    Args:
        path: The file.
        columns: Wanted columns with their type: `int`, `float`, `str` or `bool`.
        optional: Columns that are read where they are there.

    Raises:
        InputError: The file is not there or is cut off, a column is missing or has another type,
            or a value that is not a float is missing.
    """
    import pyarrow as pa
    from pyarrow import feather

    data = read_bytes(path)
    try:
        table = feather.read_table(pa.BufferReader(data))
        # A damaged file may be read, and its offsets lead out of it.
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise cut_off(path, str(error)) from None
    return table_columns(table, columns, path=path, optional=optional)


def read_parquet(
    path: Path, columns: Mapping[str, type], *, optional: Mapping[str, type] | None = None
) -> Columns:
    """Read columns of a Parquet file; arguments and errors as in `read_feather`."""
    import pyarrow as pa
    from pyarrow import parquet

    data = read_bytes(path)
    wanted = {**columns, **(optional or {})}
    try:
        with parquet.ParquetFile(pa.BufferReader(data)) as file:
            names = file.schema_arrow.names
            _check_columns(names, columns, path)
            table = file.read([name for name in names if name in wanted])
    except (pa.ArrowException, OSError) as error:
        raise cut_off(path, str(error)) from None
    return table_columns(table, columns, path=path, optional=optional)


def read_csv(
    path: Path,
    columns: Mapping[str, type],
    *,
    optional: Mapping[str, type] | None = None,
    delimiter: str = ",",
) -> Columns:
    """Read columns of a CSV file with a header; arguments and errors as in `read_feather`."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    data = read_bytes(path)
    if not data.strip():
        raise InputError("empty", "a CSV file is empty", where=str(path))
    header = io.StringIO(data[:65536].split(b"\n", 1)[0].decode("utf-8-sig", errors="replace"))
    names = next(csv.reader(header, delimiter=delimiter), [])
    _check_columns(names, columns, path)
    wanted = {**columns, **(optional or {})}
    wanted = {name: kind for name, kind in wanted.items() if name in names}
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            # On one thread, so that an error knows its row.
            read_options=arrow_csv.ReadOptions(use_threads=False),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter),
            convert_options=arrow_csv.ConvertOptions(
                column_types={name: _arrow_type(kind) for name, kind in wanted.items()},
                include_columns=list(wanted),
            ),
        )
    except pa.ArrowException as error:
        raise InputError(
            "syntax", "a CSV file cannot be read", where=str(path), why=str(error)
        ) from None
    return table_columns(table, columns, path=path, optional=optional)


def table_columns(
    table: Any,
    columns: Mapping[str, type],
    *,
    path: Path,
    optional: Mapping[str, type] | None = None,
) -> Columns:
    """Return columns of an Arrow table as arrays; arguments and errors as in `read_feather`."""
    import pyarrow as pa

    _check_columns(table.column_names, columns, path)
    found: Columns = {}
    for name, kind in {**columns, **(optional or {})}.items():
        if name not in table.column_names:
            continue
        column = table.column(name)
        try:
            # An integer may become the nearest float: nanoseconds need more digits than those have.
            column = column.cast(_arrow_type(kind), safe=kind is not float)
        except pa.ArrowException as error:
            raise InputError(
                "column",
                f"column {name!r} has the wrong type",
                where=str(path),
                why=f"{column.type}, expected {kind.__name__}; {error}",
            ) from None
        if column.null_count and kind is not float:
            row = column.is_null().to_pylist().index(True)
            raise InputError("value", f"column {name!r} lacks a value", where=f"{path}, row {row}")
        found[name] = column.to_numpy()
    return found


def check_finite(columns: Columns, path: Path) -> None:
    """Refuse a table in which a number is NaN or infinite.

    Raises:
        InputError: One is; it is named with its column and row.
    """
    for name, column in columns.items():
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            row = int(np.argmin(np.isfinite(column)))
            raise InputError(
                "value",
                f"column {name!r} holds {column[row]}, which is not a number",
                where=f"{path}, row {row}",
                remedy="leave the row out where nothing was measured",
            )


def cut_off(path: Path, why: str) -> InputError:
    """Return the error for a file that ends too early or cannot be decoded."""
    return InputError(
        "truncated",
        "a file ends too early or cannot be decoded",
        where=str(path),
        why=why,
        remedy="copy or download the file again",
    )


def _check_columns(names: list[str], columns: Mapping[str, type], path: Path) -> None:
    missing = [name for name in columns if name not in names]
    if missing:
        near = difflib.get_close_matches(missing[0], names, n=1)
        raise InputError(
            "column",
            f"column {missing[0]!r} is missing",
            where=str(path),
            why="the file has: " + ", ".join(names),
            remedy=f"did you mean {near[0]!r}?" if near else "",
        )


def _arrow_type(kind: type) -> Any:
    import pyarrow as pa

    return {int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_()}[kind]


def _refuse_entities(data: bytes, path: Path) -> None:
    """Parse up to the root's first tag: entities can only be declared before it."""

    class Reached(Exception):  # noqa: N818 - it is no error
        pass

    def refuse(name: str, *_: object) -> None:
        raise InputError(
            "unsafe",
            "an XML file declares entities, and is refused",
            where=f"{path}, line {parser.CurrentLineNumber}",
            why=f"entity {name!r}",
            remedy="write the file without a document type declaration",
        )

    def stop(*_: object) -> None:
        raise Reached

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = stop
    try:
        parser.Parse(data, True)
    except Reached:
        return
