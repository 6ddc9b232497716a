"""What KITTI's benchmarks share: the car, its frames, calibration files and pose files.

The ego frame is that of KITTI's GPS/IMU unit, which is also the origin of its published poses and
velocities: x forward, y left, z up, 0.93 m above the road over the rear axle's left half.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.formats.files import read_text
from kerbstone.scene import SE3, Camera

LICENCE = "CC BY-NC-SA 3.0"
TOWN = "Karlsruhe"
DT_NS = 100_000_000
"""The benchmarks are at 10 Hz."""

# The recording car is a Volkswagen Passat B6 station wagon. Its box in the ego frame follows from
# KITTI's drawing of the sensor setup (the rear axle 0.05 m ahead of the unit, the middle of the car
# 0.32 m to its right, the road 0.93 m below) and the car's overhangs (front 0.95, rear 1.11 m).
EGO_SIZE = np.array([4.77, 1.82, 1.52])
EGO_BOX_CENTRE = np.array([1.32, -0.32, EGO_SIZE[2] / 2 - 0.93])

CAMERA_AXES = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Directions of a level, forward-looking camera's axes in a car's frame."""

NOMINAL_EGO_FROM_CAMERA = SE3.from_matrix(
    np.vstack([np.column_stack([CAMERA_AXES, [1.08, -0.32, 0.72]]), [0.0, 0.0, 0.0, 1.0]])
)
"""Camera 0 in the ego frame as drawn, for files that do not carry the IMU's calibration."""


def read_numbers(path: Path, columns: int) -> Float64[np.ndarray, "row column"]:
    """Read a text file of numbers, one row per frame.

    Raises:
        InputError: The file is missing or empty, or a row is not `columns` finite numbers.
    """
    text = read_text(path)
    if not text.strip():
        raise InputError("empty", "the file has no rows", where=str(path))
    try:
        rows = np.loadtxt(io.StringIO(text), ndmin=2)
    except ValueError as error:
        raise InputError(
            "syntax",
            "the file is not a table of numbers",
            where=str(path),
            why=str(error).split(";")[0],
            remedy="the file may be cut off: fetch it again",
        ) from error
    if rows.shape[1] != columns:
        raise InputError(
            "column",
            f"each row should have {columns} numbers",
            where=str(path),
            why=f"it has {rows.shape[1]}",
        )
    lost = ~np.isfinite(rows).all(axis=1)
    if lost.any():
        raise InputError(
            "value",
            "a row holds NaN or infinity",
            where=f"{path}, row {int(np.argmax(lost))}",
            remedy="a frame without a pose cannot be used: cut the sequence before it",
        )
    return rows


def read_poses(path: Path) -> SE3:
    """Read poses, one row of a 3×4 matrix per frame.

    Raises:
        InputError: The file is missing or malformed, or a row is not a rigid transform.
    """
    return _transforms(read_numbers(path, 12).reshape(-1, 3, 4), where=str(path))


def read_calibration(path: Path) -> dict[str, Float64[np.ndarray, "_ _"]]:
    """Read a calibration file into matrices by name.

    The names are those of the tracking benchmark's development kit without its variants: `P0` to
    `P3`, `R_rect`, `Tr_velo_cam`, `Tr_imu_velo`.

    Raises:
        InputError: The file is missing, or an entry has not 9 or 12 numbers.
    """
    names = {
        "R0_rect": "R_rect",
        "Tr": "Tr_velo_cam",
        "Tr_velo_to_cam": "Tr_velo_cam",
        "Tr_imu_to_velo": "Tr_imu_velo",
    }
    matrices: dict[str, np.ndarray] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        name, *values = line.replace(":", " ", 1).split() or [""]
        if not name:
            continue
        try:
            matrix = np.array(values, np.float64).reshape(3, -1)
        except ValueError:
            matrix = np.zeros((0, 0))
        if matrix.shape not in ((3, 3), (3, 4)) or not np.isfinite(matrix).all():
            raise InputError(
                "value",
                f"calibration entry {name!r} is not a 3×3 or 3×4 matrix",
                where=f"{path}, line {number}",
                why=f"{len(values)} values",
            )
        matrices[names.get(name, name)] = matrix
    return matrices


def require_entry(
    calibration: dict[str, Float64[np.ndarray, "_ _"]], name: str, path: Path
) -> Float64[np.ndarray, "_ _"]:
    """Return one matrix of a calibration file.

    Raises:
        InputError: The file does not have it.
    """
    if name not in calibration:
        raise InputError(
            "column",
            f"calibration entry {name!r} is missing",
            where=str(path),
            why="found " + (", ".join(sorted(calibration)) or "nothing"),
        )
    return calibration[name]


def camera_from_velodyne(calibration: dict[str, Float64[np.ndarray, "_ _"]], path: Path) -> SE3:
    """Return the pose of the laser scanner in the rectified frame of camera 0."""
    unrectified = _transforms(require_entry(calibration, "Tr_velo_cam", path), where=str(path))
    if "R_rect" not in calibration:
        return unrectified
    turn = np.column_stack([calibration["R_rect"], np.zeros(3)])
    return _transforms(turn, where=str(path)) @ unrectified


def velodyne_from_imu(calibration: dict[str, Float64[np.ndarray, "_ _"]], path: Path) -> SE3:
    """Return the pose of the ego frame in the laser scanner's frame."""
    return _transforms(require_entry(calibration, "Tr_imu_velo", path), where=str(path))


def start_at_first(poses: SE3) -> SE3:
    """Return poses in the frame of the first of them."""
    return poses[0].inverse() @ poses


def make_camera(
    name: str,
    *,
    paths: tuple[str, ...],
    times_ns: Int64[np.ndarray, " frame"],
    size_px: tuple[int, int],
    projection: Float64[np.ndarray, "3 4"],
    ego_from_camera0: SE3,
) -> Camera:
    """Return a rectified camera: no distortion, shifted against camera 0 but not turned.

    Args:
        name: Its name.
        paths: Its images.
        times_ns: Their times [ns].
        size_px: Width and height [px].
        projection: KITTI's matrix from the rectified frame of camera 0 to the image; NaN where it
            is not known, and then so is the camera's pose, unless its last column is zero.
        ego_from_camera0: Pose of camera 0 in the ego frame.
    """
    intrinsics, offset = projection[:, :3], projection[:, 3]
    shift = SE3.from_yaw(0.0, -np.linalg.solve(intrinsics, offset) if offset.any() else offset)
    return Camera(
        name=name,
        paths=paths,
        times_ns=times_ns,
        width_px=size_px[0],
        height_px=size_px[1],
        intrinsics=intrinsics.copy(),
        distortion=np.zeros(0),
        model="pinhole",
        ego_from_camera=(ego_from_camera0 @ shift).matrix(),
    )


def list_frames(folder: Path, pattern: str) -> tuple[list[Path], Int64[np.ndarray, " frame"]]:
    """Return the files of a sensor's folder in order, and the number of the frame in each name.

    Raises:
        InputError: A file is not named by a frame number.
    """
    files = sorted(folder.glob(pattern))
    for file in files:
        if not file.stem.isdecimal():
            raise InputError(
                "name", "a sensor file is not named by its frame number", where=str(file)
            )
    return files, np.array([int(file.stem) for file in files], np.int64)


def png_size(path: Path) -> tuple[int, int]:
    """Return width and height of a PNG image from its header [px].

    Raises:
        InputError: It is not a PNG image.
    """
    with path.open("rb") as file:
        header = file.read(24)
    if len(header) < 24 or not header.startswith(b"\x89PNG\r\n\x1a\n"):
        raise InputError("syntax", "the image is not a PNG file", where=str(path))
    width, height = struct.unpack(">II", header[16:24])
    return width, height


def _transforms(matrix: Float64[np.ndarray, "*batch 3 4"], *, where: str) -> SE3:
    last = np.broadcast_to([[0.0, 0.0, 0.0, 1.0]], (*matrix.shape[:-2], 1, 4))
    try:
        return SE3.from_matrix(np.concatenate([matrix, last], axis=-2), tolerance=1e-3)
    except InputError as error:
        error.where = f"{where}, {error.where}" if error.where else where
        raise
