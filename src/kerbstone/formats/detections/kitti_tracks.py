"""Tracks as KITTI's tracking results: a text file per sequence, for TrackEval and AB3DMOT.

A row is: frame, track, class, truncated, occluded, alpha, 2D box, height, width, length, bottom
centre and turn in the frame of camera 0, score. The 2D box is around what the left colour camera
sees of the box in space, which stands upright in the frame of camera 0 as the benchmark's boxes do:
on hills that fits the annotated 2D boxes better than upright in the world. What that camera does
not see is not written, as labels cover nothing else.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.errors import InputError
from kerbstone.formats import kitti
from kerbstone.formats.detections.image_boxes import image_boxes
from kerbstone.formats.detections.tracks import TrackRows, class_names, file_of
from kerbstone.formats.kitti_sequence import BOX_CAMERA, COLOUR_CAMERA, boxes_in_camera
from kerbstone.formats.kitti_tracking import KINDS
from kerbstone.formats.stage import writing_whole
from kerbstone.scene import SE3, BoxIndex, Camera, Kind, Scene, pack_boxes, wrap_angle

CLASSES = {
    Kind.CAR: "Car",
    Kind.TRUCK: "Truck",
    Kind.BUS: "Truck",
    Kind.TRAIN: "Tram",
    Kind.PEDESTRIAN: "Pedestrian",
    Kind.CYCLIST: "Cyclist",
}
"""What the benchmark calls each kind; all others are `Misc`."""

EVALUATED = ("Car", "Pedestrian", "Cyclist")

_LEVEL_FROM_CAMERA = SE3.from_matrix(
    np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
)
"""A frame with z up where a camera has y down; a turn about y is a heading the other way round."""


def write_kitti(tracks: TrackRows, folder: Path, *, classes: bool = False) -> list[Path]:
    """Write a sequence; see `write_tracks`.

    Args:
        tracks: The rows.
        folder: Gets `SEQUENCE.txt`, also where no row is left.
        classes: Write `CLASS/SEQUENCE.txt` instead, of each class that is evaluated or there.

    Raises:
        InputError: The scene has no ego poses, or not the cameras that the boxes are told in.
    """
    scene = tracks.scene
    if scene.ego_poses is None:
        raise InputError(
            "value",
            "KITTI's boxes are told from the car, whose poses are not known",
            where=f"scene {scene.id}",
        )
    named = class_names(
        scene,
        {name: name for name in KINDS if name != "ego"},
        {kind: CLASSES.get(kind, "Misc") for kind in Kind},
    )
    world_from_ego = scene.ego_poses.at(scene.clock.measured_ns)[tracks.step]
    box_camera = SE3.from_matrix(_camera(scene, BOX_CAMERA).ego_from_camera)
    bottom, turn = boxes_in_camera(tracks.box, world_from_ego @ box_camera)
    size = tracks.box[:, BoxIndex.LENGTH :]
    kind = scene.agents.kind[tracks.agent]
    is_round = np.isin(kind, np.array([Kind.PEDESTRIAN], np.uint8))
    outline = _face_camera(bottom, turn, size, is_round)
    seen = _seen(bottom, *outline, box_camera, _camera(scene, COLOUR_CAMERA))
    alpha = wrap_angle(turn - np.arctan2(bottom[:, 0], bottom[:, 2]))
    numbers = np.column_stack([alpha, seen, size[:, ::-1], bottom, turn])
    frame = np.rint(scene.clock.times_ns / kitti.DT_NS).astype(np.int64)[tracks.step]
    track = _numbers_of(scene)[tracks.agent]
    names = [str(named[agent]) for agent in tracks.agent.tolist()]
    lines = {
        row: _line(int(frame[row]), int(track[row]), names[row], numbers[row], tracks.score[row])
        for row in np.flatnonzero(np.isfinite(seen[:, 0])).tolist()
    }
    if not classes:
        return [_write(folder, scene, list(lines.values()))]
    shown = [*EVALUATED, *sorted({names[row] for row in lines} - {*EVALUATED})]
    return [
        _write(folder / name, scene, [line for row, line in lines.items() if names[row] == name])
        for name in shown
    ]


def _face_camera(
    bottom_camera: Float64[np.ndarray, "row 3"],
    turn: Float64[np.ndarray, " row"],
    size: Float64[np.ndarray, "row 3"],
    is_round: Bool[np.ndarray, " row"],
) -> tuple[Float64[np.ndarray, " row"], Float64[np.ndarray, "row 3"]]:
    """Return turn and size of the boxes that images show of what is round, as people are.

    A person fills the ellipse in the floor of the box and not its corners, so the image shows a
    box that faces the camera and is as wide and deep as that ellipse looks from there. Against the
    benchmark's own 2D boxes of pedestrians that gives a mean IoU of 0.80 and not 0.76.
    """
    view = np.arctan2(-bottom_camera[:, 2], bottom_camera[:, 0])
    cos, sin = np.cos(turn - view), np.sin(turn - view)
    deep = np.hypot(size[:, 0] * cos, size[:, 1] * sin)
    wide = np.hypot(size[:, 0] * sin, size[:, 1] * cos)
    facing = np.column_stack([deep, wide, size[:, 2]])
    return np.where(is_round, view, turn), np.where(is_round[:, None], facing, size)


def _seen(
    bottom_camera: Float64[np.ndarray, "row 3"],
    turn: Float64[np.ndarray, " row"],
    size: Float64[np.ndarray, "row 3"],
    ego_from_camera: SE3,
    colour: Camera,
) -> Float64[np.ndarray, "row 4"]:
    middle = bottom_camera - size[:, 2:] / 2 * np.array([0.0, 1.0, 0.0])
    boxes_level = pack_boxes(_LEVEL_FROM_CAMERA @ middle, -turn, size)
    return image_boxes(boxes_level, _LEVEL_FROM_CAMERA @ ego_from_camera.inverse(), colour)


def _line(
    frame: int, track: int, name: str, numbers: Float64[np.ndarray, " number"], score: float
) -> str:
    told = " ".join([f"{value:.6f}" for value in numbers.tolist()])
    return f"{frame} {track} {name} -1 -1 {told} {score:.9g}\n"


def _write(folder: Path, scene: Scene, lines: list[str]) -> Path:
    path = file_of(folder, scene.source.log, ".txt")
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing_whole(path) as part:
        part.write_text("".join(lines), encoding="utf-8")
    return path


def _camera(scene: Scene, name: str) -> Camera:
    for camera in scene.cameras:
        if camera.name == name:
            return camera
    raise InputError(
        "reference",
        f"there is no camera {name!r}, in whose frame KITTI's results lie",
        where=f"scene {scene.id}",
        why="it has: " + (", ".join(camera.name for camera in scene.cameras) or "none"),
        remedy="only scenes whose detections were read as 'kitti' are written as KITTI",
    )


def _numbers_of(scene: Scene) -> np.ndarray:
    """Return a number for each agent: its id where all are numbers, else its row."""
    ids = [id_ for row, id_ in enumerate(scene.agents.ids) if row != scene.ego]
    are_numbers = all(id_.isdecimal() and len(id_) < 10 for id_ in ids)
    if not are_numbers or len({int(id_) for id_ in ids}) < len(ids):
        return np.arange(len(scene.agents))
    return np.array(
        [0 if row == scene.ego else int(id_) for row, id_ in enumerate(scene.agents.ids)]
    )
