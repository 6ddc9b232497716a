"""What a baseline sees of a window, what it is asked, and what it learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped, UInt8

from kerbstone.errors import InputError
from kerbstone.scene import VEHICLES, Kind
from kerbstone.world.observed import Observed
from kerbstone.world.windows import STEPS_PER_PATCH, Window


class Group(IntEnum):
    """Kinds of road users whose motion is alike."""

    VEHICLE = 0
    CYCLIST = 1
    PEDESTRIAN = 2
    OTHER = 3
    """Everything else, and those whose kind is not known."""


_GROUP_OF = np.full(len(Kind), Group.OTHER, np.int64)
_GROUP_OF[[*VEHICLES]] = Group.VEHICLE
_GROUP_OF[[Kind.CYCLIST, Kind.RIDER]] = Group.CYCLIST
_GROUP_OF[Kind.PEDESTRIAN] = Group.PEDESTRIAN


def group_of(kind: Shaped[np.ndarray, "*shape"]) -> Int64[np.ndarray, "*shape"]:
    """Return the `Group` of each `Kind`."""
    return _GROUP_OF[kind]


@dataclass(frozen=True, eq=False)
class Tracks:
    """The visible part of the tracks in a window, and the cells that are asked for.

    Args:
        kind: `Kind` of each road user.
        position: Centre from above, world frame [m]; NaN where not visible.
        heading: Direction of the box [rad]; NaN where not visible, or not known.
        valid: Which cells are visible.
        asked: Which cells are asked for.

    Raises:
        InputError: A cell that is not visible has a position or heading, or a visible one has no
            position.
    """

    kind: UInt8[np.ndarray, " agent"]
    position: Float64[np.ndarray, "agent step 2"]
    heading: Float64[np.ndarray, "agent step"]
    valid: Bool[np.ndarray, "agent step"]
    asked: Bool[np.ndarray, "agent step"]

    def __post_init__(self) -> None:
        if np.isfinite(self.position[~self.valid]).any() or (
            np.isfinite(self.heading[~self.valid]).any()
        ):
            raise InputError("value", "a cell that is hidden from a baseline has a state")
        if not np.isfinite(self.position[self.valid]).all():
            raise InputError("value", "a visible cell of a track has no position")

    def __len__(self) -> int:
        return len(self.kind)

    @classmethod
    def of(cls, observed: Observed) -> Tracks:
        """Return the tracks of what is left of a window; its hidden patches are asked for."""
        left = observed.window
        return cls(
            kind=left.kind,
            position=left.position,
            heading=left.heading,
            valid=left.valid,
            asked=np.repeat(observed.hidden, STEPS_PER_PATCH, axis=1),
        )

    @property
    def group(self) -> Int64[np.ndarray, " agent"]:
        """`Group` of each road user."""
        return group_of(self.kind)

    @property
    def place(self) -> np.ndarray:
        """Positions as complex numbers, x + iy [m]: a turn is then a product."""
        return self.position[..., 0] + 1j * self.position[..., 1]


@dataclass(frozen=True, eq=False)
class Example:
    """Tracks with a part hidden, and the truth.

    Args:
        tracks: What is visible, and what is asked.
        position: Where everybody was, world frame [m].
        valid: Which cells were there.
        log: Where it is from; parts of one log are too alike to be held against each other.

    Raises:
        InputError: The truth does not fit the tracks.
    """

    tracks: Tracks
    position: Float64[np.ndarray, "agent step 2"]
    valid: Bool[np.ndarray, "agent step"]
    log: str = ""

    def __post_init__(self) -> None:
        if self.valid.shape != self.tracks.valid.shape:
            raise InputError(
                "shape",
                "the truth does not fit the tracks",
                where=self.log,
                why=f"{self.valid.shape} cells, expected {self.tracks.valid.shape}",
            )

    @classmethod
    def of(cls, window: Window, observed: Observed, *, log: str = "") -> Example:
        """Return the example of a window and what is left of it."""
        return cls(Tracks.of(observed), window.position, window.valid, log or window.scene)

    @property
    def counted(self) -> Bool[np.ndarray, "agent step"]:
        """Cells that are asked for, were there, and cannot be seen."""
        return self.tracks.asked & self.valid & ~self.tracks.valid

    @property
    def place(self) -> np.ndarray:
        """True positions as complex numbers, x + iy [m]."""
        return self.position[..., 0] + 1j * self.position[..., 1]


@dataclass(frozen=True, eq=False)
class Paths:
    """What a rule says of tracks: the medians of a mixture, and by what their errors go.

    All that is not asked for, or cannot be told, is NaN, and its `lag` is 0.

    Args:
        weight: Probability of each mode.
        position: Median of each mode, world frame [m].
        axis: Direction in which the road user moves or, standing, points [rad].
        speed: How fast it is, as far as can be seen [m/s].
        lag: Steps between the cell and the visible one that it is told from.
    """

    weight: Float64[np.ndarray, "agent mode"]
    position: Float64[np.ndarray, "agent mode step 2"]
    axis: Float64[np.ndarray, "agent step"]
    speed: Float64[np.ndarray, "agent step"]
    lag: Int64[np.ndarray, "agent step"]


@runtime_checkable
class Rule(Protocol):
    """A way to tell where road users are that are not visible."""

    def __call__(self, tracks: Tracks) -> Paths:
        """Return the paths of the road users."""
        ...


def make_paths(
    tracks: Tracks,
    modes: Sequence[np.ndarray],
    axis: np.ndarray,
    speed: np.ndarray,
    lag: np.ndarray,
    *,
    weight: np.ndarray | None = None,
) -> Paths:
    """Return paths, with all that is not asked for or cannot be told taken out.

    Args:
        tracks: What was asked.
        modes: Places of each mode, x + iy [m], [agent, step].
        axis: As in `Paths`, [agent, step].
        speed: The same.
        lag: The same.
        weight: The same, [agent, mode]; by default all modes are equally probable.
    """
    place = np.stack([*modes], axis=1)
    told = tracks.asked & np.isfinite(place).all(axis=1)
    position = np.stack([np.real(place), np.imag(place)], axis=-1)
    count = place.shape[1]
    return Paths(
        weight=np.full((len(tracks), count), 1 / count) if weight is None else weight,
        position=np.where(told[:, None, :, None], position, np.nan),
        axis=np.where(told, axis, np.nan),
        speed=np.where(told, speed, np.nan),
        lag=np.where(told, lag, 0),
    )
