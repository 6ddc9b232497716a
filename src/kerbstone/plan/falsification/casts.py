"""Putting the others on stage: one column of road users at a time, drawn for all episodes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.plan.falsification.crowds import Crowd
from kerbstone.plan.falsification.streets import Streets, pick_rails
from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.scene import Kind

_SIZES: dict[Kind, tuple[float, float, float, float]] = {
    Kind.CAR: (3.8, 5.2, 1.7, 2.0),
    Kind.TRUCK: (7.0, 12.0, 2.3, 2.5),
    Kind.BUS: (10.0, 12.0, 2.4, 2.5),
    Kind.MOTORCYCLE: (2.0, 2.4, 0.7, 0.9),
    Kind.CYCLIST: (1.6, 1.9, 0.5, 0.7),
    Kind.RIDER: (0.9, 1.2, 0.4, 0.6),
    Kind.PEDESTRIAN: (0.4, 0.7, 0.4, 0.7),
    Kind.OBJECT: (0.3, 2.0, 0.3, 2.0),
}
"""Least and greatest length, least and greatest width [m]."""
VEHICLE_MIX = (Kind.CAR, Kind.CAR, Kind.TRUCK, Kind.BUS, Kind.MOTORCYCLE)

_GRIP = 0.8
"""Share of what braking leaves of the plane's acceleration that a bend takes."""

Numbers = Float64[np.ndarray, " episode"]


@dataclass
class Cast:
    """Road users that are put on stage one column after the other.

    Args:
        rng: Where everything is drawn from.
        streets: The road.
        count: How many episodes there are.
        assumptions: How fast anyone may be.
    """

    rng: np.random.Generator
    streets: Streets
    count: int
    assumptions: Assumptions
    columns: list[dict[str, np.ndarray]] = field(default_factory=list)

    def draw(self, low: float, high: float) -> Numbers:
        """Return a number between two for each episode."""
        return self.rng.uniform(low, high, self.count)

    def happens(self, share: float) -> Bool[np.ndarray, " episode"]:
        """Return what holds in a share of the episodes."""
        return self.rng.random(self.count) < share

    def put_on_lane(
        self,
        lane: int | Int64[np.ndarray, " episode"],
        along: Numbers,
        speed: Numbers,
        *,
        kinds: tuple[Kind, ...] = VEHICLE_MIX,
        valid: Bool[np.ndarray, " episode"] | None = None,
        left: Numbers | None = None,
    ) -> None:
        """Add one that follows a lane: its middle at a way along it, and about its centre line."""
        lanes = np.broadcast_to(np.asarray(lane), self.count).astype(np.int64)
        kind = self._draw_kinds(kinds)
        length, width = self._draw_sizes(kind)
        room = np.maximum(self.streets.half_width[lanes] - width / 2.0 - 0.05, 0.0)
        aside = self.draw(-0.5, 0.5) * room if left is None else left
        rail = pick_rails(self.streets, lanes)
        place, heading = rail.place(along, aside)
        factor = self.assumptions.look_up("speed_factor", kind)
        top = self.assumptions.look_up("speed", kind)
        cap = np.minimum(top, factor * self.streets.limit[lanes])
        # On its lane it still can brake as hard as it may, within what the plane permits.
        grip = self.assumptions.look_up("plane_acceleration", kind)
        grip = np.sqrt(grip**2 - np.minimum(self.assumptions.look_up("braking", kind), grip) ** 2)
        cap = np.minimum(cap, np.sqrt(_GRIP * grip / np.maximum(np.abs(rail.curvature), 1e-6)))
        self._put(
            kind, length, width, valid, place, heading, np.minimum(speed, cap), cap, along, aside,
            lanes, on_rail=True,
        )  # fmt: skip

    def put_free(
        self,
        place: Float64[np.ndarray, "episode 2"],
        heading: Numbers,
        speed: Numbers,
        *,
        kinds: tuple[Kind, ...],
        valid: Bool[np.ndarray, " episode"] | None = None,
        largest: float = np.inf,
    ) -> None:
        """Add one that moves freely, no longer or wider than `largest` [m]."""
        kind = self._draw_kinds(kinds)
        length, width = (np.minimum(size, largest) for size in self._draw_sizes(kind))
        cap = self.assumptions.look_up("speed", kind)
        nothing = np.zeros(self.count)
        self._put(
            kind, length, width, valid, place, heading, np.minimum(speed, cap), cap, nothing,
            nothing, np.zeros(self.count, np.int64), on_rail=False,
        )  # fmt: skip

    def crowd(self) -> Crowd:
        """Return all that were put on stage."""
        stacked = {
            name: np.stack([column[name] for column in self.columns], axis=1)
            for name in self.columns[0]
        }
        lanes = stacked.pop("lane")
        return Crowd(rail=pick_rails(self.streets, lanes), **stacked)

    def _draw_kinds(self, kinds: tuple[Kind, ...]) -> Int64[np.ndarray, " episode"]:
        return self.rng.choice(np.array(kinds, dtype=np.int64), self.count)

    def _draw_sizes(self, kind: Int64[np.ndarray, " episode"]) -> tuple[Numbers, Numbers]:
        table = np.array([_SIZES.get(one, _SIZES[Kind.CAR]) for one in Kind])[kind]
        return (
            self.rng.uniform(table[:, 0], table[:, 1]),
            self.rng.uniform(table[:, 2], table[:, 3]),
        )

    def _put(
        self,
        kind: Int64[np.ndarray, " episode"],
        length: Numbers,
        width: Numbers,
        valid: Bool[np.ndarray, " episode"] | None,
        place: Float64[np.ndarray, "episode 2"],
        heading: Numbers,
        speed: Numbers,
        cap: Numbers,
        along: Numbers,
        left: Numbers,
        lane: Int64[np.ndarray, " episode"],
        *,
        on_rail: bool,
    ) -> None:
        self.columns.append(
            {
                "kind": kind,
                "length": length,
                "width": width,
                "valid": np.ones(self.count, bool) if valid is None else valid,
                "on_rail": np.full(self.count, on_rail),
                "cap": cap,
                "along": along,
                "left": left,
                "place": place,
                "heading": heading,
                "speed": speed,
                "lane": lane,
            }
        )
