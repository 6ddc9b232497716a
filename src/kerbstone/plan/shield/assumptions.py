"""What the shield takes for granted: how others may move, and how well they are seen.

The theorem of the shield holds inside these and is silent outside. Every number here is monitored
at run time by the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from jaxtyping import Float64, Integer

from kerbstone.errors import InputError
from kerbstone.scene import Kind


@dataclass(frozen=True)
class Behaviour:
    """What road users of one kind may do (A2) [m, s, rad].

    Args:
        acceleration: Greatest along its way.
        braking: Hardest braking along its way, above zero. What is ahead may brake like this.
        mild_braking: The braking that it applies at least where it has to: what is behind brakes
            like this after its response.
        response: Time until it does what it has to.
        speed: Greatest speed. One that is faster when seen keeps to the speed it has.
        speed_factor: Greatest speed as a multiple of the lane's limit.
        plane_acceleration: Greatest in any direction, whatever the lanes are.
        lateral_speed: Greatest across its lane while it changes lanes.
        lateral_slope: Lateral speed as a share of its speed, at most: a car that stands does not
            slide sideways.
        lateral_acceleration: Greatest across its lane while it keeps to it, during `response`.
        lateral_braking: The least after that, until its lateral speed is zero.
        follows_lanes: Whether the lanes tell where it may go. If not, only the plane does.

    Raises:
        InputError: A value is negative or not finite.
    """

    acceleration: float = 3.5
    braking: float = 8.0
    mild_braking: float = 4.0
    response: float = 1.0
    speed: float = 40.0
    speed_factor: float = 1.2
    plane_acceleration: float = 10.0
    lateral_speed: float = 2.0
    lateral_slope: float = 0.5
    lateral_acceleration: float = 0.2
    lateral_braking: float = 0.8
    follows_lanes: bool = True

    def __post_init__(self) -> None:
        for item in fields(self):
            value = float(getattr(self, item.name))
            if not 0.0 <= value < math.inf:
                raise InputError(
                    "value",
                    f"behaviour.{item.name} is negative or not finite",
                    why=f"{item.name} = {value:g}",
                )


_ON_FOOT = Behaviour(
    acceleration=2.0,
    braking=4.0,
    mild_braking=2.0,
    speed=3.0,
    speed_factor=math.nextafter(1e9, 0.0),
    plane_acceleration=2.0,
    follows_lanes=False,
)
_CYCLING = Behaviour(
    acceleration=2.0,
    braking=6.0,
    mild_braking=3.0,
    speed=12.0,
    speed_factor=math.nextafter(1e9, 0.0),
    plane_acceleration=3.0,
    follows_lanes=False,
)
_LYING = Behaviour(
    acceleration=0.0, braking=0.0, speed=0.0, plane_acceleration=0.0, follows_lanes=False
)

BEHAVIOURS: dict[Kind, Behaviour] = {
    Kind.CYCLIST: _CYCLING,
    Kind.RIDER: _CYCLING,
    Kind.PEDESTRIAN: _ON_FOOT,
    Kind.ANIMAL: _ON_FOOT,
    Kind.BICYCLE: _LYING,
    Kind.OBJECT: _LYING,
}
"""The behaviours that differ from a vehicle's. Kinds that are not here behave like `Behaviour()`."""


@dataclass(frozen=True)
class Perception:
    """How far what is seen may be from what is (A3).

    Args:
        position: Distance of a box' centre from where it is [m].
        heading: Either way [rad].
        speed: Either way [m/s].
        size: Of length and of width, either way [m].
    """

    position: float = 0.1
    heading: float = 0.01
    speed: float = 0.2
    size: float = 0.1


@dataclass(frozen=True)
class Tube:
    """How far ego's rear axle may be from where its manoeuvre says (A4) [m, rad].

    Args:
        longitudinal: Along ego's heading, either way.
        lateral: Across it, either way.
        heading: Either way.
    """

    longitudinal: float = 0.1
    lateral: float = 0.05
    heading: float = 0.005


@dataclass(frozen=True)
class Response:
    """How ego answers to what cuts in, in the sense of RSS.

    One that cuts in leaves a gap that is safe for such a driver; a manoeuvre that brakes at least
    like it is then safe behind it (see the docs, "Cutting in").

    Args:
        response: Time until ego brakes [s].
        acceleration: Greatest during it [m/s²].
        braking: Least after it [m/s²].
        hardest: Hardest braking of ego, for which followers keep their distance [m/s²].
    """

    response: float = 1.0
    acceleration: float = 3.5
    braking: float = 4.0
    hardest: float = 8.0


@dataclass(frozen=True)
class Assumptions:
    """All that the shield assumes (A2 to A5).

    Args:
        behaviours: What each kind may do, where it differs from `default`.
        default: What all other kinds may do.
        perception: Errors of what is seen (A3).
        tube: Errors of where ego is (A4).
        ego: How ego answers, which others may count on.
        control_step: Time between two calls of the shield [s].
        swaying: Lateral movement that is no intent [m]: RSS' fluctuation margin.
        aligned: Two directions that differ by less are the same direction [rad].
        shoulder: How far beside its lane a road user is still taken to follow it [m].
        phantom_speed: Greatest speed of those on foot at the moment when they step out of a blind
            place; after that they do what those on foot may do [m/s].
        rounding: Added to every length against rounding and integration [m] (A5).
        covers_intervals: Whether what lies between two grid points is covered (A5). False shows
            what leaving it out costs, and voids the theorem.

    Raises:
        InputError: The control step is not above zero.
    """

    behaviours: Mapping[Kind, Behaviour] = field(default_factory=lambda: dict(BEHAVIOURS))
    default: Behaviour = field(default_factory=Behaviour)
    perception: Perception = field(default_factory=Perception)
    tube: Tube = field(default_factory=Tube)
    ego: Response = field(default_factory=Response)
    control_step: float = 0.1
    swaying: float = 0.1
    aligned: float = math.pi / 4
    shoulder: float = 3.5
    phantom_speed: float = 2.0
    rounding: float = 1e-3
    covers_intervals: bool = True
    _tables: Mapping[str, Float64[np.ndarray, " kind"]] = field(
        init=False, repr=False, compare=False
    )
    """Each value of `Behaviour`, by kind."""

    def __post_init__(self) -> None:
        if not 0.0 < self.control_step < math.inf:
            raise InputError(
                "value",
                "assumptions.control_step is not above zero",
                why=f"control_step = {self.control_step:g}",
            )
        tables = {
            item.name: np.array([float(getattr(self.of_kind(one), item.name)) for one in Kind])
            for item in fields(Behaviour)
        }
        object.__setattr__(self, "_tables", tables)

    @property
    def remembered(self) -> int:
        """How many of the last states cover ego's response before anything since the last one."""
        return math.ceil(self.ego.response / self.control_step - 1e-9) + 2

    def of_kind(self, kind: Kind) -> Behaviour:
        """Return what road users of a kind may do."""
        return self.behaviours.get(kind, self.default)

    def look_up(
        self, name: str, kind: Integer[np.ndarray, "*shape"]
    ) -> Float64[np.ndarray, "*shape"]:
        """Return one value of `Behaviour` for each road user.

        Args:
            name: A field of `Behaviour`.
            kind: Values of `Kind`.
        """
        return self._tables[name][kind]
