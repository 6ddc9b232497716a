"""Fail-safe manoeuvres to try: brake, in one's lane or straight on; clear a crossing; evade."""

from __future__ import annotations

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
    count = len(state)
    now = state if first is None else advance(state, first, step, vehicle)
    head = 0 if first is None else 1
    steps = head + _steps_to_stop(now, candidate, vehicle, step)
    # Columns first: each is then contiguous, which is what the loop's speed depends on.
    states = np.empty((steps + 1, len(StateIndex), count))
    control = np.zeros((steps, len(ControlIndex), count))
    states[0], states[head] = state.T, now.T
    if first is not None:
        control[0] = first.T
    groups = [(int(k), np.flatnonzero(route == k)) for k in np.unique(route)]
    target = np.zeros(count)
    if candidate.aside or candidate.settles:
        target = _offset(now, groups, road, settles=candidate.settles) + candidate.aside
    brake = candidate.braking * vehicle.acceleration[0]
    rate = np.zeros(count)
    for k in range(head, steps):
        before = states[k]
        pull = before[StateIndex.ACCELERATION]
        aim = 0.0 if (k - head) * step < candidate.hold else brake
        goes = (before[StateIndex.SPEED] > 0.0) | (pull > 0.0)
        jerk = np.clip((aim - pull) / step, -vehicle.jerk, vehicle.jerk)
        np.multiply(jerk, goes, out=control[k, ControlIndex.JERK])
        if candidate.follows_route and (k - head) % _HELD == 0:
            rate = _steer(before, target, groups, road, vehicle, step * _HELD)
        np.multiply(rate, goes, out=control[k, ControlIndex.STEERING_RATE])
        states[k + 1] = advance_columns(before, control[k], step, vehicle.wheelbase)
    return Manoeuvre(
        np.ascontiguousarray(states.transpose(2, 0, 1)),
        np.ascontiguousarray(control.transpose(2, 0, 1)),
        step,
    )


def _steps_to_stop(
    state: Float64[np.ndarray, "batch 6"], candidate: Candidate, vehicle: Vehicle, step: float
) -> int:
    """Return after how many steps all stand."""
    if not len(state):
        return 1
    pull = state[:, StateIndex.ACCELERATION]
    brake = -candidate.braking * vehicle.acceleration[0]
    ramp = np.maximum(np.abs(pull), np.abs(pull + brake)).max() / vehicle.jerk + step
    speed = state[:, StateIndex.SPEED] + np.maximum(pull, 0.0) * ramp
    return int(np.ceil((candidate.hold + ramp + max(speed.max(), 0.0) / brake) / step)) + 2


def _offset(
    state: Float64[np.ndarray, "batch 6"],
    groups: list[tuple[int, Integer[np.ndarray, " _"]]],
    road: Road,
    *,
    settles: bool,
) -> Float64[np.ndarray, " batch"]:
    """Return the offsets that ego has, or that it comes to without turning back."""
    aside = np.zeros(len(state))
    for k, rows in groups:
        if k >= 0:
            offset, direction, _ = road.routes[k].path.follow(state[rows, :2])
            if settles:
                turn = np.sin(state[rows, StateIndex.HEADING] - direction)
                offset = offset + turn * _length(state[rows, StateIndex.SPEED])
            aside[rows] = np.nan_to_num(offset)
    return aside


def _length(speed: Float64[np.ndarray, " row"]) -> Float64[np.ndarray, " row"]:
    """Return the way on which an offset decays [m]."""
    return np.maximum(0.8 * speed, 4.0)


def _steer(
    state: Float64[np.ndarray, "6 batch"],
    target: Float64[np.ndarray, " batch"],
    groups: list[tuple[int, Integer[np.ndarray, " _"]]],
    road: Road,
    vehicle: Vehicle,
    duration: float,
) -> Float64[np.ndarray, " batch"]:
    """Return steering rates that bring the rear axle to an offset from its route.

    The offset is made to decay like a critically damped spring along the way: its second derivative
    is -d / l² - 2 d' / l for a length l that grows with speed.
    """
    wanted = state[StateIndex.STEERING].copy()
    for k, rows in groups:
        if k < 0:
            continue
        whole = len(rows) == len(wanted)
        part = state if whole else state[:, rows]
        speed = part[StateIndex.SPEED]
        offset, direction, bend = road.routes[k].path.follow(part[:2].T)
        turn = np.sin(part[StateIndex.HEADING] - direction)
        length = _length(speed)
        away = np.clip(offset - target[rows], -3.0, 3.0)
        curve = bend / np.maximum(1.0 - bend * offset, 0.2)
        curve = curve - (away / length + 2.0 * turn) / length
        most = _GRIP * vehicle.lateral_acceleration / np.maximum(speed, 1.0) ** 2
        angle = np.arctan(vehicle.wheelbase * np.clip(curve, -most, most))
        wanted[rows] = np.where(np.isfinite(angle), angle, wanted[rows])
    wanted = np.clip(wanted, -vehicle.steering, vehicle.steering)
    rate = (wanted - state[StateIndex.STEERING]) / duration
    return np.clip(rate, -vehicle.steering_rate, vehicle.steering_rate)


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
