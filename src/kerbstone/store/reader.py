"""Reading scenes and windows of scenes: what is asked for, and no more."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from kerbstone.errors import InputError
from kerbstone.scene import Camera, Clock, Lidar, Map, Scene
from kerbstone.store import heads, states
from kerbstone.store.heads import Head, Key
from kerbstone.store.late import StoredScene
from kerbstone.store.maps import read_map
from kerbstone.store.sensors import read_sensors
from kerbstone.store.table import Table, reading
from kerbstone.store.tables import Tables

T = TypeVar("T")

_KEPT_MAPS = 16
_KEPT_HEADS = 1024
_NAMES_SEARCHED = 20_000
_READ_AT_ONCE = 32


class SceneReader:
    """Reads scenes from the tables of a store.

    Args:
        tables: The tables; they are refreshed where a scene or its rows are not found.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._kept_map = lru_cache(maxsize=_KEPT_MAPS)(self._read_map)
        # A scene that is replaced gets another key, so what is kept never grows stale.
        self._kept_head = lru_cache(maxsize=_KEPT_HEADS)(self._read_head)

    def scene(self, scene_id: str) -> Scene:
        """Return a whole scene; see `Store.scene`."""
        return self._retried(lambda: self._read(scene_id, lambda clock: clock))

    def window(self, scene_id: str, start: float, duration: float) -> Scene:
        """Return a stretch of a scene; see `Store.window`."""

        def cut(clock: Clock) -> Clock:
            return clock.window(round(start / clock.dt), round(duration / clock.dt))

        return self._retried(lambda: self._read(scene_id, cut))

    def part(self, scene_id: str) -> int:
        """Return what the rows of a scene are marked with."""
        return self._key(scene_id).part

    def many(self, scene_ids: Iterable[str]) -> Iterator[tuple[str, Scene | InputError]]:
        """Give whole scenes, some read at a time; see `Store.read`."""
        pending = iter(scene_ids)
        while batch := list(islice(pending, _READ_AT_ONCE)):
            try:
                yield from zip(batch, self._retried(partial(self._read_batch, batch)), strict=True)
            except InputError:
                # One by one, it shows which of them cannot be read.
                for scene_id in batch:
                    try:
                        yield scene_id, self.scene(scene_id)
                    except InputError as error:
                        yield scene_id, error

    def missing(self, name: str) -> InputError:
        """Return the error for a scene that is not there, with the nearest names."""
        known = list(self._tables.scenes.index.position)
        near = difflib.get_close_matches(name, known[:_NAMES_SEARCHED], n=3, cutoff=0.5)
        uri = self._tables.uri
        return InputError(
            "scene-missing",
            f"there is no scene {name!r}",
            where=uri,
            why=f"the store holds {len(known)} scenes",
            remedy=(f"did you mean {', '.join(map(repr, near))}? " if near else "")
            + f"'kerbstone scenes --store {uri}' lists them",
        )

    def _read(self, scene_id: str, cut: Callable[[Clock], Clock]) -> Scene:
        key = self._key(scene_id)
        clock = cut(key.clock)
        # The states come in the background while the head is read, if it is not known yet.
        rows = self._pool.submit(self._take_states, key, clock)
        head = self._kept_head(key)
        return self._build(head, rows.result(), clock)

    def _read_batch(self, scene_ids: Sequence[str]) -> list[Scene]:
        keys = [self._key(scene_id) for scene_id in scene_ids]
        table = self._tables.states
        positions = [
            self._positions(table, key.part, states.chunks_of(key, key.clock).stop) for key in keys
        ]
        names = {name: None for key in keys for name in states.columns_of(key)}
        flat = [position for some in positions for position in some]
        rows = self._pool.submit(table.take, flat, list(names))
        found = self._read_heads(keys)
        ends = np.cumsum([len(some) for some in positions])
        return [
            self._build(head, rows.result().slice(end - len(some), len(some)), head.key.clock)
            for head, some, end in zip(found, positions, ends.tolist(), strict=True)
        ]

    def _build(self, head: Head, rows: pa.Table, clock: Clock) -> Scene:
        with reading(self._tables.states.uri):
            stretch = states.read_stretch(rows, head, clock)
        return StoredScene.late(
            partial(self._read_late, head.key),
            id=head.key.id,
            clock=stretch.clock,
            agents=stretch.agents,
            ego=head.key.ego,
            signals=stretch.signals,
        )

    def _key(self, scene_id: str) -> Key:
        table = self._tables.scenes
        if scene_id not in table.index.position:
            table.refresh()
        if scene_id not in table.index.position:
            raise self.missing(scene_id)
        return table.index.key(scene_id)

    def _read_head(self, key: Key) -> Head:
        table = self._tables.scenes
        rows = table.take([table.index.position[key.id]], heads.head_columns(key))
        with reading(table.uri):
            return heads.read_head(key, rows)

    def _read_heads(self, keys: Sequence[Key]) -> list[Head]:
        table = self._tables.scenes
        names = {name: None for key in keys for name in heads.head_columns(key)}
        rows = table.take([table.index.position[key.id] for key in keys], list(names))
        with reading(table.uri):
            return [
                heads.read_head(key, rows.slice(number, 1).select(heads.head_columns(key)))
                for number, key in enumerate(keys)
            ]

    def _take_states(self, key: Key, clock: Clock) -> pa.Table:
        table = self._tables.states
        chunks = states.chunks_of(key, clock)
        positions = self._positions(table, key.part, chunks.stop)
        return table.take(positions[chunks.start : chunks.stop], states.columns_of(key))

    def _read_late(self, key: Key, name: str) -> Any:
        """Return a field of a scene that was left out when it was read."""
        if name == "map":
            part = key.map_part
            return None if part is None else self._retried(lambda: self._kept_map(part))
        readers: dict[str, Callable[[], Any]] = {
            "source": lambda: heads.read_source(self._more(key, heads.SOURCE_COLUMNS)),
            "ego_poses": lambda: heads.read_poses(self._more(key, heads.POSE_COLUMNS)),
            "cameras": lambda: self._read_sensors(key)[0],
            "lidars": lambda: self._read_sensors(key)[1],
        }
        with reading(self._tables.scenes.uri):
            return self._retried(readers[name])

    def _more(self, key: Key, columns: Sequence[str]) -> pa.Table:
        """Return more columns of a scene's row in `scenes`."""
        table = self._tables.scenes
        if table.index.part.get(key.id) != key.part:
            raise InputError(
                "scene-missing",
                "the scene was replaced after it was opened",
                where=f"{table.uri}, scene {key.id}",
                remedy="open it again",
            )
        return table.take([table.index.position[key.id]], columns)

    def _read_sensors(self, key: Key) -> tuple[tuple[Camera, ...], tuple[Lidar, ...]]:
        table = self._tables.sensors
        counts = self._more(key, ["cameras", "lidars"]).to_pylist()[0]
        number = counts["cameras"] + counts["lidars"]
        if not number:
            return (), ()
        rows = table.take(self._positions(table, key.part, number), table.names)
        with reading(table.uri):
            return read_sensors(rows)

    def _read_map(self, part: int) -> Map:
        maps, pieces = self._tables.maps, self._tables.pieces
        rows = maps.take(self._positions(maps, part, 1), maps.names)
        positions = self._positions(pieces, part, rows.column("pieces")[0].as_py())
        with reading(pieces.uri):
            return read_map(rows, pieces.take(positions, pieces.names))

    def _positions(self, table: Table, part: int, count: int) -> list[int]:
        """Return the positions of a part's rows, of which there must be `count` at least."""
        positions = table.index.of(part)
        if len(positions) < count and table.refresh():
            positions = table.index.of(part)
        if len(positions) < count:
            raise InputError(
                "store-damaged",
                "rows of a scene are gone",
                where=table.uri,
                why=f"{len(positions)} rows of {count}",
                remedy="ingest the log again into a new store",
            )
        return positions

    def _retried(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except InputError as error:
            # Another process may have tidied away the files of the versions that are read.
            if error.code != "store-damaged" or not self._tables.refresh():
                raise
        return read()
