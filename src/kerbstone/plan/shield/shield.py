"""The shield: a command passes only while a verified way to safety remains behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Integer

from kerbstone.errors import InputError, UsageError
from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.duties import assign_duties
from kerbstone.plan.shield.failsafe import (
    BRAKE,
    DEFAULT_CANDIDATES,
    Candidate,
    build_failsafe,
    build_failsafes,
    choose_route,
)
from kerbstone.plan.shield.manoeuvre import Manoeuvre, place_body
from kerbstone.plan.shield.memory import Memory, forget
from kerbstone.plan.shield.motion import advance
from kerbstone.plan.shield.occupancy import predict
from kerbstone.plan.shield.road import Road
from kerbstone.plan.shield.surroundings import Surroundings
from kerbstone.plan.shield.verifier import Cause, Verdict, verify
from kerbstone.plan.vehicle import ControlIndex, StateIndex, Vehicle


@dataclass(frozen=True, eq=False)
class Decision:
    """What the shield lets ego do during the next control step.

    Args:
        control: What is applied; columns as in `ControlIndex`.
        intervened: Where the stored fail-safe is continued in place of the nominal command.
        amount: How far the applied control is from the nominal one: the norm of the differences in
            jerk and steering rate, each as a share of its limit. Inf where the nominal is NaN.
        expected: The state that the applied control leads to.
        verdict: What the verifier said of the last fail-safe tried with the nominal command.
    """

    control: Float64[np.ndarray, "batch 2"]
    intervened: Bool[np.ndarray, " batch"]
    amount: Float64[np.ndarray, " batch"]
    expected: Float64[np.ndarray, "batch 6"]
    verdict: Verdict


class Shield:
    """Stands beneath any planner, in a batch of episodes on one road.

    Args:
        road: Where ego drives.
        vehicle: How ego moves.
        assumptions: What others do and what is seen, at worst.
        candidates: Fail-safes to try, in this order.

    Raises:
        UsageError: There is no candidate.

    Example:
        >>> shield = Shield(road)  # doctest: +SKIP
        >>> ready = shield.start(state, surroundings)  # doctest: +SKIP
        >>> decision = shield.step(state, nominal, surroundings)  # doctest: +SKIP
    """

    def __init__(
        self,
        road: Road,
        *,
        vehicle: Vehicle | None = None,
        assumptions: Assumptions | None = None,
        candidates: Sequence[Candidate] = DEFAULT_CANDIDATES,
    ) -> None:
        if not candidates:
            raise UsageError("usage", "a shield has no fail-safe to try")
        self.road = road
        self.vehicle = vehicle or Vehicle()
        self.assumptions = assumptions or Assumptions()
        self.candidates = tuple(candidates)
        self._helps = np.array(
            [
                [not n or not one.helps or cause in one.helps for cause in Cause]
                for n, one in enumerate(self.candidates)
            ]
        )
        later = np.arange(len(candidates)) > np.arange(len(candidates))[:, None]
        asked = later[..., None] & self._helps
        self._follower = np.where(asked.any(axis=1), asked.argmax(axis=1), -1)
        """Which candidate is next after each that failed for a cause; -1 for none."""
        self._stored: Manoeuvre | None = None
        self._age = np.zeros(0, dtype=np.int64)
        self._route = np.zeros(0, dtype=np.int64)
        self.memory = Memory(forget((0, 0, len(road.routes) + 1)), np.zeros((0, 1, 2)), 0.0)
        """Who follows ego."""
        self.ready = np.zeros(0, dtype=bool)
        """Which episodes stand on a verified fail-safe."""

    @property
    def failsafe(self) -> Manoeuvre:
        """The stored fail-safes, each from the state where it was verified."""
        if self._stored is None:
            raise UsageError("usage", "the shield has not been started", remedy="Shield.start")
        return self._stored

    @property
    def planned(self) -> Float64[np.ndarray, "batch 6"]:
        """Where the stored fail-safes say that ego is by now."""
        stored = self.failsafe
        return stored.state[np.arange(len(stored)), np.minimum(self._age, stored.steps)]

    def start(
        self,
        state: Float64[np.ndarray, "batch 6"],
        surroundings: Surroundings,
        *,
        route: Integer[np.ndarray, " batch"] | None = None,
    ) -> Bool[np.ndarray, " batch"]:
        """Begin episodes and return which of them have a verified fail-safe (A1).

        Where there is none the theorem promises nothing. The shield then brakes as hard as it can
        until a command can be verified.

        Args:
            state: Where ego is; columns as in `StateIndex`.
            surroundings: What it sees.
            route: Index into `Road.routes` of the way that fail-safes follow first; -1 for none,
                which holds the steering. None: the nearest route in ego's direction.

        Raises:
            InputError: A state is not finite, or the arrays do not fit together.
        """
        _check_state(state, surroundings)
        state = _at_rest(state)
        aligned = self.assumptions.aligned
        self._route = choose_route(state, self.road, aligned=aligned) if route is None else route
        self._age = np.zeros(len(state), dtype=np.int64)
        assumptions, track = self.assumptions, self._middle(state)[:, None]
        past = assumptions.remembered
        nobody = forget((*surroundings.valid.shape, len(self.road.routes) + 1))
        self.memory = Memory(nobody, np.repeat(track, past, axis=1), assumptions.swaying)
        empty = np.zeros((len(state), 0, 2))
        self._stored = Manoeuvre(state[:, None].copy(), empty, self.assumptions.control_step)
        verdict, found = self._search(state, None, surroundings)
        self.ready = verdict.safe.copy()
        rows = np.flatnonzero(~verdict.safe)
        if len(rows):
            brake = build_failsafe(
                state[rows],
                None,
                BRAKE,
                self._route[rows],
                self.road,
                vehicle=self.vehicle,
                step=self.assumptions.control_step,
            )
            found.append((rows, brake))
        self._store(found, age=0)
        return self.ready.copy()

    def step(
        self,
        state: Float64[np.ndarray, "batch 6"],
        nominal: Float64[np.ndarray, "batch *horizon 2"],
        surroundings: Surroundings,
    ) -> Decision:
        """Return what ego may do during the next control step.

        Args:
            state: Where ego is now.
            nominal: What the planner asks for: a control, or a short plan of controls of which the
                first is asked for now. Any values; NaN never passes.
            surroundings: What ego sees now. Each road user keeps its index from call to call.

        Raises:
            InputError: A state is not finite, or the arrays do not fit together.
            UsageError: The shield was not started with so many episodes.
        """
        stored = self.failsafe
        _check_state(state, surroundings)
        if len(state) != len(stored):
            raise UsageError(
                "usage",
                "the shield was started with another number of episodes",
                why=f"{len(stored)} then, {len(state)} now",
            )
        state = _at_rest(state)
        wish = nominal if nominal.ndim == 2 else nominal[:, 0]
        clear = np.asarray(np.isfinite(wish).all(axis=1))
        command = self._cut(state, np.where(clear[:, None], wish, 0.0))
        self._remember(state, surroundings)
        aligned = self.assumptions.aligned
        self._route = choose_route(state, self.road, aligned=aligned, present=self._route)
        verdict, found = self._search(state, command, surroundings, clear)
        passes = verdict.safe
        control = np.where(passes[:, None], command, self._continue())
        self._age += 1
        self._store(found, age=1)
        self.ready = self.ready | passes
        vehicle = self.vehicle
        scale = np.array([vehicle.jerk, vehicle.steering_rate])
        with np.errstate(invalid="ignore", over="ignore"):
            amount = np.hypot(*((control - wish) / scale).T)
        return Decision(
            control,
            ~passes,
            np.where(clear, amount, np.inf),
            advance(state, control, self.assumptions.control_step, vehicle),
            verdict,
        )

    def _remember(self, state: Float64[np.ndarray, "batch 6"], surroundings: Surroundings) -> None:
        """Note where ego is now."""
        expected = self.memory.standing.counts.shape[:2]
        if surroundings.valid.shape != expected:
            raise InputError(
                "shape",
                "there are not as many road users as before",
                why=f"{surroundings.valid.shape[1]} against {expected[1]}",
                remedy="keep each road user's index, and mark with `valid` who exists",
            )
        track = self.memory.track
        track[:, :-1] = track[:, 1:]
        track[:, -1] = self._middle(state)

    def _middle(self, state: Float64[np.ndarray, "batch 6"]) -> Float64[np.ndarray, "batch 2"]:
        return place_body(state, self.vehicle)[0]

    def _cut(
        self, state: Float64[np.ndarray, "batch 6"], wish: Float64[np.ndarray, "batch 2"]
    ) -> Float64[np.ndarray, "batch 2"]:
        """Cut a command to what the car can do."""
        vehicle, step = self.vehicle, self.assumptions.control_step
        low, high = vehicle.acceleration
        pull, steering = state[:, StateIndex.ACCELERATION], state[:, StateIndex.STEERING]
        command = np.empty_like(wish)
        jerk = np.clip(wish[:, ControlIndex.JERK], (low - pull) / step, (high - pull) / step)
        command[:, ControlIndex.JERK] = np.clip(jerk, -vehicle.jerk, vehicle.jerk)
        most = vehicle.steering
        rate = np.clip(
            wish[:, ControlIndex.STEERING_RATE], (-most - steering) / step, (most - steering) / step
        )
        command[:, ControlIndex.STEERING_RATE] = np.clip(
            rate, -vehicle.steering_rate, vehicle.steering_rate
        )
        return command

    def _continue(self) -> Float64[np.ndarray, "batch 2"]:
        """Return the next controls of the stored fail-safes; nothing once they are over."""
        stored = self.failsafe
        control = np.zeros((len(stored), 2))
        rows = np.flatnonzero(self._age < stored.steps)
        control[rows] = stored.control[rows, self._age[rows]]
        return control

    def _search(
        self,
        state: Float64[np.ndarray, "batch 6"],
        command: Float64[np.ndarray, "batch 2"] | None,
        surroundings: Surroundings,
        clear: Bool[np.ndarray, " batch"] | None = None,
    ) -> tuple[Verdict, list[tuple[Integer[np.ndarray, " _"], Manoeuvre]]]:
        """Try the candidates in their order; return what was verified.

        All that may still help an episode are verified at once, and heeded one after the other.
        """
        count = len(state)
        total = Verdict(
            np.zeros(count, dtype=bool),
            np.zeros(count),
            np.full(count, int(Cause.LIMITS)),
            np.full(count, -1),
            np.full(count, np.inf),
        )
        occupancy = predict(surroundings, self.road, self.assumptions)
        duties = assign_duties(
            state,
            surroundings,
            occupancy,
            self.road,
            vehicle=self.vehicle,
            assumptions=self.assumptions,
            memory=None if command is None else self.memory,
        )
        self.memory.note(duties.standing)
        found: list[tuple[Integer[np.ndarray, " _"], Manoeuvre]] = []
        number = np.arange(len(self.candidates))[:, None]
        coming = np.full(count, 0) if clear is None else np.where(clear, 0, -1)
        while len(rows := np.flatnonzero(coming >= 0)):
            # The first by itself: most often it is enough.
            begins = coming[rows] == 0
            wanted = np.where(begins, number == 0, self._helps[:, total.cause[rows]])
            which, place = np.nonzero(wanted & (number >= coming[rows]))
            row = rows[place]
            tried = Verdict(*(values[row] for values in vars(total).values()))
            made: list[tuple[Integer[np.ndarray, " _"], Manoeuvre]] = []
            for part, manoeuvre in build_failsafes(
                state[row],
                None if command is None else command[row],
                self.candidates,
                which,
                self._route[row],
                self.road,
                vehicle=self.vehicle,
                step=self.assumptions.control_step,
            ):
                verdict = verify(
                    manoeuvre,
                    surroundings.take(row[part]),
                    self.road,
                    vehicle=self.vehicle,
                    assumptions=self.assumptions,
                    occupancy=occupancy.take(row[part]),
                    duties=duties.take(row[part]),
                )
                made.append((part, manoeuvre))
                for name, values in vars(verdict).items():
                    getattr(tried, name)[part] = values
            heeded = self._heed(row, which, tried, total, coming, begins=command is None)
            for part, manoeuvre in made:
                good = np.flatnonzero(heeded[part] & tried.safe[part])
                found.append((row[part[good]], manoeuvre.take(good)))
        return total, found

    def _heed(
        self,
        row: Integer[np.ndarray, " pair"],
        which: Integer[np.ndarray, " pair"],
        tried: Verdict,
        total: Verdict,
        coming: Integer[np.ndarray, " batch"],
        *,
        begins: bool,
    ) -> Bool[np.ndarray, " pair"]:
        """Enter the verdicts whose turn it is, and whose turn is next; return which were entered."""
        heeded = np.zeros(len(row), dtype=bool)
        for number in np.unique(which):
            pairs = np.flatnonzero((which == number) & (coming[row] == number))
            heeded[pairs] = True
            some = row[pairs]
            for name, values in vars(tried).items():
                getattr(total, name)[some] = values[pairs]
            # What touches during the command itself cannot be mended after it.
            late = begins | (total.time[some] >= self.assumptions.control_step)
            follower = self._follower[number, total.cause[some]]
            coming[some] = np.where(late & ~total.safe[some], follower, -1)
        return heeded

    def _store(self, found: list[tuple[Integer[np.ndarray, " _"], Manoeuvre]], *, age: int) -> None:
        """Keep what was verified in place of what was stored; `age` of its steps are applied."""
        stored = self.failsafe
        steps = max([stored.steps, *(one.steps for _, one in found)])
        if steps > stored.steps:
            more = steps - stored.steps
            state = np.concatenate([stored.state, np.repeat(stored.state[:, -1:], more, 1)], axis=1)
            control = np.concatenate([stored.control, np.zeros((len(stored), more, 2))], axis=1)
            stored = self._stored = Manoeuvre(state, control, stored.step)
        for rows, manoeuvre in found:
            own = manoeuvre.steps
            stored.state[rows, : own + 1] = manoeuvre.state
            stored.state[rows, own + 1 :] = manoeuvre.state[:, -1:]
            stored.control[rows, :own] = manoeuvre.control
            stored.control[rows, own:] = 0.0
            self._age[rows] = age


def _at_rest(state: Float64[np.ndarray, "batch 6"]) -> Float64[np.ndarray, "batch 6"]:
    """Round speeds below zero to zero: the shield's car does not reverse."""
    state = state.copy()
    state[:, StateIndex.SPEED] = np.maximum(state[:, StateIndex.SPEED], 0.0)
    return state


def _check_state(state: Float64[np.ndarray, "batch 6"], surroundings: Surroundings) -> None:
    if not np.isfinite(state).all():
        row = int(np.flatnonzero(~np.isfinite(state).all(axis=1))[0])
        raise InputError("value", "a state of ego is not finite", where=f"episode {row}")
    if len(surroundings) != len(state):
        raise InputError(
            "shape",
            "there are not as many surroundings as states",
            why=f"{len(surroundings)} against {len(state)}",
        )
