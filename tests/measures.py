"""Signals of single road users by their names, for the tests of the scenario language."""

from __future__ import annotations

import numpy as np

from kerbstone.lang import Facts, known_signals
from kerbstone.scene import Scene


def measure(name: str, scene: Scene, *users: str, texts: tuple[str, ...] = ()) -> np.ndarray:
    """Return a signal over time: of one road user, or of two, as in `f(a, b)`."""
    facts, found = Facts(scene), known_signals()[name]
    rows = [np.array([scene.agents.index(user)]) for user in users]
    if found.agents == 1:
        return found.measure(facts, *texts)[rows[0][0]]
    return found.measure(facts, *rows, *texts)[0]


def holds(name: str, scene: Scene, *users: str, texts: tuple[str, ...] = ()) -> np.ndarray:
    """Return when a claim holds, after looking that it is defined at all times."""
    values = measure(name, scene, *users, texts=texts)
    assert not np.isnan(values).any(), f"{name} is undefined"
    return values > 0
