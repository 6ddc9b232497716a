"""How ego moves: the kinematic bicycle over one step of constant jerk and steering rate."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from kerbstone.plan.vehicle import ControlIndex, StateIndex, Vehicle


def advance(
    state: Float64[np.ndarray, "batch 6"],
    control: Float64[np.ndarray, "batch 2"],
    duration: float,
    vehicle: Vehicle,
) -> Float64[np.ndarray, "batch 6"]:
    """Return the states after a control was held for some time.

    Speed, acceleration and steering are exact. The place is integrated by Simpson's rule, the
    heading by its cubic counterpart; both are exact on a straight line and good to 1e-5 m for a
    step of 0.1 s. A car that has braked to a standstill has no acceleration, and stays there unless
    the jerk is above zero: then it drives off at once. So two short steps are the same as a long one.

    Args:
        state: Columns as in `StateIndex`. A speed below zero counts as zero.
        control: Columns as in `ControlIndex`.
        duration: [s].
        vehicle: Its wheelbase is used; limits are not.
    """
    columns = np.ascontiguousarray(state.T)
    return advance_columns(columns, control.T, duration, vehicle.wheelbase).T.copy()


def advance_columns(
    state: Float64[np.ndarray, "6 batch"],
    control: Float64[np.ndarray, "2 batch"],
    duration: float,
    wheelbase: float,
) -> Float64[np.ndarray, "6 batch"]:
    """Return what `advance` does, for states and controls whose columns come first: it is faster."""
    jerk, rate = control[ControlIndex.JERK], control[ControlIndex.STEERING_RATE]
    speed = np.maximum(state[StateIndex.SPEED], 0.0)
    acceleration, steering = state[StateIndex.ACCELERATION], state[StateIndex.STEERING]
    moving = time_to_stop(speed, acceleration, jerk, duration)
    stops = moving < duration
    end = np.maximum(speed + moving * (acceleration + moving * jerk / 2.0), 0.0)
    end[stops] = 0.0
    new = np.empty_like(state)
    _turn(state, new, rate, moving, speed, end, wheelbase)
    new[StateIndex.SPEED] = end
    new[StateIndex.ACCELERATION] = np.where(stops, 0.0, acceleration + duration * jerk)
    new[StateIndex.STEERING] = steering + duration * rate
    again = np.flatnonzero(stops & (jerk > 0.0))
    if len(again):
        rest = duration - moving[again]
        way = jerk[again] * rest**3 / 6.0
        slope = np.tan(new[StateIndex.STEERING, again]) / wheelbase
        heading = new[StateIndex.HEADING, again] + way * slope / 2.0
        new[StateIndex.X, again] += way * np.cos(heading)
        new[StateIndex.Y, again] += way * np.sin(heading)
        new[StateIndex.HEADING, again] += way * slope
        new[StateIndex.SPEED, again] = jerk[again] * rest**2 / 2.0
        new[StateIndex.ACCELERATION, again] = jerk[again] * rest
    return new


def _turn(
    state: Float64[np.ndarray, "6 batch"],
    new: Float64[np.ndarray, "6 batch"],
    rate: Float64[np.ndarray, " batch"],
    moving: Float64[np.ndarray, " batch"],
    speed: Float64[np.ndarray, " batch"],
    end: Float64[np.ndarray, " batch"],
    wheelbase: float,
) -> None:
    """Set place and heading after the time that the car moves."""
    # The speed is a parabola through its ends, whose slope at the start is the acceleration.
    pull = state[StateIndex.ACCELERATION]
    middle = np.maximum((3.0 * speed + end + pull * moving) / 4.0, 0.0)
    heading, steering = state[StateIndex.HEADING], state[StateIndex.STEERING]
    sixth = moving / 6.0
    if not (steering.any() or rate.any()):
        way = sixth * (speed + 4.0 * middle + end)
        new[StateIndex.X] = state[StateIndex.X] + way * np.cos(heading)
        new[StateIndex.Y] = state[StateIndex.Y] + way * np.sin(heading)
        new[StateIndex.HEADING] = heading
        return
    turned = moving * rate
    turn = speed * np.tan(steering) / wheelbase
    turn_middle = middle * np.tan(steering + turned / 2.0) / wheelbase
    turn_end = end * np.tan(steering + turned) / wheelbase
    heading_middle = heading + moving * (5.0 * turn + 8.0 * turn_middle - turn_end) / 24.0
    heading_end = heading + sixth * (turn + 4.0 * turn_middle + turn_end)
    middle *= 4.0
    for column, wave in ((StateIndex.X, np.cos), (StateIndex.Y, np.sin)):
        sums = speed * wave(heading)
        sums += middle * wave(heading_middle)
        sums += end * wave(heading_end)
        new[column] = state[column] + sixth * sums
    new[StateIndex.HEADING] = heading_end


def time_to_stop(
    speed: Float64[np.ndarray, " batch"],
    acceleration: Float64[np.ndarray, " batch"],
    jerk: Float64[np.ndarray, " batch"],
    duration: float,
) -> Float64[np.ndarray, " batch"]:
    """Return when the speed first falls to zero and would fall on, or `duration` [s].

    Args:
        speed: Now, zero at least [m/s].
        acceleration: Now [m/s²].
        jerk: Held constant [m/s³].
        duration: How far to look [s].
    """
    # The least positive root of speed + acceleration t + jerk t²/2, in the form that does not
    # cancel: 2 speed / (-acceleration + sqrt(acceleration² - 2 speed jerk)).
    root = acceleration**2 - 2.0 * speed * jerk
    below = -acceleration + np.sqrt(np.maximum(root, 0.0))
    reached = (root >= 0.0) & (below > 0.0)
    first = np.where(reached, 2.0 * speed / np.where(reached, below, 1.0), np.inf)
    # What stands and is not pulled forwards stays.
    stays = (speed <= 0.0) & ((acceleration < 0.0) | ((acceleration <= 0.0) & (jerk <= 0.0)))
    return np.where(stays, 0.0, np.minimum(first, duration))
