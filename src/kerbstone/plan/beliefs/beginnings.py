"""Controls for a contingency plan to begin from: the last plan, and plans for each mode alone."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Float64, Int

from kerbstone.plan.admission import admit
from kerbstone.plan.planning import Effort, plan
from kerbstone.plan.problem import Horizon, Problem
from kerbstone.plan.vehicle import ControlIndex, StateIndex, Vehicle

_STANDS, _SETTLED = 0.12, 0.5
"""Speed and acceleration up to which a car has come to a standstill [m/s, m/s²]."""


def move_up(
    controls: Float[Array | np.ndarray, "batch mode step 2"], steps: int = 1
) -> Float64[np.ndarray, "batch mode step 2"]:
    """Return what is left of plans some steps later; then nothing is changed any more.

    Args:
        controls: Columns `ControlIndex`.
        steps: How many steps were driven since.
    """
    values = np.asarray(controls, np.float64)
    moved = np.zeros_like(values)
    moved[:, :, : values.shape[2] - steps] = values[:, :, steps:]
    return moved


def hold_standstill(
    controls: Float[Array | np.ndarray, "batch mode step 2"],
    states: Float[Array | np.ndarray, "batch mode step_plus_1 6"],
    *,
    dt: float,
) -> Float64[np.ndarray, "batch mode step 2"]:
    """Return plans that stay where they last stand still.

    A plan that has stopped for somebody may creep on towards its end, where nothing weighs against
    it. Moved up, it would drive into them. From the last step at which it stands and does not roll
    forward, or else from the first at which it stands, the speed and the acceleration that are
    left are brought to zero in two steps.

    Args:
        controls: Columns `ControlIndex`.
        states: That they lead to, the start first; columns `StateIndex`.
        dt: Length of a step [s].
    """
    held = np.array(controls, np.float64)
    speed, acceleration = (
        np.asarray(states, np.float64)[..., i] for i in (StateIndex.SPEED, StateIndex.ACCELERATION)
    )
    stands = (np.abs(speed) <= _STANDS) & (np.abs(acceleration) <= _SETTLED)
    for batch, mode in np.argwhere(stands.any(axis=-1)):
        back = np.flatnonzero(stands[batch, mode] & (speed[batch, mode] <= 0.0))
        first = int(back[-1] if len(back) else stands[batch, mode].argmax())
        v, a = speed[batch, mode, first], acceleration[batch, mode, first]
        # Of v + 2 a dt + (3 j1 + j2) dt² / 2 = 0 and a + (j1 + j2) dt = 0.
        jerk = -(v / dt**2 + 1.5 * a / dt)
        rest = np.array([jerk, -a / dt - jerk])
        held[batch, mode, first:] = 0.0
        count = min(2, held.shape[2] - first)
        held[batch, mode, first : first + count, ControlIndex.JERK] = rest[:count]
    return held


def share_trunk(
    controls: Float[Array | np.ndarray, "batch mode step 2"],
    branch_step: Int[Array | np.ndarray, " batch"],
) -> Float64[np.ndarray, "batch given mode step 2"]:
    """Return plans that share their controls as long as they must, once by each mode.

    The first one returned has the first mode's controls for a trunk, and so on. They may hit
    someone: that is for the solver to mend.

    Args:
        controls: That may differ between modes from the first step on; columns `ControlIndex`.
        branch_step: From which step on they may.
    """
    values = np.asarray(controls, np.float64)
    shared = np.arange(values.shape[2]) < np.asarray(branch_step)[:, None]
    return np.where(shared[:, None, None, :, None], values[:, :, None], values[:, None])


def keep_to_modes(
    controls: Float[Array | np.ndarray, "batch mode step 2"],
) -> Float64[np.ndarray, "batch given mode step 2"]:
    """Return plans that never branch, once for each mode: in all modes they do as in that one.

    The branch that stops for the worst of the modes is safe in all of them and stays so, when the
    tree that it belongs to cannot be driven any more.

    Args:
        controls: Of each mode; columns `ControlIndex`.
    """
    values = np.asarray(controls, np.float64)
    return np.repeat(values[:, :, None], values.shape[1], axis=2)


def plan_alone(
    problem: Problem,
    *,
    vehicle: Vehicle | None = None,
    horizon: Horizon | None = None,
    effort: Effort | None = None,
    precision: Any = np.float32,
) -> Float64[np.ndarray, "batch given mode step 2"]:
    """Return plans made for each mode as if it were sure, joined to trees by `share_trunk`.

    A tree that begins as one decision in all modes (yield in all, pass on the left in all) finds
    the best for each mode only where one leads to the other. Begun from these it may go different
    ways in different modes. That takes as long again as the plan itself.

    Args:
        problem: With one batch axis, or none.
        vehicle: The car.
        horizon: How far ahead.
        effort: How much is done for each mode.
        precision: Of the iterations.

    Raises:
        InputError: As `planning.plan`.
    """
    vehicle, horizon = vehicle or Vehicle(), horizon or Horizon()
    problem = admit(problem, vehicle, horizon)
    alone = plan(
        split_modes(problem), vehicle=vehicle, horizon=horizon, effort=effort, precision=precision
    )
    controls = np.asarray(alone.controls)
    shape = (*np.shape(problem.probability), horizon.steps, 2)
    return share_trunk(controls.reshape(shape), np.asarray(problem.branch_step))


def split_modes(problem: Problem) -> Problem:
    """Return the modes of a batch of problems as problems of one mode each, one after another.

    Args:
        problem: A batch of problems.
    """
    batch, modes = np.shape(problem.probability)

    def repeat(values: Any) -> np.ndarray:
        values = np.asarray(values)
        return np.repeat(values, modes, axis=0) if values.ndim else values

    def split(values: Any) -> np.ndarray:
        values = np.asarray(values)
        return values.reshape(batch * modes, 1, *values.shape[2:])

    return Problem(
        repeat(problem.start),
        jax.tree.map(repeat, problem.corridor),
        jax.tree.map(split, problem.ellipses),
        np.ones((batch * modes, 1)),
        np.zeros(batch * modes, np.int32),
        jax.tree.map(repeat, problem.weights),
    )
