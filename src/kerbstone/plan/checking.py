"""Whether plans keep every hard constraint, and what they cost: a check that shares no solver code.

All of it is float64 NumPy, written from the equations: the motion is integrated again from the
controls, and every point is projected onto the reference line anew. What a solver believes about
its own plan counts for nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from kerbstone.errors import InputError
from kerbstone.plan.corridor import Corridor
from kerbstone.plan.problem import Ellipses, Horizon, Problem
from kerbstone.plan.vehicle import CONTROL_SIZE, STATE_SIZE, ControlIndex, StateIndex, Vehicle

COMFORT_ACCELERATION = (-4.05, 2.40)
"""Accelerations within which nuPlan and NAVSIM call a ride comfortable [m/s²]."""

COMFORT_LATERAL = 4.89
"""The same for the lateral acceleration, either way [m/s²]."""

COMFORT_JERK = 4.13
"""The same for the jerk, either way [m/s³]."""

_NEWTON_STEPS = 30
_MIDDLE_DISC = 1


class Projection(NamedTuple):
    """Where points lie beside a reference line, and what the corridor holds there.

    Args:
        arc: Spline parameter times spacing: the way along the line [m].
        distance: From the line, to the left positive [m]. Beyond an end of the line it is the
            distance from that end, so that nobody leaves a corridor unseen.
        left: Room to the left [m].
        right: Room to the right [m].
        speed: Speed wanted [m/s].
    """

    arc: Float[np.ndarray, "*any"]
    distance: Float[np.ndarray, "*any"]
    left: Float[np.ndarray, "*any"]
    right: Float[np.ndarray, "*any"]
    speed: Float[np.ndarray, "*any"]


@dataclass(frozen=True)
class PlanCheck:
    """What a check found.

    Args:
        states: The motion that follows from the controls, the start first; columns `StateIndex`.
        cost: Of the plan, modes weighted by their probability.
        feasible: Every state and control is finite and no excess is above the tolerance.
        finite: Every state, control and cost is finite.
        excess: By the name of a constraint, the furthest that any step, mode, disc and obstacle
            goes beyond its bound; below zero it is the room left. In the bound's own SI unit, but
            `ellipse`, which is one minus the squared scaled distance. NaN counts as inf;
            -inf is where there is nothing to keep, as without obstacles.
    """

    states: Float[np.ndarray, "batch mode time 6"]
    cost: Float[np.ndarray, " batch"]
    feasible: Bool[np.ndarray, " batch"]
    finite: Bool[np.ndarray, " batch"]
    excess: dict[str, Float[np.ndarray, " batch"]]


def check_plans(
    problem: Problem,
    controls: Shaped[Array | np.ndarray, "batch mode step 2"],
    *,
    vehicle: Vehicle,
    horizon: Horizon,
    tolerance: float = 1e-4,
) -> PlanCheck:
    """Integrate a batch of plans again, and measure their constraints and cost.

    Args:
        problem: A batch of problems.
        controls: Columns `ControlIndex`, of every mode from the first step on.
        vehicle: The car's limits.
        horizon: Steps and their length.
        tolerance: Excess up to which a constraint counts as kept, in the units of
            `PlanCheck.excess`.

    Raises:
        InputError: The problem is no batch, or the controls do not fit it or the horizon.

    References:
        Karnchanachari et al., Towards Learning-Based Planning: The nuPlan Benchmark for
        Real-World Autonomous Driving, 2024 (limits of comfort).
    """
    _check_shapes(problem, controls, horizon)
    held = np.asarray(controls, np.float64)
    with np.errstate(all="ignore"):  # a diverged plan is a finding, not a reason to stop
        states = roll_out(problem.start, held, vehicle=vehicle, dt=horizon.dt)
        discs = place_discs(states, vehicle)
        batch = len(states)
        beside = project_points(problem.corridor, discs.reshape(batch, -1, 2))
        beside = Projection(*(value.reshape(discs.shape[:-1]) for value in beside))
        scaled = _scale_distances(problem.ellipses, discs[:, :, 1:])
        excess = {
            **_exceed_limits(states[:, :, 1:], held, vehicle),
            "road": _exceed_road(beside, vehicle),
            "ellipse": 1.0 - scaled.min(axis=(2, 4), initial=np.inf),
            "branch": _exceed_branch(held, problem.branch_step),
        }
        worst = {
            name: np.nan_to_num(
                value.reshape(batch, -1).max(axis=1), nan=np.inf, posinf=np.inf, neginf=-np.inf
            )
            for name, value in excess.items()
        }
        terms = _cost_steps(problem, states, held, beside, scaled, vehicle)
        gained = beside.arc[:, :, -1, _MIDDLE_DISC] - beside.arc[:, :, 0, _MIDDLE_DISC]
        whole = horizon.dt * terms.sum(axis=-1) - _spread(problem.weights.progress, 2) * gained
        cost = (np.asarray(problem.probability, np.float64) * whole).sum(axis=-1)
    finite = np.isfinite(states).all(axis=(1, 2, 3)) & np.isfinite(cost)
    finite &= np.isfinite(held).all(axis=(1, 2, 3))
    kept = np.all([value <= tolerance for value in worst.values()], axis=0)
    return PlanCheck(states, cost, finite & kept, finite, worst)


def roll_out(
    start: Shaped[Array | np.ndarray, "batch 6"],
    controls: Shaped[Array | np.ndarray, "batch mode step 2"],
    *,
    vehicle: Vehicle,
    dt: float,
) -> Float[np.ndarray, "batch mode time 6"]:
    """Return the states that controls lead to, the start first.

    Speed, acceleration and steering angle are exact; position and heading follow the midpoint
    rule, whose error over a given time shrinks with the square of the step.

    Args:
        start: Columns `StateIndex`.
        controls: Columns `ControlIndex`, each held over a step.
        vehicle: For its wheelbase.
        dt: Length of a step [s].
    """
    held = np.asarray(controls, np.float64)
    batch, modes, steps, _ = held.shape
    states = np.empty((batch, modes, steps + 1, STATE_SIZE))
    states[:, :, 0] = np.asarray(start, np.float64)[:, None]
    for step in range(steps):
        x, y, heading, speed, acceleration, steering = np.moveaxis(states[:, :, step], -1, 0)
        jerk, rate = np.moveaxis(held[:, :, step], -1, 0)
        mid_speed = speed + acceleration * dt / 2 + jerk * dt**2 / 8
        turn = mid_speed * np.tan(steering + rate * dt / 2) / vehicle.wheelbase
        mid_heading = heading + turn * dt / 2
        following = (
            x + dt * mid_speed * np.cos(mid_heading),
            y + dt * mid_speed * np.sin(mid_heading),
            heading + dt * turn,
            speed + acceleration * dt + jerk * dt**2 / 2,
            acceleration + jerk * dt,
            steering + rate * dt,
        )
        states[:, :, step + 1] = np.stack(following, axis=-1)
    return states


def place_discs(
    states: Float[np.ndarray, "*any 6"], vehicle: Vehicle
) -> Float[np.ndarray, "*any 3 2"]:
    """Return the centres of the discs that cover the car, rear to front [m]."""
    heading = states[..., StateIndex.HEADING, None]
    ahead = np.array(vehicle.disc_offsets)[:, None] * np.stack(
        [np.cos(heading), np.sin(heading)], axis=-1
    )
    return states[..., None, [StateIndex.X, StateIndex.Y]] + ahead


def project_points(corridor: Corridor, points: Float[np.ndarray, "batch point 2"]) -> Projection:
    """Return where points lie beside the reference lines of a batch of corridors.

    Newton's iteration for the nearest point of the spline starts from the nearest of all its
    samples, two on each piece. Where the distance is not convex, the curvature of the line is
    left out of the step.

    Args:
        corridor: A batch of corridors.
        points: World frame [m].
    """
    columns = (corridor.left, corridor.right, corridor.speed)
    fields = np.concatenate(
        [np.asarray(corridor.line, np.float64), np.stack(columns, -1).astype(np.float64)], axis=-1
    )
    end = fields.shape[1] - 3
    samples = np.broadcast_to(np.linspace(0.0, end, 2 * end + 1), (len(fields), 2 * end + 1))
    line = _evaluate(fields, samples)[0][..., :2]
    apart = (points[:, :, None, 0] - line[:, None, :, 0]) ** 2
    apart += (points[:, :, None, 1] - line[:, None, :, 1]) ** 2
    along = apart.argmin(axis=-1) / 2.0
    for _ in range(_NEWTON_STEPS):
        place, first, second = (value[..., :2] for value in _evaluate(fields, along))
        offset = place - points
        slope = (offset * first).sum(-1)
        square = (first**2).sum(-1)
        curve = square + (offset * second).sum(-1)
        change = np.clip(slope / np.where(curve > 0.1 * square, curve, square), -0.5, 0.5)
        moved = np.clip(along - change, 0.0, end)
        settled = np.abs(moved - along) < 1e-14 * end
        along = moved
        if settled.all():
            break
    values, first, _ = _evaluate(fields, along)
    offset = points - values[..., :2]
    side = first[..., 0] * offset[..., 1] - first[..., 1] * offset[..., 0]
    distance = np.where(side < 0, -1.0, 1.0) * np.hypot(offset[..., 0], offset[..., 1])
    arc = along * np.asarray(corridor.spacing, np.float64)[:, None]
    return Projection(arc, distance, values[..., 2], values[..., 3], values[..., 4])


def _evaluate(
    fields: Float[np.ndarray, "batch knot field"], along: Float[np.ndarray, "batch point"]
) -> list[Float[np.ndarray, "batch point field"]]:
    """Return values, slopes and second derivatives of uniform cubic B-splines."""
    piece = np.clip(np.nan_to_num(along).astype(int), 0, fields.shape[1] - 4)
    u = along - piece
    near = fields[np.arange(len(fields))[:, None, None], piece[..., None] + np.arange(4)]
    value = ((1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3)
    slope = (-((1 - u) ** 2) / 2, (3 * u**2 - 4 * u) / 2, (-3 * u**2 + 2 * u + 1) / 2, u**2 / 2)
    bend = (1 - u, 3 * u - 2, 1 - 3 * u, u)
    bases = (np.stack(value, -1) / 6.0, np.stack(slope, -1), np.stack(bend, -1))
    return [np.einsum("bpc,bpcf->bpf", basis, near) for basis in bases]


def _lateral(states: Float[np.ndarray, "*any 6"], vehicle: Vehicle) -> Float[np.ndarray, "*any"]:
    speed = states[..., StateIndex.SPEED]
    return speed**2 * np.tan(states[..., StateIndex.STEERING]) / vehicle.wheelbase


def _exceed_limits(
    states: Float[np.ndarray, "batch mode step 6"],
    controls: Float[np.ndarray, "batch mode step 2"],
    vehicle: Vehicle,
) -> dict[str, Float[np.ndarray, "batch mode step"]]:
    """Return by how much each limit of the car is exceeded."""
    lateral = _lateral(states, vehicle)
    measured = {
        "speed": (states[..., StateIndex.SPEED], vehicle.speed),
        "acceleration": (states[..., StateIndex.ACCELERATION], vehicle.acceleration),
        "steering": (states[..., StateIndex.STEERING], vehicle.steering),
        "lateral_acceleration": (lateral, vehicle.lateral_acceleration),
        "jerk": (controls[..., ControlIndex.JERK], vehicle.jerk),
        "steering_rate": (controls[..., ControlIndex.STEERING_RATE], vehicle.steering_rate),
    }
    excess = {}
    for name, (value, bound) in measured.items():
        low, high = bound if isinstance(bound, tuple) else (-bound, bound)
        excess[name] = np.maximum(low - value, value - high)
    return excess


def _exceed_road(beside: Projection, vehicle: Vehicle) -> Float[np.ndarray, "batch mode step 3"]:
    """Return how far each disc reaches over the edge of the road, after each step."""
    over = np.maximum(beside.distance - beside.left, -beside.distance - beside.right)
    return over[:, :, 1:] + vehicle.disc_radius


def _exceed_branch(
    controls: Float[np.ndarray, "batch mode step 2"],
    branch_step: Int[Array | np.ndarray, " batch"],
) -> Float[np.ndarray, "batch mode step 2"]:
    """Return how far the modes' controls differ from the first mode's before they may."""
    shared = np.arange(controls.shape[2]) < np.asarray(branch_step)[:, None]
    apart = np.abs(controls - controls[:, :1])
    return np.where(shared[:, None, :, None], apart, 0.0)


def _scale_distances(
    ellipses: Ellipses, discs: Float[np.ndarray, "batch mode step disc 2"]
) -> Float[np.ndarray, "batch mode obstacle step disc"]:
    """Return the squared distances of discs from ellipses, 1 on the edge, inf where none is."""
    offset = discs[:, :, None] - np.asarray(ellipses.centre, np.float64)[..., None, :]
    heading = np.asarray(ellipses.heading, np.float64)[..., None]
    along = np.cos(heading) * offset[..., 0] + np.sin(heading) * offset[..., 1]
    across = np.cos(heading) * offset[..., 1] - np.sin(heading) * offset[..., 0]
    axes = np.asarray(ellipses.semi_axes, np.float64)[..., None, :]
    scaled = (along / axes[..., 0]) ** 2 + (across / axes[..., 1]) ** 2
    present = np.asarray(ellipses.present)[..., None]
    return np.where(present, scaled, np.inf)


def _cost_steps(
    problem: Problem,
    states: Float[np.ndarray, "batch mode time 6"],
    controls: Float[np.ndarray, "batch mode step 2"],
    beside: Projection,
    scaled: Float[np.ndarray, "batch mode obstacle step disc"],
    vehicle: Vehicle,
) -> Float[np.ndarray, "batch mode step"]:
    """Return what each step costs for each second of it, but for the progress."""
    after = states[:, :, 1:]
    speed, acceleration = (after[..., i] for i in (StateIndex.SPEED, StateIndex.ACCELERATION))
    jerk, rate = (controls[..., i] for i in ControlIndex)
    lateral = _lateral(after, vehicle)
    wanted = beside.speed[:, :, 1:, _MIDDLE_DISC]
    low, high = COMFORT_ACCELERATION
    discomfort = (
        _hinge(low - acceleration)
        + _hinge(acceleration - high)
        + _hinge(np.abs(lateral) - COMFORT_LATERAL)
        + _hinge(np.abs(jerk) - COMFORT_JERK)
    )
    axes = np.asarray(problem.ellipses.semi_axes, np.float64).min(axis=-1)[..., None]
    root = np.sqrt(scaled) - 1.0
    gap = np.where(np.isinf(root), np.inf, root * axes)
    near = _hinge(_spread(problem.weights.margin, 5) - gap).sum(axis=(2, 4))
    terms = {
        "reference": (beside.distance[:, :, 1:] ** 2).sum(axis=-1),
        "speed": (speed - wanted) ** 2,
        "acceleration": acceleration**2,
        "lateral": lateral**2,
        "jerk": jerk**2,
        "steering": rate**2,
        "comfort": discomfort,
        "clearance": near,
    }
    total = np.zeros(after.shape[:3])
    for name, value in terms.items():
        total += _spread(getattr(problem.weights, name), 3) * value
    return total


def _hinge(value: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    return np.maximum(0.0, value) ** 2


def _spread(weight: float | Array | np.ndarray, axes: int) -> Float[np.ndarray, "..."]:
    """Return a weight, one for all or one for each problem, to multiply so many axes by."""
    value = np.asarray(weight, np.float64)
    return value.reshape(value.shape + (1,) * (axes - 1)) if value.ndim else value


def _check_shapes(problem: Problem, controls: Array | np.ndarray, horizon: Horizon) -> None:
    start = np.shape(problem.start)
    if len(start) != 2:
        raise InputError("shape", "the problems to check are no batch", why=f"start is {start}")
    wanted = (*np.shape(problem.probability), horizon.steps, CONTROL_SIZE)
    if np.shape(controls) != wanted or wanted[0] != start[0]:
        raise InputError(
            "shape",
            "controls do not fit the problems and the horizon",
            why=f"{np.shape(controls)} instead of {wanted}",
        )
