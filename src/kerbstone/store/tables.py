"""All tables of a store together, at the newest versions or at given ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from kerbstone.errors import InputError, suggest_name
from kerbstone.store.index import LogIndex, NoIndex, PartIndex, SceneIndex
from kerbstone.store.layout import CACHES, LAYOUT, LAYOUT_KEY, RESULTS, TABLES
from kerbstone.store.table import Table, writing

# Side tables are listed in the configuration of `scenes`: not every object store can be listed.
_SIDE_KEY = "kerbstone:side:"


class Tables:
    """The tables of a store; nothing is opened before it is used.

    Args:
        uri: The store's folder or URI.
        versions: The version of each table to stay at; the newest if not given. Runs are always
            the newest: they are what is known about versions.
    """

    def __init__(self, uri: str, versions: Mapping[str, int] | None = None) -> None:
        self.uri = uri if "://" in uri else str(Path(uri).absolute())
        self.pinned = None if versions is None else dict(versions)
        at = self.pinned or {}
        self.scenes = Table(self.uri, "scenes", SceneIndex, version=at.get("scenes"))
        self.states = Table(self.uri, "states", PartIndex, version=at.get("states"))
        self.sensors = Table(self.uri, "sensors", PartIndex, version=at.get("sensors"))
        self.maps = Table(self.uri, "maps", PartIndex, version=at.get("maps"))
        self.pieces = Table(self.uri, "pieces", PartIndex, version=at.get("pieces"))
        self.runs = Table(self.uri, "runs", NoIndex)
        self._side: dict[str, Table[LogIndex]] = {}
        self._kept: dict[str, Table[NoIndex]] = {}

    def create(self) -> None:
        """Make the tables that are not there."""
        if "://" not in self.uri:
            with writing(self.uri):
                Path(self.uri).mkdir(parents=True, exist_ok=True)
        for name, schema in TABLES.items():
            getattr(self, name).create(schema)

    def check_layout(self) -> None:
        """Check that this is a store, and one that this version of Kerbstone reads.

        Raises:
            InputError: There is no store, it is damaged, or a newer version wrote it.
        """
        if not self.scenes.exists():
            raise InputError(
                "store-missing",
                "there is no store here",
                where=self.uri,
                remedy=f"kerbstone ingest PATH --store {self.uri}",
            )
        layout = (self.scenes.dataset.schema.metadata or {}).get(LAYOUT_KEY, b"")
        if not layout.isdigit():
            raise InputError(
                "store-damaged",
                "this is not a table of a Kerbstone store",
                where=self.scenes.uri,
                why="its schema has no layout number",
                remedy="choose another folder with --store",
            )
        if int(layout) > LAYOUT:
            raise InputError(
                "store-version",
                "the store was written by a newer version of Kerbstone",
                where=self.uri,
                why=f"it has layout {int(layout)}, this version reads up to {LAYOUT}",
                remedy="pip install --upgrade kerbstone",
            )

    def check_versions(self) -> None:
        """Check that the versions to stay at are still there.

        Raises:
            InputError: One is not.
        """
        for name, version in (self.pinned or {}).items():
            try:
                self.all()[name].dataset  # noqa: B018 - opens it
            except InputError as error:
                raise InputError(
                    "store-missing",
                    f"version {version} of the table {name!r} is gone",
                    where=self.uri,
                    why=error.why,
                    remedy="a vacuum with a longer `keep` leaves older versions",
                ) from error

    def core(self) -> dict[str, Table]:
        """Return the tables that every store has."""
        return {name: getattr(self, name) for name in TABLES}

    def sides(self) -> dict[str, Table[LogIndex]]:
        """Return the tables that were added, by name."""
        if self.pinned is None:
            config = self.scenes.dataset.config()
            names = [key.removeprefix(_SIDE_KEY) for key in config if key.startswith(_SIDE_KEY)]
        else:
            names = [name for name in self.pinned if name not in TABLES | RESULTS]
        return {name: self._side_table(name) for name in sorted(names)}

    def side(self, name: str) -> Table[LogIndex]:
        """Return an added table.

        Raises:
            InputError: There is none of that name.
        """
        self.scenes.refresh()
        sides = self.sides()
        if name not in sides:
            raise InputError(
                "store-missing",
                f"the store has no table {name!r}",
                where=self.uri,
                remedy=suggest_name(name, [*TABLES, *sides]),
            )
        return sides[name]

    def add_side(self, name: str, schema: pa.Schema) -> Table[LogIndex]:
        """Return an added table, after making it if it is not there.

        Raises:
            InputError: The name or a column is spoken for.
        """
        table = self._side_table(name)
        self.scenes.refresh()
        if name in self.sides():
            return table
        taken = TABLES | RESULTS | CACHES
        if name in taken or not re.fullmatch("[a-z][a-z0-9_]*", name):
            raise InputError(
                "usage",
                f"a table cannot be called {name!r}",
                why="it is a table of the store itself"
                if name in taken
                else "a name is made of small letters, digits and _",
            )
        table.create(schema)
        try:
            self.scenes.configure(_SIDE_KEY + name, "1")
        except InputError:
            # Two processes that list it at the same moment conflict; one of them succeeds.
            self.scenes.refresh()
            if name not in self.sides():
                raise
        return table

    def results(self) -> dict[str, Table[NoIndex]]:
        """Return the tables of results that are there."""
        return {name: table for name in RESULTS if (table := self.kept(name)) is not None}

    def caches(self) -> dict[str, Table[NoIndex]]:
        """Return the tables of what is kept to be quick, those that are there."""
        return {name: table for name in CACHES if (table := self.kept(name)) is not None}

    def all(self) -> dict[str, Table]:
        """Return every table whose versions belong to a run."""
        return self.core() | self.sides() | self.results()

    def kept(self, name: str) -> Table[NoIndex] | None:
        """Return a table of results or a cache; None where it is not there."""
        if name not in self._kept:
            is_pinned = self.pinned is not None and name in RESULTS
            version = self.pinned.get(name) if self.pinned is not None and is_pinned else None
            table = Table(self.uri, name, NoIndex, version=version)
            if (is_pinned and version is None) or not table.exists():
                return None
            self._kept[name] = table
        return self._kept[name]

    def add_kept(self, name: str) -> Table[NoIndex]:
        """Return a table of results or a cache, after making it if it is not there."""
        table = self.kept(name)
        if table is None:
            table = self._kept[name] = Table(self.uri, name, NoIndex)
            table.create((RESULTS | CACHES)[name])
        return table

    def refresh(self) -> bool:
        """Go to the newest versions; return whether any is another one."""
        return sum(table.refresh() for table in self.all().values()) > 0

    def versions(self) -> dict[str, int]:
        """Return the newest version of each table, or the one it stays at."""
        self.refresh()
        return {name: table.version for name, table in self.all().items()}

    def named_versions(self, *, since: datetime | None = None) -> dict[str, set[int]]:
        """Return the versions that runs (since a time) started from or ended at."""
        self.runs.refresh()
        runs = self.runs.scan(["started", "versions_before", "versions_after"]).to_pylist()
        named: dict[str, set[int]] = {}
        for run in runs:
            if since is None or run["started"] >= since:
                for name, version in (run["versions_before"] or []) + (run["versions_after"] or []):
                    named.setdefault(name, set()).add(version)
        return named

    def _side_table(self, name: str) -> Table[LogIndex]:
        if name not in self._side:
            version = None if self.pinned is None else self.pinned[name]
            self._side[name] = Table(self.uri, name, LogIndex, version=version)
        return self._side[name]
