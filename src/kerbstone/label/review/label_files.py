"""Labels as the label files of KITTI, nuScenes and Argoverse 2, edited by whatever can edit them.

An export is what `write_tracks` writes, with `review.json` beside it: these formats have no room
for whose labels they are. Cells that a format does not tell, such as what KITTI's camera does not
see or classes that nuScenes does not track, stay as they are. Tracks are known by the number or id
that the export gave them; another one splits, joins or begins a track. A score that a person raises
to 1 confirms a box.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.formats import av2_sensor, kitti_sequence
from kerbstone.formats.detections import write_tracks
from kerbstone.formats.detections.av2 import KINDS as AV2_KINDS
from kerbstone.formats.detections.nuscenes import KINDS as NUSCENES_KINDS
from kerbstone.formats.detections.rows import steps_at
from kerbstone.formats.files import (
    Columns,
    check_finite,
    cut_off,
    read_bytes,
    read_text,
    table_columns,
)
from kerbstone.formats.kitti import DT_NS
from kerbstone.formats.kitti_tracking import KINDS as KITTI_KINDS
from kerbstone.label.labels import Labels
from kerbstone.label.review.documents import check_number, read_document, take_field, take_numbers
from kerbstone.label.review.identity import check_identity, find_side_file
from kerbstone.label.review.sheet import Sheet
from kerbstone.scene import SE3, BoxIndex, Kind, wrap_angle

_KITTI_COLUMNS = 18
_KITTI_NUMBERS = (13, 14, 15, 16, 12, 11, 10)
"""Columns of the bottom's centre, the turn, length, width and height."""
_AV2_TEXTS = ("log_id", "track_uuid", "category")
_AV2_NUMBERS = ("tx_m", "ty_m", "tz_m", "length_m", "width_m", "height_m", "qw", "qx", "qy", "qz")
_ROUNDED = np.array([2e-6, 2e-6, 2e-6, 2e-6, 2e-6, 2e-6, 2e-6])
"""Files are written with six digits at least, and read by programs with doubles."""


@dataclass(frozen=True, eq=False)
class LabelFileReview:
    """The label files of one format.

    Args:
        name: Name of the format.
        kinds: What its classes stand for.
        tolerance: Which changes of a box are none.
    """

    name: str
    kinds: Mapping[str, Kind]
    tolerance: Float64[np.ndarray, " 7"]

    def write(self, labels: Labels, folder: Path) -> list[Path]:
        """Write the file of the log."""
        scene, part = labels.to_scene()
        if self.name == "kitti":
            # Its tracks are numbers: the place in the labels, by which they are told back.
            numbers = {name: str(number + 1) for number, name in enumerate(labels.ids)}
            own = () if scene.ego is None else ("0",)
            ids = (*own, *(numbers[name] for name in part.ids))
            scene = replace(scene, agents=replace(scene.agents, ids=ids))
        score = part.grid(part.confidence, np.nan)
        if scene.ego is not None:
            score = np.concatenate([np.full((1, scene.clock.steps), np.nan), score])
        return write_tracks(scene, score, folder, format=self.name)

    def read(self, path: Path, labels: Labels) -> Sheet:
        """Read an edited file, with `review.json` beside it."""
        side = find_side_file(path)
        if side is None:
            raise InputError(
                "missing-file",
                "nothing says whose labels a file holds",
                where=str(path),
                why="there is no review.json beside it",
                remedy="keep the file in the folder that it was exported to",
            )
        check_identity(side.identity, labels, where=str(side.path))
        return _READERS[self.name](path, labels)

    def tell(self, labels: Labels) -> Sheet:
        """Return what an export says: it is written and read."""
        with tempfile.TemporaryDirectory() as folder:
            (path,) = self.write(labels, Path(folder))
            return _READERS[self.name](path, labels)

    def to_world(
        self,
        labels: Labels,
        box: Float64[np.ndarray, "row 7"],
        step: Int64[np.ndarray, " row"],
    ) -> Float64[np.ndarray, "row 7"]:
        """Bring boxes from the frame of camera 0 (KITTI), of ego (Argoverse 2) or the world."""
        if self.name == "nuscenes" or not len(box):
            return box
        scene = labels.scene
        if scene.ego_poses is None:
            raise InputError("value", "the ego poses are not known", where=f"scene {scene.id}")
        world_from_ego = scene.ego_poses.at(scene.clock.measured_ns)[step]
        if self.name == "kitti":
            camera = next(c for c in scene.cameras if c.name == kitti_sequence.BOX_CAMERA)
            return kitti_sequence.boxes_in_world(
                box[:, : BoxIndex.HEADING],
                box[:, BoxIndex.HEADING],
                box[:, BoxIndex.LENGTH :],
                world_from_ego @ SE3.from_matrix(camera.ego_from_camera),
            )
        world = box.copy()
        world[:, : BoxIndex.HEADING] = world_from_ego @ box[:, : BoxIndex.HEADING]
        return world


def _read_kitti(path: Path, labels: Labels) -> Sheet:
    text = read_text(path)
    if text and not text.endswith("\n"):
        raise cut_off(path, "the last line has no end")
    rows = [line.split() for line in text.splitlines()]
    where = tuple(f"{path}, line {number}" for number in range(1, len(rows) + 1))
    ids = {str(number + 1): name for number, name in enumerate(labels.ids)}
    frames = np.rint(labels.scene.clock.times_ns / DT_NS).astype(np.int64)
    step_of = {frame: step for step, frame in enumerate(frames.tolist())}
    names, steps, numbers, scores, agents = [], [], [], [], []
    for row, place in zip(rows, where, strict=True):
        if len(row) != _KITTI_COLUMNS:
            raise InputError(
                "column",
                f"a row needs {_KITTI_COLUMNS} columns",
                where=place,
                why=f"it has {len(row)}",
                remedy="the file may be cut off, or was written without scores",
            )
        try:
            values = [float(row[column]) for column in (*_KITTI_NUMBERS, 17)]
            step = step_of.get(int(row[0]), -1)
        except ValueError as error:
            raise InputError(
                "value", "a row holds something else than a number", where=place, why=str(error)
            ) from None
        steps.append(_step(step, place))
        numbers.append([check_number(value, "a row", place) for value in values])
        names.append(row[2])
        scores.append(values[-1])
        agents.append(ids.get(row[1], "" if row[1] == "-1" else row[1]))
    taken = {*labels.ids}
    # A new number must not be taken for the name of another track.
    fresh = [f"new {row[1]}" if row[1] not in ids else "" for row in rows]
    agents = [
        "" if new and agent in taken else agent for agent, new in zip(agents, fresh, strict=True)
    ]
    return _sheet(
        agents,
        np.array(steps, np.int64),
        np.array(numbers, np.float64).reshape(-1, 8)[:, :7],
        names,
        scores,
        where,
        group=fresh,
    )


def _read_nuscenes(path: Path, labels: Labels) -> Sheet:
    tokens = labels.scene.source.extra.get("sample_tokens") or []
    step_of = {token: step for step, token in enumerate(tokens) if token}
    content = read_document(path)
    agents, steps, numbers, names, scores, places = [], [], [], [], [], []
    for token, boxes in take_field(content, "results", dict, str(path)).items():
        if token not in step_of:
            raise InputError(
                "reference",
                f"sample {token!r:.60} is not of this scene",
                where=str(path),
                remedy="import a file with the samples of one scene",
            )
        if not isinstance(boxes, list):
            raise InputError("syntax", "boxes are no list", where=f"{path}, sample {token!r:.60}")
        for number, box in enumerate(boxes):
            where = f"{path}, sample {token!r:.60}, box {number}"
            width, length, height = take_numbers(box, "size", 3, where)
            rotation = np.array(take_numbers(box, "rotation", 4, where))
            if not rotation.any():
                raise InputError("value", "a rotation is zero", where=where)
            centre = np.array(take_numbers(box, "translation", 3, where))
            yaw = float(SE3.from_quaternion(rotation, centre).yaw)
            numbers.append([*centre.tolist(), yaw, length, width, height])
            names.append(take_field(box, "tracking_name", str, where))
            agents.append(take_field(box, "tracking_id", str, where))
            scores.append(check_number(box.get("tracking_score"), "tracking_score", where))
            steps.append(step_of[token])
            places.append(where)
    missing = next((token for token in step_of if token not in content["results"]), None)
    if missing is not None:
        raise InputError(
            "truncated",
            "a file lacks a sample of its scene",
            where=str(path),
            why=f"there is no list for {missing!r:.60}",
            remedy="an empty list says that nothing is there",
        )
    box = np.array(numbers, np.float64).reshape(-1, 7)
    return _sheet(agents, np.array(steps, np.int64), box, names, scores, tuple(places))


def _read_av2(path: Path, labels: Labels) -> Sheet:
    scene = labels.scene
    columns = _read_table(path)
    check_finite(columns, path)
    count = len(columns["score"])
    where = tuple(f"{path}, row {row}" for row in range(count))
    foreign = np.flatnonzero(columns["log_id"] != scene.source.log)
    if len(foreign):
        raise InputError(
            "reference",
            "a row is of another log",
            where=where[foreign[0]],
            why=f"{columns['log_id'][foreign[0]]!r:.60}, expected {scene.source.log!r}",
        )
    for name in (*_AV2_NUMBERS, "score"):
        for row in np.flatnonzero(np.abs(columns[name]) > 1e8)[:1].tolist():
            check_number(float(columns[name][row]), name, where[row])
    lost = np.flatnonzero(~np.stack([columns[n] for n in _AV2_NUMBERS[6:]], axis=-1).any(axis=1))
    if len(lost):
        raise InputError("value", "a rotation is zero", where=where[lost[0]])
    step = steps_at(columns["timestamp_ns"].astype(np.int64), scene.clock)
    for row in np.flatnonzero(step < 0)[:1].tolist():
        _step(-1, where[row])
    poses = scene.ego_poses
    if poses is None:
        raise InputError("value", "the ego poses are not known", where=f"scene {scene.id}")
    box = av2_sensor.boxes_in_world(columns, poses.at(scene.clock.measured_ns)[step])
    heading = wrap_angle(box[:, BoxIndex.HEADING])
    box[:, : BoxIndex.HEADING] = np.stack([columns[n] for n in _AV2_NUMBERS[:3]], axis=-1)
    box[:, BoxIndex.HEADING] = heading
    return _sheet(
        columns["track_uuid"].tolist(),
        step.astype(np.int64),
        box,
        columns["category"].tolist(),
        columns["score"].tolist(),
        where,
    )


def _read_table(path: Path) -> Columns:
    """Read a table whose bytes may be anything."""
    import pyarrow as pa
    from pyarrow import feather

    wanted = dict.fromkeys(_AV2_TEXTS, str) | {"timestamp_ns": int}
    try:
        table = feather.read_table(pa.BufferReader(read_bytes(path)))
        # Broken offsets would be followed out of the buffer.
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise cut_off(path, str(error)) from None
    return table_columns(table, wanted | dict.fromkeys((*_AV2_NUMBERS, "score"), float), path=path)


def _sheet(
    agents: list[str],
    step: Int64[np.ndarray, " row"],
    box: Float64[np.ndarray, "row 7"],
    names: list[str],
    scores: list[float],
    where: tuple[str, ...],
    *,
    group: list[str] | None = None,
) -> Sheet:
    return Sheet(
        agent=tuple(agents),
        group=tuple(where if group is None else group),
        step=step,
        box=box,
        name=tuple(names),
        is_key=np.ones(len(step), bool),
        is_confirmed=np.array(scores, np.float64) >= 1,
        where=where,
    )


def _step(step: int, where: str) -> int:
    if step < 0:
        raise InputError("clock", "a row lies outside the log's time", where=where)
    return step


_READERS: Mapping[str, Callable[[Path, Labels], Any]] = {
    "kitti": _read_kitti,
    "nuscenes": _read_nuscenes,
    "av2": _read_av2,
}

LABEL_FILES = tuple(
    LabelFileReview(name, kinds, _ROUNDED)
    for name, kinds in (
        ("kitti", {name: kind for name, kind in KITTI_KINDS.items() if name != "ego"}),
        ("nuscenes", NUSCENES_KINDS),
        ("av2", AV2_KINDS),
    )
)
