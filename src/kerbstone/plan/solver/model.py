"""The quadratic model of a plan's cost and barrier around it."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from kerbstone.plan.solver.bicycle import differentiate
from kerbstone.plan.solver.places import (
    Discs,
    OfDiscs,
    OfSteps,
    find_foot,
    place_discs,
    read,
    slope_of,
    value_of,
)
from kerbstone.plan.solver.riccati import Stages
from kerbstone.plan.solver.terms import (
    COMFORT_ACCELERATION,
    COMFORT_JERK,
    COMFORT_LATERAL,
    Data,
    Others,
    Rooms,
    add_up,
    bound_controls,
    bound_places,
    bound_states,
    each,
    exceed,
    measure_gaps,
    sum_barriers,
)
from kerbstone.plan.vehicle import Vehicle


def expand(
    states: Float[Array, "step 6 mode lane"],
    before: Float[Array, "step 6 mode lane"],
    controls: Float[Array, "step 2 mode lane"],
    parameter: OfDiscs,
    data: Data,
    weight: Float[Array, " lane"],
    low: Float[Array, " lane"],
    vehicle: Vehicle,
    dt: float,
    one: Float[Array, ""],
) -> tuple[Stages, Float[Array, " lane"]]:
    """Return the quadratic model of the cost and of the barrier around a plan, and the barrier.

    It is the Gauss-Newton model: derivatives of the terms, not of their derivatives, so that it
    is never negative. Its gradient is exact.

    Args:
        states: After each step.
        before: Before each step.
        controls: Of each step.
        parameter: Of the discs' projections.
        data: The problems.
        weight: Of the barrier.
        low: The room below which the barrier is a parabola.
        vehicle: The car.
        dt: Length of a step [s].
        one: The number one, not known to the compiler; see `riccati.sweep`.
    """
    w = data.weights
    p = dt * data.probability
    speed, acceleration, steering = states[:, 3], states[:, 4], states[:, 5]
    jerk, rate = controls[:, 0], controls[:, 1]
    tangent = jnp.tan(steering) / one
    lateral = speed * speed * tangent / vehicle.wheelbase
    discs = place_discs(states, vehicle, one)
    ground = _survey(discs, parameter, data, one)
    rooms = Rooms(
        bound_controls(jerk, rate, vehicle),
        bound_states(speed, acceleration, steering, lateral, vehicle),
        bound_places(ground.left, ground.right, ground.offset, vehicle),
        measure_gaps(discs, data.others) / one,
    )
    held = each(lambda room: jnp.maximum(room, low), rooms)
    bend = each(lambda room: weight / (room * room), held)
    push = each(lambda room, b, h: b * (2 * h - room), rooms, bend, held)

    over = exceed(jerk, -COMFORT_JERK, COMFORT_JERK)
    jerk_bend = 2 * p * (w.jerk + w.comfort * (over != 0)) + bend.control[0] + bend.control[1]
    jerk_pull = 2 * p * (w.jerk * jerk + w.comfort * over) - push.control[0] + push.control[1]
    rate_bend = 2 * p * w.steering + bend.control[2] + bend.control[3]
    rate_pull = 2 * p * w.steering * rate - push.control[2] + push.control[3]

    over = exceed(acceleration, *COMFORT_ACCELERATION)
    bends = [bend.state[2 * i] + bend.state[2 * i + 1] for i in range(4)]
    pushes = [push.state[2 * i] - push.state[2 * i + 1] for i in range(4)]
    acceleration_bend = 2 * p * (w.acceleration + w.comfort * (over != 0)) + bends[1]
    acceleration_pull = 2 * p * (w.acceleration * acceleration + w.comfort * over) - pushes[1]

    by_speed = 2 * speed * tangent / vehicle.wheelbase
    by_steering = speed * speed * (1 + tangent * tangent) / vehicle.wheelbase
    over = exceed(lateral, -COMFORT_LATERAL, COMFORT_LATERAL)
    lateral_bend = 2 * p * (w.lateral + w.comfort * (over != 0)) + bends[3]
    lateral_pull = 2 * p * (w.lateral * lateral + w.comfort * over) - pushes[3]

    plane = _model_ground(ground, data, bend.road, push.road, p)
    if data.others.x.shape[0]:
        plane = _Plane(
            *(
                a + b
                for a, b in zip(
                    plane, _model_others(discs, data, bend.gap, push.gap, p), strict=True
                )
            )
        )
    plane = _Plane(*(v / one for v in plane))
    x_turn = plane.xx * discs.turn_x + plane.xy * discs.turn_y
    y_turn = plane.xy * discs.turn_x + plane.yy * discs.turn_y
    turn_turn = x_turn * discs.turn_x + y_turn * discs.turn_y
    turn = plane.x * discs.turn_x + plane.y * discs.turn_y

    # The speed wanted changes along the line. What that bends is left out of the model.
    miss = 2 * p * w.speed * (speed - ground.wanted)
    along = -miss * ground.wanted_slope
    along = along.at[-1].add(-data.probability * w.progress * data.line.spacing)
    along_x, along_y = along * ground.ahead_x, along * ground.ahead_y
    rows = [
        add_up(plane.xx),
        add_up(plane.xy),
        add_up(plane.yy),
        add_up(x_turn),
        add_up(y_turn),
        add_up(turn_turn),
        2 * p * w.speed + bends[0] + lateral_bend * by_speed**2,
        lateral_bend * by_speed * by_steering,
        bends[2] + lateral_bend * by_steering**2,
        acceleration_bend,
        add_up(plane.x) + along_x,
        add_up(plane.y) + along_y,
        add_up(turn) + along_x * discs.turn_x[1] + along_y * discs.turn_y[1],
        miss - pushes[0] + lateral_pull * by_speed,
        acceleration_pull,
        -pushes[2] + lateral_pull * by_steering,
        jerk_bend,
        rate_bend,
        jerk_pull,
        rate_pull,
        *differentiate(before, controls, vehicle, dt),
    ]
    return Stages(jnp.stack([row / one for row in rows], axis=1)), sum_barriers(rooms, low)


class _Plane(NamedTuple):
    """Second and first derivatives by the place of each disc."""

    xx: OfDiscs
    xy: OfDiscs
    yy: OfDiscs
    x: OfDiscs
    y: OfDiscs


class _Ground(NamedTuple):
    """The road under each disc, and how the middle disc's wanted speed and parameter change."""

    offset: OfDiscs
    normal_x: OfDiscs
    normal_y: OfDiscs
    left: OfDiscs
    right: OfDiscs
    left_x: OfDiscs
    left_y: OfDiscs
    right_x: OfDiscs
    right_y: OfDiscs
    wanted: OfSteps
    wanted_slope: OfSteps
    ahead_x: OfSteps
    ahead_y: OfSteps


def _survey(discs: Discs, parameter: OfDiscs, data: Data, one: jax.Array) -> _Ground:
    reading = read(data.line, parameter, one)
    foot = find_foot(discs, reading)
    length = jnp.sqrt(foot.slope_x**2 + foot.slope_y**2) / one
    normal_x, normal_y = -foot.slope_y / length, foot.slope_x / length
    ahead_x, ahead_y = foot.slope_x / foot.curve / one, foot.slope_y / foot.curve / one
    left_slope = slope_of(reading.fields[2], reading.along)
    right_slope = slope_of(reading.fields[3], reading.along)
    field, along = reading.fields[4][:, 1], reading.along[1]
    return _Ground(
        foot.away_x * normal_x + foot.away_y * normal_y,
        normal_x,
        normal_y,
        value_of(reading.fields[2], reading.along),
        value_of(reading.fields[3], reading.along),
        left_slope * ahead_x - normal_x,
        left_slope * ahead_y - normal_y,
        right_slope * ahead_x + normal_x,
        right_slope * ahead_y + normal_y,
        value_of(field, along),
        slope_of(field, along),
        ahead_x[1],
        ahead_y[1],
    )


def _model_ground(
    ground: _Ground, data: Data, bend: jax.Array, push: jax.Array, p: jax.Array
) -> _Plane:
    reference = 2 * p * data.weights.reference
    bend_left, bend_right, push_left, push_right = bend[:3], bend[3:], push[:3], push[3:]
    normal_x, normal_y = ground.normal_x, ground.normal_y
    left_x, left_y, right_x, right_y = ground.left_x, ground.left_y, ground.right_x, ground.right_y
    pull = reference * ground.offset
    return _Plane(
        reference * normal_x**2 + bend_left * left_x**2 + bend_right * right_x**2,
        reference * normal_x * normal_y
        + bend_left * left_x * left_y
        + bend_right * right_x * right_y,
        reference * normal_y**2 + bend_left * left_y**2 + bend_right * right_y**2,
        pull * normal_x - push_left * left_x - push_right * right_x,
        pull * normal_y - push_left * left_y - push_right * right_y,
    )


def _model_others(
    discs: Discs, data: Data, bend: jax.Array, push: jax.Array, p: jax.Array
) -> _Plane:
    others, w = data.others, data.weights
    shape = (3, -1, *discs.x.shape[1:])
    bend, push = bend.reshape(shape), push.reshape(shape)
    sums = [jnp.zeros_like(discs.x)] * 5
    for i in range(others.x.shape[0]):
        other = Others(*(value[i] for value in others))
        dx, dy = discs.x - other.x, discs.y - other.y
        pull_x, pull_y = other.xx * dx + other.xy * dy, other.xy * dx + other.yy * dy
        root = jnp.sqrt(jnp.maximum(pull_x * dx + pull_y * dy, 1e-12))
        scale = jnp.where(other.present, other.scale, 0.0) / root
        gap_x, gap_y = scale * pull_x, scale * pull_y
        near = jnp.maximum(w.margin - (root - 1.0) * other.scale, 0.0)
        hard = bend[:, i] + 2 * p * w.clearance * (near > 0)
        force = push[:, i] + 2 * p * w.clearance * near
        terms = (
            hard * gap_x * gap_x,
            hard * gap_x * gap_y,
            hard * gap_y * gap_y,
            -force * gap_x,
            -force * gap_y,
        )
        sums = [a + b for a, b in zip(sums, terms, strict=True)]
    return _Plane(*sums)
