"""Where the rows of a table are, by their keys, held in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pyarrow as pa

from kerbstone.store.heads import KEY_COLUMNS, Key


class Index(ABC):
    """An index of the rows of a table, by their positions in its order."""

    columns: ClassVar[tuple[str, ...]]
    """The columns that it is made from."""

    def __init__(self) -> None:
        self.rows = 0

    def extend(self, keys: pa.Table) -> None:
        """Take in rows that were appended."""
        self._extend(keys)
        self.rows += keys.num_rows

    @abstractmethod
    def _extend(self, keys: pa.Table) -> None: ...


class PartIndex(Index):
    """The positions of all rows of each part, in their order."""

    columns = ("part",)

    def __init__(self) -> None:
        super().__init__()
        self.positions: defaultdict[int, list[range]] = defaultdict(list)

    def _extend(self, keys: pa.Table) -> None:
        parts = keys.column("part").to_numpy()
        # The rows of a part were written together, so a few ranges stand for all of them.
        starts = np.flatnonzero(np.diff(parts, prepend=-1))
        for start, stop in pairwise([*starts.tolist(), len(parts)]):
            rows = range(self.rows + start, self.rows + stop)
            self.positions[int(parts[start])].append(rows)

    def of(self, part: int) -> list[int]:
        """Return the positions of the rows of a part."""
        return [position for rows in self.positions.get(part, ()) for position in rows]


class SceneIndex(Index):
    """The position and part of each scene by its id, and its small values."""

    columns = KEY_COLUMNS

    def __init__(self) -> None:
        super().__init__()
        self.position: dict[str, int] = {}
        self.part: dict[str, int] = {}
        self._keys: list[pa.Table] = []

    def _extend(self, keys: pa.Table) -> None:
        rows = zip(keys.column("id").to_pylist(), keys.column("part").to_pylist(), strict=True)
        for position, (scene, part) in enumerate(rows, self.rows):
            # Of two rows with one id, the one that was committed first counts.
            if self.position.setdefault(scene, position) == position:
                self.part[scene] = part
        self._keys = [pa.concat_tables([*self._keys, keys]).combine_chunks()]

    def key(self, scene: str) -> Key:
        """Return the small values of a scene."""
        return Key(**self._keys[0].slice(self.position[scene], 1).to_pylist()[0])


class LogIndex(Index):
    """The part of each log that was written last: it replaces the others."""

    columns = ("log_key", "part")

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[str, int] = {}
        self.parts: set[int] = set()

    def _extend(self, keys: pa.Table) -> None:
        pairs = keys.group_by(["log_key", "part"], use_threads=False).aggregate([])
        for log, part in zip(
            *(pairs.column(name).to_pylist() for name in self.columns), strict=True
        ):
            self.last[log] = part
            self.parts.add(part)


class NoIndex(Index):
    """For a table that is only read as a whole."""

    columns = ()

    def _extend(self, keys: pa.Table) -> None:
        pass
