"""The head of a scene: all that does not change with time, as one row of `scenes`."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64, UInt8

from kerbstone.errors import InputError
from kerbstone.scene import Agents, Clock, DrivingSide, EgoPoses, Kind, Scene, Source
from kerbstone.store.columns import arrays, checksum, typed
from kerbstone.store.layout import CHUNK_STEPS, SCENES

_NAMES = ("agent_id", "agent_label")
_ARRAYS = ("agent_kind", "agent_size", "signal_lane", "signal_stop")
_SOURCE = (
    *("dataset", "log", "town", "licence", "driving_side", "path", "split", "simulated"),
    *("derived", "extra"),
)
SOURCE_COLUMNS = ["id", *_SOURCE, "source_checksum"]
"""The columns of `scenes` that a source is read from."""

_POSES = ("pose_time", "pose_translation", "pose_rotation")
POSE_COLUMNS = ["id", *_POSES, "pose_checksum"]
"""The columns of `scenes` that ego poses are read from."""


@dataclass(frozen=True)
class Key:
    """The small values of a scene, which are held in memory for all scenes.

    Args:
        id: Name of the scene.
        part: What its rows in the other tables are marked with.
        map_part: The same for its map, None where it has none.
        start_ns: Start of its clock.
        dt_ns: Step of its clock.
        steps: Steps of its clock.
        has_offsets: Whether its clock has offsets.
        chunk_steps: Time steps in each of its rows of `states`.
        ego: Row of the recording car.
        signals: Number of its traffic lights, None where it says nothing of lights.
        checksum: Checksum of its head.
    """

    id: str
    part: int
    map_part: int | None
    start_ns: int
    dt_ns: int
    steps: int
    has_offsets: bool
    chunk_steps: int
    ego: int | None
    signals: int | None
    checksum: int

    @property
    def clock(self) -> Clock:
        """The scene's clock, without offsets."""
        return Clock(self.start_ns, self.dt_ns, self.steps)


KEY_COLUMNS = tuple(field.name for field in fields(Key))
_SEALED = (*(name for name in KEY_COLUMNS if name not in ("part", "checksum")), *_NAMES, *_ARRAYS)


@dataclass(frozen=True, eq=False)
class Head:
    """All that does not change with time and that a stretch of a scene needs.

    Args:
        key: The scene's small values.
        agent_ids: Name of each agent.
        agent_kind: Kind of each agent.
        agent_label: The format's class name of each agent.
        agent_size: Size of each agent [m].
        signal_lane: Lane of each traffic light, None where the scene says nothing of lights.
        signal_stop: Where to stop for it [m].
    """

    key: Key
    agent_ids: tuple[str, ...]
    agent_kind: UInt8[np.ndarray, " agent"]
    agent_label: tuple[str, ...]
    agent_size: Float64[np.ndarray, "agent 3"]
    signal_lane: Int64[np.ndarray, " signal"] | None
    signal_stop: Float64[np.ndarray, "signal 3"] | None


def head_row(scene: Scene, *, part: int, map_part: int | None) -> dict[str, Any]:
    """Return a scene's own columns of its row in `scenes`.

    Raises:
        InputError: `source.extra` is not made of JSON values.
    """
    source, agents, signals, poses = scene.source, scene.agents, scene.signals, scene.ego_poses
    row = {
        "id": scene.id,
        "part": part,
        "map_part": map_part,
        "start_ns": int(scene.clock.start_ns),
        "dt_ns": int(scene.clock.dt_ns),
        "steps": int(scene.clock.steps),
        "has_offsets": scene.clock.offset_ns is not None,
        "chunk_steps": CHUNK_STEPS,
        "ego": None if scene.ego is None else int(scene.ego),
        "signals": None if signals is None else len(signals),
        "agent_id": agents.ids,
        "agent_kind": agents.kind,
        "agent_label": agents.label,
        "agent_size": agents.size,
        "signal_lane": None if signals is None else signals.lane,
        "signal_stop": None if signals is None else signals.stop_point,
        **{name: getattr(source, name) for name in _SOURCE},
        "driving_side": int(source.driving_side),
        "extra": _to_json(source.extra, scene.id),
        "pose_time": None if poses is None else poses.times_ns,
        "pose_translation": None if poses is None else poses.translation,
        "pose_rotation": None if poses is None else poses.rotation,
    }
    row = typed(SCENES, row)
    sums = {
        "checksum": checksum(row[name] for name in _SEALED),
        "source_checksum": checksum(row[name] for name in _SOURCE),
        "pose_checksum": checksum(row[name] for name in _POSES),
    }
    return row | sums | _summary(scene)


def head_columns(key: Key) -> list[str]:
    """Return the columns of `scenes` that a head is read from, besides its key."""
    return [*_NAMES, *(_ARRAYS[:2] if key.signals is None else _ARRAYS)]


def read_head(key: Key, rows: pa.Table) -> Head:
    """Return the head of a scene.

    Args:
        key: The scene's key.
        rows: Its row in `scenes`, of `head_columns`.

    Raises:
        InputError: The row was changed since it was written.
    """
    row: dict[str, Any] = {**dict.fromkeys(_ARRAYS), **vars(key)}
    for name in rows.column_names:
        row[name] = rows.column(name)[0].as_py() if name in _NAMES else arrays(rows, name)[0]
    _check(row, _SEALED, "checksum", "the agents of a scene")
    lane, stop = row["signal_lane"], row["signal_stop"]
    return Head(
        key=key,
        agent_ids=tuple(row["agent_id"]),
        agent_kind=row["agent_kind"].copy(),
        agent_label=tuple(row["agent_label"]),
        agent_size=row["agent_size"].reshape(-1, 3).copy(),
        signal_lane=None if lane is None else lane.copy(),
        signal_stop=None if stop is None else stop.reshape(-1, 3).copy(),
    )


def read_source(rows: pa.Table) -> Source:
    """Return the source that one row of `SOURCE_COLUMNS` holds.

    Raises:
        InputError: The row was changed since it was written.
    """
    row = rows.to_pylist()[0]
    _check(row, _SOURCE, "source_checksum", "the source of a scene")
    known = {name: row[name] for name in _SOURCE} | {
        "driving_side": DrivingSide(row["driving_side"]),
        "derived": tuple(row["derived"]),
        "extra": json.loads(row["extra"]),
    }
    return Source(**known)


def read_poses(rows: pa.Table) -> EgoPoses | None:
    """Return the ego poses that one row of `POSE_COLUMNS` holds, if any.

    Raises:
        InputError: The row was changed since it was written.
    """
    row = rows.select(["id", "pose_checksum"]).to_pylist()[0]
    row |= {name: arrays(rows, name)[0] for name in _POSES}
    _check(row, _POSES, "pose_checksum", "the ego poses of a scene")
    times, translation, rotation = (row[name] for name in _POSES)
    if times is None:
        return None
    return EgoPoses(times.copy(), translation.reshape(-1, 3).copy(), rotation.reshape(-1, 4).copy())


def _check(row: dict[str, Any], names: tuple[str, ...], sum_name: str, what: str) -> None:
    if checksum(row[name] for name in names) != row[sum_name]:
        raise InputError(
            "store-damaged",
            f"{what} are not as they were written",
            where=f"scene {row['id']}",
            why="the checksum differs",
        )


def _to_json(extra: Any, scene_id: str) -> str:
    try:
        return json.dumps(dict(extra))
    except (TypeError, ValueError) as error:
        raise InputError(
            "value",
            "source.extra is not made of JSON values",
            where=f"scene {scene_id}",
            why=str(error),
        ) from error


def _summary(scene: Scene) -> dict[str, Any]:
    agents = scene.agents
    counts = np.bincount(agents.kind, minlength=len(Kind))
    travelled = _distance(agents)
    return {
        "cameras": len(scene.cameras),
        "lidars": len(scene.lidars),
        "duration": scene.clock.duration,
        "agents": len(agents),
        "agent_frames": int(agents.valid.sum()),
        "kinds": {kind.name.lower(): int(counts[kind]) for kind in Kind},
        "ego_distance": None if scene.ego is None else float(travelled[scene.ego]),
        "agent_distance": float(travelled.sum()),
        "map": None if scene.map is None else scene.map.id,
    } | bounds_of(agents.centre[agents.valid])


def bounds_of(points: Float64[np.ndarray, "point 3"]) -> dict[str, float | None]:
    """Return the columns `min_x` to `max_y` of points [m]; null where there are none."""
    names = ("min_x", "min_y", "max_x", "max_y")
    if not len(points):
        return dict.fromkeys(names)
    corners = np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])
    return dict(zip(names, corners.tolist(), strict=True))


def _distance(agents: Agents) -> Float64[np.ndarray, " agent"]:
    """Return how far each agent went [m]; a gap in its track counts for nothing."""
    with np.errstate(over="ignore", invalid="ignore"):
        moved = np.diff(agents.centre[..., :2], axis=1)
        return np.nansum(np.hypot(moved[..., 0], moved[..., 1]), axis=1)
