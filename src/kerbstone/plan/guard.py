"""The shield beneath a plan of a recorded scene: the fail-safe, and whether the command passes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from kerbstone.plan.problem import Horizon
from kerbstone.plan.shadow import Shadow, cast_shadows
from kerbstone.plan.shield import Assumptions, Cause, Manoeuvre, Road, Shield, Surroundings
from kerbstone.plan.shield.duties import assign_duties
from kerbstone.plan.shield.occupancy import predict
from kerbstone.plan.shield.verifier import brakes_as_promised
from kerbstone.plan.vehicle import ControlIndex, StateIndex, Vehicle

_STANDS = 0.1
"""What a record shows to be slower stands: the rest is noise [m/s]."""
_RELEASE = 0.9
"""Share of the greatest jerk with which the brake is released before a standstill."""

_SAID = {
    Cause.NONE: "",
    Cause.LIMITS: "it cannot be driven",
    Cause.AGENT: "it may touch a road user",
    Cause.BLIND: "it may touch one who is not seen",
    Cause.ROAD_EDGE: "it may leave the drivable area",
    Cause.NO_STOPPING: "it ends where the car must not stand",
    Cause.NO_STANDSTILL: "it does not end at a standstill",
}


@dataclass(frozen=True, eq=False)
class Safety:
    """What the shield says of one situation and one command.

    Args:
        is_ready: Whether a fail-safe from the present state is verified (A1). Where there is none
            the theorem promises nothing, and the car would brake as hard as it can.
        passes: Whether the command may be carried out: a fail-safe after it is verified.
        cause: Why not, in words; empty where it passes.
        who: Id of the road user whom the fail-safe after it may touch; empty if none.
        time: When that is [s]; inf if never.
        margin: Least room between that fail-safe and where others may be [m]; inf where nobody
            comes near.
        failsafe: The states of the fail-safe that is stored after the decision, columns
            `StateIndex`; it begins with the command where that passes.
        controls: Its controls, columns `ControlIndex`.
        step: Length of a step of it [s].
        shadows: Where the others may be, as the shield has it.
        unseen: The blind place or stretch from which one may come whom the fail-safe after it may
            touch, numbered as in the surroundings; -1 if none.
    """

    is_ready: bool
    passes: bool
    cause: str
    who: str
    time: float
    margin: float
    failsafe: Float64[np.ndarray, "grid 6"]
    controls: Float64[np.ndarray, "step 2"]
    step: float
    shadows: tuple[Shadow, ...]
    unseen: int = -1


class Guard:
    """The shield at one moment of a scene.

    Args:
        state: Of the car, columns `StateIndex`.
        surroundings: Whom it sees, as one episode.
        road: Where it is.
        vehicle: The car.
        assumptions: What others may do; the control step is that of the plan.
        ids: Of the road users in the surroundings.
    """

    def __init__(
        self,
        state: Float64[np.ndarray, " 6"],
        surroundings: Surroundings,
        road: Road,
        *,
        vehicle: Vehicle,
        assumptions: Assumptions,
        ids: tuple[str, ...],
    ) -> None:
        self._state = _settle(state)[None]
        self._seen, self._road, self._ids = surroundings, road, ids
        self._vehicle, self._assumptions = vehicle, assumptions
        self._shield = Shield(road, vehicle=vehicle, assumptions=assumptions)
        self.is_ready = bool(self._shield.start(self._state, surroundings)[0])

    def failsafe_controls(self, horizon: Horizon) -> Float64[np.ndarray, "step 2"]:
        """Return the stored fail-safe as controls that a planner can begin from."""
        return follow_failsafe(self._shield.failsafe, self._state[0], self._vehicle, horizon)

    def judge(
        self, control: Float64[np.ndarray, " 2"], *, shadow_times: Float64[np.ndarray, " time"]
    ) -> Safety:
        """Return what the shield says of a command.

        Args:
            control: What the planner wants to do now.
            shadow_times: Between which times from now it is told where others may be [s].
        """
        decision = self._shield.step(self._state, control[None], self._seen)
        verdict, stored = decision.verdict, self._shield.failsafe.take(np.array([0]))
        cause = Cause(int(verdict.cause[0]))
        agent = int(verdict.agent[0])
        passes = not bool(decision.intervened[0])
        return Safety(
            is_ready=self.is_ready,
            passes=passes,
            cause="" if passes else _SAID[cause],
            who=self._ids[agent] if cause is Cause.AGENT and agent >= 0 and not passes else "",
            time=float(verdict.time[0]),
            margin=float(verdict.margin[0]),
            failsafe=stored.state[0],
            controls=stored.control[0],
            step=stored.step,
            shadows=self._cast(stored, shadow_times),
            unseen=agent if cause is Cause.BLIND and not passes else -1,
        )

    def _cast(self, failsafe: Manoeuvre, times: np.ndarray) -> tuple[Shadow, ...]:
        """Return where those may be who need not keep clear of the car."""
        occupancy = predict(self._seen, self._road, self._assumptions)
        duties = assign_duties(
            self._state,
            self._seen,
            occupancy,
            self._road,
            vehicle=self._vehicle,
            assumptions=self._assumptions,
        )
        brakes = brakes_as_promised(failsafe, self._assumptions)
        return cast_shadows(occupancy, duties, brakes, self._road, times)


def follow_failsafe(
    failsafe: Manoeuvre, state: Float64[np.ndarray, " 6"], vehicle: Vehicle, horizon: Horizon
) -> Float64[np.ndarray, "step 2"]:
    """Return the controls of a fail-safe for the planner's car, which has to release its brake.

    The shield's car has no acceleration once it stands; the planner's would begin to reverse. So
    the brake is let go as late as the greatest jerk allows, which costs a few decimetres. The
    wheels are turned as in the fail-safe.

    Args:
        failsafe: One episode, in steps as long as the horizon's.
        state: Of the car now.
        vehicle: Its limits.
        horizon: Of the plan; beyond the end of the fail-safe the car stands.
    """
    controls = np.zeros((horizon.steps, 2))
    known = min(failsafe.steps, horizon.steps)
    stored, steered = failsafe.state[0, 1 : known + 1], failsafe.control[0, :known]
    controls[:known, ControlIndex.STEERING_RATE] = steered[:, ControlIndex.STEERING_RATE]
    # Once the fail-safe stands, the planner's car brakes on until it does.
    aim = np.full(horizon.steps, vehicle.acceleration[0])
    still = stored[:, StateIndex.SPEED] <= 0.0
    aim[:known] = np.where(still, aim[:known], stored[:, StateIndex.ACCELERATION])
    pull = float(state[StateIndex.ACCELERATION])
    pulls = _release(max(float(state[StateIndex.SPEED]), 0.0), pull, aim, vehicle, horizon.dt)
    controls[:, ControlIndex.JERK] = np.diff(pulls, prepend=pull) / horizon.dt
    return controls


def _release(
    speed: float, pull: float, aim: Float64[np.ndarray, " step"], vehicle: Vehicle, dt: float
) -> Float64[np.ndarray, " step"]:
    """Return the accelerations after each step that come nearest to some and end at a standstill."""
    most, jerk = vehicle.jerk * dt, _RELEASE * vehicle.jerk
    made = np.empty(len(aim))
    rests = False
    for step, wanted in enumerate(aim):
        if pull == 0.0 and abs(speed) <= most * dt:
            # What is left of the speed goes in this step and the next.
            after, rests = -speed / dt, True
        elif rests:
            after, rests = 0.0, False
        else:
            # The brake can still be released when v + (a + b) dt / 2 is at least b² / (2 jerk).
            half = jerk * dt / 2.0
            root = half**2 + 2.0 * jerk * (speed + pull * dt / 2.0)
            least = half - np.sqrt(root) if root > 0.0 else np.inf
            after = min(max(wanted, least, pull - most), pull + most)
            after = min(after, 0.0) if pull <= 0.0 else after
        speed += (pull + after) * dt / 2.0
        made[step] = pull = after
    return made


def _settle(state: Float64[np.ndarray, " 6"]) -> Float64[np.ndarray, " 6"]:
    state = state.copy()
    if state[StateIndex.SPEED] < _STANDS:
        state[[StateIndex.SPEED, StateIndex.ACCELERATION]] = 0.0
    return state
