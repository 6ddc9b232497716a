"""Small problems of planning."""

from __future__ import annotations

import jax
import numpy as np

from kerbstone.plan.corridor import Corridor, fit_corridor
from kerbstone.plan.problem import Ellipses, Horizon, Problem, Weights
from kerbstone.plan.vehicle import Vehicle

HORIZON = Horizon(steps=24, dt=0.2)
VEHICLE = Vehicle()


def bent_road(curvature: float = 0.01, *, left: float = 5.25, right: float = 1.75) -> Corridor:
    """A road of constant curvature along x, from 20 m behind the origin to 120 m ahead."""
    s = np.arange(-20.0, 120.0, 2.0)
    angle = curvature * s
    line = np.stack(
        [s * np.sinc(angle / np.pi), s * np.sinc(angle / 2 / np.pi) * np.sin(angle / 2)], axis=1
    )
    return fit_corridor(line, np.full(len(s), left), np.full(len(s), right), np.full(len(s), 10.0))


def small_problem(
    batch: int = 2,
    modes: int = 1,
    *,
    others: int = 2,
    branch_step: int = 0,
    horizon: Horizon = HORIZON,
    seed: int = 0,
) -> Problem:
    """Ego on the right of two lanes; a slower car ahead of it and one in the other lane."""
    rng = np.random.default_rng(seed)
    road = bent_road()
    corridor = jax.tree.map(lambda value: np.repeat(np.asarray(value)[None], batch, 0), road)
    time = horizon.dt * np.arange(1, horizon.steps + 1)
    start = np.zeros((batch, 6))
    start[:, 1] = rng.uniform(-0.3, 0.3, batch)
    start[:, 3] = rng.uniform(7.0, 10.0, batch)
    s = rng.uniform(16.0, 24.0, (batch, 1, others, 1)) + np.arange(others)[:, None] * 6.0
    speed = rng.uniform(2.0, 5.0, (batch, modes, others, 1))
    way = s + speed * time
    side = np.where(np.arange(others) % 2, 3.5, 0.0)[:, None] + 0.0 * way
    angle = 0.01 * way
    centre = np.stack([way - side * np.sin(angle), 0.005 * way**2 + side * np.cos(angle)], axis=-1)
    shape = (batch, modes, others, horizon.steps)
    return Problem(
        start,
        corridor,
        Ellipses(
            centre,
            np.broadcast_to([4.6, 2.5], (*shape, 2)).copy(),
            angle + np.zeros(shape),
            np.ones(shape, bool),
        ),
        np.full((batch, modes), 1.0 / modes),
        np.full(batch, branch_step, np.int32),
        Weights(),
    )


def braking(problem: Problem, horizon: Horizon = HORIZON) -> np.ndarray:
    """Controls that brake to a crawl in the lane, in all modes, `[batch, 1, mode, step, 2]`."""
    batch, modes = problem.probability.shape
    controls = np.zeros((batch, 1, modes, horizon.steps, 2))
    speed, acceleration, steering = np.asarray(problem.start)[:, 3:].T.copy()
    for k in range(horizon.steps):
        aim = np.clip(-speed / 1.2, -6.0, 0.0)
        jerk = np.clip((aim - acceleration) / (2 * horizon.dt), -18.0, 18.0)
        turn = np.arctan(VEHICLE.wheelbase * 0.01)
        rate = np.clip((turn - steering) / horizon.dt, -0.5, 0.5)
        controls[:, :, :, k] = np.stack([jerk, rate], axis=-1)[:, None, None]
        speed += horizon.dt * acceleration + horizon.dt**2 / 2 * jerk
        acceleration += horizon.dt * jerk
        steering += horizon.dt * rate
    return controls
