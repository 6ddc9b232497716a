"""A learned affinity: what it costs that a detection is of a track, or that either is alone.

It starts as the hand-made cost plus a small network that says nothing yet, so learning can only
leave that cost where tracks tell it to. It is evaluated in plain NumPy, and kept as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.label.affinity.pairs import (
    PairIndex,
    RowIndex,
    TrackIndex,
    describe_pairs,
    describe_rows,
    describe_tracks,
)
from kerbstone.label.candidates import Candidates, Expected, Sightings

_VERSION = 1
_CHUNK = 65_536
"""Pairs that are evaluated at once, which bounds memory."""
_LARGEST_FILE = 4_000_000  # [bytes]
_MOST_HIDDEN = 1024
_HAND_MADE = (PairIndex.DISTANCE, PairIndex.AREA, PairIndex.STRANGENESS, PairIndex.DOUBT)
_SHAPES: dict[str, tuple[int | None, ...]] = {
    "linear": (len(PairIndex),),
    "inward": (len(PairIndex), None),
    "threshold": (None,),
    "outward": (None,),
    "track": (len(TrackIndex) + 1,),
    "row": (len(RowIndex) + 1,),
}


@dataclass(frozen=True, eq=False)
class Affinity:
    """Costs as a function of what is told of pairs, tracks and detections.

    A pair costs `told @ linear + relu(told @ inward + threshold) @ outward`. A track that goes
    without a detection costs `told @ track[:-1] + track[-1]`, and a detection without a track
    likewise. Costs are in units of log chance.

    Args:
        linear: Weights of what is told of a pair (`PairIndex`).
        inward: From there to the hidden units.
        threshold: Added to what the hidden units get.
        outward: Weights of the hidden units.
        track: Weights of what is told of a track (`TrackIndex`), and a constant.
        row: Weights of what is told of a detection (`RowIndex`), and a constant.

    Raises:
        InputError: Shapes do not fit, or a number is not finite.
    """

    linear: Float64[np.ndarray, "..."]
    inward: Float64[np.ndarray, "..."]
    threshold: Float64[np.ndarray, "..."]
    outward: Float64[np.ndarray, "..."]
    track: Float64[np.ndarray, "..."]
    row: Float64[np.ndarray, "..."]

    def __post_init__(self) -> None:
        hidden = self.threshold.shape[0] if self.threshold.ndim else 0
        for name, shape in _SHAPES.items():
            value = getattr(self, name)
            expected = tuple(hidden if side is None else side for side in shape)
            if value.shape != expected:
                raise InputError(
                    "shape",
                    f"`{name}` of an affinity does not fit",
                    why=f"{value.shape}, expected {expected}",
                )
            if not np.isfinite(value).all():
                raise InputError("value", f"`{name}` of an affinity is not finite")

    def arrays(self) -> dict[str, Float64[np.ndarray, "..."]]:
        """Return its weights by name."""
        return {name: getattr(self, name) for name in _SHAPES}

    def cost(self, told: Float64[np.ndarray, "pair told"]) -> Float64[np.ndarray, " pair"]:
        """Return what pairs cost, of what is told of them (`describe_pairs`)."""
        hidden = told @ self.inward
        hidden += self.threshold
        np.maximum(hidden, 0.0, out=hidden)
        return told @ self.linear + hidden @ self.outward

    def gain(
        self, tracks: Expected, rows: Sightings, pairs: Candidates
    ) -> Float64[np.ndarray, " pair"]:
        """Return what is saved by each pair against leaving its track and its detection alone."""
        alone_track = describe_tracks(tracks) @ self.track[:-1] + self.track[-1]
        alone_row = describe_rows(rows) @ self.row[:-1] + self.row[-1]
        told = describe_pairs(tracks, rows, pairs)
        cost = np.empty(len(told))
        for start in range(0, len(told), _CHUNK):
            part = slice(start, start + _CHUNK)
            cost[part] = self.cost(told[part])
        return alone_track[pairs.track] + alone_row[pairs.row] - cost

    def write(self, path: Path | str) -> None:
        """Write it to a JSON file, every number in full.

        Raises:
            InputError: The file cannot be written.
        """
        weights = {name: value.tolist() for name, value in self.arrays().items()}
        told = {
            "pair": [each.name for each in PairIndex],
            "track": [each.name for each in TrackIndex],
            "row": [each.name for each in RowIndex],
        }
        text = json.dumps({"affinity": _VERSION, "told": told, "weights": weights}, indent=1)
        try:
            Path(path).write_text(text + "\n", "utf-8")
        except OSError as error:
            raise InputError(
                "output", "an affinity cannot be written", where=str(path), why=str(error)
            ) from error


def initial_affinity(*, hidden: int = 24, alone: float = 8.0, seed: int = 0) -> Affinity:
    """Return the hand-made cost, with hidden units that have no say yet.

    Args:
        hidden: Number of hidden units.
        alone: What it costs a track, and a detection, to go alone, in units of log chance: as
            much as a distance at the usual gate, each.
        seed: Of the weights that hidden units start from.

    Raises:
        InputError: The number of hidden units is out of range.
    """
    if not 0 < hidden <= _MOST_HIDDEN:
        raise InputError(
            "config", "number of hidden units is out of range", why=f"{hidden}, 1 to {_MOST_HIDDEN}"
        )
    rng = np.random.default_rng(seed)
    linear = np.zeros(len(PairIndex))
    linear[list(_HAND_MADE)] = 1.0
    return Affinity(
        linear=linear,
        inward=rng.normal(0, np.sqrt(1 / len(PairIndex)), (len(PairIndex), hidden)),
        threshold=rng.normal(0, 0.5, hidden),
        outward=np.zeros(hidden),
        track=np.append(np.zeros(len(TrackIndex)), alone),
        row=np.append(np.zeros(len(RowIndex)), alone),
    )


def read_affinity(path: Path | str) -> Affinity:
    """Read an affinity that `Affinity.write` wrote. Nothing in the file is run.

    Raises:
        InputError: The file is not there, is none of ours, is too large, was made for other
            columns, or holds something else than finite numbers in the right shapes.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise InputError(
                "unsafe",
                "a file is too large to be an affinity",
                where=str(path),
                why=f"{size} bytes, at most {_LARGEST_FILE}",
            )
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise InputError("missing-file", "there is no such affinity", where=str(path)) from error
    except OSError as error:
        raise InputError(
            "unreadable", "an affinity cannot be read", where=str(path), why=str(error)
        ) from error
    except UnicodeDecodeError as error:
        raise InputError("syntax", "an affinity is no text", where=str(path)) from error
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            "syntax", "an affinity is no JSON", where=str(path), why=str(error)
        ) from error
    return _check_content(content, str(path))


def _check_content(content: object, where: str) -> Affinity:
    if not isinstance(content, Mapping) or content.get("affinity") != _VERSION:
        raise InputError(
            "value", "a file is no affinity of this version", where=where, why=f"version {_VERSION}"
        )
    told = content.get("told")
    expected = {"pair": PairIndex, "track": TrackIndex, "row": RowIndex}
    if told != {name: [each.name for each in index] for name, index in expected.items()}:
        raise InputError(
            "column",
            "an affinity was learned from other columns",
            where=where,
            remedy="learn it anew",
        )
    weights = content.get("weights")
    if not isinstance(weights, Mapping) or set(weights) != set(_SHAPES):
        raise InputError("column", "weights of an affinity are missing or too many", where=where)
    arrays = {}
    for name, shape in _SHAPES.items():
        try:
            value = np.asarray(weights[name])
        except ValueError as error:  # rows of several lengths
            raise InputError("shape", f"`{name}` is no array", where=where) from error
        if value.dtype.kind not in "if" or value.ndim != len(shape):
            raise InputError(
                "value", f"`{name}` of an affinity holds something else than numbers", where=where
            )
        arrays[name] = value.astype(np.float64)
    try:
        return Affinity(**arrays)
    except InputError as error:
        raise InputError(error.code, error.what, where=where, why=error.why) from error
