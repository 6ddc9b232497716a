"""References to what cameras and lidars recorded. Nothing is opened until it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError


@dataclass(frozen=True, eq=False)
class Camera:
    """A camera's images and how it sees.

    Args:
        name: Its name in the log.
        paths: One image file per time, or one video for all times; relative to `Source.path`.
        times_ns: When each image was taken [ns].
        width_px: Image width [px].
        height_px: Image height [px].
        intrinsics: Pinhole matrix (fx, fy, cx, cy) [px].
        distortion: Coefficients in the order of `model`; empty for none.
        model: `pinhole`, `opencv` (k1, k2, p1, p2, k3, …), `fisheye` or `argoverse` (k1, k2, k3).
        ego_from_camera: Pose of the camera in the ego frame (camera: x right, y down, z forward).
    """

    name: str
    paths: tuple[str, ...]
    times_ns: Int64[np.ndarray, " frame"]
    width_px: int
    height_px: int
    intrinsics: Float64[np.ndarray, "3 3"]
    distortion: Float64[np.ndarray, " coefficient"]
    model: str
    ego_from_camera: Float64[np.ndarray, "4 4"]

    def __post_init__(self) -> None:
        _check_paths(self.name, self.paths, self.times_ns)

    @property
    def is_video(self) -> bool:
        """Whether one file holds all images."""
        return len(self.paths) == 1 and len(self.times_ns) != 1


@dataclass(frozen=True, eq=False)
class Lidar:
    """A lidar's sweeps.

    Args:
        name: Its name in the log.
        paths: One file per time, relative to `Source.path`.
        times_ns: When each sweep ended or was stamped, as the format says [ns].
        ego_from_lidar: Pose of the frame that the points are in, in the ego frame.
    """

    name: str
    paths: tuple[str, ...]
    times_ns: Int64[np.ndarray, " frame"]
    ego_from_lidar: Float64[np.ndarray, "4 4"]

    def __post_init__(self) -> None:
        _check_paths(self.name, self.paths, self.times_ns)


def _check_paths(name: str, paths: tuple[str, ...], times_ns: np.ndarray) -> None:
    if len(paths) not in (1, len(times_ns)):
        raise InputError(
            "shape",
            f"sensor {name!r} has files that do not fit its times",
            why=f"{len(paths)} files, {len(times_ns)} times",
        )
