"""Whose labels a file is of: what makes a foreign or outdated file known as such.

Every export carries the fingerprint of the labels that it was made from, in the file itself where
the format has room for a text that its tools hand back, and always in `review.json` beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerbstone.errors import InputError
from kerbstone.formats.stage import writing_whole
from kerbstone.label.labels import Labels
from kerbstone.label.review.documents import read_document, take_field

SIDE_FILE = "review.json"
_FORMAT = "kerbstone-review"
_VERSION = 1
_ARRAYS = (
    *("kind", "size", "agent", "step", "place", "heading", "velocity", "std", "confidence"),
    *("provenance", "row"),
)
_EXPORT_AGAIN = "export the labels again and edit that file"


@dataclass(frozen=True)
class Identity:
    """Which labels a file was made from.

    Args:
        fingerprint: Of the labels, their log and its clock.
        scene: Name of the scene.
        version: Of the way in which it is written.
    """

    fingerprint: str
    scene: str
    version: int = _VERSION

    def to_text(self) -> str:
        """Return it as one line, for formats that keep a text."""
        return f"{_FORMAT}/{self.version} {self.fingerprint} {self.scene}"

    @classmethod
    def from_text(cls, text: str, *, where: str) -> Identity:
        """Read what `to_text` wrote.

        Raises:
            InputError: It is something else.
        """
        parts = text.split(" ", 2)
        name, _, version = parts[0].partition("/")
        if len(parts) != 3 or name != _FORMAT or not version.isdecimal() or len(version) > 9:
            raise InputError(
                "reference",
                "a file does not say whose labels it holds",
                where=where,
                why=f"{text!r:.80} is not what an export writes",
                remedy=_EXPORT_AGAIN,
            )
        return cls(fingerprint=parts[1], scene=parts[2], version=int(version))


def identify_labels(labels: Labels) -> Identity:
    """Return the identity of labels: the same for equal labels of the same log only."""
    scene = labels.scene
    clock = scene.clock
    digest = hashlib.sha256()
    head = [scene.id, scene.source.dataset, scene.source.log, clock.start_ns, clock.dt_ns]
    digest.update(json.dumps([*head, clock.steps, labels.ids, labels.name]).encode())
    for name in _ARRAYS:
        values = np.ascontiguousarray(getattr(labels, name))
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(values.tobytes())
    return Identity(fingerprint=digest.hexdigest()[:32], scene=scene.id)


def check_identity(found: Identity, labels: Labels, *, where: str) -> None:
    """Refuse a file that was not made from these labels.

    Raises:
        InputError: It is of another log, of other labels of the same log, or of a newer version.
    """
    own = identify_labels(labels)
    if found.version > _VERSION:
        raise InputError(
            "reference",
            "a review was exported by a newer version",
            where=where,
            why=f"version {found.version}, known are those up to {_VERSION}",
            remedy="update Kerbstone",
        )
    if found.scene != own.scene:
        raise InputError(
            "reference",
            "a review is of another log",
            where=where,
            why=f"it is of {found.scene!r:.80}, the labels are of {own.scene!r}",
            remedy="import it into the labels of that log",
        )
    if found.fingerprint != own.fingerprint:
        raise InputError(
            "reference",
            "a review is of other labels of this log",
            where=where,
            why=f"fingerprint {found.fingerprint:.40}, the labels have {own.fingerprint}: "
            "they were made anew or reviewed since",
            remedy=f"import it into the labels that were exported, or {_EXPORT_AGAIN}",
        )


def write_side_file(
    labels: Labels,
    folder: Path,
    *,
    format: str,  # noqa: A002 - named as the flag
    files: Iterable[Path],
) -> Path:
    """Write `review.json`: the identity, the format and the files of an export."""
    identity = identify_labels(labels)
    clock, source = labels.scene.clock, labels.scene.source
    content = {
        "format": _FORMAT,
        "version": identity.version,
        "fingerprint": identity.fingerprint,
        "scene": identity.scene,
        "dataset": source.dataset,
        "log": source.log,
        "clock": {"start_ns": clock.start_ns, "dt_ns": clock.dt_ns, "steps": clock.steps},
        "review_format": format,
        "files": [file.relative_to(folder).as_posix() for file in files],
    }
    path = folder / SIDE_FILE
    with writing_whole(path) as part:
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    return path


@dataclass(frozen=True)
class SideFile:
    """What `review.json` says.

    Args:
        path: Where it is.
        identity: Whose labels the files beside it are of.
        format: What format they have.
        files: Their paths.
    """

    path: Path
    identity: Identity
    format: str
    files: tuple[Path, ...]


def find_side_file(path: Path) -> SideFile | None:
    """Read the `review.json` of a folder, or that of the export that a file belongs to.

    That is the one in the file's folder, or one in the two folders above that names the file.

    Raises:
        InputError: It is there and broken, or names files outside its folder.
    """
    if path.is_dir() or (path.parent / SIDE_FILE).is_file():
        folder = path if path.is_dir() else path.parent
        return _read_side_file(folder / SIDE_FILE) if (folder / SIDE_FILE).is_file() else None
    for folder in list(path.parents)[1:3]:
        if (folder / SIDE_FILE).is_file():
            side = _read_side_file(folder / SIDE_FILE)
            if path.resolve() in [file.resolve() for file in side.files]:
                return side
    return None


def _read_side_file(path: Path) -> SideFile:
    content = read_document(path)
    where = str(path)
    if take_field(content, "format", str, where) != _FORMAT:
        raise InputError("syntax", f"{SIDE_FILE} was not written by an export", where=where)
    files = [_inside(name, path) for name in take_field(content, "files", list, where)]
    return SideFile(
        path=path,
        identity=Identity(
            fingerprint=take_field(content, "fingerprint", str, where),
            scene=take_field(content, "scene", str, where),
            version=take_field(content, "version", int, where),
        ),
        format=take_field(content, "review_format", str, where),
        files=tuple(files),
    )


def _inside(name: Any, path: Path) -> Path:
    file = (path.parent / name) if isinstance(name, str) and "\0" not in name else None
    if file is None or not file.resolve().is_relative_to(path.parent.resolve()):
        raise InputError(
            "unsafe",
            f"{SIDE_FILE} names a file outside its folder",
            where=str(path),
            why=repr(name),
        )
    return file
