"""Who drives next ahead of whom."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.lang.facts import Facts
from kerbstone.lang.kinds import DRIVERS
from kerbstone.scene import Kind

_BLOCK = 4_000_000
"""How many pairs are looked at once."""


class Leaders(NamedTuple):
    """The next driver ahead of each, in its lane.

    Args:
        row: Which agent it is, -1 where there is none.
        along: How far its centre is ahead, along the lane [m]; inf where there is none.
    """

    row: Int64[np.ndarray, "agent time"]
    along: Float64[np.ndarray, "agent time"]


def leaders_of(facts: Facts) -> Leaders:
    """Return the next driver ahead of each, by lanes or, in a scene without them, straight ahead.

    Whoever goes on foot neither leads nor follows, and a trailer follows nobody: it is drawn.
    """
    return facts.keep("leaders", lambda: _find_leaders(facts))


def half_lengths(facts: Facts) -> Float64[np.ndarray, " agent"]:
    """Return half the length of each agent [m]: 0 where it is not known."""
    return np.nan_to_num(facts.agents.size[:, 0]) / 2


def _find_leaders(facts: Facts) -> Leaders:
    shape = facts.agents.valid.shape
    found = Leaders(np.full(shape, -1), np.full(shape, np.inf))
    takes_part = facts.agents.is_kind(*sorted(DRIVERS))[:, None] & facts.agents.valid
    if facts.routes is not None and facts.places is not None:
        takes_part = takes_part & (facts.places.lane >= 0)
    step, agent = np.nonzero(takes_part.T)
    count = np.bincount(step, minlength=shape[1])
    # Blocks of whole steps, of about as many pairs.
    block = np.cumsum(count**2) // _BLOCK
    for number in np.unique(block):
        inside = block[step] == number
        if inside.any():
            _search(facts, found, step[inside], agent[inside])
    return found


def _search(facts: Facts, found: Leaders, step: np.ndarray, agent: np.ndarray) -> None:
    count = np.bincount(step)[step]
    begin = np.searchsorted(step, step)
    start = np.cumsum(count) - count
    follower = np.repeat(np.arange(len(step)), count)
    leader = np.arange(len(follower)) - np.repeat(start - begin, count)
    when, a, b = step[follower], agent[leader], agent[follower]
    along = _measure(facts, a, b, when)
    is_drawn = facts.agents.is_kind(Kind.TRAILER)
    with np.errstate(invalid="ignore"):
        along = np.where((along > 0) & ~is_drawn[b], along, np.inf)
    least = np.minimum.reduceat(along, start)
    found.along[agent, step] = least
    is_next = np.flatnonzero((along == least[follower]) & np.isfinite(along))[::-1]
    found.row[b[is_next], when[is_next]] = a[is_next]


def _measure(facts: Facts, a: np.ndarray, b: np.ndarray, when: np.ndarray) -> np.ndarray:
    """Return how far a's centre is ahead of b's in b's lane [m]; NaN if it is in another."""
    routes, places = facts.routes, facts.places
    if routes is not None and places is not None:
        base = routes.along[routes.number[b, when], routes.number[a, when]]
        return base + places.s[a, when] - places.s[b, when]
    x, y = (facts.point[a, when] - facts.point[b, when]).T
    cos, sin = facts.ahead[b, when].T
    half = (facts.agents.size[a, 1] + facts.agents.size[b, 1]) / 2
    aside = np.abs(cos * y - sin * x)
    return np.where(aside < half, cos * x + sin * y, np.nan)
