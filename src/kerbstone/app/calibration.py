"""Learning what a detector is like, from detections and a store that knows the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerbstone.errors import InputError
from kerbstone.formats.detections import DetectionSource, image_boxes, read_detections
from kerbstone.label import Example, fit_profile, read_profile, write_profile
from kerbstone.label.examples import Judged
from kerbstone.scene import Scene
from kerbstone.store import Store


def calibrate(
    sources: Sequence[DetectionSource],
    out: Path,
    *,
    truth: str | None = None,
    camera: str | None = None,
    profile: str | Path = "default",
    on_step: Callable[[int], object] = lambda _: None,
) -> list[dict[str, Any]]:
    """Write what the detections of logs tell of their detector, given the truth.

    Args:
        sources: Detections of logs.
        out: The profile.
        truth: Store with the true road users; that of the detections if not given.
        camera: The camera whose view alone was annotated; all around if not given.
        profile: What is believed before.
        on_step: Told of each step.

    Returns:
        A row for each kind.

    Raises:
        InputError: The truth is not known, or nothing can be learned from it.
    """
    examples = [_example(source, truth, camera) for source in sources]
    base = read_profile(profile)
    learned = fit_profile(examples, base=base, on_step=on_step)
    names = ", ".join(source.name for source in sources[:20])
    more = f" and {len(sources) - 20} more" if len(sources) > 20 else ""
    write_profile(learned, out, about=f"Learned from {names}{more}.")
    return [
        {
            "kind": kind.name.lower(),
            "noise": round(row.noise * learned.slack / base.slack, 3),
            "heading_noise": round(row.heading_noise, 3),
            "even_score": round(row.even_score, 3),
            "keep": row.keep,
        }
        for kind, row in sorted(learned.kinds.items())
    ]


def _example(source: DetectionSource, truth: str | None, camera: str | None) -> Example:
    log = read_detections(source)
    road = source.store if truth is None else Store.open(truth)
    if road is None:
        raise InputError(
            "usage",
            "the truth about these logs is not known",
            where=source.where,
            remedy="ingest the logs with their labels, and name that store with --truth",
        )
    known = road.scene(_find_scene(road, source.name))
    if known.clock.steps != log.scene.clock.steps:
        raise InputError(
            "clock",
            "truth and detections have different times",
            where=source.name,
            why=f"{known.clock.steps} steps against {log.scene.clock.steps}",
        )
    return Example(
        log.detections, log.scene, known, None if camera is None else _seen_by(log.scene, camera)
    )


def _find_scene(road: Store, name: str) -> str:
    """Return the scene of a log: detections in tables know it by its last name only."""
    ids = road.scenes(["id"]).column("id").to_pylist()
    alike = [each for each in ids if each.rpartition("/")[2] == name]
    return alike[0] if name not in ids and len(alike) == 1 else road.find(name)


def _seen_by(scene: Scene, name: str) -> Judged:
    """Return a test of which boxes a camera sees."""
    for camera in scene.cameras:
        if camera.name == name and scene.ego_poses is not None:
            poses = scene.ego_poses.at(scene.clock.measured_ns)
            return lambda step, boxes: np.isfinite(image_boxes(boxes, poses[step], camera)[:, 0])
    raise InputError(
        "reference",
        f"there is no camera {name!r} whose place is known",
        where=f"scene {scene.id}",
        why="it has: " + (", ".join(each.name for each in scene.cameras) or "none"),
    )
