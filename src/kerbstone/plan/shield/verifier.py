"""The verifier: whether a manoeuvre is safe, whatever others do within the assumptions.

It knows no planner and trusts none. A manoeuvre is safe if it can be driven, touches nothing that
it must not touch until it stands, and stands where it may. From there nothing can be ego's fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float64, Int64, Integer

from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.duties import Duties, assign_duties
from kerbstone.plan.shield.edges import find_outside
from kerbstone.plan.shield.manoeuvre import Manoeuvre, SweptBoxes, sweep
from kerbstone.plan.shield.meetings import meet_agents
from kerbstone.plan.shield.occupancy import Occupancy, predict
from kerbstone.plan.shield.road import Road
from kerbstone.plan.shield.surroundings import Surroundings
from kerbstone.plan.shield.unseen import meet_unseen
from kerbstone.plan.vehicle import ControlIndex, StateIndex, Vehicle

_TOLERANCE = 1e-6
"""Limits may be touched but for rounding."""
_FARTHEST = 1e7
"""Rounding is bounded for places up to here from the origin [m]."""


class Cause(IntEnum):
    """Why a manoeuvre is not verified; where several hold, the first that comes up in time."""

    NONE = 0
    LIMITS = 1
    """It cannot be driven, or a number in it is not finite."""
    AGENT = 2
    """It may touch a road user."""
    BLIND = 3
    """It may touch one who is not seen."""
    ROAD_EDGE = 4
    """It may leave the drivable area."""
    NO_STOPPING = 5
    """It ends where ego must not stand."""
    NO_STANDSTILL = 6
    """It does not end at a standstill."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the verifier says.

    Args:
        safe: Whether the manoeuvre is verified.
        time: When it is first not safe, at the start of that step [s]; inf where it is safe.
        cause: A `Cause`.
        agent: Index of the road user, blind place or stretch; -1 where there is none.
        margin: Least room between ego and where others may be [m], along or across, whichever is
            more; below zero where they overlap, inf where nobody comes near.
    """

    safe: Bool[np.ndarray, " batch"]
    time: Float64[np.ndarray, " batch"]
    cause: Int64[np.ndarray, " batch"]
    agent: Int64[np.ndarray, " batch"]
    margin: Float64[np.ndarray, " batch"]

    def note(
        self,
        row: Integer[np.ndarray, " found"],
        time: Float64[np.ndarray, " found"],
        cause: Cause,
        agent: Integer[np.ndarray, " found"] | int = -1,
    ) -> None:
        """Enter what was found, where nothing earlier is known."""
        agent = np.broadcast_to(agent, row.shape)
        order = np.argsort(-time, kind="stable")
        for_row, when, who = row[order], time[order], agent[order]
        earlier = when < self.time[for_row]
        for_row, when, who = for_row[earlier], when[earlier], who[earlier]
        # Of several of one episode, the last entered stays: the earliest.
        self.time[for_row], self.agent[for_row], self.cause[for_row] = when, who, int(cause)
        self.safe[row] = False


def verify(
    manoeuvre: Manoeuvre,
    surroundings: Surroundings,
    road: Road,
    *,
    vehicle: Vehicle,
    assumptions: Assumptions,
    occupancy: Occupancy | None = None,
    duties: Duties | None = None,
) -> Verdict:
    """Return whether manoeuvres are safe, and if not, why.

    Args:
        manoeuvre: From where ego is now to a standstill.
        surroundings: What ego sees now.
        road: Where ego is.
        vehicle: Its size and limits.
        assumptions: What all others do at worst.
        occupancy: `predict(surroundings, road, assumptions)` where it is at hand.
        duties: Who has to keep clear of ego, where that is at hand. None: told from where all are.
    """
    count = len(manoeuvre)
    verdict = Verdict(
        np.ones(count, dtype=bool),
        np.full(count, np.inf),
        np.zeros(count, dtype=np.int64),
        np.full(count, -1),
        np.full(count, np.inf),
    )
    _check_limits(manoeuvre, vehicle, verdict)
    moves = find_moving(manoeuvre)
    boxes = sweep(manoeuvre, vehicle=vehicle, assumptions=assumptions)
    _check_road(manoeuvre, boxes, moves, road, verdict, vehicle, assumptions)
    if occupancy is None:
        occupancy = predict(surroundings, road, assumptions)
    if duties is None:
        duties = assign_duties(
            manoeuvre.state[:, 0],
            surroundings,
            occupancy,
            road,
            vehicle=vehicle,
            assumptions=assumptions,
        )
    brakes = brakes_as_promised(manoeuvre, assumptions)
    for cause, meetings in (
        (
            Cause.AGENT,
            meet_agents(boxes, moves, manoeuvre.step, road, occupancy, duties, brakes, assumptions),
        ),
        (
            Cause.BLIND,
            meet_unseen(
                boxes,
                moves,
                manoeuvre.step,
                np.maximum(manoeuvre.state[:, 0, StateIndex.SPEED], 0.0),
                brakes,
                road,
                surroundings,
                assumptions,
            ),
        ),
    ):
        for meeting in meetings:
            np.minimum.at(verdict.margin, meeting.row, meeting.margin)
            meets = np.isfinite(meeting.time)
            verdict.note(meeting.row[meets], meeting.time[meets], cause, meeting.agent[meets])
    return verdict


def _check_limits(manoeuvre: Manoeuvre, vehicle: Vehicle, verdict: Verdict) -> None:
    """Note what cannot be driven, step by step, and what does not end at a standstill."""
    state, control = manoeuvre.state, manoeuvre.control
    jerk, rate = control[..., ControlIndex.JERK], control[..., ControlIndex.STEERING_RATE]
    pull, speed = state[..., StateIndex.ACCELERATION], state[..., StateIndex.SPEED]
    steering = state[..., StateIndex.STEERING]
    far = vehicle.lateral_acceleration * vehicle.wheelbase
    with np.errstate(invalid="ignore", over="ignore"):
        # NaN compares as false, so it is bad.
        good = (pull >= vehicle.acceleration[0] - _TOLERANCE) & (speed >= 0.0)
        good &= pull <= vehicle.acceleration[1] + _TOLERANCE
        good &= speed <= vehicle.speed[1] + _TOLERANCE
        good &= np.abs(steering) <= vehicle.steering + _TOLERANCE
        good &= speed**2 * np.abs(np.tan(steering)) <= far + _TOLERANCE
        good &= np.abs(state[..., StateIndex.X]) + np.abs(state[..., StateIndex.Y]) < _FARTHEST
        good &= np.isfinite(state[..., StateIndex.HEADING])
        good = good[:, 1:] & good[:, :1]
        good &= np.abs(jerk) <= vehicle.jerk + _TOLERANCE
        good &= np.abs(rate) <= vehicle.steering_rate + _TOLERANCE
    bad = np.flatnonzero(~good.all(axis=1))
    verdict.note(bad, (~good[bad]).argmax(axis=1) * manoeuvre.step, Cause.LIMITS)
    rolls = np.flatnonzero(~(speed[:, -1] == 0.0))
    last = np.full(len(rolls), manoeuvre.steps * manoeuvre.step)
    verdict.note(rolls, last, Cause.NO_STANDSTILL)


def _check_road(
    manoeuvre: Manoeuvre,
    boxes: SweptBoxes,
    moves: Bool[np.ndarray, "batch step"],
    road: Road,
    verdict: Verdict,
    vehicle: Vehicle,
    assumptions: Assumptions,
) -> None:
    """Note what leaves the drivable area, and what comes to rest where it must not."""
    row, step = find_outside(boxes, moves, road)
    verdict.note(row, step * manoeuvre.step, Cause.ROAD_EDGE)
    if road.no_stopping is None:
        return
    rest = Manoeuvre(
        np.repeat(manoeuvre.state[:, -1:], 2, axis=1), np.zeros((len(boxes.half), 1, 2)), 0.0
    )
    stand = sweep(rest, vehicle=vehicle, assumptions=assumptions)
    where = road.find_no_stopping(stand.centre[:, 0], stand.direction[:, 0], stand.half[:, 0])
    stopped = np.flatnonzero(where)
    last = np.full(len(stopped), manoeuvre.steps * manoeuvre.step)
    verdict.note(stopped, last, Cause.NO_STOPPING)


def find_moving(manoeuvre: Manoeuvre) -> Bool[np.ndarray, "batch step"]:
    """Return in which steps ego moves, or may."""
    speed = manoeuvre.state[..., StateIndex.SPEED]
    pull = manoeuvre.state[:, :-1, StateIndex.ACCELERATION]
    moves = (speed[:, :-1] > 0.0) | (speed[:, 1:] > 0.0)
    return moves | (pull > 0.0) | (manoeuvre.control[..., ControlIndex.JERK] > 0.0)


def brakes_as_promised(
    manoeuvre: Manoeuvre, assumptions: Assumptions
) -> Bool[np.ndarray, " batch"]:
    """Tell which manoeuvres brake at least as RSS wants of ego, whenever it begins to."""
    promise = assumptions.ego
    speed = manoeuvre.state[:, :-1, StateIndex.SPEED]
    start = manoeuvre.state[:, :-1, StateIndex.ACCELERATION]
    end = start + manoeuvre.step * manoeuvre.control[..., ControlIndex.JERK]
    most = np.maximum(start, end)
    late = np.arange(manoeuvre.steps) * manoeuvre.step >= promise.response - _TOLERANCE
    wanted = np.where(late, -promise.braking, promise.acceleration) + _TOLERANCE
    return np.asarray(((most <= wanted) | (speed <= 0.0)).all(axis=1))
