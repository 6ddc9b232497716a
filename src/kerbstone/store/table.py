"""One Lance table of a store: opened when needed, read by position, appended to, kept tidy."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa

from kerbstone.errors import InputError, KerbstoneError
from kerbstone.store.index import Index

# Lance logs the conflicts that it resolves; only what it cannot resolve is for the user.
os.environ.setdefault("LANCE_LOG", "error")

import lance

IndexT = TypeVar("IndexT", bound=Index)

MAKING = ".making-"
"""How the folders begin in which tables are made; a killed process leaves one."""

# Every write looks for its log and its ids in `scenes`, through all of its files.
_MANY_FRAGMENTS = {"scenes": 16, "maps": 16}
_TIDY_EVERY = 8
_KEPT_VERSIONS = 256
_RETRIES = 100
_PATIENCE = timedelta(minutes=10)
# Rows of `states` are large: 64 of them are read at a time, and some 4 GB make a file.
_COMPACTION: dict[str, dict[str, Any]] = {
    "states": {"target_rows_per_fragment": 16384, "batch_size": 64}
}


class Table(Generic[IndexT]):
    """A table at one version, with an index of its rows.

    It stays at the version that it was opened at until `refresh`, so what it reads fits together
    whatever other processes write.

    Args:
        store: The store's folder or URI.
        name: Name of the table.
        index: Makes an empty index of the rows.
        version: The version to stay at; the newest if not given.
    """

    def __init__(
        self,
        store: str,
        name: str,
        index: Callable[[], IndexT],
        *,
        version: int | None = None,
    ) -> None:
        self.name = name
        self.uri = f"{store.rstrip('/')}/{name}.lance"
        self._version = version
        self._make_index = index
        self._index = index()
        self._indexed: list[tuple[int, int]] = []
        self._indexed_version: int | None = None
        self._dataset: lance.LanceDataset | None = None

    def create(self, schema: pa.Schema) -> None:
        """Make the table, unless another process was faster.

        Lance's own creation is no atomic step: of two processes at once the slower may replace the
        table of the faster one, with the rows that it has by then. A folder is therefore made
        elsewhere and renamed, which fails where one is. Object stores have no such step; make
        their tables before many processes write.
        """
        with writing(self.uri):
            if "://" in self.uri:
                _create_remotely(schema, self.uri)
            else:
                _create_locally(schema, Path(self.uri))

    @property
    def dataset(self) -> lance.LanceDataset:
        """The Lance dataset, at the table's version."""
        if self._dataset is None:
            with reading(self.uri):
                # Lance tries for seconds to read a table from what is no folder.
                if "://" not in self.uri and not Path(self.uri).is_dir():
                    raise NotADirectoryError("there is no such folder")
                self._dataset = lance.dataset(self.uri, version=self._version)
        return self._dataset

    @property
    def version(self) -> int:
        """The version that is read."""
        return self.dataset.version

    def exists(self) -> bool:
        """Whether the table was made (a folder of its name is enough: it may be damaged)."""
        if "://" not in self.uri:
            return os.path.lexists(self.uri)
        try:
            lance.dataset(self.uri)
        except ValueError as error:
            return "was not found" not in str(error)
        return True

    def refresh(self) -> bool:
        """Go to the newest version; return whether that is another one."""
        if self._version is not None:
            return False
        current = self.dataset
        with reading(self.uri):
            newest = current.latest_version
            if newest != current.version:
                self._dataset = current.checkout_version(newest)
        return newest != current.version

    @property
    def names(self) -> list[str]:
        """The names of its columns."""
        return self.dataset.schema.names

    @property
    def index(self) -> IndexT:
        """The index of the rows at the table's version; only rows that are new to it are read."""
        # Lance moves a dataset to the version that it commits, so the object tells nothing.
        if self._indexed_version != self.version:
            self._extend_index()
            self._indexed_version = self.version
        return self._index

    def _extend_index(self) -> None:
        with reading(self.uri):
            fragments = self.dataset.get_fragments()
            marks = [(f.fragment_id, f.num_deletions) for f in fragments]
            known = len(self._indexed)
            if marks[:known] != self._indexed:
                self._index, known = self._make_index(), 0
            if known == len(marks):
                return
            scanner = self.dataset.scanner(
                columns=list(self._index.columns), fragments=fragments[known:]
            )
            keys = scanner.to_table()
        self._index.extend(keys)
        self._indexed = marks

    def take(self, positions: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Return rows by their place in the order of the table."""
        with reading(self.uri):
            return self.dataset.take(list(positions), columns=list(columns))

    def scan(
        self,
        columns: Sequence[str] | None = None,
        filter: str | None = None,  # noqa: A002
    ) -> pa.Table:
        """Return the rows that fulfil an SQL condition, in order."""
        names = None if columns is None else list(columns)
        with reading(self.uri):
            return self.dataset.to_table(columns=names, filter=filter)

    def append(self, rows: pa.Table) -> None:
        """Add rows, in one commit; many processes may at the same time."""
        current = self.dataset
        with writing(self.uri):
            self._dataset = lance.write_dataset(rows, current, mode="append")

    def delete(self, filter: str) -> int:  # noqa: A002
        """Delete the rows that fulfil an SQL condition, and return how many."""
        self.refresh()
        with writing(self.uri):
            done = self.dataset.delete(filter, conflict_retries=_RETRIES, retry_timeout=_PATIENCE)
        self.refresh()
        return done["num_deleted_rows"]

    def merge(
        self, rows: pa.Table, *, key: str, update: str | None = None, delete: str | None = None
    ) -> int:
        """Insert the rows whose key is new, in one commit, and return how many rows were written.

        Two processes that insert the same key at once do not both succeed: the second is run
        again and finds the first's row.

        Args:
            rows: The rows.
            key: The table's primary key.
            update: Rows whose key is there replace it where this SQL condition on `source` and
                `target` holds; if not given they are left out.
            delete: Rows of the table whose key is not in `rows` go where this condition holds.
        """
        self.refresh()
        builder = self.dataset.merge_insert(key).when_not_matched_insert_all()
        if update is not None:
            builder = builder.when_matched_update_all(update)
        if delete is not None:
            builder = builder.when_not_matched_by_source_delete(delete)
        with writing(self.uri):
            done = builder.conflict_retries(_RETRIES).retry_timeout(_PATIENCE).execute(rows)
        self.refresh()
        return done["num_inserted_rows"] + done["num_updated_rows"]

    def configure(self, key: str, value: str) -> None:
        """Set a value of the table's configuration, which belongs to its version."""
        with writing(self.uri):
            self.dataset.update_config({key: value})
        self.refresh()

    def index_column(self, column: str) -> None:
        """Index a column for equal values; rows that are appended later are searched as before."""
        self.refresh()
        with writing(self.uri):
            self.dataset.create_scalar_index(column, "BTREE", replace=True)
        self.refresh()

    def tidy(self, named: Callable[[], Collection[int]]) -> None:
        """Join small files once there are many, and drop old versions that nobody named.

        Small files are joined as in a log-structured merge tree: a file is written again only
        together with at least as many newer rows, so each row is rewritten a logarithmic number
        of times.

        Args:
            named: Gives the versions that stay.
        """
        fragments = self.dataset.get_fragments()
        # Each number of files is seen by one of the processes that append; only some of these try.
        many = _MANY_FRAGMENTS.get(self.name, 64)
        if len(fragments) < many or len(fragments) % _TIDY_EVERY:
            return
        sizes = [fragment.count_rows() for fragment in fragments]
        whole = _COMPACTION.get(self.name, {}).get("target_rows_per_fragment", 1 << 20)
        left, large = sum(sizes), 0
        for size in sizes:
            left -= size
            if size <= left and size < whole:
                break
            large += 1
        if len(fragments) - large >= many:
            self.compact(keep=[fragment.fragment_id for fragment in fragments[:large]])
            known = sorted(ref["version"] for ref in self.dataset.version_refs())
            self._drop(set(known[:-_KEPT_VERSIONS]) - set(named()))

    def compact(self, *, keep: Sequence[int] = ()) -> None:
        """Join small files, but for some; a concurrent process that does the same may win."""
        self.refresh()
        with writing(self.uri):
            try:
                self.dataset.optimize.compact_files(
                    excluded_fragment_ids=list(keep), **_COMPACTION.get(self.name, {})
                )
            except OSError as error:
                if "conflict" not in str(error):
                    raise
        self.refresh()

    def forget(self, *, before: datetime, named: Collection[int]) -> int:
        """Drop the versions older than a time, but for some, and return the bytes freed."""
        # Lance gives the times of versions without a zone, in the machine's own.
        then = before.astimezone().replace(tzinfo=None)
        with writing(self.uri):
            known: list[Any] = self.dataset.versions()
            old = {v["version"] for v in known if v["timestamp"] < then}
            return self._drop(old - set(named))

    def _drop(self, versions: set[int]) -> int:
        versions.discard(self.version)
        if not versions:
            return 0
        done = self.dataset.cleanup_old_versions(
            versions=sorted(versions), error_if_tagged_old_versions=False
        )
        return done.bytes_removed


def _create_locally(schema: pa.Schema, path: Path) -> None:
    if path.exists():
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=MAKING) as folder:
        made = Path(folder) / path.name
        lance.write_dataset(schema.empty_table(), made, data_storage_version="2.2")
        try:
            made.rename(path)
        except OSError:
            # Systems differ in what they call it.
            if not path.is_dir():
                raise


def _create_remotely(schema: pa.Schema, uri: str) -> None:
    try:
        lance.write_dataset(schema.empty_table(), uri, data_storage_version="2.2")
    except OSError as error:
        if not re.search("already exists|commit conflict", str(error)):
            raise


@contextmanager
def reading(where: str) -> Iterator[None]:
    """Turn whatever Lance says of a table that it cannot read into an error with its path."""
    with _translated(
        where,
        code="store-damaged",
        what="a table of the store cannot be read",
        remedy="restore the folder from a copy, or delete the store and ingest the logs again",
    ):
        yield


@contextmanager
def writing(where: str) -> Iterator[None]:
    """Turn whatever keeps a table from being written into an error with its path."""
    with _translated(
        where,
        code="store-write",
        what="a table of the store cannot be written",
        remedy="see that the disk has room and that you may write there",
    ):
        yield


@contextmanager
def _translated(where: str, **lines: str) -> Iterator[None]:
    try:
        yield
    except KerbstoneError as error:
        if error.code == "store-damaged" and where not in error.where:
            error.where = f"{where}, {error.where}"
        raise
    except BaseException as error:
        # A damaged file can make Lance's Rust side panic, which is no `Exception` in Python.
        is_panic = type(error).__name__ == "PanicException"
        if not is_panic and not isinstance(error, (OSError, ValueError, RuntimeError)):
            raise
        raise InputError(where=where, why=plain(error), **lines) from error


def plain(error: BaseException) -> str:
    """Return what Lance says without the places in its own source."""
    return re.sub(r",? ?/\S+?\.rs:\d+(:\d+)?", "", str(error)).strip()


def sql(value: Any) -> str:
    """Return a value, or the values of a list, as an SQL literal."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(map(sql, value)) + ")"
    return str(value)
