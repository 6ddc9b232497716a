"""What a person's drawing leaves open: heights where a picture shows none, and names."""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.formats.appearance import USUAL_SIZE
from kerbstone.label.labels import Labels
from kerbstone.scene import BoxIndex, Kind


def complete_boxes(
    labels: Labels,
    agents: Sequence[str],
    kinds: Sequence[Kind],
    steps: Int64[np.ndarray, " row"],
    box: Float64[np.ndarray, "row 7"],
) -> Float64[np.ndarray, "row 7"]:
    """Return boxes with a height and a place of it where they have none.

    A track keeps its own height; a new one is as high as others of its kind in the log, or as
    usual. Its floor is that of the nearest label, of all steps, or of the recording car.

    Args:
        labels: The labels.
        agents: Name of the track of each box.
        kinds: Its kind.
        steps: Time step of each box.
        box: In the world (`BoxIndex`); height and z may be NaN.
    """
    box = box.copy()
    rows = {name: row for row, name in enumerate(labels.ids)}
    for i in np.flatnonzero(np.isnan(box[:, BoxIndex.HEIGHT])).tolist():
        own = rows.get(agents[i])
        box[i, BoxIndex.HEIGHT] = _height(labels, kinds[i], own)
    open_z = np.flatnonzero(np.isnan(box[:, BoxIndex.Z]))
    floor = np.array([_floor(labels, box[i], int(steps[i])) for i in open_z.tolist()], np.float64)
    box[open_z, BoxIndex.Z] = floor + box[open_z, BoxIndex.HEIGHT] / 2
    return box


def name_track(taken: Container[str]) -> str:
    """Return the first number that names no track."""
    number = 1
    while str(number) in taken:
        number += 1
    return str(number)


def _height(labels: Labels, kind: Kind, own: int | None) -> float:
    if own is not None:
        return float(labels.size[own, 2])
    alike = labels.size[labels.kind == kind, 2]
    alike = alike[np.isfinite(alike)]
    return float(np.median(alike)) if len(alike) else USUAL_SIZE[kind][2]


def _floor(labels: Labels, box: Float64[np.ndarray, " 7"], step: int) -> float:
    scene = labels.scene
    floor = labels.place[:, 2] - labels.size[labels.agent, 2] / 2
    known = np.flatnonzero(np.isfinite(floor))
    if len(known):
        off = labels.place[known, :2] - box[: BoxIndex.Z]
        return float(floor[known[np.argmin(np.hypot(off[:, 0], off[:, 1]))]])
    if scene.ego is not None:
        own = scene.agents.centre[scene.ego, step, 2] - scene.agents.size[scene.ego, 2] / 2
        return float(np.nan_to_num(own))
    return 0.0
