"""The signals by name: what a formula can measure."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import numpy as np

from kerbstone.errors import InputError
from kerbstone.lang.units import UNITS, Dimension

_ROOM = "kerbstone.lang.signals"
_FAMILIES = (
    "kinds",
    "kinematics",
    "models",
    "pairs",
    "paths",
    "sight",
    "lanes",
    "changes",
    "turns",
    "places",
    "lights",
    "conflict",
    "encroachment",
    "rss",
)
_SIGNALS: dict[str, Signal] = {}

Between = Callable[..., tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Signal:
    """A function of road users and time.

    Args:
        name: As the language calls it.
        agents: How many road users it is about: 0 (the scene), 1 or 2.
        unit: The SI unit of its values; None for a claim, whose values are margins: positive
            where it holds, and 1 where it holds as clearly as one wishes.
        margin: The difference that counts as a margin of 1, in its unit.
        texts: How many texts it takes after the road users.
        measure: Takes the facts of a scene. For no road user it returns [time]; for one, [agent,
            time] of all agents at once; for two, it also takes the rows of the first and of the
            second road user of each pair, and returns [pair, time]. Texts come last. NaN where
            it is undefined.
        doc: What it measures, in one sentence.
        apart: Whether it is at least the distance between the boxes of two road users: what is
            asked to be small is looked for nearby only.
        reach: For a claim on two road users, how far apart their boxes may be where its margin
            is above -1 [m]; None if there is no limit.
        between: Between what it lies at each time, for pairs of road users, where that is told
            far sooner than what it is. Then `measure` also takes `where`, the cells that are
            asked for.
    """

    name: str
    agents: int
    unit: str | None
    margin: float
    texts: int
    measure: Callable[..., np.ndarray]
    doc: str
    apart: bool = False
    reach: float | None = None
    between: Between | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process has its own: what `measure` is called there is nobody's business.
        return _find, (self.name,)

    @property
    def dimension(self) -> Dimension | None:
        """What its values measure, None for a claim."""
        return None if self.unit is None else UNITS[self.unit].dimension


def signal(
    *,
    agents: int = 1,
    unit: str | None = None,
    margin: float = 1.0,
    texts: int = 0,
    apart: bool = False,
    reach: float | None = None,
    between: Between | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as the signal of its name. See `Signal` for the arguments.

    Raises:
        InputError: There is a signal of that name already.
    """

    def register(measure: Callable[..., Any]) -> Callable[..., Any]:
        name = measure.__name__
        if name in _SIGNALS:
            raise InputError("duplicate", f"there are two signals {name!r}")
        doc = (measure.__doc__ or "").strip().split("\n\n")[0]
        _SIGNALS[name] = Signal(
            name=name,
            agents=agents,
            unit=unit,
            margin=margin,
            texts=texts,
            measure=measure,
            doc=" ".join(doc.split()),
            apart=apart,
            reach=reach,
            between=between,
        )
        return measure

    return register


def known_signals() -> dict[str, Signal]:
    """Return every signal by name: the built-in ones, and those of the entry points."""
    _load()
    return _SIGNALS


def _find(name: str) -> Signal:
    return known_signals()[name]


@cache
def _load() -> None:
    for family in _FAMILIES:
        importlib.import_module(f"{_ROOM}.{family}")
    for point in entry_points(group="kerbstone.signals"):
        point.load()
