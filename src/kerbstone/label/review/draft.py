"""Labels that are being changed, track by track, while those that are kept stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.errors import InputError
from kerbstone.label.labels import Labels, Provenance
from kerbstone.scene import Kind

CELLS = (
    *("step", "place", "heading", "velocity", "std", "confidence", "provenance", "row"),
)
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
    """A copy of labels to change.

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

    def add(self, agent: str, kind: Kind, label: str = "") -> None:
        """Begin a track without cells."""
        self.rows[agent] = len(self._kind)
        self._kind.append(kind)
        self._name.append(label or kind.name.lower())
        self._size.append(np.full(3, np.nan))

    def move(self, moves: Sequence[tuple[str, int, str, str]]) -> dict[str, list[tuple[int, int]]]:
        """Give cells to other tracks: from which, at which step, to which, and where it was said.

        Returns:
            For each track that cells of another one joined: the seams, as the last step before
            and the first step after a hole between cells that came from different tracks.

        Raises:
            InputError: A track would be at two places at one step.
        """
        if not moves:
            return {}
        origin = self._agent.copy()
        cell_at = self._cells_at()
        for agent, step, to, _ in moves:
            if to not in self.rows:
                row = self.rows[agent]
                self.add(to, self._kind[row], self._name[row])
                self._size[-1] = self._size[row].copy()
            self._agent[cell_at[self.rows[agent], step]] = self.rows[to]
        self._sort()
        order = self._order
        agent, step = self._agent, self._columns["step"]
        origin = origin[order]
        same = np.diff(agent) == 0
        twice = same & (np.diff(step) == 0)
        if twice.any():
            cell = int(np.argmax(twice))
            name = next(name for name, row in self.rows.items() if row == agent[cell])
            told = next((w for _, s, to, w in moves if to == name and s == step[cell]), "")
            raise InputError(
                "duplicate",
                "two tracks that should be joined are both there at one step",
                where=f"{told}, agent {name!r}, step {step[cell]}".removeprefix(", "),
                why="a road user is at one place at a time",
                remedy="nothing was changed: delete one of the two boxes there and import again",
            )
        holes = same & (np.diff(step) > 1) & (np.diff(origin) != 0)
        seams: dict[str, list[tuple[int, int]]] = {}
        names = {row: name for name, row in self.rows.items()}
        for cell in np.flatnonzero(holes).tolist():
            seam = (int(step[cell]), int(step[cell + 1]))
            seams.setdefault(names[int(agent[cell])], []).append(seam)
        return seams

    def classify(self, agent: str, kind: Kind, label: str = "") -> None:
        """Give a track another kind."""
        self._kind[self.rows[agent]] = kind
        self._name[self.rows[agent]] = label or kind.name.lower()

    def delete(self, cells: Sequence[tuple[str, int]]) -> None:
        """Take cells out."""
        if not cells:
            return
        at = self._cells_at()
        gone = np.zeros(len(self._agent), bool)
        gone[[at[self.rows[agent], step] for agent, step in cells]] = True
        self._keep(~gone)

    def size_of(self, agent: str) -> Float64[np.ndarray, " 3"]:
        """Return the size of a track [m]."""
        return self._size[self.rows[agent]]

    def resize(self, agent: str, size: Float64[np.ndarray, " 3"]) -> None:
        """Give a track another size [m]."""
        self._size[self.rows[agent]] = size

    def track(self, agent: str) -> Track:
        """Return a track as it is now."""
        row = self.rows[agent]
        own = self._agent == row
        cells = {name: column[own] for name, column in self._columns.items()}
        return Track(self._kind[row], self._size[row], cells)

    def put(self, agent: str, cells: Cells, *, leave_out: Sequence[int] = ()) -> None:
        """Put cells in the place of all those of a track, but for some steps."""
        row = self.rows[agent]
        kept = ~np.isin(cells["step"], np.array(leave_out, np.int64))
        self._keep(self._agent != row)
        self._agent = np.concatenate([self._agent, np.full(int(kept.sum()), row)])
        self._columns = {
            name: np.concatenate([column, cells[name][kept].astype(column.dtype)])
            for name, column in self._columns.items()
        }
        self._sort()

    def confirm(self, agent: str, step: int, std: Float64[np.ndarray, " 4"]) -> None:
        """Make a cell a reviewed one as it is.

        Raises:
            InputError: It is not there.
        """
        cell = np.flatnonzero(
            (self._agent == self.rows.get(agent, -1)) & (self._columns["step"] == step)
        )
        if not len(cell):
            raise InputError(
                "reference",
                "a cell that is not there cannot be confirmed",
                where=f"agent {agent!r}, step {step}",
            )
        self._columns["provenance"][cell] = Provenance.REVIEWED
        self._columns["confidence"][cell] = 1.0
        self._columns["std"][cell] = std

    def to_labels(self) -> Labels:
        """Return the labels, without tracks that have no cells left."""
        whole = replace(
            self._labels,
            ids=tuple(self.rows),
            kind=np.array(self._kind, np.uint8),
            name=tuple(self._name),
            size=np.array(self._size, np.float64).reshape(-1, 3),
            agent=self._agent,
            **self._columns,
        )
        return whole.select(np.ones(len(whole), bool))

    def _cells_at(self) -> dict[tuple[int, int], int]:
        keys = zip(self._agent.tolist(), self._columns["step"].tolist(), strict=True)
        return {key: cell for cell, key in enumerate(keys)}

    def _keep(self, cells: Bool[np.ndarray, " cell"]) -> None:
        self._agent = self._agent[cells]
        self._columns = {name: column[cells] for name, column in self._columns.items()}

    def _sort(self) -> None:
        self._order = np.lexsort((self._columns["step"], self._agent))
        self._agent = self._agent[self._order]
        self._columns = {name: column[self._order] for name, column in self._columns.items()}
