"""What a road user is, how large it is, and whether it is there."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.errors import InputError, suggest_name
from kerbstone.lang.facts import Facts
from kerbstone.lang.kinds import KINDS
from kerbstone.lang.registry import signal
from kerbstone.scene import BoxIndex, Kind

Values = Float64[np.ndarray, "agent time"]


@signal(texts=1)
def is_a(facts: Facts, kind: str) -> Values:
    """Of a kind of the language, as in `is_a(v, "truck")`."""
    if kind not in KINDS:
        raise InputError(
            "query-name", f"there is no kind {kind!r}", remedy=suggest_name(kind, KINDS)
        )
    return _claim(facts, facts.agents.is_kind(*_sorted(KINDS[kind])))


@signal(texts=1)
def labelled(facts: Facts, label: str) -> Values:
    """Called so by the log itself, as in `labelled(v, "WHEELED_RIDER")`."""
    return _claim(facts, np.array([found == label for found in facts.agents.label], bool))


@signal(unit="m", margin=1.0)
def length(facts: Facts) -> Values:
    """Length of the box."""
    return _size(facts, BoxIndex.LENGTH)


@signal(unit="m", margin=0.5)
def width(facts: Facts) -> Values:
    """Width of the box."""
    return _size(facts, BoxIndex.WIDTH)


@signal(unit="m", margin=0.5)
def height(facts: Facts) -> Values:
    """Height of the box."""
    return _size(facts, BoxIndex.HEIGHT)


@signal(unit="s", margin=1.0)
def age(facts: Facts) -> Values:
    """Time since it was first seen in the scene."""
    valid = facts.agents.valid
    first = np.argmax(valid, axis=1)[:, None]
    return np.where(valid, (np.arange(facts.steps) - first) * facts.dt, np.nan)


@signal(agents=0, unit="s", margin=1.0)
def time(facts: Facts) -> Float64[np.ndarray, " time"]:
    """Time since the start of the scene."""
    return np.arange(facts.steps) * facts.dt


def _claim(facts: Facts, holds: Bool[np.ndarray, " agent"]) -> Values:
    return np.where(facts.agents.valid, np.where(holds, 1.0, -1.0)[:, None], np.nan)


def _size(facts: Facts, column: BoxIndex) -> Values:
    size = facts.agents.size[:, column - BoxIndex.LENGTH]
    return np.where(facts.agents.valid, size[:, None], np.nan)


def _sorted(kinds: Iterable[Kind]) -> list[Kind]:
    return sorted(kinds)
