"""Regions that hold what they say: the levels of a model's regions, recalibrated.

A mixture claims that its region at level q holds the truth with probability q. On held-out windows
one sees which level truly holds it how often; so for a wanted share the region is drawn at the
level that held it there, by the data set, by how far away in time what is seen lies, by whether there is more
of it on both sides, and by how wide the model's own scales are: it tends to be too sure where it
is unsure, and too unsure where it is sure. Towns differ, and who asks is in a new one: so every
held-out town, or log where there are no towns, counts the same, however much was seen of it. That
holds in places that are exchangeable with those; elsewhere it is a claim again.

References:
    Kuleshov, Fenner and Ermon, "Accurate Uncertainties for Deep Learning Using Calibrated
    Regression", ICML 2018.
    Dunn, Wasserman and Ramdas, "Distribution-Free Prediction Sets for Two-Layer Hierarchical
    Models", Journal of the American Statistical Association 118, 2023 (groups that count the same);
    Vovk, Lindsay, Nouretdinov and Gammerman, "Mondrian Confidence Machine", 2003.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.errors import InputError

FILE = "regions.json"
"""Its name in the folder of a model."""

SHARES = np.arange(1, 100) / 100
"""Shares of truths for which the level is known."""

_LAYOUT = 2
_ENDS = (0.5, 1.0, 2.0, 3.0, 5.0)
"""Where one class of times away ends and the next begins [s]."""
_WIDTHS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""The same of widths."""
_ENOUGH = 200
"""Of fewer cells no class has levels of its own."""
_PLACES, _SOME = 8, 20
"""A class by width has them where so many places have so many cells in it: by how wide its scales
are, a model tells places apart, and few of them would stand for all."""
_LARGEST = 1 << 20
_ALL = "all"


class Cells(NamedTuple):
    """By what cells that are hidden are told apart (`covering.describe_cells`).

    Args:
        away: Time to the nearest step that is seen [s].
        is_between: Whether steps before and after are seen.
        width: Scale of the likeliest mode, the geometric mean of both axes, in units of the anchor
            (`anchors.Anchors.unit`).
    """

    away: Float64[np.ndarray, "*shape"]
    is_between: Bool[np.ndarray, "*shape"]
    width: Float64[np.ndarray, "*shape"]

    def select(self, rows: np.ndarray) -> Cells:
        """Return those that an index or a mask tells."""
        return Cells(*(part[rows] for part in self))


@dataclass(frozen=True, eq=False)
class Regions:
    """At which level a model's regions hold which share of truths.

    Args:
        model: Version of the model.
        levels: The level for each of `SHARES`, by the name of a class of cells.
        scenes: Ids of the scenes that they were read off from.
    """

    model: str
    levels: Mapping[str, Float64[np.ndarray, " share"]]
    scenes: tuple[str, ...] = ()

    def level(self, share: float, cells: Cells, dataset: str = "") -> Float64[np.ndarray, "*shape"]:
        """Return the level whose regions hold a share of truths.

        Args:
            share: The wanted share, such as 0.8.
            cells: What is known of the cells.
            dataset: Name of the data set that the cells are of; "" for what holds over all.

        Raises:
            InputError: The share is none between 0.01 and 0.99.
        """
        if not SHARES[0] <= share <= SHARES[-1]:
            raise InputError("value", "a share lies between 0.01 and 0.99", why=f"found {share}")
        found = np.full(cells.away.shape, np.interp(share, SHARES, self.levels[_ALL]))
        fine, coarse = _name(cells)
        # The finest class that has levels, of the own data set before that of all.
        for name in np.unique(fine):
            own = fine == name
            names = str(name), str(coarse[own][0])
            keys = [*(_join(dataset, each) for each in names), *names]
            known = [key for key in keys if key in self.levels]
            if known:
                found[own] = np.interp(share, SHARES, self.levels[known[0]])
        return found


def fit_regions(
    level: Float64[np.ndarray, " cell"],
    cells: Cells,
    dataset: Sequence[str] | np.ndarray,
    place: Sequence[str] | np.ndarray,
    *,
    model: str,
    scenes: Sequence[str] = (),
) -> Regions:
    """Return at which level regions hold which share, by cells that were not trained on.

    Args:
        level: Level of the smallest region that holds each truth (`metrics.region_level`); NaN
            does not count.
        cells: What is known of each cell.
        dataset: Data set of each cell.
        place: Town of each cell, or its log: all count the same.
        model: Version of the model.
        scenes: Ids of the scenes that the cells are of.

    Raises:
        InputError: No cell counts.
    """
    known = np.isfinite(level)
    if not known.any():
        raise InputError("empty", "no cell tells of regions: nobody is there where it is asked for")
    level, cells = level[known], cells.select(known)
    datasets, places = (np.asarray(each, object)[known] for each in (dataset, place))
    weight = _weigh(places, cells.is_between)
    levels = {_ALL: _quantiles(level, weight)}
    _, number = np.unique(places.astype(str), return_inverse=True)
    for names, least in zip(_name(cells), (_PLACES, 0), strict=True):
        for name in np.unique(names):
            own = names == name
            sides = {_join(each, name): own & (datasets == each) for each in set(datasets)}
            for key, chosen in ({str(name): own} | sides).items():
                found = (np.bincount(number[chosen]) >= _SOME).sum()
                if chosen.sum() >= _ENOUGH and found >= least:
                    levels[key] = _quantiles(level[chosen], weight[chosen])
    return Regions(model, levels, tuple(scenes))


def write_regions(regions: Regions, folder: Path | str) -> None:
    """Write regions into the folder of their model.

    Raises:
        InputError: They cannot be written.
    """
    file = Path(folder) / FILE
    levels = {name: values.round(6).tolist() for name, values in sorted(regions.levels.items())}
    told = {"regions": _LAYOUT, "model": regions.model, "scenes": list(regions.scenes)}
    text = json.dumps(told | {"levels": levels})
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            "output", "the regions cannot be written", where=str(file), why=error.strerror or ""
        ) from error


def read_regions(folder: Path | str) -> Regions:
    """Read what `write_regions` wrote.

    Raises:
        InputError: There is none, or it is none of ours.
    """
    file = Path(folder) / FILE
    try:
        if file.stat().st_size > _LARGEST:
            raise _wrong(file, "it is too large")
        read = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            "missing-file",
            "there is nothing on the regions of this model",
            where=str(file),
            why=error.strerror or "",
        ) from error
    except (ValueError, RecursionError) as error:
        raise _wrong(file, "it is no JSON") from error
    return _check(read, file)


def _check(read: Any, file: Path) -> Regions:
    if not isinstance(read, dict) or read.get("regions") != _LAYOUT:
        raise _wrong(file, f"it is not of version {_LAYOUT}")
    model, levels = read.get("model"), read.get("levels")
    if not isinstance(model, str) or not isinstance(levels, dict) or _ALL not in levels:
        raise _wrong(file, "something is missing")
    scenes = read.get("scenes", [])
    if not isinstance(scenes, list) or not all(isinstance(name, str) for name in scenes):
        raise _wrong(file, "the scenes are none")
    arrays = {}
    for name, values in levels.items():
        is_list = isinstance(values, list) and len(values) == len(SHARES)
        if not is_list or not all(isinstance(v, float | int) and 0 <= v <= 1 for v in values):
            raise _wrong(file, f"the levels of {name!r} are none")
        arrays[name] = np.array(values, np.float64)
        if (np.diff(arrays[name]) < 0).any():
            raise _wrong(file, f"the levels of {name!r} fall")
    return Regions(model, arrays, tuple(scenes))


def _weigh(places: np.ndarray, is_between: np.ndarray) -> np.ndarray:
    """Return the weights of cells by which all places count the same, on either side."""
    weight = np.zeros(len(places))
    for side in (is_between, ~is_between):
        _, number = np.unique(places[side].astype(str), return_inverse=True)
        weight[side] = 1 / np.bincount(number)[number]
    return weight


def _quantiles(level: np.ndarray, weight: np.ndarray) -> np.ndarray:
    # As of split conformal prediction: the new cell counts as one more, of the largest level.
    order = np.argsort(level, kind="stable")
    held = np.cumsum(weight[order]) / (weight.sum() + weight.mean())
    place = np.searchsorted(held, SHARES - 1e-9)
    return np.append(level[order], 1.0)[place]


def _join(dataset: str, name: str) -> str:
    return f"{dataset}/{name}"


def _name(cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Return the name of the class of each cell: a fine one, and a coarse one that holds it."""
    place, width = np.digitize(cells.away, _ENDS), np.digitize(cells.width, _WIDTHS)
    sides = ("beyond", "between")
    coarse = np.array([[f"{side}-{n}" for n in range(len(_ENDS) + 1)] for side in sides])
    fine = np.array(
        [[[f"{c}-{n}" for n in range(len(_WIDTHS) + 1)] for c in row] for row in coarse]
    )
    side = cells.is_between.astype(int)
    return fine[side, place, width], coarse[side, place]


def _wrong(file: Path, why: str) -> InputError:
    return InputError(
        "value",
        "a file does not tell of regions",
        where=str(file),
        why=why,
        remedy="delete it: the same `kerbstone pretrain` writes it again",
    )
