"""Tracks driven by a random force, of which much is known."""

import numpy as np

from kerbstone.world.windows import STEP


def walk(order, force, agents, steps, seed):
    """Tracks whose acceleration or jerk is random: x + iy."""
    rng = np.random.default_rng(seed)
    fine = 10
    noise = rng.normal(0, np.sqrt(force / (STEP / fine)), (2, agents, steps * fine))
    moved = noise
    for _ in range(order):
        moved = np.cumsum(moved, axis=-1) * STEP / fine
    start = rng.normal(0, 5, (2, agents, 1)) * STEP / fine * np.arange(steps * fine)
    return np.moveaxis((moved + start)[..., ::fine], 0, -1)
