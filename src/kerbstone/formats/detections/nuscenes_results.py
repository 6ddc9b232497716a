"""nuScenes result files, read once for all scenes.

A file is one JSON object: `meta`, and `results` with a list of boxes per sample. Boxes are turned
into columns while it is parsed, so that what stays in memory is a small part of what it holds.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from kerbstone.errors import InputError
from kerbstone.formats.files import open_bytes, read_json

_NUMBERS = (("translation", 3), ("size", 3), ("rotation", 4))
_NAMES = ("detection_name", "tracking_name")
_SCORES = ("detection_score", "tracking_score")


@dataclass(frozen=True, eq=False)
class Results:
    """What a result file holds.

    Args:
        path: The file.
        meta: What it says of itself.
        rows: Rows of the boxes of each sample.
        translation: Centres in the global frame [m].
        size: Width, length, height [m].
        rotation: Quaternions w, x, y, z.
        score: As the detector gave it.
        name: Class of each box.
        attribute: Its attribute, or "".
    """

    path: Path
    meta: dict[str, Any]
    rows: dict[str, Int64[np.ndarray, " _"]]
    translation: Float64[np.ndarray, "row 3"]
    size: Float64[np.ndarray, "row 3"]
    rotation: Float64[np.ndarray, "row 4"]
    score: Float64[np.ndarray, " row"]
    name: Shaped[np.ndarray, " row"]
    attribute: Shaped[np.ndarray, " row"]


def looks_like_results(path: Path) -> bool:
    """Tell whether the beginning of a file is that of such a result."""
    try:
        with open_bytes(path) as file:
            start = file.read(4096).lstrip()
    except InputError:
        return False
    return start.startswith(b"{") and (b'"meta"' in start or b'"results"' in start)


def load_results(path: Path) -> Results:
    """Return what a file holds, from memory if it was the last one read and did not change.

    Raises:
        InputError: It is missing, cut off or malformed.
    """
    return _load(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _load(path: Path, changed_ns: int) -> Results:
    del changed_ns  # a part of the key only
    boxes = _Boxes()
    try:
        content = read_json(path, hook=boxes.take)
    except KeyError as error:
        raise _refuse(path, boxes, "column", f"a box has no {error}") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise _refuse(path, boxes, "value", "a box holds a wrong value", str(error)) from None
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, dict):
        raise InputError(
            "syntax",
            "a result file is no object with `results`",
            where=str(path),
            remedy="nuScenes results are {'meta': …, 'results': {sample: [boxes]}}",
        )
    for token, rows in results.items():
        if not isinstance(rows, list) or not all(type(row) is int for row in rows):
            raise InputError(
                "syntax",
                "the boxes of a sample are no list of boxes",
                where=f"{path}, sample {token!r}",
            )
    meta = content.get("meta")
    return boxes.results(path, meta if isinstance(meta, dict) else {}, results)


def _refuse(path: Path, boxes: _Boxes, code: str, what: str, why: str = "") -> InputError:
    return InputError(code, what, where=f"{path}, box {boxes.count}", why=why)


class _Boxes:
    """The boxes of a file as columns that grow."""

    def __init__(self) -> None:
        self.count = 0
        self._numbers = {name: array("d") for name, _ in _NUMBERS}
        self._score = array("d")
        self._name: list[str] = []
        self._attribute: list[str] = []
        self._known: dict[str, str] = {}

    def take(self, record: dict[str, Any]) -> dict[str, Any] | int:
        """Keep a box and return its row; any other object stays as it is."""
        if "translation" not in record and "rotation" not in record:
            return record
        for name, length in _NUMBERS:
            values = record[name]
            if len(values) != length:
                raise ValueError(f"{name} {values!r:.80} is not {length} numbers")
            self._numbers[name].extend(values)
        self._score.append(_either(record, _SCORES))
        self._name.append(self._same(_either(record, _NAMES)))
        self._attribute.append(self._same(record.get("attribute_name") or ""))
        self.count += 1
        return self.count - 1

    def _same(self, text: str) -> str:
        """Return one object for equal texts."""
        if not isinstance(text, str):
            raise TypeError(f"{text!r:.80} is not a name")
        return self._known.setdefault(text, text)

    def results(self, path: Path, meta: dict[str, Any], rows: dict[str, list[int]]) -> Results:
        numbers = {
            name: np.array(self._numbers[name], np.float64).reshape(-1, length)
            for name, length in _NUMBERS
        }
        return Results(
            path=path,
            meta=meta,
            rows={token: np.array(own, np.int64) for token, own in rows.items()},
            score=np.array(self._score, np.float64),
            name=np.array(self._name, object),
            attribute=np.array(self._attribute, object),
            **numbers,
        )


def _either(record: dict[str, Any], names: tuple[str, ...]) -> Any:
    return record[next((name for name in names if name in record), names[0])]
