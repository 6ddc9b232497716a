"""Ways to begin: one for each decision that a plan might take."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from kerbstone.plan.solver.bicycle import move
from kerbstone.plan.solver.interior import Car
from kerbstone.plan.solver.places import Discs, find_foot, read, value_of
from kerbstone.plan.solver.terms import Data

# How a start steers and drives: parts of what the car can do, and times to close a gap [s].
_PART = 0.85
_HARDEST, _STRONGEST = 5.0, 2.0
_SPEED_TIME, _REACTION = 1.0, 0.35
_LOOK_AHEAD_TIME, _LEAST_LOOK_AHEAD = 0.9, 4.0
_CLEARANCE = 0.3


@dataclass(frozen=True)
class Start:
    """One way to begin.

    Args:
        name: What the plan decides.
        side: Where to drive: 1 at the left edge of the road, -1 at the right, 0 on the line.
        now: Part of the present speed to drive at.
        wanted: Part of the wanted speed to drive at, added to the former.
        extra: Added to both [m/s].
    """

    name: str
    side: float
    now: float
    wanted: float
    extra: float = 0.0


STARTS = (
    Start("brake", 0.0, 0.0, 0.0),
    Start("yield", 0.0, 0.5, 0.0),
    Start("go", 0.0, 0.0, 1.0),
    Start("left", 1.0, 1.0, 0.0),
    Start("left fast", 1.0, 0.0, 1.0, 2.0),
    Start("right", -1.0, 1.0, 0.0),
    Start("right fast", -1.0, 0.0, 1.0, 2.0),
)


def make_starts(
    data: Data, starts: tuple[Start, ...], steps: int, car: Car, one: Float[Array, ""]
) -> Float[Array, "step 2 mode start lane"]:
    """Return the controls of each start, the same in all modes.

    They keep to a line beside the reference line and to a speed by simple feedback, within the
    limits of the controls. They may hit someone: that is for the solver to mend.

    Args:
        data: The problems.
        starts: Which.
        steps: Of the horizon.
        car: What is known at compile time.
        one: The number one, not known to the compiler; see `riccati.sweep`.
    """
    vehicle, dt = car.vehicle, car.dt
    lanes = data.start.shape[-1]

    def column(name: str) -> jax.Array:
        values = np.array([getattr(start, name) for start in starts])
        return jnp.asarray(values, data.start.dtype)[:, None]

    first = jnp.broadcast_to(data.start[:, :1], (6, len(starts), lanes))
    origin = jnp.broadcast_to(data.origin[1, :1], (len(starts), lanes))
    present = jnp.maximum(first[3], 0.0)

    def step(carry: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple, jax.Array]:
        state, parameter = carry
        x, y, heading, speed, acceleration, steering = state
        ahead = vehicle.centre_offset
        discs = Discs(
            *(
                value[None, None]
                for value in (x + ahead * jnp.cos(heading), y + ahead * jnp.sin(heading), x, y)
            )
        )
        reading = read(data.line, parameter[None, None], one)
        foot = find_foot(discs, reading)
        along = (
            reading.along + (foot.away_x * foot.slope_x + foot.away_y * foot.slope_y) / foot.curve
        )
        reading = reading._replace(along=along)
        foot = find_foot(discs, reading)
        left, right, wanted = (value_of(field, along)[0, 0] for field in reading.fields[2:])
        slope_x, slope_y = foot.slope_x[0, 0], foot.slope_y[0, 0]
        length = jnp.sqrt(slope_x**2 + slope_y**2)
        offset = (slope_x * foot.away_y[0, 0] - slope_y * foot.away_x[0, 0]) / length
        miss = jnp.arctan2(
            slope_x * jnp.sin(heading) - slope_y * jnp.cos(heading),
            slope_x * jnp.cos(heading) + slope_y * jnp.sin(heading),
        )
        edge = vehicle.disc_radius + _CLEARANCE
        side = column("side")
        target = jnp.where(
            side > 0,
            jnp.maximum(left - edge, 0.0),
            jnp.where(side < 0, -jnp.maximum(right - edge, 0.0), 0.0),
        )
        bend = _curvature(reading.fields[:2, :, 0, 0], along[0, 0])
        reach = jnp.maximum(_LOOK_AHEAD_TIME * speed, _LEAST_LOOK_AHEAD)
        turn = bend - (offset - target) / reach**2 - 1.6 * miss / reach
        limit = _PART * jnp.minimum(
            vehicle.steering,
            jnp.arctan(
                vehicle.lateral_acceleration * vehicle.wheelbase / jnp.maximum(speed, 1.0) ** 2
            ),
        )
        aim = jnp.clip(jnp.arctan(vehicle.wheelbase * turn), -limit, limit)
        drive = column("now") * present + column("wanted") * wanted + column("extra")
        push = jnp.clip((drive - speed) / _SPEED_TIME, -_HARDEST, _STRONGEST)
        most = jnp.asarray([_PART * vehicle.jerk, _PART * vehicle.steering_rate], x.dtype)
        control = jnp.stack([push - acceleration, aim - steering]) / _REACTION
        control = jnp.clip(control, -most[:, None, None], most[:, None, None])
        new = move(state, control, vehicle, dt)
        gone = dt * jnp.maximum(speed, 0.0) / data.line.spacing
        return (new, (reading.piece + along)[0, 0] + gone), control

    _, controls = jax.lax.scan(step, (first, origin), None, length=steps)
    modes = data.start.shape[1]
    return jnp.broadcast_to(controls[:, :, None], (steps, 2, modes, len(starts), lanes))


def _curvature(line: Float[Array, "2 4 start lane"], t: jax.Array) -> jax.Array:
    """Return the curvature of a line at a place on its piece [1/m]."""
    (_, bx, cx, dx), (_, by, cy, dy) = line
    slope_x, slope_y = bx + t * (2 * cx + 3 * t * dx), by + t * (2 * cy + 3 * t * dy)
    bend_x, bend_y = 2 * cx + 6 * t * dx, 2 * cy + 6 * t * dy
    return (slope_x * bend_y - slope_y * bend_x) / (slope_x**2 + slope_y**2) ** 1.5
