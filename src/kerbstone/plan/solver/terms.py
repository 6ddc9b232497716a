"""What a plan costs, and how much room its constraints leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from kerbstone.plan.problem import Weights
from kerbstone.plan.solver.places import (
    Discs,
    Line,
    OfDiscs,
    OfSteps,
    find_foot,
    place_discs,
    project,
    value_of,
)
from kerbstone.plan.vehicle import Vehicle

# Limits of comfort of the nuPlan and NAVSIM scores: acceleration, lateral acceleration, jerk.
COMFORT_ACCELERATION = (-4.05, 2.40)
COMFORT_LATERAL = 4.89
COMFORT_JERK = 4.13

# How many rooms are multiplied before a logarithm is taken, which costs most.
_MERGED = 4

# Room where there is no other road user: nothing pushes.
_NOBODY = 1e2


class Others(NamedTuple):
    """Ellipses as quadratic forms; see `problem.Ellipses`.

    Args:
        x: Centre [m].
        y: Centre [m].
        xx: The form: its value at an offset from the centre is one on the edge [1/m²].
        xy: The same.
        yy: The same.
        scale: The shorter semi-axis [m].
        present: Whether there is anyone.
    """

    x: Float[Array, "obstacle step mode lane"]
    y: Float[Array, "obstacle step mode lane"]
    xx: Float[Array, "obstacle step mode lane"]
    xy: Float[Array, "obstacle step mode lane"]
    yy: Float[Array, "obstacle step mode lane"]
    scale: Float[Array, "obstacle step mode lane"]
    present: Bool[Array, "obstacle step mode lane"]


class Data(NamedTuple):
    """All that a lane's plan depends on, with the batch last.

    Args:
        start: The state now, the same in all modes.
        line: The corridors.
        others: The other road users.
        probability: Of each mode.
        shared: Whether the modes share the control of a step.
        weights: Costs, each a number or one for each lane.
        origin: Parameter of each disc's projection now.
    """

    start: Float[Array, "6 mode lane"]
    line: Line
    others: Others
    probability: Float[Array, "mode lane"]
    shared: Bool[Array, "step lane"]
    weights: Weights
    origin: Float[Array, "3 mode lane"]


class Rooms(NamedTuple):
    """How far a plan is from breaking each constraint; above zero is inside.

    The order within the first two is low, high.

    Args:
        control: Of jerk, then of the steering rate.
        state: Of speed, acceleration, steering, lateral acceleration.
        road: On the left of each disc, then on the right [m].
        gap: From each disc to each ellipse, obstacles within discs [about m].
    """

    control: Float[Array, "4 step mode lane"]
    state: Float[Array, "8 step mode lane"]
    road: Float[Array, "6 step mode lane"]
    gap: Float[Array, "gap step mode lane"]


class Value(NamedTuple):
    """A plan's cost in each mode, its room, and the parameter of each disc's projection."""

    cost: Float[Array, "mode lane"]
    rooms: Rooms
    parameter: OfDiscs


def evaluate(
    states: Float[Array, "step 6 mode lane"],
    controls: Float[Array, "step 2 mode lane"],
    data: Data,
    guess: OfDiscs,
    vehicle: Vehicle,
    dt: float,
    one: Float[Array, ""],
    discs: Discs | None = None,
) -> Value:
    """Return cost and room of a plan.

    Args:
        states: After each step.
        controls: Of each step.
        data: The problems.
        guess: About where the discs' projections are.
        vehicle: The car.
        dt: Length of a step [s].
        one: The number one, not known to the compiler; see `riccati.sweep`.
        discs: Where the car's discs are, if they are not where the states put them.
    """
    w = data.weights
    discs = discs or place_discs(states, vehicle, one)
    reading = project(discs, data.line, guess, one)
    foot = find_foot(discs, reading)
    length = jnp.sqrt(foot.slope_x**2 + foot.slope_y**2)
    offset = (foot.slope_x * foot.away_y - foot.slope_y * foot.away_x) / length
    left = value_of(reading.fields[2], reading.along)
    right = value_of(reading.fields[3], reading.along)
    wanted = value_of(reading.fields[4][:, 1], reading.along[1])
    speed, acceleration, steering = states[:, 3], states[:, 4], states[:, 5]
    jerk, rate = controls[:, 0], controls[:, 1]
    lateral = speed * speed * jnp.tan(steering) / vehicle.wheelbase
    gaps = measure_gaps(discs, data.others)
    near = jnp.maximum(w.margin - gaps, 0.0) ** 2
    square = offset * offset
    low, high = COMFORT_ACCELERATION
    excess = (
        exceed(acceleration, low, high) ** 2
        + exceed(lateral, -COMFORT_LATERAL, COMFORT_LATERAL) ** 2
        + exceed(jerk, -COMFORT_JERK, COMFORT_JERK) ** 2
    )
    per_step = (
        w.reference * (square[0] + square[1] + square[2])
        + w.speed * (speed - wanted) ** 2
        + w.acceleration * acceleration**2
        + w.lateral * lateral**2
        + w.jerk * jerk**2
        + w.steering * rate**2
        + w.comfort * excess
        + w.clearance * add_up(near)
    )
    parameter = reading.piece + reading.along
    gained = data.line.spacing * (parameter[1, -1] - data.origin[1])
    return Value(
        dt * per_step.sum(0) - w.progress * gained,
        Rooms(
            bound_controls(jerk, rate, vehicle),
            bound_states(speed, acceleration, steering, lateral, vehicle),
            bound_places(left, right, offset, vehicle),
            gaps,
        ),
        parameter,
    )


def bound_controls(jerk: OfSteps, rate: OfSteps, vehicle: Vehicle) -> jax.Array:
    """Return the room of the controls."""
    return jnp.stack([*_between(jerk, vehicle.jerk), *_between(rate, vehicle.steering_rate)])


def bound_states(
    speed: OfSteps, acceleration: OfSteps, steering: OfSteps, lateral: OfSteps, vehicle: Vehicle
) -> jax.Array:
    """Return the room of the states."""
    return jnp.stack(
        [
            speed - vehicle.speed[0],
            vehicle.speed[1] - speed,
            acceleration - vehicle.acceleration[0],
            vehicle.acceleration[1] - acceleration,
            *_between(steering, vehicle.steering),
            *_between(lateral, vehicle.lateral_acceleration),
        ]
    )


def bound_places(left: OfDiscs, right: OfDiscs, offset: OfDiscs, vehicle: Vehicle) -> jax.Array:
    """Return the room to the edges of the road."""
    radius = vehicle.disc_radius
    return jnp.concatenate([left - radius - offset, right - radius + offset])


def measure_gaps(discs: Discs, others: Others) -> Float[Array, "gap step mode lane"]:
    """Return how far each disc is from each ellipse, zero at its edge [about m]."""
    dx, dy = discs.x[:, None] - others.x, discs.y[:, None] - others.y
    form = others.xx * dx * dx + 2 * others.xy * dx * dy + others.yy * dy * dy
    gap = (jnp.sqrt(jnp.maximum(form, 1e-12)) - 1.0) * others.scale
    return jnp.where(others.present, gap, _NOBODY).reshape(-1, *discs.x.shape[1:])


def each(function: Callable[..., jax.Array], *rooms: Rooms) -> Rooms:
    """Return a function of every kind of room."""
    return Rooms(*(function(*parts) for parts in zip(*rooms, strict=True)))


def least_room(rooms: Rooms) -> Float[Array, "mode lane"]:
    """Return the least room of each mode of a plan."""
    low = None
    for part in rooms:
        for i in range(part.shape[0]):
            low = part[i] if low is None else jnp.minimum(low, part[i])
    assert low is not None  # noqa: S101  There is always a bound on the controls.
    return low.min(0)


def sum_barriers(rooms: Rooms, low: Float[Array, " lane"]) -> Float[Array, " lane"]:
    """Return `-log(room)`, or the parabola that continues it below `low`, summed over a plan.

    References:
        Hauser and Saccon, A Barrier Function Method for the Optimization of Trajectory
        Functionals with Constraints, CDC 2006.
    """
    parts = [part[i] for part in rooms for i in range(part.shape[0])]
    total = jnp.zeros_like(parts[0])
    for i in range(0, len(parts), _MERGED):
        product = jnp.ones_like(parts[0])
        for part in parts[i : i + _MERGED]:
            product = product * jnp.maximum(part, low)
            short = jnp.minimum(part - low, 0.0) / low
            total = total + short * (0.5 * short - 1.0)
        total = total - jnp.log(product)
    return total.sum((0, 1))


def exceed(value: OfSteps, low: float, high: float) -> OfSteps:
    """Return by how much a value is above or (below zero) below a range."""
    return jnp.maximum(value - high, 0.0) + jnp.minimum(value - low, 0.0)


def add_up(values: Float[Array, "part *rest"]) -> jax.Array:
    """Return the sum over a short leading axis, as additions that XLA merges with what follows."""
    total = jnp.zeros(values.shape[1:], values.dtype)
    for i in range(values.shape[0]):
        total = total + values[i]
    return total


def _between(value: OfSteps, bound: float) -> tuple[OfSteps, OfSteps]:
    return value + bound, bound - value
