"""Unit quaternions w, x, y, z as packed arrays: the rotations inside `SE3`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def multiply(
    left: Float[np.ndarray, "*#batch 4"], right: Float[np.ndarray, "*#batch 4"]
) -> Float[np.ndarray, "*batch 4"]:
    """Return Hamilton products: the rotation `right`, then `left`."""
    a, b, c, d = np.moveaxis(left, -1, 0)
    w, x, y, z = np.moveaxis(right, -1, 0)
    return np.stack(
        [
            a * w - b * x - c * y - d * z,
            a * x + b * w + c * z - d * y,
            a * y - b * z + c * w + d * x,
            a * z + b * y - c * x + d * w,
        ],
        axis=-1,
    )


def conjugate(rotation: Float[np.ndarray, "*batch 4"]) -> Float[np.ndarray, "*batch 4"]:
    """Return the rotations that lead back."""
    return rotation * np.array([1.0, -1.0, -1.0, -1.0])


def turn_about(
    axis: int, angle: Float[np.ndarray, "*batch"] | float
) -> Float[np.ndarray, "*batch 4"]:
    """Return turns by `angle` [rad] about x (axis 0), y (1) or z (2), right-handed."""
    angle = np.asarray(angle)
    rotation = np.zeros((*angle.shape, 4))
    rotation[..., 0] = np.cos(angle / 2)
    rotation[..., axis + 1] = np.sin(angle / 2)
    return rotation


def yaw_of(rotation: Float[np.ndarray, "*batch 4"]) -> Float[np.ndarray, "*batch"]:
    """Return the direction of the turned x axis as seen from above [rad]."""
    w, x, y, z = np.moveaxis(rotation, -1, 0)
    return np.asarray(np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)))


def to_matrix(rotation: Float[np.ndarray, "*batch 4"]) -> Float[np.ndarray, "*batch 3 3"]:
    """Return the rotation matrices."""
    w, x, y, z = np.moveaxis(rotation, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def from_matrix(matrix: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch 4"]:
    """Return the rotation nearest to each matrix, with w not negative."""
    from scipy.spatial.transform import Rotation

    if not matrix.size:
        return np.zeros((*matrix.shape[:-2], 4))
    xyzw = Rotation.from_matrix(matrix.reshape(-1, 3, 3).astype(np.float64)).as_quat()
    wxyz = xyzw[:, [3, 0, 1, 2]]
    return np.where(wxyz[:, :1] < 0, -wxyz, wxyz).reshape(*matrix.shape[:-2], 4)


def slerp(
    start: Float[np.ndarray, "*#batch 4"],
    end: Float[np.ndarray, "*#batch 4"],
    share: Float[np.ndarray, "*#batch 1"],
) -> Float[np.ndarray, "*batch 4"]:
    """Turn evenly from `start` (share 0) to `end` (share 1), along the shorter way.

    References:
        Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985.
    """
    end = np.where((start * end).sum(-1, keepdims=True) < 0, -end, end)
    # The angle from two lengths stays exact for close rotations; arccos of the product does not.
    angle = 2.0 * np.arctan2(
        np.linalg.norm(end - start, axis=-1, keepdims=True),
        np.linalg.norm(end + start, axis=-1, keepdims=True),
    )
    # sin(t a) / sin(a), written with sinc so that it has no gap at a = 0.
    from_start, from_end = (
        part * np.sinc(part * angle / np.pi) / np.sinc(angle / np.pi)
        for part in (1.0 - share, share)
    )
    return np.where(share == 0.0, start, from_start * start + from_end * end)
