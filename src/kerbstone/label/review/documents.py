"""JSON and archives from outside, taken with no trust: bounded, checked, and told of by place."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from kerbstone.errors import InputError
from kerbstone.formats.files import cut_off, read_bytes

_T = TypeVar("_T")

_MAX_BYTES = 512 * 1024**2
_MAX_MEMBERS = 200_000
_MAX_NUMBER = 1e8
"""No coordinate, size or angle is farther from zero than this."""


def read_document(path: Path, *, member: str = "") -> Any:
    """Read a JSON file, or the one file of an archive that a pattern finds.

    Args:
        path: The file.
        member: For an archive: a pattern of its member's path, such as `annotations/*.json`.

    Raises:
        InputError: It is not there, is cut off, too large or no JSON, or the archive holds none or
            several such members, or one whose path leads out of it.
    """
    if not member:
        return _parse(read_bytes(path, limit=_MAX_BYTES), str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            found = _find_member(archive, path, member)
            with archive.open(found) as file:
                # The size that an archive declares is no promise.
                data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError("missing-file", "there is no such file", where=str(path)) from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise cut_off(path, str(error)) from None
    except (NotImplementedError, RuntimeError, OSError) as error:
        raise InputError(
            "unreadable", "an archive cannot be read", where=str(path), why=str(error)
        ) from error
    if len(data) > _MAX_BYTES:
        raise _too_large(path)
    return _parse(data, f"{path}, {found.filename}")


def take_field(record: Any, name: str, kind: type[_T], where: str) -> _T:
    """Return a field of a JSON object.

    Raises:
        InputError: It is no object, lacks the field, or the field is of another type.
    """
    if not isinstance(record, dict):
        raise InputError("syntax", "a JSON object is missing", where=where, why=f"{record!r:.60}")
    value = record.get(name)
    # True is an integer in Python, and no number in a file.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(
            "column",
            f"the field {name!r} is missing or of the wrong type",
            where=where,
            why=f"{value!r:.60}, expected {kind.__name__}",
        )
    return value


def take_numbers(record: Any, name: str, count: int, where: str) -> list[float]:
    """Return a field that is a list of numbers.

    Raises:
        InputError: It is not there, has another length, or one of them is no usable number.
    """
    values = take_field(record, name, list, where)
    if len(values) != count:
        raise InputError(
            "value", f"{name!r} is not {count} numbers", where=where, why=f"{values!r:.80}"
        )
    return [check_number(value, name, where) for value in values]


def check_number(value: Any, name: str, where: str) -> float:
    """Return a number as a float.

    Raises:
        InputError: It is none, or is NaN, infinite or too large for any coordinate.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # NaN is not below anything, and an integer may be too long for a float.
    if not (is_number and abs(value) <= _MAX_NUMBER):
        raise InputError(
            "value",
            f"{name!r} holds what is no usable number",
            where=where,
            why=f"{value!r:.40}",
            remedy="correct it, or take that box out of the file",
        )
    return float(value)


def _find_member(archive: zipfile.ZipFile, path: Path, member: str) -> zipfile.ZipInfo:
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS:
        raise _too_large(path)
    for each in members:
        name = PurePosixPath(each.filename)
        # Nothing is unpacked to disk, but whoever made such an archive meant harm.
        if name.is_absolute() or ".." in name.parts or "\\" in each.filename:
            raise InputError(
                "unsafe",
                "an archive holds a path that leads out of it",
                where=str(path),
                why=f"{each.filename!r:.120}",
                remedy="take the file as the annotation tool exported it",
            )
    found = [each for each in members if PurePosixPath(each.filename).match(member)]
    if len(found) != 1:
        raise InputError(
            "syntax",
            f"an archive should hold one {member}",
            where=str(path),
            why=f"it holds {len(found)}: " + ", ".join(m.filename for m in found[:5]),
            remedy="export one task at a time, with all of its jobs in one subset",
        )
    if found[0].file_size > _MAX_BYTES:
        raise _too_large(path)
    return found[0]


def _parse(data: bytes, where: str) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(
            "syntax", "a file is not text in UTF-8", where=where, why=str(error)
        ) from None
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated"):
            raise cut_off(Path(where), f"the JSON does not end; {error.msg}") from None
        raise InputError(
            "syntax",
            "a file is not valid JSON",
            where=f"{where}, line {error.lineno}, column {error.colno}",
            why=error.msg,
        ) from None
    except RecursionError:
        raise InputError("syntax", "a JSON file is nested too deeply", where=where) from None
    except ValueError as error:  # a number of thousands of digits
        raise InputError("value", "a number is too long", where=where, why=str(error)) from None


def _too_large(path: Path) -> InputError:
    return InputError(
        "unsafe",
        "a file unpacks to more than is safe to hold in memory",
        where=str(path),
        why=f"more than {_MAX_BYTES / 1024**2:.0f} MiB or {_MAX_MEMBERS} files",
    )
