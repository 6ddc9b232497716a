"""Fail-safe manoeuvres to try: brake, in one's lane or straight on; clear a crossing; evade."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Integer

from kerbstone.plan.shield.manoeuvre import Manoeuvre
from kerbstone.plan.shield.motion import advance, advance_columns
from kerbstone.plan.shield.road import BESIDE, Road
from kerbstone.plan.shield.verifier import Cause
from kerbstone.plan.vehicle import ControlIndex, StateIndex, Vehicle

_GRIP = 0.9
"""Share of the lateral acceleration that steering asks for, so that none is beyond it."""

_HELD = 2
"""A steering rate is held for so many steps."""

_PART = 512
"""Most manoeuvres that are worked on together: their arrays stay in the processor's cache."""
_LIKE, _FEW = 0.7, 3.0
"""Those that take less than this share of the steps of the longest, less a few, are another part."""


@dataclass(frozen=True)
class Candidate:
    """A way to come to a standstill.

    Args:
        braking: Share of the hardest braking.
        hold: For how long the speed is kept before that [s].
        aside: Where to steer, from where ego is, to the left above zero [m]. It is beside the
            route; zero steers back to the route's middle.
        follows_route: Whether ego steers along its route. If not, the wheels stay as they are.
        settles: Whether ego only turns along its route where it is, and does not steer back to the
            middle.
        helps: Against what it is tried. Empty: always.
    """

    braking: float = 1.0
    hold: float = 0.0
    aside: float = 0.0
    follows_route: bool = True
    settles: bool = False
    helps: tuple[Cause, ...] = ()


BRAKE = Candidate()
"""Brake as hard as possible along the route."""

_TOUCH = (Cause.AGENT, Cause.BLIND, Cause.ROAD_EDGE, Cause.LIMITS)

DEFAULT_CANDIDATES: tuple[Candidate, ...] = (
    BRAKE,
    Candidate(follows_route=False, helps=_TOUCH),
    Candidate(settles=True, helps=_TOUCH),
    Candidate(braking=0.6, helps=(Cause.NO_STOPPING,)),
    Candidate(hold=1.0, helps=(Cause.NO_STOPPING,)),
    Candidate(hold=2.5, helps=(Cause.NO_STOPPING,)),
    Candidate(aside=2.0, helps=_TOUCH),
    Candidate(aside=-2.0, helps=_TOUCH),
)
"""What the shield tries, in this order."""


def build_failsafe(
    state: Float64[np.ndarray, "batch 6"],
    first: Float64[np.ndarray, "batch 2"] | None,
    candidate: Candidate,
    route: Integer[np.ndarray, " batch"],
    road: Road,
    *,
    vehicle: Vehicle,
    step: float,
) -> Manoeuvre:
    """Return a manoeuvre: a first control, if there is one, then the candidate to a standstill.

    Args:
        state: Where ego is now.
        first: The control of the first step. None: the candidate begins at once.
        candidate: What comes after it.
        route: Index of the route that steering follows; -1 for none.
        road: The routes.
        vehicle: Its limits.
        step: Length of a step [s].
    """
    way = _Way([candidate], np.zeros(len(state), dtype=np.int64))
    states, control, _ = _roll_out(state, first, way, route, road, vehicle, step)
    return _cut(states, control, np.arange(len(state)), len(control), step)


def build_failsafes(
    state: Float64[np.ndarray, "batch 6"],
    first: Float64[np.ndarray, "batch 2"] | None,
    candidates: Sequence[Candidate],
    which: Integer[np.ndarray, " batch"],
    route: Integer[np.ndarray, " batch"],
    road: Road,
    *,
    vehicle: Vehicle,
    step: float,
) -> Iterator[tuple[Integer[np.ndarray, " part"], Manoeuvre]]:
    """Yield what `build_failsafe` returns, in parts that come to a standstill at about one time.

    So little is looked at that stands already.

    Args:
        state: Where ego is now.
        first: The control of the first step, if there is one.
        candidates: What there is to come after it.
        which: Index of the candidate of each.
        route: Index of the route that steering follows; -1 for none.
        road: The routes.
        vehicle: Its limits.
        step: Length of a step [s].
    """
    way = _Way(candidates, which)
    now = state if first is None else advance(state, first, step, vehicle)
    order = np.argsort(-_time_to_stand(now, way, vehicle, step), kind="stable")
    states, control, count = _roll_out(
        state[order],
        None if first is None else first[order],
        way.take(order),
        route[order],
        road,
        vehicle,
        step,
    )
    rank = np.argsort(-count, kind="stable")
    count = count[rank]
    begin = 0
    while begin < len(order):
        end = int(np.searchsorted(-count, -_LIKE * count[begin] + _FEW))
        end = min(max(end, begin + 1), begin + _PART)
        part = rank[begin:end]
        yield order[part], _cut(states, control, part, int(count[begin]), step)
        begin = end


class _Way:
    """The candidates' values, one for each manoeuvre."""

    def __init__(
        self, candidates: Sequence[Candidate], which: Integer[np.ndarray, " batch"]
    ) -> None:
        self._candidates, self._which = candidates, which
        self.braking = self._look_up("braking")
        self.hold = self._look_up("hold")
        self.aside = self._look_up("aside")
        self.follows = self._look_up("follows_route") > 0.0
        self.settles = self._look_up("settles") > 0.0

    def _look_up(self, name: str) -> Float64[np.ndarray, " batch"]:
        return np.array([float(getattr(one, name)) for one in self._candidates])[self._which]

    def take(self, rows: Integer[np.ndarray, " row"]) -> _Way:
        """Return some of them, in the order given."""
        return _Way(self._candidates, self._which[rows])


def _roll_out(
    state: Float64[np.ndarray, "batch 6"],
    first: Float64[np.ndarray, "batch 2"] | None,
    way: _Way,
    route: Integer[np.ndarray, " batch"],
    road: Road,
    vehicle: Vehicle,
    step: float,
) -> tuple[
    Float64[np.ndarray, "grid 6 batch"],
    Float64[np.ndarray, "step 2 batch"],
    Integer[np.ndarray, " batch"],
]:
    """Return states and controls, with batches last, and after how many steps each stands.

    It is fast where those that come to a standstill first come last.
    """
    count = len(state)
    now = state if first is None else advance(state, first, step, vehicle)
    head = 0 if first is None else 1
    longest = _time_to_stand(now, way, vehicle, step).max(initial=0.0)
    steps = head + int(np.ceil(longest / step)) + 2
    # Columns first: each is then contiguous, which is what the loop's speed depends on.
    states = np.empty((steps + 1, len(StateIndex), count))
    control = np.zeros((steps, len(ControlIndex), count))
    states[0], states[head] = state.T, now.T
    if first is not None:
        control[0] = first.T
    groups = [(int(k), np.flatnonzero(way.follows & (route == k))) for k in np.unique(route)]
    groups = [(k, rows) for k, rows in groups if k >= 0 and len(rows)]
    target = _find_targets(now, way, groups, road)
    brake = way.braking * vehicle.acceleration[0]
    stands = np.full(count, head)
    rate = np.zeros(count)
    for k in range(head, steps):
        moving = np.flatnonzero(
            (states[k, StateIndex.SPEED] > 0.0) | (states[k, StateIndex.ACCELERATION] != 0.0)
        )
        stands[moving] = k + 1
        # Those behind the last that moves stay as they are.
        n = int(moving[-1]) + 1 if len(moving) else 0
        states[k + 1, :, n:] = states[k, :, n:]
        if not n:
            states, control = states[: max(k, 1) + 1], control[: max(k, 1)]
            break
        before = states[k, :, :n]
        pull = before[StateIndex.ACCELERATION]
        aim = np.where((k - head) * step < way.hold[:n], 0.0, brake[:n])
        goes = (before[StateIndex.SPEED] > 0.0) | (pull > 0.0)
        jerk = np.minimum(np.maximum((aim - pull) / step, -vehicle.jerk), vehicle.jerk)
        np.multiply(jerk, goes, out=control[k, ControlIndex.JERK, :n])
        if (k - head) % _HELD == 0:
            steered = _steer(before, target, groups, road, vehicle, step * _HELD)
            rate[:n] = np.where(way.follows[:n], steered, 0.0)
        np.multiply(rate[:n], goes, out=control[k, ControlIndex.STEERING_RATE, :n])
        states[k + 1, :, :n] = advance_columns(before, control[k, :, :n], step, vehicle.wheelbase)
    return states, control, np.maximum(stands, 1)


def _cut(
    states: Float64[np.ndarray, "grid 6 batch"],
    control: Float64[np.ndarray, "step 2 batch"],
    part: Integer[np.ndarray, " part"],
    steps: int,
    step: float,
) -> Manoeuvre:
    """Return the first steps of some manoeuvres, with batches first."""
    return Manoeuvre(
        np.ascontiguousarray(states[: steps + 1].take(part, axis=2).transpose(2, 0, 1)),
        np.ascontiguousarray(control[:steps].take(part, axis=2).transpose(2, 0, 1)),
        step,
    )


def _time_to_stand(
    state: Float64[np.ndarray, "batch 6"], way: _Way, vehicle: Vehicle, step: float
) -> Float64[np.ndarray, " batch"]:
    """Return until when each stands for sure [s]."""
    pull = state[:, StateIndex.ACCELERATION]
    brake = -way.braking * vehicle.acceleration[0]
    ramp = np.maximum(np.abs(pull), np.abs(pull + brake)) / vehicle.jerk + step
    speed = state[:, StateIndex.SPEED] + np.maximum(pull, 0.0) * ramp
    return way.hold + ramp + np.maximum(speed, 0.0) / brake


def _find_targets(
    state: Float64[np.ndarray, "batch 6"],
    way: _Way,
    groups: list[tuple[int, Integer[np.ndarray, " _"]]],
    road: Road,
) -> Float64[np.ndarray, " batch"]:
    """Return the offsets to steer to: beside those that ego has, or comes to without turning back."""
    target = np.zeros(len(state))
    for k, members in groups:
        rows = members[(way.aside[members] != 0.0) | way.settles[members]]
        offset, direction, _ = road.routes[k].path.follow(state[rows, :2])
        turn = np.sin(state[rows, StateIndex.HEADING] - direction)
        settled = offset + turn * _length(state[rows, StateIndex.SPEED])
        offset = np.where(way.settles[rows], settled, offset)
        target[rows] = np.nan_to_num(offset) + way.aside[rows]
    return target


def _length(speed: Float64[np.ndarray, " row"]) -> Float64[np.ndarray, " row"]:
    """Return the way on which an offset decays [m]."""
    return np.maximum(0.8 * speed, 4.0)


def _steer(
    state: Float64[np.ndarray, "6 batch"],
    target: Float64[np.ndarray, " all"],
    groups: list[tuple[int, Integer[np.ndarray, " _"]]],
    road: Road,
    vehicle: Vehicle,
    duration: float,
) -> Float64[np.ndarray, " batch"]:
    """Return steering rates that bring the rear axle to an offset from its route.

    The offset is made to decay like a critically damped spring along the way: its second derivative
    is -d / l² - 2 d' / l for a length l that grows with speed.
    """
    count = state.shape[1]
    wanted = state[StateIndex.STEERING].copy()
    for k, members in groups:
        rows = members[: np.searchsorted(members, count)]
        part = state if len(rows) == count else state[:, rows]
        speed = part[StateIndex.SPEED]
        offset, direction, bend = road.routes[k].path.follow(part[:2].T)
        turn = np.sin(part[StateIndex.HEADING] - direction)
        length = _length(speed)
        away = np.minimum(np.maximum(offset - target[rows], -3.0), 3.0)
        curve = bend / np.maximum(1.0 - bend * offset, 0.2)
        curve = curve - (away / length + 2.0 * turn) / length
        most = _GRIP * vehicle.lateral_acceleration / np.maximum(speed, 1.0) ** 2
        angle = np.arctan(vehicle.wheelbase * np.minimum(np.maximum(curve, -most), most))
        wanted[rows] = np.where(np.isfinite(angle), angle, wanted[rows])
    wanted = np.minimum(np.maximum(wanted, -vehicle.steering), vehicle.steering)
    rate = (wanted - state[StateIndex.STEERING]) / duration
    return np.minimum(np.maximum(rate, -vehicle.steering_rate), vehicle.steering_rate)


def choose_route(
    state: Float64[np.ndarray, "batch 6"],
    road: Road,
    *,
    aligned: float,
    present: Integer[np.ndarray, " batch"] | None = None,
) -> Integer[np.ndarray, " batch"]:
    """Return the route nearest to ego that leads its way, or -1.

    Args:
        state: Of ego.
        road: The routes.
        aligned: How far ego's heading may be from a route's [rad].
        present: The routes until now, which are kept while none is nearer by half a metre.
    """
    best = np.full(len(state), np.inf)
    chosen = np.full(len(state), -1)
    for k, route in enumerate(road.routes):
        offset, direction, _ = route.path.follow(state[:, :2])
        along = np.cos(state[:, StateIndex.HEADING] - direction) >= np.cos(aligned)
        far = np.where(along & np.isfinite(offset), np.abs(offset), np.inf)
        far = np.where(far <= route.half_width + BESIDE, far, np.inf)
        if present is not None:
            far = np.where(present == k, far - 0.5, far)
        nearer = far < best
        best, chosen = np.where(nearer, far, best), np.where(nearer, k, chosen)
    return chosen
