"""The car that is planned for: its shape, its limits and how it moves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from kerbstone.errors import InputError


class StateIndex(IntEnum):
    """Columns of a state. The reference point is the middle of the rear axle, in the world frame."""

    X = 0
    Y = 1
    HEADING = 2
    SPEED = 3
    ACCELERATION = 4
    STEERING = 5


class ControlIndex(IntEnum):
    """Columns of a control, held over one step."""

    JERK = 0
    STEERING_RATE = 1


STATE_SIZE = len(StateIndex)
CONTROL_SIZE = len(ControlIndex)


@dataclass(frozen=True)
class Vehicle:
    """A car as a kinematic bicycle with limits [m, s, rad].

    The defaults are a mid-size car on a dry road. They bound what the car *can* do; comfort is a
    matter of cost.

    Args:
        length: Of the box around the car.
        width: Of the box around the car.
        wheelbase: Between the axles.
        rear_overhang: From the rear axle to the rear bumper.
        speed: Least and greatest [m/s]. The least is a little below zero, so that a plan which
            ends at a standstill has an interior to be optimised in; a car rounds it to zero.
        acceleration: Hardest braking (below zero) and greatest acceleration [m/s²].
        jerk: Greatest change of the acceleration, either way [m/s³].
        steering: Greatest angle of the front wheels, either way.
        steering_rate: Greatest change of that angle, either way [rad/s].
        lateral_acceleration: Greatest `speed² tan(steering) / wheelbase`, either way [m/s²].

    Raises:
        InputError: A size is not above zero, or a range is empty.
    """

    length: float = 4.9
    width: float = 1.9
    wheelbase: float = 2.9
    rear_overhang: float = 1.0
    speed: tuple[float, float] = (-0.1, 35.0)
    acceleration: tuple[float, float] = (-8.0, 3.0)
    jerk: float = 20.0
    steering: float = 0.6
    steering_rate: float = 0.8
    lateral_acceleration: float = 6.0

    def __post_init__(self) -> None:
        for name in (
            "length",
            "width",
            "wheelbase",
            "jerk",
            "steering",
            "steering_rate",
            "lateral_acceleration",
        ):
            value = getattr(self, name)
            if not value > 0.0:
                raise InputError(
                    "value", f"vehicle.{name} is not above zero", why=f"{name} = {value:g}"
                )
        for name in ("speed", "acceleration"):
            low, high = getattr(self, name)
            if not low < 0.0 < high:
                raise InputError(
                    "value",
                    f"vehicle.{name} does not reach to both sides of zero",
                    why=f"{name} = ({low:g}, {high:g})",
                )

    @property
    def disc_radius(self) -> float:
        """Radius of each of three discs that cover the car [m]."""
        return ((self.length / 6.0) ** 2 + (self.width / 2.0) ** 2) ** 0.5

    @property
    def disc_offsets(self) -> tuple[float, float, float]:
        """Where the discs' centres lie ahead of the rear axle [m]."""
        return tuple(self.length * (2 * i + 1) / 6.0 - self.rear_overhang for i in range(3))  # type: ignore[return-value]

    @property
    def centre_offset(self) -> float:
        """How far the middle of the box lies ahead of the rear axle [m]."""
        return self.length / 2.0 - self.rear_overhang
