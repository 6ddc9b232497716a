"""Manoeuvres of ego: controls, the states that they lead to, and the room that these take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Integer

from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.motion import advance
from kerbstone.plan.vehicle import ControlIndex, StateIndex, Vehicle


@dataclass(frozen=True, eq=False)
class Manoeuvre:
    """What ego would do from now on, in each episode; after it, ego stays as it is.

    Args:
        state: Columns as in `StateIndex`; the first is now. Steps are one control step apart.
        control: Columns as in `ControlIndex`, held over a step.
        step: Length of a step [s].
    """

    state: Float64[np.ndarray, "batch grid 6"]
    control: Float64[np.ndarray, "batch step 2"]
    step: float

    def __len__(self) -> int:
        return len(self.state)

    @property
    def steps(self) -> int:
        """Number of steps."""
        return self.control.shape[1]

    def take(self, rows: Integer[np.ndarray, " row"]) -> Manoeuvre:
        """Return some of the episodes, in the order given."""
        return Manoeuvre(self.state[rows], self.control[rows], self.step)


def roll_out(
    state: Float64[np.ndarray, "batch 6"],
    control: Float64[np.ndarray, "batch step 2"],
    *,
    vehicle: Vehicle,
    step: float,
) -> Manoeuvre:
    """Return the manoeuvre that controls lead to.

    Args:
        state: Where ego is.
        control: What it does; values outside the limits are not cut here, the verifier sees them.
        vehicle: How ego moves.
        step: How long each control is held [s].
    """
    states = np.empty((len(state), control.shape[1] + 1, len(StateIndex)))
    states[:, 0] = state
    for k in range(control.shape[1]):
        states[:, k + 1] = advance(states[:, k], control[:, k], step, vehicle)
    return Manoeuvre(states, control, step)


def place_body(
    state: Float64[np.ndarray, "*shape 6"], vehicle: Vehicle
) -> tuple[
    Float64[np.ndarray, "*shape 2"],
    Float64[np.ndarray, "*shape 2"],
    Float64[np.ndarray, "*shape 2"],
]:
    """Return middle, direction, and half length and width of the box around ego."""
    heading = state[..., StateIndex.HEADING]
    direction = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    centre = state[..., :2] + vehicle.centre_offset * direction
    half = np.broadcast_to([vehicle.length / 2.0, vehicle.width / 2.0], centre.shape)
    return centre, direction, half


@dataclass(frozen=True, eq=False)
class SweptBoxes:
    """For each step, a box that holds all that ego may touch during it.

    Args:
        centre: In the world frame [m].
        direction: Unit vector along the box.
        half: Half the length and half the width [m].
    """

    centre: Float64[np.ndarray, "batch step 2"]
    direction: Float64[np.ndarray, "batch step 2"]
    half: Float64[np.ndarray, "batch step 2"]


def sweep(manoeuvre: Manoeuvre, *, vehicle: Vehicle, assumptions: Assumptions) -> SweptBoxes:
    """Return boxes around all that ego may touch during each step of a manoeuvre.

    Each point of the body moves along a curve whose acceleration is bounded by A; during a step it
    stays within A step²/8 of the straight line between its ends, and these lie in the hull of the
    two boxes. The box returned holds this hull, the tracking tube and the rounding.
    """
    state, tube = manoeuvre.state, assumptions.tube
    heading, speed = state[..., StateIndex.HEADING], state[..., StateIndex.SPEED]
    ahead = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    centre = state[..., :2] + vehicle.centre_offset * ahead
    # The tube is about the rear axle, so the front swings farthest.
    arm = max(vehicle.length - vehicle.rear_overhang, vehicle.rear_overhang)
    size = np.array(
        [
            vehicle.length / 2.0 + tube.longitudinal + vehicle.width / 2.0 * tube.heading,
            vehicle.width / 2.0 + tube.lateral + arm * tube.heading,
        ]
    )
    size += assumptions.rounding
    if not assumptions.covers_intervals:
        return SweptBoxes(centre[:, 1:], ahead[:, 1:], np.broadcast_to(size, centre[:, 1:].shape))
    turn = (heading[:, 1:] - heading[:, :-1]) / 2.0
    middle = heading[:, :-1] + turn
    direction = np.stack([np.cos(middle), np.sin(middle)], axis=-1)
    chord = centre[:, 1:] - centre[:, :-1]
    along = chord[..., 0] * direction[..., 0] + chord[..., 1] * direction[..., 1]
    aside = chord[..., 1] * direction[..., 0] - chord[..., 0] * direction[..., 1]
    # |sin| and cos of the half turn are bounded without calling them.
    sine = np.abs(turn)
    bulge = _acceleration_of_body(manoeuvre, speed, vehicle) * manoeuvre.step**2 / 8.0
    half = np.stack(
        [
            np.abs(along) / 2.0 + size[0] + sine * size[1] + bulge,
            np.abs(aside) / 2.0 + size[1] + sine * size[0] + bulge,
        ],
        axis=-1,
    )
    return SweptBoxes((centre[:, 1:] + centre[:, :-1]) / 2.0, direction, half)


def _acceleration_of_body(
    manoeuvre: Manoeuvre, speed: Float64[np.ndarray, "batch grid"], vehicle: Vehicle
) -> Float64[np.ndarray, "batch step"]:
    """Bound the acceleration of every point of the body during each step [m/s²]."""
    control, before = manoeuvre.control, manoeuvre.state[:, :-1]
    slope = np.tan(np.abs(manoeuvre.state[..., StateIndex.STEERING]))
    slope = np.maximum(slope[:, 1:], slope[:, :-1])
    rate = np.abs(control[..., ControlIndex.STEERING_RATE])
    pull = before[..., StateIndex.ACCELERATION]
    pull = np.maximum(np.abs(pull), np.abs(pull + manoeuvre.step * control[..., ControlIndex.JERK]))
    # Where the acceleration changes sign the speed may be greater inside than at both ends.
    fastest = np.maximum(speed[:, 1:], speed[:, :-1]) + pull * manoeuvre.step
    turn = fastest * slope / vehicle.wheelbase
    spin = (pull * slope + fastest * rate * (1.0 + slope**2)) / vehicle.wheelbase
    arm = np.hypot(vehicle.length - vehicle.rear_overhang, vehicle.width / 2.0)
    return np.hypot(pull, fastest * turn) + arm * (spin + turn**2)
