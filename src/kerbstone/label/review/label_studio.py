"""Labels as a video task of Label Studio: rectangles seen from above that turn with their boxes.

Label Studio has no boxes in space. Its video rectangles do turn, so a track is a region of one:
what a person sees and changes is place, heading, length and width. Height and the place of it are
not shown, and stay as they were; new tracks get those of their neighbours. The picture is a square,
north up, around the recording car, a frame per step, the first one numbered 1. Boxes outside it are
not told, and stay as well. The video itself is not made here: it is to show the same square, a
frame per step. An export is

- `task.json`: the task with its predictions, for "Import";
- `labeling.xml`: the project's labeling interface.

Every step is a key frame. A track's last step before a hole ends its lifespan (`enabled: false`),
so a step within a lifespan whose key frame a person removed stays as it was, and one outside all
lifespans is deleted. The region's text (`meta`) is the name of the track: it splits and joins
tracks, and regions without one are new. The label `reviewed`, beside the class, confirms a region.
Whose labels these are stands in the task's data (`review`).

References:
    https://labelstud.io/tags/videorectangle and https://labelstud.io/guide/export: x, y, width
    and height in percent of the picture, x and y those of the corner that the rectangle turns
    about, rotation clockwise in degrees.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.formats.stage import writing_whole
from kerbstone.label.labelling import sensor_path
from kerbstone.label.labels import Labels, Provenance
from kerbstone.label.review.documents import check_number, read_document, take_field
from kerbstone.label.review.identity import Identity, check_identity, identify_labels
from kerbstone.label.review.sheet import Sheet
from kerbstone.scene import BoxIndex, Kind, wrap_angle

_SIDE = 120.0
"""Side of the square around the car [m]."""
_MARGIN = 10.0
_CONFIRMED = "reviewed"


class LabelStudioReview:
    """Label Studio's tracking of objects in videos."""

    name = "label-studio"
    kinds = {kind.name.lower(): kind for kind in Kind}  # noqa: RUF012 - it never changes
    # A millimetre and a milliradian; heights are not told.
    tolerance = np.array([1e-3, 1e-3, np.inf, 1e-3, 1e-3, 1e-3, np.inf])

    def write(self, labels: Labels, folder: Path) -> list[Path]:
        """Write `task.json` and `labeling.xml`."""
        paths = [folder / "task.json", folder / "labeling.xml"]
        with writing_whole(paths[0]) as part, part.open("w", encoding="utf-8") as file:
            json.dump([self._task(labels)], file, allow_nan=False, ensure_ascii=False)
        with writing_whole(paths[1]) as part:
            part.write_text(_interface(labels), encoding="utf-8")
        return paths

    def read(self, path: Path, labels: Labels) -> Sheet:
        """Read what Label Studio exported as JSON."""
        return _read_content(read_document(path), labels, str(path))

    def tell(self, labels: Labels) -> Sheet:
        """Return what an export says."""
        return _read_content([self._task(labels)], labels, "")

    def to_world(
        self,
        labels: Labels,
        box: Float64[np.ndarray, "row 7"],
        step: Int64[np.ndarray, " row"],
    ) -> Float64[np.ndarray, "row 7"]:
        """Bring boxes from the picture, in metres from its middle, to the world."""
        middle, _ = _picture(labels)
        world = box.copy()
        world[:, : BoxIndex.Z] += middle[step]
        world[:, BoxIndex.HEADING] = wrap_angle(box[:, BoxIndex.HEADING])
        return world

    def _task(self, labels: Labels) -> dict[str, Any]:
        clock = labels.scene.clock
        cell, box, side = _flat_boxes(labels)
        numbers = _to_percent(box, side)
        regions = []
        # Cells are by agent and step.
        agents, first = np.unique(labels.agent[cell], return_index=True)
        bounds = [*first.tolist(), len(cell)]
        for agent, low, high in zip(agents.tolist(), bounds[:-1], bounds[1:], strict=True):
            own = np.arange(low, high)
            step = labels.step[cell[own]]
            goes_on = np.append(np.diff(step) == 1, False)
            names = [Kind(int(labels.kind[agent])).name.lower()]
            if (labels.provenance[cell[own]] == Provenance.REVIEWED).all():
                names.append(_CONFIRMED)
            regions.append(
                {
                    "id": f"agent-{agent}",
                    "type": "videorectangle",
                    "from_name": "box",
                    "to_name": "video",
                    "origin": "prediction",
                    "score": float(labels.confidence[cell[own]].mean()),
                    "meta": {"text": [labels.ids[agent]]},
                    "value": {
                        "framesCount": clock.steps,
                        "duration": clock.duration,
                        "labels": names,
                        "sequence": [
                            {
                                "frame": int(step[i]) + 1,
                                "enabled": bool(goes_on[i]),
                                "time": float(step[i] * clock.dt),
                                **dict(
                                    zip(
                                        ("x", "y", "width", "height", "rotation"),
                                        numbers[row].tolist(),
                                        strict=True,
                                    )
                                ),
                            }
                            for i, row in enumerate(own.tolist())
                        ],
                    },
                }
            )
        return {
            "data": {"video": "view.mp4", "review": identify_labels(labels).to_text()},
            "predictions": [{"model_version": "kerbstone", "result": regions}],
        }


def _interface(labels: Labels) -> str:
    """Return the labeling interface of a project."""
    names = [*LabelStudioReview.kinds, _CONFIRMED]
    rate = quoteattr(f"{labels.scene.clock.hz:g}")
    lines = [f"    <Label value={quoteattr(name)}/>" for name in names]
    return "\n".join(
        [
            "<View>",
            f'  <Video name="video" value="$video" frameRate={rate}/>',
            '  <VideoRectangle name="box" toName="video"/>',
            '  <Labels name="class" toName="video" choice="multiple">',
            *lines,
            "  </Labels>",
            "</View>\n",
        ]
    )


def _picture(labels: Labels) -> tuple[Float64[np.ndarray, "time 2"], float]:
    """Return the middle of the picture at each step [m], and its side [m]."""
    path = sensor_path(labels.scene)
    if path is not None:
        known = np.flatnonzero(np.isfinite(path).all(axis=1))
        if len(known):
            # Where the car is not known the picture stays where it was.
            held = known[
                np.clip(np.searchsorted(known, np.arange(len(path)), "right") - 1, 0, None)
            ]
            return path[held], _SIDE
    steps = labels.scene.clock.steps
    if not len(labels):
        return np.zeros((steps, 2)), _SIDE
    low, high = labels.place[:, :2].min(axis=0), labels.place[:, :2].max(axis=0)
    side = max(_SIDE, float((high - low).max()) + 2 * _MARGIN)
    return np.tile((low + high) / 2, (steps, 1)), side


def _flat_boxes(
    labels: Labels,
) -> tuple[Int64[np.ndarray, " row"], Float64[np.ndarray, "row 7"], float]:
    """Return the cells in the picture, their boxes in metres from its middle, and its side [m]."""
    middle, side = _picture(labels)
    box = labels.boxes()
    box[:, : BoxIndex.Z] -= middle[labels.step]
    cell = np.flatnonzero((np.abs(box[:, : BoxIndex.Z]) <= side / 2).all(axis=1))
    return cell, box[cell], side


def _to_percent(box: Float64[np.ndarray, "row 7"], side: float) -> Float64[np.ndarray, "row 5"]:
    """Return x, y, width, height in percent and rotation in degrees.

    The corner that a rectangle turns about is its rear left one: with the front to the right and
    y down it is the upper left one.
    """
    cos, sin = np.cos(box[:, BoxIndex.HEADING]), np.sin(box[:, BoxIndex.HEADING])
    half_length, half_width = box[:, BoxIndex.LENGTH] / 2, box[:, BoxIndex.WIDTH] / 2
    x = box[:, BoxIndex.X] - half_length * cos - half_width * sin
    y = box[:, BoxIndex.Y] - half_length * sin + half_width * cos
    turn = np.rad2deg(wrap_angle(-box[:, BoxIndex.HEADING]))
    scale = 100 / side
    return np.column_stack(
        [50 + x * scale, 50 - y * scale, 2 * half_length * scale, 2 * half_width * scale, turn]
    )


def _from_percent(
    numbers: Float64[np.ndarray, "row 5"], side: float
) -> Float64[np.ndarray, "row 7"]:
    """Return boxes in metres from the picture's middle, without heights."""
    scale = side / 100
    box = np.full((len(numbers), len(BoxIndex)), np.nan)
    heading = np.deg2rad(-numbers[:, 4])
    length, width = numbers[:, 2] * scale, numbers[:, 3] * scale
    cos, sin = np.cos(heading), np.sin(heading)
    box[:, BoxIndex.X] = (numbers[:, 0] - 50) * scale + (length * cos + width * sin) / 2
    box[:, BoxIndex.Y] = (50 - numbers[:, 1]) * scale + (length * sin - width * cos) / 2
    box[:, BoxIndex.HEADING] = wrap_angle(heading)
    box[:, BoxIndex.LENGTH], box[:, BoxIndex.WIDTH] = length, width
    return box


def _read_content(content: Any, labels: Labels, path: str) -> Sheet:
    task = _task_of(content, labels, path)
    _, side = _picture(labels)
    rows = [
        row
        for number, region in _regions(task, path)
        for row in _rows(number, region, labels, path)
    ]
    numbers = np.array([row[3] for row in rows], np.float64).reshape(-1, 5)
    return Sheet(
        agent=tuple(row[0] for row in rows),
        group=tuple(row[1] for row in rows),
        step=np.array([row[2] for row in rows], np.int64),
        box=_from_percent(numbers, side),
        name=tuple(row[4] for row in rows),
        is_key=np.array([row[5] for row in rows], bool),
        is_confirmed=np.array([row[6] for row in rows], bool),
        where=tuple(row[7] for row in rows),
    )


def _task_of(content: Any, labels: Labels, path: str) -> dict[str, Any]:
    """Return the one task of a file that is of these labels."""
    tasks = content if isinstance(content, list) else [content]
    if len(tasks) != 1:
        raise InputError(
            "syntax",
            "a file should hold the one task that was exported",
            where=path,
            why=f"it holds {len(tasks)}",
            remedy="export the task by itself",
        )
    data = take_field(tasks[0], "data", dict, f"{path}, task 0")
    text = take_field(data, "review", str, f"{path}, data of task 0")
    check_identity(Identity.from_text(text, where=path), labels, where=path)
    return tasks[0]


def _regions(task: dict[str, Any], path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give the regions of the annotation that counts: of a person, else of the prediction."""
    done = [
        each
        for each in task.get("annotations") or []
        if not (isinstance(each, dict) and each.get("was_cancelled"))
    ]
    if len(done) > 1:
        raise InputError(
            "duplicate",
            "a task has several annotations, and nothing says which counts",
            where=path,
            why=f"{len(done)} of them",
            remedy="delete all but one of them in Label Studio, and export again",
        )
    chosen = done or task.get("predictions") or []
    if len(chosen) != 1:
        raise InputError("empty", "a task has no annotation", where=path)
    for number, region in enumerate(take_field(chosen[0], "result", list, path)):
        if take_field(region, "type", str, f"{path}, region {number}") == "videorectangle":
            yield number, region


_Row = tuple[str, str, int, tuple[float, ...], str, bool, bool, str]


def _rows(number: int, region: dict[str, Any], labels: Labels, path: str) -> Iterator[_Row]:
    """Give the key frames of a region, and the steps between them in which it lives on."""
    steps = labels.scene.clock.steps
    where = f"{path}, region {number}"
    value = take_field(region, "value", dict, where)
    classes = take_field(value, "labels", list, where)
    named = [name for name in classes if name != _CONFIRMED]
    if len(named) != 1 or not isinstance(named[0], str):
        raise InputError(
            "value", "a region should have one class", where=where, why=f"{classes!r:.80}"
        )
    agent = _agent_of(region, where)
    keys = [
        _key(each, steps, f"{where}, key frame {i}")
        for i, each in enumerate(take_field(value, "sequence", list, where))
    ]
    keys.sort(key=lambda key: key[0])
    sure = _CONFIRMED in classes
    for i, (step, goes_on, numbers, place) in enumerate(keys):
        yield agent, where, step, numbers, named[0], True, sure, place
        # A lifespan without an end lasts to the end of the video.
        end = keys[i + 1][0] if i + 1 < len(keys) else step + 1
        for between in range(step + 1, end if goes_on else step + 1):
            yield agent, where, between, numbers, named[0], False, False, place


def _agent_of(region: dict[str, Any], where: str) -> str:
    meta = region.get("meta") or {}
    text = meta.get("text") if isinstance(meta, dict) else None
    text = text[0] if isinstance(text, list) and len(text) == 1 else text
    if text in (None, "", []):
        return ""
    if not isinstance(text, str):
        raise InputError(
            "value", "the text of a region is no name of a track", where=where, why=f"{text!r:.80}"
        )
    return text.strip()


def _key(record: Any, steps: int, where: str) -> tuple[int, bool, tuple[float, ...], str]:
    frame = take_field(record, "frame", int, where)
    if not 1 <= frame <= steps:
        raise InputError(
            "clock",
            "a key frame lies outside the log's time",
            where=where,
            why=f"frame {frame}, the log has 1 to {steps}",
        )
    numbers = [
        check_number(record.get(name), name, where) for name in ("x", "y", "width", "height")
    ]
    turn = check_number(record.get("rotation", 0.0), "rotation", where)
    return frame - 1, record.get("enabled", True) is not False, (*numbers, turn), where
