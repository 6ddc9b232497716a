"""Errors that a user can act on: what is wrong, where, why, and what to try.

Every error has a stable code. `CODES` is the one list of them; the reference page is made from it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

_FEW = 20
"""As many names are listed in full."""


class KerbstoneError(Exception):
    """What went wrong, in the four lines that a user needs.

    Args:
        code: Stable name of the error, a key of `CODES`.
        what: One sentence that says what is wrong.
        where: File, and the place in it.
        why: The facts: what was found against what was expected.
        remedy: What the user can do about it.

    Example:
        >>> print(InputError("clock", "lidar times go backwards", where="a.mcap, message 1204"))
        error[clock]: lidar times go backwards
          in   a.mcap, message 1204
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, code: str, what: str, *, where: str = "", why: str = "", remedy: str = ""
    ) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.where = where
        self.why = why
        self.remedy = remedy

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {self.what}"]
        lines += [
            f"  {label:<4} {text}"
            for label, text in (("in", self.where), ("why", self.why), ("try", self.remedy))
            if text
        ]
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders, and Exception would rebuild them from `args` alone.
        return (_rebuild, (type(self), self.code, self.what, self.where, self.why, self.remedy))

    def to_dict(self) -> dict[str, str]:
        """Return the error as the plain mapping that `--json` prints."""
        return {
            "code": self.code,
            "what": self.what,
            "where": self.where,
            "why": self.why,
            "try": self.remedy,
        }


class UsageError(KerbstoneError):
    """The command or the call itself is wrong."""

    exit_code = 2


class InputError(KerbstoneError):
    """What a user gave, a file or a value, is not what it should be."""

    exit_code = 3


class MissingError(KerbstoneError):
    """An extra, a program or a device that this needs is not there."""

    exit_code = 4


def _rebuild(
    error: type[KerbstoneError], code: str, what: str, where: str, why: str, remedy: str
) -> KerbstoneError:
    return error(code, what, where=where, why=why, remedy=remedy)


def suggest_name(name: str, known: Iterable[str], *, listed_by: str = "") -> str:
    """Return the sentence that offers the nearest known names, for the remedy of an error.

    Args:
        name: What was given.
        known: What could have been. Where they are many, only those near it are told.
        listed_by: A sentence that says what lists them, told in place of many.

    Example:
        >>> suggest_name("ktti", ["kitti", "av2"])
        "did you mean 'kitti'? Known: av2, kitti"
    """
    choices = sorted(known)
    are_few = len(choices) <= _FEW
    near = difflib.get_close_matches(name, choices, n=1 if are_few else 3)
    listing = "Known: " + ", ".join(choices[:_FEW])
    if not are_few:
        rest = "" if near else f"{listing} and {len(choices) - _FEW} more"
        listing = listed_by or rest
    mean = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return (mean + listing).strip()


def missing_extra(extra: str, purpose: str) -> MissingError:
    """Return the error for an optional dependency that is not installed.

    Args:
        extra: Name of the extra in `pyproject.toml`.
        purpose: What it is needed for, as the rest of "… needs".
    """
    return MissingError(
        "missing-extra",
        f"{purpose} needs the extra '{extra}', which is not installed",
        remedy=f"pip install 'kerbstone[{extra}]'",
    )


CODES: dict[str, str] = {
    "missing-extra": "An optional dependency is not installed.",
    "missing-program": "A program that this needs is not installed.",
    "usage": "The command line or the call is wrong.",
    "config": "A configuration file or value is wrong.",
    "name": "A name is not known.",
    "shape": "Arrays do not fit together.",
    "index": "An index lies outside its axis.",
    "geometry": "A geometric value cannot be used: NaN, zero length, not a rotation.",
    "clock": "Times are empty, repeated, go backwards or are not uniform.",
    "empty": "There is nothing in the log: no rows, no agents, no steps.",
    "column": "A column is missing or has the wrong type.",
    "value": "A value is missing, NaN or outside its range.",
    "duplicate": "The same agent appears twice at the same time, or an id twice.",
    "label": "A class label is not in the format's published list.",
    "truncated": "A file ends too early or cannot be decoded.",
    "syntax": "A file is not valid in its own format (XML, JSON, CSV, …).",
    "unsafe": "A file asks for something that could run code or fill the memory, and is refused.",
    "missing-file": "A file that belongs to a log is not there.",
    "unreadable": "A file or folder is there, but may not be read.",
    "output": "A file cannot be written: no such folder, no room or no permission.",
    "format-unknown": "No format recognises what lies at a path.",
    "reference": "A row refers to another that is not there.",
    "heading-unit": "Headings agree with the direction of motion neither as degrees nor as radians.",
    "store-missing": "There is no store at a path, or it lacks a table.",
    "store-version": "A store was written by a newer version of Kerbstone.",
    "store-damaged": "A table of a store cannot be read.",
    "store-write": "A store cannot be written: no room, no permission, or too much contention.",
    "worker": "A worker process died; the other work went on.",
    "scene-missing": "A store holds no scene of that name.",
    "partial": "Some logs failed; what could be read was kept.",
    "simulation": "SUMO stopped with an error.",
    "system": "The operating system refused something, such as a write to a full disk.",
    "query-syntax": "A text is not in the scenario language.",
    "query-name": "A query names a signal, scenario, kind or road user that is not known.",
    "query-kind": "A query puts something where another kind of thing is needed.",
    "query-arity": "A query gives a signal or scenario too many arguments or too few.",
    "query-unit": "A query compares or adds what is measured in different units.",
    "query-limit": "A query is too long, too deep, or would take too much time or memory.",
    "model-missing": "A query uses a signal of a model, and there is no such model or index yet.",
    "words": "A description in plain words is not understood.",
    "model-reply": "What a language model answered is no query of the language.",
    "model-service": "A language model cannot be reached, or its service refuses.",
    "interrupted": "The user stopped the run; what was finished is kept.",
}
