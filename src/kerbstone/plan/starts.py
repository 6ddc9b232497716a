"""The state a plan starts from, estimated from the recorded motion of a car."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.errors import InputError
from kerbstone.plan.vehicle import STATE_SIZE, StateIndex, Vehicle
from kerbstone.scene import Scene, derive_heading

_WINDOW = 0.5
"""Motion is estimated from the record this long before and after a time [s]."""
_SLOW = 1.0
"""Below this speed steering is estimated as at this speed: yaw rates say little there [m/s]."""
_CERTAIN = 2.0
"""A value beyond so many times its limit is no noise but an impossible state."""
_INSIDE = 0.98
"""Values are clipped to this share of their limits, so that there is room to optimise in."""
_BACKWARD = 0.5
"""A car that goes backwards faster than this reverses [m/s]."""


@dataclass(frozen=True, eq=False)
class Start:
    """A state to start from.

    Args:
        state: Columns `StateIndex`, at the middle of the rear axle.
        clipped: What lay beyond the car's limits and was clipped, in words.
    """

    state: Float64[np.ndarray, " 6"]
    clipped: tuple[str, ...] = ()


def estimate_start(scene: Scene, agent: int, step: int, vehicle: Vehicle) -> Start:
    """Return the state of a recorded road user, as if it were the car that is planned for.

    A parabola is fitted to the places of the rear axle in the half second before and after, and a
    line to the heading. Steering follows from speed and yaw rate. What noise puts a little beyond
    the limits of the car is clipped; speed backwards below 0.5 m/s is a standstill.

    Args:
        scene: The scene.
        agent: Row of the road user.
        step: The step that is now.
        vehicle: The car.

    Raises:
        InputError: The road user is not there, which way it faces is not known, or its state is
            far beyond the limits of the car.
    """
    agents = scene.agents
    where = f"scene {scene.id}, agent {agents.ids[agent]!r}, {step * scene.clock.dt:.1f} s"
    if not agents.valid[agent, step]:
        raise InputError(
            "value",
            "the car is not there at that time",
            where=where,
            why=_presence(agents.valid[agent], scene.clock.dt),
            remedy="choose a time at which it is",
        )
    reach = max(round(_WINDOW / scene.clock.dt), 1)
    part = slice(max(step - reach, 0), step + reach + 1)
    rows = np.flatnonzero(agents.valid[agent, part]) + part.start
    heading = agents.heading[agent].copy()
    if not np.isfinite(heading[rows]).all():
        derived = derive_heading(agents.centre[agent : agent + 1], agents.valid[agent : agent + 1])
        heading = np.where(np.isfinite(heading), heading, derived[0])
    if not np.isfinite(heading[step]):
        raise InputError(
            "value",
            "which way the car faces is not known",
            where=where,
            why="the record has no heading, and the car does not move far enough to show one",
            remedy="choose another scene",
        )
    rows = rows[np.isfinite(heading[rows])]
    turned = np.unwrap(heading[rows])
    way = np.stack([np.cos(turned), np.sin(turned)], axis=-1)
    rear = agents.centre[agent, rows, :2] - vehicle.centre_offset * way
    time = (rows - step) * scene.clock.dt
    if not np.isfinite(rear).all():
        raise InputError("value", "where the car is, is not a number", where=where)
    now = int(np.searchsorted(rows, step))
    # The record of one step alone has no more than its velocity to show.
    velocity = np.nan_to_num(agents.velocity[agent, step])
    acceleration, yaw_rate = np.zeros(2), 0.0
    if len(rows) >= 4:
        fit = np.linalg.lstsq(np.stack([time**0, time, time**2 / 2], axis=-1), rear, rcond=None)[0]
        velocity, acceleration = fit[1], fit[2]
    elif len(rows) >= 2:
        velocity = np.polyfit(time, rear, 1)[0]
    if len(rows) >= 2:
        yaw_rate = float(np.polyfit(time, turned, 1)[0])
    speed = float(velocity @ way[now])
    state = np.zeros(STATE_SIZE)
    state[[StateIndex.X, StateIndex.Y]] = rear[now]
    state[StateIndex.HEADING] = heading[step]
    state[StateIndex.SPEED] = speed if not -_BACKWARD < speed < 0.0 else 0.0
    state[StateIndex.ACCELERATION] = float(acceleration @ way[now])
    state[StateIndex.STEERING] = np.arctan(vehicle.wheelbase * yaw_rate / max(speed, _SLOW))
    check_start(state, vehicle, where=where, tolerance=_CERTAIN)
    return _clip(state, vehicle)


def check_start(
    state: Float64[np.ndarray, " 6"], vehicle: Vehicle, *, where: str = "", tolerance: float = 1.0
) -> Float64[np.ndarray, " 6"]:
    """Return a state after checking that the car can be in it.

    Args:
        state: Columns `StateIndex`.
        vehicle: The car.
        where: Of which scene and time it is, for the error.
        tolerance: As many times the limits are let pass, but for speed.

    Raises:
        InputError: A value is not finite, or beyond the car's limits.
    """
    lateral = lateral_acceleration(state, vehicle)
    low, high = vehicle.acceleration
    limits = {
        "speed": (state[StateIndex.SPEED], *vehicle.speed, "m/s"),
        "acceleration": (
            state[StateIndex.ACCELERATION],
            low * tolerance,
            high * tolerance,
            "m/s²",
        ),
        "steering": (
            state[StateIndex.STEERING],
            -vehicle.steering * tolerance,
            vehicle.steering * tolerance,
            "rad",
        ),
        "lateral acceleration": (
            lateral,
            -vehicle.lateral_acceleration * tolerance,
            vehicle.lateral_acceleration * tolerance,
            "m/s²",
        ),
    }
    if not np.isfinite(state).all():
        raise InputError(
            "value",
            "the start state is not finite",
            where=where,
            why=f"{[name.name.lower() for name in StateIndex if not np.isfinite(state[name])]}",
        )
    for name, (value, least, most, unit) in limits.items():
        if not least <= value <= most:
            raise InputError(
                "value",
                f"the start state is impossible: its {name} is beyond the car's limits",
                where=where,
                why=f"{value:.2f} {unit}, limits {least:.2f} to {most:.2f} {unit}",
                remedy="correct the state, or give a vehicle that can do this",
            )
    return state


def lateral_acceleration(state: Float64[np.ndarray, " 6"], vehicle: Vehicle) -> float:
    """Return the lateral acceleration at the rear axle [m/s²]."""
    bend = np.tan(state[StateIndex.STEERING]) / vehicle.wheelbase
    return float(state[StateIndex.SPEED] ** 2 * bend)


def _clip(state: np.ndarray, vehicle: Vehicle) -> Start:
    low, high = vehicle.acceleration
    speed = state[StateIndex.SPEED]
    turn = vehicle.lateral_acceleration * vehicle.wheelbase / max(speed, 1e-3) ** 2
    steering = _INSIDE * min(vehicle.steering, float(np.arctan(turn)))
    ranges = {
        StateIndex.ACCELERATION: (_INSIDE * low, _INSIDE * high, "m/s²"),
        StateIndex.STEERING: (-steering, steering, "rad"),
    }
    clipped = []
    state = state.copy()
    for column, (least, most, unit) in ranges.items():
        value = float(np.clip(state[column], least, most))
        if value != state[column]:
            name = column.name.lower()
            clipped.append(f"{name} from {state[column]:.3f} to {value:.3f} {unit}")
            state[column] = value
    return Start(state, tuple(clipped))


def _presence(valid: Bool[np.ndarray, " time"], dt: float) -> str:
    steps = np.flatnonzero(valid)
    if not len(steps):
        return "it never is"
    return f"it is there from {steps[0] * dt:.1f} s to {steps[-1] * dt:.1f} s"
