"""Traffic lights ahead of a road user, and who drives at red or waits.

The light of a road user is that of the lane it is on or else of the first lane ahead, within 60 m,
that a light opens and closes. Where lanes fork it is the one on the way that it takes in the
record; where the record ends before that, all that may be meant must show the same.

A scene that records no lights leaves open what they showed: then a claim is undefined wherever an
intersection is that near, and false elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from kerbstone.errors import InputError, suggest_name
from kerbstone.lang.facts import Facts
from kerbstone.lang.kinds import DRIVERS
from kerbstone.lang.leaders import half_lengths, leaders_of
from kerbstone.lang.registry import signal
from kerbstone.lang.signals.places import is_in_intersection
from kerbstone.lang.stays import Stays
from kerbstone.scene import SignalState

Values = Float64[np.ndarray, "agent time"]
Cells = Bool[np.ndarray, "agent time"]

_AHEAD = 60.0
"""How far ahead a light is looked for [m]."""
_FORK = 1.0
"""Lanes whose starts are that near to each other along the way begin at one stop line [m]."""
_COLOURS = {
    "red": (SignalState.RED, SignalState.RED_YELLOW),
    "yellow": (SignalState.YELLOW,),
    "green": (SignalState.GREEN, SignalState.GREEN_YIELD),
}
_WAITS_AT = (SignalState.RED, SignalState.RED_YELLOW, SignalState.YELLOW)
_SLOW = 1.0
"""Who waits is slower than this, and who drives on is faster [m/s]."""
_BEYOND = 8.0
"""Who gets so far beyond the line without stopping has not stopped at it [m]."""
_STARTS = 15.0
"""How long a queue takes to start at most, once the light has changed [s]."""
_BEFORE, _AFTER, _INSIDE = 1.0, 3.0, 10.0
"""Running a red light begins before the line, and ends by then after it, if it is not known when
the intersection is left; it ends by the last of them anyway [s]."""


@signal(margin=1.0, texts=1)
def light(facts: Facts, colour: str) -> Values:
    """Its traffic light shows a colour, as in `light(a, "red")`.

    Red includes red with yellow; green includes green that gives way. Every state that a scene
    may hold has a name: flashing_yellow, flashing_red, off, ….
    """
    states = _COLOURS | {
        state.name.lower(): (state,)
        for state in SignalState
        if state.name.lower() not in _COLOURS and state != SignalState.UNKNOWN
    }
    if colour not in states:
        raise InputError(
            "query-name",
            f"no light shows {colour!r}",
            remedy=suggest_name(colour, states),
        )
    return _shows(facts, states[colour])


@signal(margin=1.0)
def running_red(facts: Facts) -> Values:
    """Drives into an intersection at red.

    It holds from 1 s before its front crosses the line until it leaves the intersection. The light
    must be red when the front crosses the line and when the middle does, and who then stands
    within 8 m of the line until it is red no longer has only stopped too late.
    """
    if facts.routes is None:
        return _unknown(facts)
    if facts.scene.signals is None:
        return _undefined_near(facts, is_in_intersection(facts))
    runs = facts.keep("red runs", lambda: _find_runs(facts))
    return np.where(facts.agents.valid, np.where(runs, 1.0, -1.0), np.nan)


@signal(margin=1.0)
def waiting_at_signal(facts: Facts) -> Values:
    """Slower than 1 m/s before a light that is not green, as the first or behind others that stand.

    It goes on while it does not move when the light has changed, at most 15 s: a queue takes time.
    """
    if facts.routes is None:
        return _unknown(facts)
    slow = facts.agents.valid & (facts.agents.speed < _SLOW)
    slow &= facts.agents.is_kind(*sorted(DRIVERS))[:, None]
    if facts.scene.signals is None:
        return _undefined_near(facts, slow)
    shows, ahead = _shows(facts, _WAITS_AT), _lights(facts).ahead
    halts = slow & (ahead > -half_lengths(facts)[:, None])
    # Whoever is next ahead must stand too, unless it is beyond the line.
    leaders = leaders_of(facts)
    step = np.arange(facts.steps)
    leader_moves = (leaders.row >= 0) & (leaders.along < ahead)
    leader_moves &= facts.agents.speed[leaders.row, step] >= _SLOW
    halts &= ~leader_moves
    waits = _hold_on(halts & (shows > 0), slow, round(_STARTS / facts.dt))
    unclear = halts & np.isnan(shows) & ~waits
    return np.where(facts.agents.valid & ~unclear, np.where(waits, 1.0, -1.0), np.nan)


@dataclass(frozen=True, eq=False)
class _Lights:
    """The light of each road user.

    Args:
        ahead: How far ahead its lane begins [m], negative on it; inf without a light.
        route: Whose light it is: the route of each cell.
        signals: The lights that may be meant on each route, as rows and lights.
    """

    ahead: Values
    route: np.ndarray
    signals: tuple[np.ndarray, np.ndarray]


def _lights(facts: Facts) -> _Lights:
    def search() -> _Lights:
        routes, signals, places = facts.routes, facts.scene.signals, facts.places
        if routes is None or signals is None or places is None:
            raise TypeError("there are no lights")
        lit = np.flatnonzero(signals.lane >= 0)
        far = routes.ahead[:, signals.lane[lit]]
        first = far.min(axis=1, initial=np.inf)
        row, light = np.nonzero((far <= first[:, None] + _FORK) & np.isfinite(far))
        on_lane = facts.agents.valid & (places.lane >= 0)
        on_lane &= facts.agents.is_kind(*sorted(DRIVERS))[:, None]
        ahead = np.append(first, [np.inf, np.inf])[routes.number] - places.s
        ahead = np.where(on_lane & (ahead <= _AHEAD), ahead, np.inf)
        return _Lights(ahead, np.where(np.isfinite(ahead), routes.number, -1), (row, lit[light]))

    return facts.keep("lights", search)


def _shows(facts: Facts, states: tuple[SignalState, ...]) -> Values:
    """Return 1 where the light shows one of these states, -1 where it does not."""
    signals, routes = facts.scene.signals, facts.routes
    if routes is None:
        return _unknown(facts)
    if signals is None:
        return _undefined_near(facts, facts.agents.valid)
    lights = _lights(facts)
    row, light = lights.signals
    # Of all lights that may be meant, whether any shows it, and whether any may not.
    count = len(routes.lane)
    can, cannot = (np.zeros((count + 1, facts.steps), bool) for _ in range(2))
    shown = np.isin(signals.state, np.array(states, np.uint8))
    unknown = signals.state == SignalState.UNKNOWN
    np.logical_or.at(can, row, (shown | unknown)[light])
    np.logical_or.at(cannot, row, ~shown[light])
    claim = np.where(can & cannot, np.nan, np.where(can, 1.0, -1.0))
    return np.where(facts.agents.valid, claim[lights.route, np.arange(facts.steps)], np.nan)


def _undefined_near(facts: Facts, concerned: Cells) -> Values:
    """Return -1, but NaN for those concerned that are in or near an intersection."""
    routes, road, places = facts.routes, facts.road, facts.places
    if routes is None or road is None or places is None:
        return _unknown(facts)
    inside = np.flatnonzero(road.is_inside)
    first = np.append(routes.ahead[:, inside].min(axis=1, initial=np.inf), [np.inf, np.inf])
    near = first[routes.number] - np.nan_to_num(places.s) <= _AHEAD
    near |= is_in_intersection(facts)
    return np.where(facts.agents.valid & ~(near & concerned), -1.0, np.nan)


def _find_runs(facts: Facts) -> Cells:
    """Return in which cells a road user runs a red light."""
    found = np.zeros(facts.agents.valid.shape, bool)
    road, signals, stays = facts.road, facts.scene.signals, facts.stays
    if road is None or signals is None or stays is None:
        return found
    red = _red_lanes(facts)
    enters = np.isin(stays.lane, signals.lane)
    enters &= facts.agents.is_kind(*sorted(DRIVERS))[stays.agent]
    # Who comes from another lane within the intersection is in it already.
    enters[1:] &= (stays.agent[1:] != stays.agent[:-1]) | ~road.is_inside[stays.lane[:-1]]
    inside = is_in_intersection(facts)
    for stay in np.flatnonzero(enters):
        row, step, lane = stays.agent[stay], stays.first[stay], int(stays.lane[stay])
        line = _crossing_step(facts, stays, int(stay))
        if line is None or not (red[lane][line] and red[lane][line - 1] and red[lane][step]):
            continue
        way = np.hypot(*(facts.point[row, line:] - facts.point[row, line]).T)
        if not _drives_on(way, facts.agents.speed[row, line:], red[lane][line:]):
            continue
        begin = max(line - round(_BEFORE / facts.dt), 0)
        left = np.flatnonzero(~inside[row, step:])
        until = step + (int(left[0]) if len(left) else facts.steps)
        if not inside[row, step]:
            until = line + round(_AFTER / facts.dt)
        found[row, begin : min(until, line + round(_INSIDE / facts.dt))] = True
    return found & facts.agents.valid


def _drives_on(
    way: Float64[np.ndarray, " time"],
    speed: Float64[np.ndarray, " time"],
    red: Bool[np.ndarray, " time"],
) -> bool:
    """Return whether a road user goes on beyond a line, at red: who stops just behind it does not.

    Args:
        way: How far it is beyond the place where its front crossed the line [m].
        speed: Its speed [m/s].
        red: Whether the light is red.
    """
    beyond = np.flatnonzero(way > _BEYOND)
    if len(beyond) and red[beyond[0]]:
        return True
    return bool(np.nanmin(speed[: beyond[0] if len(beyond) else None]) > _SLOW)


def _red_lanes(facts: Facts) -> dict[int, Bool[np.ndarray, " time"]]:
    """Return when each lane with a light has it at red: all of its lights, if it has several."""
    signals = facts.scene.signals
    red: dict[int, np.ndarray] = {}
    if signals is not None:
        for lane, state in zip(signals.lane.tolist(), signals.state, strict=True):
            red[lane] = red.get(lane, np.True_) & (state == SignalState.RED)
    return red


def _crossing_step(facts: Facts, stays: Stays, stay: int) -> int | None:
    """Return when the front of a road user crosses the line at which a stay begins.

    None if it is not there just before.
    """
    row, step = stays.agent[stay], int(stays.first[stay])
    way = facts.point[row, :step] - facts.point[row, step]
    to_line = np.hypot(*way.T) - stays.places.s[row, step]
    before = np.flatnonzero(~(to_line <= half_lengths(facts)[row]))
    line = int(before[-1]) + 1 if len(before) else 0
    return line if line > 0 and np.isfinite(to_line[line - 1]) else None


def _hold_on(starts: Cells, slow: Cells, most: int) -> Cells:
    """Return where it starts, and on while slow, at most so many steps after the last start."""
    step = np.arange(starts.shape[1])
    last = np.maximum.accumulate(np.where(starts, step, -most - 1), axis=1)
    moved = np.maximum.accumulate(np.where(slow, -1, step), axis=1)
    return slow & (last > moved) & (step - last <= most)


def _unknown(facts: Facts) -> Values:
    return np.full(facts.agents.valid.shape, np.nan)
