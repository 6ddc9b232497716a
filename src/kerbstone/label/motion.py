"""How road users move from one step to the next, and what a detection says of their state.

A state is `StateIndex`: place and heading first, so that a detection measures the first three
whatever the model; the last two are speed and yaw rate of what has wheels, and the velocity of
what walks. All functions are batched over road users, with one time difference or one each.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from kerbstone.scene import Kind

_WHEELED = np.isin(
    np.arange(len(Kind)),
    [Kind.CAR, Kind.TRUCK, Kind.BUS, Kind.TRAILER, Kind.TRAIN, Kind.MOTORCYCLE, Kind.CYCLIST],
)


class StateIndex(IntEnum):
    """Columns of a state."""

    X = 0  # [m]
    Y = 1
    HEADING = 2  # [rad]
    SPEED = 3  # along the heading, of what has wheels; or velocity in x [m/s]
    YAW_RATE = 4  # of what has wheels [rad/s]; or velocity in y [m/s]


MEASURED = 3
"""A detection measures the first three columns."""


def has_wheels(kind: UInt8[np.ndarray, " agent"]) -> Bool[np.ndarray, " agent"]:
    """Tell which kinds move along their heading, at a constant turn rate."""
    return _WHEELED[kind]


def predict_state(
    state: Float64[np.ndarray, "agent 5"],
    wheeled: Bool[np.ndarray, " agent"],
    dt: float | Float64[np.ndarray, " agent"],
) -> tuple[Float64[np.ndarray, "agent 5"], Float64[np.ndarray, "agent 5 5"]]:
    """Return the states after `dt`, and their derivatives by the states before.

    What has wheels keeps its speed and turn rate (CTRV); what walks keeps its velocity, and its
    heading is its own affair. The middle heading of the step stands for the arc: its chord is
    exact in direction, and short by (ω·dt)²/24, a part in ten thousand at 0.5 rad/s and 0.1 s.

    References:
        Bar-Shalom, Li and Kirubarajan, "Estimation with Applications to Tracking and Navigation",
        2001, section 11.7: coordinated turns.
    """
    dt = np.broadcast_to(np.asarray(dt, np.float64), len(state))
    after = state.copy()
    jacobian = np.zeros((len(state), 5, 5))
    jacobian[:] = np.eye(5)
    turn = np.where(wheeled, state[:, 4] * dt, 0.0)
    middle = state[:, 2] + turn / 2
    cos, sin = np.cos(middle), np.sin(middle)
    way = state[:, 3] * dt
    after[:, 0] += np.where(wheeled, way * cos, way)
    after[:, 1] += np.where(wheeled, way * sin, state[:, 4] * dt)
    after[:, 2] += turn
    jacobian[:, 0, 2] = np.where(wheeled, -way * sin, 0.0)
    jacobian[:, 0, 3] = np.where(wheeled, dt * cos, dt)
    jacobian[:, 0, 4] = np.where(wheeled, -way * sin * dt / 2, 0.0)
    jacobian[:, 1, 2] = np.where(wheeled, way * cos, 0.0)
    jacobian[:, 1, 3] = np.where(wheeled, dt * sin, 0.0)
    jacobian[:, 1, 4] = np.where(wheeled, way * cos * dt / 2, dt)
    jacobian[:, 2, 4] = np.where(wheeled, dt, 0.0)
    return after, jacobian


def process_noise(
    state: Float64[np.ndarray, "agent 5"],
    wheeled: Bool[np.ndarray, " agent"],
    acceleration: Float64[np.ndarray, " agent"],
    turning: Float64[np.ndarray, " agent"],
    dt: float | Float64[np.ndarray, " agent"],
) -> Float64[np.ndarray, "agent 5 5"]:
    """Return the covariance that `dt` of unknown driving adds to the states.

    Args:
        state: States before.
        wheeled: Which move along their heading.
        acceleration: Standard deviation of the acceleration, constant over a step: along the
            heading of what has wheels, in x and in y of what walks [m/s²].
        turning: Standard deviation of the yaw acceleration of what has wheels [rad/s²], or of how
            far the heading of what walks wanders in a second [rad].
        dt: Time step [s].
    """
    dt = np.broadcast_to(np.asarray(dt, np.float64), len(state))
    pull = np.zeros((len(state), 5, 3))
    half = dt * dt / 2
    ahead, sideways = np.cos(state[:, 2]), np.sin(state[:, 2])
    pull[:, 0, 0] = np.where(wheeled, half * ahead, half) * acceleration
    pull[:, 1, 0] = np.where(wheeled, half * sideways, 0.0) * acceleration
    pull[:, 3, 0] = dt * acceleration
    pull[:, 1, 1] = np.where(wheeled, 0.0, half * acceleration)
    pull[:, 4, 1] = np.where(wheeled, 0.0, dt * acceleration)
    pull[:, 2, 2] = np.where(wheeled, half, np.sqrt(dt)) * turning
    pull[:, 4, 2] = np.where(wheeled, dt * turning, 0.0)
    return pull @ pull.transpose(0, 2, 1)
