"""What ego sees of the others now, and where it cannot see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float64, Integer

from kerbstone.errors import InputError
from kerbstone.scene import Kind


@dataclass(frozen=True, eq=False)
class BlindPlaces:
    """Places from which unseen people on foot may step: thick line segments.

    Whoever is in such a place has its middle in it.

    Args:
        start: One end in the world frame [m].
        end: The other end; it may be the same point.
        radius: Half the thickness [m].
        valid: Which exist.
    """

    start: Float64[np.ndarray, "batch place 2"]
    end: Float64[np.ndarray, "batch place 2"]
    radius: Float64[np.ndarray, "batch place"]
    valid: Bool[np.ndarray, "batch place"]


@dataclass(frozen=True, eq=False)
class BlindStretches:
    """Stretches of routes on which unseen vehicles may drive, within the lane, up to the greatest speed.

    Args:
        route: Index into `Road.routes`.
        start: Where the stretch begins along the route [m]. The unseen are wholly beyond it.
        end: Where it ends [m]. The unseen are wholly before it.
        valid: Which exist.
    """

    route: Integer[np.ndarray, "batch stretch"]
    start: Float64[np.ndarray, "batch stretch"]
    end: Float64[np.ndarray, "batch stretch"]
    valid: Bool[np.ndarray, "batch stretch"]


_Blind = TypeVar("_Blind", BlindPlaces, BlindStretches)


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Everyone whom ego sees at one moment, in each episode of a batch.

    Args:
        kind: Values of `Kind`.
        position: Centres of the boxes in the world frame [m].
        heading: Where the boxes point, and move to [rad].
        speed: Along the heading, zero at least [m/s].
        length: Of the boxes [m].
        width: Of the boxes [m].
        valid: Which exist; what the others hold does not matter (NaN is fine).
        yields: Who has to give way to ego where their ways cross, and is trusted to. None: nobody.
        places: Blind places, if any.
        stretches: Blind stretches of routes, if any.

    Raises:
        InputError: A valid road user has a NaN, a size not above zero or a negative speed, or the
            arrays do not fit together.
    """

    kind: Integer[np.ndarray, "batch agent"]
    position: Float64[np.ndarray, "batch agent 2"]
    heading: Float64[np.ndarray, "batch agent"]
    speed: Float64[np.ndarray, "batch agent"]
    length: Float64[np.ndarray, "batch agent"]
    width: Float64[np.ndarray, "batch agent"]
    valid: Bool[np.ndarray, "batch agent"]
    yields: Bool[np.ndarray, "batch agent"] | None = None
    places: BlindPlaces | None = None
    stretches: BlindStretches | None = None

    def __post_init__(self) -> None:
        shape = self.valid.shape
        for name in ("kind", "heading", "speed", "length", "width"):
            if getattr(self, name).shape != shape:
                raise InputError(
                    "shape",
                    f"surroundings.{name} does not fit the others",
                    why=f"{getattr(self, name).shape} against {shape}",
                )
        good = np.isfinite(self.position).all(axis=-1) & np.isfinite(self.heading)
        with np.errstate(invalid="ignore"):
            good &= (self.speed >= 0.0) & np.isfinite(self.speed)
            good &= (self.length > 0.0) & (self.width > 0.0) & np.isfinite(self.length + self.width)
        good &= (self.kind >= 0) & (self.kind < len(Kind))
        if not (good | ~self.valid).all():
            batch, agent = np.argwhere(self.valid & ~good)[0]
            raise InputError(
                "value",
                "a road user cannot be used",
                where=f"episode {batch}, agent {agent}",
                why="NaN, a size not above zero, a negative speed or no such kind",
            )

    def __len__(self) -> int:
        return len(self.valid)

    def take(self, rows: Integer[np.ndarray, " row"]) -> Surroundings:
        """Return some of the episodes, in the order given."""
        return Surroundings(
            self.kind[rows],
            self.position[rows],
            self.heading[rows],
            self.speed[rows],
            self.length[rows],
            self.width[rows],
            self.valid[rows],
            None if self.yields is None else self.yields[rows],
            None if self.places is None else _take(self.places, rows),
            None if self.stretches is None else _take(self.stretches, rows),
        )


def _take(blind: _Blind, rows: Integer[np.ndarray, " row"]) -> _Blind:
    return replace(blind, **{name: value[rows] for name, value in vars(blind).items()})
