"""A store: scenes with their maps, sensors and runs, as Lance tables in one folder or URI."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from kerbstone.errors import InputError, suggest_name
from kerbstone.scene import Scene
from kerbstone.store.layout import CACHES
from kerbstone.store.listing import finished_logs, list_cached, list_rows, list_scenes
from kerbstone.store.reader import SceneReader
from kerbstone.store.runs import Run, record
from kerbstone.store.tables import Tables
from kerbstone.store.vacuum import vacuum
from kerbstone.store.vectors import index_vectors, nearest_rows
from kerbstone.store.writer import write_kept, write_log, write_side


class Store:
    """Scenes on a local disk or in object storage, read and written by many processes at once.

    A scene is there once all of it is: its row in `scenes` is written last and is the commit.
    What an interrupted write left behind is never read. Reading stays at the versions found when
    the store was opened; listing scenes, or asking for one that is not known, looks for newer.

    Use `Store.open` and `Store.create`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = Store.create(folder + "/road")
        ...     store.scenes().num_rows
        0
    """

    def __init__(self, tables: Tables) -> None:
        self.uri = tables.uri
        self._tables = tables
        self._reader = SceneReader(tables)

    @classmethod
    def open(cls, uri: str) -> Store:
        """Open a store.

        Args:
            uri: Its folder, or an address such as `s3://bucket/road`.

        Raises:
            InputError: There is no store, it is damaged, or a newer version wrote it.
        """
        tables = Tables(str(uri))
        tables.check_layout()
        return cls(tables)

    @classmethod
    def create(cls, uri: str) -> Store:
        """Open a store, after making it if it is not there.

        Raises:
            InputError: It cannot be written, is damaged, or a newer version wrote it.
        """
        tables = Tables(str(uri))
        if not tables.scenes.exists():
            tables.create()
        return cls.open(uri)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.uri, self._tables.pinned)

    @property
    def pinned(self) -> dict[str, int] | None:
        """The versions that this store stays at, if it is the store as it was; else None."""
        return None if self._tables.pinned is None else dict(self._tables.pinned)

    def add(self, scenes: Iterable[Scene], *, log: str, fingerprint: str, run: str = "") -> int:
        """Write all scenes of a log; they appear together, in one commit.

        A log that is there with this fingerprint is left alone, and its scenes are not even read;
        one that is there with another fingerprint is replaced. Where processes write the same log
        at once, the first one counts.

        Args:
            scenes: The scenes, each of which is checked.
            log: Name of the log: the unit that is committed, resumed and replaced.
            fingerprint: A mark that changes when the log does.
            run: Id of the run that writes.

        Returns:
            Number of scenes written.

        Raises:
            InputError: A scene does not hold together, an id appears twice or belongs to another
                log, or the store cannot be written. Nothing of the log is in the store then.
        """
        self._check_writable()
        return write_log(self._tables, scenes, log=log, fingerprint=fingerprint, run=run)

    def fingerprints(self) -> dict[str, str]:
        """Return the fingerprint of each log that is finished."""
        return finished_logs(self._tables)

    def scenes(
        self,
        columns: Sequence[str] | None = None,
        filter: str | None = None,  # noqa: A002 - SQL's
    ) -> pa.Table:
        """Return one row for each scene, in the order in which they were written.

        Args:
            columns: Columns of the table; those of a summary if not given.
            filter: An SQL condition on any column, such as `town = 'Miami' AND agents > 20` or
                `kinds.pedestrian > 0`.

        Raises:
            InputError: A column is not known, or the condition is wrong.
        """
        return list_scenes(self._tables, columns, filter)

    def find(self, name: str) -> str:
        """Return the id of a scene by its id, its beginning or another part of it that is unique.

        Raises:
            InputError: No scene, or more than one, has it in its id.
        """
        known = self._tables.scenes.index.position
        if name not in known and self._tables.scenes.refresh():
            known = self._tables.scenes.index.position
        if name in known:
            return name
        found = [scene for scene in known if scene.startswith(name)]
        found = found or [scene for scene in known if name in scene]
        if len(found) > 1:
            raise InputError(
                "scene-missing",
                f"{len(found)} scenes have {name!r} in their ids",
                where=self.uri,
                why=", ".join(sorted(found)[:5]) + (", …" if len(found) > 5 else ""),
                remedy="give more of the id",
            )
        if not found:
            raise self._reader.missing(name)
        return found[0]

    def scene(self, id: str) -> Scene:  # noqa: A002 - it is an id
        """Return a whole scene; its map, ego poses and sensors are read when asked for.

        Raises:
            InputError: There is no such scene, or its rows are damaged.
        """
        return self._reader.scene(id)

    def parts(self, ids: Iterable[str]) -> list[int]:
        """Return which version of each scene is read now, as the column `part` of `scenes` says.

        Raises:
            InputError: There is no such scene.
        """
        return [self._reader.part(scene) for scene in ids]

    def read(self, ids: Iterable[str]) -> Iterator[tuple[str, Scene | InputError]]:
        """Give each of many scenes by its id, as `scene` does, in less time than one by one.

        Args:
            ids: Ids of scenes; some are read at a time, as they are asked for.

        Returns:
            The id and the scene, or the error for one that is not there or is damaged.
        """
        return self._reader.many(ids)

    def window(self, id: str, start: float, duration: float) -> Scene:  # noqa: A002 - it is an id
        """Return a stretch of a scene and read only that; the same as `scene(id).window(…)`.

        Args:
            id: Id of the scene.
            start: Seconds after the scene's start; rounded to a step.
            duration: Length [s]; rounded to steps.

        Raises:
            InputError: There is no such scene, or the window reaches beyond it.
        """
        return self._reader.window(id, start, duration)

    def put_rows(self, table: str, rows: pa.Table, *, log: str, run: str = "") -> None:
        """Write what else is known of a log into a table of its own, which is made if needed.

        The rows replace those that the log had in the table. They are seen once the log itself is
        in the store, so that writing them first and the scenes last commits all together.

        Args:
            table: Name of the table, such as `events`.
            rows: The rows, with any columns; all rows of a table have the same.
            log: Name of the log.
            run: Id of the run that writes.

        Raises:
            InputError: The name is not usable, or the rows do not fit the table's columns.
        """
        self._check_writable()
        write_side(self._tables, table, rows, log=log, run=run)

    def append(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Write rows of results, or of what is kept to be quick, which belong to no one log.

        The table is made if it is not there. A finding that is there already is left as it is.

        Args:
            table: "findings", "matches", "answers" or "columns".
            rows: A value for each column but `written`; lists of numbers are arrays.

        Raises:
            InputError: A value does not fit its column, or the store cannot be written.
        """
        self._check_writable()
        write_kept(self._tables, table, rows)

    def cached(self, table: str, filter: str) -> list[dict[str, Any]]:  # noqa: A002 - SQL's word
        """Return rows of "answers" or "columns", lists of numbers as arrays.

        Rows that were changed since they were written are left out: they can be computed again.

        Args:
            table: Name of the table.
            filter: An SQL condition on its columns.
        """
        return list_cached(self._tables, table, filter)

    def index_column(self, table: str, column: str) -> None:
        """Index a column of "answers" or "columns", so that its rows are found without a search."""
        self._check_writable()
        kept = self._tables.caches().get(table)
        if kept is not None:
            kept.index_column(column)

    def forget(self, table: str, filter: str) -> int:  # noqa: A002 - SQL's word
        """Delete rows of "answers" or "columns", which can be computed again; return how many.

        Raises:
            InputError: The table is another one, or the condition is wrong.
        """
        self._check_writable()
        if table not in CACHES:
            raise InputError(
                "usage",
                f"the rows of {table!r} cannot be forgotten",
                why="only what can be computed again can",
                remedy=suggest_name(table, list(CACHES)),
            )
        kept = self._tables.caches().get(table)
        return 0 if kept is None else kept.delete(filter)

    def rows(
        self,
        table: str,
        filter: str | None = None,  # noqa: A002 - SQL's word
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return rows of any table: `sensors`, `pieces`, `events`, `findings`, ….

        Args:
            table: Name of the table.
            filter: An SQL condition on its columns.
            columns: Columns to read; all if not given.

        Raises:
            InputError: There is no such table or column, or the condition is wrong.
        """
        if table == "scenes":
            return self.scenes(columns, filter)
        return list_rows(self._tables, table, columns, filter)

    def nearest(
        self,
        table: str,
        vectors: Float32[np.ndarray, "query value"],
        *,
        top: int,
        columns: Sequence[str],
        filter: str | None = None,  # noqa: A002 - SQL's word
        column: str = "vector",
    ) -> pa.Table:
        """Return the rows of a table whose vectors lie nearest to each of some vectors.

        Every vector is compared while the table has fewer than 100,000 rows; from there on, once
        `index_vectors` was called, an inverted file finds them, which may miss a few.

        Args:
            table: A table that `put_rows` made, with a column of lists of one size.
            vectors: What to look for.
            top: How many rows for each; fewer where the table has no more.
            columns: Columns to return. `query`, the row of the vector in `vectors`, and
                `distance`, the Euclidean one, come after them.
            filter: An SQL condition on the table's columns, which holds for all rows returned.
            column: The column of vectors.

        Raises:
            InputError: There is no such table or column, or the vectors have another size.
        """
        return nearest_rows(
            self._tables,
            table,
            vectors,
            top=top,
            columns=columns,
            condition=filter,
            column=column,
        )

    def index_vectors(self, table: str, *, column: str = "vector") -> bool:
        """Index a column of vectors, where its table is large and many rows are new to the index.

        Args:
            table: A table that `put_rows` made.
            column: The column of vectors.

        Returns:
            Whether anything was done.
        """
        self._check_writable()
        return index_vectors(self._tables, table, column)

    def versions(self) -> dict[str, int]:
        """Return the version of each table."""
        return self._tables.versions()

    def run(
        self,
        *,
        command: str,
        config: Mapping[str, Any] | None = None,
        seed: int | None = None,
        inputs: Any = None,
        device: str = "",
    ) -> AbstractContextManager[Run]:
        """Record what happens inside as a run: from which table versions to which, and its end.

        Args:
            command: What was called.
            config: Its resolved configuration.
            seed: Its seed, if it has one.
            inputs: What it reads besides the store, as JSON values.
            device: What it runs on; the machine's processors if not given.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     store = Store.create(folder)
            ...     with store.run(command="ingest", config={"workers": 1}) as run:
            ...         run.metrics["scenes"] = 0
            ...     store.runs().column("outcome").to_pylist()
            ['done']
        """
        self._check_writable()
        return record(
            self._tables.runs,
            lambda: {k: v for k, v in self._tables.versions().items() if k != "runs"},
            command=command,
            config=config or {},
            seed=seed,
            inputs=inputs,
            device=device,
        )

    def runs(self) -> pa.Table:
        """Return one row for each run, the oldest first."""
        self._tables.runs.refresh()
        return self._tables.runs.scan().sort_by("started")

    def at(self, versions: Mapping[str, int] | str) -> Store:
        """Return the store as it was, to be read only.

        Args:
            versions: The version of each table, or the id of a run, for what it left behind.

        Raises:
            InputError: There is no such run, it has not ended, or a version is gone.
        """
        if isinstance(versions, str):
            runs = {run["id"]: run["versions_after"] for run in self.runs().to_pylist()}
            if runs.get(versions) is None:
                raise InputError(
                    "name",
                    f"there is no finished run {versions!r}",
                    where=self.uri,
                    remedy=suggest_name(versions, runs),
                )
            versions = dict(runs[versions])
        tables = Tables(self.uri, versions)
        tables.check_versions()
        return Store(tables)

    def vacuum(self, *, keep: timedelta = timedelta(days=7)) -> dict[str, int]:
        """Remove what no scene needs: rows of interrupted writes, old versions, small files.

        Args:
            keep: Nothing younger goes; it must be longer than any write takes. Runs that are
                older can no longer be gone back to with `at`.

        Returns:
            Number of rows removed, and of bytes freed.
        """
        self._check_writable()
        return vacuum(self._tables, keep=keep)

    def _check_writable(self) -> None:
        if self._tables.pinned is not None:
            raise InputError(
                "usage",
                "this is the store as it was, which cannot be written",
                where=self.uri,
                remedy="open the store itself",
            )


def _reopen(uri: str, versions: Mapping[str, int] | None) -> Store:
    tables = Tables(uri, versions)
    tables.check_layout()
    return Store(tables)
