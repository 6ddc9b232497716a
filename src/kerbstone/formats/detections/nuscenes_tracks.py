"""Tracks as results of nuScenes' tracking challenge: `meta`, and boxes per sample.

References:
    https://www.nuscenes.org/tracking: seven classes, and at most 500 boxes per sample.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerbstone.errors import InputError
from kerbstone.formats.detections.nuscenes import KINDS
from kerbstone.formats.detections.tracks import TrackRows, class_names, file_of
from kerbstone.formats.files import read_json
from kerbstone.formats.stage import writing_whole
from kerbstone.scene import SE3, BoxIndex, Kind, Scene

CLASSES = {
    Kind.BICYCLE: "bicycle",
    Kind.BUS: "bus",
    Kind.CAR: "car",
    Kind.CYCLIST: "bicycle",
    Kind.MOTORCYCLE: "motorcycle",
    Kind.PEDESTRIAN: "pedestrian",
    Kind.TRAILER: "trailer",
    Kind.TRUCK: "truck",
}
"""What the challenge calls each kind; others are not tracked in it."""

_TRACKED = frozenset(CLASSES.values())
_MAX_BOXES = 500
_META = ("use_camera", "use_lidar", "use_radar", "use_map", "use_external")


def write_nuscenes(tracks: TrackRows, folder: Path) -> list[Path]:
    """Write a scene; see `write_tracks`.

    Every sample has an entry. A velocity that is not known is written as 0: the format has no word
    for it. Of more boxes than the challenge allows in a sample the surest are written.

    Args:
        tracks: The rows.
        folder: Gets `SCENE.json`.

    Raises:
        InputError: The scene does not know its samples.
    """
    scene = tracks.scene
    tokens = _tokens_of(scene)
    named = class_names(scene, {n: n if n in _TRACKED else None for n in KINDS}, CLASSES)
    results: dict[str, list[dict[str, Any]]] = {token: [] for token in tokens if token}
    rotation = SE3.from_yaw(
        tracks.box[:, BoxIndex.HEADING], np.zeros((len(tracks.step), 3))
    ).rotation
    velocity = np.nan_to_num(tracks.velocity)
    for row in np.lexsort((-tracks.score, tracks.step)).tolist():
        agent, token = int(tracks.agent[row]), tokens[tracks.step[row]]
        name = named[agent]
        # Between samples, where the release took none, the challenge has no place for a box.
        if name is None or not token or len(results[token]) >= _MAX_BOXES:
            continue
        length, width, height = tracks.box[row, BoxIndex.LENGTH :].tolist()
        results[token].append(
            {
                "sample_token": token,
                "translation": tracks.box[row, : BoxIndex.HEADING].tolist(),
                "size": [width, length, height],
                "rotation": rotation[row].tolist(),
                "velocity": velocity[row].tolist(),
                "tracking_id": scene.agents.ids[agent],
                "tracking_name": name,
                "tracking_score": float(tracks.score[row]),
            }
        )
    meta = scene.source.extra.get("meta") or {}
    path = file_of(folder, scene.source.log, ".json")
    _write(path, {name: bool(meta.get(name, False)) for name in _META}, results)
    return [path]


def join_nuscenes(files: Sequence[Path], path: Path) -> None:
    """Make one file of several scenes; see `join_tracks`."""
    meta: dict[str, bool] = dict.fromkeys(_META, False)
    results: dict[str, Any] = {}
    for file in files:
        content = read_json(file)
        if not isinstance(content, dict) or not isinstance(content.get("results"), dict):
            raise InputError("syntax", "a file holds no results", where=str(file))
        twice = results.keys() & content["results"].keys()
        if twice:
            raise InputError(
                "duplicate",
                "two files have results of one sample",
                where=str(file),
                why=f"sample {min(twice)!r}",
            )
        results |= content["results"]
        told = content.get("meta") or {}
        meta = {name: meta[name] or bool(told.get(name, False)) for name in _META}
    _write(path, meta, results)


def _write(path: Path, meta: dict[str, bool], results: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing_whole(path) as part, part.open("w", encoding="utf-8") as file:
        json.dump({"meta": meta, "results": results}, file, allow_nan=False)


def _tokens_of(scene: Scene) -> list[str]:
    tokens = scene.source.extra.get("sample_tokens")
    if not isinstance(tokens, list) or len(tokens) != scene.clock.steps:
        raise InputError(
            "reference",
            "a scene does not know its nuScenes samples, by which results are told",
            where=f"scene {scene.id}",
            remedy="only whole scenes whose detections were read as 'nuscenes' can be written so",
        )
    return tokens
