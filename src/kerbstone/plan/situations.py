"""From a recorded scene at a time to a problem of planning, and back to who is who in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import jax
import numpy as np
from jaxtyping import Array, Float64

from kerbstone.errors import InputError
from kerbstone.plan.predictions import (
    ACROSS,
    Predictions,
    check_predictions,
    inflate,
    predict_straight,
    select_nearest,
)
from kerbstone.plan.problem import Ellipses, Horizon, Problem, Weights
from kerbstone.plan.roads import (
    CorridorRules,
    LaidCorridor,
    Road,
    Route,
    count_knots,
    find_route,
    follow_record,
    lay_corridor,
    length_ahead,
    pad_corridor,
    prepare_road,
)
from kerbstone.plan.starts import check_start, estimate_start
from kerbstone.plan.vehicle import StateIndex, Vehicle
from kerbstone.scene import Scene, arc_length, interpolate

_SHAPES = (ACROSS, 0.05, 0.2, 1.0, 20.0, 100.0, 500.0)
"""Weights of room across against room along that ellipses may be shaped by, the usual one first."""
_CLEAR = 1.05
"""So many times the size of an ellipse from its middle, a disc's centre is clear of it."""


@dataclass(frozen=True)
class SituationRules:
    """How a problem is made from a scene.

    Args:
        corridor: How the corridor is laid.
        slots: How many of the others are kept out of, the nearest.
        confidence: Probability that another is within the ellipse kept out of, in each mode.
        branch_step: From which step on a plan may know the mode.
        weights: Costs; the usual ones if None.
        lanes: Ids of the lanes to follow; chosen if None.
        goal: Id of the lane to get to; chosen if None.
        use_record: Whether the way at forks is the one that was recorded, rather than straight on.
        leave_lanes: Whether a car on no lane follows the recorded path, rather than being an error.
    """

    corridor: CorridorRules = field(default_factory=CorridorRules)
    slots: int = 8
    confidence: float = 0.9
    branch_step: int = 10
    weights: Weights | None = None
    lanes: tuple[str, ...] | None = None
    goal: str | None = None
    use_record: bool = True
    leave_lanes: bool = False


@dataclass(frozen=True, eq=False)
class Situation:
    """A problem with what ties it to its scene.

    Args:
        problem: The problem, NumPy arrays in float64 without a batch.
        scene: Id of the scene.
        step: The step of the scene that is now.
        time: Of that step, since the scene's start [s].
        agent: Id of the road user that is planned for.
        others: Id of the road user in each slot; "" where it is empty.
        predictions: Of those in the slots.
        route: Where the car goes.
        laid: Its corridor, with how far it is known and where it was widened.
        clipped: What of the start state was clipped, in words.
        vehicle: The car.
        horizon: Of the plan.
    """

    problem: Problem
    scene: str
    step: int
    time: float
    agent: str
    others: tuple[str, ...]
    predictions: Predictions
    route: Route
    laid: LaidCorridor
    clipped: tuple[str, ...]
    vehicle: Vehicle
    horizon: Horizon


def situation_at(
    scene: Scene,
    time: float,
    *,
    vehicle: Vehicle | None = None,
    horizon: Horizon | None = None,
    predictions: Predictions | None = None,
    rules: SituationRules | None = None,
    agent: str | None = None,
    start: Float64[np.ndarray, " 6"] | None = None,
) -> Situation:
    """Return the problem of planning that a road user of a scene has at a time.

    The work on a map is done once, and remembered while few maps are used in turn.

    Args:
        scene: The scene.
        time: Seconds after its start; rounded to a step.
        vehicle: The car.
        horizon: Of the plan.
        predictions: Of all road users of the scene in its order, ego's row among them (it does not
            count); that everybody goes on straight if None.
        rules: How the problem is made.
        agent: Id of the road user to plan for; the recording car if None.
        start: The state to start from, where it is not the recorded one.

    Raises:
        InputError: The time lies outside the scene; there is nobody to plan for at that time; the
            start state is impossible or off the road; the road is empty; a prediction is NaN.
    """
    vehicle, horizon = vehicle or Vehicle(), horizon or Horizon()
    rules = rules or SituationRules()
    step = _step_of(scene, time)
    row = _row_of(scene, agent)
    where = f"scene {scene.id}, agent {scene.agents.ids[row]!r}, {step * scene.clock.dt:.1f} s"
    clipped: tuple[str, ...] = ()
    if start is None:
        estimate = estimate_start(scene, row, step, vehicle)
        state, clipped = estimate.state, estimate.clipped
    else:
        state = check_start(np.asarray(start, np.float64), vehicle, where=where)
    route, road, knots = _choose_route(scene, row, step, state, vehicle, horizon, rules)
    laid = lay_corridor(
        route,
        state,
        road=road,
        vehicle=vehicle,
        knots=knots,
        rules=rules.corridor,
    )
    others, chosen = _choose_others(scene, row, step, state, laid, predictions, horizon, rules)
    return Situation(
        problem=Problem(
            start=state,
            corridor=laid.corridor,
            ellipses=_shape_ellipses(chosen, state, vehicle, horizon, rules.confidence),
            probability=np.asarray(chosen.probability, np.float64),
            branch_step=np.asarray(rules.branch_step, np.int32),
            weights=jax.tree.map(
                lambda weight: np.asarray(weight, np.float64), rules.weights or Weights()
            ),
        ),
        scene=scene.id,
        step=step,
        time=step * scene.clock.dt,
        agent=scene.agents.ids[row],
        others=others,
        predictions=chosen,
        route=route,
        laid=laid,
        clipped=clipped,
        vehicle=vehicle,
        horizon=horizon,
    )


def stack_problems(problems: Sequence[Problem]) -> Problem:
    """Return problems as one batch.

    Corridors are padded to the longest one, which must have pieces of the same length for all;
    modes and slots that a problem lacks are empty.

    Raises:
        InputError: There are none, or their horizons differ.
    """
    if not problems:
        raise InputError("empty", "there are no problems to stack")
    steps = {problem.ellipses.present.shape[-1] for problem in problems}
    if len(steps) > 1:
        raise InputError(
            "shape",
            "problems of different horizons cannot be one batch",
            why=f"they have {', '.join(map(str, sorted(steps)))} steps",
        )
    knots = max(len(problem.corridor.left) for problem in problems)
    modes = max(problem.ellipses.present.shape[0] for problem in problems)
    slots = max(problem.ellipses.present.shape[1] for problem in problems)
    padded = [_pad(problem, knots, modes, slots) for problem in problems]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *padded)


def _step_of(scene: Scene, time: float) -> int:
    step = round(time / scene.clock.dt) if np.isfinite(time) else -1
    if not 0 <= step < scene.clock.steps:
        raise InputError(
            "index",
            "the time lies outside the scene",
            where=f"scene {scene.id}",
            why=f"{time:g} s; the scene has {scene.clock.duration:g} s",
            remedy=f"give a time from 0 to {(scene.clock.steps - 1) * scene.clock.dt:g} s",
        )
    return step


def _row_of(scene: Scene, agent: str | None) -> int:
    if agent is not None:
        return scene.agents.index(agent)
    if scene.ego is None:
        raise InputError(
            "value",
            "the scene has no recording car to plan for",
            where=f"scene {scene.id}",
            why="its data set does not say which road user recorded it",
            remedy="name the road user to plan for",
        )
    return scene.ego


def _choose_route(
    scene: Scene,
    row: int,
    step: int,
    state: np.ndarray,
    vehicle: Vehicle,
    horizon: Horizon,
    rules: SituationRules,
) -> tuple[Route, Road | None, int]:
    """Return the route, the road it lies on (None without lanes), and the corridor's knots."""
    heading = float(state[StateIndex.HEADING])
    way = np.array([np.cos(heading), np.sin(heading)])
    middle = state[:2] + vehicle.centre_offset * way
    knots = count_knots(float(state[StateIndex.SPEED]), vehicle, horizon, rules.corridor)
    ahead = length_ahead(knots, rules.corridor) + vehicle.length
    behind = rules.corridor.behind + vehicle.length
    track = scene.agents.centre[row, :, :2]
    if scene.map is not None:
        road = prepare_road(scene.map)
        # What lies beyond the end of the corridor decides no fork before it.
        future = track[step + 1 :]
        future = future[np.isfinite(future).all(axis=1)]
        if len(future):
            future = future[arc_length(future) <= ahead]
        try:
            route = find_route(
                road,
                middle,
                heading,
                ahead=ahead,
                behind=behind,
                future=future if rules.use_record else None,
                lanes=rules.lanes,
                goal=rules.goal,
            )
        except InputError as error:
            if not (rules.leave_lanes and error.code == "value"):
                raise
        else:
            return route, road, knots
    route = follow_record(track[:step], middle, heading, track[step + 1 :], behind=behind)
    return route, None, knots


def _choose_others(
    scene: Scene,
    row: int,
    step: int,
    state: np.ndarray,
    laid: LaidCorridor,
    predictions: Predictions | None,
    horizon: Horizon,
    rules: SituationRules,
) -> tuple[tuple[str, ...], Predictions]:
    """Return who is in the slots, and their predictions."""
    ids = scene.agents.ids
    if predictions is None:
        predictions = predict_straight(scene.agents, step, horizon)
    valid = np.array(predictions.valid)
    if valid.shape[1:] != (len(ids), horizon.steps):
        raise InputError(
            "shape",
            "predictions do not fit the scene and the horizon",
            where=f"scene {scene.id}",
            why=f"they are for {valid.shape[1]} road users and {valid.shape[2]} steps, "
            f"not for {len(ids)} and {horizon.steps}",
        )
    valid[:, row] = False
    predictions = replace(predictions, valid=valid)
    check_predictions(predictions, ids=ids)
    line = np.asarray(laid.corridor.line)
    samples = (line[:-2] + 4 * line[1:-1] + line[2:]) / 6
    time = horizon.times
    onward = interpolate(samples, laid.rear + state[StateIndex.SPEED] * time)
    chosen, rows = select_nearest(
        predictions, np.stack([onward, np.broadcast_to(state[:2], onward.shape)]), rules.slots
    )
    return tuple("" if other < 0 else ids[other] for other in rows), chosen


def _shape_ellipses(
    predictions: Predictions,
    state: np.ndarray,
    vehicle: Vehicle,
    horizon: Horizon,
    confidence: float,
) -> Ellipses:
    """Return the ellipses, shaped so that as few as can be hold the car at its first step.

    All shapes hold all that may be touched. One that is short is chosen for who stands close
    before or behind the car, a slim one for who is beside it, where the usual one would not do.
    """
    heading = state[StateIndex.HEADING]
    way = np.array([np.cos(heading), np.sin(heading)])
    travelled = state[StateIndex.SPEED] * horizon.dt
    discs = state[:2] + np.outer(np.array(vehicle.disc_offsets) + travelled, way)
    first = replace(
        predictions,
        mean=predictions.mean[:, :, :1],
        covariance=predictions.covariance[:, :, :1],
        heading=predictions.heading[:, :, :1],
        valid=predictions.valid[:, :, :1],
    )
    shaped = [inflate(first, vehicle, confidence=confidence, across=weight) for weight in _SHAPES]
    clear = np.stack([_clearance(ellipses, discs) for ellipses in shaped])
    best = np.where(clear[0] > _CLEAR, 0, clear.argmax(axis=0))
    across = np.array(_SHAPES)[best]
    return inflate(predictions, vehicle, confidence=confidence, across=across)


def _clearance(ellipses: Ellipses, discs: np.ndarray) -> np.ndarray:
    """Return how far outside of each obstacle's first ellipses discs are: above 1 is outside."""
    apart = discs - np.asarray(ellipses.centre)[:, :, 0, None]
    turn = np.asarray(ellipses.heading)[:, :, 0, None]
    cos, sin = np.cos(turn), np.sin(turn)
    axes = np.asarray(ellipses.semi_axes)[:, :, 0, None]
    ahead = (apart[..., 0] * cos + apart[..., 1] * sin) / axes[..., 0]
    beside = (apart[..., 1] * cos - apart[..., 0] * sin) / axes[..., 1]
    return np.hypot(ahead, beside).min(axis=(0, 2))


def _pad(problem: Problem, knots: int, modes: int, slots: int) -> Problem:
    present = problem.ellipses.present
    more_modes, more_slots = modes - present.shape[0], slots - present.shape[1]

    def fill(leaf: Array | np.ndarray, empty: float) -> np.ndarray:
        values = np.asarray(leaf)
        width = [(0, more_modes), (0, more_slots)] + [(0, 0)] * (values.ndim - 2)
        return np.pad(values, width, constant_values=empty)

    return replace(
        problem,
        corridor=pad_corridor(jax.tree.map(np.asarray, problem.corridor), knots),
        ellipses=Ellipses(
            centre=fill(problem.ellipses.centre, 0.0),
            semi_axes=fill(problem.ellipses.semi_axes, 1.0),
            heading=fill(problem.ellipses.heading, 0.0),
            present=fill(present, 0.0),
        ),
        probability=np.pad(np.asarray(problem.probability), (0, more_modes)),
    )
