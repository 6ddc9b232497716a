"""Where a training example looks, in a window with more road users than it has room for."""

from __future__ import annotations

import numpy as np

from kerbstone.world.masks import Mask
from kerbstone.world.windows import STEPS_PER_PATCH, Window


def draw_focus(window: Window, mask: Mask, rng: np.random.Generator) -> np.ndarray | None:
    """Return where one road user, drawn by chance, is seen; None where nobody is.

    Only what the mask leaves counts, so that whom an example holds tells nothing of what is hidden.
    """
    seen = window.valid & ~np.repeat(mask.states, STEPS_PER_PATCH, axis=1)
    rows = np.flatnonzero(seen.any(axis=1))
    if not len(rows):
        return None
    row = rng.choice(rows)
    return window.position[row, rng.choice(np.flatnonzero(seen[row]))]
