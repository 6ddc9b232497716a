"""A scene made ready for a viewer in space: nothing is missing, and numbers are near zero.

Viewers keep positions as 32-bit floats, which are half a metre coarse in a national grid. So all
is relative to an origin near the agents. Heights, sizes and headings that a format does not give
are filled in here, and only for display.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from kerbstone.errors import InputError
from kerbstone.formats.appearance import agent_colours, agent_sizes, piece_colour, split_colours
from kerbstone.scene import SE3, Camera, Lidar, Marking, PieceKind, Scene


@dataclass(frozen=True, eq=False)
class Stage:
    """What stands where, relative to `origin`.

    Args:
        origin: Where the stage's zero lies in the scene's world frame, whole metres [m].
        centre: Centres of the agents' boxes [m]; NaN where an agent is not there.
        rotation: Directions of the boxes, as quaternions w, x, y, z.
        size: Length, width, height of each agent [m].
        colour: Red, green and blue of each agent.
        ground: Height at which lines without a height lie [m].
    """

    origin: Float64[np.ndarray, " 3"]
    centre: Float64[np.ndarray, "agent time 3"]
    rotation: Float64[np.ndarray, "agent time 4"]
    size: Float64[np.ndarray, "agent 3"]
    colour: UInt8[np.ndarray, "agent 3"]
    ground: float


@dataclass(frozen=True, eq=False)
class Layer:
    """The pieces of a map of one kind.

    Args:
        name: The kind, in lower case.
        lines: The vertices of each piece, relative to the stage's origin [m].
        colour: Red, green and blue of each piece.
    """

    name: str
    lines: list[Float64[np.ndarray, "_ 3"]]
    colour: UInt8[np.ndarray, "piece 3"]


def set_stage(scene: Scene) -> Stage:
    """Return where everything stands in a viewer."""
    agents = scene.agents
    origin = np.zeros(3)
    if agents.valid.any():
        origin[:2] = np.rint(np.median(agents.centre[..., :2][agents.valid], axis=0))
    elif scene.map is not None:
        origin[:2] = np.rint(np.median(scene.map.points[:, :2], axis=0))
    size = agent_sizes(scene)
    ground = _find_ground(scene, size)
    centre = agents.centre - origin
    standing = (ground + size[:, 2] / 2)[:, None]
    centre[..., 2] = np.where(np.isfinite(centre[..., 2]), centre[..., 2], standing)
    centre[~agents.valid] = np.nan
    heading = np.nan_to_num(agents.heading)
    return Stage(
        origin=origin,
        centre=centre,
        rotation=SE3.from_yaw(heading, np.zeros((*heading.shape, 3))).rotation,
        size=size,
        colour=agent_colours(scene),
        ground=ground,
    )


def map_layers(scene: Scene, stage: Stage) -> Iterator[Layer]:
    """Give the scene's map, one layer for each kind of piece that it has."""
    road = scene.map
    if road is None:
        return
    for kind in PieceKind:
        pieces = road.pieces_of(kind)
        if not len(pieces):
            continue
        lines = [road.piece(int(piece)) - stage.origin for piece in pieces]
        for line in lines:
            line[:, 2] = np.where(np.isfinite(line[:, 2]), line[:, 2], stage.ground)
        markings = (Marking(int(road.marking[piece])) for piece in pieces)
        colour = split_colours(piece_colour(kind, marking) for marking in markings)
        yield Layer(kind.name.lower(), lines, colour)


def ego_track(scene: Scene, stage: Stage) -> tuple[Int64[np.ndarray, " pose"], SE3] | None:
    """Return times and poses of the ego frame within the scene, relative to the stage's origin.

    Where a format has no poses of its own, the frame lies in the centre of the ego's box.

    Returns:
        None where there is no ego.
    """
    first, last = int(scene.clock.times_ns[0]), int(scene.clock.times_ns[-1])
    poses = scene.ego_poses
    if poses is not None:
        within = (poses.times_ns >= first) & (poses.times_ns <= last)
        if within.any():
            shifted = poses.translation[within] - stage.origin
            return poses.times_ns[within], SE3(poses.rotation[within], shifted)
    if scene.ego is None:
        return None
    there = scene.agents.valid[scene.ego]
    pose = SE3(stage.rotation[scene.ego, there], stage.centre[scene.ego, there])
    return scene.clock.times_ns[there], pose


def steps_at(scene: Scene, times_ns: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Return the step that is under way at each time."""
    step = (times_ns - scene.clock.start_ns) // scene.clock.dt_ns
    return np.clip(step, 0, scene.clock.steps - 1)


def is_during(scene: Scene, times_ns: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Tell which times lie within the scene, give or take half a step."""
    half = scene.clock.dt_ns // 2
    first, last = scene.clock.times_ns[[0, -1]]
    return (times_ns >= first - half) & (times_ns <= last + half)


@contextmanager
def writing_whole(path: Path) -> Iterator[Path]:
    """Give a path to write to; what was written becomes `path` only when all went well.

    Raises:
        InputError: The folder is not there.
    """
    if not path.parent.is_dir():
        raise InputError("missing-file", "there is no such folder", where=str(path.parent))
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def find_frames(scene: Scene, sensor: Camera | Lidar) -> list[tuple[int, Path]]:
    """Return time [ns] and file of what a sensor recorded during the scene, as far as it is there.

    Logs are often kept without their images and sweeps, so a file that is not there is left out.
    """
    if len(sensor.paths) != len(sensor.times_ns):
        return []
    frames = np.flatnonzero(is_during(scene, sensor.times_ns))
    found = [(int(sensor.times_ns[i]), _locate(scene, sensor.paths[i])) for i in frames]
    return [(time, path) for time, path in found if path.is_file()]


def find_video(scene: Scene, camera: Camera) -> Path | None:
    """Return the video of a camera whose images are all in one, if it is there."""
    if not camera.is_video:
        return None
    path = _locate(scene, camera.paths[0])
    return path if path.is_file() else None


def read_points(path: Path) -> Float32[np.ndarray, "point 3"] | None:
    """Read the points of a sweep, in the frame that its file has them in [m].

    Args:
        path: A Feather table with x, y, z (Argoverse 2), or packed floats: four to a point
            (`.bin`, KITTI) or five (`.pcd.bin`, nuScenes).

    Returns:
        The points, or None for a file of another kind.

    Raises:
        InputError: The file cannot be read, or ends within a point.
    """
    if path.suffix == ".feather":
        import pyarrow as pa
        from pyarrow import feather

        try:
            table = feather.read_table(path, columns=["x", "y", "z"])
        except (OSError, pa.ArrowInvalid) as error:
            raise InputError(
                "syntax", "a lidar sweep cannot be read", where=str(path), why=str(error)
            ) from error
        columns = [table[name].to_numpy().astype(np.float32) for name in ("x", "y", "z")]
        return np.stack(columns, axis=-1)
    if path.suffix == ".bin":
        columns = 5 if path.name.endswith(".pcd.bin") else 4
        content = path.read_bytes()
        if len(content) % (4 * columns):
            raise InputError(
                "truncated",
                "a lidar sweep ends within a point",
                where=str(path),
                why=f"{len(content)} bytes, {4 * columns} to a point",
            )
        return np.frombuffer(content, "<f4").reshape(-1, columns)[:, :3].astype(np.float32)
    return None


def _locate(scene: Scene, path: str) -> Path:
    root = Path(scene.source.path)
    return (root if root.is_dir() else root.parent) / path


def _find_ground(scene: Scene, size: Float64[np.ndarray, "agent 3"]) -> float:
    """Return the height of the road, or what the agents stand on; 0 where nothing has a height."""
    heights = scene.agents.centre[..., 2] - size[:, None, 2] / 2
    if scene.map is not None and np.isfinite(scene.map.points[:, 2]).any():
        heights = scene.map.points[:, 2]
    known = heights[np.isfinite(heights)]
    return float(np.median(known)) if len(known) else 0.0
