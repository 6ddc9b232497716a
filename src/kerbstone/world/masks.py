"""Masks: what of a window is hidden. A task of the model of the road is nothing else.

A family of masks is a frozen dataclass that is called with a window and a random generator.
Adding a task is adding one, and a readout of what was predicted behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.errors import InputError
from kerbstone.world.windows import PATCH, STEPS_PER_PATCH, Window


@dataclass(frozen=True, eq=False)
class Mask:
    """What is hidden of a window.

    Args:
        states: Patches of tracks that are hidden.
        places: Hidden patches whose place and heading alone are shown, at their last valid cell.
        types: Road users whose kind and size are hidden.
        lights: Patches in which the traffic lights are hidden.
    """

    states: Bool[np.ndarray, "agent patch"]
    places: Bool[np.ndarray, "agent patch"]
    types: Bool[np.ndarray, " agent"]
    lights: Bool[np.ndarray, " patch"]

    @classmethod
    def nothing(cls, window: Window) -> Mask:
        """Return the mask that hides nothing of a window."""
        shape = (len(window), window.patches)
        return cls(
            np.zeros(shape, bool),
            np.zeros(shape, bool),
            np.zeros(shape[0], bool),
            np.zeros(shape[1], bool),
        )

    def __or__(self, other: Mask) -> Mask:
        """Return the mask that hides what either hides."""
        return Mask(
            self.states | other.states,
            # What is hidden whole by one is not left in part by the other.
            (self.places | ~self.states)
            & (other.places | ~other.states)
            & (self.states | other.states),
            self.types | other.types,
            self.lights | other.lights,
        )


@runtime_checkable
class MaskFamily(Protocol):
    """A way to hide part of a window."""

    def __call__(self, window: Window, rng: np.random.Generator) -> Mask:
        """Return a mask for a window."""
        ...


@dataclass(frozen=True)
class Forecast:
    """Hide the future of everybody, and of the lights.

    Args:
        after: When the future begins, since the window's start [s]; rounded to patches.
        least: Where `after` is None, it is drawn so that at least this much is seen, and hidden
            [s].
    """

    after: float | None = None
    least: float = 1.0

    def __call__(self, window: Window, rng: np.random.Generator) -> Mask:
        """Return a mask for a window."""
        least = max(round(self.least / PATCH), 1)
        if self.after is None:
            first = int(rng.integers(least, max(window.patches - least, least) + 1))
        else:
            first = round(self.after / PATCH)
            if not 0 < first < window.patches:
                raise InputError(
                    "value",
                    "a forecast leaves nothing to see, or to tell",
                    where=f"scene {window.scene}",
                    why=f"after {self.after:g} s of a window of {window.patches * PATCH:g} s",
                )
        future = np.arange(window.patches) >= first
        states = np.broadcast_to(future, (len(window), window.patches)).copy()
        return replace(Mask.nothing(window), states=states, lights=future)


@dataclass(frozen=True)
class Infill:
    """Hide a stretch in the middle of some tracks: an occlusion.

    Args:
        gap: Length of the stretch [s], rounded to patches; None to draw one of up to 5 s.
        share: Share of the road users that are hidden for a while, each at its own time.
    """

    gap: float | None = None
    share: float = 0.5

    def __call__(self, window: Window, rng: np.random.Generator) -> Mask:
        """Return a mask for a window."""
        count, patches = len(window), window.patches
        seen = window.valid_patch
        first = np.where(seen.any(axis=1), seen.argmax(axis=1), 0)
        last = np.where(seen.any(axis=1), patches - 1 - seen[:, ::-1].argmax(axis=1), -1)
        longest = np.maximum(last - first - 1, 0)
        if self.gap is None:
            length = 1 + (rng.random(count) * np.minimum(longest, 10)).astype(int)
        else:
            length = np.full(count, max(round(self.gap / PATCH), 1))
        # The patches at both ends stay: an infill without them is a forecast.
        fits = (length <= longest) & (rng.random(count) < self.share)
        start = first + 1 + (rng.random(count) * (longest - length + 1)).astype(int)
        patch = np.arange(patches)
        states = (patch >= start[:, None]) & (patch < (start + length)[:, None]) & fits[:, None]
        return replace(Mask.nothing(window), states=states)


@dataclass(frozen=True)
class WholeAgent:
    """Hide all of some road users, but where each stood at one moment.

    Args:
        share: Share of the road users that are hidden.
    """

    share: float = 0.2

    def __call__(self, window: Window, rng: np.random.Generator) -> Mask:
        """Return a mask for a window."""
        seen = window.valid_patch
        chosen = (rng.random(len(window)) < self.share) & seen.any(axis=1)
        place = np.where(seen, rng.random(seen.shape), -1.0).argmax(axis=1)
        places = (np.arange(window.patches) == place[:, None]) & chosen[:, None]
        states = np.broadcast_to(chosen[:, None], seen.shape).copy()
        return replace(Mask.nothing(window), states=states, places=places, types=chosen)


@dataclass(frozen=True)
class HideKind:
    """Hide kind and size of some road users.

    Args:
        share: Share of the road users whose kind is hidden.
    """

    share: float = 0.3

    def __call__(self, window: Window, rng: np.random.Generator) -> Mask:
        """Return a mask for a window."""
        return replace(Mask.nothing(window), types=rng.random(len(window)) < self.share)


@dataclass(frozen=True)
class Scatter:
    """Hide patches of everybody at random.

    Args:
        share: Share of the patches that are hidden.
    """

    share: float = 0.4

    def __call__(self, window: Window, rng: np.random.Generator) -> Mask:
        """Return a mask for a window."""
        states = rng.random((len(window), window.patches)) < self.share
        return replace(Mask.nothing(window), states=states)


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """Hide everybody's future but one road user's, whose future is another one.

    Args:
        agent: Id of the road user.
        position: Where it will be at each step of the future, world frame [m].
        heading: Its direction then [rad].
        after: When the future begins, since the window's start [s]; rounded to patches.
    """

    agent: str
    position: Float64[np.ndarray, "step 2"]
    heading: Float64[np.ndarray, " step"]
    after: float

    def edit(self, window: Window) -> Window:
        """Return the window in which the road user has that future.

        Raises:
            InputError: There is no such road user, or the future does not fit the window.
        """
        row, first = self._row(window), round(self.after / PATCH) * STEPS_PER_PATCH
        steps = window.steps - first
        if self.position.shape != (steps, 2) or self.heading.shape != (steps,):
            raise InputError(
                "shape",
                "a future does not fit its window",
                where=f"agent {self.agent!r}",
                why=f"{self.position.shape}, expected {(steps, 2)}",
            )
        if not (np.isfinite(self.position).all() and np.isfinite(self.heading).all()):
            raise InputError("value", "a future is not finite", where=f"agent {self.agent!r}")
        position, heading = window.position.copy(), window.heading.copy()
        valid = window.valid.copy()
        position[row, first:] = self.position
        heading[row, first:] = self.heading
        valid[row, first:] = True
        # The heading that is given counts, not one derived from the way.
        derived = window.is_heading_derived & (np.arange(len(window)) != row)
        return replace(
            window,
            position=position,
            heading=heading,
            valid=valid,
            is_heading_derived=derived,
        )

    def __call__(self, window: Window, rng: np.random.Generator) -> Mask:
        """Return a mask for a window that `edit` returned."""
        mask = Forecast(self.after)(window, rng)
        mask.states[self._row(window)] = False
        return mask

    def _row(self, window: Window) -> int:
        if self.agent not in window.ids:
            raise InputError("name", f"there is no agent {self.agent!r} in the window")
        return window.ids.index(self.agent)


@dataclass(frozen=True)
class Together:
    """Hide what each of some families hides."""

    families: tuple[MaskFamily, ...]

    def __call__(self, window: Window, rng: np.random.Generator) -> Mask:
        """Return a mask for a window."""
        mask = Mask.nothing(window)
        for family in self.families:
            mask = mask | family(window, rng)
        return mask


@dataclass(frozen=True)
class OneOf:
    """One of some families, drawn anew for each window.

    Args:
        families: The families.
        weights: How often each is drawn, in proportion.
    """

    families: tuple[MaskFamily, ...]
    weights: tuple[float, ...]

    def __call__(self, window: Window, rng: np.random.Generator) -> Mask:
        """Return a mask for a window."""
        chance = np.array(self.weights, np.float64)
        drawn = rng.choice(len(self.families), p=chance / chance.sum())
        return self.families[int(drawn)](window, rng)


PRETRAINING = OneOf(
    families=(
        Forecast(),
        Together((Forecast(), Infill(share=0.3))),
        Together((Infill(share=0.9), HideKind())),
        Together((WholeAgent(), Infill(share=0.2))),
        Together((Scatter(), HideKind())),
    ),
    weights=(0.45, 0.3, 0.15, 0.03, 0.07),
)
"""The mixture that the model is trained with.

Most are forecasts, which take longest to learn. In some of these about one road user in ten was
hidden for a while before, so that one window teaches both, and one in twelve has been for longer. A
forecast of road users whose kind is hidden is left out: that task is kept to be tried unseen.
"""
