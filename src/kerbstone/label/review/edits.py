"""What a person changed of labels, and the labels with that change, whatever tool it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.label.labels import Labels
from kerbstone.label.profile import Profile
from kerbstone.label.review.draft import Draft, Keys
from kerbstone.label.review.resmoothing import REVIEWED_STD, Resmoother
from kerbstone.scene import BoxIndex, Detections, Kind

_FARTHEST = 1e7
"""No place is farther from the origin of a world [m]."""
_LARGEST = 200.0
"""Nothing on a road is longer [m]."""


class Action(StrEnum):
    """What an edit does."""

    PLACE = "place"
    """The box of a cell is this one: its centre and heading there, its size for the whole track."""
    CONFIRM = "confirm"
    """The cell is right as it is."""
    DELETE = "delete"
    """There is nothing of this track at that step."""
    MOVE = "move"
    """The cell belongs to another track: tracks are split and joined so."""
    CLASSIFY = "classify"
    """The whole track is of this kind."""


@dataclass(frozen=True)
class Edit:
    """One thing that a person decided.

    Args:
        action: What it does.
        agent: Name of the track; to place a box, one that is not there yet begins a new track.
        step: Time step of the cell; of no meaning for `CLASSIFY`.
        box: In the world (`BoxIndex`), for `PLACE`.
        kind: For `CLASSIFY`, and for the first box of a new track.
        label: The format's own class name that goes with the kind; that of the kind if empty.
        to: Name of the track that the cell moves to, one that is there or a new one.
        where: Where it was said, for errors.
    """

    action: Action
    agent: str
    step: int = -1
    box: tuple[float, ...] | None = None
    kind: Kind | None = None
    label: str = ""
    to: str = ""
    where: str = ""


def apply_edits(
    labels: Labels,
    edits: Sequence[Edit],
    profile: Profile,
    detections: Detections | None = None,
) -> Labels:
    """Return labels as a person corrected them.

    All edits are checked before anything is changed. Moves come first, then classes, deletions,
    and boxes, so a box that is placed names the track as it is called afterwards.

    Cells with a placed or confirmed box are `REVIEWED`, and sure. Around a placed box its track
    is smoothed again: the box is taken as all but exact, what was detected of the track as certain
    as it was, and each cell moves by what that changes. What it changes by less than a millimetre,
    other tracks, and tracks that only lose cells, stay as they are to the last bit. Of what stands
    all cells move, as it has one pose for all its time. A front that is turned round turns round
    for all cells that no other reviewed cell is nearer to. Steps between a placed box and the
    next cells of its track are filled, and so is the seam of tracks that are joined.

    Args:
        labels: The labels.
        edits: What was decided, in any order.
        profile: What is known of the detector and of road users.
        detections: What the labels were made from; without them their noise is the profile's.

    Raises:
        InputError: An edit names what is not there, holds no usable box, or two of them exclude
            one another; or the detections are not those of the labels.
    """
    check_edits(labels, edits)
    if not edits:
        return labels
    by_action: dict[Action, list[Edit]] = {action: [] for action in Action}
    for edit in edits:
        by_action[edit.action].append(edit)
    smoother = Resmoother(labels, profile, detections)
    draft = Draft(labels)
    seams = draft.move([(e.agent, e.step, e.to) for e in by_action[Action.MOVE]])
    for edit in by_action[Action.CLASSIFY]:
        draft.classify(edit.agent, _kind_of(edit), edit.label)
    gone = [(e.agent, e.step) for e in by_action[Action.DELETE]]
    draft.confirm([(e.agent, e.step) for e in by_action[Action.CONFIRM]], REVIEWED_STD)
    draft.delete(gone)
    placed: dict[str, list[Edit]] = {}
    for edit in sorted(by_action[Action.PLACE], key=lambda edit: edit.step):
        placed.setdefault(edit.agent, []).append(edit)
    for agent in sorted(placed.keys() - draft.rows.keys(), key=_natural):
        kinds = [edit for edit in placed[agent] if edit.kind is not None]
        draft.add(agent, _kind_of(kinds[0]), kinds[0].label)
    for agent in dict.fromkeys([*seams, *placed]):
        keys = _keys_of(placed.get(agent, []))
        draft.resize(agent, _agree_on_size(keys, draft.size_of(agent)))
        empty = [step for name, step in gone if name == agent]
        draft.put(agent, smoother.smooth(draft.track(agent), keys, seams.get(agent, ()), empty))
    return draft.to_labels()


def check_edits(labels: Labels, edits: Sequence[Edit]) -> None:
    """Refuse edits that cannot all be carried out; arguments and errors as in `apply_edits`."""
    cells = _cells_after_moves(labels, edits)
    agents = {agent for agent, _ in cells}
    begun = {e.agent for e in edits if e.action == Action.PLACE and e.kind is not None}
    said: dict[tuple[bool, str, int], Edit] = {}
    for edit in edits:
        if edit.action != Action.CLASSIFY:
            _check_step(edit, labels.scene.clock.steps)
        if edit.action == Action.CLASSIFY:
            _check_agent(edit, agents)
            _kind_of(edit)
        elif edit.action == Action.PLACE:
            _check_box(edit)
            _check_agent(edit, agents | begun)
        elif edit.action != Action.MOVE and (edit.agent, edit.step) not in cells:
            raise _refuse(edit, "reference", "is of a cell that is not there")
        # A move names the track that a cell leaves, everything else that which it belongs to then.
        moves = edit.action == Action.MOVE
        step = -1 if edit.action == Action.CLASSIFY else edit.step
        other = said.setdefault((moves, edit.agent, step), edit)
        if other is not edit:
            raise _refuse(
                edit,
                "duplicate",
                "decides what another one decides",
                f"that is to {other.action} it, this to {edit.action} it",
            )


def _cells_after_moves(labels: Labels, edits: Sequence[Edit]) -> set[tuple[str, int]]:
    """Return agent and step of each cell, after checking that moves can be carried out."""
    names = [labels.ids[agent] for agent in labels.agent]
    cells = set(zip(names, labels.step.tolist(), strict=True))
    moves = [edit for edit in edits if edit.action == Action.MOVE]
    for edit in moves:
        if (edit.agent, edit.step) not in cells:
            raise _refuse(edit, "reference", "moves a cell that is not there")
        if not edit.to:
            raise _refuse(edit, "value", "moves a cell to a track without a name")
    cells -= {(edit.agent, edit.step) for edit in moves}
    for edit in moves:
        if (edit.to, edit.step) in cells:
            raise _refuse(
                edit,
                "duplicate",
                f"joins a track to {edit.to!r}, which has a box at that step already",
                "a road user is at one place at a time",
            )
        cells.add((edit.to, edit.step))
    return cells


def _check_step(edit: Edit, steps: int) -> None:
    if not 0 <= edit.step < steps:
        raise _refuse(edit, "clock", "lies outside the log's time", f"{steps} steps")


def _check_agent(edit: Edit, known: set[str]) -> None:
    if not edit.agent or edit.agent not in known:
        why = "a new track needs a kind" if edit.action == Action.PLACE else ""
        raise _refuse(edit, "reference", "is of a track that is not there", why)


def _check_box(edit: Edit) -> None:
    box = np.array(edit.box if edit.box is not None else (), np.float64)
    if box.shape != (len(BoxIndex),) or not np.isfinite(box).all():
        raise _refuse(edit, "value", "holds no box", f"{edit.box}")
    size = box[BoxIndex.LENGTH :]
    if (size <= 0).any() or (size > _LARGEST).any():
        raise _refuse(edit, "value", "holds a box of no usable size", f"{size.tolist()} m")
    if (np.abs(box[: BoxIndex.HEADING]) > _FARTHEST).any():
        raise _refuse(edit, "value", "holds a box that is nowhere", f"{box[:3].tolist()} m")


def _kind_of(edit: Edit) -> Kind:
    if edit.kind is None:
        raise _refuse(edit, "value", "needs a kind")
    return edit.kind


def _refuse(edit: Edit, code: str, what: str, why: str = "") -> InputError:
    place = f"agent {edit.agent!r}" + (f", step {edit.step}" if edit.step >= 0 else "")
    return InputError(
        code,
        f"an edit {what}",
        where=f"{edit.where}, {place}" if edit.where else place,
        why=why,
        remedy="nothing was changed: correct it and import again",
    )


def _keys_of(edits: Sequence[Edit]) -> Keys:
    box = np.array([edit.box for edit in edits], np.float64).reshape(-1, len(BoxIndex))
    return Keys(np.array([edit.step for edit in edits], np.int64), box)


def _agree_on_size(keys: Keys, size: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, " 3"]:
    """Return the size of a track: the median of what keys change each side to."""
    told = keys.box[:, BoxIndex.LENGTH :]
    agreed = size.copy()
    for side in range(3):
        changed = told[told[:, side] != size[side], side]
        if len(changed):
            agreed[side] = np.sort(changed)[(len(changed) - 1) // 2]
    return agreed


def _natural(name: str) -> tuple[int, str]:
    """Order names of digits as the numbers that they are."""
    return (len(name), name)
