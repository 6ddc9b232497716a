"""References to what cameras and lidars recorded, one row of `sensors` each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from kerbstone.errors import InputError
from kerbstone.scene import Camera, Lidar, Scene
from kerbstone.store.columns import arrays, checksum, typed
from kerbstone.store.layout import SENSORS

_LISTS = ("time_ns", "intrinsics", "distortion", "ego_from_sensor")
_SEALED = ("sensor", "name", "path", "width_px", "height_px", "model", *_LISTS)


def sensor_rows(scene: Scene) -> Iterator[dict[str, Any]]:
    """Give a scene's own columns of its rows in `sensors`: cameras, then lidars."""
    rows = [*map(_camera_row, scene.cameras), *map(_lidar_row, scene.lidars)]
    for number, row in enumerate(rows):
        flat = typed(SENSORS, row)
        yield flat | {
            "number": number,
            "scene": scene.id,
            "checksum": checksum(flat[name] for name in _SEALED),
        }


def _camera_row(camera: Camera) -> dict[str, Any]:
    return {
        "sensor": "camera",
        "name": camera.name,
        "path": camera.paths,
        "time_ns": camera.times_ns,
        "width_px": int(camera.width_px),
        "height_px": int(camera.height_px),
        "intrinsics": camera.intrinsics,
        "distortion": camera.distortion,
        "model": camera.model,
        "ego_from_sensor": camera.ego_from_camera,
    }


def _lidar_row(lidar: Lidar) -> dict[str, Any]:
    return dict.fromkeys(_SEALED) | {
        "sensor": "lidar",
        "name": lidar.name,
        "path": lidar.paths,
        "time_ns": lidar.times_ns,
        "ego_from_sensor": lidar.ego_from_lidar,
    }


def read_sensors(rows: pa.Table) -> tuple[tuple[Camera, ...], tuple[Lidar, ...]]:
    """Return the cameras and the lidars that rows of `sensors` hold.

    Raises:
        InputError: A row was changed since it was written.
    """
    cameras: list[Camera] = []
    lidars: list[Lidar] = []
    columns: dict[str, list[Any]] = {
        name: arrays(rows, name) if name in _LISTS else rows.column(name).to_pylist()
        for name in (*_SEALED, "scene", "checksum")
    }
    for i in range(rows.num_rows):
        row = {name: column[i] for name, column in columns.items()}
        if checksum(row[name] for name in _SEALED) != row["checksum"]:
            where = f"scene {row['scene']}, sensor {row['name']}"
            raise InputError("store-damaged", "the row of a sensor was changed", where=where)
        paths, times = tuple(row["path"]), row["time_ns"].copy()
        pose = row["ego_from_sensor"].reshape(4, 4).copy()
        if row["sensor"] == "lidar":
            lidars.append(Lidar(row["name"], paths, times, pose))
            continue
        cameras.append(
            Camera(
                name=row["name"],
                paths=paths,
                times_ns=times,
                width_px=row["width_px"],
                height_px=row["height_px"],
                intrinsics=row["intrinsics"].reshape(3, 3).copy(),
                distortion=row["distortion"].copy(),
                model=row["model"],
                ego_from_camera=pose,
            )
        )
    return tuple(cameras), tuple(lidars)
