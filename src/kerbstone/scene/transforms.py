"""Angles and rigid transforms between frames, in the plane and in space.

A transform is named so that neighbouring names cancel: `world_from_ego @ points_ego` gives points
in the world frame, `world_from_ego @ ego_from_camera` gives `world_from_camera`.

One transform object holds any number of them: a track of poses has one batch axis, a single pose
has none. **Batch axes line up from the first axis; the shorter side is extended with axes of
length one at its end; then NumPy's rules hold.** The batch axes of points are all but the last:

| transform | applied to | gives | meaning |
|---|---|---|---|
| `[]` | points `[n, 3]` | `[n, 3]` | one pose for all points |
| `[time]` | points `[time, 3]` | `[time, 3]` | a point for each pose |
| `[time]` | points `[time, n, 3]` | `[time, n, 3]` | n points for each pose |
| `[time]` | points `[3]` or `[1, n, 3]` | `[time, 3]` or `[time, n, 3]` | the same points for all |
| `[time]` | transform `[]` or `[time, agent]` | `[time]` or `[time, agent]` | composition |

A transform that holds NaN gives NaN, without a warning: so unknown poses stay unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from jaxtyping import Float, Int

from kerbstone.errors import InputError
from kerbstone.scene import quaternions

_TURN = 2.0 * np.pi


def wrap_angle(angle: Float[np.ndarray, "*batch"] | float) -> Float[np.ndarray, "*batch"]:
    """Return the same direction as an angle in [-pi, pi).

    An angle that already lies there comes back unchanged, bit for bit; pi becomes -pi.

    Args:
        angle: Angles [rad].

    Example:
        >>> float(wrap_angle(np.pi)) == -np.pi
        True
    """
    # fmod is exact, and so is each subtraction below: it halves its operand at most (Sterbenz).
    wrapped = np.asarray(np.fmod(angle, _TURN))
    wrapped = np.where(wrapped >= np.pi, wrapped - _TURN, wrapped)
    return np.where(wrapped < -np.pi, wrapped + _TURN, wrapped)


def angle_difference(
    to: Float[np.ndarray, "*#batch"] | float, start: Float[np.ndarray, "*#batch"] | float
) -> Float[np.ndarray, "..."]:
    """Return the turn that leads from `start` to `to`, in [-pi, pi); positive turns left.

    Example:
        >>> round(float(angle_difference(-3.0, 3.0)), 3)
        0.283
    """
    return wrap_angle(np.subtract(to, start))


@dataclass(frozen=True, eq=False)
class SE2:
    """Rigid transforms in the plane: first turn, then shift.

    Args:
        translation: Where the origin of the source frame lies in the target frame [m].
        angle: Turn from the target's to the source's x axis, counter-clockwise [rad].

    Raises:
        InputError: The arrays do not fit together.

    Example:
        >>> world_from_ego = SE2(np.array([10.0, 5.0]), np.array(np.pi / 2))
        >>> (world_from_ego @ np.array([[2.0, 0.0]])).round(6).tolist()
        [[10.0, 7.0]]
    """

    translation: Float[np.ndarray, "*batch 2"]
    angle: Float[np.ndarray, "*batch"]

    # `array @ transform` has no meaning: without this NumPy would try.
    __array_ufunc__ = None

    def __post_init__(self) -> None:
        _check_shapes(self.translation, 2, self.angle[..., None], 1)

    @classmethod
    def identity(cls, *batch: int) -> SE2:
        """Return transforms that change nothing."""
        return cls(np.zeros((*batch, 2)), np.zeros(batch))

    @classmethod
    def from_matrix(
        cls, matrix: Float[np.ndarray, "*batch 3 3"], *, tolerance: float = 1e-4
    ) -> SE2:
        """Read homogeneous matrices.

        Args:
            matrix: Rotation upper left, translation [m] in the last column.
            tolerance: How far each entry may be from a rotation's, for rounded files.

        Raises:
            InputError: One of them is not a rigid transform.
        """
        _check_rigid(matrix, tolerance)
        return cls(
            matrix[..., :2, 2].copy(), np.asarray(np.arctan2(matrix[..., 1, 0], matrix[..., 0, 0]))
        )

    @classmethod
    def from_se3(cls, pose: SE3) -> SE2:
        """Return poses as seen from above: x, y and yaw."""
        return cls(pose.translation[..., :2].copy(), pose.yaw)

    @property
    def shape(self) -> tuple[int, ...]:
        """The batch axes."""
        return self.angle.shape

    def __len__(self) -> int:
        return _length(self.shape)

    def __getitem__(self, index: Any) -> SE2:
        index = _batch_index(index)
        return SE2(self.translation[index], self.angle[..., None][index][..., 0])

    def matrix(self) -> Float[np.ndarray, "*batch 3 3"]:
        """Return the homogeneous matrices."""
        matrix = np.zeros((*self.shape, 3, 3))
        matrix[..., :2, :2] = _turn_matrix(self.angle)
        matrix[..., :2, 2] = self.translation
        matrix[..., 2, 2] = 1.0
        return matrix

    def inverse(self) -> SE2:
        """Return the transforms that lead back."""
        angle = wrap_angle(-self.angle)
        return SE2(-_rotate(_turn_matrix(angle), self.translation), angle)

    def rotate(self, vectors: Float[np.ndarray, "*points 2"]) -> Float[np.ndarray, "*moved 2"]:
        """Turn directions, such as velocities, without shifting them."""
        return _rotate(_turn_matrix(self.angle), vectors)

    @overload
    def __matmul__(self, other: SE2) -> SE2: ...
    @overload
    def __matmul__(self, other: np.ndarray) -> np.ndarray: ...
    def __matmul__(self, other: SE2 | np.ndarray) -> SE2 | np.ndarray:
        if isinstance(other, np.ndarray):
            return _shift(self.rotate(other), self.translation)
        if not isinstance(other, SE2):
            return NotImplemented
        translation = self @ other.translation
        ndim = translation.ndim - 1
        angle = _extend(self.angle[..., None], ndim) + _extend(other.angle[..., None], ndim)
        return SE2(translation, wrap_angle(angle[..., 0]))


@dataclass(frozen=True, eq=False)
class SE3:
    """Rigid transforms in space: first turn, then shift.

    Args:
        rotation: Unit quaternions w, x, y, z. They are used as they are; `from_quaternion` takes
            any length.
        translation: Where the origin of the source frame lies in the target frame [m].

    Raises:
        InputError: The arrays do not fit together.

    Example:
        >>> world_from_ego = SE3.from_yaw(np.array(np.pi / 2), np.array([10.0, 5.0, 0.0]))
        >>> (world_from_ego @ np.array([[2.0, 0.0, 1.0]])).round(6).tolist()
        [[10.0, 7.0, 1.0]]
    """

    rotation: Float[np.ndarray, "*batch 4"]
    translation: Float[np.ndarray, "*batch 3"]

    __array_ufunc__ = None

    def __post_init__(self) -> None:
        _check_shapes(self.rotation, 4, self.translation, 3)

    @classmethod
    def identity(cls, *batch: int) -> SE3:
        """Return transforms that change nothing."""
        return cls.from_yaw(np.zeros(batch), np.zeros((*batch, 3)))

    @classmethod
    def from_quaternion(
        cls, quaternion: Float[np.ndarray, "*batch 4"], translation: Float[np.ndarray, "*batch 3"]
    ) -> SE3:
        """Read quaternions w, x, y, z of any length but zero, with translations [m].

        Raises:
            InputError: A quaternion is zero.
        """
        norm = np.linalg.norm(quaternion, axis=-1, keepdims=True)
        if np.any(norm == 0):
            raise InputError(
                "geometry",
                "a quaternion is zero, so it is no rotation",
                where=f"pose {_first(norm[..., 0] == 0)}",
            )
        return cls(quaternion / norm, translation)

    @classmethod
    def from_yaw(
        cls, yaw: Float[np.ndarray, "*batch"] | float, translation: Float[np.ndarray, "*batch 3"]
    ) -> SE3:
        """Return level poses that look along `yaw` [rad], with translations [m]."""
        return cls(quaternions.turn_about(2, yaw), translation)

    @classmethod
    def from_euler(
        cls,
        *,
        roll: Float[np.ndarray, "*batch"] | float,
        pitch: Float[np.ndarray, "*batch"] | float,
        yaw: Float[np.ndarray, "*batch"] | float,
        translation: Float[np.ndarray, "*batch 3"],
    ) -> SE3:
        """Return poses from yaw, then pitch, then roll about the turned axes (ISO 8855) [rad].

        Positive yaw turns left, positive pitch lowers the nose, positive roll lowers the right
        side. Translations in [m].
        """
        level = quaternions.turn_about(2, yaw)
        inclined = quaternions.multiply(level, quaternions.turn_about(1, pitch))
        return cls(quaternions.multiply(inclined, quaternions.turn_about(0, roll)), translation)

    @classmethod
    def from_matrix(
        cls, matrix: Float[np.ndarray, "*batch 4 4"], *, tolerance: float = 1e-4
    ) -> SE3:
        """Read homogeneous matrices; a rounded rotation becomes the nearest true one.

        Args:
            matrix: Rotation upper left, translation [m] in the last column.
            tolerance: How far each entry may be from a rotation's, for rounded files.

        Raises:
            InputError: One of them is not a rigid transform.
        """
        _check_rigid(matrix, tolerance)
        return cls(quaternions.from_matrix(matrix[..., :3, :3]), matrix[..., :3, 3].copy())

    @property
    def shape(self) -> tuple[int, ...]:
        """The batch axes."""
        return self.rotation.shape[:-1]

    @property
    def yaw(self) -> Float[np.ndarray, "*batch"]:
        """Direction of the x axis as seen from above, counter-clockwise [rad]."""
        return quaternions.yaw_of(self.rotation)

    def __len__(self) -> int:
        return _length(self.shape)

    def __getitem__(self, index: Any) -> SE3:
        index = _batch_index(index)
        return SE3(self.rotation[index], self.translation[index])

    def matrix(self) -> Float[np.ndarray, "*batch 4 4"]:
        """Return the homogeneous matrices."""
        matrix = np.zeros((*self.shape, 4, 4))
        matrix[..., :3, :3] = quaternions.to_matrix(self.rotation)
        matrix[..., :3, 3] = self.translation
        matrix[..., 3, 3] = 1.0
        return matrix

    def inverse(self) -> SE3:
        """Return the transforms that lead back."""
        rotation = quaternions.conjugate(self.rotation)
        return SE3(rotation, -_rotate(quaternions.to_matrix(rotation), self.translation))

    def rotate(self, vectors: Float[np.ndarray, "*points 3"]) -> Float[np.ndarray, "*moved 3"]:
        """Turn directions, such as velocities, without shifting them."""
        return _rotate(quaternions.to_matrix(self.rotation), vectors)

    @overload
    def __matmul__(self, other: SE3) -> SE3: ...
    @overload
    def __matmul__(self, other: np.ndarray) -> np.ndarray: ...
    def __matmul__(self, other: SE3 | np.ndarray) -> SE3 | np.ndarray:
        if isinstance(other, np.ndarray):
            return _shift(self.rotate(other), self.translation)
        if not isinstance(other, SE3):
            return NotImplemented
        translation = self @ other.translation
        ndim = translation.ndim - 1
        left, right = _extend(self.rotation, ndim), _extend(other.rotation, ndim)
        return SE3(quaternions.multiply(left, right), translation)

    def interpolate(
        self, times_ns: Int[np.ndarray, " time"], query_ns: Int[np.ndarray, "*query"] | int
    ) -> SE3:
        """Return the pose at given times, turning evenly between the poses of a track.

        At the track's own times its own poses come back. Between a pose and one that is NaN the
        answer is NaN.

        Args:
            times_ns: Time of each pose along the first batch axis, rising [ns].
            query_ns: Times to look up [ns].

        Raises:
            InputError: The times do not fit the track or do not rise, or a query lies outside
                them: nothing is extrapolated.
        """
        query_ns = np.asarray(query_ns)
        _check_track(self.shape, times_ns, query_ns)
        start = np.searchsorted(times_ns, query_ns, side="right") - 1
        since = query_ns - times_ns[start]
        end = start + (since > 0)
        share = np.asarray(since / np.maximum(times_ns[end] - times_ns[start], 1))
        share = _extend(share[..., None], query_ns.ndim + len(self.shape) - 1)
        rotation = quaternions.slerp(self.rotation[start], self.rotation[end], share)
        shift = self.translation[end] - self.translation[start]
        return SE3(rotation, self.translation[start] + share * shift)


def _turn_matrix(angle: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=-2)


def _extend(array: np.ndarray, ndim: int, core: int = 1) -> np.ndarray:
    """Add axes of length one behind the batch axes until there are `ndim` of those."""
    batch = array.ndim - core
    shape = array.shape[:batch] + (1,) * (ndim - batch) + array.shape[batch:]
    return array.reshape(shape)


def _rotate(rotation: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    size = rotation.shape[-1]
    if vectors.ndim == 0 or vectors.shape[-1] != size:
        raise InputError(
            "shape",
            f"the transform needs points of {size} coordinates",
            why=f"the points have shape {vectors.shape}",
        )
    batch, lead = rotation.ndim - 2, vectors.ndim - 1
    try:
        if lead > batch:  # the last axis of points is free: one matrix product for all of them
            return vectors @ np.swapaxes(_extend(rotation, lead - 1, core=2), -1, -2)
        return np.einsum("...ij,...j->...i", rotation, _extend(vectors, batch))
    except ValueError:
        raise InputError(
            "shape",
            "the transforms and the points do not fit together",
            why=f"batch axes {rotation.shape[:-2]} and {vectors.shape[:-1]}",
            remedy="batch axes line up from the first one; insert axes of length one",
        ) from None


def _shift(points: np.ndarray, translation: np.ndarray) -> np.ndarray:
    return points + _extend(translation, points.ndim - 1)


def _length(shape: tuple[int, ...]) -> int:
    if not shape:
        raise TypeError("a single transform has no length")
    return shape[0]


def _batch_index(index: Any) -> tuple[Any, ...]:
    """Return an index that picks batch elements and leaves the last axis whole."""
    index = index if isinstance(index, tuple) else (index,)
    fill = () if any(part is Ellipsis for part in index) else (Ellipsis,)
    return (*index, *fill, slice(None))


def _first(wrong: np.ndarray) -> str:
    return str(tuple(int(i) for i in np.argwhere(wrong)[0]))


def _check_shapes(first: np.ndarray, columns: int, second: np.ndarray, others: int) -> None:
    wanted = (first.shape[:-1], columns, others)
    if (second.shape[:-1], first.shape[-1], second.shape[-1]) != wanted:
        raise InputError(
            "shape",
            "rotation and translation of a transform do not fit together",
            why=f"shapes {first.shape} and {second.shape}",
        )


def _check_rigid(matrix: np.ndarray, tolerance: float) -> None:
    size = matrix.shape[-1] - 1
    rotation = matrix[..., :size, :size]
    gram = np.einsum("...ij,...kj->...ik", rotation, rotation)
    right = np.all(np.abs(gram - np.eye(size)) <= tolerance, axis=(-2, -1))
    with np.errstate(invalid="ignore"):  # NaN is told of below
        right &= np.linalg.det(rotation) > 0
    right &= np.all(np.abs(matrix[..., size, :] - np.eye(size + 1)[size]) <= tolerance, axis=-1)
    right &= np.all(np.isfinite(matrix[..., :size, size]), axis=-1)
    if not np.all(right):
        raise InputError(
            "geometry",
            "a matrix is not a rigid transform",
            where=f"matrix {_first(~np.asarray(right))}" if matrix.ndim > 2 else "",
            why="its rows are not orthonormal and right-handed, or its last row is not 0 … 0 1",
        )


def _check_track(shape: tuple[int, ...], times_ns: np.ndarray, query_ns: np.ndarray) -> None:
    if shape[:1] != times_ns.shape:
        raise InputError(
            "shape",
            "the times do not fit the track of poses",
            why=f"{len(times_ns)} times, poses of shape {shape}",
        )
    if not len(times_ns):
        raise InputError("clock", "an empty track of poses cannot be interpolated")
    if np.any(np.diff(times_ns) <= 0):
        place = int(np.argmax(np.diff(times_ns) <= 0))
        raise InputError(
            "clock",
            "the times of a track of poses do not rise",
            where=f"pose {place + 1}",
            why=f"{times_ns[place + 1]} ns follows {times_ns[place]} ns",
        )
    outside = (query_ns < times_ns[0]) | (query_ns > times_ns[-1])
    if np.any(outside):
        raise InputError(
            "clock",
            "a pose is asked for outside its track",
            why=f"{query_ns[outside].flat[0]} ns is not within {times_ns[0]} to {times_ns[-1]} ns",
            remedy="ask only within the track: poses are not extrapolated",
        )
