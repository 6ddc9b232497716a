"""Detections as plain columns in the world frame: what a table and a store have in common."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float64, UInt8

from kerbstone.errors import InputError, suggest_name
from kerbstone.formats.detections.rows import Rows, steps_at
from kerbstone.formats.detections.source import DetectedLog, number_kinds
from kerbstone.formats.files import Columns
from kerbstone.formats.table import read_times
from kerbstone.scene import BoxIndex, Kind, Scene, detections_from_rows

KINDS = {kind.name.lower(): kind for kind in Kind} | {str(int(kind)): kind for kind in Kind}
"""A kind is told by its name or its number."""

BOX = tuple(column.name.lower() for column in BoxIndex)
COLUMNS = dict.fromkeys(BOX, float) | {"kind": str, "score": float}
TIMES = {"time_ns": int, "time_s": float}
OPTIONAL = {
    **TIMES,
    **dict.fromkeys((f"std_{name}" for name in BOX), float),
    **dict.fromkeys((f"prob_{kind.name.lower()}" for kind in Kind), float),
    "label": str,
}
_PREFIXES = ("std_", "prob_")


def check_names(names: Iterable[str], where: str) -> None:
    """Refuse columns that look like deviations or probabilities of what there is not.

    Raises:
        InputError: One does.
    """
    for name in names:
        if name.startswith(_PREFIXES) and name not in OPTIONAL:
            raise InputError(
                "column",
                f"column {name!r} is of no part of a box and of no kind",
                where=where,
                remedy=suggest_name(name, [n for n in OPTIONAL if n.startswith(_PREFIXES)]),
            )


def detect(scene: Scene, name: str, parts: list[Rows], columns: Columns) -> DetectedLog:
    """Return the detections of a log.

    Args:
        scene: The log, without agents but the recording car.
        name: Its name.
        parts: The rows of each file.
        columns: The same rows, joined.

    Raises:
        InputError: A kind is not known.
    """
    kind = np.concatenate([_kinds_of(part) for part in parts])
    detections, rejects, kept = detections_from_rows(
        clock=scene.clock,
        step=steps_at(times_of(parts, columns), scene.clock),
        box=np.stack([columns[column] for column in BOX], axis=-1),
        kind=kind,
        score=columns["score"],
        std=_deviations(columns),
        probability=_probabilities(columns),
    )
    labels = columns.get("label", np.array([k.name.lower() for k in Kind], object)[kind])
    return DetectedLog(name, scene, detections, labels[kept], rejects)


def times_of(parts: list[Rows], columns: Columns) -> np.ndarray:
    """Return the time of each row [ns].

    Raises:
        InputError: There are none, or one is missing.
    """
    where = ", ".join(str(part.path) for part in parts)
    if not TIMES.keys() & columns.keys():
        raise InputError(
            "column", "column 'time_s' is missing", where=where, remedy="or give 'time_ns'"
        )
    return read_times(columns, where)


def _kinds_of(rows: Rows) -> UInt8[np.ndarray, " row"]:
    def refuse(row: int, name: str) -> InputError:
        return rows.refuse(
            row,
            "label",
            f"unknown kind {name!r}",
            "known: " + ", ".join(kind.name.lower() for kind in Kind) + ", or their numbers",
        )

    return number_kinds(rows.columns["kind"], KINDS, refuse)


def _deviations(columns: Columns) -> Float64[np.ndarray, "row 7"] | None:
    names = [f"std_{name}" for name in BOX]
    if not set(names) & columns.keys():
        return None
    unknown = np.full(len(columns["x"]), np.nan)
    return np.stack([columns.get(name, unknown) for name in names], axis=-1)


def _probabilities(columns: Columns) -> Float64[np.ndarray, "row kind"] | None:
    names = [f"prob_{kind.name.lower()}" for kind in Kind]
    if not set(names) & columns.keys():
        return None
    never = np.zeros(len(columns["x"]))
    return np.stack([columns.get(name, never) for name in names], axis=-1)
