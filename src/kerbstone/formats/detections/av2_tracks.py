"""Tracks as an Argoverse 2 table: boxes in the ego frame, as its annotations, with a score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerbstone.errors import InputError
from kerbstone.formats.detections.av2 import KINDS
from kerbstone.formats.detections.tracks import TrackRows, class_names, file_of
from kerbstone.formats.files import read_feather
from kerbstone.formats.stage import writing_whole
from kerbstone.scene import SE3, BoxIndex, Kind

CLASSES = {
    Kind.ANIMAL: "ANIMAL",
    Kind.BICYCLE: "BICYCLE",
    Kind.BUS: "BUS",
    Kind.CAR: "REGULAR_VEHICLE",
    Kind.CYCLIST: "BICYCLIST",
    Kind.MOTORCYCLE: "MOTORCYCLE",
    Kind.PEDESTRIAN: "PEDESTRIAN",
    Kind.RIDER: "WHEELED_RIDER",
    Kind.TRAILER: "VEHICULAR_TRAILER",
    Kind.TRAIN: "RAILED_VEHICLE",
    Kind.TRUCK: "TRUCK",
}
"""The category that stands for each kind where a label tells none; others are not written."""

_TEXTS = ("log_id", "track_uuid", "category")
_NUMBERS = ("tx_m", "ty_m", "tz_m", "length_m", "width_m", "height_m", "qw", "qx", "qy", "qz")
_COLUMNS = (
    dict.fromkeys(_TEXTS, str) | {"timestamp_ns": int} | dict.fromkeys((*_NUMBERS, "score"), float)
)


def write_av2(tracks: TrackRows, folder: Path) -> list[Path]:
    """Write a log; see `write_tracks`.

    Args:
        tracks: The rows.
        folder: Gets `LOG.feather`.

    Raises:
        InputError: The ego poses are not known.
    """
    import pyarrow as pa

    scene = tracks.scene
    if scene.ego_poses is None:
        raise InputError(
            "value",
            "Argoverse 2's boxes are told from the car, whose poses are not known",
            where=f"scene {scene.id}",
        )
    named = np.array(class_names(scene, {name: name for name in KINDS}, CLASSES), object)
    rows = np.flatnonzero([name is not None for name in named[tracks.agent]])
    agent, step, box = tracks.agent[rows], tracks.step[rows], tracks.box[rows]
    times_ns = scene.clock.measured_ns
    ego_from_world = scene.ego_poses.at(times_ns)[step].inverse()
    world_from_box = SE3.from_yaw(box[:, BoxIndex.HEADING], box[:, : BoxIndex.HEADING])
    ego_from_box = ego_from_world @ world_from_box
    numbers = np.concatenate(
        [ego_from_box.translation, box[:, BoxIndex.LENGTH :], ego_from_box.rotation], axis=1
    )
    texts = {
        "log_id": np.full(len(rows), scene.source.log, object),
        "track_uuid": np.array(scene.agents.ids, object)[agent],
        "category": named[agent],
    }
    table = pa.table(
        {name: pa.array(column, pa.string()) for name, column in texts.items()}
        | {"timestamp_ns": times_ns[step]}
        | dict(zip(_NUMBERS, numbers.T, strict=True))
        | {"score": tracks.score[rows]}
    )
    path = file_of(folder, scene.source.log, ".feather")
    _write(path, table)
    return [path]


def join_av2(files: Sequence[Path], path: Path) -> None:
    """Make one table of several logs; see `join_tracks`."""
    import pyarrow as pa

    owner: dict[str, Path] = {}
    parts = []
    for file in files:
        columns = read_feather(file, _COLUMNS)
        for log in sorted(set(columns["log_id"])):
            if log in owner:
                raise InputError(
                    "duplicate",
                    f"two files have tracks of the log {log!r}",
                    where=str(file),
                    why=f"it is in {owner[log]} too",
                )
            owner[log] = file
        parts.append(pa.table(columns))
    if not parts:
        raise InputError("empty", "there is no file to join", where=str(path))
    _write(path, pa.concat_tables(parts))


def _write(path: Path, table: object) -> None:
    from pyarrow import feather

    path.parent.mkdir(parents=True, exist_ok=True)
    with writing_whole(path) as part:
        feather.write_feather(table, part)
