"""P50 in CasADi + IPOPT: multiple shooting, exact derivatives, one problem at a time.

It is written from the equations for an arc in closed form, in the frame of the arc's start, and is
built once for all instances, whose numbers are parameters. What it finds is judged by
`plan.checking` from the controls alone, as ours is.
"""

from __future__ import annotations

import time
from functools import cache
from typing import NamedTuple

import casadi as ca
import numpy as np

from kerbstone.plan.checking import (
    COMFORT_ACCELERATION,
    COMFORT_JERK,
    COMFORT_LATERAL,
    check_plans,
    roll_out,
)
from kerbstone.plan.problem import Problem
from kerbstone.plan.vehicle import CONTROL_SIZE, STATE_SIZE
from p50 import HORIZON, OTHERS, VEHICLE, arc_of, braking_start, follow_lane

WEIGHTS = (
    "reference", "speed", "progress", "acceleration", "lateral", "jerk", "steering", "comfort",
    "clearance", "margin",
)  # fmt: skip
OPTIONS = {
    "print_time": False,
    "calc_lam_p": False,
    "ipopt": {
        "print_level": 0,
        "sb": "yes",
        "linear_solver": "mumps",
        "max_iter": 300,
        "tol": 1e-6,
        "mu_init": 0.1,
        "mumps_permuting_scaling": 0,  # the three scale or permute what is well scaled
        "mumps_scaling": 0,
        "nlp_scaling_method": "none",
    },
}
_ROW = STATE_SIZE + CONTROL_SIZE
_BOUNDS = 1 + 3 + 3 * OTHERS  # after each step: lateral acceleration, road, ellipses
_OTHER = 7  # numbers of an ellipse: centre, the matrix that makes it a circle, the smaller axis


class Solutions(NamedTuple):
    """What IPOPT finds, `[batch, start, ...]`.

    Args:
        controls: `[batch, start, step, 2]`.
        cost: By `check_plans`, as `feasible`.
        feasible: The hard constraints hold.
        seconds: Wall time of each solve [s].
        iterations: Of IPOPT.
        solved: IPOPT itself reports success.
    """

    controls: np.ndarray
    cost: np.ndarray
    feasible: np.ndarray
    seconds: np.ndarray
    iterations: np.ndarray
    solved: np.ndarray

    def best(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the least cost of the feasible plans of each problem, inf for none, and whose."""
        cost = np.where(self.feasible, self.cost, np.inf)
        return cost.min(axis=1), cost.argmin(axis=1)


def homotopy_starts(problem: Problem) -> np.ndarray:
    """Return starts that decide differently, `[batch, start, step, 2]`; not all are feasible.

    Braking; yielding to half the speed; going on; passing on the left and on the right: at the
    present speed, faster, late after slowing down, and gently. In 3 problems of 72, six random
    starts still found something better than the best of these eleven.
    """
    now = problem.start[:, 3]
    wanted = problem.corridor.speed[:, 0]
    left = problem.corridor.left[:, 0] - VEHICLE.disc_radius - 0.3
    right = -(problem.corridor.right[:, 0] - VEHICLE.disc_radius - 0.3)
    plans = [
        braking_start(problem),
        follow_lane(problem, offset=0.0, speed=0.5 * now),
        follow_lane(problem, offset=0.0, speed=wanted),
        *(
            follow_lane(problem, offset=side, speed=speed, reach=reach)
            for speed, reach in (
                (now, 9.0),
                (wanted + 2.0, 9.0),
                (0.5 * now, 9.0),
                (0.85 * now, 12.0),
            )
            for side in (left, right)
        ),
    ]
    return np.stack(plans, axis=1)


def solve_all(problem: Problem, starts: np.ndarray, **options: object) -> Solutions:
    """Solve every problem from each of its starts.

    Args:
        problem: A batch of P50.
        starts: Controls to begin from, `[batch, start, step, 2]`; the states are their roll-out.
        options: Further options of IPOPT.
    """
    solver = build_solver(tuple(sorted(options.items())))
    parameters = _list_parameters(problem)
    low, high = _list_bounds(problem)
    count, tries = starts.shape[:2]
    controls = np.zeros_like(starts)
    seconds, iterations = np.zeros((count, tries)), np.zeros((count, tries), int)
    solved = np.zeros((count, tries), bool)
    first = roll_out(parameters[:, :STATE_SIZE], starts, vehicle=VEHICLE, dt=HORIZON.dt)
    guess = np.concatenate([starts, first[:, :, 1:]], axis=-1).reshape(count, tries, -1)
    free = _bound_variables()
    for i, start in np.ndindex(count, tries):
        begin = time.perf_counter()
        found = solver(
            x0=guess[i, start], p=parameters[i], lbg=low[i], ubg=high[i], lbx=free[0], ubx=free[1]
        )
        seconds[i, start] = time.perf_counter() - begin
        report = solver.stats()
        iterations[i, start], solved[i, start] = report["iter_count"], report["success"]
        controls[i, start] = found["x"].full().reshape(HORIZON.steps, _ROW)[:, :CONTROL_SIZE]
    checks = [
        check_plans(problem, controls[:, start, None], vehicle=VEHICLE, horizon=HORIZON)
        for start in range(tries)
    ]
    cost = np.stack([check.cost for check in checks], axis=1)
    feasible = np.stack([check.feasible for check in checks], axis=1)
    return Solutions(controls, cost, feasible, seconds, iterations, solved)


@cache
def build_solver(options: tuple[tuple[str, object], ...] = ()) -> ca.Function:
    """Return the solver for all instances; variables are a row of controls and states a step.

    CasADi's virtual machine runs its functions: compiling them takes gcc 50 s and saves a tenth,
    since four fifths of the time go into the factorisation and IPOPT itself.

    Args:
        options: Further options of IPOPT.
    """
    settings = OPTIONS | {"ipopt": OPTIONS["ipopt"] | dict(options)}
    return ca.nlpsol("p50", "ipopt", _write_problem(), settings)


def _write_problem() -> dict[str, ca.SX]:
    """Return variables, parameters, cost and constraints, all symbolic."""
    start, weights = ca.SX.sym("start", STATE_SIZE), ca.SX.sym("weights", len(WEIGHTS))
    road, others = ca.SX.sym("road", 3), ca.SX.sym("others", _OTHER * OTHERS, HORIZON.steps)
    rows = ca.SX.sym("rows", _ROW, HORIZON.steps)
    weight = dict(zip(WEIGHTS, ca.vertsplit(weights), strict=True))
    state, cost, constraints = start, 0.0, []
    for step in range(HORIZON.steps):
        control, after = rows[:CONTROL_SIZE, step], rows[CONTROL_SIZE:, step]
        constraints.append(after - _move(state, control))
        terms, bounded = _cost_step(after, control, road, others[:, step], weight)
        cost += HORIZON.dt * terms
        constraints.append(bounded)
        state = after
    middle = [_place_disc(at, VEHICLE.centre_offset) for at in (state, start)]
    gained = [ca.atan2(road[0] * x, 1 - road[0] * y) / road[0] * road[2] for x, y in middle]
    cost -= weight["progress"] * (gained[0] - gained[1])
    cost, bounded = ca.cse([cost, ca.vertcat(*constraints)])
    parameters = ca.vertcat(start, road, weights, ca.vec(others))
    return {"x": ca.vec(rows), "p": parameters, "f": cost, "g": bounded}


def _move(state: ca.SX, control: ca.SX) -> ca.SX:
    x, y, heading, speed, acceleration, steering = ca.vertsplit(state)
    jerk, rate = ca.vertsplit(control)
    dt = HORIZON.dt
    middle = speed + acceleration * dt / 2 + jerk * dt**2 / 8
    turn = middle * ca.tan(steering + rate * dt / 2) / VEHICLE.wheelbase
    direction = heading + turn * dt / 2
    return ca.vertcat(
        x + dt * middle * ca.cos(direction),
        y + dt * middle * ca.sin(direction),
        heading + dt * turn,
        speed + acceleration * dt + jerk * dt**2 / 2,
        acceleration + jerk * dt,
        steering + rate * dt,
    )


def _place_disc(state: ca.SX, offset: float) -> tuple[ca.SX, ca.SX]:
    return state[0] + offset * ca.cos(state[2]), state[1] + offset * ca.sin(state[2])


def _cost_step(state, control, road, others, weight):
    """Return what a step costs for each second, and the values that are bounded after it."""
    _, _, _, speed, acceleration, steering = ca.vertsplit(state)
    jerk, rate = ca.vertsplit(control)
    lateral = speed**2 * ca.tan(steering) / VEHICLE.wheelbase
    discs = [_place_disc(state, offset) for offset in VEHICLE.disc_offsets]
    k = road[0]
    beside = [
        (2 * y - k * (x**2 + y**2)) / (1 + ca.sqrt((k * x) ** 2 + (1 - k * y) ** 2))
        for x, y in discs
    ]
    scaled, near = [], 0.0
    for i in range(OTHERS):
        cx, cy, xx, xy, yx, yy, axis = ca.vertsplit(others[_OTHER * i : _OTHER * (i + 1)])
        for x, y in discs:
            square = (xx * (x - cx) + xy * (y - cy)) ** 2 + (yx * (x - cx) + yy * (y - cy)) ** 2
            scaled.append(square)
            gap = (ca.sqrt(square + 1e-12) - 1) * axis
            near += _hinge(weight["margin"] - gap)
    low, high = COMFORT_ACCELERATION
    excess = [(acceleration, low, high), (lateral, -COMFORT_LATERAL, COMFORT_LATERAL)]
    excess += [(jerk, -COMFORT_JERK, COMFORT_JERK)]
    terms = (
        weight["reference"] * sum(d**2 for d in beside)
        + weight["speed"] * (speed - road[1]) ** 2
        + weight["acceleration"] * acceleration**2
        + weight["lateral"] * lateral**2
        + weight["jerk"] * jerk**2
        + weight["steering"] * rate**2
        + weight["comfort"] * sum(_hinge(a - value) + _hinge(value - b) for value, a, b in excess)
        + weight["clearance"] * near
    )
    return terms, ca.vertcat(lateral, *beside, *scaled)


def _hinge(value):
    return ca.fmax(0, value) ** 2


def _list_parameters(problem: Problem) -> np.ndarray:
    """Return each problem's parameters, in the frame of its arc's start."""
    arc, count = arc_of(problem), len(problem.start)
    cos, sin = np.cos(arc.heading), np.sin(arc.heading)
    turned = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], axis=-2)
    origin = np.stack([arc.x, arc.y], axis=-1)
    start = np.array(problem.start)
    start[:, :2] = np.einsum("bij,bj->bi", turned, start[:, :2] - origin)
    start[:, 2] -= arc.heading
    curvature = np.where(np.abs(arc.curvature) < 1e-9, 1e-9, arc.curvature)
    road = np.stack([curvature, problem.corridor.speed[:, 0], arc.stretch], axis=-1)
    weights = [np.broadcast_to(getattr(problem.weights, name), count) for name in WEIGHTS]
    ellipses = problem.ellipses
    centre = np.einsum("bij,bosj->bosi", turned, ellipses.centre[:, 0] - origin[:, None, None])
    heading = ellipses.heading[:, 0] - arc.heading[:, None, None]
    axes, present = ellipses.semi_axes[:, 0], ellipses.present[:, 0]
    centre = np.where(present[..., None], centre, 1e4)
    long, wide = np.moveaxis(np.where(present[..., None], axes, 1.0), -1, 0)
    cos, sin = np.cos(heading), np.sin(heading)
    columns = [*np.moveaxis(centre, -1, 0), cos / long, sin / long, -sin / wide, cos / wide]
    others = np.stack([*columns, np.minimum(long, wide)], axis=-1)  # [batch, obstacle, step, 7]
    others = others.transpose(0, 2, 1, 3).reshape(count, -1)
    return np.concatenate([start, road, np.stack(weights, -1), others], axis=-1)


def _list_bounds(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    corridor, radius = problem.corridor, VEHICLE.disc_radius
    for values in (corridor.left, corridor.right, corridor.speed):
        assert np.ptp(values, axis=1).max() < 1e-9, "P50's roads are the same all along"
    count = len(corridor.left)
    low = np.zeros((count, HORIZON.steps, STATE_SIZE + _BOUNDS))
    high = np.zeros_like(low)
    first = STATE_SIZE
    low[..., first], high[..., first] = np.array([-1, 1]) * VEHICLE.lateral_acceleration
    low[..., first + 1 : first + 4] = radius - corridor.right[:, 0, None, None]
    high[..., first + 1 : first + 4] = corridor.left[:, 0, None, None] - radius
    low[..., first + 4 :], high[..., first + 4 :] = 1.0, np.inf
    return low.reshape(count, -1), high.reshape(count, -1)


def _bound_variables() -> tuple[np.ndarray, np.ndarray]:
    wide = (-np.inf, np.inf)
    row = [(-VEHICLE.jerk, VEHICLE.jerk), (-VEHICLE.steering_rate, VEHICLE.steering_rate)]
    row += [wide, wide, wide, VEHICLE.speed, VEHICLE.acceleration]
    row += [(-VEHICLE.steering, VEHICLE.steering)]
    low, high = np.tile(np.array(row).T[:, None], (1, HORIZON.steps, 1))
    return low.ravel(), high.ravel()
