"""Changes of lane."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int8

from kerbstone.lang.facts import Facts
from kerbstone.lang.kinds import DRIVERS
from kerbstone.lang.registry import signal
from kerbstone.lang.roads import Road, are_paired
from kerbstone.lang.stays import Stays

Values = Float64[np.ndarray, "agent time"]

_LEFT, _RIGHT = 1, -1
_STAYS = 0.5
"""How long one must have been on the old lane, and stay on the new one [s]."""
_PAUSE = 1.0
"""How long one may be on no lane in between [s]."""
_LONGEST = 4.0
"""How long a change lasts at most on either side of the border [s]."""
_WALK = 0.5
_ALONG = np.deg2rad(60.0)
"""Who is turned further from the lane crosses it."""


@signal(margin=1.0)
def changing_lane(facts: Facts) -> Values:
    """Changes to the lane beside its own, from leaving the middle of one to reaching the other's.

    It must stay there for half a second, and have been so long on its own. The middle is the inner half of a lane's width; each
    side of the border lasts at most 4 s.
    """
    return _claim(facts, changes_of(facts) != 0)


@signal(margin=1.0)
def changing_lane_left(facts: Facts) -> Values:
    """Changes to the lane on the left of its own; see `changing_lane`."""
    return _claim(facts, changes_of(facts) == _LEFT)


@signal(margin=1.0)
def changing_lane_right(facts: Facts) -> Values:
    """Changes to the lane on the right of its own; see `changing_lane`."""
    return _claim(facts, changes_of(facts) == _RIGHT)


def _claim(facts: Facts, holds: np.ndarray) -> Values:
    known = facts.agents.valid if facts.stays is not None else np.zeros_like(facts.agents.valid)
    return np.where(known, np.where(holds, 1.0, -1.0), np.nan)


def changes_of(facts: Facts) -> Int8[np.ndarray, "agent time"]:
    """Return in which cells a road user changes lanes: 1 to the left, -1 to the right, else 0."""
    return facts.keep("lane changes", lambda: _find_changes(facts))


def _find_changes(facts: Facts) -> Int8[np.ndarray, "agent time"]:
    out = np.zeros(facts.agents.valid.shape, np.int8)
    road, stays = facts.road, facts.stays
    if road is None or stays is None or len(stays.lane) < 2:
        return out
    places = stays.places
    before, after = np.arange(len(stays.lane) - 1), np.arange(1, len(stays.lane))
    agent, old, new = stays.agent[before], stays.lane[before], stays.lane[after]
    last, first = stays.last[before], stays.first[after]
    is_change = (stays.agent[after] == agent) & ((first - last - 1) * facts.dt <= _PAUSE)
    is_change &= facts.agents.is_kind(*sorted(DRIVERS))[agent]
    is_change &= are_paired(road.changes, old, new) & ~are_paired(road.follows, old, new)
    # Where a lane forks, who was just on it may still be beside the branch that it takes.
    forks = (stays.agent[:-2] == agent[1:]) & are_paired(road.follows, old[:-1], new[1:])
    is_change[1:] &= ~forks
    is_change &= facts.agents.speed[agent, first] > _WALK
    for step in (last, first):
        turn = facts.agents.heading[agent, step] - places.heading[agent, step]
        is_change &= np.abs(np.sin(turn)) < np.sin(_ALONG)
    onward, so_far = _durations(facts, road, stays)
    is_change &= (so_far[before] >= _STAYS - 1e-9) & (onward[after] >= _STAYS - 1e-9)
    most = round(_LONGEST / facts.dt)
    # How far it is out of the middle, in quarters of the lane's width.
    share = places.d / (road.half_width[places.lane] / 2)
    for change in np.flatnonzero(is_change):
        row, start, end = agent[change], last[change], first[change]
        # To its left, which is the right of a lane that it drives along the wrong way.
        turn = facts.agents.heading[row, start] - places.heading[row, start]
        side = 1 if places.d[row, start] * np.cos(turn) > 0 else -1
        back = share[row, max(start - most + 1, 0) : start + 1][::-1]
        back = back * np.sign(back[0])
        ahead = np.abs(share[row, end : end + most])
        begin = start - _leading(back > 1)
        until = end + _leading(ahead > 1)
        out[row, min(begin + 1, start) : max(until, end + 1)] = side
    return np.where(facts.agents.valid, out, np.int8(0))


def _durations(facts: Facts, road: Road, stays: Stays) -> tuple[np.ndarray, np.ndarray]:
    """Return how long one goes on from each stay, and how long it has gone on, along lanes [s]."""
    onward = (stays.last - stays.first + 1) * facts.dt
    so_far = onward.copy()
    goes_on = are_paired(road.follows, stays.lane[:-1], stays.lane[1:])
    goes_on &= (stays.agent[1:] == stays.agent[:-1]) & (stays.first[1:] == stays.last[:-1] + 1)
    for k in np.flatnonzero(goes_on):
        so_far[k + 1] += so_far[k]
    for k in np.flatnonzero(goes_on)[::-1]:
        onward[k] += onward[k + 1]
    return onward, so_far


def _leading(holds: np.ndarray) -> int:
    """Return how many values hold before the first that does not."""
    return len(holds) if holds.all() else int(np.argmin(holds))
