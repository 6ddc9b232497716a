"""Labels to a folder that a person works on, and back: nothing changes unless all of it is sound."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerbstone.errors import InputError, UsageError, suggest_name
from kerbstone.label.labels import Labels, Provenance
from kerbstone.label.profile import Profile
from kerbstone.label.review.cvat import CvatReview
from kerbstone.label.review.edits import Action, Edit, apply_edits
from kerbstone.label.review.identity import check_identity, find_side_file, write_side_file
from kerbstone.label.review.label_files import LABEL_FILES
from kerbstone.label.review.label_studio import LabelStudioReview
from kerbstone.label.review.sheet import ReviewFormat, find_edits
from kerbstone.scene import Detections

_FORMATS: Mapping[str, ReviewFormat] = {
    form.name: form for form in (CvatReview(), LabelStudioReview(), *LABEL_FILES)
}
REVIEW_FORMATS = tuple(_FORMATS)
"""Names of the formats for `export_review`."""
_RETURNED = {"cvat": "annotations.zip", "label-studio": "task.json"}
"""The file of an export that a person hands back, where there are several."""


@dataclass(frozen=True)
class ReviewReport:
    """What a review changed.

    Args:
        format: Format of the file.
        placed: Cells whose box a person placed.
        confirmed: Cells that a person confirmed as they are.
        deleted: Cells that a person took out.
        moved: Cells that went to another track.
        smoothed: Cells that nobody touched and that moved with their track.
        filled: Cells that were made between others.
        classified: Tracks of another class.
        resized: Tracks of another size.
        tracks_new: Tracks that were not there.
        tracks_gone: Tracks that are not there any more.
        tracks_changed: Tracks of which anything is different, new and gone ones among them.
        edits: All that a person decided.
    """

    format: str
    placed: int = 0
    confirmed: int = 0
    deleted: int = 0
    moved: int = 0
    smoothed: int = 0
    filled: int = 0
    classified: int = 0
    resized: int = 0
    tracks_new: int = 0
    tracks_gone: int = 0
    tracks_changed: int = 0
    edits: tuple[Edit, ...] = ()


def export_review(
    labels: Labels,
    folder: Path | str,
    *,
    format: str = "cvat",  # noqa: A002 - named as the flag
) -> list[Path]:
    """Write labels for a person to correct.

    Args:
        labels: The labels.
        folder: Where the files go; it is made if it is not there.
        format: `cvat`: a 3D task. `label-studio`: a video task seen from above. `kitti`,
            `nuscenes`, `av2`: label files, for labels of logs that were read in that format.

    Returns:
        The files, `review.json` last, which says whose labels they are.

    Raises:
        InputError: The labels lack what the format needs, hold what is no number, or the folder
            cannot be written.
        UsageError: There is no such format.
    """
    form = _form(format)
    _check_finite(labels)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = form.write(labels, folder)
        return [*paths, write_side_file(labels, folder, format=format, files=paths)]
    except OSError as error:
        raise InputError(
            "output", "a review cannot be written", where=str(folder), why=str(error)
        ) from error


def import_review(
    labels: Labels,
    path: Path | str,
    *,
    format: str | None = None,  # noqa: A002 - named as the flag
    profile: Profile,
    detections: Detections | None = None,
) -> tuple[Labels, ReviewReport]:
    """Return labels with what a person changed in an exported file.

    What the person did not touch stays as it is, to the last bit; see `apply_edits` for what goes
    with a change. Nothing is changed in part: either all of the file is sound, or it is refused.

    Args:
        labels: The labels that were exported.
        path: The file that came back, or the folder of the export.
        format: Its format; told by `review.json` or by the file if not given.
        profile: What is known of the detector and of road users.
        detections: What the labels were made from, if it is at hand.

    Raises:
        InputError: The file is broken, of another log or of other labels, or says what cannot be.
        UsageError: There is no such format, or nothing tells the format.
    """
    path = Path(path)
    side = find_side_file(path) if path.exists() else None
    name = format or (side.format if side is not None else _guess_format(path))
    form = _form(name)
    if path.is_dir():
        if side is None:
            raise InputError("missing-file", "there is no review.json here", where=str(path))
        wanted = _RETURNED.get(name)
        files = [file for file in side.files if wanted is None or file.name == wanted]
        if len(files) != 1:
            raise InputError(
                "missing-file", "a folder does not say which file came back", where=str(path)
            )
        path = files[0]
    if side is not None:
        check_identity(side.identity, labels, where=str(side.path))
    found = form.read(path, labels)
    told = form.tell(labels)
    _check_end(found.step, told.step, path, form.name)
    edits = find_edits(labels, told, found, form)
    changed = apply_edits(labels, edits, profile, detections)
    return changed, _report(form.name, labels, changed, edits)


def _form(name: str) -> ReviewFormat:
    if name not in _FORMATS:
        raise UsageError(
            "usage",
            f"labels cannot be reviewed as {name!r}",
            remedy=suggest_name(name, _FORMATS),
        )
    return _FORMATS[name]


def _guess_format(path: Path) -> str:
    if not path.exists():
        raise InputError("missing-file", "there is no such file", where=str(path))
    if zipfile.is_zipfile(path) or path.suffix.lower() == ".zip":
        return "cvat"
    if path.suffix.lower() == ".json":
        with path.open("rb") as file:
            return "label-studio" if file.read(64).lstrip()[:1] == b"[" else "cvat"
    raise UsageError(
        "usage",
        f"nothing tells the format of {path.name}",
        remedy="give `format`, or keep review.json beside the file",
    )


def _check_finite(labels: Labels) -> None:
    lost = ~np.isfinite(labels.boxes()).all(axis=1) | ~np.isfinite(labels.confidence)
    if lost.any():
        cell = int(np.argmax(lost))
        raise InputError(
            "value",
            "a label is no box",
            where=f"scene {labels.scene.id}, agent {labels.ids[labels.agent[cell]]!r}, "
            f"step {labels.step[cell]}",
        )


def _check_end(found: np.ndarray, told: np.ndarray, path: Path, name: str) -> None:
    """Refuse lines of text that stop before the labels do: a cut file looks like deleted boxes."""
    if name != "kitti" or not len(told):
        return
    last = int(found.max()) if len(found) else -1
    if last < told.max():
        raise InputError(
            "truncated",
            "a file stops before the labels do",
            where=str(path),
            why=f"its last step is {last}, that of the labels {told.max()}",
            remedy="leave one row at the last frame, so that the file is known to be whole",
        )


def _report(name: str, before: Labels, after: Labels, edits: list[Edit]) -> ReviewReport:
    count = Counter(edit.action for edit in edits)
    old, new = _by_key(before), _by_key(after)
    said = {(e.to or e.agent, e.step) for e in edits if e.action != Action.CLASSIFY}
    both = [(old[key], new[key]) for key in old.keys() & new.keys() - said]
    was, now = np.array(both, np.int64).reshape(-1, 2).T
    differs = (before.place[was] != after.place[now]).any(axis=1)
    differs |= before.heading[was] != after.heading[now]
    made = np.array([new[key] for key in new.keys() - old.keys() - said], np.int64)
    size = dict(zip(before.ids, before.size.tolist(), strict=True))
    sizes = dict(zip(after.ids, after.size.tolist(), strict=True))
    shared = size.keys() & sizes.keys()
    resized = {id_ for id_ in shared if size[id_] != sizes[id_]}
    names = {after.ids[after.agent[i]] for i in now[differs]}
    names |= {after.ids[after.agent[i]] for i in made}
    names |= {e.agent for e in edits} | {e.to for e in edits if e.to} | resized
    return ReviewReport(
        format=name,
        placed=count[Action.PLACE],
        confirmed=count[Action.CONFIRM],
        deleted=count[Action.DELETE],
        moved=count[Action.MOVE],
        classified=count[Action.CLASSIFY],
        smoothed=int(differs.sum()),
        filled=int((after.provenance[made] == Provenance.INTERPOLATED).sum()),
        resized=len(resized),
        tracks_new=len(sizes.keys() - size.keys()),
        tracks_gone=len(size.keys() - sizes.keys()),
        tracks_changed=len(names),
        edits=tuple(edits),
    )


def _by_key(labels: Labels) -> dict[tuple[str, int], int]:
    names = [labels.ids[agent] for agent in labels.agent.tolist()]
    return {key: i for i, key in enumerate(zip(names, labels.step.tolist(), strict=True))}
