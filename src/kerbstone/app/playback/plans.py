"""Plans as the page draws them: what is planned at some moments of a scene, and what guards it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from kerbstone.app.playback.codec import CM, TENTH_DEG, pack, quantise

Poses = Float64[np.ndarray, "_ 4"]
"""Middle of a box [m], heading [rad] and speed [m/s], one row after each step."""

Line = Float64[np.ndarray, "_ 2"]


@dataclass(frozen=True, eq=False)
class Drive:
    """A way that a car may drive.

    Args:
        poses: Where it is, from now on.
        name: What it is called.
        note: A few words more.
        dt: Between two poses [s].
        weight: Its part of all, from 0 to 1.
    """

    poses: Poses
    name: str
    note: str
    dt: float
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Forecast:
    """Where one of the others is predicted to be in one mode.

    Args:
        poses: Where it is after each step; they end where nothing is predicted any more.
        dt: Length of a step [s].
        size: Length and width [m].
        mode: Row of the mode.
    """

    poses: Poses
    dt: float
    size: tuple[float, float]
    mode: int


@dataclass(frozen=True, eq=False)
class Reach:
    """Where others may be within an interval of time, at most.

    Args:
        start: Its start from now [s].
        end: Its end [s].
        rings: Outlines of what is reached, and of the holes in it.
    """

    start: float
    end: float
    rings: tuple[Line, ...]


@dataclass(frozen=True, eq=False)
class BlindArea:
    """A part of what the car does not see, or what matters in it.

    Args:
        rings: Its outline, and those of the holes in it.
        is_lane: Whether vehicles are expected there, else people on foot.
        name: What matters there; empty for a part as a whole.
        is_bad: Whether one from there is why the shield holds.
    """

    rings: tuple[Line, ...]
    is_lane: bool
    name: str = ""
    is_bad: bool = False


@dataclass(frozen=True, eq=False)
class Fact:
    """A line of the panel.

    Args:
        label: What it is.
        text: Its value.
        tone: "good", "bad" or neither.
        note: All of it, where the text is short.
    """

    label: str
    text: str
    tone: str = ""
    note: str = ""


@dataclass(frozen=True, eq=False)
class PlanDrawing:
    """What is planned at one moment.

    Args:
        time: When, from the start of the scene on the page [s].
        facts: What the panel says.
        branches: The plan in each mode.
        others: Other plans, cheapest first.
        failsafe: The fail-safe, None where there is none.
        is_verified: Whether the fail-safe is.
        reaches: Where the others may be.
        forecasts: Where they are predicted to be.
        corridor: Left and right edge of the corridor, as many points on each.
        known: So many of these points lie on the known way.
        blind: What the car does not see; None where nobody is taken to be hidden.
    """

    time: float
    facts: tuple[Fact, ...]
    branches: tuple[Drive, ...]
    others: tuple[Drive, ...]
    failsafe: Drive | None
    is_verified: bool
    reaches: tuple[Reach, ...]
    forecasts: tuple[Forecast, ...]
    corridor: tuple[Line, Line]
    known: int
    blind: tuple[BlindArea, ...] | None = None


@dataclass(frozen=True, eq=False)
class Plans:
    """All that is planned in a scene.

    Args:
        drawings: At each moment, in the order of time.
        size: Length and width of the car that is planned for [m].
    """

    drawings: tuple[PlanDrawing, ...]
    size: tuple[float, float]


def pack_plans(plans: Plans, origin: Float64[np.ndarray, " 2"]) -> dict[str, Any]:
    """Return plans as JSON values: all poses and all lines one after the other, and their counts.

    Args:
        plans: The plans.
        origin: What all coordinates are relative to [m].
    """
    poses: list[np.ndarray] = []
    lines: list[np.ndarray] = []

    def drive(one: Drive) -> dict[str, Any]:
        poses.append(one.poses)
        about = {"name": one.name, "note": one.note, "dt": one.dt, "weight": one.weight}
        return {**about, "count": len(one.poses)}

    def forecast(one: Forecast) -> dict[str, Any]:
        poses.append(one.poses)
        return {"dt": one.dt, "size": list(one.size), "mode": one.mode, "count": len(one.poses)}

    def line(points: np.ndarray) -> int:
        lines.append(points)
        return len(points)

    # The page reads poses and lines in this order.
    moments = [
        {
            "time": one.time,
            "facts": [[fact.label, fact.text, fact.tone, fact.note] for fact in one.facts],
            "branches": [drive(branch) for branch in one.branches],
            "others": [drive(other) for other in one.others],
            "failsafe": None if one.failsafe is None else drive(one.failsafe),
            "isVerified": one.is_verified,
            "forecasts": [forecast(each) for each in one.forecasts],
            "corridor": [line(edge) for edge in one.corridor],
            "known": one.known,
            "reaches": [
                {"start": reach.start, "end": reach.end, "rings": [line(r) for r in reach.rings]}
                for reach in one.reaches
            ],
            "blind": [
                {
                    "isLane": area.is_lane,
                    "name": area.name,
                    "isBad": area.is_bad,
                    "rings": [line(ring) for ring in area.rings],
                }
                for area in one.blind or ()
            ],
        }
        for one in plans.drawings
    ]
    return {
        "size": list(plans.size),
        "moments": moments,
        "poses": _pack_poses(_join(poses, 4), origin),
        "lines": _pack_points(_join(lines, 2), origin),
    }


def _join(parts: Sequence[np.ndarray], columns: int) -> np.ndarray:
    return np.concatenate([np.zeros((0, columns)), *parts])


def _pack_points(points: np.ndarray, origin: np.ndarray) -> dict[str, str]:
    moved = points - origin
    return {"x": pack(quantise(moved[:, 0], CM)), "y": pack(quantise(moved[:, 1], CM))}


def _pack_poses(poses: np.ndarray, origin: np.ndarray) -> dict[str, str]:
    return {
        **_pack_points(poses[:, :2], origin),
        "heading": pack(quantise(poses[:, 2], TENTH_DEG)),
        "speed": pack(quantise(poses[:, 3], CM)),
    }
