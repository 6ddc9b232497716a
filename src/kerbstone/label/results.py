"""Labels of a store as the result files that public evaluators read."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from kerbstone.formats.detections import join_tracks, write_tracks
from kerbstone.label.stored import read_labels
from kerbstone.store import Store

_ONE_FILE = {"nuscenes": ".json", "av2": ".feather"}
"""Formats whose evaluators want the tracks of all logs in one file."""


def write_results(
    store: Store,
    logs: Collection[str],
    folder: Path,
    *,
    format: str,  # noqa: A002 - named as the flag
) -> list[Path]:
    """Write the labels of logs, as they are in a store, and return the files.

    They are written from the store, so they hold what a person has reviewed, and the logs that were
    labelled long ago as well as those of today. The score is the mean confidence of the track, by
    which evaluators rank whole tracks.

    Args:
        store: A store that `label` wrote.
        logs: Names of the logs.
        folder: Where the files go.
        format: "kitti", "nuscenes", "av2" or "table".

    Raises:
        InputError: A scene cannot be told in that format, or a file cannot be written.
    """
    table = store.scenes(["id", "log_key"])
    wanted = [
        scene
        for scene, log in zip(table["id"].to_pylist(), table["log_key"].to_pylist(), strict=True)
        if log in logs
    ]
    files = []
    for name in wanted:
        scene, part = read_labels(store, name).to_scene()
        own = len(scene.agents) - len(part.ids)
        count = np.bincount(part.agent, minlength=len(part.ids))
        total = np.bincount(part.agent, part.confidence, minlength=len(part.ids))
        score = np.ones(scene.agents.valid.shape)
        score[own:] = (total / np.maximum(count, 1))[:, None]
        files += write_tracks(scene, score, folder, format=format)
    if format in _ONE_FILE and files:
        whole = folder / f"tracks{_ONE_FILE[format]}"
        join_tracks(files, whole, format=format)
        files.append(whole)
    return files
