"""Pairs of road users about to meet, for the tests of the criticality signals.

All are cars of 4 m by 2 m. Those signals that extrapolate look at one step only, so the users of
these scenes stay where they are, and have the velocity of users who do not.
"""

from __future__ import annotations

import numpy as np

from kerbstone.lang import Facts, known_signals
from queries import moving_scene

DT = 0.1


def facts_of(*users: tuple[float, ...]) -> Facts:
    """Return users (x, y, heading in degrees, speed, turn rate in rad/s) over three steps."""
    x, y, heading, speed, turn = np.array([(*user, 0.0)[:5] for user in users], float).T
    time = np.array([-DT, 0.0, DT])
    heading = np.deg2rad(heading)[:, None] + turn[:, None] * time
    points = np.repeat(np.stack([x, y], axis=-1)[:, None], 3, axis=1)
    velocity = speed[:, None, None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    return Facts(moving_scene(points, velocity=velocity, heading=heading, dt=DT))


def measure(name: str, facts: Facts, a: int = 0, b: int = 1) -> float:
    """Return a signal of (a, b) at the middle step."""
    return float(measure_pairs(name, facts, [a], [b])[0, facts.steps // 2])


def measure_pairs(name: str, facts: Facts, a: list[int], b: list[int]) -> np.ndarray:
    """Return a signal of some pairs."""
    found = known_signals()[name].measure(facts, np.asarray(a), np.asarray(b))
    assert found.shape == (len(a), facts.steps)
    return found


def random_facts(pairs: int, *, seed: int = 0, turn: float = 0.0, reach: float = 30.0) -> Facts:
    """Return pairs of users in rows 2 i and 2 i + 1, at random near to each other."""
    rng = np.random.default_rng(seed)
    users = np.zeros((2 * pairs, 5))
    users[:, :2] = np.repeat(rng.uniform(-1e3, 1e3, (pairs, 2)), 2, axis=0)
    users[1::2, :2] += rng.uniform(-reach, reach, (pairs, 2))
    users[:, 2] = rng.uniform(-180, 180, 2 * pairs)
    users[:, 3] = rng.uniform(0, 15, 2 * pairs)
    users[:, 4] = rng.uniform(-turn, turn, 2 * pairs)
    return facts_of(*users)
