"""Small detections of the small logs, and labelled scenes made of whatever was detected."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from kerbstone.formats.detections import DetectedLog
from kerbstone.scene import Agents, Detections, Kind, Scene, agents_from_rows
from small import kitti as small_kitti

KITTI_TYPES = {"Pedestrian": 1, "Car": 2, "Van": 2, "Cyclist": 3}


def kitti_rows(lines: list[str] | None = None) -> dict[str, list[str]]:
    """Return AB3DMOT's rows by class, of label lines whose truth is known."""
    rows: dict[str, list[str]] = {}
    for number, line in enumerate(lines or small_kitti.label_lines()):
        frame, _, label, _, _, alpha, *numbers = line.split()
        if label == "DontCare":
            continue
        image, size_place, turn = numbers[:4], numbers[4:10], numbers[10]
        score = f"{10 - number / 100:.4f}"
        row = [frame, str(KITTI_TYPES[label]), *image, score, *size_place, turn, alpha]
        name = "Car" if label == "Van" else label
        rows.setdefault(name, []).append(",".join(row))
    return rows


def write_kitti(root: Path, *, poses: str = "poses") -> Path:
    """Write a tracking sequence with a folder of detections per class beside it."""
    small_kitti.write_tracking(root, poses=poses)
    for name, rows in kitti_rows().items():
        small_kitti.write_lines(root / f"detector_{name}" / "0000.txt", rows)
    return root


def label_scene(log: DetectedLog) -> tuple[Scene, np.ndarray]:
    """Return a scene in which every detection is an agent of its own, and the scores."""
    found, scene = log.detections, log.scene
    count = len(found)
    kinds = dict(zip(log.labels.tolist(), map(Kind, found.kind), strict=True))
    others = agents_from_rows(
        track=[str(row + 1) for row in range(count)],
        step=found.step,
        steps=found.clock.steps,
        dt=found.clock.gaps,
        label=log.labels,
        kinds=kinds,
        centre=found.box[:, :3],
        heading=found.box[:, 3],
        velocity=np.tile([1.5, -0.5], (count, 1)),
        size=found.box[:, 4:],
    )
    # A label may stand for two kinds, as a bicycle's does.
    others = replace(others, kind=found.kind)
    joined = {
        field.name: getattr(others, field.name) + getattr(scene.agents, field.name)
        if field.name in ("ids", "label")
        else np.concatenate([getattr(others, field.name), getattr(scene.agents, field.name)])
        for field in fields(Agents)
    }
    score = np.full(joined["valid"].shape, np.nan)
    score[np.arange(count), found.step] = found.score
    ego = None if scene.ego is None else count
    return replace(scene, agents=Agents(**joined), ego=ego).check(), score


def assert_same_boxes(found: Detections, expected: Detections, *, atol: float = 1e-4) -> None:
    """Assert that two lists hold the same boxes, kinds and scores, in whatever order."""
    assert len(found) == len(expected)
    one, other = (np.lexsort((*np.round(d.box.T, 3), d.step)) for d in (found, expected))
    np.testing.assert_array_equal(found.step[one], expected.step[other])
    np.testing.assert_array_equal(found.kind[one], expected.kind[other])
    np.testing.assert_allclose(found.box[one], expected.box[other], atol=atol)
    np.testing.assert_allclose(found.score[one], expected.score[other], atol=atol)
