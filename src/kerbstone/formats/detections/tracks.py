"""Labelled scenes written as the result files that public evaluators read."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jaxtyping import Float, Float64, Int64

from kerbstone.errors import InputError, UsageError, suggest_name
from kerbstone.scene import BoxIndex, Kind, Scene, pack_boxes

_WRITERS = {
    "kitti": "kerbstone.formats.detections.kitti_tracks:write_kitti",
    "nuscenes": "kerbstone.formats.detections.nuscenes_tracks:write_nuscenes",
    "av2": "kerbstone.formats.detections.av2_tracks:write_av2",
    "table": "kerbstone.formats.detections.table_tracks:write_table_rows",
}
_JOINERS = {
    "nuscenes": "kerbstone.formats.detections.nuscenes_tracks:join_nuscenes",
    "av2": "kerbstone.formats.detections.av2_tracks:join_av2",
    "table": "kerbstone.formats.detections.table_tracks:join_tables",
}


@dataclass(frozen=True, eq=False)
class TrackRows:
    """The cells of a labelled scene without the recording car, one row each, by time.

    Args:
        scene: The scene.
        agent: Row in `scene.agents`; within a step they rise.
        step: Time step.
        box: In the world (`BoxIndex`).
        velocity: In x and y [m/s]; NaN where it is not known.
        score: How sure the cell is.
    """

    scene: Scene
    agent: Int64[np.ndarray, " row"]
    step: Int64[np.ndarray, " row"]
    box: Float64[np.ndarray, "row 7"]
    velocity: Float64[np.ndarray, "row 2"]
    score: Float64[np.ndarray, " row"]


def write_tracks(
    scene: Scene,
    score: Float[np.ndarray, "agent time"],
    folder: Path | str,
    *,
    format: str,  # noqa: A002 - named as the flag
    classes: bool = False,
) -> list[Path]:
    """Write the tracks of a labelled scene as a public evaluator reads them.

    A class is called by the agent's label where the format knows that name, and else after its
    kind. The recording car is not written. A file appears only when it is whole.

    Args:
        scene: The scene.
        score: How sure each cell is; it counts where the agent is there.
        folder: Where the files go, one or more per scene; it is made if it is not there.
        format: `kitti`: `SEQUENCE.txt`, as TrackEval and AB3DMOT read it. `nuscenes`:
            `SCENE.json`, results of the tracking challenge. `av2`: `LOG.feather`, boxes in the ego
            frame with `track_uuid` and `score`. `table`: Parquet named by the scene's id, in the
            columns that `formats.table.Table` reads, and `score`; nothing is lost in it.
            `join_tracks` makes one file of many.
        classes: Write a folder per class, which only `kitti` has.

    Returns:
        The files written.

    Raises:
        InputError: A box, score or heading is not known, the scene lacks what the format needs, or
            the folder cannot be written.
        UsageError: There is no such format.
    """
    if format not in _WRITERS:
        raise UsageError(
            "usage",
            f"tracks cannot be written as {format!r}",
            remedy=suggest_name(format, _WRITERS),
        )
    if classes and format != "kitti":
        raise UsageError("usage", f"the format {format!r} has no layout of a folder per class")
    rows = _rows_of(scene, score)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        options = {"classes": True} if classes else {}
        return _load(_WRITERS[format])(rows, folder, **options)
    except OSError as error:
        raise InputError(
            "output", "tracks cannot be written", where=str(folder), why=str(error)
        ) from error


def join_tracks(files: Iterable[Path | str], path: Path | str, *, format: str) -> None:  # noqa: A002 - named as the flag
    """Make one file of those that `write_tracks` wrote, for evaluators that want all logs in one.

    Args:
        files: Files of one format, of logs that differ.
        path: The file to write.
        format: `nuscenes`, `av2` or `table`.

    Raises:
        InputError: A file is missing or broken, a log is in two of them, or the file cannot be
            written.
        UsageError: The format keeps logs apart, or there is no such format.
    """
    if format not in _JOINERS:
        raise UsageError(
            "usage", f"files of {format!r} are not joined", remedy=suggest_name(format, _JOINERS)
        )
    try:
        _load(_JOINERS[format])([Path(file) for file in files], Path(path))
    except OSError as error:
        raise InputError(
            "output", "tracks cannot be written", where=str(path), why=str(error)
        ) from error


def file_of(folder: Path, name: str, ending: str) -> Path:
    """Return the file for a log; whatever it is called, the file lies in the folder.

    Args:
        folder: The folder.
        name: Name of the log; parts between slashes become folders.
        ending: Ending of the file, with its dot.
    """
    parts = [quote(part, safe=" @+=,()'") for part in name.split("/")]
    safe = [part.replace(".", "%2E") if not part.strip(".") else part for part in parts]
    path = folder.joinpath(*(part or "_" for part in safe))
    return path.with_name(path.name + ending)


def class_names(
    scene: Scene, by_label: Mapping[str, str | None], by_kind: Mapping[Kind, str]
) -> list[str | None]:
    """Return what a format calls the class of each agent; None for what it has no class for.

    Args:
        scene: The scene.
        by_label: Names by the labels that the format knows.
        by_kind: Names by the kinds that it has classes for.
    """
    kinds = (Kind(int(kind)) for kind in scene.agents.kind)
    return [
        by_label[label] if label in by_label else by_kind.get(kind)
        for label, kind in zip(scene.agents.label, kinds, strict=True)
    ]


def _rows_of(scene: Scene, score: Float[np.ndarray, "agent time"]) -> TrackRows:
    agents = scene.agents
    if score.shape != agents.valid.shape:
        raise InputError(
            "shape",
            "scores do not fit the agents",
            where=f"scene {scene.id}",
            why=f"{score.shape}, expected {agents.valid.shape}",
        )
    written = agents.valid.copy()
    if scene.ego is not None:
        written[scene.ego] = False
    step, agent = np.nonzero(written.T)
    rows = TrackRows(
        scene=scene,
        agent=agent,
        step=step,
        box=pack_boxes(agents.centre[agent, step], agents.heading[agent, step], agents.size[agent]),
        velocity=agents.velocity[agent, step],
        score=score[agent, step].astype(np.float64),
    )
    lost = ~np.isfinite(rows.box).all(axis=1) | ~np.isfinite(rows.score)
    if lost.any():
        row = int(np.argmax(lost))
        names = [*(column.name.lower() for column in BoxIndex), "score"]
        values = [*rows.box[row], rows.score[row]]
        name = next(n for n, value in zip(names, values, strict=True) if not np.isfinite(value))
        raise InputError(
            "value",
            f"the {name} of a track is not known",
            where=f"scene {scene.id}, agent {agents.ids[agent[row]]!r}, step {step[row]}",
        )
    return rows


def _load(where: str) -> Callable[..., Any]:
    module, function = where.split(":")
    return getattr(importlib.import_module(module), function)
