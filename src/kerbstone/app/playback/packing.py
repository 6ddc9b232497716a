"""A scene as JSON values for the page."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.app.playback.codec import CM, TENTH_DEG, pack, quantise
from kerbstone.app.playback.lights import pack_signals
from kerbstone.app.playback.plans import Plans, pack_plans
from kerbstone.app.playback.road import pack_road
from kerbstone.scene import DrivingSide, Scene

_SIDES = {DrivingSide.RIGHT: "right-hand", DrivingSide.LEFT: "left-hand"}


def pack_scene(scene: Scene, plans: Plans | None = None) -> dict[str, Any]:
    """Return a scene for the page, all positions relative to an origin near the agents.

    Agents that are never there, as a window of a scene has them, are left out.
    """
    shown = np.flatnonzero(scene.agents.valid.any(axis=1))
    agents = scene.agents.select(shown)
    ego = None
    if scene.ego is not None and scene.ego in shown:
        ego = int(np.searchsorted(shown, scene.ego))
    positions = agents.centre[..., :2][agents.valid]
    origin = _find_origin(scene, positions)
    return {
        "id": scene.id,
        "about": _describe(scene),
        "startNs": str(scene.clock.start_ns),
        "dt": scene.clock.dt,
        "steps": scene.clock.steps,
        "origin": origin.tolist(),
        "ego": ego,
        "ids": list(agents.ids),
        "labels": list(agents.label),
        "kind": agents.kind.tolist(),
        "size": pack(quantise(agents.size, CM).ravel()),
        "tracks": _pack_tracks(
            agents.valid, agents.centre[..., :2] - origin, agents.heading, agents.velocity
        ),
        "road": pack_road(scene.map, positions, origin),
        "signals": pack_signals(scene.map, scene.signals, origin),
        "plans": None if plans is None or not plans.drawings else pack_plans(plans, origin),
    }


def _describe(scene: Scene) -> list[list[str]]:
    source = scene.source
    facts = {
        "Data set": source.dataset,
        "Log": source.log,
        "Split": source.split,
        "Town": source.town,
        "Traffic": _SIDES.get(source.driving_side, ""),
        "Map": "none" if scene.map is None else scene.map.id,
        "Rate": f"{scene.clock.hz:.4g} Hz",
        "Cameras": ", ".join(camera.name for camera in scene.cameras),
        "Lidars": ", ".join(lidar.name for lidar in scene.lidars),
        "Derived": ", ".join(source.derived),
        "Made by": "a simulator" if source.simulated else "",
        "Licence": source.licence,
    }
    return [[label, text] for label, text in facts.items() if text]


def _find_origin(scene: Scene, positions: Float64[np.ndarray, "cell 2"]) -> np.ndarray:
    if not len(positions):
        positions = np.zeros((1, 2)) if scene.map is None else scene.map.points[:, :2]
    return np.rint(np.median(positions, axis=0))


def _pack_tracks(
    valid: Bool[np.ndarray, "agent time"],
    centre: Float64[np.ndarray, "agent time 2"],
    heading: Float64[np.ndarray, "agent time"],
    velocity: Float64[np.ndarray, "agent time 2"],
) -> dict[str, str]:
    """Pack each agent from its first to its last step, one after the other."""
    steps = valid.shape[1]
    first = np.argmax(valid, axis=1)
    last = steps - 1 - np.argmax(valid[:, ::-1], axis=1)
    index = np.arange(steps)
    within = (index >= first[:, None]) & (index <= last[:, None])
    there = valid[within]
    # A gap repeats what came before it: nothing of it is shown, and repeats take no space.
    held = np.maximum.accumulate(np.where(there, np.arange(len(there)), 0))

    def pack_cells(cells: Float64[np.ndarray, "agent time"], per_unit: float) -> str:
        return pack(quantise(cells[within][held], per_unit))

    return {
        "first": pack(first),
        "count": pack(last - first + 1),
        "valid": pack(there),
        "x": pack_cells(centre[..., 0], CM),
        "y": pack_cells(centre[..., 1], CM),
        "heading": pack_cells(heading, TENTH_DEG),
        "vx": pack_cells(velocity[..., 0], CM),
        "vy": pack_cells(velocity[..., 1], CM),
    }
