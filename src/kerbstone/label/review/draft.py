"""Labels that are being changed, track by track, while those that are kept stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.label.labels import Labels, Provenance
from kerbstone.scene import Kind

CELLS = ("step", "place", "heading", "velocity", "std", "confidence", "provenance", "row")
"""The columns of a cell, but for its agent."""

Cells = dict[str, np.ndarray]
"""Cells of one track by step, as columns named as in `Labels`."""


@dataclass(frozen=True, eq=False)
class Keys:
    """Boxes that a person placed on one track, by step.

    Args:
        step: Time step of each.
        box: In the world (`BoxIndex`).
    """

    step: Int64[np.ndarray, " key"]
    box: Float64[np.ndarray, "key 7"]


@dataclass(frozen=True, eq=False)
class Track:
    """A track as a draft has it.

    Args:
        kind: Its kind.
        size: Length, width and height [m]; NaN while it is not known.
        cells: Its cells.
    """

    kind: Kind
    size: Float64[np.ndarray, " 3"]
    cells: Cells


class Draft:
    """A copy of labels to change. What is asked of it was checked before.

    Args:
        labels: The labels, which stay as they are.
    """

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self.rows = {name: row for row, name in enumerate(labels.ids)}
        self._kind = [Kind(int(kind)) for kind in labels.kind]
        self._name = list(labels.name)
        self._size = [size.copy() for size in labels.size]
        self._agent = labels.agent.copy()
        self._columns: Cells = {name: getattr(labels, name).copy() for name in CELLS}
        self._put: dict[int, Cells] = {}

    def add(self, agent: str, kind: Kind, label: str = "") -> None:
        """Begin a track without cells."""
        self.rows[agent] = len(self._kind)
        self._kind.append(kind)
        self._name.append(label or kind.name.lower())
        self._size.append(np.full(3, np.nan))

    def move(self, moves: Sequence[tuple[str, int, str]]) -> dict[str, list[tuple[int, int]]]:
        """Give cells to other tracks: from which, at which step, to which.

        Returns:
            For each track that cells of another one joined: the seams, as the last step before
            and the first step after a hole between cells that came from different tracks.
        """
        if not moves:
            return {}
        origin = self._agent.copy()
        cells = self._find([(agent, step) for agent, step, _ in moves])
        for agent, _, to in moves:
            if to not in self.rows:
                row = self.rows[agent]
                self.add(to, self._kind[row], self._name[row])
                self._size[-1] = self._size[row].copy()
        self._agent[cells] = [self.rows[to] for _, _, to in moves]
        order = np.lexsort((self._columns["step"], self._agent))
        self._agent, origin = self._agent[order], origin[order]
        self._columns = {name: column[order] for name, column in self._columns.items()}
        step = self._columns["step"]
        holes = (np.diff(self._agent) == 0) & (np.diff(step) > 1) & (np.diff(origin) != 0)
        names = list(self.rows)
        seams: dict[str, list[tuple[int, int]]] = {}
        for cell in np.flatnonzero(holes).tolist():
            seam = (int(step[cell]), int(step[cell + 1]))
            seams.setdefault(names[self._agent[cell]], []).append(seam)
        return seams

    def classify(self, agent: str, kind: Kind, label: str = "") -> None:
        """Give a track another kind."""
        self._kind[self.rows[agent]] = kind
        self._name[self.rows[agent]] = label or kind.name.lower()

    def delete(self, cells: Sequence[tuple[str, int]]) -> None:
        """Take cells out."""
        kept = np.ones(len(self._agent), bool)
        kept[self._find(cells)] = False
        self._agent = self._agent[kept]
        self._columns = {name: column[kept] for name, column in self._columns.items()}

    def confirm(self, cells: Sequence[tuple[str, int]], std: Float64[np.ndarray, " 4"]) -> None:
        """Make cells reviewed ones, as they are."""
        rows = self._find(cells)
        self._columns["provenance"][rows] = Provenance.REVIEWED
        self._columns["confidence"][rows] = 1.0
        self._columns["std"][rows] = std

    def size_of(self, agent: str) -> Float64[np.ndarray, " 3"]:
        """Return the size of a track [m]."""
        return self._size[self.rows[agent]]

    def resize(self, agent: str, size: Float64[np.ndarray, " 3"]) -> None:
        """Give a track another size [m]."""
        self._size[self.rows[agent]] = size

    def track(self, agent: str) -> Track:
        """Return a track as it was before cells were put on it."""
        row = self.rows[agent]
        own = slice(*np.searchsorted(self._agent, [row, row + 1]).tolist())
        cells = {name: column[own] for name, column in self._columns.items()}
        return Track(self._kind[row], self._size[row], cells)

    def put(self, agent: str, cells: Cells) -> None:
        """Put cells in the place of all those of a track."""
        self._put[self.rows[agent]] = cells

    def to_labels(self) -> Labels:
        """Return the labels, without tracks that have no cells left."""
        kept = ~np.isin(self._agent, np.array([*self._put], np.int64))
        agent = [self._agent[kept]]
        agent += [np.full(len(cells["step"]), row, np.int64) for row, cells in self._put.items()]
        columns = {
            name: np.concatenate([column[kept], *(cells[name] for cells in self._put.values())])
            for name, column in self._columns.items()
        }
        together = np.concatenate(agent)
        order = np.lexsort((columns["step"], together))
        whole = replace(
            self._labels,
            ids=tuple(self.rows),
            kind=np.array(self._kind, np.uint8),
            name=tuple(self._name),
            size=np.array(self._size, np.float64).reshape(-1, 3),
            agent=together[order],
            **{name: column[order] for name, column in columns.items()},
        )
        return whole.select(np.ones(len(whole), bool))

    def _find(self, cells: Sequence[tuple[str, int]]) -> Int64[np.ndarray, " cell"]:
        steps = self._labels.scene.clock.steps
        key = self._agent * steps + self._columns["step"]
        wanted = [self.rows[agent] * steps + step for agent, step in cells]
        return np.searchsorted(key, np.array(wanted, np.int64)).astype(np.int64)
