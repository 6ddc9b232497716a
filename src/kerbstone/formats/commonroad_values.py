"""Values as CommonRoad writes them: numbers, places and shapes, exact or not."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerbstone.errors import InputError


@dataclass(frozen=True)
class BodyBox:
    """An obstacle's box in its own frame.

    Args:
        length: Along the body [m].
        width: Across it [m].
        x: How far its middle lies ahead of the obstacle's position [m].
        y: How far to the left [m].
        turn: How far it is turned [rad].
    """

    length: float
    width: float
    x: float = 0.0
    y: float = 0.0
    turn: float = 0.0


def find(node: ET.Element, name: str, where: str) -> ET.Element:
    """Return a child element.

    Raises:
        InputError: There is none of that name.
    """
    child = node.find(name)
    if child is None:
        raise InputError(
            "column",
            f"<{node.tag}> lacks <{name}>",
            where=where,
            why="it has " + (", ".join(f"<{c.tag}>" for c in node) or "nothing"),
        )
    return child


def read_text_of(node: ET.Element, name: str, where: str) -> str:
    """Return the text of a child element."""
    return (find(node, name, where).text or "").strip()


def read_float(node: ET.Element, name: str, where: str) -> float:
    """Return the number in a child element.

    Raises:
        InputError: It is missing, or not a finite number.
    """
    text = read_text_of(node, name, where)
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InputError("value", f"<{name}> is not a number", where=where, why=f"it is {text!r}")
    return value


def read_number(node: ET.Element, where: str) -> tuple[float, bool]:
    """Return a value and whether it is exact; of an interval, its middle."""
    if node.find("exact") is not None:
        return read_float(node, "exact", where), True
    start = read_float(node, "intervalStart", where)
    return (start + read_float(node, "intervalEnd", where)) / 2, False


def read_point(node: ET.Element, where: str) -> tuple[float, float, float]:
    """Return a point [m]; z is NaN where it is not given."""
    z = read_float(node, "z", where) if node.find("z") is not None else np.nan
    return read_float(node, "x", where), read_float(node, "y", where), z


def read_place(node: ET.Element, where: str) -> tuple[float, float, float, bool]:
    """Return a position [m] and whether it is exact; of a region, its middle.

    Raises:
        InputError: It is neither a point nor a rectangle, circle or polygon.
    """
    point = node.find("point")
    if point is not None:
        return *read_point(point, where), True
    box = body_box(node, where)
    return box.x, box.y, np.nan, False


def body_box(shape: ET.Element, where: str) -> BodyBox:
    """Return the box of a shape; of several, and of a polygon, the one around it all.

    Of a lorry with a trailer it is the box of the lorry.

    Raises:
        InputError: The shape is empty, unknown or has no size.
    """
    boxes = [_read_box(node, where) for node in shape]
    if not boxes:
        raise InputError("column", f"<{shape.tag}> is empty", where=where)
    if len(boxes) == 1:
        return boxes[0]
    return _around(np.concatenate([_corners(box) for box in boxes]))


def _read_box(node: ET.Element, where: str) -> BodyBox:
    if node.tag == "rectangle":
        turn = read_float(node, "orientation", where) if _has(node, "orientation") else 0.0
        # The position may be another point of the rectangle than its middle.
        shift = read_float(node, "originXShift", where) if _has(node, "originXShift") else 0.0
        x, y = _centre(node, where)
        length, width = (read_float(node, name, where) for name in ("length", "width"))
        box = BodyBox(length, width, x - shift * np.cos(turn), y - shift * np.sin(turn), turn)
    elif node.tag == "circle":
        diameter = 2 * read_float(node, "radius", where)
        box = BodyBox(diameter, diameter, *_centre(node, where))
    elif node.tag == "polygon":
        points = np.array([read_point(point, where) for point in node.iterfind("point")])
        if len(points) < 3:
            raise InputError(
                "geometry", "a polygon needs three points", where=where, why=f"{len(points)}"
            )
        box = _around(points[:, :2])
    elif node.tag == "truckShape":
        size = find(node, "truckDims", where)
        shift = read_float(node, "originXShift", where)
        box = BodyBox(read_float(size, "length", where), read_float(size, "width", where), x=-shift)
    elif node.tag == "semiTrailerTruckShape":
        box = _read_box(find(node, "truckShape", where), where)
    elif node.tag in ("shapeGroup", "shape"):
        box = body_box(node, where)
    else:
        raise InputError("label", f"unknown shape <{node.tag}>", where=where)
    if not (box.length > 0 and box.width > 0):
        raise InputError(
            "value",
            "a shape has no size",
            where=where,
            why=f"length {box.length} m, width {box.width} m",
        )
    return box


def as_json(node: ET.Element) -> Any:
    """Return an element as JSON values: a number, a text, a list, or a mapping of children.

    Exact values become numbers, intervals lists of two, references the id they refer to, and
    children of one name a list.
    """
    children = list(node)
    names = [child.tag for child in children]
    if not children:
        text = node.get("ref", node.text or "").strip()
        try:
            return float(text) if np.isfinite(float(text)) else text
        except ValueError:
            return text
    if names == ["exact"]:
        return as_json(children[0])
    if names == ["intervalStart", "intervalEnd"]:
        return [as_json(child) for child in children]
    values: dict[str, Any] = {"id": node.get("id")} if "id" in node.attrib else {}
    for child in children:
        if names.count(child.tag) > 1:
            values.setdefault(child.tag, []).append(as_json(child))
        else:
            values[child.tag] = as_json(child)
    return values


def _has(node: ET.Element, name: str) -> bool:
    return node.find(name) is not None


def _centre(node: ET.Element, where: str) -> tuple[float, float]:
    centre = node.find("center")
    return (0.0, 0.0) if centre is None else read_point(centre, where)[:2]


def _corners(box: BodyBox) -> np.ndarray:
    half = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * [box.length / 2, box.width / 2]
    cos, sin = np.cos(box.turn), np.sin(box.turn)
    return half @ np.array([[cos, sin], [-sin, cos]]) + [box.x, box.y]


def _around(points: np.ndarray) -> BodyBox:
    low, high = points.min(axis=0), points.max(axis=0)
    length, width = (high - low).tolist()
    x, y = ((high + low) / 2).tolist()
    return BodyBox(length, width, x, y)
