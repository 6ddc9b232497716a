"""The cameras and lidar of an Argoverse 2 sensor log: calibration, and references to their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.formats.files import Columns, find_packed, read_feather
from kerbstone.scene import SE3, Camera, Lidar

ROTATION = ("qw", "qx", "qy", "qz")
TRANSLATION = ("tx_m", "ty_m", "tz_m")
POSE = dict.fromkeys((*ROTATION, *TRANSLATION), float)
"""Columns of a pose, with their type."""


def find_cameras(folder: Path) -> tuple[Camera, ...]:
    """Return the cameras whose images lie in the log, with their calibration.

    Raises:
        InputError: The calibration is missing or malformed, or has no such camera.
    """
    recorded = [
        path for path in sorted((folder / "sensors" / "cameras").glob("*")) if path.is_dir()
    ]
    if not recorded:
        return ()
    path = find_packed(folder / "calibration", "intrinsics.feather")
    intrinsics = read_feather(
        path or folder / "calibration" / "intrinsics.feather",
        {"sensor_name": str}
        | dict.fromkeys(("fx_px", "fy_px", "cx_px", "cy_px", "k1", "k2", "k3"), float)
        | dict.fromkeys(("height_px", "width_px"), int),
    )
    path = find_packed(folder / "calibration", "egovehicle_SE3_sensor.feather")
    mounting = read_feather(
        path or folder / "calibration" / "egovehicle_SE3_sensor.feather",
        {"sensor_name": str, **POSE},
    )
    ego_from_sensor = SE3.from_quaternion(
        stack_columns(mounting, ROTATION), stack_columns(mounting, TRANSLATION)
    ).matrix()
    cameras = []
    for images in recorded:
        lens = _row_of(intrinsics, images.name, folder)
        fx, fy, cx, cy = (
            float(intrinsics[f"{name}_px"][lens]) for name in ("fx", "fy", "cx", "cy")
        )
        times, paths = _find_frames(images, folder)
        cameras.append(
            Camera(
                name=images.name,
                paths=paths,
                times_ns=times,
                width_px=int(intrinsics["width_px"][lens]),
                height_px=int(intrinsics["height_px"][lens]),
                intrinsics=np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]),
                distortion=np.array([intrinsics[name][lens] for name in ("k1", "k2", "k3")]),
                model="argoverse",
                ego_from_camera=ego_from_sensor[_row_of(mounting, images.name, folder)],
            )
        )
    return tuple(cameras)


def find_lidars(folder: Path) -> tuple[Lidar, ...]:
    """Return the lidar whose sweeps lie in the log, if they do."""
    times, paths = _find_frames(folder / "sensors" / "lidar", folder)
    # Sweeps of both lidars are in one file, brought into the ego frame.
    return (Lidar("lidar", paths, times, np.eye(4)),) if paths else ()


def _find_frames(sensor: Path, folder: Path) -> tuple[Int64[np.ndarray, " frame"], tuple[str, ...]]:
    """Return the times of a sensor's files, which are their names, and their paths in the log."""
    frames = sorted((int(path.stem), path) for path in sensor.glob("*") if path.stem.isdigit())
    times = np.array([time for time, _ in frames], np.int64)
    return times, tuple(str(path.relative_to(folder)) for _, path in frames)


def _row_of(columns: Columns, sensor: str, folder: Path) -> int:
    rows = np.flatnonzero(columns["sensor_name"] == sensor)
    if not rows.size:
        raise InputError(
            "reference",
            f"camera {sensor!r} has images but no calibration",
            where=str(folder / "calibration"),
        )
    return int(rows[0])


def stack_columns(columns: Columns, names: tuple[str, ...]) -> Float64[np.ndarray, "row column"]:
    """Return columns of a table side by side."""
    return np.stack([columns[name] for name in names], axis=-1)
