"""What is left of a window once a mask has hidden its part.

All that the model is given is computed from here. A hidden cell is gone, so nothing behind this
can tell of it: neither its pose, nor whether it was valid, nor what was near it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from kerbstone.errors import InputError
from kerbstone.scene import Kind, SignalState, derive_heading
from kerbstone.world.masks import Mask
from kerbstone.world.windows import STEPS_PER_PATCH, Window


@dataclass(frozen=True, eq=False)
class Observed:
    """A window without what is hidden.

    Args:
        window: The window; hidden cells are not valid, hidden kinds unknown.
        hidden: Patches that are hidden, and asked for.
        placed: Hidden patches in which one cell is left: a place and a heading, and no more.
        is_type_hidden: Whose kind and size are hidden.
    """

    window: Window
    hidden: Bool[np.ndarray, "agent patch"]
    placed: Bool[np.ndarray, "agent patch"]
    is_type_hidden: Bool[np.ndarray, " agent"]

    def select(self, rows: np.ndarray) -> Observed:
        """Return some of its road users, in the order given (indices)."""
        return Observed(
            self.window.select(rows),
            self.hidden[rows],
            self.placed[rows],
            self.is_type_hidden[rows],
        )


def hide(window: Window, mask: Mask) -> Observed:
    """Return what is left of a window.

    Headings that were derived from motion are derived anew from what is left: the old ones knew
    where their road user went on to.

    Args:
        window: The window.
        mask: What to hide of it.

    Raises:
        InputError: The mask is none of this window.
    """
    shape = window.valid.shape
    if mask.states.shape != (shape[0], window.patches):
        raise InputError(
            "shape",
            "a mask does not fit its window",
            where=f"scene {window.scene}",
            why=f"{mask.states.shape}, expected {(shape[0], window.patches)}",
        )
    hidden = np.repeat(mask.states, STEPS_PER_PATCH, axis=1)
    shown = _shown_places(window, mask)
    valid = window.valid & ~(hidden & ~shown)
    if window.sources is not None:
        # What was interpolated from a hidden sample is hidden with it.
        lost = hidden & ~valid
        valid &= ~(lost[:, window.sources[0]] | lost[:, window.sources[1]]) | shown
    position = np.where(valid[..., None], window.position, np.nan)
    heading = np.where(valid, window.heading, np.nan)
    derived = window.is_heading_derived
    if derived.any():
        flat = np.concatenate([position[derived], np.zeros((*position[derived].shape[:2], 1))], 2)
        heading[derived] = derive_heading(flat, valid[derived])
        heading[~valid] = np.nan
    lights_hidden = np.repeat(mask.lights, STEPS_PER_PATCH)
    return Observed(
        window=replace(
            window,
            kind=np.where(mask.types, np.uint8(Kind.UNKNOWN), window.kind),
            size=np.where(mask.types[:, None], np.nan, window.size),
            position=position,
            heading=heading,
            valid=valid,
            light_state=np.where(lights_hidden, np.uint8(SignalState.UNKNOWN), window.light_state),
        ),
        hidden=mask.states,
        placed=mask.places & valid.reshape(shape[0], window.patches, STEPS_PER_PATCH).any(axis=-1),
        is_type_hidden=mask.types,
    )


def _shown_places(window: Window, mask: Mask) -> np.ndarray:
    """Return the one cell that is left of each place: the last valid one of its patch."""
    cells = window.valid.reshape(len(window), window.patches, STEPS_PER_PATCH)
    last = STEPS_PER_PATCH - 1 - cells[..., ::-1].argmax(axis=-1)
    shown = (np.arange(STEPS_PER_PATCH) == last[..., None]) & cells & mask.places[..., None]
    return shown.reshape(window.valid.shape)
