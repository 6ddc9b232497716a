"""What a file says of tracks, side by side with what it said when it was exported.

A file is read to a sheet: a row for each box, in the format's own frame. The labels that it was
made from are told as a sheet too, by the same writer and reader. So whatever a format rounds, leaves
out or cannot hold is equal on both sides, and only what a person changed differs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.errors import InputError, suggest_name
from kerbstone.label.labels import Labels
from kerbstone.label.review.completion import complete_boxes, name_track
from kerbstone.label.review.edits import Action, Edit
from kerbstone.scene import BoxIndex, Kind, wrap_angle

Boxes = Float64[np.ndarray, "row 7"]


@dataclass(frozen=True, eq=False)
class Sheet:
    """What a file says of tracks, one row for each box.

    Args:
        agent: Name of the track of each row; empty for tracks that were drawn new.
        group: What holds the rows of a new track together.
        step: Time step.
        box: In the format's frame, columns as in `BoxIndex`; NaN where the format tells nothing.
        name: Class of each row.
        is_key: Whether a person may have put the box there; what a tool interpolates says only
            that the track is there.
        is_confirmed: Whether it is marked as right.
        where: Place of each row in the file, for errors.
    """

    agent: tuple[str, ...]
    group: tuple[str, ...]
    step: Int64[np.ndarray, " row"]
    box: Boxes
    name: tuple[str, ...]
    is_key: Bool[np.ndarray, " row"]
    is_confirmed: Bool[np.ndarray, " row"]
    where: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.step)


@runtime_checkable
class ReviewFormat(Protocol):
    """What a format offers for the round trip."""

    @property
    def name(self) -> str:
        """Short name, as `--format` takes it."""
        ...

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """What each class that a file may name stands for."""
        ...

    @property
    def tolerance(self) -> Float64[np.ndarray, " 7"]:
        """Which changes of a box are none: what tools round [m, rad]."""
        ...

    def write(self, labels: Labels, folder: Path) -> list[Path]:
        """Write labels to a folder that is there, and return the files.

        Raises:
            InputError: The labels lack what the format needs.
        """
        ...

    def read(self, path: Path, labels: Labels) -> Sheet:
        """Read a file that a person edited.

        Raises:
            InputError: It is broken, or not made from these labels.
        """
        ...

    def tell(self, labels: Labels) -> Sheet:
        """Return what an export of the labels says."""
        ...

    def to_world(self, labels: Labels, box: Boxes, step: Int64[np.ndarray, " row"]) -> Boxes:
        """Bring boxes from the format's frame to the world."""
        ...


def find_edits(labels: Labels, told: Sheet, found: Sheet, form: ReviewFormat) -> list[Edit]:
    """Return what a person changed.

    Args:
        labels: The labels that were exported.
        told: What the export said.
        found: What the edited file says.
        form: The format of both.

    Raises:
        InputError: The file has two boxes of a track at one step, a class that is not known, or
            two new classes for one track.
    """
    agent = _name_new_tracks(labels, found)
    row_of = _index(agent, found)
    was_row_of = {(told.agent[row], step): row for row, step in enumerate(told.step.tolist())}
    edits = _find_moves(told, found, was_row_of, row_of, form.tolerance)
    moved = {(edit.to, edit.step): was_row_of[edit.agent, edit.step] for edit in edits}
    left = {(edit.agent, edit.step) for edit in edits}
    pairs = [
        (row, moved.get(key, was_row_of.get(key) if key not in left else None))
        for key, row in row_of.items()
        if found.is_key[row]
    ]
    both = np.array([pair for pair in pairs if pair[1] is not None], np.int64).reshape(-1, 2)
    fresh = np.array([row for row, was in pairs if was is None], np.int64)
    edits += [
        Edit(Action.DELETE, *key, where=_file_of(found))
        for key in was_row_of
        if key not in row_of and key not in left
    ]
    edits += _find_classes(agent, told, found, both, form)
    edits += _find_changes(labels, agent, told, found, both, form)
    edits += _find_fresh(labels, agent, found, fresh, form)
    return edits


def _name_new_tracks(labels: Labels, found: Sheet) -> list[str]:
    """Return the track of each row, with a name for those that have none."""
    names: dict[str, str] = {}
    taken = {*labels.ids, *found.agent}
    agent = list(found.agent)
    for row, (name, group) in enumerate(zip(found.agent, found.group, strict=True)):
        if not name:
            if group not in names:
                names[group] = name_track(taken)
                taken.add(names[group])
            agent[row] = names[group]
    return agent


def _index(agent: list[str], found: Sheet) -> dict[tuple[str, int], int]:
    """Return the row of each cell; a key counts before what a tool interpolates."""
    rows: dict[tuple[str, int], int] = {}
    for row, (name, step) in enumerate(zip(agent, found.step.tolist(), strict=True)):
        other = rows.get((name, step))
        if other is not None and found.is_key[other] and found.is_key[row]:
            raise InputError(
                "duplicate",
                f"the track {name!r} has two boxes at step {step}",
                where=found.where[row],
                why=f"the other one is in {found.where[other]}",
                remedy="nothing was changed: delete one of them, or give it another track",
            )
        if other is None or found.is_key[row]:
            rows[name, step] = row
    return rows


def _find_moves(
    told: Sheet,
    found: Sheet,
    was_row_of: Mapping[tuple[str, int], int],
    row_of: Mapping[tuple[str, int], int],
    tolerance: Float64[np.ndarray, " 7"],
) -> list[Edit]:
    """Return which boxes stayed where they were under the name of another track."""
    lost: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for key, row in was_row_of.items():
        other = row_of.get(key)
        if other is None or (
            found.is_key[other] and not _alike(told, row, found, other, tolerance)
        ):
            lost[key[1]].append(key)
    moves = []
    for (name, step), row in row_of.items():
        was = was_row_of.get((name, step))
        if not found.is_key[row] or (was is not None and _alike(told, was, found, row, tolerance)):
            continue
        for key in lost[step]:
            if key[0] != name and _alike(told, was_row_of[key], found, row, tolerance):
                moves.append(Edit(Action.MOVE, *key, to=name, where=found.where[row]))
                lost[step].remove(key)
                break
    return moves


def _alike(
    told: Sheet, was: int, found: Sheet, row: int, tolerance: Float64[np.ndarray, " 7"]
) -> bool:
    return not _differs(told.box[[was]], found.box[[row]], tolerance).any()


def _differs(
    was: Boxes, now: Boxes, tolerance: Float64[np.ndarray, " 7"]
) -> Bool[np.ndarray, "row 7"]:
    """Tell which columns of boxes changed; what is not told did not."""
    off = now - was
    off[:, BoxIndex.HEADING] = wrap_angle(off[:, BoxIndex.HEADING])
    return np.asarray(np.abs(off) > tolerance)


def _find_classes(
    agent: list[str],
    told: Sheet,
    found: Sheet,
    both: Int64[np.ndarray, "row 2"],
    form: ReviewFormat,
) -> list[Edit]:
    classes: dict[str, tuple[str, str]] = {}
    for row, was in both.tolist():
        name = found.name[row]
        if name == told.name[was]:
            continue
        other, where = classes.setdefault(agent[row], (name, found.where[row]))
        if other != name:
            raise InputError(
                "value",
                f"the track {agent[row]!r} has two new classes",
                where=found.where[row],
                why=f"{name!r} here, {other!r} in {where}",
                remedy="nothing was changed: a track has one class",
            )
    return [
        Edit(Action.CLASSIFY, name, kind=_kind(label, where, form), label=label, where=where)
        for name, (label, where) in classes.items()
    ]


def _kind(name: str, where: str, form: ReviewFormat) -> Kind:
    kind = form.kinds.get(name)
    if kind is None:
        raise InputError(
            "label",
            f"unknown class {name!r:.60}",
            where=where,
            remedy=suggest_name(name[:60], form.kinds),
        )
    return kind


def _find_changes(
    labels: Labels,
    agent: list[str],
    told: Sheet,
    found: Sheet,
    both: Int64[np.ndarray, "row 2"],
    form: ReviewFormat,
) -> list[Edit]:
    """Return new boxes of cells that were told: what was not changed of them stays exactly."""
    rows, was = both[:, 0], both[:, 1]
    changed = _differs(told.box[was], found.box[rows], form.tolerance)
    confirmed = found.is_confirmed[rows] & ~told.is_confirmed[was] & ~changed.any(axis=1)
    edits = [
        Edit(Action.CONFIRM, agent[row], int(found.step[row]), where=found.where[row])
        for row in rows[confirmed].tolist()
    ]
    some = np.flatnonzero(changed.any(axis=1))
    rows, was, changed = rows[some], was[some], changed[some]
    box = form.to_world(labels, np.where(changed, found.box[rows], told.box[was]), found.step[rows])
    known = _boxes_of(labels, told, was)
    flat = slice(BoxIndex.X, BoxIndex.HEADING)
    moved = np.asarray(changed[:, flat].any(axis=1))
    kept = ~changed
    kept[:, flat] = ~moved[:, None]
    box = np.where(kept | np.isnan(box), known, box)
    edits += [
        Edit(
            Action.PLACE,
            agent[row],
            int(found.step[row]),
            box=tuple(each.tolist()),
            where=found.where[row],
        )
        for row, each in zip(rows.tolist(), box, strict=True)
    ]
    return edits


def _boxes_of(labels: Labels, told: Sheet, rows: Int64[np.ndarray, " row"]) -> Boxes:
    """Return the boxes of the cells that rows were told of, as the labels have them."""
    steps = labels.scene.clock.steps
    number = {name: agent for agent, name in enumerate(labels.ids)}
    wanted = np.array([number[told.agent[row]] for row in rows.tolist()], np.int64) * steps
    cell = np.searchsorted(labels.agent * steps + labels.step, wanted + told.step[rows])
    box = labels.boxes()[cell]
    box[:, BoxIndex.HEADING] = wrap_angle(box[:, BoxIndex.HEADING])
    return box


def _find_fresh(
    labels: Labels,
    agent: list[str],
    found: Sheet,
    rows: Int64[np.ndarray, " row"],
    form: ReviewFormat,
) -> list[Edit]:
    """Return boxes where there were none."""
    box = form.to_world(labels, found.box[rows], found.step[rows])
    kinds = [_kind(found.name[row], found.where[row], form) for row in rows.tolist()]
    names = [agent[row] for row in rows.tolist()]
    box = complete_boxes(labels, names, kinds, found.step[rows], box)
    return [
        Edit(
            Action.PLACE,
            names[i],
            int(found.step[row]),
            box=tuple(box[i].tolist()),
            kind=kinds[i],
            label=found.name[row],
            where=found.where[row],
        )
        for i, row in enumerate(rows.tolist())
    ]


def _file_of(found: Sheet) -> str:
    return found.where[0].split(",")[0] if found.where else ""
