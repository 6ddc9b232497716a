"""Labels as a 3D task of CVAT: cuboids on tracks, in its format "Datumaro 3D 1.0".

Of the formats that CVAT imports for 3D tasks only this one keeps tracks in both directions:
"Kitti Raw Format 1.0" drops them when it exports, and "Sly Point Cloud Format 1.0" is the same
cuboids with less. An export is

- `labels.json`: the task's labels, for CVAT's constructor of labels ("Raw"). Their attributes are
  what CVAT hands back: `agent`, the name of the track; `review`, whose labels these are; and the
  box `reviewed` that a person ticks where a cuboid is right as it is. A task without them cannot
  be imported again.
- `annotations.zip`: the cuboids, for "Upload annotations". Every step is a key frame, so what a
  person moves moves alone; smoothing the track around it is done when it is imported.
- `points.zip`: the sweeps of the log's first lidar, as the data of the task, where they are there.
  Else the task is made of point clouds in the ego frame named by their step: `000012.pcd`.

Boxes are in the ego frame of their step; in the world where the car's poses are not known. CVAT
rounds to 0.01 m and 0.01 rad, so smaller changes are none. What a cuboid's three sides are is not
documented: its editor draws the first along the x axis, so that is the length.

Tracks are split and joined by their attribute `agent`; a new name makes a new track. Cuboids that
are drawn new have none, and CVAT's own number holds them together.

References:
    https://docs.cvat.ai, "Formats"; https://github.com/cvat-ai/cvat, in `dataset_manager`:
    `formats/datumaro.py`, and `bindings.py` for which attributes make a track.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from kerbstone.errors import InputError
from kerbstone.formats.stage import find_frames, read_points, writing_whole
from kerbstone.label.labels import Labels, Provenance
from kerbstone.label.review.documents import (
    check_number,
    read_document,
    take_field,
    take_numbers,
)
from kerbstone.label.review.identity import Identity, check_identity, identify_labels
from kerbstone.label.review.sheet import Sheet
from kerbstone.scene import SE3, BoxIndex, Kind, wrap_angle

_MEMBER = "annotations/*.json"
_IDENTITY, _AGENT, _CONFIRMED = "review", "agent", "reviewed"
_POINT_CLOUD = 6
"""What the format calls a dataset of point clouds, since it tells."""
_CENTRE = slice(BoxIndex.X, BoxIndex.HEADING)


class CvatReview:
    """CVAT's 3D tasks."""

    name = "cvat"
    kinds = {kind.name.lower(): kind for kind in Kind}  # noqa: RUF012 - it never changes
    # CVAT rounds to two digits; half of the last one, and what floats add.
    tolerance = np.full(len(BoxIndex), 0.00501)

    def write(self, labels: Labels, folder: Path) -> list[Path]:
        """Write `labels.json`, `annotations.zip` and, where there are sweeps, `points.zip`."""
        identity = identify_labels(labels).to_text()
        paths = [folder / "labels.json", folder / "annotations.zip"]
        with writing_whole(paths[0]) as part:
            part.write_text(json.dumps(_label_list(identity), indent=1), encoding="utf-8")
        document = json.dumps(self._document(labels, identity), allow_nan=False)
        with (
            writing_whole(paths[1]) as part,
            zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            archive.writestr("annotations/default.json", document)
        sweeps = _sweeps(labels)
        if sweeps:
            paths.append(folder / "points.zip")
            with (
                writing_whole(paths[-1]) as part,
                zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive,
            ):
                for step, points in _points_in_ego(labels, sweeps):
                    archive.writestr(f"pointcloud/{step:06d}.pcd", _pcd(points))
        return paths

    def read(self, path: Path, labels: Labels) -> Sheet:
        """Read an archive that CVAT exported as "Datumaro 3D 1.0", or the JSON file in it."""
        is_archive = zipfile.is_zipfile(path) or path.suffix.lower() == ".zip"
        content = read_document(path, member=_MEMBER if is_archive else "")
        return self._read_content(content, labels, str(path))

    def tell(self, labels: Labels) -> Sheet:
        """Return what an export says."""
        content = self._document(labels, identify_labels(labels).to_text())
        return self._read_content(content, labels, "")

    def to_world(
        self,
        labels: Labels,
        box: Float64[np.ndarray, "row 7"],
        step: Int64[np.ndarray, " row"],
    ) -> Float64[np.ndarray, "row 7"]:
        """Bring boxes from the ego frame to the world."""
        pose = _world_from_ego(labels)[step]
        world = box.copy()
        world[:, _CENTRE] = pose @ box[:, _CENTRE]
        world[:, BoxIndex.HEADING] = wrap_angle(box[:, BoxIndex.HEADING] + pose.yaw)
        return world

    def _document(self, labels: Labels, identity: str) -> dict[str, Any]:
        pose = _world_from_ego(labels)[labels.step]
        centre = pose.inverse() @ labels.place
        heading = wrap_angle(labels.heading - pose.yaw)
        items: dict[int, list[dict[str, Any]]] = {}
        seen = np.isin(labels.provenance, (Provenance.DETECTED, Provenance.REVIEWED))
        for cell in np.lexsort((labels.agent, labels.step)).tolist():
            agent = int(labels.agent[cell])
            own = items.setdefault(int(labels.step[cell]), [])
            own.append(
                {
                    "id": len(own),
                    "type": "cuboid_3d",
                    "attributes": {
                        _AGENT: labels.ids[agent],
                        _IDENTITY: identity,
                        _CONFIRMED: bool(labels.provenance[cell] == Provenance.REVIEWED),
                        "track_id": agent,
                        "keyframe": True,
                        "occluded": not bool(seen[cell]),
                    },
                    "group": 0,
                    "label_id": int(labels.kind[agent]),
                    "position": centre[cell].tolist(),
                    "rotation": [0.0, 0.0, float(heading[cell])],
                    "scale": labels.size[agent].tolist(),
                }
            )
        names = [{"name": name, "parent": "", "attributes": []} for name in self.kinds]
        return {
            "dm_format_version": "1.0",
            "media_type": _POINT_CLOUD,
            "info": {},
            "infos": {},
            "categories": {"label": {"labels": names, "attributes": []}},
            "items": [
                {
                    "id": f"{step:06d}",
                    "annotations": own,
                    "attr": {"frame": step},
                    "point_cloud": {"path": f"{step:06d}.pcd"},
                }
                for step, own in items.items()
            ],
        }

    def _read_content(self, content: Any, labels: Labels, path: str) -> Sheet:
        categories = take_field(content, "categories", dict, path)
        known = take_field(take_field(categories, "label", dict, path), "labels", list, path)
        names = [take_field(label, "name", str, f"{path}, categories") for label in known]
        rows = [
            _row(annotation, step, names, where)
            for step, annotation, where in _annotations(content, labels, path)
        ]
        _check_identities({row[-1] for row in rows}, labels, path)
        number = np.array([row[3] for row in rows], np.float64)
        return Sheet(
            agent=tuple(row[0] for row in rows),
            group=tuple(row[1] for row in rows),
            step=np.array([row[2] for row in rows], np.int64),
            box=number.reshape(-1, len(BoxIndex)),
            name=tuple(row[4] for row in rows),
            is_key=np.array([row[5] for row in rows], bool),
            is_confirmed=np.array([row[6] for row in rows], bool),
            where=tuple(row[7] for row in rows),
        )


def _label_list(identity: str) -> list[dict[str, Any]]:
    """Return the labels of a task as CVAT's constructor takes them."""

    def text(name: str, default: str) -> dict[str, Any]:
        return {
            "name": name,
            "input_type": "text",
            "mutable": False,
            "default_value": default,
            "values": [default],
        }

    box = {
        "name": _CONFIRMED,
        "input_type": "checkbox",
        "mutable": True,
        "default_value": "false",
        "values": ["false"],
    }
    # What is drawn new carries the identity by default, so a file never loses it.
    attributes = [text(_AGENT, ""), text(_IDENTITY, identity), box]
    return [{"name": name, "type": "cuboid", "attributes": attributes} for name in CvatReview.kinds]


def _annotations(
    content: Any, labels: Labels, path: str
) -> Iterator[tuple[int, dict[str, Any], str]]:
    steps = labels.scene.clock.steps
    seen: set[int] = set()
    for item in take_field(content, "items", list, path):
        name = take_field(item, "id", str, f"{path}, items")
        where = f"{path}, item {name!r:.60}"
        stem = PurePosixPath(name).name.removesuffix(".pcd")
        step = int(stem) if stem.isascii() and stem.isdecimal() and len(stem) < 10 else -1
        if not 0 <= step < steps:
            raise InputError(
                "reference",
                "a frame is not named by a step of the log",
                where=where,
                why=f"the log has steps 0 to {steps - 1}",
                remedy="name the point clouds of the task as the export does: 000012.pcd",
            )
        if step in seen:
            raise InputError("duplicate", "a frame appears twice", where=where)
        seen.add(step)
        for number, annotation in enumerate(take_field(item, "annotations", list, where)):
            place = f"{where}, annotation {number}"
            if take_field(annotation, "type", str, place) == "cuboid_3d":
                yield step, annotation, place


_Row = tuple[str, str, int, list[float], str, bool, bool, str, str]


def _row(annotation: dict[str, Any], step: int, names: list[str], where: str) -> _Row:
    attributes = take_field(annotation, "attributes", dict, where)
    label = take_field(annotation, "label_id", int, where)
    if not 0 <= label < len(names):
        raise InputError(
            "reference",
            "a cuboid has a label that is not listed",
            where=where,
            why=f"label_id {label}, there are {len(names)} labels",
        )
    if attributes.get(_IDENTITY, "") == "":
        raise InputError(
            "reference",
            "a cuboid does not say whose labels it is of",
            where=where,
            why=f"it has no attribute {_IDENTITY!r}",
            remedy="make the task with the labels in labels.json, and import annotations.zip",
        )
    agent = attributes.get(_AGENT, "")
    agent = agent.strip() if isinstance(agent, str) else str(agent)
    # Without `keyframe` it is a single shape, which is a key of its own.
    track = attributes.get("track_id") if "keyframe" in attributes else None
    x, y, z = take_numbers(annotation, "position", 3, where)
    turn = check_number(take_numbers(annotation, "rotation", 3, where)[2], "rotation", where)
    size = take_numbers(annotation, "scale", 3, where)
    return (
        agent,
        f"track {track}" if track is not None else where,
        step,
        [x, y, z, turn, *size],
        names[label],
        _is_true(attributes.get("keyframe", True)),
        _is_true(attributes.get(_CONFIRMED, False)),
        where,
        take_field(attributes, _IDENTITY, str, where),
    )


def _is_true(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def _check_identities(found: set[str], labels: Labels, path: str) -> None:
    for text in sorted(found):
        check_identity(Identity.from_text(text, where=path), labels, where=path)
    if not found and len(labels):
        raise InputError(
            "empty",
            "a file holds no cuboid, so nothing says whose labels it is of",
            where=path,
            remedy="leave one cuboid at least, or throw the labels away without a review",
        )


def _world_from_ego(labels: Labels) -> SE3:
    """Return the ego frame of each step; the world where poses are not known."""
    scene = labels.scene
    times = scene.clock.measured_ns
    poses = scene.ego_poses
    if poses is None:
        return SE3.identity(len(times))
    # Poses may begin a moment after the clock, or end before it.
    return poses.at(np.clip(times, poses.times_ns[0], poses.times_ns[-1]))


def _sweeps(labels: Labels) -> list[tuple[int, int, Path]]:
    """Return step, time and file of the sweep that is nearest to each step, of the first lidar."""
    scene = labels.scene
    frames = find_frames(scene, scene.lidars[0]) if scene.lidars else []
    if not frames or scene.ego_poses is None:
        return []
    times = np.array([time for time, _ in frames], np.int64)
    sweeps: dict[int, tuple[int, int, Path]] = {}
    measured = scene.clock.measured_ns
    for step in range(scene.clock.steps):
        row = int(np.argmin(np.abs(times - measured[step])))
        if abs(int(times[row] - measured[step])) <= scene.clock.dt_ns / 2:
            sweeps[step] = (step, *frames[row])
    return list(sweeps.values())


def _points_in_ego(
    labels: Labels, sweeps: list[tuple[int, int, Path]]
) -> Iterator[tuple[int, Float32[np.ndarray, "point 3"]]]:
    """Give the points of sweeps, in the ego frame of their steps."""
    scene = labels.scene
    ego_from_world = _world_from_ego(labels).inverse()
    ego_from_lidar = SE3.from_matrix(scene.lidars[0].ego_from_lidar)
    poses = scene.ego_poses
    for step, time, path in sweeps:
        points = read_points(path)
        if points is None or poses is None:
            continue
        at = np.clip(np.array([time], np.int64), poses.times_ns[0], poses.times_ns[-1])
        moved = ego_from_world[step] @ (poses.at(at)[0] @ ego_from_lidar)
        yield step, (moved @ points.astype(np.float64)).astype(np.float32)


def _pcd(points: Float32[np.ndarray, "point 3"]) -> bytes:
    """Return a point cloud as a binary PCD file, version 0.7."""
    count = len(points)
    head = (
        "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\n"
        f"TYPE F F F\nCOUNT 1 1 1\nWIDTH {count}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\n"
        f"POINTS {count}\nDATA binary\n"
    )
    return head.encode() + points.astype("<f4").tobytes()
